# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from ansible_collections.esus.pec.plugins.module_utils.api.operations import Catalogue, Setting
from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.settings import planning
from ansible_collections.esus.pec.plugins.module_utils.settings.planning import CONFIRMED, MANUAL, NOT_NEEDED, Obstacle, Reading, World

KNOWN = Catalogue().settings
EVERYTHING = frozenset(planning.PREREQUISITES)
SMTP = {"enabled": True, "host": "smtp.example", "port": 587, "username": "pec@example", "password": "s3nha", "sender": "pec@example"}
DIGITAL = {"enabled": True, "username": "login", "password": "s3nha"}
NOT_KNOWN = Obstacle("unknown_operation", "PEC does not take it", "FieldUndefined")
OFF = Reading({"enabled": False})
ON = Reading({"enabled": True})


def plan(
    wanted: dict[str, dict[str, Any]], readings: dict[str, Reading], obstacles: Mapping[str, Obstacle] | None = None, **changes: Any
) -> planning.Plan:
    def check(setting: Setting, fields: Mapping[str, Any]) -> Obstacle | planning.Writer:
        return (obstacles or {}).get(setting.name) or setting.writer(fields)

    return planning.plan(wanted, KNOWN, World(readings, **{"version": "5.4.37", "present": EVERYTHING, **changes}), check)


def end(name: str, fields: dict[str, Any], reading: Reading, **changes: Any) -> planning.Outcome:
    planned = plan({name: fields}, {name: reading}, **changes)
    (outcome,) = planned.outcomes
    assert outcome.changed == (list(planned.writers) == [name])
    assert outcome.changed == (outcome.result == CONFIRMED or outcome.reason_code == "unconfirmed")
    return outcome


@pytest.mark.parametrize(
    ("name", "fields", "reading", "changes", "result", "code"),
    [
        pytest.param("cadsus", {"enabled": True}, OFF, {}, CONFIRMED, "", id="on"),
        pytest.param("cadsus", {"enabled": True}, ON, {}, NOT_NEEDED, "", id="on already"),
        pytest.param("cadsus", {"enabled": False}, ON, {}, CONFIRMED, "", id="off"),
        pytest.param("cadsus", {"enabled": False}, ON, {"present": frozenset()}, CONFIRMED, "", id="off needs nothing"),
        pytest.param("tentativas_login", {"value": 3}, Reading({"value": 5}), {}, CONFIRMED, "", id="a number"),
        pytest.param("tentativas_login", {"value": 3}, Reading({"value": None}), {}, CONFIRMED, "", id="a number that was never set"),
        pytest.param("smtp", SMTP, OFF, {}, CONFIRMED, "", id="SMTP"),
        pytest.param("smtp", SMTP, ON, {}, MANUAL, "unconfirmed", id="SMTP that this host did not send"),
        pytest.param("smtp", SMTP, ON, {"kept": frozenset({"smtp"})}, NOT_NEEDED, "", id="SMTP that this host sent"),
        pytest.param("smtp", SMTP, OFF, {"kept": frozenset({"smtp"})}, CONFIRMED, "", id="SMTP that somebody switched off"),
        pytest.param("smtp", {"enabled": False}, OFF, {}, NOT_NEEDED, "", id="SMTP off"),
        pytest.param("cadsus", {"enabled": True}, Reading(code="unreadable", problem="?"), {}, MANUAL, "unreadable", id="not told"),
        pytest.param("cadsus", {"enabled": True}, OFF, {"obstacles": {"cadsus": NOT_KNOWN}}, MANUAL, "unknown_operation", id="not known"),
        pytest.param("videochamada", {"enabled": True}, OFF, {"present": EVERYTHING - {"https"}}, MANUAL, "prerequisite", id="no HTTPS"),
        pytest.param("videochamada", {"enabled": True}, ON, {"present": frozenset()}, NOT_NEEDED, "", id="on already, whatever is missing"),
        pytest.param("prescricao_digital", DIGITAL, OFF, {}, CONFIRMED, "", id="digital prescription"),
        pytest.param("prescricao_digital", DIGITAL, OFF, {"version": "5.2.5"}, MANUAL, "version", id="too old"),
        pytest.param("prescricao_digital", DIGITAL, OFF, {"version": "5.2.6"}, CONFIRMED, "", id="just new enough"),
        pytest.param("prescricao_digital", DIGITAL, OFF, {"version": ""}, CONFIRMED, "", id="of a version that is not known"),
        pytest.param("treinamento", {"enabled": True}, OFF, {}, MANUAL, "database_not_allowed", id="not in the database"),
        pytest.param("treinamento", {"enabled": True}, OFF, {"database_writes": True}, CONFIRMED, "", id="in the database"),
    ],
)
def test_how_a_setting_ends(name: str, fields: dict[str, Any], reading: Reading, changes: dict[str, Any], result: str, code: str) -> None:
    outcome = end(name, fields, reading, **changes)
    assert (outcome.result, outcome.reason_code) == (result, code)
    assert bool(outcome.reason) == (result == MANUAL)
    assert outcome.screen == KNOWN[name].screen


