# SPDX-License-Identifier: GPL-3.0-or-later
"""The page about the beliefs says what the code believes. Run as a program it writes the page's tables anew."""

from __future__ import annotations

import re
import runpy
from collections.abc import Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[3]
runpy.run_path(str(ROOT / "tests" / "conftest.py"))  # as a program, pytest has not done it

from ansible_collections.esus.pec.plugins.module_utils.api import catalogue  # noqa: E402
from ansible_collections.esus.pec.plugins.module_utils.api.operations import Catalogue, Operation  # noqa: E402
from ansible_collections.esus.pec.plugins.module_utils.beliefs import BELIEFS  # noqa: E402

PAGE = ROOT / "docs" / "contract.md"
KNOWN = Catalogue()


def cell(text: str) -> str:
    return text.replace("|", "\\|")


def beliefs() -> list[str]:
    rows = ["| Belief | Evidence | Source | Value | Statement |", "| --- | --- | --- | --- | --- |"]
    for belief in BELIEFS:
        value = f"`{cell(belief.value)}`" if belief.value else ""
        rows.append(f"| `{belief.id}` | {belief.evidence} | {belief.source} | {value} | {cell(belief.statement)} |")
    return rows


def operations() -> list[str]:
    rows = ["| Entry | Evidence | Source | Document |", "| --- | --- | --- | --- |"]
    for name, entry in catalogue.OPERATIONS.items():
        rows.append(f"| `{name}` | {entry['evidence']} | {entry['source']} | `{cell(KNOWN.operations[name].document)}` |")
    return rows


def settings() -> list[str]:
    rows = ["| Setting | Read from | Evidence | Written by | Evidence |", "| --- | --- | --- | --- | --- |"]
    for name, entry in catalogue.SETTINGS.items():
        read, write, known = entry["read"], entry["write"], KNOWN.settings[name]
        rows.append(f"| `{name}` | {way(read, known.read.source)} | {marks(read)} | {way(write, known.write)} | {marks(write)} |")
    return rows


def way(part: Mapping[str, Any], operation: object) -> str:
    if "info" in part:
        return "`info`: " + ", ".join(f"`{field}`" for field in part["info"].values())
    if "sql" in part:
        return "SQL: " + ", ".join(f"`{cell(sql)}`" for sql in part["sql"].values())
    if "row" in part:
        return f"SQL, PEC stopped: row `{part['row'][0]}`, column `{part['row'][1]}`"
    variables = f" with `{cell(str(part['variables']))}`" if "variables" in part else ""
    assert isinstance(operation, Operation)
    return f"`{cell(operation.document)}`{variables}"


def marks(part: Mapping[str, Any]) -> str:
    return part["evidence"] + (f" ({part['source']})" if part["source"] != "-" else "")


TABLES = {"beliefs": beliefs, "operations": operations, "settings": settings}


def with_tables(page: str) -> str:
    for name, table in TABLES.items():
        before, start, rest = page.partition(f"<!-- {name} -->\n")
        _old, end, after = rest.partition(f"<!-- /{name} -->\n")
        page = before + start + "".join(f"{row}\n" for row in table()) + end + after
    return page


def test_every_belief_is_named() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert [belief.id for belief in BELIEFS if f"`{belief.id}`" not in page] == []


def test_the_tables_are_what_the_code_believes() -> None:
    page = PAGE.read_text(encoding="utf-8")
    for name in TABLES:
        assert page.count(f"<!-- {name} -->\n") == page.count(f"<!-- /{name} -->\n") == 1
    assert page == with_tables(page), "docs/contract.md is older than the code; run: python tests/unit/docs/test_contract.py"


def test_every_source_is_explained() -> None:
    explained = set(re.findall(r"[^\s,|]+", " ".join(re.findall(r"^\| ([^|]+) \| ", PAGE.read_text(encoding="utf-8"), re.MULTILINE))))
    parts = [part for entry in catalogue.SETTINGS.values() for part in entry.values() if isinstance(part, dict) and "source" in part]
    named = [belief.source for belief in BELIEFS] + [part["source"] for part in (*catalogue.OPERATIONS.values(), *parts)]
    assert {source for sources in named for source in sources.split()} - explained == set()


if __name__ == "__main__":
    PAGE.write_text(with_tables(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
