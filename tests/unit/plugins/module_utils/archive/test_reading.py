# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import gzip
import io
import os
import struct
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.esus.pec.plugins.module_utils.archive import reading
from ansible_collections.esus.pec.plugins.module_utils.archive.custom_format import (
    Header,
    comparable,
    major,
    needed_client,
    parse,
    version_number,
)
from ansible_collections.esus.pec.plugins.module_utils.archive.reading import Identity, PlainStream, inspect
from ansible_collections.esus.pec.plugins.module_utils.archive.zip_stream import ZipStream
from ansible_collections.esus.pec.plugins.module_utils.errors import PecError

NOBODY = Identity()
PLAIN = (
    b"--\n-- PostgreSQL database dump\n--\n\n-- Dumped from database version 9.6.13\n-- Dumped by pg_dump version 15.18 (Debian)\n\n"
    b"SET client_encoding = 'UTF8';\n" + os.urandom(300000).hex().encode() + b"\n--\n-- PostgreSQL database dump complete\n--\n"
)


def header(format_version: tuple[int, int], dump: str = "17.11") -> bytes:
    """The beginning of a custom archive as pg_dump writes it."""

    def integer(value: int) -> bytes:
        return b"\0" + value.to_bytes(4, "little")

    compression = b"\1" if format_version >= (1, 15) else b"\1" + (1).to_bytes(4, "little")
    texts = b"".join(integer(len(text.encode())) + text.encode() for text in ("município", "15.18 (Debian 15.18-0+deb12u1)", dump))
    entry = b"ENCODING" + integer(30) + b"SET client_encoding = 'LATIN1';\n"
    return b"PGDMP" + bytes([*format_version, 0, 4, 8, 1]) + compression + integer(7) * 7 + texts + entry


def zipped(*entries: tuple[str, bytes], seekable: bool = True, method: int = zipfile.ZIP_DEFLATED) -> bytes:
    target: Any = io.BytesIO() if seekable else Forward()
    with zipfile.ZipFile(target, "w", method) as file:
        for name, data in entries:
            file.writestr(name, data)
    return target.getvalue()


class Forward(io.RawIOBase):
    """A file that can only be written forward, such as a pipe."""

    def __init__(self) -> None:
        self.data = b""

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self.data += bytes(data)
        return len(data)

    def getvalue(self) -> bytes:
        return self.data


def tarred(*entries: tuple[str, bytes]) -> bytes:
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w") as file:
        directory = tarfile.TarInfo("./")
        directory.type = tarfile.DIRTYPE
        file.addfile(directory)
        for name, data in entries:
            member = tarfile.TarInfo(name)
            member.size = len(data)
            file.addfile(member, io.BytesIO(data))
    return target.getvalue()


def read(path: Path, layers: tuple[str, ...]) -> bytes:
    with PlainStream(str(path), layers, NOBODY) as stream:
        return b"".join(iter(lambda: stream.read(65536), b""))


@pytest.mark.parametrize(
    ("content", "layers", "kind"),
    [
        pytest.param(PLAIN, (), "plain", id="sql"),
        pytest.param(b"\xef\xbb\xbf" + PLAIN, (), "plain", id="sql with a BOM"),
        pytest.param(PLAIN.replace(b"\n", b"\r\n"), (), "plain", id="sql from Windows"),
        pytest.param(gzip.compress(PLAIN, 1), ("gzip",), "plain", id="gzip"),
        pytest.param(zipped(("backup.sql", PLAIN)), ("zip",), "plain", id="zip"),
        pytest.param(zipped(("pasta/", b""), ("pasta/backup.sql", PLAIN)), ("zip",), "plain", id="zip with a directory"),
        pytest.param(gzip.compress(zipped(("backup.sql", PLAIN)), 1), ("gzip", "zip"), "plain", id="zip that cannot seek"),
        pytest.param(tarred(("backup.sql", PLAIN)), ("tar",), "plain", id="tar"),
        pytest.param(gzip.compress(tarred(("./backup.sql", PLAIN)), 1), ("gzip", "tar"), "plain", id="tar.gz"),
        pytest.param(header((1, 16)), (), "custom", id="custom"),
        pytest.param(zipped(("x.backup", header((1, 14)))), ("zip",), "custom", id="custom in zip"),
    ],
)
def test_kinds(tmp_path: Path, content: bytes, layers: tuple[str, ...], kind: str) -> None:
    path = tmp_path / "no name tells.zip"
    path.write_bytes(content)
    found = inspect(str(path), NOBODY)
    assert (found.kind, found.layers, found.bytes, found.name) == (kind, layers, len(content), path.name)
    inside = read(path, found.layers)
    assert inside.lstrip(b"\xef\xbb\xbf").replace(b"\r", b"") == PLAIN if kind == "plain" else inside.startswith(b"PGDMP")
    if kind == "plain":
        assert found.header == Header("9.6.13", "15.18 (Debian)", encoding="UTF8")


