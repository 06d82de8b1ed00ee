# SPDX-License-Identifier: GPL-3.0-or-later
"""Chooses the client programs for the server and the archive, and lists the archive with them. Private to the collection."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import BinaryIO

from ansible_collections.esus.pec.plugins.module_utils.archive import custom_format
from ansible_collections.esus.pec.plugins.module_utils.archive.custom_format import Header
from ansible_collections.esus.pec.plugins.module_utils.archive.reading import TAR, Archive, Identity, PlainStream
from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.postgres.psql import find_clients
from ansible_collections.esus.pec.plugins.module_utils.system.pipeline import CHUNK, Pipeline, Stage

_PROGRAMS = ("psql", "pg_restore", "vacuumdb")


@dataclass(frozen=True)
class Clients:
    """The programs of one version."""

    psql: str
    pg_restore: str
    vacuumdb: str
    version: tuple[int, ...]


class Listing:
    """The table of contents of an archive as text, and C(head): a file with the beginning of a packed or encrypted archive.

    The beginning is all that pg_restore needs for indexes and constraints, and several processes can read it at once.
    """

    def __init__(self, text: str, head: BinaryIO | None = None) -> None:
        self.text = text
        self.head = head


def find() -> list[Clients]:
    """Return the complete sets of programs on this host, one of each version, newest first. Raises PecError if there is none."""
    sets: list[Clients] = []
    for client in find_clients("psql"):
        paths = [os.path.join(os.path.dirname(client.path), program) for program in _PROGRAMS]
        # /usr/bin/psql may be a wrapper that starts another version depending on the server's port; it comes last of its version.
        known = client.version in [one.version for one in sets]
        if not known and all(os.access(path, os.X_OK) for path in paths):
            sets.append(Clients(paths[0], paths[1], paths[2], client.version))
    if not sets:
        raise PecError(
            "psql, pg_restore and vacuumdb are not installed on this host; install the PostgreSQL client (Debian: postgresql-client)"
        )
    return sets


def choose(clients: Sequence[Clients], server_version_num: int, header: Header) -> Clients:
    """Return the clients of the server's own version, else of the next newer one that can read the archive.

    Raises PecError with the package to install if all are too old for the archive.
    """
    needed = custom_format.needed_client(header)
    able = [one for one in clients if needed is None or custom_format.comparable(_number(one.version)) >= _major(needed)]
    if not able:
        by = f" by pg_dump {header.dump_version}" if header.dump_version else ""
        newest = ".".join(map(str, clients[0].version))
        raise PecError(
            f"the archive was written{by}, but the newest pg_restore on this host ({newest}) is too old to read it; install "
            f"postgresql-client-{needed} or newer"
        )
    fitting = [one for one in able if custom_format.comparable(_number(one.version)) >= custom_format.comparable(server_version_num)]
    return fitting[-1] if fitting else able[0]


def list_archive(archive: Archive, clients: Clients, identity: Identity) -> Listing:
    """Read the table of contents. Raises PecError if pg_restore cannot."""
    try:
        if not archive.layers:
            return Listing(_list([clients.pg_restore, "--list", archive.path]))
        return _list_packed(archive, clients, identity)
    except PecError as error:
        if archive.path in str(error):
            raise
        raise PecError(f"{archive.path} cannot be restored: {error}; copy it again from its source, or make a new dump") from None


def _list(argv: Sequence[str]) -> str:
    with Pipeline([Stage(argv)], collect=True) as listing:
        return listing.output.read().decode("utf-8", "replace")


def _list_packed(archive: Archive, clients: Clients, identity: Identity) -> Listing:
    """pg_restore reads only up to the end of the table of contents; this beginning is kept."""
    head, text = _memory("head"), _memory("list")  # in memory, because it may contain rows of an encrypted dump
    with text, PlainStream(archive.path, archive.layers, identity) as plain:
        with Pipeline([Stage([clients.pg_restore, "--list"])], feed=True, stdout=text.fileno()) as listing:
            try:
                data = plain.read(CHUNK)
                while data:
                    head.write(data)
                    listing.input.write(data)
                    data = plain.read(CHUNK)
            except BrokenPipeError:
                pass
            listing.wait()
        head.flush()
        text.seek(0)
        return Listing(text.read().decode("utf-8", "replace"), head)


def _memory(name: str) -> BinaryIO:
    return os.fdopen(os.memfd_create(name), "w+b")


def parallel(archive: Archive, jobs: int) -> int:
    """Return how many jobs can read the archive at once."""
    return 1 if archive.kind == TAR else max(1, jobs)


def _number(version: Sequence[int]) -> int:
    return custom_format.version_number(".".join(map(str, version))) or 0


def _major(text: str) -> int:
    return custom_format.comparable(custom_format.version_number(text) or 0)
