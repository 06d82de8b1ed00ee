# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
import yaml
from ansible.module_utils.testing import patch_module_args

from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.preflight.model import Facts, Wishes
from ansible_collections.esus.pec.plugins.modules import preflight

GOOD = Facts(0, "x86_64", "debian", "13", "systemd", memory_bytes=9 * 10**9, processors=4)
ARGUMENTS = {"jar": ["/srv/eSUS-AB-PEC-5.4.37-Linux64.jar"], "database": {"password": "only-for-psql"}}


def run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], facts: Facts | Exception, arguments: dict[str, Any]
) -> tuple[dict[str, Any], list[Wishes]]:
    """The module's answer, and what it asked to look at."""
    asked: list[Wishes] = []

    def survey_host(wishes: Wishes, home: str) -> tuple[Facts, tuple[str, ...]]:
        asked.append(wishes)
        if isinstance(facts, Exception):
            raise facts
        return facts, (f"nothing below {home}",)

    monkeypatch.setattr(preflight, "survey_host", survey_host)
    with patch_module_args({**ARGUMENTS, **arguments}), pytest.raises(SystemExit):
        preflight.main()
    return json.loads(capsys.readouterr().out), asked


def test_a_good_server(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    answer, asked = run(monkeypatch, capsys, GOOD, {"home": "/srv/pec"})
    assert (answer["changed"], answer["findings"], answer["unchecked"]) == (False, [], ["nothing below /srv/pec"])
    assert "failed" not in answer
    assert asked[0].wanted_version == "5.4.37"
    assert (asked[0].first_run, asked[0].certificate_port) == (None, None)
    assert (asked[0].database.mode, asked[0].database.host, asked[0].database.port) == ("managed", "127.0.0.1", 5432)


def test_errors_fail_with_one_line_each(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    answer, _asked = run(monkeypatch, capsys, replace(GOOD, uid=1, init_name="sh", processors=2), {})
    assert answer["failed"] is True
    lines = answer["msg"].splitlines()
    assert lines[0] == "This host is not ready for PEC: 2 errors, 1 warning. Correct every error, then run again."
    assert [line.split("]")[0] for line in lines[1:]] == ["ERROR [not_root", "ERROR [no_systemd", "WARNING [processors"]
    assert [finding["code"] for finding in answer["findings"]] == ["not_root", "no_systemd", "processors"]


def test_a_link_without_scheme(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    person = {"instalador_name": "Ana Lima", "instalador_cpf": "529.982.247-25", "instalador_password": "segredo-2026"}
    first_run = {"name": "Município", "link": "esus.municipio.uf.gov.br", **person}
    answer, _asked = run(monkeypatch, capsys, GOOD, {"first_run": first_run})
    assert [(finding["code"], finding["message"]) for finding in answer["findings"]] == [
        ("first_run_link", "the link 'esus.municipio.uf.gov.br' is not an address; it starts with https:// or http://")
    ]


def test_report_only_and_warnings(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    answer, _asked = run(monkeypatch, capsys, replace(GOOD, uid=1, processors=2), {"report_only": True})
    assert "failed" not in answer
    assert [finding["severity"] for finding in answer["findings"]] == ["error", "warning"]
    assert "this host has 2 cores" in str(answer["warnings"])


def test_an_error_while_looking(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    answer, _asked = run(monkeypatch, capsys, PecError("cannot read /etc/pec.config: it is a directory"), {})
    assert (answer["failed"], answer["msg"]) == (True, "cannot read /etc/pec.config: it is a directory")


def test_the_first_run_is_checked_when_given(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    first_run = {"name": "A", "link": "https://a.br", "instalador_name": "Ana", "instalador_cpf": 191, "instalador_password": "hidden-word"}
    answer, _asked = run(monkeypatch, capsys, GOOD, {"first_run": first_run})
    assert [finding["code"] for finding in answer["findings"]] == ["instalador_cpf", "instalador_password"]
    assert "hidden-word" not in str({key: value for key, value in answer.items() if key != "invocation"})


def test_secrets_appear_nowhere(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    answer, asked = run(monkeypatch, capsys, replace(GOOD, uid=1), {"first_run": {"instalador_password": "hidden-word"}})
    assert "only-for-psql" not in str(answer)
    assert "hidden-word" not in str(answer)
    assert asked[0].database.password == "only-for-psql"


def test_check_mode_does_the_same(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    facts = replace(GOOD, processors=1)
    real, _asked = run(monkeypatch, capsys, facts, {})
    check, _asked = run(monkeypatch, capsys, facts, {"_ansible_check_mode": True})
    assert (check["changed"], check["findings"]) == (False, real["findings"])


def documented(options: dict[str, Any]) -> dict[str, Any]:
    """The argument specification that the documentation promises."""
    keys = ("type", "default", "elements", "choices")
    spec = {name: {key: option[key] for key in keys if key in option} for name, option in options.items()}
    for name, option in options.items():
        if "suboptions" in option:
            spec[name]["options"] = documented(option["suboptions"])
    return spec


def declared(arguments: dict[str, Any]) -> dict[str, Any]:
    spec = {name: {key: value for key, value in option.items() if key != "no_log"} for name, option in arguments.items()}
    for option in spec.values():
        if "options" in option:
            option["options"] = declared(option["options"])
    return spec


def test_documentation_and_arguments_agree() -> None:
    assert documented(yaml.safe_load(preflight.DOCUMENTATION)["options"]) == declared(preflight.ARGUMENTS)
