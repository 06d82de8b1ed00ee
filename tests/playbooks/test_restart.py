# SPDX-License-Identifier: GPL-3.0-or-later
"""When PEC is restarted, how often, and how long it is waited for: the real playbooks and roles, with stubs for this collection's modules.

The module ansible.builtin.systemd_service is the real one. It meets a systemctl that only writes down how it was called.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
UNIT = "pec-of-a-test.service"
STUB = """#!{python}
# WANT_JSON
import json, os, sys
with open(sys.argv[1]) as stream:
    arguments = json.load(stream)
name = arguments["_ansible_module_name"].rpartition(".")[2]
with open(os.environ["STUB_CALLS"], "a") as stream:
    stream.write(json.dumps([name, {{key: value for key, value in arguments.items() if not key.startswith("_")}}]) + "\\n")
with open(os.environ["STUB_ANSWERS"]) as stream:
    print(json.dumps(json.load(stream)[name]))
"""
SYSTEMCTL = """#!/bin/sh
case "$1" in
  show) printf 'LoadState=loaded\\nActiveState=%s\\nActiveEnterTimestamp=%s\\n' "$STUB_STATE" "$STUB_STARTED" ;;
  is-enabled) echo enabled ;;
  *) echo "[\\"systemctl\\", \\"$*\\"]" >>"$STUB_CALLS" ;;
esac
"""
PATHS = {
    name: f"/nowhere/{name}" for name in ("webserver", "config_directory", "unit_template", "standalone", "keys_directory", "log_file")
}
PEC = {
    "state": "installed",
    "version": "5.4.37",
    "services": {"pec": {"name": UNIT, "present": True, "user": "root"}, "database": {"name": "database-of-a-test.service"}},
    "paths": {**PATHS, "application_properties": "/nowhere/application.properties", "ssl_properties": "/nowhere/ssl.properties"},
    "ports": {"http": 8080, "listening": []},
    "https": {"mode": "none", "domain": None, "port": None},
    "api": {"govBREnabled": True, "error": None},
    "installation": {"link": None},
    "database": {"reachable": True, "version": "5.4.37", "error": None},
    "health": {"error": None},
    "certificates": [],
    "contra_chaves": [],
    "secret_files": [],
    "keystore_name": "keystore.p12",
    "property_names": {
        name: f"names.{name}" for name in ("port", "keystore", "keystore_type", "keystore_password", "keystore_alias", "require_https")
    },
}
CERTIFICATE = {"matches_domain": True, "fingerprint_sha256": "00", "days_left": 60, "not_after": "", "issuer": "", "trusted": True}
WRITTEN = {"changed": True, "restart_needed": True, "redirect_urls": [], "logout_url": None, "path": "/nowhere/application.properties"}
ANSWERS: dict[str, dict[str, Any]] = {
    "info": {"changed": False, "pec": PEC},
    "health": {"changed": False, "healthy": True, "overdue": False, "version": "5.4.37"},
    "certificate": {"changed": True, "path": "/nowhere/keystore.p12", "certificate": CERTIFICATE},
    "properties": {"changed": True},
    "served_certificate": {"changed": False, "certificate": CERTIFICATE},
    "govbr_oauth": WRITTEN,
    "installer": {"changed": False, "version": "5.4.37"},
    "tls_certificate": {"changed": False, "fingerprint_sha256": "00"},
    "first_run": {"changed": True},
    "setting": {"changed": True, "manual": []},
}
CONFIGURED = {
    "pec_domain": "pec.example",
    "pec_health_timeout": 7,
    "pec_https_mode": "keystore",
    "pec_https_keystore_path": "/nowhere/received.p12",
    "pec_https_keystore_password": "invented",
    "pec_govbr_client_id": "invented",
    "pec_govbr_client_secret": "invented",
}
UNCHANGED = {
    "certificate": {"changed": False},
    "properties": {"changed": False},
    "govbr_oauth": {"changed": False, "restart_needed": False},
}


@dataclass(frozen=True)
class Controller:
    """An ansible-playbook whose collection has this repository's roles and playbooks, and stubs for its modules."""

    directory: Path

    def run(
        self,
        play: str | list[dict[str, Any]],
        *options: str,
        answers: Any = None,
        state: str = "active",
        started: str = "",
        hosts: str = "localhost,",
        **variables: Any,
    ) -> str:
        if not isinstance(play, str):
            (self.directory / "play.yml").write_text(json.dumps(play), encoding="utf-8")
            play = str(self.directory / "play.yml")
        given = {name: {**answer, **(answers or {}).get(name, {})} for name, answer in ANSWERS.items()}
        (self.directory / "answers.json").write_text(json.dumps(given), encoding="utf-8")
        (self.directory / "calls").write_text("", encoding="utf-8")
        variables = {"pec_hosts": "all", "ansible_become": False, "ansible_python_interpreter": sys.executable, **variables}
        argv = [str(Path(sys.executable).parent / "ansible-playbook"), "-i", hosts, "-c", "local", play, "-e", json.dumps(variables)]
        environment = {
            **os.environ,
            "PATH": f"{self.directory / 'bin'}:{os.environ['PATH']}",
            "ANSIBLE_NOCOLOR": "true",
            "ANSIBLE_HOME": str(self.directory / "home"),
            "ANSIBLE_COLLECTIONS_PATH": str(self.directory / "collections"),
            "STUB_CALLS": str(self.directory / "calls"),
            "STUB_ANSWERS": str(self.directory / "answers.json"),
            "STUB_STATE": state,
            "STUB_STARTED": started,
        }
        ended = subprocess.run([*argv, *options], capture_output=True, text=True, env=environment, timeout=120, check=False)
        assert ended.returncode == 0, ended.stdout + ended.stderr
        return ended.stdout

    def calls(self, name: str) -> list[Any]:
        lines = (self.directory / "calls").read_text(encoding="utf-8").splitlines()
        return [call[1] for call in map(json.loads, lines) if call[0] == name]

    def restarts(self) -> int:
        return self.calls("systemctl").count(f"restart {UNIT}")


