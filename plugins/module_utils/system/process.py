# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs other programs: argument lists only, a small known environment, nothing left after a timeout. Private to the collection."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ansible_collections.esus.pec.plugins.module_utils.errors import PecError

SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True)
class Completed:
    """How a program ended. A negative C(returncode) is the number of the signal that killed it."""

    returncode: int
    stdout: str
    stderr: str


def search_path() -> str:
    """Return the directories to look for programs in: those of PATH, then the system's own."""
    return os.pathsep.join(part for part in (os.environ.get("PATH", ""), SYSTEM_PATH) if part)


def which(name: str) -> str | None:
    """Return the path of the program C(name), or None; the system directories count even when PATH lacks them."""
    return shutil.which(name, path=search_path())


def find(name: str) -> str:
    """Return the path of the program C(name). Raises PecError when it is not installed."""
    program = which(name)
    if program is None:
        raise PecError(f"the program {name} is not on this host; install the package that brings it")
    return program


def run(
    argv: Sequence[str],
    *,
    timeout: float = 60,
    env: Mapping[str, str] | None = None,
    cwd: str | None = None,
    stdin: str | None = None,
) -> Completed:
    """Run C(argv) to its end and return its output; the caller judges a non-zero exit code.

    timeout is in seconds; env is added to a minimal environment with LC_ALL=C.UTF-8; stdin is text (none: empty input).
    Raises PecError when the program is missing, cannot be started or does not end in time (it and its children are then killed).
    Errors name the program only, because its arguments may be private.
    """
    program = find(argv[0])
    try:
        child = subprocess.Popen(
            [program, *argv[1:]],
            stdin=subprocess.PIPE if stdin is not None else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment(env),
            cwd=cwd,
            encoding="utf-8",
            errors="replace",
            start_new_session=True,
        )
    except OSError as error:
        raise PecError(f"cannot start {program}: {error.strerror}") from None
    try:
        stdout, stderr = child.communicate(stdin, timeout=timeout)
    except subprocess.TimeoutExpired:
        _kill(child)
        raise PecError(f"{program} did not end within {timeout:g} seconds and was stopped") from None
    except BaseException:
        _kill(child)
        raise
    return Completed(child.returncode, stdout, stderr)


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the minimal environment that programs get, with C(extra) on top."""
    minimal = {"PATH": search_path(), "LC_ALL": "C.UTF-8", "HOME": os.path.expanduser("~")}
    minimal.update(extra or {})
    return minimal


def _kill(child: subprocess.Popen[str]) -> None:
    """Kill the whole session of the child, then collect it; a grandchild must not keep its pipes open."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)
    child.communicate()
