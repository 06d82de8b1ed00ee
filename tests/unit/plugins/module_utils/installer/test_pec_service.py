# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from types import SimpleNamespace

import pytest

from ansible_collections.esus.pec.plugins.module_utils import beliefs
from ansible_collections.esus.pec.plugins.module_utils.installer import pec_service
from ansible_collections.esus.pec.plugins.module_utils.pec import installation, stopping
from ansible_collections.esus.pec.plugins.module_utils.postgres.psql import Connection
from ansible_collections.esus.pec.plugins.module_utils.system import systemd

CONNECTION = Connection("127.0.0.1", 5432, "esus", "esus", "segredo")


@pytest.mark.parametrize(
    ("state", "started"),
    [
        ("inactive", True),
        ("failed", True),
        pytest.param("deactivating", True, id="the run was interrupted while PEC was being stopped"),
        ("active", False),
        ("activating", False),
    ],
)
def test_an_unchanged_pec_that_does_not_run_is_started(state: str, started: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, str]] = []
    monkeypatch.setattr(systemd, "state", lambda _name: state)
    monkeypatch.setattr(systemd, "systemctl", lambda verb, name: asked.append((verb, name)))
    monkeypatch.setattr(pec_service, "_difference", lambda _before: "")
    pec_service.resume(pec_service.Before(True, "5.3.28", None))
    assert asked == ([("start", beliefs.PEC_UNIT)] if started else [])


def test_after_a_killed_installer_pec_is_compared_with_what_was_before_that(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its own beginning says nothing: the migration may have stopped half-way."""
    here = installation.Installation("installed", version="5.3.28", connection=CONNECTION)
    facts = SimpleNamespace(pec_version="5.3.28", table_count=900)
    asked: list[str] = []
    state = "active"
    monkeypatch.setattr(installation, "discover", lambda: here)
    monkeypatch.setattr(pec_service.psql, "read_facts", lambda _connection: facts)
    monkeypatch.setattr(systemd, "state", lambda _name: state)
    monkeypatch.setattr(systemd, "last_start", lambda _name: "1")
    monkeypatch.setattr(systemd, "systemctl", lambda verb, _name: asked.append(verb))
    monkeypatch.setattr(stopping.process, "started", lambda _pid: "that of the killed run")
    pec_service.settle(pec_service.look(), own_database=False)
    state = "inactive"
    monkeypatch.setattr(stopping.process, "started", lambda _pid: "")

    facts.table_count = 907
    again = pec_service.look()
    assert again == pec_service.Before(True, "5.3.28", pec_service.Database("5.3.28", 900))
    pec_service.settle(again, own_database=False)
    assert "had 900 tables and now has 907" in pec_service.resume(again)
    assert "start" not in asked
    facts.table_count = 900
    assert "was started again" in pec_service.resume(again)
    assert asked[-1] == "start" and stopping.find() is None
