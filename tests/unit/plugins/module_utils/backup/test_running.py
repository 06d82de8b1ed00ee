# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json
import os
import signal
import socket
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import samples

from ansible_collections.esus.pec.plugins.module_utils.backup import configuration, opened, recording, running, sets
from ansible_collections.esus.pec.plugins.module_utils.backup.program import backup_program
from ansible_collections.esus.pec.plugins.module_utils.dump import dumping, manifest
from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.pec import installation
from ansible_collections.esus.pec.plugins.module_utils.pec.installation import Installation
from ansible_collections.esus.pec.plugins.module_utils.postgres.psql import Connection
from ansible_collections.esus.pec.plugins.module_utils.system import locks, status_file

CONNECTION = Connection("127.0.0.1", 5432, "esus", "esus", "segredo")
PRIVATE = {"password": "segredo", "sslmode": "prefer", "sslrootcert": ""}
CONTENT = {
    "municipality": "Água Clara",
    "database": {},
    "fingerprint": True,
    "recipients": [],
    "extra_paths": [],
    "keep": {"last": 2, "daily": 0, "weekly": 0, "monthly": 0},
    "owner": "root",
    "group": "root",
}


def _fail(error: BaseException) -> None:
    raise error


class World:
    """A host whose dumps are made by nobody; C(fails) is what a dump raises instead."""

    def __init__(self, root: Path) -> None:
        self.directory = root / "backups"
        self.directory.mkdir()
        self.state = root / "state/backup"
        self.anexos = root / "anexos"
        self.anexos.mkdir()
        (self.anexos / "a").touch()
        self.config = root / "backup.json"
        self.fails: BaseException | None = None
        self.asked: list[Any] = []
        self.write()

    def write(self, **changes: Any) -> None:
        self.config.write_text(json.dumps({**CONTENT, "directory": str(self.directory), **changes}), encoding="utf-8")
        self.config.chmod(0o600)

    def dump(self, desired: Any, *, check: bool = False) -> dumping.Outcome:
        self.asked.append(desired)
        if self.fails:
            _fail(self.fails)
        path = os.path.join(desired.path, f"agua-clara-esus-{len(self.asked):02}.dump")
        planned = {"database": "esus", "estimate_bytes": 5}
        if check:
            return dumping.Outcome(True, path, None, planned, ("note of the dump",))
        Path(path).write_bytes(b"PGDMP")
        made = samples.manifest(
            name=os.path.basename(path),
            ended=f"2026-11-22T03:{len(self.asked):02}:00Z",
            duration_seconds=1.5,
            host=socket.gethostname(),
            municipality=desired.municipality,
            recipients=desired.recipients,
            sha256=f"{len(self.asked):064}",
        )
        manifest.write(path, made)
        return dumping.Outcome(True, path, made, planned, ("note of the dump",))

    def run(self) -> running.Report:
        return recording.run_recorded(str(self.config))

    def record(self, name: str) -> dict[str, Any] | None:
        path = self.state / f"last-{name}.json"
        return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    world = World(tmp_path)
    monkeypatch.setattr(dumping, "run", world.dump)
    monkeypatch.setattr(recording, "DIRECTORY", str(world.state))
    monkeypatch.setattr(opened, "DIRECTORY", str(world.state))
    monkeypatch.setattr(installation, "discover", lambda: Installation("installed", connection=CONNECTION))
    real, status = locks.lock, status_file.StatusFile
    monkeypatch.setattr(locks, "lock", lambda name: real(name, directory=str(tmp_path / "lock")))
    monkeypatch.setattr(status_file, "StatusFile", lambda kind, database: status(kind, database, str(tmp_path / "run")))
    return world


