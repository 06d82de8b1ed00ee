# SPDX-License-Identifier: GPL-3.0-or-later
"""Lines that become servers: names, groups, variables, and everything that is wrong with them at once."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.esus.pec.plugins.plugin_utils.municipios.reading import Format, read_sheets
from ansible_collections.esus.pec.plugins.plugin_utils.municipios.servers import Rules, Server, servers_of
from ansible_collections.esus.pec.plugins.plugin_utils.municipios.sheet import Faults

HEAD = "Município;UF;Código IBGE;Servidor;Domínio;IPv4\n"


def made(text: str, **changes: Any) -> tuple[list[Server], list[str]]:
    faults = Faults()
    rules = Rules(**{"columns": {}, "ignored": [], "vault_prefix": "vault_", "group": "pec", **changes})
    found = servers_of(read_sheets(text.encode(), "a.csv", Format(), faults, str), rules, faults)
    return found, [each for _sheet, _line, each in faults.texts]


def one(text: str, **changes: Any) -> Server:
    (found,), faults = made(text, **changes)
    assert faults == []
    return found


def faults_of(lines: str, **changes: Any) -> list[str]:
    return made(HEAD + lines, **changes)[1]


def test_a_whole_line() -> None:
    head = "Município;UF;Domínio;IPv4;CNPJ;Versão;Onda;Janela;Situação;Responsável;CPF;Usuários;Telefone;Senha (variável do vault)\n"
    line = (
        "agua clara;ms;PEC.agua-clara.example;203.0.113.7;11222333000181;5.4.37;1;sáb 22h;Em Produção;Zé;52998224725;40;5555;vault_senha\n"
    )
    server = one(head + line, columns={"Telefone": "contact_phone"})
    assert server == Server(
        "pec.agua-clara.example",
        {
            "pec_municipio": "Água Clara",
            "pec_uf": "MS",
            "pec_region": "Centro-Oeste",
            "pec_ibge_code": "5000203",
            "pec_domain": "pec.agua-clara.example",
            "ansible_host": "203.0.113.7",
            "pec_cnpj": "11.222.333/0001-81",
            "pec_version": "5.4.37",
            "pec_wave": "1",
            "pec_window": "sáb 22h",
            "pec_state": "Em Produção",
            "pec_responsible": "Zé",
            "pec_instalador_cpf": "52998224725",
            "pec_simultaneous_users": 40,
            "contact_phone": "5555",
        },
        {"pec_instalador_password": "vault_senha"},
    )
    groups = ["region_centro_oeste", "state_em_producao", "uf_ms", "version_5_4_37", "wave_1"]
    assert server.groups("pec_") == [f"pec_{group}" for group in groups]
    assert server.groups("") == groups


@pytest.mark.parametrize(
    ("line", "name"),
    [
        ("Água Clara;MS;;srv-01;pec.example.org;203.0.113.7", "srv-01"),
        ("Água Clara;MS;;;pec.example.org;203.0.113.7", "pec.example.org"),
        ("Água Clara;MS;;;;203.0.113.7", "agua-clara-ms"),
        (";;1100015;;;203.0.113.7", "alta-floresta-d-oeste-ro"),
        (";;2927408;;pec.example.org;", "pec.example.org"),
        ("SALVADOR;;2927408;;pec.example.org;", "pec.example.org"),
        ("salvador;bahia;2927408.0;;pec.example.org;", "pec.example.org"),
    ],
)
def test_the_name_of_a_host(line: str, name: str) -> None:
    assert one(HEAD + line).name == name


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        (
            "Salvador;MS;2927408;;a.example;",
            "a.csv, line 2, column 'Código IBGE': the IBGE code 2927408 is Salvador, BA, and the line has the UF MS; correct one",
        ),
        (
            "Itabuna;BA;2927408;;a.example;",
            "a.csv, line 2, column 'Código IBGE': the IBGE code 2927408 is Salvador, BA, and the line has the name 'Itabuna' "
            "(Itabuna, BA has the code 2914802); correct one",
        ),
        (
            "Agua Crara;MS;;;a.example;",
            "a.csv, line 2, column 'Município': no município of MS has the name 'Agua Crara'; did you mean Água Clara, MS (5000203)?",
        ),
        (
            "Xyzzy;MS;;;a.example;",
            "a.csv, line 2, column 'Município': no município of MS has the name 'Xyzzy'; compare it with the list of the IBGE",
        ),
        (
            "Salvador;;;;a.example;",
            "a.csv, line 2, column 'Município': 'Salvador' has neither a UF nor an IBGE code; give one, because names are not "
            "unique in Brazil",
        ),
        (";MS;;;a.example;", "a.csv, line 2, column 'Município': neither a name nor an IBGE code; give the município"),
        ("Salvador;BA;;;;", "a.csv, line 2: no server: give its domain, its name or its IPv4 address"),
        ("Salvador;BA;;pec;a.example;", "a.csv, line 2, column 'Servidor': the server has the name of the group pec; give it another"),
        ("Salvador;XX;;;a.example;", "a.csv, line 2, column 'UF': 'XX' is not a UF of Brazil; write two letters, such as MS"),
        (
            "Salvador;BA;;;a.example;\x07",
            "a.csv, line 2, column 'IPv4': it has control characters or more than 1000 characters; type it again",
        ),
        (
            f"Salvador;BA;;;a.example;{'1' * 1001}",
            "a.csv, line 2, column 'IPv4': it has control characters or more than 1000 characters; type it again",
        ),
    ],
)
def test_one_fault(line: str, fault: str) -> None:
    assert faults_of(line) == [fault]


def test_every_fault_at_once() -> None:
    lines = "Xyzzy;BA;;;a.example;1.2.3\nSalvador;XX;;;https://b.example;\nItabuna;BA;2914803;;c.example;203.0.113.9\n"
    assert [text.partition(": ")[0] for text in faults_of(lines)] == [
        "a.csv, line 2, column 'IPv4'",
        "a.csv, line 2, column 'Município'",
        "a.csv, line 3, column 'UF'",
        "a.csv, line 3, column 'Domínio'",
        "a.csv, line 4, column 'Código IBGE'",
    ]


@pytest.mark.parametrize(
    ("second", "column", "what"),
    [
        ("Salvador;BA;2927408;srv-02;b.example;", "Código IBGE", "IBGE code 2927408"),
        ("salvador;ba;;srv-02;b.example;", "Código IBGE", "IBGE code 2927408"),
        ("Itabuna;BA;;srv-02;A.example;", "Domínio", "domain a.example"),
        ("Itabuna;BA;;SRV-01;b.example;", "Servidor", "host name srv-01"),
    ],
)
def test_duplicates(second: str, column: str, what: str) -> None:
    assert faults_of(f"Salvador;BA;;srv-01;a.example;\n\n{second}\n") == [
        f"a.csv, line 4, column {column!r}: the {what} is also in a.csv, line 2; each server needs its own"
    ]


def test_a_server_named_like_anothers_domain_is_a_duplicate() -> None:
    found = faults_of("Salvador;BA;;;a.example;\nItabuna;BA;;a.example;b.example;\n")
    assert found == ["a.csv, line 3, column 'Servidor': the host name a.example is also in a.csv, line 2; each server needs its own"]


@pytest.mark.parametrize(
    "value", ["S3nh4!forte", "senha_agua", "vault_x['a']", "vault_x }} {{ lookup('pipe','id')", "{{ vault_x }}", "vault_x.y"]
)
def test_a_secret_in_the_place_of_its_name_is_refused_and_not_shown(value: str) -> None:
    _servers, faults = made(f"Município;UF;Domínio;Senha (variável do vault)\nSalvador;BA;a.example;{value}\n")
    assert faults == [
        "a.csv, line 2, column 'Senha (variável do vault)': it is not the name of a variable that begins with vault_; put the secret "
        "into a vault and write its variable's name here"
    ]


def test_the_prefix_of_vault_variables_can_be_another() -> None:
    text = "Município;UF;Domínio;Senha (vault)\nSalvador;BA;a.example;senha_salvador\n"
    assert one(text, vault_prefix="").vault == one(text, vault_prefix="senha_").vault == {"pec_instalador_password": "senha_salvador"}


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "a.csv: a column 'Município' or 'Código IBGE' is missing; if the columns' names are further below, set header_line"),
        (HEAD, "a.csv: it has no município; write one in each line below the columns' names"),
        (
            "UF\nMS\n",
            "a.csv, line 1: a column 'Município' or 'Código IBGE' is missing; if the columns' names are further below, set header_line",
        ),
    ],
)
def test_a_sheet_without_municipios(text: str, fault: str) -> None:
    assert made(text) == ([], [fault])
