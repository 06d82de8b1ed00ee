# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.installer.planning import CertmgrHttps, Desired
from ansible_collections.esus.pec.plugins.module_utils.installer.running import Run
from ansible_collections.esus.pec.plugins.module_utils.installer.verify import judge, what_is_missing
from ansible_collections.esus.pec.plugins.module_utils.pec import installation
from ansible_collections.esus.pec.plugins.module_utils.pec.installation import Installation
from ansible_collections.esus.pec.plugins.module_utils.postgres import psql
from ansible_collections.esus.pec.plugins.module_utils.redact import MASK, Redactor

CONNECTION = psql.Connection("127.0.0.1", 5432, "esus", "esus", "secret")
INSTALLED = Installation("installed", version="5.4.37", connection=CONNECTION, config_file="/etc/pec.config")
ASIDE = "an installer that finds /etc/pec.config may take PEC for complete: move the file aside if this persists"


def facts(version: str | None) -> Any:
    return psql.DatabaseFacts("15", 150000, 1, "UTF8", "C", "C", 1, version is not None, version, None, None, None, None)


@pytest.mark.parametrize(
    ("here", "version", "missing"),
    [
        pytest.param(INSTALLED, "5.4.37", [], id="all agrees"),
        pytest.param(replace(INSTALLED, version=None), "5.4.37", [], id="a file that tells no version contradicts nothing"),
        pytest.param(Installation("absent"), None, ["PEC is absent: neither /etc/pec.config nor /opt/e-SUS exists"], id="nothing happened"),
        pytest.param(
            replace(INSTALLED, state="broken", reasons=("standalone.sh is not executable",)),
            "5.4.37",
            ["standalone.sh is not executable", ASIDE],
            id="broken",
        ),
        pytest.param(
            replace(INSTALLED, version="5.3.28"),
            "5.3.28",
            [
                "/etc/pec.config has version 5.3.28 instead of 5.4.37",
                "the database has version 5.3.28 instead of 5.4.37",
                ASIDE,
            ],
            id="an update without effect",
        ),
        pytest.param(INSTALLED, None, ["the database has no version of PEC", ASIDE], id="not migrated"),
    ],
)
def test_what_is_missing(monkeypatch: pytest.MonkeyPatch, here: Installation, version: str | None, missing: list[str]) -> None:
    monkeypatch.setattr(installation, "discover", lambda: here)
    monkeypatch.setattr(psql, "read_facts", lambda connection: facts(version))
    assert what_is_missing(Desired("5.4.37")) == missing


def test_a_database_that_cannot_be_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(connection: psql.Connection) -> Any:
        raise PecError(f"database {connection.database!r}: refused")

    monkeypatch.setattr(installation, "discover", lambda: INSTALLED)
    monkeypatch.setattr(psql, "read_facts", refuse)
    assert what_is_missing(Desired("5.4.37", database=replace(CONNECTION, database="asked"))) == [
        "the database cannot be queried: database 'asked': refused",
        ASIDE,
    ]


def test_certmgr_is_asked_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(installation, "discover", lambda: INSTALLED)
    monkeypatch.setattr(psql, "read_facts", lambda connection: facts("5.4.37"))
    (problem,) = what_is_missing(Desired("5.4.37", certificate=CertmgrHttps("a.br", 443)))
    assert problem.endswith("for a.br")


def said(run: Run, problems: list[str]) -> PecError:
    with pytest.raises(PecError) as caught:
        judge(run, "5.4.37", problems, log="/var/log/esus-pec/x.log", timeout=5, redact=Redactor(["secret"]))
    return caught.value


def test_exit_code_zero_is_no_proof() -> None:
    error = said(Run(0, ("INFO done with secret",)), ["the database has no version of PEC"])
    assert str(error).splitlines() == [
        "PEC 5.4.37 was not installed: the installer ended with exit code 0, but the database has no version of PEC",
        "Remove the cause and run again: the next run repairs what is half done. Last lines of the installer:",
        f"  INFO done with {MASK}",
        "The whole log on the host: /var/log/esus-pec/x.log",
    ]
    assert error.facts == {"exit_code": 0, "cause": None, "log": "/var/log/esus-pec/x.log"}


def test_a_failure_with_a_cause() -> None:
    error = said(Run(1, ("ERROR Falha ao migrar o Banco de Dados.",)), [])
    assert str(error).splitlines()[:2] == [
        "PEC 5.4.37 was not installed: the migration of the database failed (ERROR Falha ao migrar o Banco de Dados.); "
        "see the lines above it in the log",
        "The installer ended with exit code 1.",
    ]
    assert error.facts["cause"] == "migration"


def test_silence() -> None:
    assert "  (it printed nothing)" in str(said(Run(2, ()), [])).splitlines()


def test_the_end_of_its_time_is_the_cause() -> None:
    error = said(Run(-9, ("Falha ao migrar o Banco de Dados.",), timed_out=True), [])
    assert str(error).splitlines()[0] == (
        "PEC 5.4.37 was not installed: the installer did not end within 5 seconds and was stopped; "
        "give it more time with timeout (role: pec_install_timeout)"
    )


def test_a_log_that_is_not_whole() -> None:
    assert str(said(Run(1, ("x",), log_problem="incomplete"), [])).splitlines()[-1] == (
        "The log on the host is incomplete: /var/log/esus-pec/x.log"
    )


def test_success() -> None:
    judge(Run(0, ()), "5.4.37", [], log="x", timeout=5, redact=Redactor())
