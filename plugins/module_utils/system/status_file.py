# SPDX-License-Identifier: GPL-3.0-or-later
"""The file in /run that reports the progress of a long run. Private to the collection."""

from __future__ import annotations

import contextlib
import json
import os
import threading
import time

from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.system import files
from ansible_collections.esus.pec.plugins.module_utils.system.clock import utc

RUNTIME_DIRECTORY = "/run/esus-pec"
_STATUS_SECONDS = 1.0
_STILL_SECONDS = 15.0
STILL = "nothing_moved_since"


def path_for(kind: str, database: str = "", directory: str = RUNTIME_DIRECTORY) -> str:
    """Return the path of the status file of a run, such as installer.json or dump-esus.json."""
    name = "".join(character if character.isalnum() or character in "-_." else "_" for character in database)[:80]
    return os.path.join(directory, f"{kind}-{name}.json" if name else f"{kind}.json")


class StatusFile:
    """Progress as JSON, without secrets. The file is written at most once a second, and at once for a new phase.

    Inside C(with), a thread adds C(nothing_moved_since) whenever no fact has changed for some time, as when the network is cut. Leave it
    before C(remove).
    """

    def __init__(self, kind: str, database: str = "", directory: str = RUNTIME_DIRECTORY, **facts: object) -> None:
        self.path = path_for(kind, database, directory)
        about = {"database": database} if database else {}
        self._facts: dict[str, object] = {**about, **facts, "started": utc(), "module_pid": os.getpid()}
        self._written = float("-inf")
        self._moved = time.monotonic()
        self._alone = threading.RLock()
        self._over = threading.Event()
        self._beats = threading.Thread(target=self._watch, daemon=True)
        with contextlib.suppress(PecError):
            files.make_private(directory)

    def __enter__(self) -> StatusFile:
        self._beats.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._over.set()
        self._beats.join()

    def update(self, **facts: object) -> None:
        """Record the phase, bytes, tables_done and the like. A full disk must not stop a run or change its result."""
        with self._alone:
            urgent = facts.get("phase", self._facts.get("phase")) != self._facts.get("phase")
            if any(self._facts.get(name) != value for name, value in facts.items()):
                self._moved = time.monotonic()
                self._facts.pop(STILL, None)
            self._facts.update(facts)
            if urgent or time.monotonic() - self._written >= _STATUS_SECONDS:
                self._write()

    def remove(self) -> None:
        """Remove the file after a success."""
        with contextlib.suppress(PecError):
            files.unlink(self.path)

    def look(self) -> None:
        """Write that nothing moves, if that is so."""
        with self._alone:
            still = time.monotonic() - self._moved
            if still >= _STILL_SECONDS:
                self._facts[STILL] = utc(time.time() - still)
                self._write()

    def _watch(self) -> None:
        while not self._over.wait(_STILL_SECONDS / 2):
            self.look()

    def _write(self) -> None:
        self._written = time.monotonic()
        self._facts["updated"] = utc()
        with contextlib.suppress(PecError):
            files.write_atomic(self.path, json.dumps(self._facts, ensure_ascii=False, indent=1).encode() + b"\n", mode=0o600)
