# SPDX-License-Identifier: GPL-3.0-or-later
"""The doctor on a server without PEC, on a good one and on one with things broken; the stand-in takes PEC's place."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from secret_search import in_text

ROOT = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("LAB_BUILD_DIR", ROOT / ".build"))
NAME = "esus-pec-doctor-server"
VERSION = "5.4.37"
WANTED = {"simultaneous_users": 40}
CREDENTIALS = "/opt/e-SUS/webserver/config/credenciais.txt"
PROPERTIES = "/opt/e-SUS/webserver/config/application.properties"
OF_THIS_MACHINE = {"memory", "processors", "disk", "clock"}
"""What the machine of the tests has or has not, whatever PEC does."""
SEEN_HERE = {
    "config-file",
    "config-keys",
    "homes",
    "bundle",
    "standalone",
    "datasource-keys",
    "credentials-file",
    "jre-current",
    "bundled-clients",
    "migrator",
    "pec-unit",
    "database-unit",
    "unit-directories",
    "http-port",
    "bundled-port",
    "bundled-user",
    "jar-name",
    "jar-main-class",
    "jar-contents",
    "locale",
    "read-only-role",
    "settings-table",
    "version-key",
    "password-encryption",
    "postgresql-minimum",
    "root-path",
    "esus-path",
    "info-path",
    "info-version-key",
    "health",
    "version-mismatch",
    "timezone",
    "read-only-grants",
    "migration-lock",
    "pec-unit-text",
    "config-keys-bundled",
    "credentials-form",
    "settings-keys",
    "extensions",
    "size",
    "info-keys",
}
PREPARE = """
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
apt-get install -y -qq --no-install-recommends openjdk-17-jre-headless file locales tzdata fontconfig fonts-dejavu-core \\
  openssl postgresql-client >/dev/null
