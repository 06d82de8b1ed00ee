# SPDX-License-Identifier: GPL-3.0-or-later
"""Chooses the client programs for the server and the archive, and lists the archive with them. Private to the collection."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import BinaryIO

from ansible_collections.esus.pec.plugins.module_utils.archive import custom_format
from ansible_collections.esus.pec.plugins.module_utils.archive.custom_format import Header
from ansible_collections.esus.pec.plugins.module_utils.archive.opening import Dump
from ansible_collections.esus.pec.plugins.module_utils.archive.reading import DIRECTORY, PLAIN, Archive, Identity, PlainStream
from ansible_collections.esus.pec.plugins.module_utils.archive.toc import Toc
from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.postgres.psql import find_clients
from ansible_collections.esus.pec.plugins.module_utils.restore import scratch
from ansible_collections.esus.pec.plugins.module_utils.system import confinement
from ansible_collections.esus.pec.plugins.module_utils.system.pipeline import CHUNK, Pipeline, Stage

READ_ONLY = {"fsize": 0}
"""Limits of a program that writes to pipes and sockets only."""

_PROGRAMS = ("psql", "pg_restore", "vacuumdb")
# A table of contents of PEC has 13,000 entries and takes about 10 MB.
_LONGEST_LISTING = 64 << 20
_LONGEST_HEAD = 128 << 20
_LONGEST_EXTENSIONS = 1 << 20
_MEMORY_TO_LIST = 256 << 20
# The first version of each major one whose psql knows \restrict, the answer to CVE-2025-8714; all later major versions know it.
_KNOWS_RESTRICT = {13: 22, 14: 19, 15: 14, 16: 10, 17: 6}


@dataclass(frozen=True)
class Clients:
    """The programs of one version."""

    psql: str
    pg_restore: str
    vacuumdb: str
    version: tuple[int, ...]


class Listing:
    """The table of contents of an archive as text, and C(head): the beginning of the archive, in memory; None for a directory.

    The beginning is all that pg_restore needs for indexes and constraints, and several processes can read it at once.
    """

    def __init__(self, text: str, head: BinaryIO | None) -> None:
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


def choose(clients: Sequence[Clients], server_version_num: int, archive: Archive) -> Clients:
    """Return the clients of the server's own version, else of the next newer one that can read the dump.

    Raises PecError with the package to install if all are too old for the dump.
    """
    able = _for_plain(clients) if archive.kind == PLAIN else _for_archive(clients, archive.header)
    fitting = [one for one in able if custom_format.comparable(_number(one.version)) >= custom_format.comparable(server_version_num)]
    return fitting[-1] if fitting else able[0]


def list_archive(dump: Dump, archive: Archive, clients: Clients, identity: Identity, place: str) -> Listing:
    """Read the table of contents. C(place) is the name of a scratch directory. Raises PecError if pg_restore cannot."""
    try:
        if archive.kind == DIRECTORY:
            return _list_directory(dump, clients, place)
        return _list_stream(dump, archive, clients, identity)
    except PecError as error:
        if archive.path in str(error):
            raise
        raise PecError(f"{archive.path} cannot be restored: {error}; copy it again from its source, or make a new dump") from None


def extension_statements(dump: Dump, listing: Listing, clients: Clients, toc: Toc, place: str) -> bytes:
    """Return the SQL that creates the extensions of an archive, which says in which schema they are. Empty if it has none."""
    chosen = toc.of_extensions()
    if not chosen:
        return b""
    # Before 12 the output is the default, and "-" the name of a file.
    arguments = ["--file=-"] if clients.version[0] >= 12 else []
    with contextlib.ExitStack() as stack:
        selection = stack.enter_context(_memory("selection"))
        selection.write(chosen.encode())
        selection.flush()
        confinement.lend(selection.fileno())
        if listing.head is None:
            directory = stack.enter_context(scratch.directory(place))
            scratch.add(directory, "toc.dat", dump.descriptor("toc.dat"))
            source, descriptors = directory, [selection.fileno()]
        else:
            source, descriptors = f"/dev/fd/{listing.head.fileno()}", [selection.fileno(), listing.head.fileno()]
        argv = [clients.pg_restore, *arguments, "--section=pre-data", "--use-list", f"/dev/fd/{selection.fileno()}", source]
        stage = Stage(argv, pass_fds=descriptors, limits={"data": _MEMORY_TO_LIST, "fsize": 0})
        running = stack.enter_context(Pipeline([stage], collect=True))
        text = running.output.read(_LONGEST_EXTENSIONS + 1)
        _refuse_longer(len(text), _LONGEST_EXTENSIONS, "its list of extensions")
        running.wait()
        return text


def _for_archive(clients: Sequence[Clients], header: Header) -> list[Clients]:
    needed = custom_format.needed_client(header)
    able = [one for one in clients if needed is None or custom_format.comparable(_number(one.version)) >= _major(needed)]
    if not able:
        by = f" by pg_dump {header.dump_version}" if header.dump_version else ""
        raise PecError(
            f"the archive was written{by}, but the newest pg_restore on this host ({_name(clients[0])}) is too old to read it; install "
            f"postgresql-client-{needed} or newer"
        )
    return able


def _for_plain(clients: Sequence[Clients]) -> list[Clients]:
    """A plain dump is a script for psql, which could run programs; only a psql that can be told not to may read it."""
    able = [one for one in clients if knows_restrict(one.version)]
    if not able:
        fixed = ", ".join(f"{major}.{minor}" for major, minor in _KNOWS_RESTRICT.items())
        raise PecError(
            f"a plain dump can make psql run commands, which psql {_name(clients[0])} on this host cannot prevent (CVE-2025-8714); update "
            f"postgresql-client to one of {fixed} or newer, or make the dump with --format=custom"
        )
    return able


def knows_restrict(version: Sequence[int]) -> bool:
    """Return whether psql of this version can be forbidden to run the commands in its input."""
    major, minor = (*version, 0, 0)[:2]
    return major > max(_KNOWS_RESTRICT) or minor >= _KNOWS_RESTRICT.get(major, minor + 1)


def _list_directory(dump: Dump, clients: Clients, place: str) -> Listing:
    with scratch.directory(place) as directory:
        scratch.add(directory, "toc.dat", dump.descriptor("toc.dat"))
        with Pipeline([_lister(clients, directory)], collect=True) as listing:
            text = listing.output.read(_LONGEST_LISTING + 1)
            _refuse_longer(len(text), _LONGEST_LISTING, "its table of contents")
            return Listing(text.decode("utf-8", "replace"), None)


def _list_stream(dump: Dump, archive: Archive, clients: Clients, identity: Identity) -> Listing:
    """pg_restore reads only up to the end of the table of contents; this beginning is kept."""
    head, text = _memory("head"), _memory("list")  # in memory, because it may contain rows of an encrypted dump
    with text, PlainStream(dump, archive.layers, identity) as plain:
        with Pipeline([_lister(clients)], feed=True, stdout=text.fileno()) as listing:
            try:
                data = plain.read(CHUNK)
                while data:
                    head.write(data)
                    _refuse_longer(head.tell(), _LONGEST_HEAD, "the beginning with its table of contents")
                    listing.input.write(data)
                    data = plain.read(CHUNK)
            except BrokenPipeError:
                pass
            listing.wait()
        head.flush()
        confinement.lend(head.fileno())
        text.seek(0)
        return Listing(text.read().decode("utf-8", "replace"), head)


def _lister(clients: Clients, *arguments: str) -> Stage:
    return Stage([clients.pg_restore, "--list", *arguments], limits={"data": _MEMORY_TO_LIST, "fsize": _LONGEST_LISTING})


def _refuse_longer(length: int, limit: int, what: str) -> None:
    if length > limit:
        raise PecError(f"{what} is longer than {limit >> 20} MiB, which no dump of PEC is")


def _memory(name: str) -> BinaryIO:
    return os.fdopen(os.memfd_create(name), "w+b")


def _name(clients: Clients) -> str:
    return ".".join(map(str, clients.version))


def _number(version: Sequence[int]) -> int:
    return custom_format.version_number(".".join(map(str, version))) or 0


def _major(text: str) -> int:
    return custom_format.comparable(custom_format.version_number(text) or 0)
