# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.esus.pec.plugins.module_utils import beliefs
from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.pec import installation
from ansible_collections.esus.pec.plugins.module_utils.postgres import fingerprints, psql
from ansible_collections.esus.pec.plugins.module_utils.postgres.fingerprints import Fingerprint
from ansible_collections.esus.pec.plugins.module_utils.postgres.psql import Client, Connection
from ansible_collections.esus.pec.plugins.module_utils.system import host, locks, systemd
from ansible_collections.esus.pec.plugins.module_utils.system.host import Listener
from ansible_collections.esus.pec.plugins.module_utils.transfer import service
from ansible_collections.esus.pec.plugins.module_utils.transfer.service import Wanted

PEC, DATABASE = beliefs.PEC_UNIT, beliefs.DATABASE_UNIT
CONN = Connection("127.0.0.1", 5433, "esus", "esus", "segredo")
SAME = Fingerprint("rows-hash64", 2, "d", {"public.a": (2, "7")})


class World:
    """A source: its units, its port, and its database."""

    def __init__(self) -> None:
        self.active = {PEC: True, DATABASE: True}
        self.enabled = {PEC: True, DATABASE: True}
        self.transaction = 900
        self.sessions: list[dict[str, Any]] = []
        self.listener: Listener | None = Listener("java")
        self.closes = True
        self.refuses: tuple[str, ...] = ()
        self.calls: list[str] = []
        self.clock = 0.0

    def units(self, names: Any) -> dict[str, systemd.Unit]:
        state = {True: "active", False: "inactive"}
        return {name: systemd.Unit(name, "loaded", state[self.active[name]], self.enabled[name], None) for name in names}

    def systemctl(self, verb: str, name: str, **_timeout: float) -> None:
        self.calls.append(f"{verb} {name}")
        if verb in self.refuses:
            raise PecError(f"cannot {verb}")
        if verb in ("start", "stop"):
            self.active[name] = verb == "start"
            if name == PEC:
                self.listener = Listener("java") if verb == "start" or not self.closes else None
        else:
            self.enabled[name] = verb == "enable"

    def query(self, _conn: Connection, _sql: str) -> object:
        return {"transaction": self.transaction, "sessions": self.sessions}

    def sleep(self, seconds: float) -> None:
        self.clock += seconds

    def session(self, role: str = "esus", application: str = "PostgreSQL JDBC Driver") -> None:
        self.sessions.append({"pid": 7, "role": role, "application": application, "address": "127.0.0.1", "since": "2026-11-30T12:00:00Z"})


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    found = World()
    here = installation.Installation("installed", connection=CONN, http_port=8080)
    monkeypatch.setattr(installation, "discover", lambda: here)
    monkeypatch.setattr(systemd, "units", found.units)
    monkeypatch.setattr(systemd, "systemctl", found.systemctl)
    monkeypatch.setattr(psql, "query", found.query)
    monkeypatch.setattr(psql, "cluster", lambda _conn: "7411")
    monkeypatch.setattr(psql, "find_clients", lambda _program: [Client("/usr/bin/psql", (15,))])
    monkeypatch.setattr(host, "listeners", lambda: {8080: found.listener} if found.listener else {})
    monkeypatch.setattr(service.time, "sleep", found.sleep)
    monkeypatch.setattr(service.time, "monotonic", lambda: found.clock)
    monkeypatch.setattr(locks.lock.__wrapped__, "__kwdefaults__", {"directory": str(tmp_path / "run"), "run": ""})  # type: ignore[attr-defined]
    return found


@pytest.fixture
def mark(tmp_path: Path) -> str:
    return str(tmp_path / "lib" / "transfer-source.json")


def freeze(mark: str, target: str = "novo", *, check: bool = False, force: bool = False, **more: Any) -> service.Outcome:
    return service.freeze(Wanted(target, 10, force, **more), check=check, path=mark)


