# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.postgres import psql

CONNECTION = psql.Connection("127.0.0.1", 5433, "esus", "postgres", "s3gredo")


def script(path: Path, text: str) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
    path.chmod(0o755)
    return str(path)


def test_clients_of_every_origin_are_found_newest_first(tmp_path: Path) -> None:
    newest = script(tmp_path / "usr/lib/postgresql/17/bin/psql", "echo 'psql (PostgreSQL) 17.5 (Debian 17.5-1)'")
    older = script(tmp_path / "usr/lib/postgresql/9.6/bin/psql", "echo 'psql (PostgreSQL) 9.6.24'")
    bundled = script(tmp_path / "opt/e-SUS/database/postgresql-9.6.13-1-linux-x64/bin/psql", "echo 'psql (PostgreSQL) 9.6.13'")
    red_hat = script(tmp_path / "usr/pgsql-16/bin/psql", "echo 'psql (PostgreSQL) 16.1'")
    (tmp_path / "opt/e-SUS/database/current").symlink_to("postgresql-9.6.13-1-linux-x64")
    script(tmp_path / "usr/bin/psql", "exit 1")
    (tmp_path / "usr/pgsql-15/bin").mkdir(parents=True)
    (tmp_path / "usr/pgsql-15/bin/psql").write_text("not executable", encoding="utf-8")
    found = psql.find_clients("psql", root=str(tmp_path))
    assert [client.version for client in found] == [(17, 5), (16, 1), (9, 6, 24), (9, 6, 13)]
    assert [client.path for client in found[:3]] == [newest, red_hat, older]
    assert Path(found[3].path).resolve() == Path(bundled)
    assert psql.find_clients("pg_dump", root=str(tmp_path)) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
