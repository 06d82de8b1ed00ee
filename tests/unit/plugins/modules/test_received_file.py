# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.testing import patch_module_args

from ansible_collections.esus.pec.plugins.module_utils.received import receiving
from ansible_collections.esus.pec.plugins.module_utils.received.receiving import Desired, Received
from ansible_collections.esus.pec.plugins.modules import received_file

URL = "https://nuvem.example/segredo.zip"


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Desired, bool]]:
    found: list[tuple[Desired, bool]] = []

    def receive(desired: Desired, *, check: bool) -> Received:
        found.append((desired, check))
        return Received("download", "nuvem.example", 9, "" if check else "a" * 64)

    monkeypatch.setattr(receiving, "receive", receive)
    monkeypatch.setattr("os.geteuid", lambda: 0)
    return found


def run(capsys: pytest.CaptureFixture[str], **arguments: Any) -> dict[str, Any]:
    with patch_module_args({"url": URL, **arguments}), pytest.raises(SystemExit):
        received_file.main()
    output = capsys.readouterr().out
    assert "segredo" not in output
    return dict(json.loads(output))


@pytest.mark.parametrize("check", [False, True])
def test_what_is_asked_for_and_returned(asked: list[tuple[Desired, bool]], capsys: pytest.CaptureFixture[str], check: bool) -> None:
    given = {"sha256": f" {'A' * 64}", "max_bytes": 10, "allow_http": True, "timeout": 5, "stall_timeout": 6, "directory": "/srv/x"}
    result = run(capsys, **given, _ansible_check_mode=check)
    assert asked == [(Desired(URL, "/srv/x", "a" * 64, 10, True, 6, 5), check)]
    assert (result["changed"], result["complete"], result["host"]) == (True, not check, "nuvem.example")
    assert result["path"] == asked[0][0].path


def test_what_is_no_sha256(asked: list[tuple[Desired, bool]], capsys: pytest.CaptureFixture[str]) -> None:
    assert "give its 64 characters" in run(capsys, sha256="abc")["msg"]
    assert asked == []


def test_removed(asked: list[tuple[Desired, bool]], capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    part = tmp_path / f"{Desired(URL).key}.part"
    part.touch()
    given = {"state": "absent", "directory": str(tmp_path)}
    assert run(capsys, **given, _ansible_check_mode=True)["action"] == "remove" and part.exists()
    assert run(capsys, **given)["changed"] and not part.exists()
    assert not run(capsys, **given)["changed"]
    assert asked == []
