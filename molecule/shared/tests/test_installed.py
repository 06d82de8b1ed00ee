# SPDX-License-Identifier: GPL-3.0-or-later
"""The state of a server after the install playbook, through HTTP, SQL and systemd."""

from __future__ import annotations

import json
import os
import subprocess
import time
import urllib.error
import urllib.request
from typing import Any

import pytest
from secret_search import JOURNAL, on_server

SCENARIO = os.environ["MOLECULE_SCENARIO_NAME"]
BUNDLED = SCENARIO == "services"
SERVER = f"esus-pec-{SCENARIO}" + ("-new" if BUNDLED else "")
PORT = 5433 if BUNDLED else 5432
INSTALADOR = {"username": "52998224725", "password": "Segredo2026"}
PASSWORD = "Senha do banco '\\\"#%1"
READ_ONLY_PASSWORD = "Senha de leitura '\\\"#1"

testinfra_hosts = [f"podman://{SERVER}"]


def address(host: Any) -> str:
    return host.check_output("ip -4 -o addr show eth0").split()[3].split("/")[0]


@pytest.fixture(scope="module")
def base(host: Any) -> str:
    return f"http://{address(host)}:8080"


def get(url: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def graphql(base: str, query: str, variables: dict[str, Any]) -> dict[str, Any]:
    request = urllib.request.Request(
        base + "/api/graphql",
        json.dumps({"query": query, "variables": variables}).encode(),
        {"Content-Type": "application/json", "Api-Consumer-Id": "ESUS_WEB_CLIENT"},
    )
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.load(answer)


def sql(host: Any, statement: str) -> str:
    """Query as the read-only role over TCP, with the password that the município's own tools use."""
    run = host.run(f"PGPASSWORD=%s psql -XAt -h 127.0.0.1 -p {PORT} -U esus_leitura esus -c %s", passwords(host)[1], statement)
    assert run.rc == 0, run.stderr
    return run.stdout.strip()


def passwords(host: Any) -> list[str]:
    """The passwords of the database: PEC's role, then the read-only role."""
    if not BUNDLED:
        return [PASSWORD, READ_ONLY_PASSWORD]
    text = host.file("/opt/e-SUS/webserver/config/credenciais.txt").content.decode("utf-8", "replace")
    return [line.split(":", 1)[1].strip() for line in text.splitlines() if line.startswith("senha:")]


def setting(host: Any, key: str) -> str:
    return sql(host, f"select ds_texto from tb_config_sistema where co_config_sistema = '{key}'")


def test_page_and_session_rule(base: str) -> None:
    assert get(base + "/")[0] == 200
    assert get(base + "/esus/")[0] == 401


def test_version_over_http(base: str) -> None:
    assert json.loads(get(base + "/api/public/info")[1])["versao"] == "5.4.37"


def test_version_in_the_database(host: Any) -> None:
    assert setting(host, "VERSAOBANCODADOS") == "5.4.37"


def test_database_holds_portuguese(host: Any) -> None:
    answer = sql(host, "select pg_encoding_to_char(encoding) || ' ' || datcollate from pg_database where datname = 'esus'")
    assert answer.lower().replace("-", "") == "utf8 pt_br.utf8"


def test_schema_exists(host: Any) -> None:
    assert int(sql(host, "select count(*) from information_schema.tables where table_schema = 'public'")) > 900


def test_read_only_role_only_reads(host: Any) -> None:
    rights = "has_table_privilege('tb_cidadao', 'select') and not has_table_privilege('tb_cidadao', 'insert, update, delete')"
    assert sql(host, f"select {rights}") == "t"


def test_first_run_is_done(host: Any, base: str) -> None:
    assert setting(host, "NOMEINSTALACAO") == "UBS Central"
    assert setting(host, "LINKINSTALACAO") == "http://pec.example:8080"
    login = "mutation Login($input: LoginInput!){login(input:$input){success}}"
    answer = graphql(base, login, {"input": {**INSTALADOR, "force": True}})
    assert answer["data"]["login"]["success"] is True, answer


def test_units(host: Any) -> None:
    for unit in ["e-SUS-PEC"] + (["e-SUS-AB-PostgreSQL"] if BUNDLED else []):
        assert host.service(unit).is_running
        assert host.service(unit).is_enabled


def test_only_this_machine_reaches_the_database(host: Any) -> None:
    listening = [line.split()[3] for line in host.check_output("ss -Hltn").splitlines()]
    assert f"127.0.0.1:{PORT}" in listening
    assert not [place for place in listening if place.endswith(f":{PORT}") and place.rsplit(":", 1)[0] not in ("127.0.0.1", "[::1]")]


def test_system_is_brazilian(host: Any) -> None:
    assert "pt_BR.utf8" in host.check_output("locale -a").split()
    assert host.check_output("date +%z") == "-0300"


def test_semaphores_survive_a_logout(host: Any) -> None:
    effective = host.check_output("systemd-analyze cat-config systemd/logind.conf")
    lines = [line.strip() for line in effective.splitlines() if line.strip().startswith("RemoveIPC=")]
    assert lines[-1:] == ["RemoveIPC=no"]


def test_no_secret_in_logs(host: Any) -> None:
    secrets = [*passwords(host), INSTALADOR["password"]]
    places = (JOURNAL, "/var/log", "/run/esus-pec", "/var/cache/esus-pec")
    assert on_server(lambda script: host.check_output("sh -c %s", script), secrets, *places) == []


def test_secrets_are_for_root_alone(host: Any) -> None:
    readable = host.check_output("find /opt/e-SUS/webserver/config /etc/pec.config /etc/systemd -type f -perm /o+r")
    holders = [path for path in readable.splitlines() if any(host.run("grep -qF -e %s %s", it, path).rc == 0 for it in passwords(host))]
    assert holders == []


def test_pec_comes_back_after_a_reboot(host: Any) -> None:
    lab = os.path.join(os.environ["MOLECULE_PROJECT_DIRECTORY"], "tests/lab/lab")
    subprocess.run([lab, "podman", "restart", SERVER], check=True, capture_output=True)
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        try:
            if get(f"http://{address(host)}:8080/api/public/info")[0] == 200:
                return
        except OSError:
            time.sleep(1)
    pytest.fail(host.run("systemctl status e-SUS-PEC; tail -n 30 /opt/e-SUS/webserver/logs/pec.log").stdout)
