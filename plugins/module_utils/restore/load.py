# SPDX-License-Identifier: GPL-3.0-or-later
"""Loads a dump into an empty database with pg_restore, in parallel if the dump allows it, or with psql. Private to the collection."""

from __future__ import annotations

import contextlib
import os
import secrets
import threading
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from typing import BinaryIO, TypeVar

from ansible_collections.esus.pec.plugins.module_utils.archive import copying
from ansible_collections.esus.pec.plugins.module_utils.archive.opening import Dump
from ansible_collections.esus.pec.plugins.module_utils.archive.reading import DIRECTORY, TAR, Archive, Identity, PlainStream
from ansible_collections.esus.pec.plugins.module_utils.archive.skipping import Skip
from ansible_collections.esus.pec.plugins.module_utils.archive.sql_filter import SqlFilter
from ansible_collections.esus.pec.plugins.module_utils.archive.text_encoding import BrokenAccents
from ansible_collections.esus.pec.plugins.module_utils.archive.toc import Toc
from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.postgres import psql, session
from ansible_collections.esus.pec.plugins.module_utils.postgres.psql import Connection
from ansible_collections.esus.pec.plugins.module_utils.restore import function_path, scratch
from ansible_collections.esus.pec.plugins.module_utils.restore.live_rows import LiveRows
from ansible_collections.esus.pec.plugins.module_utils.restore.load_output import LoadOutput
from ansible_collections.esus.pec.plugins.module_utils.restore.tools import READ_ONLY, Clients, Listing
from ansible_collections.esus.pec.plugins.module_utils.system import confinement
from ansible_collections.esus.pec.plugins.module_utils.system.pipeline import CHUNK, Pipeline, Stage

_MOST_MEMORY = 1 << 30
_LEAST_MEMORY = 64 << 20
_PARTS = 4  # of the rows for each job, so that all jobs have work to the end
_TABLE_LOADED = "processing data for table"
_Part = TypeVar("_Part")


@dataclass(frozen=True)
class Loaded:
    """The output of the programs, and the number of tables of a plain dump (None for an archive, which lists them itself).

    C(filled) is for how many of them the dump has rows; None if it has them as INSERT, which are not counted.
    """

    output: LoadOutput
    tables: int | None
    filled: int | None = None
    without_oids: bool = False
    created: bool = False


