# SPDX-License-Identifier: GPL-3.0-or-later
"""The credentials of Gov.br on a server with the stand-in, from nothing to removal."""

from __future__ import annotations

import base64
import subprocess
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from typing import Any

import pytest
from installed import install, prepare, wait
from secret_search import JOURNAL, in_text, on_server

NAME = "esus-pec-govbr"
VERSION = "5.4.37"
PROPERTIES = "/opt/e-SUS/webserver/config/application.properties"
ID, SECRET, ROTATED = "pec.municipio.uf.gov.br", 'Se"gre\\do-um#26', "Segredo-dois!26"
VARIABLES = {"pec_domain": "pec.municipio.uf.gov.br", "pec_govbr_client_id": ID, "pec_govbr_client_secret": SECRET}
KEYS = "bridge.security.oauth2.client.registration.govbr.client-"
ADMINISTRATORS = "# da prefeitura\r\nlogging.level = \\\r\n   WARN"
ESCAPED = SECRET.replace("\\", "\\\\")
CREDENTIALS = f"\n{KEYS}id={ID}\n{KEYS}secret={ESCAPED}"


class NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_arguments: object) -> None:
        return None


@dataclass(frozen=True)
class Pec:
    """A server, and PEC as its users see it."""

    server: Any

    def role(self, *options: str, **variables: Any) -> subprocess.CompletedProcess[str]:
        """Run the role with -vvv --diff; no secret may be in what it prints."""
        before = [{"import_role": {"name": "esus.pec.pec_govbr", "tasks_from": "preflight"}, "tags": ["preflight", "never"]}]
        play = {"pre_tasks": before, "roles": ["esus.pec.pec_govbr"]}
        run: subprocess.CompletedProcess[str] = self.server.play(play, "-vvv", "--diff", *options, **variables)
        assert in_text(run.stdout + run.stderr, [SECRET, ROTATED]) == []
        return run

    def changed(self, *options: str, **variables: Any) -> int:
        run = self.role(*options, **variables)
        assert run.returncode == 0, run.stdout[-8000:] + run.stderr
        return int(run.stdout.rpartition("changed=")[2].split()[0])

    def info(self) -> dict[str, Any]:
        result = self.server.module("esus.pec.info", {"database": False})
        assert not result["_failed"], result
        return dict(result["pec"])

    def started(self) -> str:
        return str(self.server.run("systemctl", "show", "-P", "ActiveEnterTimestampMonotonic", "e-SUS-PEC").stdout.strip())

    def properties(self) -> str:
        """Return the file byte for byte, which a text over a pipe is not."""
        return base64.b64decode(self.server.run("base64", PROPERTIES).stdout).decode("latin-1")

    def run_with(self, properties: str) -> None:
        """Let PEC run with this file. A test that leaves PEC running with other settings leaves other text in the file."""
        if self.properties() == properties:
            return
        data = base64.b64encode(properties.encode("latin-1")).decode()
        self.server.run("sh", "-ec", f"base64 -d > {PROPERTIES}; systemctl restart e-SUS-PEC", stdin=data)
        wait(self.server)

    def login(self) -> str | None:
        """Return where PEC sends a user who wants to log in with Gov.br."""
        opener = urllib.request.build_opener(NoRedirect())
        try:
            opener.open(f"http://{self.server.address}:8080/oauth2/authorization/govbr", timeout=10).close()
        except urllib.error.HTTPError as answer:
            return answer.headers["Location"] if answer.code == 302 else None
        return None


@pytest.fixture(scope="module")
def bare(start_server: Any) -> Pec:
    server = start_server(NAME, "debian12")
    prepare(server)
    return Pec(server)


@pytest.fixture(scope="module")
def installed(bare: Pec, jar: Any) -> tuple[Pec, str]:
    """PEC installed by hand, as most servers are, and its settings with the lines of its administrator."""
    install(bare.server, jar(VERSION))
    bare.server.run("chmod", "0640", PROPERTIES)
    return bare, bare.properties() + ADMINISTRATORS


@pytest.fixture
def pec(installed: tuple[Pec, str]) -> Pec:
    """PEC without credentials of Gov.br."""
    server, properties = installed
    server.run_with(properties)
    return server


@pytest.fixture
def configured(installed: tuple[Pec, str]) -> Pec:
    """PEC that runs with VARIABLES."""
    server, properties = installed
    server.run_with(properties + CREDENTIALS)
    return server


def test_an_empty_server(bare: Pec) -> None:
    """Check mode predicts, a run fails, and without credentials nothing is done. On its server PEC is installed later."""
    assert bare.changed("--check", **VARIABLES) == 1
    assert bare.role(**VARIABLES).returncode != 0
    assert bare.changed() == 0
    assert bare.changed(pec_govbr_state="absent") == 0
    assert set(bare.info()["api"].values()) == {None}


def test_what_pec_tells_without_a_login(pec: Pec) -> None:
    assert pec.info()["api"] == {
        "error": None,
        "ativado": False,
        "linkInstalacaoConfigurado": False,
        "smtpConfigurado": False,
        "internetHabilitada": True,
        "govBREnabled": False,
        "serverTimezoneOffset": 0,
        "version": VERSION,
        "training": False,
    }


