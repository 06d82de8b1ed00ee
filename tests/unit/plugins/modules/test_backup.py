# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.testing import patch_module_args

from ansible_collections.esus.pec.plugins.module_utils.backup import configuration
from ansible_collections.esus.pec.plugins.modules import backup

WANTED: dict[str, Any] = {
    "directory": "/srv/backups",
    "municipality": "123",
    "database": {"host": "db", "port": 5433, "name": "esus", "username": "esus", "password": "0'1", "sslmode": "prefer", "sslrootcert": ""},
    "fingerprint": True,
    "recipients": [],
    "extra_paths": [],
    "keep": {"last": 3, "daily": 7, "weekly": 4, "monthly": 6},
    "owner": "root",
    "group": "root",
}
# As a template of Ansible before 2.19 hands it to a module.
TEXTS = {
    **WANTED,
    "database": {**WANTED["database"], "port": "5433"},
    "fingerprint": "True",
    "keep": {name: str(number) for name, number in WANTED["keep"].items()},
}


@pytest.fixture(autouse=True)
def _as_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)


def run(capsys: pytest.CaptureFixture[str], path: Path, wanted: dict[str, Any], **arguments: Any) -> tuple[dict[str, Any], str]:
    with patch_module_args({"config": str(path), "write_config": wanted, **arguments}), pytest.raises(SystemExit):
        backup.main()
    output = capsys.readouterr().out
    return json.loads(output), output


@pytest.mark.parametrize("wanted", [WANTED, TEXTS])
def test_numbers_are_numbers_in_the_file(tmp_path: Path, capsys: pytest.CaptureFixture[str], wanted: dict[str, Any]) -> None:
    path = tmp_path / "backup.json"
    assert run(capsys, path, wanted, _ansible_check_mode=True)[0]["changed"] and not path.exists()
    result, output = run(capsys, path, wanted)
    assert result["changed"] and WANTED["database"]["password"] not in output
    assert json.loads(path.read_text(encoding="utf-8")) == WANTED
    assert configuration.read(str(path)) == configuration.parse(WANTED)
    assert not run(capsys, path, WANTED)[0]["changed"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"keep": {**WANTED["keep"], "last": "three"}},
        {"keep": {**WANTED["keep"], "last": ""}},
        {"keep": {**WANTED["keep"], "last": True}},
        {"keep": {**WANTED["keep"], "monthly": -1}},
        {"fingerprint": "perhaps"},
        {"database": {**WANTED["database"], "port": ""}},
        {"database": {**WANTED["database"], "password": 1234}},
        {"database": {"host": "db"}},
        {"directory": "here"},
    ],
)
def test_a_mistake_leaves_the_configuration_that_works(tmp_path: Path, capsys: pytest.CaptureFixture[str], wrong: dict[str, Any]) -> None:
    path = tmp_path / "backup.json"
    run(capsys, path, WANTED)
    for check_mode in (True, False):
        assert run(capsys, path, {**WANTED, **wrong}, _ansible_check_mode=check_mode)[0].get("failed")
    assert json.loads(path.read_text(encoding="utf-8")) == WANTED
