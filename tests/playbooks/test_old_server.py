# SPDX-License-Identifier: GPL-3.0-or-later
"""What root on the old server of a transfer can do to the new one by what it answers Ansible, which works there for the new one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
FACTS = {"pec_install_url": "http://evil", "discovered_interpreter_python": "/evil"}
PLAYBOOKS = sorted((ROOT / "playbooks").glob("transfer*.yml"))


def said(directory: Path, task: dict[str, Any], **block: Any) -> str:
    """Run a task on an old server whose Python answers whatever it likes; return the new server's variable, and the old one's."""
    interpreter = directory / "python"
    interpreter.write_text(f"#!/bin/sh\necho '{json.dumps({'changed': False, 'ansible_facts': FACTS})}'\n")
    interpreter.chmod(0o755)
    new = {"ansible_connection": "local", "pec_install_url": "http://ours"}
    hosts = {"new": new, "old": {"ansible_connection": "local", "ansible_python_interpreter": str(interpreter)}}
    show = {"ansible.builtin.debug": {"msg": "SAID {{ pec_install_url }} {{ hostvars.old.pec_install_url | default('nothing') }}"}}
    tasks = [{"block": [{**task, "delegate_to": "old"}, show], **block}]
    (directory / "inventory.yml").write_text(yaml.safe_dump({"all": {"hosts": hosts}}))
    (directory / "play.yml").write_text(yaml.safe_dump([{"hosts": "new", "gather_facts": False, "tasks": tasks}]))
    collection = directory / "collections/ansible_collections/esus"
    collection.mkdir(parents=True)
    (collection / "pec").symlink_to(ROOT)
    environment = {
        **os.environ,
        "ANSIBLE_NOCOLOR": "true",
        "ANSIBLE_HOME": str(directory / "home"),
        "ANSIBLE_COLLECTIONS_PATH": f"{directory / 'collections'}:{os.environ.get('ANSIBLE_COLLECTIONS_PATH', '')}",
    }
    argv = [str(Path(sys.executable).parent / "ansible-playbook"), "-i", "inventory.yml", "play.yml"]
    ended = subprocess.run(argv, capture_output=True, text=True, env=environment, cwd=directory, timeout=300, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout.partition("SAID ")[2].partition('"')[0]


def test_a_module_of_this_collection_sets_no_variable_of_the_new_server(tmp_path: Path) -> None:
    assert said(tmp_path, {"esus.pec.transfer_source": {}}) == "http://ours nothing"


@pytest.mark.parametrize("task", [{"ansible.builtin.command": "id"}, {"esus.pec.transfer_source": {}}])
def test_no_module_does_where_facts_are_the_old_servers(tmp_path: Path, task: dict[str, Any]) -> None:
    assert said(tmp_path, task, delegate_facts=True).startswith("http://ours ")


def test_without_that_another_module_does(tmp_path: Path) -> None:
    assert said(tmp_path, {"ansible.builtin.command": "id"}) == "http://evil nothing"


@pytest.mark.parametrize("playbook", PLAYBOOKS, ids=lambda path: path.stem)
def test_in_the_playbooks_facts_are_the_old_servers(playbook: Path) -> None:
    blocks = [task for play in yaml.safe_load(playbook.read_text()) for task in play.get("tasks", []) if "block" in task]
    assert blocks
    assert all(block.get("delegate_facts") is True for block in blocks)
