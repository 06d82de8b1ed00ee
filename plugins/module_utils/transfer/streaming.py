# SPDX-License-Identifier: GPL-3.0-or-later
"""Restores a database straight from the server that it is on, without a file of its rows on either side. Private to the collection.

A dump of the schema alone is small, so it is restored as any other dump is, by the same boundaries. The rows come from pg_dump's of one
snapshot, each of which writes into a pg_restore.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from ansible_collections.esus.pec.plugins.module_utils.dump import manifest, writing
from ansible_collections.esus.pec.plugins.module_utils.dump.manifest import Manifest
from ansible_collections.esus.pec.plugins.module_utils.dump.planning import Plan
from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.pec import installation
from ansible_collections.esus.pec.plugins.module_utils.postgres import administrator, contents, psql
from ansible_collections.esus.pec.plugins.module_utils.postgres.psql import Client, Connection, DatabaseFacts
from ansible_collections.esus.pec.plugins.module_utils.postgres.session import Session, same_database
from ansible_collections.esus.pec.plugins.module_utils.restore import live_rows, restoring
from ansible_collections.esus.pec.plugins.module_utils.restore.live_rows import LiveRows
from ansible_collections.esus.pec.plugins.module_utils.restore.planning import Desired
from ansible_collections.esus.pec.plugins.module_utils.restore.restoring import Outcome
from ansible_collections.esus.pec.plugins.module_utils.system import files, host
from ansible_collections.esus.pec.plugins.module_utils.system.status_file import StatusFile
from ansible_collections.esus.pec.plugins.module_utils.transfer import records
from ansible_collections.esus.pec.plugins.module_utils.transfer.link import Ssh, reached

_SCHEMA = "schema.dump"
_SECTIONS = ("--section=pre-data", "--section=post-data")
_STARTED_SQL = "select to_json(extract(epoch from pg_postmaster_start_time()))"


@dataclass(frozen=True)
class Source:
    """The server that has the database: C(name) for records, and either C(connection) or the C(home) of a copy of its PEC's files.

    With C(ssh), the address of the connection is meant as seen from there.
    """

    name: str
    ssh: Ssh | None = None
    connection: Connection | None = None
    home: str | None = None


@dataclass(frozen=True)
class Streamed:
    """The restore, and what was read at the source."""

    outcome: Outcome
    facts: DatabaseFacts
    client_version: str
    seconds: Mapping[str, float] = field(default_factory=dict)


def run(desired: Desired, source: Source, *, check: bool = False, record: str | None = None) -> Streamed:
    """Restore from the source, or only plan it. C(record) is the file for the manifest with the fingerprint. Raises PecError."""
    target = desired.connection or installation.connection()
    began = time.monotonic()
    with contextlib.ExitStack() as stack:
        conn = stack.enter_context(reached(source.connection or installation.connection_below(source.home or ""), source.ssh))
        facts = psql.read_facts(conn)
        client = _choose(facts.server_version_num, target)
        psql_path = os.path.join(os.path.dirname(client.path), "psql")
        if _same(conn, target, tunnelled=source.ssh is not None):
            raise PecError(f"{source.name} is this server: its database {conn.database!r} is the one to replace; name the old server")
        place = stack.enter_context(files.private_directory())
        session = stack.enter_context(Session(conn, psql_path))
        session.execute(psql.PATIENT)
        session.execute("begin isolation level repeatable read read only")
        snapshot = str(session.query("select to_json(pg_export_snapshot())"))
        made = _dump_schema(source, conn, facts, client, snapshot, session, os.path.join(place, _SCHEMA))
        sizes = live_rows.read_sizes(session)
        seconds = {"schema": round(time.monotonic() - began, 2)}
        live = LiveRows(conn, facts, client.path, psql_path, snapshot, sizes, desired.jobs or host.processors())
        wanted = replace(desired, path=os.path.join(place, _SCHEMA), from_host=made.host, rows_follow=True)
        outcome = restoring.run(wanted, check=check, live=live)
        if record and outcome.plan.action == "restore" and outcome.contents is not None:
            records.write(record, replace(made, name=conn.database, fingerprint=live.fingerprint()))
    version = ".".join(map(str, client.version))
    return Streamed(outcome, facts, version, {**seconds, **outcome.seconds})


def _same(conn: Connection, target: Connection, *, tunnelled: bool) -> bool:
    """A tunnel's end is on this host whatever it leads to, so only the server itself can tell."""
    if not tunnelled:
        return same_database(conn, target)
    cluster = psql.cluster(conn)
    if not cluster or cluster != psql.cluster(target) or conn.database != target.database:
        return False
    # A physical copy has all of this from its source.
    return psql.query(conn, _STARTED_SQL) == psql.query(target, _STARTED_SQL)


def _choose(source_version_num: int, target: Connection) -> Client:
    """Return the oldest pg_dump that is of neither server's past, because what a newer one writes an older server may not understand."""
    clients = psql.find_clients("pg_dump")
    major = source_version_num // 10000
    able = [client for client in clients if client.version[0] >= major]
    if not able:
        have = ", ".join(f"{'.'.join(map(str, client.version))} ({client.path})" for client in clients) or "none"
        raise PecError(
            f"the source is PostgreSQL {major}, which no pg_dump on this host can read (found: {have}); install postgresql-client-{major} "
            "or newer here"
        )
    here = administrator.log_in(target, os.path.join(os.path.dirname(able[0].path), "psql")).version_num // 10000
    fitting = [client for client in able if client.version[0] >= here]
    return min(fitting or able, key=lambda client: client.version)


def _dump_schema(
    source: Source, conn: Connection, facts: DatabaseFacts, client: Client, snapshot: str, session: Session, path: str
) -> Manifest:
    """Dump all but the rows into C(path), and write the manifest beside it that a complete dump of the snapshot would have."""
    held = contents.read_contents(session)
    status = StatusFile("transfer", conn.database)
    options = ("--format=custom", "--compress=1", "--no-password", "--verbose", *_SECTIONS)
    plan = Plan(path, "custom", "gzip", 1, options, (), True, 1, 0, ())
    pg_restore = os.path.join(os.path.dirname(client.path), "pg_restore")
    environment = {**psql.environment(conn), **psql.options(psql.server_keepalives(conn))}
    programs = writing.Programs(client.path, pg_restore, environment, (conn.password,), tuple(psql.lasting(conn, client.path)))
    with status:
        written = writing.write(plan, programs, snapshot, (), path, writing.Progress(status, held.tables))
        status.remove()
    whole, fewer = contents.dumped(held, written.toc.counts if written.toc else None)
    made = replace(
        records.describe(source.name, conn, facts, whole, ".".join(map(str, client.version))),
        name=os.path.basename(path),
        compression="gzip",
        bytes=written.bytes,
        sha256=written.sha256,
        toc_entries=written.toc_entries,
        pec_version=held.pec_version,
        notes=tuple(fewer),
    )
    manifest.write(path, made)
    return made
