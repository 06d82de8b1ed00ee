# SPDX-License-Identifier: GPL-3.0-or-later
"""The result of a backup, for playbooks, the journal, and monitoring, which reads files without being root. Private to the collection."""

from __future__ import annotations

import contextlib
import json
import os

from ansible_collections.esus.pec.plugins.module_utils.backup import configuration, running
from ansible_collections.esus.pec.plugins.module_utils.backup.running import Report
from ansible_collections.esus.pec.plugins.module_utils.dump import manifest
from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.system import clock, files, signals

DIRECTORY = "/var/lib/esus-pec/backup"
_SUCCESS, _FAILURE = "last-success.json", "last-failure.json"


def run_recorded(path: str) -> Report:
    """Make the backup that this configuration file describes, and record the result for monitoring. Raises PecError."""
    try:
        report = running.run(configuration.read(path))
        _record_success(summary(report))
    except PecError as error:
        _record_failure(str(error))
        raise
    except signals.Stopped as stopped:
        _record_failure(f"{stopped}; systemd does this when pec_backup_timeout is over")
        raise
    except BaseException as error:
        _record_failure(f"the run broke off: {type(error).__name__}; see journalctl -u esus-pec-backup")
        raise
    return report


def summary(report: Report) -> dict[str, object]:
    """Return a backup, or in check mode a planned one, as monitoring and playbooks get it."""
    lists = {"pruned": list(report.pruned), "incomplete": list(report.incomplete), "notes": list(report.notes)}
    made = report.manifest
    if made is None:
        return {"path": report.path, "plan": report.planned, **lists}
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
        **lists,
    }


def describe(report: Report) -> list[str]:
    """Return a backup as lines for the journal."""
    facts = summary(report)
    lines = [f"backup of database {facts['database']!r}: {report.path}, {facts['bytes']} bytes in {report.duration_seconds:g} seconds"]
    lines += [f"removed {name}, which the retention no longer keeps" for name in report.pruned]
    lines += [f"note: {note}" for note in report.notes]
    return lines + [f"left alone, because it is not complete: {problem}" for problem in report.incomplete]


def _record_success(facts: dict[str, object]) -> None:
    """The record of a failure is removed: it exists only while the last run has failed."""
    _write(_SUCCESS, facts)
    files.unlink(os.path.join(DIRECTORY, _FAILURE))


def _record_failure(message: str) -> None:
    """A record that cannot be written must not hide the reason, which the caller still has."""
    with contextlib.suppress(PecError):
        _write(_FAILURE, {"message": message, "when": clock.utc()})


def _write(name: str, facts: dict[str, object]) -> None:
    for path in (os.path.dirname(DIRECTORY), DIRECTORY):
        files.make_directory(path, mode=0o755)  # monitoring is not root
    files.write_atomic(os.path.join(DIRECTORY, name), json.dumps(facts, ensure_ascii=False, indent=1).encode() + b"\n", mode=0o644)
