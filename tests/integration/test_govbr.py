# SPDX-License-Identifier: GPL-3.0-or-later
"""The credentials of Gov.br on a server with the stand-in, from nothing to removal. The tests are one story and run in their order."""

from __future__ import annotations

import base64
import subprocess
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from typing import Any

import pytest
from installed import install, prepare
from secret_search import JOURNAL, in_text, on_server

NAME = "esus-pec-govbr"
VERSION = "5.4.37"
PROPERTIES = "/opt/e-SUS/webserver/config/application.properties"
ID, SECRET, ROTATED = "pec.municipio.uf.gov.br", 'Se"gre\\do-um#26', "Segredo-dois!26"
VARIABLES = {"pec_domain": "pec.municipio.uf.gov.br", "pec_govbr_client_id": ID, "pec_govbr_client_secret": SECRET}
KEYS = "bridge.security.oauth2.client.registration.govbr.client-"


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
        """Byte for byte, which a text over a pipe is not."""
        return base64.b64decode(self.server.run("base64", PROPERTIES).stdout).decode("latin-1")

    def login(self) -> str | None:
        """Where PEC sends somebody who wants to log in with Gov.br."""
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
def pec(bare: Pec, jar: Any) -> Pec:
    """PEC installed by hand, as most servers are, with something of its administrator's in its settings."""
    server = bare.server
    install(server, jar(VERSION))
    server.run("sh", "-ec", f"printf '# da prefeitura\\r\\nlogging.level = \\\\\\r\\n   WARN' >> {PROPERTIES}; chmod 0640 {PROPERTIES}")
    return bare


def test_an_empty_server(bare: Pec) -> None:
    """Check mode foretells; a run says what is missing; without credentials nothing is done."""
    assert bare.changed("--check", **VARIABLES) == 1
    run = bare.role(**VARIABLES)
    assert run.returncode != 0 and "PEC is not installed on this host; install it first" in run.stdout
    assert bare.changed() == 0
    assert bare.changed(pec_govbr_state="absent") == 0
    assert set(bare.info()["api"].values()) == {None}


def test_what_everybody_is_told(pec: Pec) -> None:
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


def test_the_preflight_tells_and_changes_nothing(pec: Pec) -> None:
    before = pec.properties()
    assert pec.changed("--tags", "preflight", **VARIABLES) == 0
    run = pec.role("--tags", "preflight", **{**VARIABLES, "pec_govbr_client_id": "ClientID"})
    assert run.returncode != 0 and "client_id is the placeholder of an example" in run.stdout
    assert pec.properties() == before


def test_refusals_change_nothing(pec: Pec) -> None:
    before = pec.properties()
    for changes in ({"pec_govbr_client_secret": SECRET + "\n"}, {"pec_govbr_client_id": "SEU-CLIENT_ID"}, {"pec_govbr_client_id": ""}):
        run = pec.role(**{**VARIABLES, **changes})
        assert run.returncode != 0 and "the credentials of Gov.br were not written" in run.stdout
    assert pec.properties() == before


def test_from_nothing(pec: Pec) -> None:
    before, started = pec.properties(), pec.started()
    foretold = pec.changed("--check", **VARIABLES)
    assert (pec.properties(), pec.started(), pec.login()) == (before, started, None)
    run = pec.role(**VARIABLES)
    assert run.returncode == 0, run.stdout[-8000:]
    assert int(run.stdout.rpartition("changed=")[2].split()[0]) == foretold == 2  # the file, the restart
    assert "https://pec.municipio.uf.gov.br/login/oauth2/code/govbr" in run.stdout
    escaped = SECRET.replace("\\", "\\\\")
    assert before.endswith("# da prefeitura\r\nlogging.level = \\\r\n   WARN")
    assert pec.properties() == f"{before}\n{KEYS}id={ID}\n{KEYS}secret={escaped}"
    assert pec.server.run("stat", "-c", "%U:%G %a", PROPERTIES).stdout.strip() == "root:root 640"
    assert pec.started() != started
    assert pec.info()["api"]["govBREnabled"] is True
    assert pec.login() == f"https://sso.acesso.gov.br/authorize?response_type=code&client_id={ID}"


