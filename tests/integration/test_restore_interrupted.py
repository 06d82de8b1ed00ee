# SPDX-License-Identifier: GPL-3.0-or-later
"""Restores that are disturbed: by a running PEC, a second run, a kill, a server that dies, a full disk."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from postgres import PASSWORD, Postgres
from restoring import DATABASE, DUMPS, Restoring

UNIT = "e-SUS-PEC.service"
# A fake PEC: one session in the database, which reconnects at once when it is ended.
FAKE_PEC = """\
[Service]
Environment=PGPASSFILE=/root/.pgpass-of-pec
ExecStart=/bin/sh -c 'while :; do psql -XAtq -h 127.0.0.1 -U esus -d esus -c "set application_name to pec" -c "select pg_sleep(1000)"; done'
KillSignal=SIGKILL
SuccessExitStatus=SIGKILL
TimeoutStopSec=3
[Install]
WantedBy=multi-user.target
"""
SESSIONS = "SELECT count(*) > 0 FROM pg_stat_activity WHERE datname = 'esus' AND application_name = 'pec'"
ASLEEP = "SELECT count(*) > 0 FROM pg_stat_activity WHERE datname LIKE 'esus_restoring%' AND wait_event = 'PgSleep'"
# Rows that load slowly: each is checked by a function that sleeps.
SLOW = """
CREATE FUNCTION public.fn_devagar(int) RETURNS bool LANGUAGE sql AS
  'SELECT pg_catalog.pg_sleep(CASE WHEN current_database() ~ ''restoring'' THEN 1 ELSE 0 END) IS NOT NULL';
CREATE TABLE tb_devagar (a int CHECK (public.fn_devagar(a)));
INSERT INTO tb_devagar SELECT generate_series(1, 1000);
"""


@pytest.fixture(scope="module")
def server(postgres: Postgres) -> Iterator[Restoring]:
    """A server with a PEC database and dumps of it, one that loads slowly as SQL and one as an archive."""
    restoring = Restoring(postgres)
    restoring.sh("rm -rf /srv/dumps; systemctl stop e-SUS-PEC 2>/dev/null || true")
    postgres.create(15, "source")
    restoring.dump(15, "backup.sql", "-Fp", database="source")
    restoring.dump(15, "custom", "-Fc", database="source")
    restoring.sh("sed '/^-- PostgreSQL database dump complete/i SELECT pg_sleep(1000);' backup.sql > never.sql")
    restoring.sh("sed '/^-- PostgreSQL database dump complete/i SELECT pg_sleep(4);' backup.sql > slow.sql")
    restoring.sh("sed '/^-- PostgreSQL database dump complete/i SELECT 1/0;' backup.sql > failing.sql")
    postgres.sql(15, "source", SLOW, user="esus")
    restoring.dump(15, "never", "-Fc", database="source")
    yield restoring
    restoring.sh("rm -rf /srv/dumps")
    for major in (15, 17):
        for name in postgres.databases(major):
            postgres.drop(major, name)


@pytest.fixture
def pec(server: Restoring) -> Iterator[Restoring]:
    """The database, with something like PEC at work in it."""
    server.postgres.create(15, DATABASE)
    password = re.sub(r"([\\:])", r"\\\1", PASSWORD)
    server.postgres.server.put(f"*:*:*:*:{password}\n", "/root/.pgpass-of-pec", "0600")
    server.postgres.server.put(FAKE_PEC, f"/etc/systemd/system/{UNIT}")
    server.sh(f"systemctl daemon-reload; systemctl start {UNIT}")
    server.wait_for_sql(15, SESSIONS, "t")
    yield server
    server.sh(f"systemctl stop {UNIT}; rm /etc/systemd/system/{UNIT} /root/.pgpass-of-pec; systemctl daemon-reload")


def is_active(server: Restoring) -> bool:
    return server.sh(f"systemctl is-active {UNIT} || true") == "active"


def test_pec_at_work_is_a_reason_to_refuse(pec: Restoring) -> None:
    before = pec.identity(15)
    for check in (True, False):
        result = pec.restore(f"{DUMPS}/custom", replace=True, check=check)
        assert result["_failed"]
        assert "stop_service" in result["msg"]
    assert is_active(pec)
    assert pec.identity(15) == before


def test_pec_is_stopped_for_a_restore_and_started_after_it(pec: Restoring) -> None:
    before = pec.identity(15)
    restore = pec.in_background(f"{DUMPS}/slow.sql", replace=True, stop_service=True)
    pec.wait("grep -q '\"load\"' /run/esus-pec/restore-esus.json")
    assert not is_active(pec)
    assert pec.identity(15) == before, "the old one is under its name until the new one is whole"
    assert not restore.result["_failed"], restore.result
    assert is_active(pec)
    assert pec.identity(15) != before
    pec.wait_for_sql(15, SESSIONS, "t")


def test_pec_is_started_again_after_a_failure(pec: Restoring) -> None:
    before = pec.identity(15)
    result = pec.restore(f"{DUMPS}/failing.sql", replace=True, stop_service=True)
    assert result["_failed"]
    assert "psql:<stdin>" in result["msg"]
    assert is_active(pec)
    assert pec.identity(15) == before
    pec.wait_for_sql(15, SESSIONS, "t")


def test_pec_is_started_again_after_a_killed_run_and_one_that_fails(pec: Restoring) -> None:
    restore = pec.in_background(f"{DUMPS}/never.sql", replace=True, stop_service=True)
    pec.wait_for_sql(15, ASLEEP, "t")
    killed = pec.module_pid()
    pec.sh("kill -KILL $1", killed)
    restore.join()
    assert not is_active(pec)
    refused = pec.restore(f"{DUMPS}/custom", replace=True, stop_service=True, sha256="0" * 64)
    assert refused["_failed"]
    assert f"a run of esus.pec.restore (process {killed}) stopped it on" in refused["msg"]
    failed = pec.restore(f"{DUMPS}/failing.sql", replace=True, stop_service=True)
    assert failed["_failed"]
    assert "PEC, which a killed run had stopped, was started again" in failed["msg"]
    assert is_active(pec)


def test_a_rehearsal_lets_pec_work(pec: Restoring) -> None:
    process = pec.sh(f"systemctl show -P MainPID {UNIT}")
    result = pec.restore(f"{DUMPS}/custom", rehearse=True)
    assert not result["_failed"], result
    assert pec.sh(f"systemctl show -P MainPID {UNIT}") == process
    assert pec.postgres.sql(15, "postgres", SESSIONS) == "t"


def test_somebody_who_is_connected(pec: Restoring) -> None:
    """Here the service is not PEC's, so nobody stops what comes back whenever it is ended."""
    pec.sh(
        f"cp /etc/systemd/system/{UNIT} /etc/systemd/system/other.service; systemctl daemon-reload;"
        f" systemctl stop {UNIT}; systemctl start other"
    )
    try:
        pec.wait_for_sql(15, SESSIONS, "t")
        refused = pec.restore(f"{DUMPS}/custom", replace=True)
        assert refused["_failed"]
        assert "pec as esus from 127.0.0.1" in refused["msg"]
        before = pec.identity(15)
        result = pec.restore(f"{DUMPS}/custom", replace=True, stop_service=True)
        assert not result["_failed"], result
        assert pec.identity(15) != before
        assert not is_active(pec), "it was not running before"
    finally:
        pec.sh("systemctl stop other; rm /etc/systemd/system/other.service; systemctl daemon-reload")