def test_a_backup(world: World) -> None:
    world.write(extra_paths=[str(world.anexos)])
    report = world.run()
    asked = world.asked[0]
    assert (asked.connection, asked.fingerprint, asked.municipality, asked.owner) == (CONNECTION, True, "Água Clara", "root")
    assert os.path.dirname(report.path) == str(world.directory)
    found = manifest.list_backups(str(world.directory))[0][0]
    assert found.path == report.path
    attachment = manifest.read(manifest.path_for(report.path)).attachment
    assert attachment is not None and attachment.paths == (str(world.anexos),)
    record = world.record("success")
    assert record is not None
    assert record["path"] == report.path
    assert record["files"] == report.path + ".files.tar.zst"
    assert record["bytes"] == 5 + os.path.getsize(record["files"])
    assert record["notes"] == ["note of the dump"]
    assert (world.state / "last-success.json").stat().st_mode & 0o777 == 0o644
    assert world.state.stat().st_mode & 0o777 == 0o755
    assert "segredo" not in json.dumps(record)
    assert sorted(os.listdir(world.directory)) == sorted(os.path.basename(record[key]) for key in ("path", "manifest", "files"))


def test_backups_that_nothing_keeps_go(world: World) -> None:
    reports = [world.run() for _night in range(4)]
    assert [report.pruned for report in reports] == [(), (), ("agua-clara-esus-01.dump",), ("agua-clara-esus-02.dump",)]
    assert [found.path for found in manifest.list_backups(str(world.directory))[0]] == [reports[3].path, reports[2].path]


KEYS = [["age1" + letter * 58] for letter in "qp"]


def rehearse(world: World, report: running.Report) -> None:
    record = {"path": report.path, "sha256": manifest.read(manifest.path_for(report.path)).sha256}
    (world.state / "last-rehearsal.json").write_text(json.dumps(record), encoding="utf-8")


def test_no_readable_backup_goes_before_an_encrypted_one_was_opened(world: World) -> None:
    readable = [world.run() for _night in range(2)]
    rehearse(world, readable[1])
    world.write(recipients=KEYS[0])
    sealed = [world.run() for _night in range(3)]
    # The first encrypted one goes, because it is no easier to read than the two that stay.
    assert [report.pruned for report in sealed] == [(), (), (os.path.basename(sealed[0].path),)]
    assert "was ever opened" in sealed[1].notes[-1] and "2 older backups stay" in sealed[2].notes[-1]
    assert all(os.path.exists(report.path) for report in readable)
    foretold = running.run(configuration.read(str(world.config)), check=True)
    assert foretold.pruned == (os.path.basename(sealed[1].path),) and "was ever opened" in foretold.notes[-1]

    rehearse(world, sealed[2])
    assert len(running.run(configuration.read(str(world.config)), check=True).pruned) == 3
    assert not (world.state / "opened.json").exists(), "check mode records nothing"
    after = world.run()
    assert after.pruned == tuple(os.path.basename(report.path) for report in (*readable, sealed[1]))
    assert after.notes == ("note of the dump",)

    # What was proven stays so, whatever is rehearsed later; but not for another key.
    (world.state / "last-rehearsal.json").unlink()
    assert len(world.run().pruned) == 1
    world.write(recipients=KEYS[1])
    assert [len(world.run().pruned) for _night in range(3)] == [0, 0, 1]


@pytest.mark.parametrize("record", ["{", "[]", "null", '{"sha256": null}', '{"sha256": [1]}'])
def test_a_record_of_a_rehearsal_that_proves_nothing(world: World, record: str) -> None:
    readable = world.run()
    world.write(recipients=KEYS[0])
    (world.state / "last-rehearsal.json").write_text(record, encoding="utf-8")
    (world.state / "opened.json").write_text(record, encoding="utf-8")
    for _night in range(3):
        world.run()
    assert os.path.exists(readable.path)


def test_check_mode_says_so_and_does_nothing(world: World) -> None:
    world.run()
    world.run()
    before = sorted(os.listdir(world.directory))
    report = running.run(configuration.read(str(world.config)), check=True)
    assert (report.manifest, report.pruned) == (None, ("agua-clara-esus-01.dump",))
    assert os.path.dirname(report.path) == str(world.directory)
    assert report.planned["estimate_bytes"] == 5
    assert sorted(os.listdir(world.directory)) == before


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (PecError("disk is full"), "disk is full"),
        (OSError(5, "Input/output error", "/backups/x"), "/backups/x: Input/output error"),
        (ZeroDivisionError(), "the run broke off: ZeroDivisionError; see journalctl -u esus-pec-backup"),
    ],
)
def test_a_failure_is_recorded_and_touches_nothing(world: World, error: BaseException, message: str) -> None:
    good = [world.run().path for _night in range(2)]
    world.fails = error
    with pytest.raises((PecError, ZeroDivisionError)):
        world.run()
    record = world.record("failure")
    assert record is not None
    assert record["message"] == message
    assert [found.path for found in manifest.list_backups(str(world.directory))[0]] == good[::-1]
    assert len(os.listdir(world.directory)) == 4
    world.fails = None
    world.run()
    assert world.record("failure") is None, "it is there exactly while the last run failed"


