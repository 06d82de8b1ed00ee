# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.testing import patch_module_args

from ansible_collections.esus.pec.plugins.modules import program


@pytest.fixture(params=["backup", "renewal"])
def run(request: pytest.FixtureRequest, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Any:
    """Run the module on a file in a directory of the test."""

    def call(**arguments: Any) -> dict[str, Any]:
        with patch_module_args({"name": request.param, "path": str(tmp_path / "pec.pyz"), **arguments}), pytest.raises(SystemExit):
            program.main()
        return json.loads(capsys.readouterr().out)

    return call


def test_from_nothing_to_nothing(run: Any, tmp_path: Path) -> None:
    path = tmp_path / "pec.pyz"
    foretold = run(_ansible_check_mode=True)
    assert (foretold["changed"], path.exists()) == (True, False)
    made = run()
    assert made["changed"]
    assert path.stat().st_mode & 0o777 == 0o755
    assert made["sha256"] == foretold["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert made["diff"]["before"] == "absent\n"
    assert made["sha256"] in made["diff"]["after"]
    assert not run()["changed"]
    assert run(state="absent", _ansible_check_mode=True)["changed"]
    assert path.exists()
    assert run(state="absent")["sha256"] is None
    assert not path.exists()
    assert not run(state="absent")["changed"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_program_that_another_account_owns_or_can_swap(run: Any, tmp_path: Path) -> None:
    run()
    os.chown(tmp_path / "pec.pyz", 65533, 65533)
    assert run()["changed"]
    assert (tmp_path / "pec.pyz").stat().st_uid == 0
    assert not run()["changed"]
    os.chown(tmp_path, 65533, 65533)
    for check_mode in (False, True):
        assert f"; run: chown root {tmp_path}" in run(_ansible_check_mode=check_mode)["msg"]


@pytest.mark.parametrize("damage", [lambda path: path.chmod(0o644), lambda path: path.write_bytes(b"#!/bin/sh\n")])
def test_what_is_not_as_it_should_be_is_corrected(run: Any, tmp_path: Path, damage: Any) -> None:
    run()
    damage(tmp_path / "pec.pyz")
    assert run()["changed"]
    assert not run()["changed"]


def test_a_directory_that_is_missing(run: Any, tmp_path: Path) -> None:
    answer = run(path=str(tmp_path / "gone/pec.pyz"))
    assert answer["failed"]
    assert "gone/pec.pyz" in answer["msg"]


@pytest.mark.parametrize("name", ["backup", "renewal"])
def test_each_program_has_its_place(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with patch_module_args({"name": name, "_ansible_check_mode": True}), pytest.raises(SystemExit):
        program.main()
    assert json.loads(capsys.readouterr().out)["path"] == f"/usr/local/lib/esus-pec/{name}.pyz"
