# SPDX-License-Identifier: GPL-3.0-or-later
"""Chooses the dump: the one at a path, or the newest in a directory that is from the expected server. Private to the collection."""

from __future__ import annotations

import os
from dataclasses import fields

from ansible_collections.esus.pec.plugins.module_utils.dump import manifest
from ansible_collections.esus.pec.plugins.module_utils.dump.manifest import Backup, Manifest
from ansible_collections.esus.pec.plugins.module_utils.dump.planning import slug
from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.restore.planning import Desired, same_municipality

_OWN_OPTION = {"host": "from_host", "municipality": "from_municipality"}
_SHOWN = 5


def choose(desired: Desired, database: str) -> tuple[str, Manifest | None, list[str]]:
    """Return the path of the dump, its manifest if it has one, and a sentence for each manifest in the directory that cannot be used.

    Raises PecError if there is no such dump.
    """
    if desired.directory:
        backups, unusable = manifest.list_backups(desired.directory)
        backup = _newest(desired, desired.directory, database, backups, unusable)
        return backup.path, manifest.read(manifest.path_for(backup.path)), unusable
    path = os.path.abspath(desired.path or "")
    if not os.path.exists(path):
        raise PecError(f"the dump {path} does not exist on this host; check the path, or copy the dump there first")
    described = manifest.path_for(path)
    return path, manifest.read(described) if os.path.exists(described) else None, []


def _newest(desired: Desired, directory: str, database: str, backups: list[Backup], unusable: list[str]) -> Backup:
    """Return the newest complete dump of this host, database and município, because several servers may share the directory."""
    where = {"database": database, **desired.where}
    _check_fields(where)
    fitting = [backup for backup in backups if backup.complete and _fits(backup.manifest, where, desired)]
    if not fitting:
        raise PecError(_nothing_fits(desired, directory, where, backups, unusable))
    municipalities = {slug(backup.manifest.municipality): backup.manifest.municipality for backup in fitting}
    if not desired.from_municipality and len(municipalities) > 1:
        names = ", ".join(sorted(map(repr, municipalities.values())))
        raise PecError(
            f"{directory} has dumps of several municípios from host {desired.from_host!r} ({names}), and that of this server is unknown; "
            "set from_municipality (role: pec_municipio)"
        )
    return fitting[0]


def _check_fields(where: dict[str, str]) -> None:
    known = sorted({item.name for item in fields(Manifest)} - set(_OWN_OPTION))
    for name in where:
        if name in _OWN_OPTION:
            raise PecError(f"where has {name!r}; set {_OWN_OPTION[name]} instead")
        if name not in known:
            raise PecError(f"where has {name!r}, which is not a field of a manifest; use one of {', '.join(known)}")


def _fits(made: Manifest, where: dict[str, str], desired: Desired) -> bool:
    values = {name: getattr(made, name) for name in where}
    return (
        made.host.casefold() == desired.from_host.casefold()
        and same_municipality(made.municipality, desired.from_municipality)
        and all(("" if values[name] is None else str(values[name])) == wanted for name, wanted in where.items())
    )


def _nothing_fits(desired: Desired, directory: str, where: dict[str, str], backups: list[Backup], unusable: list[str]) -> str:
    municipality = [f"municipality {desired.from_municipality}"] if desired.from_municipality else []
    wanted = ", ".join([f"host {desired.from_host}", *municipality, *(f"{name} {value}" for name, value in where.items())])
    seen = "; ".join(f"{os.path.basename(backup.path)}: {backup.problem or _source(backup.manifest)}" for backup in backups[:_SHOWN])
    seen += f"; and {len(backups) - _SHOWN} more" if len(backups) > _SHOWN else ""
    seen = "; ".join(part for part in (seen, *unusable[:_SHOWN]) if part)
    return (
        f"{directory} has no complete dump from {wanted} ({seen or 'it has no dump with a manifest'}); to restore one of another host or "
        "município, name it in from_host or from_municipality (role: pec_restore_from_host, pec_restore_from_municipality); to restore one "
        "without a manifest, or of unknown município, set path instead of directory (role: pec_restore_path)"
    )


def _source(made: Manifest) -> str:
    return f"host {made.host}, municipality {made.municipality or 'unknown'}, database {made.database}, pec_version {made.pec_version}"
