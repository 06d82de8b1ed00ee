# SPDX-License-Identifier: GPL-3.0-or-later
"""The program that the timer runs: backup.pyz [CONFIGURATION]. It ends with 0 only when a new backup is there."""

from __future__ import annotations

import os
import signal
import sys
from typing import TextIO

from ansible_collections.esus.pec.plugins.module_utils.backup import configuration, running
from ansible_collections.esus.pec.plugins.module_utils.errors import PecError

USAGE = f"usage: backup.pyz [CONFIGURATION]   (default {configuration.DEFAULT_PATH})"
FAILED, MISUSED = 1, 2


def main(arguments: list[str]) -> int:
    """Make the backup, say on stdout what came of it or on stderr why nothing did, and return the exit status."""
    if len(arguments) > 1 or any(argument.startswith("-") for argument in arguments):
        _write(sys.stderr, USAGE)
        return MISUSED
    if os.geteuid() != 0:
        _write(sys.stderr, "only root can read PEC's files; run this as root")
        return MISUSED
    signal.signal(signal.SIGTERM, _stop)
    try:
        report = running.run_recorded(arguments[0] if arguments else configuration.DEFAULT_PATH)
    except PecError as error:
        _write(sys.stderr, f"the backup failed: {error}")
        return FAILED
    _write(sys.stdout, "\n".join(running.tell(report)))
    return 0


def _write(stream: TextIO, text: str) -> None:
    stream.write(f"{text}\n")


def _stop(_number: int, _frame: object) -> None:
    """Leave in the ordinary way, so that no program stays behind and the run is recorded as failed."""
    raise SystemExit("the backup was stopped by SIGTERM, as systemd does when its time is over (pec_backup_timeout)")
