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
    ],
)
def test_credentials(value: str, problems: list[str]) -> None:
    assert govbr.credential_problems("client_secret", value) == [f"client_secret {problem}" for problem in problems]
    assert "26" not in "".join(govbr.credential_problems("client_secret", value))


def test_what_is_registered_for_a_domain() -> None:
    assert govbr.redirect_urls("pec.example.gov.br") == [
        "https://pec.example.gov.br/login/oauth2/code/govbr",
        "https://pec.example.gov.br/oauth2/code/govbr",
    ]
    assert govbr.logout_url("pec.example.gov.br") == "https://pec.example.gov.br/logout"
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
