# SPDX-License-Identifier: GPL-3.0-or-later
"""PostgreSQL through its own client programs, because managed hosts have no Python driver. Private to the collection."""

from __future__ import annotations

import glob
import json
import os
import re
import socket
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.esus.pec.plugins.module_utils import beliefs
from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.redact import Redactor
from ansible_collections.esus.pec.plugins.module_utils.system import process

_PROTOCOL_3 = 196608
_AUTHENTICATION = {0: "trust", 3: "password", 5: "md5"}
_SASL = 10
_CONNECT_SECONDS = 10
_LOOPBACK = ("", "localhost", "::1")

_SERVER_SQL = """
select json_build_object(
  'server_version', current_setting('server_version'),
  'server_version_num', current_setting('server_version_num')::int,
  'size_bytes', pg_database_size(datname),
  'encoding', pg_encoding_to_char(encoding),
  'collation', datcollate,
  'ctype', datctype,
  'table_count', (select count(*) from pg_class where relkind in ('r', 'p') and relnamespace = 'public'::regnamespace),
  'has_settings', to_regclass('public.{table}') is not null
) from pg_database where datname = current_database()
""".replace("{table}", beliefs.SETTINGS_TABLE)
_SETTINGS_SQL = """
select coalesce(json_object_agg(co_config_sistema, json_build_object('text', ds_texto, 'number', ds_inteiro)), '{}'::json)
from public.{table} where co_config_sistema in ({keys})
""".replace("{table}", beliefs.SETTINGS_TABLE).replace("{keys}", ", ".join(f"'{key}'" for key in beliefs.SETTING_KEYS))

_IDENTITY = (
    "select to_json(concat_ws(' ', (select system_identifier from pg_control_system()), oid, datname)) "
    "from pg_database where datname = current_database()"
)


@dataclass(frozen=True)
class Connection:
    """How to reach one database with one role. C(host) has no brackets when it is an IPv6 address, and may be a socket's directory."""

    host: str
    port: int
    database: str
    username: str
    password: str = field(repr=False)

    @property
    def is_local(self) -> bool:
        """Whether the server is on this host, judged by its address."""
        return self.host in _LOOPBACK or self.host.startswith(("/", "127."))

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
    return Connection(options["host"], options["port"], options["name"], options["username"], options["password"])


def identifier(name: str) -> str:
    """Return a name quoted for SQL."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """Return a text quoted for SQL."""
    prefix = "E" if "\\" in text else ""
    return prefix + "'" + text.replace("\\", "\\\\").replace("'", "''") + "'"


def find_clients(program: str = "psql", root: str = "/") -> list[Client]:
    """Return every copy of a client program on this host, newest first: the distribution's, and the one bundled with PEC."""
    found: dict[str, Client] = {}
    for path in _candidates(program, root):
        real = os.path.realpath(path)
        version = None if real in found else _client_version(path)
        if version:
            found[real] = Client(path, version)
    return sorted(found.values(), key=lambda client: client.version, reverse=True)


def environment(conn: Connection) -> dict[str, str]:
    """Return the variables that lead any PostgreSQL client to the database. The password is nowhere but here."""
    return {
        "PGHOST": conn.host,
        "PGPORT": str(conn.port),
        "PGDATABASE": conn.database,
        "PGUSER": conn.username,
        "PGPASSWORD": conn.password,
        "PGPASSFILE": "/nonexistent",
        "PGCLIENTENCODING": "UTF8",
        "PGCONNECT_TIMEOUT": str(_CONNECT_SECONDS),
    }


def query(conn: Connection, sql: str, *, timeout: float = 30) -> object:
    """Run SQL that returns one JSON value and return it, decoded. timeout is in seconds.

    Raises PecError when psql is not installed, the server refuses, the SQL fails, or the answer is not one JSON value.
    """
    clients = find_clients("psql")
    if not clients:
        raise PecError("psql is not on this host; install the PostgreSQL client (Debian: postgresql-client)")
    argv = [clients[0].path, "-XAtqw", "-v", "ON_ERROR_STOP=1"]
    answer = process.run(argv, env=environment(conn), stdin=sql, timeout=timeout)
    if answer.returncode != 0:
        raise PecError(f"{describe(conn)}: {_complaint(answer.stderr, conn)}")
    try:
        return json.loads(answer.stdout)
    except ValueError:
        raise PecError(f"{describe(conn)}: the answer of the server is not one JSON value") from None


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


def authentication_method(host: str, port: int, username: str, database: str, timeout: float = 5) -> str:
    """Return the authentication method that the server requires of this role. No password is sent.

    "trust", "md5", "scram-sha-256", "password", "other", or "rejected: " and the server's text. timeout is in seconds.
    Raises PecError when nothing answers, or not PostgreSQL.
    """
    where = f"PostgreSQL at {host}:{port}"
    parameters = b"".join(part.encode() + b"\0" for part in ("user", username, "database", database))
    body = struct.pack("!I", _PROTOCOL_3) + parameters + b"\0"
    try:
        with socket.create_connection((host, port), timeout) as link:
            link.sendall(struct.pack("!I", len(body) + 4) + body)
            with link.makefile("rb") as stream:
                kind, length = struct.unpack("!cI", stream.read(5))
                return _read_authentication(kind, stream.read(max(0, min(length, 1 << 16) - 4)))
    except (struct.error, ValueError):
        raise PecError(f"{where}: the answer is not in PostgreSQL's protocol; check host and port") from None
    except OSError as error:
        reason = error.strerror or str(error)
        raise PecError(f"{where} cannot be reached: {reason}; check that it runs, its listen_addresses and the firewall") from None


def _read_authentication(kind: bytes, payload: bytes) -> str:
    if kind == b"E":
        fields = {text[:1]: text[1:] for text in payload.split(b"\0")}
        return "rejected: " + fields.get(b"M", b"no reason given").decode("utf-8", "replace")
    if kind != b"R":
        raise ValueError(kind)
    (code,) = struct.unpack("!I", payload[:4])
    if code == _SASL:
        return "scram-sha-256" if b"SCRAM-SHA-256" in payload[4:].split(b"\0") else "other"
    return _AUTHENTICATION.get(code, "other")


def _candidates(program: str, root: str) -> list[str]:
    """Versioned directories come before general ones, because /usr/bin/psql may be a wrapper around one of them."""
    homes = [f"{home.lstrip('/')}/{beliefs.BUNDLED_CLIENTS}" for home in beliefs.HOMES]
    patterns = ["usr/lib/postgresql/*/bin", "usr/pgsql-*/bin", "usr/local/pgsql/bin", *homes, "usr/bin", "usr/local/bin"]
    paths = [path for pattern in patterns for path in sorted(glob.glob(os.path.join(root, pattern, program)))]
    on_path = process.which(program) if root == "/" else None
    return [path for path in [*paths, *([on_path] if on_path else [])] if os.access(path, os.X_OK)]


def _client_version(path: str) -> tuple[int, ...] | None:
    try:
        answer = process.run([path, "--version"], timeout=10)
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
