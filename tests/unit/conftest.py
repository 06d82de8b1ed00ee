# SPDX-License-Identifier: GPL-3.0-or-later
"""What all unit tests share."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible.module_utils.common import warnings

from ansible_collections.esus.pec.plugins.module_utils.pec import stopping
from ansible_collections.esus.pec.plugins.module_utils.system import confinement


@pytest.fixture(autouse=True)
def confined(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Programs run as ourselves, because the fakes of tests lie in directories of ours. Tests marked confined run them as in real life."""
    if not request.node.get_closest_marker("confined"):
        monkeypatch.setattr(confinement, "active", lambda: False)


@pytest.fixture(scope="session")
def run_directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("run")


@pytest.fixture(autouse=True)
def stop_record(run_directory: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where a test finds the record of a stopped PEC: not where this machine has its own."""
    path = run_directory / "pec-stopped.json"
    path.unlink(missing_ok=True)
    monkeypatch.setattr(stopping, "RECORD", str(path))
    return path


@pytest.fixture(autouse=True)
def no_warnings_of_others() -> None:
    """Ansible keeps a module's warnings for its process, which on a server runs one module."""
    warnings._global_warnings.clear()
