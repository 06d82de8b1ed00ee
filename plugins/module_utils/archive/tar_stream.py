# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads a tar with one file forward, and holds none of its headers. Private to the collection.

tarfile keeps in memory what the headers of pax and GNU hold, which may be gigabytes in a small archive.
"""

from __future__ import annotations

import re
import tarfile
from typing import BinaryIO

from ansible_collections.esus.pec.plugins.module_utils.archive import beside
from ansible_collections.esus.pec.plugins.module_utils.errors import PecError, printable

_BLOCK = 512
_CHUNK = 1 << 20
_LONGEST_HEADER = 1 << 20
_MOST_ENTRIES = 10000  # that are no file
_SHOWN = 200
_OCTAL = re.compile(rb"[0-7]+")
_PAX_SIZE = re.compile(rb"(?:\A|\n)\d+ size=(\d{1,18})\n")
_PAX_NAME = re.compile(rb"(?:\A|\n)\d+ path=([^\n]*)\n")
_PAX_SPARSE = re.compile(rb"(?:\A|\n)\d+ GNU\.sparse\.")
_REGULAR = (tarfile.REGTYPE, tarfile.AREGTYPE, tarfile.CONTTYPE)
_WITHOUT_CONTENT = (tarfile.LNKTYPE, tarfile.SYMTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.DIRTYPE, tarfile.FIFOTYPE)


class TarStream:
    """The content of the only file in a tar. C(path) is the archive's name in errors; C(summed) is whether it lists the dump's SHA-256.

    Raises tarfile.ReadError when the tar is damaged or cut off, PecError when it has another file or none.
    """

    def __init__(self, source: BinaryIO, path: str) -> None:
        self._source = source
        self._path = path
        self._ahead = b""
        self._left = self._padding = 0
        self._sums = beside.Sums()
        self.name = ""
        found = self._next_file()
        if found is None:
            raise PecError(f"{path} holds no file")
        self.name = found
        self.summed = self._sums.begin(found)

    def read(self, size: int) -> bytes:
        """Return up to this many bytes, none at the end."""
        if self._left:
            data = self._take(min(size, self._left, _CHUNK))
            self._left -= len(data)
            self._sums.update(data)
            return data
        if self._padding >= 0:
            self._sums.check(self._path, self.name)
            self._skip(self._padding)
            self._padding = -1
            other = self._next_file()
            if other is not None:
                raise beside.several(self._path, (self.name, other), joint=" and ")
        return b""

    def _next_file(self) -> str | None:
        """Read up to the content of the next regular file that may be a dump. Return its name, None at the end of the archive."""
        pax = b""
        for _entry in range(_MOST_ENTRIES):
            header = self._header()
            if header is None:
                return None
            kind, size = header[156:157], _number(header[124:136])
            if kind == tarfile.XHDTYPE:
                pax = self._small(size)
                if _PAX_SPARSE.search(pax):
                    raise NotImplementedError("a sparse file")
            elif kind in _REGULAR:
                given, name = _PAX_SIZE.search(pax), _PAX_NAME.search(pax)
                self._left = int(given.group(1)) if given else size
                self._padding = -self._left % _BLOCK
                text = (name.group(1) if name else header[:100].rstrip(b"\0")).decode("utf-8", "replace")
                if not beside.is_no_dump(text):
                    return printable(text)[:_SHOWN]
                self._pass_over(printable(text)[:_SHOWN])
                pax = b""
            elif kind in _WITHOUT_CONTENT:
                pax = b""
            elif kind == tarfile.GNUTYPE_SPARSE:
                raise NotImplementedError("a sparse file")
            else:
                self._small(size)
        raise PecError(f"{self._path} holds more than {_MOST_ENTRIES} entries that are no file; unpack it and give the path of the dump")

    def _pass_over(self, name: str) -> None:
        if self._left > beside.LARGEST:
            raise PecError(f"{self._path} holds {name} with more than {beside.LARGEST >> 20} MiB; unpack it and give the path of the dump")
        self._sums.pass_over(name)
        while self._left:
            data = self._take(min(self._left, _CHUNK))
            self._left -= len(data)
            self._sums.passed(data)
        self._skip(self._padding)

    def _header(self) -> bytes | None:
        block = self._take(_BLOCK, may_end=True)
        if not block.strip(b"\0"):
            return None
        if len(block) < _BLOCK:
            raise tarfile.ReadError("it is cut off")
        if _number(block[148:156]) not in tarfile.calc_chksums(block):  # type: ignore[attr-defined]  # typeshed lacks it
            raise tarfile.ReadError("a header has a wrong checksum")
        return block

    def _small(self, size: int) -> bytes:
        """Read what describes the file that follows."""
        if size > _LONGEST_HEADER:
            raise PecError(
                f"{self._path} has a header of {size} bytes, and more than {_LONGEST_HEADER >> 20} MiB are not read; unpack it and give "
                "the path of the dump"
            )
        content = self._take(size)
        self._skip(-size % _BLOCK)
        return content

    def _skip(self, size: int) -> None:
        self._take(size)

    def _take(self, size: int, *, may_end: bool = False) -> bytes:
        pieces, missing = [], size
        while missing:
            data = self._source.read(min(missing, _CHUNK))
            if not data:
                break
            pieces.append(data)
            missing -= len(data)
        if missing and not may_end:
            raise tarfile.ReadError("it is cut off")
        return b"".join(pieces)


def _number(field: bytes) -> int:
    """Return a number in octal digits, or in binary if its first bit is set."""
    if field[0] == 0x80:
        return int.from_bytes(field[1:], "big")
    if field[0] > 0x80:
        raise tarfile.ReadError("a header has a number below 0")
    digits = field.strip(b" \0") or b"0"
    if not _OCTAL.fullmatch(digits):  # int() takes signs too
        raise tarfile.ReadError("a header has no number where one belongs")
    return int(digits, 8)
