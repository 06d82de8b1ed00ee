# SPDX-License-Identifier: GPL-3.0-or-later
"""A run that starts in the middle of a role (--start-at-task) works, or its error names the task to start at."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

ROLES = Path(__file__).resolve().parents[2] / "roles"
EARLIER = "{{ _pec_earlier }}"
# What uses these has another value where they are missing.
OPTIONAL = {"__pec_contra_chave_recorded", "__pec_https_keystore", "__pec_https_pair", "__pec_services_rotated"}
Task = dict[str, Any]


def load(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8")) or {}


def tasks(role: Path, entry: str) -> Iterator[Task]:
    """The tasks of a file, those of its blocks one by one."""

    def flat(listed: list[Task]) -> Iterator[Task]:
        for task in listed:
            yield {key: value for key, value in task.items() if key not in ("block", "rescue", "always")}
            for part in ("block", "rescue", "always"):
                yield from flat(task.get(part, []))

    yield from flat(load(role / "tasks" / entry))


def phase(role: Path, task: Task) -> Iterator[Task]:
    """A task with all that it includes."""
    yield task
    file = task.get("ansible.builtin.include_tasks", "")
    file = file["file"] if isinstance(file, dict) else file
    for path in sorted((role / "tasks").glob(re.sub(r"\{\{.*?\}\}", "*", file))) if file else []:
        for included in tasks(role, path.name):
            yield from phase(role, included)


def names(value: Any) -> set[str]:
    return set(re.findall(r"\b_{1,2}pec_\w+", str(value)))


def computed(role: Path, task: Task) -> set[str]:
    """The variables that exist once this task was run."""
    found = {task["register"]} if "register" in task else set()
    if "ansible.builtin.include_vars" in task:
        found |= {name for path in (role / "vars").glob("*.yml") if path.stem != "main" for name in load(path)}
    return found | set(task.get("ansible.builtin.set_fact", {}))


def used(role: Path, task: Task) -> set[str]:
    """The variables that this task reads, also by way of the role's own."""
    variables = [(name, value) for path in (role / "vars").glob("*.yml") for name, value in load(path).items()]
    found, waiting = set(), names(task)
    while waiting:
        name = waiting.pop()
        found.add(name)
        waiting |= {other for known, value in variables if known == name for other in names(value)} - found
    return found


def entries() -> Iterator[Any]:
    for path in sorted(ROLES.glob("*/meta/argument_specs.yml")):
        role = path.parents[1]
        for entry in load(path)["argument_specs"]:
            if role.name != "pec" and (role / "tasks" / f"{entry}.yml").exists():  # what pec has, other roles include
                yield pytest.param(role, entry, id=f"{role.name}-{entry}")


@pytest.mark.parametrize(("role", "entry"), list(entries()))
def test_what_an_earlier_task_computes_is_known_to_be_missing(role: Path, entry: str) -> None:
    phases = [list(phase(role, task)) for task in tasks(role, f"{entry}.yml")]
    known = {name for name, value in load(role / "vars/main.yml").items() if value == EARLIER} | OPTIONAL
    unknown = {}
    for start in range(1, len(phases)):
        before = {name for each in phases[:start] for task in each for name in computed(role, task)}
        since: set[str] = set()
        for task in (task for each in phases[start:] for task in each):
            unknown.update({name: task.get("name") for name in (used(role, task) & before) - since - known})
            since |= computed(role, task)
    assert unknown == {}


def test_nothing_else_is_said_to_be_missing() -> None:
    for role in sorted(ROLES.iterdir()):
        given = {name for path in (role / "tasks").glob("*.yml") for task in tasks(role, path.name) for name in computed(role, task)}
        missing = {name for name, value in load(role / "vars/main.yml").items() if value == EARLIER}
        assert missing <= given
        text = "".join(path.read_text(encoding="utf-8") for path in role.glob("*/*.yml"))
        # ansible-core 2.18 does not show why it is missing, unlike for NAME.changed.
        assert missing.isdisjoint(re.findall(r"(\w+) is (?:not )?(?:changed|failed|skipped|success)", text))


@pytest.mark.parametrize(
    ("role", "start", "works"),
    [
        ("pec_install", "Verify", False),
        ("pec_database", "Configure PostgreSQL", False),
        ("pec_contra_chave", "Verify", True),
    ],
)
def test_a_run_that_starts_in_the_middle(tmp_path: Path, role: str, start: str, works: bool) -> None:
    role = f"esus.pec.{role}"
    played = {"hosts": "localhost", "gather_facts": False, "tasks": [{"name": "Run", "ansible.builtin.import_role": {"name": role}}]}
    (tmp_path / "play.yml").write_text(json.dumps([{**played, "vars": {"ansible_python_interpreter": sys.executable}}]), encoding="utf-8")
    argv = [str(Path(sys.executable).parent / "ansible-playbook"), "-i", "localhost,", "-c", "local", "--check", str(tmp_path / "play.yml")]
    environment = {**os.environ, "ANSIBLE_NOCOLOR": "true", "ANSIBLE_HOME": str(tmp_path)}
    run = subprocess.run([*argv, "--start-at-task", f"{role} : {start}"], capture_output=True, text=True, env=environment, check=False)
    assert (run.returncode == 0) is works, run.stdout
    if not works:
        assert f"--start-at-task '{role} : *'" in run.stdout, run.stdout
        listed = subprocess.run([*argv, "--list-tasks"], capture_output=True, text=True, env=environment, check=True).stdout
        assert re.search(rf"^ +{re.escape(role)} : ", listed, re.MULTILINE), listed