@pytest.mark.parametrize("place", ["", "bin", "bin/psql"])
def test_a_client_that_another_account_can_change_is_not_used(tmp_path: Path, place: str) -> None:
    """PEC's account may own its home (User=esus), and with it the bundled clients."""
    home = tmp_path / "opt/e-SUS/database/postgresql-9.6.13-1-linux-x64"
    script(home / "bin/psql", f"touch {tmp_path}/ran; echo 'psql (PostgreSQL) 9.6.13'")
    assert len(psql.find_clients("psql", root=str(tmp_path))) == 1
    (tmp_path / "ran").unlink()
    os.chown(home / place, 65534, 65534)
    assert psql.find_clients("psql", root=str(tmp_path)) == []
    assert not (tmp_path / "ran").exists()


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The path of a program that takes the place of psql; the test writes it."""
    path = tmp_path / "psql"
    monkeypatch.setattr(psql, "find_clients", lambda _program: [psql.Client(str(path), (15, 18))])
    return path


def test_the_answer_is_decoded_and_the_password_stays_out_of_the_arguments(program: Path, tmp_path: Path) -> None:
    script(program, f'echo "$@" > {tmp_path}/arguments; env > {tmp_path}/environment; cat > {tmp_path}/sql; echo \'{{"a": [1, null]}}\'')
    assert psql.query(CONNECTION, "select 'é'") == {"a": [1, None]}
    assert (tmp_path / "sql").read_text(encoding="utf-8") == "select 'é'"
    assert (tmp_path / "arguments").read_text(encoding="utf-8") == "-XAtqw -v ON_ERROR_STOP=1\n"
    assert {"PGPASSWORD=s3gredo", "PGHOST=127.0.0.1", "PGPORT=5433", "PGDATABASE=esus", "PGUSER=postgres"} <= set(
        (tmp_path / "environment").read_text(encoding="utf-8").splitlines()
    )


def test_an_error_names_the_database_and_shows_neither_statement_nor_password(program: Path) -> None:
    script(program, "echo 'WARNING:  odd' >&2; echo 'ERROR:  wrong s3gredo' >&2; echo 'LINE 1: alter role x password y' >&2; exit 3")
    with pytest.raises(PecError) as caught:
        psql.query(CONNECTION, "select 1")
    assert str(caught.value) == "database 'esus' at 127.0.0.1:5433 as 'postgres': ERROR:  wrong ********"


@pytest.mark.parametrize("output", ["", "not json", "1\n2"])
def test_an_answer_that_is_not_one_value_is_refused(program: Path, output: str) -> None:
    script(program, f"printf '{output}'")
    with pytest.raises(PecError, match="is not one JSON value"):
        psql.query(CONNECTION, "select 1")


def test_without_a_client_the_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(psql, "find_clients", lambda _program: [])
    with pytest.raises(PecError, match="install the PostgreSQL client"):
        psql.query(CONNECTION, "select 1")


SERVER = {
    "server_version": "15.18 (Debian 15.18-0+deb12u1)",
    "server_version_num": 150018,
    "size_bytes": 8000000,
    "encoding": "UTF8",
    "collation": "pt_BR.UTF-8",
    "ctype": "pt_BR.UTF-8",
    "table_count": 0,
    "has_settings": False,
}


def facts(monkeypatch: pytest.MonkeyPatch, settings: dict[str, object] | None) -> psql.DatabaseFacts:
    answers: list[object] = [{**SERVER, "has_settings": settings is not None}, settings]
    monkeypatch.setattr(psql, "query", lambda _connection, _sql: json.loads(json.dumps(answers.pop(0))))
    return psql.read_facts(CONNECTION)


def test_an_empty_database_is_not_pec(monkeypatch: pytest.MonkeyPatch) -> None:
    found = facts(monkeypatch, None)
    assert (found.server_version_num, found.encoding, found.is_pec, found.pec_version, found.training) == (
        150018,
        "UTF8",
        False,
        None,
        None,
    )


def test_settings_without_a_version_are_not_pec(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not facts(monkeypatch, {"NOMEINSTALACAO": {"text": "X", "number": None}}).is_pec


@pytest.mark.parametrize(("number", "training"), [(1, True), (0, False), (None, None)])
def test_what_pec_recorded(monkeypatch: pytest.MonkeyPatch, number: int | None, training: bool | None) -> None:
    found = facts(
        monkeypatch,
        {
            "VERSAOBANCODADOS": {"text": "5.4.37", "number": None},
            "TREINAMENTO": {"text": None, "number": number},
            "LINKINSTALACAO": {"text": "https://esus.example", "number": None},
            "TIPOINSTALACAO": {"text": "PRONTUARIO", "number": None},
        },
    )
    assert (found.is_pec, found.pec_version, found.training) == (True, "5.4.37", training)
    assert (found.installation_link, found.installation_type, found.installation_name) == ("https://esus.example", "PRONTUARIO", None)


def test_no_password_in_the_representation() -> None:
    assert "s3gredo" not in repr(CONNECTION)


@pytest.mark.parametrize(("name", "sql"), [("esus", '"esus"'), ('a"b', '"a""b"'), ("$(x) '%s\\ ã", '"$(x) \'%s\\ ã"')])
def test_identifiers(name: str, sql: str) -> None:
    assert psql.identifier(name) == sql


@pytest.mark.parametrize(("text", "sql"), [("x", "'x'"), ("it's", "'it''s'"), ("\\", "E'\\\\'"), ("\\'", "E'\\\\'''")])
def test_literals(text: str, sql: str) -> None:
    assert psql.literal(text) == sql


@pytest.mark.parametrize(
    ("host", "local"), [("127.0.0.1", True), ("127.0.1.1", True), ("localhost", True), ("::1", True), ("/run/x", True), ("10.0.0.1", False)]
)
def test_a_server_on_this_host(host: str, local: bool) -> None:
    assert psql.Connection(host, 5432, "x", "y", "").is_local is local


FAR = psql.Connection("192.0.2.1", 5432, "esus", "esus", "segredo")


@pytest.mark.parametrize(
    ("version", "knows"), [((9, 6, 24), False), ((11, 22), False), ((12, 0), True), ((17, 11), True), pytest.param(None, False, id="?")]
)
def test_a_cut_network_is_noticed_as_the_clients_libpq_can(
    version: tuple[int, ...] | None, knows: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A libpq before 12 refuses to connect with a parameter that it does not know."""
    monkeypatch.setattr(psql, "_version_of", lambda _path: version)
    (argument,) = psql.lasting(FAR, "psql", "dbname='a b'")
    assert argument.startswith("--dbname=dbname='a b' keepalives=1 keepalives_idle=10 ")
    assert ("tcp_user_timeout=35000" in argument) is knows
    assert psql.lasting(replace(FAR, host="127.0.0.1"), "psql") == []
    assert psql.server_keepalives(replace(FAR, host="/run/postgresql")) == {}


@pytest.mark.parametrize(
    ("said", "cut"),
    [
        ("psql failed: could not receive data from server: Connection timed out", True),
        ("SSL SYSCALL error: Connection timed out", True),
        ('connection to server at "192.0.2.1", port 5432 failed: timeout expired', True),
        ("ERROR:  canceling statement due to statement timeout", False),
        ("server closed the connection unexpectedly", False),
    ],
)
def test_a_cut_network_is_named(said: str, cut: bool) -> None:
    assert ("was cut: check it, then run again" in psql.network_remedy(said)) is cut
