# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads a zip with one file forward, because the output of a decryption cannot seek. Private to the collection."""

from __future__ import annotations

import struct
import zipfile
import zlib
from typing import BinaryIO

from ansible_collections.esus.pec.plugins.module_utils.errors import PecError

_CHUNK = 1 << 18
_LOCAL = b"PK\x03\x04"
_CENTRAL = b"PK\x01\x02"
_DESCRIPTOR = b"PK\x07\x08"
_ENCRYPTED, _SIZE_FOLLOWS = 1, 8
_STORED, _DEFLATED = 0, 8
_ZIP64_EXTRA = 1


class ZipStream:
    """The content of the only file in a zip. C(path) is the archive's name in errors.

    Raises zipfile.BadZipFile when the zip is damaged or cut off, PecError when it has another file.
    """

    def __init__(self, source: BinaryIO, path: str) -> None:
        self._source = source
        self._path = path
        self._ahead = b""
        fields = struct.unpack("<4sHHHHHIIIHH", self._take(30))
        signature, _needs, self._flags, method, _time, _date, self._crc, size, _full, name_length, extra_length = fields
        if signature != _LOCAL:
            raise zipfile.BadZipFile("it does not begin with a file")
        self.name = self._take(name_length).decode("utf-8", "replace")
        extra = self._take(extra_length)
        if self._flags & _ENCRYPTED:
            raise NotImplementedError("a password")
        if method == _STORED and not self._flags & _SIZE_FOLLOWS:
            self._left = _stored_size(size, extra)
            self._inflate = None
        elif method == _DEFLATED:
            self._inflate = zlib.decompressobj(-zlib.MAX_WBITS)
        else:
            raise NotImplementedError(f"compression method {method}")
        self._found = 0
        self._ended = False

    def read(self, size: int) -> bytes:
        """Return up to this many bytes, none at the end."""
        while not self._ended:
            data = self._read(size)
            if data:
                self._found = zlib.crc32(data, self._found)
                return data
            if self._at_end():
                self._ended = True
                self._check_end()
        return b""

    def _read(self, size: int) -> bytes:
        if self._inflate is None:
            data = self._take(min(size, self._left, _CHUNK))
            self._left -= len(data)
            return data
        if self._inflate.eof:
            return b""
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

    def _check_end(self) -> None:
        """Check the checksum. If it follows in a descriptor, that may have a signature, and its sizes have 4 or 8 bytes each."""
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
        if following == _LOCAL:
            raise PecError(
                f"{self._path} must hold one file, the dump, and holds more than {self.name}; unpack it and give the path of the dump"
            )
        if following != _CENTRAL:
            raise zipfile.BadZipFile("it has no list of its files")

    def _take(self, size: int) -> bytes:
        while len(self._ahead) < size:
            data = self._source.read(_CHUNK)
            if not data:
                raise zipfile.BadZipFile("it is cut off")
            self._ahead += data
        taken, self._ahead = self._ahead[:size], self._ahead[size:]
        return taken


def _stored_size(size: int, extra: bytes) -> int:
    at = 0
    while size == 0xFFFFFFFF and at + 4 <= len(extra):
        kind, length = struct.unpack("<HH", extra[at : at + 4])
        if kind == _ZIP64_EXTRA and length >= 16:
            (_full, packed) = struct.unpack("<QQ", extra[at + 4 : at + 20])
            return int(packed)
        at += 4 + length
    return size
