# SPDX-License-Identifier: GPL-3.0-or-later
"""The archive of PEC's files, beside the database dump, which does not hold them. Private to the collection."""

from __future__ import annotations

import os
import stat
import tarfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import BinaryIO

from ansible_collections.esus.pec.plugins.module_utils import beliefs
from ansible_collections.esus.pec.plugins.module_utils.dump.manifest import Attachment
from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.pec.installation import Installation
from ansible_collections.esus.pec.plugins.module_utils.system import host, pipeline, process
from ansible_collections.esus.pec.plugins.module_utils.system.pipeline import Pipeline, Stage


@dataclass(frozen=True)
class Written:
    """The archive, and notes on files that changed while it was written."""

    attachment: Attachment
    notes: tuple[str, ...]


def choose(here: Installation, extra_paths: Sequence[str], directory: str) -> tuple[str, ...]:
    """Return the files and directories to archive: PEC's that exist, the targets of links among them, and the extra paths.

    Raises PecError when an extra path does not exist or contains the directory of backups.
    """
    missing = [path for path in extra_paths if not os.path.lexists(path)]
    if missing:
        raise PecError(f"{', '.join(missing)} does not exist, but extra_paths names it; mount it, or correct extra_paths")
    inside = os.path.realpath(directory)
    around = [path for path in extra_paths if _holds(os.path.realpath(path), inside)]
    if around:
        raise PecError(f"{around[0]} cannot be backed up into {directory}, which is inside it; name its other directories one by one")
    wanted = [path for path in (*_of_pec(here), *extra_paths) if os.path.lexists(path)]
    paths = sorted({*wanted, *(os.path.realpath(path) for path in wanted if os.path.islink(path) and os.path.exists(path))})
    return tuple(path for path in paths if not any(path != other and _holds(other, path) for other in paths))


def check_space(paths: Sequence[str], directory: str) -> None:
    """Raise PecError when the files do not fit, counted uncompressed: they may be images, which do not shrink."""
    needed = sum(_size(path) for path in _walk(paths))
    free = host.disk_usage(directory).free_bytes
    if needed > free:
        raise PecError(
            f"the files to archive have {host.describe_size(needed)} and only {host.describe_size(free)} are free in {directory}; "
            "make room there, keep fewer backups, or name fewer extra_paths"
        )


def write(paths: Sequence[str], beside: str, recipients: Sequence[str] = (), *, on_bytes: Callable[[int], None] | None = None) -> Written:
    """Write the archive of these files beside a dump, and read it again from the disk unless it is encrypted.

    It is compressed with zstd if installed, else gzip, and encrypted to the recipients, if any. Raises PecError when that fails; the
    caller then removes the unfinished file.
    """
    compressed = "zst" if process.which("zstd") else "gz"
    target = f"{beside}.files.tar.{compressed}{'.age' if recipients else ''}"
    stages = [Stage(["zstd", "-q", "-T0", "-3"] if compressed == "zst" else ["gzip", "-1"])]
    stages += pipeline.encryption(recipients)
    try:
        with open(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600), "wb") as sink:
            with Pipeline(stages, feed=True, stdout=sink.fileno()) as programs:
                entries, notes = _pack(paths, programs.input, on_bytes)
                programs.wait()
            os.fsync(sink.fileno())
    except (OSError, tarfile.TarError) as error:
        raise PecError(f"cannot write {target}: {getattr(error, 'strerror', None) or error}; check the directory and its disk") from None
    if not recipients:
        _verify(target, compressed, entries)
    size, sha256 = pipeline.sha256_file(target)
    return Written(Attachment(os.path.basename(target), size, sha256, tuple(paths)), tuple(notes))


def _of_pec(here: Installation) -> Iterator[str]:
    if here.home is not None:
        yield os.path.join(here.home, os.path.dirname(beliefs.APPLICATION_PROPERTIES))
        yield os.path.join(here.home, beliefs.KEYS_DIRECTORY)
        yield os.path.join(here.home, os.path.dirname(beliefs.SSL_PROPERTIES))
    if here.config_file is not None:
        yield here.config_file
    if here.https.keystore is not None:
        yield here.https.keystore
    yield from here.certificates


def _holds(directory: str, path: str) -> bool:
    return path == directory or path.startswith(directory.rstrip("/") + "/")


def _walk(paths: Sequence[str]) -> Iterator[str]:
    """Yield every file and directory, a directory before its content; links are not followed."""

    def refuse(error: OSError) -> None:
        if not isinstance(error, FileNotFoundError):
            raise PecError(f"cannot read {error.filename}: {error.strerror}") from None

    for path in paths:
        yield path
        if os.path.islink(path) or not os.path.isdir(path):
            continue
        for parent, directories, names in os.walk(path, onerror=refuse):
            directories.sort()
            yield from (os.path.join(parent, name) for name in sorted([*directories, *names]))


def _size(path: str) -> int:
    try:
        status = os.lstat(path)
    except FileNotFoundError:
        return 0
    return status.st_size if stat.S_ISREG(status.st_mode) else 0


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
    notes = []
    with tarfile.open(fileobj=sink, mode="w|", bufsize=pipeline.CHUNK, format=tarfile.PAX_FORMAT) as archive:
        for path in _walk(paths):
            try:
                entry = archive.gettarinfo(path, path.lstrip("/"))
                if entry is None:  # a socket
                    continue
                if entry.isreg():
                    with open(path, "rb") as stream:
                        steady = _Steady(stream)
                        archive.addfile(entry, steady)  # type: ignore[arg-type]
                    notes += [f"{path} became shorter while it was read"] if steady.changed else []
                else:
                    archive.addfile(entry)
            except FileNotFoundError:
                notes.append(f"{path} was removed before it was read")
                continue
            archive.members = []  # type: ignore[attr-defined]  # otherwise a million files would be a million objects
            entries, total = entries + 1, total + entry.size
            if on_bytes:
                on_bytes(total)
    return entries, notes


def _verify(path: str, compressed: str, entries: int) -> None:
    """Raise PecError unless the archive, read from the disk, has all entries."""
    found = 0
    with Pipeline([Stage(["zstd" if compressed == "zst" else "gzip", "-q", "-d", "-c", "--", path])], collect=True) as programs:
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
