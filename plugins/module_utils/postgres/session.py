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

describe = psql.describe


class Session:
    """A psql that stays open from C(with) to its end, so that one transaction can span several statements.

    options are settings of the session such as {"synchronous_commit": "off"}; user is the account of the system to run as, for peer
    authentication. A statement that fails ends the session. Raises PecError with the server's message.
    """

    def __init__(
        self, conn: psql.Connection, client_path: str, *, options: Mapping[str, str] | None = None, user: str | None = None
    ) -> None:
        self._conn = conn
        argv = [client_path, "-XAtqw", "-F", _FIELD, "-v", "ON_ERROR_STOP=1"]
        environment = {**psql.environment(conn), **options_environment(options or {})}
        self._psql = Pipeline([Stage(argv, environment, user)], feed=True, collect=True, secrets=[conn.password])
        self._failure: PecError | None = None

    def __enter__(self) -> Session:
        self._psql.__enter__()
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        self._psql.kill()

    def query(self, sql: str) -> object:
        """Run SQL that returns one JSON value and return it, decoded."""
        try:
            return json.loads("\n".join(self._ask(sql)))
        except ValueError:
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
        for raw in iter(self._psql.output.readline, b""):
            line = raw.decode().rstrip("\n")
            if line == end:
                return lines
            lines.append(line)
        self._failure = PecError(f"{describe(self._conn)}: {self._end()}")
        raise self._failure

    def _end(self) -> str:
        try:
            self._psql.wait()
        except PecError as error:
            return str(error)
        return "psql ended before it answered"


def options_environment(options: Mapping[str, str]) -> dict[str, str]:
    """Return the variable that gives any client these settings of its session; empty without settings."""
    return {"PGOPTIONS": " ".join(f"-c {name}={_escaped(value)}" for name, value in options.items())} if options else {}


def database_lock(conn: psql.Connection) -> str:
    """Return the name of the lock of one database. All addresses and sockets of this host count as one."""
    host, port, database = conn.place
    return "database-" + hashlib.sha256(f"{host}:{port}:{database}".encode()).hexdigest()[:12]


def _escaped(value: str) -> str:
    return "".join(f"\\{character}" if character in "\\ \t\n" else character for character in value)
