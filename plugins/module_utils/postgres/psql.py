# SPDX-License-Identifier: GPL-3.0-or-later
"""PostgreSQL through its own client programs, because managed hosts have no Python driver. Private to the collection."""

from __future__ import annotations

import glob
import json
import os
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

from ansible_collections.esus.pec.plugins.module_utils import beliefs
from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.postgres import peer
from ansible_collections.esus.pec.plugins.module_utils.redact import Redactor
from ansible_collections.esus.pec.plugins.module_utils.system import files, process

_CONNECT_SECONDS = 10
MAINTENANCE = ("postgres", "template1")
"""Databases that always exist."""
# A connection to another host whose packets get lost is given up after 35 seconds: by keepalives while it waits for an answer, by
# tcp_user_timeout while it sends. The server is asked to notice it as well, so that it keeps no session of ours.
_IDLE, _INTERVAL, _COUNT = 10, 5, 5
_SILENT_SECONDS = _IDLE + _INTERVAL * _COUNT
_USER_TIMEOUT_SINCE = 12
_CUT = re.compile(r"timed out|timeout expired|No route to host|Network is unreachable", re.IGNORECASE)
LONGEST_VALUE = 10000
"""How much of a value of PEC's settings is read."""

# Settings of every session of ours, in force from the connection on. Whoever may write a database can put functions and operators into
# it that fit better than the server's own, so those are looked for in pg_catalog only.
PINNED = {"search_path": "pg_catalog,pg_temp"}

# The session that holds the snapshot is idle while pg_dump works. Not every version of the server has all of these.
PATIENT = """
select set_config(name, '0', false) from pg_settings
where name in ('statement_timeout', 'idle_in_transaction_session_timeout', 'transaction_timeout')
"""
"""SQL for a session that holds a snapshot."""

# True only for a real table with types of PostgreSQL itself. Reading anything else, such as a view or a column of a type with casts of its
# own, would run code of whoever made it with the rights of this session.
PLAIN_TABLE_SQL = """exists (
  select from pg_class c where c.oid = to_regclass('public.{table}') and c.relkind = 'r' and not exists (
    select from pg_attribute a where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped and a.atttypid >= 16384
  )
)"""  # 16384 is PostgreSQL's FirstNormalObjectId
HAS_SETTINGS_SQL = PLAIN_TABLE_SQL.format(table=beliefs.SETTINGS_TABLE)
_TABLE = re.compile(r"\bpublic\.(\w+)")

_SERVER_SQL = """
select json_build_object(
  'server_version', current_setting('server_version'),
  'server_version_num', current_setting('server_version_num')::int,
  'size_bytes', pg_database_size(datname),
  'encoding', pg_encoding_to_char(encoding),
  'collation', datcollate,
  'ctype', datctype,
  'table_count', (select count(*) from pg_class where relkind in ('r', 'p') and relnamespace = 'public'::regnamespace),
  'has_settings', {has_settings}
) from pg_database where datname = current_database()
""".replace("{has_settings}", HAS_SETTINGS_SQL)
_SETTINGS_SQL = """
select coalesce(json_object_agg(co_config_sistema, json_build_object('text', left(ds_texto, {length}), 'number', ds_inteiro)), '{}'::json)
from public.{table} where co_config_sistema in ({keys})
""".replace("{table}", beliefs.SETTINGS_TABLE).replace("{keys}", ", ".join(f"'{key}'" for key in beliefs.SETTING_KEYS))
_SETTINGS_SQL = _SETTINGS_SQL.replace("{length}", str(LONGEST_VALUE))

_IDENTITY = (
    "select to_json(concat_ws(' ', (select system_identifier from pg_control_system()), oid, datname)) "
    "from pg_database where datname = current_database()"
)


@dataclass(frozen=True)
class Connection:
    """How to reach one database with one role. C(host) has no brackets when it is an IPv6 address, and may be a socket's directory.

    C(sslmode) is as libpq's, None for its default, C(prefer); C(sslrootcert) the file with the authority of the server's certificate.
    C(unsupported) names parameters of PEC's URL that protect the connection and that libpq has no equal for: no client connects then.
    """

    host: str
    port: int
    database: str
    username: str
    password: str = field(repr=False)
    sslmode: str | None = None
    sslrootcert: str | None = None
    unsupported: tuple[str, ...] = ()

    @property
    def is_local(self) -> bool:
        """Whether the server is on this host, whichever of its addresses or names is given."""
        return peer.is_local(self.host)

    @property
    def place(self) -> tuple[str, int, str]:
        """The same for two connections to one database, whatever address of this host they have."""
        return "local" if self.is_local else self.host.lower(), self.port, self.database


@dataclass(frozen=True)
class Client:
    """A PostgreSQL client program and its version, such as (15, 18)."""

    path: str
    version: tuple[int, ...]


