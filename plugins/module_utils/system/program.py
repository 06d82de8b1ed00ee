# SPDX-License-Identifier: GPL-3.0-or-later
"""The base of the programs that a timer runs without Ansible. Private to the collection."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence

from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.system import signals

FAILED, MISUSED = 1, 2


def run_program(parser: argparse.ArgumentParser, arguments: Sequence[str], work: Callable[[argparse.Namespace], None], failure: str) -> int:
    """Parse the arguments, do the work, and return the exit status. The reason of a failure goes to stderr, after C(failure).

    A wrong argument ends the process with status 2.
    """
    options = parser.parse_args(arguments)
    if os.geteuid() != 0:
        sys.stderr.write("only root can read PEC's files; run this as root\n")
        return MISUSED
    signals.listen()
    try:
        work(options)
    except (PecError, signals.Stopped) as error:
        sys.stderr.write(f"{failure}: {error}\n")
        return FAILED
    return 0


def report(text: str) -> None:
    """Write one line to stdout, which the journal shows at once."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()
