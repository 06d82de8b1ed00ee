# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.esus.pec.plugins.module_utils.api import catalogue
from ansible_collections.esus.pec.plugins.module_utils.api.operations import Catalogue, Operation, Row
from ansible_collections.esus.pec.plugins.module_utils.errors import PecError

DOCUMENT = "mutation Alterar($input: Tipo!) { alterar(input: $input) }"
EVERYTHING = dict.fromkeys(("name", "link", "type", "password", "instalador_name", "cpf", "username", "force", "id", "token"), "x")


def test_every_entry_says_how_well_it_is_known() -> None:
    for name, entry in catalogue.OPERATIONS.items():
        assert entry["evidence"] in ("C", "S", "I", "?") and entry["source"], name
    for name, setting in catalogue.SETTINGS.items():
        assert setting["screen"], name
        for part in ("read", "write", "disable"):
            marks = setting.get(part, {"evidence": "C"})
            assert marks["evidence"] in ("C", "S", "I", "?"), (name, part)


def test_every_operation_is_written_out_and_has_values_for_its_placeholders() -> None:
    known = Catalogue()
    for operation in known.operations.values():
        operation.filled({**EVERYTHING, "new_password": "x"})
    for setting in known.settings.values():
        values = {**dict.fromkeys(setting.fields), "contra_chave": "x"}
        for writer in (setting.write, setting.disable):
            if isinstance(writer, Operation):
                assert writer.document.startswith("mutation ")
                writer.filled(values)
        if isinstance(setting.read.source, Operation):
            assert setting.read.source.document.startswith("query ")


@pytest.mark.parametrize(
    ("document", "skipped", "other"),
    [
        pytest.param(
            DOCUMENT,
            "mutation Alterar($input: Tipo!) { alterar(input: $input) @skip(if: true) }",
            "mutation Alterar($input: Tipo!) { alterar(input: $input) { __typename } }",
            id="a plain value",
        ),
        pytest.param(
            "mutation Alterar($input: Tipo!) { alterar(input: $input) { id nome } }",
            "mutation Alterar($input: Tipo!) { alterar(input: $input) @skip(if: true) { id nome } }",
            "mutation Alterar($input: Tipo!) { alterar(input: $input) }",
            id="an object",
        ),
        pytest.param(
            "mutation Desativar { desativar }",
            "mutation Desativar { desativar @skip(if: true) }",
            "mutation Desativar { desativar { __typename } }",
            id="no arguments",
        ),
        pytest.param(
            'mutation A { a(b: {c: "x", d: [f(1)]}) }',
            'mutation A { a(b: {c: "x", d: [f(1)]}) @skip(if: true) }',
            'mutation A { a(b: {c: "x", d: [f(1)]}) { __typename } }',
            id="brackets in arguments",
        ),
        pytest.param(
            'mutation A { a(b: "x) @skip(if: \\"{") }',
            'mutation A { a(b: "x) @skip(if: \\"{") @skip(if: true) }',
            'mutation A { a(b: "x) @skip(if: \\"{") { __typename } }',
            id="brackets in a string",
        ),
        pytest.param("query Q{q{a{b}}}", "query Q{q @skip(if: true){a{b}}}", "query Q{q }", id="no blanks"),
    ],
)
def test_a_question_that_is_only_checked(document: str, skipped: str, other: str) -> None:
    operation = Operation(document, once=True)
    assert operation.unexecuted() == skipped
    assert operation.with_other_selection().document == other and operation.with_other_selection().once


def test_placeholders() -> None:
    operation = Operation(DOCUMENT, {"input": {"a": "$x", "b": ["$y", 1], "c": None, "d": "x$y"}})
    assert operation.filled({"x": True, "y": "z"}) == {"input": {"a": True, "b": ["z", 1], "c": None, "d": "x$y"}}
    with pytest.raises(PecError, match=r"^Alterar wants \$y, for which there is no value; it has x$"):
        operation.filled({"x": 1})
    assert Operation(DOCUMENT).filled({}) == {}


NO_DOCUMENTS = [
    *("", "alterar", "query { info }", "{ info }", None, 5, "mutation A { ...F }", "mutation A { a } mutation B { b }"),
    *("mutation A { a(x: 1) b(y: 2) }", "mutation A { b: a(x: 1) }", "mutation A { a(x: 1 }", "mutation A { a { b }"),
    'mutation A { a(x: ") }',
]