@pytest.mark.parametrize("missing", ["https", "smtp", "certificate"])
def test_what_digital_prescription_stands_on(missing: str) -> None:
    outcome = end("prescricao_digital", DIGITAL, OFF, present=EVERYTHING - {missing})
    assert (outcome.reason, outcome.missing) == (planning.PREREQUISITES[missing], (missing,))


def test_all_that_is_missing_is_told() -> None:
    outcome = end("prescricao_digital", DIGITAL, OFF, present=frozenset())
    assert outcome.missing == ("https", "smtp", "certificate") and "(role pec_https); PEC has no SMTP server" in outcome.reason


def test_online_appointments_stand_on_their_contra_chave() -> None:
    outcome = end("agenda_online", {"enabled": True}, OFF, present=EVERYTHING - {"contra_chave"})
    assert outcome.missing == ("contra_chave",)


def test_what_is_set_first_counts_for_what_stands_on_it() -> None:
    wanted = planning.wanted_from({"prescricao_digital": DIGITAL, "smtp": SMTP, "internet": True}, KNOWN)
    readings = dict.fromkeys(wanted, OFF)
    planned = plan(wanted, readings, present=EVERYTHING - {"smtp", "internet"})
    assert list(planned.writers) == ["internet", "smtp", "prescricao_digital"], "in the order in which they are set"
    planned = plan(wanted, readings, present=EVERYTHING - {"smtp", "internet"}, obstacles={"smtp": NOT_KNOWN})
    assert [outcome.result for outcome in planned.outcomes] == [CONFIRMED, MANUAL, MANUAL]
    assert planned.outcomes[2].reason == planning.PREREQUISITES["smtp"]


def test_what_is_switched_off_first_is_missing_afterwards() -> None:
    planned = plan({"internet": {"enabled": False}, "cadsus": {"enabled": True}}, {"internet": ON, "cadsus": OFF})
    assert list(planned.writers) == ["internet"] and planned.outcomes[1].reason_code == "prerequisite"


@pytest.mark.parametrize(
    ("before", "after", "result"),
    [
        pytest.param("http://pec.example", "https://pec.example", CONFIRMED, id="to HTTPS"),
        pytest.param("https://pec.example", "http://pec.example", MANUAL, id="away from it"),
        pytest.param("https://pec.example", None, CONFIRMED, id="as it is"),
    ],
)
def test_a_link_tells_of_a_proxy(before: str, after: str | None, result: str) -> None:
    wanted: dict[str, dict[str, Any]] = {"link_instalacao": {"value": after}} if after else {}
    readings = {"link_instalacao": Reading({"value": before}), "videochamada": OFF}
    for allowed in (True, False):
        planned = plan(
            {**wanted, "videochamada": {"enabled": True}}, readings, present=EVERYTHING - {"https"}, link=before, database_writes=allowed
        )
        kept = before.startswith("https") and (not allowed or after is None)
        assert planned.outcomes[-1].result == (result if allowed else CONFIRMED if kept else MANUAL)


