# SPDX-License-Identifier: GPL-3.0-or-later
"""Counts and fingerprints of a database, to prove that a restore lost nothing. Private to the collection."""

from __future__ import annotations

import contextlib
import fnmatch
import hashlib
import json
import threading
from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import cast

from ansible_collections.esus.pec.plugins.module_utils import beliefs
from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.postgres.psql import Connection, literal
from ansible_collections.esus.pec.plugins.module_utils.postgres.session import Session

HASH64, MD5 = "rows-hash64", "rows-md5"
_NAMED = 10
# The text of a row depends on these settings; with them, servers of different versions agree on it.
_PINNED = {
    "datestyle": "ISO, YMD",
    "timezone": "UTC",
    "intervalstyle": "postgres",
    "bytea_output": "hex",
    "lc_monetary": "C",
    "extra_float_digits": "3",
    "search_path": '""',
    "statement_timeout": "0",
}
_OWN = """n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
  and not exists (select from pg_depend d where d.classid = '{catalog}'::regclass and d.objid = {oid} and d.deptype = 'e')"""


def _count(catalog: str, condition: str, alias: str, namespace: str) -> str:
    own = _OWN.format(catalog=catalog, oid=f"{alias}.oid")
    return f"(select count(*) from {catalog} {alias} join pg_namespace n on n.oid = {alias}.{namespace} where {condition} and {own})"


_KINDS = {
    "tables": _count("pg_class", "c.relkind in ('r', 'p')", "c", "relnamespace"),
    "indexes": _count("pg_class", "c.relkind in ('i', 'I')", "c", "relnamespace"),
    "sequences": _count("pg_class", "c.relkind = 'S'", "c", "relnamespace"),
    "views": _count("pg_class", "c.relkind in ('v', 'm')", "c", "relnamespace"),
    # Without those of "not null", which are constraints only from PostgreSQL 18 on.
    "constraints": _count("pg_constraint", "k.contype in ('p', 'u', 'f', 'c', 'x')", "k", "connamespace"),
    "functions": _count("pg_proc", "true", "p", "pronamespace"),
    "types": _count("pg_type", "t.typtype in ('e', 'd', 'r')", "t", "typnamespace"),
    "triggers": "(select count(*) from pg_trigger where not tgisinternal)",
    "extensions": "(select count(*) from pg_extension where extname <> 'plpgsql')",
}
_CONTENTS_SQL = f"""
select json_build_object(
  'objects', json_build_object({", ".join(f"'{kind}', {sql}" for kind, sql in _KINDS.items())}),
  'large_objects', (select count(*) from pg_largeobject_metadata),
  'has_settings', to_regclass('public.{beliefs.SETTINGS_TABLE}') is not null,
  'sequences', (
    select coalesce(json_agg(format('%I.%I', n.nspname, c.relname)), '[]'::json)
    from pg_class c join pg_namespace n on n.oid = c.relnamespace where c.relkind = 'S' and {_OWN.format(catalog="pg_class", oid="c.oid")}
  )
)
"""
_VERSION_SQL = f"""
select coalesce((select to_json(ds_texto) from public.{beliefs.SETTINGS_TABLE} where co_config_sistema = '{beliefs.VERSION_KEY}'), 'null')
"""
_TABLES_SQL = """
select coalesce(json_agg(json_build_array(format('%I.%I', n.nspname, c.relname), pg_table_size(c.oid), (
    select json_agg(json_build_array(quote_ident(attname), atttypid::regtype::text) order by attnum)
    from pg_attribute where attrelid = c.oid and attnum > 0 and not attisdropped
  )) order by pg_table_size(c.oid)), '[]'::json)
from pg_class c join pg_namespace n on n.oid = c.relnamespace where c.relkind = 'r' and {own}
""".replace("{own}", _OWN.format(catalog="pg_class", oid="c.oid"))
_FLOATS = {"real": "float4send", "double precision": "float8send"}


@dataclass(frozen=True)
class Contents:
    """What a database holds. C(objects) counts, by kind, all that belongs to no extension; C(sequences) has their last used values.

    C(pec_version) is None if PEC's migrations have recorded none.
    """

    objects: Mapping[str, int]
    sequences: Mapping[str, int]
    large_objects: int
    pec_version: str | None

    @property
    def tables(self) -> int:
        """Number of tables."""
        return self.objects["tables"]


@dataclass(frozen=True)
class Fingerprint:
    """All rows of all tables as numbers that depend neither on the order of the rows nor on the server's version.

    C(method) is rows-hash64 (sums of hashtextextended, from PostgreSQL 12 on) or rows-md5 (any version, slower). C(tables) has the
    number of rows and their sum for each table; C(digest) is the SHA-256 of all of them.
    """

    method: str
    rows: int
    digest: str
    tables: Mapping[str, Sequence[object]]


def read_contents(session: Session) -> Contents:
    """Return what the session's database holds, as its transaction sees it (sequences: as they are now)."""
    found = _mapping(session.query(_CONTENTS_SQL))
    names = cast("list[str]", found["sequences"])
    values = "\nunion all ".join(
        f"select {literal(name)}, last_value - case when is_called then 0 else 1 end from {name}" for name in names
    )
    version = session.query(_VERSION_SQL) if found["has_settings"] else None
    return Contents(
        objects={kind: int(str(number)) for kind, number in _mapping(found["objects"]).items()},
        sequences={name: int(value) for name, value in session.rows(values)} if names else {},
        large_objects=int(str(found["large_objects"])),
        pec_version=version if isinstance(version, str) and version else None,
    )


