# SPDX-License-Identifier: GPL-3.0-or-later
"""Hostile dumps, generated where a test needs them: four tables of what somebody may send us.

PLAIN: SQL that attacks whoever restores it (hostile_sql). DIRECTORY: dumps in the directory format that read other files. BOMBS: small
files that fill the memory of whoever reads them. MANIFESTS: manifests that break whoever lists the dumps beside them.
"""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import os
import re
import socket
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hostile_sql import GOOD, HEAD, PLAIN, TAIL, Attack

__all__ = ["BOMBS", "DIRECTORY", "GOOD", "MANIFESTS", "PLAIN", "Attack", "Bomb", "Tampering", "contents"]

MIB = 1 << 20

# --- DIRECTORY ----------------------------------------------------------------------------------------------------


def _integer(value: int, size: int = 4) -> bytes:
    return b"\0" + value.to_bytes(size, "little")


def contents(*names: str, integer_size: int = 4, version: tuple[int, int] = (1, 14)) -> bytes:
    """A table of contents that names these files, as far as a reader of names needs it: pg_restore itself cannot read it."""
    header = b"PGDMP" + bytes([*version, 0, integer_size, 8, 3]) + b"\1" + (1).to_bytes(integer_size, "little")
    texts = ("esus", "15.18 (Debian 15.18-0+deb12u1)", "15.18", *names)
    return header + _integer(7, integer_size) * 7 + b"".join(_integer(len(text), integer_size) + text.encode() for text in texts)


@dataclass(frozen=True)
class Tampering:
    """What it does to a good dump in the directory format, so that pg_restore reads the file C(secret); C(says) is in our error."""

    tries: str
    apply: Callable[[Path, Path], None]
    says: str

    def __call__(self, dump: Path, secret: Path) -> None:
        """Tamper with the dump."""
        self.apply(dump, secret)


def _up(dump: Path, secret: Path) -> str:
    return os.path.relpath(secret.resolve(), dump.resolve()) if secret.is_absolute() else str(secret)


def _large_object(line: str) -> Callable[[Path, Path], None]:
    """Put this line into the list of large objects."""

    def apply(dump: Path, secret: Path) -> None:
        found = [path for path in dump.iterdir() if path.name.endswith(".toc")]
        path = found[0] if found else dump / "blobs.toc"
        before = path.read_text() if found else ""
        path.write_text(before + line.format(up=_up(dump, secret), path=secret))

    return apply


def _file_name(shape: str) -> Callable[[Path, Path], None]:
    """Let the rows of a table come from another file: the name is a text behind its length."""

    def apply(dump: Path, secret: Path) -> None:
        path = dump / "toc.dat"
        data = path.read_bytes()
        old = re.search(rb"\0(....)\d+\.dat", data, re.DOTALL)
        assert old is not None and int.from_bytes(old.group(1), "little") == len(old.group()) - 5
        new = shape.format(up=_up(dump, secret), path=secret).encode()
        path.write_bytes(data[: old.start()] + _integer(len(new)) + new + data[old.end() :])

    return apply


def _in_place_of_a_file(make: Callable[[Path, Path], None]) -> Callable[[Path, Path], None]:
    def apply(dump: Path, secret: Path) -> None:
        path = next(path for path in sorted(dump.iterdir()) if path.name != "toc.dat")
        path.unlink()
        make(path, secret)

    return apply


def _socket(path: Path, _secret: Path) -> None:
    here = os.getcwd()
    os.chdir(path.parent)  # a socket's path is short
    try:
        socket.socket(socket.AF_UNIX).bind(path.name)
    finally:
        os.chdir(here)


def _more(name: str | bytes, data: bytes = b"x\n") -> Callable[[Path, Path], None]:
    def apply(dump: Path, _secret: Path) -> None:
        with open(os.path.join(os.fsencode(dump), os.fsencode(name)), "wb") as file:
            file.write(data)

    return apply


def _contents(change: Callable[[bytes], bytes]) -> Callable[[Path, Path], None]:
    def apply(dump: Path, _secret: Path) -> None:
        path = dump / "toc.dat"
        path.write_bytes(change(path.read_bytes()))

    return apply


