# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import time
from pathlib import Path

import pytest

from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.pec import govbr
from ansible_collections.esus.pec.plugins.module_utils.system import process, systemd

BLANK = "contains a blank or a line end, probably from copying; remove it"
STRANGE = "contains characters that Gov.br does not use, such as a dash or quotation mark of a word processor; type it again"
SETTING = "contains the name of a setting, as if a whole line was copied; give only what follows the = of that line"
ADDRESS = "is an address; give what Gov.br sent, without https:// and without a path"
QUOTED = "begins or ends with a quotation mark, which a properties file does not use; remove it"
KEY = "bridge.security.oauth2.client.registration.govbr.client-secret"
PLACEHOLDER = "is a placeholder from an example; give what Gov.br sent"


@pytest.mark.parametrize(
    ("value", "problems"),
    [
        ("esus.municipio.uf.gov.br", []),
        ("h-pec.municipio.ba.gov.br", []),
        ("AJ7sk3-_x.9~Zq/+=", []),
        ("a#b!c:d=e\\f", []),
        ("", ["is empty; give what Gov.br sent"]),
        (" \n", ["is blank; give what Gov.br sent"]),
        ("Segredo26 ", [BLANK]),
        ("Segredo26\n", [BLANK]),
        ("Segredo 26", [BLANK]),
        ("Segredo\xa026", [BLANK]),
        ("Segredo–26", [STRANGE]),
        ("Segredo\u200b26", [STRANGE]),
        ('"Segredo26"', ["begins or ends with a quotation mark, which a properties file does not use; remove it"]),
        ("Segredo${26}", ["contains ${, which PEC would replace by another setting; ask Gov.br for another value"]),
        ("ClientID", [PLACEHOLDER]),
        ("ClientSecret", [PLACEHOLDER]),
        ("SEU-CLIENT_ID", [PLACEHOLDER]),
        ("SEU-CLIENT_SECRET", [PLACEHOLDER]),
        ("<client-id>", [PLACEHOLDER]),
        ("your_client_secret", [PLACEHOLDER]),
        ("xxxxxxxx", [PLACEHOLDER]),
        ("CHANGEME", [PLACEHOLDER]),
        (" ClientID", [BLANK, PLACEHOLDER]),
        ("SEU_CLIENT_SECRET_GOVBR", [PLACEHOLDER]),
        ("SeuClientSecretAqui", [PLACEHOLDER]),
        ("ALTERAR", [PLACEHOLDER]),
        ("altere-me", [PLACEHOLDER]),
        ("mude_esta_senha", [PLACEHOLDER]),
        ("changeit", [PLACEHOLDER]),
        ("change_me_please", [PLACEHOLDER]),
        ("change_me_zebra", []),
        ("teste.gov.br", []),
        ("%CLIENT_SECRET%", [PLACEHOLDER]),
        ("__CLIENT_SECRET__", [PLACEHOLDER]),
        ("vault_govbr_client_secret", [PLACEHOLDER]),
        ("pec_govbr_client_secret", [PLACEHOLDER]),
        ("{{vault_govbr_client_secret}}", [PLACEHOLDER]),
        ("INSIRA_O_SEGREDO_DO_GOV.BR", [PLACEHOLDER]),
        ("senha123", [PLACEHOLDER]),
        ("1234567890", [PLACEHOLDER]),
        ("********", [PLACEHOLDER]),
        ("xxxx-xxxx", [PLACEHOLDER]),
        ("a" * 100_000 + "id", []),
        ("pec", []),
        ("govbr", []),
        ("9f86d081884c7d659a2feaa0c55ad015", []),
        ("ec4318d6-f797-4d65-b4f7-39a33bf4d544", []),
        ("c2VncmVkbyBkZSB0ZXN0ZQ==", []),
        ("secret-Zq81xKw7==", []),
        (KEY + "=Zq81xKw7", [SETTING]),
        (KEY + "=ClientSecret", [SETTING]),
        (KEY, [SETTING]),
        (f"# {KEY} = Zq81xKw7", [BLANK, SETTING]),
        (KEY + ":Zq81xKw7", [SETTING]),
        ("client-secret=Zq81xKw7", [SETTING]),
        ("clientSecret:Zq81xKw7", [SETTING]),
        ("Client Secret: Zq81xKw7", [BLANK, SETTING]),
        ('{"client_secret":"Zq81xKw7"}', [SETTING]),
        ("client_id=a&client_secret=Zq81xKw7", [SETTING]),
        ("pec_govbr_client_secret:Zq81xKw7", [SETTING]),
        ("GOVBR_SECRET=Zq81xKw7", [SETTING]),
        ("Segredo=Zq81xKw7", [SETTING]),
        ("=Zq81xKw7", [SETTING]),
        ("`Zq81xKw7`", [QUOTED]),
        ("https://sso.acesso.gov.br", [ADDRESS]),
        ("HTTP://sso.acesso.gov.br", [ADDRESS]),
    ],
)
def test_credentials(value: str, problems: list[str]) -> None:
    assert govbr.credential_problems("client_secret", value) == [f"client_secret {problem}" for problem in problems]
    said = "".join(govbr.credential_problems("client_secret", value))
    assert "26" not in said and "Zq81" not in said


