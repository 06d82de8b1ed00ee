# SPDX-License-Identifier: GPL-3.0-or-later
"""Files: read in any encoding, and written so that they appear only when complete. Private to the collection."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shlex
import shutil
import stat
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.system import clock
from ansible_collections.esus.pec.plugins.module_utils.system.directory import (
    MOST_DEPTH,
    Changer,
    Directory,
    RefusedError,
    changers_of,
    locate,
    opened,
)

STATE_DIRECTORY = "/etc/esus-pec"
REPLACED = f"{STATE_DIRECTORY}/replaced"
"""Where secrets that a module replaces or removes are kept."""
CONFIGURATION = 16 << 20
"""The most bytes that a file is read into memory with, unless told otherwise."""
CERTIFICATE = 1 << 20


def read_bytes(path: str, limit: int = CONFIGURATION) -> bytes:
    """Return the content of a file. Raises PecError when it cannot be read, RefusedError when it is no regular file or beyond the limit."""
    return read(path, limit)[0]


def read(path: str, limit: int = CONFIGURATION) -> tuple[bytes, os.stat_result]:
    """Return the content of a file, and its status at the same time. Raises as C(read_bytes) does."""
    with _said("read", path), open_regular(path) as stream:
        data = stream.read(limit + 1)
        status = os.fstat(stream.fileno())
    if len(data) > limit:
        raise RefusedError(f"{path} has more than the {limit} bytes that such a file can have; look at what it is, and replace it")
    return data, status


def read_text_lenient(path: str, limit: int = CONFIGURATION) -> str:
    """Return the text of a file in an unknown encoding, as C(decode_lenient) finds it. Raises as C(read_bytes) does."""
    return decode_lenient(read_bytes(path, limit))


def decode_lenient(data: bytes) -> str:
    """Return a text in an unknown encoding: UTF-16 and UTF-8 (a BOM is dropped), else that of Windows, else Latin-1."""
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        order = "utf-16"
    else:  # every second byte of a text in Portuguese is 0
        order = "utf-16-le" if data[1:2] == b"\0" else "utf-16-be" if data[:1] == b"\0" else ""
    for encoding in filter(None, (order, "utf-8-sig", "cp1252")):
        with contextlib.suppress(UnicodeDecodeError):
            return data.decode(encoding)
    return data.decode("latin-1")


def read_end(path: str, limit: int) -> bytes:
    """Return the last bytes of a file, such as a log. Raises as C(read_bytes) does."""
    with _said("read", path), open_regular(path) as stream:
        stream.seek(max(0, os.fstat(stream.fileno()).st_size - limit))
        return stream.read(limit)


def open_regular(path: str) -> BinaryIO:
    """Return a regular file, open for reading; its descriptor can be handed on. Raises as C(read_bytes) does."""
    with _said("read", path), locate(path) as (here, name):
        return os.fdopen(here.open(name), "rb")


def write_atomic(path: str, data: bytes, *, mode: int | None = None, uid: int | None = None, gid: int | None = None) -> None:
    """Replace the content of C(path) so that a reader sees the whole old file or the whole new one, even after a power cut.

    mode, uid and gid default to those of the existing file (without setuid and the like), or to 0600 and the running user for a new one.
    A symbolic link is followed if nobody else can have made it. Raises PecError when the file cannot be written; the old one is then
    untouched.
    """
    with _said("write", path), locate(path) as (here, name):
        existing = here.status(name)
        if existing is not None:
            here.require_regular(name, existing)
            mode = stat.S_IMODE(existing.st_mode) & 0o777 if mode is None else mode
            uid = existing.st_uid if uid is None else uid
            gid = existing.st_gid if gid is None else gid
        partial = f"{name}.partial"
        _clear_way(here, partial)
        try:
            with os.fdopen(here.create(partial), "wb") as stream:
                stream.write(data)
                stream.flush()
                _own(stream.fileno(), uid, gid)
                os.fchmod(stream.fileno(), 0o600 if mode is None else mode)
                os.fsync(stream.fileno())
            here.rename(partial, here, name)
            here.sync()
        except BaseException:
            with contextlib.suppress(OSError):
                here.unlink(partial)
            raise


def copy(source: str, target: str) -> None:
    """Write a file's content, owner and mode to another path, as C(write_atomic) does."""
    data, status = read(source)
    write_atomic(target, data, mode=status.st_mode & 0o777, uid=status.st_uid, gid=status.st_gid)