def test_frozen_and_back_as_it_was(world: World, mark: str) -> None:
    world.enabled[PEC] = False
    done = freeze(mark)
    assert done.changed and done.mark and (done.mark.last_transaction, done.mark.system_identifier) == (900, "7411")
    assert (done.mark.target, done.mark.database, done.written_since, done.notes) == ("novo", "esus", None, ())
    assert world.active == {PEC: False, DATABASE: True} and world.calls == [f"stop {PEC}"]
    assert Path(mark).stat().st_mode & 0o777 == 0o600 and "segredo" not in Path(mark).read_text()
    assert service.thaw("novo", path=mark).changed
    assert world.active[PEC] and not world.enabled[PEC] and not Path(mark).exists()
    assert not service.thaw("novo", path=mark).changed


def test_a_pec_that_was_stopped_stays_so(world: World, mark: str) -> None:
    world.systemctl("stop", PEC)
    world.calls.clear()
    assert freeze(mark).changed and world.calls == []
    service.thaw("", path=mark)
    assert not world.active[PEC] and world.enabled[PEC]


@pytest.mark.parametrize(
    ("transaction", "fingerprint", "written", "last"),
    [
        (900, None, "no", 900),
        (901, None, "maybe", 900),
        (901, SAME, "no", 900),
        (901, Fingerprint("rows-hash64", 2, "d", {"public.a": (2, "8")}), "yes", 901),
        (901, Fingerprint("rows-hash64", 2, "d", {}), "yes", 901),
        (901, Fingerprint("rows-hash64", 2, "d", {}, ("public.a",)), "no", 900),
    ],
)
def test_a_second_freeze_tells_what_was_written(
    world: World, mark: str, monkeypatch: pytest.MonkeyPatch, transaction: int, fingerprint: Fingerprint | None, written: str, last: int
) -> None:
    monkeypatch.setattr(fingerprints, "read_fingerprint", lambda *_, **__: SAME)
    freeze(mark)
    world.transaction = transaction
    again = freeze(mark, fingerprint=fingerprint)
    assert again.mark and (again.written_since, again.mark.last_transaction, again.transaction) == (written, last, transaction)
    assert again.changed == (written == "yes")


def test_a_pec_that_somebody_started_is_frozen_again(world: World, mark: str) -> None:
    freeze(mark)
    world.systemctl("start", PEC)
    world.transaction = 950
    again = freeze(mark)
    assert again.changed and again.mark and (again.written_since, again.mark.last_transaction) == ("maybe", 950)
    assert not world.active[PEC]


def test_another_target_is_refused_until_forced(world: World, mark: str) -> None:
    freeze(mark)
    for call in (
        lambda: freeze(mark, "outro"),
        lambda: service.thaw("outro", path=mark),
        lambda: service.retire("outro", path=mark),
    ):
        with pytest.raises(PecError, match=r"frozen for the target 'novo' since 20.*'outro' asks now.*force"):
            call()
    service.retire("novo", path=mark)
    with pytest.raises(PecError, match="retired to the target 'novo'"):
        freeze(mark, "outro")
    forced = freeze(mark, "outro", force=True)
    assert forced.mark and (forced.mark.target, forced.mark.state) == ("outro", "frozen")
    service.thaw("outro", path=mark)
    assert world.active == {PEC: True, DATABASE: True} and world.enabled == {PEC: True, DATABASE: True}


def test_retired_is_disabled_and_can_go_back(world: World, mark: str) -> None:
    with pytest.raises(PecError, match="not frozen"):
        service.retire("novo", path=mark)
    freeze(mark)
    assert service.retire("novo", check=True, path=mark).changed and world.enabled[PEC]
    done = service.retire("novo", path=mark)
    assert done.changed and done.mark and done.mark.state == "retired" and done.mark.last_transaction == 900
    assert world.active == {PEC: False, DATABASE: False} and world.enabled == {PEC: False, DATABASE: False}
    again = service.retire("novo", path=mark)
    assert not again.changed and again.mark == done.mark
    service.thaw("novo", path=mark)
    assert world.active == {PEC: True, DATABASE: True} and world.enabled == {PEC: True, DATABASE: True}
    assert world.calls[-2:] == [f"enable {PEC}", f"start {PEC}"]


def test_a_pec_that_was_started_since_is_not_retired(world: World, mark: str) -> None:
    freeze(mark)
    world.systemctl("start", PEC)
    with pytest.raises(PecError, match="was started since the freeze"):
        service.retire("novo", path=mark)


