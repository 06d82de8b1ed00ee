# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from ansible_collections.esus.pec.plugins.module_utils.system import status_file
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


def test_that_nothing_moves_is_in_the_file_until_it_moves_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = time.monotonic()
    monkeypatch.setattr(status_file.time, "monotonic", lambda: now)
    status = StatusFile("dump", "esus", str(tmp_path))
    status.update(phase="dumping", bytes=1)

    def facts() -> dict[str, object]:
        found: dict[str, object] = json.loads((tmp_path / "dump-esus.json").read_text())
        return found

    status.look()
    assert "nothing_moved_since" not in facts()
    now += 20
    status.update(bytes=1)
    status.look()
    assert str(facts()["nothing_moved_since"]).startswith("20")
    status.update(bytes=2)
    status.look()
    now += 2
    status.update(bytes=2)
    assert "nothing_moved_since" not in facts()


def test_the_thread_that_looks_ends_with_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(status_file, "_STILL_SECONDS", 0.01)
    with StatusFile("dump", "esus", str(tmp_path)) as status:
        status.update(phase="dumping")
        deadline = time.monotonic() + 60
        while "nothing_moved_since" not in (tmp_path / "dump-esus.json").read_text():
            assert time.monotonic() < deadline
            time.sleep(0.01)
    status.remove()
    assert list(tmp_path.iterdir()) == []
