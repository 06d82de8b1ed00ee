# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import hashlib
import json
import tracemalloc
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import samples
from hostile_dumps import MANIFESTS

from ansible_collections.esus.pec.plugins.module_utils.archive.opening import open_dump
from ansible_collections.esus.pec.plugins.module_utils.dump import manifest
from ansible_collections.esus.pec.plugins.module_utils.dump.manifest import Attachment
from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.postgres.contents import Contents
from ansible_collections.esus.pec.plugins.module_utils.postgres.fingerprints import Fingerprint

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
        "attachment": Attachment("esus.dump.files.tar.zst", 5, "bb", ("/etc/pec.config",)),
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


def verify(archive: Path) -> str:
    with open_dump(str(archive)) as dump:
        return manifest.verify(dump, manifest.read(manifest.path_for(str(archive))))


def test_a_whole_dump_is_verified(tmp_path: Path) -> None:
    assert verify(make(tmp_path)) == sha256(DATA)


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
    lines = "".join(f"{name_sum}  {name}\n" for name, (_size, name_sum) in sorted(files.items()))
    described = replace(sample, name="esus.dir", format="directory", files=files, sha256=sha256(lines.encode()))
    manifest.write(str(directory), described)
    verify(directory)
    (directory / "1.dat").write_bytes(b"dada")
    with pytest.raises(PecError, match=r"1\.dat was changed"):
        verify(directory)
    (directory / "1.dat").unlink()
    with pytest.raises(PecError, match=r"1\.dat is missing, and its manifest names it"):
        verify(directory)
    (directory / "1.dat").write_bytes(b"data")
    (directory / "2.dat").write_bytes(b"data")
    with pytest.raises(PecError, match=r"2\.dat is not in the manifest"):
        verify(directory)


def test_a_directory_of_dumps_is_listed_newest_first(tmp_path: Path) -> None:
    make(tmp_path, "old.dump", ended="2026-01-01T00:00:00Z")
    make(tmp_path, "new.dump", ended="2026-11-01T00:00:00Z")
    make(tmp_path, "half.dump", ended="2026-12-01T00:00:00Z").write_bytes(b"")
    make(tmp_path, "gone.dump", ended="2026-12-02T00:00:00Z").unlink()
    make(tmp_path, "bare.dump", ended="2026-12-03T00:00:00Z", attachment=Attachment("bare.dump.tar", 5, "x", ()))
    (tmp_path / "note.json").write_text("{}")
    (tmp_path / "stranger.dump").write_bytes(DATA)
    make(tmp_path, "renamed.dump").with_name("renamed.dump.json").rename(tmp_path / "other.dump.json")
    backups, unusable = manifest.list_backups(str(tmp_path))
    listed = [(Path(backup.path).name, backup.complete) for backup in backups]
    assert listed == [("bare.dump", False), ("gone.dump", False), ("half.dump", False), ("new.dump", True), ("old.dump", True)]
    assert [text.split(";")[0] for text in unusable] == [f"{tmp_path}/other.dump.json is the manifest of 'renamed.dump'"]


def test_a_missing_directory(tmp_path: Path) -> None:
    with pytest.raises(PecError, match="is not a directory"):
        manifest.list_backups(str(tmp_path / "missing"))


@pytest.mark.parametrize("name", MANIFESTS)
def test_a_hostile_manifest_is_one_sentence_and_not_the_end_of_the_others(tmp_path: Path, name: str) -> None:
    make(tmp_path, "good.dump")
    path = Path(manifest.path_for(str(make(tmp_path, "evil.dump"))))
    path.write_bytes(MANIFESTS[name](json.loads(path.read_text())))
    with pytest.raises(PecError, match=r"evil\.dump\.json (is|has|cannot)") as caught:
        manifest.read(str(path))
    assert len(str(caught.value)) < 800 and str(caught.value).isprintable()
    backups, unusable = manifest.list_backups(str(tmp_path))
    assert [backup.manifest.name for backup in backups] == ["good.dump"]
    assert unusable == [str(caught.value)]


def test_texts_of_a_manifest_do_not_control_a_terminal(tmp_path: Path) -> None:
    path = Path(manifest.path_for(str(make(tmp_path, host="pec\x1b[2J\u202e", notes=("a\x07b", "x" * 5000), municipality="Água Clara\n"))))
    found = manifest.read(str(path))
    assert (found.host, found.notes[0], len(found.notes[1])) == ("pec?[2J?", "a?b", 1000)
    assert found.municipality == "Água Clara "


def test_thousands_of_manifests_do_not_fill_the_memory(tmp_path: Path) -> None:
    """Each of a large database has a megabyte; a listing keeps a few kilobytes of it."""
    archive = make(tmp_path, fingerprint=Fingerprint("m", 1, "d", {f"public.tb_{number}": [1, "5"] for number in range(2000)}))
    data = Path(manifest.path_for(str(archive))).read_bytes()
    for number in range(150):
        (tmp_path / f"x{number}.dump").write_bytes(DATA)
        (tmp_path / f"x{number}.dump.json").write_bytes(data.replace(b'"esus.dump"', f'"x{number}.dump"'.encode()))
    tracemalloc.start()
    backups, unusable = manifest.list_backups(str(tmp_path))
    kept, _peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (len(backups), unusable) == (151, [])
    assert kept < len(backups) * 10000


def test_too_many_manifests(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(manifest, "_MOST_MANIFESTS", 2)
    for number in range(3):
        make(tmp_path, f"{number}.dump")
    with pytest.raises(PecError, match="has 3 manifests, and more than 2 are not read; move old dumps elsewhere"):
        manifest.list_backups(str(tmp_path))


def test_json_of_other_programs_is_nobodys_business(tmp_path: Path) -> None:
    make(tmp_path, "good.dump")
    (tmp_path / "package.json").write_text("{")
    (tmp_path / "gone.dump.json").write_text('{"schema": 1}')
    backups, unusable = manifest.list_backups(str(tmp_path))
    assert len(backups) == 1
    assert [text.split(" ")[0] for text in unusable] == [f"{tmp_path}/gone.dump.json"]
