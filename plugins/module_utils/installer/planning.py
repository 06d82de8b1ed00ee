# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether PEC's installer has to run, decided from what is here and what is wanted; nothing is read or changed in this file."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.pec.installation import parse_version
from ansible_collections.esus.pec.plugins.module_utils.postgres.psql import Connection


@dataclass(frozen=True)
class Certificate:
    """HTTPS by certmgr. C(domain) is None where certmgr's file does not tell one and the server does not answer."""

    domain: str | None
    port: int | None

    def __str__(self) -> str:
        return f"{self.domain or 'a domain that is not known'}, port {self.port}"


@dataclass(frozen=True)
class Desired:
    """What is asked for.

    C(database) is None when the installer brings its own PostgreSQL, C(certificate) when HTTPS is not this run's business.
    """

    version: str
    update: bool = False
    database: Connection | None = None
    certificate: Certificate | None = None


@dataclass(frozen=True)
class Current:
    """The PEC that is here: state absent, installed or broken.

    C(database_version) is that of the database that PEC uses, or of the wanted one where PEC is absent; None where it did not tell one.
    C(custom_database) says whether PEC uses a database that its installer did not bring; None where the files do not tell.
    """

    state: str
    reasons: tuple[str, ...] = ()
    version: str | None = None
    connection: Connection | None = field(default=None, repr=False)
    database_version: str | None = None
    custom_database: bool | None = None
    certificate: Certificate | None = None


@dataclass(frozen=True)
class Plan:
    """C(action) is none, install, repair, update, migrate or certificate; C(reason) is why, in words.

    C(replaces_certificate) says that certmgr serves another domain or port: it does nothing while its file tells of that one.
    """

    action: str
    reason: str
    from_version: str | None
    replaces_certificate: bool = False

    @property
    def needed(self) -> bool:
        return self.action != "none"


def plan(current: Current, desired: Desired) -> Plan:
    """Decide whether the installer runs, and why. Raises PecError for what it must not do."""
    planned = _plan_version(current, desired)
    replaces = desired.certificate is not None and current.certificate is not None and _differs(current.certificate, desired.certificate)
    if planned.needed or desired.certificate is None or not (replaces or current.certificate is None):
        return replace(planned, replaces_certificate=planned.action != "install" and replaces)
    before = f"it has HTTPS for {current.certificate}" if current.certificate else "it has no HTTPS by certmgr"
    reason = f"{planned.reason}; {before}, and {desired.certificate} is asked for"
    return Plan("certificate", reason, planned.from_version, replaces)


def _differs(here: Certificate, wanted: Certificate) -> bool:
    """What is not known is no reason to ask an authority for another certificate."""
    other_domain = here.domain is not None and here.domain.lower() != (wanted.domain or "").lower()
    return other_domain or (here.port is not None and here.port != wanted.port)


def _plan_version(current: Current, desired: Desired) -> Plan:
    """Decide whether the installer runs, and why.

    Raises PecError for what it must not do: an older version over a newer one, an update that nobody allowed, another database.
    """
    _refuse_downgrade(current, desired)
    _refuse_other_database(current, desired)
    here, wanted = current.version or current.database_version, desired.version
    if current.state == "absent":
        _refuse_migration(current, desired, "the database that is asked for is")
        return Plan("install", "PEC is not installed here", None)
    if here is not None and parse_version(here) < parse_version(wanted):
        _require_update(f"PEC {here} is installed here", desired)
        return Plan("update", f"PEC {here} is installed here, {wanted} is newer", here)
    _refuse_migration(current, desired, "PEC's database is")
    if current.state == "broken":
        return Plan("repair", f"the installation here is not complete: {'; '.join(current.reasons)}", here)
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


def _refuse_migration(current: Current, desired: Desired, whose: str) -> None:
    if current.database_version is not None and parse_version(current.database_version) < parse_version(desired.version):
        _require_update(f"{whose} of PEC {current.database_version}", desired)


def _require_update(what: str, desired: Desired) -> None:
    if not desired.update:
        raise PecError(
            f"{what} and the installer is of {desired.version}; an update changes the database and cannot be undone: "
            "make a backup and try to restore it, then allow the update with update: true (role: pec_install_update)"
        )


def _refuse_other_database(current: Current, desired: Desired) -> None:
    here, wanted = current.connection, desired.database
    if here is None:
        return
    if wanted is None:
        if current.custom_database:
            raise PecError(_other_database(here, "the PostgreSQL of the installer"))
    elif here.place != wanted.place:
        raise PecError(_other_database(here, _say(wanted)))
    elif current.state == "installed" and (here.username, here.password) != (wanted.username, wanted.password):
        raise PecError(
            f"PEC logs in to the database {_say(here)} as {here.username!r} with another name or password than the one that is asked for; "
            "ask for those in its application.properties, or change them there and in PostgreSQL first"
        )


def _other_database(here: Connection, wanted: str) -> str:
    return (
        f"PEC uses the database {_say(here)}, and {wanted} is asked for; the installer does not move data: "
        f"ask for the database that is in use, or transfer it first"
    )


def _say(connection: Connection) -> str:
    return f"{connection.database!r} on {connection.host}:{connection.port}"
