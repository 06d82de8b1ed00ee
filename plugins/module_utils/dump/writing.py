# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes pg_dump's output into a file or directory and verifies it. Private to the collection."""

from __future__ import annotations

import contextlib
import glob
import hashlib
import os
import re
import shutil
import signal
import stat
import tarfile
import threading
import time
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import BinaryIO

from ansible_collections.esus.pec.plugins.module_utils.archive import sql_filter, toc
from ansible_collections.esus.pec.plugins.module_utils.archive.toc import Toc
from ansible_collections.esus.pec.plugins.module_utils.dump import manifest
from ansible_collections.esus.pec.plugins.module_utils.dump.planning import PLAIN_NAME, Plan
from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.system import confinement, pipeline
from ansible_collections.esus.pec.plugins.module_utils.system.directory import account_name
from ansible_collections.esus.pec.plugins.module_utils.system.pipeline import Pipeline, Stage
from ansible_collections.esus.pec.plugins.module_utils.system.status_file import StatusFile

_TAIL = 4096  # a few lines follow the end marker
_STATUS_SECONDS = 1.0
_AGAIN = "check the host's disk and memory (journalctl -k), then run again"
# Printed by pg_dump after the line with the error; often the half that helps.
_DETAIL = re.compile(r"(Error message from server|Query was): .*", re.IGNORECASE)
_WARNING = re.compile(r"^pg_dump(?:\.exe)?: (?:warning|aviso|WARNING|AVISO): (.*)|^(?:WARNING|AVISO): (.*)")
_MOST_WARNINGS = 10
_REMEDIES = (
    (r"No space left on device", "free some space, or give another path"),
    (
        r"timeout.*Query was: LOCK TABLE",
        "another session keeps a table locked (pg_stat_activity shows which); end it, or raise lock_timeout",
    ),
    (
        r"timed out|timeout expired|No route to host|Network is unreachable",
        "the network between this host and the database's server was cut: check it, then run again",
    ),
    (r"server closed the connection|EOF detected|terminating connection", "the server ended the connection; see its log"),
    (r"permission denied|permissão negada", "give the role that owns the database: it may read all tables"),
)


@dataclass(frozen=True)
class Written:
    """A verified dump under its partial name. C(toc) is None for a plain one.

    C(files) is for the directory format only: size and SHA-256 by name.
    """

    bytes: int
    sha256: str
    toc: Toc | None
    files: Mapping[str, tuple[int, str]] = field(default_factory=dict)

    @property
    def toc_entries(self) -> int | None:
        """The number of entries of an archive."""
        return len(self.toc.entries) if self.toc else None


@dataclass(frozen=True)
class Programs:
    """The client programs, and the environment and arguments that lead them to the database."""

    pg_dump: str
    pg_restore: str
    environment: Mapping[str, str] = field(repr=False)
    secrets: tuple[str, ...] = field(repr=False, default=())
    arguments: tuple[str, ...] = ()


def write(plan: Plan, programs: Programs, snapshot: str, recipients: tuple[str, ...], partial: str, progress: Progress) -> Written:
    """Make the dump at C(partial), which must not exist, and verify it. Raises PecError, and leaves what was written."""
    argv = [programs.pg_dump, *plan.options, *programs.arguments, f"--snapshot={snapshot}"]
    try:
        if plan.compression == "tar.gz":
            return _write_tar(plan, programs, argv, partial, progress)
        if plan.direct:
            return (_write_directory if plan.format == "directory" else _write_file)(programs, argv, partial, progress)
        stages = [*([Stage(plan.compressor)] if plan.compressor else []), *pipeline.encryption(recipients)]
        with progress.watching(partial):
            entries = _stream(plan, programs, argv, stages, partial, progress)
        progress.phase("verifying")
        return Written(*(pipeline.sha256_file(partial) if recipients else _read_back(plan, partial)), entries)
    except OSError as error:
        raise PecError(_helpful(f"cannot write {partial}: {error.strerror or error}", progress)) from None
    except PecError as error:
        raise PecError(_helpful(str(error), progress)) from None


