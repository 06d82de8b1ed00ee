# SPDX-License-Identifier: GPL-3.0-or-later
"""Lets the functions of a dump find what they name without a schema while it is loaded. Private to the collection.

pg_dump empties the search_path, so that no name means another object. A function in an index, a check or a materialized view that names
another one without its schema then fails. With a search_path of its own it works, but is not inlined by the planner any more: so all get
one before the rows are loaded, and afterwards only those keep it that something which the server evaluates by itself depends on.

All of it runs as the role that loads the dump and changes only what that role owns.
"""

from __future__ import annotations

from collections.abc import Sequence

from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.postgres.psql import identifier, literal
from ansible_collections.esus.pec.plugins.module_utils.postgres.session import Session

# The last schema twice is no mistake: it marks those functions that had none.
_MARK = "pg_temp, pg_temp"
_OWN = """pg_catalog.pg_proc p join pg_catalog.pg_language l on l.oid = p.prolang
 where p.proowner = (select oid from pg_catalog.pg_roles where rolname = current_user) and l.lanname in ('sql', 'plpgsql')"""
_NEEDED = """exists (
  select from pg_depend d left join pg_class c on d.classid = 'pg_class'::regclass and c.oid = d.objid
    left join pg_rewrite r on d.classid = 'pg_rewrite'::regclass and r.oid = d.objid left join pg_class v on v.oid = r.ev_class
  where d.refclassid = 'pg_proc'::regclass and d.refobjid = p.oid and (
    c.relkind in ('i', 'I') or v.relkind in ('v', 'm') or d.classid in ('pg_constraint'::regclass, 'pg_attrdef'::regclass)
  )
)"""


def set_statement(schemas: Sequence[str]) -> str:
    """Return a statement without line breaks that gives the functions of the dump this search_path, unless they have one."""
    path = literal(f" SET search_path TO {', '.join(map(identifier, schemas))}, {_MARK}")
    functions = f"""{_OWN} and pg_catalog.pg_get_function_result(p.oid) is not null
 and not coalesce(pg_catalog.array_to_string(p.proconfig, ';') ~ '(^|;)search_path=', false)"""
    text = f"""DO $esus_pec$ declare f text; begin for f in select p.oid::pg_catalog.regprocedure::text from {functions}
 loop execute 'ALTER FUNCTION ' || f || {path}; end loop; end $esus_pec$;"""
    return " ".join(text.split("\n"))


def settle(session: Session, schemas: Sequence[str]) -> list[str]:
    """After the load, let only those keep it that need it; return their names. Raises PecError."""
    found = session.query(
        f"""select coalesce(json_agg(json_build_array(p.oid::regprocedure::text, {_NEEDED}) order by p.proname), '[]'::json)
        from {_OWN} and array_to_string(p.proconfig, ';') ~ '(^|;)search_path=.*pg_temp"?, "?pg_temp'"""
    )
    if not isinstance(found, list):
        raise PecError("the functions of the restored database could not be listed; restore it again")
    path = ", ".join(map(identifier, schemas))
    for name, needed in found:
        session.execute(f"ALTER FUNCTION {name} " + (f"SET search_path TO {path}, pg_temp" if needed else "RESET search_path"))
    return [name for name, needed in found if needed]
