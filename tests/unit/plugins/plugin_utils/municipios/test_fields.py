# SPDX-License-Identifier: GPL-3.0-or-later
"""Each check: what is accepted and as what, and what is refused."""

from __future__ import annotations

import datetime

import pytest

from ansible_collections.esus.pec.plugins.plugin_utils.municipios.columns import FIELDS
from ansible_collections.esus.pec.plugins.plugin_utils.municipios.fields import CHECKS, FieldError
from ansible_collections.esus.pec.plugins.plugin_utils.municipios.sheet import cell


def test_every_field_has_a_check() -> None:
    assert list(CHECKS) == list(FIELDS)


@pytest.mark.parametrize(
    ("field", "value", "result"),
    [
        ("ibge_code", "2927408", "2927408"),
        ("ibge_code", 2927408, "2927408"),
        ("ibge_code", 2927408.0, "2927408"),
        ("ibge_code", "2927408.0", "2927408"),
        ("ibge_code", "2927408,00", "2927408"),
        # The nine whose own check digit does not fit.
        *(
            ("ibge_code", code, code)
            for code in ["2201919", "2201988", "2202251", "2611533", "3117836", "3152131", "4305871", "5203939", "5203962"]
        ),
        ("uf", " ms ", "MS"),
        ("uf", "Bahia", "BA"),
        ("cnpj", "11.222.333/0001-81", "11.222.333/0001-81"),
        ("cnpj", "11222333000181", "11.222.333/0001-81"),
        ("cnpj", 11222333000181.0, "11.222.333/0001-81"),
        ("cnpj", "12abc34501de35", "12.ABC.345/01DE-35"),
        ("cnpj", "00.000.000/0001-91", "00.000.000/0001-91"),
        ("cnpj", 3658507000125, "03.658.507/0001-25"),
        ("cpf", "529.982.247-25", "52998224725"),
        ("cpf", 52998224725, "52998224725"),
        ("cpf", 1234567890.0, "01234567890"),
        ("domain", "PEC.Agua-Clara.ms.gov.br", "pec.agua-clara.ms.gov.br"),
        ("host", "PEC-01", "pec-01"),
        ("ipv4", "203.0.113.7", "203.0.113.7"),
        ("ipv4", "10.0.0.7", "10.0.0.7"),
        ("version", "5.4.37", "5.4.37"),
        ("version", "v5.4.37", "5.4.37"),
        ("users", 40.0, 40),
        ("users", "40", 40),
        ("wave", 1.0, "1"),
        ("wave", "01", "1"),
        ("wave", "Onda 2", "2"),
        ("wave", "Piloto", "Piloto"),
        ("state", "Em produção", "Em produção"),
        ("window", "sáb 22:00 às 04:00", "sáb 22:00 às 04:00"),
        ("window", datetime.datetime(2026, 12, 5, 22, 0), "2026-12-05 22:00"),
        ("window", datetime.datetime(2026, 12, 5), "2026-12-05"),
        ("window", datetime.date(2026, 12, 5), "2026-12-05"),
        ("window", datetime.time(22, 30), "22:30"),
        ("responsible", "{{ lookup('pipe', 'id') }}", "{{ lookup('pipe', 'id') }}"),
    ],
)
def test_what_is_accepted(field: str, value: object, result: object) -> None:
    assert CHECKS[field](cell(value, 2)) == result


