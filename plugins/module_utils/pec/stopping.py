# SPDX-License-Identifier: GPL-3.0-or-later
"""PEC stopped for the time of a run: recorded, so that a later run knows about it if this one is killed. Private to the collection.

The record is in /run, where only root can change it and which a restart of the host empties: PEC's unit then starts by itself.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field

from ansible_collections.esus.pec.plugins.module_utils import beliefs
from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.system import clock, files, locks, process, systemd

RECORD = os.path.join(locks.DIRECTORY, "pec-stopped.json")
INSTALLER, RESTORE, SETTING = "installer", "restore", "setting"


@dataclass(frozen=True)
class Stop:
    """PEC was stopped by a run that ended without starting it again. C(facts) is what that run knew about PEC."""

    run: str
    pid: int
    since: str
    facts: Mapping[str, object] = field(default_factory=dict)

    @property
    def harmless(self) -> bool:
        """Whether PEC can be started again whenever the run was killed. After an installer, PEC may be half of another version."""
        return self.run != INSTALLER

    def __str__(self) -> str:
        run = f"systemctl start {beliefs.PEC_UNIT}" if self.harmless else "ansible-playbook esus.pec.install"
        return (
            f"PEC is stopped: a run of esus.pec.{self.run} (process {self.pid}) stopped it on {self.since} and did not start it again; "
            f"run: {run}"
        )


def stop(run: str, **facts: object) -> None:
    """Stop PEC's unit until C(start). The record of a killed run stays, unless an installer goes on from there. Raises PecError."""
    left = find()
    if left is None or (left.harmless and run == INSTALLER):
        pid = os.getpid()
        unit = systemd.last_start(beliefs.PEC_UNIT)
        _write({"run": run, "pid": pid, "process": process.started(pid), "since": clock.utc(), "unit": unit, "facts": facts})
    systemd.systemctl("stop", beliefs.PEC_UNIT)


def start() -> None:
    """Start PEC's unit, after which the record is no longer needed. Raises PecError; the record then stays."""
    try:
        systemd.systemctl("start", beliefs.PEC_UNIT)
    except PecError:
        record = _read()
        if record:  # what was tried counts as a start, by which C(find) would think that somebody stopped PEC since
            _write({**record, "unit": systemd.last_start(beliefs.PEC_UNIT)})
        raise
    forget()


def resume() -> str:
    """Start a PEC that a dead run left stopped where it can be started, unless another run is at work; say so in a sentence.

    Raises PecError if it does not start.
    """
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(locks.lock(locks.INSTALLER))  # held by all that stop and start PEC
        except locks.HeldError:
            return ""
        left = find()
        if left is None or not left.harmless:
            return ""
        start()
    return f"PEC was started: a run of esus.pec.{left.run} (process {left.pid}) stopped it on {left.since} and did not start it again"


def forget() -> None:
    """Remove the record."""
    if os.path.lexists(RECORD):
        with contextlib.suppress(PecError):
            files.unlink(RECORD)


def find() -> Stop | None:
    """Return the stop that a dead run left behind; None if PEC runs, or was started since: who then stopped it wants it stopped."""
    record = _read()
    if not record or systemd.state(beliefs.PEC_UNIT) not in ("inactive", "failed", "deactivating"):
        return None
    pid = int(str(record["pid"]))
    if process.started(pid) == record["process"] or systemd.last_start(beliefs.PEC_UNIT) not in ("", record["unit"]):
        return None
    facts = record["facts"]
    return Stop(str(record["run"]), pid, str(record["since"]), facts if isinstance(facts, dict) else {})


def _read() -> Mapping[str, object]:
    """The record; nothing where none or a damaged one exists."""
    try:
        record = json.loads(files.read_bytes(RECORD)) if os.path.exists(RECORD) else {}
        return record if {"run", "pid", "process", "since", "unit", "facts"} <= set(record) and int(record["pid"]) > 0 else {}
    except (PecError, ValueError, TypeError, RecursionError):
        return {}


def _write(record: Mapping[str, object]) -> None:
    files.make_private(os.path.dirname(RECORD))
    files.write_atomic(RECORD, json.dumps(record).encode() + b"\n", mode=0o600)
