# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import threading
from concurrent.futures import Future
from dataclasses import replace
from typing import Any

import pytest

from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.postgres import fingerprints
from ansible_collections.esus.pec.plugins.module_utils.postgres.fingerprints import (
    COUNTS,
    HASH64,
    LARGE_OBJECTS,
    MD5,
    MD5_DIGITS,
    Fingerprint,
    Source,
)
from ansible_collections.esus.pec.plugins.module_utils.postgres.psql import Connection
from ansible_collections.esus.pec.plugins.module_utils.system import signals

CONN = Connection("127.0.0.1", 5432, "esus", "esus", "segredo")
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

    def stop(self) -> None:
        """It has ended."""

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
    monkeypatch.setattr(fingerprints, "Session", FakeSession)
    FakeSession.asked, FakeSession.answers = [], []
    return FakeSession


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
    assert fingerprints.compare_fingerprints(PRINT, replace(PRINT, tables=tables)) == difference


def test_no_more_than_ten_tables_are_named() -> None:
    many = replace(PRINT, tables={f"public.t{number}": [1, "1"] for number in range(13)})
    (said,) = fingerprints.compare_fingerprints(many, replace(PRINT, tables={}))
    assert said.endswith("public.t9 and 3 more")


def test_fingerprints_of_different_methods_cannot_be_compared() -> None:
    assert "different methods" in fingerprints.compare_fingerprints(PRINT, replace(PRINT, method="rows-md5"))[0]


@pytest.mark.parametrize(
    ("server", "encoding", "method"),
    [
        (90624, "UTF8", MD5_DIGITS),
        (110000, "UTF8", MD5_DIGITS),
        (120000, "UTF8", HASH64),
        (170011, "SQL_ASCII", HASH64),
        (170011, "WIN1252", MD5_DIGITS),
    ],
)
def test_the_method_is_one_that_newer_servers_and_utf8_agree_with(server: int, encoding: str, method: str) -> None:
    assert fingerprints.choose_method(server, encoding) == method


def listing(*tables: Any, encoding: str = "UTF8", large_objects: int = 0) -> dict[str, Any]:
    return {"encoding": encoding, "large_objects": large_objects, "tables": list(tables)}


TABLES = [["public.a", 10, [["id", "integer"]]], ["public.b", 99, [["id", "integer"], ["x", "double precision"]]], ["log.c", 5, None]]


def test_every_table_is_read_the_large_ones_first(session: Any) -> None:
    session.answers = [listing(*sorted(TABLES, key=lambda table: table[1]))]
    told: list[tuple[int, int]] = []
    found = fingerprints.read_fingerprint(CONN, "psql", "rows-hash64", snapshot="A-1", on_table=lambda *step: told.append(step))
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
    session.answers = [listing(*TABLES)]
    assert list(fingerprints.read_fingerprint(CONN, "psql", "rows-hash64", jobs=3, **choice).tables) == tables


@pytest.mark.parametrize(
    ("method", "encoding", "row", "digits"),
    [
        (MD5_DIGITS, "UTF8", "convert_to(row(id, float8send(x))::text, 'UTF8')", "0"),
        (MD5_DIGITS, "WIN1252", "convert_to(row(id, float8send(x))::text, 'UTF8')", "0"),
        (MD5_DIGITS, "SQL_ASCII", "convert_to(row(id, float8send(x))::text, 'SQL_ASCII')", "0"),
        (MD5, "UTF8", "md5(row(id, float8send(x))::text)", "3"),
        (HASH64, "UTF8", "record_out(_esus_pec_row)", "3"),
        (COUNTS, "UTF8", "select count(*), 0 from only public.b", "3"),
    ],
)
def test_what_is_summed(session: Any, method: str, encoding: str, row: str, digits: str) -> None:
    session.answers = [listing(*TABLES, encoding=encoding)]
    fingerprints.read_fingerprint(CONN, "psql", method)
    assert any(row in sql and "public.b" in sql for sql in session.asked)
    assert session.options["options"]["extra_float_digits"] == digits


@pytest.mark.parametrize(
    ("method", "choice", "has"),
    [
        (HASH64, {}, True),
        (COUNTS, {}, True),
        (HASH64, {"exclude": ["*"]}, True),
        (MD5, {"only": ["public.a"]}, False),
        (fingerprints.VERSIONS, {}, False),
    ],
)
def test_large_objects_are_read_as_one_more_table(session: Any, method: str, choice: dict[str, Any], has: bool) -> None:
    session.answers = [listing(*TABLES, large_objects=2)]
    found = fingerprints.read_fingerprint(CONN, "psql", method, **choice)
    assert (LARGE_OBJECTS in found.tables) == has == any("lo_get" in sql for sql in session.asked)
    assert found.rows == 2 * (len(found.tables) - has)


def test_a_table_that_cannot_be_read_is_an_error(session: Any) -> None:
    session.answers = [listing(["public.broken", 1, [["id", "integer"]]], *TABLES)]
    with pytest.raises(PecError, match=r"public\.broken cannot be read: permission denied"):
        fingerprints.read_fingerprint(CONN, "psql", "rows-hash64", jobs=2)


def test_a_table_that_cannot_be_read_is_left_out_of_a_dump(session: Any) -> None:
    """Its session has ended, so the others are read in another one."""
    session.answers = [listing(*TABLES, ["public.broken", 200, [["id", "integer"]]])]
    told: list[tuple[str, str]] = []
    found = fingerprints.read_fingerprint(
        CONN, "psql", "rows-hash64", snapshot="A-1", on_failure=lambda name, reason: told.append((name, reason))
    )
    assert list(found.tables) == ["log.c", "public.a", "public.b"]
    assert (found.unproven, told) == (("public.broken",), [("public.broken", "permission denied for table broken")])
    assert session.asked.count("set transaction snapshot 'A-1'") == 3


