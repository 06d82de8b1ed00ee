# SPDX-License-Identifier: GPL-3.0-or-later
"""The file in /run that reports how far a long run is. Private to the collection."""

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


class StatusFile:
    """The file that tells others how far a run is; it holds no secret. It is written at most once a second, except for a new phase."""

    def __init__(self, kind: str, database: str, directory: str = RUNTIME_DIRECTORY) -> None:
        name = "".join(character if character.isalnum() or character in "-_." else "_" for character in database)
        self.path = os.path.join(directory, f"{kind}-{name[:80]}.json")
        self._facts: dict[str, object] = {"database": database, "started": utc(), "module_pid": os.getpid()}
        self._written = float("-inf")
        with contextlib.suppress(OSError):
            os.makedirs(directory, mode=0o700, exist_ok=True)

    def update(self, **facts: object) -> None:
        """Record phase, bytes, tables_done, tables_total and the like. A full disk must not stop a run, nor its judgement."""
        urgent = facts.get("phase", self._facts.get("phase")) != self._facts.get("phase")
        self._facts.update(facts, updated=utc())
        now = time.monotonic()
        if urgent or now - self._written >= _STATUS_SECONDS:
            self._written = now
            with contextlib.suppress(PecError, OSError):
                files.write_atomic(self.path, json.dumps(self._facts, ensure_ascii=False, indent=1).encode() + b"\n", mode=0o600)

    def remove(self) -> None:
        """Remove it: the run ended well."""
        with contextlib.suppress(OSError):
            os.unlink(self.path)
