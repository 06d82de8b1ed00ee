# SPDX-License-Identifier: GPL-3.0-or-later
"""What a database held at a moment, kept to see later what was written since. Private to the collection.

A record has the form of a dump's manifest, because that is what a restored database is compared with.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, replace

from ansible_collections.esus.pec.plugins.module_utils.dump import manifest
from ansible_collections.esus.pec.plugins.module_utils.dump.manifest import Manifest
from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.postgres import contents, fingerprints, psql
from ansible_collections.esus.pec.plugins.module_utils.postgres.contents import Contents
from ansible_collections.esus.pec.plugins.module_utils.postgres.psql import Connection, DatabaseFacts
from ansible_collections.esus.pec.plugins.module_utils.postgres.session import Session
from ansible_collections.esus.pec.plugins.module_utils.system import clock, files


@dataclass(frozen=True)
class Difference:
    """A table that differs, or the large objects. None instead of the number of rows: there is no such table on that side."""

    table: str
    rows_before: int | None
    rows_now: int | None


def describe(name: str, conn: Connection, facts: DatabaseFacts, held: Contents, client_version: str) -> Manifest:
    """Return the record of a database without its fingerprint. C(name) is the server's."""
    now = clock.utc()
    return Manifest(
        name=conn.database,
        format="custom",
        compression="none",
        bytes=0,
        sha256="",
        started=now,
        ended=now,
        duration_seconds=0.0,
        database=conn.database,
        host=name,
        database_bytes=facts.size_bytes,
        encoding=facts.encoding,
        collation=facts.collation,
        ctype=facts.ctype,
        server_version=facts.server_version,
        server_version_num=facts.server_version_num,
        client_version=client_version,
        contents=held,
        pec_version=held.pec_version,
        training=facts.training,
    )


def take(name: str, conn: Connection, jobs: int, *, method: str | None = None) -> Manifest:
    """Read everything in one snapshot. Raises PecError."""
    clients = psql.find_clients("psql")
    if not clients:
        raise PecError("no psql on this host is root's alone; install the PostgreSQL client (Debian: postgresql-client)")
    facts = psql.read_facts(conn)
    with Session(conn, clients[0].path) as session:
        session.execute(psql.PATIENT)
        session.execute("begin isolation level repeatable read read only")
        snapshot = str(session.query("select to_json(pg_export_snapshot())"))
        held = contents.read_contents(session)
        unproven: list[str] = []
        fingerprint = fingerprints.read_fingerprint(
            conn,
            clients[0].path,
            method or fingerprints.choose_method(facts.server_version_num, facts.encoding),
            snapshot=snapshot,
            jobs=jobs,
            on_failure=lambda table, reason: unproven.append(f"cannot be read: {table} ({reason})"),
        )
    made = describe(name, conn, facts, held, ".".join(map(str, clients[0].version)))
    return replace(made, fingerprint=fingerprint, notes=tuple(unproven))


def write(path: str, made: Manifest) -> None:
    """Write a record, for root alone: the sum of a table with few rows reveals what is in it to anybody who tries."""
    files.make_private(os.path.dirname(path))
    content = {"schema": manifest.SCHEMA, **asdict(made), "encrypted": False}
    files.write_atomic(path, json.dumps(content, ensure_ascii=False, indent=1).encode() + b"\n", mode=0o600)


def differences(before: Manifest, now: Manifest) -> list[Difference]:
    """Return the tables whose rows are other ones. Raises PecError if the two cannot be compared."""
    old, new = before.fingerprint, now.fingerprint
    if old is None or new is None or old.method != new.method:
        raise PecError("the two records have no fingerprint of one method; take both with this version of the collection")
    unknown = {*old.unproven, *new.unproven}
    found = []
    for table in sorted({*old.tables, *new.tables} - unknown):
        one, other = old.tables.get(table), new.tables.get(table)
        if one is None or other is None or (int(str(one[0])), str(one[1])) != (int(str(other[0])), str(other[1])):
            found.append(Difference(table, None if one is None else int(str(one[0])), None if other is None else int(str(other[0]))))
    return found
