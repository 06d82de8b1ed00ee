# SPDX-License-Identifier: GPL-3.0-or-later
"""The files of PEC that no database dump holds, in one archive beside the dump."""

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
    """The archive, and what its reader should know about it."""

    attachment: Attachment
    notes: tuple[str, ...]


def choose(here: Installation, extra_paths: Sequence[str], directory: str) -> tuple[str, ...]:
    """Return the files and directories to keep: those of PEC that exist, what they are links to, and the extra ones.

    Raises PecError when an extra one does not exist, or the backups themselves are in one.
    """
    missing = [path for path in extra_paths if not os.path.lexists(path)]
    if missing:
        raise PecError(f"{', '.join(missing)} does not exist and was to be backed up too; mount it, or correct extra_paths")
    inside = os.path.realpath(directory)
    around = [path for path in extra_paths if _holds(os.path.realpath(path), inside)]
    if around:
        raise PecError(f"{around[0]} cannot be backed up into {directory}, which lies in it; name its other directories one by one")
    wanted = [path for path in (*_of_pec(here), *extra_paths) if os.path.lexists(path)]
    paths = sorted({*wanted, *(os.path.realpath(path) for path in wanted if os.path.islink(path) and os.path.exists(path))})
    return tuple(path for path in paths if not any(path != other and _holds(other, path) for other in paths))


def check_space(paths: Sequence[str], directory: str) -> None:
    """Raises PecError when the files, which may be images that do not shrink, cannot fit."""
    needed = sum(_size(path) for path in _walk(paths))
    free = host.disk_usage(directory).free_bytes
    if needed > free:
        raise PecError(
            f"the files beside the database have {host.describe_size(needed)} and only {host.describe_size(free)} are free in {directory}; "
            "make room there, or keep fewer backups or extra_paths"
        )


def write(paths: Sequence[str], beside: str, recipients: Sequence[str] = (), *, on_bytes: Callable[[int], None] | None = None) -> Written:
    """Write the archive of these files beside a dump, and read it again from the disk.

    It is compressed by zstd where that is installed, else by gzip, and encrypted to the recipients, if any. Raises PecError when that
    fails; what was written is then still there.
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
        raise PecError(f"cannot write {target}: {getattr(error, 'strerror', None) or error}") from None
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
    """Every file and directory, a directory before what is in it; links are not followed."""

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
    """A file that goes on to the size it had, whoever is writing to it meanwhile."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self.changed = False

    def read(self, size: int) -> bytes:
        data = self._stream.read(size)
        self.changed = self.changed or len(data) < size
        return data + bytes(size - len(data))


def _pack(paths: Sequence[str], sink: BinaryIO, on_bytes: Callable[[int], None] | None) -> tuple[int, list[str]]:
    """Write the archive; return the number of its entries, and what changed meanwhile. Its names are those below the root directory."""
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
                    notes += [f"{path} was cut short while it was read"] if steady.changed else []
                else:
                    archive.addfile(entry)
            except FileNotFoundError:
                notes.append(f"{path} was removed before it was read")
                continue
            archive.members = []  # type: ignore[attr-defined]  # else a million attachments would be a million objects
            entries, total = entries + 1, total + entry.size
            if on_bytes:
                on_bytes(total)
    return entries, notes


def _verify(path: str, compressed: str, entries: int) -> None:
    """Raises PecError unless the archive, read from the disk, has all that went into it."""
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
            raise PecError(f"{path} cannot be read again: {error}; look at the disk, then run the backup again") from None
    if found != entries:
        raise PecError(f"{path} has {found} entries where {entries} were written; look at the disk, then run the backup again")
