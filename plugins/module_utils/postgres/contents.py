# SPDX-License-Identifier: GPL-3.0-or-later
"""Counts the objects of a database, to prove that a restore lost none. Private to the collection."""

from __future__ import annotations

import fnmatch
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import cast

from ansible_collections.esus.pec.plugins.module_utils import beliefs
from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.postgres import psql
from ansible_collections.esus.pec.plugins.module_utils.postgres.psql import HAS_SETTINGS_SQL, literal
from ansible_collections.esus.pec.plugins.module_utils.postgres.session import Session

_NAMED = 10
# Whoever owns a table may put a view in its place between its listing and its reading, whose functions would run with our rights. Servers
# that know this setting read no view then (CVE-2024-7348).
TABLES_ONLY = "select set_config(name, 'view, foreign-table', false) from pg_settings where name = 'restrict_nonsystem_relation_kind'"
_OWN = """n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
  and not exists (select from pg_depend d where d.classid = '{catalog}'::regclass and d.objid = {oid} and d.deptype = 'e')"""
REFRESHED = "materialized views with rows"
RULES = 2
"""The version of the rules by which objects are counted. With 1, what pg_dump leaves out or a server makes by itself was counted too."""


def own_objects(catalog: str, oid: str) -> str:
    """Return the condition for an object of the database itself: of no extension, and in a schema C(n) that is not the server's."""
    return _OWN.format(catalog=catalog, oid=oid)


def own(catalog: str, oid: str) -> str:
    """Return the SQL condition of what belongs to neither the server nor an extension; C(n) is its namespace."""
    return _OWN.format(catalog=catalog, oid=oid)


def _count(catalog: str, condition: str, alias: str, namespace: str) -> str:
    own = own_objects(catalog, f"{alias}.oid")
    return f"(select count(*) from {catalog} {alias} join pg_namespace n on n.oid = {alias}.{namespace} where {condition} and {own})"


