# SPDX-License-Identifier: GPL-3.0-or-later
"""Bad input on a real server: each is refused before anything is changed, in words that say what to do."""

from __future__ import annotations

import hashlib
import re
import threading
import zipfile
from typing import Any

import pytest
from secret_search import JOURNAL, in_text, on_server

# Every character that some layer (shell, SQL, Java's argument file, the journal) could stumble over or write with an escape.
PASSWORD = """Não"aparece' \\1 $HOME %s #fim"""
DATABASES = """
CREATE ROLE esus LOGIN PASSWORD 'md5{md5}';
CREATE DATABASE esus OWNER esus TEMPLATE template0 ENCODING 'UTF8';
CREATE DATABASE other OWNER esus TEMPLATE template0 ENCODING 'UTF8';
SET password_encryption = 'scram-sha-256';
CREATE ROLE scram LOGIN PASSWORD '{password}';
CREATE DATABASE scram OWNER scram TEMPLATE template0 ENCODING 'UTF8';
\\c other
CREATE TABLE invoice (id int);
"""


@pytest.fixture(scope="module")
def server(start_server: Any, jar: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    server = start_server("esus-pec-bad-input", "debian12", "--tmpfs", "/opt:size=3g")
    server.run("apt-get", "update", "-qq")
    packages = ["openjdk-17-jre-headless", "file", "postgresql", "locales"]
    server.run("env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "install", "-y", "-qq", "--no-install-recommends", *packages)
    server.run("sh", "-c", "sed -i 's/^host.*127.*scram-sha-256/host all all 127.0.0.1\\/32 md5/' /etc/postgresql/15/main/pg_hba.conf")
    server.run("systemctl", "restart", "postgresql@15-main.service")
    md5 = hashlib.md5(f"{PASSWORD}esus".encode()).hexdigest()
    script = DATABASES.format(md5=md5, password=PASSWORD.replace("'", "''"))
    server.run("sh", "-c", "cd / && runuser -u postgres -- psql -qX -v ON_ERROR_STOP=1", stdin=script)
    for version in ("5.3.28", "5.4.37"):
        server.copy(jar(version), f"/srv/eSUS-AB-PEC-{version}-Linux64.jar")
    other = tmp_path_factory.mktemp("jars") / "eSUS-AB-PEC-5.4.37-Linux64.jar"
    with zipfile.ZipFile(other, "w") as archive:
        archive.writestr("META-INF/MANIFEST.MF", "Main-Class: org.example.Shop\n")
    server.run("mkdir", "-p", "/srv/other")
    server.copy(other, "/srv/other/")
    server.run("cp", "/srv/eSUS-AB-PEC-5.4.37-Linux64.jar", "/srv/eSUS-AB-PEC-5.4.37-Win64.jar")
    return server


def database(name: str, username: str = "esus", port: int = 5432) -> dict[str, Any]:
    return {"host": "127.0.0.1", "port": port, "name": name, "username": username, "password": PASSWORD}


LINUX_JAR = "/srv/eSUS-AB-PEC-5.4.37-Linux64.jar"
FIRST_RUN = {
    "name": "UBS Central",
    "link": "https://pec.municipio.uf.gov.br",
    "instalador_name": "Maria da Silva",
    "instalador_cpf": "529.982.247-25",
    "instalador_password": "Segredo2026",
}
CASES = [
    pytest.param("installer", {"jar": "/srv/none/eSUS-AB-PEC-5.4.37-Linux64.jar"}, "there is no installer at /srv/none/", id="no jar"),
    pytest.param("installer", {"jar": LINUX_JAR, "sha256": "0" * 64}, "its SHA-256 is [0-9a-f]{64}", id="wrong SHA-256"),
    pytest.param(
        "installer",
        {"jar": "/srv/other/eSUS-AB-PEC-5.4.37-Linux64.jar"},
        "not the installer of PEC: it starts org.example.Shop",
        id="other product",
    ),
    pytest.param("installer", {"jar": "/srv/eSUS-AB-PEC-5.4.37-Win64.jar"}, "is the installer for Windows", id="Windows jar"),
    pytest.param(
        "installer",
        {"jar": LINUX_JAR, "database": database("other")},
        r"\[database_foreign\] .* 1 table",
        id="foreign database",
    ),
    pytest.param("installer", {"jar": LINUX_JAR, "database": database("scram", "scram")}, r"\[database_scram\]", id="SCRAM-only role"),
    pytest.param(
        "installer",
        {"jar": LINUX_JAR, "database": database("esus", port=5999)},
        r"\[database_unreachable\] .*127\.0\.0\.1:5999",
        id="unreachable database",
    ),
    pytest.param(
        "preflight",
        {"domain": "https://pec.municipio.uf.gov.br"},
        r"\[domain\] .*write pec\.municipio\.uf\.gov\.br",
        id="domain with https",
    ),
    pytest.param(
        "preflight", {"first_run": {**FIRST_RUN, "instalador_cpf": "529.982.247-26"}}, r"\[instalador_cpf\]", id="CPF with wrong digits"
    ),
    pytest.param(
        "preflight",
        {"first_run": {**FIRST_RUN, "instalador_password": "maria"}},
        r"\[instalador_password\]",
        id="weak instalador password",
    ),
    pytest.param("preflight", {"database": {"mode": "bundled"}}, r"\[disk\] only [23](\.\d)? GB .* /opt", id="3 GB of free disk"),
]


def assert_secret(server: Any, result: dict[str, Any]) -> None:
    """No password may be in what Ansible printed or the host wrote."""
    secrets = [PASSWORD, FIRST_RUN["instalador_password"]]
    assert in_text(result["_output"], secrets) == []
    assert on_server(server.shell, secrets, JOURNAL, "/var/log/esus-pec") == []


@pytest.mark.parametrize(("module", "arguments", "says"), CASES)
def test_is_refused(server: Any, module: str, arguments: dict[str, Any], says: str) -> None:
    result = server.module(f"esus.pec.{module}", arguments)
    assert result["_failed"], result
    assert re.search(says, result["msg"]), result["msg"]
    assert_secret(server, result)
    assert server.run("test", "-e", "/etc/pec.config", check=False).returncode != 0, "nothing may be installed"


def test_port_8080_is_taken(server: Any) -> None:
    server.run("systemd-run", "--quiet", "--unit", "squatter", "python3", "-m", "http.server", "8080", "--directory", "/var/empty")
    server.run("sh", "-c", "until ss -Hltn sport = :8080 | grep -q .; do sleep 0.2; done")
    try:
        result = server.module("esus.pec.preflight", {"database": {"mode": "bundled"}})
    finally:
        server.run("systemctl", "stop", "squatter.service")
    assert result["_failed"]
    assert re.search(r"\[port_taken\] .*8080.* python3", result["msg"]), result["msg"]


def test_all_findings_come_at_once_and_errors_first(server: Any) -> None:
    result = server.module("esus.pec.preflight", {"domain": "https://x", "database": {"mode": "external", **database("other")}})
    severities = [finding["severity"] for finding in result["findings"]]
    assert severities == sorted(severities, key=["error", "warning"].index)
    assert {"disk", "database_foreign"} <= {finding["code"] for finding in result["findings"]}
    assert all(finding["remedy"] for finding in result["findings"])


def test_not_root(server: Any) -> None:
    result = server.module("esus.pec.info", user="nobody")
    assert result["_failed"]
    assert "become: true" in result["msg"]


def test_two_runs_at_once_then_downgrade(server: Any) -> None:
    server.put("installer.seconds = 12\n", "/etc/pec-stand-in.conf")
    arguments = {"jar": LINUX_JAR, "database": database("esus")}
    first: dict[str, Any] = {}
    thread = threading.Thread(target=lambda: first.update(server.module("esus.pec.installer", arguments)))
    thread.start()
    server.run("sh", "-c", "until grep -q running /run/esus-pec/installer.json 2>/dev/null; do sleep 0.2; done")
    second = server.module("esus.pec.installer", arguments)
    thread.join()
    assert second["_failed"]
    assert "another run holds the lock" in second["msg"]
    assert not first["_failed"], first
    assert first["changed"]
    assert_secret(server, first)

    again = server.module("esus.pec.installer", arguments)
    assert not again["changed"], again
    older = server.module("esus.pec.installer", {"jar": "/srv/eSUS-AB-PEC-5.3.28-Linux64.jar", "database": database("esus")})
    assert older["_failed"]
    assert "PEC cannot be downgraded" in older["msg"]
