# SPDX-License-Identifier: GPL-3.0-or-later
"""The role that loads one dump, and the handover of what it loaded to PEC's role. Private to the collection.

A dump is a program of whoever made it. So it runs as a role that can do nothing but fill the new database: PEC's own role owns the live
database and is a superuser of a bundled server. The role exists for one restore only.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import cast

from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.postgres import administrator
from ansible_collections.esus.pec.plugins.module_utils.postgres.administrator import Login
from ansible_collections.esus.pec.plugins.module_utils.postgres.peer import stays_here
from ansible_collections.esus.pec.plugins.module_utils.postgres.psql import Connection, identifier, literal
from ansible_collections.esus.pec.plugins.module_utils.postgres.session import Session

_SUFFIX = "_loading"
_MARK = "esus.pec: loads a dump; dropped when the restore ends"
_SHOWN = 5
# A session cannot begin without its libraries, and only a superuser may choose others: so the role logs in to no database but its own,
# although a dump may give it another password, and everybody may connect to a database by default.
_NO_LIBRARY = "esus_pec_loads_into_one_database_only"
_SOME_LIBRARY = "plpgsql"

_EXISTING_SQL = """
select coalesce((
  select to_json(coalesce(shobj_description(oid, 'pg_authid'), '')) from pg_roles where rolname = {name}
), 'null')
"""
# Each in a statement of its own: one REASSIGN OWNED of all of them would need more locks than a server has by default.
_RELATIONS_SQL = """
select coalesce(json_agg(format('ALTER TABLE %I.%I OWNER TO %I', n.nspname, c.relname, {owner})), '[]'::json)
from pg_class c join pg_namespace n on n.oid = c.relnamespace
where c.relowner = {role}::regrole and c.relkind in ('r', 'p', 'v', 'm', 'f', 'S') and not exists (
  select from pg_depend d where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.deptype in ('a', 'i', 'e') and c.relkind = 'S'
)
"""
# What a dump granted: rights are not restored, and a hidden one would open what PEC writes later, or let others put traps into its schemas.
_GRANTED_SQL = """
select coalesce(json_agg(distinct format('REVOKE ALL ON %s FROM %s CASCADE', place,
  case grantee when 0 then 'PUBLIC' else quote_ident(rolname) end)), '[]'::json)
from (
  select format('%s %I.%I', case c.relkind when 'S' then 'SEQUENCE' else 'TABLE' end, n.nspname, c.relname) as place, a.grantee,
    c.relowner as owner
  from pg_class c join pg_namespace n on n.oid = c.relnamespace, lateral (
    select x.grantee from aclexplode(c.relacl) x
    union select x.grantee from pg_attribute t, aclexplode(t.attacl) x where t.attrelid = c.oid
  ) a where c.relkind in ('r', 'p', 'v', 'm', 'f', 'S')
  union all
  select format('SCHEMA %I', n.nspname), a.grantee, n.nspowner from pg_namespace n, aclexplode(n.nspacl) a where n.nspname <> 'public'
) granted left join pg_roles on oid = grantee
where owner = {owner}::regrole and grantee <> owner and (grantee = 0 or rolname is not null)
"""
# Of a new database: everybody may use its schema public, and before PostgreSQL 15 create in it.
_PUBLIC_SQL = """
select coalesce(json_agg(distinct format('REVOKE %s ON SCHEMA public FROM %s CASCADE',
  case a.grantee when 0 then 'CREATE' else 'ALL' end, case a.grantee when 0 then 'PUBLIC' else quote_ident(r.rolname) end)), '[]'::json)
from pg_namespace n, aclexplode(n.nspacl) a left join pg_roles r on r.oid = a.grantee
where n.nspname = 'public' and a.grantee <> n.nspowner and (
  r.oid is not null or (a.grantee = 0 and a.privilege_type = 'CREATE' and current_setting('server_version_num')::int >= 150000)
)
"""
_DATABASE_SQL = """
select coalesce(json_agg(distinct case a.grantee when 0 then 'PUBLIC' else quote_ident(r.rolname) end), '[]'::json)
from pg_database d, aclexplode(d.datacl) a left join pg_roles r on r.oid = a.grantee
where d.datname = {name} and coalesce(r.rolname, '') <> {owner} and (a.grantee = 0 or r.oid is not null)
"""
_FUNCTIONS_SQL = """
select json_build_object(
  'all', count(*),
  'definer', coalesce(json_agg(p.oid::regprocedure::text order by p.proname) filter (where p.prosecdef), '[]'::json)
)
from pg_proc p where p.proowner = {owner}::regrole and (p.prosecdef or not exists (
  select from pg_depend d where d.classid = 'pg_proc'::regclass and d.objid = p.oid and d.deptype = 'e'
))
"""
# For PEC's role, which alone may call them, it is the same. A right to call them taken away would not be enough: the server does not ask
# for it when an aggregate or an index calls a function. Only a procedure has no result.
_INVOKER_SQL = """
select coalesce(json_agg(format('ALTER %1$s %2$s SECURITY INVOKER; REVOKE ALL ON %1$s %2$s FROM PUBLIC',
  case when pg_get_function_result(oid) is null then 'PROCEDURE' else 'FUNCTION' end, oid::regprocedure)), '[]'::json)
