# SPDX-License-Identifier: GPL-3.0-or-later
"""The page about the beliefs says what the code believes. Run as a program it writes the page's table anew."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
PAGE = ROOT / "docs" / "contract.md"
START, END = "<!-- beliefs -->\n", "<!-- /beliefs -->\n"


def beliefs() -> tuple:
    """Loaded from its file: it stands alone, and this also runs as a program."""
    spec = importlib.util.spec_from_file_location("beliefs_of_the_page", ROOT / "plugins" / "module_utils" / "beliefs.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module.BELIEFS


def cell(text: str) -> str:
    return text.replace("|", "\\|")


def table() -> str:
    rows = ["| Belief | Evidence | Source | Value | Statement |", "| --- | --- | --- | --- | --- |"]
    for belief in beliefs():
        value = f"`{cell(belief.value)}`" if belief.value else ""
        rows.append(f"| `{belief.id}` | {belief.evidence} | {belief.source} | {value} | {cell(belief.statement)} |")
    return "\n".join(rows) + "\n"


def with_table(page: str) -> str:
    before, _start, rest = page.partition(START)
    _old, _end, after = rest.partition(END)
    return before + START + table() + END + after


def test_every_belief_is_named() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert [belief.id for belief in beliefs() if f"`{belief.id}`" not in page] == []


def test_the_table_is_what_the_code_believes() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert page == with_table(page), "docs/contract.md is older than beliefs.py; run: python tests/unit/docs/test_contract.py"


def test_every_source_is_explained() -> None:
    explained = set(re.findall(r"[^\s,|]+", " ".join(re.findall(r"^\| ([^|]+) \| ", PAGE.read_text(encoding="utf-8"), re.MULTILINE))))
    assert {source for belief in beliefs() for source in belief.source.split()} - explained == set()


if __name__ == "__main__":
    PAGE.write_text(with_table(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
