# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs PEC's installer: no secret in the process list or the log, its output watched, nothing left running after a timeout."""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import signal
import subprocess
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from ansible_collections.esus.pec.plugins.module_utils import beliefs
from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.redact import Redactor
from ansible_collections.esus.pec.plugins.module_utils.system import files, host, process

RUNTIME_DIRECTORY = "/run/esus-pec"
STATUS_NAME = "installer.json"
_ARGUMENTS_PREFIX = "java-arguments-"
_KEPT_LINES = 20000
_STATUS_SECONDS = 2.0
_QUIET_SECONDS = 1.0
_GRACE_SECONDS = 15.0


@dataclass(frozen=True)
class Command:
    """One run of Java. C(arguments) may carry secrets, therefore they go into a file that only root can read."""

    java: str
    arguments: Sequence[str] = field(repr=False)
    timeout: float
    work_directory: str
    java_options: Sequence[str] = ()


@dataclass(frozen=True)
class Run:
    """How it ended: C(returncode) is negative for a signal; C(lines) is the raw output, secrets included.

    C(log_problem) says in words what the log on the disk lacks, None when it is whole.
    """

    returncode: int
    lines: tuple[str, ...] = field(repr=False)
    timed_out: bool = False
    log_problem: str | None = None


class Status:
    """The file that tells others how far an installation is; it never holds a secret."""

    def __init__(self, version: str, log: str, directory: str = RUNTIME_DIRECTORY) -> None:
        self.path = os.path.join(directory, STATUS_NAME)
        self._facts: dict[str, object] = {"version": version, "log": log, "started": _now(), "module_pid": os.getpid()}

    def write(self, phase: str, **facts: object) -> None:
        """Record the phase: checking, running, verifying, done or failed. A full disk must not stop an installer, nor its judgement."""
        self._facts.update(facts, phase=phase, updated=_now())
        with contextlib.suppress(PecError, OSError):
            files.write_atomic(self.path, json.dumps(self._facts, ensure_ascii=False, indent=1).encode() + b"\n", mode=0o600)


class _Log:
    """The log of one run. A line that cannot be written does not stop the installer; C(problem) then says why the log is incomplete."""

    def __init__(self, handle: int) -> None:
        self._handle = handle
        self.problem: str | None = None

    def write_line(self, line: str) -> None:
        rest = f"{line}\n".encode()
        try:
            while rest:
                rest = rest[os.write(self._handle, rest) :]
        except OSError as error:
            self.problem = f"incomplete, because it could not be written: {error.strerror}"


def arguments_file(arguments: Sequence[str]) -> str:
    """Return the text of a file for C(java @file): each argument quoted by the rules of the Java launcher."""
    return "".join(f"{_quote(argument)}\n" for argument in arguments)


def _quote(argument: str) -> str:
    if "\0" in argument:
        raise PecError("an argument of the installer holds a null character; correct the password or the path")
    escaped = argument.replace("\\", "\\\\").replace('"', '\\"')
    for character, escape in (("\n", "\\n"), ("\r", "\\r"), ("\t", "\\t"), ("\f", "\\f")):
        escaped = escaped.replace(character, escape)
    return f'"{escaped}"'


def find_java() -> str:
    """Return the launcher that suits the installer best: of the Java releases it can use, the one nearest to the one it was built for.

    PEC's own Java is left out, because the installer replaces it. Raises PecError when there is none.
    """
    homes = tuple(f"{home}/" for home in beliefs.HOMES)
    usable = [java for java in host.java() if java.major >= beliefs.JAVA_MAJOR and not java.path.startswith(homes)]
    if not usable:
        raise PecError(f"no Java {beliefs.JAVA_MAJOR} or newer on this host; install one (Debian: default-jre-headless) or name it in java")
    return min(usable, key=lambda java: java.major).path


def running_installer(directory: str = RUNTIME_DIRECTORY) -> int | None:
    """Return the process of an installer that outlived the run that started it, or None."""
    try:
        with open(os.path.join(directory, STATUS_NAME), encoding="utf-8") as stream:
            pid = json.load(stream).get("pid")
        with open(f"/proc/{int(pid)}/cmdline", "rb") as stream:
            return int(pid) if f"@{directory}/{_ARGUMENTS_PREFIX}".encode() in stream.read() else None
    except (OSError, ValueError, TypeError, AttributeError):
        return None


def prepare_directories(log_directory: str, work_directory: str, directory: str = RUNTIME_DIRECTORY) -> None:
    """Create what a run needs, and remove the argument files of runs that were killed."""
    for path, mode in ((directory, 0o700), (log_directory, 0o700), (work_directory, 0o755)):
        try:
            os.makedirs(path, mode=mode, exist_ok=True)
        except OSError as error:
            raise PecError(f"cannot create the directory {path}: {error.strerror}") from None
    os.chmod(directory, 0o700)
    for name in os.listdir(directory):
        if name.startswith(_ARGUMENTS_PREFIX):
            os.unlink(os.path.join(directory, name))


