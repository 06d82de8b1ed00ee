# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from pathlib import Path

from ansible_collections.esus.pec.plugins.module_utils.oficios.states import CONFIRM, STATES

README = Path(__file__).resolve().parents[5] / "roles/pec_oficios/README.md"


def test_the_27_states() -> None:
    for name in ("uf", "name", "ibge"):
        assert len({getattr(state, name) for state in STATES}) == 27
    assert [state.uf for state in STATES] == sorted(state.uf for state in STATES)
    # The first digit of a code is its region.
    assert {digit: sum(state.ibge[0] == digit for state in STATES) for digit in "12345"} == {"1": 7, "2": 9, "3": 4, "4": 3, "5": 4}


def test_each_body_has_a_source_and_is_to_be_confirmed() -> None:
    assert all(CONFIRM in state.note and state.source for state in STATES)
    known = [state for state in STATES if state.body]
    assert all("http" in state.source for state in known)
    assert [state.uf for state in STATES if not state.body and "sem evidência" not in state.note] == []
    readme = README.read_text(encoding="utf-8")
    assert [state.uf for state in known if f"| {state.uf} | {state.body}" not in readme] == []