def test_kinds_of_pg_dump_that_are_tar_or_directory(tmp_path: Path) -> None:
    tar = tmp_path / "a.tar"
    with tarfile.open(tar, "w") as file:
        member = tarfile.TarInfo("toc.dat")
        member.size = len(header((1, 14)))
        file.addfile(member, io.BytesIO(header((1, 14))))
    assert (inspect(str(tar), NOBODY).kind, inspect(str(tar), NOBODY).header.format_version) == ("tar", (1, 14))
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "toc.dat").write_bytes(header((1, 14)))
    (tmp_path / "d" / "1.dat.gz").write_bytes(b"x" * 100)
    found = inspect(f"{tmp_path}/d/", NOBODY)
    assert (found.kind, found.name, found.bytes) == ("directory", "d", 100 + len(header((1, 14))))


REFUSED = [
    pytest.param(b"", "it is empty", id="empty"),
    pytest.param(b"hello\n", "it is not a dump by pg_dump; give the path of one", id="text"),
    pytest.param(b"-- MySQL dump 10.13\n", "it is a dump of MySQL", id="MySQL"),
    pytest.param(b"/*M!999999\\- enable the sandbox mode */ \n-- MariaDB dump 10.19\n", "it is a dump of MySQL", id="MariaDB"),
    pytest.param(b"SQLite format 3\0", "a database of SQLite", id="SQLite"),
    pytest.param(b"--\n-- PostgreSQL database cluster dump\n--\n", "made by pg_dumpall", id="pg_dumpall"),
    pytest.param(PLAIN.decode().encode("utf-16"), "UTF-16, as PowerShell", id="PowerShell"),
    pytest.param(b"7z\xbc\xaf\x27\x1c", "an archive of an unsupported kind", id="7z"),
    pytest.param(zipped(), "an archive of an unsupported kind, or empty; unpack it", id="empty zip"),
    pytest.param(zipped(("pasta/", b"")), "must hold one file, the dump, and holds none", id="zip with directory only"),
    pytest.param(zipped(("a.sql", PLAIN), ("b.sql", b"")), "must hold one file, the dump, and holds a.sql, b.sql", id="zip with two files"),
    pytest.param(zipped(("a.sql", PLAIN))[:-30], "is damaged or incomplete", id="zip cut off"),
    pytest.param(zipped(("a.zip", zipped(("b.sql", PLAIN)))), "is packed too many times .zip in zip", id="zip in zip"),
    pytest.param(tarred(), "holds no file", id="empty tar"),
    pytest.param(b"age-encryption.org/v1\n", "is encrypted; give identity or identity_path", id="encrypted"),
]


@pytest.mark.parametrize(("content", "says"), REFUSED)
def test_is_refused(tmp_path: Path, content: bytes, says: str) -> None:
    path = tmp_path / "backup"
    path.write_bytes(content)
    with pytest.raises(PecError, match=says) as caught:
        inspect(str(path), NOBODY)
    assert str(path) in str(caught.value)


def flipped(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 4]) + data[at + 1 :]


@pytest.mark.parametrize(
    ("content", "layers"),
    [
        pytest.param(gzip.compress(PLAIN, 1)[:-100], ("gzip",), id="gzip cut off"),
        pytest.param(flipped(gzip.compress(PLAIN, 1), 200000), ("gzip",), id="gzip with another byte"),
        pytest.param(flipped(zipped(("a", PLAIN)), 200000), ("zip",), id="zip with another byte"),
        pytest.param(flipped(zipped(("a", PLAIN), method=zipfile.ZIP_STORED), 200000), ("zip",), id="stored zip with another byte"),
        pytest.param(gzip.compress(flipped(zipped(("a", PLAIN)), 200000), 1), ("gzip", "zip"), id="zip in a stream with another byte"),
        pytest.param(gzip.compress(zipped(("a", PLAIN))[:200000], 1), ("gzip", "zip"), id="zip in a stream cut off"),
        pytest.param(tarred(("a", PLAIN))[:300000], ("tar",), id="tar cut off"),
        pytest.param(gzip.compress(tarred(("a", PLAIN)), 1)[:-9000], ("gzip", "tar"), id="tar.gz cut off"),
        pytest.param(gzip.compress(tarred(("a", PLAIN), ("b", b"")), 1), ("gzip", "tar"), id="tar with two files"),
        pytest.param(gzip.compress(zipped(("a", PLAIN), ("b", b"")), 1), ("gzip", "zip"), id="zip in a stream with two files"),
    ],
)
def test_damage_is_found_at_the_end_at_the_latest(tmp_path: Path, content: bytes, layers: tuple[str, ...]) -> None:
    path = tmp_path / "backup"
    path.write_bytes(content)
    with pytest.raises(PecError, match=r"is damaged or incomplete|must hold one file"):
        read(path, layers)


