# SPDX-License-Identifier: GPL-3.0-or-later
"""A module that is told to stop, as when its connection ends, takes back what it has begun."""

from __future__ import annotations

import signal


class Stopped(BaseException):
    """Not an error that anything on the way could take for one of its own."""


def listen() -> None:
    """From now on the signals that end a process raise Stopped."""
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(number, _stop)


def _stop(number: int, _frame: object) -> None:
    raise Stopped(f"it was stopped by {signal.Signals(number).name}")
