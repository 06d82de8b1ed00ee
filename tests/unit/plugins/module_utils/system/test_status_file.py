# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json
from pathlib import Path

from ansible_collections.esus.pec.plugins.module_utils.system.status_file import StatusFile


def test_a_status_file_says_how_far_it_is(tmp_path: Path) -> None:
    status = StatusFile("dump", "é/esus $(x)", str(tmp_path / "run"))
    status.update(phase="dumping", bytes=1)
    facts = json.loads(Path(status.path).read_text())
    assert (facts["phase"], facts["bytes"], facts["database"]) == ("dumping", 1, "é/esus $(x)")
    assert Path(status.path).name == "dump-é_esus___x_.json"
    assert Path(status.path).stat().st_mode & 0o777 == 0o600
    status.update(bytes=2)  # too soon for another write
    assert json.loads(Path(status.path).read_text())["bytes"] == 1
    status.update(phase="verifying")
    assert json.loads(Path(status.path).read_text())["bytes"] == 2
    status.remove()
    status.remove()
    assert not Path(status.path).exists()


def test_a_status_file_that_cannot_be_written_stops_nobody(tmp_path: Path) -> None:
    (tmp_path / "run").write_text("in the way")
    StatusFile("dump", "esus", str(tmp_path / "run")).update(phase="dumping")


def test_a_run_without_a_database(tmp_path: Path) -> None:
    status = StatusFile("installer", directory=str(tmp_path), version="5.4.37")
    status.update(phase="checking")
    facts = json.loads((tmp_path / "installer.json").read_text())
    assert (facts["version"], facts["phase"], "database" in facts) == ("5.4.37", "checking", False)