from pg_proc where proowner = {owner}::regrole and prosecdef
"""
_ELSEWHERE_SQL = """
select coalesce(json_agg(distinct d.datname), '[]'::json) from pg_shdepend s join pg_database d on d.oid = s.dbid
where s.refclassid = 'pg_authid'::regclass and s.refobjid = {role}::regrole and d.datdba <> s.refobjid and d.datallowconn
"""


@dataclass(frozen=True)
class LoadingRole:
    """The role of one restore into the database C(side); C(conn) logs in as it. C(owner) is PEC's role, which everything is for."""

    admin: Login
    name: str
    side: str
    owner: str
    conn: Connection

    def reach(self, client_path: str) -> Connection:
        """Return the connection to the new database by which this role can log in. Raises PecError if the server does not let it."""
        hosts = [self.conn.host, *(["127.0.0.1"] if self.conn.is_local and self.conn.host.startswith("/") else [])]
        problem: PecError | None = None
        for host in hosts:
            conn = replace(self.conn, host=host)
            try:
                with Session(conn, client_path) as session:
                    session.execute("select 1")
                return conn
            except PecError as error:
                problem = problem or error
        raise PecError(
            f"{problem}. The dump is loaded by the role {self.name!r}, which exists for this restore only; admit it in pg_hba.conf: "
            f"host all {identifier(self.name)} {_address(self.conn)} md5"
        )

    def create_database(self, settings: Mapping[str, object], comment: str) -> None:
        """Create the database, to which only this role can connect, and the administrator."""
        side = identifier(self.side)
        alone = [f"ALTER ROLE {identifier(self.name)} IN DATABASE {side} SET session_preload_libraries TO {literal(_SOME_LIBRARY)}"]
        self.admin.execute(
            f"{administrator.create_statement(self.side, self.name, settings)} CONNECTION LIMIT 0",
            administrator.comment_statement(self.side, comment),
            f"REVOKE ALL ON DATABASE {side} FROM PUBLIC",
            *(alone if self.admin.superuser else []),
            f"ALTER DATABASE {side} CONNECTION LIMIT -1",
        )

    def hand_over(self) -> list[str]:
        """Give all that it loaded to PEC's role, without the rights that the dump granted. Return notes for the operator."""
        self.close()
        side = identifier(self.side)
        # What the dump set for its database would be in force in the next session too.
        self.admin.execute(f"ALTER DATABASE {side} RESET ALL", f"ALTER DATABASE {side} CONNECTION LIMIT -1 IS_TEMPLATE false")
        names = {"role": literal(identifier(self.name)), "owner": literal(identifier(self.owner))}
        with self.admin.session(self.side) as session:
            session.execute("SET synchronous_commit TO off")  # the switch waits for the disk, and for all before it
            session.execute(f"ALTER DATABASE {side} OWNER TO {identifier(self.owner)}")
            _run_all(session, _RELATIONS_SQL.format(role=names["role"], owner=literal(self.owner)))
            session.execute(f"REASSIGN OWNED BY {identifier(self.name)} TO {identifier(self.owner)}")
            session.execute(f"DROP OWNED BY {identifier(self.name)}")
            session.execute(f"ALTER DATABASE {side} RESET ALL")
            _run_all(session, _GRANTED_SQL.format(owner=names["owner"]))
            _run_all(session, _PUBLIC_SQL)
            _reset_rights(session, self.side, self.owner)
            functions = _functions(session, self.owner)
            _run_all(session, _INVOKER_SQL.format(owner=names["owner"]))
        return self._notes(functions)

    def look(self) -> list[str]:
        """Return the notes of C(hand_over) without handing anything over."""
        self.close()
        with self.admin.session(self.side) as session:
            return self._notes(_functions(session, self.name))

    def close(self) -> None:
        """End its sessions, and let it log in no more."""
        self.admin.execute(
            f"ALTER ROLE {identifier(self.name)} NOLOGIN",
            _end_sessions(self.name),
        )

    def owner_is_superuser(self) -> bool:
        """Whether PEC's role is one, as on a server with the bundled PostgreSQL."""
        with self.admin.session() as session:
            return bool(session.query(f"select to_json(rolsuper) from pg_roles where rolname = {literal(self.owner)}"))

    def _notes(self, functions: tuple[int, list[str]]) -> list[str]:
        return list(_notes(*functions, superuser=self.owner_is_superuser()))


