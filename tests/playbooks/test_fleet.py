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
    return [
        {key: value for key, value in play.items() if key not in ("roles", "tasks", "pre_tasks", "post_tasks", "become")} for play in plays
    ]


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
    return re.findall(r"^(h\d) +: ok=1 ", ended.stdout, re.MULTILINE)


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


@pytest.mark.parametrize(("playbook", "play"), [("install", 0), ("configure", 1)])
def test_the_other_plays_have_the_same_head(playbook: str, play: int) -> None:
    one, other = heads(playbook)[play], heads(playbook)[1 - play]
    assert one["max_fail_percentage"] == other["max_fail_percentage"]


@pytest.mark.parametrize("path", sorted(PLAYBOOKS.glob("*.yml")), ids=lambda path: path.stem)
def test_no_head_has_a_template_where_ansible_takes_any_text_for_yes(path: Path) -> None:
    """Tasks inherit any_errors_fatal as it is written, and a template that means no is a text."""
    assert [head for head in heads(path.stem) if isinstance(head.get("any_errors_fatal"), str)] == []
