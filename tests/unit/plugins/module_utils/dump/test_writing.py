# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import re
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import fake_clients
import pytest

from ansible_collections.esus.pec.plugins.module_utils.dump import writing
from ansible_collections.esus.pec.plugins.module_utils.dump.planning import Plan
from ansible_collections.esus.pec.plugins.module_utils.dump.writing import Programs, Progress, Written
from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.system.status_file import StatusFile

SECRET = "se:nha\\com'%d\"ão"
PLAIN = b"x" * 3000000 + b"\n--\n-- PostgreSQL database dump complete\n--\n\n"
ARCHIVE = b"PGDMP" + b"x" * 3000000
GZIP = ("gzip", "-1")


class World:
    """A directory for dumps, and clients that are scripts."""

    def __init__(self, path: Path) -> None:
        self.clients = fake_clients.install(path / "bin")
        self.partial = path / "x.partial"
        self.status = StatusFile("dump", "esus", str(path / "run"))

    def write(self, form: str, compression: str, *, recipients: tuple[str, ...] = (), mode: str = "", **plan: Any) -> Written:
        (self.clients / "mode").write_text(mode)
        piped = plan.get("compressor") or recipients or form == "plain"
        jobs = plan.get("jobs", 1)
        made = Plan(
            **{
                "path": str(self.partial)[: -len(".partial")],
                "format": form,
                "compression": compression,
                "level": 1,
                "options": (f"--format={form}", *([f"--jobs={jobs}"] if form == "directory" else [])),
                "compressor": (),
                "direct": not piped or compression == "tar.gz",
                "jobs": jobs,
                "estimate_bytes": 0,
                "notes": (),
                **plan,
            }
        )
        programs = Programs(str(self.clients / "pg_dump"), str(self.clients / "pg_restore"), {"PGPASSWORD": SECRET}, (SECRET,))
        progress = Progress(self.status, 7, parallel=jobs > 1)
        return writing.write(made, programs, "0001-1", recipients, str(self.partial), progress)

    @property
    def left(self) -> list[str]:
        return sorted(path.name for path in self.partial.parent.glob("x.partial*"))


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def unzip(data: bytes) -> bytes:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert archive.namelist() == ["backup.sql"]
        return archive.read("backup.sql")


def untar(data: bytes) -> bytes:
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        assert archive.getnames() == ["backup.sql"]
        return archive.extractfile("backup.sql").read()  # type: ignore[union-attr]


def unzstd(data: bytes) -> bytes:
    return subprocess.run(["zstd", "-dcq"], input=data, capture_output=True, check=True).stdout


@pytest.mark.parametrize(
    ("form", "compression", "compressor", "read", "content", "entries"),
    [
        ("custom", "zstd", (), bytes, ARCHIVE, 2),
        ("custom", "zstd", ("zstd", "-q", "-1"), unzstd, ARCHIVE, 2),
        ("plain", "none", (), bytes, PLAIN, None),
        ("plain", "gzip", GZIP, gzip.decompress, PLAIN, None),
        ("plain", "gzip", ("pigz", "-1"), gzip.decompress, PLAIN, None),
        ("plain", "zstd", ("zstd", "-q", "-1"), unzstd, PLAIN, None),
        ("plain", "zip", (), unzip, PLAIN, None),
        ("plain", "tar.gz", GZIP, untar, PLAIN, None),
    ],
    ids=lambda value: None if isinstance(value, str) else "",  # the content would be part of the environment
)
def test_what_pg_dump_writes_is_in_the_file(
    world: World, form: str, compression: str, compressor: tuple[str, ...], read: Any, content: bytes, entries: int | None
) -> None:
    old = os.umask(0)
    try:
        written = world.write(form, compression, compressor=compressor)
    finally:
        os.umask(old)
    data = world.partial.read_bytes()
    assert read(data) == content
    assert (written.bytes, written.sha256, written.toc_entries) == (len(data), hashlib.sha256(data).hexdigest(), entries)
    assert world.left == ["x.partial"]
    assert world.partial.stat().st_mode & 0o777 == 0o600
    assert (world.clients / "argv").read_text().splitlines()[:2] == [f"--format={form}", "--snapshot=0001-1"]


def test_a_directory(world: World) -> None:
    old = os.umask(0)
    try:
        written = world.write("directory", "zstd", jobs=2)
    finally:
        os.umask(old)
    sums = subprocess.run(["sha256sum", "12.dat", "toc.dat"], cwd=world.partial, capture_output=True, check=True).stdout
    assert written.sha256 == hashlib.sha256(sums).hexdigest()
    assert written.files == {name: (len(ARCHIVE), hashlib.sha256(ARCHIVE).hexdigest()) for name in ("12.dat", "toc.dat")}
    assert (written.bytes, written.toc_entries) == (2 * len(ARCHIVE), 2)
    assert [path.stat().st_mode & 0o777 for path in (world.partial, *world.partial.iterdir())] == [0o700, 0o600, 0o600]


