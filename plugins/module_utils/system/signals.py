# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run does when it is told to stop, as when its connection ends. Private to the collection."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Callable, Iterator

_NUMBERS = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)


class Stopped(BaseException):
    """Not an Exception, so that no handler on the way takes it for an error of its own."""


def listen() -> None:
    """From now on the first stop signal raises Stopped; later ones are ignored, so that they cannot interrupt the cleanup."""
    _handle_with(_stop)


@contextlib.contextmanager
def noted() -> Iterator[list[int]]:
    """Interrupt nothing inside the block: yield the list to which the stop signals are added, for a run to end where it safely can."""
    received: list[int] = []
    before = {number: signal.getsignal(number) for number in _NUMBERS}
    _handle_with(lambda number, _frame: received.append(number))
    try:
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _handle_with(handler: Callable[[int, object], None]) -> None:
    """Install the handler. A signal that the caller of this process ignores stays ignored, as nohup does with SIGHUP."""
    for number in _NUMBERS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, handler)


def _stop(number: int, _frame: object) -> None:
    _handle_with(lambda _number, _frame: None)  # a function: processes started from here on must not inherit "ignore"
    raise Stopped(f"it was stopped by {signal.Signals(number).name}")
