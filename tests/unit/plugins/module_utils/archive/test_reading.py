# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import bz2
import gzip
import hashlib
import io
import lzma
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
from ansible_collections.esus.pec.plugins.module_utils.archive.opening import open_dump
from ansible_collections.esus.pec.plugins.module_utils.archive.reading import Archive, Identity, PlainStream
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


def inspect(path: Path | str) -> Archive:
    with open_dump(str(path)) as dump:
        return reading.inspect(dump, NOBODY)


def read(path: Path, layers: tuple[str, ...]) -> bytes:
    with open_dump(str(path)) as dump, PlainStream(dump, layers, NOBODY) as stream:
        return b"".join(iter(lambda: stream.read(65536), b""))


@pytest.mark.parametrize(
    ("content", "layers", "kind"),
    [
        pytest.param(PLAIN, (), "plain", id="sql"),
        pytest.param(b"\xef\xbb\xbf" + PLAIN, (), "plain", id="sql with a BOM"),
        pytest.param(PLAIN.replace(b"\n", b"\r\n"), (), "plain", id="sql from Windows"),
        pytest.param(PLAIN.decode().encode("utf-16"), ("UTF-16",), "plain", id="UTF-16"),
        pytest.param(PLAIN.decode().encode("utf-16-le"), ("UTF-16",), "plain", id="UTF-16 without a BOM"),
        pytest.param(PLAIN.decode().encode("utf-16-be"), ("UTF-16",), "plain", id="UTF-16, big first, without a BOM"),
        pytest.param(b"\xfe\xff" + PLAIN.decode().encode("utf-16-be"), ("UTF-16",), "plain", id="UTF-16, big first"),
        pytest.param(zipped(("a", PLAIN.decode().encode("utf-16"))), ("zip", "UTF-16"), "plain", id="UTF-16 in a zip"),
        pytest.param(gzip.compress(PLAIN, 1), ("gzip",), "plain", id="gzip"),
        pytest.param(zipped(("backup.sql", PLAIN)), ("zip",), "plain", id="zip"),
        pytest.param(zipped(("pasta/", b""), ("pasta/backup.sql", PLAIN)), ("zip",), "plain", id="zip with a directory"),
        pytest.param(gzip.compress(zipped(("backup.sql", PLAIN)), 1), ("gzip", "zip"), "plain", id="zip that cannot seek"),
        pytest.param(tarred(("backup.sql", PLAIN)), ("tar",), "plain", id="tar"),
        pytest.param(gzip.compress(tarred(("./backup.sql", PLAIN)), 1), ("gzip", "tar"), "plain", id="tar.gz"),
        pytest.param(lzma.compress(PLAIN), ("xz",), "plain", id="xz"),
        pytest.param(lzma.compress(PLAIN[:1000]) + bytes(8) + lzma.compress(PLAIN[1000:]), ("xz",), "plain", id="xz in two parts"),
        pytest.param(bz2.compress(PLAIN), ("bzip2",), "plain", id="bzip2"),
        pytest.param(bz2.compress(b"") + bz2.compress(PLAIN[:1000]) + bz2.compress(PLAIN[1000:]), ("bzip2",), "plain", id="bzip2 in parts"),
        pytest.param(lzma.compress(tarred(("./backup.sql", PLAIN))), ("xz", "tar"), "plain", id="tar.xz"),
        pytest.param(gzip.compress(bz2.compress(tarred(("b", PLAIN)))), ("gzip", "bzip2", "tar"), "plain", id="tar.bz2.gz"),
        pytest.param(bz2.compress(zipped(("b", PLAIN))), ("bzip2", "zip"), "plain", id="zip.bz2"),
        pytest.param(lzma.compress(header((1, 14))), ("xz",), "custom", id="custom in xz"),
        pytest.param(header((1, 16)), (), "custom", id="custom"),
        pytest.param(zipped(("x.backup", header((1, 14)))), ("zip",), "custom", id="custom in zip"),
    ],
)
def test_kinds(tmp_path: Path, content: bytes, layers: tuple[str, ...], kind: str) -> None:
    path = tmp_path / "no name tells.zip"
    path.write_bytes(content)
    found = inspect(path)
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
    assert (inspect(tar).kind, inspect(tar).header.format_version) == ("tar", (1, 14))
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "toc.dat").write_bytes(header((1, 14)))
    (tmp_path / "d" / "1.dat.gz").write_bytes(b"x" * 100)
    found = inspect(f"{tmp_path}/d/")
    assert (found.kind, found.name, found.bytes) == ("directory", "d", 100 + len(header((1, 14))))