def test_two_at_once(server: Restoring) -> None:
    server.postgres.create(15, DATABASE)
    first = server.in_background(f"{DUMPS}/slow.sql", replace=True)
    server.wait("grep -q '\"load\"' /run/esus-pec/restore-esus.json")
    second = server.restore(f"{DUMPS}/custom", replace=True)
    assert second["_failed"]
    assert "another run holds the lock" in second["msg"]
    assert not first.result["_failed"], first.result


@pytest.mark.parametrize("dump", ["never.sql", "never"])
def test_killed_and_run_again(server: Restoring, dump: str) -> None:
    server.postgres.create(15, DATABASE)
    before = server.identity(15), server.state(15)
    restore = server.in_background(f"{DUMPS}/{dump}", replace=True, jobs=3)
    server.wait_for_sql(15, ASLEEP, "t")
    server.sh("kill -KILL $1", server.module_pid())
    restore.join()
    if dump == "never.sql":
        server.wait("! pgrep -x psql")  # it dies with its maker
    assert (server.identity(15), server.state(15)) == before
    left = [name for name in server.postgres.databases(15) if name.startswith("esus_restoring_")]
    assert len(left) == 1

    for check in (True, False):
        again = server.restore(f"{DUMPS}/custom", replace=True, check=check)
        assert not again["_failed"], again
        assert any(left[0] in note for note in again["notes"])
        assert (left[0] in server.postgres.databases(15)) == check
    assert server.sh("pgrep -x pg_restore || true") == ""


def test_only_what_a_restore_left_is_dropped(server: Restoring) -> None:
    server.postgres.create(15, DATABASE)
    sql = server.postgres.sql
    names = ["esus_restoring_20260101T000000Z", "esus_restoring_20260101T000001Z", "esus_restoring_x", "esusXrestoring_20260101T000000Z"]
    for name in names:
        server.postgres.create(15, name, sample=False)
    sql(15, names[1], "CREATE TABLE of_somebody (a int)")
    sql(15, "postgres", f"""COMMENT ON DATABASE "{names[3]}" IS '{{"esus.pec": {{"state": "restoring", "target": "other"}}}}'""")
    result = server.restore(f"{DUMPS}/custom", replace=True)
    assert not result["_failed"], result
    assert set(names) & set(server.postgres.databases(15)) == set(names[1:])
    for name in names[1:]:
        server.postgres.drop(15, name)


