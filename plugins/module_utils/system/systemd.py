# SPDX-License-Identifier: GPL-3.0-or-later
"""The one way to speak to systemd: what it reports about units, and starting and stopping them. Private to the collection."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.system import process

_UNIT_PROPERTIES = "LoadState,ActiveState,UnitFileState,FragmentPath,User"
STOPPED = ("inactive", "failed", None)
ACTIVE = ("active", "activating", "reloading")
_SECONDS = 300


@dataclass(frozen=True)
class Unit:
    """A systemd unit. C(load_state) is not-found when there is none; every state is None where systemd cannot be asked.

    C(user) is the one that its processes run as; None also where the unit names none, which means root.
    """

    name: str
    load_state: str | None
    active_state: str | None
    enabled: bool | None
    fragment_path: str | None
    user: str | None = None


def units(names: Sequence[str]) -> dict[str, Unit]:
    """Return the state of each systemd unit asked for, by its name."""
    unknown = {name: Unit(name, None, None, None, None) for name in names}
    try:
        answer = process.run(["systemctl", "show", "--no-pager", f"--property={_UNIT_PROPERTIES}", *unknown])
    except PecError:
        return unknown
    blocks = [dict(line.split("=", 1) for line in block.splitlines() if "=" in line) for block in answer.stdout.strip().split("\n\n")]
    if answer.returncode != 0 or len(blocks) != len(unknown):
        return unknown
    return {name: _unit(name, block) for name, block in zip(unknown, blocks)}


def active_seconds(name: str) -> float | None:
    """Return for how long a unit has been active; None where it is not, or where systemd does not say."""
    try:
        answer = process.run(["systemctl", "show", "--property=ActiveState,ActiveEnterTimestampMonotonic", name])
    except PecError:
        return None
    said = dict(line.split("=", 1) for line in answer.stdout.splitlines() if "=" in line)
    since = said.get("ActiveEnterTimestampMonotonic", "")
    return time.monotonic() - int(since) / 1_000_000 if said.get("ActiveState") == "active" and since.isdigit() else None


def state(name: str) -> str | None:
    """Return the active state of one unit; None where systemd cannot be asked."""
    return units((name,))[name].active_state


def restarts(name: str) -> int:
    """Return how often systemd restarted a unit by itself since somebody started it; 0 where it cannot be asked."""
    try:
        answer = process.run(["systemctl", "show", "--value", "--property=NRestarts", name])
    except PecError:
        return 0
    return int(answer.stdout) if answer.stdout.strip().isdigit() else 0


def last_start(name: str) -> str:
    """Return what is another text after every start of a unit; empty where that is unknown."""
    try:
        answer = process.run(["systemctl", "show", "--value", "--property=InactiveExitTimestampMonotonic", name]).stdout.strip()
    except PecError:
        return ""
    return "" if answer == "0" else answer


def clock_synchronized() -> bool | None:
    """Return whether systemd reports this host's clock as synchronized; None where it cannot be asked."""
    try:
        answer = process.run(["timedatectl", "show", "--property=NTPSynchronized", "--value"]).stdout.strip()
    except PecError:
        return None
    return {"yes": True, "no": False}.get(answer)


def systemctl(verb: str, name: str, *, timeout: float = _SECONDS) -> None:
    """Start, stop or restart a unit. timeout is in seconds. Raises PecError when systemd refuses."""
    answer = process.run(["systemctl", verb, name], timeout=timeout)
    if answer.returncode != 0:
        raise PecError(f"cannot {verb} {name}: {answer.stderr.strip()}; journalctl -u {name} shows why")


def _unit(name: str, block: dict[str, str]) -> Unit:
    file_state = block.get("UnitFileState")
    enabled = file_state in ("enabled", "enabled-runtime") if file_state else None
    load_state, active_state, path, user = (block.get(key) or None for key in ("LoadState", "ActiveState", "FragmentPath", "User"))
    return Unit(name, load_state, active_state, enabled, path, user)
