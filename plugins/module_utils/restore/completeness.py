# SPDX-License-Identifier: GPL-3.0-or-later
"""Judges whether a dump without a manifest holds a whole database, or only a part of one. Private to the collection.

A part loads without an error: C(pg_dump -t TABLE), C(--section=data), C(-n public), which leaves out all large objects. Nothing in it says
so. It shows in comparison with the database to replace and with the least that a PEC has.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import cast

from ansible_collections.esus.pec.plugins.module_utils import beliefs
from ansible_collections.esus.pec.plugins.module_utils.archive.skipping import Entry
from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.postgres import contents
from ansible_collections.esus.pec.plugins.module_utils.postgres.contents import Contents
from ansible_collections.esus.pec.plugins.module_utils.postgres.session import Session
from ansible_collections.esus.pec.plugins.module_utils.restore import verify

# Types are left out: an operator's views and tables bring their own.
_KINDS = ("indexes", "constraints", "triggers", "views", "functions", "sequences")
# Of one version of PEC at most a tenth may be missing, such as an index that somebody added since. Of another one at most a quarter.
_TENTH, _QUARTER = 10, 4
_FEW = 5
_SHOWN = 5
_INVENTORY_SQL = """
select json_build_object(
  'tables', (
    select coalesce(json_agg(format('%I.%I', n.nspname, c.relname)), '[]'::json)
    from pg_class c join pg_namespace n on n.oid = c.relnamespace where c.relkind in ('r', 'p') and {own}
  ),
  'permanent', (
    select count(*) from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where c.relkind = 'r' and c.relpersistence = 'p' and {own}
  ),
  'references', (
    select coalesce(json_agg(json_build_array(format('%I.%I', n.nspname, c.relname), quote_ident(a.attname))), '[]'::json)
    from pg_class c join pg_namespace n on n.oid = c.relnamespace join pg_attribute a on a.attrelid = c.oid
    where c.relkind = 'r' and {own} and a.attnum > 0 and not a.attisdropped and a.atttypid in (
      select oid from pg_type where oid = 'pg_catalog.oid'::regtype or typtype = 'd' and typbasetype = 'pg_catalog.oid'::regtype
    )
  )
)
""".replace("{own}", contents.own("pg_class", "c.oid"))
_DANGLING_SQL = """
select json_build_array(count(*), count(*) filter (where not exists (select from pg_largeobject_metadata m where m.oid = used.id)))
from (select distinct {column}::oid as id from only {table} where {column} is not null and {column}::oid <> 0::oid) used
"""


@dataclass(frozen=True)
class Inventory:
    """What a database holds: C(counts) by kind, and the names of its C(tables), None if they are not known.

    C(permanent) is the number of tables whose rows every dump has. C(references) is how many large objects its tables refer to, C(dangling)
    how many of those do not exist; both are None if that was not looked at.
    """

    counts: Mapping[str, int]
    large_objects: int
    pec_version: str | None
    tables: frozenset[str] | None = None
    permanent: int | None = None
    references: int | None = None
    dangling: int | None = None


def take(session: Session, held: Contents, *, look: bool) -> Inventory:
    """Return the inventory of the session's database. C(look): read which large objects the tables refer to, a scan of those tables."""
    found = cast("Mapping[str, object]", session.query(_INVENTORY_SQL))
    referred, dangling = 0, 0
    if look:
        session.execute("set statement_timeout = 0")
        for table, column in cast("list[tuple[str, str]]", found["references"]):
            used, missing = cast("list[int]", session.query(_DANGLING_SQL.format(table=table, column=column)))
            referred, dangling = referred + used, dangling + missing
    return Inventory(
        counts=held.objects,
        large_objects=held.large_objects,
        pec_version=held.pec_version,
        tables=frozenset(cast("list[str]", found["tables"])),
        permanent=int(str(found["permanent"])),
        references=referred if look else None,
        dangling=dangling if look else None,
    )


