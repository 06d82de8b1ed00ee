# SPDX-License-Identifier: GPL-3.0-or-later
"""The rules of plugins/ that no linter knows: small folders, files that say what they are for, one name for one thing."""

from __future__ import annotations

import ast
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PLUGINS = ROOT / "plugins"
FILES = sorted(PLUGINS.rglob("*.py"))
SHARED = [path for path in FILES if PLUGINS / "module_utils" in path.parents and path.name != "__init__.py"]
OURS = "ansible_collections.esus.pec"


def name(path: Path) -> str:
    return str(path.relative_to(PLUGINS))


def aliases(tree: ast.Module) -> list[str]:
    """Names of the collection that a file imports under another name."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names if alias.asname and alias.name.startswith(OURS)]
        elif isinstance(node, ast.ImportFrom) and (node.level or (node.module or "").startswith(OURS)):
            found += [alias.name for alias in node.names if alias.asname]
    return found


def test_no_folder_has_more_than_twenty_files() -> None:
    sizes = Counter(path.parent for path in PLUGINS.rglob("*") if path.is_file() and path.suffix != ".pyc")
    assert sum(sizes.values()) > 100
    # Ansible wants all modules in one folder, and an action for each in another.
    assert {name(folder): size for folder, size in sizes.items() if size > 20 and folder.name not in ("modules", "action")} == {}


@pytest.mark.parametrize("path", SHARED, ids=name)
def test_a_file_of_module_utils_says_what_it_is_for_and_that_it_is_private(path: Path) -> None:
    docstring = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    assert "Private to the collection." in docstring.partition("\n\n")[0].replace("\n", " ")


@pytest.mark.parametrize("path", FILES, ids=name)
def test_one_name_for_one_thing(path: Path) -> None:
    assert aliases(ast.parse(path.read_text(encoding="utf-8"))) == []


def test_what_an_alias_is() -> None:
    head = f"from {OURS}.plugins.module_utils"
    text = f"{head}.dump import plan as dump_plan\nimport {OURS}.x as y\nfrom . import a as b\nimport os as o\n{head} import errors"
    assert aliases(ast.parse(text)) == ["plan", f"{OURS}.x", "a"]
