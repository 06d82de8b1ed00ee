# SPDX-License-Identifier: GPL-3.0-or-later
"""The file in /run that reports the progress of a long run. Private to the collection."""

from __future__ import annotations

import contextlib
import json
import os
import time

from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.system import files
from ansible_collections.esus.pec.plugins.module_utils.system.clock import utc

RUNTIME_DIRECTORY = "/run/esus-pec"
_STATUS_SECONDS = 1.0


def path_for(kind: str, database: str = "", directory: str = RUNTIME_DIRECTORY) -> str:
    """Return the path of the status file of a run, such as installer.json or dump-esus.json."""
    name = "".join(character if character.isalnum() or character in "-_." else "_" for character in database)[:80]
    return os.path.join(directory, f"{kind}-{name}.json" if name else f"{kind}.json")


class StatusFile:
    """Progress as JSON, without secrets. The file is written at most once a second, and at once for a new phase."""

    def __init__(self, kind: str, database: str = "", directory: str = RUNTIME_DIRECTORY, **facts: object) -> None:
        self.path = path_for(kind, database, directory)
        about = {"database": database} if database else {}
        self._facts: dict[str, object] = {**about, **facts, "started": utc(), "module_pid": os.getpid()}
        self._written = float("-inf")
        with contextlib.suppress(OSError):
            os.makedirs(directory, mode=0o700, exist_ok=True)

    def update(self, **facts: object) -> None:
        """Record the phase, bytes, tables_done and the like. A full disk must not stop a run or change its result."""
        urgent = facts.get("phase", self._facts.get("phase")) != self._facts.get("phase")
        self._facts.update(facts, updated=utc())
        now = time.monotonic()
        if urgent or now - self._written >= _STATUS_SECONDS:
            self._written = now
            with contextlib.suppress(PecError, OSError):
                files.write_atomic(self.path, json.dumps(self._facts, ensure_ascii=False, indent=1).encode() + b"\n", mode=0o600)

    def remove(self) -> None:
        """Remove the file after a success."""
        with contextlib.suppress(OSError):
            os.unlink(self.path)
