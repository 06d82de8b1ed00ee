# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.transfer import control, link, physical
from ansible_collections.esus.pec.plugins.module_utils.transfer.physical import Desired, Rsync, Target

CLUSTER = control.Control(
    {
        "Catalog version number": "202209061",
        "Database block size": "8192",
        "Database system identifier": "77",
        "Database cluster state": "shut down",
        "Latest checkpoint location": "0/153F8D0",
        "Data page checksum version": "0",
    }
)


def test_differences_of_control_files() -> None:
    other = control.Control({**CLUSTER.values, "Data page checksum version": "1", "Database system identifier": "78"})
    assert control.differences(CLUSTER, other) == []
    other = control.Control({**other.values, "Catalog version number": "1", "Database block size": "4096"})
    assert len(control.differences(CLUSTER, other)) == 2


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Database cluster state", "in production"),
        ("Latest checkpoint location", "0/1"),
        ("Latest checkpoint location", ""),
        ("Database system identifier", "1"),
    ],
)
def test_what_is_no_whole_copy(name: str, value: str) -> None:
    assert CLUSTER.same_as(CLUSTER)
    other = control.Control({**CLUSTER.values, name: value})
    assert not CLUSTER.same_as(other) and not other.same_as(CLUSTER)
    if name != "Database system identifier" and value != "0/1":
        assert not other.same_as(other)


@pytest.mark.parametrize(
    ("output", "code", "read"),
    [
        ("Database system identifier: 7\nLatest checkpoint location: 0/1\n", 0, True),
        ("WARNING: Calculated CRC checksum does not match\nLatest checkpoint location: 0/1\n", 0, False),
        ("Database system identifier: 7\n", 0, False),
        ("Latest checkpoint location: 0/1\n", 1, False),
    ],
)
def test_reading_a_control_file(tmp_path: Path, output: str, code: int, read: bool) -> None:
    program = tmp_path / "pg_controldata"
    program.write_text(f'#!/bin/sh\ncat "$1"/global/pg_control\nexit {code}\n')
    program.chmod(0o755)
    if read:
        assert control.read(output.encode(), str(program), "the source").checkpoint == "0/1"
    else:
        with pytest.raises(PecError, match="the control file of the source cannot be read"):
            control.read(output.encode(), str(program), "the source")


def test_the_list_of_the_source() -> None:
    listed = physical.parse_list(
        "receiving incremental file list\n"
        "drwx------          4096 2026/11/30 17:03:24 .\n"
        "-rw-------             3 2026/11/30 17:03:20 PG_VERSION\n"
        "-rw-------       1234567 2026/11/30 17:03:20 base/1/a name with blanks\n"
        "lrwxrwxrwx            10 2026/11/30 17:03:20 pg_tblspc/16385 -> /srv/space\n"
        "prw-------             0 2026/11/30 17:03:20 base/pipe\n"
    )
    assert (listed.files, listed.bytes) == (2, 1234570)
    assert listed.refused == ("pg_tblspc/16385 is a symbolic link", "base/pipe is a special file")


def desired(path: Path, **changes: Any) -> Desired:
    given = Desired(link.Ssh("h", 22, "u", "/k", "/n"), Rsync(874, "u", "senha", "data"), str(path / "main"), "final")
    return replace(given, **changes)


@pytest.mark.parametrize(
    "changes",
    [
        {"rsync": Rsync(874, "u", "x", "data/../..")},
        {"rsync": Rsync(874, "u@h", "x", "data")},
        {"rsync": Rsync(0, "u", "x", "data")},
        {"bandwidth": -1},
    ],
)
def test_values_that_lead_elsewhere(tmp_path: Path, changes: dict[str, Any]) -> None:
    with pytest.raises(PecError, match=r"rsync\.|bandwidth"):
        physical.copy(desired(tmp_path, **changes))
    assert "senha" not in repr(desired(tmp_path))


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "state" / "physical.json"
    monkeypatch.setattr(physical, "STATE", str(path))
    return path


