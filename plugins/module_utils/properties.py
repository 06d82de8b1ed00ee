# SPDX-License-Identifier: GPL-3.0-or-later
"""Java properties files, read by the rules of C(java.util.Properties.load).

Two consequences surprise people and matter here: there are no comments at the end of a line, and bytes are Latin-1, not UTF-8.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.files import read_bytes

_BLANK = " \t\f"
_LONE_BACKSLASH_AT_END = re.compile(r"(?:^|[\r\n])[ \t\f]*\\[\r\n]?\Z")
_HEXADECIMAL = frozenset("0123456789abcdefABCDEF")
_ESCAPES = {"t": "\t", "n": "\n", "r": "\r", "f": "\f"}


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
    joined, lone = "", False
    for line in text.replace("\r\n", "\n").replace("\r", "\n").split("\n"):
        part = line.lstrip(_BLANK)
        if not joined and (not part or part[0] in "#!"):
            continue
        if _continues(part):
            lone = not joined and len(part) == 1
            joined += part[:-1]
            continue
        yield joined + part
        joined = ""
    if joined or (lone and _LONE_BACKSLASH_AT_END.search(text)):  # of the latter Java makes a pair without key and value
        yield joined


def _continues(line: str) -> bool:
    return (len(line) - len(line.rstrip("\\"))) % 2 == 1


def _pair(line: str) -> tuple[str, str]:
    end = _key_end(line)
    value = line[end:].lstrip(_BLANK)
    if value[:1] in ("=", ":"):
        value = value[1:].lstrip(_BLANK)
    return _unescape(line[:end]), _unescape(value)


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
