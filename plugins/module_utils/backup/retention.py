# SPDX-License-Identifier: GPL-3.0-or-later
"""Which backups are kept: the newest ones, and one for each of the last days, weeks and months with a backup. Private to the collection."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, tzinfo

from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.system import clock


@dataclass(frozen=True)
class Policy:
    """How many backups are kept: the newest, and the newest of each day, week (from Monday) and month that has one."""

    last: int
    daily: int
    weekly: int
    monthly: int


@dataclass(frozen=True)
class Dated:
    """One good backup: its name, its end as in the manifest, and the source that it counts for."""

    name: str
    ended: str
    group: tuple[str, ...]


def prune(backups: Iterable[Dated], policy: Policy, keep: Iterable[str] = (), zone: tzinfo | None = None) -> list[str]:
    """Return the names of the backups to remove, oldest first.

    Pass only good backups: a bad one would be counted instead of a good one. Each group counts for itself; its newest backup always
    stays, and so do those named in C(keep). Days begin at midnight in C(zone), by default the system's.
    Raises PecError for an end that clock.parse refuses.
    """
    dated = sorted(((local_time(backup.ended, zone), backup) for backup in backups), key=lambda pair: (pair[0], pair[1].name), reverse=True)
    stays = set(keep)
    for group in {backup.group for _moment, backup in dated}:
        stays |= _kept([(moment, backup.name) for moment, backup in dated if backup.group == group], policy)
    return [backup.name for _moment, backup in reversed(dated) if backup.name not in stays]


def local_time(ended: str, zone: tzinfo | None = None) -> datetime:
    """Return the time of a manifest in C(zone), by default the system's. Raises PecError when it is not a time."""
    try:
        return clock.parse(ended).astimezone(zone)
    except OverflowError:
        raise PecError(f"{ended!r} is too far away to have a local time") from None


def _kept(newest_first: list[tuple[datetime, str]], policy: Policy) -> set[str]:
    periods: tuple[tuple[int, Callable[[datetime], object]], ...] = (
        (policy.daily, lambda moment: moment.date()),
        (policy.weekly, lambda moment: tuple(moment.isocalendar())[:2]),
        (policy.monthly, lambda moment: (moment.year, moment.month)),
    )
    kept = {name for _moment, name in newest_first[: max(policy.last, 1)]}
    for wanted, period_of in periods:
        seen: dict[object, str] = {}
        for moment, name in newest_first:
            if len(seen) < wanted:
                seen.setdefault(period_of(moment), name)
        kept.update(seen.values())
    return kept
