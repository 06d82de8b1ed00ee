# SPDX-License-Identifier: GPL-3.0-or-later
"""Which names and how much of another server are accepted. Private to the collection.

Whatever comes from there may be hostile: a name may lead out of a directory, and a file or a list may have no end.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

_SHOWN = 500
_LONGEST = 255  # bytes that a name may have here


@dataclass(frozen=True)
class Limits:
    """How deep directories may be nested, how many names they may have together, and how many bytes a file and all of them."""

    depth: int
    names: int
    file: int
    total: int


SETTINGS = Limits(depth=8, names=2000, file=8 << 20, total=64 << 20)
"""For keys and settings, which are small. They are read into memory."""
ATTACHMENTS = Limits(depth=32, names=5_000_000, file=64 << 30, total=64 << 40)


def problem(name: bytes | str) -> str:
    """Return why a name is not accepted, empty if it is."""
    data = os.fsencode(name) if isinstance(name, str) else name
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return "its name is not UTF-8"
    if text in ("", ".", "..") or "/" in text or "\\" in text:
        return "its name leads to another directory"
    if not text.isprintable():
        return "its name has a line break or another character that cannot be shown"
    return "" if len(data) <= _LONGEST else f"its name has more than {_LONGEST} bytes"


def shown(path: str) -> str:
    """Return a path of the other server for a text: in one line, and not endless."""
    line = "".join(character if character.isprintable() else "?" for character in path)
    return line if len(line) <= _SHOWN else f"{line[:_SHOWN]}..."