@pytest.fixture
def controller(tmp_path: Path) -> Controller:
    collection = tmp_path / "collections" / "ansible_collections" / "esus" / "pec"
    modules = collection / "plugins" / "modules"
    modules.mkdir(parents=True)
    for part in ("roles", "playbooks"):
        (collection / part).symlink_to(ROOT / part)
    for name in ANSWERS:
        (modules / f"{name}.py").write_text(STUB.format(python=sys.executable), encoding="utf-8")
    systemctl = tmp_path / "bin" / "systemctl"
    systemctl.parent.mkdir()
    systemctl.write_text(SYSTEMCTL, encoding="utf-8")
    systemctl.chmod(0o755)
    return Controller(tmp_path)


def test_a_handler_has_one_role() -> None:
    """Ansible knows handlers of a play by their names and keeps the last one loaded, whichever role asked for it."""
    known: dict[str, set[str]] = {}
    for path in (ROOT / "roles").glob("*/handlers/*.yml"):
        for handler in yaml.safe_load(path.read_text(encoding="utf-8")):
            for name in (handler["name"], handler["listen"]):
                known.setdefault(name, set()).add(path.parents[1].name)
    assert "Restart PEC" in known
    assert {name: roles for name, roles in known.items() if len(roles) > 1} == {}


def test_the_playbook_restarts_pec_once_for_all_changes(controller: Controller) -> None:
    controller.run("esus.pec.configure", **CONFIGURED)
    assert controller.restarts() == 1
    assert {call["timeout"] for call in controller.calls("health")} == {7}


def test_the_playbook_does_not_restart_a_pec_that_has_everything(controller: Controller) -> None:
    controller.run("esus.pec.configure", answers=UNCHANGED, **CONFIGURED)
    assert controller.restarts() == 0


def test_the_playbook_restarts_pec_before_it_verifies_one_part(controller: Controller) -> None:
    controller.run("esus.pec.configure", "--tags", "govbr", **CONFIGURED)
    assert controller.restarts() == 1


@pytest.mark.parametrize("role", ["pec_https", "pec_govbr"])
def test_a_role_alone_restarts_pec(controller: Controller, role: str) -> None:
    controller.run([{"hosts": "all", "gather_facts": False, "roles": [f"esus.pec.{role}"]}], **CONFIGURED)
    assert controller.restarts() == 1
    assert {call["timeout"] for call in controller.calls("health")} == {7}


