# SPDX-License-Identifier: GPL-3.0-or-later
"""Decides whether PEC's installer has to run; reads and changes nothing. Private to the collection."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.pec.installation import parse_version
from ansible_collections.esus.pec.plugins.module_utils.postgres.psql import Connection


@dataclass(frozen=True)
class CertmgrHttps:
    """HTTPS by certmgr. C(domain) is None if certmgr's file has none and the server does not answer."""

    domain: str | None
    port: int | None

    def __str__(self) -> str:
        return f"{self.domain or 'an unknown domain'}, port {self.port}"


@dataclass(frozen=True)
class Desired:
    """The PEC to reach.

    C(database) is None for the installer's own PostgreSQL, C(certificate) to leave HTTPS alone.
    """

    version: str
    update: bool = False
    database: Connection | None = None
    certificate: CertmgrHttps | None = None


@dataclass(frozen=True)
class Current:
    """The PEC on this host. C(state) is absent, installed or broken.

    C(database_version) is that of PEC's database, or of the desired one if PEC is absent; None if unknown. C(custom_database) is true
    if PEC uses a database that its installer did not bring, None if the files do not show it.
    """

    state: str
    reasons: tuple[str, ...] = ()
    version: str | None = None
    connection: Connection | None = field(default=None, repr=False)
    database_version: str | None = None
    custom_database: bool | None = None
    certificate: CertmgrHttps | None = None


@dataclass(frozen=True)
class Plan:
    """C(action) is none, install, repair, update, migrate or certificate; C(reason) explains it in a sentence.

    C(replaces_certificate) is true if certmgr serves another domain or port: certmgr does nothing as long as its file names that one.
    """

    action: str
    reason: str
    from_version: str | None
    replaces_certificate: bool = False

    @property
    def needed(self) -> bool:
        return self.action != "none"


def plan(current: Current, desired: Desired) -> Plan:
    """Decide whether the installer runs, and why.

    Raises PecError for a downgrade, an update without permission, or another database.
    """
    planned = _plan_version(current, desired)
    replaces = desired.certificate is not None and current.certificate is not None and _differs(current.certificate, desired.certificate)
    if planned.needed or desired.certificate is None or not (replaces or current.certificate is None):
        return replace(planned, replaces_certificate=planned.action != "install" and replaces)
    before = f"it has HTTPS for {current.certificate}" if current.certificate else "it has no HTTPS by certmgr"
    reason = f"{planned.reason}; {before}, but {desired.certificate}, is requested"
    return Plan("certificate", reason, planned.from_version, replaces)


def keep_protection(current: Current, desired: Desired) -> Desired:
    """Return what is desired, with the TLS of the database in use unless another was requested: the installer writes PEC's URL anew.

    Raises PecError if that URL has parameters that would be lost.
    """
    here, wanted = current.connection, desired.database
    if here is None or wanted is None or here.place != wanted.place:
        return desired
    if here.unsupported:
        raise PecError(
            f"the URL of PEC's database has {', '.join(here.unsupported)}, which the installer would drop when it writes the URL anew; "
            "protect the connection by sslmode and sslrootcert instead, or remove those parameters from application.properties first"
        )
    sslmode, sslrootcert = _protection(here, wanted)
    return replace(desired, database=replace(wanted, sslmode=sslmode, sslrootcert=sslrootcert))


def diff(current: Current, desired: Desired, planned: Plan) -> dict[str, str]:
    """Return the versions, and the certificate if it changes, before and after."""
    flaw = ", not complete" if planned.action == "repair" else ""
    before = f"PEC {planned.from_version}{flaw}\n" if planned.from_version else ""
    after = f"PEC {desired.version}\n" if planned.needed else before
    if planned.action == "certificate":
        before += f"HTTPS by certmgr: {current.certificate or 'none'}\n"
        after += f"HTTPS by certmgr: {desired.certificate}\n"
    return {"before": before, "after": after}