@pytest.mark.parametrize("document", NO_DOCUMENTS, ids=repr)
def test_what_is_no_document_of_one_field(document: Any) -> None:
    with pytest.raises(PecError, match="is not a GraphQL document of one field"):
        Operation(document)


def test_a_correction_takes_the_place_of_a_part() -> None:
    write = {"document": DOCUMENT, "variables": {"input": {"ativo": "$enabled"}}}
    setting = Catalogue({"cadsus": {"write": write, "screen": "Outra tela"}}).settings["cadsus"]
    assert isinstance(setting.write, Operation)
    assert (setting.write.document, setting.write.evidence, setting.screen) == (DOCUMENT, "site", "Outra tela")
    assert setting.disable == setting.write, "the old way to switch it off goes with the old way to switch it on"
    assert setting.read.evidence == "I"


def test_corrections_of_other_parts() -> None:
    known = Catalogue(
        {
            "login": {"document": "mutation Entrar($i: I!) { entrar(i: $i) }"},
            "horus": {"read": {"info": {"enabled": "horusEnabled"}}},
            "link_instalacao": {"write": {"document": DOCUMENT, "variables": {"input": "$value"}}},
        }
    )
    assert known.operations["login"].root == "entrar" and known.operations["login"].once
    assert known.operations["login"].variables == catalogue.OPERATIONS["login"]["variables"]
    assert (known.settings["horus"].read.source, known.settings["horus"].read.evidence) == ("info", "site")
    assert not isinstance(known.settings["link_instalacao"].write, Row)


@pytest.mark.parametrize(
    ("correction", "said"),
    [
        pytest.param({"cadsuss": {}}, "cadsuss is not in the catalogue; it has agenda_online, ", id="no such entry"),
        pytest.param({"cadsus": "x"}, "cadsus is corrected by str; give a mapping", id="no mapping"),
        pytest.param({"cadsus": {"wirte": {}}}, "cadsus takes advises, disable, read, requires, ", id="no such part"),
        pytest.param({"cadsus": {"fields": {}}}, "cadsus takes advises, disable, read, requires, ", id="other fields"),
        pytest.param({"cadsus": {"requires": "internet"}}, "cadsus.requires is a list of internet, https, ", id="no list"),
        pytest.param({"cadsus": {"advises": ["luck"]}}, "cadsus.advises is a list of internet, https, ", id="no such prerequisite"),
        pytest.param({"cadsus": {"write": {"row": 5}}}, "cadsus.write names the row 5, which", id="no row"),
        pytest.param(
            {"cadsus": {"read": {"document": "mutation A { a }", "values": {"enabled": "x"}}}},
            "cadsus.read has to be a query, and A is a mutation",
            id="a reading that writes",
        ),
        pytest.param({"logout": {"document": "query A { a }"}}, "logout has to be a mutation, and A is a query", id="the wrong kind"),
        pytest.param({"cadsus": {"write": {"document": "x"}}}, "cadsus.write: 'x' is not a GraphQL document", id="no document"),
        pytest.param({"cadsus": {"write": {}}}, "cadsus.write: '' is not a GraphQL document", id="an empty part"),
        pytest.param(
            {"cadsus": {"write": {"query": "x"}}}, "cadsus.write takes document, evidence, row, source, variables", id="no such key"
        ),
        pytest.param({"cadsus": {"read": {}}}, "cadsus.read is read in one way: give info, sql, or document with values", id="no way"),
        pytest.param(
            {"cadsus": {"read": {"info": {"enabled": "a"}, "sql": {"enabled": "b"}}}}, "cadsus.read is read in one way", id="two ways"
        ),
        pytest.param(
            {"cadsus": {"read": {"info": {"on": "a"}}}},
            "cadsus.read has to say where each of its fields stands; cadsus has enabled",
            id="no such field",
        ),
        pytest.param(
            {"cadsus": {"write": {"row": ["CADSUSHABILITADO", "ds_inteiro"]}}},
            "cadsus.write names the row ['CADSUSHABILITADO', 'ds_inteiro'], which this collection never writes",
            id="another row",
        ),
        pytest.param({"login": {"variablse": {}}}, "login takes document, evidence, once, source, variables", id="of an operation"),
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
