# SPDX-License-Identifier: GPL-3.0-or-later
"""PEC's services around a run of the installer: stopped before, started again after a harmless failure. Private to the collection."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass

from ansible_collections.esus.pec.plugins.module_utils import beliefs
from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.pec import installation, stopping
from ansible_collections.esus.pec.plugins.module_utils.postgres import psql
from ansible_collections.esus.pec.plugins.module_utils.system import systemd


@dataclass(frozen=True)
class Database:
    """What an installer that is interrupted may have changed in PEC's database."""

    pec_version: str | None
    table_count: int


@dataclass(frozen=True)
class Before:
    """PEC before the installer ran; C(database) is None if it did not answer."""

    running: bool
    version: str | None
    database: Database | None


def look() -> Before:
    """Return what must be unchanged after a failure for PEC to be started again: as it was before a killed installer, if there was one."""
    left = stopping.find()
    if left and not left.harmless:
        return _recorded(left.facts)
    here = installation.discover()
    try:
        database = _database(here.connection) if here.connection else None
    except PecError:
        database = None
    return Before(systemd.state(beliefs.PEC_UNIT) not in systemd.STOPPED or left is not None, here.version, database)


def settle(before: Before, own_database: bool) -> None:
    """Stop PEC and start its own PostgreSQL, as an update requires; it is not known whether the installer does so itself."""
    if before.running:
        stopping.stop(stopping.INSTALLER, version=before.version, database=asdict(before.database) if before.database else None)
    database = systemd.units((beliefs.DATABASE_UNIT,))[beliefs.DATABASE_UNIT]
    if own_database and database.load_state == "loaded" and database.active_state != "active":
        systemd.systemctl("start", beliefs.DATABASE_UNIT)


def resume(before: Before) -> str:
    """After a failure, start PEC again if it was running and nothing has changed. Returns the result as a sentence."""
    if systemd.state(beliefs.PEC_UNIT) not in (*systemd.STOPPED, "deactivating"):
        return ""
    if not before.running:
        return "PEC is stopped, as it was before."
    try:
        obstacle = _difference(before)
        if not obstacle:
            stopping.start()
            return f"PEC {before.version} and its database are unchanged, so it was started again."
    except PecError as error:
        obstacle = str(error)
    return f"PEC is stopped and was not started again: {obstacle}. Correct that, then run: systemctl start {beliefs.PEC_UNIT}"


def _difference(before: Before) -> str:
    """Return what has changed. The tables count, because a migration that stopped half-way keeps the version but has made some."""
    here = installation.discover()
    if here.state != "installed":
        return f"its files are not complete ({'; '.join(here.reasons) or 'none exist'})"
    if here.version != before.version:
        return f"its files had version {before.version} and now have {here.version}"
    if before.database is None or here.connection is None:
        return "its database did not answer before, so it is not known whether it has changed"
    try:
        now = _database(here.connection)
    except PecError as error:
        return f"its database cannot be compared with before ({error})"
    if now.pec_version != before.database.pec_version:
        return f"its database had version {before.database.pec_version} and now has {now.pec_version}"
    if now.table_count != before.database.table_count:
        return f"its database had {before.database.table_count} tables and now has {now.table_count}"
    return ""


def _database(connection: psql.Connection) -> Database:
    facts = psql.read_facts(connection)
    return Database(facts.pec_version, facts.table_count)


def _recorded(facts: Mapping[str, object]) -> Before:
    """What the killed installer knew."""
    version, database = facts.get("version"), facts.get("database")
    known = Database(database.get("pec_version"), int(database.get("table_count") or 0)) if isinstance(database, dict) else None
    return Before(True, None if version is None else str(version), known)
