# SPDX-License-Identifier: GPL-3.0-or-later
"""The archive of PEC's files, beside the database dump, which does not hold them. Private to the collection."""

from __future__ import annotations

import os
import pwd
import stat
import tarfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import BinaryIO

from ansible_collections.esus.pec.plugins.module_utils import beliefs
from ansible_collections.esus.pec.plugins.module_utils.dump.manifest import Attachment
from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.pec.installation import Installation
from ansible_collections.esus.pec.plugins.module_utils.system import files, host, pipeline, process
from ansible_collections.esus.pec.plugins.module_utils.system.directory import RefusedError, opened
from ansible_collections.esus.pec.plugins.module_utils.system.pipeline import Pipeline, Stage

_MOST_NOTES = 10


@dataclass(frozen=True)
class Written:
    """The archive, and notes on files that changed while it was written."""

    attachment: Attachment
    notes: tuple[str, ...]


def choose(here: Installation, extra_paths: Sequence[str], directory: str) -> tuple[str, ...]:
    """Return the files and directories to archive: PEC's that exist, the targets of links among them, and the extra paths.

    Raises PecError when an extra path does not exist or contains the directory of backups, and when one of the links may be another
    account's way to files of root's.
    """
    missing = [path for path in extra_paths if not os.path.lexists(path)]
    if missing:
        raise PecError(f"{', '.join(missing)} does not exist, but extra_paths names it; mount it, or correct extra_paths")
    inside = os.path.realpath(directory)
    around = [path for path in extra_paths if _holds(os.path.realpath(path), inside)]
    if around:
        raise PecError(f"{around[0]} cannot be backed up into {directory}, which is inside it; name its other directories one by one")
    wanted = [path for path in (*_of_pec(here), *extra_paths) if os.path.lexists(path)]
    paths = sorted({*wanted, *(files.resolve(path) for path in wanted if os.path.islink(path) and os.path.exists(path))})
    return tuple(path for path in paths if not any(path != other and _holds(other, path) for other in paths))


def check_space(paths: Sequence[str], directory: str) -> None:
    """Raise PecError when the files do not fit, counted uncompressed: they may be images, which do not shrink."""
    entries = (entry for path in paths for entry in files.walk(path))
    needed = sum(entry.status.st_size for entry in entries if stat.S_ISREG(entry.status.st_mode))
    free = host.disk_usage(directory).free_bytes
    if needed > free:
        raise PecError(
            f"the files to archive have {host.describe_size(needed)} and only {host.describe_size(free)} are free in {directory}; "
            "make room there, keep fewer backups, or name fewer extra_paths"
        )


def write(
    paths: Sequence[str],
    beside: str,
    recipients: Sequence[str] = (),
    *,
    uid: int = -1,
    gid: int = -1,
    on_bytes: Callable[[int], None] | None = None,
) -> Written:
    """Write the archive of these files beside a dump, and read it again from the disk unless it is encrypted.

    It is compressed with zstd if installed, else gzip, encrypted to the recipients, if any, and given to an account. Raises PecError when
    that fails; the caller then removes the unfinished file.
    """
    compressed = "zst" if process.which("zstd") else "gz"
    target = f"{beside}.files.tar.{compressed}{'.age' if recipients else ''}"
    stages = [Stage(["zstd", "-q", "-T0", "-3"] if compressed == "zst" else ["gzip", "-1"])]
    stages += pipeline.encryption(recipients)
    try:
        with opened(os.path.dirname(target)) as here, os.fdopen(here.create(os.path.basename(target)), "wb") as sink:
            with Pipeline(stages, feed=True, stdout=sink.fileno()) as programs:
                entries, notes = _pack(paths, programs.input, on_bytes)
                programs.wait()
            os.fsync(sink.fileno())
            files.give(sink.fileno(), uid, gid)
            with os.fdopen(here.open(os.path.basename(target)), "rb") as written:
                if not recipients:
                    _verify(written.fileno(), target, compressed, entries)
                written.seek(0)
                size, sha256 = pipeline.sha256_file(os.dup(written.fileno()))
    except (OSError, tarfile.TarError) as error:
        raise PecError(f"cannot write {target}: {getattr(error, 'strerror', None) or error}; check the directory and its disk") from None
    return Written(Attachment(os.path.basename(target), size, sha256, tuple(paths)), tuple(notes))


def _of_pec(here: Installation) -> Iterator[str]:
    if here.home is not None:
        yield os.path.join(here.home, os.path.dirname(beliefs.APPLICATION_PROPERTIES))
        yield os.path.join(here.home, beliefs.KEYS_DIRECTORY)
        yield os.path.join(here.home, os.path.dirname(beliefs.SSL_PROPERTIES))
    if here.config_file is not None:
        yield here.config_file
    if here.https.keystore is not None:
        _require_readable(here, here.https.keystore)
        yield here.https.keystore
    yield from here.certificates