def test_what_nobody_tells_is_not_confirmed() -> None:
    outcome = end("smtp", SMTP, ON)
    assert outcome.changed and outcome.reason == (
        "PEC accepts it and does not report its value for host, port, username, password, sender; look at the screen"
    )


def test_what_is_of_little_use() -> None:
    planned = plan({"cadsus": {"enabled": True}}, {"cadsus": ON}, present=frozenset({"internet"}))
    assert [warning.split(":")[0] for warning in planned.warnings] == ["cadsus is of little use"] * 2
    assert not plan({"cadsus": {"enabled": False}}, {"cadsus": ON}, present=frozenset()).warnings


def test_a_diff_shows_no_secret() -> None:
    wanted = {"smtp": SMTP, "cadsus": {"enabled": True}, "horus": {"enabled": True}, "treinamento": {"enabled": True}}
    planned = plan(wanted, {"smtp": OFF, "cadsus": OFF, "horus": ON, "treinamento": OFF})
    shown = planning.diff(planned.outcomes)
    assert shown["before"].splitlines() == [
        "smtp.enabled: False",
        *(f"smtp.{field}: (not known)" for field in ("host", "port", "username", "password", "sender")),
        "cadsus.enabled: False",
    ]
    assert "smtp.host: smtp.example\n" in shown["after"] and "smtp.password: ********\n" in shown["after"]
    assert "treinamento" not in shown["after"], "what a person has to set is not in the diff"
    assert "s3nha" not in repr(planned)


def test_only_what_differs_is_in_the_outcome() -> None:
    outcome = end("smtp", {"enabled": False}, ON)
    assert (outcome.before, outcome.after) == ({"enabled": True}, {"enabled": False})


def test_what_is_wanted() -> None:
    given = {"tentativas_login": 3, "smtp": {"enabled": True, "host": "a", "port": 25, "username": "u", "password": "p", "sender": None}}
    assert planning.wanted_from({**given, "cadsus": None}, KNOWN) == {
        "tentativas_login": {"value": 3},
        "smtp": {"enabled": True, "host": "a", "port": 25, "username": "u", "password": "p", "sender": "u"},
    }
    assert planning.wanted_from({"smtp": {"enabled": False}}, KNOWN) == {"smtp": {"enabled": False}}


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        pytest.param({"smtp": {"enabled": True, "port": 25, "sender": "a"}}, "smtp.host is empty", id="no host"),
        pytest.param({"smtp": {**SMTP, "password": None}}, "smtp has only one of username and password", id="no password"),
        pytest.param({"smtp": {"enabled": True, "host": "a", "port": 25}}, "smtp.sender is empty", id="no sender"),
        pytest.param({"smtp": {**SMTP, "password": "s3nha\n"}}, "smtp.password has a line end", id="a line end"),
        pytest.param({"prescricao_digital": {"enabled": True, "username": "a"}}, "prescricao_digital.password is empty", id="half a login"),
        pytest.param({"anexos": {"enabled": True}}, "anexos.directory is empty", id="no directory"),
        pytest.param({"anexos": {"enabled": True, "directory": "x"}}, "anexos.directory is not an absolute path", id="a relative one"),
        pytest.param({"nome_instalacao": " "}, "nome_instalacao is empty", id="no name"),
        pytest.param({"link_instalacao": "pec.example"}, "the link 'pec.example' is not an address", id="no address"),
        pytest.param({"requisicoes_simultaneas": 0}, "requisicoes_simultaneas is less than 1", id="no requests"),
    ],
)
def test_what_pec_would_refuse(given: dict[str, Any], problem: str) -> None:
    with pytest.raises(PecError) as caught:
        planning.wanted_from({**given, "cadsus": True}, KNOWN)
    heading, *problems = str(caught.value).splitlines()
    assert heading == "nothing was set, because PEC would refuse this:"
    assert len(problems) == 1 and problems[0].startswith(problem)
    assert "s3nha" not in str(caught.value)
