# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import stat
from pathlib import Path

import pytest

from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.postgres import psql
from ansible_collections.esus.pec.plugins.module_utils.postgres.psql import Connection
from ansible_collections.esus.pec.plugins.module_utils.postgres.session import Session, database_lock, database_locks, same_database

# Speaks as psql does: the answer to a statement, then what \echo says; a statement with "fail" ends it.
PSQL = r"""#!/usr/bin/python3
import os, sys
if sys.argv[1:4] != ["-XAtqw", "-F", "\x1f"] or os.environ["PGPASSWORD"] != "segredo":
    sys.exit("psql: error: wrong arguments")
for line in sys.stdin:
    if line.startswith("\\echo "):
        print(line[6:].strip(), flush=True)
    elif "fail" in line:
        print("aviso: segredo", file=sys.stderr)
        sys.exit("ERROR:  relation \"x\" does not exist")
    elif "options" in line:
        print('"' + os.environ.get("PGOPTIONS", "") + '"')
    elif "endless" in line:
        while True:
            sys.stdout.write("x" * 1000000)
    elif "rows" in line:
        print("a\x1f1\nb\x1f2")
    elif "json" in line:
        print('{"a":\n1}')
"""


def connection(host: str = "127.0.0.1", port: int = 5432, database: str = "esus") -> Connection:
    return Connection(host, port, database, "esus", "segredo")


@pytest.fixture()
def program(tmp_path: Path) -> str:
    path = tmp_path / "psql"
    path.write_text(PSQL)
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


def test_a_session_answers_one_question_after_the_other(program: str) -> None:
    with Session(connection(), program, options={"synchronous_commit": "off"}) as session:
        session.execute("begin")
        assert session.rows("rows") == [["a", "1"], ["b", "2"]]
        assert session.query("json;") == {"a": 1}
        assert session.query("options") == "-c search_path=pg_catalog,pg_temp -c synchronous_commit=off"
        assert session.rows("nothing") == []


def test_a_statement_that_fails_is_said_in_the_servers_words(program: str) -> None:
    with Session(connection(), program) as session:
        with pytest.raises(PecError) as error:
            session.execute("fail")
        assert str(error.value) == ("database 'esus' at 127.0.0.1:5432 as 'esus': psql failed: ERROR:  relation \"x\" does not exist")
        with pytest.raises(PecError, match="does not exist"):
            session.execute("again")


def test_an_answer_that_is_no_json_is_an_error(program: str) -> None:
    with Session(connection(), program) as session, pytest.raises(PecError, match="not one JSON value"):
        session.query("rows")


def test_an_answer_without_end_is_an_error(program: str) -> None:
    with Session(connection(), program) as session:
        for _attempt in range(2):
            with pytest.raises(PecError, match="longer than 12 MiB"):
                session.query("endless")


def test_a_missing_psql_is_said() -> None:
    with pytest.raises(PecError, match="not on this host"), Session(connection(), "/nonexistent/psql"):
        pass


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, {}),
        ({"a": "1", "b": "off"}, {"PGOPTIONS": "-c a=1 -c b=off"}),
        ({"datestyle": "ISO, YMD"}, {"PGOPTIONS": "-c datestyle=ISO,\\ YMD"}),
        ({"role": "a\\b c"}, {"PGOPTIONS": "-c role=a\\\\b\\ c"}),
    ],
)
def test_options_are_escaped_as_the_server_reads_them(options: dict[str, str], expected: dict[str, str]) -> None:
    assert psql.options(options) == expected


def test_every_local_address_is_one_lock() -> None:
    local = {database_lock(connection(host)) for host in ("localhost", "127.0.0.1", "::1", "/var/run/postgresql")}
    assert len(local) == 1
    others = [connection("192.0.2.1"), connection(port=5433), connection(database="outro")]
    assert local.isdisjoint(database_lock(other) for other in others)
    assert all(name.startswith("database-") and len(name) == 21 for name in local)


CLUSTERS = {"192.0.2.1": "7001", "tunnel.invalid": "7001", "192.0.2.2": "7002"}


@pytest.fixture
def clusters(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(psql, "cluster", lambda conn: CLUSTERS.get(conn.host, ""))


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (connection("192.0.2.1"), connection("tunnel.invalid", 6000), True),
        (connection("192.0.2.1"), connection("tunnel.invalid", database="outro"), False),
        (connection("192.0.2.1"), connection("192.0.2.2"), False),
        (connection("localhost"), connection("127.0.0.1"), True),
    ],
)
def test_a_database_is_what_its_server_says(clusters: None, one: Connection, other: Connection, same: bool) -> None:
    assert same_database(one, other) is same
    assert bool(set(database_locks(one)) & set(database_locks(other))) is same


def test_a_server_that_does_not_say_who_it_is_may_be_any(clusters: None) -> None:
    assert same_database(connection("192.0.2.1"), connection("192.0.2.9"))
    assert not same_database(connection("192.0.2.1"), connection("192.0.2.9", database="outro"))
