# SPDX-License-Identifier: GPL-3.0-or-later
"""Which program writes which rows, and what a fingerprint that nobody read is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from ansible_collections.esus.pec.plugins.module_utils.archive.skipping import Entry
from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.postgres import fingerprints
from ansible_collections.esus.pec.plugins.module_utils.postgres.psql import Connection, DatabaseFacts
from ansible_collections.esus.pec.plugins.module_utils.restore.live_rows import LiveRows

CONN = Connection("/run/x", 5432, "esus", "postgres", "secret of the source")
FACTS = DatabaseFacts("9.6.13", 90613, 1, "UTF8", "C", "C", 3, True, "5.4.37", None, None, None, None)


def rows(sizes: Sequence[tuple[str, str, int]]) -> LiveRows:
    return LiveRows(CONN, FACTS, "/usr/bin/pg_dump", "/usr/bin/psql", "00000003-1", [list(each) for each in sizes], 2)


def chosen(sizes: Sequence[tuple[str, str, int]], jobs: int = 2, skipped: Sequence[Entry] = ()) -> list[list[str]]:
    """The arguments of each program about tables."""
    return [
        [word for word in stage.argv if word.startswith(("--table=", "--exclude-table-data="))]
        for stage in rows(sizes).stages(jobs, skipped)
    ]


LARGE = [("public", "a", 60), ("public", "b", 50), ("public", "c", 40), ("public", "d", 10)]


@pytest.mark.parametrize(
    ("sizes", "jobs", "expected"),
    [
        ([], 2, [[]]),
        (LARGE[:1], 2, [[]]),
        (LARGE, 1, [[]]),
        ([("public", "a", 0), ("public", "b", 0)], 2, [[]]),
        (LARGE, 2, [[f'--exclude-table-data="public"."{name}"' for name in "ad"], [f'--table="public"."{name}"' for name in "ad"]]),
    ],
)
def test_half_of_the_rows_are_each_programs(sizes: list[tuple[str, str, int]], jobs: int, expected: list[list[str]]) -> None:
    assert chosen(sizes, jobs) == expected


def test_every_row_has_one_program() -> None:
    sizes = [("public", f"tb_{number}", 1000 - number) for number in range(300)]
    rest, large = chosen(sizes)
    assert {word.partition("=")[2] for word in rest} == {word.partition("=")[2] for word in large}
    assert 0 < len(large) <= 100


def test_a_name_is_no_pattern() -> None:
    rest, large = chosen([("Esquema.1", 'ta"b*?|', 9), ("public", "b", 3)])
    assert (rest, large) == (['--exclude-table-data="Esquema.1"."ta""b*?|"'], ['--table="Esquema.1"."ta""b*?|"'])


def test_rows_that_are_skipped_are_in_none() -> None:
    rest, large = chosen(LARGE, 2, [Entry("TABLE", "public", "a")])
    assert '--exclude-table-data="public"."a"' in rest and not any('"a"' in word for word in large)


def test_the_password_is_in_no_argument() -> None:
    for stage in rows(LARGE).stages(2, []):
        assert CONN.password not in " ".join(stage.argv) and CONN.password not in repr(stage)


def test_a_fingerprint_that_was_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_arguments: Any, **_options: Any) -> None:
        raise PecError("the server is gone")

    monkeypatch.setattr(fingerprints, "read_fingerprint", fail)
    live = rows(LARGE)
    with pytest.raises(PecError, match="none were"):
        live.fingerprint()
    with live.being_read():
        pass
    with pytest.raises(PecError, match="the server is gone"):
        live.fingerprint()