def test_a_role_that_is_included_under_a_condition_keeps_the_restart_of_another(controller: Controller) -> None:
    skipped = {"include_role": {"name": "esus.pec.pec_https"}, "when": False}
    controller.run(
        [{"hosts": "all", "gather_facts": False, "tasks": [{"include_role": {"name": "esus.pec.pec_govbr"}}, skipped]}], **CONFIGURED
    )
    assert controller.restarts() == 1


def test_the_https_of_one_server_keeps_the_restart_of_another(controller: Controller) -> None:
    """In check mode, because the role would install nginx on this machine."""
    https = {
        "pec_https_mode": "{{ 'proxy' if inventory_hostname == 'h2' else 'none' }}",
        "pec_https_certificate_path": "/nowhere/certificate.pem",
        "pec_https_key_path": "/nowhere/key.pem",
    }
    output = controller.run("esus.pec.configure", "--check", hosts="h1,h2,", **{**CONFIGURED, **https})
    restart = output.partition("RUNNING HANDLER [esus.pec.pec : Restart PEC's unit]")[2].partition("\n\n")[0]
    assert "changed: [h1]" in restart


SKIPPED = {"role": "esus.pec.pec_https", "when": False}


@pytest.mark.parametrize("roles", [["esus.pec.pec_govbr", SKIPPED], [SKIPPED, "esus.pec.pec_govbr"]], ids=["after it", "before it"])
def test_a_role_under_a_condition_keeps_the_restart_of_another(controller: Controller, roles: list[Any]) -> None:
    """A handler takes over the condition of the role that loads it, and Ansible runs the one that was loaded last."""
    controller.run([{"hosts": "all", "gather_facts": False, "roles": roles}], **CONFIGURED)
    assert controller.restarts() == 1


@pytest.mark.parametrize(("tags", "restarts"), [("govbr", 1), ("https", 1), ("other", 0)])
def test_a_role_with_tags_restarts_pec(controller: Controller, tags: str, restarts: int) -> None:
    roles = [{"role": f"esus.pec.pec_{name}", "tags": name} for name in ("govbr", "https")]
    controller.run([{"hosts": "all", "gather_facts": False, "roles": roles}], "--tags", tags, **CONFIGURED)
    assert controller.restarts() == restarts


@pytest.mark.parametrize(
    ("answers", "state", "restarted"),
    [
        pytest.param({}, "active", True, id="it ran before and after"),
        pytest.param({"installer": {"changed": True}}, "active", False, id="the installer has just started it"),
        pytest.param({}, "inactive", False, id="the role starts it"),
        pytest.param({"installer": {"changed": True}, "health": {"overdue": True}}, "active", False, id="its first start is slow"),
    ],
)
def test_a_first_start_is_not_broken_off(controller: Controller, answers: Any, state: str, restarted: bool) -> None:
    """In check mode, because the role would write to this machine's /etc/systemd/system."""
    play = [{"hosts": "all", "gather_facts": False, "roles": ["esus.pec.pec_install"]}]
    output = controller.run(
        play, "--check", answers=answers, state=state, pec_install_jar_path="/nowhere/installer.jar", pec_training=False
    )
    assert ("RUNNING HANDLER [esus.pec.pec : Restart PEC's unit]" in output) is restarted


@pytest.mark.parametrize(
    ("started", "restarts"),
    [pytest.param("Thu 2020-01-02 03:04:05 -03", 1, id="interrupted"), pytest.param("Fri 2100-01-01 03:04:05 UTC", 0, id="restarted")],
)
def test_the_next_run_restarts_a_pec_that_was_started_before_its_settings(controller: Controller, started: str, restarts: int) -> None:
    play = [{"hosts": "all", "gather_facts": False, "roles": ["esus.pec.pec_install"]}]
    variables = {"pec_install_jar_path": "/nowhere/installer.jar", "_pec_install_unit_path": str(controller.directory / UNIT)}
    controller.run(play, **variables)
    assert controller.restarts() == 1
    controller.run(play, started=started, **variables)
    assert controller.restarts() == restarts


