# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest

from ansible_collections.esus.pec.plugins.module_utils.brazil import (
    cnpj_formatted,
    cnpj_plain,
    cnpj_problems,
    cpf_digits,
    cpf_masked,
    cpf_problems,
    domain_problems,
    ibge_problems,
    instalador_password_problems,
    link_problems,
)

CPF = "529.982.247-25"
NAME = "João da Silva Conceição"
EXAMPLE = "a name such as esus.municipio.uf.gov.br"


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("529.982.247-25", id="as on the document"),
        pytest.param("52998224725", id="digits only"),
        pytest.param(" 529 982 247 25 ", id="blanks"),
        pytest.param("529.982.247/25", id="slash, as some write it"),
        pytest.param("111.444.777-35", id="another person"),
        pytest.param("000.000.001-91", id="zeros at the start"),
        pytest.param("100.000.001-08", id="a remainder of ten counts as zero"),
    ],
)
def test_cpf_is_accepted(text: str) -> None:
    assert cpf_problems(text) == []
    assert len(cpf_digits(text)) == 11


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        pytest.param("", "the CPF is empty; give its 11 digits, with or without dots and dash", id="empty"),
        pytest.param(
            "529.982.247-26",
            "the CPF ***.982.247-** has wrong check digits; compare all 11 digits with the person's document",
            id="last check digit",
        ),
        pytest.param(
            "529.982.247-15",
            "the CPF ***.982.247-** has wrong check digits; compare all 11 digits with the person's document",
            id="first check digit",
        ),
        pytest.param(
            "111.111.111-11",
            "the CPF ***.111.111-** is one digit repeated, which nobody has; give the instalador's real CPF",
            id="repeated, though its check digits fit",
        ),
        pytest.param(
            "191",
            "the CPF has 3 digits instead of 11 (an inventory drops zeros at the start: put the number in quotes); "
            "give all 11, with or without dots and dash",
            id="a number that lost its zeros",
        ),
        pytest.param("529982247250", "the CPF has 12 digits instead of 11; give all 11, with or without dots and dash", id="too long"),
        pytest.param(
            "529.982.247-2X",
            "the CPF ***.982.247-** has characters that are not digits; give its 11 digits, with or without dots and dash",
            id="a letter",
        ),
        pytest.param(
            "٥29.982.247-25",
            "the CPF ***.982.247-** has characters that are not digits; give its 11 digits, with or without dots and dash",
            id="a digit of another script",
        ),
    ],
)
def test_cpf_is_refused(text: str, problem: str) -> None:
    assert cpf_problems(text) == [problem]


def test_a_shown_cpf_identifies_nobody() -> None:
    assert cpf_masked(CPF) == "***.982.247-**"
    assert cpf_masked("12") == "of 2 characters"


@pytest.mark.parametrize(
    ("password", "problems"),
    [
        pytest.param("Segredo-2026", [], id="good"),
        pytest.param("a2345678", [], id="shortest"),
        pytest.param("a2345678901234567890", [], id="longest"),
        pytest.param("é2345678", [], id="an accented letter is a letter"),
        pytest.param("a2dos4567", [], id="a particle of the name is no personal data"),
        pytest.param("a234567", ["the instalador's password has 7 characters; PEC accepts 8 to 20"], id="too short"),
        pytest.param("a23456789012345678901", ["the instalador's password has 21 characters; PEC accepts 8 to 20"], id="too long"),
        pytest.param("12345678", ["the instalador's password has no letter; PEC requires at least one"], id="no letter"),
        pytest.param("abcdefgh", ["the instalador's password has no digit; PEC requires at least one"], id="no digit"),
        pytest.param(
            "joao2026",
            ["the instalador's password contains a part of the instalador's name; PEC rejects personal data"],
            id="the first name, without its accent",
        ),
        pytest.param(
            "xCONCEICAO9",
            ["the instalador's password contains a part of the instalador's name; PEC rejects personal data"],
            id="a surname in capitals",
        ),
        pytest.param(
            "a982247x",
            ["the instalador's password contains digits of the instalador's CPF in a row; PEC rejects personal data"],
            id="the middle of the CPF",
        ),
        pytest.param(
            "",
            ["the instalador's password is empty"],
            id="empty",
        ),
    ],
)
def test_password_of_the_instalador(password: str, problems: list[str]) -> None:
    found = instalador_password_problems(password, NAME, CPF)
    assert found == problems
    assert not password or not any(password in problem for problem in found), "a password is never repeated"


def test_an_unknown_person_adds_no_rule() -> None:
    assert instalador_password_problems("Segredo-2026", "", "") == []


@pytest.mark.parametrize(
    "text",
    ["esus.municipio.uf.gov.br", "ESUS.Municipio.UF.gov.br", "a.b", "pec-2.example.org", "xn--so-joo-cxa.example.org", "3.example.org"],
)
def test_domain_is_accepted(text: str) -> None:
    assert domain_problems(text) == []


