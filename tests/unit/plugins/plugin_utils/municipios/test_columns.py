# SPDX-License-Identifier: GPL-3.0-or-later
"""The names of columns: what is understood, what is not, and where secrets are refused."""

from __future__ import annotations

import pytest

from ansible_collections.esus.pec.plugins.plugin_utils.municipios.columns import (
    FIELDS,
    SECRETS,
    Column,
    columns_of,
    is_variable,
    looks_secret,
    mapping_problems,
)
from ansible_collections.esus.pec.plugins.plugin_utils.municipios.ibge import folded
from ansible_collections.esus.pec.plugins.plugin_utils.municipios.sheet import Cell, Faults, Sheet


def understood(
    headers: list[str], mapping: dict[str, str] | None = None, ignored: list[str] | None = None
) -> tuple[list[Column], list[str]]:
    faults = Faults()
    sheet = Sheet("a.csv", {number: Cell(text, 1) for number, text in enumerate(headers)})
    sheet.rows = [{number: Cell("x", 2) for number in sheet.headers}]
    found = columns_of(sheet, mapping or {}, ignored or [], faults)
    return list(found.values()), [text for _sheet, _line, text in faults.texts]


@pytest.mark.parametrize(("field", "header"), [(field, header) for field, known in FIELDS.items() for header in known.headers])
@pytest.mark.parametrize("spelled", [str, str.upper, folded])
def test_every_name_of_a_field(field: str, header: str, spelled: type[str]) -> None:
    (column,), faults = understood([spelled(header)])
    assert (column.field, column.vault, faults) == (field, False, [])


def test_no_name_is_of_two_fields() -> None:
    names = [folded(header) for known in FIELDS.values() for header in known.headers]
    assert len(names) == len(set(names))


@pytest.mark.parametrize(("variable", "header"), [(variable, header) for variable, headers in SECRETS.items() for header in headers])
@pytest.mark.parametrize("mark", ["(variável do vault)", "(Variavel do Vault)", "(vault)", "(nome da variável do vault)"])
def test_a_secret_is_named(variable: str, header: str, mark: str) -> None:
    assert understood([f"{header} {mark}"]) == ([Column(f"{header} {mark}", variable=variable, vault=True)], [])


@pytest.mark.parametrize("header", ["Senha", "senha do banco", "Password", "Token da API", "Contra-chave", "Segredo", "Nova senha (texto)"])
@pytest.mark.parametrize("ways", [{}, {"mapping": True}, {"ignored": True}])
def test_a_secret_is_never_in_a_sheet(header: str, ways: dict[str, bool]) -> None:
    columns, faults = understood([header], {header: "anything"} if "mapping" in ways else {}, [header] if "ignored" in ways else [])
    assert columns == [] and [text.partition(";")[0] for text in faults] == [
        f"a.csv, line 1, column {header!r}: a secret is never in a sheet"
    ]


def test_what_is_not_known() -> None:
    columns, faults = understood(["Dominoi", "Observações", "Token (variável do vault)", "", "UF", "Estado"])
    assert [column.field for column in columns] == ["uf", "uf"]
    assert faults == [
        "a.csv, line 1, column 'Dominoi': this column is not known; did you mean 'Domínio'? Otherwise map it under columns, "
        "or list it under ignored_columns",
        "a.csv, line 1, column 'Observações': this column is not known; map it under columns, or list it under ignored_columns",
        "a.csv, line 1, column 'Token (variável do vault)': no variable is known for this secret; name it under columns",
        "a.csv, line 1: column 4 has values and no name; name or empty it",
        "a.csv, line 1, column 'Estado': it means the same as the column 'UF'; remove or rename one",
    ]


def test_what_is_mapped_and_ignored() -> None:
    mapping = {"localidade": "municipio", "Telefone": "contact_phone", "Token (variável do vault)": "api_token"}
    assert understood(["Localidade", "TELEFONE", "Token (Variavel do vault)", "Observacoes"], mapping, ["Observações"]) == (
        [
            Column("Localidade", field="municipio"),
            Column("TELEFONE", variable="contact_phone"),
            Column("Token (Variavel do vault)", variable="api_token", vault=True),
        ],
        [],
    )


@pytest.mark.parametrize(
    ("mapping", "problems"),
    [
        ({"A": "municipio", "B": "contact_phone", "Senha X (vault)": "vpn_password"}, []),
        ({"A": "not a name"}, ["columns maps 'A' to 'not a name', which is neither a field nor the name of a variable"]),
        ({"A": "hostvars"}, ["columns maps 'A' to 'hostvars', which is neither a field nor the name of a variable"]),
        ({"A": "pec_domain"}, ["columns maps 'A' to 'pec_domain', which the field 'domain' sets after checking it; write that field"]),
        ({"A": "pec_region"}, ["columns maps 'A' to 'pec_region', which the field 'uf' sets after checking it; write that field"]),
        (
            {"A": "vpn_password"},
            ["columns maps 'A' to 'vpn_password', a secret; end the column's name, in the sheet too, with '(variável do vault)'"],
        ),
        ({"A (vault)": "uf"}, ["columns maps 'A (vault)' to the field 'uf', which is no secret; map it to a variable"]),
    ],
)
def test_the_mapping_itself(mapping: dict[str, str], problems: list[str]) -> None:
    assert mapping_problems(mapping) == problems


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("vault_senha", True),
        ("_x1", True),
        ("x y", False),
        ("x-y", False),
        ("1x", False),
        ("", False),
        ("vault_x['y']", False),
        ("vault_x }}{{ y", False),
        ("vault_x\n", False),
        ("senhá", False),
        ("class", False),
        ("true", False),
        ("None", False),
        ("hostvars", False),
        ("__class__", False),
    ],
)
def test_what_a_variable_is(text: str, result: bool) -> None:
    assert is_variable(text) is result


def test_the_table_names_no_secret_as_a_plain_field() -> None:
    assert [field for field, known in FIELDS.items() if any(map(looks_secret, (known.variable, *known.headers)))] == []
    assert [variable for variable in SECRETS if not looks_secret(variable)] == []
