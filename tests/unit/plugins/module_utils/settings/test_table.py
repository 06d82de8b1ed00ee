# SPDX-License-Identifier: GPL-3.0-or-later
"""What happens to PEC around a write into its database; the writing itself is tested against a real one."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.pec import health, installation
from ansible_collections.esus.pec.plugins.module_utils.postgres import psql
from ansible_collections.esus.pec.plugins.module_utils.settings import table
from ansible_collections.esus.pec.plugins.module_utils.settings.table import Cell, NotStoppedError, pec_stopped
from ansible_collections.esus.pec.plugins.module_utils.system import locks, systemd

HERE = installation.Installation("installed")
CONNECTION = psql.Connection("127.0.0.1", 1, "esus", "esus", "s3nha")


class Service:
    """PEC's unit as systemd tells it, and what was done with it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, path: Path) -> None:
        self.active_state: str | None = "active"
        self.done: list[str] = []
        self.refuses = ""
        self.healthy = True
        lock = locks.lock
        monkeypatch.setattr(locks, "lock", lambda name: lock(name, directory=str(path / "lock")))
        monkeypatch.setattr(systemd, "units", lambda names: {name: self._unit(name) for name in names})
        monkeypatch.setattr(systemd, "systemctl", self._systemctl)
        monkeypatch.setattr(health, "wait", self._wait)

    def _unit(self, name: str) -> systemd.Unit:
        return systemd.Unit(name, "loaded", self.active_state, True, None)

    def _systemctl(self, verb: str, _unit: str) -> None:
        self.done.append(verb)
        if verb == self.refuses:
            raise PecError(f"cannot {verb}")

    def _wait(self, *_arguments: object, **_options: object) -> health.Health:
        self.done.append("wait")
        return health.Health("", self.healthy, 200, 401, None, None if self.healthy else "GET / answered 500", self.healthy)


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Service:
    return Service(monkeypatch, tmp_path)


def stop(service: Service, error: Exception | None = None) -> None:
    with pec_stopped(HERE, 60):
        service.done.append("write")
        if error:
            raise error


def test_pec_is_stopped_meanwhile(service: Service) -> None:
    stop(service)
    assert service.done == ["stop", "write", "start", "wait"]


def test_it_comes_back_whatever_happens(service: Service) -> None:
    with pytest.raises(ZeroDivisionError):
        stop(service, ZeroDivisionError())
    assert service.done == ["stop", "write", "start"]


def test_it_does_not_come_back(service: Service) -> None:
    service.healthy = False
    with pytest.raises(PecError, match="did not become healthy within 60 seconds: GET / answered 500"):
        stop(service)


@pytest.mark.parametrize("state", ["inactive", "failed", "activating", None])
def test_a_pec_that_answers_and_is_not_systemds(service: Service, state: str | None) -> None:
    service.active_state = state
    with pytest.raises(NotStoppedError, match="PEC cannot be stopped"):
        stop(service)
    assert service.done == []


def test_it_is_started_again_where_stopping_failed(service: Service) -> None:
    """As after a time-out, when it may stop a moment later."""
    service.refuses = "stop"
    with pytest.raises(NotStoppedError, match="cannot stop; nothing was written"):
        stop(service)
    assert service.done == ["stop", "start"]


@pytest.mark.parametrize(
    ("state", "count", "said"),
    [
        ("active", 1, ""),
        ("active", 0, "has 0 rows TREINAMENTO"),
        ("active", 2, "has 2 rows TREINAMENTO"),
        ("inactive", 1, "PEC cannot be stopped"),
    ],
)
def test_what_is_seen_before(service: Service, monkeypatch: pytest.MonkeyPatch, state: str, count: int, said: str) -> None:
    service.active_state = state
    monkeypatch.setattr(table, "read", lambda _conn, _sql: count)
    found = table.obstacle(CONNECTION, "TREINAMENTO")
    assert said in found and bool(said) == bool(found)
    assert table.obstacle(None, "TREINAMENTO") == "this host does not know PEC's database"


def test_an_installer_is_at_work(service: Service) -> None:
    with locks.lock(table.locks.INSTALLER), pytest.raises(NotStoppedError, match="another run holds the lock"):
        stop(service)
    assert service.done == []


def test_a_database_that_does_not_answer() -> None:
    with pytest.raises(PecError) as caught:
        table.write(CONNECTION, [Cell("TREINAMENTO", "ds_inteiro", True)])
    assert str(caught.value).startswith("database 'esus' at 127.0.0.1:1 as 'esus': ") and "s3nha" not in str(caught.value)
    assert str(caught.value).endswith("; nothing was written")


def test_another_cell_is_never_written() -> None:
    with pytest.raises(PecError, match="VERSAOBANCODADOS is never written"):
        table._update(None, Cell("VERSAOBANCODADOS", "ds_texto", "5.5.28"), "")


def test_a_host_without_the_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table, "psycopg2", None)
    with pytest.raises(NotStoppedError, match="install python3-psycopg2"), pec_stopped(HERE, 60):
        pass
