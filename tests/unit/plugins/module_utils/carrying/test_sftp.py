# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from ansible_collections.esus.pec.plugins.module_utils.carrying import attachments, names, sftp, staging
from ansible_collections.esus.pec.plugins.module_utils.carrying.sources import SftpSource
from ansible_collections.esus.pec.plugins.module_utils.errors import PecError

SERVER = Path(__file__).resolve().parents[4] / "unit" / "helpers" / "fake_sftp.py"


def session(fault: str = "") -> sftp.Sftp:
    return sftp.Sftp([sys.executable, str(SERVER), fault], stall=10)


@pytest.mark.parametrize("fault", ["", "short"])
@pytest.mark.parametrize("size", [0, 1, 32768, 32769, 1_500_000])
def test_a_file_is_read_from_an_offset(tmp_path: Path, fault: str, size: int) -> None:
    data = os.urandom(size)
    (tmp_path / "x").write_bytes(data)
    with session(fault) as server:
        for offset in (0, size // 2, size):
            found = bytearray()
            server.read(f"{tmp_path}/x", found.extend, most=size, offset=offset)
            assert found == data[offset:]


def test_names_and_what_they_are(tmp_path: Path) -> None:
    (tmp_path / "ofício\nnovo").mkdir()
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "link").symlink_to("/etc")
    with session() as server:
        found = dict(server.names(str(tmp_path)))
        assert server.status(f"{tmp_path}/missing") is None
        with pytest.raises(sftp.UnreadableError, match="does not exist"):
            server.read(f"{tmp_path}/missing", bytes, most=1)
    assert set(found) == {"ofício\nnovo".encode(), b"fifo", b"link"}
    assert [name for name, each in found.items() if each.is_directory] == ["ofício\nnovo".encode()]
    assert not [name for name, each in found.items() if each.is_file]


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        ("endless", "has more than 4 bytes"),
        ("page", "does not keep to its protocol"),
        ("another number", "does not keep to its protocol"),
        ("cut", "failed: "),
        ("says no", r"failed: Permission denied \(publickey\)"),
    ],
)
def test_a_server_that_misbehaves(tmp_path: Path, fault: str, says: str) -> None:
    (tmp_path / "x").write_text("abcd")
    with pytest.raises(PecError, match=says), session(fault) as server:
        server.read(f"{tmp_path}/x", bytes, most=4)


@pytest.mark.parametrize("fault", ["no names", "only dots"])
def test_a_directory_without_an_end(tmp_path: Path, fault: str) -> None:
    with session(fault) as server, pytest.raises(PecError, match="does not keep to its protocol"):
        list(server.names(str(tmp_path)))


def test_directories_without_an_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """None of them is a file."""
    (tmp_path / "webserver/chaves").mkdir(parents=True)
    monkeypatch.setattr(names, "SETTINGS", names.Limits(depth=8, names=50, file=4, total=8))
    with session("directories") as server, pytest.raises(PecError, match="holds more than 50 names; look at it"):
        for count, _each in enumerate(SftpSource(server, str(tmp_path)).items(["webserver/chaves"])):
            assert count < 1000


def test_a_file_that_is_refused_does_not_end_the_session(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(bytes(3_000_000))
    with session() as server:
        for most in (4, 100_000):
            with pytest.raises(sftp.UnreadableError, match=f"has more than {most} bytes"):
                server.read(f"{tmp_path}/x", bytes, most=most)
        assert server.status(f"{tmp_path}/x") is not None


def test_a_program_that_ends_says_why() -> None:
    with pytest.raises(PecError, match="by SFTP failed: no route"), sftp.Sftp(["sh", "-c", "echo no route >&2"]):
        pass


@pytest.mark.parametrize(
    ("path", "spelled"),
    [("C:/Program Files/e-SUS", "/C:/Program Files/e-SUS"), ("D:\\Anexos", "/D:/Anexos"), ("/opt/e-SUS", "/opt/e-SUS"), ("c:", "/c:")],
)
def test_a_path_as_sftp_has_it(path: str, spelled: str) -> None:
    assert sftp.spelled(path) == spelled


def test_a_name_that_leads_out_of_a_directory(tmp_path: Path) -> None:
    home = tmp_path / "home"
    (home / "webserver/chaves").mkdir(parents=True)
    (home / "webserver/chaves/a.p12").write_text("a")
    with session("up") as server:
        found = staging.collect(SftpSource(server, str(home)))
        wanted = attachments.Wanted(str(home / "webserver/chaves"), str(tmp_path / "here"))
        (tmp_path / "here.transfer").mkdir()
        with attachments.opened(wanted.beside) as here:
            copied = attachments.by_sftp(server, wanted, here)
    assert dict(found.contents) == {} and {each.reason for each in found.unreadable} == {"its name leads to another directory"}
    assert copied.missing == [("../up", "its name leads to another directory")] and list((tmp_path / "here.transfer").iterdir()) == []


def test_limits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keys = tmp_path / "webserver/chaves"
    (keys / "1/2/3").mkdir(parents=True)
    (keys / "1/2/3/deep.p12").write_text("x")
    (keys / "large.p12").write_text("abcde")
    (keys / "small.p12").write_text("abcd")
    monkeypatch.setattr(names, "SETTINGS", names.Limits(depth=2, names=50, file=4, total=8))
    with session() as server:
        found = staging.collect(SftpSource(server, str(tmp_path)))
        assert list(found.contents) == ["webserver/chaves/small.p12"]
        assert [each.path for each in found.unreadable] == ["webserver/chaves/1/2/3", "webserver/chaves/large.p12"]
        for limit in (names.Limits(depth=9, names=2, file=4, total=8), names.Limits(depth=9, names=50, file=9, total=8)):
            monkeypatch.setattr(names, "SETTINGS", limit)
            with pytest.raises(PecError, match="look at"):
                staging.collect(SftpSource(server, str(tmp_path)))
