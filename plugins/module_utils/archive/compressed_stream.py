# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads what xz and bzip2 compressed forward, with limits of memory and output. Private to the collection."""

from __future__ import annotations

import bz2
import lzma
from collections.abc import Callable
from typing import BinaryIO, Union

_CHUNK = 1 << 16  # what follows a stream is copied once for each one, and there may be thousands of empty ones in a chunk
_MOST_EMPTY = 1000
_XZ_PADDING = b"\0"
_Decompressor = Union[bz2.BZ2Decompressor, lzma.LZMADecompressor]


class DamagedError(Exception):
    """The compressed data is damaged or cut off."""


class TooLargeError(Exception):
    """Reading it takes more memory than it may."""


class CompressedStream:
    """The content of one or several streams of xz or bzip2, one after another. C(memory) limits what xz may take, in bytes.

    Raises DamagedError or TooLargeError. The checksums are those of the formats.
    """

    def __init__(self, source: BinaryIO, kind: str, memory: int) -> None:
        self._source = source
        self._padding = _XZ_PADDING if kind == "xz" else b""
        self._new: Callable[[], _Decompressor] = (
            (lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=memory)) if kind == "xz" else bz2.BZ2Decompressor
        )
        self._decompressor = self._new()
        self._ahead = b""
        self._empty = 0
        self._given = False
        self._ended = False

    def read(self, size: int) -> bytes:
        """Return up to this many bytes, none at the end."""
        while not self._ended:
            if self._decompressor.eof and not self._next_stream():
                break
            data = self._some(size)
            if data:
                self._given = True
                return data
        return b""

    def _some(self, size: int) -> bytes:
        if self._decompressor.needs_input and not self._ahead:
            self._ahead = self._source.read(_CHUNK)
            if not self._ahead:
                raise DamagedError("it is cut off")
        packed, self._ahead = self._ahead, b""
        try:
            return self._decompressor.decompress(packed, size)
        except lzma.LZMAError as error:
            if "limit" in str(error).lower():
                raise TooLargeError from None
            raise DamagedError(str(error)) from None
        except (OSError, ValueError) as error:  # of bz2
            raise DamagedError(str(error)) from None
        except MemoryError:
            raise TooLargeError from None

    def _next_stream(self) -> bool:
        """Begin with the stream that follows; return whether there is one."""
        self._empty = 0 if self._given else self._empty + 1
        self._given = False
        if self._empty > _MOST_EMPTY:
            raise DamagedError("it has thousands of empty parts")
        self._ahead = self._decompressor.unused_data.lstrip(self._padding)
        while not self._ahead:
            data = self._source.read(_CHUNK)
            if not data:
                self._ended = True
                return False
            self._ahead = data.lstrip(self._padding)
        self._decompressor = self._new()
        return True