echo 'pt_BR.UTF-8 UTF-8' >> /etc/locale.gen
locale-gen >/dev/null
ln -sf /usr/share/zoneinfo/America/Sao_Paulo /etc/localtime
mkdir -p /etc/systemd/logind.conf.d
printf '[Login]\\nRemoveIPC=no\\n' > /etc/systemd/logind.conf.d/pec.conf
"""


@pytest.fixture(scope="module")
def bare(start_server: Any) -> Any:
    server = start_server(NAME, "debian12")
    server.run("sh", "-ec", PREPARE)
    return server


@pytest.fixture(scope="module")
def without_pec(bare: Any) -> dict[str, Any]:
    return bare.module("esus.pec.doctor", WANTED)


@pytest.fixture(scope="module")
def server(bare: Any, without_pec: dict[str, Any], jar: Any) -> Any:
    """PEC installed by hand, as most servers are."""
    bare.copy(jar(VERSION), f"/root/eSUS-AB-PEC-{VERSION}-Linux64.jar")
    install = f"cd /root && LC_ALL=C.UTF-8 java -jar eSUS-AB-PEC-{VERSION}-Linux64.jar -console -continue && systemctl start e-SUS-PEC"
    bare.run("sh", "-ec", install)
    bare.run("chmod", "0640", PROPERTIES)
    wait_for(f"http://{bare.address}:8080/")
    return bare


@pytest.fixture(scope="module")
def good(server: Any) -> dict[str, Any]:
    return server.module("esus.pec.doctor", WANTED)


def wait_for(url: str, seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while True:
        try:
            urllib.request.urlopen(url, timeout=5).close()
            return
        except OSError:
            if time.monotonic() > end:
                raise
            time.sleep(0.5)


def passwords(server: Any) -> list[str]:
    lines = server.run("cat", CREDENTIALS).stdout.splitlines()
    return [line.partition(":")[2].strip() for line in lines if line.startswith("senha:")]


def ids(report: dict[str, Any], *statuses: str) -> set[str]:
    return {line["id"] for line in report["lines"] if line["status"] in statuses}


def sql(server: Any, statement: str) -> None:
    argv = [
        "env",
        f"PGPASSWORD={passwords(server)[0]}",
        "psql",
        "-XAtq",
        "-v",
        "ON_ERROR_STOP=1",
        "-h",
        "127.0.0.1",
        "-p",
        "5433",
        "-U",
        "postgres",
        "esus",
    ]
    server.run(*argv, stdin=statement)


def playbook(inventory: Path, *options: str) -> subprocess.CompletedProcess[str]:
    argv = [Path(sys.executable).parent / "ansible-playbook", "-i", inventory, ROOT / "playbooks" / "doctor.yml", *options]
    environment = {**os.environ, "ANSIBLE_COLLECTIONS_PATH": str(BUILD / "collections"), "ANSIBLE_NOCOLOR": "true"}
    return subprocess.run(argv, capture_output=True, text=True, env=environment, timeout=300, check=False)


@pytest.fixture
def inventory(server: Any, tmp_path: Path) -> Path:
    variables = {
        "ansible_connection": "community.docker.nsenter",
        "ansible_nsenter_pid": (BUILD / "lab" / f"{NAME}.pid").read_text().strip(),
        "ansible_python_interpreter": "/usr/bin/python3",
    }
    path = tmp_path / "inventory.yml"
    path.write_text(json.dumps({"pec": {"hosts": {"ubs-central": variables}}}))
    return path


def test_without_pec_the_machine_is_examined(without_pec: dict[str, Any]) -> None:
    assert not without_pec["_failed"]
    assert (without_pec["state"], without_pec["changed"]) == ("absent", False)
    assert ids(without_pec, "diverges") - OF_THIS_MACHINE == set()
    assert {"init-name", "file-program", "semaphores", "brazilian-locale", "fonts"} <= ids(without_pec, "ok")
    assert "sem PEC neste servidor" in without_pec["table"]


def test_a_good_server_diverges_nowhere(good: dict[str, Any]) -> None:
    wrong = [(line["id"], line["found"]) for line in good["lines"] if line["status"] == "diverges" and line["id"] not in OF_THIS_MACHINE]
    assert wrong == []
    assert (good["state"], good["version"], good["changed"]) == ("installed", VERSION, False)


def test_what_can_be_seen_is_seen(good: dict[str, Any]) -> None:
    seen = ids(good, "ok", "to_discover")
    assert SEEN_HERE - seen == set()


def test_what_cannot_be_seen_is_not_called_good(good: dict[str, Any]) -> None:
    assert {"exit-code-zero", "root-directory", "text-scram", "text-semaphores", "remove-ipc"} <= ids(good, "not_verifiable")
    assert {"ssl-domain-key", "https-port", "certificate", "govbr-secret"} <= ids(good, "not_applicable")


def test_no_secret_leaves_the_server(server: Any, good: dict[str, Any]) -> None:
    known = passwords(server)
    assert len(known) == 2
    assert in_text(good["_output"], known) == []


def test_the_stand_in_says_so(good: dict[str, Any]) -> None:
    assert good["stand_in"]
    assert "que não é o PEC" in good["table"]


def test_check_mode_tells_the_same(server: Any, good: dict[str, Any]) -> None:
    again = server.module("esus.pec.doctor", WANTED, check=True)
    assert not again["changed"]
    assert [(line["id"], line["status"]) for line in again["lines"]] == [(line["id"], line["status"]) for line in good["lines"]]


def test_playbook_keeps_the_report_for_its_owner_alone(server: Any, inventory: Path, tmp_path: Path) -> None:
    output = tmp_path / "report"
    run = playbook(inventory, "-e", f"pec_doctor_output={output}")
    assert run.returncode == 0, run.stdout + run.stderr
    assert "changed=0" in run.stdout
    assert "RESUMO:" in run.stdout
    for name in ("ubs-central.txt", "ubs-central.json"):
        assert (output / name).stat().st_mode & 0o777 == 0o600
    report = json.loads((output / "ubs-central.json").read_text())
    assert report["summary"]["total"] == len(report["lines"])
    assert "RESUMO:" in (output / "ubs-central.txt").read_text()
    everything = run.stdout + "".join(path.read_text() for path in output.iterdir())
    assert in_text(everything, passwords(server)) == []


def test_playbook_in_check_mode_writes_nothing(inventory: Path, tmp_path: Path) -> None:
    run = playbook(inventory, "--check", "-e", f"pec_doctor_output={tmp_path / 'report'}")
    assert run.returncode == 0, run.stdout + run.stderr
    assert not (tmp_path / "report").exists()


def test_exactly_what_is_broken_diverges(server: Any, good: dict[str, Any], inventory: Path) -> None:
    before = server.run("cat", PROPERTIES).stdout
    server.run("chmod", "0644", CREDENTIALS)
    server.run("sh", "-c", f"echo 'server.port=8080 #OPCIONAL!' >> {PROPERTIES}")
    sql(server, "update tb_config_sistema set ds_texto = '5.4.36' where co_config_sistema = 'VERSAOBANCODADOS'")
    try:
        broken = server.module("esus.pec.doctor", WANTED)
        strict = playbook(inventory, "-e", "pec_doctor_strict=true")
    finally:
        server.run("chmod", "0600", CREDENTIALS)
        server.put(before, PROPERTIES, "0640")
        sql(server, f"update tb_config_sistema set ds_texto = '{VERSION}' where co_config_sistema = 'VERSAOBANCODADOS'")
    new = ids(broken, "diverges") - ids(good, "diverges")
    assert new == {"credentials-file", "secret-files", "server-keys", "inline-comments", "version-mismatch"}
    found = {line["id"]: line for line in broken["lines"]}
    assert found["version-mismatch"]["found"] == f"aplicação: {VERSION}; banco: 5.4.36"
    assert "nunca mude a versão à mão" in found["version-mismatch"]["remedy"]
    assert "0644" in found["credentials-file"]["found"]
    assert strict.returncode != 0
    assert "version-mismatch" in strict.stdout
    assert in_text(broken["_output"] + strict.stdout, passwords(server)) == []


def test_a_stopped_server_is_not_judged_by_its_silence(server: Any, good: dict[str, Any]) -> None:
    server.run("systemctl", "stop", "e-SUS-PEC", "e-SUS-AB-PostgreSQL")
    try:
        stopped = server.module("esus.pec.doctor", WANTED)
    finally:
        server.run("systemctl", "start", "e-SUS-AB-PostgreSQL", "e-SUS-PEC")
        wait_for(f"http://{server.address}:8080/")
    assert ids(stopped, "diverges") - ids(good, "diverges") == {"health", "bundled-port"}
    assert {"http-port", "root-path", "info-version-key", "settings-table", "version-mismatch", "scram"} <= ids(stopped, "not_verifiable")
