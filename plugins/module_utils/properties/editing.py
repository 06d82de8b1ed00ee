# SPDX-License-Identifier: GPL-3.0-or-later
"""Java properties files changed pair by pair: what is not asked for stays as it was, byte for byte.

A text here has one character for each byte of the file (Latin-1, as Java reads it), so that every file comes back as it went in,
whatever its encoding. New characters beyond ASCII are written as C(\\uXXXX), which readers of Latin-1 and of UTF-8 understand alike.

Of a key that stands there several times Java takes the last. Setting it changes that one and removes the others, which never counted
and may hold an old password; removing it removes all.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import replace

from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.properties import reading
from ansible_collections.esus.pec.plugins.module_utils.properties.reading import Line
from ansible_collections.esus.pec.plugins.module_utils.system.files import read_bytes

MASK = "********"

_SECRET_KEY = re.compile(r"password|passwd|passphrase|senha|secret|segredo|token|credential|private-?key|(?:^|[._-])pass$", re.IGNORECASE)
_SECRET_VALUE = re.compile(r"(?:password|senha)=[^&\s]|://[^/\s:@]*:[^/\s@]+@", re.IGNORECASE)
_INLINE_COMMENT = re.compile(r"[ \t][#!]")
_ESCAPED = re.compile(r"\\u[0-9a-fA-F]{4}")
_LINE_ENDS = re.compile(r"\r\n|\r|\n")
_ESCAPES = {"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r", "\f": "\\f"}


def edit(text: str, values: Mapping[str, str], absent: Iterable[str] = ()) -> str:
    """Return the text with these pairs in it and without the absent keys. Raises PecError where the text is malformed.

    A pair that is right already stays as it is written. A new one comes last, with the line end of most of the others.
    """
    gone = frozenset(absent)
    before = reading.parse(text)
    lines = list(reading.lines(text))
    keys = [pair[0] if pair else None for pair in (line.pair for line in lines)]
    last = {key: index for index, key in enumerate(keys) if key is not None}
    end = _line_end(text)
    edited: list[Line] = []
    for index, (line, key) in enumerate(zip(lines, keys)):
        if key is None or (key not in values and key not in gone):
            edited.append(line)
        elif key in values and last[key] == index:
            edited.append(line if line.pair == (key, values[key]) else _with_value(line, values[key]))
    new = [Line(_escape(key, key=True) + "=" + _escape(value)) for key, value in values.items() if key not in last]
    result = _append(edited, new, end)
    _verify(result, {**{key: value for key, value in before.items() if key not in gone}, **values})
    return result


def read(path: str) -> str | None:
    """Return the text of a file, None when there is none. Raises PecError when it cannot be read."""
    return decode(read_bytes(path)) if os.path.lexists(path) else None


def decode(data: bytes) -> str:
    return data.decode("latin-1")


def encode(text: str) -> bytes:
    return text.encode("latin-1")


def looks_secret(key: str, value: str = "") -> bool:
    """Return whether a value under this key is better not shown; so is one that carries a password within."""
    return bool(_SECRET_KEY.search(key) or _SECRET_VALUE.search(value))


def masked(key: str, value: str) -> str:
    return MASK if value and looks_secret(key, value) else value


def value_problems(key: str, value: str) -> list[str]:
    """What makes a value look like a mistake that Java would take literally; none of the sentences repeats the value."""
    problems = []
    if value != value.strip(" \t\r\n\f\v\xa0\ufeff\u200b"):
        problems.append("has blanks or line ends around it, which Java takes as part of the value; remove them")
    elif any(ord(character) < 32 or ord(character) == 127 for character in value):
        problems.append("has a line end or another control character in it; give it in one line")
    if _INLINE_COMMENT.search(value):
        problems.append("has a blank followed by # or !; a properties file has no comments at the end of a line, so remove it from there")
    if _ESCAPED.search(value):
        problems.append("has a \\uXXXX in it; give the character itself, which is then written that way")
    return [f"the value of {key} {problem}" for problem in problems]


def key_problems(key: str) -> list[str]:
    """What keeps a text from being a key as people write them."""
    if not key:
        return ["a key is empty; name one"]
    if re.search(r"[\s=:#!\\\x00-\x1f]", key):
        start = re.match(r"[\w.-]*", key)  # what follows may be a value
        shown = start.group() if start else ""
        return [f"the key that starts with {shown!r} has a blank, or one of = : # ! and backslash; give the key alone, such as server.port"]
    return []


def mistakes(text: str) -> list[str]:
    """The keys whose values in this text look like mistakes."""
    return [key for key, value in reading.parse(text).items() if value_problems(key, value)]


def _with_value(line: Line, value: str) -> Line:
    """The key, the separator and the blanks around it stay; so does the line end."""
    joined = line.joined or ""
    key_end, start = reading.spans(joined)
    head = line.raw[: _place_after(line, start)]
    separator = "=" if start == key_end else ""
    has_sign = separator or joined[key_end:start].strip(" \t\f")
    escaped = _escape(value)
    if not has_sign and escaped[:1] in ("=", ":"):
        escaped = "\\" + escaped
    ends = _LINE_ENDS.findall(line.raw)
    closed = bool(ends) and line.raw.endswith(ends[-1])
    return replace(line, raw=head + separator + escaped + (ends[-1] if closed else ""), open_ended=False)


def _place_after(line: Line, count: int) -> int:
    """Where in the raw line so many characters of the joined one are over."""
    if count < len(line.places):
        return line.places[count]
    if line.places:
        return line.places[-1] + 1
    return 0


def _append(lines: list[Line], new: list[Line], end: str) -> str:
    """Before a last line that continues into nothing, because it would swallow them; else behind all, ended as the last line was."""
    if not new:
        return "".join(line.raw for line in lines)
    tail = ""
    if lines and lines[-1].open_ended:
        tail = lines.pop().raw
    text = "".join(line.raw for line in lines)
    added = end.join(line.raw for line in new)
    if text and not text.endswith(("\r", "\n")):
        return text + end + added
    return text + added + end + tail


def _line_end(text: str) -> str:
    ends = _LINE_ENDS.findall(text)
    return max(ends, key=ends.count) if ends else "\n"


def _escape(text: str, *, key: bool = False) -> str:
    """By Java's rules for writing; in a value only a blank at its start needs it, in a key every blank and sign."""
    written = []
    for index, character in enumerate(text):
        if character in _ESCAPES:
            written.append(_ESCAPES[character])
        elif (character == " " and (key or index == 0)) or (key and character in "=:#!"):
            written.append("\\" + character)
        elif " " <= character <= "~":
            written.append(character)
        else:
            units = character.encode("utf-16-be", "surrogatepass")
            written.extend(f"\\u{units[place]:02x}{units[place + 1]:02x}" for place in range(0, len(units), 2))
    return "".join(written)


def _verify(text: str, expected: Mapping[str, str]) -> None:
    """What was written is read again before anybody uses it."""
    if reading.parse(text) != expected:
        raise PecError("the pairs cannot be set without changing others, because of how this file ends; remove a backslash at its very end")
