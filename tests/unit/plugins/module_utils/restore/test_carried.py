# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.esus.pec.plugins.module_utils.restore.carried import carried


@pytest.mark.parametrize(
    ("role", "setting"),
    [
        (None, "default_transaction_read_only=on"),
        (None, "default_transaction_read_only=TRUE"),
        ("esus", "default_transaction_read_only=1"),
        ("esus", "transaction_read_only=y"),
        (None, "session_replication_role=replica"),
        (None, "session_replication_role=local"),
        (None, "role=leitura"),
        (None, "row_security=off"),
        (None, "row_security=No"),
        (None, 'search_path=""'),
        (None, "search_path=outro, pg_catalog"),
        (None, "zero_damaged_pages=on"),
        (None, "ignore_checksum_failure=on"),
    ],
)
def test_what_would_stop_pec_is_left_out_and_named(role: str | None, setting: str) -> None:
    facts, notes = carried({"settings": [[None, "work_mem=7MB"], [role, setting]], "datconnlimit": 77}, "esus")
    assert (facts["settings"], facts["datconnlimit"]) == ([[None, "work_mem=7MB"]], 77)
    (note,) = notes
    assert "not carried over" in note and setting.replace("=", " = ", 1) in note


@pytest.mark.parametrize(
    "settings",
    [
        pytest.param([[None, "default_transaction_read_only=off"]], id="PEC may write"),
        pytest.param([["auditor", "default_transaction_read_only=on"]], id="another role may only read"),
        pytest.param([[None, "default_transaction_read_only=on"], ["esus", "default_transaction_read_only=off"]], id="all but PEC"),
        pytest.param([[None, 'search_path="$user", public'], [None, "row_security=on"], [None, "role=none"]], id="ok"),
    ],
)
def test_what_does_not_reach_pec_is_carried_over(settings: list[Any]) -> None:
    assert carried({"settings": settings}, "esus") == ({"settings": settings}, [])


def test_what_may_end_the_work_of_pec_is_carried_over_and_named() -> None:
    settings = [[None, "statement_timeout=5s"], ["bi", "lock_timeout=1"]]
    facts, notes = carried({"settings": settings, "datconnlimit": 0}, "esus")
    assert (facts["settings"], facts["datconnlimit"]) == (settings, -1)
    assert "CONNECTION LIMIT 0 (PEC could not connect)" in notes[0]
    assert "statement_timeout = 5s" in notes[1] and "lock_timeout" not in notes[1]
