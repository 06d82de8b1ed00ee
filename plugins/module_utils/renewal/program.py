# SPDX-License-Identifier: GPL-3.0-or-later
"""The program that the renewal timer runs: renewal.pyz --renew-before-days=N [--timeout=SECONDS]. Private to the collection."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from ansible_collections.esus.pec.plugins.module_utils.renewal import renewing
from ansible_collections.esus.pec.plugins.module_utils.system.program import report, run_program


def renewal_program(arguments: Sequence[str]) -> int:
    """Restart PEC if its certificate expires soon, report on stdout, and return the exit status.

    0: nothing had to be done, or PEC serves a newer certificate.
    """
    parser = argparse.ArgumentParser(prog="renewal.pyz", description="Restart PEC when its certificate from certmgr has few days left.")
    parser.add_argument(
        "--renew-before-days", type=int, required=True, metavar="DAYS", help="restart when fewer than this many days are left"
    )
    parser.add_argument("--timeout", type=int, default=900, metavar="SECONDS", help="time that PEC may take to start (default %(default)s)")
    return run_program(parser, arguments, _renew, "the certificate was not renewed")


def _renew(options: argparse.Namespace) -> None:
    renewing.run(options.renew_before_days, options.timeout, report)
