# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import os
import socket
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.esus.pec.plugins.module_utils import beliefs
from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.pec import installation
from ansible_collections.esus.pec.plugins.module_utils.postgres import peer, psql
from ansible_collections.esus.pec.plugins.module_utils.preflight import judging, survey
from ansible_collections.esus.pec.plugins.module_utils.preflight.model import DatabaseWanted, FirstRun, Https, Wishes
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

    monkeypatch.setattr(peer, "authentication_method", lambda *_, **__: say("method", method))
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


ANA = FirstRun("Município", "", "PRONTUARIO", "Ana Souza", "529.982.247-25", "Segredo-2026")
HTTPS = Https("esus.a.br")


@pytest.mark.parametrize(
    ("link", "wishes", "state"),
    [
        pytest.param("", {}, "unanswered", id="HTTPS by nobody"),
        pytest.param("", {"https": HTTPS}, "", id="HTTPS comes later"),
        pytest.param("", {"https": Https("esus.a.br", 8443)}, "", id="the usual link has the port"),
        pytest.param("https://esus.a.br", {"https": Https("esus.a.br", 8443)}, "unanswered", id="HTTPS on another port"),
        pytest.param("https://outro.a.br", {"https": HTTPS}, "unanswered", id="HTTPS for another name"),
        pytest.param("http://esus.a.br:8080", {}, "", id="PEC itself"),
        pytest.param("http://esus.a.br:8080", {"https": HTTPS, "certificate_port": 443}, "unanswered", id="PEC with certmgr"),
        pytest.param("http://esus.a.br", {}, "unanswered", id="port 80"),
        pytest.param("https://unknown.a.br", {"https": Https("unknown.a.br")}, "unresolved", id="unknown name"),
        pytest.param("http://unknown.a.br:8080", {"domain": "unknown.a.br", "hosts_entry": True}, "", id="in the hosts file"),
        pytest.param("http://unknown.a.br:8080", {"hosts_entry": True}, "unresolved", id="the hosts file has another name"),
        pytest.param("https://[", {}, "", id="no address at all"),
        pytest.param("", {"checks": ("host",)}, "", id="not among the checks"),
    ],
)
def test_where_the_link_leads(monkeypatch: pytest.MonkeyPatch, link: str, wishes: dict[str, Any], state: str) -> None:
    known = {"esus.a.br", "outro.a.br"}
    monkeypatch.setattr(survey.process, "run", lambda argv, timeout: Completed(0 if argv[-1] in known else 2, "", ""))
    monkeypatch.setattr(survey.socket, "create_connection", refused)
    wanted = {"checks": CHECKS, "database": DatabaseWanted("bundled"), "domain": "esus.a.br", **wishes}
    assert survey.survey_host(Wishes(first_run=replace(ANA, link=link), **wanted), "/")[0].link_state == state


def refused(address: tuple[str, int], timeout: float) -> socket.socket:
    assert timeout > 0
    raise ConnectionRefusedError(address)


def test_a_proxy_that_answers_already(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as proxy:
        proxy.bind(("127.0.0.1", 0))
        proxy.listen()
        wanted = replace(ANA, link=f"https://localhost:{proxy.getsockname()[1]}")
        assert survey.survey_host(Wishes(CHECKS, DatabaseWanted("bundled"), first_run=wanted), "/")[0].link_state == ""


@pytest.mark.parametrize(
    ("link", "state"), [("http://a.br", ""), (None, "unanswered"), (PecError("does not answer"), "")], ids=["over", "not over", "unknown"]
)
def test_a_pec_that_is_installed(monkeypatch: pytest.MonkeyPatch, link: Any, state: str) -> None:
    connection = psql.Connection("127.0.0.1", 5432, "esus", "esus", "")
    here = installation.Installation("installed", connection=connection)
    monkeypatch.setattr(installation, "discover", lambda: here)
    monkeypatch.setattr(survey.process, "run", lambda argv, timeout: Completed(0, "", ""))
    monkeypatch.setattr(survey.socket, "create_connection", refused)

    def read_facts(_connection: psql.Connection) -> psql.DatabaseFacts:
        if isinstance(link, Exception):
            raise link
        return psql.DatabaseFacts("15.6", 150006, 0, "UTF8", "C", "C", 1000, True, "5.4.37", False, None, link, None)

    monkeypatch.setattr(psql, "read_facts", read_facts)
    wishes = Wishes(CHECKS, DatabaseWanted("bundled"), domain="esus.a.br", first_run=ANA)
    assert survey.survey_host(wishes, "/")[0].link_state == state


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


@pytest.mark.parametrize(
    ("name", "sha256", "problem"),
    [
        pytest.param(
            "eSUS-AB-PEC-5.4.37-Linux64.jar", "0" * 64, "[jar] jar_path: {path} is another file than expected: its SHA", id="wrong"
        ),
        pytest.param("nothing.jar", "", "[jar] jar_path: there is no installer at {path}. What to do: download it", id="missing"),
    ],
)
def test_an_installer_on_the_host_is_looked_at_before_anything_is_changed(tmp_path: Path, name: str, sha256: str, problem: str) -> None:
    (tmp_path / "eSUS-AB-PEC-5.4.37-Linux64.jar").write_bytes(b"a page")
    path = str(tmp_path / name)
    wishes = Wishes(("installation",), MANAGED, jars=(path,), jar_path=path, jar_sha256=sha256)
    found = judging.judge(survey.survey_host(wishes, "/")[0], wishes)
    assert len(found) == 1 and str(found[0]).startswith(problem.format(path=path))
    elsewhere = Wishes(("database",), MANAGED, jars=(path,), jar_path=path, jar_sha256=sha256)
    assert survey.survey_host(elsewhere, "/")[0].jar_problem == ""
