# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from typing import Any

import pytest
from oficio_answers import ANSWERS

from ansible_collections.esus.pec.plugins.module_utils import brazil
from ansible_collections.esus.pec.plugins.module_utils.oficios import states
from ansible_collections.esus.pec.plugins.module_utils.oficios.fields import DOMINIO, GOVBR, LETTERS, PRESCRICAO, Fields, problems


def wrong(letters: tuple[str, ...] = LETTERS, **changed: Any) -> list[str]:
    """The options that are wrong."""
    return [problem.split(" ")[0] for problem in problems(Fields(**{**ANSWERS, **changed}), letters)]


def test_right_answers() -> None:
    assert wrong() == []
    assert wrong(cnpj="12.ABC.345/01DE-35", responsible_cpf="", date="2026-11-30", numbers={DOMINIO: "12/2026-SMS"}) == []
    assert wrong(mail_to={DOMINIO: ["a.b+c@example.org"]}, responsible_phone="+55 (67) 95555-0100") == []


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("municipality", "Água/Clara"),
        ("municipality", "<script>"),
        ("municipality", "{{ 7 * 7 }}"),
        ("municipality", "../etc"),
        ("municipality", "Água\x07Clara"),
        ("municipality", "Água\nClara"),
        ("municipality", "Água\u202eClara"),
        ("municipality", " Água Clara"),
        ("municipality", "[Nome do Município]"),
        ("municipality", "A definir"),
        ("uf", "ms"),
        ("uf", "XX"),
        ("ibge_code", "500020"),
        ("ibge_code", "5000204"),
        ("ibge_code", "2927408"),
        ("institution", "[Razão Social da Prefeitura]"),
        ("institution", "TODO"),
        ("institution", "x" * 201),
        ("cnpj", "13927801000148"),
        ("cnpj", "12.ABC.345/01DE-36"),
        ("responsible_name", "Maria"),
        ("responsible_name", "Fulano de Tal"),
        ("responsible_name", "Maria 2"),
        ("responsible_cpf", "52998224726"),
        ("responsible_email", "Saúde <saude@example.org>"),
        ("responsible_email", "saude@localhost"),
        ("responsible_email", "saude@exam_ple.org"),
        ("responsible_phone", "5555-0100"),
        ("requester_name", "____ ____"),
        ("requester_position", "Prefeito {%x%}"),
        ("domain", "https://esus.aguaclara.ms.gov.br"),
        ("domain", "esus.aguaclara.com.br"),
        ("ipv4", "203.0.113"),
        ("ipv4", "203.0.113.010"),
        ("ipv4", "10.0.0.5"),
        ("ipv4", "127.0.0.1"),
        ("ipv4", "::1"),
        ("url", "esus.aguaclara.ms.gov.br"),
        ("url", "http://esus.aguaclara.ms.gov.br"),
        ("domain_body", ""),
        ("domain_body", "[Nome do Órgão Competente]"),
        ("govbr_recipient", "a\tb"),
        ("date", "30/11/2026"),
        ("date", "2026-02-30"),
        ("numbers", {DOMINIO: "[nº]"}),
        ("mail_to", {GOVBR: ["a@example.org", "b@example.org\nBcc: c@example.org"]}),
        ("smtp", False),
        ("certificate", False),
        ("pec_version", ""),
        ("pec_version", "5.2.5"),
        ("pec_version", "latest"),
    ],
)
def test_one_wrong_answer(option: str, value: Any) -> None:
    assert wrong(**{option: value}) == [option]


def test_everything_at_once() -> None:
    empty = problems(Fields(), LETTERS)
    assert {problem.split(" ")[0] for problem in empty} == {
        *("municipality", "uf", "ibge_code", "institution", "cnpj", "responsible_name", "responsible_email", "responsible_phone"),
        *("requester_name", "domain", "ipv4", "url", "smtp", "certificate", "pec_version"),
    }
    assert len(empty) == 15


def test_a_letter_needs_its_own_answers_only() -> None:
    assert wrong((PRESCRICAO,), institution="", cnpj="", domain="", ipv4="", domain_body="") == []
    assert wrong((DOMINIO,), url="", smtp=False, certificate=False, pec_version="") == []
    assert wrong((GOVBR,), url="", ipv4="", domain_body="") == []


def test_the_premises_may_be_marked_instead() -> None:
    given = Fields(**{**ANSWERS, "smtp": False, "certificate": False, "pec_version": "", "url": "http://a.gov.br"})
    assert problems(given, (PRESCRICAO,), mark=True) == []
    assert len(problems(given, (PRESCRICAO,))) == 4


def test_a_cpf_is_not_shown_in_a_problem() -> None:
    shown = "\n".join(problems(Fields(**{**ANSWERS, "responsible_cpf": "52998224726"}), LETTERS))
    assert "52998224726" not in shown and "529.982.247" not in shown


@pytest.mark.parametrize("code", ["2201919", "2611533", "5203962"])
def test_a_real_code_without_a_right_check_digit(code: str) -> None:
    uf = next(state.uf for state in states.STATES if state.ibge == code[:2])
    assert wrong(ibge_code=code, uf=uf) == []


@pytest.mark.parametrize(
    ("text", "formatted"),
    [
        ("(67) 5555-0100", "(67) 5555-0100"),
        ("+55 67 95555-0100", "(67) 95555-0100"),
        ("067 3234-5678", "(67) 3234-5678"),
        ("0800 123 4567", "0800 123 4567"),
    ],
)
def test_a_telephone_number(text: str, formatted: str) -> None:
    assert brazil.phone_problems(text) == []
    assert brazil.phone_formatted(text) == formatted


@pytest.mark.parametrize(
    "text", ["", "5555-0100", "(20) 5555-0100", "(67) 1555-0100", "(67) 85555-0100", "(67) 9555-0100", "67 5555 01OO", "+1 67 5555-0100"]
)
def test_no_telephone_number(text: str) -> None:
    assert len(brazil.phone_problems(text)) == 1
    assert brazil.phone_formatted(text) == text
