# SPDX-License-Identifier: GPL-3.0-or-later
"""Compares a restored database with its dump, and gives it statistics and the read-only role's rights. Private to the collection."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import cast

from ansible_collections.esus.pec.plugins.module_utils import beliefs
from ansible_collections.esus.pec.plugins.module_utils.archive.skipping import Entry
from ansible_collections.esus.pec.plugins.module_utils.dump.manifest import Manifest
from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.postgres import contents, fingerprints, psql
from ansible_collections.esus.pec.plugins.module_utils.postgres.administrator import Login
from ansible_collections.esus.pec.plugins.module_utils.postgres.contents import Contents
from ansible_collections.esus.pec.plugins.module_utils.postgres.fingerprints import Fingerprint, Source
from ansible_collections.esus.pec.plugins.module_utils.postgres.psql import Connection, identifier, literal
from ansible_collections.esus.pec.plugins.module_utils.postgres.session import Session
from ansible_collections.esus.pec.plugins.module_utils.restore import load_output
from ansible_collections.esus.pec.plugins.module_utils.system import process
from ansible_collections.esus.pec.plugins.module_utils.system.pipeline import Pipeline, Stage

_SYNC_SECONDS = 3600
# A view reads tables with the rights of its owner. If that is a superuser, it may show the server's passwords; so may a view on such a
# view. The catalogue lists no dependencies on the server's own tables, which have numbers below 16384: they are in the view's rule only.
_VIEWS_SQL = """
with recursive uses as (
  select r.ev_class as view, (regexp_matches(r.ev_action::text, ':relid ([0-9]+)', 'g'))[1]::oid as used
  from pg_rewrite r where r.ev_class >= 16384
), shown as (
  select view from uses where used between 1 and 16383 union select u.view from uses u join shown s on u.used = s.view
)
select coalesce(json_agg(c.oid::regclass::text), '[]'::json) from shown join pg_class c on c.oid = shown.view
where c.relkind = 'v' and c.relnamespace = 'public'::regnamespace and exists (select from pg_roles r where r.oid = c.relowner and rolsuper)
"""
_TEXT_SQL = """
select coalesce(json_agg(json_build_array(c.oid::regclass::text, getdatabaseencoding()) order by c.oid), '[]'::json)
from pg_class c where c.oid >= 16384 and c.relkind = 'r'
"""
_SHOWN = 5
_OF_TABLES = ("tables", "indexes", "sequences", "constraints", "triggers", "types")
# What else is gone, or may be, with an object of a kind.
_COUNTED_WITH: Mapping[str, Sequence[str]] = {
    "TABLE": _OF_TABLES,
    "FOREIGN TABLE": ("constraints", "triggers", "sequences"),
    "VIEW": ("views", "triggers"),
    "MATERIALIZED VIEW": ("views", "indexes", "materialized views with rows"),
    "SEQUENCE": ("sequences",),
    "INDEX": ("indexes",),
    "CONSTRAINT": ("indexes", "constraints"),
    "CHECK CONSTRAINT": ("constraints",),
    "FK CONSTRAINT": ("constraints",),
    "FUNCTION": ("functions",),
    "PROCEDURE": ("functions",),
    "AGGREGATE": ("functions",),
    "TRIGGER": ("triggers",),
    "TYPE": ("types", "functions"),
    "DOMAIN": ("types", "constraints"),
    "EXTENSION": ("extensions",),
}
_GRANTS = """
BEGIN;
GRANT SELECT ON ALL TABLES IN SCHEMA public TO {role};
{revoked}
ALTER DEFAULT PRIVILEGES FOR ROLE {owner} IN SCHEMA public GRANT SELECT ON TABLES TO {role};
COMMIT
"""


@dataclass(frozen=True)
class Expected:
    """What the restored database must contain: C(counts) according to the dump itself, C(contents) according to its manifest.

    C(source) is where the fingerprint was read.
    """

    counts: Mapping[str, int]
    contents: Contents | None
    fingerprint: Fingerprint | None
    source: Source | None
    require_pec: bool
    server_version_num: int


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
    counts: Mapping[str, int],
    manifest: Manifest | None,
    *,
    require_pec: bool,
    server_version_num: int,
    without_extensions: Collection[str] = (),
) -> tuple[Expected, list[str]]:
    """Return what to compare with, and notes on what cannot be compared."""
    notes = []
    known = manifest.contents if manifest else None
    fingerprint = manifest.fingerprint if manifest else None
    if manifest and known and known.rules < contents.RULES:  # with these rules a manifest did not heed what a dump of its kind leaves out
        known, _notes = contents.dumped(known, None, schema_only=manifest.schema_only, exclude=manifest.excluded_table_data)
    if known and known.rules > contents.RULES:
        raise PecError(f"the manifest counts objects by rules {known.rules}, which are new to this version of the collection; update it")
    if known and without_extensions:
        known = replace(known, objects={kind: number for kind, number in known.objects.items() if kind != "extensions"})
        notes.append("the number of extensions was not compared, because some were left out")
    if manifest and not fingerprint:
        notes.append("the rows were not compared, because the manifest has no fingerprint")
    elif fingerprint and known and known.large_objects and fingerprints.LARGE_OBJECTS not in {*fingerprint.tables, *fingerprint.unproven}:
        notes.append("large objects were counted, and their contents not compared, because the manifest's fingerprint does not have them")
    source = Source(manifest.server_version_num, manifest.encoding) if manifest else None
    return Expected(counts, known, fingerprint, source, require_pec, server_version_num), notes


def uncounted(left_out: Sequence[Entry]) -> tuple[set[str], set[str]]:
    """Return the kinds whose number is not known any more when objects were left out, and the names of left out tables, without quotes."""
    kinds = {kind for entry in left_out for kind in _COUNTED_WITH.get(entry.kind, ())}
    return kinds, {f"{entry.schema}.{entry.tag}" for entry in left_out if entry.kind == "TABLE"}


def without(wanted: Expected, left_out: Sequence[Entry]) -> Expected:
    """Return what to compare with when objects were left out: kinds whose number is not known any more are not compared."""
    kinds, tables = uncounted(left_out)
    known, rows = wanted.contents, wanted.fingerprint
    if known:
        counts = {kind: number for kind, number in known.objects.items() if kind not in kinds}
        known = replace(known, objects=counts, sequences={} if "sequences" in kinds else known.sequences)
    if rows:
        rows = replace(rows, tables={name: sums for name, sums in rows.tables.items() if name.replace('"', "") not in tables})
    return replace(wanted, contents=known, fingerprint=rows)


def require_text(conn: Connection, psql_path: str) -> None:
    """Require that all text is what the encoding of the database says. Raises PecError with the first table that has other bytes.

    COPY stores the rows of a dump in SQL_ASCII unchecked. A conversion from an encoding to itself looks at every byte.
    """
    with Session(conn, psql_path) as session:
        tables = cast("list[tuple[str, str]]", session.query(_TEXT_SQL))
        for name, encoding in tables:
            try:
                session.execute(
                    f"select count(convert(textsend(textin(record_out(_esus_pec_row))), {literal(encoding)}, {literal(encoding)})) "
                    f"from only {name} _esus_pec_row"
                )
            except PecError as error:
                raise PecError(f"the rows of the table {name} cannot be restored: {error}. {load_output.OTHER_ENCODING}") from None


def analyze(vacuumdb: str, conn: Connection, jobs: int) -> None:
    """Gather the planner's statistics; without them the first queries would take minutes."""
    argv = [vacuumdb, "--analyze-only", "--no-password", "--quiet", "--jobs", str(jobs), *psql.lasting(conn, vacuumdb)]
    environment = {**psql.environment(conn), **psql.options(psql.server_keepalives(conn))}
    with Pipeline([Stage(argv, environment)], secrets=[conn.password]) as running:
        running.wait()


