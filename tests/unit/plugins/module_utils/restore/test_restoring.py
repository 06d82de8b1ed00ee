# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from ansible_collections.esus.pec.plugins.module_utils import beliefs
from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.restore import restoring
from ansible_collections.esus.pec.plugins.module_utils.restore.planning import Service
from ansible_collections.esus.pec.plugins.module_utils.system import signals, systemd


@pytest.mark.parametrize(
    "failure",
    [
        pytest.param(signals.Stopped("it was stopped by SIGTERM"), id="a signal"),
        pytest.param(PecError("systemctl did not end within 300 seconds and was stopped"), id="a time-out"),
    ],
)
def test_pec_is_started_again_when_its_stop_is_interrupted(failure: BaseException, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, str]] = []

    def systemctl(verb: str, name: str) -> None:
        asked.append((verb, name))
        if verb == "stop":
            raise failure

    monkeypatch.setattr(systemd, "systemctl", systemctl)
    planned: Any = SimpleNamespace(leftovers=(), action="restore", notes=())
    found: Any = SimpleNamespace(current=SimpleNamespace(service=Service(running=True, enabled=True, uses=True)), admin=None)
    desired: Any = SimpleNamespace(jobs=1, stop_service=True)
    status: Any = SimpleNamespace(update=lambda **_facts: None)
    nothing: Any = None
    with pytest.raises(type(failure)) as caught:
        restoring._Restore(desired, nothing, found, planned, nothing, status).run()
    assert (caught.value, asked) == (failure, [("stop", beliefs.PEC_UNIT), ("start", beliefs.PEC_UNIT)])