REFUSED = [
    pytest.param(b"", "it is empty", id="empty"),
    pytest.param(b"hello\n", "it is not a dump by pg_dump; give the path of one", id="text"),
    pytest.param(b"-- MySQL dump 10.13\n", "it is a dump of MySQL", id="MySQL"),
    pytest.param(b"/*M!999999\\- enable the sandbox mode */ \n-- MariaDB dump 10.19\n", "it is a dump of MySQL", id="MariaDB"),
    pytest.param(b"SQLite format 3\0", "a database of SQLite", id="SQLite"),
    pytest.param(b"--\n-- PostgreSQL database cluster dump\n--\n", "made by pg_dumpall", id="pg_dumpall"),
    pytest.param(b"\xff\xfe-\0-\0", "UTF-16, as PowerShell writes with >, and not a plain dump; ask for", id="PowerShell"),
    pytest.param(PLAIN.replace(b"'UTF8'", b"'LATIN1'").decode().encode("utf-16"), "UTF-16, but says that it is in LATIN1", id="Latin 1"),
    pytest.param(header((1, 14)).decode("latin-1").encode("utf-16"), "UTF-16, as PowerShell .* not a plain dump", id="custom as text"),
    pytest.param("<html>".encode("utf-16"), "a web page and not the backup", id="web page in UTF-16"),
    pytest.param(b"pg_dump: reading schemas\n" + PLAIN, "the messages of pg_dump -v are mixed into it; make it again", id="pg_dump -v"),
    pytest.param(b"pg_dump: reading schemas\n" * 40 + PLAIN, "the messages of pg_dump -v", id="many messages"),
    pytest.param(b"pg_dump: error: connection failed\n", "what pg_dump printed, and not its dump", id="only messages"),
    pytest.param(b"\r\nC:\\>pg_dump -U postgres esus\r\n" + PLAIN, "line 2 is not of the dump, another program", id="echo of a batch file"),
    pytest.param(b"--\n-- PostgreSQL database cluster dump\n--\n" + PLAIN, "made by pg_dumpall", id="pg_dumpall with a database"),
    pytest.param(b"7z\xbc\xaf\x27\x1c", "an archive of an unsupported kind, 7-Zip; unpack it with '7z x' and give the path", id="7z"),
    pytest.param(zipped(("a.7z", b"7z\xbc\xaf\x27\x1c")), "unpack it with '7z x'", id="7z in a zip"),
    pytest.param(b"Rar!\x1a\x07\x01\x00", "an archive of an unsupported kind, RAR; unpack it with 'unrar x' or '7z x'", id="RAR"),
    pytest.param(b"PK\x07\x08PK\x03\x04", "the first part of a zip in several parts; join them", id="zip in parts"),
    pytest.param(zipped(), "an empty zip; ask for the backup itself", id="empty zip"),
    pytest.param(b"<!DOCTYPE html><html><body>Entrar</body></html>", "a web page and not the backup", id="web page"),
    pytest.param(b"\xef\xbb\xbf\r\n <!-- saved -->\n<HTML lang=pt>", "a web page and not the backup", id="saved web page"),
    pytest.param(b"From: <Saved by Blink>\r\n", "a web page and not the backup", id="mhtml"),
    pytest.param(zipped(("backup.html", b"<html>x")), "a web page and not the backup", id="web page in a zip"),
    pytest.param(zipped(("p.html", b"<html>x"), ("p_files/x.js", b"x")), "p.html is a web page and not the backup", id="page with files"),
    pytest.param(b"<?xml version='1.0'?><Error>AccessDenied</Error>", "XML, such as a server's error, and not", id="XML"),
    pytest.param(zipped(("LEIA-ME.txt", b"x"), (".DS_Store", b"")), "must hold one file, the dump, and holds LEIA-ME.txt", id="no dump"),
    pytest.param(zipped(("LEIA-ME.txt", b"x"), ("a", PLAIN), ("b", b"x")), "one file, the dump, and holds a, b;", id="two beside"),
    pytest.param(zipped(("d/3000.dat.gz", b"x"), ("d/toc.dat", b"x")), "a dump in directory format; unpack it and give", id="directory"),
    pytest.param(lzma.compress(tarred(("./3.dat.gz", b"x"))), "not a dump by pg_dump", id="part of a directory"),
    pytest.param(lzma.compress(gzip.compress(PLAIN)), "is packed too many times .gzip in xz.; unpack", id="gzip in xz"),
    pytest.param(lzma.compress(lzma.compress(PLAIN)), "is packed too many times .xz in xz.; unpack", id="xz in xz"),
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
        inspect(path)
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
        pytest.param(lzma.compress(PLAIN)[:-100], ("xz",), id="xz cut off"),
        pytest.param(flipped(lzma.compress(PLAIN), 100000), ("xz",), id="xz with another byte"),
        pytest.param(lzma.compress(PLAIN) + b"more", ("xz",), id="xz and more"),
        pytest.param(bz2.compress(PLAIN)[:-100], ("bzip2",), id="bzip2 cut off"),
        pytest.param(flipped(bz2.compress(PLAIN), 100000), ("bzip2",), id="bzip2 with another byte"),
        pytest.param(bz2.compress(b"") * 2000 + bz2.compress(PLAIN), ("bzip2",), id="thousands of empty parts"),
        pytest.param(PLAIN.decode().encode("utf-16")[:-1], ("UTF-16",), id="UTF-16 cut off"),
        pytest.param(b"\xff\xfe" + b"\x00\xd8" * 400000, ("UTF-16",), id="UTF-16 of halves"),
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


BESIDE = [
    ("LEIA-ME.txt", b"Senhor(a)"),
    ("__MACOSX/", b""),
    ("__MACOSX/._backup.sql", b"\0\5\x16\7"),
    (".DS_Store", bytes(100)),
    ("pasta/Thumbs.db", b"x"),
    ("Leia me.docx", b"x"),
    ("pasta/README", b"x"),
    ("backup.sql.md5", b"x"),
]


@pytest.mark.parametrize("layer", ["zip", "gzip", "tar"])
@pytest.mark.parametrize("at", [0, 3, len(BESIDE)])
def test_what_is_plainly_no_dump_is_passed_over(tmp_path: Path, layer: str, at: int) -> None:
    entries = [*BESIDE[:at], ("pasta/backup.sql", PLAIN), *BESIDE[at:]]
    if layer == "tar":
        content = tarred(*[(name, data) for name, data in entries if not name.endswith("/")])
    else:
        content = zipped(*entries) if layer == "zip" else gzip.compress(zipped(*entries), 1)
    (tmp_path / "x").write_bytes(content)
    found = inspect(tmp_path / "x")
    assert (found.kind, found.layers[-1]) == ("plain", "tar" if layer == "tar" else "zip")
    assert read(tmp_path / "x", found.layers) == PLAIN


@pytest.mark.parametrize("name", ["backup.sql", "backup.txt", "esus", "leia.backup", "readmedo.sql", "log", "dump.2026", "x.html"])
def test_what_may_be_a_dump_is_not_passed_over(tmp_path: Path, name: str) -> None:
    (tmp_path / "x").write_bytes(zipped((name, PLAIN)))
    assert inspect(tmp_path / "x").kind == "plain"
    (tmp_path / "x").write_bytes(zipped(("a", PLAIN), (name, b"")))
    with pytest.raises(PecError, match="must hold one file"):
        inspect(tmp_path / "x")


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
        inspect(tmp_path / "a.zip")


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
        inspect(tmp_path)


SUM = hashlib.sha256(PLAIN).hexdigest()
WRONG = "ab" * 32


@pytest.mark.parametrize("pack", [zipped, tarred])
@pytest.mark.parametrize(
    "line",
    [
        pytest.param(f"{SUM}  backup.sql\n", id="sha256sum"),
        pytest.param(f"{SUM.upper()} *pasta/backup.sql\r\n", id="binary, capitals, CRLF"),
        pytest.param(f"{WRONG}  other\n{SUM}  pasta\\backup.sql", id="of several, Windows"),
    ],
)
def test_a_list_of_sums_beside_the_dump(tmp_path: Path, pack: Any, line: str) -> None:
    path = tmp_path / "exported"
    kept = ("configuracao-pec/chaves/a.pfx", b"x")
    path.write_bytes(pack(("SHA256SUMS.txt", line.encode()), ("backup.sql", PLAIN), kept))
    found = inspect(path)
    assert (found.summed, read(path, found.layers)) == (True, PLAIN)
    path.write_bytes(pack(("SHA256SUMS.txt", line.replace(SUM, WRONG).replace(SUM.upper(), WRONG).encode()), ("backup.sql", PLAIN), kept))
    with pytest.raises(PecError, match=r"backup\.sql does not have the SHA-256 in the list beside it; copy it again from its source"):
        read(path, found.layers)


@pytest.mark.parametrize(
    "entries",
    [
        pytest.param([("a.sql", PLAIN)], id="none"),
        pytest.param([("SHA256SUMS", f"{WRONG}  b.sql".encode()), ("a.sql", PLAIN)], id="of another file"),
        pytest.param([("SHA256SUMS", f"{WRONG[1:]}  a.sql".encode()), ("a.sql", PLAIN)], id="no SHA-256"),
        pytest.param([("LEIA-ME.txt", f"{WRONG}  a.sql".encode()), ("a.sql", PLAIN)], id="not in a list"),
        pytest.param([("a.sql", PLAIN), ("SHA256SUMS", f"{WRONG}  a.sql".encode())], id="after the dump"),
        pytest.param([("SHA256SUMS", b" " * (1 << 17) + f"\n{WRONG}  a.sql".encode()), ("a.sql", PLAIN)], id="endless"),
    ],
)
@pytest.mark.parametrize("pack", [zipped, tarred])
def test_a_list_that_does_not_name_the_dump_counts_as_none(tmp_path: Path, pack: Any, entries: list[tuple[str, bytes]]) -> None:
    path = tmp_path / "exported"
    path.write_bytes(pack(*entries))
    found = inspect(path)
    assert (found.summed, read(path, found.layers)) == (False, PLAIN)
