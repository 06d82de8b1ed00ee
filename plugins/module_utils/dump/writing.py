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
import tarfile
import threading
import time
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import BinaryIO

from ansible_collections.esus.pec.plugins.module_utils.archive import sql_filter
from ansible_collections.esus.pec.plugins.module_utils.dump import manifest
from ansible_collections.esus.pec.plugins.module_utils.dump.planning import PLAIN_NAME, Plan
from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.system import pipeline, process
from ansible_collections.esus.pec.plugins.module_utils.system.pipeline import Pipeline, Stage
from ansible_collections.esus.pec.plugins.module_utils.system.status_file import StatusFile

_TAIL = 4096  # a few lines follow the end marker
_STATUS_SECONDS = 1.0
_AGAIN = "check the host's disk and memory (journalctl -k), then run again"
# Printed by pg_dump after the line with the error; often the half that helps.
_DETAIL = re.compile(r"(Error message from server|Query was): .*", re.IGNORECASE)
_REMEDIES = (
    (r"No space left on device", "free some space, or give another path"),
    (
        r"timeout.*Query was: LOCK TABLE",
        "another session keeps a table locked (pg_stat_activity shows which); end it, or raise lock_timeout",
    ),
    (r"server closed the connection|EOF detected|terminating connection", "the server ended the connection; see its log"),
    (r"permission denied|permissão negada", "give the role that owns the database: it may read all tables"),
)


@dataclass(frozen=True)
class Written:
    """A verified dump under its partial name. C(files) is for the directory format only: size and SHA-256 by name."""

    bytes: int
    sha256: str
    toc_entries: int | None
    files: Mapping[str, tuple[int, str]] = field(default_factory=dict)


@dataclass(frozen=True)
class Programs:
    """The client programs, and the environment that leads them to the database."""

    pg_dump: str
    pg_restore: str
    environment: Mapping[str, str] = field(repr=False)
    secrets: tuple[str, ...] = field(repr=False, default=())


def write(plan: Plan, programs: Programs, snapshot: str, recipients: tuple[str, ...], partial: str, progress: Progress) -> Written:
    """Make the dump at C(partial), which must not exist, and verify it. Raises PecError, and leaves what was written."""
    argv = [programs.pg_dump, *plan.options, f"--snapshot={snapshot}"]
    try:
        if plan.compression == "tar.gz":
            return _write_tar(plan, programs, argv, partial, progress)
        if plan.direct:
            if plan.format == "directory":
                os.mkdir(partial, 0o700)
            else:
                os.close(_create(partial))
            with progress.watching(partial):
                _dump(programs, [*argv, f"--file={partial}"], progress)
            progress.phase("verifying")
            return _verify_directory(programs, partial) if plan.format == "directory" else _verify_archive(programs, partial)
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

    C(detail) is the second half of pg_dump's first error.
    """

    def __init__(self, status: StatusFile, tables_total: int, parallel: bool = False) -> None:
        self.detail = ""
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
    ended, word = 0, os.fsencode(f"--file={path}")
    for place in glob.glob("/proc/[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            with open(place, "rb") as file:
                ours = word in file.read().split(b"\0")
            if ours:
                os.kill(int(place.split("/")[2]), signal.SIGKILL)
                ended += 1
    return ended


def _helpful(error: str, progress: Progress) -> str:
    said = f"{error} ({progress.detail})" if progress.detail and progress.detail not in error else error
    remedy = next((remedy for pattern, remedy in _REMEDIES if re.search(pattern, said, re.IGNORECASE)), None)
    return f"{said}; {remedy}" if remedy else said


def _create(path: str) -> int:
    """Create the file ourselves: it is private from its first moment, and a link in its place is not followed."""
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)


def _dump(programs: Programs, argv: list[str], progress: Progress) -> None:
    with Pipeline([Stage(argv, programs.environment)], on_line=progress.line, secrets=programs.secrets) as dump:
        dump.wait()


def _stream(plan: Plan, programs: Programs, argv: list[str], stages: list[Stage], partial: str, progress: Progress) -> int | None:
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

    def verdict(self) -> int | None:
        """Return the number of entries of an archive, None for a plain dump. Raises PecError when the dump is not complete."""
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
        os.close(_create(content))
        with progress.watching(content):
            _dump(programs, [*argv, f"--file={content}"], progress)
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


def _verify_archive(programs: Programs, path: str) -> Written:
    entries = _list(programs, path)
    return Written(*pipeline.sha256_file(path), entries)


def _verify_directory(programs: Programs, path: str) -> Written:
    entries = _list(programs, path)
    for entry in os.scandir(path):  # pg_dump creates them as everybody's to read, in a directory that is not
        os.chmod(entry.path, 0o600)
    files, sha256 = manifest.digest_directory(path)
    return Written(sum(count for count, _sha256 in files.values()), sha256, entries, files)


def _list(programs: Programs, path: str) -> int:
    answer = process.run([programs.pg_restore, "--list", path], timeout=600)
    if answer.returncode != 0:
        raise PecError(f"{path} was written but pg_restore cannot read it: {answer.stderr.strip()[:300]}; {_AGAIN}")
    return _entries(answer.stdout.encode())


def _entries(listing: bytes) -> int:
    count = sum(1 for line in listing.splitlines() if line.strip() and not line.startswith(b";"))
    if count == 0:
        raise PecError("the dump has an empty table of contents, so there is nothing to restore; check whether the database is empty")
    return count
