# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import copy
import json
from dataclasses import replace
from typing import Any

import pytest
from ansible.module_utils.testing import patch_module_args

from ansible_collections.esus.pec.plugins.module_utils.api import options
from ansible_collections.esus.pec.plugins.module_utils.api.client import Client, FirstRun, PecApiError, PecUnreachableError, Server
from ansible_collections.esus.pec.plugins.module_utils.pec import installation
from ansible_collections.esus.pec.plugins.module_utils.postgres import psql
from ansible_collections.esus.pec.plugins.modules import first_run

PASSWORD = "Segredo2026"
ARGUMENTS: dict[str, Any] = {
    "url": "http://pec.test:8080",
    "name": "UBS Central",
    "link": "https://pec.example",
    "instalador": {"name": "Maria da Silva", "cpf": "529.982.247-25", "password": PASSWORD},
}
CONNECTION = psql.Connection("127.0.0.1", 5432, "esus", "esus", "secret")
INSTALLED = installation.Installation("installed", version="5.4.37", connection=CONNECTION)


def throw(error: Exception) -> None:
    raise error


class FakePec:
    """A PEC that takes the answers, or refuses them, or does not answer."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.done = False
        self.reachable = True
        self.closed: tuple[str, ...] = ()
        self.forgets = False
        self.refusal: Exception | None = None
        self.taken: list[FirstRun] = []
        self.servers: list[Server] = []

        def first_run_done(client: Client) -> bool:
            self.servers.append(client.server)
            if client.server.url in self.closed:
                raise PecUnreachableError(f"PEC does not answer at {client.server.url}")
            if not self.reachable:
                raise PecUnreachableError("PEC does not answer at http://pec.test:8080")
            return self.done

        def install(_client: Client, answers: FirstRun) -> None:
            self.taken.append(answers)
            if self.refusal:
                throw(self.refusal)
            self.done = not self.forgets

        monkeypatch.setattr(Client, "first_run_done", first_run_done)
        monkeypatch.setattr(Client, "install", install)


@pytest.fixture
def pec(monkeypatch: pytest.MonkeyPatch) -> FakePec:
    monkeypatch.setattr(options.os, "geteuid", lambda: 0)
    monkeypatch.setattr(installation, "discover", lambda: INSTALLED)
    return FakePec(monkeypatch)


def run(capsys: pytest.CaptureFixture[str], **changes: Any) -> dict[str, Any]:
    arguments = copy.deepcopy(ARGUMENTS)
    arguments["instalador"].update(changes.pop("instalador", {}))
    with patch_module_args({**arguments, **changes}), pytest.raises(SystemExit):
        first_run.main()
    output = capsys.readouterr().out
    assert PASSWORD not in output.replace("PASSWORD", "")
    return json.loads(output)


def test_a_new_pec_and_the_second_run(pec: FakePec, capsys: pytest.CaptureFixture[str]) -> None:
    answer = run(capsys)
    assert (answer["changed"], answer["done"]) == (True, False)
    assert answer["diff"] == {"before": "", "after": "name: UBS Central\nlink: https://pec.example\ntype: PRONTUARIO\n"}
    assert pec.taken == [FirstRun("UBS Central", "https://pec.example", "PRONTUARIO", "Maria da Silva", "52998224725", PASSWORD)]
    again = run(capsys)
    assert (again["changed"], again["done"], again["diff"]) == (False, True, {"before": "", "after": ""})
    assert len(pec.taken) == 1


def test_check_mode_agrees_and_sends_nothing(pec: FakePec, capsys: pytest.CaptureFixture[str]) -> None:
    answer = run(capsys, _ansible_check_mode=True)
    assert answer["changed"] is True and pec.taken == []
    pec.done = True
    assert run(capsys, _ansible_check_mode=True)["changed"] is False


def test_answers_do_not_matter_once_it_is_done(pec: FakePec, capsys: pytest.CaptureFixture[str]) -> None:
    pec.done = True
    assert run(capsys, name="", instalador={"cpf": "1"})["changed"] is False


@pytest.mark.parametrize(("link", "changed"), [("https://pec.example", False), (None, True)], ids=["done", "not done"])
def test_check_mode_asks_the_database_of_a_stopped_pec(
    pec: FakePec, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], link: str | None, changed: bool
) -> None:
    pec.reachable = False
    facts = psql.DatabaseFacts("15", 150000, 1, "UTF8", "C", "C", 1, True, "5.4.37", False, None, link, None)
    monkeypatch.setattr(psql, "read_facts", lambda _connection: facts)
    assert run(capsys, _ansible_check_mode=True)["changed"] is changed


def test_check_mode_where_pec_is_not_installed_yet(
    pec: FakePec, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pec.reachable = False
    monkeypatch.setattr(installation, "discover", lambda: installation.Installation("absent"))
    assert run(capsys, _ansible_check_mode=True, url=None)["changed"] is True


def test_a_stopped_pec_is_an_error(pec: FakePec, capsys: pytest.CaptureFixture[str]) -> None:
    pec.reachable = False
    answer = run(capsys)
    assert answer["failed"] is True and answer["msg"] == "PEC does not answer at http://pec.test:8080"


def test_the_local_address_is_in_no_certificate(pec: FakePec, capsys: pytest.CaptureFixture[str]) -> None:
    pec.done = True
    assert run(capsys, url=None)["url"] == "http://127.0.0.1:8080"
    run(capsys)
    assert [(server.url, server.validate_certs) for server in pec.servers] == [
        ("http://127.0.0.1:8080", False),
        ("http://pec.test:8080", True),
    ]


def test_every_local_address_is_tried(pec: FakePec, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    here = replace(INSTALLED, https=installation.Https("certmgr", "pec.example", 443, None))
    monkeypatch.setattr(installation, "discover", lambda: here)
    pec.closed = ("https://127.0.0.1:443",)
    assert run(capsys, url=None)["url"] == "http://127.0.0.1:8080"
    pec.closed = here.urls
    assert run(capsys, url=None)["msg"] == "PEC does not answer at https://127.0.0.1:443"


HEADING = "nothing was sent, because PEC would refuse these answers of the first run:"


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        pytest.param({"name": " "}, "the name of the installation is empty; give for example the município's", id="no name"),
        pytest.param(
            {"link": "pec.example"}, "the link 'pec.example' is not an address; it starts with https:// or http://", id="no address"
        ),
        pytest.param({"instalador": {"name": ""}}, "the instalador's name is empty; give the person's full name", id="nobody"),
        pytest.param(
            {"instalador": {"cpf": "529.982.247-26"}},
            "the CPF ***.982.247-** has wrong check digits; compare all 11 digits with the person's document",
            id="CPF with wrong digits",
        ),
        pytest.param(
            {"instalador": {"password": "curta1"}},
            "the instalador's password has 6 characters; PEC takes 8 to 20",
            id="weak password: short",
        ),
        pytest.param(
            {"instalador": {"password": "semnumeros"}},
            "the instalador's password has no digit; PEC wants at least one",
            id="weak: no digit",
        ),
        pytest.param(
            {"instalador": {"password": "maria12345"}},
            "the instalador's password contains a part of the instalador's name; PEC refuses personal data",
            id="weak: the name",
        ),
    ],
)
def test_bad_answers_are_not_sent(pec: FakePec, capsys: pytest.CaptureFixture[str], changes: dict[str, Any], problem: str) -> None:
    for check_mode in (False, True):
        answer = run(capsys, **copy.deepcopy(changes), _ansible_check_mode=check_mode)
        assert answer["msg"].splitlines() == [HEADING, problem]
    assert pec.taken == []


def test_all_problems_at_once(pec: FakePec, capsys: pytest.CaptureFixture[str]) -> None:
    answer = run(capsys, name="", link="x", instalador={"name": "", "cpf": "1", "password": "1"})
    assert len(answer["msg"].splitlines()) == 7


def test_pecs_refusal_is_told_in_its_words(pec: FakePec, capsys: pytest.CaptureFixture[str]) -> None:
    pec.refusal = PecApiError(f"PEC refused Instalar: Não foi possível validar este endereço, nem {PASSWORD}")
    assert run(capsys)["msg"] == (
        "PEC refused Instalar: Não foi possível validar este endereço, nem ********; correct the answers, then run again; "
        "a link must open from this server itself (DNS, /etc/hosts, certificate)"
    )
    assert len(pec.taken) == 1, "one attempt only"


def test_silence_after_the_answers(pec: FakePec, capsys: pytest.CaptureFixture[str]) -> None:
    pec.refusal = PecUnreachableError("PEC does not answer at http://pec.test:8080: timed out")
    assert run(capsys)["msg"] == (
        "PEC does not answer at http://pec.test:8080: timed out. Whether PEC took the answers is not known; "
        "run again, which sends them only if it did not"
    )
    assert len(pec.taken) == 1


def test_answers_without_effect(pec: FakePec, capsys: pytest.CaptureFixture[str]) -> None:
    pec.forgets = True
    assert run(capsys)["msg"] == (
        "PEC at http://pec.test:8080 took the answers of the first run and still asks for them; look into its log"
    )


def test_the_journal_gets_no_password(pec: FakePec, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    logged: list[str] = []
    monkeypatch.setattr(first_run.QuietModule, "log", lambda _self, message, **_arguments: logged.append(message))
    answer = run(capsys, _ansible_no_log=False, instalador={"password": "back\\slash2026"})
    assert answer["changed"] is True
    assert "slash2026" not in str(logged) + json.dumps(answer)
