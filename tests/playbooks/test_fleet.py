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


def stubbed(name: str, *steps: dict[str, Any]) -> list[dict[str, Any]]:
    """A playbook whose last two plays have these steps instead of their work. What checks beforehand is left out."""
    plays = yaml.safe_load((PLAYBOOKS / f"{name}.yml").read_text(encoding="utf-8"))[-2:]
    block = plays[0]["tasks"][0]
    (reach,) = [task for task in block["block"] if task.get("ansible.builtin.import_role", {}).get("tasks_from") == "reach"]
    assert block["block"][0] is reach and len(block["block"]) > 2
    block["block"] = [reach, *({**step, "tags": "always"} for step in steps)]
    plays[0].pop("pre_tasks", None)
    return [{**play, "become": False} for play in plays]


LOCAL = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
NOWHERE = {"ansible_host": "127.0.0.1", "ansible_port": 1, "ansible_connection": "ssh"}


def run_fleet(
    tmp_path: Path, plays: list[dict[str, Any]], *options: str, nowhere: str = "", servers: int = 5
) -> tuple[int, list[str], dict[str, tuple[int, int]], str]:
    """The exit code, the servers that went to the end, how many tasks of each server failed or did not reach it, and the output."""
    (tmp_path / "play.yml").write_text(json.dumps(plays), encoding="utf-8")
    hosts = {f"h{number}": NOWHERE if f"h{number}" == nowhere else LOCAL for number in range(1, servers + 1)}
    (tmp_path / "inventory.json").write_text(json.dumps({"pec": {"hosts": hosts}}), encoding="utf-8")
    argv = [str(Path(sys.executable).parent / "ansible-playbook"), "-i", str(tmp_path / "inventory.json"), str(tmp_path / "play.yml")]
    environment = {**os.environ, "ANSIBLE_NOCOLOR": "true", "ANSIBLE_HOME": str(tmp_path)}
    ended = subprocess.run([*argv, *options], capture_output=True, text=True, env=environment, timeout=120, check=False)
    went_on = re.findall(r'^ok: \[(h\d)\] => \{\n +"msg": "here"', ended.stdout, re.MULTILINE)
    recap = re.findall(r"^(h\d) +: .* unreachable=(\d) +failed=(\d) ", ended.stdout, re.MULTILINE)
    return ended.returncode, sorted(went_on), {host: (int(lost), int(failed)) for host, lost, failed in recap}, ended.stdout


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
@pytest.mark.parametrize("playbook", ["install", "configure"])
def test_servers_that_fail_the_checks(tmp_path: Path, playbook: str, options: list[str], went_on: list[str]) -> None:
    assert run(tmp_path, heads(playbook)[0], *options) == went_on


@pytest.mark.parametrize(
    ("options", "went_on"),
    [
        pytest.param([], ["h3", "h4", "h5"], id="a batch that failed as a whole"),
        pytest.param(["-e", "pec_max_fail_percentage=40"], [], id="two of two are more than two fifths"),
        pytest.param(["-e", "pec_max_fail_percentage=100"], ["h3", "h4", "h5"], id="no limit"),
        pytest.param(["-e", "pec_any_errors_fatal=true"], [], id="no batch after a failure"),
    ],
)
def test_a_limit_of_failures_ends_the_run_after_a_batch(tmp_path: Path, options: list[str], went_on: list[str]) -> None:
    found = run_fleet(tmp_path, stubbed("install", FAILS, GOES_ON), "-e", "pec_serial=2", *options)
    assert (found[0], found[1]) == (2, went_on), found[3]
    assert (found[2]["h1"], found[2]["h2"]) == ((0, 1), (0, 1)), found[3]
    assert "h1 failed at the task 'Fail on two': as told" in found[3]


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


@pytest.mark.parametrize("name", ["install", "configure", "backup", "restore"])
def test_every_phase_has_a_tag_and_its_facts(name: str) -> None:
    """Facts that a task reads are missing when a run starts at a later task, or in a later play."""
    for play in yaml.safe_load((PLAYBOOKS / f"{name}.yml").read_text(encoding="utf-8")):
        listed = [phase for part in ("pre_tasks", "roles", "tasks", "post_tasks") for phase in play.get(part, [])]
        phases = [phase for each in listed for phase in ([each] if each.get("tags") else each.get("block", [each]))]
        reads = any(phase.get("ansible.builtin.import_role", {}).get("tasks_from") != "report" for phase in phases)
        assert play["gather_facts"] is reads and ("min" in play["gather_subset"] if reads else True)
        assert phases and [phase for phase in phases if not phase.get("tags")] == []


