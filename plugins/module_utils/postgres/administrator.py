# SPDX-License-Identifier: GPL-3.0-or-later
"""Logins that may create databases and roles, and the statements that create, rename and drop them. Private to the collection."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import cast

from ansible_collections.esus.pec.plugins.module_utils import beliefs
from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.postgres.psql import MAINTENANCE, Connection, identifier, literal
from ansible_collections.esus.pec.plugins.module_utils.postgres.session import CLIENTS, Session, describe
from ansible_collections.esus.pec.plugins.module_utils.system.locks import HeldError

SOCKET_DIRECTORIES = ("/var/run/postgresql", "/tmp")  # noqa: S108  # nosec B108  # PostgreSQL's defaults
_LONGEST_NAME = 63
_LIST_SETTINGS = ("search_path", "temp_tablespaces", "local_preload_libraries", "session_preload_libraries")
_ITEM = re.compile(r'\s*("(?:[^"]|"")*"|[^",]*?)\s*(?:,|\Z)')
_IN_USE = re.compile(r"other users|outros usuários|other session|outra sessão|outras sessões", re.IGNORECASE)
_SWITCH_ATTEMPTS = 20

_WHO_SQL = """
select json_build_object(
  'role', rolname, 'superuser', rolsuper, 'createdb', rolcreatedb, 'createrole', rolcreaterole,
  'started', extract(epoch from pg_postmaster_start_time())::text,
  'version', current_setting('server_version'), 'version_num', current_setting('server_version_num')::int,
  'data_directory', case when rolsuper then current_setting('data_directory') end
) from pg_roles where rolname = current_user
"""
_LOCK_CLASS = 0x65737573  # "esus"
_LINGER = 20  # tenths of a second that the session of a run which was just killed may still be listed
_HOLDERS_SQL = """
select coalesce(json_agg('session ' || l.pid || coalesce(' from ' || host(a.client_addr), '')
  || coalesce(', since ' || to_char(a.backend_start at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'), '')), '[]'::json)
from pg_locks l left join pg_stat_activity a on a.pid = l.pid
where l.locktype = 'advisory' and l.classid = {kind} and l.objid = {key} and l.objsubid = 2 and l.granted and l.pid <> pg_backend_pid()
"""
# The session that holds the lock is idle, and its end is noticed also if the network is cut. Not every version has all of these.
_LASTING_SQL = """
select set_config(name, '0', false) from pg_settings where name = 'idle_session_timeout'
union all select set_config(name, case name when 'tcp_keepalives_idle' then '10' else '5' end, false) from pg_settings
where name in ('tcp_keepalives_idle', 'tcp_keepalives_interval', 'tcp_keepalives_count')
"""
_TABLES_SQL = """
select coalesce(json_agg(oid::regclass::text order by pg_relation_size(oid) desc), '[]'::json) from pg_class
where relkind = 'r' and relnamespace = 'public'::regnamespace
"""


@dataclass(frozen=True)
class Login:
    """A login at the server and its rights; C(user) is the account of the system that it requires.

    C(conn) leads to a database that always exists. C(started) is when the server started, which distinguishes two servers.
    """

    conn: Connection
    client: str
    user: str | None
    role: str
    superuser: bool
    createdb: bool
    createrole: bool
    started: str
    version: str
    version_num: int
    data_directory: str | None

    @property
    def able(self) -> bool:
        """Whether it may create a database, and the role that loads a dump into it."""
        return self.superuser or (self.createdb and self.createrole)

    def session(self, database: str | None = None) -> Session:
        """Open a session, in this database or in the one that always exists."""
        conn = replace(self.conn, database=database) if database else self.conn
        options = {"client_min_messages": "warning", "default_transaction_read_only": "off"}
        return Session(conn, self.client, options=options, user=self.user)

    def execute(self, *statements: str, database: str | None = None) -> None:
        """Run statements, each in a transaction of its own unless they say otherwise."""
        with self.session(database) as session:
            for statement in statements:
                session.execute(statement)


def with_suffix(name: str, suffix: str) -> str:
    """Return the name with a suffix; the name is cut, between two characters, so that both fit into PostgreSQL's 63 bytes."""
    room = _LONGEST_NAME - len(suffix.encode())
    return name.encode()[:room].decode("utf-8", "ignore") + suffix


def log_in(conn: Connection, client: str, user: str | None = None, *, also: Sequence[str] = MAINTENANCE) -> Login:
    """Connect to one of the databases that always exist, else to the connection's own.

    Raises PecError with the server's message about the connection's own database.
    """
    for database in also:
        try:
            return _log_in(replace(conn, database=database), client, user)
        except PecError:
            continue
    return _log_in(conn, client, user)


def find(pec: Login, given: tuple[str, str] | None, account: str | None) -> Login:
    """Return a login that may create databases and roles: the one given, PEC's own, or the server's administrator by its account here.

    Raises PecError when there is none.
    """
    if given is not None:
        login = log_in(replace(pec.conn, username=given[0], password=given[1]), pec.client)
        if not login.able:
            raise PecError(
                f"the role {login.role!r} given as admin may not create databases and roles; give one that may (SUPERUSER, or CREATEDB and "
                "CREATEROLE)"
            )
        return login
    if pec.able:
        return pec
    tried = []
    name = account or beliefs.BUNDLED_USER
    for directory in _socket_directories(pec.conn):
        try:
            return _same_server(pec, log_in(Connection(directory, pec.conn.port, MAINTENANCE[0], name, ""), pec.client, name))
        except PecError as error:
            tried.append(str(error))
    raise PecError(
        f"the role {pec.role!r} may not create databases and roles at {pec.conn.host}:{pec.conn.port}, and this host has no administrator "
        f"of that server{' (' + tried[0] + ')' if tried else ''}; give admin with the username and password of one"
    )


def create_statement(name: str, owner: str, like: Mapping[str, object]) -> str:
    """Return CREATE DATABASE with the encoding and the locale in C(like), whose keys are those of pg_database."""
    parts = [f"CREATE DATABASE {identifier(name)} OWNER {identifier(owner)} TEMPLATE template0"]
    words = {"encoding": "ENCODING", "datcollate": "LC_COLLATE", "datctype": "LC_CTYPE"}
    parts += [f"{word} {literal(str(like[key]))}" for key, word in words.items() if like.get(key)]
    provider, locale = like.get("datlocprovider"), like.get("daticulocale") or like.get("datlocale")
    if provider == "i" and locale:
        parts.append(f"LOCALE_PROVIDER icu ICU_LOCALE {literal(str(locale))}")
        if like.get("daticurules"):
            parts.append(f"ICU_RULES {literal(str(like['daticurules']))}")
    elif provider == "b" and locale:
        parts.append(f"LOCALE_PROVIDER builtin BUILTIN_LOCALE {literal(str(locale))}")
    if like.get("tablespace") not in (None, "pg_default"):
        parts.append(f"TABLESPACE {identifier(str(like['tablespace']))}")
    return " ".join(parts)


def property_statements(name: str, like: Mapping[str, object]) -> list[str]:
    """Return the statements that give a database the settings, rights and limit of another, which a dump does not hold.

    C(settings) are (role or None, "name=value") each; C(rights) are (role or None for everybody, right, "" or " WITH GRANT OPTION") each,
    or None if they were never changed.
    """
    whose = f"DATABASE {identifier(name)}"
    statements = []
    for role, setting in cast("Sequence[Sequence[str | None]]", like.get("settings") or []):
        key, _equals, value = str(setting).partition("=")
        scope = f"ROLE {identifier(role)} IN {whose}" if role else whose
        name_of_setting = ".".join(map(identifier, key.split(".")))
        statements.append(f"ALTER {scope} SET {name_of_setting} TO {_list(value) if key in _LIST_SETTINGS else literal(value)}")
    rights = cast("Sequence[Sequence[str | None]] | None", like.get("rights"))
    if rights is not None:
        statements.append(f"REVOKE ALL ON {whose} FROM PUBLIC")
        statements += [f"GRANT {right} ON {whose} TO {identifier(role) if role else 'PUBLIC'}{more}" for role, right, more in rights]
    if int(str(like.get("datconnlimit", -1))) >= 0:
        statements.append(f"ALTER {whose} CONNECTION LIMIT {like['datconnlimit']}")
    return statements


def _list(value: str) -> str:
    """Return the SQL for a value that is a list of names.

    It is stored as SQL when it was set in the usual way, but C(SET ... FROM CURRENT), which every role may use for itself, stores any text.
    """
    items, at = [], 0
    while at < len(value):
        item = _ITEM.match(value, at)
        if item is None:
            return literal(value)
        text = item.group(1)
        items.append(text[1:-1].replace('""', '"') if text.startswith('"') else text)
        at = item.end()
    return ", ".join(map(literal, items or [""]))


def comment_statement(name: str, comment: str | None) -> str:
    """Return COMMENT ON DATABASE."""
    return f"COMMENT ON DATABASE {identifier(name)} IS {'NULL' if comment is None else literal(comment)}"


def end_sessions_statement(name: str) -> str:
    """Return the statement that ends all sessions in a database but its own."""
    return (
        f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = {literal(name)} AND pid <> pg_backend_pid() AND {CLIENTS}"
    )


@contextlib.contextmanager
def alone(login: Login, name: str) -> Iterator[None]:
    """Hold a lock in the server itself while a run restores this database, from whichever host. It ends with this session.

    So whoever holds it has proven that no other run lives whose second database it might take for a dead one's. Raises HeldError.
    """
    key = int(hashlib.sha256(name.encode()).hexdigest()[:8], 16) >> 1
    with login.session() as session:
        session.execute(_LASTING_SQL)
        for attempt in range(_LINGER):
            mine = session.query(f"select to_json(pg_try_advisory_lock({_LOCK_CLASS}, {key}))")
            others = cast("list[str]", session.query(_HOLDERS_SQL.format(kind=_LOCK_CLASS, key=key)))
            if mine and not others:
                break
            if mine:
                session.execute(f"select pg_advisory_unlock({_LOCK_CLASS}, {key})")
            if attempt == _LINGER - 1:
                raise HeldError(
                    f"another run is restoring the database {name!r} on this server ({', '.join(others) or 'it has just ended'}); "
                    "wait until it ends, then run again"
                )
            time.sleep(0.1)
        yield


def drop(login: Login, name: str, *, disk_full: bool = False) -> None:
    """Drop a database and end its sessions. On a full disk its tables go first, because dropping a database requires a checkpoint."""
    if disk_full:
        with login.session(name) as session:
            session.execute(end_sessions_statement(name))
            for table in cast("list[str]", session.query(_TABLES_SQL)):
                session.execute(f"DROP TABLE IF EXISTS {table} CASCADE")
    # The owner of a database may make it a template, and a dump is its owner; a template cannot be dropped.
    ordinary = (
        f"select format('ALTER DATABASE %I IS_TEMPLATE false', datname) from pg_database where datname = {literal(name)} and datistemplate"
    )
    _insist(login, [f"{ordinary} \\gexec", end_sessions_statement(name), f"DROP DATABASE IF EXISTS {identifier(name)}"])


def switch(login: Login, old: str | None, before: str, new: str, name: str, comments: Mapping[str, str]) -> None:
    """Rename the database C(name), if C(old) is given, to C(before), and C(new) to C(name), in one transaction.

    comments, by the new names, are set in the same transaction. Sessions in either database are ended.
    """
    rename = [f"ALTER DATABASE {identifier(name)} RENAME TO {identifier(before)}"] if old else []
    statements = [
        "BEGIN",
        *(end_sessions_statement(database) for database in (old, new) if database),
        *rename,
        f"ALTER DATABASE {identifier(new)} RENAME TO {identifier(name)}",
        *(comment_statement(database, comment) for database, comment in comments.items()),
        "COMMIT",
    ]
    _insist(login, statements)


def _insist(login: Login, statements: Sequence[str]) -> None:
    """Run the statements, again if a client reconnects between the end of its session and the lock."""
    for attempt in range(1, _SWITCH_ATTEMPTS + 1):
        try:
            login.execute(*statements)
            return
        except PecError as error:
            if attempt == _SWITCH_ATTEMPTS or not _IN_USE.search(str(error)):
                raise


def _log_in(conn: Connection, client: str, user: str | None) -> Login:
    with Session(conn, client, user=user) as session:
        who = cast("Mapping[str, object]", session.query(_WHO_SQL))
    return Login(
        conn,
        client,
        user,
        role=str(who["role"]),
        superuser=bool(who["superuser"]),
        createdb=bool(who["createdb"]),
        createrole=bool(who["createrole"]),
        started=str(who["started"]),
        version=str(who["version"]),
        version_num=int(str(who["version_num"])),
        data_directory=str(who["data_directory"]) if who["data_directory"] else None,
    )


def _same_server(pec: Login, admin: Login) -> Login:
    if admin.started != pec.started:
        raise PecError(
            f"{describe(admin.conn)} is not the server that PEC uses at {pec.conn.host}:{pec.conn.port}: they started at different times"
        )
    return admin


def _socket_directories(conn: Connection) -> list[str]:
    if not conn.is_local:
        return []
    known = [conn.host] if conn.host.startswith("/") else []
    socket = f".s.PGSQL.{conn.port}"
    return [directory for directory in [*known, *SOCKET_DIRECTORIES] if os.path.exists(os.path.join(directory, socket))]
