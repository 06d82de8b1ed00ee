# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads the dump, the server and the existing database before a restore is planned; changes nothing. Private to the collection."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import cast

from ansible_collections.esus.pec.plugins.module_utils import beliefs
from ansible_collections.esus.pec.plugins.module_utils.archive import reading, toc
from ansible_collections.esus.pec.plugins.module_utils.dump import manifest
from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.pec import installation
from ansible_collections.esus.pec.plugins.module_utils.postgres import administrator, contents
from ansible_collections.esus.pec.plugins.module_utils.postgres.administrator import Login
from ansible_collections.esus.pec.plugins.module_utils.postgres.psql import Connection, literal
from ansible_collections.esus.pec.plugins.module_utils.postgres.session import Session, database_lock
from ansible_collections.esus.pec.plugins.module_utils.restore import choosing, planning, tools
from ansible_collections.esus.pec.plugins.module_utils.restore.planning import Current, Desired, Service, Target
from ansible_collections.esus.pec.plugins.module_utils.restore.tools import Clients, Listing
from ansible_collections.esus.pec.plugins.module_utils.system import host, pipeline, systemd

_STAMP = re.compile(r"\d{8}T\d{6}Z")
_LINGER = 20  # tenths of a second that a session which has just ended may still be listed

_TARGET_SQL = """
select coalesce((select row_to_json(found) from (
  select d.*, pg_encoding_to_char(d.encoding) as encoding_name, shobj_description(d.oid, 'pg_database') as comment,
    (select spcname from pg_tablespace where oid = d.dattablespace) as tablespace,
    (select pg_tablespace_location(d.dattablespace)) as location,
    case when has_database_privilege(d.oid, 'connect') then pg_database_size(d.oid) else 0 end as size,
    pg_has_role(current_user, d.datdba, 'usage') as owned,
    (select coalesce(json_agg(json_build_array(r.rolname, s.setting)), '[]'::json) from (
      select setrole, unnest(setconfig) as setting from pg_db_role_setting where setdatabase = d.oid
    ) s left join pg_roles r on r.oid = s.setrole) as settings,
    case when d.datacl is not null then (
      select coalesce(json_agg(json_build_array(
        r.rolname, a.privilege_type, case when a.is_grantable then ' WITH GRANT OPTION' else '' end)), '[]'::json)
      from aclexplode(d.datacl) a left join pg_roles r on r.oid = a.grantee
      where a.grantee <> d.datdba and (a.grantee = 0 or r.oid is not null)
    ) end as rights
  from pg_database d where datname = {name}
) found), 'null')
"""
_SESSIONS_SQL = """
select coalesce(json_agg(case when application_name <> '' then application_name else 'a program' end || ' as ' || coalesce(usename, '?')
  || coalesce(' from ' || host(client_addr), '')), '[]'::json)
from pg_stat_activity a
where datname = {name} and usesysid is not null and pid <> pg_backend_pid()
  and coalesce(row_to_json(a)->>'backend_type', 'client backend') = 'client backend'
"""
_DATABASES_SQL = """
select coalesce(json_agg(json_build_array(datname, shobj_description(oid, 'pg_database')) order by datname), '[]'::json) from pg_database
where datname like {prefix} || '%' and datallowconn
"""
_SERVER_SQL = """
select json_build_object(
  'extensions', (select json_agg(name) from pg_available_extensions),
  'locales', (select json_agg(name) from (
    select collcollate as name from pg_collation where collcollate is not null union select datcollate from pg_database union
    select datctype from pg_database union select 'C' union select 'POSIX'
  ) names),
  'defaults', (select json_build_object('encoding', pg_encoding_to_char(encoding), 'datcollate', datcollate, 'datctype', datctype)
    from pg_database where datname = 'template1')
)
"""


@dataclass(frozen=True)
class Found:
    """What was read, the logins and the programs. C(place) is the server's data directory, None if it is not visible on this host."""

    current: Current
    pec: Login
    admin: Login
    clients: Clients
    listing: Listing | None
    place: str | None


def read(desired: Desired, connection: Connection, identity: reading.Identity, on_bytes: Callable[[int], None]) -> Found:
    """Raises PecError if the server cannot be reached, or if the dump differs from its manifest or from the SHA-256 that was given."""
    path, described = choosing.choose(desired, connection.database)
    sets = tools.find()
    pec = administrator.log_in(connection, sets[0].psql)
    admin = administrator.find(pec, desired.admin_login, desired.admin_account)
    sha256 = _verified(path, described, on_bytes)
    if desired.sha256 and desired.sha256.lower() != sha256:
        raise PecError(f"{path} has the SHA-256 {sha256}, but {desired.sha256} was given; check whether the dump was replaced")
    found = reading.inspect(path, identity)
    clients = tools.choose(sets, pec.version_num, found.header)
    listing = None if found.kind == reading.PLAIN else tools.list_archive(found, clients, identity)
    facts = _facts(admin, connection.database)
    with admin.session() as session:
        server = cast("Mapping[str, object]", session.query(_SERVER_SQL))
    target = _target(facts, admin, connection, clients) if facts else None
    leftovers, previous = _ours(admin, connection.database)
    local = connection.is_local
    place = _place(admin, facts) if local else None
    current = Current(
        name=connection.database,
        owner=pec.role,
        server_version=pec.version,
        server_version_num=pec.version_num,
        client_version=".".join(map(str, clients.version)),
        target=target,
        defaults=cast("Mapping[str, object]", server["defaults"]),
        archive=found,
        sha256=sha256,
        manifest=described,
        toc=toc.parse(listing.text) if listing else None,
        service=_service(connection),
        leftovers=leftovers,
        previous=previous,
        free_bytes=host.disk_usage(place).free_bytes if place else None,
        locales=planning.spellings([*cast("list[str]", server["locales"]), *host.locales()]) if local else None,
        extensions=tuple(cast("list[str]", server["extensions"] or [])),
    )
    return Found(current, pec, admin, clients, listing, place)


