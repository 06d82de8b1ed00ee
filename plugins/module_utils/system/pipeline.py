# SPDX-License-Identifier: GPL-3.0-or-later
"""Programs joined by pipes: argument lists only, every exit code counts, and no program outlives the one that started it."""

from __future__ import annotations

import collections
import contextlib
import ctypes
import fcntl
import hashlib
import io
import os
import pwd
import re
import signal
import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import IO, BinaryIO, cast

from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.system import process

CHUNK = 1 << 20
_KEPT_LINES = 40
_PR_SET_PDEATHSIG = 1
_SHELL_SIGPIPE = 128 + signal.SIGPIPE  # a wrapper that is a shell script tells it so
_F_SETPIPE_SZ = 1031  # fcntl.F_SETPIPE_SZ exists from Python 3.10 on
_LIBC = ctypes.CDLL(None, use_errno=True)
_TELLING = re.compile(r"\b(ERROR|ERRO|FATAL|PANIC|error|fatal|could not|cannot)\b")


@dataclass(frozen=True)
class Stage:
    """One program of a pipeline. C(user) is the account of the system that it runs as, which only root can choose."""

    argv: Sequence[str]
    env: Mapping[str, str] = field(default_factory=dict, repr=False)
    user: str | None = None
    pass_fds: Sequence[int] = ()


class Pipeline:
    """Programs that read each other's output, from C(with) to its end. What they say on stderr is kept, the last lines of each.

    feed: whether C(input) is a pipe into the first program (else its input is empty). collect: whether C(output) is a pipe out of the
    last one; else its output goes to the file descriptor stdout, or nowhere. on_line(program, line) is called from a thread with every
    line of stderr as it comes; secrets are replaced in it. Start it in a thread that outlives it: the kernel kills the programs when
    their maker is gone, however it went. Leaving the block by an exception kills them; leaving it otherwise waits for them.

    Raises PecError when a program is missing or cannot be started.
    """

    def __init__(
        self,
        stages: Sequence[Stage],
        *,
        feed: bool = False,
        collect: bool = False,
        stdout: int | None = None,
        on_line: Callable[[str, str], None] | None = None,
        secrets: Sequence[str] = (),
    ) -> None:
        self._stages = stages
        self._feed, self._collect, self._stdout = feed, collect, stdout
        self._on_line = on_line
        self._secrets = [secret for secret in secrets if secret]
        self._children: list[subprocess.Popen[bytes]] = []
        self._readers: list[threading.Thread] = []
        self._said: list[collections.deque[str]] = []
        self._waited = False

    def __enter__(self) -> Pipeline:
        programs = [_find(stage.argv[0]) for stage in self._stages]
        try:
            for index, (stage, program) in enumerate(zip(self._stages, programs)):
                self._start(stage, program, last=index == len(self._stages) - 1)
        except BaseException:
            self.kill()
            raise
        self._readers = [threading.Thread(target=self._read_stderr, args=(index,), daemon=True) for index in range(len(self._children))]
        for reader in self._readers:
            reader.start()
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        if kind is None or isinstance(error, BrokenPipeError):
            try:
                self.wait()
            finally:
                self.kill()
            if error is not None:
                raise PecError(f"{_name(self._stages[0])} stopped reading before everything was written to it")
        else:
            self.kill()

    @property
    def input(self) -> BinaryIO:
        """The pipe into the first program; only with feed."""
        return cast(BinaryIO, self._children[0].stdin)

    @property
    def output(self) -> BinaryIO:
        """The pipe out of the last program; only with collect."""
        return cast(BinaryIO, self._children[-1].stdout)

    @property
    def returncodes(self) -> list[int | None]:
        """How the programs ended; None for one that runs."""
        return [child.poll() for child in self._children]

    def lines(self, program: str) -> list[str]:
        """The last lines that the program of this name wrote to stderr."""
        return [line for stage, said in zip(self._stages, self._said) if _name(stage) == program for line in said]

    def wait(self) -> None:
        """Close C(input) and wait for all. Raises PecError that names the program which failed by itself, and the line that tells why."""
        if self._waited:
            return
        self._waited = True
        if self._feed:
            with contextlib.suppress(BrokenPipeError):
                self.input.close()
        codes = [child.wait() for child in self._children]
        for reader in self._readers:
            reader.join()
        failed = [index for index, code in enumerate(codes) if code != 0]
        if failed:
            index = next((index for index in failed if not self._broken_pipe(index, codes[index])), failed[-1])
            raise PecError(f"{_name(self._stages[index])} failed: {self._reason(index, codes[index])}")

    def kill(self) -> None:
        """Kill what still runs and collect it."""
        for child in self._children:
            if child.poll() is None:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(child.pid, signal.SIGKILL)
            child.wait()
        for reader in self._readers:
            reader.join()
        for child in self._children:
            for stream in (child.stdin, child.stdout, child.stderr):
                with contextlib.suppress(OSError):
                    if stream:
                        stream.close()

    def _start(self, stage: Stage, program: str, *, last: bool) -> None:
        first = not self._children
        stdin: int | IO[bytes] = subprocess.PIPE if first and self._feed else subprocess.DEVNULL
        if not first:
            stdin = cast("IO[bytes]", self._children[-1].stdout)
        sink = self._stdout if self._stdout is not None else subprocess.DEVNULL
        try:
            child = subprocess.Popen(
                [program, *stage.argv[1:]],
                stdin=stdin,
                stdout=subprocess.PIPE if not last or self._collect else sink,
                stderr=subprocess.PIPE,
                env={**process.environment(stage.env), **({"HOME": pwd.getpwnam(stage.user).pw_dir} if stage.user else {})},
                cwd="/",  # another account may not enter ours
                pass_fds=stage.pass_fds,
                start_new_session=True,
                preexec_fn=_child_setup(stage.user),
            )
        except KeyError:
            raise PecError(f"there is no account {stage.user} on this host to run {_name(stage)} as") from None
        except (OSError, subprocess.SubprocessError) as error:
            raise PecError(f"cannot start {program}: {getattr(error, 'strerror', None) or error}") from None
        if not first:
            cast("IO[bytes]", self._children[-1].stdout).close()  # else the program before would never notice that this one is gone
        self._children.append(child)
        self._said.append(collections.deque(maxlen=_KEPT_LINES))
        for pipe in (child.stdin, child.stdout):
            if pipe:
                with contextlib.suppress(OSError):
                    fcntl.fcntl(pipe, _F_SETPIPE_SZ, CHUNK)

    def _read_stderr(self, index: int) -> None:
        name = _name(self._stages[index])
        for raw in cast("IO[bytes]", self._children[index].stderr):
            line = raw.decode("utf-8", "replace").rstrip("\r\n")
            for secret in self._secrets:
                line = line.replace(secret, "***")
            self._said[index].append(line)
            if self._on_line:
                self._on_line(name, line)

    def _broken_pipe(self, index: int, code: int) -> bool:
        return code in (-signal.SIGPIPE, _SHELL_SIGPIPE) or any("broken pipe" in line.lower() for line in self._said[index])

    def _reason(self, index: int, code: int) -> str:
        said = [line.strip() for line in self._said[index] if line.strip()]
        end = f"it was killed by {signal.Signals(-code).name}" if code < 0 else f"it ended with exit code {code} without a word"
        return next((line for line in said if _TELLING.search(line)), said[-1] if said and code > 0 else end)


