# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from ansible.module_utils.testing import patch_module_args
from fake_pec import PASSWORD, FakePec

from ansible_collections.esus.pec.plugins.module_utils.api import client, options
from ansible_collections.esus.pec.plugins.module_utils.pec import installation
from ansible_collections.esus.pec.plugins.module_utils.postgres import psql
from ansible_collections.esus.pec.plugins.modules import first_run

CONNECTION = psql.Connection("127.0.0.1", 5432, "esus", "esus", "secret")
INSTALLED = installation.Installation("installed", version="5.4.37", connection=CONNECTION)
CLOSED = "http://127.0.0.1:1"


class Site:
    """A PEC before its first run, and the module's runs against it."""

    def __init__(self, pec: FakePec, capsys: pytest.CaptureFixture[str]) -> None:
        self.pec, self._capsys = pec, capsys
        self.undone()

    def undone(self, done: bool = False) -> None:
        self.pec.info.update(ativado=False, linkInstalacaoConfigurado=done)

    def run(self, **changes: Any) -> dict[str, Any]:
        person = {"name": "Maria da Silva", "cpf": "529.982.247-25", "password": PASSWORD, **changes.pop("instalador", {})}
        arguments = {"url": self.pec.url, "name": "UBS Central", "link": "https://pec.example", "instalador": person, **changes}
        with patch_module_args(arguments), pytest.raises(SystemExit):
            first_run.main()
        output = self._capsys.readouterr().out
        assert PASSWORD not in output.replace("PASSWORD", "")
        return dict(json.loads(output))

    def sent(self) -> list[dict[str, Any]]:
        """The answers that PEC was given."""
        return [variables["input"] for name, variables, _skipped in self.pec.calls if name == "Instalar"]


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Site]:
    monkeypatch.setattr(options.os, "geteuid", lambda: 0)
    monkeypatch.setattr(installation, "discover", lambda: INSTALLED)
    monkeypatch.setattr(client.time, "sleep", lambda _seconds: None)
    pec = FakePec()
    yield Site(pec, capsys)
    pec.close()


def test_a_new_pec_and_the_second_run(site: Site) -> None:
    answer = site.run()
    assert (answer["changed"], answer["done"], answer["url"]) == (True, False, site.pec.url)
    assert answer["diff"] == {"before": "", "after": "name: UBS Central\nlink: https://pec.example\ntype: PRONTUARIO\n"}
    assert site.sent() == [
        {
            "dadosInstalacao": {"linkInstalacao": "https://pec.example", "nomeInstalacao": "UBS Central"},
            "tipoInstalacao": "PRONTUARIO",
            "novaSenha": PASSWORD,
            "profissional": {"nomeCivil": "Maria da Silva", "cpf": "52998224725", "endereco": None},
        }
    ]
    again = site.run()
    assert (again["changed"], again["done"], again["diff"]) == (False, True, {"before": "", "after": ""})
    assert len(site.sent()) == 1


def test_check_mode_agrees_and_sends_nothing(site: Site) -> None:
    answer = site.run(_ansible_check_mode=True)
    assert answer["changed"] is True and site.sent() == []
    site.undone(done=True)
    assert site.run(_ansible_check_mode=True)["changed"] is False


def test_answers_do_not_matter_once_it_is_done(site: Site) -> None:
    site.undone(done=True)
    assert site.run(name="", instalador={"cpf": "1"})["changed"] is False


@pytest.mark.parametrize(("link", "changed"), [("https://pec.example", False), (None, True)], ids=["done", "not done"])
def test_check_mode_asks_the_database_of_a_stopped_pec(
    site: Site, monkeypatch: pytest.MonkeyPatch, link: str | None, changed: bool
) -> None:
    facts = psql.DatabaseFacts("15", 150000, 1, "UTF8", "C", "C", 1, True, "5.4.37", False, None, link, None)
    monkeypatch.setattr(psql, "read_facts", lambda _connection: facts)
    assert site.run(_ansible_check_mode=True, url=CLOSED)["changed"] is changed


