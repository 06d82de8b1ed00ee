# SPDX-License-Identifier: GPL-3.0-or-later
"""What fails on the oldest Python of a managed host (3.8) when it imports a module, and passes on newer ones."""

from __future__ import annotations

import ast
import pkgutil
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PLUGINS = ROOT / "plugins"
FOLDERS = ("modules", "module_utils")
FILES = sorted(path for folder in FOLDERS for path in (PLUGINS / folder).rglob("*.py"))
BUILTINS = {"dict", "frozenset", "list", "set", "tuple", "type"}


def generics(tree: ast.Module) -> list[str]:
    """Generic types that are evaluated when the file is imported; annotations are not."""
    imported = [node for node in tree.body if isinstance(node, ast.ImportFrom) and node.module == "collections.abc"]
    names = BUILTINS | {alias.name for node in imported for alias in node.names}
    values = [node.value for node in ast.walk(tree) if isinstance(node, ast.Assign)]
    bases = [base for node in ast.walk(tree) if isinstance(node, ast.ClassDef) for base in node.bases]
    made = [node for value in [*values, *bases] for node in ast.walk(value) if isinstance(node, ast.Subscript)]
    return [node.value.id for node in made if isinstance(node.value, ast.Name) and node.value.id in names]


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PLUGINS)))
def test_generic_types_are_those_of_typing(path: Path) -> None:
    assert generics(ast.parse(path.read_text(encoding="utf-8"))) == []


def test_what_is_looked_for() -> None:
    head = "from collections.abc import Mapping\n"
    assert generics(ast.parse(head + "Wanted = Mapping[str, str]\nclass A(dict[str, int]): pass")) == ["Mapping", "dict"]
    assert generics(ast.parse(head + "wanted: Mapping[str, str] = {}\nfirst = wanted['a']")) == []


def test_every_file_that_python_can_import_is_checked() -> None:
    """Python's own walk finds the same files, so no room is missed, and none lacks its __init__.py."""
    found = set()
    for folder in FOLDERS:
        prefix = f"ansible_collections.esus.pec.plugins.{folder}."
        for module in pkgutil.walk_packages([str(PLUGINS / folder)], prefix):
            path = PLUGINS.joinpath(*module.name.split(".")[4:])
            found.add(path / "__init__.py" if module.ispkg else path.with_suffix(".py"))
    assert found == set(FILES)
    assert len(found) > 120