# Of the same columns as pg_dump's own condition. An invalid index is what a failed CREATE or REINDEX INDEX CONCURRENTLY leaves; that of a
# partitioned table lacks a partition only.
_DUMPED_INDEX = "(i.indisvalid or c.relkind = 'p') and i.indisready"
_TABLE_OF = "join pg_class c on c.oid = {oid} join pg_namespace n on n.oid = c.relnamespace"
# A table's trigger that is repeated in each partition depends on the one that it repeats; it is dumped only if it is switched otherwise.
_TRIGGERS = f"""(
  select count(*) from pg_trigger t {_TABLE_OF.format(oid="t.tgrelid")}
  left join (
    select d.objid, p.tgenabled from pg_depend d join pg_trigger p on p.oid = d.refobjid
    where d.classid = 'pg_trigger'::regclass and d.refclassid = 'pg_trigger'::regclass
  ) repeated on repeated.objid = t.oid
  where case when repeated.objid is null then not t.tgisinternal else t.tgenabled <> repeated.tgenabled end
    and {own_objects("pg_class", "c.oid")}
)"""
# Without those of "not null", which are constraints only from PostgreSQL 18 on, and foreign keys that a server repeats for partitions (they
# have a conparentid, a column since 11).
_CONSTRAINTS = f"""(
  select count(*) from pg_constraint k join pg_namespace n on n.oid = k.connamespace
  where (k.contype = 'c' or (k.contype = 'f' and coalesce(row_to_json(k)->>'conparentid', '0') = '0') or (k.contype in ('p', 'u', 'x')
    and exists (select from pg_index i join pg_class c on c.oid = i.indrelid where i.indexrelid = k.conindid and {_DUMPED_INDEX})))
  and {own_objects("pg_class", "k.conrelid")} and {own_objects("pg_type", "k.contypid")}
)"""
# What a dump holds: the conditions are those of pg_dump, because a restored database is counted by the same ones.
_KINDS = {
    "tables": _count("pg_class", "c.relkind in ('r', 'p')", "c", "relnamespace"),
    "indexes": f"(select count(*) from pg_index i {_TABLE_OF.format(oid='i.indrelid')} "
    f"where {_DUMPED_INDEX} and {own_objects('pg_class', 'c.oid')} and {own_objects('pg_class', 'i.indexrelid')})",
    "sequences": _count("pg_class", "c.relkind = 'S'", "c", "relnamespace"),
    "views": _count("pg_class", "c.relkind in ('v', 'm')", "c", "relnamespace"),
    REFRESHED: _count("pg_class", "c.relkind = 'm' and c.relispopulated", "c", "relnamespace"),
    "constraints": _CONSTRAINTS,
    # Without those that belong to a type: the constructors of a range.
    "functions": _count(
        "pg_proc",
        "not exists (select from pg_depend i where i.classid = 'pg_proc'::regclass and i.objid = p.oid and i.deptype = 'i')",
        "p",
        "pronamespace",
    ),
    "types": _count("pg_type", "t.typtype in ('e', 'd', 'r')", "t", "typnamespace"),
    "triggers": _TRIGGERS,
    "extensions": "(select count(*) from pg_extension where extname <> 'plpgsql')",
}
# The kinds of which a manifest of rules 1 may have another number.
_KINDS_1 = {
    "indexes": _count("pg_class", "c.relkind in ('i', 'I')", "c", "relnamespace"),
    "constraints": _count("pg_constraint", "k.contype in ('p', 'u', 'f', 'c', 'x')", "k", "connamespace"),
    "functions": _count("pg_proc", "true", "p", "pronamespace"),
    "triggers": "(select count(*) from pg_trigger where not tgisinternal)",
}
_CONTENTS_SQL = f"""
select json_build_object(
  'objects', json_build_object({", ".join(f"'{kind}', {sql}" for kind, sql in _KINDS.items())}),
  'large_objects', (select count(*) from pg_largeobject_metadata),
  'has_settings', {HAS_SETTINGS_SQL},
  'sequences', (
    select coalesce(json_agg(json_build_array(name, s.increment < 0, s.cycle_option)), '[]'::json)
    from (
      select c.oid, format('%I.%I', n.nspname, c.relname) as name from pg_class c join pg_namespace n on n.oid = c.relnamespace
      where c.relkind = 'S' and {own_objects("pg_class", "c.oid")} offset 0
    ) own cross join lateral pg_sequence_parameters(own.oid) s
  )
)
"""
_LEFT_OUT_SQL = f"""
select json_build_object(
  'invalid indexes', (
    select coalesce(json_agg(format('%I.%I', n.nspname, x.relname) order by n.nspname, x.relname), '[]'::json)
    from pg_index i join pg_class x on x.oid = i.indexrelid {_TABLE_OF.format(oid="i.indrelid")}
    where not ({_DUMPED_INDEX}) and {own_objects("pg_class", "c.oid")}
  ),
  'the rows of foreign tables, which are on other servers', (
    select coalesce(json_agg(format('%I.%I', n.nspname, c.relname) order by n.nspname, c.relname), '[]'::json)
    from pg_class c join pg_namespace n on n.oid = c.relnamespace where c.relkind = 'f' and {own_objects("pg_class", "c.oid")}
  )
)
"""
_VERSION_SQL = f"""
select coalesce((
  select to_json(left(ds_texto, {psql.LONGEST_VALUE})) from public.{beliefs.SETTINGS_TABLE}
  where co_config_sistema = '{beliefs.VERSION_KEY}'
), 'null')
"""


@dataclass(frozen=True)
class Contents:
    """What a database or a dump of it holds. C(objects) counts, by kind, all that is dumped; C(sequences) has their last used values.

    C(pec_version) is None if PEC's migrations have recorded none. C(directions) is for sequences that do not only grow: -1 if one counts
    down, 0 if it begins again at its end. C(rules) is the version of the rules that C(objects) are counted by.
    """

    objects: Mapping[str, int]
    sequences: Mapping[str, int]
    large_objects: int
    pec_version: str | None
    directions: Mapping[str, int] = field(default_factory=dict)
    rules: int = 1

    @property
    def tables(self) -> int:
        """Number of tables."""
        return self.objects["tables"]


def read_contents(session: Session) -> Contents:
    """Return what the session's database holds, as its transaction sees it (sequences: as they are now)."""
    session.execute(TABLES_ONLY)
    found = mapping_of(session.query(_CONTENTS_SQL))
    sequences = cast("list[tuple[str, bool, bool]]", found["sequences"])
    values = "\nunion all ".join(_used_sql(name, down) for name, down, _cycle in sequences)
    used = session.query(f"select json_object_agg(name, value) from ({values}) used") if sequences else {}
    version = session.query(_VERSION_SQL) if found["has_settings"] else None
    return Contents(
        objects={kind: int(str(number)) for kind, number in mapping_of(found["objects"]).items()},
        sequences={name: int(str(value)) for name, value in mapping_of(used).items()},
        large_objects=int(str(found["large_objects"])),
        pec_version=version if isinstance(version, str) and version else None,
        directions={name: 0 if cycle else -1 for name, down, cycle in sequences if down or cycle},
        rules=RULES,
    )


