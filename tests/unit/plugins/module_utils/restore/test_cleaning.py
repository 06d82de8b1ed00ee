# SPDX-License-Identifier: GPL-3.0-or-later
"""Which databases are dropped: those that a restore of the one in use replaced, and no other."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.pec import installation
from ansible_collections.esus.pec.plugins.module_utils.postgres import administrator, psql
from ansible_collections.esus.pec.plugins.module_utils.postgres.psql import Connection
from ansible_collections.esus.pec.plugins.module_utils.restore import cleaning, planning, tools
from ansible_collections.esus.pec.plugins.module_utils.system import clock, locks

LIVE = Connection("127.0.0.1", 5432, "esus", "esus", "")
OLD, NEW = "2026-01-01T00:00:00Z", "2026-02-25T00:00:00Z"


def record(state: str = planning.PREVIOUS, **facts: object) -> str:
    return planning.record(state, **{"target": "esus", "replaced": OLD, **facts})


class Server:
    """A server with these databases: name, comment, number of sessions."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Any, databases: list[tuple[str, str | None, int]]) -> None:
        self.dropped: list[str] = []
        self.is_pec, self.stuck = True, ""
        rows = [{"name": name, "size": 1000, "comment": comment, "sessions": sessions} for name, comment, sessions in databases]
        session = SimpleNamespace(query=lambda _sql: rows, __enter__=None)
        self.admin: Any = SimpleNamespace(session=lambda: Entered(session))
        monkeypatch.setattr(installation, "connection", lambda: LIVE)
        monkeypatch.setattr(tools, "find", lambda: [SimpleNamespace(psql="psql")])
        monkeypatch.setattr(administrator, "log_in", lambda *_: None)
        monkeypatch.setattr(administrator, "find", lambda *_: self.admin)
        monkeypatch.setattr(administrator, "drop", self.drop)
        monkeypatch.setattr(psql, "read_facts", lambda _connection: SimpleNamespace(is_pec=self.is_pec))
        monkeypatch.setattr(cleaning, "_now", lambda: clock.parse("2026-03-01T00:00:00Z"))
        monkeypatch.setattr(locks, "DIRECTORY", str(tmp_path))

    def drop(self, _admin: Any, name: str) -> None:
        if name == self.stuck:
            raise PecError("it is in use")
        self.dropped.append(name)


class Entered:
    def __init__(self, session: Any) -> None:
        self._session = session

    def __enter__(self) -> Any:
        return self._session

    def __exit__(self, *_: object) -> None:
        pass


GOOD = ("esus_before_20260101T000000Z", record(), 0)


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(("esus_before_x", None, 0), id="no record"),
        pytest.param(("esus_before_x", "the old one, keep it", 0), id="somebody's comment"),
        pytest.param(("esus_before_x", record(target="esus2"), 0), id="another database took its place"),
        pytest.param(("esus_before_x", record(planning.RESTORED), 0), id="a restored one, renamed"),
        pytest.param(("esus_before_x", record(planning.FAILED), 0), id="kept after a failure"),
        pytest.param(("esus_restoring_x", record(planning.RESTORING), 0), id="being loaded"),
        pytest.param(("esus", record(), 0), id="the one in use, which was renamed back"),
        pytest.param(("esus_before_x", record(replaced=NEW), 0), id="replaced some days ago"),
        pytest.param(("esus_before_x", record(replaced="2126-01-01T00:00:00Z"), 0), id="replaced in the future"),
        pytest.param(("esus_before_x", record(replaced=None), 0), id="no time"),
        pytest.param(("esus_before_x", record(), 1), id="somebody is connected"),
    ],
)
def test_what_is_not_dropped(monkeypatch: pytest.MonkeyPatch, tmp_path: Any, other: tuple[str, str | None, int]) -> None:
    server = Server(monkeypatch, tmp_path, [GOOD, other])
    found = cleaning.run(None, None, "postgres", 30, check=False)
    assert server.dropped == [GOOD[0]]
    assert [database.name for database in found if not database.kept] == [GOOD[0]]


def test_the_one_that_pec_uses_is_never_dropped(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    """PEC was pointed at the database that was replaced, and the operator names the other one."""
    server = Server(monkeypatch, tmp_path, [GOOD])
    monkeypatch.setattr(installation, "connection", lambda: Connection("127.0.0.1", 5432, GOOD[0], "esus", ""))
    assert cleaning.run(LIVE, None, "postgres", 0, check=False) == ()
    assert server.dropped == []


def test_all_of_them(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    newer = ("esus_before_20260225T000000Z", record(replaced=NEW), 0)
    server = Server(monkeypatch, tmp_path, [newer, GOOD])
    found = cleaning.run(None, None, "postgres", 0, check=True)
    assert ([database.name for database in found], server.dropped) == ([GOOD[0], newer[0]], [])
    cleaning.run(None, None, "postgres", 0, check=False)
    assert server.dropped == [GOOD[0], newer[0]]


def test_nothing_is_dropped_beside_a_database_that_is_not_a_pecs(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    server = Server(monkeypatch, tmp_path, [GOOD])
    server.is_pec = False
    with pytest.raises(PecError, match="may be the only one with the data"):
        cleaning.run(None, None, "postgres", 0, check=False)
    assert server.dropped == []


def test_what_was_dropped_before_a_failure_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    server = Server(monkeypatch, tmp_path, [GOOD, ("esus_before_y", record(replaced=NEW), 0)])
    server.stuck = "esus_before_y"
    with pytest.raises(PecError, match=f"'esus_before_y' could not be dropped: it is in use; dropped before it: {GOOD[0]}"):
        cleaning.run(None, None, "postgres", 0, check=False)
