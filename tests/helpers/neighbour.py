# SPDX-License-Identifier: GPL-3.0-or-later
"""An account without rights that looks at what every account can see while something else works, and searches it for secrets.

It samples the arguments and environments of processes and reads files that appear in places where programs leave things. Whether it sees
at all is proven when it starts: root plants a canary as a file in each place and in the arguments of a process, the account itself one in
an environment.

The account runs this same file, from its argument, so only the standard library is imported here.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import stat
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

UID = 65533  # owns nothing and is nobody, whose programs it would otherwise see into
PLACES = (
    "/tmp", "/var/tmp", "/dev/shm", "/run", "/etc/esus-pec", "/etc/systemd/system", "/usr/local/lib/esus-pec",
    "/var/lib/esus-pec", "/var/log", "/var/cache/esus-pec",
)  # fmt: skip
_PAUSE = 0.01
_LARGEST = 4 << 20
_DEPTH = 3  # below a place; a checkout in /tmp, with all that it installs, would take seconds
_PEC_ITSELF = b"migrador.jar"  # PEC's installer gives it the password as an argument, which nothing of ours can change


class Neighbour:
    """The account on one server.

    become: the command that runs another as the account there, with pipes. shell: runs a script there as root.
    """

    def __init__(self, become: Sequence[str], shell: Callable[[str], object], places: Sequence[str] = PLACES) -> None:
        argv = [*become, "python3", "-c", Path(__file__).read_text(encoding="utf-8"), *places]
        self._process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self._prove_sight(shell, places)

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def close(self) -> None:
        with contextlib.suppress(BrokenPipeError):
            self._process.communicate(timeout=20)

    @contextlib.contextmanager
    def watching(self, secrets: Iterable[str]) -> Iterator[None]:
        """Fail if one of these texts was visible to the account during the block."""
        self._tell(secrets=sorted(secrets))
        try:
            yield
        finally:
            seen = self._tell()
        assert seen["passes"] > 1, "the neighbour did not look"
        assert seen["found"] == [], "a secret was visible to another account"

    def _prove_sight(self, shell: Callable[[str], object], places: Sequence[str]) -> None:
        canary, name = uuid.uuid4().hex, f"neighbour-{uuid.uuid4().hex}"
        self._tell(secrets=[canary], canary=canary)
        planted = " ".join(f"'{place}'" for place in places)
        shell(
            f'for place in {planted}; do [ ! -d "$place" ] || {{ echo {canary} >"$place/{name}"; chmod 644 "$place/{name}"; }}; done\n'
            f"sh -c 'sleep 0.5; :' {canary}\n"
        )
        seen = self._tell()
        shell(f'for place in {planted}; do rm -f "$place/{name}"; done')
        blind = {f"the file {os.path.join(place, name)}" for place in seen["entered"]} - set(seen["found"])
        assert seen["entered"] and not blind, f"the neighbour is blind for {blind}"
        for what in ("the arguments", "the environment"):
            assert any(found.startswith(f"{what} of ") for found in seen["found"]), f"the neighbour is blind for {what} of a process"

    def _tell(self, **what: Any) -> Any:
        assert self._process.stdin and self._process.stdout
        self._process.stdin.write(json.dumps(what) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())


class Watch:
    """What is visible from a moment on; C(found) says where a secret is, without it."""

    def __init__(self, secrets: list[str], places: list[str]) -> None:
        self.secrets = [secret.encode() for secret in secrets]
        self.places = [place for place in places if os.access(place, os.R_OK | os.X_OK)]
        self.since = time.time() - 0.1
        self.found: dict[str, None] = {}
        self.passes = 0
        self._age: dict[str, int] = {}
        self._read: set[tuple[int, ...]] = set()

    def look(self) -> None:
        pids = [name for name in os.listdir("/proc") if name.isdigit()]
        self._age = {pid: self._age.get(pid, -1) + 1 for pid in pids}
        for pid, age in self._age.items():
            if age < 5 or age % 50 == 0:  # a process that was just made becomes another program soon
                self._look_at_process(pid)
        if self.passes % 10 == 0:
            self.look_at_files()
        self.passes += 1

    def look_at_files(self) -> None:
        for place in self.places:
            for directory, directories, names in os.walk(place):
                if directory.count("/") - place.count("/") >= _DEPTH:
                    directories.clear()
                for name in names:
                    with contextlib.suppress(OSError):
                        self._look_at_file(os.path.join(directory, name))

    def _look_at_process(self, pid: str) -> None:
        argv = _content(f"/proc/{pid}/cmdline")
        if self._holds(argv) and _PEC_ITSELF not in argv:
            self.found[f"the arguments of {argv.split(bytes(1))[0].decode(errors='replace')}"] = None
        if self._holds(_content(f"/proc/{pid}/environ")):
            self.found[f"the environment of {argv.split(bytes(1))[0].decode(errors='replace')}"] = None

    def _look_at_file(self, path: str) -> None:
        status = os.lstat(path)
        key = (status.st_dev, status.st_ino, status.st_mtime_ns, status.st_size)
        if not stat.S_ISREG(status.st_mode) or status.st_ctime < self.since or status.st_size > _LARGEST or key in self._read:
            return
        self._read.add(key)
        if self._holds(_content(path)):
            self.found[f"the file {path}"] = None

    def _holds(self, content: bytes) -> bool:
        return any(secret in content for secret in self.secrets)


def _content(path: str) -> bytes:
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return b""
    with os.fdopen(handle, "rb") as stream, contextlib.suppress(OSError):
        return stream.read()
    return b""


def watch(places: list[str]) -> None:
    """Obey: the secrets begin a watch, anything else ends it and is answered with what was found."""
    current: Watch | None = None
    child = None
    while True:
        ready = select.select([sys.stdin], [], [], _PAUSE if current else None)[0]
        if not ready:
            assert current
            current.look()
            continue
        line = sys.stdin.readline()
        if not line:
            return
        told = json.loads(line)
        answer: dict[str, object] = {}
        if "secrets" in told:
            current = Watch(told["secrets"], places)
            current.look()
            if "canary" in told:
                child = subprocess.Popen(["sleep", "60"], env={"PATH": os.environ["PATH"], "CANARY": told["canary"]})
        elif current:
            current.look()
            current.look_at_files()
            answer = {"found": sorted(current.found), "passes": current.passes, "entered": current.places}
            current = None
            if child:
                child.kill()
                child.wait()
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


if __name__ == "__main__" and len(sys.argv) > 1:
    watch(sys.argv[1:])