def test_stopped_by_a_signal(server: Restoring) -> None:
    server.postgres.create(15, DATABASE)
    before = server.identity(15), server.postgres.databases(15)
    restore = server.in_background(f"{DUMPS}/never.sql", replace=True)
    server.wait("pgrep -x psql && grep -q '\"load\"' /run/esus-pec/restore-esus.json")
    server.sh("kill -TERM $1", server.module_pid())
    assert restore.result["_failed"]
    assert "SIGTERM" in restore.result["msg"]
    assert (server.identity(15), server.postgres.databases(15)) == before


def test_the_server_dies(server: Restoring) -> None:
    server.postgres.create(17, DATABASE)
    before = server.identity(17), server.state(17)
    unit = server.postgres.unit(17)
    restore = server.in_background(f"{DUMPS}/never.sql", 17, replace=True)
    server.wait_for_sql(17, ASLEEP, "t")
    server.sh(f"systemctl kill -s KILL {unit}")
    assert restore.result["_failed"]
    assert re.search(
        r"could not be loaded, \d errors?.*(server closed the connection|connection to server was lost)", restore.result["msg"]
    )
    assert re.search(r"'esus_restoring_\w+' could not be dropped", restore.result["msg"])
    down = server.restore(f"{DUMPS}/custom", 17, replace=True)
    assert down["_failed"]
    assert "127.0.0.1" in down["msg"] and "5417" in down["msg"]
    # Where the kernel's control groups are of version 1, systemd may not see that the last process is gone until it looks anew.
    server.sh(f"systemctl daemon-reload; systemctl reset-failed {unit} || true; systemctl start {unit}")
    assert (server.identity(17), server.state(17)) == before
    again = server.restore(f"{DUMPS}/custom", 17, replace=True)
    assert not again["_failed"], again
    assert any("esus_restoring_" in note for note in again["notes"])


@pytest.fixture
def small(server: Restoring) -> Iterator[Restoring]:
    """An empty database in a tablespace on a filesystem of 24 MB."""
    sql = server.postgres.sql
    server.sh("chown postgres /small")
    server.postgres.create(15, DATABASE, sample=False)
    sql(15, DATABASE, "CREATE TABLE tb_config_sistema (co_config_sistema text, ds_texto text, ds_inteiro int)", user="esus")
    sql(15, DATABASE, "INSERT INTO tb_config_sistema VALUES ('VERSAOBANCODADOS', '5.4.37')", user="esus")
    sql(15, "postgres", "CREATE TABLESPACE small LOCATION '/small'")
    sql(15, "postgres", "ALTER DATABASE esus SET TABLESPACE small")
    yield server
    server.sh("rm -f /small/ballast")
    server.postgres.drop(15, DATABASE)
    sql(15, "postgres", "DROP TABLESPACE small")


def test_a_disk_that_is_too_small(small: Restoring) -> None:
    before = small.identity(15), small.state(15), small.postgres.databases(15)
    small.sh("free=$(df --output=avail -B1 /small | tail -n 1); head -c $((free - 5000000)) /dev/zero > /small/ballast")
    for check in (True, False):
        refused = small.restore(f"{DUMPS}/custom", replace=True, check=check)
        assert refused["_failed"]
        assert re.search(r"about \d+ MB .* 5 MB are free", refused["msg"]), refused["msg"]
    small.sh("rm /small/ballast")
    for dump in ("custom", "backup.sql"):
        full = small.restore(f"{DUMPS}/{dump}", replace=True, check_space=False)
        assert full["_failed"]
        assert re.search("No space left on device|espaço disponível", full["msg"]), full["msg"]
        assert "esus_restoring_" in full["msg"]
        assert (small.identity(15), small.state(15), small.postgres.databases(15)) == before


def test_a_disk_that_somebody_else_fills(server: Restoring) -> None:
    server.postgres.create("small", DATABASE, sample=False)
    before = server.identity("small"), server.postgres.databases("small")
    restore = server.in_background(f"{DUMPS}/never.sql", "small")
    server.wait_for_sql("small", ASLEEP, "t")
    server.sh("free=$(df --output=avail -B1 /small-cluster | tail -n 1); head -c $((free - 7000000)) /dev/zero > /small-cluster/ballast")
    try:
        result = restore.result
        assert result["_failed"]
        assert re.search(r"\d MB are free at /small-cluster/data", result["msg"]), result["msg"]
        assert "esus_restoring_" in result["msg"]
        assert (server.identity("small"), server.postgres.databases("small")) == before
    finally:
        server.sh("rm /small-cluster/ballast")
        server.postgres.drop("small", DATABASE)


def test_a_status_that_others_can_read(server: Restoring) -> None:
    server.postgres.create(15, DATABASE)
    restore: Any = server.in_background(f"{DUMPS}/slow.sql", replace=True)
    server.wait("grep -q '\"load\"' /run/esus-pec/restore-esus.json")
    assert not restore.result["_failed"], restore.result
    assert server.sh("test -e /run/esus-pec/restore-esus.json || echo gone") == "gone"
    server.restore(f"{DUMPS}/failing.sql", replace=True, force=True)
    assert '"failed"' in server.sh("cat /run/esus-pec/restore-esus.json")
