# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads what a restore has to know before it is planned: the dump, the server, the database that is there. Nothing is changed."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import cast

from ansible_collections.esus.pec.plugins.module_utils.archive import reading, toc
from ansible_collections.esus.pec.plugins.module_utils.dump import manifest
from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.postgres import administrator, contents
from ansible_collections.esus.pec.plugins.module_utils.postgres.administrator import Login
from ansible_collections.esus.pec.plugins.module_utils.postgres.psql import Connection, literal
from ansible_collections.esus.pec.plugins.module_utils.postgres.session import Session
from ansible_collections.esus.pec.plugins.module_utils.restore import pec_service, planning, tools
from ansible_collections.esus.pec.plugins.module_utils.restore.planning import Current, Desired, Target
from ansible_collections.esus.pec.plugins.module_utils.restore.tools import Clients, Listing
from ansible_collections.esus.pec.plugins.module_utils.system import host, pipeline

_STAMP = re.compile(r"\d{8}T\d{6}Z")
_LINGER = 20  # times a tenth of a second: what a session that has just ended may still be listed

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
    """What was read, and what it takes to work with it. C(place) is where the server keeps it, None when that is not seen here."""

    current: Current
    pec: Login
    admin: Login
    clients: Clients
    listing: Listing | None
    place: str | None


def locate(desired: Desired) -> tuple[str, manifest.Manifest | None]:
    """Return the dump's path, and its manifest when it has one. Raises PecError when there is no such dump."""
    if desired.newest_in:
        backup = manifest.newest(desired.newest_in, desired.where)
        return backup.path, backup.manifest
    path = os.path.abspath(desired.path or "")
    if not os.path.exists(path):
        raise PecError(f"there is no dump at {path} on this host; check the path, or copy the dump there first")
    described = manifest.path_for(path)
    return path, manifest.read(described) if os.path.exists(described) else None


def read(desired: Desired, connection: Connection, identity: reading.Identity, on_bytes: Callable[[int], None]) -> Found:
    """Raises PecError when the server cannot be reached, or when the dump is not what its manifest says."""
    path, described = locate(desired)
    sets = tools.find()
    pec = administrator.log_in(connection, sets[0].psql)
    admin = administrator.find(pec, desired.admin_login, desired.admin_account)
    sha256 = _verified(path, described, on_bytes)
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
        service=pec_service.look(connection),
        leftovers=leftovers,
        previous=previous,
        free_bytes=host.disk_usage(place).free_bytes if place else None,
        locales=planning.spellings([*cast("list[str]", server["locales"]), *host.locales()]) if local else None,
        extensions=tuple(cast("list[str]", server["extensions"] or [])),
    )
    return Found(current, pec, admin, clients, listing, place)


def _verified(path: str, described: manifest.Manifest | None, on_bytes: Callable[[int], None]) -> str:
    """The SHA-256 of the dump; with a manifest the one that it has been found to have."""
    if described is not None:
        manifest.verify(path, described, on_bytes)
        return described.sha256
    if not os.path.isdir(path):
        return pipeline.sha256_file(path, on_bytes)[1]
    return manifest.digest_directory(path, on_bytes)[1]


def _facts(admin: Login, name: str) -> Mapping[str, object] | None:
    with admin.session() as session:
        found = session.query(_TARGET_SQL.format(name=literal(name)))
    return found if isinstance(found, dict) else None


def _target(facts: Mapping[str, object], admin: Login, connection: Connection, clients: Clients) -> Target:
    sessions = _sessions(admin, connection.database)
    if not facts["datallowconn"]:
        raise PecError(f"the database {connection.database!r} lets nobody in (ALLOW_CONNECTIONS is false); allow it, then run again")
    objects, version, problem = 1, None, None
    try:
        with Session(connection, clients.psql) as session:
            inside = contents.read_contents(session)
        objects = inside.large_objects + sum(number for kind, number in inside.objects.items() if kind != "extensions")
        version = inside.pec_version
    except PecError as error:  # a damaged database is what a restore is for; it can still be put aside
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
    """Who is connected; a session that ended a moment ago may be listed still."""
    with admin.session() as session:
        for attempt in range(_LINGER):
            found = tuple(cast("list[str]", session.query(_SESSIONS_SQL.format(name=literal(name)))))
            if not found or attempt == _LINGER - 1:
                break
            time.sleep(0.1)
    return found


def _ours(admin: Login, name: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The databases that a restore of this one left when it was killed, and those that earlier ones kept."""
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
    """The directory where the database will lie; None when that cannot be seen."""
    place = str((facts or {}).get("location") or "") or admin.data_directory
    return place if place and os.path.isdir(place) else None


def _like(prefix: str) -> str:
    return literal(re.sub(r"([\\%_])", r"\\\1", prefix))