def run(command: Command, log: str, redact: Redactor, status: Status, directory: str = RUNTIME_DIRECTORY) -> Run:
    """Run Java to its end, or to the end of its time, writing what it says to the log without secrets.

    A stop signal to this process stops Java first. Raises PecError when Java cannot be started.
    """
    with _arguments(command.arguments, directory) as arguments, _open_log(log) as writer, _noted_signals() as signals:
        child = _start(command, arguments)
        try:
            status.write("running", pid=child.pid)
            ended = _watch(child, command.timeout, lambda line: writer.write_line(redact(line)), arguments, status, redact, signals)
            return replace(ended, log_problem=writer.problem)
        finally:
            _stop(child)


def redact_log(log: str, redact: Redactor) -> str | None:
    """Take secrets that became known only afterwards out of a finished log. Returns what is wrong with it when that cannot be done."""
    try:
        text = files.read_text_lenient(log)
        clean = redact(text)
        if clean != text:
            files.write_atomic(log, clean.encode())
    except PecError as error:
        return f"with secrets that the installer made still in it: {error}"
    return None


@contextlib.contextmanager
def _arguments(arguments: Sequence[str], directory: str) -> Iterator[str]:
    text = arguments_file(arguments)
    try:
        handle, path = tempfile.mkstemp(prefix=_ARGUMENTS_PREFIX, dir=directory)
    except OSError as error:
        raise PecError(f"cannot write the installer's arguments to {directory}: {error.strerror}") from None
    try:
        _write_arguments(handle, text, path)
        yield path
    finally:
        _remove(path)


def _write_arguments(handle: int, text: str, path: str) -> None:
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            stream.write(text)
    except OSError as error:
        raise PecError(f"cannot write the installer's arguments to {path}: {error.strerror}") from None


def _remove(path: str) -> None:
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)


@contextlib.contextmanager
def _open_log(path: str) -> Iterator[_Log]:
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise PecError(f"cannot create the log {path}: {error.strerror}") from None
    try:
        yield _Log(handle)
    finally:
        os.close(handle)


@contextlib.contextmanager
def _noted_signals() -> Iterator[list[int]]:
    """Yield the list to which the stop signals that this process receives are added; it then ends where it can end cleanly."""
    received: list[int] = []
    numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
    before = {number: signal.signal(number, lambda received_number, _frame: received.append(received_number)) for number in numbers}
    try:
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _start(command: Command, arguments: str) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(
            [command.java, f"@{arguments}"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd=command.work_directory,
            env=_environment(command.java_options),
            start_new_session=True,
        )
    except OSError as error:
        raise PecError(f"cannot start {command.java} in {command.work_directory}: {error.strerror}") from None


def _environment(java_options: Sequence[str]) -> Mapping[str, str]:
    """The locale is inherited by the bundled PostgreSQL, whose databases then sort as Portuguese does."""
    spelled = beliefs.LOCALE.replace("UTF-8", "utf8")
    language = beliefs.LOCALE if spelled in host.locales() else "C.UTF-8"
    environment = {"PATH": process.SYSTEM_PATH, "HOME": os.path.expanduser("~root"), "LANG": language, "LC_ALL": language}
    return {**environment, "JAVA_TOOL_OPTIONS": " ".join(java_options)} if java_options else environment


def _watch(
    child: subprocess.Popen[bytes],
    timeout: float,
    write_line: Callable[[str], None],
    arguments: str,
    status: Status,
    redact: Redactor,
    signals: Sequence[int],
) -> Run:
    """Read until the installer has ended and is quiet: services that it started may hold its output open for ever."""
    output = child.stdout.fileno() if child.stdout else -1
    lines: deque[str] = deque(maxlen=_KEPT_LINES)
    deadline, next_status, rest = time.monotonic() + timeout, 0.0, b""
    with selectors.DefaultSelector() as selector:
        selector.register(output, selectors.EVENT_READ)
        while True:
            ready = selector.select(_QUIET_SECONDS)
            data = os.read(output, 1 << 16) if ready else b""
            if data:
                _remove(arguments)  # Java has read it by the time it says its first word
                *complete, rest = (rest + data).split(b"\n")
                for line in map(_decode, complete):
                    lines.append(line)
                    write_line(line)
            elif ready or child.poll() is not None:
                break
            if signals:
                raise PecError(
                    f"this run was told to stop (signal {signals[0]}), and stopped the installer; run again to repair what is half done"
                )
            if time.monotonic() > deadline:
                return Run(-signal.SIGKILL, tuple(lines), timed_out=True)
            if time.monotonic() > next_status and lines:
                next_status = time.monotonic() + _STATUS_SECONDS
                status.write("running", last_line=redact(lines[-1])[:500])
    if rest:
        lines.append(_decode(rest))
        write_line(lines[-1])
    try:
        return Run(child.wait(timeout=max(1.0, deadline - time.monotonic())), tuple(lines))
    except subprocess.TimeoutExpired:
        return Run(-signal.SIGKILL, tuple(lines), timed_out=True)


def _decode(line: bytes) -> str:
    try:
        return line.decode().rstrip("\r")
    except UnicodeDecodeError:
        return line.decode("latin-1").rstrip("\r")


def _stop(child: subprocess.Popen[bytes]) -> None:
    """End the whole process group, gently first; of an installer that has ended by itself only what a failure left running."""
    if child.poll() is not None:
        if child.returncode != 0:  # a migrator that outlived it would meet the one of the next run
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)
        return
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(timeout=_GRACE_SECONDS)


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S%z")
