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
    return variables.names(tasks[0]["esus.pec.restore"], {})


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
        pytest.param("set directory instead", "set pec_restore_directory instead", id="instead"),
        pytest.param("or leave where out", "or leave pec_restore_where out", id="out"),
        pytest.param("set force to true", "set pec_restore_force to true", id="force"),
        pytest.param("the restore is true to /srv/replace to 1", "the restore is true to /srv/replace to 1", id="a path"),
        pytest.param("a path is missing; replace it by force", "a path is missing; replace it by force", id="ordinary words"),
        pytest.param("pec_restore_replace to true", "pec_restore_replace to true", id="a variable already"),
        pytest.param("set from_host (role: pec_restore_from_host) to x", "set pec_restore_from_host to x", id="no longer in brackets, too"),
        pytest.param("name it in update_jar (role: pec_x)", "name it in pec_restore_update_jar (role: pec_x)", id="another in brackets"),
        pytest.param("a dump in path format; use path traversal", "a dump in path format; use path traversal", id="no option"),
        pytest.param("give path or identity_path, x", "give pec_restore_path or pec_restore_identity_path, x", id="two"),
        pytest.param("nothing fits:\nwhere has x", "nothing fits:\npec_restore_where has x", id="the subject"),
        pytest.param("correct admin.", "correct pec_restore_admin.", id="the end"),
        pytest.param("/srv/update_jar, from_host.txt, from_host=1", "/srv/update_jar, from_host.txt, from_host=1", id="names of files"),
        pytest.param("set stop_service to true", "set stop_service to true", id="an option without a variable"),
    ],
)
def test_what_is_told(text: str, told: str) -> None:
    assert variables.with_variables(text, of_role()) == told


def test_a_task_without_a_role_keeps_its_options() -> None:
    given: dict[str, Any] = {"replace": False, "path": "/srv/a.dump", "force": "{{ my_force }}"}
    assert variables.names(given, {}) == {}
    text = "set replace (role: pec_restore_replace) to true"
    assert variables.with_variables(text, {}) == text


def test_only_a_template_that_is_a_variable_counts() -> None:
    given = {"a": "{{ pec_a }}", "b": "{{ pec_b or omit }}", "c": "{{ not pec_c | bool }}", "d": "x {{ pec_d }}", "e": "{{ __pec_e.f }}"}
    assert variables.names(given, {}) == {"a": "pec_a", "b": "pec_b"}


@pytest.mark.parametrize("database", ["{{ _pec_database }}", "{{ _pec_database | combine({'mode': 'managed'}) }}"])
def test_what_a_role_computes_of_several_variables(database: str) -> None:
    of_role = {"_pec_database": {"host": "{{ pec_database_host }}", "name": "{{ pec_database_name }}"}, "_pec_x": "{{ pec_y | string }}"}
    given = {"database": database, "name": "{{ pec_x_name }}", "x": "{{ _pec_x }}", "login": {"cpf": "{{ pec_cpf }}"}, "z": "{{ _pec_z }}"}
    told = {"host": "pec_database_host", "name": "pec_x_name", "x": "pec_y", "cpf": "pec_cpf"}
    assert variables.names(given, of_role) == told


def test_of_alternatives_the_one_with_a_value() -> None:
    given = {"src": "{{ pec_path or pec_file or omit }}"}
    assert variables.names(given, {"pec_path": "", "pec_file": "a.pfx"}) == {"src": "pec_file"}
    assert variables.names(given, {}) == {"src": "pec_path"}


def test_every_module_has_an_action_that_tells_variables() -> None:
    actions = {path.stem: path for path in (ROOT / "plugins/action").glob("*.py")}
    assert set(actions) == {path.stem for path in (ROOT / "plugins/modules").glob("*.py")}
    usual = {name for name, path in actions.items() if path.read_bytes() == actions["restore"].read_bytes()}
    assert set(actions) - usual == {"certificate", "preflight"}