def verify(
    conn: Connection, psql_path: str, wanted: Expected, jobs: int, on_table: Callable[[int, int], None]
) -> tuple[Contents, Fingerprint | None, list[str]]:
    """Return what the database contains, the fingerprint that it has, if rows were compared by their values, and notes on what was not.

    Raises PecError with every difference.
    """
    how = None
    with Session(conn, psql_path) as session:
        found = contents.read_contents(session)
        if wanted.fingerprint and wanted.source:
            how = fingerprints.plan_comparison(wanted.fingerprint, wanted.source, session, wanted.server_version_num)
        older = contents.read_counts_1(session) if wanted.contents and wanted.contents.rules < contents.RULES else {}
    if wanted.contents:
        known = _explained(wanted.contents, wanted.counts, older, found)
        problems = contents.compare(known, found)
    else:
        problems = contents.compare_counts(wanted.counts, found.objects)
    if wanted.require_pec and not found.pec_version:
        problems.append(f"it is not a database of PEC: {beliefs.SETTINGS_TABLE} has no {beliefs.VERSION_KEY}")
    if not problems and wanted.fingerprint and how:
        rows = wanted.fingerprint
        read = fingerprints.read_fingerprint(conn, psql_path, how.method, jobs=jobs, only=set(rows.tables), on_table=on_table)
        problems = fingerprints.compare_fingerprints(rows, read, how.counted)
    if problems:
        raise PecError(f"the restored database differs from the dump: {'; '.join(problems)}; make a new dump, or restore an older one")
    return found, wanted.fingerprint if how and how.method != fingerprints.COUNTS else None, [*(how.notes if how else ())]


def _explained(known: Contents, counts: Mapping[str, int], older: Mapping[str, int], found: Contents) -> Contents:
    """Return what is known without the numbers that rules 1 gave for objects which no dump holds.

    Such a number is right if the restored database has it by the same rules, or if the dump itself has as many as the database.
    """
    explained = {
        kind for kind in older if known.objects.get(kind) == older[kind] or (kind in counts and counts[kind] == found.objects.get(kind))
    }
    return replace(known, objects={kind: number for kind, number in known.objects.items() if kind not in explained})


def grant_reading(login: Login, database: str, owner: str) -> list[str]:
    """Grant the read-only role its rights, if the role exists. Return notes for the operator."""
    role = beliefs.READ_ONLY_ROLE
    with login.session(database) as session:
        if not session.query(f"select to_json(exists (select from pg_roles where rolname = {literal(role)}))"):
            return []
        # PUBLIC has these by default, so they are granted only if somebody revoked them.
        for question, grant in (
            ("has_database_privilege({}, current_database(), 'CONNECT')", f"GRANT CONNECT ON DATABASE {identifier(database)}"),
            ("has_schema_privilege({}, 'public', 'USAGE')", "GRANT USAGE ON SCHEMA public"),
        ):
            if not session.query(f"select to_json({question.format(literal(role))})"):
                session.execute(f"{grant} TO {identifier(role)}")
        views = cast("list[str]", session.query(_VIEWS_SQL))
        revoked = [f"REVOKE ALL ON TABLE {view} FROM {identifier(role)};" for view in views]
        session.execute(_GRANTS.format(role=identifier(role), owner=identifier(owner), revoked="\n".join(revoked)))
    shown = ", ".join(views[:_SHOWN]) + (f" and {len(views) - _SHOWN} more" if len(views) > _SHOWN else "")
    return [f"the role {role} may not read the views {shown}, because they show tables of the server itself"] if views else []
