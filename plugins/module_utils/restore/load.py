# SPDX-License-Identifier: GPL-3.0-or-later
"""Loads a dump into an empty database with pg_restore, in parallel if the dump allows it, or with psql. Private to the collection."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import BinaryIO

from ansible_collections.esus.pec.plugins.module_utils.archive.reading import Archive, Identity, PlainStream
from ansible_collections.esus.pec.plugins.module_utils.archive.sql_filter import SqlFilter
from ansible_collections.esus.pec.plugins.module_utils.archive.toc import Toc
from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.postgres import psql, session
from ansible_collections.esus.pec.plugins.module_utils.postgres.psql import Connection
from ansible_collections.esus.pec.plugins.module_utils.restore import tools
from ansible_collections.esus.pec.plugins.module_utils.restore.load_output import LoadOutput
from ansible_collections.esus.pec.plugins.module_utils.restore.tools import Clients, Listing
from ansible_collections.esus.pec.plugins.module_utils.system.pipeline import CHUNK, Pipeline, Stage

_MOST_MEMORY = 1 << 30
_LEAST_MEMORY = 64 << 20
_TABLE_LOADED = "processing data for table"


@dataclass(frozen=True)
class Loaded:
    """The output of the programs, and the number of tables of a plain dump (None for an archive, which lists them itself)."""

    output: LoadOutput
    tables: int | None


class Loader:
    """Loads one dump into the database of C(conn). C(options) are settings of the sessions.

    make_extension(name, schema) is called for each extension before the dump creates it; on_table(done) as tables are filled.
    """

    def __init__(
        self,
        archive: Archive,
        clients: Clients,
        conn: Connection,
        options: Mapping[str, str],
        identity: Identity,
        *,
        jobs: int,
        server_version_num: int,
        make_extension: Callable[[str, str | None], None],
        on_table: Callable[[int], None],
    ) -> None:
        self._archive, self._clients, self._conn, self._identity = archive, clients, conn, identity
        self._environment = {**psql.environment(conn), **session.options_environment(options)}
        self._jobs = tools.parallel(archive, jobs)
        self._server_version_num = server_version_num
        self._make_extension = make_extension
        self._on_table = on_table
        self._tables = 0
        self._pipeline: Pipeline | None = None
        self._stopped_for = ""
        self._output = LoadOutput(self._stop)

    def load(self, toc: Toc | None, listing: Listing | None) -> Loaded:
        """Raises PecError with the errors of the load, or with what is wrong with the dump."""
        if toc is None or listing is None:
            tables = self._load_plain()
            return Loaded(self._output, tables)
        for extension in toc.extensions:
            self._make_extension(extension, None)
        with _in_memory(toc.selection) as selection:
            if listing.head is not None:
                self._load_packed(selection, listing.head)
            else:
                self._restore([self._archive.path], selection, jobs=self._jobs)
        return Loaded(self._output, None)

    def stop(self, reason: str) -> None:
        """Make the load fail with this reason."""
        self._stopped_for = self._stopped_for or reason
        self._stop()

    def _load_plain(self) -> int:
        sql = SqlFilter(self._server_version_num, self._make_extension)
        argv = [self._clients.psql, "-X", "-q", "-v", "ON_ERROR_STOP=1", "-f", "-"]

        def pieces(plain: PlainStream) -> Iterator[bytes]:
            for data in _chunks(plain):
                yield self._filtered(sql.feed, data)
                self._on_table(sql.copies)
            yield self._filtered(lambda _nothing: sql.finish(), b"")

        with PlainStream(self._archive.path, self._archive.layers, self._identity) as plain:
            self._run(Stage(argv, self._environment), pieces(plain))
        return sql.tables

    def _load_packed(self, selection: BinaryIO, head: BinaryIO) -> None:
        """Load tables and rows from a stream; then indexes and constraints in parallel, which need only the table of contents."""
        with PlainStream(self._archive.path, self._archive.layers, self._identity) as plain:
            if self._jobs == 1:
                self._restore([], selection, _chunks(plain))
                return
            self._restore(["--section=pre-data", "--section=data"], selection, _chunks(plain))
        self._restore(["--section=post-data", f"/dev/fd/{head.fileno()}"], selection, head=head, jobs=self._jobs)

    def _restore(
        self,
        arguments: Sequence[str],
        selection: BinaryIO,
        source: Iterator[bytes] | None = None,
        *,
        head: BinaryIO | None = None,
        jobs: int = 1,
    ) -> None:
        descriptors = [selection.fileno(), *([head.fileno()] if head else [])]
        argv = [self._clients.pg_restore, "--verbose", "--no-owner", "--no-privileges", "--no-tablespaces"]
        argv += ["--dbname", _conninfo(self._conn.database), "--use-list", f"/dev/fd/{selection.fileno()}"]
        argv += ["--jobs", str(jobs)] if jobs > 1 else []
        self._run(Stage([*argv, *arguments], self._environment, pass_fds=descriptors), source, self._unavoidable(jobs))

    def _unavoidable(self, jobs: int) -> int:
        """Return how many errors pg_restore counts on an older server although nothing is wrong.

        Since 17 it sets transaction_timeout in every session, which older servers refuse. It counts its own sessions, not its workers':
        the one before them and, in parallel, the one after them.
        """
        if self._clients.version[0] < 17 or self._server_version_num >= 170000:
            return 0
        return 2 if jobs > 1 else 1

    def _run(self, stage: Stage, source: Iterator[bytes] | None, unavoidable: int = 0) -> None:
        if self._stopped_for:
            raise PecError(self._stopped_for)
        failure: PecError | None = None
        self._output = LoadOutput(self._stop, self._output.first_warnings)
        self._pipeline = Pipeline([stage], feed=source is not None, on_line=self._read_line, secrets=[self._conn.password])
        with self._pipeline as running:
            if source is not None:
                _feed(running, source)
            try:
                running.wait()
            except PecError as error:
                failure = error
            codes = running.returncodes
        if self._stopped_for:
            raise PecError(self._stopped_for)
        said = self._output
        # Its workers interrupt each other's lines, so these may be misread; its own count is right.
        if unavoidable and codes == [1] and said.ignored == unavoidable and not said.stopped:
            return
        if said.errors:
            raise PecError(f"{self._archive.path} could not be loaded, {said.complaint()}")
        if failure and not (said.harmless and codes == [1]):
            raise failure

    def _filtered(self, step: Callable[[bytes], bytes], data: bytes) -> bytes:
        try:
            return step(data)
        except PecError as error:
            raise PecError(f"{self._archive.path} cannot be restored: {error}") from None

    def _read_line(self, program: str, line: str) -> None:
        if _TABLE_LOADED in line:
            self._tables += 1
            self._on_table(self._tables)
        self._output.read(program, line)

    def _stop(self) -> None:
        """Kill from another thread, because this one reads the output, and the kill waits for its end."""
        if self._pipeline:
            threading.Thread(target=self._pipeline.kill, daemon=True).start()


def options(jobs: int, memory_bytes: int | None, role: str | None) -> dict[str, str]:
    """Return the settings of the sessions that load: no wait for the disk at each of thousands of statements, and memory to sort.

    A crash can only lose a database that is not used yet: the switch at the end is synchronous, and writes everything before it too.
    """
    room = (memory_bytes or 8 * _LEAST_MEMORY * jobs) // 8 // jobs
    settings = {
        "synchronous_commit": "off",
        "maintenance_work_mem": f"{min(_MOST_MEMORY, max(_LEAST_MEMORY, room)) // 1024}kB",
        "client_min_messages": "warning",
        "statement_timeout": "0",
        "lock_timeout": "0",
    }
    return {**settings, "role": role} if role else settings


def _feed(running: Pipeline, source: Iterator[bytes]) -> None:
    """Feed the program. If it ends early without failing, the rest is read all the same, because its end proves that it is complete."""
    reading = True
    for data in source:
        if reading and running.returncodes[0] not in (None, 0):
            return
        try:
            if reading:
                running.input.write(data)
        except (OSError, ValueError):  # closed by the program, or by our kill
            reading = False


def _chunks(plain: PlainStream) -> Iterator[bytes]:
    data = plain.read(CHUNK)
    while data:
        yield data
        data = plain.read(CHUNK)


@contextlib.contextmanager
def _in_memory(text: str) -> Iterator[BinaryIO]:
    with os.fdopen(os.memfd_create("list"), "w+b") as file:
        file.write(text.encode())
        file.flush()
        yield file


def _conninfo(database: str) -> str:
    """A bare name with a "=" in it would be read as a connection string."""
    return "dbname='" + database.replace("\\", "\\\\").replace("'", "\\'") + "'"
