# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads the header of a dump, also of one too new for the clients on this host. Private to the collection."""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass

from ansible_collections.esus.pec.plugins.module_utils.errors import printable

MAGIC = b"PGDMP"
# The version of the format that each pg_dump introduced; an older pg_restore refuses it.
_FORMATS = (((1, 16), "17"), ((1, 15), "16"), ((1, 14), "12"), ((1, 13), "9.6"))
_INTEGERS_OF_TIME = 7
_LONGEST = 200
_ENCODING = re.compile(rb"SET client_encoding = '([^']+)';")
_VERSION = re.compile(r"\s*(\d+)(?:\.(\d+))?(?:\.(\d+))?")


@dataclass(frozen=True)
class Header:
    """What wrote a dump: versions such as "15.18 (Debian 15.18-0+deb12u1)", and the encoding of its text; None if not in it."""

    server_version: str | None = None
    dump_version: str | None = None
    database: str | None = None
    format_version: tuple[int, int] | None = None
    encoding: str | None = None


UNKNOWN = Header()


def parse(head: bytes) -> Header:
    """Read the header of a custom archive or of a toc.dat. For a format newer than known here, most of it stays None."""
    try:
        return _parse(head)
    except (struct.error, IndexError, ValueError):
        return UNKNOWN if len(head) < 7 else Header(format_version=(head[5], head[6]), encoding=_encoding(head))


def parse_plain(head: bytes) -> Header:
    """Read the comments at the beginning of a plain dump."""
    found = {
        key.decode(): _text(value.strip())
        for key, value in re.findall(rb"^-- Dumped (from database|by pg_dump) version (.+)$", head, re.MULTILINE)
    }
    return Header(found.get("from database"), found.get("by pg_dump"), encoding=_encoding(head))


def version_number(text: str | None) -> int | None:
    """Return a version as the server counts: 150018 for 15.18, 90613 for 9.6.13; None if the text has none."""
    match = _VERSION.match(text or "")
    if match is None:
        return None
    first, second, third = (int(part or 0) for part in match.groups())
    return first * 10000 + second if first >= 10 else first * 10000 + second * 100 + third


def major(number: int) -> str:
    """Return the major version of a version number: "15", "9.6"."""
    return str(number // 10000) if number >= 100000 else f"{number // 10000}.{number // 100 % 100}"


def comparable(number: int) -> int:
    """Return a number to compare two major versions by: 1500 for 15.18, 906 for 9.6.13."""
    return number // 10000 * 100 if number >= 100000 else number // 100


def needed_client(header: Header) -> str | None:
    """Return the major version of the oldest client that can read the archive, such as "17"; None if any can or it is unknown."""
    if header.format_version is None:
        return None
    if header.format_version > _FORMATS[0][0]:
        number = version_number(header.dump_version)
        return major(number) if number else None
    return next((client for version, client in _FORMATS if header.format_version >= version), None)


def _parse(head: bytes) -> Header:
    version = (head[5], head[6])
    at = 8  # magic, major, minor, revision
    integer_size = head[at]
    at += 3  # size of integers, size of offsets, format
    if version >= (1, 15):
        at += 1  # compression algorithm
    else:
        at += 1 + integer_size  # compression level
    at += _INTEGERS_OF_TIME * (1 + integer_size)
    texts: list[str | None] = []
    for _field in ("database", "server version", "pg_dump version"):
        if head[at]:  # a negative length is no text
            at, length = at + 1 + integer_size, 0
            texts.append(None)
        else:
            length = int.from_bytes(head[at + 1 : at + 1 + integer_size], "little")
            at += 1 + integer_size
            if at + length > len(head):
                raise ValueError("it is cut off")
            texts.append(_text(head[at : at + length]))
        at += length
    database, server, dump = texts
    return Header(server, dump, database, version, _encoding(head))


def _encoding(head: bytes) -> str | None:
    """Return the encoding from the statement among the first entries of an archive."""
    match = _ENCODING.search(head)
    return _text(match.group(1)) if match else None


def _text(data: bytes) -> str:
    """Return a text that may be shown, because a dump can hold anything there."""
    return printable(data[:_LONGEST].decode("utf-8", "replace"))
