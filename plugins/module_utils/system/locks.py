# SPDX-License-Identifier: GPL-3.0-or-later
"""One run at a time: locks of this host, released by the kernel when their process ends. Private to the collection."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import stat
import time
from collections.abc import Iterator

from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.system import files

DIRECTORY = "/run/lock/esus-pec"

INSTALLER = "installer"
"""Held by whatever installs, stops or restarts PEC."""


@contextlib.contextmanager
def lock(name: str, *, directory: str = DIRECTORY) -> Iterator[None]:
    """Hold the host-wide lock C(name) for the time of the C(with) block.

    Raises PecError, naming the holder's process and since when, if another process holds it. The kernel releases the lock of a
    process that died, so a file left behind is no obstacle.
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
        stream.write(f"{os.getpid()} {time.strftime('%Y-%m-%dT%H:%M:%S%z')}\n")
        stream.flush()
        try:
            yield
        finally:
            os.ftruncate(handle, 0)


def _holder(note: str) -> str:
    pid, _blank, since = note.strip().partition(" ")
    return f"process {pid}, since {since}" if pid.isdigit() and since else "its process did not say who it is"


def _private_directory(directory: str) -> None:
    """Create the directory 0700; C(/run/lock) is world-writable, so one that belongs to somebody else is refused."""
    os.makedirs(os.path.dirname(directory), exist_ok=True)
    with contextlib.suppress(FileExistsError):
        os.mkdir(directory, 0o700)
    status = os.lstat(directory)
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid():
        raise PecError(f"{directory} is not a directory of the user who runs this; use become: true, or remove it if it is not yours")
