# SPDX-License-Identifier: GPL-3.0-or-later
"""Brings directories of attachments, which may be many gigabytes, beside their final place, and then there. Private to the collection.

Each run copies what is missing or changed, so that most can be copied while the source still works. Until it is complete only root can
read the copy, and no other account can change it.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import posixpath
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field

from ansible_collections.esus.pec.plugins.module_utils.carrying import names, rsyncing
from ansible_collections.esus.pec.plugins.module_utils.carrying.sftp import Attributes, Sftp, UnreadableError, spelled
from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.system import clock, confinement, files, host
from ansible_collections.esus.pec.plugins.module_utils.system.directory import Directory, opened
from ansible_collections.esus.pec.plugins.module_utils.transfer import link

_BESIDE = ".transfer"
_PARTS = (".esus-pec-", ".part")
_MOST_LISTED = 200
DIRECTORY_MODE, FILE_MODE = 0o750, 0o640


@dataclass(frozen=True)
class Wanted:
    """A directory at the source, and where its content belongs on this host."""

    source: str
    target: str

    @property
    def beside(self) -> str:
        """Where it is until it is complete."""
        return self.target.rstrip("/") + _BESIDE


@dataclass
class Copied:
    """What one run did: C(fetched) of C(files), and C(removed) others; C(missing) is what could not be copied, and why."""

    files: int = 0
    bytes: int = 0
    fetched: int = 0
    removed: int = 0
    missing: list[tuple[str, str]] = field(default_factory=list)
    more_missing: int = 0

    def lacks(self, path: str, reason: str) -> None:
        """Note what could not be copied. A hostile server could name any number."""
        if len(self.missing) < _MOST_LISTED:
            self.missing.append((names.shown(path), reason))
        else:
            self.more_missing += 1


def is_there(wanted: Wanted) -> bool:
    """Return whether the final place has something in it, so that nothing is copied any more."""
    with contextlib.suppress(FileNotFoundError), opened(wanted.target) as here:
        return bool(here.names())
    return False


@contextlib.contextmanager
def place(wanted: Wanted, *, check: bool = False) -> Iterator[Directory]:
    """Make and open the directory beside; with C(check) open an existing one.

    Raises PecError when another account can change it, or the directory that it is in."""
    above = posixpath.dirname(wanted.target.rstrip("/"))
    if not os.path.lexists(above):
        raise PecError(f"{above} does not exist, so {wanted.target} cannot be made; make it, or mount it")
    if os.path.ismount(wanted.target):
        raise PecError(f"{wanted.target} is a mount point, which nothing can be moved to; set target to a directory in it")
    files.require_ours(above, "the directory of attachments")
    if not check:
        files.make_directory(wanted.beside)
    if confinement.active() and not check:
        _give(wanted.beside, os.getuid(), None)  # a killed run left it to an account without rights
    files.require_ours(wanted.beside, "the directory of attachments")
    with opened(wanted.beside) as here:
        yield here


def by_sftp(session: Sftp, wanted: Wanted, here: Directory | None, *, check: bool = False) -> Copied:
    """Copy what is missing; with C(check) only count what would be copied, and C(here) may be None if there is no copy yet.

    Raises PecError when the source has no such directory, or more than fits here.
    """
    root = spelled(wanted.source)
    status = session.status(root)
    if status is None or not status.is_directory:
        raise PecError(f"{wanted.source} on the source is not a directory; correct attachments")
    planned = _Copying(session, wanted, write=False)
    planned.copy(root, here, "", 0)
    if check:
        return planned.copied
    _require_room(wanted, planned.left)
    copying = _Copying(session, wanted, write=True)
    copying.copy(root, here, "", 0)
    return copying.copied


def by_rsync(ssh: link.Ssh, rsync: rsyncing.Rsync, wanted: Wanted, here: Directory | None, timeout: float) -> Copied:
    """Copy what is missing; without a directory (check mode) only count it. Raises PecError when the source is not reached."""
    before = dict(_files(wanted.beside))
    had = sum(size for size, _time in before.values())
    count, total = rsyncing.counted(ssh, rsync, wanted.source, most_bytes=names.ATTACHMENTS.file, timeout=timeout)
    if here is None:
        other = (count, total) != (len(before), had)
        return Copied(count, total, max(count - len(before), int(other and count >= len(before))), max(0, len(before) - count))
    _require_room(wanted, total - had)
    _give(wanted.beside, confinement.uid() if confinement.active() else os.getuid(), None)
    try:
        problems = rsyncing.copy(ssh, rsync, wanted.source, here, most_bytes=names.ATTACHMENTS.file, timeout=timeout, mirror=True)
    finally:
        _give(wanted.beside, os.getuid(), None)
    after = dict(_files(wanted.beside))
    copied = Copied(len(after), sum(size for size, _time in after.values()))
    copied.fetched = sum(1 for path, each in after.items() if before.get(path) != each)
    copied.removed = len(before.keys() - after.keys())
    for path, reason in problems:
        copied.lacks(path, reason)
    return copied


def _require_room(wanted: Wanted, missing: int) -> None:
    disk = host.disk_usage(wanted.beside)
    if missing > disk.spare_bytes:
        needed, free = host.describe_size(missing), host.describe_size(disk.free_bytes)
        raise PecError(
            f"{needed} of {wanted.source} are missing in {wanted.beside}, where {free} are free, of which some must stay free; make room "
            "there, or set target to another disk"
        )


def install(wanted: Wanted, uid: int, gid: int) -> list[str]:
    """Give the copy to PEC's account and put it at its final place; return where the one before is kept. Raises PecError if that fails."""
    _give(wanted.beside, uid, gid)
    kept = []
    if is_there(wanted):
        kept.append(f"{wanted.target.rstrip('/')}.replaced-{clock.compact()}")
        files.rename(wanted.target.rstrip("/"), kept[0])
    files.rename(wanted.beside, wanted.target)
    return kept


