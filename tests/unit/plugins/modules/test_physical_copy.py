# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json
from typing import Any

import pytest
from ansible.module_utils.testing import patch_module_args

from ansible_collections.esus.pec.plugins.module_utils.transfer import access, control, physical
from ansible_collections.esus.pec.plugins.module_utils.transfer.physical import Copied, Desired
from ansible_collections.esus.pec.plugins.modules import physical_copy

SSH = {"host": "old.example", "user": "esus-pec-transfer", "key_path": "/k", "known_hosts_path": "/n"}
PASSWORD = "uma-senha-do-rsync"
CLUSTER = control.Control({"Database system identifier": "77", "Latest checkpoint location": "0/1"})


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Desired, bool]]:
    found: list[tuple[Desired, bool]] = []

    def copy(desired: Desired, *, check: bool) -> Copied:
        found.append((desired, check))
        return Copied("none" if desired.which == "first" else "final", CLUSTER, 3, 9, 4, "/kept")

    monkeypatch.setattr("os.geteuid", lambda: 0)
    monkeypatch.setattr(physical, "copy", copy)
    return found


def run(capsys: pytest.CaptureFixture[str], **arguments: Any) -> dict[str, Any]:
    given = {"ssh": SSH, "rsync": {"password": PASSWORD}, "data_directory": "/srv/main", **arguments}
    with patch_module_args(given), pytest.raises(SystemExit):
        physical_copy.main()
    output = capsys.readouterr().out
    assert PASSWORD not in output
    return dict(json.loads(output))


@pytest.mark.parametrize("check", [False, True])
def test_what_is_asked_for_and_returned(asked: list[tuple[Desired, bool]], capsys: pytest.CaptureFixture[str], check: bool) -> None:
    result = run(capsys, **{"pass": "final"}, bandwidth=500, _ansible_check_mode=check)
    desired, checked = asked[0]
    assert (desired.which, desired.bandwidth, desired.data_directory, checked) == ("final", 500, "/srv/main", check)
    assert desired.rsync == physical.Rsync(access.RSYNC_PORT, access.USER, PASSWORD, "data")
    returned = {
        name: result[name] for name in ("changed", "action", "system_identifier", "checkpoint", "files", "bytes", "transferred_bytes")
    }
    assert list(returned.values()) == [True, "final", "77", "0/1", 3, 9, 4]
    assert result["kept"] == "/kept"


def test_nothing_to_do(asked: list[tuple[Desired, bool]], capsys: pytest.CaptureFixture[str]) -> None:
    assert not run(capsys, **{"pass": "first"})["changed"]


@pytest.mark.parametrize("given", [{}, {"pass": "x"}, {"pass": "first", "ssh": None}, {"pass": "first", "ssh": {**SSH, "host": "-o"}}])
def test_refused(asked: list[tuple[Desired, bool]], capsys: pytest.CaptureFixture[str], given: dict[str, Any]) -> None:
    assert run(capsys, **given)["failed"] and asked == []