def choose_method(server_version_num: int) -> str:
    """Return the fastest method of a fingerprint with the same sums on a newer server: before 12 the text of floats differs."""
    return HASH64 if server_version_num >= 120000 else MD5


def read_fingerprint(
    conn: Connection,
    client_path: str,
    method: str,
    *,
    snapshot: str | None = None,
    jobs: int = 1,
    only: Collection[str] | None = None,
    exclude: Sequence[str] = (),
    on_table: Callable[[int, int], None] | None = None,
    user: str | None = None,
) -> Fingerprint:
    """Read every row, in C(jobs) sessions at once. snapshot is an exported one, so that all sessions see what a dump saw.

    only: names of tables as in a fingerprint; exclude: patterns as in pg_dump's --exclude-table-data (* and ?), for a table or for
    schema.table. on_table(done, total) is called after every table. Raises PecError when a table cannot be read.
    """
    with Session(conn, client_path, options=_PINNED, user=user) as session:
        _begin(session, snapshot)
        tables = [(str(name), _sum_sql(method, str(name), columns or [])) for name, _size, columns in _list(session.query(_TABLES_SQL))]
    wanted = [table for table in tables if (only is None or table[0] in only) and not _matches(table[0], exclude)]
    waiting = deque(reversed(wanted))  # the large ones first
    sums: dict[str, tuple[int, str]] = {}
    lock = threading.Lock()

    def work() -> None:
        try:
            with Session(conn, client_path, options=_PINNED, user=user) as worker:
                _begin(worker, snapshot)
                while waiting:
                    with contextlib.suppress(IndexError):  # another worker took the last one
                        name, sql = waiting.popleft()
                        count, total = worker.rows(sql)[0]
                        with lock:
                            sums[name] = (int(count), total)
                            if on_table:
                                on_table(len(sums), len(wanted))
        except PecError:
            waiting.clear()
            raise

    with ThreadPoolExecutor(max(1, jobs)) as pool:
        for future in [pool.submit(work) for _worker in range(max(1, min(jobs, len(wanted))))]:
            future.result()
    lines = "".join(f"{name} {rows} {total}\n" for name, (rows, total) in sorted(sums.items()))
    return Fingerprint(
        method, sum(int(rows) for rows, _total in sums.values()), hashlib.sha256(lines.encode()).hexdigest(), dict(sorted(sums.items()))
    )


def compare(expected: Contents, found: Contents) -> list[str]:
    """Return the differences in words. A sequence may be ahead, because others may have used it during the dump."""
    kinds = [
        f"{kind}: {found.objects.get(kind, 0)} instead of {number}"
        for kind, number in expected.objects.items()
        if found.objects.get(kind, 0) != number
    ]
    if found.large_objects != expected.large_objects:
        kinds.append(f"large objects: {found.large_objects} instead of {expected.large_objects}")
    if found.pec_version != expected.pec_version:
        kinds.append(f"{beliefs.VERSION_KEY}: {found.pec_version} instead of {expected.pec_version}")
    behind = [name for name, value in expected.sequences.items() if found.sequences.get(name, value - 1) < value]
    if behind:
        kinds.append(f"sequences missing or behind: {_first(behind)}")
    return kinds


def compare_fingerprints(expected: Fingerprint, found: Fingerprint) -> list[str]:
    """Return which tables have other rows than expected, in words with the first ten names."""
    if expected.method != found.method:
        return [f"the fingerprints have different methods, {expected.method} and {found.method}"]
    missing = [name for name in expected.tables if name not in found.tables]
    counts = [
        name for name, line in expected.tables.items() if name in found.tables and int(str(found.tables[name][0])) != int(str(line[0]))
    ]
    sums = [
        name
        for name, line in expected.tables.items()
        if name in found.tables and name not in counts and str(found.tables[name][1]) != str(line[1])
    ]
    words = (("tables missing", missing), ("tables with another number of rows", counts), ("tables with other values", sums))
    return [f"{word}: {_first(names)}" for word, names in words if names]


def _begin(session: Session, snapshot: str | None) -> None:
    session.execute("begin isolation level repeatable read read only")
    if snapshot:
        session.execute(f"set transaction snapshot {literal(snapshot)}")


def _sum_sql(method: str, table: str, columns: Sequence[Sequence[str]]) -> str:
    """Return the SQL for one table. The alias must not be a column's name, which would win over the row."""
    if method == HASH64:
        return f"select count(*), coalesce(sum(hashtextextended(_esus_pec_row::text, 0)::numeric), 0) from only {table} _esus_pec_row"
    if method != MD5:
        raise PecError(f"the fingerprint has the method {method!r}, which is new to this version of the collection; update the collection")
    values = ", ".join(f"{_FLOATS[kind]}({name})" if kind in _FLOATS else name for name, kind in columns)
    high = f"('x' || substr(md5(row({values})::text), 1, 16))::bit(64)::bigint::numeric"
    return f"select count(*), coalesce(sum({high}), 0) from only {table}"


def _matches(table: str, patterns: Sequence[str]) -> bool:
    names = (table, table.split(".", 1)[1])
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns for name in names)


def _first(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more


def _mapping(value: object) -> Mapping[str, object]:
    if not isinstance(value, dict):
        raise PecError(f"the database answered with {json.dumps(value)[:80]} where an object was expected")
    return value


def _list(value: object) -> list[tuple[object, object, list[Sequence[str]]]]:
    if not isinstance(value, list):
        raise PecError(f"the database answered with {json.dumps(value)[:80]} where a list was expected")
    return value
