# SPDX-License-Identifier: GPL-3.0-or-later
"""The program that the timer runs: renewal.pyz --renew-before-days=N [--timeout=SECONDS].

It ends with 0 when nothing had to be done, or when PEC shows a newer certificate.
"""

from __future__ import annotations

import argparse
import os
import sys
from typing import TextIO

from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.renewal import renewing

FAILED, MISUSED = 1, 2


def main(arguments: list[str]) -> int:
    """Look, restart PEC where needed, say what came of it, and return the exit status."""
    parser = argparse.ArgumentParser(prog="renewal.pyz", description="Restart PEC when its certificate by certmgr has few days left.")
    parser.add_argument("--renew-before-days", type=int, required=True, metavar="DAYS", help="fewer days left mean a restart")
    parser.add_argument("--timeout", type=int, default=900, metavar="SECONDS", help="how long PEC may take to start (default %(default)s)")
    options = parser.parse_args(arguments)
    if os.geteuid() != 0:
        _write(sys.stderr, "only root can read PEC's files and restart it; run this as root")
        return MISUSED
    try:
        renewing.run(options.renew_before_days, options.timeout, lambda text: _write(sys.stdout, text))
    except PecError as error:
        _write(sys.stderr, f"the certificate was not renewed: {error}")
        return FAILED
    return 0


def _write(stream: TextIO, text: str) -> None:
    stream.write(f"{text}\n")
    stream.flush()