def back_up(path: str) -> str:
    """Copy a file to a new name beside it, which is returned. Raises PecError when that fails."""
    kept = f"{path}.{os.getpid()}.{time.strftime('%Y-%m-%d@%H:%M:%S~')}"
    copy(path, kept)
    return kept


def keep(path: str, data: bytes, moment: clock.Moment = None, directory: str = REPLACED) -> str:
    """Write the content of the file C(path) to where only root can read it, and return that path."""
    make_private(directory)
    kept = f"{directory}/{os.path.basename(path)}.{clock.compact(moment)}.{hashlib.sha256(data).hexdigest()[:8]}"
    write_atomic(kept, data, mode=0o600)
    return kept


def copy_tree(source: str, target: str, limit: int = 4 * CONFIGURATION) -> None:
    """Copy a directory with the owners and modes of its files to a new directory. Anything but files and directories is left out.

    Raises PecError when that fails, when its files have more bytes than the limit, and at a link that another account can have made.
    """
    with _said("copy", source), opened(source) as here, contextlib.ExitStack() as stack:
        parent, name = stack.enter_context(locate(target))
        _copy_into(here, stack.enter_context(parent.make(name)), [limit])


def make_private(directory: str) -> None:
    """Create a directory with mode 0700; an existing one is left alone. Raises PecError when another account can change it."""
    _make_private(directory)
    require_ours(directory, "the directory")


@contextlib.contextmanager
def private_directory() -> Iterator[str]:
    """Make a temporary directory for this process alone, in memory if possible."""
    memory = "/run" if os.geteuid() == 0 and os.path.isdir("/run") else None
    directory = tempfile.mkdtemp(prefix="esus-pec-", dir=memory)
    try:
        yield directory
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def make_directory(directory: str, *, mode: int = 0o700, uid: int = -1, gid: int = -1) -> None:
    """Create a directory for an owner; an existing one is left alone. Raises PecError when it cannot be created or is something else."""
    with _said("create the directory", directory), locate(directory) as (here, name):
        status = here.status(name)
        if status is None:
            with here.make(name, mode) as made:
                os.chown(".", uid, gid, dir_fd=made.descriptor)
        elif not stat.S_ISDIR(status.st_mode):
            raise RefusedError(f"{directory} is not a directory; remove it, or choose another path", here.changers)


def keep_directory(directory: str, *, mode: int, uid: int, gid: int, check: bool = False) -> bool:
    """Make a directory for an owner, or correct the owner and the mode of an existing one. Return whether there was anything to do.

    Missing ones on the way are made for everybody to pass. check: nothing is done. Raises PecError when it cannot be made or is something
    else, and at a link, or a directory of a third account, by which another account may lead to one of root's.
    """
    above = os.path.dirname(directory.rstrip("/"))
    if not os.path.lexists(above):
        if check:
            return True
        keep_directory(above, mode=0o755, uid=-1, gid=-1)
    with _said("make the directory", directory), locate(directory) as (here, name):
        status = here.status(name)
        if status is None:
            if not check:
                with here.make(name, mode) as made:
                    os.chown(".", uid, gid, dir_fd=made.descriptor)
            return True
        if not stat.S_ISDIR(status.st_mode):
            raise RefusedError(f"{directory} is not a directory; remove it, or choose another path", here.changers)
        with here.enter(name) as found:
            if here.shared and found.uid not in (os.getuid(), uid, here.uid):
                raise RefusedError(f"{directory} is another account's; remove it, or choose another path", here.changers)
            status = os.stat(".", dir_fd=found.descriptor)
            right = stat.S_IMODE(status.st_mode) == mode and uid in (-1, status.st_uid) and gid in (-1, status.st_gid)
            if not right and not check:
                os.chown(".", uid, gid, dir_fd=found.descriptor)
                os.chmod(".", mode, dir_fd=found.descriptor)
            return not right


