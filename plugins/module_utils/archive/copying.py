# SPDX-License-Identifier: GPL-3.0-or-later
"""Copies a dump in the directory format to where pg_restore can read it, and nothing that is not part of it. Private to the collection.

pg_restore opens the files that the dump names. The names in its lists are checked, so that none leads out of the directory.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable
from typing import BinaryIO

from ansible_collections.esus.pec.plugins.module_utils.archive.opening import CONTENTS, Dump
from ansible_collections.esus.pec.plugins.module_utils.errors import PecError

_CHUNK = 1 << 20
_MOST_CONTENTS = 64 << 20
_LONGEST_LINE = 256
_LARGE_OBJECT = re.compile(rb"\d{1,10} blob_\d{1,10}\.dat\n")
# The first format with directories, and integers of 4 bytes behind one for the sign: so pg_dump writes them.
_OLDEST = (1, 12)
_INTEGER_SIZE = 4
# A text in the list, which begins behind its length, and leads up. Two points without their length are also the number 11822, by which an
# entry of every large dump begins.
_LEADS_OUT = re.compile(rb"\x00.{4}(?:\.?/+)*\.\./|\x00\x02\x00\x00\x00\.\.", re.DOTALL)


def copy_directory(
    dump: Dump, into: str, uid: int, on_bytes: Callable[[int], None] | None = None
) -> tuple[dict[str, tuple[int, str]], str]:
    """Copy the files into an empty directory of root's, for this account to read; return what C(manifest.digest) returns, of the copy.

    on_bytes is called with the number of bytes so far. Raises PecError if the dump is not one that pg_dump can have written.
    """
    parts: dict[str, tuple[int, str]] = {}
    total = 0
    for name in dump.parts():
        target = os.path.join(into, name)
        try:
            with os.fdopen(dump.descriptor(name), "rb", buffering=0) as source, open(target, "xb") as copy:
                digest, size = hashlib.sha256(), 0
                for data in iter(lambda: source.read(_CHUNK), b""):
                    copy.write(data)
                    digest.update(data)
                    size += len(data)
                    if on_bytes:
                        on_bytes(total + size)
                os.fchmod(copy.fileno(), 0o400)
                os.fchown(copy.fileno(), uid, -1)
            with open(target, "rb") as copied:
                _check(dump.path, name, copied)
        except OSError as error:
            raise PecError(f"cannot copy {dump.path}/{name} to {into}: {error.strerror}; check both disks") from None
        parts[name] = (size, digest.hexdigest())
        total += size
    return parts, sum_of(parts)


def sum_of(parts: dict[str, tuple[int, str]]) -> str:
    """Return the SHA-256 of the lines that C(sha256sum) prints for the files of a directory, sorted by name."""
    return hashlib.sha256("".join(f"{sha256}  {name}\n" for name, (_bytes, sha256) in sorted(parts.items())).encode()).hexdigest()


def _check(path: str, name: str, copied: BinaryIO) -> None:
    if name == CONTENTS:
        _check_contents(f"{path}/{name}", copied.read(_MOST_CONTENTS + 1))
    elif name.endswith(".toc"):
        for line in iter(lambda: copied.readline(_LONGEST_LINE), b""):
            if not _LARGE_OBJECT.fullmatch(line):
                raise PecError(f"{path}/{name} names a file that is not a large object of the dump: {_shown(line)}; make a new dump")


def _check_contents(path: str, contents: bytes) -> None:
    if len(contents) > _MOST_CONTENTS:
        raise PecError(f"{path} is longer than {_MOST_CONTENTS >> 20} MiB, which no dump of PEC is; check the path, or make a new dump")
    if not contents.startswith(b"PGDMP") or tuple(contents[5:7]) < _OLDEST or contents[8:9] != bytes([_INTEGER_SIZE]):
        raise PecError(f"{path} is not the table of contents of a dump by pg_dump; make a new dump")
    found = _LEADS_OUT.search(contents)
    if found:
        name = contents[found.start() + 5 :][:_LONGEST_LINE].split(b"\0")[0]
        raise PecError(f"{path} names a file outside of the dump: {_shown(name)}; make a new dump")


def _shown(text: bytes) -> str:
    return repr(text.decode("utf-8", "replace").rstrip("\n"))
