# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from ansible_collections.esus.pec.plugins.module_utils.backup.program import backup_program
from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.renewal.program import renewal_program
from ansible_collections.esus.pec.plugins.module_utils.system import process, pyz

PACKAGE = "ansible_collections/esus/pec/plugins/module_utils/"


def modules(content: bytes, tmp_path: Path) -> set[str]:
    (tmp_path / "program").write_bytes(content)
    with zipfile.ZipFile(tmp_path / "program") as archive:
        return {name[len(PACKAGE) : -3] for name in archive.namelist() if name.startswith(PACKAGE)} - {"__init__"}


def test_it_holds_what_it_needs_and_no_more(tmp_path: Path) -> None:
    found = modules(pyz.build(backup_program, "/usr/bin/python3"), tmp_path)
    assert {"backup/program", "backup/running", "dump/dumping", "errors", "beliefs"} <= found
    assert "module" not in found, "it needs Ansible"
    assert not any(name.startswith("doctor/") for name in found)


def test_it_is_always_the_same(tmp_path: Path) -> None:
    assert pyz.build(backup_program, "/usr/bin/python3") == pyz.build(backup_program, "/usr/bin/python3")


@pytest.mark.parametrize("entry", [backup_program, renewal_program])
def test_it_runs_where_no_collection_is(tmp_path: Path, entry: pyz.Entry) -> None:
    path = tmp_path / "pec.pyz"
    path.write_bytes(pyz.build(entry, sys.executable))
    path.chmod(0o755)
    run = subprocess.run([path, "--wrong"], cwd=tmp_path, capture_output=True, text=True, check=False, env={"PATH": os.environ["PATH"]})
    assert (run.returncode, run.stdout) == (2, "")
    assert run.stderr.startswith("usage: ")


@pytest.mark.parametrize(("code", "expected"), [(0, "/usr/bin/python3"), (1, sys.executable)])
def test_the_systems_python_is_taken_unless_too_old(monkeypatch: pytest.MonkeyPatch, code: int, expected: str) -> None:
    monkeypatch.setattr(process, "run", lambda argv: process.Completed(code, "", ""))
    assert pyz.interpreter() == expected


def test_without_a_systems_python(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(_argv: list[str]) -> process.Completed:
        raise PecError("is not on this host")

    monkeypatch.setattr(process, "run", missing)
    assert pyz.interpreter() == sys.executable
