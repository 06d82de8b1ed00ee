# SPDX-License-Identifier: GPL-3.0-or-later
"""Which backups are kept: the newest ones, and one for each of the last days, weeks and months that have any."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timezone, tzinfo

from ansible_collections.esus.pec.plugins.module_utils.errors import PecError

_MOMENT = "%Y-%m-%dT%H:%M:%SZ"


@dataclass(frozen=True)
class Policy:
    """How many backups are kept: the newest, and the newest of each day, week (from Monday) and month that has one."""

    last: int
    daily: int
    weekly: int
    monthly: int


@dataclass(frozen=True)
class Dated:
    """One good backup: what it is called, when it ended (as a manifest writes it), and of what it is one."""

    name: str
    ended: str
    group: tuple[str, ...]


def prune(backups: Iterable[Dated], policy: Policy, keep: Iterable[str] = (), zone: tzinfo | None = None) -> list[str]:
    """Return the names of those that may go, oldest first.

    Only good backups may be handed in: one that is not would take the place of one that is. Each group counts for itself, and its
    newest backup always stays; so do those named in C(keep). Days begin at midnight in C(zone), by default that of this system.
    Raises PecError for a time that is not written as 2026-11-22T03:00:00Z.
    """
    dated = sorted(((local_time(backup.ended, zone), backup) for backup in backups), key=lambda pair: (pair[0], pair[1].name), reverse=True)
    stays = set(keep)
    for group in {backup.group for _moment, backup in dated}:
        stays |= _kept([(moment, backup.name) for moment, backup in dated if backup.group == group], policy)
    return [backup.name for _moment, backup in reversed(dated) if backup.name not in stays]


def local_time(ended: str, zone: tzinfo | None = None) -> datetime:
    """Return the time of a manifest as the clock on the wall shows it in C(zone). Raises PecError when it is not one."""
    try:
        return datetime.strptime(ended, _MOMENT).replace(tzinfo=timezone.utc).astimezone(zone)
    except (ValueError, TypeError, OverflowError):
        raise PecError(f"{ended!r} is not a time such as 2026-11-22T03:00:00Z") from None


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
