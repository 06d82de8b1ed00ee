# SPDX-License-Identifier: GPL-3.0-or-later
"""Compares a restored database with its dump, and gives it statistics and the read-only role's rights. Private to the collection."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from ansible_collections.esus.pec.plugins.module_utils import beliefs
from ansible_collections.esus.pec.plugins.module_utils.dump.manifest import Manifest
from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.postgres import contents, psql
from ansible_collections.esus.pec.plugins.module_utils.postgres.administrator import Login
from ansible_collections.esus.pec.plugins.module_utils.postgres.contents import Contents, Fingerprint
from ansible_collections.esus.pec.plugins.module_utils.postgres.psql import Connection, identifier, literal
from ansible_collections.esus.pec.plugins.module_utils.postgres.session import Session
from ansible_collections.esus.pec.plugins.module_utils.system import process
from ansible_collections.esus.pec.plugins.module_utils.system.pipeline import Pipeline, Stage

_HASH64_SINCE = 110000
_SYNC_SECONDS = 3600
_GRANTS = """
GRANT SELECT ON ALL TABLES IN SCHEMA public TO {role};
ALTER DEFAULT PRIVILEGES FOR ROLE {owner} IN SCHEMA public GRANT SELECT ON TABLES TO {role};
"""


@dataclass(frozen=True)
class Expected:
    """What the restored database must contain: C(counts) according to the dump itself, C(contents) according to its manifest."""

    counts: Mapping[str, int]
    contents: Contents | None
    fingerprint: Fingerprint | None
    require_pec: bool


class Checkpoint:
    """A checkpoint in the background of other work. C(problem) is why it failed."""

    def __init__(self, admin: Login) -> None:
        self.problem: str | None = None
        self._admin = admin
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Checkpoint:
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._thread.join()

    def _run(self) -> None:
        place = self._admin.data_directory
        try:
            # A checkpoint syncs thousands of files one by one, which is several times slower than one sync of the filesystem before it.
            if place and self._admin.conn.is_local and os.path.isdir(place):
                process.run(["sync", "--file-system", place], timeout=_SYNC_SECONDS)
            self._admin.execute("CHECKPOINT")
        except PecError as error:
            self.problem = str(error)


def expected(
    counts: Mapping[str, int], manifest: Manifest | None, *, require_pec: bool, server_version_num: int
) -> tuple[Expected, list[str]]:
    """Return what to compare with, and notes on what cannot be compared."""
    notes = []
    known = manifest.contents if manifest else None
    fingerprint = manifest.fingerprint if manifest else None
    if manifest and known and manifest.schema_only:
        known = replace(known, sequences={}, large_objects=0, pec_version=None)
    if fingerprint and fingerprint.method == contents.HASH64 and server_version_num < _HASH64_SINCE:
        fingerprint = None
        notes.append("the rows were not compared with the manifest's fingerprint, because this server is too old for its method")
    elif manifest and not fingerprint:
        notes.append("the rows were not compared, because the manifest has no fingerprint")
    return Expected(counts, known, fingerprint, require_pec), notes


def analyze(vacuumdb: str, conn: Connection, jobs: int) -> None:
    """Gather the planner's statistics; without them the first queries would take minutes."""
    argv = [vacuumdb, "--analyze-only", "--no-password", "--quiet", "--jobs", str(jobs)]
    with Pipeline([Stage(argv, psql.environment(conn))], secrets=[conn.password]) as running:
        running.wait()


def verify(conn: Connection, psql_path: str, wanted: Expected, jobs: int, on_table: Callable[[int, int], None]) -> Contents:
    """Return what the database contains. Raises PecError with every difference."""
    with Session(conn, psql_path) as session:
        found = contents.read_contents(session)
    problems = [
        f"{kind}: {found.objects.get(kind, 0)} instead of {number}"
        for kind, number in wanted.counts.items()
        if found.objects.get(kind, 0) != number
    ]
    if wanted.contents:
        problems = contents.compare(wanted.contents, found)
    if wanted.require_pec and not found.pec_version:
        problems.append(f"it is not a database of PEC: {beliefs.SETTINGS_TABLE} has no {beliefs.VERSION_KEY}")
    if not problems and wanted.fingerprint:
        rows = wanted.fingerprint
        read = contents.read_fingerprint(conn, psql_path, rows.method, jobs=jobs, only=set(rows.tables), on_table=on_table)
        problems = contents.compare_fingerprints(rows, read)
    if problems:
        raise PecError(f"the restored database differs from the dump: {'; '.join(problems)}; make a new dump, or restore an older one")
    return found


def grant_reading(login: Login, database: str, owner: str) -> None:
    """Grant the read-only role its rights, if the role exists."""
    role = beliefs.READ_ONLY_ROLE
    with login.session(database) as session:
        exists = session.query(f"select to_json(exists (select from pg_roles where rolname = {literal(role)}))")
        if exists:
            # PUBLIC has these by default, so they are granted only if somebody revoked them.
            for question, grant in (
                ("has_database_privilege({}, current_database(), 'CONNECT')", f"GRANT CONNECT ON DATABASE {identifier(database)}"),
                ("has_schema_privilege({}, 'public', 'USAGE')", "GRANT USAGE ON SCHEMA public"),
            ):
                if not session.query(f"select to_json({question.format(literal(role))})"):
                    session.execute(f"{grant} TO {identifier(role)}")
            session.execute(_GRANTS.format(role=identifier(role), owner=identifier(owner)))
