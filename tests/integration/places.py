# SPDX-License-Identifier: GPL-3.0-or-later
"""Where things are that the integration tests use."""

from __future__ import annotations

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LAB = ROOT / "tests" / "lab" / "lab"
BUILD = Path(os.environ.get("LAB_BUILD_DIR", ROOT / ".build"))
