# SPDX-License-Identifier: GPL-3.0-or-later
"""Moments as the collection writes and reads them: UTC, in three forms. Private to the collection.

A moment is seconds since 1970, a datetime with its zone, or None for now.
"""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Union

from ansible_collections.esus.pec.plugins.module_utils.errors import PecError

Moment = Union[float, datetime, None]
_UTC = "%Y-%m-%dT%H:%M:%SZ"


def utc(moment: Moment = None) -> str:
    """Return a moment as in 2026-11-22T03:00:00Z."""
    return _in_utc(moment).strftime(_UTC)


def compact(moment: Moment = None) -> str:
    """Return a moment for the name of a file, as in 20261122T030000Z."""
    return _in_utc(moment).strftime("%Y%m%dT%H%M%SZ")


def human(moment: Moment = None) -> str:
    """Return a moment for a sentence, as in 2026-11-22 03:00 UTC."""
    return _in_utc(moment).strftime("%Y-%m-%d %H:%M UTC")


def parse(text: str) -> datetime:
    """Read what utc wrote. Raises PecError for anything else."""
    try:
        return datetime.strptime(text, _UTC).replace(tzinfo=timezone.utc)
    except (TypeError, ValueError):
        raise PecError(f"{text!r} is not a time in UTC, such as 2026-11-22T03:00:00Z") from None


def _in_utc(moment: Moment) -> datetime:
    if moment is None:
        return datetime.now(timezone.utc)
    return moment.astimezone(timezone.utc) if isinstance(moment, datetime) else datetime.fromtimestamp(moment, timezone.utc)
