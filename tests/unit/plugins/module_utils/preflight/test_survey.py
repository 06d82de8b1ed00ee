# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.esus.pec.plugins.module_utils import beliefs
from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.pec import installation
from ansible_collections.esus.pec.plugins.module_utils.postgres import psql
from ansible_collections.esus.pec.plugins.module_utils.preflight import survey
from ansible_collections.esus.pec.plugins.module_utils.preflight.model import DatabaseWanted, Wishes
from ansible_collections.esus.pec.plugins.module_utils.system import files, host, locks, systemd
from ansible_collections.esus.pec.plugins.module_utils.system.process import Completed

CHECKS = ("host", "installation", "site", "database")
EXTERNAL = DatabaseWanted("external", host="db.a.br", password="s")
MANAGED = DatabaseWanted("managed", password="s")


@pytest.fixture(autouse=True)
def machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A machine on which nothing is installed, whatever runs the tests."""
    absent = installation.discover(str(tmp_path))
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(installation, "discover", lambda: absent)
    monkeypatch.setattr(systemd, "units", lambda names: {name: systemd.Unit(name, "not-found", "inactive", None, None) for name in names})
    monkeypatch.setattr(host, "listeners", dict)
    monkeypatch.setattr(host, "init_name", lambda: "systemd")
    monkeypatch.setattr(host, "os_release", lambda: {"ID": "debian", "VERSION_ID": "13"})
    monkeypatch.setattr(locks, "DIRECTORY", str(tmp_path / "locks"))


def server(monkeypatch: pytest.MonkeyPatch, method: str | Exception, answer: Any = None, clients: int = 1) -> list[str]:
    """A database server that answers so; the list tells what it was asked."""
    asked: list[str] = []

    def say(word: str, value: Any) -> Any:
        asked.append(word)
        if isinstance(value, Exception):
            raise value
        return value

    monkeypatch.setattr(psql, "authentication_method", lambda *_: say("method", method))
    monkeypatch.setattr(psql, "find_clients", lambda: [psql.Client("/usr/bin/psql", (15,))] * clients)
    monkeypatch.setattr(psql, "query", lambda *_: say("query", answer))
    monkeypatch.setattr(psql, "read_facts", lambda *_: say("facts", None))
    return asked


def test_an_empty_host(tmp_path: Path) -> None:
    facts, unchecked = survey.survey_host(Wishes(CHECKS, MANAGED), str(tmp_path / "opt" / "e-SUS"))
    assert (facts.uid, facts.init_name, facts.distribution, facts.distribution_version) == (0, "systemd", "debian", "13")
    assert (facts.installed_state, facts.installed_version, facts.active_units, facts.another_run) == ("absent", "", (), "")
    assert [place.purpose for place in facts.places] == ["home", "database", "temporary"]
    assert all(place.total_bytes >= place.free_bytes > 0 for place in facts.places)
    assert (facts.database, unchecked) == (None, ()), "a managed server that is not there yet is not asked"


def test_places_follow_the_database(tmp_path: Path) -> None:
    home = str(tmp_path)

    def paths(database: DatabaseWanted) -> dict[str, str]:
        facts, _unchecked = survey.survey_host(Wishes(("host",), database), home)
        return {place.purpose: place.path for place in facts.places if place.purpose != "temporary"}

    assert paths(DatabaseWanted("bundled")) == {"home": home, "database": f"{home}/database"}
    assert paths(MANAGED) == {"home": home, "database": "/var/lib"}
    assert paths(EXTERNAL) == {"home": home}


def test_without_ps_the_kernel_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host, "init_name", lambda: None)
    monkeypatch.setattr(files, "read_text_lenient", lambda path: f"{path}\n")
    assert survey.survey_host(Wishes(("host",), MANAGED), "/")[0].init_name == "/proc/1/comm"


def test_active_units_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    states = {beliefs.PEC_UNIT: "activating", beliefs.DATABASE_UNIT: "failed"}
    monkeypatch.setattr(systemd, "units", lambda names: {name: systemd.Unit(name, "loaded", states[name], True, None) for name in names})
    assert survey.survey_host(Wishes(("host",), MANAGED), "/")[0].active_units == (beliefs.PEC_UNIT,)


def test_another_run_is_told_and_the_lock_is_given_back(monkeypatch: pytest.MonkeyPatch) -> None:
    assert survey.survey_host(Wishes(("host",), MANAGED), "/")[0].another_run == ""
    assert not os.path.exists(locks.DIRECTORY), "looking leaves nothing behind"
    directory = locks.DIRECTORY
    real = locks.lock
    monkeypatch.setattr(locks, "lock", lambda name: real(name, directory=directory))
    with real(survey.locks.INSTALLER, directory=directory):
        text = survey.survey_host(Wishes(("host",), MANAGED), "/")[0].another_run
        assert f"process {os.getpid()}" in text
    assert survey.survey_host(Wishes(("host",), MANAGED), "/")[0].another_run == ""
    with real(survey.locks.INSTALLER, directory=directory):
        pass


@pytest.mark.parametrize(
    ("checks", "domain", "port", "code", "resolves"),
    [
        pytest.param(CHECKS, "esus.a.br", 443, 0, True, id="found"),
        pytest.param(CHECKS, "esus.a.br", 443, 2, False, id="not found"),
        pytest.param(CHECKS, "esus.a.br", 443, None, False, id="no answer in time"),
        pytest.param(CHECKS, "esus.a.br", None, 2, None, id="nobody needs it"),
        pytest.param(CHECKS, "", 443, 2, None, id="no domain"),
        pytest.param(("host",), "esus.a.br", 443, 2, None, id="not among the checks"),
    ],
)
def test_domain(
    monkeypatch: pytest.MonkeyPatch, checks: tuple[str, ...], domain: str, port: int | None, code: int | None, resolves: bool | None
) -> None:
    def run(argv: list[str], timeout: float) -> Completed:
        assert argv == ["getent", "ahosts", domain] and timeout > 0
        if code is None:
            raise PecError("did not end")
        return Completed(code, "", "")

    monkeypatch.setattr(survey.process, "run", run)
    wishes = Wishes(checks, DatabaseWanted("bundled"), domain=domain, certificate_port=port)
    assert survey.survey_host(wishes, "/")[0].domain_resolves is resolves


def test_database_that_can_be_used(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = server(monkeypatch, "md5", {"may_create": True, "unfinished": False})
    seen = survey.survey_host(Wishes(CHECKS, EXTERNAL), "/")[0].database
    assert seen is not None and (seen.authentication, seen.may_create, seen.unfinished) == ("md5", True, False)
    assert asked == ["method", "query", "facts"]


@pytest.mark.parametrize(
    ("method", "answer", "clients", "field", "value", "steps"),
    [
        pytest.param(PecError("nobody answers"), None, 1, "unreachable", "nobody answers", ["method"], id="unreachable"),
        pytest.param("rejected: no", None, 1, "authentication", "rejected: no", ["method"], id="rejected"),
        pytest.param("md5", PecError("wrong password"), 1, "login_error", "wrong password", ["method", "query"], id="wrong password"),
        pytest.param("md5", None, 0, "authentication", "md5", ["method"], id="no psql yet"),
        pytest.param(
            "md5",
            [],
            1,
            "login_error",
            "the server's answer about privileges is not understood",
            ["method", "query", "facts"],
            id="nonsense",
        ),
    ],
)
def test_database_that_cannot(
    monkeypatch: pytest.MonkeyPatch, method: Any, answer: Any, clients: int, field: str, value: str, steps: list[str]
) -> None:
    asked = server(monkeypatch, method, answer, clients)
    facts, unchecked = survey.survey_host(Wishes(CHECKS, EXTERNAL), "/")
    assert getattr(facts.database, field) == value
    assert asked == steps
    missing = ("the content of the database 'esus' on db.a.br:5432: psql is not installed on this host yet",)
    assert unchecked == (() if clients else missing)


@pytest.mark.parametrize(
    ("checks", "database"),
    [
        pytest.param(CHECKS, DatabaseWanted("bundled", password="s"), id="bundled"),
        pytest.param(CHECKS, DatabaseWanted("external"), id="no password"),
        pytest.param(CHECKS, MANAGED, id="managed, not there yet"),
        pytest.param(CHECKS, DatabaseWanted("managed", host="db.a.br", password="s"), id="managed, on another host"),
        pytest.param(("host",), EXTERNAL, id="not among the checks"),
    ],
)
def test_databases_that_are_not_asked(monkeypatch: pytest.MonkeyPatch, checks: tuple[str, ...], database: DatabaseWanted) -> None:
    asked = server(monkeypatch, "md5")
    assert survey.survey_host(Wishes(checks, database), "/")[0].database is None
    assert asked == []


def test_a_managed_database_that_is_there_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host, "listeners", lambda: {5432: host.Listener("postgres")})
    asked = server(monkeypatch, "md5", {"may_create": True, "unfinished": True})
    seen = survey.survey_host(Wishes(CHECKS, MANAGED), "/")[0].database
    assert seen is not None and seen.unfinished
    assert asked == ["method", "query", "facts"]


def test_without_root_nothing_private_is_touched(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> installation.Installation:
        raise AssertionError("only root may read all of it")

    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr(installation, "discover", refuse)
    facts, _unchecked = survey.survey_host(Wishes(("host", "installation", "site"), MANAGED), "/")
    assert (facts.uid, facts.installed_state, facts.another_run) == (1000, "absent", "")
