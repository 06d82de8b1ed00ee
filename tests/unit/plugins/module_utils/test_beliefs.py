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


def test_a_constant_has_the_value_in_the_list() -> None:
    listed = {belief.id: belief.value for belief in beliefs.BELIEFS}
    assert listed["homes"].split() == list(beliefs.HOMES)
    assert (listed["http-port"], listed["jar-name"]) == (str(beliefs.HTTP_PORT), beliefs.JAR_NAME.pattern)
    assert listed["datasource-keys"].split() == [beliefs.URL_KEY, beliefs.USERNAME_KEY, beliefs.PASSWORD_KEY]
    assert beliefs.HOMES[0] == "/opt/e-SUS"
    assert (beliefs.HTTP_PORT, beliefs.BUNDLED_PORT) == (8080, 5433)
    assert beliefs.OPTION_TRAINING == "-treinamento"
    assert beliefs.TEXT_MIGRATION_FAILED == "Falha ao migrar o Banco de Dados."