def _moved(dump: Path, _secret: Path) -> None:
    path = dump / "toc.dat"
    (dump / "toc.dat.gz").write_bytes(gzip.compress(path.read_bytes()))
    path.unlink()


def _linked_contents(dump: Path, _secret: Path) -> None:
    (dump / "toc.dat").rename(dump.parent / "toc.dat")
    (dump / "toc.dat").symlink_to(dump.parent / "toc.dat")


_LARGE = "names a file that is not a large object of the dump"
_OUTSIDE = "names a file outside of the dump"
_NO_PART = "no part of a dump by pg_dump"
DIRECTORY: dict[str, Tampering] = {
    "large object above": Tampering("a large object is another file", _large_object("4711 {up}\n"), _LARGE),
    "large object by its path": Tampering("a large object is another file", _large_object("4711 /" + "../" * 9 + "{path}\n"), _LARGE),
    "large object in a directory": Tampering("a large object is another file", _large_object("4711 x/{up}\n"), _LARGE),
    "large object behind blanks": Tampering("a large object is another file", _large_object("4711 \t {up}\n"), _LARGE),
    "large object behind a good name": Tampering("two names in a line", _large_object("4711 blob_4711.dat {up}\n"), _LARGE),
    "large object without a line end": Tampering("the last line has no end", _large_object("4711 {up}"), _LARGE),
    "large object with CR": Tampering("a name ends at CR", _large_object("4711 blob_1.dat\r\n"), _LARGE),
    "large object with a byte 0": Tampering("a name ends at a byte 0", _large_object("4711 {up}\0.dat\n"), _LARGE),
    "large object with a long name": Tampering("a name is too long", _large_object("4711 " + "x" * 5000 + "\n"), _LARGE),
    "large object of another kind": Tampering("a large object is the list itself", _large_object("4711 toc.dat\n"), _LARGE),
    "rows from above": Tampering("the rows of a table are another file", _file_name("{up}"), _OUTSIDE),
    "rows from above with a point": Tampering("the same", _file_name("./{up}"), _OUTSIDE),
    "rows from above with slashes": Tampering("the same", _file_name(".//./{up}"), _OUTSIDE),
    "rows from a path": Tampering("the same", _file_name("/../../../../../../../../..{path}"), _OUTSIDE),
    "rows from above with a byte 0": Tampering("the same", _file_name("{up}\0" + "x" * 50), _OUTSIDE),
    "rows from the directory above": Tampering("the same", _file_name(".."), _OUTSIDE),
    "a link": Tampering("a file is a link", _in_place_of_a_file(lambda path, secret: path.symlink_to(secret)), "symbolic link|Too many"),
    "a FIFO": Tampering("a file that never ends", _in_place_of_a_file(lambda path, _secret: os.mkfifo(path)), "FIFO"),
    "a socket": Tampering("a file that is none", _in_place_of_a_file(_socket), "socket"),
    "a directory": Tampering("a file that is none", _in_place_of_a_file(lambda path, _secret: path.mkdir()), "a directory, not"),
    "the list is a link": Tampering("the list is a link", _linked_contents, "symbolic link|Too many"),
    "the list is packed": Tampering("pg_restore reads toc.dat.gz, we do not", _moved, "it has no toc.dat"),
    "a list of large objects that is packed": Tampering("pg_restore reads blobs.toc.gz", _more("blobs.toc.gz"), _NO_PART),
    "a hidden file": Tampering("a file that pg_dump does not make", _more(".profile"), _NO_PART),
    "a name with a line break": Tampering("the same", _more("1.dat\n"), _NO_PART),
    "a name for a terminal": Tampering("a name that controls a terminal", _more("\x1b]0;x\x07.dat"), _NO_PART),
    "a name in no encoding": Tampering("a name that is no text", _more(b"\xff\xfe.dat"), _NO_PART),
    "another list": Tampering("a list that is none", _contents(lambda _data: b"PGDMX"), "not the table of contents"),
    "longer integers": Tampering(
        "lengths that a search for names misreads", _contents(lambda data: data[:8] + b"\x08" + data[9:]), "not the"
    ),
    "an old list": Tampering("lengths without a sign", _contents(lambda data: data[:5] + b"\1\0" + data[7:]), "not the table of contents"),
}

