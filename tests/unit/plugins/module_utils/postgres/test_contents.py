# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from ansible_collections.esus.pec.plugins.module_utils.postgres import contents
from ansible_collections.esus.pec.plugins.module_utils.postgres.contents import Contents

WHOLE = Contents({"tables": 3, "views": 1}, {"public.seq_a": 10, "public.seq_b": 0}, 2, "5.4.37")


class FakeSession:
    """Answers as the server would."""

    asked: list[str]
    answers: list[Any]

    def execute(self, sql: str) -> None:
        self.asked.append(sql)

    def query(self, sql: str) -> Any:
        self.asked.append(sql)
        return self.answers.pop(0)


@pytest.fixture()
def session() -> Any:
    FakeSession.asked, FakeSession.answers = [], []
    return FakeSession


def test_contents_are_read_in_two_questions_and_the_version(session: Any) -> None:
    session.answers = [
        {
            "objects": {"tables": 3},
            "large_objects": 1,
            "has_settings": True,
            "sequences": [["public.s", False, False], ["public.d", True, False], ["public.c", False, True]],
        },
        {"public.s": 11, "public.d": 3, "public.c": 1},
        "5.4.37",
    ]
    found = contents.read_contents(session())
    directions = {"public.d": -1, "public.c": 0}
    assert found == Contents({"tables": 3}, {"public.s": 11, "public.d": 3, "public.c": 1}, 1, "5.4.37", directions, contents.RULES)
    assert found.tables == 3
    assert "from public.s" in session.asked[-2]


def test_a_database_without_settings_has_no_version(session: Any) -> None:
    session.answers = [{"objects": {"tables": 0}, "large_objects": 0, "has_settings": False, "sequences": []}]
    assert contents.read_contents(session()) == Contents({"tables": 0}, {}, 0, None, rules=contents.RULES)
    assert len(session.asked) == 2


@pytest.mark.parametrize(
    ("change", "difference"),
    [
        ({}, []),
        ({"objects": {"tables": 2, "views": 1}}, ["tables: 2 instead of 3"]),
        ({"objects": {"tables": 3}}, ["views: 0 instead of 1"]),
        ({"objects": {"tables": 3, "views": 1, "types": 4}}, []),
        ({"large_objects": 0}, ["large objects: 0 instead of 2"]),
        ({"pec_version": None}, ["VERSAOBANCODADOS: None instead of 5.4.37"]),
        ({"sequences": {"public.seq_a": 12, "public.seq_b": 0}}, []),
        ({"sequences": {"public.seq_a": 9, "public.seq_b": 0}}, ["sequences missing or behind: public.seq_a"]),
        ({"sequences": {"public.seq_a": 10}}, ["sequences missing or behind: public.seq_b"]),
    ],
)
def test_what_is_missing_is_said(change: dict[str, Any], difference: list[str]) -> None:
    assert contents.compare(WHOLE, replace(WHOLE, **change)) == difference


@pytest.mark.parametrize(
    ("direction", "expected", "found", "reached"),
    [
        pytest.param(1, 10, 10, True, id="up, the same"),
        pytest.param(1, 10, 9, False, id="up, behind"),
        pytest.param(-1, -10, -12, True, id="down, used during the dump"),
        pytest.param(-1, -10, -9, False, id="down, behind"),
        pytest.param(0, 10, 1, True, id="begun again during the dump"),
        pytest.param(0, 10, None, False, id="begins again, missing"),
    ],
)
def test_which_way_a_sequence_counts(direction: int, expected: int, found: int | None, reached: bool) -> None:
    known = replace(WHOLE, sequences={"public.s": expected}, rules=contents.RULES)
    there = {} if found is None else {"public.s": found}
    said = contents.compare(known, replace(known, sequences=there, directions={"public.s": direction}))
    assert (said == []) == reached


def test_a_sequence_that_was_never_used_counts_down_in_an_older_manifest() -> None:
    """Rules 1 took one from its first value, 100, where one has to be added."""
    older = replace(WHOLE, sequences={"public.s": 99})
    unused = replace(WHOLE, sequences={"public.s": 101}, directions={"public.s": -1})
    assert contents.compare(older, unused) == []
    assert contents.compare(replace(older, rules=contents.RULES), unused) != []


@pytest.mark.parametrize(
    ("kind", "written", "lacks", "notes"),
    [
        pytest.param({}, {"tables": 3, "indexes": 4, contents.REFRESHED: 1}, {}, [], id="all of it"),
        pytest.param({}, {"tables": 3, "indexes": 5, contents.REFRESHED: 1}, {}, [], id="what is not counted here"),
        pytest.param(
            {},
            {"tables": 3, "indexes": 3, contents.REFRESHED: 1},
            {"objects": {"tables": 3, "indexes": 3, contents.REFRESHED: 1}},
            ["the database has 4 indexes, and pg_dump wrote 3"],
            id="fewer",
        ),
        pytest.param({}, None, {"objects": {"tables": 3, "indexes": 4}}, [], id="a plain dump"),
        pytest.param(
            {"schema_only": True},
            {"tables": 3, "indexes": 4, contents.REFRESHED: 0},
            {"objects": {"tables": 3, "indexes": 4}, "sequences": {}, "large_objects": 0, "pec_version": None},
            [],
            id="no rows",
        ),
        pytest.param(
            {"exclude": ["seq_a", "log.*"]},
            {"tables": 3, "indexes": 4, contents.REFRESHED: 1},
            {"sequences": {"public.seq_b": 0}},
            [],
            id="a sequence that is named like the tables to exclude",
        ),
        pytest.param(
            {"exclude": ["tb_config*"]},
            {"tables": 3, "indexes": 4, contents.REFRESHED: 1},
            {"pec_version": None},
            [],
            id="no rows of the table that has the version",
        ),
    ],
)
def test_what_a_dump_of_each_kind_holds(
    kind: dict[str, Any], written: dict[str, int] | None, lacks: dict[str, Any], notes: list[str]
) -> None:
    held = replace(WHOLE, objects={"tables": 3, "indexes": 4, contents.REFRESHED: 1})
    assert contents.dumped(held, written, **kind) == (replace(held, **lacks), notes)


def test_what_no_dump_holds_is_noted(session: Any) -> None:
    session.answers = [{"invalid indexes": ["public.in_bad"], "the rows of foreign tables": []}]
    assert contents.read_left_out(session()) == ["pg_dump leaves out invalid indexes: public.in_bad"]
