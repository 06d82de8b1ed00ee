# SPDX-License-Identifier: GPL-3.0-or-later
"""Text that a shell changed on its way into a plain dump: UTF-16, and accents that were decoded wrongly. Private to the collection.

PowerShell decodes what a program prints with the code page of the console, and writes it with >  as UTF-16 or UTF-8.
"""

from __future__ import annotations

import codecs
import re
from typing import BinaryIO

from ansible_collections.esus.pec.plugins.module_utils.archive.compressed_stream import DamagedError

_CHUNK = 1 << 18
_ENOUGH = 200  # characters that are not ASCII decide
_LONGEST_RUN = 1 << 12
_CODECS = {"UTF8": "utf-8", "UTF-8": "utf-8", "UNICODE": "utf-8", "SQL_ASCII": "utf-8", "LATIN1": "latin-1", "WIN1252": "cp1252"}
_CODE_PAGES = (("cp850", "cp437", "cp858", "cp860"), ("cp1252", "latin-1"), ("mac_roman",))
_BLANKS = b" " * 128 + bytes(range(128, 256))


def _pairs(pages: tuple[str, ...], seconds: range) -> str:
    """Return the pattern of a letter of Latin-1 in UTF-8, two bytes, each of which was read as a character of one of these code pages."""

    def characters(numbers: range) -> str:
        return "".join({bytes([number]).decode(page, "ignore") for page in pages for number in numbers})

    return f"[{re.escape(characters(range(0xC2, 0xC4)))}][{re.escape(characters(seconds))}]"


_PAIR = re.compile("|".join([*(_pairs(pages, range(0x80, 0xC0)) for pages in _CODE_PAGES), "\ufffd"]))
# In good text a capital A with tilde may come before a closing quote, but not before what stands for a small letter.
_SURE = re.compile("|".join([_pairs(_CODE_PAGES[0], range(0x80, 0xC0)), _pairs(_CODE_PAGES[1], range(0xA1, 0xC0))]))


class BrokenAccents:
    """Counts the characters in a plain dump that are not ASCII, until enough of them decide. C(encoding) is the one that the dump names.

    A good database may hold some broken values, so only a dump in which they are most of all is broken itself.
    """

    def __init__(self, encoding: str | None) -> None:
        self._codec = _CODECS.get((encoding or "UTF8").upper())
        self._all = self._broken = 0
        self._sure = False

    @property
    def decided(self) -> bool:
        """Whether enough was seen."""
        return self._codec is None or self._all >= _ENOUGH

    def add(self, data: bytes) -> None:
        """Count in the next piece of the dump."""
        if self._codec is None or self._all >= _ENOUGH or data.isascii():
            return
        for run in data.translate(_BLANKS).split():
            text = run[:_LONGEST_RUN].decode(self._codec, "ignore")  # a piece may begin or end within a character
            self._all += len(text)
            for pair in _PAIR.findall(text):
                self._broken += len(pair)
            self._sure = self._sure or _SURE.search(text) is not None
            if self._all >= _ENOUGH:
                return

    def problem(self) -> str | None:
        """Return what is wrong and what to do, after the last piece or when it is decided; None if nothing is."""
        if self._broken * 2 <= self._all or not (self._sure or self._broken > 2):
            return None
        return (
            f"its accents are broken, {self._broken} of {self._all} characters that were looked at: a program decoded its text wrongly and "
            "stored the result, as PowerShell does with >, so that é became two characters; ask the sender for a dump that pg_dump itself "
            "wrote, with pg_dump --format=custom --file=NAME and never >, or set force to true to restore it with the broken accents"
        )


class Utf16Stream:
    """The text of a file in UTF-16, with or without a byte order mark, as UTF-8. Raises DamagedError if it is none to the end."""

    def __init__(self, source: BinaryIO) -> None:
        self._source = source
        self._ahead = source.read(2)
        order = {b"\xff\xfe": "utf-16-le", b"\xfe\xff": "utf-16-be"}.get(self._ahead)
        self._decoder = codecs.getincrementaldecoder(order or ("utf-16-be" if self._ahead[:1] == b"\0" else "utf-16-le"))()
        self._packed = b"" if order else self._ahead
        self._ahead = b""
        self._ended = False

    def read(self, size: int) -> bytes:
        """Return up to this many bytes, none at the end."""
        while not self._ahead and not self._ended:
            data = self._source.read(_CHUNK)
            self._ended = not data
            packed, self._packed = self._packed + data, b""
            try:
                self._ahead = self._decoder.decode(packed, self._ended).encode()
            except UnicodeError:
                raise DamagedError("it is in UTF-16, but not to its end") from None
        out, self._ahead = self._ahead[:size], self._ahead[size:]
        return out
