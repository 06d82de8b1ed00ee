# SPDX-License-Identifier: GPL-3.0-or-later
"""Fingerprints of all rows and large objects, to prove that a restore changed none. Private to the collection."""

from __future__ import annotations

import hashlib
import threading
from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import cast

from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.postgres import contents, psql
from ansible_collections.esus.pec.plugins.module_utils.postgres.psql import Connection, literal
from ansible_collections.esus.pec.plugins.module_utils.postgres.session import Session

HASH64, MD5, MD5_DIGITS = "rows-hash64", "rows-md5", "rows-md5-15-digits"
COUNTS = "row-counts"
"""Only the number of rows, where their values cannot be compared."""
VERSIONS = "row-versions"
"""Sums of xmin, which tell whether one database changed and are of no use for two."""
LARGE_OBJECTS = "large objects"
"""Their name among those of the tables, none of which is without a dot."""
_SHORT_FLOATS = 120000  # since this version floats are printed with as few digits as they need
_LONGEST_ERROR = 200
_PART = 1 << 20
# The text of a row depends on these settings; with them, servers of different versions agree on it.
_PINNED = {
    "datestyle": "ISO, YMD",
    "timezone": "UTC",
    "intervalstyle": "postgres",
    "bytea_output": "hex",
    "lc_monetary": "C",
    "statement_timeout": "0",
    "row_security": "off",  # an error instead of another role's function in a policy
}
_TABLES_SQL = f"""
select json_build_object(
  'encoding', getdatabaseencoding()::text,
  'large_objects', (select count(*) from pg_largeobject_metadata),
  'tables', (
    select coalesce(json_agg(json_build_array(format('%I.%I', n.nspname, c.relname), pg_table_size(c.oid), (
      select json_agg(json_build_array(quote_ident(attname), atttypid::regtype::text) order by attnum)
      from pg_attribute where attrelid = c.oid and attnum > 0 and not attisdropped
    )) order by pg_table_size(c.oid)), '[]'::json)
    from pg_class c join pg_namespace n on n.oid = c.relnamespace where c.relkind = 'r' and {contents.own_objects("pg_class", "c.oid")}
  )
)
"""
# An object is read in parts, so that none fills the memory. What was never written in one reads as zeros, as pg_dump does it.
_LARGE_OBJECTS_SQL = f"""
with recursive part (object, number, size, sum) as (
  select m.oid, 0, length(data), md5(data)
  from pg_largeobject_metadata m cross join lateral (select lo_get(m.oid, 0, {_PART}) as data offset 0) first
  union all
  select object, number + 1, length(data), md5(data)
  from part cross join lateral (select lo_get(object, (number + 1) * {_PART}::bigint, {_PART}) as data offset 0) next
  where size = {_PART}
)
select count(*) filter (where number = 0),
  coalesce(sum(('x' || substr(md5(object || ' ' || number || ' ' || sum), 1, 16))::bit(64)::bigint::numeric), 0)
from part
"""
_FLOATS = {"real": "float4send", "double precision": "float8send"}
# Tables with a column of one of these types, or of a domain, an array, a range or a row that holds one.
_HOLDING_SQL = """
with recursive holds (oid) as (
  select t.oid from pg_type t where t.typname in ({types})
  union
  select found.oid from holds h cross join lateral (
    select oid from pg_type where typbasetype = h.oid or typelem = h.oid
    union all select rngtypid from pg_range where rngsubtype = h.oid
    union all select c.reltype from pg_attribute a join pg_class c on c.oid = a.attrelid
      where a.atttypid = h.oid and a.attnum > 0 and not a.attisdropped and c.reltype <> 0
  ) found
)
select coalesce(json_agg(format('%I.%I', n.nspname, c.relname)), '[]'::json)
from pg_class c join pg_namespace n on n.oid = c.relnamespace
where c.relkind = 'r' and exists (
  select from pg_attribute a join holds h on h.oid = a.atttypid
  where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped and a.atttypid not in (select unnest({but}::regtype[]))
)
"""
_OF_FLOATS = "'float4', 'float8', 'point', 'lseg', 'path', 'box', 'polygon', 'line', 'circle'"
_SORTED_BY_BYTES = "'jsonb', 'tsvector', 'hstore'"