class Progress:
    """How far a dump is, for the status file: the tables that pg_dump has reported, and the bytes on the disk.

    C(detail) is the second half of pg_dump's first error, C(warnings) is what it warned of, such as a column that it leaves out.
    """

    def __init__(self, status: StatusFile, tables_total: int, parallel: bool = False) -> None:
        self.detail = ""
        self.warnings: list[str] = []
        self._more_warnings = 0
        self._status = status
        self._tables = 0
        # Parallel processes report the beginning of a table, mixed into each other's lines; their parent reports its end.
        self._counted = re.compile("finished item .* TABLE DATA " if parallel else "dumping contents of table ")
        self._status.update(tables_total=tables_total)

    def phase(self, name: str) -> None:
        """Record what the run does now."""
        self._status.update(phase=name)

    def line(self, _program: str, line: str) -> None:
        """Look at one line of pg_dump's stderr."""
        if self._counted.search(line):
            self._tables += 1
        detail = _DETAIL.search(line)
        if detail and not self.detail:
            self.detail = detail.group()[:200]

        warning = _WARNING.match(line)
        if warning and len(self.warnings) < _MOST_WARNINGS:
            self.warnings.append((warning.group(1) or warning.group(2)).strip()[:200])
        elif warning:
            self._more_warnings += 1

    def notes(self) -> list[str]:
        """Return pg_dump's warnings for the operator."""
        more = [f"pg_dump warned {self._more_warnings} times more"] if self._more_warnings else []
        return [f"pg_dump warned: {text}" for text in self.warnings] + more

    @contextlib.contextmanager
    def watching(self, path: str) -> Iterator[None]:
        """Record the size of C(path) once a second, until the C(with) block ends."""
        ended = threading.Event()

        def watch() -> None:
            while not ended.wait(_STATUS_SECONDS):
                self._status.update(bytes=size(path), tables_done=self._tables)

        watcher = threading.Thread(target=watch, daemon=True)
        self._status.update(phase="dumping", bytes=0, tables_done=0)
        watcher.start()
        try:
            yield
        finally:
            ended.set()
            watcher.join()
            self._status.update(bytes=size(path), tables_done=self._tables)


def require_private(path: str, uid: int = -1, gid: int = -1) -> None:
    """Make the file, look at it, and remove it. Raises PecError when other accounts than root and this owner could read it.

    exFAT, NTFS and network disks may give every file one owner and one mode, whatever is asked for. Its name does not tell.
    """
    descriptor = _create(path)
    try:
        with contextlib.suppress(PermissionError):  # what came of it is looked at
            os.fchown(descriptor, uid, gid)
        found = os.fstat(descriptor)
    finally:
        os.close(descriptor)
        os.unlink(path)
    mode = stat.S_IMODE(found.st_mode)
    if mode & 0o077 or found.st_uid not in (os.geteuid(), uid):
        raise PecError(
            f"{os.path.dirname(path)} cannot keep a dump private: a file made there with mode 0600 has mode {mode:04o} and the owner "
            f"{account_name(found.st_uid)}, as on exFAT, NTFS or a network disk, so that other accounts could read every patient's record; "
            "encrypt it (recipients; in the role pec_backup_recipients), choose a directory on a file system such as ext4, or mount that "
            "disk with uid=0,gid=0,umask=077"
        )


def size(path: str) -> int:
    """Return the bytes of a file, or of the files in a directory; 0 while it does not exist."""
    try:
        if not os.path.isdir(path):
            return os.path.getsize(path)
        with os.scandir(path) as entries:
            return sum(entry.stat().st_size for entry in entries)
    except OSError:
        return 0


def remove(path: str) -> None:
    """Remove a partial dump of any kind, if it exists."""
    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path, ignore_errors=True)
    else:
        with contextlib.suppress(OSError):
            os.unlink(path)


def end_orphans(path: str) -> int:
    """Kill the processes that still write the dump at C(path) for a dead run; return their number.

    The kernel kills pg_dump with the run, but not the parallel processes that pg_dump started.
    """
    writers = set()
    for place in glob.glob("/proc/[0-9]*/fd/*"):
        with contextlib.suppress(OSError):
            if os.readlink(place) == path:
                writers.add(int(place.split("/")[2]))
    for pid in writers:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    return len(writers)


