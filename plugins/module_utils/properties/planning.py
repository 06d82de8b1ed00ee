# SPDX-License-Identifier: GPL-3.0-or-later
"""Plans and writes changes of a properties file, and shows them without secrets. Private to the collection."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from ansible_collections.esus.pec.plugins.module_utils.properties import editing, reading
from ansible_collections.esus.pec.plugins.module_utils.redact import MASK, looks_secret
from ansible_collections.esus.pec.plugins.module_utils.system import files


@dataclass(frozen=True)
class Desired:
    """The pairs to set and the keys to remove."""

    values: Mapping[str, str] = field(repr=False)
    absent: tuple[str, ...] = ()


@dataclass(frozen=True)
class Plan:
    """The new text, the keys that it sets and removes, and both sides of the diff."""

    text: str = field(repr=False)
    changed: bool
    set: tuple[str, ...]
    removed: tuple[str, ...]
    before: str
    after: str


def read_current(path: str) -> str | None:
    """Return the text of a file, None when it does not exist. Raises PecError when it cannot be read."""
    return reading.read_text(path) if os.path.lexists(path) else None


def plan(current: str | None, desired: Desired) -> Plan:
    """Decide what changes. Raises PecError when the text is malformed."""
    text = current or ""
    wanted = editing.edit(text, desired.values, desired.absent)
    before, after = reading.parse(text), reading.parse(wanted)
    added = tuple(key for key in desired.values if before.get(key) != after[key])
    removed = tuple(key for key in before if key not in after)
    changed = wanted != text
    if changed and not added and not removed:
        return Plan(wanted, True, added, removed, _repetitions(text, text), _repetitions(wanted, text))
    old = "".join(_shown(key, before[key]) for key in (*added, *removed) if key in before)
    return Plan(wanted, changed, added, removed, old, "".join(_shown(key, after[key], before.get(key)) for key in added))


def apply(path: str, todo: Plan, backup: Callable[[str], str] | None) -> dict[str, str]:
    """Write the planned text, after C(backup) copied the old file; return what the module returns of that."""
    kept = backup(path) if backup else ""
    files.write_atomic(path, todo.text.encode("latin-1"))
    return {"backup_file": kept} if kept else {}


def _repetitions(text: str, before: str) -> str:
    """Count the lines of repeated keys, for a change that only removes lines which Java never used."""
    names, old = ([line.pair[0] for line in reading.lines(each) if line.pair] for each in (text, before))
    return "".join(f"{key}: {names.count(key)} lines\n" for key in dict.fromkeys(old) if old.count(key) > 1)


def _shown(key: str, value: str, instead_of: str | None = None) -> str:
    """Return a line of the diff, which shows of a secret only that it changes."""
    masked = _masked(key, value)
    other = " (changed)" if instead_of is not None and masked == _masked(key, instead_of) else ""
    return f"{key}={masked}{other}\n"


def _masked(key: str, value: str) -> str:
    return MASK if value and looks_secret(key, value) else value
