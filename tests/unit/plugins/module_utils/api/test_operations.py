# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.esus.pec.plugins.module_utils.api import catalogue
from ansible_collections.esus.pec.plugins.module_utils.api.operations import Catalogue, Operation, Row
from ansible_collections.esus.pec.plugins.module_utils.errors import PecError

EVERYTHING = dict.fromkeys(("name", "link", "type", "password", "instalador_name", "cpf", "username", "force", "id", "token"), "x")


def test_every_entry_says_how_well_it_is_known() -> None:
    for name, entry in catalogue.OPERATIONS.items():
        assert entry["evidence"] in ("C", "S", "I", "?") and entry["source"], name
    for name, setting in catalogue.SETTINGS.items():
        assert setting["screen"], name
        for part in ("read", "write", "disable"):
            marks = setting.get(part, {"evidence": "C"})
            assert marks["evidence"] in ("C", "S", "I", "?"), (name, part)


def test_every_operation_has_values_for_its_placeholders() -> None:
    known = Catalogue()
    for operation in known.operations.values():
        operation.filled({**EVERYTHING, "new_password": "x"})
    for setting in known.settings.values():
        values = {**dict.fromkeys(setting.fields), "contra_chave": "x"}
        for writer in (setting.write, setting.disable):
            if isinstance(writer, Operation):
                assert writer.kind == "mutation"
                writer.filled(values)
        if isinstance(setting.read.source, Operation):
            assert setting.read.source.kind == "query"


@pytest.mark.parametrize(
    ("operation", "document", "skipped", "other"),
    [
        pytest.param(
            Operation("mutation", "alterar", arguments={"input": "Tipo!", "b": "[Int!]"}),
            "mutation Alterar($input: Tipo!, $b: [Int!]) { alterar(input: $input, b: $b) }",
            "mutation Alterar($input: Tipo!, $b: [Int!]) { alterar(input: $input, b: $b) @skip(if: true) }",
            "mutation Alterar($input: Tipo!, $b: [Int!]) { alterar(input: $input, b: $b) { __typename } }",
            id="a plain value",
        ),
        pytest.param(
            Operation("query", "info", "Configuracoes", selection="id nome { a }"),
            "query Configuracoes { info { id nome { a } } }",
            "query Configuracoes { info @skip(if: true) { id nome { a } } }",
            "query Configuracoes { info }",
            id="an object",
        ),
    ],
)
def test_documents(operation: Operation, document: str, skipped: str, other: str) -> None:
    """As it is sent, as it is only validated, and for a result that is an object where it was believed a plain value, or the reverse."""
    assert (operation.document, operation.unexecuted, operation.with_other_selection().document) == (document, skipped, other)


def test_placeholders() -> None:
    operation = Operation("mutation", "alterar", variables={"input": {"a": "$x", "b": ["$y", 1], "c": None, "d": "x$y"}})
    assert operation.filled({"x": True, "y": "z"}) == {"input": {"a": True, "b": ["z", 1], "c": None, "d": "x$y"}}
    with pytest.raises(PecError, match=r"^Alterar needs a value for \$y; the known values are x$"):
        operation.filled({"x": 1})
    assert Operation("mutation", "alterar").filled({}) == {}


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        *(
            ({"root": root}, "is not the name of a GraphQL field")
            for root in ("", "a b", "mutation A { a }", "b: a", "a(x: 1)", None, 5, "ç")
        ),
        *(({"name": name}, "is not the name of a GraphQL operation") for name in ("a b", "A { a } mutation B", 5)),
        *(
            ({"arguments": arguments}, "are not names with GraphQL types")
            for arguments in ("input", {"input": None}, {"a b": "Int"}, {"a": "Int) { b"}, {5: "Int"})
        ),
        *(
            ({"selection": selection}, "is not a list of GraphQL fields")
            for selection in ("id } b { c", "a {", "a }", "a(x: 1)", "...F", "a @skip(if: false)", None, 5)
        ),
    ],
)
def test_what_is_no_operation_of_one_field(parts: dict[str, Any], said: str) -> None:
    """In particular, nothing that could begin another field, which would be executed while this one is only validated."""
    with pytest.raises(PecError, match=said):
        Operation(**{"kind": "mutation", "root": "alterar", **parts})


def test_a_correction_takes_the_place_of_a_part() -> None:
    write = {"mutation": "alterar", "arguments": {"input": "Tipo!"}, "variables": {"input": {"ativo": "$enabled"}}}
    setting = Catalogue({"cadsus": {"write": write, "screen": "Outra tela"}}).settings["cadsus"]
    assert isinstance(setting.write, Operation)
    assert (setting.write.root, setting.write.evidence, setting.screen) == ("alterar", "site", "Outra tela")
    assert setting.disable == setting.write, "the old way to switch it off goes with the old way to switch it on"
    assert setting.read.evidence == "I"


