# SPDX-License-Identifier: GPL-3.0-or-later
"""PEC's service around a restore: what PEC writes into the old database meanwhile would be left behind, so PEC is stopped."""

from __future__ import annotations

from dataclasses import dataclass

from ansible_collections.esus.pec.plugins.module_utils import beliefs
from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.pec import installation
from ansible_collections.esus.pec.plugins.module_utils.postgres.psql import Connection
from ansible_collections.esus.pec.plugins.module_utils.postgres.session import database_lock
from ansible_collections.esus.pec.plugins.module_utils.system import systemd


@dataclass(frozen=True)
class Service:
    """PEC's unit on this host. C(uses) is whether the database is the one that PEC is configured for, as far as can be told."""

    running: bool
    enabled: bool
    uses: bool


def look(conn: Connection) -> Service:
    """Return how PEC's service stands to this database."""
    unit = systemd.units((beliefs.PEC_UNIT,))[beliefs.PEC_UNIT]
    return Service(unit.active_state not in systemd.STOPPED, bool(unit.enabled), _uses(conn))


def stop() -> None:
    """Stop PEC. Raises PecError when systemd cannot."""
    systemd.systemctl("stop", beliefs.PEC_UNIT)


def start() -> None:
    """Start PEC. Raises PecError when systemd cannot."""
    systemd.systemctl("start", beliefs.PEC_UNIT)


def _uses(conn: Connection) -> bool:
    try:
        configured = installation.discover().connection
    except PecError:
        return True
    return configured is None or database_lock(configured) == database_lock(conn)
