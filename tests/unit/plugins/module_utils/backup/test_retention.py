# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import random
from datetime import datetime, timedelta, timezone

import pytest

from ansible_collections.esus.pec.plugins.module_utils.backup.retention import Dated, Policy, prune
from ansible_collections.esus.pec.plugins.module_utils.errors import PecError

BRASILIA = timezone(timedelta(hours=-3))
ESUS = ("esus", "Água Clara")


def backups(*times: str, group: tuple[str, ...] = ESUS) -> list[Dated]:
    return [Dated(time, time + ":00Z", group) for time in times]


def nightly(days: int, until: str = "2026-11-22T05:30") -> list[Dated]:
    newest = datetime.strptime(until, "%Y-%m-%dT%H:%M")
    return backups(*((newest - timedelta(days=age)).strftime("%Y-%m-%dT%H:%M") for age in range(days)))


def kept(made: list[Dated], policy: Policy, **options: object) -> list[str]:
    gone = prune(made, policy, zone=BRASILIA, **options)  # type: ignore[arg-type]
    return sorted(backup.name for backup in made if backup.name not in gone)


TWO_A_DAY = ("2026-11-20T05:00", "2026-11-20T15:00", "2026-11-21T05:00", "2026-11-21T15:00")


@pytest.mark.parametrize(
    ("made", "policy", "stays"),
    [
        pytest.param((), (3, 7, 4, 6), (), id="none"),
        pytest.param(("2026-11-20T05:00",), (0, 0, 0, 0), ("2026-11-20T05:00",), id="the only one, whatever the policy"),
        pytest.param(TWO_A_DAY, (0, 0, 0, 0), ("2026-11-21T15:00",), id="the newest, whatever the policy"),
        pytest.param(TWO_A_DAY, (3, 0, 0, 0), TWO_A_DAY[1:], id="last"),
        pytest.param(TWO_A_DAY, (9, 0, 0, 0), TWO_A_DAY, id="fewer than last"),
        pytest.param(TWO_A_DAY, (0, 1, 0, 0), ("2026-11-21T15:00",), id="one a day, today"),
        pytest.param(TWO_A_DAY, (0, 2, 0, 0), ("2026-11-20T15:00", "2026-11-21T15:00"), id="the newest of each day"),
        pytest.param(TWO_A_DAY, (3, 2, 1, 1), TWO_A_DAY[1:], id="the rules add up, and share"),
        # 02:30 UTC is still the evening before in Brasília.
        pytest.param(
            ("2026-11-20T15:00", "2026-11-21T02:30", "2026-11-21T15:00"),
            (0, 2, 0, 0),
            ("2026-11-21T02:30", "2026-11-21T15:00"),
            id="days begin at local midnight",
        ),
        # Saturday, Sunday, Monday.
        pytest.param(
            ("2026-11-14T15:00", "2026-11-15T15:00", "2026-11-16T15:00"),
            (0, 0, 2, 0),
            ("2026-11-15T15:00", "2026-11-16T15:00"),
            id="weeks begin on Monday",
        ),
        # 29 December 2025 to 4 January 2026 is one week.
        pytest.param(
            ("2025-12-28T15:00", "2025-12-31T15:00", "2026-01-02T15:00"),
            (0, 0, 2, 0),
            ("2025-12-28T15:00", "2026-01-02T15:00"),
            id="a week that spans two years",
        ),
        pytest.param(
            ("2025-11-10T15:00", "2026-10-01T02:00", "2026-11-10T15:00"),
            (0, 0, 0, 2),
            ("2026-10-01T02:00", "2026-11-10T15:00"),
            id="months are of one year, and local",
        ),
        pytest.param(
            ("2026-03-01T15:00", "2026-07-01T15:00", "2026-11-01T15:00"),
            (0, 2, 0, 0),
            ("2026-07-01T15:00", "2026-11-01T15:00"),
            id="days without a backup do not count",
        ),
    ],
)
def test_what_stays(made: tuple[str, ...], policy: tuple[int, int, int, int], stays: tuple[str, ...]) -> None:
    assert kept(backups(*made), Policy(*policy)) == sorted(stays)


def test_two_years_of_nights() -> None:
    stays = kept(nightly(730), Policy(3, 7, 4, 6))
    assert stays[-7:] == [f"2026-11-{day}T05:30" for day in range(16, 23)]
    assert stays[:-7] == [
        *(f"2026-{month}T05:30" for month in ("06-30", "07-31", "08-31", "09-30", "10-31", "11-01", "11-08", "11-15")),
    ]


def test_a_daily_backup_grows_into_a_monthly_one() -> None:
    """Pruned night after night, as it happens, the outcome is the same as pruned once."""
    policy = Policy(3, 7, 4, 6)
    there: list[Dated] = []
    for tonight in reversed(nightly(400)):
        there.append(tonight)
        gone = prune(there, policy, zone=BRASILIA)
        there = [backup for backup in there if backup.name not in gone]
    assert [backup.name for backup in there] == kept(nightly(400), policy)


def test_each_database_counts_for_itself() -> None:
    other = Dated("other", "2020-01-01T00:00:00Z", ("esus", "Boa Vista"))
    assert "other" in kept([*nightly(30), other], Policy(1, 0, 0, 0))
    assert len(kept([*nightly(30), other], Policy(1, 0, 0, 0))) == 2


def test_what_was_just_made_stays_although_a_wrong_clock_made_another_newer() -> None:
    made = backups("2026-11-22T05:30", "2031-01-01T05:30")
    assert prune(made, Policy(1, 1, 1, 1), keep=["2026-11-22T05:30"]) == []
    assert prune(made, Policy(1, 0, 0, 0)) == ["2026-11-22T05:30"]


def test_the_oldest_goes_first_whatever_the_order_they_are_given_in() -> None:
    made = nightly(30)
    random.Random(7).shuffle(made)
    gone = prune(made, Policy(1, 0, 0, 0), zone=BRASILIA)
    assert len(gone) == 29
    assert gone == sorted(gone)


@pytest.mark.parametrize("ended", ["", "yesterday", "2026-11-22", "2026-11-22T03:00:00", "9999999-01-01T00:00:00Z", None])
def test_a_time_that_is_none(ended: str) -> None:
    with pytest.raises(PecError, match="is not a time"):
        prune([Dated("x", ended, ESUS)], Policy(1, 0, 0, 0))
