# SPDX-License-Identifier: GPL-3.0-or-later
"""The proof that a restored database is whole, and what it needs before it is used: statistics, and the rights of who reads."""

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
    """What the restored database must hold. C(counts) is what the dump says about itself, C(contents) what its manifest says."""

    counts: Mapping[str, int]
    contents: Contents | None
    fingerprint: Fingerprint | None
    require_pec: bool


class Checkpoint:
    """A checkpoint that goes on while other work is done; C(problem) is why there was none."""

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
            # It syncs thousands of files one after the other, which takes several times as long as to write all of them at once before.
            if place and self._admin.conn.is_local and os.path.isdir(place):
                process.run(["sync", "--file-system", place], timeout=_SYNC_SECONDS)
            self._admin.execute("CHECKPOINT")
        except PecError as error:
            self.problem = str(error)


def expected(
    counts: Mapping[str, int], manifest: Manifest | None, *, require_pec: bool, server_version_num: int
) -> tuple[Expected, list[str]]:
    """Return what to look for, and notes about what cannot be checked."""
    notes = []
    known = manifest.contents if manifest else None
    fingerprint = manifest.fingerprint if manifest else None
    if manifest and known and manifest.schema_only:
        known = replace(known, sequences={}, large_objects=0, pec_version=None)
    if fingerprint and fingerprint.method == contents.HASH64 and server_version_num < _HASH64_SINCE:
        fingerprint = None
        notes.append("the rows could not be compared with the manifest's fingerprint: this server is too old for its method")
    elif manifest and not fingerprint:
        notes.append("the manifest has no fingerprint, so the rows themselves were not compared")
    return Expected(counts, known, fingerprint, require_pec), notes


def analyze(vacuumdb: str, conn: Connection, jobs: int) -> None:
    """Gather the statistics without which the first queries would take minutes."""
    argv = [vacuumdb, "--analyze-only", "--no-password", "--quiet", "--jobs", str(jobs)]
    with Pipeline([Stage(argv, psql.environment(conn))], secrets=[conn.password]) as running:
        running.wait()


def verify(conn: Connection, psql_path: str, wanted: Expected, jobs: int, on_table: Callable[[int, int], None]) -> Contents:
    """Return what the database holds. Raises PecError with all that is missing."""
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
        problems.append(f"it is not a database of PEC: there is no {beliefs.VERSION_KEY} in {beliefs.SETTINGS_TABLE}")
    if not problems and wanted.fingerprint:
        rows = wanted.fingerprint
        read = contents.read_fingerprint(conn, psql_path, rows.method, jobs=jobs, only=set(rows.tables), on_table=on_table)
        problems = contents.compare_fingerprints(rows, read)
    if problems:
        raise PecError(f"the restored database is not what was dumped: {'; '.join(problems)}")
    return found


def grant_reading(login: Login, database: str, owner: str) -> bool:
    """Give the role that only reads its rights again, which no dump carries over; return whether there is such a role."""
    role = beliefs.READ_ONLY_ROLE
    with login.session(database) as session:
        exists = session.query(f"select to_json(exists (select from pg_roles where rolname = {literal(role)}))")
        if exists:
            # What everybody may do by default is granted only where somebody has taken it away.
            for question, grant in (
                ("has_database_privilege({}, current_database(), 'CONNECT')", f"GRANT CONNECT ON DATABASE {identifier(database)}"),
                ("has_schema_privilege({}, 'public', 'USAGE')", "GRANT USAGE ON SCHEMA public"),
            ):
                if not session.query(f"select to_json({question.format(literal(role))})"):
                    session.execute(f"{grant} TO {identifier(role)}")
            session.execute(_GRANTS.format(role=identifier(role), owner=identifier(owner)))
    return bool(exists)
