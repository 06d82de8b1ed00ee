# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs other programs: argument lists only, a small known environment, nothing left after a timeout. Private to the collection."""

from __future__ import annotations

import contextlib
import os
import selectors
import shutil
import signal
import subprocess  # nosec B404  # lists of arguments only, never a shell
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.system import confinement, files

SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_MOST_OUTPUT = 16 << 20
_PAUSE = 0.2
_PIPE = 4096  # bytes that a pipe takes without blocking, once it takes any


@dataclass(frozen=True)
class Completed:
    """How a program ended. A negative C(returncode) is the number of the signal that killed it."""

    returncode: int
    stdout: str
    stderr: str


def search_path() -> str:
    """Return the directories to look for programs in: those of PATH, then the system's own. Root skips what another account can change."""
    known = dict.fromkeys([*os.environ.get("PATH", "").split(os.pathsep), *SYSTEM_PATH.split(os.pathsep)])
    return os.pathsep.join(directory for directory in known if os.path.isabs(directory) and (os.geteuid() != 0 or _ours(directory)))


def which(name: str) -> str | None:
    """Return the path of the program C(name), or None; the system directories count even when PATH lacks them."""
    return shutil.which(name, path=search_path())


def find(name: str, *, confined: bool = False) -> str:
    """Return the path of the program C(name). Raises PecError when it is not installed, and when root would run what others can change.

    confined: it will run as an account without rights, so it may be anybody's.
    """
    program = which(name)
    if program is None:
        raise PecError(f"the program {name} is not on this host; install the package that brings it")
    if os.geteuid() == 0 and not confined:
        files.require_ours(program, "the program")
    return program


def run(
    argv: Sequence[str],
    *,
    timeout: float = 60,
    env: Mapping[str, str] | None = None,
    cwd: str | None = None,
    stdin: str | None = None,
    confined: bool = False,
    secret: bool = False,
    pass_fds: Sequence[int] = (),
    meanwhile: Callable[[], object] | None = None,
) -> Completed:
    """Run C(argv) to its end and return its output; the caller judges a non-zero exit code.

    timeout is in seconds; env is added to a minimal environment with LC_ALL=C.UTF-8; stdin is text (none: empty input); confined runs it
    as an account without rights if we are root, another one if it holds a secret; it inherits the descriptors pass_fds, and works in /
    unless cwd names another directory. meanwhile is called now and then, and ends the program by what it raises.
    Raises PecError when the program is missing, cannot be started, does not end in time or writes more than 16 MiB (it and its children
    are then killed). Errors name the program only, because its arguments may be private.
    """
    program = find(argv[0], confined=confined)
    become = [find("setpriv"), *confinement.become(secret=secret), "--"] if confined and confinement.active() else []
    home = {"HOME": "/nonexistent"} if confined else {}
    try:
        child = subprocess.Popen(  # nosec B603  # no shell
            [*become, program, *argv[1:]],
            stdin=subprocess.PIPE if stdin is not None else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment({**home, **(env or {})}),
            cwd=cwd or ("/" if confined else None),
            pass_fds=pass_fds,
            start_new_session=True,
        )
    except (OSError, ValueError) as error:
        raise PecError(f"cannot start {program}: {why_not_started(error)}") from None
    try:
        stdout, stderr = _converse(child, (stdin or "").encode("utf-8", "replace"), time.monotonic() + timeout, meanwhile)
    except TimeoutError:
        raise PecError(f"{program} did not end within {timeout:g} seconds and was stopped") from None
    except OverflowError:
        raise PecError(f"{program} wrote more than {_MOST_OUTPUT >> 20} MiB and was stopped") from None
    finally:
        _end(child)
    return Completed(child.returncode, stdout, stderr)


def why_not_started(error: OSError | ValueError) -> str:
    """Return why a program could not be started; a ValueError's own text may have an argument or a variable of the environment in it."""
    return f"{error.strerror}" if isinstance(error, OSError) else "it would be given a character that no program can be given, such as NUL"


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the minimal environment that programs get, with C(extra) on top."""
    minimal = {"PATH": search_path(), "LC_ALL": "C.UTF-8", "HOME": os.path.expanduser("~")}
    minimal.update(extra or {})
    return minimal


def started(pid: int) -> str:
    """Return what distinguishes a process from a later one of the same number; empty if there is none."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as stream:
            return stream.read().rpartition(")")[2].split()[19]  # its start, in ticks since the host's
    except (OSError, IndexError):
        return ""


def _ours(directory: str) -> bool:
    try:
        return not files.changers(directory)
    except PecError:  # it does not exist
        return False


def _converse(child: subprocess.Popen[bytes], given: bytes, deadline: float, meanwhile: Callable[[], object] | None) -> tuple[str, str]:
    """Give the input and return both outputs. Raises TimeoutError at the deadline, OverflowError at more output than anybody needs.

    Not by communicate(), which keeps any amount in memory, and after a timeout waits for ever for one that left the child's session.
    """
    rest = memoryview(given)
    pipes = {pipe.fileno(): pipe for pipe in (child.stdin, child.stdout, child.stderr) if pipe}
    outputs = {pipe.fileno(): bytearray() for pipe in (child.stdout, child.stderr) if pipe}
    said = list(outputs.values())
    with selectors.DefaultSelector() as selector:
        for number in pipes:
            selector.register(number, selectors.EVENT_READ if number in outputs else selectors.EVENT_WRITE)
        while selector.get_map():
            left = deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError
            if meanwhile:
                meanwhile()
            for key, _events in selector.select(min(left, _PAUSE) if meanwhile else left):
                if key.fd in outputs:
                    data = os.read(key.fd, 1 << 16)
                    outputs[key.fd] += data
                    done = not data
                else:
                    try:
                        rest = rest[os.write(key.fd, rest[:_PIPE]) :]
                    except BrokenPipeError:
                        rest = rest[:0]
                    done = not rest
                if done:
                    selector.unregister(key.fd)
                    pipes[key.fd].close()
            if sum(map(len, said)) > _MOST_OUTPUT:
                raise OverflowError
    try:
        child.wait(max(0, deadline - time.monotonic()))
    except subprocess.TimeoutExpired:
        raise TimeoutError from None
    stdout, stderr = (data.decode("utf-8", "replace").replace("\r\n", "\n").replace("\r", "\n") for data in said)
    return stdout, stderr


def _end(child: subprocess.Popen[bytes]) -> None:
    """Kill the whole session of a child that was not collected, and collect it."""
    if child.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
        child.wait()
    for pipe in (child.stdin, child.stdout, child.stderr):
        if pipe:
            pipe.close()