@dataclass(frozen=True)
class DatabaseFacts:
    """One database. C(is_pec): PEC's migrations have recorded a version in it. What PEC did not record is None."""

    server_version: str
    server_version_num: int
    size_bytes: int
    encoding: str
    collation: str
    ctype: str
    table_count: int
    is_pec: bool
    pec_version: str | None
    training: bool | None
    installation_name: str | None
    installation_link: str | None
    installation_type: str | None


def connection_from(options: Mapping[str, Any] | None) -> Connection | None:
    """Return the connection in a module's option C(database); None when it is left out."""
    if options is None:
        return None
    mode = options["sslmode"]
    return Connection(
        options["host"],
        options["port"],
        options["name"],
        options["username"],
        options["password"],
        sslmode=None if mode == "prefer" else mode,
        sslrootcert=options["sslrootcert"] or None,
    )


def identifier(name: str) -> str:
    """Return a name quoted for SQL."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """Return a text quoted for SQL."""
    prefix = "E" if "\\" in text else ""
    return prefix + "'" + text.replace("\\", "\\\\").replace("'", "''") + "'"


def find_clients(program: str = "psql", root: str = "/") -> list[Client]:
    """Return every copy of a client program on this host, newest first: the distribution's, and the one bundled with PEC.

    Without one that another account than root can change: it would receive the administrator's password.
    """
    found: dict[str, Client] = {}
    for path in _candidates(program, root):
        real = os.path.realpath(path)
        version = None if real in found or files.changers(path) else _client_version(path)
        if version:
            found[real] = Client(path, version)
    return sorted(found.values(), key=lambda client: client.version, reverse=True)


def environment(conn: Connection) -> dict[str, str]:
    """Return the variables that lead any PostgreSQL client to the database. The password is nowhere but here.

    Raises PecError if the server must not receive it; see peer.protection.
    """
    protection = peer.protection(
        conn.host,
        conn.port,
        conn.username,
        conn.database,
        sslmode=conn.sslmode,
        sslrootcert=conn.sslrootcert,
        unsupported=conn.unsupported,
    )
    return {
        **protection,
        "PGHOST": conn.host,
        "PGPORT": str(conn.port),
        "PGDATABASE": conn.database,
        "PGUSER": conn.username,
        "PGPASSWORD": conn.password,
        "PGPASSFILE": "/nonexistent",
        "PGCLIENTENCODING": "UTF8",
        "PGCONNECT_TIMEOUT": str(_CONNECT_SECONDS),
    }


def keepalives(conn: Connection, libpq: int) -> dict[str, int]:
    """Return the parameters by which libpq of this major version notices that the network is cut; none for a server on this host."""
    if conn.is_local:
        return {}
    alive = {"keepalives": 1, "keepalives_idle": _IDLE, "keepalives_interval": _INTERVAL, "keepalives_count": _COUNT}
    return {**alive, **({"tcp_user_timeout": _SILENT_SECONDS * 1000} if libpq >= _USER_TIMEOUT_SINCE else {})}


def lasting(conn: Connection, client_path: str, *words: str) -> list[str]:
    """Return the argument of any client program with these parameters, beside other C(words) of a connection string.

    They have no variable of the environment. A libpq that does not know one of them refuses to connect.
    """
    major = (_version_of(client_path) or (0,))[0] if not conn.is_local else 0
    string = " ".join([*words, *(f"{name}={value}" for name, value in keepalives(conn, major).items())])
    return [f"--dbname={string}"] if string else []


def server_keepalives(conn: Connection) -> dict[str, str]:
    """Return the settings by which the server notices that the network is cut; none for a server on this host."""
    names = {"tcp_keepalives_idle": _IDLE, "tcp_keepalives_interval": _INTERVAL, "tcp_keepalives_count": _COUNT}
    return {} if conn.is_local else {name: str(value) for name, value in names.items()}


def network_remedy(said: str) -> str:
    """Return what to do if the error of a client is that of a cut network; empty if it is another."""
    return "; the network between this host and the database's server was cut: check it, then run again" if _CUT.search(said) else ""


def options(settings: Mapping[str, str]) -> dict[str, str]:
    """Return the variable that gives any client these settings of its session; empty without settings."""
    return {"PGOPTIONS": " ".join(f"-c {name}={_escaped(value)}" for name, value in settings.items())} if settings else {}


def query(conn: Connection, sql: str, *, timeout: float = 30) -> object:
    """Run SQL that returns one JSON value and return it, decoded. timeout is in seconds.

    Raises PecError when psql is not installed, the server refuses, the SQL fails, or the answer is not one JSON value.
    """
    clients = find_clients("psql")
    if not clients:
        raise PecError("no psql on this host is root's alone; install the PostgreSQL client (Debian: postgresql-client)")
    argv = [clients[0].path, "-XAtqw", "-v", "ON_ERROR_STOP=1", *lasting(conn, clients[0].path)]
    settings = options({**PINNED, **server_keepalives(conn)})
    answer = process.run(argv, env={**environment(conn), **settings}, stdin=sql, timeout=timeout, confined=True, secret=True)
    if answer.returncode != 0:
        said = _complaint(answer.stderr, conn)
        raise PecError(f"{describe(conn)}: {said}{network_remedy(said)}")
    try:
        return json.loads(answer.stdout)
    except (ValueError, RecursionError):
        raise PecError(f"{describe(conn)}: the answer of the server is not one JSON value") from None


def query_tables(conn: Connection, sql: str, *, timeout: float = 30) -> object:
    """Run SQL as C(query) does that reads tables of the database, each named as public.table.

    Raises PecError too if one of them is something else that only looks like a table of PEC's.
    """
    for table in dict.fromkeys(_TABLE.findall(sql)):
        if query(conn, f"select to_json({PLAIN_TABLE_SQL.format(table=table)})", timeout=timeout) is not True:
            raise PecError(f"{describe(conn)}: public.{table} is missing or is no table of plain columns, so it was not read")
    return query(conn, sql, timeout=timeout)


@lru_cache(maxsize=None)
def cluster(conn: Connection) -> str:
    """Return what distinguishes the server's cluster from all others, whatever address leads to it; empty where it cannot be read."""
    for database in dict.fromkeys((conn.database, *MAINTENANCE)):
        began = time.monotonic()
        try:
            return str(query(replace(conn, database=database), "select to_json((select system_identifier from pg_control_system())::text)"))
        except PecError:
            if time.monotonic() - began >= _CONNECT_SECONDS:  # another database of a server that does not answer is no better
                break
    return ""


