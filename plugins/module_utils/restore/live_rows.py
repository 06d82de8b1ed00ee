# SPDX-License-Identifier: GPL-3.0-or-later
"""The rows of a database that another server still has: who writes them, and their fingerprint. Private to the collection."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator, Sequence
from typing import cast

from ansible_collections.esus.pec.plugins.module_utils.archive.skipping import Entry
from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.postgres import contents, fingerprints, psql
from ansible_collections.esus.pec.plugins.module_utils.postgres.fingerprints import Fingerprint
from ansible_collections.esus.pec.plugins.module_utils.postgres.psql import Connection, DatabaseFacts
from ansible_collections.esus.pec.plugins.module_utils.postgres.session import Session
from ansible_collections.esus.pec.plugins.module_utils.system.pipeline import Stage

_MOST_NAMED = 100  # tables in the arguments of a program
_SIZES_SQL = f"""
select coalesce(
  json_agg(json_build_array(n.nspname, c.relname, pg_table_size(c.oid)) order by pg_table_size(c.oid) desc, c.oid), '[]'::json
)
from pg_class c join pg_namespace n on n.oid = c.relnamespace
where c.relkind = 'r' and {contents.own("pg_class", "c.oid")}
"""


class LiveRows:
    """The rows of the database of C(conn) as of one exported snapshot, whose session the caller keeps open.

    C(pg_dump) is the program that writes them, C(psql) the one that reads their fingerprint, in C(jobs) sessions, while they are loaded.
    """

    def __init__(self, conn: Connection, facts: DatabaseFacts, pg_dump: str, client: str, snapshot: str, sizes: object, jobs: int) -> None:
        self._conn, self._facts, self._pg_dump, self._client, self._snapshot = conn, facts, pg_dump, client, snapshot
        self._sizes = [(str(schema), str(name), int(size)) for schema, name, size in cast("list[list[str]]", sizes)]
        self._jobs = jobs
        self._workers: list[Session] = []
        self._reader: threading.Thread | None = None
        self._stopped = False
        self._found: Fingerprint | None = None
        self._problem: BaseException | None = None
        self.unproven: list[str] = []

    @property
    def tables(self) -> int:
        """Number of tables with rows."""
        return len(self._sizes)

    @property
    def secrets(self) -> tuple[str, ...]:
        """What no output may show."""
        return (self._conn.password,)

    def stages(self, jobs: int, skipped: Sequence[Entry]) -> list[Stage]:
        """Return the programs that write all rows, sequences and large objects, without the rows of the C(skipped) tables.

        There are two where C(jobs) allows it: one has the largest tables up to half of the rows, the other one all the rest.
        """
        left_out = {(entry.schema, entry.tag) for entry in skipped}
        sizes = [each for each in self._sizes if each[:2] not in left_out]
        large: list[tuple[str, str]] = []
        rest = sum(size for _schema, _name, size in sizes) // 2
        for schema, name, size in sizes[:_MOST_NAMED] if jobs > 1 and len(sizes) > 1 and rest else []:
            if large and size > rest:
                continue
            large.append((schema, name))
            rest -= size
        without = [f"--exclude-table-data={_pattern(*table)}" for table in (*sorted(left_out), *large)]
        chosen = [f"--table={_pattern(*table)}" for table in large]
        return [self._stage(without), *([self._stage(chosen)] if chosen else [])]

    def _stage(self, arguments: Sequence[str]) -> Stage:
        argv = [self._pg_dump, "--format=custom", "--compress=0", "--section=data", "--no-password", f"--snapshot={self._snapshot}"]
        environment = {**psql.environment(self._conn), **psql.options(psql.server_keepalives(self._conn))}
        return Stage([*argv, *psql.lasting(self._conn, self._pg_dump), *arguments], environment)

    @contextlib.contextmanager
    def being_read(self) -> Iterator[None]:
        """Read the fingerprint in the background from now on; stop that if the block fails."""
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        try:
            yield
        except BaseException:
            self.stop()
            raise

    def fingerprint(self) -> Fingerprint:
        """Wait for the fingerprint. Raises PecError if it could not be read."""
        if self._reader is None:
            raise PecError("the fingerprint of the source is read while its rows are loaded, and none were")
        self._reader.join()
        if self._problem or self._found is None:
            raise PecError(f"the fingerprint of the source cannot be read: {self._problem or 'it was stopped'}")
        return self._found

    def stop(self) -> None:
        """End the sessions that read the fingerprint."""
        self._stopped = True
        for worker in list(self._workers):
            worker.stop()

    def _read(self) -> None:
        def failed(name: str, reason: str) -> None:
            if self._stopped:
                raise PecError("it was stopped")
            self.unproven.append(f"not in the fingerprint, because it cannot be read: {name} ({reason})")

        try:
            method = fingerprints.choose_method(self._facts.server_version_num, self._facts.encoding)
            self._found = fingerprints.read_fingerprint(
                self._conn, self._client, method, snapshot=self._snapshot, jobs=self._jobs, on_failure=failed, workers=self._workers
            )
        except BaseException as error:  # it is the other thread's to raise
            self._problem = error


def read_sizes(session: Session) -> object:
    """Return schema, name and size of each table of the session's database, the largest first."""
    return session.query(_SIZES_SQL)


def _pattern(schema: str, name: str) -> str:
    """Between quotes pg_dump takes every character for itself."""
    return ".".join('"' + part.replace('"', '""') + '"' for part in (schema, name))
