# SPDX-License-Identifier: GPL-3.0-or-later
"""Two servers with the settings of one inventory, through HTTP and SQL."""

from __future__ import annotations

import json
import os
import urllib.request
from typing import Any

from secret_search import JOURNAL, here, on_server

testinfra_hosts = ["podman://esus-pec-services-new", "podman://esus-pec-services-old"]
CPF = "52998224725"
SECRETS = ["Senha do e-mail '\\\"#%1", "Segredo2026", "Errada2026"]


def sql(host: Any, statement: str) -> str:
    """Query as the read-only role."""
    port, password = 5432, "Senha de leitura '\\\"#1"
    if host.check_output("hostname").endswith("-new"):
        text = host.file("/opt/e-SUS/webserver/config/credenciais.txt").content.decode()
        port, password = 5433, [line.split(":", 1)[1].strip() for line in text.splitlines() if line.startswith("senha:")][1]
    run = host.run("PGPASSWORD=%s psql -XAt -h 127.0.0.1 -p %s -U esus_leitura esus -c %s", password, str(port), statement)
    assert run.rc == 0, run.stderr
    return str(run.stdout.strip())


def number(host: Any, key: str) -> str:
    return sql(host, f"select ds_inteiro from tb_config_sistema where co_config_sistema = '{key}'")


def told(host: Any, field: str) -> Any:
    address = host.check_output("ip -4 -o addr show eth0").split()[3].split("/")[0]
    question = json.dumps({"query": f"query Configuracoes {{ info {{ {field} }} }}"}).encode()
    request = urllib.request.Request(f"http://{address}:8080/api/graphql", question, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=10) as answer:
        content = json.load(answer)
    return "unknown" if "errors" in content else content["data"]["info"][field]


def is_old(host: Any) -> bool:
    return sql(host, "select ds_texto from tb_config_sistema where co_config_sistema = 'VERSAOBANCODADOS'") == "5.3.28"


def test_both_versions_are_tested(host: Any) -> None:
    assert is_old(host) == host.check_output("hostname").endswith("-old")


def test_services_are_as_wanted(host: Any) -> None:
    assert (number(host, "CADSUSHABILITADO"), number(host, "HORUSHABILITADO")) == ("1", "1")


def test_pec_sends_mail(host: Any) -> None:
    assert told(host, "smtpConfigurado") is True
    events = [json.loads(line) for line in host.file("/root/mail.jsonl").content_string.splitlines()]
    logins = [event for event in events if event["event"] == "login"]
    assert logins and all(event["ok"] and event["user"] == "pec@example" for event in logins)
    assert not [event for event in events if event["event"] == "message"], "nobody asked for a test message"


def test_an_older_pec_lacks_a_setting(host: Any) -> None:
    assert told(host, "cadastroDomiciliarViaCdsEnabled") == ("unknown" if is_old(host) else True)


def test_one_wrong_attempt_was_made(host: Any) -> None:
    assert sql(host, f"select nu_tentativas, st_bloqueado from tb_usuario where no_login = '{CPF}'") == "1|0"


def test_no_secret_is_where_others_read(host: Any) -> None:
    places = (JOURNAL, "/var/log", "/tmp", "/var/tmp", "/root/.ansible", "/home/suporte", "/etc/systemd", "/etc/esus-pec", "/run/log")
    assert on_server(lambda script: host.check_output("sh -c %s", script), SECRETS, *places) == []


def test_no_secret_was_in_a_command_line(host: Any) -> None:
    assert host.run("grep -aqF -e python /root/command-lines").rc == 0, "the watch saw the programs that ran"
    assert on_server(lambda script: host.check_output("sh -c %s", script), SECRETS, "/root/command-lines") == []


def test_no_secret_stays_on_the_controller() -> None:
    assert on_server(here, SECRETS, os.environ["ANSIBLE_HOME"]) == []
