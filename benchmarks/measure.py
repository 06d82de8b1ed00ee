# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs one program and says how long it took, how much memory that process had at most, and how much disk its files."""

from __future__ import annotations

import os
import re
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

_INTERVAL = 0.02


@dataclass(frozen=True)
class Measure:
    """Seconds of the wall clock, peak memory of the process itself without its children, peak of the files in its directory."""

    seconds: float
    memory: int
    disk: int


def run(argv: Sequence[str | Path], *, environment: Mapping[str, str], directory: Path, stdout: Path | None = None) -> Measure:
    """Raises SystemExit with the program's last words when it fails."""
    log = directory.parent / "log"
    with log.open("wb") as errors, (stdout or log.with_suffix(".stdout")).open("wb") as output:
        start = time.monotonic()
        process = subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=output, stderr=errors, cwd=directory, env={**os.environ, **environment}
        )
        sampler = Sampler((directory,), process.pid)
        try:
            code = process.wait()
        except BaseException:
            process.kill()
            process.wait()
            raise
        finally:
            seconds = time.monotonic() - start
            sampler.finish()
    if code != 0:
        told = log.read_text(errors="replace") + (log.with_suffix(".stdout").read_text(errors="replace") if stdout is None else "")
        raise SystemExit(f"benchmark: {argv[0]} failed with {code}:\n{told[-3000:]}")
    return Measure(seconds, sampler.memory, sampler.disk)


def size(path: Path) -> int:
    """Bytes of a file, or of all files of a directory; what goes away meanwhile counts nothing."""
    found = [path, *(Path(folder) / name for folder, _folders, names in os.walk(path) for name in names)]
    total = 0
    for entry in found if not path.is_dir() else found[1:]:
        try:
            total += entry.stat().st_size
        except FileNotFoundError:
            continue
    return total


@contextmanager
def watching(directories: Sequence[Path]) -> Iterator[Sampler]:
    """Sample what the files of the directories take together, until the block ends."""
    sampler = Sampler(directories)
    try:
        yield sampler
    finally:
        sampler.finish()


class Sampler(threading.Thread):
    """Peaks: of the memory of a process, if there is one, and of the bytes in the directories."""

    def __init__(self, directories: Sequence[Path], pid: int | None = None) -> None:
        super().__init__(daemon=True)
        self.memory = self.disk = 0
        self._pid, self._directories, self._done = pid, directories, threading.Event()
        self.start()

    def run(self) -> None:
        turn = 0
        while not self._done.wait(_INTERVAL):
            if self._pid is not None:
                self.memory = max(self.memory, _high_water_mark(self._pid))
            if turn % 10 == 0:
                self._look()
            turn += 1

    def finish(self) -> None:
        self._done.set()
        self.join()
        self._look()

    def _look(self) -> None:
        self.disk = max(self.disk, sum(map(size, self._directories)))


def _high_water_mark(pid: int) -> int:
    try:
        found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    except OSError:
        return 0
    return int(found[1]) * 1024 if found else 0