@pytest.mark.parametrize(
    ("value", "address"),
    [
        ("https://esus.municipio.uf.gov.br", True),
        ("https://esus.municipio.uf.gov.br/login/oauth2/code/govbr", True),
        ("//esus.municipio.uf.gov.br", True),
        ("esus.municipio.uf.gov.br/", True),
        ("esus.municipio.uf.gov.br:443", True),
        ("esus.municipio.uf.gov.br", False),
        ("ESUS.MUNICIPIO.UF.GOV.BR", False),
        ("h-pec.municipio.ba.gov.br", False),
        ("ec4318d6-f797-4d65-b4f7-39a33bf4d544", False),
    ],
)
def test_an_address_is_no_client_id(value: str, address: bool) -> None:
    assert govbr.credential_problems("client_id", value) == ([f"client_id {ADDRESS}"] if address else [])


DOMAIN, UUID, RANDOM = "pec.municipio.uf.gov.br", "ec4318d6-f797-4d65-b4f7-39a33bf4d544", "AJ7sk3-_xZq9Kw26hTr4mVb8cYd1eLs5uPf0gNo"


@pytest.mark.parametrize(
    ("client_id", "secret", "said"),
    [
        (DOMAIN, RANDOM, None),
        (UUID, RANDOM, None),
        (DOMAIN, UUID, None),
        ("pec-municipio", RANDOM, None),
        (RANDOM, RANDOM[::-1], None),
        (RANDOM, DOMAIN, "swapped"),
        (RANDOM, DOMAIN.upper(), "swapped"),
        ("short", DOMAIN, "swapped"),
        (RANDOM, UUID, "swapped"),
        (RANDOM, "pec-municipio", "swapped"),
        ("esus.municipio.uf.gov.br", DOMAIN, "swapped"),
        (RANDOM, RANDOM, "are the same"),
        (DOMAIN, DOMAIN, "are the same"),
    ],
)
def test_an_id_and_its_secret(client_id: str, secret: str, said: str | None) -> None:
    problems = govbr.pair_problems(client_id, secret)
    assert (len(problems) == 1 and said in problems[0]) if said else problems == []
    assert client_id not in "".join(problems) and secret not in "".join(problems)


@pytest.mark.parametrize(("client_id", "warned"), [(DOMAIN, False), (UUID, False), ("pec-municipio-de-algures", False), (RANDOM, True)])
def test_an_id_that_may_be_the_secret(client_id: str, warned: bool) -> None:
    assert bool(govbr.id_warnings(client_id)) is warned and client_id not in "".join(govbr.id_warnings(client_id))


