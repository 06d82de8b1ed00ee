# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest

from ansible_collections.esus.pec.plugins.module_utils import beliefs
from ansible_collections.esus.pec.plugins.module_utils.installer import pec_service
from ansible_collections.esus.pec.plugins.module_utils.system import systemd


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