def test_check_mode_where_pec_is_not_installed_yet(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(installation, "discover", lambda: installation.Installation("absent"))
    assert site.run(_ansible_check_mode=True, url=None)["changed"] is True


def test_a_stopped_pec_is_an_error(site: Site) -> None:
    answer = site.run(url=CLOSED)
    assert answer["failed"] is True and answer["msg"].startswith(f"PEC does not answer at {CLOSED}/api/graphql: ")


def test_the_local_address_is_in_no_certificate() -> None:
    params = {"ca_path": None, "timeout": 5, "validate_certs": True}
    for url, checked in ((None, False), ("https://pec.example", True)):
        (found,) = options.clients({**params, "url": url}, INSTALLED, first_run.Catalogue())
        assert (found.server.url, found.server.validate_certs) == (url or "http://127.0.0.1:8080", checked)


def test_every_local_address_is_tried(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(installation, "discover", lambda: replace(INSTALLED, https=installation.Https("certmgr", "pec.example", 443, None)))
    urls = (CLOSED, site.pec.url)
    monkeypatch.setattr(installation.Installation, "urls", property(lambda _self: urls))
    assert site.run(url=None)["url"] == site.pec.url
    urls = (CLOSED, "http://127.0.0.1:2")
    assert f"PEC does not answer at {CLOSED}/" in site.run(url=None)["msg"]


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
            "the instalador's password has 6 characters; PEC accepts 8 to 20",
            id="weak password: short",
        ),
        pytest.param(
            {"instalador": {"password": "semnumeros"}},
            "the instalador's password has no digit; PEC requires at least one",
            id="weak: no digit",
        ),
        pytest.param(
            {"instalador": {"password": "maria12345"}},
            "the instalador's password contains a part of the instalador's name; PEC rejects personal data",
            id="weak: the name",
        ),
    ],
)
def test_bad_answers_are_not_sent(site: Site, changes: dict[str, Any], problem: str) -> None:
    for check_mode in (False, True):
        answer = site.run(**copy.deepcopy(changes), _ansible_check_mode=check_mode)
        assert answer["msg"].splitlines() == [HEADING, problem]
    assert site.sent() == []


def test_all_problems_at_once(site: Site) -> None:
    answer = site.run(name="", link="x", instalador={"name": "", "cpf": "1", "password": "1"})
    assert len(answer["msg"].splitlines()) == 7


def test_pecs_refusal_is_shown_in_its_words(site: Site) -> None:
    site.pec.refused["Instalar"] = f"Não foi possível validar este endereço, nem {PASSWORD}"
    assert site.run()["msg"] == (
        "PEC refused Instalar: Não foi possível validar este endereço, nem ********; correct the answers, then run again; "
        "a link must open from this server itself (DNS, /etc/hosts, certificate)"
    )
    assert len(site.sent()) == 1, "one attempt only"


def test_silence_after_the_answers(site: Site) -> None:
    site.pec.broken_afterwards["Instalar"] = 503
    answer = site.run()
    assert "HTTP 503" in answer["msg"] and answer["msg"].endswith(
        ". PEC may or may not have taken the answers; run again, which sends them only if it did not"
    )
    assert len(site.sent()) == 1 and site.run()["changed"] is False


def test_answers_without_effect(site: Site) -> None:
    site.pec.ignored = {"Instalar"}
    assert site.run()["msg"] == f"PEC at {site.pec.url} took the answers of the first run and still asks for them; look into its log"


def test_the_journal_gets_no_password(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    logged: list[str] = []
    monkeypatch.setattr(first_run.PecModule, "log", lambda _self, message, **_arguments: logged.append(message))
    answer = site.run(_ansible_no_log=False, instalador={"password": "back\\slash2026"})
    assert answer["changed"] is True
    assert "slash2026" not in str(logged) + json.dumps(answer)
