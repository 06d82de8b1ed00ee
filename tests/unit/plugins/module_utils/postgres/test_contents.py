# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.postgres import contents
from ansible_collections.esus.pec.plugins.module_utils.postgres.contents import Contents, Fingerprint
from ansible_collections.esus.pec.plugins.module_utils.postgres.psql import Connection

CONN = Connection("127.0.0.1", 5432, "esus", "esus", "segredo")
WHOLE = Contents({"tables": 3, "views": 1}, {"public.seq_a": 10, "public.seq_b": 0}, 2, "5.4.37")
PRINT = Fingerprint("rows-hash64", 3, "digest", {"public.a": [1, "5"], "public.b": [2, "7"]})


class FakeSession:
    """Answers as the server would; opened by the code under test, it shares its memory with the others."""

    asked: list[str]
    answers: list[Any]

    def __init__(self, *_arguments: object, **options: object) -> None:
        type(self).options = options

    def __enter__(self) -> FakeSession:
        return self

    def __exit__(self, *_error: object) -> None:
        return None

    def execute(self, sql: str) -> None:
        self.asked.append(sql)

    def query(self, sql: str) -> Any:
        self.asked.append(sql)
        return self.answers.pop(0)

    def rows(self, sql: str) -> list[list[str]]:
        self.asked.append(sql)
        if "broken" in sql:
            raise PecError("permission denied for table broken")
        return [["2", "11"]]


@pytest.fixture()
def session(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(contents, "Session", FakeSession)
    FakeSession.asked, FakeSession.answers = [], []
    return FakeSession


def test_contents_are_read_in_two_questions_and_the_version(session: Any) -> None:
    session.answers = [{"objects": {"tables": 3}, "large_objects": 1, "has_settings": True, "sequences": ["public.s"]}, "5.4.37"]
    found = contents.read_contents(session())
    assert found == Contents({"tables": 3}, {"2": 11}, 1, "5.4.37")
    assert found.tables == 3
    assert "from public.s" in session.asked[-1]


def test_a_database_without_settings_has_no_version(session: Any) -> None:
    session.answers = [{"objects": {"tables": 0}, "large_objects": 0, "has_settings": False, "sequences": []}]
    assert contents.read_contents(session()) == Contents({"tables": 0}, {}, 0, None)
    assert len(session.asked) == 1


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
    ("tables", "difference"),
    [
        ({"public.a": (1, "5"), "public.b": (2, "7")}, []),
        ({"public.a": [1, "5"], "public.b": [2, "7"], "public.c": [9, "9"]}, []),
        ({"public.a": [1, "5"]}, ["tables missing: public.b"]),
        ({"public.a": [0, "0"], "public.b": [2, "7"]}, ["tables with another number of rows: public.a"]),
        ({"public.a": [1, "6"], "public.b": [2, "7"]}, ["tables with other values: public.a"]),
    ],
)
def test_tables_that_differ_are_named(tables: dict[str, Any], difference: list[str]) -> None:
    assert contents.compare_fingerprints(PRINT, replace(PRINT, tables=tables)) == difference


def test_no_more_than_ten_tables_are_named() -> None:
    many = replace(PRINT, tables={f"public.t{number}": [1, "1"] for number in range(13)})
    (said,) = contents.compare_fingerprints(many, replace(PRINT, tables={}))
    assert said.endswith("public.t9 and 3 more")


def test_fingerprints_of_different_methods_cannot_be_compared() -> None:
    assert "different methods" in contents.compare_fingerprints(PRINT, replace(PRINT, method="rows-md5"))[0]


@pytest.mark.parametrize(
    ("server", "method"), [(90624, "rows-md5"), (110000, "rows-md5"), (120000, "rows-hash64"), (170011, "rows-hash64")]
)
def test_the_method_is_one_that_newer_servers_agree_with(server: int, method: str) -> None:
    assert contents.choose_method(server) == method


TABLES = [["public.a", 10, [["id", "integer"]]], ["public.b", 99, [["id", "integer"], ["x", "double precision"]]], ["log.c", 5, None]]


def test_every_table_is_read_the_large_ones_first(session: Any) -> None:
    session.answers = [sorted(TABLES, key=lambda table: table[1])]
    told: list[tuple[int, int]] = []
    found = contents.read_fingerprint(CONN, "psql", "rows-hash64", snapshot="A-1", on_table=lambda *step: told.append(step))
    assert found.rows == 6
    assert list(found.tables) == ["log.c", "public.a", "public.b"]
    assert told == [(1, 3), (2, 3), (3, 3)]
    reads = [sql.split(" from only ")[1].split()[0] for sql in session.asked if " from only " in sql]
    assert reads == ["public.b", "public.a", "log.c"]
    assert session.asked.count("set transaction snapshot 'A-1'") == 2
    assert session.options["options"]["extra_float_digits"] == "3"


@pytest.mark.parametrize(
    ("choice", "tables"),
    [
        ({"only": ["public.a"]}, ["public.a"]),
        ({"exclude": ["a"]}, ["log.c", "public.b"]),
        ({"exclude": ["log.*", "b*"]}, ["public.a"]),
        ({"exclude": ["public.a", "c"]}, ["public.b"]),
    ],
)
def test_tables_can_be_chosen(session: Any, choice: dict[str, Any], tables: list[str]) -> None:
    session.answers = [TABLES]
    assert list(contents.read_fingerprint(CONN, "psql", "rows-hash64", jobs=3, **choice).tables) == tables


def test_floats_are_hashed_by_their_bits_where_their_text_differs(session: Any) -> None:
    session.answers = [TABLES]
    contents.read_fingerprint(CONN, "psql", "rows-md5")
    assert any("row(id, float8send(x))" in sql for sql in session.asked)


def test_a_table_that_cannot_be_read_is_an_error(session: Any) -> None:
    session.answers = [[["public.broken", 1, [["id", "integer"]]], *TABLES]]
    with pytest.raises(PecError, match="permission denied"):
        contents.read_fingerprint(CONN, "psql", "rows-hash64", jobs=2)


def test_a_method_of_the_future_is_refused(session: Any) -> None:
    session.answers = [TABLES]
    with pytest.raises(PecError, match=r"'rows-sha3', .*; update the collection"):
        contents.read_fingerprint(CONN, "psql", "rows-sha3")
