# SPDX-License-Identifier: GPL-3.0-or-later
"""PEC's services around a run of the installer: PEC is stopped before it, and started again after one that failed and changed nothing."""

from __future__ import annotations

from dataclasses import dataclass

from ansible_collections.esus.pec.plugins.module_utils import beliefs
from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.pec import installation
from ansible_collections.esus.pec.plugins.module_utils.postgres import psql
from ansible_collections.esus.pec.plugins.module_utils.system import systemd


@dataclass(frozen=True)
class Before:
    """PEC as it was before the installer ran; C(database) is None where it did not answer."""

    running: bool
    version: str | None
    database: psql.DatabaseFacts | None


def look() -> Before:
    """Return what has to be the same after a failure for PEC to be started again."""
    here = installation.discover()
    try:
        database = psql.read_facts(here.connection) if here.connection else None
    except PecError:
        database = None
    return Before(systemd.state(beliefs.PEC_UNIT) not in systemd.STOPPED, here.version, database)


def settle(own_database: bool) -> None:
    """An update wants PEC stopped and its own PostgreSQL running; whether the installer sees to it is not known."""
    if systemd.state(beliefs.PEC_UNIT) not in systemd.STOPPED:
        systemd.systemctl("stop", beliefs.PEC_UNIT)
    database = systemd.units((beliefs.DATABASE_UNIT,))[beliefs.DATABASE_UNIT]
    if own_database and database.load_state == "loaded" and database.active_state != "active":
        systemd.systemctl("start", beliefs.DATABASE_UNIT)


def resume(before: Before) -> str:
    """After a failure, start a PEC that was running and that nothing happened to. Returns what became of it, in words."""
    if systemd.state(beliefs.PEC_UNIT) not in systemd.STOPPED:
        return ""
    if not before.running:
        return "PEC is stopped, as it was before."
    try:
        obstacle = _difference(before)
        if not obstacle:
            systemd.systemctl("start", beliefs.PEC_UNIT)
            return f"PEC {before.version} was running before, and it and its database are as they were, so it was started again."
    except PecError as error:
        obstacle = str(error)
    return (
        f"PEC is stopped and was not started again: {obstacle}. Once that is in order, this starts it: systemctl start {beliefs.PEC_UNIT}"
    )


def _difference(before: Before) -> str:
    """A migration that stopped half-way keeps the version, but may have made tables: PEC is not to work on such a database."""
    here = installation.discover()
    if here.state != "installed":
        return f"its files are not complete ({'; '.join(here.reasons) or 'there are none'})"
    if here.version != before.version:
        return f"its files are of {here.version} now and were of {before.version}"
    if before.database is None or here.connection is None:
        return "its database could not be asked before, so whether it changed is not known"
    try:
        now = psql.read_facts(here.connection)
    except PecError as error:
        return f"its database cannot be compared with what it was ({error})"
    if now.pec_version != before.database.pec_version:
        return f"its database is of PEC {now.pec_version} now and was of {before.database.pec_version}"
    if now.table_count != before.database.table_count:
        return f"its database has {now.table_count} tables now and had {before.database.table_count}"
    return ""
