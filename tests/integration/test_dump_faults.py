# SPDX-License-Identifier: GPL-3.0-or-later
"""Dumps that fail: a clear error, nothing left behind, and an old dump unchanged."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from dumping import Dumping
from postgres import PASSWORD, Postgres
from restoring import DATABASE
from secret_search import in_text

SECRET_KEY = "AGE-SECRET-KEY-1GFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPQ4EGAEX"
INSERT = """
INSERT INTO tb_cidadao SELECT (jsonb_populate_record(c, '{"co_seq_cidadao": 900000000}')).* FROM tb_cidadao c LIMIT 1
"""
FUNCTIONS = """
DO $$ BEGIN FOR i IN 1..14000 LOOP
  EXECUTE format('CREATE FUNCTION fn_%s_%s() RETURNS int LANGUAGE sql AS ''SELECT 1''', repeat('x', 40), i);
END LOOP; END $$
"""
COUNT = "SELECT count(*) FROM tb_cidadao"


@pytest.fixture(scope="module")
def server(postgres: Postgres) -> Iterator[Dumping]:
    """A server with a database to dump on 15 and on 17."""
    dumping = Dumping(postgres)
    dumping.sh("rm -rf /srv/dumps/* /small/*")
    for major in (15, 17):
        postgres.create(major, DATABASE)
    yield dumping
    dumping.sh("rm -rf /srv/dumps /small/*")
    for major in (15, 17):
        for name in postgres.databases(major):
            postgres.drop(major, name)


@pytest.mark.parametrize(
    ("connect", "options", "says"),
    [
        ({"password": "wrong"}, {}, "database 'esus' at 127.0.0.1:5432 as 'esus': psql: error: "),
        ({"name": "not there"}, {}, "database 'not there' at 127.0.0.1:5432 as 'esus': psql: error: "),
        ({"port": 5999}, {}, "Connection refused"),
        ({}, {"path": "/srv/nowhere/x.dump"}, "/srv/nowhere"),
        ({}, {"format": "directory", "compression": "zip"}, "compression zip"),
        ({}, {"recipients": [SECRET_KEY]}, "secret key"),
        ({}, {"recipients": ["age1" + "q" * 58]}, "age failed: "),
    ],
)
def test_is_refused(server: Dumping, connect: dict[str, Any], options: dict[str, Any], says: str) -> None:
    assert "1GFPYYSJZ" not in server.refused(says, connect=connect, **options)


def test_check_mode_refuses_what_the_run_refuses(server: Dumping) -> None:
    server.sh("head -c 20000000 /dev/zero > /small/fill; echo precious > there.dump")
    for check in (True, False):
        said = server.refused("check_space: false", path="/small/", check=check)
        assert "'esus' (2" in said
        assert "7 MB" in said and "/small has 5 MB" in said
    server.refused("there.dump exists already", "there.dump")
    server.sh("rm /small/fill there.dump")


@pytest.mark.parametrize(
    "options",
    [
        {"compression": "none"},
        {"format": "directory", "jobs": 2, "compression": "none"},
        {"format": "plain"},
        {"format": "plain", "compression": "tar.gz"},
    ],
)
def test_the_disk_becomes_full(server: Dumping, options: dict[str, Any]) -> None:
    server.sh("head -c 23500000 /dev/zero > /small/fill")
    said = server.refused("No space left on device", path="/small/", check_space=False, **options)
    assert said.startswith("database 'esus' at 127.0.0.1:5432 as 'esus' was not dumped into /small/")
    assert server.status()["phase"] == "failed"
    server.sh("rm /small/fill")


def test_the_server_dies(server: Dumping) -> None:
    unit = server.postgres.unit(17)
    before = server.listing()
    with server.stopped("", 17) as dump:
        server.sh(f"systemctl kill -s KILL {unit}")
        said = dump.result["msg"]
    assert dump.result["_failed"]
    assert "pg_dump failed: " in said
    assert server.listing() == before
    down = server.refused("127.0.0.1", "", 17)
    assert "5417" in down
    # With version 1 of the kernel's control groups, systemd may miss the end of the last process until it is reloaded.
    server.sh(f"systemctl daemon-reload; systemctl reset-failed {unit} || true; systemctl start {unit}")
    server.made("", 17)


@pytest.mark.parametrize("options", [{}, {"format": "directory", "jobs": 2}])
def test_killed_and_run_again(server: Dumping, options: dict[str, Any]) -> None:
    server.sh("rm -rf /srv/dumps/*")
    count = "ps axo args | grep -c '[p]g_dump --format' || true"
    with server.stopped(**options) as dump:
        left = server.sh("ls")
        assert left.endswith(".partial")
        server.sh("kill -KILL $1", str(server.status()["module_pid"]))
        dump.join()
        assert server.sh("ls") == left
        again = server.made("", schema_only=True, **options)
        assert any(note.startswith(f"removed {left}, left by a run that was killed") for note in again["notes"])
        assert server.sh(count) == "0"
    assert left not in server.sh("ls").splitlines()
    assert ("and ended 1 pg_dump that still wrote it" in " ".join(again["notes"])) == bool(options)


@pytest.mark.parametrize("options", [{}, {"format": "directory", "jobs": 2}])
def test_while_it_works(server: Dumping, options: dict[str, Any]) -> None:
    """A second run is refused, the status shows progress, no process shows the password, and new rows are in no part of the dump."""
    before = server.postgres.sql(15, DATABASE, COUNT)
    with server.stopped(fingerprint=True, **options) as dump:
        partial = server.sh("ls -d *.partial")
        status = server.status()
        assert (status["phase"], status["database"]) == ("dumping", DATABASE)
        assert (status["tables_total"], status["started"][-1]) == (50, "Z")
        server.wait("grep -q '\"tables_done\": [1-9]' /run/esus-pec/dump-esus.json")
        assert server.status()["tables_done"] <= 50
        processes = server.sh("cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\\0' ' '", check=False)
        assert "pg_dump --format=" in processes
        assert in_text(processes, [PASSWORD]) == []
        said = server.dump("another.dump")
        assert said["_failed"]
        assert "another run holds the lock" in said["msg"]
        assert f"process {status['module_pid']}, since " in said["msg"]
        assert server.sh("ls -d *.partial; ls -d another* 2>/dev/null || true") == partial
        server.postgres.sql(15, DATABASE, INSERT)
    made = dump.result
    assert not made["_failed"], made
    told = json.loads(server.sh("cat $1", made["manifest_path"]))
    assert str(told["fingerprint"]["tables"]["public.tb_cidadao"][0]) == before
    rows = "/usr/lib/postgresql/17/bin/pg_restore -f - -a -t tb_cidadao $1 | sed -n '/^COPY/,/^\\\\\\./p' | wc -l"
    assert int(server.sh(rows, made["path"])) - 2 == int(before)
    assert int(server.postgres.sql(15, DATABASE, COUNT)) == int(before) + 1
    server.postgres.sql(15, DATABASE, "DELETE FROM tb_cidadao WHERE co_seq_cidadao = 900000000")
    assert server.sh("ls /run/esus-pec/dump-esus.json 2>/dev/null || true") == ""


@pytest.mark.parametrize("form", ["custom", "directory"])
def test_an_old_dump_stays_until_the_new_one_is_verified(server: Dumping, form: str) -> None:
    old = server.made("kept", format=form, overwrite=True)
    with server.holding("BEGIN; LOCK tb_cidadao IN ACCESS EXCLUSIVE MODE;"):
        said = server.refused("Query was: LOCK TABLE ", "kept", format=form, overwrite=True, lock_timeout=1)
    assert "lock_timeout" in said
    assert json.loads(server.sh("cat kept.json")) == old["manifest"]
    if form == "custom":
        assert server.sh("sha256sum < kept").split()[0] == old["sha256"]
    else:
        assert server.sh("cd kept && sha256sum * | sha256sum").split()[0] == old["sha256"]
    other = "directory" if form == "custom" else "custom"
    new = server.made("kept", format=other, overwrite=True)
    assert (new["manifest"]["format"], server.sh("ls -d kept*").split()) == (other, ["kept", "kept.json"])
    server.sh("rm -rf kept kept.json")


def test_a_role_that_may_not_read_everything(server: Dumping) -> None:
    server.postgres.sql(15, DATABASE, "CREATE TABLE tb_alheia (a int); REVOKE ALL ON tb_alheia FROM PUBLIC")
    server.refused("tb_alheia")
    server.postgres.sql(15, DATABASE, "DROP TABLE tb_alheia")


def test_dumps_of_others_in_the_same_directory(server: Dumping) -> None:
    """Leftovers of another database, and a table of contents that is longer than any pipe."""
    server.postgres.create(15, "esus-treino", sample=False)
    server.postgres.sql(15, "esus-treino", FUNCTIONS, user="esus")
    name = server.sh("cat /proc/sys/kernel/hostname") + "-esus-20200101T000000Z.dump.partial"
    server.sh("touch $1", name)
    with server.without_17():
        made = server.made("", database="esus-treino")
    assert made["manifest"]["toc_entries"] >= 14000
    assert server.sh("ls $1", name) == name
    assert f"removed {name}, left by a run that was killed" in server.made("")["notes"]
    server.postgres.drop(15, "esus-treino")
