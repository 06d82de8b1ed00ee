# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads a zip with one file forward, and holds none of its lists. Private to the collection.

The output of a decryption cannot seek. And zipfile keeps the list of all files in memory, which may be gigabytes in a small archive.
"""

from __future__ import annotations

import os
import struct
import zipfile
import zlib
from collections.abc import Iterator
from typing import BinaryIO

from ansible_collections.esus.pec.plugins.module_utils.archive import beside
from ansible_collections.esus.pec.plugins.module_utils.errors import PecError, printable

_CHUNK = 1 << 18
_LOCAL = b"PK\x03\x04"
_CENTRAL = b"PK\x01\x02"
_DESCRIPTOR = b"PK\x07\x08"
_END = b"PK\x05\x06"
_END_LENGTH, _LONGEST_COMMENT = 22, 0xFFFF
_ENDS = (_END, b"PK\x06\x06")
_ENCRYPTED, _SIZE_FOLLOWS = 1, 8
_STORED, _DEFLATED = 0, 8
_ZIP64_EXTRA = 1
_SHOWN = 200
_MOST_ENTRIES = 1000
_LONGEST_LIST = 1 << 20


class ZipStream:
    """The content of the only file in a zip. C(path) is the archive's name in errors; C(summed) is whether it lists the dump's SHA-256.

    Raises zipfile.BadZipFile when the zip is damaged or cut off, PecError when it has another file or none.
    """

    def __init__(self, source: BinaryIO, path: str) -> None:
        self._source = source
        self._path = path
        self._ahead = b""
        self._entries = 0
        self._ended = False
        self._passed: list[str] = []  # over
        self._sums = beside.Sums()
        self.summed = False
        self.name = ""
        if self._take(4) != _LOCAL:
            raise zipfile.BadZipFile("it does not begin with a file")
        if not self._next_file():
            raise beside.several(self._path, self._passed)

    def read(self, size: int) -> bytes:
        """Return up to this many bytes, none at the end."""
        if self._ended:
            return b""
        data = self._content(size)
        self._sums.update(data)
        if not data:
            self._sums.check(self._path, self.name)
            if self._after_entry() == _LOCAL:
                first = self.name
                if self._next_file():
                    raise beside.several(self._path, (first, self.name), joint=" and ")
                self.name = first
            self._check_list()
            self._ended = True
        return data

    def _next_file(self) -> bool:
        """Read up to the content of the next file, past directories and what is no dump. Return whether there is one.

        If not, the list follows.
        """
        while self._entries < _MOST_ENTRIES:
            other = self._begin_entry()
            if self.name.endswith("/"):
                if self._content(1):
                    raise NotImplementedError("a directory with content")
            elif other:
                self._pass_over()
            else:
                self.summed = self._sums.begin(self.name)
                return True
            if self._after_entry() != _LOCAL:
                return False
        raise PecError(f"{self._path} holds {_MOST_ENTRIES} directories or files that are no dump; unpack it and give the path of the dump")

    def _pass_over(self) -> None:
        self._passed.append(self.name)
        self._sums.pass_over(self.name)
        passed, data = 0, self._content(_CHUNK)
        while data:
            self._sums.passed(data)
            passed += len(data)
            if passed > beside.LARGEST:
                raise PecError(
                    f"{self._path} holds {self.name} with more than {beside.LARGEST >> 20} MiB; unpack it and give the path of the dump"
                )
            data = self._content(_CHUNK)

    def _begin_entry(self) -> bool:
        """Read the header of an entry, after its signature. Return whether it is plainly no dump."""
        fields = struct.unpack("<HHHHHIIIHH", self._take(26))
        _needs, self._flags, method, _time, _date, self._crc, size, _full, name_length, extra_length = fields
        self._entries += 1
        name = self._take(name_length).decode("utf-8", "replace")
        self.name = printable(name if len(name) <= _SHOWN else f"{name[:_SHOWN]}...{name[-1]}")
        extra = self._take(extra_length)
        if self._flags & _ENCRYPTED:
            raise PecError(f"{self._path} is a zip with a password; unpack it first")
        if method == _STORED and (not self._flags & _SIZE_FOLLOWS or self.name.endswith("/")):
            self._left = _stored_size(size, extra)
            self._inflate = None
        elif method == _DEFLATED:
            self._inflate = zlib.decompressobj(-zlib.MAX_WBITS)
        else:
            raise NotImplementedError(f"compression method {method}")
        self._found = 0
        self._ended = False
        return beside.is_no_dump(name)

    def _content(self, size: int) -> bytes:
        """Return up to this many bytes of the entry, none at its end."""
        data = b""
        while not data and not self._at_end():
            data = self._some(size)
        self._found = zlib.crc32(data, self._found)
        return data

    def _some(self, size: int) -> bytes:
        if self._inflate is None:
            data = self._take(min(size, self._left, _CHUNK))
            self._left -= len(data)
            return data
        packed = self._inflate.unconsumed_tail or self._ahead or self._source.read(_CHUNK)
        self._ahead = b""
        if not packed:
            raise zipfile.BadZipFile("it is cut off")
        data = self._inflate.decompress(packed, size)
        if self._inflate.eof:
            self._ahead = self._inflate.unused_data
        return data

    def _at_end(self) -> bool:
        return self._inflate.eof if self._inflate is not None else self._left == 0

    def _after_entry(self) -> bytes:
        """Check the checksum of an entry and return the signature of what follows it.

        If the checksum follows in a descriptor, that may have a signature, and its sizes have 4 or 8 bytes each.
        """
        expected = self._crc
        if self._flags & _SIZE_FOLLOWS:
            first = self._take(4)
            (expected,) = struct.unpack("<I", self._take(4) if first == _DESCRIPTOR else first)
            sizes = self._take(12)
            following = sizes[8:] if sizes[8:] in (_CENTRAL, _LOCAL) else self._take(8)[4:]
        else:
            following = self._take(4)
        if self._found != expected:
            raise zipfile.BadZipFile(f"wrong checksum of {self.name}")
        if following not in (_LOCAL, _CENTRAL):
            raise zipfile.BadZipFile("it has no list of its files")
        return following

    def _check_list(self) -> None:
        """Read the list of all files, after its first signature: it must have as many as were seen, and be whole."""
        listed, signature = 0, _CENTRAL
        while signature == _CENTRAL:
            listed += 1
            lengths = struct.unpack("<HHH", self._take(42)[24:30])
            self._take(sum(lengths))
            if listed > self._entries:
                raise beside.several(self._path, (self.name,), more=f"more than {self.name}")
            signature = self._take(4)
        if signature not in _ENDS or listed != self._entries:
            raise zipfile.BadZipFile("its list of files is damaged")
        self._take(18)

    def _take(self, size: int) -> bytes:
        while len(self._ahead) < size:
            data = self._source.read(_CHUNK)
            if not data:
                raise zipfile.BadZipFile("it is cut off")
            self._ahead += data
        taken, self._ahead = self._ahead[:size], self._ahead[size:]
        return taken


def require_one_file(file: BinaryIO, path: str) -> None:
    """Look at the list at the end of a zip that can seek, to refuse a wrong one before it is read; the file is then at its beginning.

    Raises as ZipStream does, which looks at everything. A list of more than 4 GiB away is left to it.
    """
    end = file.seek(0, os.SEEK_END)
    file.seek(max(0, end - _END_LENGTH - _LONGEST_COMMENT))
    tail = file.read()
    at = tail.rfind(_END)
    if at < 0 or at + _END_LENGTH > len(tail):
        raise zipfile.BadZipFile("it is cut off")
    size, offset = struct.unpack("<II", tail[at + 12 : at + 20])
    if 0xFFFFFFFF not in (size, offset):
        if size > _LONGEST_LIST:
            raise beside.several(path, (), more="more files than are listed here")
        file.seek(offset)
        names = [name for name in _names(file.read(size)) if not name.endswith("/")]
        dumps = [name for name in names if not beside.is_no_dump(name)]
        if len(dumps) != 1:
            raise beside.several(path, [printable(name)[-_SHOWN:] for name in dumps or names])
    file.seek(0)


def _names(listed: bytes) -> Iterator[str]:
    at = 0
    while listed[at : at + 4] == _CENTRAL and at + 46 <= len(listed):
        name, extra, comment = struct.unpack("<HHH", listed[at + 28 : at + 34])
        yield listed[at + 46 : at + 46 + name].decode("utf-8", "replace")
        at += 46 + name + extra + comment


def _stored_size(size: int, extra: bytes) -> int:
    at = 0
    while size == 0xFFFFFFFF and at + 4 <= len(extra):
        kind, length = struct.unpack("<HH", extra[at : at + 4])
        if kind == _ZIP64_EXTRA and length >= 16 and at + 20 <= len(extra):
            (_full, packed) = struct.unpack("<QQ", extra[at + 4 : at + 20])
            return int(packed)
        at += 4 + length
    return size