def name_for(database: str) -> str:
    """Return the name of the role that loads dumps for this database, so that pg_hba.conf can admit it."""
    return administrator.with_suffix(database, _SUFFIX)


def create(admin: Login, pec: Connection, owner: str, side: str, name: str) -> LoadingRole:
    """Create the role, instead of one that a killed restore left. Raises PecError if a role of this name exists that no restore made."""
    drop(admin, name)
    password = secrets.token_urlsafe(32)
    rights = "LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS"
    statements = [
        f"CREATE ROLE {identifier(name)} {rights} PASSWORD {literal(password)}",
        f"COMMENT ON ROLE {identifier(name)} IS {literal(_MARK)}",
    ]
    if admin.superuser:
        statements += [f"ALTER ROLE {identifier(name)} SET session_preload_libraries TO {literal(_NO_LIBRARY)}"]
    else:  # only a member of both roles may give the objects of one to the other
        statements += [f"GRANT {identifier(name)} TO CURRENT_USER"]
    admin.execute(*statements)
    return LoadingRole(admin, name, side, owner, replace(pec, database=side, username=name, password=password))


def drop(admin: Login, name: str) -> None:
    """Drop the role if an earlier or this restore made it; its databases must be gone or handed over."""
    with admin.session() as session:
        mark = session.query(_EXISTING_SQL.format(name=literal(name)))
    if mark is None:
        return
    if mark != _MARK:
        raise PecError(f"the role {name!r} exists, and no restore made it; rename it, because the dump is loaded by a role of this name")
    admin.execute(_end_sessions(name))
    with admin.session() as session:
        elsewhere = cast("list[str]", session.query(_ELSEWHERE_SQL.format(role=literal(identifier(name)))))
    for database in (None, *elsewhere):  # others may have given it rights, without which it cannot be dropped
        admin.execute(f"DROP OWNED BY {identifier(name)}", database=database)
    admin.execute(f"DROP ROLE {identifier(name)}")


def _end_sessions(name: str) -> str:
    return f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = {literal(name)}"


def _run_all(session: Session, sql: str) -> None:
    for statement in cast("list[str]", session.query(sql)):
        session.execute(statement)


def _functions(session: Session, owner: str) -> tuple[int, list[str]]:
    """Return how many functions a role owns, and the names of those that run with its rights for whoever calls them."""
    found = cast("dict[str, object]", session.query(_FUNCTIONS_SQL.format(owner=literal(identifier(owner)))))
    return int(str(found["all"])), cast("list[str]", found["definer"])


def _reset_rights(session: Session, database: str, owner: str) -> None:
    """Give a database the rights of a new one; those of the old database are copied to it later."""
    name = identifier(database)
    for grantee in cast("list[str]", session.query(_DATABASE_SQL.format(name=literal(database), owner=literal(owner)))):
        session.execute(f"REVOKE ALL ON DATABASE {name} FROM {grantee} CASCADE")
    session.execute(f"GRANT CONNECT, TEMPORARY ON DATABASE {name} TO PUBLIC")


def _notes(functions: int, definers: Sequence[str], *, superuser: bool) -> Iterator[str]:
    if definers:
        more = f" and {len(definers) - _SHOWN} more" if len(definers) > _SHOWN else ""
        yield (
            f"the dump has functions that run with the rights of their owner for whoever calls them (SECURITY DEFINER): "
            f"{', '.join(definers[:_SHOWN])}{more}; a restore makes them run with the rights of who calls them"
        )
    if functions and superuser:
        yield (
            f"the dump has {functions} functions of its own, which PEC's role, a superuser of this server, runs by its triggers; "
            "look at them (psql: \\df+) if the dump is not from a source that you trust"
        )


def _address(conn: Connection) -> str:
    return "127.0.0.1/32" if stays_here(conn.host) else "ADDRESS-OF-THIS-HOST/32"