def test_a_server_that_is_gone_is_no_note(session: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    session.answers = [listing(*TABLES, ["public.broken", 200, [["id", "integer"]]])]
    begin, begun = fingerprints._begin, []

    def begin_twice(opened: Any, snapshot: str | None) -> None:
        begun.append(snapshot)
        if len(begun) > 2:
            raise PecError("the server closed the connection")
        begin(opened, snapshot)

    monkeypatch.setattr(fingerprints, "_begin", begin_twice)
    with pytest.raises(PecError, match="closed the connection"):
        fingerprints.read_fingerprint(CONN, "psql", "rows-hash64", on_failure=lambda *_failure: None)


def test_a_method_of_the_future_is_refused(session: Any) -> None:
    session.answers = [listing(*TABLES)]
    with pytest.raises(PecError, match=r"'rows-sha3', .*; update the collection"):
        fingerprints.read_fingerprint(CONN, "psql", "rows-sha3")


FROM_10, FROM_15 = Source(100023, "UTF8"), Source(150018, "UTF8")


@pytest.mark.parametrize(
    ("method", "source", "encoding", "server", "compares", "counted"),
    [
        pytest.param(HASH64, FROM_15, "UTF8", 170011, HASH64, [], id="hash64"),
        pytest.param(HASH64, FROM_15, "UTF8", 110000, COUNTS, ["public.a", "public.b"], id="hash64, older server"),
        pytest.param(MD5_DIGITS, FROM_10, "UTF8", 170011, MD5_DIGITS, [], id="digits"),
        pytest.param(MD5, FROM_10, "UTF8", 100023, MD5, [], id="older manifest, same kind of server"),
        pytest.param(MD5, FROM_10, "UTF8", 150018, MD5, ["public.b"], id="older manifest, floats within other types"),
        pytest.param(MD5, Source(100023, "WIN1252"), "UTF8", 150018, COUNTS, ["public.a", "public.b"], id="older manifest, encoding"),
        pytest.param(HASH64, Source(150018, "WIN1252"), "UTF8", 150018, COUNTS, ["public.a", "public.b"], id="hash64, encoding"),
        pytest.param(MD5_DIGITS, Source(150018, "WIN1252"), "UTF8", 150018, MD5_DIGITS, ["public.b"], id="digits, sorted by bytes"),
        pytest.param(MD5_DIGITS, Source(150018, "WIN1252"), "WIN1252", 150018, MD5_DIGITS, [], id="digits, same encoding"),
        pytest.param(MD5_DIGITS, FROM_10, "SQL_ASCII", 150018, COUNTS, ["public.a", "public.b"], id="digits, into SQL_ASCII"),
        pytest.param(HASH64, Source(150018, "SQL_ASCII"), "UTF8", 150018, HASH64, [], id="from SQL_ASCII"),
    ],
)
def test_what_of_a_fingerprint_can_be_compared(
    session: Any, method: str, source: Source, encoding: str, server: int, compares: str, counted: list[str]
) -> None:
    session.answers = [encoding, ["public.b", "public.unknown"]]
    known = replace(PRINT, method=method, tables={**PRINT.tables, LARGE_OBJECTS: [1, "9"]})
    how = fingerprints.plan_comparison(known, source, session(), server)
    assert (how.method, list(how.counted)) == (compares, counted)
    assert bool(how.notes) == bool(counted)


def test_what_was_not_read_at_the_dump_is_noted(session: Any) -> None:
    session.answers = ["UTF8"]
    how = fingerprints.plan_comparison(replace(PRINT, unproven=["public.broken"]), FROM_15, session(), 150018)
    assert "public.broken" in how.notes[0]


def test_where_only_the_number_of_rows_is_compared() -> None:
    other = {"public.a": [1, "0"], "public.b": [2, "7"]}
    assert fingerprints.compare_fingerprints(PRINT, replace(PRINT, tables=other), ["public.a"]) == []
    assert fingerprints.compare_fingerprints(PRINT, replace(PRINT, tables=other), ["public.b"]) != []
    counts = replace(PRINT, method=COUNTS, tables={"public.a": [1, "0"], "public.b": [3, "0"]})
    assert fingerprints.compare_fingerprints(PRINT, counts, ["public.a", "public.b"]) == ["tables with another number of rows: public.b"]


def test_a_run_that_is_told_to_stop_does_not_wait_for_a_large_table(session: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    stopped, reading = threading.Event(), threading.Event()

    class Slow(FakeSession):
        def stop(self) -> None:
            stopped.set()

        def rows(self, sql: str) -> list[list[str]]:
            self.asked.append(sql)
            reading.set()
            assert stopped.wait(60), "nobody ended the session"
            raise PecError("psql was ended")

    def told(_future: Any) -> None:
        assert reading.wait(60)
        raise signals.Stopped("it was stopped by SIGTERM")

    monkeypatch.setattr(fingerprints, "Session", Slow)
    monkeypatch.setattr(Future, "result", told)
    tables = [["public.small", 1, [["a", "int4"]]], ["public.large", 2, [["a", "int4"]]]]
    Slow.answers = [{"encoding": "UTF8", "tables": tables, "large_objects": False}]
    with pytest.raises(signals.Stopped):
        fingerprints.read_fingerprint(CONN, "psql", HASH64, jobs=1)
    assert not any("public.small" in sql for sql in Slow.asked)