def test_sessions_of_others_are_named_and_pecs_are_waited_for(world: World, mark: str) -> None:
    world.session(role="esus_leitura", application="Metabase")
    world.session(application="pg_dump")
    done = freeze(mark)
    assert len(done.notes) == 2 and "Metabase from 127.0.0.1 as 'esus_leitura'" in done.notes[0]
    service.thaw("", path=mark)
    world.session()
    with pytest.raises(PecError, match=r"PEC was not frozen: 1 sessions .*PostgreSQL JDBC Driver.*PEC was started again"):
        freeze(mark)
    assert world.clock >= 10
    assert world.active[PEC] and not Path(mark).exists()


def test_a_pec_that_does_not_stop_serves_again(world: World, mark: str) -> None:
    world.closes = False
    with pytest.raises(PecError, match=r"java still listens on port 8080.*PEC was started again"):
        freeze(mark)
    assert world.active[PEC] and not Path(mark).exists()
    world.refuses = ("stop",)
    with pytest.raises(PecError, match=r"cannot stop.*PEC was started again"):
        freeze(mark)
    world.refuses, world.closes = ("start",), False
    with pytest.raises(PecError, match=r"PEC is stopped and could not be started again: cannot start"):
        freeze(mark)
    assert Path(mark).exists(), "how it was before is not lost"
    world.refuses = ()
    service.thaw("novo", path=mark)
    assert world.active[PEC]


def test_another_program_on_the_port_is_none_of_pec(world: World, mark: str) -> None:
    world.systemctl("stop", PEC)
    world.listener = Listener("nginx")
    assert freeze(mark).changed
    service.thaw("", path=mark)
    world.listener = Listener("", possible=("bash", "java"))
    with pytest.raises(PecError, match="a process that cannot be seen still listens"):
        freeze(mark)


def test_a_killed_freeze_left_how_it_was(world: World, mark: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(service, "quiet", killed)
        patch.setattr(service, "_back", lambda *_: "")
        with pytest.raises(KeyboardInterrupt):
            freeze(mark)
    assert not world.active[PEC]
    with pytest.raises(PecError, match="not frozen"):
        service.retire("novo", path=mark)
    done = freeze(mark)
    assert done.mark and done.mark.last_transaction == 900 and done.written_since is None
    service.thaw("novo", path=mark)
    assert world.active[PEC], "it was running before the run that was killed"


def test_check_mode_changes_nothing(world: World, mark: str) -> None:
    foretold = freeze(mark, check=True)
    assert foretold.changed and foretold.transaction == 900 and world.calls == [] and not Path(mark).exists()
    freeze(mark)
    written = Path(mark).read_bytes()
    assert not freeze(mark, check=True).changed
    assert service.thaw("novo", check=True, path=mark).changed
    assert Path(mark).read_bytes() == written and not world.active[PEC]


@pytest.mark.parametrize("wrong", ["", "[]", "{}", "null", '{"units": 1}', "[" * 100000])
def test_a_damaged_mark_is_an_error(world: World, mark: str, wrong: str) -> None:
    Path(mark).parent.mkdir()
    Path(mark).write_text(wrong)
    for call in (lambda: freeze(mark), lambda: service.thaw("novo", path=mark), lambda: service.retire("novo", path=mark)):
        with pytest.raises(PecError, match="is damaged, so nobody knows"):
            call()
    assert world.calls == []


def test_a_mark_of_another_state_is_damaged(world: World, mark: str) -> None:
    freeze(mark)
    Path(mark).write_text(json.dumps({**json.loads(Path(mark).read_text()), "state": "x"}))
    with pytest.raises(PecError, match="is damaged"):
        service.read(mark)


def test_the_fingerprint_of_a_manifest() -> None:
    assert service.fingerprint_from(None) is None and service.fingerprint_from({}) is None
    given = {"method": "rows-hash64", "rows": 2, "digest": "d", "tables": {"public.a": [2, "7"]}, "unproven": []}
    read = service.fingerprint_from(given)
    assert read and fingerprints.compare_fingerprints(SAME, read) == []
    with pytest.raises(PecError, match="fingerprint: tables is missing"):
        service.fingerprint_from({"method": "rows-hash64", "rows": 2, "digest": "d"})