def is_directory(path: str) -> bool:
    """Return whether a directory is there, after links that nobody else can have made. Raises RefusedError at another link."""
    try:
        with opened(path):
            return True
    except OSError:
        return False


def resolve(path: str) -> str:
    """Return the path without links. Raises PecError at a link that another account can have made, and where a directory is missing."""
    with _said("find", path), locate(path) as (here, name):
        return here.at(name)


def unlink(path: str) -> None:
    """Remove a file, or a link itself. Raises PecError when that fails; a missing one is no failure."""
    with _said("remove", path), contextlib.suppress(FileNotFoundError), locate(path, last=False) as (here, name):
        here.unlink(name)


def remove_tree(path: str) -> None:
    """Remove a file, or a directory and everything in it. Raises PecError when that fails; a missing one is no failure."""
    with _said("remove", path), contextlib.suppress(FileNotFoundError), locate(path, last=False) as (here, name):
        here.remove(name)


def rename(path: str, new: str) -> None:
    """Move a file or directory within its file system, and replace what has the new name. Raises PecError when that fails."""
    with _said("rename", path), locate(path, last=False) as (here, name), locate(new, last=False) as (there, new_name):
        here.rename(name, there, new_name)
        there.sync()


def give(target: int | str, uid: int, gid: int) -> None:
    """Give a regular file or a directory to an account. Raises PecError when that fails.

    A descriptor is certain to be the file that was made. Of a path in a directory that another account can change, only a file with one
    name is given, and only if it is this user's or the directory's owner's.
    """
    if isinstance(target, int):
        with _said("change the owner of", f"descriptor {target}"):
            os.fchown(target, uid, gid)
        return
    with _said("change the owner of", target), locate(target) as (here, name):
        status = here.status(name)
        if status is not None and here.shared and status.st_uid not in (os.getuid(), uid, here.uid):
            raise RefusedError(f"{target} was replaced by another account; remove it, then run again", here.changers)
        if status is not None and stat.S_ISDIR(status.st_mode):
            with here.enter(name) as directory:
                os.chown(".", uid, gid, dir_fd=directory.descriptor)
            return
        with os.fdopen(here.open(name), "rb") as stream:
            os.fchown(stream.fileno(), uid, gid)


@dataclass(frozen=True)
class Entry:
    """A name that C(walk) found. It can be opened until the next one is asked for."""

    path: str
    status: os.stat_result
    here: Directory
    name: str

    def open(self) -> BinaryIO:
        """Return a regular file, open for reading. Raises OSError, and RefusedError for a file that may be root's under another name."""
        return os.fdopen(self.here.open(self.name), "rb")

    def place(self) -> str:
        """Return a path by the descriptor of its directory, for functions that know only paths and follow no link."""
        return f"/proc/self/fd/{self.here.descriptor}/{self.name}"


def walk(path: str, *, follow: bool = False) -> Iterator[Entry]:
    """Yield what is at a path and everything below it, a directory before its content. What vanishes meanwhile is left out.

    No link is followed; with C(follow) the path itself may be one that nobody else can have made. Raises PecError when a directory
    cannot be read.
    """
    with _said("read", path), locate(path, last=follow) as (here, name):
        yield from _below(here, name, path, 0)


def changers(path: str) -> list[Changer]:
    """Return who besides root and this user can change what is found at a path: the file itself, or a directory on the way to it.

    Raises PecError when nothing is there.
    """
    try:
        with locate(path) as (here, name):
            status = here.status(name)
            if status is None:
                raise PecError(f"{path} does not exist; check the path")
            own = () if name == "." else changers_of(here.at(name), status, f"/proc/self/fd/{here.descriptor}/{name}")
            return list(dict.fromkeys([*here.changers, *own]))
    except RefusedError as refused:  # a link that another account can have made
        return list(refused.changers) or [Changer("every account", path, f"rm {shlex.quote(path)}")]
    except OSError as error:
        raise PecError(cannot("find", path, error)) from None