def test_the_preflight_changes_nothing(pec: Pec) -> None:
    before = pec.properties()
    assert pec.changed("--tags", "preflight", **VARIABLES) == 0
    run = pec.role("--tags", "preflight", **{**VARIABLES, "pec_govbr_client_id": "ClientID"})
    assert run.returncode != 0 and "client_id" in run.stdout
    assert pec.properties() == before


def test_rejected_credentials_change_nothing(pec: Pec) -> None:
    before = pec.properties()
    for changes in ({"pec_govbr_client_secret": SECRET + "\n"}, {"pec_govbr_client_id": "SEU-CLIENT_ID"}, {"pec_govbr_client_id": ""}):
        assert pec.role(**{**VARIABLES, **changes}).returncode != 0
    assert pec.properties() == before


def test_from_nothing(pec: Pec) -> None:
    before, started = pec.properties(), pec.started()
    predicted = pec.changed("--check", **VARIABLES)
    assert (pec.properties(), pec.started(), pec.login()) == (before, started, None)
    run = pec.role(**VARIABLES)
    assert run.returncode == 0, run.stdout[-8000:]
    assert int(run.stdout.rpartition("changed=")[2].split()[0]) == predicted == 2  # the file, the restart
    assert "https://pec.municipio.uf.gov.br/login/oauth2/code/govbr" in run.stdout
    assert pec.properties() == before + CREDENTIALS
    assert pec.server.run("stat", "-c", "%U:%G %a", PROPERTIES).stdout.strip() == "root:root 640"
    assert pec.server.run("stat", "-c", "%U %a", "/etc/esus-pec/govbr.json").stdout.strip() == "root 600"
    assert pec.started() != started
    assert pec.info()["api"]["govBREnabled"] is True
    assert pec.login() == f"https://sso.acesso.gov.br/authorize?response_type=code&client_id={ID}"


def test_a_second_run_changes_nothing(configured: Pec) -> None:
    before, started = configured.properties(), configured.started()
    assert configured.changed(**VARIABLES) == 0 == configured.changed("--check", **VARIABLES)
    assert (configured.properties(), configured.started()) == (before, started)


def test_rotation(configured: Pec) -> None:
    started = configured.started()
    new = {**VARIABLES, "pec_govbr_client_id": "outro.municipio.uf.gov.br", "pec_govbr_client_secret": ROTATED}
    assert configured.changed(**new) == 2
    assert configured.started() != started and str(configured.login()).endswith("client_id=outro.municipio.uf.gov.br")
    assert SECRET not in configured.properties() and configured.properties().count(f"{KEYS}secret={ROTATED}") == 1
    assert configured.changed(**new) == 0
    places = ("/var/log", "/opt/e-SUS/webserver/logs", "/tmp", "/var/tmp", "/root/.ansible", "/etc/esus-pec")
    assert on_server(configured.server.shell, [SECRET, ROTATED], JOURNAL, *places) == []


def test_a_run_that_was_interrupted_before_the_restart(pec: Pec) -> None:
    arguments = {"client_id": ID, "client_secret": SECRET, "domain": "pec.municipio.uf.gov.br"}
    written = pec.server.module("esus.pec.govbr_oauth", arguments)
    assert written["changed"] and written["restart_needed"] and in_text(written["_output"], [SECRET]) == []
    started = pec.started()
    assert pec.changed(**VARIABLES) == 2  # the report, and the restart
    assert pec.started() != started and str(pec.login()).endswith(f"client_id={ID}")
    assert pec.changed(**VARIABLES) == 0


def test_what_was_written_by_hand(configured: Pec) -> None:
    """With a blank at its end, and without a restart."""
    configured.server.run("sed", "-i", f"s/^{KEYS}secret=.*/{KEYS}secret={ROTATED} /", PROPERTIES)
    assert configured.changed(**VARIABLES) == 2
    assert ROTATED not in configured.properties()


def test_a_wrong_clock(configured: Pec) -> None:
    arguments = {"client_id": ID, "client_secret": SECRET, "reference_time": time.time() - 600, "domain": "pec.municipio.uf.gov.br"}
    result = configured.server.module("esus.pec.govbr_oauth", arguments)
    assert result["changed"] is False and result["clock"]["ahead_seconds"] == pytest.approx(600, abs=30)


def test_removal(configured: Pec) -> None:
    assert configured.changed("--check", pec_govbr_state="absent") == 2 == configured.changed(pec_govbr_state="absent")
    assert "govbr" not in configured.properties() and "logging.level = \\\r\n   WARN" in configured.properties()
    assert (configured.info()["api"]["govBREnabled"], configured.login()) == (False, None)
    assert configured.changed(pec_govbr_state="absent") == 0


def test_properties_by_module(pec: Pec) -> None:
    """The general module on the same file: after a restart PEC listens on the new port."""
    arguments = {"path": PROPERTIES, "values": {"server.port": 8090}, "backup": True}
    result = pec.server.module("esus.pec.properties", arguments)
    assert (result["changed"], result["set"]) == (True, ["server.port"])
    assert pec.server.module("esus.pec.properties", arguments)["changed"] is False
    pec.server.run("systemctl", "restart", "e-SUS-PEC")
    answer = pec.server.module("esus.pec.health", {"timeout": 180})
    assert not answer["_failed"] and answer["url"] == "http://127.0.0.1:8090"
    assert "server.port" not in pec.server.run("cat", result["backup_file"]).stdout