# --- BOMBS --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Bomb:
    """A small file, and a part of the error that must come before it fills the memory; an empty C(says): it is only large, and read."""

    says: str
    pieces: Callable[[], Iterator[bytes]]

    def write(self, path: Path) -> None:
        """Write it."""
        with open(path, "wb") as file:
            for piece in self.pieces():
                file.write(piece)


_PLAIN_HEAD = HEAD.encode()
_PLAIN_TAIL = TAIL.encode()


def _gzipped(data: bytes) -> bytes:
    return gzip.compress(data, 9, mtime=0)


def _repeated(unit: bytes, total: int) -> Iterator[bytes]:
    """Members of gzip, which its program reads one after the other: so gigabytes are made in a moment."""
    member = _gzipped(unit * (16 * MIB // len(unit)))
    for _member in range(total // (16 * MIB)):
        yield member


def _endless(begin: bytes, unit: bytes, total: int = 64 * MIB) -> Callable[[], Iterator[bytes]]:
    def pieces() -> Iterator[bytes]:
        yield _gzipped(_PLAIN_HEAD + begin)
        yield from _repeated(unit, total)

    return pieces


def _tar_header(kind: bytes, size: int, name: str = "backup.sql") -> bytes:
    member = tarfile.TarInfo(name)
    member.type, member.size = kind, size
    return member.tobuf(tarfile.GNU_FORMAT)


def _tar_minus_one() -> Iterator[bytes]:
    """A header with the size -1, of which a reader may make "all that follows"."""
    header = bytearray(_tar_header(tarfile.XHDTYPE, 0))
    header[124:136] = b"-0000000001\0"
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    yield _gzipped(bytes(header))
    yield from _repeated(b"\0", 2048 * MIB)


def _tar_with(kind: bytes, unit: bytes = b"\0", size: int = 2048 * MIB) -> Callable[[], Iterator[bytes]]:
    def pieces() -> Iterator[bytes]:
        yield _gzipped(_tar_header(kind, size))
        yield from _repeated(unit, size)
        yield _gzipped(_tar_header(tarfile.REGTYPE, 5))

    return pieces


def _tar_of(*entries: bytes, times: int = 1) -> Callable[[], Iterator[bytes]]:
    def pieces() -> Iterator[bytes]:
        unit = b"".join(entries)
        yield _gzipped(unit * times)

    return pieces


def _pax(text: bytes) -> bytes:
    return _tar_header(tarfile.XHDTYPE, len(text)) + text + bytes(-len(text) % 512)


def _zstd(window_log: int, content: bytes, total: int) -> Callable[[], Iterator[bytes]]:
    """A frame that asks for a window of this size, and then repeats one byte in blocks of 4 bytes."""

    def pieces() -> Iterator[bytes]:
        yield b"\x28\xb5\x2f\xfd" + b"\0" + bytes([(window_log - 10) << 3])
        yield (len(content) << 3).to_bytes(3, "little") + content
        block = ((128 << 10) << 3 | 1 << 1).to_bytes(3, "little") + b"\n"
        yield block * (total // (128 << 10))
        tail = _PLAIN_TAIL
        yield (len(tail) << 3 | 1).to_bytes(3, "little") + tail

    return pieces


def _zip(names: Callable[[], Iterator[tuple[str, bytes]]], change: Callable[[bytearray], None] = lambda _data: None) -> Any:
    def pieces() -> Iterator[bytes]:
        target = io.BytesIO()
        with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, data in names():
                archive.writestr(zipfile.ZipInfo(name), data)
        data = bytearray(target.getvalue())
        change(data)
        yield bytes(data)

    return pieces


def _one_and(many: int, name: Callable[[int], str] = "{:x}".format) -> Callable[[], Iterator[tuple[str, bytes]]]:
    def names() -> Iterator[tuple[str, bytes]]:
        yield "backup.sql", GOOD.dump()
        for number in range(many):
            yield name(number), b""

    return names


def _zip_with_list(total: int) -> Callable[[], Iterator[bytes]]:
    """A zip whose list of files is said to be, and is, of this size: one entry with the longest name and fields again and again."""

    def pieces() -> Iterator[bytes]:
        data = GOOD.dump()
        packer = zlib.compressobj(9, zlib.DEFLATED, -15)
        packed = packer.compress(data) + packer.flush()
        local = struct.pack("<4sHHHHHIIIHH", b"PK\3\4", 20, 0, 8, 0, 33, zlib.crc32(data), len(packed), len(data), 5, 0) + b"a.sql" + packed
        entry = struct.pack(
            "<4sHHHHHHIIIHHHHHII", b"PK\1\2", 20, 20, 0, 8, 0, 33, zlib.crc32(data), len(packed), len(data), 65535, 65535, 65535, 0, 0, 0, 0
        ) + bytes(3 * 65535)
        count = total // len(entry)
        yield _gzipped(local)
        for _group in range(count // 80):
            yield _gzipped(entry * 80)
        entries = count // 80 * 80
        yield _gzipped(struct.pack("<4sHHHHIIH", b"PK\5\6", 0, 0, entries & 0xFFFF, entries & 0xFFFF, entries * len(entry), len(local), 0))

    return pieces


def _xz(window: int) -> Callable[[], Iterator[bytes]]:
    """Rows that fill a window of the size that this number stands for in a header of xz."""

    def pieces() -> Iterator[bytes]:
        packer = lzma.LZMACompressor(lzma.FORMAT_XZ, preset=0)
        begin = _PLAIN_HEAD + b"COPY x FROM stdin;\n"
        data = bytearray(b"".join(packer.compress(piece) for piece in (begin, *[b"x\n" * (MIB // 2)] * 160)) + packer.flush())
        end = 12 + (data[12] + 1) * 4 - 4  # of the block's header, which begins after the stream's
        data[data.index(b"\x21\x01", 12) + 2] = window
        data[end : end + 4] = struct.pack("<I", zlib.crc32(data[12:end]))
        yield bytes(data)

    return pieces


def _bzip2() -> Iterator[bytes]:
    packer = bz2.BZ2Compressor()
    for piece in (_PLAIN_HEAD + b"SELECT '", *[b"x" * MIB] * 64):
        yield packer.compress(piece)
    yield packer.flush()


def _deflated(begin: bytes, unit: bytes, total: int, name: bytes = b"a.sql") -> Callable[[], Iterator[bytes]]:
    """A zip of one entry that is much larger than the zip."""

    def pieces() -> Iterator[bytes]:
        packer, check, size = zlib.compressobj(9, zlib.DEFLATED, -15), 0, 0
        packed = []
        for piece in (begin, *[unit * (MIB // len(unit))] * (total // MIB)):
            packed.append(packer.compress(piece))
            check, size = zlib.crc32(piece, check), size + len(piece)
        body = b"".join(packed) + packer.flush()
        yield struct.pack("<4sHHHHHIIIHH", b"PK\3\4", 20, 0, 8, 0, 33, check, len(body), size, 5, 0) + name + body
        yield struct.pack("<4sHHHHHHIIIHHHHHII", b"PK\1\2", 20, 20, 0, 8, 0, 33, check, len(body), size, 5, 0, 0, 0, 0, 0, 0) + name
        yield struct.pack("<4sHHHHIIH", b"PK\5\6", 0, 0, 1, 1, 51, 35 + len(body), 0)

    return pieces


def _nested(layers: int) -> Callable[[], Iterator[bytes]]:
    def pieces() -> Iterator[bytes]:
        data = GOOD.dump()
        for _layer in range(layers):
            data = _gzipped(data)
        yield data

    return pieces


def _age_header() -> Iterator[bytes]:
    """What is encrypted to very many recipients, of whom each has a very long text."""
    yield _gzipped(b"age-encryption.org/v1\n")
    stanza = b"-> x " + b"a" * 60 + b"\n" + (b"A" * 64 + b"\n") * 200 + b"AAAA\n"
    member = _gzipped(stanza * 1000)
    for _member in range(80):
        yield member


def _liar(offset: int, data: bytes) -> Callable[[bytearray], None]:
    """Overwrite what stands so many bytes after the end record's beginning, or in the list for a negative number."""

    def change(archive: bytearray) -> None:
        at = archive.rindex(b"PK\5\6") + offset if offset >= 0 else archive.rindex(b"PK\1\2") - offset
        archive[at : at + len(data)] = data

    return change


_TOO_LONG = "which would fill the memory"
_SEVERAL = "must hold one file"
_LARGE_HEADER = "has a header of"
BOMBS: dict[str, Bomb] = {
    "a header of pax": Bomb(_LARGE_HEADER, _tar_with(tarfile.XHDTYPE)),
    "a global header of pax": Bomb(_LARGE_HEADER, _tar_with(tarfile.XGLTYPE)),
    "a long name": Bomb(_LARGE_HEADER, _tar_with(tarfile.GNUTYPE_LONGNAME, b"x")),
    "a long link": Bomb(_LARGE_HEADER, _tar_with(tarfile.GNUTYPE_LONGLINK, b"x")),
    "a header of Solaris": Bomb(_LARGE_HEADER, _tar_with(tarfile.SOLARIS_XHDTYPE)),
    "an unknown entry": Bomb(_LARGE_HEADER, _tar_with(b"Z")),
    "a header with a negative size": Bomb("damaged", _tar_of(_tar_header(tarfile.XHDTYPE, -(1 << 40)))),
    "a header with the size -1": Bomb("damaged", _tar_minus_one),
    "headers of pax, thousands": Bomb("entries that are no file", _tar_of(_pax(b"20 comment=xxxxxxxx\n"), times=20000)),
    "global headers, thousands": Bomb(
        "entries that are no file", _tar_of(_tar_header(tarfile.XGLTYPE, 20) + b"20 comment=xxxxxxxx\n" + bytes(492), times=20000)
    ),
    "directories, a million": Bomb("entries that are no file", _tar_of(_tar_header(tarfile.DIRTYPE, 0, "x/"), times=200000)),
    "a sparse file of pax": Bomb(
        "a sparse file", _tar_of(_pax(b"24 GNU.sparse.major=1\n" + b"30 GNU.sparse.realsize=9999999\n"), _tar_header(b"0", 512), bytes(512))
    ),
    "a sparse file of GNU": Bomb("a sparse file", _tar_of(_tar_header(tarfile.GNUTYPE_SPARSE, 512), bytes(512))),
    "a file without its end": Bomb("damaged", _tar_of(_tar_header(b"0", 1 << 40), b"-- PostgreSQL database dump\n" + bytes(100000))),
    "a window of 2 GiB": Bomb("window of more than 128 MiB", _zstd(31, _PLAIN_HEAD, 2048 * MIB)),
    "a window of 256 MiB": Bomb("window of more than 128 MiB", _zstd(28, _PLAIN_HEAD, 256 * MIB)),
    "a window of 128 MiB": Bomb(_TOO_LONG, _zstd(27, _PLAIN_HEAD, 256 * MIB)),
    "a window of xz of 512 MiB": Bomb("window of more than 128 MiB", _xz(34)),
    "a window of xz of 128 MiB": Bomb("cut off", _xz(30)),
    "bzip2 of a long line": Bomb(_TOO_LONG, _bzip2),
    "a large file beside the dump": Bomb(
        "with more than 64 MiB", lambda: iter([_gzipped(b"".join(_deflated(b"", b"x", 80 * MIB, b"a.pdf")()))])
    ),
    "a header of age": Bomb("a header that takes too much memory", _age_header),
    "five layers of gzip": Bomb("packed too many times", _nested(5)),
    "a zip with 65000 files": Bomb(_SEVERAL, _zip(_one_and(65000))),
    "a zip with 2000 directories": Bomb(_SEVERAL, _zip(lambda: ((f"{number}/", b"") for number in range(2000)))),
    "a zip with names of 64 KiB": Bomb(_SEVERAL, _zip(_one_and(100, lambda number: f"{number}" + "x" * 65000))),
    "a zip with a list of 256 MiB": Bomb(_SEVERAL, _zip_with_list(256 * MIB)),
    "a zip whose list is said to be large": Bomb(_SEVERAL, _zip(_one_and(0), _liar(12, b"\xf0\xff\xff\xff"))),
    "a zip whose list is elsewhere": Bomb(_SEVERAL, _zip(_one_and(0), _liar(16, b"\xf0\xff\xff\x7f"))),
    "a zip that claims to have 8-byte sizes": Bomb("", _zip(_one_and(0), _liar(12, b"\xff" * 8))),
    "a zip of a long line": Bomb(_TOO_LONG, _deflated(_PLAIN_HEAD + b"SELECT '", b"x", 64 * MIB)),
    "a zip of many rows": Bomb("cut off", _deflated(_PLAIN_HEAD + b"COPY x FROM stdin;\n", b"x\n", 64 * MIB)),
    "a dollar quote": Bomb(_TOO_LONG, _endless(b"SELECT $x$", b"$y$\n")),
    "a string": Bomb(_TOO_LONG, _endless(b"SELECT '", b"x\n")),
    "a line of a string": Bomb(_TOO_LONG, _endless(b"SELECT '", b"x")),
    "a name": Bomb(_TOO_LONG, _endless(b'SELECT "', b"x")),
    "a word": Bomb(_TOO_LONG, _endless(b"SELECT ", b"x")),
    "a comment": Bomb("is not SQL", _endless(b"--", b"x")),
    "a comment of many lines": Bomb(_TOO_LONG, _endless(b"/*", b"x\n")),
    "nested comments": Bomb(_TOO_LONG, _endless(b"", b"/*" + b"x" * 62)),
    "blanks": Bomb(_TOO_LONG, _endless(b"SELECT", b" \n")),
    "nothing": Bomb(_TOO_LONG, _endless(b"", b"\n")),
    "columns of COPY": Bomb("COPY x", _endless(b"COPY x (a", b", aaaaaa")),
    "a row": Bomb("cut off", _endless(b"COPY x FROM stdin;\n", b"x")),
    "a meta-command": Bomb("\\restrict", _endless(b"\\restrict ", b"x")),
    "a beginning without a line end": Bomb("not a dump by pg_dump", lambda: iter([_gzipped(b"-- "), *_repeated(b"x", 64 * MIB)])),
    "a custom dump with long texts": Bomb("", lambda: iter([contents()[:10] + b"\1\1\0\0\0" + (_integer(0x7FFFFFF0)) * 10, bytes(100000)])),
}

# --- MANIFESTS ----------------------------------------------------------------------------------------------------


def _with(**changes: Any) -> Callable[[dict[str, Any]], bytes]:
    return lambda good: json.dumps({**good, **changes}).encode()


def _inside(field: str, **changes: Any) -> Callable[[dict[str, Any]], bytes]:
    return lambda good: json.dumps({**good, field: {**(good[field] or {}), **changes}}).encode()


def _literal(field: str, value: str) -> Callable[[dict[str, Any]], bytes]:
    """A value that Python's json does not write."""
    return lambda good: json.dumps({**good, field: "@HERE@"}).replace('"@HERE@"', value).encode()


_WRONG_TEXTS = (5, None, True, ["x"], {"x": 1})
_WRONG_NUMBERS = ("5", -1, 1.5, None, True, [1], 1 << 70)
_WRONG_TIMES = (5, None, "", "soon", "2026-13-01T00:00:00Z", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "2026-11-22", ["x"])
_WRONG_NAMES = ("../x", "/etc/shadow", "..", ".", "", "a/b", "a\n", "\x1b[2J", "\ud800", 5, None)

# Each makes the bytes of a manifest from a good one: none of them is usable, and none may keep the others from being used.
MANIFESTS: dict[str, Callable[[dict[str, Any]], bytes]] = {
    **{
        f"{field}: {value!r}": _with(**{field: value})
        for fields, values in (
            (("format", "database", "host", "server_version", "kept_by", "municipality"), _WRONG_TEXTS),
            (("bytes", "database_bytes", "server_version_num"), _WRONG_NUMBERS),
            (("started", "ended"), _WRONG_TIMES),
            (("name",), _WRONG_NAMES),
            (("recipients", "excluded_table_data", "notes"), ("x", 5, None, {"x": 1}, [5], [None], [["x"]])),
            (("schema_only",), (0, "false", None)),
            (("training",), (0, "false")),
            (("duration_seconds",), ("5", -1, None, True)),
            (("contents",), (None, 5, [], "x", {})),
            (("fingerprint",), (5, [], "x", {})),
            (("attachment",), (5, [], "x", {})),
            (
                ("files",),
                (5, [], "x", {"../x": [1, "a"]}, {"a": 5}, {"a": [1]}, {"a": ["1", "a"]}, {"a": [1, 2]}, {"/etc/shadow": [1, "a"]}),
            ),
            (("toc_entries",), ("5", -1)),
            (("pec_version",), (5, ["x"])),
            (("schema",), (None, 0, "1", [1], {"a": 1}, 2)),
        )
        for field in fields
        for value in values
    },
    "contents without tables": _inside("contents", objects={}),
    "contents with a text": _inside("contents", objects={"tables": "3"}),
    "contents with a list": _inside("contents", objects=[]),
    "contents with a sequence of text": _inside("contents", sequences={"public.s": "x"}),
    "contents with large objects of text": _inside("contents", large_objects="x"),
    "fingerprint with a text": _with(fingerprint={"method": "rows-hash64", "rows": "x", "digest": "d", "tables": {}}),
    "fingerprint with a table of text": _with(fingerprint={"method": "rows-hash64", "rows": 1, "digest": "d", "tables": {"a": "xy"}}),
    "fingerprint with a short table": _with(fingerprint={"method": "rows-hash64", "rows": 1, "digest": "d", "tables": {"a": [1]}}),
    "fingerprint with a table of objects": _with(fingerprint={"method": "m", "rows": 1, "digest": "d", "tables": {"a": [{}, []]}}),
    "attachment above": _with(attachment={"name": "../x", "bytes": 1, "sha256": "x", "paths": []}),
    "attachment of another dump": _with(attachment={"name": "good.dump", "bytes": 1, "sha256": "x", "paths": []}),
    "attachment is its manifest": lambda good: _with(attachment={"name": f"{good['name']}.json", "bytes": 1, "sha256": "x", "paths": []})(
        good
    ),
    "attachment of text": _with(attachment={"name": "x", "bytes": "1", "sha256": "x", "paths": []}),
    "attachment without paths": _with(attachment={"name": "x", "bytes": 1, "sha256": "x"}),
    "attachment with numbers": _with(attachment={"name": "x", "bytes": 1, "sha256": "x", "paths": [1]}),
    "infinite": _literal("duration_seconds", "Infinity"),
    "no number": _literal("duration_seconds", "NaN"),
    "a number out of range": _literal("duration_seconds", "1e999"),
    "a number of a million digits": _literal("bytes", "9" * 1000000),
    "nested": _literal("notes", "[" * 100000 + "]" * 100000),
    "nested objects": lambda _good: b'{"a":' * 100000 + b"1" + b"}" * 100000,
    "a million values": _literal("notes", "[" + "0," * 1000000 + "0]"),
    "eight megabytes of lists": lambda _good: b'{"schema": 1, "notes": [' + b"[]," * 2700000 + b"[]]}",
    "larger than allowed": lambda good: json.dumps(good).encode() + b" " * (9 * MIB),
    "empty": lambda _good: b"",
    "no JSON": lambda _good: b"{",
    "a list": lambda _good: b'["schema"]',
    "a text": lambda _good: b'"schema"',
    "null": lambda _good: b"null",
    "only a schema": lambda _good: b'{"schema": 1}',
    "not in UTF-8": lambda good: json.dumps(good).encode().replace(b"pt_BR", b"pt\xff\xfe"),
    "UTF-16": lambda good: json.dumps(good).encode("utf-16"),
    "bytes 0": lambda _good: bytes(4096),
    "more behind it": lambda good: json.dumps(good).encode() + b"{}",
}
