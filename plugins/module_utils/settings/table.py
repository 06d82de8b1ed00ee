# SPDX-License-Identifier: GPL-3.0-or-later
"""PEC's table of settings: read at any time, written only while PEC is stopped and only in a few cells. Private to the collection."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

try:
    import psycopg2
except ImportError:
    psycopg2 = None  # type: ignore[assignment]

from ansible_collections.esus.pec.plugins.module_utils import beliefs
from ansible_collections.esus.pec.plugins.module_utils.api.operations import WRITABLE_ROWS
from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.pec import health, installation, stopping
from ansible_collections.esus.pec.plugins.module_utils.postgres import psql
from ansible_collections.esus.pec.plugins.module_utils.system import locks, systemd

_CONNECT_SECONDS = 10
# PEC is stopped meanwhile. The search_path stays PEC's own, because PEC's triggers on the table name others without a schema; the statement
# itself therefore names the schema of everything that is looked up, its operator too.
_LIMITS = "-c lock_timeout=10s -c statement_timeout=30s"
_NO_CLEAR_TEXT = 160000  # the first libpq that can refuse it by itself
_NO_LIBRARY = "this host has no Python library psycopg2; install python3-psycopg2"
_NOT_ACTIVE = f"systemd does not run {beliefs.PEC_UNIT}, so PEC cannot be stopped and nothing was written; start PEC by systemctl"


class NotStoppedError(PecError):
    """PEC could not be stopped, so nothing was written."""


@dataclass(frozen=True)
class Cell:
    key: str
    column: str
    value: object


def read(conn: psql.Connection, sql: str) -> object:
    """Return the one value of a query of the catalogue, None for no row. Raises PecError if the database does not answer."""
    return psql.query_tables(conn, f"begin read only; select coalesce(to_json(({sql})), 'null'::json); rollback")


def write(conn: psql.Connection, cells: Sequence[Cell]) -> None:
    """Write all cells in one transaction, or none. Raises PecError if one of them is not exactly one row."""
    try:
        link = psycopg2.connect(
            host=conn.host,
            port=conn.port,
            dbname=conn.database,
            user=conn.username,
            password=conn.password,
            connect_timeout=_CONNECT_SECONDS,
            application_name="esus.pec.setting",
            options=_LIMITS,
            **_parameters(conn),
        )
        try:
            with link, link.cursor() as cursor:
                for cell in cells:
                    _update(cursor, cell, psql.describe(conn))
        finally:
            link.close()
    except psycopg2.Error as error:
        said = next(iter((error.pgerror or str(error)).strip().splitlines()), "the connection was lost")
        raise PecError(f"{psql.describe(conn)}: {said}; nothing was written") from None


def _parameters(conn: psql.Connection) -> dict[str, Any]:
    """As the variables and arguments of the client programs. Raises PecError if the server must not receive the password."""
    names = {"PGSSLMODE": "sslmode", "PGSSLROOTCERT": "sslrootcert"}
    names.update({"PGREQUIREAUTH": "require_auth"} if psycopg2.extensions.libpq_version() >= _NO_CLEAR_TEXT else {})
    protection = {names[variable]: value for variable, value in psql.environment(conn).items() if variable in names}
    return {**psql.keepalives(conn, psycopg2.extensions.libpq_version() // 10000), **protection}


def _update(cursor: Any, cell: Cell, where: str) -> None:
    if (cell.key, cell.column) not in WRITABLE_ROWS:
        raise PecError(f"{cell.key} is never written into PEC's database")
    # A number has no text beside it (TREINAMENTO; sources FD and RS in docs/contract.md).
    also = ", ds_texto = null" if cell.column == "ds_inteiro" else ""
    sql = f"update public.{beliefs.SETTINGS_TABLE} set {cell.column} = %s{also} where co_config_sistema operator(pg_catalog.=) %s"
    cursor.execute(sql, (int(cell.value) if isinstance(cell.value, bool) else cell.value, cell.key))
    count = cursor.rowcount
    if count != 1:
        raise PecError(_not_one_row(count, cell.key, where))


def obstacle(conn: psql.Connection | None, key: str) -> str:
    """Return what would prevent that a cell is written, as far as it can be seen before; nothing if nothing would."""
    if conn is None:
        return "this host does not know PEC's database"
    if not _unit_is_active():
        return _NOT_ACTIVE
    count = read(conn, f"select count(*) from public.{beliefs.SETTINGS_TABLE} where co_config_sistema = {psql.literal(key)}")
    return "" if count == 1 else _not_one_row(count, key, psql.describe(conn))


@contextmanager
def pec_stopped(here: installation.Installation, seconds: float) -> Iterator[None]:
    """Stop PEC for the time of the block, start it again whatever happens, and wait for so many seconds until it is healthy.

    Raises NotStoppedError if it cannot be stopped, PecError if it does not become healthy again.
    """
    if psycopg2 is None:
        raise NotStoppedError(_NO_LIBRARY)
    with ExitStack() as stack:
        try:
            stack.enter_context(locks.lock(locks.INSTALLER))  # held by all that stop and start PEC
        except PecError as error:
            raise NotStoppedError(f"{error}; nothing was written") from None
        if not _unit_is_active():
            raise NotStoppedError(_NOT_ACTIVE)
        stopped = False
        try:
            stopping.stop(stopping.SETTING)
            stopped = True
            yield
        except PecError as error:
            raise error if stopped else NotStoppedError(f"{error}; nothing was written") from None
        finally:
            stopping.start()
    answer = health.wait(here.urls, seconds=seconds, verify=False)
    if not answer.healthy:
        raise PecError(f"PEC was started again and did not become healthy within {seconds:g} seconds: {answer.error}")


def _unit_is_active() -> bool:
    return systemd.state(beliefs.PEC_UNIT) == "active"


def _not_one_row(count: object, key: str, where: str) -> str:
    return f"{where} has {count} rows {key} in {beliefs.SETTINGS_TABLE} instead of one; nothing was written"
