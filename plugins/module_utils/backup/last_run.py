# SPDX-License-Identifier: GPL-3.0-or-later
"""What the last backup came to, in files that monitoring can read without being root."""

from __future__ import annotations

import contextlib
import json
import os

from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.system import clock, files

DIRECTORY = "/var/lib/esus-pec/backup"
_SUCCESS, _FAILURE = "last-success.json", "last-failure.json"


def success(facts: dict[str, object], directory: str = DIRECTORY) -> None:
    """Record a backup that is whole. The record of a failure before it goes: it is there exactly while the last run failed."""
    _write(directory, _SUCCESS, facts)
    with contextlib.suppress(FileNotFoundError):
        os.unlink(os.path.join(directory, _FAILURE))


def failure(message: str, directory: str = DIRECTORY) -> None:
    """Record why there is no new backup. What cannot be recorded must not hide the reason, which the caller still has."""
    with contextlib.suppress(PecError):
        _write(directory, _FAILURE, {"message": message, "when": clock.utc()})


def _write(directory: str, name: str, facts: dict[str, object]) -> None:
    try:
        for path in (os.path.dirname(directory), directory):
            with contextlib.suppress(FileExistsError):
                os.mkdir(path)
                os.chmod(path, 0o755)  # noqa: S103 - monitoring is not root, and the umask may say otherwise
    except OSError as error:
        raise PecError(f"cannot make the directory {directory}: {error.strerror}") from None
    files.write_atomic(os.path.join(directory, name), json.dumps(facts, ensure_ascii=False, indent=1).encode() + b"\n", mode=0o644)
