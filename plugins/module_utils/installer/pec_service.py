# SPDX-License-Identifier: GPL-3.0-or-later
"""PEC's services around a run of the installer: stopped before, started again after a harmless failure. Private to the collection."""

from __future__ import annotations

from dataclasses import dataclass

from ansible_collections.esus.pec.plugins.module_utils import beliefs
from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.pec import installation
from ansible_collections.esus.pec.plugins.module_utils.postgres import psql
from ansible_collections.esus.pec.plugins.module_utils.system import systemd


@dataclass(frozen=True)
class Before:
    """PEC before the installer ran; C(database) is None if it did not answer."""

    running: bool
    version: str | None
    database: psql.DatabaseFacts | None


def look() -> Before:
    """Return what must be unchanged after a failure for PEC to be started again."""
    here = installation.discover()
    try:
        database = psql.read_facts(here.connection) if here.connection else None
    except PecError:
        database = None
    return Before(systemd.state(beliefs.PEC_UNIT) not in systemd.STOPPED, here.version, database)


def settle(own_database: bool) -> None:
    """Stop PEC and start its own PostgreSQL, as an update requires; it is not known whether the installer does so itself."""
    if systemd.state(beliefs.PEC_UNIT) not in systemd.STOPPED:
        systemd.systemctl("stop", beliefs.PEC_UNIT)
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
            systemd.systemctl("start", beliefs.PEC_UNIT)
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
        now = psql.read_facts(here.connection)
    except PecError as error:
        return f"its database cannot be compared with before ({error})"
    if now.pec_version != before.database.pec_version:
        return f"its database had version {before.database.pec_version} and now has {now.pec_version}"
    if now.table_count != before.database.table_count:
        return f"its database had {before.database.table_count} tables and now has {now.table_count}"
    return ""
