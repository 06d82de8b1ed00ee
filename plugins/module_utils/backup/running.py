# SPDX-License-Identifier: GPL-3.0-or-later
"""One backup from beginning to end: the dump, the files beside it, then what it makes superfluous."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import cast

from ansible_collections.esus.pec.plugins.module_utils.backup import attachments, configuration, last_run, sets
from ansible_collections.esus.pec.plugins.module_utils.backup.configuration import Config
from ansible_collections.esus.pec.plugins.module_utils.backup.retention import Dated
from ansible_collections.esus.pec.plugins.module_utils.dump import dumping, manifest, planning
from ansible_collections.esus.pec.plugins.module_utils.dump.manifest import Manifest
from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.pec import installation
from ansible_collections.esus.pec.plugins.module_utils.postgres.psql import Connection
from ansible_collections.esus.pec.plugins.module_utils.system import clock, locks, status_file

LOCK = "backup"


@dataclass(frozen=True)
class Report:
    """What a run made, or in check mode would make.

    C(path) is the dump; C(manifest) and C(attachment) are None while they are not made; C(pruned) are the names of the dumps that went;
    C(incomplete) is what is wrong with sets in the same directory, which are left alone.
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
    """Make one backup, or say what would be made. Raises PecError; nothing unfinished is then left, and no older backup is touched."""
    if check:  # also while one is being made
        return _foretell(config, *_prepare(config))
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


def run_recorded(path: str, directory: str = last_run.DIRECTORY) -> Report:
    """Make the backup that this configuration file describes, and record how it went for monitoring. Raises PecError."""
    try:
        report = run(configuration.read(path))
        last_run.success(summary(report), directory)
    except (PecError, SystemExit) as error:
        last_run.failure(str(error), directory)
        raise
    except BaseException as error:
        last_run.failure(f"the run broke off: {type(error).__name__}; see journalctl -u esus-pec-backup", directory)
        raise
    return report


def summary(report: Report) -> dict[str, object]:
    """Return what monitoring and playbooks are told of a backup that was made."""
    made = cast(Manifest, report.manifest)
    return {
        "path": report.path,
        "manifest": manifest.path_for(report.path),
        "files": report.attachment,
        "database": made.database,
        "municipality": made.municipality,
        "pec_version": made.pec_version,
        "bytes": made.bytes + (made.attachment.bytes if made.attachment else 0),
        "sha256": made.sha256,
        "encrypted": made.encrypted,
        "started": made.started,
        "ended": made.ended,
        "duration_seconds": report.duration_seconds,
        "pruned": list(report.pruned),
        "incomplete": list(report.incomplete),
        "notes": list(report.notes),
    }


def tell(report: Report) -> list[str]:
    """Return what the journal is told of a backup that was made."""
    facts = summary(report)
    lines = [f"backup of database {facts['database']!r}: {report.path}, {facts['bytes']} bytes in {report.duration_seconds:g} seconds"]
    lines += [f"removed {name}, which nothing keeps any longer" for name in report.pruned]
    lines += [f"note: {note}" for note in report.notes]
    return lines + [f"left alone, because it is not whole: {problem}" for problem in report.incomplete]


def _prepare(config: Config) -> tuple[Connection, tuple[str, ...]]:
    """Find the database and the files; what can be refused is refused here, before anything is written."""
    sets.require(config.directory)
    here = installation.discover()
    connection = config.connection or installation.connection(here)
    paths = attachments.choose(here, config.extra_paths, config.directory)
    attachments.check_space(paths, config.directory)
    return connection, paths


def _make(config: Config, connection: Connection, paths: tuple[str, ...], status: status_file.StatusFile) -> Report:
    with sets.workshop(config.directory) as (place, removed):
        status.update(phase="dump")
        notes = [f"removed what a run that was killed had left: {', '.join(removed)}"] if removed else []
        outcome = dumping.run(_dump(config, connection, place))
        made = cast(Manifest, outcome.manifest)
        made = replace(made, kept_by=sets.KEPT_BY)
        if paths:
            status.update(phase="files", bytes=0)
            written = attachments.write(paths, outcome.path, config.recipients, on_bytes=lambda count: status.update(bytes=count))
            beside = os.path.join(place, written.attachment.name)
            owner = os.stat(outcome.path)
            os.chown(beside, owner.st_uid, owner.st_gid)
            made = replace(made, attachment=written.attachment)
            notes += written.notes
        manifest.write(outcome.path, made)
        final = sets.publish(config.directory, outcome.path, made)
    status.update(phase="prune")
    superfluous, wrong = sets.prunable(config.directory, config.keep, sets.dated_as(made))
    pruned = []
    for backup in superfluous:
        try:
            sets.retire(config.directory, backup)
            pruned.append(backup.manifest.name)
        except PecError as error:  # the new backup is there all the same
            notes.append(str(error))
    return Report(
        path=final,
        manifest=made,
        attachment=os.path.join(config.directory, made.attachment.name) if made.attachment else None,
        files=paths,
        pruned=tuple(pruned),
        incomplete=tuple(wrong),
        notes=(*outcome.notes, *notes),
    )


def _foretell(config: Config, connection: Connection, paths: tuple[str, ...]) -> Report:
    outcome = dumping.run(_dump(config, connection, config.directory), check=True)
    made = Dated(os.path.basename(outcome.path), clock.utc(), (socket.gethostname(), connection.database, config.municipality))
    superfluous, wrong = sets.prunable(config.directory, config.keep, made)
    return Report(
        path=outcome.path,
        manifest=None,
        attachment=None,
        files=paths,
        pruned=tuple(backup.manifest.name for backup in superfluous),
        incomplete=tuple(wrong),
        notes=tuple(outcome.notes),
        planned=outcome.planned,
    )


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