def test_again(pec: Pec) -> None:
    before, started = pec.properties(), pec.started()
    assert pec.changed(**VARIABLES) == 0 == pec.changed("--check", **VARIABLES)
    assert (pec.properties(), pec.started()) == (before, started)


def test_rotation(pec: Pec) -> None:
    started = pec.started()
    new = {**VARIABLES, "pec_govbr_client_id": "outro.municipio.uf.gov.br", "pec_govbr_client_secret": ROTATED}
    assert pec.changed(**new) == 2
    assert pec.started() != started and str(pec.login()).endswith("client_id=outro.municipio.uf.gov.br")
    assert SECRET not in pec.properties() and pec.properties().count(f"{KEYS}secret={ROTATED}") == 1
    assert pec.changed(**new) == 0


def test_a_run_that_was_interrupted_before_the_restart(pec: Pec) -> None:
    arguments = {"client_id": ID, "client_secret": SECRET, "domain": "pec.noharm.ai"}
    written = pec.server.module("esus.pec.govbr_oauth", arguments)
    assert written["changed"] and written["restart_needed"] and SECRET not in written["_output"]
    assert "does not end in .gov.br" in written["_output"]
    started = pec.started()
    assert pec.changed(**VARIABLES) == 2  # what it says, and the restart
    assert pec.started() != started and str(pec.login()).endswith(f"client_id={ID}")
    assert pec.changed(**VARIABLES) == 0


def test_what_somebody_wrote_by_hand(pec: Pec) -> None:
    """With a blank at its end, and without a restart."""
    pec.server.run("sed", "-i", f"s/^{KEYS}secret=.*/{KEYS}secret={ROTATED} /", PROPERTIES)
    assert pec.changed(**VARIABLES) == 2
    assert ROTATED not in pec.properties()


def test_a_clock_that_is_off_and_a_strange_domain(pec: Pec) -> None:
    arguments = {"client_id": ID, "client_secret": SECRET, "reference_time": time.time() - 600, "domain": "pec.noharm.ai"}
    result = pec.server.module("esus.pec.govbr_oauth", arguments)
    assert result["changed"] is False and result["clock"]["ahead_seconds"] == pytest.approx(600, abs=30)
    assert "seconds ahead of the controller" in result["_output"] and "7.076/2024" in result["_output"]


def test_nothing_of_it_is_in_the_journal_or_in_a_temporary_file(pec: Pec) -> None:
    places = ("/var/log", "/opt/e-SUS/webserver/logs", "/tmp", "/var/tmp", "/root/.ansible", "/etc/esus-pec")
    assert on_server(pec.server.shell, [SECRET, ROTATED], JOURNAL, *places) == []
    assert pec.server.run("stat", "-c", "%U %a", "/etc/esus-pec/govbr.json").stdout.strip() == "root 600"


def test_removal(pec: Pec) -> None:
    assert pec.changed("--check", pec_govbr_state="absent") == 2 == pec.changed(pec_govbr_state="absent")
    assert "govbr" not in pec.properties() and "logging.level = \\\r\n   WARN" in pec.properties()
    assert (pec.info()["api"]["govBREnabled"], pec.login()) == (False, None)
    assert pec.changed(pec_govbr_state="absent") == 0


def test_properties_by_module(pec: Pec) -> None:
    """The general module on the same file; PEC listens where it says after a restart."""
    arguments = {"path": PROPERTIES, "values": {"server.port": 8090}, "backup": True}
    result = pec.server.module("esus.pec.properties", arguments)
    assert (result["changed"], result["set"]) == (True, ["server.port"])
    assert pec.server.module("esus.pec.properties", arguments)["changed"] is False
    pec.server.run("systemctl", "restart", "e-SUS-PEC")
    answer = pec.server.module("esus.pec.health", {"timeout": 180})
    assert not answer["_failed"] and answer["url"] == "http://127.0.0.1:8090"
    pec.server.run("mv", result["backup_file"], PROPERTIES)
    assert "server.port" not in pec.properties()
