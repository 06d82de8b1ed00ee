# SPDX-License-Identifier: GPL-3.0-or-later
"""One run at a time: locks of this host, released by the kernel when their process ends. Private to the collection."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import stat
from collections.abc import Iterator

from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.system import clock, files

DIRECTORY = "/run/lock/esus-pec"

INSTALLER = "installer"
"""Held by every run that installs, stops or restarts PEC."""


@contextlib.contextmanager
def lock(name: str, *, directory: str = DIRECTORY) -> Iterator[None]:
    """Hold the host-wide lock C(name) inside the C(with) block.

    Raises PecError, with the holder's process and the start of its run, if another process holds it. A lock file that a dead process
    left behind is no obstacle.
    """
    path = os.path.join(directory, f"{name}.lock")
    try:
        _private_directory(directory)
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise PecError(files.cannot("create the lock", path, error)) from None
    with os.fdopen(handle, "r+", encoding="utf-8") as stream:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno not in (errno.EWOULDBLOCK, errno.EACCES):
                raise PecError(files.cannot("lock", path, error)) from None
            raise PecError(f"another run holds the lock {path} ({_holder(stream.read())}); wait until it ends, then run again") from None
        stream.truncate(0)
        stream.write(f"{os.getpid()} {clock.utc()}\n")
        stream.flush()
        try:
            yield
        finally:
            os.ftruncate(handle, 0)


def _holder(note: str) -> str:
    pid, _blank, since = note.strip().partition(" ")
    return f"process {pid}, since {since}" if pid.isdigit() and since else "process unknown"


def _private_directory(directory: str) -> None:
    """Create the directory with mode 0700; refuse one of another user, because C(/run/lock) is world-writable."""
    os.makedirs(os.path.dirname(directory), exist_ok=True)
    with contextlib.suppress(FileExistsError):
        os.mkdir(directory, 0o700)
    status = os.lstat(directory)
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid():
        raise PecError(f"{directory} is not a directory owned by the user who runs this; use become: true, or remove it")
