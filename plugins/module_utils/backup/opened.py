# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether an encrypted backup was opened once: until then nobody knows that the private key exists. Private to the collection."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterable, Sequence

from ansible_collections.esus.pec.plugins.module_utils.dump.manifest import Backup
from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.system import files

DIRECTORY = "/var/lib/esus-pec/backup"
REHEARSAL = "last-rehearsal.json"  # written by the role pec_backup after a rehearsal, which reads the whole dump
PROOF = "opened.json"
_LIMIT = 1 << 20


def protected(recipients: Sequence[str], prunable: Sequence[Backup], known: Iterable[Backup], *, check: bool = False) -> list[Backup]:
    """Return those of C(prunable) that must stay, because no backup encrypted to these recipients was opened yet.

    Backups of the same recipients may go, because they are no easier to read. C(known): all backups of the directory, among which the one
    that was rehearsed is looked for. check: nothing is recorded.
    """
    wanted = _keys(recipients)
    others = [backup for backup in prunable if _keys(backup.manifest.recipients) != wanted]
    if not wanted or not others or _recorded() == wanted:
        return []
    rehearsed = _read(REHEARSAL).get("sha256")
    if any(backup.manifest.sha256 == rehearsed and _keys(backup.manifest.recipients) == wanted for backup in known):
        if not check:  # the backup that was rehearsed will be pruned itself one day
            content = json.dumps({"recipients": wanted, "sha256": rehearsed}, indent=1).encode() + b"\n"
            files.write_atomic(os.path.join(DIRECTORY, PROOF), content, mode=0o644)
        return []
    return others


def _recorded() -> object:
    return _read(PROOF).get("recipients")


def _read(name: str) -> dict[str, object]:
    """Return a record; an unreadable one proves nothing."""
    with contextlib.suppress(PecError, OSError, ValueError, RecursionError):
        content = json.loads(files.read_bytes(os.path.join(DIRECTORY, name), _LIMIT))
        if isinstance(content, dict):
            return content
    return {}


def _keys(recipients: Sequence[str]) -> list[str]:
    return sorted({recipient.strip() for recipient in recipients})
