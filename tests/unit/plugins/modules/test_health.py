# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.testing import patch_module_args

from ansible_collections.esus.pec.plugins.module_utils.pec import health, installation
from ansible_collections.esus.pec.plugins.module_utils.postgres import psql
from ansible_collections.esus.pec.plugins.module_utils.system import process, systemd
from ansible_collections.esus.pec.plugins.modules import health as module

GOOD = health.Health("http://127.0.0.1:8080", True, 200, 401, "5.4.37", None, True)
BAD = health.Health("http://127.0.0.1:8080", True, 500, 500, None, "GET / answered 500; expected 200", False)
SECRET = "Senha-do-banco-1"


class World:
    def __init__(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.log = path / "pec.log"
        connection = psql.Connection("127.0.0.1", 5432, "esus", "esus", SECRET)
        self.here = installation.Installation("installed", connection=connection, log_file=str(self.log))
        self.answer = GOOD
        self.state: str | None = "active"
        self.waits: list[tuple[str, dict[str, Any]]] = []
        monkeypatch.setattr("os.geteuid", lambda: 0)
        monkeypatch.setattr(installation, "discover", lambda: self.here)
        monkeypatch.setattr(systemd, "units", lambda names: {name: systemd.Unit(name, "loaded", self.state, True, None) for name in names})
        self.age: float | None = 10
        monkeypatch.setattr(systemd, "active_seconds", lambda _unit: self.age)
        monkeypatch.setattr(process, "run", lambda _argv: process.Completed(0, f"Unmatched quote\nsenha: {SECRET}\n", ""))
        monkeypatch.setattr(health, "wait", self.wait)

    def wait(self, urls: Any, **options: Any) -> health.Health:
        self.waits.append((", ".join(urls), options))
        return self.answer


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    return World(tmp_path, monkeypatch)


def run(capsys: pytest.CaptureFixture[str], **arguments: Any) -> dict[str, Any]:
    with patch_module_args(arguments), pytest.raises(SystemExit):
        module.main()
    output = capsys.readouterr().out
    assert SECRET not in output
    return json.loads(output)


def test_healthy(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    answer = run(capsys)
    assert (answer["changed"], answer["healthy"], answer["version"], answer["error"]) == (False, True, "5.4.37", None)
    url, options = world.waits[0]
    assert (url, options["seconds"], options["interval"], options["verify"]) == ("http://127.0.0.1:8080", 600, 2, False)


def test_a_given_address_is_verified_and_no_service_is_watched(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    run(capsys, url="https://pec.example", ca_path="/ca.pem")
    url, options = world.waits[0]
    assert (url, options["verify"], options["ca_path"]) == ("https://pec.example", True, "/ca.pem")
    assert options["still_starting"] is None


@pytest.mark.parametrize(("state", "waits"), [("active", True), ("activating", True), ("failed", False), ("inactive", False), (None, True)])
def test_nothing_more_comes_of_a_service_that_ended(
    world: World, capsys: pytest.CaptureFixture[str], state: str | None, waits: bool
) -> None:
    run(capsys)
    world.state = state
    assert world.waits[0][1]["still_starting"]() is waits


def test_every_local_address_is_tried(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    world.here = dataclasses.replace(world.here, https=installation.Https("certmgr", "pec.example", 443, None), http_port=8080)
    run(capsys)
    assert world.waits[0][0] == "https://127.0.0.1:443, http://127.0.0.1:8080"


def test_a_service_that_is_restarted_again_and_again_has_ended(
    world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    counts = iter(["7", "7", "8", "9", "9"])
    monkeypatch.setattr(
        process, "run", lambda argv: process.Completed(0, next(counts) if "show" in argv[1] else "java: no such file\n", "")
    )
    seen: list[bool] = []

    def wait(_urls: Any, **options: Any) -> health.Health:
        seen.extend(options["still_starting"]() for _time in range(3))
        return BAD

    monkeypatch.setattr(health, "wait", wait)
    world.state = "activating"
    lines = run(capsys)["msg"].splitlines()
    assert seen == [True, True, False], "one restart may be all it needs"
    assert lines[1] == "The service e-SUS-PEC.service is activating: it ended and was restarted 2 times in this time."
    assert "  java: no such file" in lines


def test_unhealthy(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    world.answer, world.state = BAD, "failed"
    world.log.write_text(f"one\n\tat java.base/x(X.java)\nspring.datasource.password={SECRET}\nlast\n", encoding="utf-8")
    answer = run(capsys, timeout=3)
    assert answer["failed"] is True and answer["root_status"] == 500
    assert answer["msg"].splitlines() == [
        "PEC did not become healthy at http://127.0.0.1:8080 within 0 seconds: GET / answered 500; expected 200",
        "The service e-SUS-PEC.service is failed.",
        f"Last lines of {world.log}:",
        "  one",
        "  spring.datasource.password=********",
        "  last",
        "Last lines of its journal:",
        "  Unmatched quote",
        "  senha: ********",
        "More on the host: journalctl -u e-SUS-PEC.service",
    ]


def test_unhealthy_without_a_log(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    world.answer = BAD
    lines = run(capsys)["msg"].splitlines()
    assert lines[1:3] == [
        "The service e-SUS-PEC.service is active; if it is still starting, wait longer (role: pec_health_timeout).",
        f"There is no log yet at {world.log}.",
    ]


def test_check_mode_looks_once_and_does_not_fail(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    world.answer, world.here = BAD, installation.Installation("absent")
    answer = run(capsys, _ansible_check_mode=True)
    assert "failed" not in answer and answer["healthy"] is False
    assert world.waits[0][1]["seconds"] == 0


def test_not_installed(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    world.here = installation.Installation("absent")
    assert run(capsys)["msg"] == "PEC is not installed on this host, so there is nothing to wait for; install it first"


def test_not_root(world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    assert "become: true" in run(capsys)["msg"]


@pytest.mark.parametrize(
    ("age", "seconds", "overdue"),
    [(10, 590, False), (600, 0, True), (10000, 0, True), (None, 600, False)],
    ids=["starting", "had its time", "hangs since yesterday", "not running"],
)
def test_time_since_the_start(world: World, capsys: pytest.CaptureFixture[str], age: float | None, seconds: float, overdue: bool) -> None:
    world.answer, world.age = BAD, age
    answer = run(capsys, since_start=True, report_only=True)
    assert world.waits[0][1]["seconds"] == seconds
    assert (answer["overdue"], answer["healthy"], "failed" in answer) == (overdue, False, False)
    assert run(capsys, since_start=True, _ansible_check_mode=True)["overdue"] is overdue, "check mode must agree"


def test_a_healthy_one_is_not_overdue(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    world.age = 10000
    assert run(capsys, since_start=True)["overdue"] is False