def test_what_is_registered_for_a_domain() -> None:
    assert govbr.redirect_urls("pec.example.gov.br") == [
        "https://pec.example.gov.br/login/oauth2/code/govbr",
        "https://pec.example.gov.br/oauth2/code/govbr",
    ]
    assert govbr.logout_url("pec.example.gov.br") == "https://pec.example.gov.br/logout"
    assert govbr.redirect_urls("PEC.Example.GOV.BR") == govbr.redirect_urls("pec.example.gov.br"), "browsers send small letters"
    assert govbr.logout_url("PEC.EXAMPLE.GOV.BR") == govbr.logout_url("pec.example.gov.br")
    assert (govbr.redirect_urls(""), govbr.logout_url("")) == ([], None)


@pytest.mark.parametrize(
    ("domain", "said"),
    [
        ("esus.municipio.uf.gov.br", None),
        ("PEC.MUNICIPIO.UF.GOV.BR", None),
        ("pec.noharm.ai", "the domain pec.noharm.ai does not end in .gov.br; Gov.br may reject it (Portaria SGD/MGI 7.076/2024)"),
        ("pec.notgov.br", "does not end in .gov.br"),
        ("", "domain is missing"),
    ],
)
def test_domains(domain: str, said: str | None) -> None:
    warnings = govbr.domain_warnings(domain)
    assert (len(warnings) == 1 and said in warnings[0]) if said else warnings == []


def test_what_is_no_domain_is_refused() -> None:
    with pytest.raises(PecError, match=r"write pec\.municipio\.gov\.br"):
        govbr.domain_warnings("https://pec.municipio.gov.br/")


@pytest.mark.parametrize(
    ("answer", "off", "synchronized", "said"),
    [
        ("yes\n", 0.0, True, []),
        ("yes\n", 59.0, True, []),
        ("yes\n", 200.0, True, ["clock is 200 seconds ahead of the controller's"]),
        ("yes\n", -200.0, True, ["clock is 200 seconds behind the controller's"]),
        ("no\n", 0.0, False, ["is not synchronized"]),
        ("no\n", -7200.0, False, ["clock is 7200 seconds behind", "is not synchronized"]),
        ("", 0.0, None, []),
        (None, None, None, []),
    ],
)
def test_the_clock(
    monkeypatch: pytest.MonkeyPatch, answer: str | None, off: float | None, synchronized: bool | None, said: list[str]
) -> None:
    def run(argv: list[str]) -> process.Completed:
        if answer is None:
            raise PecError("the program timedatectl is not on this host")
        return process.Completed(0, answer, "")

    monkeypatch.setattr(process, "run", run)
    clock = govbr.read_clock(None if off is None else time.time() - off)
    assert clock.synchronized is synchronized
    assert clock.ahead_seconds == (None if off is None else pytest.approx(off, abs=5))
    warnings = govbr.clock_warnings(clock)
    assert len(warnings) == len(said) and all(part in warning for part, warning in zip(said, warnings))


def test_a_change_that_pec_does_not_know_yet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    record = tmp_path / "state" / "govbr.json"
    age: list[float | None] = [100.0]
    monkeypatch.setattr(systemd, "active_seconds", lambda _unit: age[0])
    assert govbr.restart_pending(str(record)) is False
    govbr.note_change(str(record))
    assert govbr.restart_pending(str(record)) is True
    assert record.stat().st_mode & 0o777 == 0o600 and record.parent.stat().st_mode & 0o777 == 0o700
    age[0] = -1.0  # started after it
    assert govbr.restart_pending(str(record)) is False
    age[0] = None  # does not run
    assert govbr.restart_pending(str(record)) is False
    age[0] = 100.0
    for broken in ("", "[]", '{"changed": "now"}'):
        record.write_text(broken, encoding="utf-8")
        assert govbr.restart_pending(str(record)) is False
