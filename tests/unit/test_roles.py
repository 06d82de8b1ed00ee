# SPDX-License-Identifier: GPL-3.0-or-later
"""What no task of a role may do or say: what another account could turn against root or PostgreSQL's superuser; what is not true."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

ROLES = Path(__file__).resolve().parents[2] / "roles"
WRITERS = {f"ansible.builtin.{name}" for name in ("file", "copy", "template", "get_url", "unarchive", "lineinfile", "blockinfile")}
PINNED = {"PGOPTIONS": "-c search_path=pg_catalog,pg_temp"}
Task = dict[str, Any]


def tasks(path: Path) -> Iterator[Task]:
    """The tasks and handlers of a file, each with what it inherits from its blocks; an included file from those that include it."""
    yield from _tasks(yaml.safe_load(path.read_text(encoding="utf-8")) or [], {})


def _tasks(listed: list[Task], inherited: Task) -> Iterator[Task]:
    for task in listed:
        whole = {**inherited, **{key: value for key, value in task.items() if key not in ("block", "rescue", "always")}}
        whole["conditions"] = [*inherited.get("conditions", []), task.get("when")]
        if "block" not in task:
            yield whole
        for part in ("block", "rescue", "always"):
            yield from _tasks(task.get(part, []), {key: whole[key] for key in ("become_user", "environment", "conditions") if key in whole})


FILES = [path for kind in ("tasks", "handlers") for path in sorted(ROLES.glob(f"*/{kind}/*.yml"))]
# What the block in this file includes inherits from it.
INCLUDED = {"pec_database/tasks/settings.yml", "pec_database/tasks/read_only.yml"}


def test_no_task_gives_a_file_to_another_account() -> None:
    """ansible.builtin.file and its like follow links, so they would give away what a link of that account leads to."""
    owners = {
        (str(path.relative_to(ROLES)), task["name"], str(task[module]["owner"]))
        for path in FILES
        for task in tasks(path)
        for module in WRITERS & set(task)
        if "owner" in task[module]
    }
    assert len(owners) > 10
    assert {found for found in owners if found[2] != "root"} == set()


def test_the_superuser_of_postgresql_looks_for_functions_in_pg_catalog_only() -> None:
    """In every database, also in that of the name postgres: before PostgreSQL 15 every role may create functions there."""
    asking = {
        (str(path.relative_to(ROLES)), task["name"]): task.get("environment")
        for path in FILES
        for task in tasks(path)
        if any(key.startswith("community.postgresql.") for key in task)
    }
    assert len(asking) > 6
    configure = [task for task in tasks(ROLES / "pec_database/tasks/configure.yml") if "ansible.builtin.include_tasks" in task]
    assert {f"pec_database/tasks/{task['ansible.builtin.include_tasks']}": task["environment"] for task in configure} == dict.fromkeys(
        INCLUDED, PINNED
    )
    assert {found: given for found, given in asking.items() if found[0] not in INCLUDED and given != PINNED} == {}


DONE = re.compile(
    r"\b(?:is|are|was|were) (?:kept|installed|written|restored|dropped|changed|stopped|replaced|removed|set)\b|as wanted|'confirmed'"
)
# Of an earlier run, or of a key that an operator has.
NOT_OF_THIS_RUN = {
    ("pec_govbr/tasks/configure.yml", "Report that PEC runs with its former settings"),
    ("pec_backup/tasks/prove.yml", "Report what proves that the private key exists"),
    ("pec_transfer/tasks/rollback.yml", "Report what was written on this server since"),
}


def test_no_report_of_check_mode_says_that_something_happened() -> None:
    playbooks = ROLES.parent / "playbooks"
    told = {}
    for path in [*FILES, *sorted(playbooks.glob("*.yml"))]:
        plays = yaml.safe_load(path.read_text(encoding="utf-8")) or []
        parts = ("pre_tasks", "tasks", "post_tasks")
        listed = [task for play in plays for part in parts for task in play.get(part, [])] if path.parent == playbooks else plays
        for task in _tasks(listed, {}):
            if "ansible.builtin.debug" in task:
                text = str([task["ansible.builtin.debug"], task.get("vars"), task["conditions"]])
                told[(str(path.relative_to(ROLES if path in FILES else playbooks)), task["name"])] = text
    assert len(told) > 20
    lies = {place for place, text in told.items() if DONE.search(text) and "ansible_check_mode" not in text}
    assert lies - NOT_OF_THIS_RUN == set()
    assert lies >= NOT_OF_THIS_RUN
