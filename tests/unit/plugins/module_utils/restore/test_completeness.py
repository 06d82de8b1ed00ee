# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from ansible_collections.esus.pec.plugins.module_utils.archive import toc
from ansible_collections.esus.pec.plugins.module_utils.archive.skipping import Entry
from ansible_collections.esus.pec.plugins.module_utils.restore import completeness
from ansible_collections.esus.pec.plugins.module_utils.restore.completeness import Inventory

COUNTS = {"tables": 50, "indexes": 120, "constraints": 110, "triggers": 12, "views": 8, "functions": 3, "sequences": 50, "types": 2}
TABLES = frozenset(f"public.tb_{number:02}" for number in range(50))
WHOLE = Inventory(COUNTS, 30, "5.4.37", TABLES, 50, 30, 0)
OLDER = replace(WHOLE, pec_version="5.4.30")


def has(**counts: int) -> Any:
    return {**COUNTS, **counts}


@pytest.mark.parametrize(
    ("found", "beside", "filled", "said"),
    [
        pytest.param({}, WHOLE, 50, (), id="the same"),
        pytest.param({}, None, 50, (), id="no database to compare with"),
        pytest.param({}, None, None, (), id="rows as INSERT"),
        pytest.param({}, OLDER, 50, (), id="another version"),
        pytest.param({"counts": has(indexes=119, views=9, types=0)}, WHOLE, 50, (), id="an index that somebody added since"),
        pytest.param({"counts": has(tables=1), "tables": frozenset(["public.tb_00"])}, None, 50, ("tables: 1,",), id="one table"),
        pytest.param(
            {"counts": has(tables=1), "tables": frozenset(["public.tb_00"])}, WHOLE, 50, ("tables: 49 of 50 in the",), id="one of 50"
        ),
        pytest.param({"tables": TABLES - {"public.tb_07"}}, WHOLE, 50, ("tables: 1 of 50", "public.tb_07"), id="one less"),
        pytest.param({"tables": TABLES - {"public.tb_07"}}, OLDER, 50, (), id="one less, of another version"),
        pytest.param({"tables": frozenset(sorted(TABLES)[:30])}, OLDER, 50, ("tables: 20 of 50",), id="far less, of another version"),
        pytest.param(
            {"counts": has(indexes=0, constraints=0, triggers=0)},
            WHOLE,
            50,
            ("indexes: 0 instead of 120", "constraints: 0 instead of 110", "triggers: 0 instead of 12"),
            id="sections without the last",
        ),
        pytest.param(
            {"counts": has(indexes=0, constraints=0, triggers=0)}, None, 50, ("indexes: 0 for 50 tables", "constraints: 0 for"), id="alone"
        ),
        pytest.param({"counts": has(views=7)}, WHOLE, 50, ("views: 7 instead of 8",), id="a view less"),
        pytest.param({"counts": has(views=7, functions=0)}, OLDER, 50, (), id="a few less, of another version"),
        pytest.param({"counts": has(sequences=20)}, OLDER, 50, ("sequences: 20 instead of 50",), id="many less, of another version"),
        pytest.param({"large_objects": 0, "references": 0}, WHOLE, 50, ("large objects: none instead of 30",), id="no large objects"),
        pytest.param({"large_objects": 0, "dangling": 30}, None, 50, ("large objects: 30 of 30 that its tables",), id="references only"),
        pytest.param({"large_objects": 0, "dangling": 30}, WHOLE, 50, ("large objects: 30 of 30 that its tables",), id="once"),
        pytest.param({"dangling": 2}, WHOLE, 50, (), id="a few that PEC itself lost"),
        pytest.param({}, None, 48, ("rows: those of 2 of 50 tables",), id="rows left out"),
        pytest.param({"permanent": 48}, None, 48, (), id="two tables that keep no rows"),
        pytest.param({"counts": has(indexes=0)}, replace(WHOLE, pec_version=None), 50, ("indexes: 0 for",), id="another product's"),
    ],
)
def test_what_is_missing(found: dict[str, Any], beside: Inventory | None, filled: int | None, said: tuple[str, ...]) -> None:
    problems = completeness.missing(replace(WHOLE, **found), beside, filled=filled)
    assert bool(problems) == bool(said)
    for words in said:
        assert words in "; ".join(problems)
    kinds = [problem.partition(":")[0] for problem in problems]
    assert len(kinds) == len(set(kinds)), "each kind is named once"


@pytest.mark.parametrize("of", [WHOLE, OLDER])
def test_what_is_left_out_by_name_is_not_missing(of: Inventory) -> None:
    left_out = [Entry("TABLE", "public", "tb_07"), Entry("TABLE", "public", "Tb 08"), Entry("VIEW", "public", "vw_a")]
    quoted = replace(of, tables=TABLES - {"public.tb_08"} | {'public."Tb 08"'})
    counts = has(tables=48, views=7, triggers=9, sequences=48)
    found = replace(WHOLE, counts=counts, tables=TABLES - {"public.tb_07", "public.tb_08"}, permanent=48)
    assert completeness.missing(found, completeness.without(quoted, left_out), filled=48) == []
    less = replace(found, tables=frozenset(sorted(found.tables or ())[:20]))
    (problem,) = completeness.missing(less, completeness.without(quoted, left_out), filled=48)
    assert problem.startswith("tables: 28 of 48")
    assert completeness.without(of, []) == of and completeness.without(None, left_out) is None


def test_what_need_not_be_a_pec_is_only_compared() -> None:
    small = Inventory({"tables": 2}, 0, None)
    assert completeness.missing(small, None)
    assert completeness.missing(small, None, is_pec=False) == []


def test_a_number_that_a_table_of_contents_does_not_show_is_not_missing() -> None:
    assert completeness.missing(completeness.of_toc({"indexes": 120}, True), WHOLE) == []
    assert completeness.missing(completeness.of_toc({"indexes": 120}, True), None) == []


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("3001; 2613 100001 BLOB - 100001 esus", True),
        ("4790; 2613 100001 BLOB METADATA - 100001..100020 esus", True),
        ("3002; 0 0 BLOBS - BLOBS ", True),
        ("215; 1259 16385 TABLE public BLOBS esus", False),
        ("215; 1259 16385 TABLE BLOBS x esus", False),
    ],
)
def test_large_objects_in_a_table_of_contents(line: str, expected: bool) -> None:
    found = toc.parse(f";\n{line}\n")
    assert found.has_large_objects == expected
    before = completeness.of_toc({**COUNTS}, found.has_large_objects)
    assert bool(completeness.missing(before, WHOLE)) != expected
