# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs the installer: output watched, no secret in the process list or the log, nothing left after a timeout. Private to the collection."""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import signal
import subprocess  # nosec B404  # lists of arguments only, never a shell
import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.installer import java
from ansible_collections.esus.pec.plugins.module_utils.redact import Redactor
from ansible_collections.esus.pec.plugins.module_utils.system import files, process, signals, status_file
from ansible_collections.esus.pec.plugins.module_utils.system.status_file import StatusFile

STATUS = "installer"
_KEPT_LINES = 20000
_QUIET_SECONDS = 1.0
_GRACE_SECONDS = 15.0
WORK_DIRECTORY = "/var/lib/esus-pec"


@dataclass(frozen=True)
class Command:
    """One run of Java. C(arguments) may carry secrets, so they go into a file that only root can read. C(timeout) is in seconds."""

    java: str
    arguments: Sequence[str] = field(repr=False)
    timeout: float
    work_directory: str
    java_options: Sequence[str] = ()


@dataclass(frozen=True)
class Run:
    """A run that ended. C(returncode) is negative for a signal; C(lines) is the raw output, with secrets.

    C(log_problem) says what is wrong with the log on the disk, None when nothing is.
    """

    returncode: int
    lines: tuple[str, ...] = field(repr=False)
    timed_out: bool = False
    log_problem: str | None = None


class _Output:
    """The installer's output: raw lines for the search of causes, and a log without secrets.

    A log that cannot be written does not stop the installer; C(problem) then says why it is incomplete.
    """

    def __init__(self, log: int, redact: Redactor) -> None:
        self.lines: deque[str] = deque(maxlen=_KEPT_LINES)
        self.last_clean = ""
        self.problem: str | None = None
        self._log, self._redact, self._rest = log, redact, b""

    def add(self, data: bytes) -> None:
        *complete, self._rest = (self._rest + data).split(b"\n")
        for line in complete:
            self._add_line(line)

    def finish(self) -> None:
        """Add a last line without an end."""
        if self._rest:
            self._add_line(self._rest)

    def _add_line(self, raw: bytes) -> None:
        try:
            line = raw.decode()
        except UnicodeDecodeError:
            line = raw.decode("latin-1")
        self.lines.append(line.rstrip("\r"))
        self.last_clean = self._redact(self.lines[-1])
        rest = f"{self.last_clean}\n".encode()
        try:
            while rest:
                rest = rest[os.write(self._log, rest) :]
        except OSError as error:
            self.problem = f"incomplete, because it could not be written: {error.strerror}"


def refuse_survivor(directory: str = status_file.RUNTIME_DIRECTORY) -> None:
    """Raise PecError while an installer works that outlived the run that started it."""
    try:
        with open(status_file.path_for(STATUS, directory=directory), encoding="utf-8") as stream:
            pid = int(json.load(stream).get("pid"))
        with open(f"/proc/{pid}/cmdline", "rb") as stream:
            survives = f"@{directory}/{java.ARGUMENTS_PREFIX}".encode() in stream.read()
    except (OSError, ValueError, TypeError, AttributeError):
        return
    if survives:
        raise PecError(f"an installer that an earlier run started still works (process {pid}); wait until it ends, then run again", pid=pid)


def prepare_directories(log_directory: str, work_directory: str, directory: str = status_file.RUNTIME_DIRECTORY) -> None:
    """Create what a run needs, and remove the argument files of killed runs. Raises PecError where another account can change one."""
    for path, mode in ((directory, 0o700), (log_directory, 0o700), (work_directory, 0o755)):
        existing = os.path.abspath(path)
        while not os.path.lexists(existing):
            existing = os.path.dirname(existing)
        files.require_ours(existing, "a directory of the installer's run")
        try:
            os.makedirs(path, mode=mode, exist_ok=True)
        except OSError as error:
            raise PecError(files.cannot("create the directory", path, error)) from None
    os.chmod(directory, 0o700)
    if work_directory == WORK_DIRECTORY and not os.stat(work_directory).st_mode & 0o077:
        os.chmod(work_directory, 0o755)  # noqa: S103  # nosec B103  # what the installer starts as another account begins in it
    for name in os.listdir(directory):
        if name.startswith(java.ARGUMENTS_PREFIX):
            os.unlink(os.path.join(directory, name))


def run(command: Command, log: str, redact: Redactor, status: StatusFile) -> Run:
    """Run Java to its end or its timeout, and write its output to the log without secrets.

    A stop signal to this process stops Java first. Raises PecError then, and when Java cannot be started.
    """
    directory = os.path.dirname(status.path)
    with java.arguments_file(command.arguments, directory) as arguments, _open_log(log) as handle, signals.noted() as received:
        output = _Output(handle, redact)
        child = _start(command, arguments)
        try:
            status.update(phase="running", pid=child.pid)
            returncode = _watch(child, command.timeout, output, arguments, status, received)
        finally:
            _stop(child)
    return Run(-signal.SIGKILL if returncode is None else returncode, tuple(output.lines), returncode is None, output.problem)


def redact_log(log: str, redact: Redactor) -> str | None:
    """Remove secrets that became known only later from a finished log. Returns what is wrong with it when that fails."""
    try:
        text = files.read_text_lenient(log)
        clean = redact(text)
        if clean != text:
            files.write_atomic(log, clean.encode())
    except PecError as error:
        return f"with secrets that the installer made still in it: {error}"
    return None


@contextlib.contextmanager
def _open_log(path: str) -> Iterator[int]:
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise PecError(files.cannot("create the log", path, error)) from None
    try:
        yield handle
    finally:
        os.close(handle)


def _start(command: Command, arguments: str) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(  # nosec B603  # no shell
            [command.java, f"@{arguments}"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd=command.work_directory,
            env=java.environment(command.java_options),
            start_new_session=True,
        )
    except (OSError, ValueError) as error:
        why = process.why_not_started(error)
        raise PecError(f"cannot start {command.java} in {command.work_directory}: {why}; correct java or work_directory") from None


def _watch(
    child: subprocess.Popen[bytes], timeout: float, output: _Output, arguments: str, status: StatusFile, received: Sequence[int]
) -> int | None:
    """Read until the installer has ended and is quiet: services that it started may hold its output open for ever.

    Returns the exit code, None after the timeout.
    """
    source = child.stdout.fileno() if child.stdout else -1
    deadline = time.monotonic() + timeout
    with selectors.DefaultSelector() as selector:
        selector.register(source, selectors.EVENT_READ)
        while True:
            ready = selector.select(_QUIET_SECONDS)
            data = os.read(source, 1 << 16) if ready else b""
            if data:
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(arguments)  # Java has read it before it prints anything
                output.add(data)
            elif ready or child.poll() is not None:
                break
            if received:
                raise PecError(
                    f"this run was stopped by {signal.Signals(received[0]).name}, and stopped the installer; "
                    "run again to repair what is half done"
                )
            if time.monotonic() > deadline:
                return None
            status.update(last_line=output.last_clean[:500])
    output.finish()
    try:
        return child.wait(timeout=max(1.0, deadline - time.monotonic()))
    except subprocess.TimeoutExpired:
        return None


def _stop(child: subprocess.Popen[bytes]) -> None:
    """End the process group, gently first. If the installer has ended by itself, kill only what a failure left running."""
    if child.poll() is not None:
        if child.returncode != 0:  # a migrator that outlived it would collide with that of the next run
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)
        return
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(timeout=_GRACE_SECONDS)
