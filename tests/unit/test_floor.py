# SPDX-License-Identifier: GPL-3.0-or-later
"""What the oldest Python of a managed host (3.8) would stumble over when it imports a module, and newer ones do not see."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FILES = sorted(path for directory in ("modules", "module_utils") for path in (ROOT / "plugins" / directory).rglob("*.py"))
BUILTINS = {"dict", "frozenset", "list", "set", "tuple", "type"}


def generics(tree: ast.Module) -> list[str]:
    """Generic types that are made when the file is imported; as annotations they are only text."""
    imported = [node for node in tree.body if isinstance(node, ast.ImportFrom) and node.module == "collections.abc"]
    names = BUILTINS | {alias.name for node in imported for alias in node.names}
    values = [node.value for node in ast.walk(tree) if isinstance(node, ast.Assign)]
    bases = [base for node in ast.walk(tree) if isinstance(node, ast.ClassDef) for base in node.bases]
    made = [node for value in [*values, *bases] for node in ast.walk(value) if isinstance(node, ast.Subscript)]
    return [node.value.id for node in made if isinstance(node.value, ast.Name) and node.value.id in names]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_generic_types_are_those_of_typing(path: Path) -> None:
    assert generics(ast.parse(path.read_text(encoding="utf-8"))) == []


def test_what_is_looked_for() -> None:
    head = "from collections.abc import Mapping\n"
    assert generics(ast.parse(head + "Wanted = Mapping[str, str]\nclass A(dict[str, int]): pass")) == ["Mapping", "dict"]
    assert generics(ast.parse(head + "wanted: Mapping[str, str] = {}\nfirst = wanted['a']")) == []