@pytest.mark.parametrize("seekable", [True, False])
@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_STORED])
def test_zip_as_a_stream(seekable: bool, method: int) -> None:
    data = zipped(("backup.sql", PLAIN), seekable=seekable, method=method)
    if method == zipfile.ZIP_STORED and not seekable:
        with pytest.raises(NotImplementedError):  # nothing tells where its content ends
            ZipStream(io.BytesIO(data), "x")
        return
    stream = ZipStream(io.BytesIO(data), "x")
    assert stream.name == "backup.sql"
    assert b"".join(iter(lambda: stream.read(1000), b"")) == PLAIN
    assert stream.read(1) == b""


def test_zip_with_sizes_of_eight_bytes() -> None:
    target = Forward()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as file, file.open("backup.sql", "w", force_zip64=True) as entry:
        entry.write(PLAIN)
    stream = ZipStream(io.BytesIO(target.getvalue()), "x")
    assert b"".join(iter(lambda: stream.read(65536), b"")) == PLAIN


def test_a_zip_with_a_password(tmp_path: Path) -> None:
    data = bytearray(zipped(("a.sql", PLAIN)))
    central = data.rindex(b"PK\x01\x02")
    for at in (6, central + 8):
        data[at : at + 2] = struct.pack("<H", 1)
    (tmp_path / "a.zip").write_bytes(bytes(data))
    with pytest.raises(PecError, match="a zip with a password; unpack it first"):
        inspect(str(tmp_path / "a.zip"), NOBODY)


@pytest.mark.parametrize("version", [(1, 13), (1, 14), (1, 15), (1, 16)])
def test_headers(version: tuple[int, int]) -> None:
    assert parse(header(version)) == Header("15.18 (Debian 15.18-0+deb12u1)", "17.11", "município", version, "LATIN1")


@pytest.mark.parametrize("length", range(0, 90, 7))
def test_a_header_cut_off_is_no_error(length: int) -> None:
    found = parse(header((1, 16))[:length])
    assert found.dump_version is None or found.dump_version == "17.11"


@pytest.mark.parametrize(
    ("text", "number", "name", "order"),
    [("15.18 (Debian)", 150018, "15", 1500), ("9.6.13", 90613, "9.6", 906), ("18beta1", 180000, "18", 1800), ("17.11", 170011, "17", 1700)],
)
def test_versions(text: str, number: int, name: str, order: int) -> None:
    assert (version_number(text), major(number), comparable(number)) == (number, name, order)


def test_no_version() -> None:
    assert version_number(None) is version_number("unknown") is None


@pytest.mark.parametrize(
    ("found", "client"),
    [
        (Header(), None),
        (Header(format_version=(1, 12)), None),
        (Header(format_version=(1, 13)), "9.6"),
        (Header(format_version=(1, 14)), "12"),
        (Header(format_version=(1, 15)), "16"),
        (Header(format_version=(1, 16)), "17"),
        (Header(format_version=(1, 17), dump_version="19.2"), "19"),
        (Header(format_version=(1, 17)), None),
    ],
)
def test_the_oldest_client_that_can_read_it(found: Header, client: str | None) -> None:
    assert needed_client(found) == client


def test_an_identity_is_on_no_disk_and_in_no_argument() -> None:
    with Identity(text=" AGE-SECRET-KEY-1XYZ ") as identity:
        stage = identity.stage("/srv/x.age")
        (handle,) = stage.pass_fds
        assert stage.argv == ("age", "--decrypt", "--identity", f"/dev/fd/{handle}")
        assert Path(f"/dev/fd/{handle}").read_text() == "AGE-SECRET-KEY-1XYZ\n"
        assert os.readlink(f"/proc/self/fd/{handle}").startswith("/memfd:")


def test_a_missing_identity_file(tmp_path: Path) -> None:
    with pytest.raises(PecError, match=r"the file .*/none with its secret key does not exist; check identity_path"):
        Identity(path=str(tmp_path / "none")).stage("/srv/x.age")


def test_a_directory_that_is_no_dump(tmp_path: Path) -> None:
    with pytest.raises(PecError, match=r"is a directory, but not a dump: it has no toc\.dat; give the path"):
        reading.inspect(str(tmp_path), NOBODY)
