# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from dataclasses import replace

import pytest

from ansible_collections.esus.pec.plugins.module_utils.restore import origin
from ansible_collections.esus.pec.plugins.module_utils.restore.origin import Holder

OURS = Holder("Secretaria de Saúde de Água Clara", "https://pec.aguaclara.ms.gov.br", (("5000203", "ÁGUA CLARA"),))
THEIRS = Holder("Secretaria de Saúde de Rio Azul", "https://pec.rioazul.pr.gov.br", (("4122008", "RIO AZUL"),))
LONG = "Secretaria Municipal de Saúde da Prefeitura do Município de "


def bare(holder: Holder, *keep: str) -> Holder:
    return Holder(**{name: getattr(holder, name) for name in keep})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("found", "beside", "wanted", "refused"),
    [
        pytest.param(OURS, OURS, "", False, id="the same"),
        pytest.param(THEIRS, OURS, "", True, id="another one"),
        pytest.param(THEIRS, OURS, "Água Clara", True, id="another one than this server's"),
        pytest.param(THEIRS, OURS, "rio azul", False, id="asked for by its name"),
        pytest.param(THEIRS, OURS, "4122008", False, id="asked for by its code"),
        pytest.param(THEIRS, OURS, "pec.rioazul.pr.gov.br", False, id="asked for by its link"),
        pytest.param(THEIRS, OURS, "secretaria de saude", True, id="a part of both names"),
        pytest.param(replace(OURS, name="Novo nome", link="http://10.0.0.9:8080"), OURS, "", False, id="the same code"),
        pytest.param(replace(THEIRS, name=OURS.name, link=OURS.link), OURS, "", True, id="another code"),
        pytest.param(replace(OURS, places=(*OURS.places, *THEIRS.places)), OURS, "", False, id="one of several codes"),
        pytest.param(bare(THEIRS, "name", "link"), OURS, "", True, id="only name and link"),
        pytest.param(bare(THEIRS, "name"), OURS, "", True, id="only the name"),
        pytest.param(bare(THEIRS, "link"), OURS, "", True, id="only the link"),
        pytest.param(Holder("ÁGUA CLARA", "http://10.0.0.1:8080"), Holder("agua-clara", "https://pec.br"), "", False, id="it has moved"),
        pytest.param(Holder("Um nome", "https://pec.br/a"), Holder("Outro", "https://PEC.br"), "", False, id="renamed"),
        pytest.param(Holder("Um", "http://10.0.0.1"), Holder("Outro", "http://10.0.0.1"), "", True, id="an address that many servers have"),
        pytest.param(Holder("Um", "http://localhost:8080"), Holder("Outro", "http://localhost:8080"), "", True, id="localhost"),
        pytest.param(Holder(f"{LONG}Água Clara"), Holder(f"{LONG}Rio Azul"), "", True, id="names that differ at their end"),
        pytest.param(Holder("Nova Água Clara"), Holder("Água Clara"), "Água Clara", True, id="a name that has ours in it"),
        pytest.param(Holder("Prefeitura de Rio Azul"), Holder("Água Clara"), "Rio Azul", False, id="a name that has the wanted one in it"),
        pytest.param(THEIRS, None, "Água Clara", True, id="no database, and another one expected"),
        pytest.param(OURS, None, "Água Clara", False, id="no database"),
        pytest.param(bare(OURS, "name"), None, "água clara", False, id="no database, only the name"),
        pytest.param(THEIRS, None, "", False, id="nothing to compare with"),
        pytest.param(THEIRS, Holder(), "Água Clara", True, id="a database without a name, and another one expected"),
        pytest.param(bare(THEIRS, "name"), bare(OURS, "link"), "", False, id="nothing in common"),
        pytest.param(Holder(), OURS, "Água Clara", False, id="a dump without a name"),
        pytest.param(Holder("日本"), Holder("Água Clara"), "日本", False, id="another script"),
        pytest.param(Holder("x", "http://[::1"), Holder("y", "http://[::1"), "", True, id="links that are none"),
    ],
)
def test_whose_data_a_dump_holds(found: Holder, beside: Holder | None, wanted: str, refused: bool) -> None:
    problem, notes = origin.against_holder(found, beside, wanted)
    assert bool(problem) == refused
    assert bool(notes) != refused, "it is said either way"
    said = problem or " ".join(notes)
    assert found.describe() in said or not found.known
    if refused:
        assert f"from_municipality (role: pec_restore_from_municipality) to {found.own_name!r}" in problem
        assert origin.against_holder(found, beside, found.own_name)[0] == "", "what the error asks for is enough"


def test_texts_of_a_dump_cannot_write_to_a_terminal() -> None:
    problem, _notes = origin.against_holder(Holder("\x1b[2Jx"), OURS, "")
    assert "\x1b" not in problem


def test_a_link_that_changes_is_noted() -> None:
    _problem, notes = origin.against_holder(replace(OURS, link="http://antigo.br"), OURS, "")
    assert "correct it in PEC" in " ".join(notes)


@pytest.mark.parametrize(
    ("found", "installed", "allowed", "says", "follows"),
    [
        ("5.4.37", "5.4.37", False, "", False),
        (" 5.4.37\n", "5.4.37", False, "", False),
        ("5.4.9", "5.4.37", False, "allow_other_version (role: pec_restore_allow_other_version) to true", True),
        ("5.4.9", "5.4.37", True, "", True),
        ("5.5.28", "5.4.37", False, "which is newer than PEC 5.4.37", False),
        ("5.5.28", "5.4.37", True, "which is newer than PEC 5.4.37", False),
        ("5.10.0", "5.9.0", True, "which is newer than PEC 5.9.0", False),
        ("x\x1b", "5.4.37", False, "it is of PEC 'x\\x1b'", True),
        (None, "5.4.37", False, "", False),
        ("5.4.37", None, False, "", False),
        (None, None, False, "", False),
    ],
)
def test_the_version_of_a_dump(found: str | None, installed: str | None, allowed: bool, says: str, follows: bool) -> None:
    problem = origin.against_version(found, installed, allowed=allowed)
    assert says in problem and bool(problem) == bool(says)
    assert origin.update_follows(found, installed) == follows