@dataclass(frozen=True)
class Fingerprint:
    """All rows of all tables as numbers that depend neither on the order of the rows nor on the server's version.

    C(method) is the recipe: rows-hash64 (sums of hashtextextended, from PostgreSQL 12 on, for databases in UTF8), rows-md5-15-digits (any
    version and encoding, slower), or rows-md5 of older manifests, of no use for floats within other types between servers before and
    after 12. C(tables) has the number of rows and their sum for each table, and for the large objects; C(digest) is the SHA-256 of all of
    them. C(unproven) names tables that could not be read.
    """

    method: str
    rows: int
    digest: str
    tables: Mapping[str, Sequence[object]]
    unproven: Sequence[str] = ()

    @property
    def summary(self) -> dict[str, object]:
        """What a module returns of it."""
        return {"rows": self.rows, "digest": self.digest, "tables": len(self.tables), "method": self.method}


@dataclass(frozen=True)
class Source:
    """The server and the database of a fingerprint."""

    server_version_num: int
    encoding: str


def choose_method(server_version_num: int, encoding: str) -> str:
    """Return the fastest method with the same sums on a newer server and in a database in UTF8.

    Before 12 the text of floats differs. SQL_ASCII has no encoding: its bytes are what a restore keeps.
    """
    return HASH64 if server_version_num >= _SHORT_FLOATS and encoding in ("UTF8", "SQL_ASCII") else MD5_DIGITS


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
    on_failure: Callable[[str, str], None] | None = None,
    user: str | None = None,
    workers: list[Session] | None = None,
) -> Fingerprint:
    """Read every row, in C(jobs) sessions at once. snapshot is an exported one, so that all sessions see what a dump saw.

    only: names as in a fingerprint; exclude: patterns as in pg_dump's --exclude-table-data (* and ?), for a table or for schema.table.
    on_table(done, total) is called after every table. on_failure(name, reason) is called for a table that cannot be read, such as one with
    an index on a function that fails; without it, and if the server is no longer reached, PecError is raised. The sessions are put into
    workers, so that another thread can stop them.
    """
    options = {**_PINNED, "extra_float_digits": "0" if method == MD5_DIGITS else "3"}
    with Session(conn, client_path, options=options, user=user) as session:
        _begin(session, snapshot)
        found = contents.mapping_of(session.query(_TABLES_SQL))
    encoding = "SQL_ASCII" if found["encoding"] == "SQL_ASCII" else "UTF8"
    rows = cast("list[tuple[str, int, list[Sequence[str]] | None]]", found["tables"])
    tables = [
        (name, _sum_sql(method, name, columns or [], encoding)) for name, _size, columns in rows if not contents.matches(name, exclude)
    ]
    if found["large_objects"] and method != VERSIONS:
        tables.append((LARGE_OBJECTS, _LARGE_OBJECTS_SQL))
    wanted = [table for table in tables if only is None or table[0] in only]
    waiting = deque(reversed(wanted))  # the large ones first
    sums: dict[str, tuple[int, str]] = {}
    lost: list[str] = []
    lock = threading.Lock()
    ended = threading.Event()
    workers = [] if workers is None else workers

    def read_until_failure(worker: Session) -> None:
        while waiting:
            try:
                name, sql = waiting.popleft()
            except IndexError:  # another worker took the last one
                return
            try:
                count, total = worker.rows(sql)[0]
            except PecError as error:
                reason = str(error).replace(f"{psql.describe(conn)}: ", "", 1)[:_LONGEST_ERROR]
                if on_failure is None:
                    raise PecError(f"{name} cannot be read: {error}") from None
                with lock:
                    lost.append(name)
                    on_failure(name, reason)
                return
            with lock:
                sums[name] = (int(count), total)
                if on_table:
                    on_table(len(sums), len(wanted))

    def work() -> None:
        try:
            while waiting:  # a statement that fails ends its session
                with Session(conn, client_path, options=options, user=user) as worker:
                    workers.append(worker)
                    if ended.is_set():
                        return
                    _begin(worker, snapshot)
                    read_until_failure(worker)
        except PecError:
            waiting.clear()
            raise

    with ThreadPoolExecutor(max(1, jobs)) as pool:
        try:
            for future in [pool.submit(work) for _worker in range(max(1, min(jobs, len(wanted))))]:
                future.result()
        except BaseException:  # a run that is told to stop does not wait until a large table has been read
            ended.set()
            waiting.clear()
            for each in workers:
                each.stop()
            raise
    lines = "".join(f"{name} {count} {total}\n" for name, (count, total) in sorted(sums.items()))
    return Fingerprint(
        method,
        sum(count for name, (count, _total) in sums.items() if name != LARGE_OBJECTS),
        hashlib.sha256(lines.encode()).hexdigest(),
        dict(sorted(sums.items())),
        tuple(sorted(lost)),
    )