def require_ours(path: str, what: str) -> None:
    """Raise PecError, with the command that mends it, when another account can change what is found at a path.

    C(what) names it in the error, as in "PEC's keytool".
    """
    found = changers(path)
    if found:
        mend = " && ".join(dict.fromkeys(each.remedy for each in found))
        raise PecError(f"{what}, {path}, is not used by root, because {found[0]}; run: {mend}")


def sync_directory(directory: str) -> None:
    """Wait until the names in a directory are on the disk."""
    with opened(directory) as here:
        here.sync()


def cannot(verb: str, path: str, error: OSError) -> str:
    """Return the text of a PecError about a file."""
    remedy = "; run as root (become: true)" if isinstance(error, PermissionError) else ""
    return f"cannot {verb} {path}: {error.strerror}{remedy}"


@contextlib.contextmanager
def _said(verb: str, path: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise PecError(cannot(verb, path, error)) from None


def _own(descriptor: int, uid: int | None, gid: int | None) -> None:
    if uid is not None or gid is not None:
        os.fchown(descriptor, -1 if uid is None else uid, -1 if gid is None else gid)


def _clear_way(here: Directory, name: str) -> None:
    """Remove what a killed run left, or what another account put there."""
    status = here.status(name)
    if status is not None and stat.S_ISDIR(status.st_mode):
        raise RefusedError(f"the directory {here.at(name)} is in the way; remove it: rm -r {shlex.quote(here.at(name))}", here.changers)
    if status is not None:
        here.unlink(name)


def _make_private(directory: str) -> None:
    with _said("create the directory", directory):
        try:
            with contextlib.suppress(FileExistsError), locate(directory) as (here, name):
                status = here.status(name)
                if status is None:
                    here.at(name)
                    # Not here.make(): it takes what another run of ours adds at once for another account's; make_private looks afterwards.
                    os.mkdir(name, 0o700, dir_fd=here.descriptor)
                elif not stat.S_ISDIR(status.st_mode):
                    raise RefusedError(f"{directory} is not a directory; remove it", here.changers)
        except FileNotFoundError:
            if os.path.dirname(directory) == directory:
                raise
            _make_private(os.path.dirname(directory))
            _make_private(directory)


def _copy_into(source: Directory, target: Directory, left: list[int]) -> None:
    """Copy the content of a directory; C(left) is how many bytes may still come."""
    for name in source.names():
        status = source.status(name)
        if status is not None and stat.S_ISDIR(status.st_mode):
            with source.enter(name) as below, target.make(name) as new:
                _copy_into(below, new, left)
            continue
        if source.target(name) is None and not (status and stat.S_ISREG(status.st_mode)):
            continue
        with open_regular(source.at(name)) if source.target(name) else os.fdopen(source.open(name), "rb") as stream:
            found = os.fstat(stream.fileno())
            left[0] -= found.st_size
            data = stream.read(found.st_size) if left[0] >= 0 else b""
            if left[0] < 0:
                raise RefusedError(f"{source.path} has more bytes than such a directory can have; look at {source.at(name)}")
        with os.fdopen(target.create(name), "wb") as copied:
            copied.write(data)
            _own(copied.fileno(), found.st_uid, found.st_gid)
            os.fchmod(copied.fileno(), found.st_mode & 0o777)


def _below(here: Directory, name: str, path: str, depth: int) -> Iterator[Entry]:
    status = here.status(name)
    if status is None:
        return
    yield Entry(path, status, here, name)
    if not stat.S_ISDIR(status.st_mode):
        return
    if depth > MOST_DEPTH:
        raise RefusedError(f"{path} is nested too deep; look at what it is")
    try:
        directory = here.enter(name)
    except (FileNotFoundError, NotADirectoryError):  # it vanished, or became something else
        return
    with directory:
        for each in directory.names():
            yield from _below(directory, each, os.path.join(path, each), depth + 1)
