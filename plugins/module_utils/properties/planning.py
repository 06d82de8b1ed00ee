# SPDX-License-Identifier: GPL-3.0-or-later
"""What changes when pairs of a properties file are set, and how that is shown without secrets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ansible_collections.esus.pec.plugins.module_utils.properties import editing, reading


@dataclass(frozen=True)
class Desired:
    """The pairs that are to be there and the keys that are not."""

    values: Mapping[str, str] = field(repr=False)
    absent: tuple[str, ...] = ()


@dataclass(frozen=True)
class Plan:
    """The text that the file is to have, the pairs in which it differs from what is there, and both sides of the diff."""

    text: str = field(repr=False)
    changed: bool
    set: tuple[str, ...]
    removed: tuple[str, ...]
    before: str
    after: str


def plan(current: str | None, desired: Desired) -> Plan:
    """Raises PecError where the text is malformed."""
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


def _repetitions(text: str, before: str) -> str:
    """Where only repetitions go, which Java never read, the diff counts the lines of the keys that had some."""
    names, old = ([line.pair[0] for line in reading.lines(each) if line.pair] for each in (text, before))
    return "".join(f"{key}: {names.count(key)} of it\n" for key in dict.fromkeys(old) if old.count(key) > 1)


def _shown(key: str, value: str, instead_of: str | None = None) -> str:
    """A line of the diff; of a secret only that it is another than before."""
    masked = editing.masked(key, value)
    other = " (another one)" if instead_of is not None and masked == editing.masked(key, instead_of) else ""
    return f"{key}={masked}{other}\n"