def _require_readable(here: Installation, keystore: str) -> None:
    """Raise PecError for a keystore that PEC's account cannot read, if it can change the file that names it: that may be any of root's."""
    for named in (here.application_properties, here.ssl_properties):
        for changer in files.changers(named) if named and os.path.exists(named) and os.path.exists(keystore) else ():
            if not _can_read(changer.uid, os.stat(keystore)):
                raise PecError(
                    f"{keystore}, which {named} names as the keystore, is not archived: {changer}, but cannot read the keystore; correct "
                    f"the name, or run: {changer.remedy}"
                )


def _can_read(uid: int | None, status: os.stat_result) -> bool:
    """Whether an account may read a file (of a group of accounts, nothing is known), as far as its mode says."""
    if uid is not None and status.st_uid == uid:
        return bool(status.st_mode & stat.S_IRUSR)
    if uid is not None and status.st_gid in _groups(uid):
        return bool(status.st_mode & stat.S_IRGRP)
    return bool(status.st_mode & stat.S_IROTH)


def _groups(uid: int) -> list[int]:
    try:
        account = pwd.getpwuid(uid)
    except KeyError:
        return []
    return os.getgrouplist(account.pw_name, account.pw_gid)


def _holds(directory: str, path: str) -> bool:
    return path == directory or path.startswith(directory.rstrip("/") + "/")


class _Steady:
    """A file that is read at the size it had, filled up with zeros when another program shortens it meanwhile."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self.changed = False

    def read(self, size: int) -> bytes:
        data = self._stream.read(size)
        self.changed = self.changed or len(data) < size
        return data + bytes(size - len(data))


def _pack(paths: Sequence[str], sink: BinaryIO, on_bytes: Callable[[int], None] | None) -> tuple[int, list[str]]:
    """Write the archive, with names relative to the root directory; return the number of entries, and notes on changed files."""
    entries, total = 0, 0
    notes: list[str] = []
    refused: list[str] = []
    with tarfile.open(fileobj=sink, mode="w|", bufsize=pipeline.CHUNK, format=tarfile.PAX_FORMAT) as archive:
        for found in (entry for path in paths for entry in files.walk(path)):
            try:
                size = _add(archive, found, notes)
            except FileNotFoundError:
                notes.append(f"{found.path} was removed before it was read")
                continue
            except RefusedError as error:
                refused += [str(error)]
                continue
            if size is None:
                continue
            archive.members = []  # type: ignore[attr-defined]  # otherwise a million files would be a million objects
            entries, total = entries + 1, total + size
            if on_bytes:
                on_bytes(total)
    notes += [f"{error}; it is not in the archive" for error in refused[:_MOST_NOTES]]
    notes += [f"{len(refused) - _MOST_NOTES} other files are not in the archive for such a reason"] if refused[_MOST_NOTES:] else []
    return entries, notes


def _add(archive: tarfile.TarFile, found: files.Entry, notes: list[str]) -> int | None:
    """Add a file, directory or link, by the descriptor of its directory; return its size, None for a socket, which is left out."""
    name = found.path.lstrip("/")
    if not stat.S_ISREG(found.status.st_mode):
        header = archive.gettarinfo(found.place(), name)
        if header is not None:
            archive.addfile(header)
        return None if header is None else 0
    with found.open() as stream:
        header = archive.gettarinfo(arcname=name, fileobj=stream)
        steady = _Steady(stream)
        archive.addfile(header, steady)  # type: ignore[arg-type]
    notes += [f"{found.path} became shorter while it was read"] if steady.changed else []
    return header.size


def _verify(descriptor: int, path: str, compressed: str, entries: int) -> None:
    """Raise PecError unless the archive, read from the disk, has all entries."""
    found = 0
    with Pipeline([Stage(["zstd" if compressed == "zst" else "gzip", "-q", "-d", "-c"])], collect=True, stdin=descriptor) as programs:
        try:
            with tarfile.open(fileobj=programs.output, mode="r|", bufsize=pipeline.CHUNK) as archive:
                while archive.next() is not None:
                    found += 1
                    archive.members = []  # type: ignore[attr-defined]
            while programs.output.read(pipeline.CHUNK):
                pass  # padding
        except tarfile.TarError as error:
            raise PecError(f"{path} cannot be read again: {error}; check the disk, then run the backup again") from None
    if found != entries:
        raise PecError(f"{path} has {found} entries, but {entries} were written; check the disk, then run the backup again")