def _verified(path: str, described: manifest.Manifest | None, on_bytes: Callable[[int], None]) -> str:
    """Return the SHA-256 of the dump, after the comparison with its manifest if it has one."""
    if described is not None:
        manifest.verify(path, described, on_bytes)
        return described.sha256
    if not os.path.isdir(path):
        return pipeline.sha256_file(path, on_bytes)[1]
    return manifest.digest_directory(path, on_bytes)[1]


def _service(connection: Connection) -> Service:
    unit = systemd.units((beliefs.PEC_UNIT,))[beliefs.PEC_UNIT]
    try:
        configured = installation.discover().connection
    except PecError:
        configured = None
    uses = configured is None or database_lock(configured) == database_lock(connection)
    return Service(unit.active_state not in systemd.STOPPED, bool(unit.enabled), uses)


def _facts(admin: Login, name: str) -> Mapping[str, object] | None:
    with admin.session() as session:
        found = session.query(_TARGET_SQL.format(name=literal(name)))
    return found if isinstance(found, dict) else None


def _target(facts: Mapping[str, object], admin: Login, connection: Connection, clients: Clients) -> Target:
    sessions = _sessions(admin, connection.database)
    if not facts["datallowconn"]:
        raise PecError(
            f"the database {connection.database!r} accepts no connections; run ALTER DATABASE ... ALLOW_CONNECTIONS true, then run again"
        )
    objects, version, problem = 1, None, None
    try:
        with Session(connection, clients.psql) as session:
            inside = contents.read_contents(session)
        objects = inside.large_objects + sum(number for kind, number in inside.objects.items() if kind != "extensions")
        version = inside.pec_version
    except PecError as error:  # a damaged database can still be renamed
        problem = str(error)
    return Target(
        facts={**facts, "encoding": facts["encoding_name"]},
        size_bytes=int(str(facts["size"])),
        comment=cast("str | None", facts["comment"]),
        objects=objects,
        pec_version=version,
        problem=problem,
        sessions=sessions,
        owned=bool(facts["owned"]),
    )


def _sessions(admin: Login, name: str) -> tuple[str, ...]:
    """Return who is connected, after a moment for sessions that have just ended."""
    with admin.session() as session:
        for attempt in range(_LINGER):
            found = tuple(cast("list[str]", session.query(_SESSIONS_SQL.format(name=literal(name)))))
            if not found or attempt == _LINGER - 1:
                break
            time.sleep(0.1)
    return found


def _ours(admin: Login, name: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the databases that killed restores of this one left, and those that earlier restores kept."""
    stamp = "00000000T000000Z"
    side, kept = (administrator.with_suffix(name, f"_{kind}_{stamp}")[: -len(stamp)] for kind in ("restoring", "before"))
    with admin.session() as session:
        candidates = [
            cast("tuple[str, str | None]", row)
            for prefix in (side, kept)
            for row in cast("list[object]", session.query(_DATABASES_SQL.format(prefix=_like(prefix))))
        ]
    leftovers, previous = [], []
    for database, comment in candidates:
        record = planning.read_record(comment)
        if record.get("target") == name and record.get("state") == planning.RESTORING:
            leftovers.append(database)
        elif record.get("target") == name and record.get("state") == planning.PREVIOUS:
            previous.append(database)
        elif comment is None and database.startswith(side) and _STAMP.fullmatch(database[len(side) :]) and _is_empty(admin, database):
            leftovers.append(database)  # killed between its creation and its comment
    return tuple(leftovers), tuple(previous)


def _is_empty(admin: Login, database: str) -> bool:
    try:
        with admin.session(database) as session:
            inside = contents.read_contents(session)
    except PecError:
        return False
    return not inside.large_objects and not any(inside.objects.values())


def _place(admin: Login, facts: Mapping[str, object] | None) -> str | None:
    """Return the directory of the database's files, None if it is not visible on this host."""
    place = str((facts or {}).get("location") or "") or admin.data_directory
    return place if place and os.path.isdir(place) else None


def _like(prefix: str) -> str:
    return literal(re.sub(r"([\\%_])", r"\\\1", prefix))
