# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import hashlib
import json
import os
import pwd
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import samples
from dump_world import CONNECTION, FINGERPRINT, HELD, STAMP, World

from ansible_collections.esus.pec.plugins.module_utils.dump import dumping, manifest, writing
from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.pec import installation
from ansible_collections.esus.pec.plugins.module_utils.pec.installation import Installation
from ansible_collections.esus.pec.plugins.module_utils.postgres import fingerprints, session
from ansible_collections.esus.pec.plugins.module_utils.postgres.psql import Client
from ansible_collections.esus.pec.plugins.module_utils.system import locks


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    return World(tmp_path, monkeypatch)


def test_two_dumps_of_one_second_have_two_names(world: World) -> None:
    world.dump(municipality="a")
    world.stamps = [STAMP, STAMP, "20261122T030001Z"]
    outcome = world.dump(municipality="a")
    assert os.path.basename(outcome.path) == "a-esus-20261122T030001Z.dump"
    elsewhere = world.directory / "workshop"
    elsewhere.mkdir()
    world.stamps = ["20261122T030001Z", "20261122T030002Z"]
    outcome = world.dump("workshop/", municipality="a", moves_to=str(world.directory))
    assert os.path.basename(outcome.path) == "a-esus-20261122T030002Z.dump"


def test_a_dump_and_its_manifest(world: World) -> None:
    outcome = world.dump(municipality="Água Clara", fingerprint=True, exclude_table_data=("tb_log*",))
    name = f"agua-clara-esus-{STAMP}.dump"
    assert world.names == [name, f"{name}.json"]
    data = (world.directory / name).read_bytes()
    made = manifest.read(f"{outcome.path}.json")
    assert (outcome.path, outcome.manifest) == (str(world.directory / name), made)
    samples.verify(outcome.path, made)
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


def test_the_notes_say_what_the_dump_lacks(world: World) -> None:
    world.left_out = ["pg_dump leaves out invalid indexes: public.in_bad"]
    world.mode("warn")
    outcome = world.dump()
    assert outcome.manifest
    assert (
        outcome.manifest.notes
        == outcome.notes
        == (
            'pg_dump warned: WITH OIDS is not supported anymore (table "t0")',
            "pg_dump leaves out invalid indexes: public.in_bad",
        )
    )
    world.mode("warn much")
    plain = world.dump("x.sql", format="plain", compression="none")
    assert len(plain.notes) == 12 and plain.notes[-2] == "pg_dump warned 2 times more"


def test_what_cannot_be_read_for_the_fingerprint_is_a_note(world: World) -> None:
    """Such as a table with an index on a function that calls another one without its schema; pg_dump reads it all the same."""
    world.unreadable = [f"public.t{number}" for number in range(12)]
    outcome = world.dump(fingerprint=True)
    assert outcome.manifest
    assert outcome.notes == outcome.manifest.notes
    assert outcome.notes[0] == "not in the fingerprint, because it cannot be read: public.t0 (no such function)"
    assert outcome.notes[-1] == "not in the fingerprint either: 2 more tables"
    assert len(outcome.notes) == 11


def test_dump_and_fingerprint_see_one_snapshot(world: World) -> None:
    world.dump(fingerprint=True, jobs=5)
    statements = [line.strip() for line in world.statements().splitlines()]
    assert "select to_json(pg_export_snapshot())" in statements
    before = statements[: statements.index("begin isolation level repeatable read read only")]
    assert any("transaction_timeout" in line for line in before)
    snapshot = "00000003-0000001B-1"
    assert f"--snapshot={snapshot}" in (world.clients / "argv").read_text()
    assert (world.asked["snapshot"], world.asked["jobs"], world.asked["method"]) == (snapshot, 5, fingerprints.HASH64)


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
    samples.verify(outcome.path, manifest.read(outcome.path + ".json"))


def test_the_client_that_is_too_old_for_zstd(world: World) -> None:
    world.mode("no zstd")
    outcome = world.dump()
    assert outcome.path.endswith(".dump.zst")
    assert outcome.notes == (
        "compressed by the program zstd, because pg_dump 17.11 has none built in: a restore loads one table after the other",
    )
    world.programs -= {"zstd"}
    assert world.dump("x").planned["compression"] == "gzip"
    assert not dumping.has_zstd(Client("/nonexistent", (15, 18)))


