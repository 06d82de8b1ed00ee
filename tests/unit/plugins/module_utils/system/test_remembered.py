# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.esus.pec.plugins.module_utils.system import locks, remembered


@pytest.fixture
def notes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    lock = locks.lock
    monkeypatch.setattr(locks, "lock", lambda name: lock(name, directory=str(tmp_path / "lock")))
    monkeypatch.setattr(remembered, "_ITERATIONS", 1000)
    return str(tmp_path / "notes" / "settings.json")


def test_notes_of_secrets(notes: str) -> None:
    assert not remembered.find(notes, "smtp", "a", "db")
    remembered.add(notes, "smtp", "a", "db")
    remembered.add(notes, "smtp", "b", "db")
    assert remembered.find(notes, "smtp", "a", "db") and remembered.find(notes, "smtp", "b", "")
    assert not remembered.find(notes, "smtp", "a", "other") and not remembered.find(notes, "other", "a", "db")
    remembered.add(notes, "smtp", "c", "db", only=True)
    assert not remembered.find(notes, "smtp", "a", "db") and remembered.find(notes, "smtp", "c", "db")
    remembered.forget(notes, "smtp", "x", "db")
    assert remembered.find(notes, "smtp", "c", "db")
    remembered.forget(notes, "smtp", "c", "db")
    assert not remembered.find(notes, "smtp", "c", "db")
    for damaged in ("{damaged", "[]", '{"smtp": 5}', '{"smtp": [{}]}'):
        Path(notes).write_text(damaged, encoding="utf-8")
        assert not remembered.find(notes, "smtp", "a", "db")
    remembered.add(notes, "smtp", "a", "db")
    assert remembered.find(notes, "smtp", "a", "db") and Path(notes).stat().st_mode & 0o777 == 0o600
