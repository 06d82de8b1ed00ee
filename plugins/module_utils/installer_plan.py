# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether PEC's installer has to run, decided from what is here and what is wanted; nothing is read or changed in this file."""

from __future__ import annotations

from dataclasses import dataclass, field

from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.installation import parse_version
from ansible_collections.esus.pec.plugins.module_utils.postgres import Connection

_LOCAL = ("127.0.0.1", "localhost", "::1", "")


@dataclass(frozen=True)
class Desired:
    """What is asked for; C(database) is None when the installer brings its own PostgreSQL."""

    version: str
    update: bool = False
    database: Connection | None = None


@dataclass(frozen=True)
class Current:
    """The PEC that is here: state absent, installed or broken. C(database_version) is None where the database did not tell one."""

    state: str
    reasons: tuple[str, ...] = ()
    version: str | None = None
    connection: Connection | None = field(default=None, repr=False)
    database_version: str | None = None


@dataclass(frozen=True)
class Plan:
    """C(action) is none, install, repair, update or migrate; C(reason) is why, in words."""

    action: str
    reason: str
    from_version: str | None

    @property
    def needed(self) -> bool:
        return self.action != "none"


def plan(current: Current, desired: Desired) -> Plan:
    """Decide whether the installer runs, and why.

    Raises PecError for what it must not do: an older version over a newer one, an update that nobody allowed, another database.
    """
    _refuse_downgrade(current, desired)
    here, wanted = current.version or current.database_version, desired.version
    if current.state == "absent":
        return Plan("install", "PEC is not installed here", None)
    if here is not None and parse_version(here) < parse_version(wanted):
        if not desired.update:
            raise PecError(
                f"PEC {here} is installed here and the installer is of {wanted}; an update changes the database and cannot be undone: "
                "make a backup and try to restore it, then allow the update with update: true (role: pec_install_update)"
            )
        return Plan("update", f"PEC {here} is installed here, {wanted} is newer", here)
    if current.state == "broken":
        return Plan("repair", f"the installation here is not complete: {'; '.join(current.reasons)}", here)
    _refuse_other_database(current, desired)
    if here is None:
        return Plan("repair", "neither PEC's files nor its database tell a version, so an installation broke off here", here)
    if current.database_version is not None and parse_version(current.database_version) < parse_version(wanted):
        return Plan("migrate", f"the database is of PEC {current.database_version}, the application of {wanted}", here)
    return Plan("none", f"PEC {wanted} is installed here", here)


def _refuse_downgrade(current: Current, desired: Desired) -> None:
    for what, version in (("PEC", current.version), ("a database of PEC", current.database_version)):
        if version is not None and parse_version(version) > parse_version(desired.version):
            raise PecError(
                f"{what} {version} is here and the installer is of {desired.version}, which is older; PEC cannot be downgraded: "
                f"use an installer of {version} or newer, or restore a backup that was made with {desired.version}"
            )


def _refuse_other_database(current: Current, desired: Desired) -> None:
    here, wanted = current.connection, desired.database
    if here is None or wanted is None or _place(here) == _place(wanted):
        return
    raise PecError(
        f"PEC uses the database {_say(here)}, and {_say(wanted)} is asked for; the installer does not move data: "
        f"ask for the database that is in use, or transfer it first"
    )


def _place(connection: Connection) -> tuple[str, int, str]:
    host = "local" if connection.host in _LOCAL else connection.host.lower()
    return host, connection.port, connection.database


def _say(connection: Connection) -> str:
    return f"{connection.database!r} on {connection.host}:{connection.port}"