def test_the_pec_of_this_host(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(installation, "discover", lambda: Installation("installed", connection=CONNECTION))
    assert world.dump(connection=None).planned["server"] == "127.0.0.1:5432"
    monkeypatch.setattr(installation, "discover", lambda: Installation("absent"))
    with pytest.raises(PecError, match="PEC is not installed here; install it first, or give"):
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
        ({"name": "gone/"}, "the directory .*/b/gone for the dump does not exist; create it first"),
        ({"name": "gone/x"}, "the directory .*/b/gone for the dump does not exist"),
        ({"owner": "nobody-here"}, "owner is nobody-here, and this host has no such account"),
        ({"group": "nobody-here"}, "group is nobody-here, and this host has no such group"),
        ({"level": 20}, "has no level 20"),
        ({"path": "b/x"}, "does not begin with a slash"),
    ],
)
def test_what_is_refused(world: World, wanted: dict[str, Any], says: str) -> None:
    refuse(world, says, **wanted)


def test_a_directory_that_cannot_be_written(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: mode != os.W_OK)
    refuse(world, r"/b is not writable; check whether its filesystem is mounted read-only")


def as_on_exfat(monkeypatch: pytest.MonkeyPatch, mode: int, owner: int) -> None:
    """Every file has this mode and this owner, whatever is asked for."""
    create, fchown = writing._create, os.fchown

    def made(path: str) -> int:
        descriptor = create(path)
        os.fchmod(descriptor, mode)
        if owner >= 0:
            fchown(descriptor, owner, owner)
        return descriptor

    def refused(_descriptor: int, uid: int, _gid: int) -> None:
        if uid >= 0:
            raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(writing, "_create", made)
    monkeypatch.setattr(os, "fchown", refused)


@pytest.mark.parametrize("form", ["custom", "directory", "plain"])
@pytest.mark.parametrize(("mode", "owner"), [(0o777, -1), (0o755, -1), (0o640, -1), (0o604, -1), (0o700, 65533)])
def test_a_disk_that_keeps_no_file_private(world: World, monkeypatch: pytest.MonkeyPatch, form: str, mode: int, owner: int) -> None:
    if owner >= 0 and os.geteuid() != 0:
        pytest.skip("only root can give a file away")
    as_on_exfat(monkeypatch, mode, owner)
    says = rf"/b cannot keep a dump private: a file made there with mode 0600 has mode {mode:04o} and the owner .* encrypt it \(recipients"
    with pytest.raises(PecError, match=says):
        world.dump("x", format=form)
    assert world.names == [] and not (world.clients / "argv").exists(), "nothing was dumped"


def test_a_disk_that_is_mounted_for_root_alone(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    as_on_exfat(monkeypatch, 0o700, -1)
    world.dump("x")


def test_a_dump_that_is_encrypted_may_lie_on_such_a_disk(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    as_on_exfat(monkeypatch, 0o777, -1)
    monkeypatch.setattr(writing, "require_private", lambda *_: pytest.fail("it is not asked for"))
    with pytest.raises(PecError) as caught:  # there is no age here, so that it gets no further
        world.dump("x", recipients=("age1" + "q" * 58,))
    assert "private" not in str(caught.value)


def test_no_age_to_encrypt_with(world: World) -> None:
    world.programs -= {"age"}
    refuse(world, "requires the program age, which is not on this host; install the package", recipients=("age1" + "q" * 58,))


def test_a_disk_that_is_too_small(world: World) -> None:
    world.free = 2_900_000
    refuse(
        world, r"the dump of database 'esus' \(10 MB\) may need 3 MB, and .*/b has 3 MB free; free some space, or set check_space: false"
    )
    world.dump("x", check_space=False)


def test_what_a_dead_run_left_is_room_for_the_next(world: World) -> None:
    world.free = 2_900_000
    (world.directory / "x.partial").write_bytes(b"x" * 200_000)
    world.dump("x", check=True)
    assert world.dump("x").notes == ("removed x.partial, left by a run that was killed",)


def test_what_exists_is_kept(world: World) -> None:
    (world.directory / "x").write_text("old")
    refuse(world, "/b/x exists already; give another path, a directory for a generated name, or overwrite: true", "x")


def test_what_came_into_being_while_it_waited(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dumping, "_clear", lambda _job: (world.directory / "x").write_text("of another run") and [])
    with pytest.raises(PecError, match="exists already"):
        world.dump("x")
    assert (world.directory / "x").read_text() == "of another run"


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
    with locks.lock(session.database_lock(CONNECTION)):
        with pytest.raises(PecError, match=f"another run holds the lock .* .process {os.getpid()}, since .*; wait until it ends"):
            world.dump()
        # Another server has a database of the same name, which would be another file of the same name.
        elsewhere = replace(CONNECTION, port=5433)
        world.dump(connection=elsewhere)
        with locks.lock(dumping._place_lock(dumping._prepare(world.desired("x"), elsewhere))):
            with pytest.raises(PecError, match="another run holds the lock"):
                world.dump("x", connection=elsewhere)
            world.dump("y", connection=elsewhere)
