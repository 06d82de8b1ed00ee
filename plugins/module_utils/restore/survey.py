# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads the dump, the server and the existing database before a restore is planned; changes nothing. Private to the collection."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import cast

from ansible_collections.esus.pec.plugins.module_utils import beliefs
from ansible_collections.esus.pec.plugins.module_utils.archive import reading, sql_filter, toc
from ansible_collections.esus.pec.plugins.module_utils.archive.opening import Dump
from ansible_collections.esus.pec.plugins.module_utils.archive.text_encoding import BrokenAccents
from ansible_collections.esus.pec.plugins.module_utils.dump import manifest, sealing
from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.installer import jar
from ansible_collections.esus.pec.plugins.module_utils.pec import installation, stopping
from ansible_collections.esus.pec.plugins.module_utils.pec.installation import Installation
from ansible_collections.esus.pec.plugins.module_utils.postgres import administrator, contents
from ansible_collections.esus.pec.plugins.module_utils.postgres.administrator import Login
from ansible_collections.esus.pec.plugins.module_utils.postgres.psql import Connection, literal
from ansible_collections.esus.pec.plugins.module_utils.postgres.session import CLIENTS, Session, database_lock, same_database
from ansible_collections.esus.pec.plugins.module_utils.restore import completeness, loading_role, origin, planning, tools, unchanged
from ansible_collections.esus.pec.plugins.module_utils.restore.planning import Current, Desired, Service, Target
from ansible_collections.esus.pec.plugins.module_utils.restore.tools import Clients, Listing
from ansible_collections.esus.pec.plugins.module_utils.system import host, systemd

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
where datname = {name} and {clients} and pid <> pg_backend_pid()
  and coalesce(row_to_json(a)->>'backend_type', 'client backend') = 'client backend'
"""
_DATABASES_SQL = """
select coalesce(json_agg(
  json_build_array(datname, left(shobj_description(oid, 'pg_database'), 100000), (select rolname from pg_roles r where r.oid = datdba))
  order by datname
), '[]'::json) from pg_database
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
    dump: Dump
    pec: Login
    admin: Login
    clients: Clients
    listing: Listing | None
    place: str | None


def read(
    dump: Dump,
    described: manifest.Manifest | None,
    desired: Desired,
    connection: Connection,
    identity: reading.Identity,
    on_bytes: Callable[[int], None],
) -> Found:
    """C(described) is the manifest of the dump.

    Raises PecError if the server cannot be reached, or if the dump differs from its manifest or from the SHA-256 that was given.
    """
    sets = tools.find()
    pec = administrator.log_in(connection, sets[0].psql)
    admin = administrator.find(pec, desired.admin_login, desired.admin_account)
    if dump.changeable and (desired.sha256 or desired.require_manifest):
        raise PecError(f"{dump.path} may change after its SHA-256 was checked: {dump.changeable}")
    sha256 = manifest.verify(dump, described, on_bytes) if described else manifest.digest(dump, on_bytes)[1]
    if desired.sha256 and desired.sha256.lower() != sha256:
        raise PecError(f"{dump.path} has the SHA-256 {sha256}, but {desired.sha256} was given; check whether the dump was replaced")
    found = replace(reading.inspect(dump, identity), accepts_broken_accents=desired.force)
    described = sealing.unseal(dump.path, described, identity) if described else None
    clients = tools.choose(sets, pec.version_num, found)
    listing = None
    if found.kind != reading.PLAIN:
        listing = tools.list_archive(dump, found, clients, identity, database_lock(connection))
    contents_of_archive = toc.parse(listing.text) if listing else None
    if contents_of_archive and listing:
        needs = tuple(contents_of_archive.extensions)
        schemas = sql_filter.extensions_in(
            tools.extension_statements(dump, listing, clients, contents_of_archive, database_lock(connection))
        )
    else:
        schemas = _extensions(dump, found, identity)
        needs = tuple(name for name, _schema in schemas)
    facts = _facts(admin, connection.database)
    with admin.session() as session:
        server = cast("Mapping[str, object]", session.query(_SERVER_SQL))
    target = _target(facts, admin, connection, clients) if facts else None
    if target and not target.problem and planning.restored_on(target, sha256) and not desired.force and not desired.rehearse:
        recorded = planning.read_record(target.comment).get("unchanged")
        same = recorded is not None and recorded == unchanged.state(connection, admin, clients.psql, desired.jobs or host.processors())
        target = replace(target, unchanged=same)
    leftovers, previous = _ours(admin, connection.database)
    here = _installation()
    service = _service(connection, here)
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
        toc=contents_of_archive,
        needs=needs,
        schemas={
            name: schema
            for name, schema in schemas
            if schema and schema not in ("public", "information_schema") and not schema.startswith("pg_") and name in needs
        },
        changeable=dump.changeable,
        service=service,
        installed=here.version if here and service.uses else None,
        update_jar=jar.inspect(desired.update_jar).version if desired.update_jar and desired.allow_other_version else None,
        leftovers=leftovers,
        previous=previous,
        free_bytes=host.disk_usage(place).free_bytes if place else None,
        locales=planning.spellings([*cast("list[str]", server["locales"]), *host.locales()]) if local else None,
        extensions=tuple(cast("list[str]", server["extensions"] or [])),
    )
    return Found(current, dump, pec, admin, clients, listing, place)