def test_a_configuration_that_is_wrong_is_a_failure_too(world: World) -> None:
    world.write(directory="relative")
    with pytest.raises(PecError):
        world.run()
    record = world.record("failure")
    assert record is not None
    assert "not an absolute path" in record["message"]


def test_no_pec_and_no_database_given(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(installation, "discover", lambda: Installation("absent"))
    with pytest.raises(PecError, match="PEC is not installed here"):
        world.run()
    world.write(database={"host": "db", "port": 5432, "name": "outro", "username": "esus", **PRIVATE})
    world.run()
    assert world.asked[0].connection.host == "db"


def test_the_files_fail_and_so_does_the_backup(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.write(extra_paths=[str(world.anexos)])
    real = os.fchown

    def refuse(descriptor: int, *ids: int) -> None:
        if os.readlink(f"/proc/self/fd/{descriptor}").endswith(".tar.zst"):
            raise PermissionError(1, "Operation not permitted")
        real(descriptor, *ids)

    monkeypatch.setattr(os, "fchown", refuse)
    with pytest.raises(PecError, match="Operation not permitted"):
        world.run()
    assert os.listdir(world.directory) == []


def test_an_older_one_that_cannot_be_removed_does_not_fail_the_new_one(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_directory: str, _backup: manifest.Backup) -> None:
        raise PecError("cannot move a backup")

    monkeypatch.setattr(sets, "retire", refuse)
    reports = [world.run() for _night in range(3)]
    assert reports[2].pruned == ()
    assert "cannot move a backup" in reports[2].notes


def test_two_at_once(world: World) -> None:
    with locks.lock(running.LOCK):
        with pytest.raises(PecError, match="another run holds the lock"):
            world.run()
        assert running.run(configuration.read(str(world.config)), check=True).pruned == ()


@pytest.fixture
def main() -> Iterator[Callable[..., int]]:
    """Run the program with these arguments."""
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)}
    yield lambda *arguments: backup_program(arguments)
    for number, handler in before.items():
        signal.signal(number, handler)


def test_the_program_says_what_it_made(world: World, main: Callable[..., int], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(str(world.config)) == 0
    out = capsys.readouterr().out
    assert str(world.directory) in out
    assert "note: note of the dump" in out


def test_the_program_says_why_it_failed(world: World, main: Callable[..., int], capsys: pytest.CaptureFixture[str]) -> None:
    world.fails = PecError("disk is full")
    assert main(str(world.config)) == 1
    assert capsys.readouterr().err == "the backup failed: disk is full\n"


def test_the_program_is_told_to_stop(world: World, main: Callable[..., int], monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(_desired: Any, *, check: bool = False) -> None:
        os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(dumping, "run", stop)
    assert main(str(world.config)) == 1
    record = world.record("failure")
    assert record is not None
    assert "SIGTERM" in record["message"]
    assert os.listdir(world.directory) == []


def test_the_program_called_wrongly(world: World, main: Callable[..., int], monkeypatch: pytest.MonkeyPatch) -> None:
    for arguments in (["--now"], ["a", "b"]):
        with pytest.raises(SystemExit) as caught:
            main(*arguments)
        assert caught.value.code == 2
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert main() == 2
    assert world.asked == []


def test_a_report_without_files(world: World) -> None:
    report = world.run()
    assert recording.summary(report)["files"] is None
    assert recording.describe(replace(report, incomplete=("x is cut short",)))[-1].endswith(": x is cut short")
