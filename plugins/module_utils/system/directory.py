# SPDX-License-Identifier: GPL-3.0-or-later
"""Directories held open, so that another account cannot swap what root reads or writes there. Private to the collection.

A path is entered name by name. As long as only root (or the user who runs this) can change a directory, its links are followed, as in
/var/run -> /run. From the first directory that another account can change, no link is followed, and files are regular ones with one
name (unless they are that account's own), because a hard link may be its way to a file of root's.
"""

from __future__ import annotations

import contextlib
import errno
import grp
import os
import pwd
import shlex
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ansible_collections.esus.pec.plugins.module_utils.errors import PecError

_ENTER = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_LINKS = 40
MOST_DEPTH = 100
"""How deep directories may be nested: each level holds a descriptor, and another account can make as many as it likes."""
_KINDS = {stat.S_IFDIR: "a directory", stat.S_IFLNK: "a symbolic link", stat.S_IFIFO: "a FIFO", stat.S_IFSOCK: "a socket"}


class RefusedError(PecError):
    """Something that another account can have put there to reach root's files. C(changers) are who can."""

    def __init__(self, message: str, changers: Sequence[Changer] = ()) -> None:
        super().__init__(message)
        self.changers = tuple(changers)


@dataclass(frozen=True)
class Changer:
    """An account, or a group, that can change the file or directory C(path), and the command that ends it. C(uid) is the account's."""

    who: str
    path: str
    remedy: str
    uid: int | None = None

    def __str__(self) -> str:
        return f"{self.who} can change {self.path}"


def changers_of(path: str, status: os.stat_result, place: str = "") -> tuple[Changer, ...]:
    """Return who besides root and this user can change a file or directory with this status. C(place) leads to it by a descriptor.

    In a directory with the sticky bit, such as /tmp, other accounts can add names, but not replace those of root's files. Where an access
    control list lets somebody write, the mode has the bit of the group, whatever the group may do.
    """
    found = []
    quoted = shlex.quote(path)
    if status.st_uid not in (0, os.getuid()):
        found.append(Changer(f"the account {account_name(status.st_uid)}", path, f"chown root {quoted}", status.st_uid))
    if not stat.S_ISLNK(status.st_mode) and not (stat.S_ISDIR(status.st_mode) and status.st_mode & stat.S_ISVTX):
        if status.st_mode & stat.S_IWGRP and _has_list(place or path):
            found.append(Changer("somebody in its access control list", path, f"setfacl -b {quoted}"))
        elif status.st_mode & stat.S_IWGRP and status.st_gid != 0:
            found.append(Changer(f"the group {group_name(status.st_gid)}", path, f"chmod g-w {quoted}"))
        if status.st_mode & stat.S_IWOTH:
            found.append(Changer("every account", path, f"chmod o-w {quoted}"))
    return tuple(found)


def _has_list(place: str) -> bool:
    try:
        return bool(os.getxattr(place, "system.posix_acl_access", follow_symlinks=False))
    except OSError as error:  # ENODATA: there is none
        if error.errno in (errno.ENODATA, errno.ENOTSUP, errno.EOPNOTSUPP):
            return False
        raise


