# SPDX-License-Identifier: GPL-3.0-or-later
"""The fake of PEC that the unit tests use answers as the stand-in does, and the catalogue asks for what the stand-in knows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from fake_pec import CPF, FIELDS, PASSWORD, TYPES, FakePec

from ansible_collections.esus.pec.plugins.module_utils.api.operations import Catalogue, Operation

KNOWN = Catalogue()
SCALARS: dict[str, tuple[type, ...]] = {"Boolean": (bool,), "Int": (int,), "String": (str,), "ID": (str,)}
VALUES = {
    **dict.fromkeys(("name", "link", "type", "instalador_name", "contra_chave"), "a"),
    **dict.fromkeys((name for setting in KNOWN.settings.values() for name in setting.fields), None),
    **dict.fromkeys(("cpf", "username"), CPF),
    **dict.fromkeys(("password", "new_password"), PASSWORD),
    "force": True,
    "id": "3",
    "token": "token-1",
}


def operations() -> list[Operation]:
    """All that the catalogue can send."""
    found = list(KNOWN.operations.values())
    for setting in KNOWN.settings.values():
        found += [each for each in (setting.read.source, setting.write, setting.disable) if isinstance(each, Operation)]
    return list({operation.root: operation for operation in found}.values())


def problems(value: Any, kind: str, where: str) -> Iterator[str]:
    """What in a value is not of a type of the stand-in's; null is of each."""
    name = kind.strip("[]!")
    if value is None:
        return
    if kind.startswith("["):
        for each in value:
            yield from problems(each, name, where)
    elif name in SCALARS:
        if type(value) not in SCALARS[name]:
            yield f"{where} is {value!r} and no {name}"
    else:
        for key, part in value.items():
            yield from problems(part, TYPES[name][key], f"{where}.{key}") if key in TYPES[name] else [f"{where} has no {key}"]


@pytest.mark.parametrize("operation", operations(), ids=lambda operation: operation.root)
def test_the_stand_in_knows_what_the_catalogue_asks_for(operation: Operation) -> None:
    field = FIELDS[operation.root]
    assert (operation.kind, dict(operation.arguments)) == (field.kind, field.arguments)
    given = operation.filled(VALUES)
    assert isinstance(given, dict) and set(given) == set(field.arguments)
    assert [text for name, kind in field.arguments.items() for text in problems(given[name], kind, name)] == []


def test_the_facts_of_info_are_the_stand_ins() -> None:
    places = {place for setting in KNOWN.settings.values() if setting.read.source == "info" for place in setting.read.values.values()}
    pec = FakePec()
    pec.close()
    assert places | set(pec.info) <= set(TYPES["Info"])


def test_the_fake_answers_in_the_stand_ins_types() -> None:
    """Every operation, in the order of a session; a result is an object where the stand-in's is."""
    pec = FakePec()
    pec.close()
    found: list[str] = []
    last = ("redefinirSenha", "logout")
    for operation in sorted(operations(), key=lambda each: last.index(each.root) if each.root in last else -1):
        object_wanted = FIELDS[operation.root].result in TYPES
        asked = operation if object_wanted == bool(operation.selection) else operation.with_other_selection()
        question = {"operationName": asked.name, "query": asked.document, "variables": asked.filled(VALUES)}
        answer, _session = pec.answer(question, f"JSESSIONID={pec.session}")
        assert "errors" not in answer, (operation.root, answer)
        found += problems(answer["data"][operation.root], FIELDS[operation.root].result, operation.root)
    assert found == [] and pec.session is None
