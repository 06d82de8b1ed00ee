# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json
from typing import Any

import pytest
from ansible.module_utils.testing import patch_module_args

from ansible_collections.esus.pec.plugins.module_utils.transfer import access, sshd
from ansible_collections.esus.pec.plugins.module_utils.transfer.access import Current, Desired, Plan, Served
from ansible_collections.esus.pec.plugins.modules import transfer_access

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILyn9tcfNirOSQCpnMLNREv20GXAvibRZ+nyMd5vHaf8"
PASSWORD = "uma-senha-do-rsync"


@pytest.fixture
def applied(monkeypatch: pytest.MonkeyPatch) -> list[Plan]:
    found: list[Plan] = []
    current = Current(False, "", "", "", "", False, (7, 7), {"port": ["22", "2222"]})
    monkeypatch.setattr("os.geteuid", lambda: 0)
    monkeypatch.setattr(access, "read_current", lambda desired: current)
    monkeypatch.setattr(access, "apply", found.append)
    monkeypatch.setattr(sshd, "host_keys", lambda found: ["ssh-ed25519 AAAA"])
    return found


def run(capsys: pytest.CaptureFixture[str], **arguments: Any) -> dict[str, Any]:
    with patch_module_args(arguments), pytest.raises(SystemExit):
        transfer_access.main()
    output = capsys.readouterr().out
    assert PASSWORD not in output
    return dict(json.loads(output))


@pytest.mark.parametrize("check", [False, True])
def test_given(applied: list[Plan], capsys: pytest.CaptureFixture[str], check: bool, tmp_path: Any) -> None:
    served = {"directories": [{"name": "data", "path": str(tmp_path)}], "rsync_password": PASSWORD, "rsync_port": 900}
    result = run(capsys, public_key=f"{KEY}\n", database_port=5433, addresses=["192.0.2.1"], hours=3, **served, _ansible_check_mode=check)
    assert result["changed"] and {"account", "key", "rsync"} <= set(result["actions"])
    assert (result["ssh_ports"], result["host_keys"]) == ([22, 2222], ["ssh-ed25519 AAAA"])
    assert result["rsync"] == {"port": 900, "user": access.USER, "modules": ["data"]}
    desired = Desired(KEY, 5433, (Served("data", str(tmp_path)),), 900, PASSWORD, ("192.0.2.1",), 3)
    assert [each.files[access.CONFIGURATION] for each in applied] == ([] if check else [access.configuration(desired)])
    assert "OpenSSH before 7.8" in json.dumps(result)


def test_without_directories(applied: list[Plan], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys, public_key=KEY)["rsync"] is None


@pytest.mark.parametrize("given", [{}, {"public_key": "x"}, {"public_key": KEY, "hours": 0}, {"public_key": KEY, "hours": 1000}])
def test_refused(applied: list[Plan], capsys: pytest.CaptureFixture[str], given: dict[str, Any]) -> None:
    assert run(capsys, **given)["failed"] and applied == []


@pytest.mark.parametrize("found", [False, True])
def test_removed(applied: list[Plan], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, found: bool) -> None:
    monkeypatch.setattr(access, "remove", lambda current, check: found)
    result = run(capsys, state="absent")
    assert (result["changed"], result["actions"]) == (found, ["remove"] if found else [])
