# SPDX-License-Identifier: GPL-3.0-or-later
"""What the heads of the playbooks' plays mean when servers of a fleet fail: Ansible itself runs them, and two of five servers fail."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

PLAYBOOKS = Path(__file__).resolve().parents[2] / "playbooks"
FAILS = {"name": "Fail on two", "ansible.builtin.fail": {"msg": "as told"}, "when": "inventory_hostname in ['h1', 'h2']"}
GOES_ON = {"name": "Go on", "ansible.builtin.debug": {"msg": "here"}}


def heads(name: str) -> list[dict[str, Any]]:
    plays = yaml.safe_load((PLAYBOOKS / f"{name}.yml").read_text(encoding="utf-8"))
    left_out = ("roles", "tasks", "pre_tasks", "post_tasks", "become", "gather_subset")
    return [{**{key: value for key, value in play.items() if key not in left_out}, "gather_facts": False} for play in plays]


def run(tmp_path: Path, head: dict[str, Any], *options: str) -> list[str]:
    """The servers that went on after the failures."""
    play = {**head, "connection": "local", "tasks": [FAILS, GOES_ON], "vars": {"ansible_python_interpreter": sys.executable}}
    (tmp_path / "play.yml").write_text(json.dumps([play]), encoding="utf-8")
    argv = [
        str(Path(sys.executable).parent / "ansible-playbook"),
        "-i",
        "h1,h2,h3,h4,h5,",
        str(tmp_path / "play.yml"),
        "-e",
        "pec_hosts=all",
    ]
    environment = {**os.environ, "ANSIBLE_NOCOLOR": "true", "ANSIBLE_HOME": str(tmp_path), "ANSIBLE_LOCALHOST_WARNING": "false"}
    ended = subprocess.run([*argv, *options], capture_output=True, text=True, env=environment, timeout=120, check=False)
    return re.findall(r"^(h\d) +: ok=[1-9] ", ended.stdout, re.MULTILINE)


@pytest.mark.parametrize(
    ("options", "went_on"),
    [
        pytest.param([], ["h3", "h4", "h5"], id="the others go on"),
        pytest.param(["-e", "pec_max_fail_percentage=20"], [], id="two of five are more than a fifth"),
        pytest.param(["-e", "pec_max_fail_percentage=40"], ["h3", "h4", "h5"], id="and not more than two fifths"),
        pytest.param(["-e", "pec_any_errors_fatal=true"], [], id="the first failure ends it"),
        pytest.param(["-e", "pec_any_errors_fatal=false"], ["h3", "h4", "h5"], id="said in words"),
    ],
)
@pytest.mark.parametrize(("playbook", "play"), [("install", 1), ("configure", 0)])
def test_servers_that_fail(tmp_path: Path, playbook: str, play: int, options: list[str], went_on: list[str]) -> None:
    assert run(tmp_path, heads(playbook)[play], *options) == went_on


@pytest.mark.parametrize(
    ("options", "goes_on"),
    [
        pytest.param([], False, id="every server by mistake"),
        pytest.param(["-e", "pec_serial=1"], False, id="one by one"),
        pytest.param(["--limit", "all:!h2"], True, id="those that are named"),
        pytest.param(["-e", "pec_restore_all_servers=true"], True, id="all are meant"),
        pytest.param(["-e", "pec_restore_rehearse=true"], True, id="a rehearsal"),
        pytest.param(["--tags", "clean"], True, id="no restore"),
    ],
)
def test_a_restore_of_more_than_one_server_is_asked_for(tmp_path: Path, options: list[str], goes_on: bool) -> None:
    play = yaml.safe_load((PLAYBOOKS / "restore.yml").read_text(encoding="utf-8"))[0]
    guard = next(task for task in play["pre_tasks"] if "ansible.builtin.assert" in task)
    head = {**heads("restore")[0], "pre_tasks": [guard, {**GOES_ON, "tags": "always"}]}
    assert bool(run(tmp_path, head, *options)) is goes_on


@pytest.mark.parametrize(("playbook", "play"), [("install", 0), ("configure", 1)])
def test_the_other_plays_have_the_same_head(playbook: str, play: int) -> None:
    one, other = heads(playbook)[play], heads(playbook)[1 - play]
    assert one["max_fail_percentage"] == other["max_fail_percentage"]


@pytest.mark.parametrize("name", ["install", "configure", "backup", "restore"])
def test_every_phase_has_a_tag_and_its_facts(name: str) -> None:
    """Facts that a task reads are missing when a run starts at a later task, or in a later play."""
    for play in yaml.safe_load((PLAYBOOKS / f"{name}.yml").read_text(encoding="utf-8")):
        listed = [phase for part in ("pre_tasks", "roles", "tasks", "post_tasks") for phase in play.get(part, [])]
        phases = [phase for each in listed for phase in ([each] if each.get("tags") else each.get("block", [each]))]
        reads = any("ansible.builtin.fail" not in phase for phase in phases)
        assert play["gather_facts"] is reads and ("min" in play["gather_subset"] if reads else True)
        assert phases and [phase for phase in phases if not phase.get("tags")] == []


@pytest.mark.parametrize("path", sorted(PLAYBOOKS.glob("*.yml")), ids=lambda path: path.stem)
def test_no_head_has_a_template_where_ansible_takes_any_text_for_yes(path: Path) -> None:
    """Tasks inherit any_errors_fatal as it is written, and a template that means no is a text."""
    assert [head for head in heads(path.stem) if isinstance(head.get("any_errors_fatal"), str)] == []


def test_a_backup_of_one_server_after_the_other_goes_on(tmp_path: Path) -> None:
    """One fails, one is not reached: the third has its turn, and all three are in the recap."""
    plays = yaml.safe_load((PLAYBOOKS / "backup.yml").read_text(encoding="utf-8"))
    (block,) = plays[0]["tasks"]
    roles = [task for task in block["block"] if "ansible.builtin.import_role" in task]
    assert len(roles) == 4
    block["block"] = [*(task for task in block["block"] if task not in roles), {**FAILS, "tags": "now"}, {**GOES_ON, "tags": "now"}]
    for play in plays:
        play["become"] = False
    (tmp_path / "play.yml").write_text(json.dumps(plays), encoding="utf-8")
    local = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
    nowhere = {"ansible_host": "127.0.0.1", "ansible_port": 1, "ansible_connection": "ssh"}
    servers = {"h1": local, "h3": nowhere, "h4": local}
    (tmp_path / "inventory.json").write_text(json.dumps({"pec": {"hosts": servers}}), encoding="utf-8")
    argv = [str(Path(sys.executable).parent / "ansible-playbook"), "-i", str(tmp_path / "inventory.json"), str(tmp_path / "play.yml")]
    environment = {**os.environ, "ANSIBLE_NOCOLOR": "true", "ANSIBLE_HOME": str(tmp_path)}
    ended = subprocess.run(
        [*argv, "-e", "pec_serial=1", "--tags", "now"], capture_output=True, text=True, env=environment, timeout=120, check=False
    )
    assert ended.returncode == 2
    assert re.findall(r"^ok: \[(h\d)\] => ", ended.stdout, re.MULTILINE) == ["h4"], ended.stdout
    assert re.findall(r"^(h\d) +: .* failed=(\d) ", ended.stdout, re.MULTILINE) == [("h1", "1"), ("h3", "1"), ("h4", "0")], ended.stdout
    assert "h1 failed at the task 'Fail on two'" in ended.stdout
    assert "h3 failed at the task 'Require that it was reached'" in ended.stdout
