# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from ansible_collections.esus.pec.plugins.module_utils.restore import scratch


def test_the_account_without_rights_can_pass_what_was_made_for_root_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "esus-pec").mkdir(0o700)
    (tmp_path / "dump").write_text("patients", encoding="utf-8")
    monkeypatch.setattr(scratch, "PARENT", str(tmp_path / "esus-pec/restoring"))
    with scratch.directory("one") as place:
        scratch.add(place, "dump", os.open(tmp_path / "dump", os.O_RDONLY))
        copied = Path(place, "dump")
        assert copied.read_text(encoding="utf-8") == "patients"
        assert [stat.S_IMODE(path.stat().st_mode) for path in (copied, *list(copied.parents)[:3])] == [0o400, 0o711, 0o711, 0o711]
    assert not os.path.exists(place)
