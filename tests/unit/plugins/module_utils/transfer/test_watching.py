# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.postgres import fingerprints, psql
from ansible_collections.esus.pec.plugins.module_utils.postgres.fingerprints import Fingerprint
from ansible_collections.esus.pec.plugins.module_utils.postgres.psql import Client, Connection
from ansible_collections.esus.pec.plugins.module_utils.transfer import link, picture, service, steps, watching
from ansible_collections.esus.pec.plugins.module_utils.transfer.link import Ssh
from ansible_collections.esus.pec.plugins.module_utils.transfer.service import Outcome, Wanted

CONN = Connection("localhost", 5433, "esus", "postgres", "segredo")
SOURCE = watching.Source(Ssh("antigo", 22, "Administrador", "/key", "/known_hosts"), [8080, 8443])
SAME = Fingerprint("rows-hash64", 2, "d", {"public.a": (2, "7")})
SESSION = {"pid": 7, "role": "postgres", "application": "", "address": "127.0.0.1", "since": "2026-11-30T12:00:00Z"}


class World:
    """A source behind SSH, where a person stops PEC after some time."""

    def __init__(self) -> None:
        self.clock = 0.0
        self.stops_after = 0.0
        self.transaction = 900
        self.ports: dict[int, bool | None] = {8080: False, 8443: False}
        self.reached: list[Connection] = []

    @property
    def runs(self) -> bool:
        return self.clock < self.stops_after

    def listens(self, _ssh: Ssh, port: int) -> bool | None:
        return self.ports[port] or (self.runs and port == 8080) if self.ports[port] is not None else None

    def query(self, _conn: Connection, _sql: str) -> object:
        return {"transaction": self.transaction, "sessions": [SESSION] if self.runs else []}

    @contextlib.contextmanager
    def reach(self, conn: Connection, _ssh: Ssh) -> Iterator[Connection]:
        self.reached.append(conn)
        yield replace(conn, host="/run/way", port=5432)

    def sleep(self, seconds: float) -> None:
        self.clock += seconds


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    found = World()
    monkeypatch.setattr(link, "listens", found.listens)
    monkeypatch.setattr(link, "reached", found.reach)
    monkeypatch.setattr(psql, "query", found.query)
    monkeypatch.setattr(psql, "cluster", lambda _conn: "7411")
    monkeypatch.setattr(psql, "find_clients", lambda _program: [Client("/usr/bin/psql", (15,))])
    monkeypatch.setattr(watching.time, "sleep", found.sleep)
    monkeypatch.setattr(watching.time, "monotonic", lambda: found.clock)
    return found


@pytest.fixture
def mark(tmp_path: Path) -> str:
    return str(tmp_path / "transfer" / "source.json")


def freeze(mark: str, target: str = "novo", *, check: bool = False, timeout: float = 10, **more: Any) -> Outcome:
    return watching.freeze(SOURCE, CONN, Wanted(target, timeout, **more), check=check, path=mark)


def test_a_person_is_waited_for(world: World, mark: str) -> None:
    world.stops_after = 7
    done = freeze(mark)
    assert 7 <= world.clock < 11 and world.reached == [CONN]
    assert done.changed and done.mark and (done.mark.last_transaction, done.mark.system_identifier) == (900, "7411")
    assert (done.mark.database, done.written_since, done.notes) == ("esus", None, ())
    assert Path(mark).stat().st_mode & 0o777 == 0o600 and "segredo" not in Path(mark).read_text()
    again = freeze(mark)
    assert (again.changed, again.written_since) == (False, "no")


def test_what_still_runs_is_named(world: World, mark: str) -> None:
    world.stops_after = 100
    with pytest.raises(PecError, match=r"still runs after 10 seconds \(port 8080 is open; a session is in its database: .*process 7"):
        freeze(mark)
    assert not Path(mark).exists()
    world.stops_after, world.ports[8443] = 0, True
    with pytest.raises(PecError, match=r"\(port 8443 is open\)"):
        freeze(mark)


def test_a_port_that_may_not_be_asked_is_noted(world: World, mark: str) -> None:
    world.ports[8080] = None
    done = freeze(mark)
    assert done.changed and len(done.notes) == 1 and "8080" in done.notes[0]


def test_what_was_written_since(world: World, mark: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fingerprints, "read_fingerprint", lambda *_, **__: SAME)
    freeze(mark)
    world.transaction = 950
    maybe = freeze(mark)
    assert (maybe.written_since, maybe.changed, maybe.transaction) == ("maybe", False, 950) and len(maybe.notes) == 1
    assert freeze(mark, fingerprint=SAME).written_since == "no"
    written = freeze(mark, fingerprint=replace(SAME, tables={"public.a": (3, "7")}))
    assert written.written_since == "yes" and written.mark and written.mark.last_transaction == 950


def test_another_target_is_refused(world: World, mark: str) -> None:
    freeze(mark)
    for call in (
        lambda: freeze(mark, "outro"),
        lambda: watching.thaw("outro", path=mark),
        lambda: watching.retire(SOURCE, "outro", path=mark),
    ):
        with pytest.raises(PecError, match="'outro' asks now"):
            call()
    assert freeze(mark, "outro", force=True).changed


def test_given_back_and_retired(world: World, mark: str) -> None:
    assert not watching.thaw("novo", path=mark).changed
    with pytest.raises(PecError, match="not frozen"):
        watching.retire(SOURCE, "novo", path=mark)
    freeze(mark)
    assert watching.retire(SOURCE, "novo", check=True, path=mark).changed
    retired = watching.retire(SOURCE, "novo", path=mark)
    assert retired.changed and retired.mark and (retired.mark.state, retired.mark.last_transaction) == ("retired", 900)
    assert not watching.retire(SOURCE, "novo", path=mark).changed
    world.ports[8443] = True
    with pytest.raises(PecError, match="port 8443 of PEC at the source is open"):
        watching.retire(SOURCE, "novo", path=mark)
    assert watching.thaw("novo", check=True, path=mark).changed and Path(mark).exists()
    assert watching.thaw("novo", path=mark).changed and not Path(mark).exists()


def test_check_mode_waits_for_nobody(world: World, mark: str) -> None:
    world.stops_after = 100
    foretold = freeze(mark, check=True)
    assert foretold.changed and foretold.transaction == 900 and world.clock == 0 and not Path(mark).exists()
    world.stops_after = 0
    freeze(mark)
    assert not freeze(mark, check=True).changed


@pytest.mark.parametrize("system", [picture.WINDOWS, picture.LINUX])
@pytest.mark.parametrize("state", [service.SERVING, service.FROZEN, service.RETIRED])
def test_every_state_has_its_steps(system: str, state: str) -> None:
    found = steps.steps(state, system)
    assert len(found) > 1
    program = "net " if system == picture.WINDOWS else "systemctl"
    assert any(program in step for step in found)