class HashingFile(io.RawIOBase):
    """A new file that is only written forward; C(bytes) and C(sha256) are those of what was written so far. It must not exist yet."""

    def __init__(self, path: str, mode: int = 0o600) -> None:
        super().__init__()
        self.bytes = 0
        self._path = path
        self._hash = hashlib.sha256()
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode)
        self._stream = os.fdopen(handle, "wb", buffering=CHUNK)

    @property
    def sha256(self) -> str:
        """The SHA-256, in hexadecimal."""
        return self._hash.hexdigest()

    def writable(self) -> bool:
        """It is."""
        return True

    def write(self, data: bytes) -> int:  # type: ignore[override]
        """Write all of data."""
        self._stream.write(data)
        self._hash.update(data)
        self.bytes += len(data)
        return len(data)

    def flush(self) -> None:
        """Hand what was written to the system."""
        if not self._stream.closed:
            self._stream.flush()

    def close_synced(self) -> None:
        """Close it once everything is on the disk. Raises OSError when it does not get there."""
        self._stream.flush()
        os.fsync(self._stream.fileno())
        self._stream.close()
        self.close()

    def discard(self) -> None:
        """Remove the file."""
        with contextlib.suppress(OSError):
            self._stream.close()
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._path)


def encryption(recipients: Sequence[str]) -> list[Stage]:
    """Return the program that encrypts what passes through it to each of these public keys of age; none when there are none."""
    return [Stage(["age", *(word for recipient in recipients for word in ("--recipient", recipient))])] if recipients else []


def copy(source: BinaryIO, sink: io.RawIOBase | BinaryIO, *, on_bytes: Callable[[int], None] | None = None, chunk: int = CHUNK) -> int:
    """Copy to the end of C(source); return the number of bytes. on_bytes(total) is told after every chunk."""
    total = 0
    while True:
        data = source.read(chunk)
        if not data:
            return total
        sink.write(data)
        total += len(data)
        if on_bytes:
            on_bytes(total)


def sha256_file(path: str, on_bytes: Callable[[int], None] | None = None) -> tuple[int, str]:
    """Return the size in bytes and the SHA-256 of a file. Raises PecError when it cannot be read."""
    digest, total = hashlib.sha256(), 0
    try:
        with open(path, "rb", buffering=0) as stream:
            while True:
                data = stream.read(CHUNK)
                if not data:
                    return total, digest.hexdigest()
                digest.update(data)
                total += len(data)
                if on_bytes:
                    on_bytes(total)
    except OSError as error:
        raise PecError(f"cannot read {path}: {error.strerror}") from None


def _find(name: str) -> str:
    program = process.which(name)
    if program is None:
        raise PecError(f"the program {name} is not on this host; install the package that brings it")
    return program


def _name(stage: Stage) -> str:
    return os.path.basename(stage.argv[0])


def _child_setup(user: str | None) -> Callable[[], None]:
    account = pwd.getpwnam(user) if user else None
    parent = os.getpid()

    def setup() -> None:
        os.umask(0o077)
        if account:
            os.initgroups(account.pw_name, account.pw_gid)
            os.setgid(account.pw_gid)
            os.setuid(account.pw_uid)
        # After the change of account, which would undo it.
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)

    return setup
