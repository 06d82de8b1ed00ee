# SPDX-License-Identifier: GPL-3.0-or-later
"""Java properties files, read by the rules of C(java.util.Properties.load).

Two consequences surprise people and matter here: there are no comments at the end of a line, and bytes are Latin-1, not UTF-8.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.system.files import read_bytes

_BLANK = " \t\f"
_LONE_BACKSLASH_AT_END = re.compile(r"(?:^|[\r\n])[ \t\f]*\\[\r\n]?\Z")
_PHYSICAL = re.compile(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+")
_HEXADECIMAL = frozenset("0123456789abcdefABCDEF")
_ESCAPES = {"t": "\t", "n": "\n", "r": "\r", "f": "\f"}


@dataclass(frozen=True)
class Line:
    """A line as it stands in the text, with those that continue it and the line end.

    C(joined) is the same without continuations and line end, or None when it carries no pair; C(places) says for each of its characters
    where in C(raw) it is. C(open_ended): it continues, and nothing follows.
    """

    raw: str
    joined: str | None = None
    places: tuple[int, ...] = ()
    open_ended: bool = False

    @property
    def pair(self) -> tuple[str, str] | None:
        """The key and the value as Java sees them."""
        return None if self.joined is None else _pair(self.joined)


def load(path: str) -> dict[str, str]:
    """Return the pairs of the file as Java sees them. Raises PecError when it cannot be read or Java would refuse it."""
    text = read_bytes(path).decode("latin-1")
    try:
        return parse(text)
    except PecError as error:
        raise PecError(f"{path}: {error}") from None


def parse(text: str) -> dict[str, str]:
    """Return the pairs of the text in the order of first appearance; of a repeated key the last value counts.

    Raises PecError on a malformed C(\\uXXXX), which Java refuses too.
    """
    return dict(_pair(line) for line in logical_lines(text))


def logical_lines(text: str) -> Iterator[str]:
    """Yield each line that carries a pair: comments and blank lines dropped, continuations joined, escapes untouched."""
    return (line.joined for line in lines(text) if line.joined is not None)


def lines(text: str) -> Iterator[Line]:
    """Yield every line of the text; their C(raw)s one after the other are the text."""
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
    if joined or _LONE_BACKSLASH_AT_END.search(text[start:]):  # of the latter Java makes a pair without key and value
        yield Line(text[start:], joined, tuple(places), open_ended=True)
    elif start < len(text):
        yield Line(text[start:])


def _continues(line: str) -> bool:
    return (len(line) - len(line.rstrip("\\"))) % 2 == 1


def _pair(joined: str) -> tuple[str, str]:
    end, start = spans(joined)
    return _unescape(joined[:end]), _unescape(joined[start:])


def spans(joined: str) -> tuple[int, int]:
    """Return where in a joined line the key ends and where the value starts."""
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
    # Java's escapes are UTF-16 code units: two that form one character become it, a lone one stays.
    return "".join(result).encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")


def _code_unit(digits: str) -> str:
    if len(digits) != 4 or not _HEXADECIMAL.issuperset(digits):
        raise PecError("malformed \\uXXXX escape in a properties file; write four hexadecimal digits after \\u")
    return chr(int(digits, 16))
