# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.testing import patch_module_args

from ansible_collections.esus.pec.plugins.module_utils.system import locks
from ansible_collections.esus.pec.plugins.module_utils.transfer import state
from ansible_collections.esus.pec.plugins.modules import transfer_state

SOURCE = {"host": "antigo", "system_identifier": "7411", "database": "esus"}


@pytest.fixture
def record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "esus-pec" / "transfer" / "state.json"
    monkeypatch.setattr(state, "PATH", str(path))
    monkeypatch.setattr(state.read, "__defaults__", (str(path),))
    monkeypatch.setattr(state.write, "__defaults__", (str(path),))
    monkeypatch.setattr(state, "alone", contextlib.nullcontext)
    monkeypatch.setattr(locks, "names", lambda _directory: [])
    monkeypatch.setattr("os.geteuid", lambda: 0)
    return path


def run(capsys: pytest.CaptureFixture[str], **arguments: Any) -> dict[str, Any]:
    with patch_module_args(arguments), pytest.raises(SystemExit):
        transfer_state.main()
    return dict(json.loads(capsys.readouterr().out))


def test_a_transfer_from_its_beginning_to_its_end(record: Path, capsys: pytest.CaptureFixture[str]) -> None:
    nothing = run(capsys)
    assert (nothing["run"], nothing["done"], nothing["next"], nothing["changed"]) == (None, [], "preflight", False)
    begun = run(capsys, state="begun", run="one", source=SOURCE)
    assert (begun["changed"], begun["resumed"], begun["source"], begun["finished"]) == (True, False, SOURCE, False)
    assert not run(capsys, state="begun", run="one", source=SOURCE)["changed"]
    frozen = run(capsys, state="done", run="one", phase="freeze", facts={"last_transaction": 7})
    assert frozen["changed"] and frozen["phases"] == ["freeze"] and frozen["done"][0]["facts"] == {"last_transaction": 7}
    assert not run(capsys, state="done", run="one", phase="freeze", facts={"last_transaction": 7})["changed"]
    again = run(capsys, state="begun", run="two", source=SOURCE, last_transaction=7)
    assert (again["resumed"], again["phases"], again["taken_over"], again["dropped"]) == (True, ["freeze"], "one", [])
    late = run(capsys, state="done", run="one", phase="move")
    assert late["failed"] and "the run two took this transfer over on 20" in late["msg"]
    moved = run(capsys, state="begun", run="three", source=SOURCE, last_transaction=8)
    assert (moved["resumed"], moved["dropped"]) == (False, ["freeze"]) and "at transaction 8 instead of 7" in moved["reason"]
    broken = run(capsys, state="failed", run="three", phase="move", facts={"why": "disk"}, serving=True)
    assert broken["failure"]["facts"] == {"why": "disk"}
    assert run(capsys, state="done", run="three", phase="cutover")["finished"]
    assert "was finished" in run(capsys, state="begun", run="four", source=SOURCE)["msg"]
    assert run(capsys, state="begun", run="four", source=SOURCE, restart=True)["dropped"] == ["cutover"]
    assert run(capsys, state="absent")["changed"] and not record.exists()
    assert not run(capsys, state="absent")["changed"]


def test_check_mode_writes_nothing(record: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys, state="begun", run="one", source=SOURCE, _ansible_check_mode=True)["run"] == "one"
    assert run(capsys, state="done", run="one", phase="prepare", _ansible_check_mode=True)["phases"] == ["prepare"]
    assert not record.parent.exists()
    run(capsys, state="begun", run="one", source=SOURCE)
    written = record.read_bytes()
    for arguments in (
        {"state": "absent"},
        {"state": "failed", "run": "two", "phase": "move"},
        {"state": "begun", "run": "two", "source": SOURCE},
    ):
        assert run(capsys, **arguments, _ansible_check_mode=True)["changed"]
    assert record.read_bytes() == written


def test_a_damaged_record_is_an_error_until_it_is_removed(record: Path, capsys: pytest.CaptureFixture[str]) -> None:
    record.parent.mkdir(parents=True)
    record.write_text("{")
    assert "is damaged" in run(capsys)["msg"]
    assert "is damaged" in run(capsys, state="begun", run="one", source=SOURCE)["msg"]
    assert run(capsys, state="absent")["changed"]
    assert run(capsys, state="begun", run="one", source=SOURCE)["changed"]


def test_a_working_module_is_not_taken_over_from(record: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    run(capsys, state="begun", run="one", source=SOURCE)
    monkeypatch.setattr(locks, "names", lambda _directory: ["installer"])
    monkeypatch.setattr(locks, "holder", lambda _name, directory: "process 9")
    refused = run(capsys, state="begun", run="two", source=SOURCE)
    assert refused["failed"] and "process 9" in refused["msg"]
    assert json.loads(record.read_text())["run"]["id"] == "one"
