# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import os
from pathlib import Path

import pytest

from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.system import files


@pytest.mark.parametrize(
    "data",
    [
        pytest.param("usuário".encode(), id="UTF-8"),
        pytest.param("usuário".encode("latin-1"), id="Latin-1"),
        pytest.param("usuário".encode("utf-8-sig"), id="UTF-8 with a byte order mark"),
        pytest.param("usuário".encode("utf-16"), id="UTF-16 with a byte order mark"),
        pytest.param("\ufeffusuário".encode("utf-16-be"), id="UTF-16 in the other order, with a byte order mark"),
        pytest.param("usuário".encode("utf-16-le"), id="UTF-16"),
        pytest.param("usuário".encode("utf-16-be"), id="UTF-16 in the other order"),
    ],
)
def test_text_is_read_whatever_its_encoding(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "text").write_bytes(data)
    assert files.read_text_lenient(str(tmp_path / "text")) == "usuário"


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"pre\xe7o \x80 5", "preço \u20ac 5"),
        (b"\x81\xe7", "\x81ç"),
        (b"\xff\xfe\x00", "ÿþ\x00"),
        (b"", ""),
        (b"a", "a"),
        (b"\xff\xfe", ""),
    ],
    ids=["Windows-1252", "neither", "half of UTF-16", "nothing", "one byte", "a byte order mark alone"],
)
def test_every_byte_is_some_text(data: bytes, text: str) -> None:
    assert files.decode_lenient(data) == text


def test_what_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(PecError, match=f"cannot read {tmp_path}/no: No such file or directory"):
        files.read_text_lenient(str(tmp_path / "no"))


def test_a_new_file_is_private(tmp_path: Path) -> None:
    path = tmp_path / "new"
    files.write_atomic(str(path), b"secret")
    assert path.read_bytes() == b"secret"
    assert path.stat().st_mode & 0o777 == 0o600


def test_an_existing_file_keeps_its_mode_and_a_given_one_wins(tmp_path: Path) -> None:
    path = tmp_path / "old"
    path.write_bytes(b"old")
    path.chmod(0o640)
    files.write_atomic(str(path), b"new")
    assert path.stat().st_mode & 0o777 == 0o640
    files.write_atomic(str(path), b"new", mode=0o644)
    assert path.stat().st_mode & 0o777 == 0o644


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_an_existing_file_keeps_its_owner_and_a_given_one_wins(tmp_path: Path) -> None:
    path = tmp_path / "owned"
    path.write_bytes(b"old")
    os.chown(path, 12, 34)
    files.write_atomic(str(path), b"new")
    assert (path.stat().st_uid, path.stat().st_gid) == (12, 34)
    files.write_atomic(str(path), b"new", uid=56)
    assert (path.stat().st_uid, path.stat().st_gid) == (56, 34)


def test_a_link_is_followed_and_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").write_bytes(b"old")
    (tmp_path / "link").symlink_to("real")
    files.write_atomic(str(tmp_path / "link"), b"new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_bytes() == b"new"


def test_the_leftover_of_a_killed_run_is_no_obstacle(tmp_path: Path) -> None:
    (tmp_path / "file.partial").write_bytes(b"half")
    files.write_atomic(str(tmp_path / "file"), b"whole")
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["file"]


def test_a_failure_leaves_the_old_file_and_no_leftover(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_handle: int) -> None:
        raise OSError(28, "No space left on device")

    (tmp_path / "file").write_bytes(b"old")
    monkeypatch.setattr(files.os, "fsync", full)
    with pytest.raises(PecError, match=f"cannot write {tmp_path}/file: No space left on device"):
        files.write_atomic(str(tmp_path / "file"), b"new")
    assert [(entry.name, entry.read_bytes()) for entry in tmp_path.iterdir()] == [("file", b"old")]