@dataclass(frozen=True)
class Comparison:
    """How to compare with a fingerprint: by which C(method), and for which tables by the number of rows only; with notes on why."""

    method: str
    counted: Collection[str] = ()
    notes: tuple[str, ...] = ()


def plan_comparison(expected: Fingerprint, source: Source, session: Session, server_version_num: int) -> Comparison:
    """Return how the database of the session can be compared with a fingerprint of another one."""
    encoding = str(session.query("select to_json(getdatabaseencoding()::text)"))
    notes = []
    if expected.unproven:
        notes.append(f"not compared, because the server of the dump could not read them: {contents.first_names(expected.unproven)}")
    reason, holding = "", None
    if encoding != source.encoding and source.encoding != "SQL_ASCII":
        if expected.method != MD5_DIGITS or encoding != "UTF8":
            reason = f"the dump is of a database in {source.encoding}, and the new one is in {encoding}"
        else:
            holding = _HOLDING_SQL.format(types=_SORTED_BY_BYTES, but="'{}'")
    if expected.method == HASH64 and server_version_num < _SHORT_FLOATS:
        reason = "this server is too old for the method of the manifest's fingerprint"
    if expected.method == MD5 and (source.server_version_num < _SHORT_FLOATS) != (server_version_num < _SHORT_FLOATS):
        holding = _HOLDING_SQL.format(types=_OF_FLOATS, but="'{float4,float8}'")
    if reason:
        counted = [name for name in expected.tables if name != LARGE_OBJECTS]
        return Comparison(COUNTS, counted, (*notes, f"the rows were counted, and their values not compared: {reason}"))
    counted = sorted({*cast("list[str]", session.query(holding))} & {*expected.tables}) if holding else []
    if counted:
        why = "the manifest's fingerprint cannot compare such columns between these servers"
        notes.append(f"the rows of these tables were counted, and their values not compared ({why}): {contents.first_names(counted)}")
    return Comparison(expected.method, counted, tuple(notes))


def compare_fingerprints(expected: Fingerprint, found: Fingerprint, counted: Collection[str] = ()) -> list[str]:
    """Return which tables have other rows than expected, in words with the first ten names; of those in C(counted) only the number."""
    if found.method not in (expected.method, COUNTS):
        return [f"the fingerprints have different methods, {expected.method} and {found.method}"]
    loose = {*counted}
    missing = [name for name in expected.tables if name not in found.tables]
    counts = [
        name for name, line in expected.tables.items() if name in found.tables and int(str(found.tables[name][0])) != int(str(line[0]))
    ]
    sums = [
        name
        for name, line in expected.tables.items()
        if name in found.tables and name not in counts and name not in loose and str(found.tables[name][1]) != str(line[1])
    ]
    words = (("tables missing", missing), ("tables with another number of rows", counts), ("tables with other values", sums))
    return [f"{word}: {contents.first_names(names)}" for word, names in words if names]


def _begin(session: Session, snapshot: str | None) -> None:
    session.execute(contents.TABLES_ONLY)
    session.execute("begin isolation level repeatable read read only")
    if snapshot:
        session.execute(f"set transaction snapshot {literal(snapshot)}")


def _sum_sql(method: str, table: str, columns: Sequence[Sequence[str]], encoding: str) -> str:
    """Return the SQL for one table. The alias must not be a column's name, which would win over the row.

    The text of a row is that of C(row::text), made without a cast, because the owner of a table may define that cast. Floats are compared
    by their bits, and within other types by the 15 digits that all servers print alike.
    """
    if method == HASH64:
        text = "textin(record_out(_esus_pec_row))"
        return f"select count(*), coalesce(sum(hashtextextended({text}, 0)::numeric), 0) from only {table} _esus_pec_row"
    if method == VERSIONS:
        return f"select count(*), coalesce(sum(xmin::text::bigint), 0) from only {table}"
    if method == COUNTS:
        return f"select count(*), 0 from only {table}"
    if method not in (MD5, MD5_DIGITS):
        raise PecError(f"the fingerprint has the method {method!r}, which is new to this version of the collection; update the collection")
    values = ", ".join(f"{_FLOATS[kind]}({name})" if kind in _FLOATS else name for name, kind in columns)
    text = f"row({values})::text" if method == MD5 else f"convert_to(row({values})::text, '{encoding}')"
    return f"select count(*), coalesce(sum(('x' || substr(md5({text}), 1, 16))::bit(64)::bigint::numeric), 0) from only {table}"
