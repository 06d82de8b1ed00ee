# SPDX-License-Identifier: GPL-3.0-or-later
"""A PEC that a run stopped and that did not come back, because the run was killed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.testing import patch_module_args

from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.module import PecModule, run_module
from ansible_collections.esus.pec.plugins.module_utils.pec import stopping
from ansible_collections.esus.pec.plugins.module_utils.system import locks, process, systemd


class Unit:
    """PEC's unit as systemd shows it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.state: str | None = "active"
        self.starts = 1
        self.refuses = False
        monkeypatch.setattr(systemd, "state", lambda _name: self.state)
        monkeypatch.setattr(systemd, "last_start", lambda _name: str(self.starts))
        monkeypatch.setattr(systemd, "systemctl", self.systemctl)

    def systemctl(self, verb: str, _name: str) -> None:
        self.starts += verb == "start"
        if verb == "start" and self.refuses:
            self.state = "failed"
            raise PecError("cannot start")
        self.state = "active" if verb == "start" else "inactive"


@pytest.fixture
def unit(monkeypatch: pytest.MonkeyPatch) -> Unit:
    return Unit(monkeypatch)


def dies(record: Path) -> None:
    """The run that stopped PEC is killed: its number may already belong to another process."""
    note = json.loads(record.read_text())
    record.write_text(json.dumps({**note, "process": "1"}))


def test_a_run_that_lives_has_left_nothing(unit: Unit, stop_record: Path) -> None:
    stopping.stop(stopping.RESTORE)
    assert stopping.find() is None, "it starts PEC itself"
    assert stop_record.stat().st_mode & 0o777 == 0o600
    stopping.start()
    assert (unit.state, stop_record.exists()) == ("active", False)


@pytest.mark.parametrize("state", ["inactive", "failed", "deactivating"])
def test_a_killed_run_is_named(unit: Unit, stop_record: Path, state: str) -> None:
    stopping.stop(stopping.RESTORE)
    dies(stop_record)
    unit.state = state
    left = stopping.find()
    assert left and left.harmless
    assert f"a run of esus.pec.restore (process {os.getpid()}) stopped it on 20" in str(left)
    assert "systemctl start e-SUS-PEC" in str(left)


def test_what_others_did_since_counts(unit: Unit, stop_record: Path) -> None:
    stopping.stop(stopping.RESTORE)
    dies(stop_record)
    unit.systemctl("start", "")
    assert stopping.find() is None, "it runs"
    unit.systemctl("stop", "")
    assert stopping.find() is None, "somebody wants it stopped"


def test_a_start_that_fails_is_not_taken_for_somebodys_wish(unit: Unit, stop_record: Path) -> None:
    stopping.stop(stopping.SETTING)
    dies(stop_record)
    unit.refuses = True
    with pytest.raises(PecError):
        stopping.start()
    assert stopping.find()


def test_another_run_resumes(unit: Unit, stop_record: Path) -> None:
    assert stopping.resume() == ""
    stopping.stop(stopping.SETTING)
    assert stopping.resume() == "" and unit.state == "inactive", "the run lives"
    dies(stop_record)
    with locks.lock(locks.INSTALLER):
        assert stopping.resume() == "" and unit.state == "inactive", "another run has begun"
    assert "a run of esus.pec.setting" in stopping.resume()
    assert (unit.state, stop_record.exists(), stopping.resume()) == ("active", False, "")
    stopping.stop(stopping.INSTALLER)
    dies(stop_record)
    assert stopping.resume() == "" and unit.state == "inactive", "PEC may be half of another version"


def test_only_an_installer_takes_over_from_a_killed_run(unit: Unit, stop_record: Path) -> None:
    stopping.stop(stopping.RESTORE)
    dies(stop_record)
    stopping.stop(stopping.SETTING)
    assert json.loads(stop_record.read_text())["run"] == "restore"
    stopping.stop(stopping.INSTALLER, version="5.3.28")
    dies(stop_record)
    left = stopping.find()
    assert left and not left.harmless and left.facts == {"version": "5.3.28"}
    assert "ansible-playbook esus.pec.install" in str(left)
    stopping.stop(stopping.RESTORE)
    assert stopping.find() == left


@pytest.mark.parametrize("text", ["", "[1]", "{}", '{"run": 1}', "\0", "[" * 100000, None])
def test_a_damaged_record_is_none(unit: Unit, stop_record: Path, text: str | None) -> None:
    unit.state = "inactive"
    if text is not None:
        stop_record.write_text(text)
    assert stopping.find() is None


@pytest.mark.parametrize("fails", [True, False])
def test_every_module_says_it(
    unit: Unit, stop_record: Path, fails: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    stopping.stop(stopping.RESTORE)
    dies(stop_record)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    warnings: list[str] = []  # Ansible's own list lasts as long as the process
    monkeypatch.setattr(PecModule, "warn", lambda _module, text: warnings.append(text))

    def work(_module: Any) -> dict[str, Any]:
        if fails:
            raise PecError("it failed")
        return {}

    with patch_module_args({}), pytest.raises(SystemExit):
        run_module(work, argument_spec={})
    answer = json.loads(capsys.readouterr().out)
    said = answer["msg"] if fails else warnings[0]
    assert "PEC is stopped: a run of esus.pec.restore" in said


def test_a_process_is_told_from_a_later_one_of_its_number() -> None:
    assert process.started(os.getpid()) == process.started(os.getpid()) != ""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        assert process.started(child.pid) not in ("", process.started(os.getpid()))
    assert process.started(child.pid) == ""
