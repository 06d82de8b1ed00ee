# SPDX-License-Identifier: GPL-3.0-or-later
"""Dumps that fail or die: what was there before stays whole."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import samples
from dump_world import World

from ansible_collections.esus.pec.plugins.module_utils.archive import copying
from ansible_collections.esus.pec.plugins.module_utils.dump import dumping, manifest
from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.postgres import fingerprints
from ansible_collections.esus.pec.plugins.module_utils.system import files


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    return World(tmp_path, monkeypatch)


def old(world: World, kind: str) -> None:
    path = world.directory / "x"
    if kind == "directory":
        path.mkdir()
        (path / "toc.dat").write_text("old")
    elif kind == "link":
        (world.directory.parent / "target").write_text("old")
        path.symlink_to(world.directory.parent / "target")
    else:
        path.write_text("old")
    (world.directory / "x.json").write_text("old manifest")


def read_old(world: World, kind: str) -> list[str]:
    path = world.directory / "x"
    return [(path / "toc.dat" if kind == "directory" else path).read_text(), (world.directory / "x.json").read_text()]


@pytest.mark.parametrize("kind", ["file", "directory", "link"])
@pytest.mark.parametrize("form", ["custom", "directory"])
def test_overwrite(world: World, kind: str, form: str) -> None:
    old(world, kind)
    outcome = world.dump("x", format=form, overwrite=True)
    assert world.names == ["x", "x.json"]
    made = manifest.read(outcome.path + ".json")
    samples.verify(outcome.path, made)
    assert made.format == form
    assert kind != "link" or (world.directory.parent / "target").read_text() == "old"


@pytest.mark.parametrize("kind", ["file", "directory"])
@pytest.mark.parametrize("form", ["custom", "directory"])
@pytest.mark.parametrize("fault", ["pg_dump", "fingerprint", "manifest", "chown", "rename"])
def test_a_failure_leaves_the_old_dump_and_nothing_else(
    world: World, kind: str, form: str, fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    old(world, kind)
    error = OSError(28, "No space left on device")

    def fail(*_arguments: Any, **_options: Any) -> Any:
        raise PecError("fault") if fault in ("fingerprint", "manifest") else error

    real = os.rename
    if fault == "pg_dump":
        world.mode("fail")
    elif fault == "fingerprint":
        monkeypatch.setattr(fingerprints, "read_fingerprint", fail)
    elif fault == "manifest":
        monkeypatch.setattr(manifest, "write", fail)
    elif fault == "chown":
        monkeypatch.setattr(files, "give", fail)
    else:
        monkeypatch.setattr(
            os, "rename", lambda source, target, **places: fail() if source.endswith("x.partial") else real(source, target, **places)
        )
    says = r"database 'esus' at 127.0.0.1:5432 as 'esus' was not dumped into .*/b/x: pg_dump failed|fault|No space left"
    with pytest.raises(PecError, match=says):
        world.dump("x", format=form, overwrite=True, fingerprint=True)
    assert world.names == ["x", "x.json"]
    assert read_old(world, kind) == ["old", "old manifest"]
    assert world.status
    assert (world.status["phase"], world.status["database"]) == ("failed", "esus")


def test_a_failure_of_the_system_is_an_error_in_words(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(path: str) -> Any:
        raise OSError(5, "Input/output error", path)

    monkeypatch.setattr(os, "listdir", fail)
    with pytest.raises(PecError, match=r"cannot dump into .*/b: Input/output error"):
        world.dump()


def test_interrupted_it_leaves_nothing(world: World) -> None:
    world.mode("interrupt")
    # A shell starts what it puts into the background with this signal ignored.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            world.dump()
    finally:
        signal.signal(signal.SIGINT, before)
    assert world.names == []
    assert world.status
    assert world.status["phase"] == "failed"


def test_what_dead_runs_left_is_removed_and_that_of_others_is_not(world: World) -> None:
    ours = [
        "servidor-esus-20261101T000000Z.dump.partial",
        "servidor-esus-20261102T000000Z.tar.gz.partial",
        "servidor-esus-20261102T000000Z.tar.gz.partial.backup.sql",
    ]
    others = ["servidor-esus-treino-20261101T000000Z.dump.partial", "esus.partial", "servidor-esus-20261101T000000Z.dump"]
    for name in (*ours, *others):
        (world.directory / name).touch()
    (world.directory / "servidor-esus-20261103T000000Z.dir.partial").mkdir()
    (world.directory / "servidor-esus-20261103T000000Z.dir.partial/toc.dat").touch()
    outcome = world.dump()
    made = os.path.basename(outcome.path)
    assert world.names == sorted([*others, made, f"{made}.json"])
    assert sorted(outcome.notes) == sorted(
        f"removed {name}, left by a run that was killed" for name in [*ours, "servidor-esus-20261103T000000Z.dir.partial"]
    )
    assert outcome.manifest
    assert outcome.manifest.notes == outcome.notes


def test_an_orphan_of_a_dead_run_is_ended(world: World) -> None:
    (world.directory / "x.partial").mkdir()
    argv = [sys.executable, "-c", "import time; print(flush=True); time.sleep(60)"]
    directory = os.open(world.directory / "x.partial", os.O_RDONLY)
    with subprocess.Popen(argv, stdout=subprocess.PIPE, pass_fds=[directory]) as orphan:
        os.close(directory)
        assert orphan.stdout
        orphan.stdout.readline()
        assert world.dump("x").notes == ("removed x.partial, left by a run that was killed, and ended 1 pg_dump that still wrote it",)
        assert orphan.wait() == -signal.SIGKILL


def kill_at(step: int, action: Any) -> bool:
    """Run the action in a process that dies when it is about to change the directory for the time number C(step); whether it died."""
    pid = os.fork()
    if pid == 0:
        left = step

        def watched(real: Any) -> Any:
            def call(*arguments: Any, **options: Any) -> Any:
                nonlocal left
                if left == 0:
                    os._exit(9)
                left -= 1
                return real(*arguments, **options)

            return call

        try:
            for name in ("rename", "unlink", "rmdir", "chown", "fchown"):
                setattr(os, name, watched(getattr(os, name)))
            action()
            os._exit(0)
        finally:
            os._exit(1)
    status = os.waitpid(pid, 0)[1]
    assert os.WEXITSTATUS(status) in (0, 9)
    return bool(status)


@pytest.mark.parametrize("kind", ["file", "directory"])
def test_killed_at_any_step_of_overwriting(world: World, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whenever that is, the next run of the name, though it fails, leaves one whole dump with the manifest of just that dump."""
    form = "directory" if kind == "directory" else "custom"
    whole = world.dump("x", format=form).manifest
    assert whole

    def make(job: Any, partial: str, _status: Any, _notes: Any) -> manifest.Manifest:
        data = b"new"
        path = Path(partial)
        if kind == "directory":
            path.mkdir()
            path = path / "toc.dat"
        path.write_bytes(data)
        part = (len(data), hashlib.sha256(data).hexdigest())
        parts = {"toc.dat": part} if kind == "directory" else {}
        return replace(whole, bytes=part[0], sha256=copying.sum_of(parts) if parts else part[1], files=parts)

    def fail(*_arguments: Any) -> Any:
        raise PecError("fault")

    seen = set()
    for step in range(100):
        monkeypatch.setattr(dumping, "_make", make)
        died = kill_at(step, lambda: world.dump("x", format=form, overwrite=True))
        monkeypatch.setattr(dumping, "_make", fail)
        with pytest.raises(PecError, match="fault"):
            world.dump("x", format=form, overwrite=True)
        assert world.names == ["x", "x.json"], step
        found = manifest.read(str(world.directory / "x.json"))
        samples.verify(str(world.directory / "x"), found)
        seen.add(found.bytes)
        if not died:
            break
    assert step > 5
    assert seen == {whole.bytes, 3}


def test_the_manifest_that_a_dead_run_had_still_to_name(world: World) -> None:
    outcome = world.dump("x")
    os.rename(world.directory / "x.json", world.directory / "x.partial.json")
    with pytest.raises(PecError, match="exists already"):
        world.dump("x")
    world.mode("fail")
    with pytest.raises(PecError, match="server closed"):
        world.dump("x", overwrite=True)
    assert manifest.read(f"{outcome.path}.json") == outcome.manifest