def identity(conn: Connection) -> str:
    """Return what distinguishes this database from one that is restored or created in its place."""
    return str(query(conn, _IDENTITY))


def read_facts(conn: Connection) -> DatabaseFacts:
    """Return what the database reports about itself. Raises PecError when a query fails."""
    server = _mapping(query(conn, _SERVER_SQL))
    settings = _mapping(query(conn, _SETTINGS_SQL)) if server["has_settings"] else {}
    training = _setting(settings, beliefs.TRAINING_KEY, "number")
    version = _text(settings, beliefs.VERSION_KEY)
    return DatabaseFacts(
        server_version=str(server["server_version"]),
        server_version_num=int(str(server["server_version_num"])),
        size_bytes=int(str(server["size_bytes"])),
        encoding=str(server["encoding"]),
        collation=str(server["collation"]),
        ctype=str(server["ctype"]),
        table_count=int(str(server["table_count"])),
        is_pec=version is not None,
        pec_version=version,
        training=None if training is None else training == 1,
        installation_name=_text(settings, beliefs.NAME_KEY),
        installation_link=_text(settings, beliefs.LINK_KEY),
        installation_type=_text(settings, beliefs.TYPE_KEY),
    )


def _candidates(program: str, root: str) -> list[str]:
    """Versioned directories come before general ones, because /usr/bin/psql may be a wrapper around one of them."""
    homes = [f"{home.lstrip('/')}/{beliefs.BUNDLED_CLIENTS}" for home in beliefs.HOMES]
    patterns = ["usr/lib/postgresql/*/bin", "usr/pgsql-*/bin", "usr/local/pgsql/bin", *homes, "usr/bin", "usr/local/bin"]
    paths = [path for pattern in patterns for path in sorted(glob.glob(os.path.join(root, pattern, program)))]
    on_path = process.which(program) if root == "/" else None
    return [path for path in [*paths, *([on_path] if on_path else [])] if os.access(path, os.X_OK)]


@lru_cache(maxsize=None)
def _version_of(path: str) -> tuple[int, ...] | None:
    return _client_version(path)


def _client_version(path: str) -> tuple[int, ...] | None:
    try:
        answer = process.run([path, "--version"], timeout=10, confined=True)
    except PecError:
        return None
    match = re.search(r"\) (\d+(?:\.\d+)*)", answer.stdout)
    return tuple(int(number) for number in match.group(1).split(".")) if match else None


def describe(conn: Connection) -> str:
    """Return how errors name a database."""
    return f"database {conn.database!r} at {conn.host}:{conn.port} as {conn.username!r}"


def _complaint(stderr: str, conn: Connection) -> str:
    """Return the line with the error. Warnings may come before it, and the statement is quoted after it."""
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    error = next((line for line in lines if re.search(r"\b(ERROR|ERRO|FATAL|PANIC): ", line)), "")
    return Redactor([conn.password], only_known=True)(error or next(iter(lines), "psql failed without a message"))


def _escaped(value: str) -> str:
    return "".join(f"\\{character}" if character in "\\ \t\n" else character for character in value)


def _mapping(value: object) -> Mapping[str, object]:
    if not isinstance(value, dict):
        raise PecError(f"the database answered with a {type(value).__name__} where an object was expected")
    return value


def _setting(settings: Mapping[str, object], key: str, column: str) -> object:
    row = settings.get(key)
    return row.get(column) if isinstance(row, dict) else None


def _text(settings: Mapping[str, object], key: str) -> str | None:
    value = _setting(settings, key, "text")
    return value if isinstance(value, str) and value else None
