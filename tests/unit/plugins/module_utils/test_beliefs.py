# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import re

from ansible_collections.esus.pec.plugins.module_utils import beliefs


def test_each_belief_has_its_own_name_a_mark_a_source_and_a_sentence() -> None:
    assert len({belief.id for belief in beliefs.BELIEFS}) == len(beliefs.BELIEFS)
    for belief in beliefs.BELIEFS:
        assert re.fullmatch(r"[a-z]+(-[a-z]+)*", belief.id), belief
        assert belief.evidence in ("C", "S", "I", "?"), belief
        assert belief.statement, belief
        assert (belief.source == "-") == (belief.evidence in ("I", "?")), belief


def test_the_name_of_the_installer() -> None:
    match = beliefs.JAR_NAME.fullmatch("eSUS-AB-PEC-5.4.37-Linux64.jar")
    assert match is not None
    assert match.groupdict() == {"version": "5.4.37", "platform": "Linux"}
    assert beliefs.JAR_NAME.fullmatch("eSUS-AB-PEC-5.4-Linux64.jar") is None


def test_the_constants_are_what_the_list_says() -> None:
    assert beliefs.HOMES[0] == "/opt/e-SUS"
    assert (beliefs.HTTP_PORT, beliefs.BUNDLED_PORT) == (8080, 5433)
    assert beliefs.OPTION_TRAINING == "-treinamento"
    assert beliefs.REAL_TEXTS["migration-failed"] == "Falha ao migrar o Banco de Dados."
