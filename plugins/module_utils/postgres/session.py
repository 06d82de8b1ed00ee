# SPDX-License-Identifier: GPL-3.0-or-later
"""A psql that stays open for several statements, and the name of a database's lock. Private to the collection."""

from __future__ import annotations

import contextlib
import hashlib
import json
import secrets
from collections.abc import Mapping

from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.postgres import psql
from ansible_collections.esus.pec.plugins.module_utils.system.pipeline import Pipeline, Stage

_FIELD = "\x1f"
# In pg_stat_activity, what is somebody's: the server ends its own processes itself, and only a superuser may. Before PostgreSQL 10 an
# autovacuum has the name of the first superuser.
CLIENTS = "(usesysid IS NOT NULL AND NOT (client_port IS NULL AND query LIKE 'autovacuum: %'))"
_LONGEST_ANSWER = 12 << 20  # PEC's largest, the columns of all its tables, is 1 MiB

describe = psql.describe


class Session:
    """A psql that stays open from C(with) to its end, so that one transaction can span several statements.

    options are settings of the session such as {"synchronous_commit": "off"}, beside those of C(psql.PINNED); user is the account of the
    system to run as, for peer authentication; without it psql runs as an account without rights. A statement that fails ends the session.
    Raises PecError with the server's message.
    """

    def __init__(
        self, conn: psql.Connection, client_path: str, *, options: Mapping[str, str] | None = None, user: str | None = None
    ) -> None:
        self._conn = conn
        argv = [client_path, "-XAtqw", "-F", _FIELD, "-v", "ON_ERROR_STOP=1", *psql.lasting(conn, client_path)]
        settings = {**psql.PINNED, **psql.server_keepalives(conn), **(options or {})}
        environment = {**psql.environment(conn), **psql.options(settings)}
        self._psql = Pipeline([Stage(argv, environment, user, secret=True)], feed=True, collect=True, secrets=[conn.password])
        self._failure: PecError | None = None

    def __enter__(self) -> Session:
        self._psql.__enter__()
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        self._psql.kill()

    def stop(self) -> None:
        """End psql, from any thread; a statement that waits for its answer fails."""
        self._psql.kill()

    def query(self, sql: str) -> object:
        """Run SQL that returns one JSON value and return it, decoded."""
        try:
            return json.loads("\n".join(self._ask(sql)))
        except (ValueError, RecursionError):
            raise PecError(f"{describe(self._conn)}: the answer of the server is not one JSON value") from None

    def rows(self, sql: str) -> list[list[str]]:
        """Run SQL and return its rows as text; no value may hold a line break."""
        return [line.split(_FIELD) for line in self._ask(sql)]

    def execute(self, sql: str) -> None:
        """Run SQL and ignore its answer."""
        self._ask(sql)

    def _ask(self, sql: str) -> list[str]:
        if self._failure:
            raise self._failure
        end = f"end-{secrets.token_hex(8)}"
        # A broken pipe means that psql has ended; its stderr has the reason.
        with contextlib.suppress(BrokenPipeError):
            self._psql.input.write(f"{sql.strip().rstrip(';')}\n;\n\\echo {end}\n".encode())
            self._psql.input.flush()
        lines: list[str] = []
        length = 0
        for raw in iter(lambda: self._psql.output.readline(_LONGEST_ANSWER + 1), b""):
            length += len(raw)
            if length > _LONGEST_ANSWER:
                self._psql.kill()
                self._failure = PecError(f"{describe(self._conn)}: the answer of the server is longer than {_LONGEST_ANSWER >> 20} MiB")
                raise self._failure
            line = raw.decode().rstrip("\n")
            if line == end:
                return lines
            lines.append(line)
        said = self._end()
        self._failure = PecError(f"{describe(self._conn)}: {said}{psql.network_remedy(said)}")
        raise self._failure

    def _end(self) -> str:
        try:
            self._psql.wait()
        except PecError as error:
            return str(error)
        return "psql ended before it answered"


def database_locks(conn: psql.Connection) -> list[str]:
    """Return the names of all locks of one database: by its address, and by what the server itself says it is, where that can be read.

    Two runs that reach it by different addresses, as by a tunnel, have the latter in common.
    """
    cluster = psql.cluster(conn)
    return [database_lock(conn), *([_lock_name(f"{cluster} {conn.database}")] if cluster else [])]


def same_database(one: psql.Connection, other: psql.Connection) -> bool:
    """Return whether two connections lead to one database; if one of the servers does not say, the name decides."""
    if one.place == other.place or one.database != other.database:
        return one.place == other.place
    clusters = psql.cluster(one), psql.cluster(other)
    return not all(clusters) or clusters[0] == clusters[1]


def database_lock(conn: psql.Connection) -> str:
    """Return the name of the lock of one database. All addresses and sockets of this host count as one."""
    host, port, database = conn.place
    return _lock_name(f"{host}:{port}:{database}")


def _lock_name(text: str) -> str:
    return "database-" + hashlib.sha256(text.encode()).hexdigest()[:12]
