# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from ansible_collections.esus.pec.plugins.module_utils.system import signals

NUMBERS = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    """As a terminal leaves them: a test run in the background, or under nohup, ignores some."""
    before = {number: signal.signal(number, signal.SIG_DFL) for number in NUMBERS}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def send(number: int) -> None:
    os.kill(os.getpid(), number)
    signal.sigtimedwait([], 0)  # Python runs its handler before the next line


@pytest.mark.parametrize("number", NUMBERS)
def test_the_first_signal_stops_the_run_and_a_second_one_does_not_stop_the_cleanup(number: signal.Signals) -> None:
    signals.listen()
    cleaned = False
    with pytest.raises(signals.Stopped, match=f"stopped by {number.name}"):
        try:
            send(number)
        finally:
            for again in NUMBERS:
                send(again)
            cleaned = True
    assert cleaned


def test_programs_that_the_cleanup_starts_can_be_stopped() -> None:
    signals.listen()
    with pytest.raises(signals.Stopped):
        send(signal.SIGTERM)
    script = "import os, signal; os.kill(os.getpid(), signal.SIGTERM)"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == -signal.SIGTERM


def test_noted_signals_interrupt_nothing() -> None:
    signals.listen()
    with signals.noted() as received:
        send(signal.SIGTERM)
        send(signal.SIGHUP)
        assert received == [signal.SIGTERM, signal.SIGHUP]
    with pytest.raises(signals.Stopped):
        send(signal.SIGINT)


def test_what_nohup_ignores_stays_ignored() -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signals.listen()
    send(signal.SIGHUP)
    with signals.noted() as received:
        send(signal.SIGHUP)
    assert received == []