def missing(found: Inventory, beside: Inventory | None, *, filled: int | None = None, is_pec: bool = True) -> list[str]:
    """Return in numbers what a database lacks that was loaded, or whose table of contents was read; nothing if it seems whole.

    beside is the one that it would replace, None without one of PEC. filled is the number of tables whose rows are in the dump, None if
    that is unknown. is_pec: it has to be a PEC, of which something is known.
    """
    problems = _against(found, beside) if beside and beside.pec_version else []
    named = {problem.partition(":")[0] for problem in problems}
    problems += [problem for problem in (_least(found) if is_pec else []) if problem.partition(":")[0] not in named]
    if filled is not None and found.permanent is not None and filled < found.permanent:
        problems.append(f"rows: those of {found.permanent - filled} of {found.permanent} tables were left out")
    if found.references and found.dangling and found.dangling * _TENTH > found.references:
        problems = [problem for problem in problems if not problem.startswith("large objects:")]
        problems.append(f"large objects: {found.dangling} of {found.references} that its tables refer to do not exist")
    return problems


def without(beside: Inventory | None, left_out: Sequence[Entry]) -> Inventory | None:
    """Return the database to compare with when objects of the dump were left out by name, which are then no sign of a part."""
    if beside is None or not left_out:
        return beside
    kinds, names = verify.uncounted(left_out)
    tables = frozenset(name for name in beside.tables or () if name.replace('"', "") not in names)
    counts = {kind: number for kind, number in beside.counts.items() if kind not in kinds}
    return replace(beside, counts={**counts, "tables": len(tables)}, tables=tables)


def _against(found: Inventory, beside: Inventory) -> list[str]:
    """What is missing compared with the database to replace."""
    same = found.pec_version is not None and found.pec_version == beside.pec_version
    problems = []
    wanted = beside.counts.get("tables", 0)
    has = found.counts.get("tables", wanted)  # an archive's table of contents does not always show the number of a kind
    if found.tables is not None and beside.tables is not None:
        names = sorted(beside.tables - found.tables)
        if names and (same or len(names) * _QUARTER > wanted):
            shown = ", ".join(names[:_SHOWN]) + (f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else "")
            problems.append(f"tables: {len(names)} of {wanted} in the database to replace are missing ({shown})")
    elif (wanted - has) * _QUARTER > wanted:
        problems.append(f"tables: {has} instead of {wanted} in the database to replace")
    for kind in _KINDS:
        wanted = beside.counts.get(kind, 0)
        has = found.counts.get(kind, wanted)
        lost = wanted - has
        if lost * _TENTH > wanted if same else lost > _FEW and lost * _QUARTER > wanted:
            problems.append(f"{kind}: {has} instead of {wanted} in the database to replace")
    if beside.large_objects and not found.large_objects:
        problems.append(f"large objects: none instead of {beside.large_objects} in the database to replace")
    return problems


def _least(found: Inventory) -> list[str]:
    """What every PEC has."""
    if "tables" not in found.counts:
        return []
    tables = found.counts["tables"]
    problems = []
    if tables < beliefs.TABLES_AT_LEAST:
        problems.append(f"tables: {tables}, and a PEC has {beliefs.TABLES_AT_LEAST} at least, usually about {beliefs.TABLES_USUAL}")
    # Nearly every table of PEC has a primary key, which is a constraint and an index.
    problems += [
        f"{kind}: {found.counts[kind]} for {tables} tables, and nearly every table of PEC has a primary key"
        for kind in ("indexes", "constraints")
        if kind in found.counts and found.counts[kind] * 2 < tables
    ]
    return problems


def of_toc(counts: Mapping[str, int], has_large_objects: bool) -> Inventory:
    """Return what an archive's table of contents says before the load."""
    return Inventory(counts, int(has_large_objects), None)


def require(path: str, problems: list[str], *, allowed: bool) -> list[str]:
    """Return notes if a part is allowed. Raises PecError otherwise."""
    if problems and not allowed:
        raise PecError(
            f"{path} was not restored, because it holds only a part of a database: {'; '.join(problems)}. Use a dump of the whole "
            "database, made by pg_dump without -t, -T, -n, -N, --section and the like, or set allow_partial (role: "
            "pec_restore_allow_partial) to true"
        )
    return [f"it holds only a part of a database: {'; '.join(problems)}"] if problems else []
