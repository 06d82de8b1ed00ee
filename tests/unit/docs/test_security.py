# SPDX-License-Identifier: GPL-3.0-or-later
"""The page for auditors names tests that exist."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
NAMED = sorted(set(re.findall(r"`(?:tests/\w+/)?(test_\w+(?:\.py)?)`", (ROOT / "docs" / "security.md").read_text(encoding="utf-8"))))
PATHS = list((ROOT / "tests").rglob("test_*.py"))
FILES = {path.name for path in PATHS}
TESTS = {name for path in PATHS for name in re.findall(r"^def (test_\w+)", path.read_text(encoding="utf-8"), re.MULTILINE)}


def test_every_test_that_the_page_names_exists() -> None:
    assert len(NAMED) > 20
    assert [name for name in NAMED if name not in FILES and name not in TESTS] == []
