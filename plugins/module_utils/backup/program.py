# SPDX-License-Identifier: GPL-3.0-or-later
"""The program that the backup timer runs: backup.pyz [CONFIGURATION]. Private to the collection."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from ansible_collections.esus.pec.plugins.module_utils.backup import configuration, recording
from ansible_collections.esus.pec.plugins.module_utils.system.program import report, run_program


def backup_program(arguments: Sequence[str]) -> int:
    """Make a backup, report on stdout, and return the exit status: 0 only when there is a new backup."""
    parser = argparse.ArgumentParser(prog="backup.pyz", description="Make the backup of PEC that a configuration file describes.")
    parser.add_argument("configuration", nargs="?", default=configuration.DEFAULT_PATH, help="path of the file (default %(default)s)")
    return run_program(parser, arguments, _back_up, "the backup failed")


def _back_up(options: argparse.Namespace) -> None:
    report("\n".join(recording.describe(recording.run_recorded(options.configuration))))
