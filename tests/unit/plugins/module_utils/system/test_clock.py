# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest

from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.system import clock

IN_BRASILIA = datetime(2026, 11, 22, 0, 0, 9, tzinfo=timezone(timedelta(hours=-3)))


@pytest.mark.parametrize("moment", [IN_BRASILIA, IN_BRASILIA.timestamp()], ids=["datetime", "seconds"])
def test_the_three_forms(moment: clock.Moment) -> None:
    assert clock.utc(moment) == "2026-11-22T03:00:09Z"
    assert clock.compact(moment) == "20261122T030009Z"
    assert clock.human(moment) == "2026-11-22 03:00 UTC"


def test_what_is_written_is_read_again() -> None:
    assert clock.parse(clock.utc(IN_BRASILIA)) == IN_BRASILIA
    assert abs(datetime.now(timezone.utc) - clock.parse(clock.utc())) < timedelta(seconds=5)


@pytest.mark.parametrize("text", ["", "yesterday", "2026-11-22", "2026-11-22T03:00:00", "9999999-01-01T00:00:00Z", None])
def test_what_is_no_moment_is_refused(text: str) -> None:
    with pytest.raises(PecError, match="is not a time in UTC"):
        clock.parse(text)