@pytest.mark.parametrize("path", sorted(PLAYBOOKS.glob("*.yml")), ids=lambda path: path.stem)
def test_no_head_has_a_template_where_ansible_takes_any_text_for_yes(path: Path) -> None:
    """Tasks inherit any_errors_fatal as it is written, and a template that means no is a text."""
    assert [head for head in heads(path.stem) if isinstance(head.get("any_errors_fatal"), str)] == []


def test_all_playbooks_treat_failures_alike() -> None:
    """So that the tests below need to run only one of them."""
    found = []
    for name in ("install", "configure", "backup", "restore"):
        *_checks, play, report = yaml.safe_load((PLAYBOOKS / f"{name}.yml").read_text(encoding="utf-8"))
        block, *after = play["tasks"]
        assert set(play) - {"max_fail_percentage", "pre_tasks"} == set(heads("backup")[0]) | {"become", "gather_subset", "tasks"}
        found.append(
            (block["block"][0], block["rescue"], block["ignore_unreachable"], after, play["ignore_unreachable"], play["serial"], report)
        )
    assert found == [found[0]] * 4


def test_one_server_after_the_other_goes_on(tmp_path: Path) -> None:
    """Two fail, one of them in a handler, and one is not reached: the others have their turn, and all are in the recap."""
    notifies = {"name": "Notify", "ansible.builtin.debug": {}, "changed_when": "inventory_hostname in ['h1', 'h5']", "notify": "Break"}
    flush = {"name": "Flush", "ansible.builtin.meta": "flush_handlers"}
    plays = stubbed("configure", notifies, {**FAILS, "when": "inventory_hostname == 'h1'"}, flush, GOES_ON)
    plays[0]["handlers"] = [{"name": "Break", "ansible.builtin.fail": {"msg": "as the handler told"}}]
    code, went_on, recap, output = run_fleet(tmp_path, plays, "-e", "pec_serial=1", nowhere="h3", servers=6)
    assert (code, went_on) == (2, ["h2", "h4", "h6"]), output
    assert recap == {f"h{number}": (0, int(number in (1, 3, 5))) for number in range(1, 7)}, output
    assert "h1 failed at the task 'Fail on two': as told" in output
    assert "h3 failed at the task 'Require that it was reached': The server was not reached" in output
    assert "h5 failed at the task" in output
    assert output.count("RUNNING HANDLER [Break]") == 1, "a server that failed is not restarted"


def test_servers_that_failed_the_checks_are_no_failures_of_a_batch(tmp_path: Path) -> None:
    """Ansible compares all failures of a run with the size of one batch."""
    checks = {"hosts": "pec", "gather_facts": False, "tasks": [FAILS]}
    code, went_on, recap, output = run_fleet(tmp_path, [checks, *stubbed("install", GOES_ON)], "-e", "pec_serial=1")
    assert (code, went_on) == (2, ["h3", "h4", "h5"]), output
    assert recap == {"h1": (0, 1), "h2": (0, 1), "h3": (0, 0), "h4": (0, 0), "h5": (0, 0)}


def test_a_failure_does_not_show_what_a_task_hides(tmp_path: Path) -> None:
    hidden = {"name": "Fail with a secret", "ansible.builtin.fail": {"msg": "segredo"}, "no_log": True}
    output = run_fleet(tmp_path, stubbed("backup", hidden), servers=1)[3]
    assert "h1 failed at the task 'Fail with a secret': its error is above" in output and "segredo" not in output.partition("Report")[2], (
        output
    )


def test_a_server_that_goes_away_in_the_middle(tmp_path: Path) -> None:
    """Its batch goes on. If it was the whole batch, Ansible ends the run, and the guide's command goes on with the rest."""
    leaves = {"name": "Leave", "ansible.builtin.set_fact": NOWHERE, "when": "inventory_hostname == 'h2'"}
    plays = stubbed("restore", leaves, {"name": "Ask", "ansible.builtin.ping": {}}, GOES_ON)
    assert run_fleet(tmp_path, plays, "-e", "pec_serial=2", servers=4)[1:3] == (
        ["h1", "h3", "h4"],
        {"h1": (0, 0), "h2": (1, 0), "h3": (0, 0), "h4": (0, 0)},
    )
    code, went_on, recap, output = run_fleet(tmp_path, plays, "-e", "pec_serial=1", servers=4)
    assert (code, went_on, recap) == (4, ["h1"], {"h1": (0, 0), "h2": (1, 0)}), output
    code, went_on, recap, output = run_fleet(tmp_path, plays, "-e", "pec_serial=1", "--limit", "pec[2:]", servers=4)
    assert (code, went_on, recap) == (0, ["h3", "h4"], {"h3": (0, 0), "h4": (0, 0)}), output