def _helpful(error: str, progress: Progress) -> str:
    said = f"{error} ({progress.detail})" if progress.detail and progress.detail not in error else error
    remedy = next((remedy for pattern, remedy in _REMEDIES if re.search(pattern, said, re.IGNORECASE)), None)
    return f"{said}; {remedy}" if remedy else said


def _create(path: str) -> int:
    """Create the file ourselves: it is private from its first moment, and a link in its place is not followed."""
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)


def _dump(programs: Programs, argv: list[str], progress: Progress, *, file: int | None = None, directory: int | None = None) -> None:
    """Run pg_dump, which has no right to open a file by name: it writes to one of these descriptors."""
    arguments = [] if directory is None else [f"--file=/dev/fd/{directory}"]
    stage = Stage([*argv, *arguments], programs.environment, pass_fds=() if directory is None else (directory,))
    with Pipeline([stage], stdout=file, on_line=progress.line, secrets=programs.secrets) as dump:
        dump.wait()


def _write_file(programs: Programs, argv: list[str], partial: str, progress: Progress) -> Written:
    with open(_create(partial), "w+b") as file:
        with progress.watching(partial):
            _dump(programs, argv, progress, file=file.fileno())
        progress.phase("verifying")
        file.seek(0)
        entries = _list(programs, file=file.fileno())
        os.fsync(file.fileno())
    return Written(*pipeline.sha256_file(partial), entries)


def _write_directory(programs: Programs, argv: list[str], partial: str, progress: Progress) -> Written:
    """The directory belongs to the account without rights while pg_dump fills it, and to root from then on."""
    os.mkdir(partial, 0o700)
    directory = os.open(partial, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        confinement.lend(directory)
        with progress.watching(partial):
            _dump(programs, argv, progress, directory=directory)
        progress.phase("verifying")
        entries = _list(programs, directory=directory)
        os.fchown(directory, os.geteuid(), os.getegid())
        for name in os.listdir(directory):
            _take_over(name, directory)
        os.fsync(directory)
    finally:
        os.close(directory)
    files, sha256 = manifest.digest_directory(partial)
    return Written(sum(count for count, _sha256 in files.values()), sha256, entries, files)


def _take_over(name: str, directory: int) -> None:
    handle = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=directory)
    try:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise PecError(f"pg_dump wrote {name}, which is not a file; {_AGAIN}")
        os.fchown(handle, os.geteuid(), os.getegid())
        os.fchmod(handle, 0o600)
        os.fsync(handle)
    finally:
        os.close(handle)


def _stream(plan: Plan, programs: Programs, argv: list[str], stages: list[Stage], partial: str, progress: Progress) -> Toc | None:
    """Carry pg_dump's output through the other programs into the file. It is judged on its way, because encrypted it cannot be."""
    with open(_create(partial), "wb") as file, contextlib.ExitStack() as stack:
        source = stack.enter_context(
            Pipeline([Stage(argv, programs.environment)], collect=True, on_line=progress.line, secrets=programs.secrets)
        )
        after = stack.enter_context(Pipeline(stages, feed=True, stdout=file.fileno())) if stages else None
        judge = stack.enter_context(_Judge(plan, programs))
        sink: BinaryIO = after.input if after else file
        if plan.compression == "zip":
            with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED, compresslevel=plan.level) as archive:
                entry = zipfile.ZipInfo(PLAIN_NAME, time.localtime()[:6])
                entry.compress_type, entry.external_attr = zipfile.ZIP_DEFLATED, 0o600 << 16
                entry._compresslevel = plan.level  # type: ignore[attr-defined]  # an entry of our own does not take the archive's
                with archive.open(entry, "w", force_zip64=True) as member:
                    _carry(source.output, member, judge)
                source.wait()
        else:
            _carry(source.output, sink, judge)
            source.wait()
        if after:
            after.wait()
        file.flush()
        os.fsync(file.fileno())
        return judge.verdict()


def _carry(source: BinaryIO, sink: object, judge: _Judge) -> None:
    for data in iter(lambda: source.read(pipeline.CHUNK), b""):
        judge.see(data)
        sink.write(data)  # type: ignore[attr-defined]


