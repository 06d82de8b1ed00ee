# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import hashlib
import json
import os
import pwd
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import fake_clients
import pytest

from ansible_collections.esus.pec.plugins.module_utils import (
    contents,
    dump_run,
    dump_write,
    files,
    host,
    installation,
    manifest,
    pg_session,
    postgres,
    process,
)
from ansible_collections.esus.pec.plugins.module_utils.dump_plan import Desired
from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.installation import Installation
from ansible_collections.esus.pec.plugins.module_utils.postgres import Client, Connection

CONNECTION = Connection("127.0.0.1", 5432, "esus", "esus", "segredo")
FACTS = postgres.DatabaseFacts(
    "15.18", 150018, 10_000_000, "UTF8", "pt_BR.UTF-8", "pt_BR.UTF-8", 7, True, "5.4.37", False, "Água Clara", None, "PRONTUARIO"
)
HELD = contents.Contents({"tables": 7, "indexes": 3}, {"public.seq": 5}, 2, "5.4.37")
FINGERPRINT = contents.Fingerprint(contents.HASH64, 5, "0" * 64, {"public.t": (5, "77")})
STAMP = "20261122T030000Z"


class World:
    """A host with a database that nobody asks, and clients that are scripts."""

    def __init__(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.directory = path / "b"
        self.directory.mkdir()
        self.clients = fake_clients.install(path / "bin")
        self.run_directory = path / "run"
        self.asked: dict[str, Any] = {}
        self.free = 10**12
        self.programs = {"zstd", "pigz", "age"}
        lock, status, which = files.lock, pg_session.StatusFile, process.which
        monkeypatch.setattr(files, "lock", lambda name: lock(name, directory=str(path / "lock")))
        monkeypatch.setattr(pg_session, "StatusFile", lambda kind, database: status(kind, database, str(self.run_directory)))
        monkeypatch.setattr(postgres, "find_clients", lambda _name: [Client(str(self.clients / "pg_dump"), (17, 11))])
        monkeypatch.setattr(postgres, "read_facts", lambda _connection: FACTS)
        monkeypatch.setattr(contents, "read_contents", lambda _session: HELD)
        monkeypatch.setattr(contents, "read_fingerprint", self.fingerprint)
        monkeypatch.setattr(host, "disk_usage", lambda path: host.Disk(path, 10**12, self.free))
        monkeypatch.setattr(host, "processors", lambda: 3)
        monkeypatch.setattr(
            process, "which", lambda name: None if name in {"zstd", "pigz", "age"} - self.programs else which(name)
        )
        monkeypatch.setattr(dump_run.socket, "gethostname", lambda: "servidor")
        monkeypatch.setattr(dump_run.time, "strftime", lambda *_arguments: STAMP)

    def fingerprint(self, _connection: Any, _psql: str, method: str, **asked: Any) -> contents.Fingerprint:
        self.asked = {"method": method, **asked}
        return FINGERPRINT

    def mode(self, mode: str) -> None:
        (self.clients / "mode").write_text(mode)

    def desired(self, name: str = "", **wanted: Any) -> Desired:
        return Desired(**{"path": f"{self.directory}/{name}", "connection": CONNECTION, **wanted})

    def dump(self, name: str = "", *, check: bool = False, **wanted: Any) -> dump_run.Outcome:
        return dump_run.run(self.desired(name, **wanted), check=check)

    def statements(self) -> str:
        return (self.clients / "statements").read_text()

    @property
    def names(self) -> list[str]:
        return sorted(os.listdir(self.directory))

    @property
    def status(self) -> dict[str, Any] | None:
        path = self.run_directory / "dump-esus.json"
        return json.loads(path.read_text()) if path.exists() else None


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    return World(tmp_path, monkeypatch)


def test_a_dump_and_its_manifest(world: World) -> None:
    outcome = world.dump(municipality="Água Clara", fingerprint=True, exclude_table_data=("tb_log*",))
    name = f"agua-clara-esus-{STAMP}.dump"
    assert world.names == [name, f"{name}.json"]
    data = (world.directory / name).read_bytes()
    made = manifest.read(f"{outcome.path}.json")
    assert (outcome.path, outcome.manifest) == (str(world.directory / name), made)
    manifest.verify(outcome.path, made)
    assert replace(made, started="", ended="", duration_seconds=0) == manifest.Manifest(
        name=name,
        format="custom",
        compression="zstd",
        bytes=len(data),
        sha256=hashlib.sha256(data).hexdigest(),
        started="",
        ended="",
        duration_seconds=0,
        database="esus",
        host="servidor",
        database_bytes=10_000_000,
        encoding="UTF8",
        collation="pt_BR.UTF-8",
        ctype="pt_BR.UTF-8",
        server_version="15.18",
        server_version_num=150018,
        client_version="17.11",
        contents=HELD,
        municipality="Água Clara",
        pec_version="5.4.37",
        training=False,
        toc_entries=2,
        fingerprint=FINGERPRINT,
        excluded_table_data=("tb_log*",),
    )
    assert made.started <= made.ended
    assert "segredo" not in (world.directory / f"{name}.json").read_text() + json.dumps(outcome.planned) + repr(outcome)
    assert world.status is None


def test_dump_and_fingerprint_see_one_snapshot(world: World) -> None:
    world.dump(fingerprint=True, jobs=5)
    statements = [line.strip() for line in world.statements().splitlines()]
    assert "select to_json(pg_export_snapshot())" in statements
    before = statements[: statements.index("begin isolation level repeatable read read only")]
    assert any("transaction_timeout" in line for line in before)
    snapshot = "00000003-0000001B-1"
    assert f"--snapshot={snapshot}" in (world.clients / "argv").read_text()
    assert (world.asked["snapshot"], world.asked["jobs"], world.asked["method"]) == (snapshot, 5, contents.HASH64)


def test_a_snapshot_that_is_given(world: World) -> None:
    world.dump(snapshot="it's-1", fingerprint=True)
    assert "set transaction snapshot 'it''s-1'" in world.statements()
    assert "pg_export_snapshot" not in world.statements()
    assert "--snapshot=it's-1" in (world.clients / "argv").read_text().splitlines()
    assert world.asked["snapshot"] == "it's-1"


def test_check_mode_writes_nothing_and_says_the_same(world: World) -> None:
    foretold = world.dump(check=True)
    assert world.names == []
    assert not (world.clients / "argv").exists()
    assert (foretold.changed, foretold.manifest) == (True, None)
    made = world.dump()
    assert (foretold.path, foretold.planned, foretold.notes) == (made.path, made.planned, made.notes)
    assert made.planned["estimate_bytes"] == 3_000_000
    assert made.planned["client"] == str(world.clients / "pg_dump")


@pytest.mark.parametrize(
    ("wanted", "names"),
    [
        ({"name": "x.dir", "format": "directory"}, ["x.dir", "x.dir.json"]),
        ({"name": "x.zip", "format": "plain", "compression": "zip"}, ["x.zip", "x.zip.json"]),
        ({"name": "ç x'$(y).tgz", "format": "plain", "compression": "tar.gz"}, ["ç x'$(y).tgz", "ç x'$(y).tgz.json"]),
    ],
)
def test_other_formats(world: World, wanted: dict[str, Any], names: list[str]) -> None:
    outcome = world.dump(**wanted)
    assert world.names == names
    manifest.verify(outcome.path, manifest.read(outcome.path + ".json"))


def test_the_client_that_is_too_old_for_zstd(world: World) -> None:
    world.mode("no zstd")
    outcome = world.dump()
    assert outcome.path.endswith(".dump.zst")
    assert outcome.notes == ("compressed by the program zstd: pg_dump is 17.11 and has none built in, so a restore cannot run in parallel",)
    world.programs -= {"zstd"}
    assert world.dump("x").planned["compression"] == "gzip"
    assert not dump_run.has_zstd(Client("/nonexistent", (15, 18)))


def test_the_pec_of_this_host(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(installation, "discover", lambda: Installation("installed", connection=CONNECTION))
    assert world.dump(connection=None).planned["server"] == "127.0.0.1:5432"
    monkeypatch.setattr(installation, "discover", lambda: Installation("absent"))
    with pytest.raises(PecError, match="no PEC on this host says where its database is; install PEC first, or give"):
        world.dump(connection=None)


def refuse(world: World, says: str, name: str = "", **wanted: Any) -> None:
    """Both check mode and the run say it, and leave everything as it is."""
    before = world.names
    for check in (True, False):
        with pytest.raises(PecError, match=says):
            world.dump(name, check=check, **wanted)
    assert world.names == before
    assert not (world.clients / "argv").exists()


@pytest.mark.parametrize(
    ("wanted", "says"),
    [
        ({"name": "gone/"}, "the directory .*/b/gone does not exist, .*; make it first"),
        ({"name": "gone/x"}, "the directory .*/b/gone does not exist"),
        ({"owner": "nobody-here"}, "there is no account nobody-here on this host"),
        ({"group": "nobody-here"}, "there is no group nobody-here on this host"),
        ({"level": 20}, "level 20 does not exist"),
        ({"path": "b/x"}, "does not begin with a slash"),
    ],
)
def test_what_is_refused(world: World, wanted: dict[str, Any], says: str) -> None:
    refuse(world, says, **wanted)


def test_a_directory_that_cannot_be_written(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: mode != os.W_OK)
    refuse(world, "nothing can be written into .*; is it on a filesystem that is mounted read-only")


def test_no_age_to_encrypt_with(world: World) -> None:
    world.programs -= {"age"}
    refuse(world, "the program age is not on this host; install the package age", recipients=("age1" + "q" * 58,))


def test_a_disk_that_is_too_small(world: World) -> None:
    world.free = 2_900_000
    refuse(world, r"the dump of database 'esus' \(10 MB\) may need 3 MB and only 3 MB are free in .*; make room, or set check_space: false")
    world.dump("x", check_space=False)


def test_what_a_dead_run_left_is_room_for_the_next(world: World) -> None:
    world.free = 2_900_000
    (world.directory / "x.partial").write_bytes(b"x" * 200_000)
    world.dump("x", check=True)
    assert world.dump("x").notes == ("removed x.partial, left by a run that was killed",)


def test_what_exists_is_kept(world: World) -> None:
    (world.directory / "x").write_text("old")
    refuse(world, "/b/x exists already; give another path, or a directory to have a name made, or overwrite: true", "x")


def test_what_came_into_being_while_it_waited(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dump_run, "_clear", lambda _job: (world.directory / "x").write_text("of another run") and [])
    with pytest.raises(PecError, match="exists already"):
        world.dump("x")
    assert (world.directory / "x").read_text() == "of another run"


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
    manifest.verify(outcome.path, made)
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
        monkeypatch.setattr(contents, "read_fingerprint", fail)
    elif fault == "manifest":
        monkeypatch.setattr(manifest, "write", fail)
    elif fault == "chown":
        monkeypatch.setattr(os, "chown", fail)
    else:
        monkeypatch.setattr(os, "rename", lambda source, target: fail() if source.endswith("x.partial") else real(source, target))
    with pytest.raises(PecError, match="database 'esus' at 127.0.0.1:5432 as 'esus' was not dumped into .*/b/x: pg_dump failed|fault|No space left"):
        world.dump("x", format=form, overwrite=True, fingerprint=True)
    assert world.names == ["x", "x.json"]
    assert read_old(world, kind) == ["old", "old manifest"]
    assert world.status
    assert (world.status["phase"], world.status["database"]) == ("failed", "esus")


def test_a_failure_of_the_system_is_an_error_in_words(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(path: str) -> Any:
        raise OSError(5, "Input/output error", path)

    monkeypatch.setattr(os, "listdir", fail)
    with pytest.raises(PecError, match="cannot dump into .*/b: Input/output error"):
        world.dump()


def test_interrupted_it_leaves_nothing(world: World) -> None:
    world.mode("interrupt")
    with pytest.raises(KeyboardInterrupt):
        world.dump()
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
    argv = [sys.executable, "-c", "import time; print(flush=True); time.sleep(60)", f"--file={world.directory}/x.partial"]
    with subprocess.Popen(argv, stdout=subprocess.PIPE) as orphan:
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
            for name in ("rename", "unlink", "rmdir", "chown"):
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
        return replace(whole, bytes=part[0], sha256=part[1], files={"toc.dat": part} if kind == "directory" else {})

    def fail(*_arguments: Any) -> Any:
        raise PecError("fault")

    seen = set()
    for step in range(100):
        monkeypatch.setattr(dump_run, "_make", make)
        died = kill_at(step, lambda: world.dump("x", format=form, overwrite=True))
        monkeypatch.setattr(dump_run, "_make", fail)
        with pytest.raises(PecError, match="fault"):
            world.dump("x", format=form, overwrite=True)
        assert world.names == ["x", "x.json"], step
        found = manifest.read(str(world.directory / "x.json"))
        manifest.verify(str(world.directory / "x"), found)
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


@pytest.mark.parametrize("form", ["custom", "directory"])
def test_mode_and_owner(world: World, form: str) -> None:
    if os.geteuid() != 0:
        owner = pwd.getpwuid(os.geteuid()).pw_name
        group = None
    else:
        owner, group = "daemon", "daemon"
    world.dump("x", format=form, owner=owner, group=group)
    account = pwd.getpwnam(owner)
    for path in [world.directory / "x", world.directory / "x.json", *(world.directory / "x").glob("*")]:
        status = path.stat()
        assert status.st_uid == account.pw_uid
        assert group is None or status.st_gid == account.pw_gid
        assert status.st_mode & 0o777 == (0o700 if path.is_dir() else 0o600)


def test_one_at_a_time(world: World) -> None:
    with files.lock(pg_session.database_lock(CONNECTION)):
        with pytest.raises(PecError, match=f"another run holds the lock .* .process {os.getpid()}, since .*; wait until it ends"):
            world.dump()
        # Another server has a database of the same name, which would be another file of the same name.
        elsewhere = replace(CONNECTION, port=5433)
        world.dump(connection=elsewhere)
        with files.lock(dump_run._place_lock(dump_run._prepare(world.desired("x"), elsewhere))):
            with pytest.raises(PecError, match="another run holds the lock"):
                world.dump("x", connection=elsewhere)
            world.dump("y", connection=elsewhere)