def test_a_pec_that_has_had_its_time_is_restarted(controller: Controller) -> None:
    play = [{"hosts": "all", "gather_facts": False, "tasks": [{"include_role": {"name": "esus.pec.pec_install", "tasks_from": "verify"}}]}]
    registered = {"__pec_install_run": {"changed": False, "version": "5.4.37"}, "__pec_install_info": {"pec": PEC}}
    controller.run(play, answers={"health": {"overdue": True}}, **registered)
    assert controller.restarts() == 1


def test_a_run_that_starts_at_a_later_role(controller: Controller) -> None:
    """What an earlier task registered is not there, and the facts are."""
    output = controller.run("esus.pec.configure", "--start-at-task", "esus.pec.pec_https : Wait until PEC answers", **CONFIGURED)
    assert "TASK [esus.pec.pec_https : Report the certificate]" in output and "TASK [Gathering Facts]" in output
    assert controller.calls("properties") == []


FIRST_RUN = {
    "pec_domain": "pec.example",
    "pec_https_mode": "certmgr",
    "pec_first_run_enabled": True,
    "pec_first_run_name": "A",
    "pec_first_run_instalador_name": "B",
    "pec_instalador_cpf": "529.982.247-25",
    "pec_instalador_password": "invented",
}
PLAIN = "http://pec.example:8080"


def each(entry: str, cases: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """A play that includes the role with each case's variables."""
    role = {"name": "esus.pec.pec_first_run", "tasks_from": entry}
    return [{"hosts": "all", "gather_facts": False, "tasks": [{"include_role": role, "vars": {**FIRST_RUN, **case}} for case in cases]}]


@pytest.mark.parametrize(
    ("trusted", "cases"),
    [
        pytest.param(
            False,
            [
                ({}, PLAIN),
                ({"pec_first_run_link": "https://pec.example:443/"}, PLAIN),
                ({"pec_first_run_link": "https://proxy.example"}, "https://proxy.example"),
                ({"pec_https_mode": "none"}, "https://pec.example"),
                ({"pec_https_mode": "none", "pec_install_certificate_domain": "a.example"}, "https://a.example"),
                ({"pec_first_run_link": PLAIN}, PLAIN),
            ],
            id="HTTPS comes later",
        ),
        pytest.param(True, [({}, "https://pec.example"), ({"pec_https_port": 8443}, "https://pec.example:8443")], id="HTTPS is there"),
    ],
)
def test_the_link_of_the_first_run_can_be_opened(controller: Controller, trusted: bool, cases: list[tuple[dict[str, Any], str]]) -> None:
    answers = {"served_certificate": {"certificate": {**CERTIFICATE, "trusted": trusted}}}
    controller.run(each("main", [case for case, _link in cases]), answers=answers)
    assert [call["link"] for call in controller.calls("first_run")] == [link for _case, link in cases]


@pytest.mark.parametrize(
    ("link", "cases", "written"),
    [
        pytest.param(
            "http://pec.example:8081/",
            [
                {},
                {"pec_https_port": 8443},
                {"pec_domain": "outro.example"},
                {"pec_first_run_enabled": False},
                {"pec_https_mode": "none"},
                {"pec_first_run_link": PLAIN},
            ],
            ["https://pec.example", "https://pec.example:8443"],
            id="the first run's",
        ),
        pytest.param("http://pecXexample:8080", [{}, {"pec_domain": "ecXexample"}], [], id="names that only look like it"),
    ],
)
def test_the_link_gets_https_after_https_was_provided(
    controller: Controller, link: str | None, cases: list[dict[str, Any]], written: list[str]
) -> None:
    """In check mode, because the role would install a package on this machine."""
    info = {"info": {"changed": False, "pec": {**PEC, "installation": {"link": link}}}}
    controller.run(each("link", cases), "--check", answers=info, ansible_facts={"os_family": "Debian", "pkg_mgr": "apt"})
    assert [call["settings"]["link_instalacao"] for call in controller.calls("setting")] == written
    assert all(call["database_writes"] is True for call in controller.calls("setting"))
