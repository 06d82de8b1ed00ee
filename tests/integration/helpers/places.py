# SPDX-License-Identifier: GPL-3.0-or-later
"""Where things are that the integration tests use."""

from __future__ import annotations

import os
import runpy
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
LAB = ROOT / "tests" / "lab" / "lab"
BUILD = Path(os.environ.get("LAB_BUILD_DIR", ROOT / ".build"))

# A test that compares the collection's own code with another program imports it as the unit tests do.
runpy.run_path(str(ROOT / "tests" / "unit" / "conftest.py"))