class _Copying:
    """One pass through a directory of the source. C(left): the bytes that are missing here."""

    def __init__(self, session: Sftp, wanted: Wanted, *, write: bool) -> None:
        self._session, self._wanted, self._write = session, wanted, write
        self.copied, self.left, self._seen = Copied(), 0, 0

    def copy(self, place: str, here: Directory | None, path: str, depth: int) -> None:
        """Copy the directory C(place), which is C(path) below the root, to C(here)."""
        if depth > names.ATTACHMENTS.depth:
            self.copied.lacks(path, "it is nested too deep")
            return
        try:
            for name, status in self._session.names(place):
                self._seen += 1
                if self._seen > names.ATTACHMENTS.names:
                    raise PecError(f"{self._wanted.source} on the source holds more than {names.ATTACHMENTS.names} names; look at it")
                problem = names.problem(name)
                if problem:
                    self.copied.lacks(posixpath.join(path, name.decode("utf-8", "replace")), problem)
                else:
                    self._one(f"{place}/{name.decode()}", here, posixpath.join(path, name.decode()), status, depth)
        except UnreadableError as error:
            self.copied.lacks(path or self._wanted.source, str(error))

    def _one(self, place: str, here: Directory | None, path: str, status: Attributes, depth: int) -> None:
        name = posixpath.basename(path)
        existing = here.status(name) if here else None
        if status.is_directory:
            if existing is not None and not stat.S_ISDIR(existing.st_mode):
                self.copied.lacks(path, "it was a file before; remove the copy, then run again")
                return
            with contextlib.ExitStack() as stack:
                below = None
                if here and existing is not None:
                    below = stack.enter_context(here.enter(name))
                elif here and self._write:
                    below = stack.enter_context(here.make(name))
                self.copy(place, below, path, depth + 1)
        elif not status.is_file:
            self.copied.lacks(path, "it is a link, or no regular file")
        elif status.size > names.ATTACHMENTS.file:
            self.copied.lacks(path, f"it has more than {names.ATTACHMENTS.file >> 30} GiB")
        else:
            self._file(place, here, path, status, existing)

    def _file(self, place: str, here: Directory | None, path: str, status: Attributes, existing: os.stat_result | None) -> None:
        same = existing is not None and (existing.st_size, int(existing.st_mtime)) == (status.size, status.modified)
        if not same and self._write and here:
            _require_room(self._wanted, status.size)  # it may have grown since it was counted
            try:
                self._fetch(place, here, posixpath.basename(path), status)
            except UnreadableError as error:
                self.copied.lacks(path, str(error))
                return
        self.copied.files += 1
        self.copied.bytes += status.size
        if not same:
            self.copied.fetched += 1
            self.left += status.size

    def _fetch(self, place: str, here: Directory, name: str, status: Attributes) -> None:
        """Write a file under a name of its own until it is complete; go on with one that is of the same time and not longer."""
        part = hashlib.sha256(name.encode()).hexdigest()[:16].join(_PARTS)
        begun = here.status(part)
        if begun is not None and not (
            stat.S_ISREG(begun.st_mode) and int(begun.st_mtime) == status.modified and begun.st_size <= status.size
        ):
            here.remove(part)
            begun = None
        flags = os.O_WRONLY | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = here.create(part) if begun is None else os.open(part, flags, dir_fd=here.descriptor)
        with os.fdopen(descriptor, "ab") as stream:
            try:
                self._session.read(place, stream.write, most=status.size, offset=begun.st_size if begun else 0)
            finally:
                stream.flush()
                os.utime(stream.fileno(), (status.modified, status.modified))
            if os.fstat(stream.fileno()).st_size != status.size:
                raise UnreadableError("it changed while it was read; run again")
        here.rename(part, here, name)


def _files(directory: str) -> Iterator[tuple[str, tuple[int, int]]]:
    """The files of the copy, each with its size and time."""
    for entry in files.walk(directory):
        if stat.S_ISREG(entry.status.st_mode):
            yield entry.path[len(directory) + 1 :], (entry.status.st_size, int(entry.status.st_mtime))


def _give(directory: str, uid: int, gid: int | None) -> None:
    """Give the copy to an account, without links; with a group also set the modes that PEC needs, and remove what an interrupted copy left.

    No other account could put anything there before it had any right, but a server may have taken over the program that fills it.
    """
    for entry in files.walk(directory):
        is_directory, is_file = stat.S_ISDIR(entry.status.st_mode), stat.S_ISREG(entry.status.st_mode)
        part = entry.name.startswith(_PARTS[0]) and entry.name.endswith(_PARTS[1])
        if not is_directory and (not is_file or (part and gid is not None)):
            entry.here.unlink(entry.name)
            continue
        owner = (uid, uid if gid is None else gid)
        if (entry.status.st_uid, entry.status.st_gid) != owner:
            os.chown(entry.name, *owner, dir_fd=entry.here.descriptor, follow_symlinks=False)
        if gid is not None:
            os.chmod(entry.place(), DIRECTORY_MODE if is_directory else FILE_MODE)