@pytest.mark.parametrize(("form", "compression", "entries"), [("custom", "zstd", 2), ("plain", "zip", None), ("plain", "none", None)])
def test_encryption(world: World, form: str, compression: str, entries: int | None) -> None:
    key = world.clients / "key"
    subprocess.run(["age-keygen", "-o", key], capture_output=True, check=True)
    public = subprocess.run(["age-keygen", "-y", key], capture_output=True, check=True, text=True).stdout.strip()
    written = world.write(form, compression, recipients=(public,))
    assert written.toc_entries == entries
    data = subprocess.run(["age", "-d", "-i", key, world.partial], capture_output=True, check=True).stdout
    assert (unzip(data) if compression == "zip" else data) == (ARCHIVE if form == "custom" else PLAIN)
    assert written.sha256 == hashlib.sha256(world.partial.read_bytes()).hexdigest()
    with pytest.raises(PecError, match=r"age failed: .*recipient"):
        world.partial.unlink()
        world.write(form, compression, recipients=(public[:-1] + ("q" if public[-1] != "q" else "p"),))


@pytest.mark.parametrize("compression", ["zip", "gzip"])
def test_the_level_is_what_was_asked_for(world: World, compression: str) -> None:
    sizes = []
    for level in (1, 9):
        sizes.append(
            world.write("plain", compression, level=level, compressor=("gzip", f"-{level}") if compression == "gzip" else ()).bytes
        )
        world.partial.unlink()
    assert sizes[0] > sizes[1]


ENDS = [
    ("custom", "zstd", ()),
    ("custom", "zstd", GZIP),
    ("plain", "none", ()),
    ("plain", "gzip", GZIP),
    ("plain", "zip", ()),
    ("plain", "tar.gz", GZIP),
]


@pytest.mark.parametrize(("form", "compression", "compressor"), [*ENDS, ("directory", "none", ())])
@pytest.mark.parametrize(
    ("mode", "says"),
    [
        (
            "fail",
            r"PQgetCopyData\(\) failed. \(Error message from server: .*\); the server ended the connection; see its log",
        ),
        ("locked", r"\(Query was: LOCK TABLE public.a IN ACCESS SHARE MODE\); another session keeps a table locked .*lock_timeout"),
        ("denied", r"permissão negada para tabela a \(Query was: LOCK TABLE .*\); give the role that owns the database"),
        ("full", "could not write to output file: No space left on device; free some space"),
        ("killed", "pg_dump failed: it was killed by SIGKILL"),
    ],
)
def test_a_pg_dump_that_fails(world: World, form: str, compression: str, compressor: tuple[str, ...], mode: str, says: str) -> None:
    with pytest.raises(PecError, match=says) as error:
        world.write(form, compression, compressor=compressor, mode=mode)
    assert SECRET not in str(error.value)
    assert "x.partial.backup.sql" not in world.left


@pytest.mark.parametrize(
    ("form", "compression", "compressor", "mode", "says"),
    [
        *(
            (form, compression, compressor, "short", "pg_dump ended without an error, but .* is cut off")
            for form, compression, compressor in ENDS
            if form == "plain"
        ),
        ("custom", "zstd", (), "garbage", "the dump was written but cannot be read back: .*valid archive"),
        ("custom", "zstd", GZIP, "garbage", "pg_restore failed: .*valid archive"),
        ("directory", "none", (), "garbage", "cannot be read back"),
        ("custom", "zstd", (), "empty", "an empty table of contents, .*; check whether the database is empty"),
        ("custom", "zstd", GZIP, "empty", "an empty table of contents"),
    ],
)
def test_a_pg_dump_that_says_it_went_well(
    world: World, form: str, compression: str, compressor: tuple[str, ...], mode: str, says: str
) -> None:
    with pytest.raises(PecError, match=says):
        world.write(form, compression, compressor=compressor, mode=mode)


def test_a_table_of_contents_longer_than_a_pipe(world: World) -> None:
    assert world.write("custom", "zstd", compressor=GZIP, mode="long").toc_entries == 40000


