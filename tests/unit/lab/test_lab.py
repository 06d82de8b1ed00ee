# SPDX-License-Identifier: GPL-3.0-or-later
"""Removing containers: each on its own, and the ones that could not be removed are named at the end."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

LAB = Path(__file__).resolve().parents[2] / "lab" / "lab"
NAMES = ["esus-pec-one", "esus-pec-stuck", "esus-pec-two"]
PODMAN = """#!/bin/sh
echo "$*" >>"$LAB_BUILD_DIR/calls"
case "$1 $*" in
  "ps "*) printf '%s\\n' esus-pec-one esus-pec-stuck esus-pec-demo esus-pec-two ;;
  "rm "*stuck*) echo "cannot remove it" >&2; exit 125 ;;
esac
"""


@pytest.fixture
def build(tmp_path: Path) -> Path:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "podman").write_text(PODMAN)
    (tmp_path / "bin" / "podman").chmod(0o755)
    (tmp_path / "lab").mkdir()
    for name in NAMES:
        (tmp_path / "lab" / f"{name}.pid").write_text("1")
    return tmp_path


def lab(build: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    path = f"{build / 'bin'}:{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "LAB_BUILD_DIR": str(build), "CONTAINERS_CONF": "/dev/null"}
    return subprocess.run([LAB, *arguments], env=environment, capture_output=True, text=True, check=False)


def removed(build: Path) -> list[str]:
    calls = (build / "calls").read_text().splitlines()
    return [call.split()[-1] for call in calls if call.startswith("rm ")]


@pytest.mark.parametrize("arguments", [["down", *NAMES], ["sweep"]], ids=lambda arguments: arguments[0])
def test_one_that_stays_does_not_keep_the_others(build: Path, arguments: list[str]) -> None:
    run = lab(build, *arguments)
    assert removed(build) == NAMES
    assert [path.stem for path in (build / "lab").iterdir()] == ["esus-pec-stuck"]
    assert run.returncode == 1
    assert "not removed: esus-pec-stuck;" in run.stderr


def test_sweep_removes_the_network_in_the_end_too(build: Path) -> None:
    lab(build, "sweep")
    assert (build / "calls").read_text().splitlines()[-1] == "network rm esus-pec-lab"


def test_nothing_stays(build: Path) -> None:
    run = lab(build, "down", "esus-pec-one", "esus-pec-two")
    assert (run.returncode, run.stderr) == (0, "")
    assert [path.stem for path in (build / "lab").iterdir()] == ["esus-pec-stuck"]
