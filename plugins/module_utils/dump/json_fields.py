# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads JSON from anywhere into dataclasses, each field of which has a reader. Private to the collection.

A reader takes a value from JSON and returns what the field gets, or raises ValueError with what is wrong.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields

from ansible_collections.esus.pec.plugins.module_utils.errors import PecError, printable
from ansible_collections.esus.pec.plugins.module_utils.system import clock

SHOWN = 200
"""How much of a value an error shows."""
_MOST_VALUES = 500000
_LONGEST_NUMBER = 40
_LONGEST_TEXT = 1000
_LARGEST = (1 << 63) - 1
_FIRST_YEAR, _LAST_YEAR = 2000, 2200


def parse(data: bytes) -> object:
    """Parse JSON from anywhere: numbers and values of which there are too many fill the memory, or take hours."""
    if sum(data.count(mark) for mark in (b",", b"[", b"{")) > _MOST_VALUES:
        raise ValueError(f"it has more than {_MOST_VALUES} values")
    return json.loads(data.decode("utf-8"), parse_int=_integer)


def _integer(text: str) -> int:
    if len(text) > _LONGEST_NUMBER:
        raise ValueError(f"the number {text[:_LONGEST_NUMBER]}... is too long")
    return int(text)


def record(kind: type, readers: Mapping[str, Callable[[object], object]], content: object) -> object:
    """Return an object of this class; a field of a later version is left out."""
    if not isinstance(content, dict):
        raise ValueError(f"{words(content)} is no {kind.__name__.lower()}")
    values = {}
    for item in fields(kind):
        if item.name in content:
            try:
                values[item.name] = readers[item.name](content[item.name])
            except ValueError as error:
                raise ValueError(f"{item.name}: {error}") from None
        elif item.default is MISSING and item.default_factory is MISSING:
            raise ValueError(f"{item.name} is missing")
    return kind(**values)


def text(value: object) -> str:
    """A text to be shown: short, and without characters that control a terminal."""
    if not isinstance(value, str):
        raise ValueError(f"{words(value)} is not a text")
    return _line(value)[:_LONGEST_TEXT]


def key(value: object) -> str:
    """The name of an object in a database, as it is, because it is compared."""
    if not isinstance(value, str):
        raise ValueError(f"{words(value)} is not a text")
    return value


def whole(value: object) -> int:
    """A number from 0 on."""
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= _LARGEST:
        raise ValueError(f"{words(value)} is not a number from 0 on")
    return value


def signed(value: object) -> int:
    """A number as PostgreSQL's bigint holds it."""
    if not isinstance(value, int) or isinstance(value, bool) or not -_LARGEST - 1 <= value <= _LARGEST:
        raise ValueError(f"{words(value)} is not a number")
    return value


def seconds(value: object) -> float:
    """A duration."""
    if not isinstance(value, (int, float)) or isinstance(value, bool) or not 0 <= value <= _LARGEST:
        raise ValueError(f"{words(value)} is not a number of seconds")
    return value


def flag(value: object) -> bool:
    """True or false."""
    if not isinstance(value, bool):
        raise ValueError(f"{words(value)} is neither true nor false")
    return value


def moment(value: object) -> str:
    """A time in UTC, of a year that every function of times can handle."""
    try:
        year = clock.parse(text(value)).year
    except PecError:
        year = 0
    if not _FIRST_YEAR <= year <= _LAST_YEAR:
        raise ValueError(f"{words(value)} is not a time in UTC, such as 2026-11-22T03:00:00Z")
    return str(value)


def file_name(value: object) -> str:
    """A manifest may come from anywhere; the files that it names must be beside it."""
    if not isinstance(value, str) or value != os.path.basename(value) or value in ("", ".", "..") or _line(value) != value:
        raise ValueError(f"{words(value)} is not the name of a file")
    return value


def or_none(reader: Callable[[object], object]) -> Callable[[object], object]:
    """Return a reader that takes null too."""
    return lambda value: None if value is None else reader(value)


def texts(value: object) -> tuple[str, ...]:
    """A list of texts."""
    if not isinstance(value, list):
        raise ValueError(f"{words(value)} is not a list")
    return tuple(map(text, value))


def mapping(name: Callable[[object], object], reader: Callable[[object], object]) -> Callable[[object], object]:
    """Return a reader of an object with such names and values."""

    def read(value: object) -> object:
        if not isinstance(value, dict):
            raise ValueError(f"{words(value)} is not an object")
        return {name(key): reader(item) for key, item in value.items()}

    return read


def _line(value: str) -> str:
    return printable(value).replace("\n", " ").replace("\t", " ")


def words(value: object) -> str:
    """Return a value as an error shows it."""
    if isinstance(value, str):
        return repr(value[:SHOWN])
    return repr(value) if isinstance(value, (int, float, type(None))) else f"a {type(value).__name__}"
