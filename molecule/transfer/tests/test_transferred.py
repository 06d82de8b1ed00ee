# SPDX-License-Identifier: GPL-3.0-or-later
"""One município is on its new server, the other one went back: through HTTP, SQL, systemd and the files."""

from __future__ import annotations

import json
import os
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from secret_search import JOURNAL, here, on_server

testinfra_hosts = ["podman://esus-pec-move-new", "podman://esus-pec-move-old2"]
OLD = "podman://esus-pec-move-old"
WENT_BACK = "podman://esus-pec-move-new2"
SECRETS = ["Senha do banco '\\\"#%1", "Senha de leitura '\\\"#1", "Segredo do Gov.br 1"]
COUNTS = """
select (select count(*) from tb_cidadao), (select count(*) from information_schema.tables where table_schema = 'public'),
  (select ds_texto from tb_config_sistema where co_config_sistema = 'LINKINSTALACAO')
"""


def sql(host: Any, statement: str) -> str:
    """Query as the superuser: of the distribution's server by its account, of the bundled one by the login in PEC's files."""
    credentials = host.file("/opt/e-SUS/webserver/config/credenciais.txt")
    if not credentials.exists:
        return str(host.check_output("cd / && runuser -u postgres -- psql -XAt esus -c %s", statement).strip())
    text = credentials.content.decode()
    password = next(line.split(":", 1)[1].strip() for line in text.splitlines() if line.startswith("senha:"))
    program = host.check_output("ls -d /opt/e-SUS/database/*/bin/psql").split()[0]
    run = host.run("PGPASSWORD=%s %s -XAt -h 127.0.0.1 -p 5433 -U postgres esus -c %s", password, program, statement)
    assert run.rc == 0, run.stderr
    return str(run.stdout.strip())


def info(host: Any) -> dict[str, Any]:
    address = host.check_output("ip -4 -o addr show eth0").split()[3].split("/")[0]
    with urllib.request.urlopen(f"http://{address}:8080/api/public/info", timeout=20) as answer:
        content: dict[str, Any] = json.load(answer)
        return content


def test_pec_serves_and_has_its_data(host: Any) -> None:
    assert info(host)["versao"] == "5.4.37"
    people, tables, link = sql(host, COUNTS).split("|")
    assert (int(people) > 100, int(tables) > 1000, link) == (True, True, "http://pec.example:8080")


def test_what_is_not_in_the_database(host: Any) -> None:
    settings = host.file("/opt/e-SUS/webserver/config/application.properties").content_string
    assert "govbr.client-secret=Segredo do Gov.br 1" in settings
    assert host.file("/opt/e-SUS/webserver/chaves/Município (RNDS).pfx").content_string == "no certificate"
    assert host.file("/srv/anexos/ofício 1.pdf").content_string == "ofício"
    assert host.file("/srv/anexos/whose").content_string.startswith("esus-pec-move-old")


def test_the_older_server_is_retired_and_whole() -> None:
    import testinfra

    old = testinfra.get_host(OLD)
    assert (old.service("e-SUS-PEC").is_running, old.service("e-SUS-PEC").is_enabled) == (False, False)
    assert old.file("/opt/e-SUS/webserver/chaves/Município (RNDS).pfx").exists
    assert not old.user("esus-pec-transfer").exists
    old.check_output("systemctl start e-SUS-AB-PostgreSQL")
    assert int(sql(old, "select count(*) from tb_cidadao")) > 100
    assert sql(old, "select ds_texto from tb_config_sistema where co_config_sistema = 'VERSAOBANCODADOS'") == "5.3.28"


def test_the_new_server_of_the_other_one_is_stopped() -> None:
    import testinfra

    new = testinfra.get_host(WENT_BACK)
    assert (new.service("e-SUS-PEC").is_running, new.service("e-SUS-PEC").is_enabled) == (False, False)


def test_the_report(host: Any) -> None:
    if host.check_output("hostname").endswith("-old2"):
        pytest.skip("it has none")
    directory = Path(os.environ["MOLECULE_EPHEMERAL_DIRECTORY"]) / "reports"
    text = (directory / "esus-pec-move-new.md").read_text(encoding="utf-8")
    assert "Relatório de transferência do e-SUS PEC — Água Clara" in text
    assert "o banco foi atualizado da versão 5.3.28" in text
    assert "Todas as linhas e objetos grandes foram lidos nos dois servidores e são iguais" in text
    recorded = json.loads((directory / "esus-pec-move-new.json").read_text(encoding="utf-8"))
    assert [phase["phase"] for phase in recorded["phases"]][-1] == "cutover"


def test_no_secret_stays_anywhere(host: Any) -> None:
    places = (JOURNAL, "/var/log", "/tmp", "/var/tmp", "/root/.ansible", "/var/lib/esus-pec", "/run/esus-pec")
    assert on_server(lambda script: host.check_output("sh -c %s", script), SECRETS, *places) == []
    assert on_server(here, SECRETS, str(Path(os.environ["MOLECULE_EPHEMERAL_DIRECTORY"]) / "reports")) == []
