# SPDX-License-Identifier: GPL-3.0-or-later
"""What an operator of a role reads names the variables of the inventory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.esus.pec.plugins.plugin_utils import variables

ROOT = Path(__file__).resolve().parents[4]


def of_role() -> dict[str, str]:
    tasks = yaml.safe_load((ROOT / "roles/pec_restore/tasks/restore.yml").read_text(encoding="utf-8"))
    return variables.names(tasks[0]["esus.pec.restore"])


@pytest.mark.parametrize(
    ("text", "told"),
    [
        pytest.param(
            "it holds PEC; set replace to true to replace it", "it holds PEC; set pec_restore_replace to true to replace it", id="set"
        ),
        pytest.param("replace is true", "pec_restore_replace is true", id="is"),
        pytest.param(
            "but keep_previous is false; set it to true", "but pec_restore_keep_previous is false; set it to true", id="a longer name"
        ),
        pytest.param("or set allow_older_server to true", "or set pec_restore_allow_older_server to true", id="three words"),
        pytest.param("set directory instead, or leave where out", "set pec_restore_directory instead, or leave where out", id="instead"),
        pytest.param("set force to true", "set pec_restore_force to true", id="force"),
        pytest.param("the restore is true to /srv/replace to 1", "the restore is true to /srv/replace to 1", id="a path"),
        pytest.param("a path is missing; replace it by force", "a path is missing; replace it by force", id="ordinary words"),
        pytest.param("pec_restore_replace to true", "pec_restore_replace to true", id="a variable already"),
        pytest.param("set stop_service to true", "set stop_service to true", id="an option without a variable"),
    ],
)
def test_what_is_told(text: str, told: str) -> None:
    assert variables.with_variables(text, of_role()) == told


def test_a_task_without_a_role_keeps_its_options() -> None:
    given: dict[str, Any] = {"replace": False, "path": "/srv/a.dump", "force": "{{ my_force }}"}
    assert variables.names(given) == {}
    assert variables.with_variables("set replace to true", {}) == "set replace to true"


def test_only_a_template_that_is_a_variable_counts() -> None:
    given = {"a": "{{ pec_a }}", "b": "{{ pec_b or omit }}", "c": "{{ not pec_c | bool }}", "d": "x {{ pec_d }}", "e": "{{ __pec_e.f }}"}
    assert variables.names(given) == {"a": "pec_a", "b": "pec_b"}
