# SPDX-License-Identifier: GPL-3.0-or-later
"""Asks PEC's database for the doctor; no part depends on a belief that another part is to check. Private to the collection."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from ansible_collections.esus.pec.plugins.module_utils import beliefs
from ansible_collections.esus.pec.plugins.module_utils.doctor.facts import TABLES, DatabaseSeen
from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.pec.installation import Installation
from ansible_collections.esus.pec.plugins.module_utils.postgres import peer, psql

_CATALOG_SQL = """
select json_build_object(
  'columns', (select coalesce(json_object_agg(column_name, data_type), '{}')
              from information_schema.columns where table_schema = 'public' and table_name = '<settings>'),
  'extensions', (select coalesce(json_agg(extname || ' ' || extversion order by extname), '[]') from pg_extension),
  'roles', (select coalesce(json_object_agg(rolname, rolsuper), '{}') from pg_roles where rolname in ('<reader>', '<superuser>')),
  'locale', (select json_object_agg(name, setting) from pg_settings where name in ('lc_messages', 'lc_monetary', 'lc_numeric', 'lc_time')),
  'tables', (select coalesce(json_agg(relname order by relname), '[]')
             from pg_class where relnamespace = 'public'::regnamespace and relkind in ('r', 'p') and relname in (<tables>)),
  'large_objects', (select count(*) from pg_largeobject_metadata),
  'reads', (select has_table_privilege(r.oid, c.oid, 'select') from pg_roles r, pg_class c
            where r.rolname = '<reader>' and c.relnamespace = 'public'::regnamespace and c.relname = '<settings>')
)
"""
# The server itself reduces each setting to the names of its columns that hold something: the values do not travel.
_SETTINGS_SQL = """
select coalesce(json_object_agg(line ->> 'co_config_sistema', (
  select coalesce(json_agg(pair.key order by pair.key), '[]') from json_each_text(line) pair
  where pair.value is not null and pair.key not in ('co_config_sistema', 'ds_config_sistema')
)), '{}') from (select row_to_json(one) as line from public.<settings> one) lines
"""
_LOCK_SQL = "select coalesce(json_agg(row_to_json(one) ->> 'locked'), '[]') from public.<lock> one"


def look_at_database(found: Installation, clean: Callable[[str], str]) -> DatabaseSeen:
    """As much of the database as answers; each part is asked on its own."""
    connection = found.connection
    if connection is None:
        return DatabaseSeen(error="nenhum arquivo do PEC diz como chegar ao banco")
    try:
        method = _ask(connection)
        catalog = _object(psql.query(connection, _sql(_CATALOG_SQL)))
    except PecError as error:
        return DatabaseSeen(error=clean(str(error)), authentication=_method(connection))
    facts, problem = None, ""
    try:
        facts = psql.read_facts(connection)
    except PecError as error:
        problem = clean(str(error))
    tables = tuple(str(name) for name in _list(catalog["tables"]))
    return DatabaseSeen(
        facts=facts,
        facts_error=problem,
        authentication=method,
        columns={name: str(kind) for name, kind in _object(catalog["columns"]).items()},
        settings=_settings(connection),
        extensions=tuple(str(name) for name in _list(catalog["extensions"])),
        roles={name: bool(superuser) for name, superuser in _object(catalog["roles"]).items()},
        locale={name: str(setting) for name, setting in _object(catalog["locale"] or {}).items()},
        tables=tables,
        large_objects=int(str(catalog["large_objects"])),
        read_only_reads=None if catalog["reads"] is None else bool(catalog["reads"]),
        migration_locked=_locked(connection) if beliefs.MIGRATION_LOCK_TABLE in tables else None,
    )


def _sql(text: str) -> str:
    names = {
        "settings": beliefs.SETTINGS_TABLE,
        "reader": beliefs.READ_ONLY_ROLE,
        "superuser": beliefs.BUNDLED_USER,
        "lock": beliefs.MIGRATION_LOCK_TABLE,
        "tables": ", ".join(f"'{name}'" for name in TABLES),
    }
    for name, value in names.items():
        text = text.replace(f"<{name}>", value)
    return text


def _ask(connection: psql.Connection) -> str:
    place = connection.host, connection.port, connection.username, connection.database
    return peer.authentication_method(*place, sslmode=connection.sslmode)


def _method(connection: psql.Connection) -> str | None:
    try:
        return _ask(connection)
    except PecError:
        return None


def _settings(connection: psql.Connection) -> Mapping[str, tuple[str, ...]] | None:
    try:
        answer = _object(psql.query_tables(connection, _sql(_SETTINGS_SQL)))
    except PecError:
        return None
    return {key: tuple(str(column) for column in _list(columns)) for key, columns in answer.items()}


def _locked(connection: psql.Connection) -> bool | None:
    try:
        return "true" in _list(psql.query_tables(connection, _sql(_LOCK_SQL)))
    except PecError:
        return None


def _object(value: object) -> Mapping[str, object]:
    if not isinstance(value, dict):
        raise PecError("the database did not answer with an object")
    return value


def _list(value: object) -> list[object]:
    if not isinstance(value, list):
        raise PecError("the database did not answer with a list")
    return value
