# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs ansible and ansible-playbook as children of a process that has loaded Ansible's code already.

To load it takes more processor time than most modules do, and the tests run a thousand of them.

The process is this same file, run with the path of its socket. Each request is a child of its own, which does what the program would do;
its output goes to files.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Mapping, Sequence

_TIMEOUT = 900


class Preloaded:
    """Ansible in one environment, because it reads its settings when it is loaded."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._directory = tempfile.TemporaryDirectory()
        self._path = os.path.join(self._directory.name, "socket")
        argv = [sys.executable, __file__, self._path]
        self._process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=dict(environment))
        assert self._process.stdout and self._process.stdout.readline() == "ready\n", "Ansible could not be loaded"

    def cpu_seconds(self) -> float:
        """Processor time of it and its children, once another child has begun after they ended."""
        with open(f"/proc/{self._process.pid}/stat", encoding="utf-8") as stat:
            ticks = stat.read().rpartition(")")[2].split()[11:15]  # utime, stime, cutime, cstime
        return sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK")

    def close(self) -> None:
        """End it, and what it still runs."""
        self._process.communicate(timeout=20)
        self._directory.cleanup()

    def run(self, program: str, arguments: Sequence[str]) -> subprocess.CompletedProcess[str]:
        """Do what the program does."""
        argv = [program, *map(str, arguments)]
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err, socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(_TIMEOUT)
            connection.connect(self._path)
            socket.send_fds(connection, [b"."], [out.fileno(), err.fileno()])
            connection.sendall(json.dumps([os.getcwd(), argv]).encode() + b"\n")
            with connection.makefile(encoding="utf-8") as answers:
                pid = int(answers.readline())
                try:
                    code = answers.readline()
                except TimeoutError:
                    os.killpg(pid, signal.SIGKILL)
                    raise
            texts = []
            for stream in (out, err):
                stream.seek(0)
                texts.append(stream.read().decode("utf-8", "replace"))
        assert code, f"{program} ended without a result:\n{texts[1]}"
        return subprocess.CompletedProcess(argv, int(code), *texts)


def _serve(path: str) -> None:
    from ansible.cli import adhoc, playbook  # and with them nearly everything that a run needs
    from ansible.plugins.loader import action_loader, callback_loader, strategy_loader

    for loader, names in ((action_loader, ("normal",)), (callback_loader, ("default", "minimal")), (strategy_loader, ("linear",))):
        for name in names:
            loader.get(name, class_only=True)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen()
    print("ready", flush=True)
    children = set()
    while sys.stdin not in select.select([listener, sys.stdin], [], [])[0]:
        connection = listener.accept()[0]
        pid = os.fork()
        if pid == 0:
            listener.close()
            _answer(connection, {"ansible": adhoc.AdHocCLI, "ansible-playbook": playbook.PlaybookCLI})
        connection.close()
        children.add(pid)
        children -= {child for child in children if os.waitpid(child, os.WNOHANG)[0]}
    for child in children:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child, signal.SIGKILL)


def _answer(connection: socket.socket, programs: Mapping[str, type]) -> None:
    code = 250
    try:
        os.setsid()
        descriptors = socket.recv_fds(connection, 1, 2)[1]
        with connection.makefile("r", encoding="utf-8") as request:
            directory, argv = json.loads(request.readline())
        connection.sendall(f"{os.getpid()}\n".encode())
        for target, descriptor in enumerate([os.open(os.devnull, os.O_RDONLY), *descriptors]):
            os.dup2(descriptor, target)
            os.close(descriptor)
        os.chdir(directory)
        sys.argv = argv
        programs[argv[0]].cli_executor(argv)
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    except BaseException:
        traceback.print_exc()
    finally:
        with contextlib.suppress(OSError):
            sys.stdout.flush()
            sys.stderr.flush()
            connection.sendall(f"{code}\n".encode())
        os._exit(0)


if __name__ == "__main__":
    _serve(sys.argv[1])