@pytest.mark.parametrize(
    ("field", "value", "error"),
    [
        ("ibge_code", "292740", "'292740' lacks the last of 7 digits; Salvador, BA has the code 2927408"),
        ("ibge_code", "2927409", "the IBGE code 2927409 has a wrong check digit; compare it with the list of the IBGE"),
        ("ibge_code", "9999996", "no município has the IBGE code 9999996; compare it with the list of the IBGE"),
        ("ibge_code", "29274", "'29274' is not a município's code of the IBGE, which has 7 digits"),
        (
            "ibge_code",
            "2,92741E+06",
            "'2,92741E+06' is a shortened number: a spreadsheet changed it; format the column as text and type it again",
        ),
        ("uf", "XX", "'XX' is not a UF of Brazil; write two letters, such as MS"),
        ("cnpj", "11222333000182", "the CNPJ 11.222.333/0001-82 has wrong check digits; compare all of it with the document"),
        (
            "cnpj",
            "1,12223E+13",
            "'1,12223E+13' is a shortened number: a spreadsheet changed it; format the column as text and type it again",
        ),
        (
            "cnpj",
            3658507000126,
            "the CNPJ 3658507000126 has 13 characters instead of 14 (an inventory drops zeros at the start: put the number in quotes); "
            "give all of them",
        ),
        ("cpf", "529.982.247-26", "the CPF ***.982.247-** has wrong check digits; compare all 11 digits with the person's document"),
        (
            "domain",
            "https://pec.ms.gov.br/esus",
            "the domain 'https://pec.ms.gov.br/esus' is not a plain domain name: it starts with the scheme 'https://'; it has the path "
            "'/esus'; write pec.ms.gov.br",
        ),
        ("host", "localhost", "'localhost' cannot name a server; use letters, digits, dots and inner dashes, not all or localhost"),
        ("host", "pec_uf_ms", "'pec_uf_ms' cannot name a server; use letters, digits, dots and inner dashes, not all or localhost"),
        ("ipv4", "203.0.113.300", "'203.0.113.300' is not an IPv4 address; write four numbers, such as 203.0.113.7"),
        ("ipv4", "2001:db8::1", "'2001:db8::1' is not an IPv4 address; write four numbers, such as 203.0.113.7"),
        (
            "ipv4",
            192168100101,
            "'192168100101' is not an IPv4 address: a spreadsheet changed it; format the column as text and type it again",
        ),
        ("ipv4", "127.0.0.1", "127.0.0.1 is not the address of a server that others reach; write the one that Ansible connects to"),
        ("ipv4", "0.0.0.0", "0.0.0.0 is not the address of a server that others reach; write the one that Ansible connects to"),
        (
            "ipv4",
            "255.255.255.255",
            "255.255.255.255 is not the address of a server that others reach; write the one that Ansible connects to",
        ),
        ("version", "5.4", "'5.4' is not a version of PEC; write three numbers, such as 5.4.37"),
        ("version", 5.4, "'5.4' is not a version of PEC: a spreadsheet changed it; format the column as text and type it again"),
        (
            "version",
            datetime.datetime(1937, 4, 5),
            "'1937-04-05' is a date: a spreadsheet changed it; format the column as text and type it again",
        ),
        ("users", "muitos", "'muitos' is not a number of users; write a whole number from 1 on"),
        ("users", "0", "'0' is not a number of users; write a whole number from 1 on"),
        ("users", 40.5, "'40.5' is not a number of users; write a whole number from 1 on"),
        (
            "wave",
            datetime.datetime(2026, 1, 2),
            "'2026-01-02' is a date: a spreadsheet changed it; format the column as text and type it again",
        ),
        ("state", "★", "'★' cannot name a group; write up to 60 characters with a letter or digit in them"),
        ("state", "a" * 61, f"'{'a' * 57}...' cannot name a group; write up to 60 characters with a letter or digit in them"),
    ],
)
def test_what_is_refused(field: str, value: object, error: str) -> None:
    with pytest.raises(FieldError) as raised:
        CHECKS[field](cell(value, 2))
    assert str(raised.value) == error


@pytest.mark.parametrize("value", ["host.", "-a", "a b", "a/b", "all", "ungrouped", "a" * 300, "{{ x }}", ""])
def test_a_host_name_is_a_name(value: str) -> None:
    with pytest.raises(FieldError):
        CHECKS["host"](cell(value, 2))