class _Judge:
    """Looks at a dump as it passes: a plain one must end with its end marker, an archive must have a table of contents."""

    def __init__(self, plan: Plan, programs: Programs) -> None:
        self._tail = b""
        self._plain = plan.format == "plain"
        # A file in memory, because a full pipe would stop the listing, and with it the dump.
        self._listing = os.fdopen(os.memfd_create("listing"), "w+b", buffering=0)
        listing = self._listing.fileno()
        self._lister = None if self._plain else Pipeline([Stage([programs.pg_restore, "--list"])], feed=True, stdout=listing)
        self._reading = True

    def __enter__(self) -> _Judge:
        if self._lister:
            self._lister.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        if self._lister:
            self._lister.kill()
        self._listing.close()

    def see(self, data: bytes) -> None:
        """Look at the next bytes."""
        if self._plain:
            self._tail = (self._tail + data)[-_TAIL:]
        elif self._lister and self._reading:
            try:
                self._lister.input.write(data)
            except BrokenPipeError:  # it has read the table of contents, which comes first
                self._reading = False

    def verdict(self) -> Toc | None:
        """Return the table of contents of an archive, None for a plain dump. Raises PecError when the dump is not complete."""
        if self._plain:
            if sql_filter.END not in self._tail:
                raise PecError(f"pg_dump ended without an error, but its output is cut off; {_AGAIN}")
            return None
        self._lister.wait()  # type: ignore[union-attr]
        self._listing.seek(0)
        return _entries(self._listing.read())


def _write_tar(plan: Plan, programs: Programs, argv: list[str], partial: str, progress: Progress) -> Written:
    content = f"{partial}.{PLAIN_NAME}"
    try:
        with open(_create(content), "wb") as file, progress.watching(content):
            _dump(programs, argv, progress, file=file.fileno())
        progress.phase("compressing")
        with open(content, "rb") as source:
            source.seek(max(0, os.path.getsize(content) - _TAIL))
            if sql_filter.END not in source.read():
                raise PecError(f"pg_dump ended without an error, but {content} is cut off; {_AGAIN}")
        with open(_create(partial), "wb") as file:
            with Pipeline([Stage(plan.compressor)], feed=True, stdout=file.fileno()) as compressor:
                with tarfile.open(fileobj=compressor.input, mode="w|", bufsize=pipeline.CHUNK, format=tarfile.GNU_FORMAT) as archive:
                    archive.add(content, PLAIN_NAME)
                compressor.wait()
            os.fsync(file.fileno())
        progress.phase("verifying")
        return Written(*_read_back(plan, partial), None)
    finally:
        remove(content)


def _read_back(plan: Plan, path: str) -> tuple[int, str]:
    """Return the size and SHA-256 of the file. A compressed one is read to its end, where its checksum is."""
    try:
        if plan.compressor:
            return _read_through([plan.compressor[0], "-q", "-t"], path)
        if plan.compression == "zip":
            with zipfile.ZipFile(path) as archive:
                if archive.testzip() is not None:
                    raise PecError(f"the checksum of {PLAIN_NAME} does not match")
        return pipeline.sha256_file(path)
    except (PecError, zipfile.BadZipFile, zlib.error) as error:
        raise PecError(f"{path} was written but cannot be read back: {error}; {_AGAIN}") from None


def _read_through(argv: list[str], path: str) -> tuple[int, str]:
    digest = hashlib.sha256()
    with open(path, "rb") as file, Pipeline([Stage(argv)], feed=True) as tester:
        for data in iter(lambda: file.read(pipeline.CHUNK), b""):
            digest.update(data)
            tester.input.write(data)
        return file.tell(), digest.hexdigest()


def _list(programs: Programs, *, file: int | None = None, directory: int | None = None) -> Toc:
    place = [] if directory is None else [f"/dev/fd/{directory}"]
    stage = Stage([programs.pg_restore, "--list", *place], pass_fds=() if directory is None else (directory,))
    try:
        with Pipeline([stage], stdin=file, collect=True) as listing:
            text = listing.output.read()
    except PecError as error:
        raise PecError(f"the dump was written but cannot be read back: {error}; {_AGAIN}") from None
    return _entries(text)


def _entries(listing: bytes) -> Toc:
    found = toc.parse(listing.decode("utf-8", "surrogateescape"))
    if not found.entries:
        raise PecError("the dump has an empty table of contents, so there is nothing to restore; check whether the database is empty")
    return found