def _used_sql(name: str, down: bool) -> str:
    """The value before that of a sequence which was never used can lie outside of bigint, and is then its first one."""
    before = (
        "greatest(last_value::numeric - {}, -9223372036854775808)" if not down else "least(last_value::numeric + {}, 9223372036854775807)"
    )
    return f"select {literal(name)} as name, {before.format('case when is_called then 0 else 1 end')} as value from {name}"


def read_left_out(session: Session) -> list[str]:
    """Return notes on what a dump of the session's database does not hold."""
    found = cast("Mapping[str, list[str]]", mapping_of(session.query(_LEFT_OUT_SQL)))
    return [f"pg_dump leaves out {what}: {first_names(names)}" for what, names in found.items() if names]


def read_counts_1(session: Session) -> Mapping[str, int]:
    """Return the counts by rules 1 of the kinds that rules 2 count otherwise, to compare with an older manifest."""
    found = mapping_of(session.query(f"select json_build_object({', '.join(f'{kind!r}, {sql}' for kind, sql in _KINDS_1.items())})"))
    return {kind: int(str(number)) for kind, number in found.items()}


def dumped(
    held: Contents, written: Mapping[str, int] | None, *, schema_only: bool = False, exclude: Sequence[str] = ()
) -> tuple[Contents, list[str]]:
    """Return what a dump of this kind holds, and notes on what it lacks.

    C(written) are the counts of an archive's table of contents, None for a plain dump. exclude: patterns as in pg_dump's
    --exclude-table-data, which leave out the values of sequences too.
    """
    if schema_only:
        held = replace(held, sequences={}, large_objects=0, pec_version=None)
    sequences = {name: value for name, value in held.sequences.items() if not matches(name, exclude)}
    version = None if matches(f"public.{beliefs.SETTINGS_TABLE}", exclude) else held.pec_version
    objects = dict(held.objects)
    if schema_only or written is None:  # only a table of contents shows which of them are refreshed
        objects.pop(REFRESHED, None)
    fewer = {kind: number for kind, number in (written or {}).items() if number < objects.get(kind, 0)}
    notes = [f"the database has {objects[kind]} {kind}, and pg_dump wrote {number}" for kind, number in fewer.items()]
    return replace(held, objects={**objects, **fewer}, sequences=sequences, pec_version=version), notes


def compare_counts(expected: Mapping[str, int], found: Mapping[str, int]) -> list[str]:
    """Return the differences in words."""
    return [f"{kind}: {found.get(kind, 0)} instead of {number}" for kind, number in expected.items() if found.get(kind, 0) != number]


def compare(expected: Contents, found: Contents) -> list[str]:
    """Return the differences in words. A sequence may be ahead, because others may have used it during the dump."""
    kinds = compare_counts(expected.objects, found.objects)
    if found.large_objects != expected.large_objects:
        kinds.append(f"large objects: {found.large_objects} instead of {expected.large_objects}")
    if found.pec_version != expected.pec_version:
        kinds.append(f"{beliefs.VERSION_KEY}: {found.pec_version} instead of {expected.pec_version}")
    behind = [name for name, value in expected.sequences.items() if not _reached(name, value, expected, found)]
    if behind:
        kinds.append(f"sequences missing or behind: {first_names(behind)}")
    return kinds


def _reached(name: str, value: int, expected: Contents, found: Contents) -> bool:
    """Whether a sequence has this value or one that it gets later. One that begins again at its end may have any."""
    last, direction = found.sequences.get(name), found.directions.get(name, 1)
    if last is None or direction == 0:
        return last is not None
    if direction > 0:
        return last >= value
    # Rules 1 took one from a sequence that was never used, whichever way it counts.
    return last <= value or (expected.rules < RULES and last == value + 2)


def matches(table: str, patterns: Sequence[str]) -> bool:
    """Whether schema.table fits one of the patterns, which are for a table or for schema.table."""
    names = (table, table.split(".", 1)[1])
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns for name in names)


def first_names(names: Sequence[str]) -> str:
    """Return the first ten names and the number of the others."""
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more


def mapping_of(value: object) -> Mapping[str, object]:
    """Return the server's answer, which must be an object of JSON. Raises PecError if it is not."""
    if not isinstance(value, dict):
        raise PecError(f"the database answered with {json.dumps(value)[:80]} where an object was expected")
    return value