def test_corrections_of_other_parts() -> None:
    known = Catalogue(
        {
            "login": {"mutation": "entrar", "selection": ""},
            "horus": {"read": {"info": {"enabled": "horusEnabled"}}},
            "link_instalacao": {"write": {"mutation": "alterar", "arguments": {"link": "String"}, "variables": {"link": "$value"}}},
        }
    )
    assert known.operations["login"].document == "mutation Entrar($input: LoginInput!) { entrar(input: $input) }"
    assert known.operations["login"].once
    assert known.operations["login"].variables == catalogue.OPERATIONS["login"]["variables"]
    assert (known.settings["horus"].read.source, known.settings["horus"].read.evidence) == ("info", "site")
    assert not isinstance(known.settings["link_instalacao"].write, Row)


@pytest.mark.parametrize(
    ("correction", "said"),
    [
        pytest.param({"cadsuss": {}}, "cadsuss is not in the catalogue; it has agenda_online, ", id="no such entry"),
        pytest.param({"cadsus": "x"}, "cadsus is corrected by str; give a mapping", id="no mapping"),
        pytest.param({"cadsus": {"wirte": {}}}, "cadsus takes only advises, disable, read, requires, ", id="no such part"),
        pytest.param({"cadsus": {"fields": {}}}, "cadsus takes only advises, disable, read, requires, ", id="other fields"),
        pytest.param({"cadsus": {"requires": "internet"}}, "cadsus.requires is a list of internet, https, ", id="no list"),
        pytest.param({"cadsus": {"advises": ["luck"]}}, "cadsus.advises is a list of internet, https, ", id="no such prerequisite"),
        pytest.param({"cadsus": {"write": {"row": 5}}}, "cadsus.write names the row 5, which", id="no row"),
        pytest.param(
            {"cadsus": {"read": {"mutation": "a", "values": {"enabled": "x"}}}},
            "cadsus.read takes only arguments, ",
            id="a reading that writes",
        ),
        pytest.param({"logout": {"query": "a"}}, "logout takes only arguments, evidence, mutation, name, ", id="the wrong kind"),
        pytest.param({"cadsus": {"write": {"mutation": "x {"}}}, "cadsus.write: 'x {' is not the name of a GraphQL field", id="no name"),
        pytest.param({"cadsus": {"write": {}}}, "cadsus.write has no mutation; give the name", id="an empty part"),
        pytest.param(
            {"cadsus": {"write": {"query": "x"}}}, "cadsus.write takes only arguments, evidence, mutation, name, row, ", id="no such key"
        ),
        pytest.param({"cadsus": {"read": {}}}, "cadsus.read is read in one way: give info, sql, or query with ", id="no way"),
        pytest.param(
            {"cadsus": {"read": {"info": {"enabled": "a"}, "sql": {"enabled": "b"}}}}, "cadsus.read is read in one way", id="two ways"
        ),
        pytest.param(
            {"cadsus": {"read": {"sql": {"enabled": "select ds_inteiro from tb_config_sistema"}}}},
            "cadsus.read.sql.enabled is a query that names each table as public.TABLE",
            id="a table that is not found",
        ),
        pytest.param(
            {"cadsus": {"read": {"info": {"on": "a"}}}},
            "cadsus.read needs the place of each of its fields; cadsus has enabled",
            id="no such field",
        ),
        pytest.param(
            {"cadsus": {"write": {"row": ["CADSUSHABILITADO", "ds_inteiro"]}}},
            "cadsus.write names the row ['CADSUSHABILITADO', 'ds_inteiro'], which this collection never writes",
            id="another row",
        ),
        pytest.param({"login": {"variablse": {}}}, "login takes only arguments, evidence, mutation, name, once, ", id="of an operation"),
    ],
)
def test_corrections_that_make_no_sense(correction: dict[str, Any], said: str) -> None:
    with pytest.raises(PecError) as caught:
        Catalogue({**correction, "horus": 5})
    lines = str(caught.value).splitlines()
    assert lines[0] == "the corrections of PEC's operations (pec_api_operations) make no sense:"
    assert len(lines) == 3 and any(line.startswith(said) for line in lines[1:]), lines


def test_only_three_cells_are_ever_written() -> None:
    rows = [each for setting in Catalogue().settings.values() for each in (setting.write, setting.disable) if isinstance(each, Row)]
    assert {(row.key, row.column) for row in rows} == {
        ("NOMEINSTALACAO", "ds_texto"),
        ("LINKINSTALACAO", "ds_texto"),
        ("TREINAMENTO", "ds_inteiro"),
    }
