# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes the repository importable as ansible_collections.esus.pec from any directory, and reports what each test file took."""

from __future__ import annotations

import os
import sys
from collections import defaultdict
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[1]
SECONDS: dict[str, float] = defaultdict(float)


def _package(name: str, path: Path) -> None:
    if name not in sys.modules:
        package = ModuleType(name)
        package.__path__ = [str(path)]
        sys.modules[name] = package


_package("ansible_collections", ROOT)
_package("ansible_collections.esus", ROOT)
_package("ansible_collections.esus.pec", ROOT)


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Add up a file's tests. With pytest-xdist the workers' reports arrive at the controller too."""
    SECONDS[report.nodeid.partition("::")[0]] += report.duration


def pytest_sessionfinish() -> None:
    """Write them for tests/lab/steps, which shows the slowest."""
    path = os.environ.get("DURATIONS_FILE")
    if path and "PYTEST_XDIST_WORKER" not in os.environ:
        Path(path).write_text("".join(f"{seconds:8.1f} s  {file}\n" for file, seconds in SECONDS.items()), encoding="utf-8")
