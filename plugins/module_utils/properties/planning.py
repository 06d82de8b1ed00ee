# SPDX-License-Identifier: GPL-3.0-or-later
"""Plans and writes changes of a properties file, and shows them without secrets. Private to the collection."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ContextManager

from ansible_collections.esus.pec.plugins.module_utils.properties import editing, reading
from ansible_collections.esus.pec.plugins.module_utils.redact import MASK, looks_secret
from ansible_collections.esus.pec.plugins.module_utils.system import files, locks

_WAIT = 10.0


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
    """Return the text of a file, None when it does not exist. Raises PecError when it cannot be read or changed."""
    if not os.path.lexists(path):
        return None
    text = reading.read_text(path)
    reading.require_bytes_as_characters(path, text)
    return text


def alone(path: str | None, *, check_mode: bool = False) -> ContextManager[None]:
    """Keep other runs from changing a file between the reading and the writing. Only root's runs know of each other."""
    if path is None or check_mode or os.geteuid() != 0:
        return contextlib.nullcontext()
    place = os.path.realpath(path).encode("utf-8", "surrogateescape")
    return locks.lock_soon("properties-" + hashlib.sha256(place).hexdigest()[:12], _WAIT)


def warnings(path: str, text: str | None) -> list[str]:
    """Return what makes Java read another text than an operator sees."""
    hidden = reading.hidden_keys(text or "")
    if not hidden:
        return []
    start = re.match(r"[A-Za-z0-9_.-]{0,100}", hidden[0])
    key = start.group() if start else ""
    return [f"{path}: an invisible byte order mark precedes {key}, so PEC does not find this key; save the file without the mark"]


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


def apply(path: str, todo: Plan, *, backup: bool = False) -> dict[str, str]:
    """Write the planned text, with C(backup) after a copy of the old file; return what the module returns of that."""
    kept = files.back_up(path) if backup and os.path.lexists(path) else ""
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
