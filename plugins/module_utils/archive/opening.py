# SPDX-License-Identifier: GPL-3.0-or-later
"""Opens a dump once, so that what was verified is what is loaded. Private to the collection.

A name may lead to another file a moment later, so the dump is read from descriptors only. Its bytes may change too, if another account
can write to it or has it open: the kernel's lease on the open file shows whether anybody began to. A lease copies nothing, and works on
the local file systems; where there is none, only the owner and the mode of the file speak for it.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import re
import signal
import stat
from collections.abc import Iterator

from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.system import files
from ansible_collections.esus.pec.plugins.module_utils.system.directory import Directory, changers_of, locate

CONTENTS = "toc.dat"
_PARTS = re.compile(r"toc\.dat|blobs(?:_\d+)?\.toc|(?:blob_)?\d+\.dat(?:\.gz|\.lz4|\.zst)?", re.ASCII)
_MOST_PARTS = 200000
_F_SETSIG = 10  # fcntl has no name for it on every Python
_REMOTE = {"nfs4", "cifs", "smb3"}  # they answer as if somebody wrote to the file when they cannot know


class Dump:
    """An open dump, a file or a directory. C(path) is for texts; C(bytes) is its size.

    changeable: why another account can change its bytes unnoticed, and what to do about that; None if nobody can. That is always so for a
    directory, because its files are only used after they were copied (C(copying)).
    """

    def __init__(self, path: str, place: int | Directory) -> None:
        self.path = path
        self._place = place
        self.changeable: str | None = None
        if isinstance(place, Directory):
            self.bytes = sum(place.require_regular(name).st_size for name in self.parts())
            return
        self._status = os.fstat(place)
        self.bytes = self._status.st_size
        problem = _lease_problem(place, self._status)
        self._leased = problem is None
        changers = changers_of(path, self._status)
        if problem == _WRITTEN:
            self.changeable = f"{problem}; wait until it is written completely, or copy it"
        elif problem and changers:
            self.changeable = f"{changers[0]}, and {problem}; run: {changers[0].remedy}"

    @property
    def is_directory(self) -> bool:
        """Whether it is a dump in the directory format."""
        return isinstance(self._place, Directory)

    def descriptor(self, part: str = "") -> int:
        """Return a new descriptor of the dump, or of this file of a directory, at its beginning; the caller closes it."""
        with _readable(self.path):
            if isinstance(self._place, Directory):
                return self._place.open(part)
            return os.open(f"/proc/self/fd/{self._place}", os.O_RDONLY | os.O_CLOEXEC)

    def parts(self) -> list[str]:
        """Return the names of the files of a directory, sorted. Raises PecError if it holds anything that pg_dump does not make there."""
        if not isinstance(self._place, Directory):
            return []
        with _readable(self.path):
            names = self._place.names()
        if CONTENTS not in names:
            raise PecError(f"{self.path} is a directory, but not a dump: it has no {CONTENTS}; give the path of the dump itself")
        if len(names) > _MOST_PARTS:
            raise PecError(f"{self.path} has {len(names)} files, and more than {_MOST_PARTS} are not read; dump with --format=custom")
        other = next((name for name in names if not _PARTS.fullmatch(name)), None)
        if other is not None:
            raise PecError(f"{self.path} holds {other!a}, which is no part of a dump by pg_dump; remove it, or make a new dump")
        return names

    def require_unchanged(self) -> None:
        """Raise PecError if anybody began to write to the file since it was opened."""
        if isinstance(self._place, Directory):
            return
        now = os.fstat(self._place)
        written = (now.st_size, now.st_mtime_ns) != (self._status.st_size, self._status.st_mtime_ns)
        if written or (self._leased and fcntl.fcntl(self._place, fcntl.F_GETLEASE) != fcntl.F_RDLCK):
            raise PecError(f"{self.path} was opened for writing by another program while it was read; run again when nobody writes to it")


@contextlib.contextmanager
def open_dump(path: str, *, shown: str | None = None) -> Iterator[Dump]:
    """Open a dump until the end of the block. shown is the path for texts.

    Raises PecError if it cannot be read, or is neither a regular file nor a directory, and at a link that another account can have made.
    """
    path = os.path.abspath(path)
    text = shown or path
    with contextlib.ExitStack() as stack:
        with _readable(text), locate(path) as (here, name):
            status = here.status(name)
            if status is not None and stat.S_ISDIR(status.st_mode):
                place: int | Directory = stack.enter_context(here.enter(name))
            else:
                place = here.open(name)
                stack.callback(os.close, place)
        yield Dump(text, place)


_WRITTEN = "another program has it open for writing"


def _lease_problem(descriptor: int, status: os.stat_result) -> str | None:
    """Take a lease: from now on nobody can open the file for writing without our noticing it. Return why that is not possible."""
    try:
        fcntl.fcntl(descriptor, _F_SETSIG, signal.SIGURG)  # the signal that says so would end us, but for this one
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_RDLCK)
    except OSError as error:
        if error.errno == errno.EAGAIN and _file_system(status) not in _REMOTE:
            return _WRITTEN
        return f"this would not be noticed here ({error.strerror})"
    return None


def _file_system(status: os.stat_result) -> str:
    number = f"{os.major(status.st_dev)}:{os.minor(status.st_dev)}"
    with open("/proc/self/mountinfo", encoding="utf-8", errors="replace") as mounts:
        for line in mounts:
            words = line.split()
            if words[2] == number:
                return words[words.index("-") + 1]
    return ""


@contextlib.contextmanager
def _readable(path: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise PecError(files.cannot("read", path, error)) from None
