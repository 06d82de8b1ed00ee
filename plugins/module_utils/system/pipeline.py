# SPDX-License-Identifier: GPL-3.0-or-later
"""Programs joined by pipes: argument lists only, every exit code counts, none outlives its maker. Private to the collection."""

from __future__ import annotations

import collections
import contextlib
import fcntl
import hashlib
import os
import pwd
import re
import signal
import subprocess  # nosec B404  # lists of arguments only, never a shell
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import IO, BinaryIO, cast

from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.redact import Redactor
from ansible_collections.esus.pec.plugins.module_utils.system import confinement, process

CHUNK = 1 << 20
_KEPT_LINES = 40
_LINGER_SECONDS = 30  # for the last lines of a program that has ended; what it left running may hold its stderr open
_LONGEST_LINE = 1 << 14
_MOST_MEMORY = 1 << 30  # of one program
_SHELL_SIGPIPE = 128 + signal.SIGPIPE  # from a wrapper that is a shell script
_F_SETPIPE_SZ = 1031  # fcntl.F_SETPIPE_SZ exists from Python 3.10 on
_CAUSE = re.compile(r"\b(ERROR|ERRO|FATAL|PANIC|error|fatal|could not|cannot)\b")


@dataclass(frozen=True)
class Stage:
    """One program of a pipeline. C(user) is the account of the system to run it as, which only root can choose; None is one without rights.

    C(limits) are those of C(prlimit), such as {"fsize": 0}, beside one of its memory: the program reads what comes from outside.
    C(secret): it holds a secret, so it is another account than the programs that do not, and these cannot look into it. C(cwd) has to be a
    directory that the account may enter.
    """

    argv: Sequence[str]
    env: Mapping[str, str] = field(default_factory=dict, repr=False)
    user: str | None = None
    pass_fds: Sequence[int] = ()
    limits: Mapping[str, int] = field(default_factory=dict)
    secret: bool = False
    cwd: str = "/"


