# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.testing import patch_module_args

from ansible_collections.esus.pec.plugins.modules import transfer_key

HOST_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILyn9tcfNirOSQCpnMLNREv20GXAvibRZ+nyMd5vHaf8"


def run(capsys: pytest.CaptureFixture[str], **arguments: Any) -> dict[str, Any]:
    with patch_module_args(arguments), pytest.raises(SystemExit):
        transfer_key.main()
    return dict(json.loads(capsys.readouterr().out))


def test_a_key_and_its_end(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 0)
    given = {"directory": str(tmp_path / "ssh")}
    checked = run(capsys, **given, _ansible_check_mode=True)
    assert (checked["actions"], checked["public_key"], (tmp_path / "ssh").exists()) == (["make key"], "", False)
    made = run(capsys, **given)
    assert made["changed"] and made["public_key"].startswith("ssh-ed25519 ")
    known = run(capsys, **given, host="old.example", host_keys=[HOST_KEY])
    assert (known["actions"], known["public_key"]) == (["write known hosts"], made["public_key"])
    assert Path(known["known_hosts_path"]).read_text() == f"old.example {HOST_KEY}\n"
    assert not run(capsys, **given)["changed"]
    removed = run(capsys, **given, state="absent")
    assert removed["changed"] and not Path(removed["key_path"]).exists()


@pytest.mark.parametrize("given", [{"host": "h"}, {"host_keys": [HOST_KEY]}, {"host": "h", "host_keys": [HOST_KEY], "known_hosts": "x"}])
def test_options_that_do_not_go_together(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, given: Any) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 0)
    assert run(capsys, **given)["failed"]
