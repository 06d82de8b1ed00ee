# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import samples

from ansible_collections.esus.pec.plugins.module_utils.dump import manifest
from ansible_collections.esus.pec.plugins.module_utils.dump.manifest import Attachment
from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.postgres.contents import Contents, Fingerprint

DATA = b"PGDMP and so on"


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def make(directory: Path, name: str = "esus.dump", data: bytes = DATA, **changes: Any) -> Path:
    archive = directory / name
    archive.write_bytes(data)
    held = Contents({"tables": 3}, {"public.s": 5}, 0, "5.4.37")
    values = {"name": name, "bytes": len(data), "sha256": sha256(data), "contents": held, **changes}
    manifest.write(str(archive), samples.manifest(**values))
    return archive


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    rich: dict[str, Any] = {
        "fingerprint": Fingerprint("rows-hash64", 1, "d", {"public.a": [1, "5"]}),
        "recipients": ("age1xyz",),
        "excluded_table_data": ("log*",),
        "files": {"toc.dat": (5, "aa")},
        "attachment": Attachment("esus.files.tar.zst", 5, "bb", ("/etc/pec.config",)),
        "notes": ("nota",),
        "training": True,
        "toc_entries": 12,
    }
    archive = make(tmp_path, **rich)
    path = Path(manifest.path_for(str(archive)))
    assert path.stat().st_mode & 0o777 == 0o600
    found = manifest.read(str(path))
    assert {name: getattr(found, name) for name in rich} == rich
    assert found.encrypted
    assert found.municipality == "Água Clara"
    plain = json.loads(path.read_text(encoding="utf-8"))
    assert (plain["schema"], plain["encrypted"], plain["contents"]["pec_version"]) == (1, True, "5.4.37")


def change(path: Path, **values: Any) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda path: path.write_text("{"), "not a complete manifest"),
        (lambda path: path.write_text("[]"), "not a complete manifest"),
        (lambda path: path.write_text('{"schema": 1, "name": "x"}'), "not a complete manifest"),
        (lambda path: change(path, schema=2), "schema 2"),
        (lambda path: change(path, files={"../../etc/passwd": [1, "x"]}), "not a complete manifest"),
        (lambda path: change(path, attachment={"name": "/etc/shadow", "bytes": 1, "sha256": "x", "paths": []}), "not a complete manifest"),
        (lambda path: path.unlink(), "cannot read"),
    ],
)
def test_what_is_no_manifest_is_refused(tmp_path: Path, damage: Any, message: str) -> None:
    path = Path(manifest.path_for(str(make(tmp_path))))
    damage(path)
    with pytest.raises(PecError, match=message):
        manifest.read(str(path))


def test_a_field_of_a_later_version_does_no_harm(tmp_path: Path) -> None:
    path = Path(manifest.path_for(str(make(tmp_path))))
    change(path, invented_later=True)
    assert manifest.read(str(path)).name == "esus.dump"


def verify(archive: Path) -> None:
    manifest.verify(str(archive), manifest.read(manifest.path_for(str(archive))))


def test_a_whole_dump_is_verified(tmp_path: Path) -> None:
    verify(make(tmp_path))


@pytest.mark.parametrize(
    ("damaged", "message"),
    [(DATA[:-1], "has 14 bytes, and its manifest says 15"), (DATA[:-1] + b"x", "esus.dump was changed: its SHA-256 is")],
)
def test_a_damaged_dump_is_told(tmp_path: Path, damaged: bytes, message: str) -> None:
    archive = make(tmp_path)
    archive.write_bytes(damaged)
    with pytest.raises(PecError, match=message):
        verify(archive)


def test_every_file_of_a_directory_is_verified(tmp_path: Path) -> None:
    directory = tmp_path / "esus.dir"
    directory.mkdir()
    (directory / "toc.dat").write_bytes(b"toc")
    (directory / "1.dat").write_bytes(b"data")
    files = {name: (len(data), sha256(data)) for name, data in (("toc.dat", b"toc"), ("1.dat", b"data"))}
    sample = manifest.read(manifest.path_for(str(make(tmp_path))))
    manifest.write(str(directory), replace(sample, name="esus.dir", format="directory", files=files))
    verify(directory)
    (directory / "1.dat").write_bytes(b"dada")
    with pytest.raises(PecError, match=r"1\.dat was changed"):
        verify(directory)
    (directory / "1.dat").unlink()
    with pytest.raises(PecError, match="No such file"):
        verify(directory)


def test_a_directory_of_dumps_is_listed_newest_first(tmp_path: Path) -> None:
    make(tmp_path, "old.dump", ended="2026-01-01T00:00:00Z")
    make(tmp_path, "new.dump", ended="2026-11-01T00:00:00Z")
    make(tmp_path, "half.dump", ended="2026-12-01T00:00:00Z").write_bytes(b"")
    make(tmp_path, "gone.dump", ended="2026-12-02T00:00:00Z").unlink()
    make(tmp_path, "bare.dump", ended="2026-12-03T00:00:00Z", attachment=Attachment("bare.tar", 5, "x", ()))
    (tmp_path / "note.json").write_text("{}")
    (tmp_path / "stranger.dump").write_bytes(DATA)
    make(tmp_path, "renamed.dump").with_name("renamed.dump.json").rename(tmp_path / "other.dump.json")
    listed = [(Path(backup.path).name, backup.complete) for backup in manifest.list_backups(str(tmp_path))]
    assert listed == [("bare.dump", False), ("gone.dump", False), ("half.dump", False), ("new.dump", True), ("old.dump", True)]


def test_a_missing_directory(tmp_path: Path) -> None:
    with pytest.raises(PecError, match="is not a directory"):
        manifest.list_backups(str(tmp_path / "missing"))
