# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from ansible_collections.esus.pec.plugins.module_utils.carrying import attachments, rsyncing, sftp
from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.system import host, process

SERVER = Path(__file__).resolve().parents[4] / "unit" / "helpers" / "fake_sftp.py"


@dataclass
class Filling:
    """A disk that is full after some questions."""

    questions: int
    spare_bytes: int = 1 << 40
    free_bytes: int = 1000

    def __call__(self, _path: str) -> Filling:
        self.questions -= 1
        self.spare_bytes = 1 << 40 if self.questions >= 0 else -1
        return self


def test_files_that_grew_since_they_were_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    there = tmp_path / "there"
    there.mkdir()
    for name in "abc":
        (there / name).write_text(name)
    wanted = attachments.Wanted(str(there), str(tmp_path / "here"))
    (tmp_path / "here.transfer").mkdir()
    monkeypatch.setattr(host, "disk_usage", Filling(3))
    session = sftp.Sftp([sys.executable, str(SERVER), ""], stall=10)
    with session, attachments.opened(wanted.beside) as here, pytest.raises(PecError, match="make room there"):
        attachments.by_sftp(session, wanted, here)
    assert sorted(path.name for path in (tmp_path / "here.transfer").iterdir()) == ["a", "b"]


def test_a_disk_that_is_filled_ends_the_program_that_fills_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host, "disk_usage", Filling(2))
    with pytest.raises(PecError, match=f"are free at {tmp_path}; make room there"):
        process.run([sys.executable, "-c", "import time; time.sleep(600)"], timeout=600, meanwhile=rsyncing.room_left(str(tmp_path)))


def test_a_link_that_the_program_without_rights_made_is_removed(tmp_path: Path) -> None:
    """It makes none unless a hostile server took it over, and whoever reads the copy later would follow it."""
    copied = tmp_path / "here.transfer"
    (copied / "below").mkdir(parents=True)
    (copied / "below/kept").write_text("x")
    (copied / "below/link").symlink_to("/etc/passwd")
    os.mkfifo(copied / "pipe")
    attachments._give(str(copied), os.getuid(), None)
    assert sorted(str(path.relative_to(copied)) for path in copied.rglob("*")) == ["below", "below/kept"]
