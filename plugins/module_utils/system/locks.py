# SPDX-License-Identifier: GPL-3.0-or-later
"""One run at a time: locks of this host, released by the kernel when their process ends. Private to the collection."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import time
from collections.abc import Iterator

from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.system import clock, files
from ansible_collections.esus.pec.plugins.module_utils.system.directory import opened

DIRECTORY = "/run/esus-pec"

_SUFFIX = ".lock"

INSTALLER = "installer"
"""Held by every run that installs, stops or restarts PEC."""


class HeldError(PecError):
    """Another process holds the lock."""


@contextlib.contextmanager
def lock(name: str, *, directory: str = DIRECTORY, run: str = "") -> Iterator[None]:
    """Hold the host-wide lock C(name) inside the C(with) block. C(run) is what others are told about this run.

    Raises HeldError, with the holder's process, the start of its run and what it is, if another process holds it. A lock file that a dead
    process left behind is no obstacle.
    """
    path = os.path.join(directory, name + _SUFFIX)
    try:
        files.make_private(directory)
        with opened(directory) as here:
            handle = os.open(name + _SUFFIX, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600, dir_fd=here.descriptor)
    except OSError as error:
        raise PecError(files.cannot("create the lock", path, error)) from None
    with os.fdopen(handle, "r+", encoding="utf-8") as stream:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno not in (errno.EWOULDBLOCK, errno.EACCES):
                raise PecError(files.cannot("lock", path, error)) from None
            raise HeldError(f"another run holds the lock {path} ({_holder(stream.read())}); wait until it ends, then run again") from None
        stream.truncate(0)
        stream.write(f"{os.getpid()} {clock.utc()} {run}".rstrip() + "\n")
        stream.flush()
        try:
            yield
        finally:
            os.ftruncate(handle, 0)


@contextlib.contextmanager
def lock_soon(name: str, seconds: float) -> Iterator[None]:
    """Hold the lock of what every run requires for a moment only: wait so long for the others. Raises as C(lock) does."""
    deadline = time.monotonic() + seconds
    with contextlib.ExitStack() as stack:
        while True:
            try:
                stack.enter_context(lock(name))
                break
            except HeldError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.05)
        yield


def names(directory: str = DIRECTORY) -> list[str]:
    """Return the names of the locks that were ever held since the host started."""
    try:
        return sorted(name[: -len(_SUFFIX)] for name in os.listdir(directory) if name.endswith(_SUFFIX))
    except FileNotFoundError:
        return []


def holder(name: str, *, directory: str = DIRECTORY) -> str:
    """Return what is known of the process that holds a lock, empty if none does. The lock is taken for an instant to find out."""
    if not os.path.exists(os.path.join(directory, name + _SUFFIX)):
        return ""
    try:
        with lock(name, directory=directory):
            return ""
    except HeldError as error:
        return str(error).partition("(")[2].rpartition(")")[0]


def _holder(note: str) -> str:
    pid, since, run = [*note.strip().split(" ", 2), "", "", ""][:3]
    if not (pid.isdigit() and since):
        return "process unknown"
    return f"{run}, process {pid}, since {since}" if run else f"process {pid}, since {since}"