def test_a_run_that_was_killed_between_the_renames_is_completed(tmp_path: Path, state: Path) -> None:
    main, kept, incoming = tmp_path / "main", tmp_path / "main.kept", tmp_path / "main.esus-pec-incoming"
    for directory in (main, incoming):
        directory.mkdir()
        (directory / "whose").write_text(directory.name)
    physical._remember({"data_directory": str(main), "kept": str(kept)})
    physical._end_switch(desired(tmp_path))  # killed before the first of them: nothing was replaced
    assert (main / "whose").read_text() == "main" and incoming.exists()
    main.rename(kept)
    physical._end_switch(desired(tmp_path))
    assert (main / "whose").read_text() == "main.esus-pec-incoming" and (kept / "whose").read_text() == "main"
    assert not state.exists() and not incoming.exists()


def test_the_old_directory_comes_back_if_the_new_one_cannot_take_its_place(tmp_path: Path, state: Path) -> None:
    (tmp_path / "main").mkdir()
    with pytest.raises(PecError, match="cannot rename"):
        physical._switch(str(tmp_path / "main"), str(tmp_path / "kept"))
    assert (tmp_path / "main").is_dir() and not (tmp_path / "kept").exists()


def test_files_that_were_written_lately_are_not_trusted(tmp_path: Path) -> None:
    times = {"old": 1000, "while it ran": 4000, "newest": 5000}
    for name, when in times.items():
        (tmp_path / name).touch()
        os.utime(tmp_path / name, (when, when))
    os.symlink("/etc/hostname", tmp_path / "link")
    before = os.stat("/etc/hostname").st_mtime
    physical._distrust_recent(str(tmp_path), 2000)
    assert {name: int((tmp_path / name).stat().st_mtime) for name in times} == {"old": 1000, "while it ran": 0, "newest": 0}
    assert os.stat("/etc/hostname").st_mtime == before


def test_the_targets_configuration_is_kept(tmp_path: Path) -> None:
    main, incoming = tmp_path / "main", tmp_path / "main.esus-pec-incoming"
    for directory in (main, incoming):
        (directory / "base").mkdir(parents=True)
    for name in ("postgresql.conf", "pg_hba.conf", "server.key", "base/1", "pg_stat", "postmaster.opts", "recovery.conf", "PG_VERSION"):
        (main / name).write_text("of the target")
    (main / "conf.d").mkdir()
    (main / "conf.d" / "a.conf").write_text("of the target")
    (incoming / "PG_VERSION").write_text("of the source")
    (main / "link.conf").symlink_to("/etc/shadow")
    status = main.stat()
    physical._keep_own_files(Target(str(main), "x", status.st_uid, status.st_gid, 0o750, "15", CLUSTER, ""))
    found = {str(path.relative_to(incoming)) for path in incoming.rglob("*") if path.is_file()}
    assert found == {"postgresql.conf", "pg_hba.conf", "server.key", "conf.d/a.conf", "PG_VERSION"}
    assert (incoming / "PG_VERSION").read_text() == "of the source"
    assert incoming.stat().st_mode & 0o777 == 0o750


def test_what_only_looks_like_a_copy_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    physical._require_plain(str(tmp_path), os.getuid())
    for make in (
        lambda: (tmp_path / "x").symlink_to("/etc"),
        lambda: os.link(tmp_path / "file", tmp_path / "x"),
        lambda: os.mkfifo(tmp_path / "x"),
    ):
        make()
        with pytest.raises(PecError, match="is not a plain file"):
            physical._require_plain(str(tmp_path), os.getuid())
        (tmp_path / "x").unlink()
    with pytest.raises(PecError, match="is not a plain file"):
        physical._require_plain(str(tmp_path), os.getuid() + 1)


