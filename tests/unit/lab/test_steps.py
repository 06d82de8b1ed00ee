# SPDX-License-Identifier: GPL-3.0-or-later
"""What `make test` prints at its end, and what it leaves behind: a false make and a false podman stand in."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

STEPS = Path(__file__).resolve().parents[2] / "lab" / "steps"
MAKE = """#!/bin/sh
case $1 in
  unit) for n in 1 2 3 4 5 6 7 8 9 10 11; do printf '%8.1f s  tests/unit/test_%s.py\\n' 10$n $n; done >"$DURATIONS_FILE" ;;
  broken) exit 2 ;;
  slow) echo $$ >"$LAB_BUILD_DIR/pid"; exec sleep 60 ;;
esac
"""
PODMAN = """#!/bin/sh
[ "$1" != ps ] || echo esus-pec-left
echo "$*" >>"$LAB_BUILD_DIR/calls"
"""


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    for name, text in (("make", MAKE), ("podman", PODMAN)):
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    return {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}", "LAB_BUILD_DIR": str(tmp_path), "CONTAINERS_CONF": "/dev/null"}


def steps(environment: dict[str, str], lanes: int, *targets: str) -> tuple[int, list[str]]:
    run = subprocess.run([STEPS, str(lanes), *targets], env=environment, capture_output=True, text=True, check=False)
    return run.returncode, run.stdout.splitlines()


def slowest(lines: list[str]) -> list[str]:
    start = lines.index("The slowest ten:") + 1
    return [line.split(" s  ")[1] for line in lines[start : lines.index("", start)]]


def test_the_end(environment: dict[str, str], tmp_path: Path) -> None:
    code, lines = steps(environment, 2, "unit", "broken", "lint")
    assert (code, lines[-1]) == (1, "2 passed, 1 failed")
    assert slowest(lines) == [f"tests/unit/test_{n}.py" for n in (11, 10, 9, 8, 7, 6, 5, 4, 3, 2)]
    assert "rm -f -i -t 2 esus-pec-left" in (tmp_path / "calls").read_text()


def test_a_target_without_test_files_counts_as_one(environment: dict[str, str]) -> None:
    code, lines = steps(environment, 1, "lint")
    assert (code, slowest(lines), lines[-1]) == (0, ["make lint"], "1 passed, 0 failed")


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_nothing_stays_when_it_is_interrupted(environment: dict[str, str], tmp_path: Path, sent: signal.Signals) -> None:
    # A program that is started with a signal ignored, as in the background, cannot trap it.
    argv = ["env", "--default-signal", STEPS, "2", "lint", "slow"]
    with subprocess.Popen(argv, env=environment, stdout=subprocess.DEVNULL) as run:
        pid = tmp_path / "pid"
        end = time.monotonic() + 20
        while not pid.exists() or not pid.read_text():
            assert time.monotonic() < end
            time.sleep(0.05)
        run.send_signal(sent)
        assert run.wait(20) == 130
    assert not Path("/proc", pid.read_text().strip()).exists()
    assert "rm -f -i -t 2 esus-pec-left" in (tmp_path / "calls").read_text()