class Loader:
    """Loads one dump into the database of C(conn). C(options) are settings of the sessions.

    extensions are those that the database has already, without_extensions those to leave out, and so is what C(skip) names; C(schemas)
    exist already. on_table(done) is called as tables are filled. sha256 is what the dump was checked against.
    function_search_path are the schemas in which the functions of the dump look for what they name without a schema. C(live) brings the
    rows of an archive that has none.
    """

    def __init__(
        self,
        dump: Dump,
        archive: Archive,
        clients: Clients,
        conn: Connection,
        options: Mapping[str, str],
        identity: Identity,
        *,
        jobs: int,
        sha256: str,
        server_version_num: int,
        extensions: Collection[str],
        without_extensions: Collection[str],
        on_table: Callable[[int], None],
        skip: Skip | None = None,
        schemas: Collection[str] = (),
        function_search_path: Sequence[str] = (),
        live: LiveRows | None = None,
    ) -> None:
        self._live = live
        self._skip, self._schemas = skip or Skip(), schemas
        self._search_path = function_search_path
        self._name_of: Callable[[int], str] = lambda _number: ""
        self._dump, self._archive, self._clients, self._conn, self._identity = dump, archive, clients, conn, identity
        self._environment = {**psql.environment(conn), **psql.options({**psql.server_keepalives(conn), **options})}
        self._jobs = jobs
        self._sha256 = sha256
        self._server_version_num = server_version_num
        self._extensions, self._without = extensions, without_extensions
        self._on_table = on_table
        self._tables = 0
        self._filled: int | None = None
        self._running: set[Pipeline] = set()
        self._stopped_for = ""
        self._output = LoadOutput(self._stop)

    def load(self, toc: Toc | None, listing: Listing | None) -> Loaded:
        """Raises PecError with the errors of the load, or with what is wrong with the dump."""
        if toc is None or listing is None:
            sql = self._load_plain()  # it replaces the output
            return Loaded(self._output, sql.tables, self._filled, sql.without_oids, sql.created)
        labels = toc.labels()
        self._name_of = lambda number: labels.get(str(number), "")
        if self._archive.kind == DIRECTORY:
            self._load_directory(toc)
        else:
            self._load_archive(toc, listing)
        return Loaded(self._output, None, toc.tables_with_data)

    def stop(self, reason: str) -> None:
        """Make the load fail with this reason."""
        self._stopped_for = self._stopped_for or reason
        self._stop()

    def _load_plain(self) -> SqlFilter:
        before_rows = function_path.set_statement(self._search_path).encode() if self._search_path else b""
        sql = SqlFilter(self._server_version_num, self._without, self._skip, self._schemas, before_rows)
        self._name_of = sql.object_at
        accents = BrokenAccents(self._archive.header.encoding)
        argv = [self._clients.psql, "-X", "-q", "-v", "ON_ERROR_STOP=1", "-f", "-", *psql.lasting(self._conn, self._clients.psql)]

        def pieces(plain: PlainStream) -> Iterator[bytes]:
            # From here on psql runs no command but the end of this mode, which nobody can know. On the dump's first line, so that the
            # numbers of lines are those of the dump.
            yield f"\\restrict {secrets.token_hex(16)} \\\\ ".encode()
            for data in _chunks(plain):
                if not accents.decided:
                    accents.add(data)
                    if accents.decided:
                        self._require_accents(accents)
                yield self._filtered(sql, sql.feed, data)
                self._on_table(sql.copies)
            self._require_accents(accents)
            yield self._filtered(sql, lambda _nothing: sql.finish(), b"")

        with PlainStream(self._dump, self._archive.layers, self._identity) as plain:
            self._run([Stage(argv, self._environment, limits=READ_ONLY)], pieces(plain))
        self._filled = sql.copies or None
        return sql

    def _load_directory(self, toc: Toc) -> None:
        """pg_restore opens the files of a directory by their names, so it gets a copy that it may read."""
        with scratch.directory(session.database_lock(self._conn)) as place:
            _parts, sha256 = copying.copy_directory(self._dump, place, confinement.owner())
            if sha256 != self._sha256:
                raise PecError(f"{self._archive.path} changed after it was checked; restore it again when nobody writes it")
            with _in_memory(self._selection(toc)) as selection:
                for sections in self._sections():
                    self._restore([*sections, place], selection, jobs=self._jobs)

    def _load_archive(self, toc: Toc, listing: Listing) -> None:
        """Load tables, rows, then indexes and constraints; the last need only the table of contents, so they are made in parallel.

        So are the rows if the archive can be read at any place: by several programs, each with a file and a part of the tables of its own.
        """
        with _in_memory(self._selection(toc)) as selection:
            if self._live and listing.head is not None:
                self._restore(["--section=pre-data"], selection, stdin=True)
                self._set_search_path()
                self._load_live(self._live)
                self._restore(["--section=post-data", f"/dev/fd/{listing.head.fileno()}"], selection, head=listing.head, jobs=self._jobs)
                return
            if self._archive.kind == TAR or self._jobs == 1 or listing.head is None:
                for sections in self._sections():
                    self._restore_stream(sections, selection)
                return
            if self._archive.layers:
                for sections in self._sections(["--section=pre-data", "--section=data"]):
                    self._restore_stream(sections, selection)
            else:
                self._restore(["--section=pre-data"], selection, stdin=True)
                self._set_search_path()
                self._load_rows(toc.parts(self._jobs * _PARTS, self._without, self._skip))
            self._restore(["--section=post-data", f"/dev/fd/{listing.head.fileno()}"], selection, head=listing.head, jobs=self._jobs)

    def _selection(self, toc: Toc) -> str:
        return toc.selection(self._without, self._skip, self._schemas)

    def _sections(self, sections: Sequence[str] = ()) -> Iterator[Sequence[str]]:
        """Yield the arguments of each run of pg_restore: one, or two if something is to be done between the tables and their rows."""
        if not self._search_path:
            yield sections
            return
        yield ["--section=pre-data"]
        self._set_search_path()
        yield ["--section=data", *([] if sections else ["--section=post-data"])]

    def _set_search_path(self) -> None:
        if self._search_path:
            with session.Session(self._conn, self._clients.psql) as opened:
                opened.execute(function_path.set_statement(self._search_path))

    def _load_live(self, live: LiveRows) -> None:
        """Several pg_dump write rows into a pg_restore each, which knows nothing of the tables but their names."""
        argv = [*self._argv(), "--section=data"]

        def load(source: Stage) -> None:
            if not self._stopped_for:
                self._run([source, Stage(argv, self._environment, limits=READ_ONLY)], None, self._unavoidable(1), secrets=live.secrets)

        with live.being_read():
            self._side_by_side(load, live.stages(self._jobs, [entry for entry in self._skip.entries if entry.kind == "TABLE"]))

    def _load_rows(self, parts: Sequence[str]) -> None:
        def load(part: str) -> None:
            if not self._stopped_for:
                with _in_memory(part) as selection:
                    self._restore(["--section=data"], selection, stdin=True)

        self._side_by_side(load, parts)

    def _side_by_side(self, load: Callable[[_Part], None], parts: Sequence[_Part]) -> None:
        with ThreadPoolExecutor(self._jobs) as pool:
            runs = [pool.submit(load, part) for part in parts]
            try:
                for run in as_completed(runs):
                    run.result()
            except BaseException:
                self.stop("another part of the dump could not be loaded")
                raise

    def _restore_stream(self, arguments: Sequence[str], selection: BinaryIO) -> None:
        with PlainStream(self._dump, self._archive.layers, self._identity) as plain:
            self._restore(arguments, selection, _chunks(plain))

    def _restore(
        self,
        arguments: Sequence[str],
        selection: BinaryIO,
        source: Iterator[bytes] | None = None,
        *,
        stdin: bool = False,
        head: BinaryIO | None = None,
        jobs: int = 1,
    ) -> None:
        descriptors = [selection.fileno(), *([head.fileno()] if head else [])]
        argv = [*self._argv(), "--use-list", f"/dev/fd/{selection.fileno()}"]
        argv += ["--jobs", str(jobs)] if jobs > 1 else []
        stage = Stage([*argv, *arguments], self._environment, pass_fds=descriptors, limits=READ_ONLY)
        file = self._dump.descriptor() if stdin else None
        try:
            self._run([stage], source, self._unavoidable(jobs), stdin=file)
        finally:
            if file is not None:
                os.close(file)

    def _argv(self) -> list[str]:
        argv = [self._clients.pg_restore, "--verbose", "--no-owner", "--no-privileges", "--no-tablespaces"]
        return argv + psql.lasting(self._conn, self._clients.pg_restore, _conninfo(self._conn.database))

    def _unavoidable(self, jobs: int) -> int:
        """Return how many errors pg_restore counts on an older server although nothing is wrong.

        Since 17 it sets transaction_timeout in every session, which older servers refuse. It counts its own sessions, not its workers':
        the one before them and, in parallel, the one after them.
        """
        if self._clients.version[0] < 17 or self._server_version_num >= 170000:
            return 0
        return 2 if jobs > 1 else 1

    def _run(
        self,
        stages: Sequence[Stage],
        source: Iterator[bytes] | None,
        unavoidable: int = 0,
        *,
        stdin: int | None = None,
        secrets: Sequence[str] = (),
    ) -> None:
        """Run the program that loads, the last of the stages."""
        if self._stopped_for:
            raise PecError(self._stopped_for)
        failure: PecError | None = None
        said = LoadOutput(self._stop, self._output.first_warnings, self._name_of)

        loading = os.path.basename(stages[-1].argv[0])

        def read_line(program: str, line: str) -> None:
            if program != loading:
                return  # what a program before it says is in the error that its end raises
            if _TABLE_LOADED in line:
                self._tables += 1
                self._on_table(self._tables)
            said.read(program, line)

        known = [self._conn.password, *secrets]
        pipeline = Pipeline(stages, feed=source is not None, stdin=stdin, on_line=read_line, secrets=known)
        self._running.add(pipeline)
        with pipeline as running:
            if source is not None:
                _feed(running, source)
            try:
                running.wait()
            except PecError as error:
                failure = error
            codes = running.returncodes
        self._running.discard(pipeline)
        self._output = said
        if self._stopped_for:
            raise PecError(self._stopped_for)
        if failure and len(stages) > 1 and str(failure).startswith(f"{os.path.basename(stages[0].argv[0])} "):
            raise failure  # what its end does to the program that reads it is no cause
        codes = codes if any(codes[:-1]) else codes[-1:]
        # Its workers interrupt each other's lines, so these may be misread; its own count is right.
        if unavoidable and codes == [1] and said.ignored == unavoidable and not said.stopped:
            return
        if said.errors:
            raise PecError(f"{self._archive.path} could not be loaded, {said.complaint()}")
        if failure and not (said.harmless and codes == [1]):
            raise failure

    def _filtered(self, sql: SqlFilter, step: Callable[[bytes], bytes], data: bytes) -> bytes:
        try:
            passed = step(data)
        except PecError as error:
            raise PecError(f"{self._archive.path} cannot be restored: {error}") from None
        late = [name for name, _schema in sql.extensions if name not in (*self._extensions, *self._without, "plpgsql")]
        if late:
            raise PecError(
                f"{self._archive.path} cannot be restored: it creates the extension {late[0]} after its first table, as no pg_dump does; "
                "make it again with pg_dump"
            )
        return passed

    def _require_accents(self, accents: BrokenAccents) -> None:
        problem = accents.problem()
        if problem and not self._archive.accepts_broken_accents:
            raise PecError(f"{self._archive.path} cannot be restored: {problem}")

    def _stop(self) -> None:
        """Kill from other threads, because this one may read the output, and a kill waits for its end."""
        for pipeline in list(self._running):
            threading.Thread(target=pipeline.kill, daemon=True).start()


def options(jobs: int, memory_bytes: int | None) -> dict[str, str]:
    """Return the settings of the sessions that load: no wait for the disk at each of thousands of statements, and memory to sort.

    A crash can only lose a database that is not used yet: the switch at the end is synchronous, and writes everything before it too.
    """
    room = (memory_bytes or 8 * _LEAST_MEMORY * jobs) // 8 // jobs
    return {
        "synchronous_commit": "off",
        "maintenance_work_mem": f"{min(_MOST_MEMORY, max(_LEAST_MEMORY, room)) // 1024}kB",
        "client_min_messages": "warning",
        "statement_timeout": "0",
        "lock_timeout": "0",
        "default_transaction_read_only": "off",
    }


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
        confinement.lend(file.fileno())
        yield file


def _conninfo(database: str) -> str:
    """A bare name with a "=" in it would be read as a connection string."""
    return "dbname='" + database.replace("\\", "\\\\").replace("'", "\\'") + "'"