@pytest.mark.parametrize(
    ("text", "problems", "instead"),
    [
        pytest.param("https://esus.a.br", "it starts with the scheme 'https://'", "esus.a.br", id="scheme"),
        pytest.param("esus.a.br:8443", "it has the port ':8443'", "esus.a.br", id="port"),
        pytest.param("esus.a.br/", "it has the path '/'", "esus.a.br", id="slash at the end"),
        pytest.param("esus.a.br/esus?x", "it has the path '/esus?x'", "esus.a.br", id="path"),
        pytest.param(
            "http://esus.a.br:8080/x",
            "it starts with the scheme 'http://'; it has the path '/x'; it has the port ':8080'",
            "esus.a.br",
            id="everything at once",
        ),
        pytest.param("admin@esus.a.br", "it has a user name before '@'", "esus.a.br", id="user"),
        pytest.param(" esus.a.br", "it has spaces around it", "esus.a.br", id="blank"),
        pytest.param("esus.a.br.", "it ends in a dot", "esus.a.br", id="dot at the end"),
        pytest.param("192.0.2.7", "it is an IP address, for which no public certificate is issued", EXAMPLE, id="IPv4"),
        pytest.param("2001:db8::7", "it is an IP address, for which no public certificate is issued", EXAMPLE, id="IPv6"),
        pytest.param(
            "http://[2001:db8::7]:80",
            "it starts with the scheme 'http://'; it has the port ':80'; it is an IP address, for which no public certificate is issued",
            EXAMPLE,
            id="IPv6 in an address",
        ),
        pytest.param("192.0.2.300", "it is an IP address, for which no public certificate is issued", EXAMPLE, id="a wrong IPv4"),
        pytest.param("localhost", "it is a single word; a public name has at least one dot", EXAMPLE, id="one word"),
        pytest.param(
            "são-joão.a.br",
            "it has letters beyond a-z (a name with accents is written in its 'xn--' form)",
            EXAMPLE,
            id="accents",
        ),
        pytest.param(
            "*.a.br",
            "a part between dots is empty or has characters other than letters, digits and inner dashes",
            EXAMPLE,
            id="wildcard",
        ),
        pytest.param(
            "esus..br",
            "a part between dots is empty or has characters other than letters, digits and inner dashes",
            EXAMPLE,
            id="empty part",
        ),
        pytest.param(
            "a" * 64 + ".br", "it is longer than 253 characters, or a part between dots longer than 63", EXAMPLE, id="a part too long"
        ),
        pytest.param("https://", "it starts with the scheme 'https://'; it contains no name", EXAMPLE, id="scheme only"),
    ],
)
def test_domain_is_refused(text: str, problems: str, instead: str) -> None:
    assert domain_problems(text) == [f"the domain {text!r} is not a plain domain name: {problems}; write {instead}"]


def test_an_empty_domain_is_refused() -> None:
    assert domain_problems(" ") == ["the domain is empty; give the name under which people open PEC, such as esus.municipio.uf.gov.br"]


def test_links() -> None:
    assert link_problems("https://esus.a.br") == link_problems("http://10.0.0.2:8080") == []
    problem = "the link 'esus.a.br' is not an address; it starts with https:// or http://"
    assert link_problems("esus.a.br") == [problem]
    for text in ("https://", "https://:443", "http://esus.a.br:x", "http://esus.a.br:0", "https://[::1", "https://a b", "https://a\n"):
        assert "after // it has a name" in link_problems(text)[0]


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("11.222.333/0001-81", id="as on the document"),
        pytest.param(" 11222333000181 ", id="digits only"),
        pytest.param("12.ABC.345/01DE-35", id="with letters, the example of the Receita Federal"),
        pytest.param("12abc34501de35", id="small letters"),
        pytest.param("00.000.000/0001-91", id="zeros at the start"),
        pytest.param("33.000.167/0001-01", id="check digits with a zero"),
    ],
)
def test_cnpj_is_accepted(text: str) -> None:
    assert cnpj_problems(text) == []
    assert len(cnpj_plain(text)) == 14


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        pytest.param("", "the CNPJ is empty", id="empty"),
        pytest.param("1222333000181", "has 13 characters instead of 14 (an inventory drops zeros at the start", id="number"),
        pytest.param("11.222.333/0001-811", "has 15 characters instead of 14; give all of them", id="too long"),
        pytest.param("11.222.333/0001-82", "the CNPJ 11.222.333/0001-82 has wrong check digits", id="typo"),
        pytest.param("12ABC34501DE36", "the CNPJ 12.ABC.345/01DE-36 has wrong check digits", id="typo with letters"),
        pytest.param("12ABC34501DEA5", "is not written as one: 12 digits or letters, then 2 check digits", id="letter at the end"),
        pytest.param("12ABÇ34501DE35", "is not written as one", id="letter with a tail"),
        pytest.param("00000000000000", "is one digit repeated", id="zeros"),
    ],
)
def test_cnpj_is_refused(text: str, problem: str) -> None:
    found = cnpj_problems(text)
    assert len(found) == 1 and problem in found[0], found


def test_cnpj_formatted() -> None:
    assert cnpj_formatted("12abc34501de35") == "12.ABC.345/01DE-35"
    assert cnpj_formatted("123") == "123"


@pytest.mark.parametrize("code", ["2927408", "3550308", "5300108", "1100015", "2201919", "4305871"])
def test_a_code_of_the_ibge(code: str) -> None:
    assert ibge_problems(code) == []


@pytest.mark.parametrize(
    ("code", "says"),
    [
        ("", "which has 7 digits"),
        ("292740", "the last one, a check digit, is missing"),
        ("2927407", "wrong check digit"),
        ("2972408", "wrong check digit"),
        ("29274O8", "which has 7 digits"),
    ],
)
def test_what_is_no_code_of_the_ibge(code: str, says: str) -> None:
    (problem,) = ibge_problems(code)
    assert says in problem
