# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json
from typing import Any

import pytest
from ansible.module_utils.testing import patch_module_args

from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.postgres.psql import Connection
from ansible_collections.esus.pec.plugins.module_utils.transfer import service, watching
from ansible_collections.esus.pec.plugins.module_utils.transfer.service import Mark, Outcome, Wanted
from ansible_collections.esus.pec.plugins.modules import transfer_source_service

SSH = {"host": "antigo", "user": "Administrador", "key_path": "/key", "known_hosts_path": "/known_hosts"}
DATABASE = {"port": 5433, "username": "postgres", "password": "Segredo-do-banco-1"}
MARK = Mark("frozen", "novo", "2026-11-30T12:00:00Z", {}, "esus", "7411", 900)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, Any]]:
    calls: list[tuple[str, Any]] = []

    def note(name: str, result: Outcome) -> Any:
        def call(*given: Any, **more: Any) -> Outcome:
            calls.append((name, (*given, more)))
            return result

        return call

    for place, module in (("here", service), ("there", watching)):
        monkeypatch.setattr(module, "freeze", note(f"freeze {place}", Outcome(True, MARK, "no", 901, ("a note",))))
        monkeypatch.setattr(module, "thaw", note(f"thaw {place}", Outcome(False, None)))
        monkeypatch.setattr(module, "retire", note(f"retire {place}", Outcome(True, Mark("retired", "novo", MARK.at, {}))))
    monkeypatch.setattr("os.geteuid", lambda: 0)
    return calls


def run(capsys: pytest.CaptureFixture[str], **arguments: Any) -> dict[str, Any]:
    with patch_module_args(arguments), pytest.raises(SystemExit):
        transfer_source_service.main()
    output = capsys.readouterr().out
    assert DATABASE["password"] not in output
    return dict(json.loads(output))


def test_on_the_server_itself(asked: list[tuple[str, Any]], capsys: pytest.CaptureFixture[str]) -> None:
    frozen = run(capsys, state="frozen", target="novo", timeout=9, force=True)
    assert asked == [("freeze here", (Wanted("novo", 9, True), {"check": False}))]
    assert (frozen["state"], frozen["last_transaction"], frozen["transaction"], frozen["written_since"]) == ("frozen", 900, 901, "no")
    assert (frozen["changed"], frozen["notes"], frozen["system_identifier"], "steps" in frozen) == (True, ["a note"], "7411", False)
    serving = run(capsys, state="serving")
    assert (serving["state"], serving["target"], serving["changed"], "written_since" in serving) == ("serving", None, False, False)
    assert run(capsys, state="retired", target="novo", _ansible_check_mode=True)["state"] == "retired"
    assert asked[1:] == [("thaw here", ("", {"force": False, "check": False})), ("retire here", ("novo", {"force": False, "check": True}))]


def test_on_a_server_behind_ssh(asked: list[tuple[str, Any]], capsys: pytest.CaptureFixture[str]) -> None:
    frozen = run(capsys, state="frozen", target="novo", ssh=SSH, database=DATABASE, ports=[8443])
    assert frozen["written_since"] == "no" and any("net stop" in step for step in frozen["steps"])
    name, (source, connection, wanted, _more) = asked[0]
    assert (name, source.ssh.host, source.ports, wanted) == ("freeze there", "antigo", [8443], Wanted("novo", 300))
    assert connection == Connection("127.0.0.1", 5433, "esus", "postgres", DATABASE["password"])
    assert any("systemctl" in step for step in run(capsys, state="serving", ssh=SSH, system="linux")["steps"])
    assert run(capsys, state="retired", target="novo", ssh=SSH)["state"] == "retired"
    assert [name for name, _given in asked] == ["freeze there", "thaw there", "retire there"]


def test_an_error_has_the_steps_too(
    asked: list[tuple[str, Any]], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> Outcome:
        raise PecError("PEC at the source still runs")

    monkeypatch.setattr(watching, "freeze", refuse)
    failed = run(capsys, state="frozen", target="novo", ssh=SSH, database=DATABASE)
    assert failed["failed"] and any("net stop" in step for step in failed["steps"])


def test_what_is_missing(asked: list[tuple[str, Any]], capsys: pytest.CaptureFixture[str]) -> None:
    assert "target" in run(capsys, state="frozen")["msg"]
    assert "give home" in run(capsys, state="frozen", target="novo", ssh=SSH)["msg"]
    assert "seconds above 0" in run(capsys, state="frozen", target="novo", timeout=0)["msg"]
    assert asked == []