def _extensions(dump: Dump, archive: reading.Archive, identity: reading.Identity) -> list[tuple[str, str | None]]:
    """Return the extensions, each with its schema, that a plain dump names before its first table.

    Raises PecError if its beginning shows broken accents.
    """
    with reading.PlainStream(dump, archive.layers, identity) as plain:
        head = reading.read_head(plain)
    accents = BrokenAccents(archive.header.encoding)
    accents.add(head)
    whole = len(head) < reading.HEAD
    problem = accents.problem() if accents.decided or whole else None
    if problem and not archive.accepts_broken_accents:
        raise PecError(f"{dump.path} cannot be restored: {problem}")
    return [(name, schema) for name, schema in sql_filter.extensions_in(head) if name != "plpgsql"]


def _installation() -> Installation | None:
    """Return the PEC on this host, None if its files cannot be read."""
    try:
        return installation.discover()
    except PecError:
        return None


def _service(connection: Connection, here: Installation | None) -> Service:
    unit = systemd.units((beliefs.PEC_UNIT,))[beliefs.PEC_UNIT]
    configured = here.connection if here else None
    uses = configured is None or same_database(configured, connection)
    left = stopping.find()
    return Service(unit.active_state not in systemd.STOPPED, bool(unit.enabled), uses, owed=left is not None and left.harmless)


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
    objects, version, problem, holder, inventory = 1, None, None, None, None
    try:
        with Session(connection, clients.psql) as session:
            inside = contents.read_contents(session)
            holder = origin.read_holder(session)
            inventory = completeness.take(session, inside, look=False)
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
        holder=holder,
        inventory=inventory,
        sessions=sessions,
        owned=bool(facts["owned"]),
    )


def _sessions(admin: Login, name: str) -> tuple[str, ...]:
    """Return who is connected, after a moment for sessions that have just ended."""
    with admin.session() as session:
        for attempt in range(_LINGER):
            found = tuple(cast("list[str]", session.query(_SESSIONS_SQL.format(name=literal(name), clients=CLIENTS))))
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
            cast("tuple[str, str | None, str]", row)
            for prefix in (side, kept)
            for row in cast("list[object]", session.query(_DATABASES_SQL.format(prefix=_like(prefix))))
        ]
    leftovers, previous = [], []
    for database, comment, owner in candidates:
        record = planning.read_record(comment)
        # The dump may have changed the comment of the database that its role owned.
        if owner == loading_role.name_for(name) or (record.get("target") == name and record.get("state") == planning.RESTORING):
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
