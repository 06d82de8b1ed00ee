# SPDX-License-Identifier: GPL-3.0-or-later
"""Paths that the integration tests share."""

from __future__ import annotations

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
LAB = ROOT / "tests" / "lab" / "lab"
BUILD = Path(os.environ.get("LAB_BUILD_DIR", ROOT / ".build"))