class Pipeline:
    """Programs that read each other's output, from C(with) to its end. The last lines of each one's stderr are kept.

    When root starts them, they run as an account without rights (C(confinement)): they read no file that not everybody may read, but for
    the descriptors that they inherit.

    feed: make C(input) a pipe into the first program (else it reads the file descriptor stdin, or nothing). collect: make C(output) a pipe
    out of the last one (else its output goes to the file descriptor stdout, or nowhere). on_line(program, line) is called from a thread for
    every line of stderr, with the secrets masked. Start it in a thread that outlives it: the kernel kills the programs when their maker
    ends for whatever reason. Leaving the block by an exception kills them; leaving it otherwise waits for them.

    Raises PecError when a program is missing or cannot be started.
    """

    def __init__(
        self,
        stages: Sequence[Stage],
        *,
        feed: bool = False,
        collect: bool = False,
        stdin: int | None = None,
        stdout: int | None = None,
        on_line: Callable[[str, str], None] | None = None,
        secrets: Sequence[str] = (),
    ) -> None:
        self._stages = stages
        self._feed, self._collect, self._stdin, self._stdout = feed, collect, stdin, stdout
        self._on_line = on_line
        self._redact = Redactor(secrets, only_known=True)
        self._children: list[subprocess.Popen[bytes]] = []
        self._readers: list[threading.Thread] = []
        self._said: list[collections.deque[str]] = []
        self._waited = False

    def __enter__(self) -> Pipeline:
        programs = [process.find(stage.argv[0], confined=stage.user is None) for stage in self._stages]
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
        """The exit codes of the programs; None for one that still runs."""
        return [child.poll() for child in self._children]

    def lines(self, program: str) -> list[str]:
        """The last lines that the program of this name wrote to stderr."""
        return [line for stage, said in zip(self._stages, self._said) if _name(stage) == program for line in said]

    def wait(self) -> None:
        """Close C(input) and wait for all. Raises PecError with the program that failed first and the line of its stderr that says why."""
        if self._waited:
            return
        self._waited = True
        if self._feed:
            with contextlib.suppress(BrokenPipeError):
                self.input.close()
        codes = [child.wait() for child in self._children]
        for reader in self._readers:
            reader.join(_LINGER_SECONDS)
        failed = [index for index, code in enumerate(codes) if code != 0]
        if failed:
            index = next((index for index in failed if not self._broken_pipe(index, codes[index])), failed[-1])
            raise PecError(f"{_name(self._stages[index])} failed: {self._reason(index, codes[index])}")

    def kill(self) -> None:
        """Kill the programs that still run, and collect them."""
        for child in self._children:
            if child.poll() is None:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(child.pid, signal.SIGKILL)
            child.wait()
        for reader in self._readers:
            reader.join(_LINGER_SECONDS)
        for child in self._children:
            for stream in (child.stdin, child.stdout, child.stderr):
                with contextlib.suppress(OSError):
                    if stream:
                        stream.close()

    def _start(self, stage: Stage, program: str, *, last: bool) -> None:
        first = not self._children
        stdin: int | IO[bytes] = subprocess.DEVNULL if self._stdin is None else self._stdin
        if not first:
            stdin = cast("IO[bytes]", self._children[-1].stdout)
        elif self._feed:
            stdin = subprocess.PIPE
        sink = self._stdout if self._stdout is not None else subprocess.DEVNULL
        account = _account(stage)
        try:
            child = subprocess.Popen(  # nosec B603  # no shell
                [*_limited(stage), *_become(account, secret=stage.secret), program, *stage.argv[1:]],
                stdin=stdin,
                stdout=subprocess.PIPE if not last or self._collect else sink,
                stderr=subprocess.PIPE,
                env=process.environment({"HOME": account.pw_dir if account else "/nonexistent", **stage.env}),
                cwd=stage.cwd,  # another account may not enter ours
                pass_fds=stage.pass_fds,
                start_new_session=True,
            )
        except (OSError, ValueError) as error:
            raise PecError(f"cannot start {program}: {process.why_not_started(error)}") from None
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
        stderr = cast("IO[bytes]", self._children[index].stderr)
        begins = True
        for raw in iter(lambda: stderr.readline(_LONGEST_LINE), b""):
            kept, begins = begins, raw.endswith(b"\n")
            if not kept:  # the rest of a line that would fill the memory: a dump may say anything through its program
                continue
            line = self._redact(raw.decode("utf-8", "replace").rstrip("\r\n"))
            self._said[index].append(line)
            if self._on_line:
                self._on_line(name, line)

    def _broken_pipe(self, index: int, code: int) -> bool:
        return code in (-signal.SIGPIPE, _SHELL_SIGPIPE) or any("broken pipe" in line.lower() for line in self._said[index])

    def _reason(self, index: int, code: int) -> str:
        said = [line.strip() for line in self._said[index] if line.strip()]
        end = f"it was killed by {signal.Signals(-code).name}" if code < 0 else f"it ended with exit code {code} and no message"
        return next((line for line in said if _CAUSE.search(line)), said[-1] if said and code > 0 else end)


def encryption(recipients: Sequence[str]) -> list[Stage]:
    """Return the program that encrypts to each of these public keys of age; none when there are none."""
    return [Stage(["age", *(word for recipient in recipients for word in ("--recipient", recipient))])] if recipients else []


def sha256_file(path: str | int, on_bytes: Callable[[int], None] | None = None) -> tuple[int, str]:
    """Return the size in bytes and the SHA-256 of a file, or of a descriptor, which is closed. Raises PecError when it cannot be read."""
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


def _name(stage: Stage) -> str:
    return os.path.basename(stage.argv[0])


def _account(stage: Stage) -> pwd.struct_passwd | None:
    try:
        return pwd.getpwnam(stage.user) if stage.user else None
    except KeyError:
        raise PecError(f"there is no account {stage.user} on this host to run {_name(stage)} as; check the name, or create it") from None


def _limited(stage: Stage) -> list[str]:
    limits = {"data": _MOST_MEMORY, **stage.limits}
    return [process.find("prlimit"), *(f"--{name}={number}" for name, number in limits.items()), "--"]


def _become(account: pwd.struct_passwd | None, *, secret: bool) -> list[str]:
    """Return the command that changes the account and makes the kernel kill a program with the thread that starts it.

    Should we die before setpriv has arranged that, the program ends by itself: at the end of its input, or on its first word to a pipe
    that nobody reads any more.
    """
    options = ["--pdeathsig", "KILL"]
    if account:
        options += ["--reuid", str(account.pw_uid), "--regid", str(account.pw_gid), "--init-groups", "--no-new-privs"]
    elif confinement.active():
        options += confinement.become(secret=secret)
    return [process.find("setpriv"), *options, "--"]
