# SPDX-License-Identifier: GPL-3.0-or-later
"""Proves that a database is still as a restore left it. Private to the collection."""

from __future__ import annotations

import hashlib
import json

from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.postgres import contents, fingerprints
from ansible_collections.esus.pec.plugins.module_utils.postgres.administrator import Login
from ansible_collections.esus.pec.plugins.module_utils.postgres.psql import Connection
from ansible_collections.esus.pec.plugins.module_utils.postgres.session import Session

# Catalogs that only a change of definitions changes. Vacuum and analyze write statistics into pg_class too, but into the row that is there.
_CATALOGS = (
    *("pg_attrdef", "pg_attribute", "pg_cast", "pg_class", "pg_constraint", "pg_enum", "pg_event_trigger", "pg_extension", "pg_index"),
    *("pg_inherits", "pg_largeobject_metadata", "pg_operator", "pg_policy", "pg_proc", "pg_rewrite", "pg_trigger", "pg_type"),
)
_SEQUENCES_SINCE = 100000  # pg_sequence


def state(connection: Connection, admin: Login, client_path: str, jobs: int) -> str | None:
    """Return a digest that is another one after any change of the database's rows, large objects, sequences or definitions.

    It is made of the number of rows and the sum of their C(xmin), the transaction that wrote a row: what is written later has a higher
    one, and what is deleted is missing (https://www.postgresql.org/docs/current/ddl-system-columns.html). None if something cannot be read,
    such as large objects by an administrator who is no superuser.
    """
    try:
        with Session(connection, client_path) as session:
            found = contents.read_contents(session)
        rows = fingerprints.read_fingerprint(connection, client_path, fingerprints.VERSIONS, jobs=jobs)
        with admin.session(connection.database) as session:
            catalogs = (*_CATALOGS, *(("pg_sequence",) if admin.version_num >= _SEQUENCES_SINCE else ()))
            definitions = session.query(f"select json_build_object({', '.join(f'{name!r}, {_versions(name)}' for name in catalogs)})")
            large = session.query(f"select {_versions('pg_largeobject')}") if found.large_objects else None
    except PecError:
        return None
    everything = [found.objects, found.sequences, found.large_objects, rows.digest, definitions, large]
    return hashlib.sha256(json.dumps(everything, sort_keys=True).encode()).hexdigest()


def _versions(catalog: str) -> str:
    return f"(select json_build_array(count(*), coalesce(sum(xmin::text::bigint), 0)::text) from {catalog})"
