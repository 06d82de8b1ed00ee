# SPDX-License-Identifier: GPL-3.0-or-later
"""A database restored straight from another server: what arrives, what is refused, and what a failure leaves."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from dumping import LARGE_OBJECTS, STOPPED, Dumping
from postgres import PASSWORD, ROLE, Postgres
from restoring import DATABASE, Restoring
from secret_search import JOURNAL, in_text, on_server

LOADED = "SELECT count(*) FROM tb_config_sistema"
RECORD = "/var/lib/esus-pec/transfer/source.json"


@pytest.fixture(scope="module")
def old(postgres: Postgres) -> Iterator[Restoring]:
    """A server with the database of an old PEC in each cluster."""
    restoring = Restoring(postgres)
    for major in (10, 15):
        postgres.create(major, DATABASE)
    yield restoring
    restoring.sh("rm -rf /var/lib/esus-pec/transfer")
    for major in (10, 15, 17):
        for name in postgres.databases(major):
            postgres.drop(major, name)


def transfer(old: Restoring, source: int, target: int | str, *, check: bool = False, **options: Any) -> dict[str, Any]:
    """Run the module; everything that it printed or logged is searched for the password."""
    here = old.postgres.major(source)
    arguments = {
        "source": {**here, "name": DATABASE, "username": ROLE, "password": PASSWORD},
        "database": old.postgres.connection(target, "new"),
        **options,
    }
    result = old.postgres.module("esus.pec.transfer_database", arguments, check=check)
    assert in_text(result["_output"], [PASSWORD]) == []
    assert on_server(old.postgres.server.shell, [PASSWORD], JOURNAL, "/run/esus-pec", "/var/lib/esus-pec") == []
    return result


@pytest.mark.parametrize(("source", "target"), [(10, 15), (15, 17)])
def test_everything_arrives(old: Restoring, source: int, target: int) -> None:
    old.postgres.drop(target, "new")
    before = old.state(source), old.identity(source)
    planned = transfer(old, source, target, check=True)
    assert (planned["_failed"], planned["changed"], old.postgres.databases(target).count("new")) == (False, True, 0), planned
    result = transfer(old, source, target, record_path=RECORD)
    assert not result["_failed"], result
    assert (result["action"], result["pec_version"], result["objects"]["tables"]) == ("restore", "5.4.37", 50)
    assert old.state(target, "new") == before[0]
    assert (old.state(source), old.identity(source)) == before
    recorded = json.loads(old.sh("cat $1", RECORD))
    assert (recorded["fingerprint"]["digest"], recorded["contents"]["objects"]["tables"]) == (result["fingerprint"]["digest"], 50)
    assert old.sh("stat -c '%a %U' $1", RECORD) == "600 root"


def test_what_was_written_since(old: Restoring) -> None:
    def look(state: str) -> dict[str, Any]:
        arguments = {"database": old.postgres.connection(15, DATABASE), "state": state, "path": "/var/lib/esus-pec/transfer/test.json"}
        result = old.postgres.module("esus.pec.transfer_record", arguments)
        assert not result["_failed"], result
        return result

    look("recorded")
    before = look("compared")
    assert (before["same"], before["changed"], before["differences"]) == (True, False, [])
    change = "CREATE TABLE nova (a int); DELETE FROM tb_config_sistema WHERE co_config_sistema = 'NOMEINSTALACAO'"
    old.postgres.sql(15, DATABASE, change, user=ROLE)
    now = look("compared")
    assert now["same"] is False
    assert [(each["table"], each["rows_before"], each["rows_now"]) for each in now["differences"]] == [
        ("public.nova", None, 0),
        ("public.tb_config_sistema", 5, 4),
    ]


def test_a_rehearsal_leaves_nothing(old: Restoring) -> None:
    old.postgres.create(17, "new", sample=False)
    before = old.identity(17, "new"), old.postgres.databases(17)
    result = transfer(old, 10, 17, rehearse=True)
    assert (result["_failed"], result["action"], result["changed"]) == (False, "rehearse", False), result
    assert result["seconds"]["load"] > 0
    assert (old.identity(17, "new"), old.postgres.databases(17)) == before


@pytest.fixture
def nothing_lost(old: Restoring) -> Iterator[None]:
    """Both databases are afterwards what they were before, and no other one exists."""
    old.postgres.create(17, "new")
    old.postgres.sql(17, "new", "DELETE FROM tb_config_sistema WHERE co_config_sistema = 'NOMEINSTALACAO'")

    def look() -> tuple[object, ...]:
        return old.state(10), old.state(17, "new"), old.identity(17, "new"), old.postgres.databases(17)

    before = look()
    yield
    assert look() == before


class Transferring(threading.Thread):
    """A transfer in the background that waits at the large objects of the source."""

    def __init__(self, old: Restoring, target: int | str) -> None:
        super().__init__()
        self._call = lambda: transfer(old, 10, target, replace=True)
        self.result: dict[str, Any] = {}

    def run(self) -> None:
        self.result.update(self._call())


def failed(old: Restoring, meanwhile: Callable[[str], object], target: int | str = 17) -> str:
    """Transfer, call meanwhile(name of the database that is loaded) while rows are under way, and return the error."""
    running = Transferring(old, target)
    with Dumping(old.postgres).holding(LARGE_OBJECTS, 10):
        running.start()
        old.wait_for_sql(10, STOPPED, "t")
        beside = next(name for name in old.postgres.databases(target) if name.startswith("new_restoring_"))
        end = time.monotonic() + 60
        while old.postgres.sql(target, beside, LOADED) == "0":
            assert time.monotonic() < end
            time.sleep(0.1)
        meanwhile(beside)
    running.join()
    assert running.result["_failed"], running.result
    return str(running.result["msg"])


@pytest.mark.usefixtures("nothing_lost")
def test_a_row_changed_under_way(old: Restoring) -> None:
    said = failed(old, lambda beside: change(old, beside))
    assert "tables with other values: public.tb_config_sistema" in said
    assert "was not changed, and the incomplete database" in said


def change(old: Restoring, beside: str) -> None:
    old.postgres.sql(17, beside, "UPDATE tb_config_sistema SET ds_texto = 'X' WHERE co_config_sistema = 'NOMEINSTALACAO'")


@pytest.mark.usefixtures("nothing_lost")
def test_the_server_of_the_source_is_killed(old: Restoring) -> None:
    unit = old.postgres.unit(10)
    said = failed(old, lambda _beside: old.sh(f"systemctl kill --kill-whom=all -s KILL {unit}; sleep 1"))
    old.sh(f"systemctl restart {unit}")
    assert re.search("pg_dump failed|fingerprint of the source", said), said


@pytest.mark.usefixtures("nothing_lost")
def test_what_is_refused(old: Restoring) -> None:
    for options, says in (({"replace": False}, "set replace to true"), ({"locale": "xx_XX.UTF-8", "replace": True}, "locale-gen")):
        for check in (True, False):
            result = transfer(old, 10, 17, check=check, **options)
            assert result["_failed"] and says in result["msg"], result
    arguments = {"source": old.postgres.connection(17, "new"), "database": old.postgres.connection(17, "new"), "replace": True}
    result = old.postgres.module("esus.pec.transfer_database", arguments)
    assert result["_failed"] and "is this server" in result["msg"], result


def test_the_disk_of_the_new_server_is_full(old: Restoring) -> None:
    old.postgres.create("small", "new", sample=False)
    fill = (
        "free=$(df --output=avail -B1 /small-cluster | tail -n 1); head -c $((free - 7000000)) /dev/zero > /small-cluster/ballast; sleep 2"
    )
    try:
        before = old.postgres.databases("small")
        said = failed(old, lambda _beside: old.sh(fill), "small")
        assert re.search(r"\d MB are free at /small-cluster/data", said), said
        assert old.postgres.databases("small") == before
    finally:
        old.sh("rm -f /small-cluster/ballast")
        old.postgres.drop("small", "new")
