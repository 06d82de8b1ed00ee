# SPDX-License-Identifier: GPL-3.0-or-later
"""One backup from start to end: the dump, the files beside it, then the removal of older ones. Private to the collection."""

from __future__ import annotations

import grp
import os
import pwd
import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import cast

from ansible_collections.esus.pec.plugins.module_utils.backup import attachments, opened, sets
from ansible_collections.esus.pec.plugins.module_utils.backup.configuration import Config
from ansible_collections.esus.pec.plugins.module_utils.backup.retention import Dated
from ansible_collections.esus.pec.plugins.module_utils.dump import dumping, manifest, planning
from ansible_collections.esus.pec.plugins.module_utils.dump.manifest import Backup, Manifest
from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.pec import installation
from ansible_collections.esus.pec.plugins.module_utils.postgres.psql import Connection
from ansible_collections.esus.pec.plugins.module_utils.system import clock, locks, status_file

LOCK = "backup"


@dataclass(frozen=True)
class Report:
    """A backup, or in check mode a planned one, which has no manifest and no attachment.

    C(path) is the dump, C(pruned) the names of the removed dumps, C(incomplete) the problems of other sets in the directory, which are
    left alone.
    """

    path: str
    manifest: Manifest | None
    attachment: str | None
    files: tuple[str, ...]
    pruned: tuple[str, ...]
    incomplete: tuple[str, ...]
    notes: tuple[str, ...]
    duration_seconds: float = 0
    planned: Mapping[str, object] = field(default_factory=dict)


def run(config: Config, *, check: bool = False) -> Report:
    """Make one backup, or plan it. Raises PecError; nothing unfinished is then left, and no older backup is touched."""
    if check:  # without the lock: also while another backup runs
        return _plan(config, *_prepare(config))
    started = time.monotonic()
    with locks.lock(LOCK):
        connection, paths = _prepare(config)
        status = status_file.StatusFile("backup", connection.database)
        try:
            report = _make(config, connection, paths, status)
        except OSError as error:
            status.update(phase="failed")
            raise PecError(f"{error.filename or config.directory}: {error.strerror or error}") from None
        except BaseException:
            status.update(phase="failed")
            raise
        status.remove()
        return replace(report, duration_seconds=round(time.monotonic() - started, 1))


def _prepare(config: Config) -> tuple[Connection, tuple[str, ...]]:
    """Find the database and the files, and refuse what cannot work before anything is written."""
    sets.require(config.directory)
    here = installation.discover()
    connection = config.connection or installation.connection(here)
    paths = attachments.choose(here, config.extra_paths, config.directory)
    attachments.check_space(paths, config.directory)
    return connection, paths


def _make(config: Config, connection: Connection, paths: tuple[str, ...], status: status_file.StatusFile) -> Report:
    with sets.workshop(config.directory) as (place, removed):
        status.update(phase="dump")
        notes = [f"removed what a killed run had left: {', '.join(removed)}"] if removed else []
        outcome = dumping.run(_dump(config, connection, place))
        made = cast(Manifest, outcome.manifest)
        made = replace(made, kept_by=sets.KEPT_BY)
        if paths:
            status.update(phase="files", bytes=0)
            written = attachments.write(
                paths,
                outcome.path,
                config.recipients,
                uid=pwd.getpwnam(config.owner).pw_uid if config.owner else -1,  # which exist: the dump was given to them
                gid=grp.getgrnam(config.group).gr_gid if config.group else -1,
                on_bytes=lambda count: status.update(bytes=count),
            )
            made = replace(made, attachment=written.attachment)
            notes += written.notes
        manifest.write(outcome.path, made)
        final = sets.publish(config.directory, outcome.path, made)
    status.update(phase="prune")
    prunable, incomplete, unopened = _prunable(config, sets.dated_as(made))
    notes += unopened
    pruned = []
    for backup in prunable:
        try:
            sets.retire(config.directory, backup)
            pruned.append(backup.manifest.name)
        except PecError as error:  # the new backup is complete all the same
            notes.append(str(error))
    return Report(
        path=final,
        manifest=made,
        attachment=os.path.join(config.directory, made.attachment.name) if made.attachment else None,
        files=paths,
        pruned=tuple(pruned),
        incomplete=tuple(incomplete),
        notes=(*outcome.notes, *notes),
    )


def _plan(config: Config, connection: Connection, paths: tuple[str, ...]) -> Report:
    outcome = dumping.run(_dump(config, connection, config.directory), check=True)
    made = Dated(os.path.basename(outcome.path), clock.utc(), (socket.gethostname(), connection.database, config.municipality))
    prunable, incomplete, unopened = _prunable(config, made, check=True)
    return Report(
        path=outcome.path,
        manifest=None,
        attachment=None,
        files=paths,
        pruned=tuple(backup.manifest.name for backup in prunable),
        incomplete=tuple(incomplete),
        notes=(*outcome.notes, *unopened),
        planned=outcome.planned,
    )


def _prunable(config: Config, made: Dated, *, check: bool = False) -> tuple[list[Backup], list[str], list[str]]:
    """Return the sets to remove, the problems of incomplete ones, and a note if any must stay that the policy no longer keeps."""
    prunable, incomplete = sets.prunable(config.directory, config.keep, made)
    stay = opened.protected(config.recipients, prunable, manifest.list_backups(config.directory)[0], check=check)
    if not stay:
        return prunable, incomplete, []
    note = (
        f"{len(stay)} older backups stay beyond the retention ({stay[0].manifest.name} and newer), because no backup encrypted to the "
        "present recipients was ever opened; prove that the private key exists: run ansible-playbook esus.pec.backup --tags prove, or set "
        "pec_backup_rehearse_identity to it, and run it with --tags rehearse"
    )
    return [backup for backup in prunable if backup not in stay], incomplete, [note]


def _dump(config: Config, connection: Connection, directory: str) -> planning.Desired:
    return planning.Desired(
        path=directory + "/",
        moves_to=config.directory,
        connection=connection,
        fingerprint=config.fingerprint,
        recipients=config.recipients,
        municipality=config.municipality,
        owner=config.owner,
        group=config.group,
    )
