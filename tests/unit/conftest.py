# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes the repository importable as ansible_collections.esus.pec, whatever directory it lies in."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).resolve().parents[2]


def _package(name: str, path: Path) -> None:
    if name not in sys.modules:
        package = ModuleType(name)
        package.__path__ = [str(path)]
        sys.modules[name] = package


_package("ansible_collections", ROOT)
_package("ansible_collections.esus", ROOT)
_package("ansible_collections.esus.pec", ROOT)
