# SPDX-License-Identifier: GPL-3.0-or-later
"""Moments as the collection writes them: UTC, to the second. Private to the collection."""

from __future__ import annotations

from datetime import datetime, timezone


def utc(seconds: float | None = None) -> str:
    """Return a time (by default now) as in 2026-11-22T03:00:00Z."""
    moment = datetime.now(timezone.utc) if seconds is None else datetime.fromtimestamp(seconds, timezone.utc)
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
