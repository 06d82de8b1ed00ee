# SPDX-License-Identifier: GPL-3.0-or-later
"""Changes single pairs of a Java properties file and leaves the rest alone, byte for byte. Private to the collection.

A text here has one character for each byte of the file (Latin-1, as Java reads it), so the rest survives in any encoding. New characters
beyond ASCII are written as C(\\uXXXX), which readers of Latin-1 and of UTF-8 understand alike.

Of a repeated key Java uses the last line. Setting the key changes that line and removes the others, which had no effect and may hold an
old password; removing the key removes all of them.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace

from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.properties import reading
from ansible_collections.esus.pec.plugins.module_utils.properties.reading import Line

_INLINE_COMMENT = re.compile(r"[ \t][#!]")
_ESCAPED = re.compile(r"\\u[0-9a-fA-F]{4}")
_LINE_ENDS = re.compile(r"\r\n|\r|\n")
_ESCAPES = {"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r", "\f": "\\f"}


def edit(text: str, values: Mapping[str, str], absent: Iterable[str] = ()) -> str:
    """Return the text with these pairs set and the absent keys removed. Raises PecError when the text is malformed.

    A pair that already has its value stays as it is written. A new pair comes last, with the text's most frequent line end.
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


def value_problems(key: str, value: str) -> list[str]:
    """Return what looks like a mistake in a value to be written. No sentence repeats the value."""
    problems = _literal_problems(key, value)
    if "}" in value.partition("${")[2]:
        problems.append(f"the value of {key} contains ${{...}}, which PEC replaces by another setting; choose a value without it")
    return problems


def _literal_problems(key: str, value: str) -> list[str]:
    """Return what Java takes literally although its writer hardly means it."""
    problems = []
    if value != value.strip(" \t\r\n\f\v\xa0\ufeff\u200b"):
        problems.append("begins or ends with a blank or a line end, which Java takes as part of the value; remove it")
    elif any(ord(character) < 32 or ord(character) == 127 for character in value):
        problems.append("contains a line end or another control character; give it in one line")
    if _INLINE_COMMENT.search(value):
        problems.append("contains a blank followed by # or !; Java allows no comment at the end of a line, so move it to a line of its own")
    if _ESCAPED.search(value):
        problems.append("contains a \\uXXXX; give the character itself, the file gets its escape")
    return [f"the value of {key} {problem}" for problem in problems]


def key_problems(key: str) -> list[str]:
    """Return why a text cannot be a key."""
    if not key:
        return ["a key is empty; give its name"]
    if re.search(r"[\s=:#!\\\x00-\x1f]", key):
        start = re.match(r"[\w.-]*", key)  # what follows may be a value
        shown = start.group() if start else ""
        return [
            f"the key that begins with {shown!r} contains a blank, backslash or one of = : # !; give the key alone, such as server.port"
        ]
    return []


def mistakes(text: str) -> list[str]:
    """Return the keys whose values in this text look like mistakes. What PEC replaces may be there on purpose."""
    return [key for key, value in reading.parse(text).items() if _literal_problems(key, value)]


def _with_value(line: Line, value: str) -> Line:
    """Replace the value alone: key, separator, the blanks around it and the line end stay."""
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
    """Return the index in the raw line after C(count) characters of the joined one."""
    if count < len(line.places):
        return line.places[count]
    if line.places:
        return line.places[-1] + 1
    return 0


def _append(lines: list[Line], new: list[Line], end: str) -> str:
    """Add lines at the end, but before a last line that ends with a backslash, because it would swallow them.

    A text without a line end at its end stays so.
    """
    if not new:
        return "".join(line.raw for line in lines)
    tail = lines.pop().raw if lines and lines[-1].open_ended else ""
    text = "".join(line.raw for line in lines)
    added = end.join(line.raw for line in new)
    if text and not text.endswith(("\r", "\n")):
        return text + end + added
    return text + added + end + tail


def _line_end(text: str) -> str:
    ends = Counter(_LINE_ENDS.findall(text))
    return ends.most_common(1)[0][0] if ends else "\n"


def _escape(text: str, *, key: bool = False) -> str:
    """Escape by Java's rules for writing: in a value only a blank at its start, in a key every blank and separator."""
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
    """Read the result again before anything uses it."""
    if reading.parse(text) != expected:
        raise PecError("the pairs cannot be set without changing others, because the file ends with a backslash; remove it")
