# SPDX-License-Identifier: GPL-3.0-or-later
"""Asks PEC's database and PEC itself for the doctor. Only reads; no part depends on a belief that another part is to check."""

from __future__ import annotations

import json
import socket
import ssl
import time
from collections.abc import Callable, Mapping
from urllib.parse import urlsplit

from ansible_collections.esus.pec.plugins.module_utils import beliefs
from ansible_collections.esus.pec.plugins.module_utils.doctor.facts import DatabaseSeen, WebSeen
from ansible_collections.esus.pec.plugins.module_utils.doctor.open_questions import TABLES
from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.pec.installation import Installation
from ansible_collections.esus.pec.plugins.module_utils.postgres import psql
from ansible_collections.esus.pec.plugins.module_utils.system import process
from ansible_collections.esus.pec.plugins.module_utils.system.http import HttpClient, UnansweredError, tls_context

STAND_IN = "NÃO É O PEC"
_SECONDS = 5.0
_PATHS = {"root-path": beliefs.ROOT_PATH, "esus-path": beliefs.ESUS_PATH, "info-path": beliefs.INFO_PATH}
_JSON_TYPES = {str: "texto", bool: "booleano", int: "número", float: "número", list: "lista", dict: "objeto", type(None): "nulo"}
_TIMEZONE_QUERY = {"operationName": "Configuracoes", "query": "query Configuracoes { info { serverTimezoneOffset } }", "variables": {}}

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
)), '{}') from (select row_to_json(one) as line from <settings> one) lines
"""
_LOCK_SQL = "select coalesce(json_agg(row_to_json(one) ->> 'locked'), '[]') from <lock> one"


def look_at_database(found: Installation, clean: Callable[[str], str]) -> DatabaseSeen:
    """As much of the database as answers; each part is asked on its own."""
    connection = found.connection
    if connection is None:
        return DatabaseSeen(error="nenhum arquivo do PEC diz como chegar ao banco")
    try:
        method = psql.authentication_method(connection.host, connection.port, connection.username, connection.database)
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


def look_at_web(found: Installation, link: str | None) -> WebSeen:
    """The answers of PEC on this server's own address; a certificate cannot match that and is not verified."""
    answers: dict[str, tuple[int | None, str]] = {}
    url = found.urls[0]
    for url in found.urls:
        answers = {belief: _ask(url, path) for belief, path in _PATHS.items()}
        if answers["root-path"][0] is not None:
            break
    reachable = any(status is not None for status, _body in answers.values())
    info = _json(answers["info-path"][1]) if answers["info-path"][0] == 200 else None
    version = info.get(beliefs.INFO_VERSION_KEY) if info else None
    resolves, opens = _link(link)
    return WebSeen(
        url=url if reachable else found.urls[0],
        reachable=reachable,
        statuses={belief: status for belief, (status, _body) in answers.items()},
        info_keys=None if info is None else {name: _JSON_TYPES.get(type(value), "?") for name, value in info.items()},
        version=version if isinstance(version, str) else None,
        timezone_offset=_timezone_offset(url) if reachable else None,
        certificate_days=_certificate_days(found.https.port or beliefs.HTTPS_PORT) if found.https.mode != "none" else None,
        link_resolves=resolves,
        link_opens=opens,
        stand_in=STAND_IN in answers["root-path"][1],
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


def _method(connection: psql.Connection) -> str | None:
    try:
        return psql.authentication_method(connection.host, connection.port, connection.username, connection.database)
    except PecError:
        return None


def _settings(connection: psql.Connection) -> Mapping[str, tuple[str, ...]] | None:
    try:
        answer = _object(psql.query(connection, _sql(_SETTINGS_SQL)))
    except PecError:
        return None
    return {key: tuple(str(column) for column in _list(columns)) for key, columns in answer.items()}


def _locked(connection: psql.Connection) -> bool | None:
    try:
        return "true" in _list(psql.query(connection, _sql(_LOCK_SQL)))
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


def _ask(url: str, path: str, body: object = None) -> tuple[int | None, str]:
    """Status and text of one answer; (None, "") when there is none."""
    sent = None if body is None else json.dumps(body).encode()
    headers = {} if body is None else {"Content-Type": "application/json", "Api-Consumer-Id": "ESUS_WEB_CLIENT"}
    try:
        answer = HttpClient(_SECONDS, verify=False).ask(url + path, sent, headers)
    except UnansweredError:
        return None, ""
    return answer.status, answer.text


def _json(text: str) -> dict[str, object] | None:
    try:
        content = json.loads(text)
    except ValueError:
        return None
    return content if isinstance(content, dict) else None


def _timezone_offset(url: str) -> int | None:
    """What PEC believes its own offset to be, asked by the query of its own page, which needs no session."""
    content: object = _json(_ask(url, "/api/graphql", _TIMEZONE_QUERY)[1])
    for name in ("data", "info", "serverTimezoneOffset"):
        content = content.get(name) if isinstance(content, dict) else None
    return content if isinstance(content, int) else None


def _certificate_days(port: int) -> int | None:
    """Days until the certificate ends that is shown on the port."""
    try:
        with socket.create_connection(("127.0.0.1", port), _SECONDS) as link, tls_context(False, None).wrap_socket(link) as secured:
            shown = ssl.DER_cert_to_PEM_cert(secured.getpeercert(True) or b"")
        answer = process.run(["openssl", "x509", "-noout", "-enddate"], stdin=shown, timeout=10)
        ends = ssl.cert_time_to_seconds(answer.stdout.strip().partition("=")[2])
    except (OSError, ValueError, PecError):
        return None
    return int((ends - time.time()) // 86400)


def _link(link: str | None) -> tuple[bool | None, bool | None]:
    """Whether this server finds the name in the installation's address, and reaches its port."""
    if not link:
        return None, None
    try:
        parts = urlsplit(link if "://" in link else f"http://{link}")
        name, port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
        socket.getaddrinfo(name, port, type=socket.SOCK_STREAM)
    except (OSError, ValueError):
        return False, False
    try:
        socket.create_connection((name, port), _SECONDS).close()
    except OSError:
        return True, False
    return True, True