def account_name(uid: int) -> str:
    """Return the name of an account, or its number."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def group_name(gid: int) -> str:
    """Return the name of a group, or its number."""
    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return str(gid)


class Directory:
    """A directory by its descriptor. Names are plain ones, and a link is never followed. Methods raise OSError or RefusedError.

    C(changers): who besides root can change it or a directory on the way. C(shared): another account can put names into it.
    """

    def __init__(self, descriptor: int, path: str, changers: Sequence[Changer] = ()) -> None:
        self.descriptor, self.path = descriptor, path
        status = os.fstat(descriptor)
        self.uid = status.st_uid
        self.changers = (*changers, *changers_of(path, status, f"/proc/self/fd/{descriptor}/."))
        self.shared = bool(self.changers) or bool(status.st_mode & stat.S_ISVTX and status.st_mode & 0o022)

    def __enter__(self) -> Directory:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the descriptor; again is no error."""
        if self.descriptor >= 0:
            os.close(self.descriptor)
        self.descriptor = -1

    def at(self, name: str) -> str:
        """Return the path of a name, for texts. Raises RefusedError for a name that leads out of the directory."""
        if "/" in name or name in ("", ".."):
            raise RefusedError(f"{name!r} is not the name of a file in {self.path}")
        return self.path if name == "." else os.path.join(self.path, name)

    def enter(self, name: str) -> Directory:
        """Open a directory in this one."""
        path = self.at(name)
        return Directory(os.open(name, _ENTER, dir_fd=self.descriptor), path, self.changers)

    def parent(self) -> Directory:
        """Open the directory above. Raises RefusedError when another account can have moved this one."""
        if self.shared:
            raise RefusedError(f"{self.path}/.. is not followed, because {_someone(self)}; name the path without ..", self.changers)
        return Directory(os.open("..", _ENTER, dir_fd=self.descriptor), os.path.dirname(self.path), self.changers)

    def status(self, name: str) -> os.stat_result | None:
        """Return the status of a name, None when it does not exist."""
        self.at(name)
        try:
            return os.stat(name, dir_fd=self.descriptor, follow_symlinks=False)
        except FileNotFoundError:
            return None

    def target(self, name: str) -> str | None:
        """Return where a symbolic link leads, None when it is none. Raises RefusedError when another account can have made it."""
        status = self.status(name)
        if status is None or not stat.S_ISLNK(status.st_mode):
            return None
        if self.shared:
            raise RefusedError(
                f"{self.at(name)} is a symbolic link, which is not followed because {_someone(self)}; replace the link by what it leads "
                f"to{_or_end(self)}",
                self.changers,
            )
        return os.readlink(name, dir_fd=self.descriptor)

    def require_regular(self, name: str, status: os.stat_result | None = None) -> os.stat_result:
        """Return the status of a regular file. Raises RefusedError for anything else, FileNotFoundError for nothing."""
        found = status or self.status(name)
        if found is None:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), self.at(name))
        if not stat.S_ISREG(found.st_mode):
            kind = _KINDS.get(stat.S_IFMT(found.st_mode), "a device")
            raise RefusedError(f"{self.at(name)} is {kind}, not a regular file; remove it, or choose another path", self.changers)
        theirs = self.changers and all(each.uid == found.st_uid for each in self.changers)
        if self.shared and found.st_nlink > 1 and not theirs:
            raise RefusedError(
                f"{self.at(name)} has {found.st_nlink} names (hard links) and is not used because {_someone(self)}, so it may be a file of "
                f"root's; replace it by a copy, or remove it{_or_end(self)}",
                self.changers,
            )
        return found

    def open(self, name: str) -> int:
        """Return a descriptor for reading a regular file."""
        self.require_regular(name)  # a device or a FIFO is not even opened
        descriptor = os.open(name, _READ, dir_fd=self.descriptor)
        try:
            self.require_regular(name, os.fstat(descriptor))
        except BaseException:
            os.close(descriptor)
            raise
        return descriptor

    def create(self, name: str, mode: int = 0o600) -> int:
        """Return a descriptor for writing a file that did not exist."""
        self.at(name)
        return os.open(name, _CREATE, mode, dir_fd=self.descriptor)

    def make(self, name: str, mode: int = 0o700) -> Directory:
        """Make and open a directory that did not exist. Raises RefusedError when another account replaced it at once."""
        self.at(name)
        os.mkdir(name, 0o700, dir_fd=self.descriptor)
        made = self.enter(name)
        if made.uid not in (os.getuid(), self.uid) or made.names():  # a shared disk gives everything to one account
            made.close()
            raise RefusedError(f"{self.at(name)} was replaced by another account while it was made; {_someone(self)}", self.changers)
        with contextlib.suppress(PermissionError):  # FAT has one mode for everything; what has to be private proves it (dump/writing.py)
            os.chmod(".", mode, dir_fd=made.descriptor)  # a descriptor of O_PATH knows no fchmod
        return made

    def unlink(self, name: str) -> None:
        """Remove a file, or a link itself."""
        self.at(name)
        os.unlink(name, dir_fd=self.descriptor)

    def remove(self, name: str, depth: int = 0) -> None:
        """Remove a file, a link itself, or a directory with everything in it. Raises RefusedError for one nested too deep."""
        status = self.status(name)
        if status is None or not stat.S_ISDIR(status.st_mode):
            self.unlink(name)
            return
        if depth > MOST_DEPTH:
            raise RefusedError(f"{self.at(name)} is nested too deep to be removed; look at what it is, then: rm -r {self.at(name)}")
        with self.enter(name) as directory:
            for each in directory.names():
                directory.remove(each, depth + 1)
        os.rmdir(name, dir_fd=self.descriptor)

    def rename(self, name: str, target: Directory, new: str) -> None:
        """Move a name to another directory of this file system, and replace what has the new name there."""
        self.at(name), target.at(new)
        os.rename(name, new, src_dir_fd=self.descriptor, dst_dir_fd=target.descriptor)

    def names(self) -> list[str]:
        """Return the names in it, sorted."""
        with self._readable() as descriptor:
            return sorted(os.listdir(descriptor))

    def sync(self) -> None:
        """Wait until its names are on the disk."""
        with self._readable() as descriptor:
            os.fsync(descriptor)

    @contextlib.contextmanager
    def _readable(self) -> Iterator[int]:
        descriptor = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=self.descriptor)
        try:
            yield descriptor
        finally:
            os.close(descriptor)


@contextlib.contextmanager
def locate(path: str, *, last: bool = True) -> Iterator[tuple[Directory, str]]:
    """Yield the directory that holds a path's last name, and that name, which may not exist and is no link ("." for the directory itself).

    last: whether the last name is followed too if it is a link. Raises OSError when a directory on the way is missing, RefusedError at a
    link that another account can have made.
    """
    waiting = _names(os.path.join(os.getcwd(), path) if not os.path.isabs(path) else path)
    links = 0
    here = _root()
    try:
        while waiting:
            name = waiting.pop()
            target = here.target(name) if name != ".." and (waiting or last) else None
            if target is not None:
                links += 1
                if links > _LINKS:
                    raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), path)
                waiting += _names(target)
                following = _root() if os.path.isabs(target) else None
            elif name == "..":
                following = here.parent()
            elif not waiting:
                yield here, name
                return
            else:
                following = here.enter(name)
            if following is not None:
                here.close()
                here = following
        yield here, "."
    finally:
        here.close()


@contextlib.contextmanager
def opened(path: str) -> Iterator[Directory]:
    """Yield a directory. Raises as C(locate) does."""
    with locate(path) as (parent, name):
        here = parent.enter(name)
    with here:
        yield here


def _root() -> Directory:
    return Directory(os.open("/", _ENTER), "/")


def _names(path: str) -> list[str]:
    """The names of a path, the first one last."""
    return [name for name in reversed(path.split("/")) if name not in ("", ".")]


def _someone(here: Directory) -> str:
    return str(here.changers[0]) if here.changers else f"every account can add names to {here.path}"


def _or_end(here: Directory) -> str:
    return f", or run: {here.changers[0].remedy}" if here.changers else ""
