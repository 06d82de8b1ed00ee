# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads Java properties files by the rules of C(java.util.Properties.load). Private to the collection.

Two of these rules surprise people: a line has no comment at its end, and bytes are Latin-1, not UTF-8.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.system.files import read_bytes

LONGEST = 1 << 20
"""The most bytes of a file: while it is read, each of them takes much memory."""
_BYTE_ORDER_MARK = "\xef\xbb\xbf"
_UTF_16_OR_32 = re.compile(r"\A(?:\xff\xfe|\xfe\xff|\0\0\xfe\xff)|(?:[^\0]\0){3}|(?:\0[^\0]){3}|(?:[^\0]\0\0\0){2}|(?:\0\0\0[^\0]){2}")
_BLANK = " \t\f"
_LONE_BACKSLASH_AT_END = re.compile(r"(?:^|[\r\n])[ \t\f]*\\[\r\n]?\Z")
_PHYSICAL = re.compile(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+")
_HEXADECIMAL = frozenset("0123456789abcdefABCDEF")
_ESCAPES = {"t": "\t", "n": "\n", "r": "\r", "f": "\f"}


@dataclass(frozen=True)
class Line:
    """One logical line: C(raw) is its text, with the lines that continue it and the line end.

    C(joined) is the same without continuations and line end, or None for a line without a pair. C(places) has the index in C(raw) of each
    character of C(joined). C(open_ended): it ends with a backslash and nothing follows.
    """

    raw: str
    joined: str | None = None
    places: tuple[int, ...] = ()
    open_ended: bool = False

    @property
    def pair(self) -> tuple[str, str] | None:
        """The key and the value as Java sees them."""
        if self.joined is None:
            return None
        end, start = spans(self.joined)
        return _unescape(self.joined[:end]), _unescape(self.joined[start:])


def load(path: str) -> dict[str, str]:
    """Return the pairs of a file as Java sees them. Raises PecError when it cannot be read or Java would reject it."""
    text = read_text(path)
    try:
        return parse(text)
    except PecError as error:
        raise PecError(f"{path}: {error}") from None


def read_text(path: str) -> str:
    """Return the text of a file with one character for each of its bytes. Raises PecError when it cannot be read."""
    return read_bytes(path, LONGEST).decode("latin-1")


def require_bytes_as_characters(path: str, text: str) -> None:
    """Raise PecError for the text of a file that has several bytes for each character, all of it or a line that was appended."""
    if _UTF_16_OR_32.search(text):
        raise PecError(f"{path} contains text in UTF-16 or UTF-32, which PEC cannot read; save it as ASCII or Latin-1, then run again")


def hidden_keys(text: str) -> list[str]:
    """Return the keys that nobody finds, because Java takes a byte order mark ahead of them as their first characters."""
    joined = (line.joined or "" for line in lines(text))
    marked = (line[len(_BYTE_ORDER_MARK) :].lstrip(_BLANK) for line in joined if line.startswith(_BYTE_ORDER_MARK))
    return [rest[: spans(rest)[0]] for rest in marked if rest and rest[0] not in "#!=:"]


def parse(text: str) -> dict[str, str]:
    """Return the pairs of a text in the order of first appearance; the last value of a repeated key wins.

    Raises PecError for a malformed C(\\uXXXX), which Java rejects too.
    """
    return dict(pair for pair in (line.pair for line in lines(text)) if pair is not None)


def lines(text: str) -> Iterator[Line]:
    """Yield every logical line of a text; their C(raw)s, joined, are the text."""
    places: list[int] = []
    start, joined = 0, ""
    for physical in _PHYSICAL.finditer(text):
        body = physical.group().rstrip("\r\n")
        part = body.lstrip(_BLANK)
        first = physical.start() + len(body) - len(part) - start
        if not joined and (not part or part[0] in "#!"):
            yield Line(text[start : physical.end()])
            start = physical.end()
            continue
        continues = _continues(part)
        part = part[:-1] if continues else part
        joined += part
        places.extend(range(first, first + len(part)))
        if not continues:
            yield Line(text[start : physical.end()], joined, tuple(places))
            start, joined, places = physical.end(), "", []
    if joined or _LONE_BACKSLASH_AT_END.search(text[start:]):  # Java reads the latter as an empty key with an empty value
        yield Line(text[start:], joined, tuple(places), open_ended=True)
    elif start < len(text):
        yield Line(text[start:])


def _continues(line: str) -> bool:
    return (len(line) - len(line.rstrip("\\"))) % 2 == 1


def spans(joined: str) -> tuple[int, int]:
    """Return the indexes in a joined line where the key ends and the value starts."""
    end = _key_end(joined)
    rest = joined[end:].lstrip(_BLANK)
    if rest[:1] in ("=", ":"):
        rest = rest[1:].lstrip(_BLANK)
    return end, len(joined) - len(rest)


def _key_end(line: str) -> int:
    escaped = False
    for index, character in enumerate(line):
        if not escaped and character in "=:" + _BLANK:
            return index
        escaped = character == "\\" and not escaped
    return len(line)


def _unescape(text: str) -> str:
    if "\\" not in text:
        return text
    result = []
    index = 0
    while index < len(text):
        character = text[index]
        index += 1
        if character != "\\":
            result.append(character)
            continue
        escape = text[index : index + 1]
        index += 1
        if escape == "u":
            result.append(_code_unit(text[index : index + 4]))
            index += 4
        else:
            result.append(_ESCAPES.get(escape, escape))
    # Java's escapes are UTF-16 code units: a surrogate pair becomes one character, a lone surrogate stays.
    return "".join(result).encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")


def _code_unit(digits: str) -> str:
    if len(digits) != 4 or not _HEXADECIMAL.issuperset(digits):
        raise PecError("malformed \\uXXXX escape; write four hexadecimal digits after \\u")
    return chr(int(digits, 16))