@pytest.mark.parametrize(("form", "compression", "compressor"), ENDS)
def test_a_full_disk(world: World, form: str, compression: str, compressor: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writing, "_create", lambda _path: os.open("/dev/full", os.O_WRONLY))
    world.partial.symlink_to("/dev/full")
    (world.partial.parent / "x.partial.backup.sql").symlink_to("/dev/full")
    with pytest.raises(PecError, match=r"No space left on device.*; free some space, or give another path"):
        world.write(form, compression, compressor=compressor)


@pytest.mark.parametrize(("form", "compression", "compressor"), ENDS)
def test_nothing_that_is_there_is_written_through(world: World, form: str, compression: str, compressor: tuple[str, ...]) -> None:
    precious = world.clients / "precious"
    precious.write_text("precious")
    world.partial.symlink_to(precious)
    with pytest.raises(PecError, match=r"cannot write .*x\.partial: File exists"):
        world.write(form, compression, compressor=compressor)
    assert precious.read_text() == "precious"


def test_a_compressor_that_writes_nonsense(world: World) -> None:
    for name, text in (("gzip", 'case "$*" in *-t*) exec /bin/gzip "$@";; esac; cat'), ("quits", "exit 3")):
        (world.clients / name).write_text(f"#!/bin/sh\n{text}\n")
        (world.clients / name).chmod(0o755)
    with pytest.raises(PecError, match=r"x\.partial was written but cannot be read back: gzip failed: .*not in gzip format; check"):
        world.write("plain", "gzip", compressor=(str(world.clients / "gzip"), "-1"))
    world.partial.unlink()
    with pytest.raises(PecError, match="quits failed: it ended with exit code 3"):
        world.write("plain", "gzip", compressor=(str(world.clients / "quits"),))


@pytest.mark.parametrize(("after", "offset"), [(b"backup.sql", 30), (b"PK\x01\x02", 16), (b"PK\x01\x02", 0)])
def test_a_zip_that_cannot_be_read_again(world: World, after: bytes, offset: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was compressed, its checksum, and the directory of the archive."""
    world.write("plain", "zip")
    data = bytearray(world.partial.read_bytes())
    data[data.index(after) + offset] ^= 255
    world.partial.unlink()
    monkeypatch.setattr(Progress, "phase", lambda _progress, _name: world.partial.write_bytes(data))
    with pytest.raises(PecError, match=r"x\.partial was written but cannot be read back: .*; check the host's disk"):
        world.write("plain", "zip")


@pytest.mark.parametrize(("jobs", "form"), [(1, "custom"), (1, "directory"), (2, "directory")])
def test_every_table_counts_once(world: World, jobs: int, form: str) -> None:
    world.write(form, "none", jobs=jobs)
    world.status.update(phase="ended")
    facts = json.loads(Path(world.status.path).read_text())
    assert (facts["tables_done"], facts["tables_total"]) == (2, 7)
    assert facts["bytes"] == (2 if form == "directory" else 1) * len(ARCHIVE)


def test_the_size_of_what_is_there(tmp_path: Path) -> None:
    assert writing.size(str(tmp_path / "gone")) == 0
    (tmp_path / "a").write_bytes(b"12345")
    (tmp_path / "b").write_bytes(b"12")
    assert (writing.size(str(tmp_path / "a")), writing.size(str(tmp_path))) == (5, 7)


def test_remove_takes_a_link_and_not_what_it_points_to(tmp_path: Path) -> None:
    for name in ("directory", "other"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").touch()
    (tmp_path / "link").symlink_to(tmp_path / "other")
    for name in ("directory", "link", "gone", "other/file"):
        writing.remove(str(tmp_path / name))
    assert [path.name for path in tmp_path.rglob("*")] == ["other"]


def test_an_orphan_is_known_by_the_directory_that_it_writes_into(tmp_path: Path) -> None:
    wait = [sys.executable, "-c", "import time; print(flush=True); time.sleep(60)"]
    places = [tmp_path / name for name in ("x.partial", "x.partial.2")]
    for place in places:
        place.mkdir()
    children = []
    for place in places:
        directory = os.open(place, os.O_RDONLY)
        children.append(subprocess.Popen(wait, stdout=subprocess.PIPE, pass_fds=[directory]))
        os.close(directory)
    for child in children:
        assert child.stdout
        child.stdout.readline()
    assert writing.end_orphans(str(places[0])) == 1
    assert children[0].wait() == -9
    assert children[1].poll() is None
    children[1].kill()
    for child in children:
        child.communicate()
    assert writing.end_orphans(str(places[0])) == 0


def test_the_password_is_in_no_representation() -> None:
    assert not re.search("senha", repr(Programs("pg_dump", "pg_restore", {"PGPASSWORD": "senha"}, ("senha",))))