def _differs(here: CertmgrHttps, wanted: CertmgrHttps) -> bool:
    """Compare what is known: an unknown domain or port is no reason to request another certificate."""
    other_domain = here.domain is not None and here.domain.lower() != (wanted.domain or "").lower()
    return other_domain or (here.port is not None and here.port != wanted.port)


def _plan_version(current: Current, desired: Desired) -> Plan:
    _refuse_downgrade(current, desired)
    _refuse_other_database(current, desired)
    here, wanted = current.version or current.database_version, desired.version
    if current.state == "absent":
        _refuse_migration(current, desired, "the requested database belongs to")
        return Plan("install", "PEC is not installed here", None)
    if here is not None and parse_version(here) < parse_version(wanted):
        _require_update(f"the installation belongs to PEC {here}", desired)
        return Plan("update", f"PEC {here} is installed here, {wanted} is newer", here)
    _refuse_migration(current, desired, "PEC's database belongs to")
    if current.state == "broken":
        return Plan("repair", f"the installation here is not complete: {'; '.join(current.reasons)}", here)
    if here is None:
        return Plan("repair", "neither PEC's files nor its database have a version, so an earlier installation broke off", here)
    if current.database_version is not None and parse_version(current.database_version) < parse_version(wanted):
        return Plan("migrate", f"the database belongs to PEC {current.database_version}, the application to {wanted}", here)
    return Plan("none", f"PEC {wanted} is installed here", here)


def _refuse_downgrade(current: Current, desired: Desired) -> None:
    for what, version in (("PEC", current.version), ("the database of PEC", current.database_version)):
        if version is not None and parse_version(version) > parse_version(desired.version):
            raise PecError(
                f"{what} {version} is newer than the installer, {desired.version}, and PEC cannot be downgraded: "
                f"use an installer of {version} or newer, or restore a backup made with {desired.version}"
            )


def _refuse_migration(current: Current, desired: Desired, whose: str) -> None:
    if current.database_version is not None and parse_version(current.database_version) < parse_version(desired.version):
        _require_update(f"{whose} PEC {current.database_version}", desired)


def _require_update(what: str, desired: Desired) -> None:
    if not desired.update:
        raise PecError(
            f"{what}, and the installer to {desired.version}; an update changes the database and cannot be undone: "
            "make a backup, rehearse its restore, then set update: true (role: pec_install_update)"
        )


def _refuse_other_database(current: Current, desired: Desired) -> None:
    here, wanted = current.connection, desired.database
    if here is None:
        return
    if wanted is None:
        if current.custom_database:
            raise PecError(_other_database(here, "the installer's own PostgreSQL"))
    elif here.place != wanted.place:
        raise PecError(_other_database(here, _say(wanted)))
    elif current.state == "installed" and (here.username, here.password) != (wanted.username, wanted.password):
        raise PecError(
            f"PEC connects to the database {_say(here)} as {here.username!r}, but another role or password is requested; "
            "request those in its application.properties, or change them there and in PostgreSQL first"
        )
    elif current.state == "installed" and _protection(here, wanted) != (here.sslmode, here.sslrootcert):
        raise PecError(
            f"PEC connects to the database {_say(here)} with sslmode {here.sslmode or 'prefer'}, but {wanted.sslmode or 'prefer'} or "
            "another sslrootcert is requested; set them in the URL in its application.properties (esus.pec.properties), and restart PEC"
        )


def _protection(here: Connection, wanted: Connection) -> tuple[str | None, str | None]:
    """What was not requested stays as it is."""
    return wanted.sslmode or here.sslmode, wanted.sslrootcert or here.sslrootcert


def _other_database(here: Connection, wanted: str) -> str:
    return (
        f"PEC uses the database {_say(here)}, but {wanted} is requested; the installer does not move data: "
        "request the database in use, or transfer it first"
    )


def _say(connection: Connection) -> str:
    return f"{connection.database!r} on {connection.host}:{connection.port}"