class Copying:
    """The passes, with the source and rsync replaced."""

    def __init__(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.main = tmp_path / "main"
        (self.main / "base").mkdir(parents=True)
        (self.main / "base" / "whose").write_text("target")
        (self.main / "global").mkdir()
        self.source, self.copied = CLUSTER, CLUSTER
        self.options: list[list[str]] = []
        own = control.Control({**CLUSTER.values, "Database system identifier": "1"})
        status = self.main.stat()
        self.target = Target(str(self.main), "x", status.st_uid, status.st_gid, 0o700, "15", own, "")
        self.fails = False
        monkeypatch.setattr(physical, "_target", lambda desired: self.target)
        monkeypatch.setattr(physical, "_source_control", lambda desired, target: self.source)
        monkeypatch.setattr(physical, "_list", lambda desired, target: physical.Listed(1, 1, ()))
        monkeypatch.setattr(physical, "_transfer", self.transfer)
        monkeypatch.setattr(control, "read", lambda data, program, whose: self.copied)

    def transfer(self, desired: Desired, target: Target, options: list[str]) -> int:
        self.options.append(list(options))
        os.makedirs(f"{target.incoming}/global", exist_ok=True)
        if self.fails:
            raise PecError("cut")
        Path(target.incoming, "global", "pg_control").touch()
        return 5

    def whose(self) -> str:
        return "target" if (self.main / "base" / "whose").exists() else "source"


@pytest.fixture
def copying(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, state: Path) -> Copying:
    return Copying(tmp_path, monkeypatch)


def run(copying: Copying, which: str, *, check: bool = False) -> physical.Copied:
    return physical.copy(desired(copying.main.parent, which=which), check=check)


def test_both_passes(copying: Copying, state: Path) -> None:
    assert run(copying, "first", check=True).action == "first" and copying.options == []
    assert run(copying, "first").action == "first"
    assert json.loads(state.read_text())["complete"] is True
    final = run(copying, "final")
    assert (final.action, final.transferred_bytes, copying.whose()) == ("final", 5, "source")
    assert copying.options == [["--checksum"], []]
    assert Path(final.kept, "base", "whose").read_text() == "target" and not state.exists()


def test_a_final_pass_without_a_whole_first_one_compares_contents(copying: Copying) -> None:
    copying.fails = True
    with pytest.raises(PecError, match="cut"):
        run(copying, "first")
    copying.fails = False
    assert run(copying, "final").action == "final"
    assert copying.options[-1] == ["--checksum"]


def test_a_final_pass_that_failed_makes_the_next_compare_contents(copying: Copying) -> None:
    run(copying, "first")
    copying.fails = True
    with pytest.raises(PecError, match="cut"):
        run(copying, "final")
    assert copying.whose() == "target"
    copying.fails = False
    run(copying, "final")
    assert copying.options[1:] == [[], ["--checksum"]]


def test_a_copy_that_is_not_proven_replaces_nothing(copying: Copying) -> None:
    run(copying, "first")
    copying.copied = control.Control({**CLUSTER.values, "Latest checkpoint location": "0/1"})
    with pytest.raises(PecError, match="the copy is not what the source has"):
        run(copying, "final")
    assert copying.whose() == "target"


def test_a_source_that_works_or_differs(copying: Copying) -> None:
    copying.source = control.Control({**CLUSTER.values, "Database cluster state": "in production"})
    with pytest.raises(PecError, match="the source's PostgreSQL is not stopped"):
        run(copying, "final")
    copying.source = control.Control({**CLUSTER.values, "Database block size": "4096"})
    with pytest.raises(PecError, match="Database block size is 4096 on the source"):
        run(copying, "first")
    copying.source = CLUSTER
    copying.target = replace(copying.target, control=CLUSTER)
    assert run(copying, "final").action == "none"
    assert copying.options == []


def test_the_targets_server_has_to_be_stopped(copying: Copying) -> None:
    pid = copying.main / "postmaster.pid"
    os.symlink(os.getcwd(), copying.main.parent / "cwd")
    pid.write_text(f"{os.getpid()}\n{copying.main}\n")
    assert physical._running(os.path.realpath(os.getcwd())) is None  # no file there
    assert physical._running(str(copying.main)) is None  # the number is another's by now
    before = os.getcwd()
    os.chdir(copying.main)
    try:
        with pytest.raises(PecError, match=f"process {os.getpid()}"):
            run(copying, "final")
        assert run(copying, "first").action == "first"
    finally:
        os.chdir(before)


def test_too_little_room(copying: Copying, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(physical, "_list", lambda desired, target: physical.Listed(1, 1 << 60, ()))
    with pytest.raises(PecError, match="make room"):
        run(copying, "first")
    monkeypatch.setattr(physical, "_list", lambda desired, target: physical.Listed(1, 1, ("pg_wal is a symbolic link",)))
    with pytest.raises(PecError, match="pg_wal is a symbolic link"):
        run(copying, "first")
    assert copying.options == []
