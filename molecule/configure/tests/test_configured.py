# SPDX-License-Identifier: GPL-3.0-or-later
"""A server on which everything was configured and then renewed, through TLS, HTTP and Java."""

from __future__ import annotations

import hashlib
import http.client
import json
import os
import re
import socket
import ssl
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, pkcs12
from secret_search import JOURNAL, here, on_server

testinfra_hosts = ["podman://esus-pec-configure"]
DOMAIN = "novo.pec.example"
NAME = "município de exemplo.pfx"
CERTIFICATE = f"/opt/e-SUS/webserver/chaves/{NAME}"
PASSWORD = "Senha do A1 '\\\"#%1"
SECRETS = [PASSWORD, "Zx8=do:Gov\\br!1", "Renovada-7q:2", "CONTRA-CHAVE-DE-", "CHAVE-DO-PEC-1"]


def connect(host: Any) -> ssl.SSLSocket:
    """Connect as a browser that trusts only the authority of the test."""
    address = host.check_output("ip -4 -o addr show eth0").split()[3].split("/")[0]
    context = ssl.create_default_context(cadata=host.file("/root/authority.pem").content_string)
    return context.wrap_socket(socket.create_connection((address, 443), timeout=30), server_hostname=DOMAIN)


def ask(host: Any, method: str, path: str, body: str | None = None) -> tuple[http.client.HTTPResponse, bytes]:
    connection = http.client.HTTPSConnection(DOMAIN)
    connection.sock = connect(host)
    headers = {"Content-Type": "application/json", "Api-Consumer-Id": "ESUS_WEB_CLIENT"}
    connection.request(method, path, body, headers)
    answer = connection.getresponse()
    return answer, answer.read()


def test_people_see_the_new_domain_by_a_trusted_certificate(host: Any) -> None:
    with connect(host) as secured:
        served = secured.getpeercert()
    assert served is not None
    assert served["subjectAltName"] == (("DNS", DOMAIN),)
    assert ask(host, "GET", "/")[0].status == 200


def test_the_link_of_the_first_run_got_https(host: Any) -> None:
    query = "select ds_texto from tb_config_sistema where co_config_sistema = 'LINKINSTALACAO'"
    assert host.check_output("cd / && runuser -u postgres -- psql -XAtqd esus -c %s", query) == "https://pec.example"


def test_plain_http_is_off(host: Any) -> None:
    assert not host.socket("tcp://0.0.0.0:8080").is_listening


def test_the_login_with_govbr_uses_the_new_client(host: Any) -> None:
    query = json.dumps({"query": "query Configuracoes { info { govBREnabled } }"})
    assert json.loads(ask(host, "POST", "/api/graphql", query)[1]) == {"data": {"info": {"govBREnabled": True}}}
    answer, _body = ask(host, "GET", "/oauth2/authorization/govbr")
    assert answer.status == 302
    assert "client_id=novo.pec.example" in (answer.getheader("Location") or "")


def keytool(host: Any) -> str:
    run = host.run("LC_ALL=C.UTF-8 PASSWORD=%s keytool -list -keystore %s -storepass:env PASSWORD", PASSWORD, CERTIFICATE)
    assert run.rc == 0, run.stdout + run.stderr
    return str(run.stdout)


def fingerprints(text: str) -> list[str]:
    return [found.replace(":", "").lower() for found in re.findall(r"(?:[0-9A-F]{2}:){31}[0-9A-F]{2}", text)]


def test_java_reads_the_new_certificate(host: Any) -> None:
    received = Path(os.environ["MOLECULE_EPHEMERAL_DIRECTORY"]) / "received" / NAME
    leaf = pkcs12.load_pkcs12(received.read_bytes(), PASSWORD.encode()).cert
    assert leaf is not None
    expected = hashlib.sha256(leaf.certificate.public_bytes(Encoding.DER)).hexdigest()
    assert fingerprints(keytool(host))[0] == expected
    assert fingerprints(host.file("/root/before.txt").content_string)[0] != expected


@pytest.mark.parametrize("purpose", ["instalacao", "agendamento"])
def test_the_contra_chaves_are_kept_for_root_alone(host: Any, purpose: str) -> None:
    path = "/etc/esus-pec/contra-chave.yml"
    assert host.check_output("stat -c '%%a %%U' %s", path) == "600 root"
    kept = [entry["contra_chave"] for entry in json.loads(host.file(path).content_string)["pec_contra_chave_values"]]
    assert f"CONTRA-CHAVE-DE-{purpose.upper()}-2" in kept
    assert len(kept) == 2


def test_no_secret_is_where_others_read(host: Any) -> None:
    places = (JOURNAL, "/var/log", "/tmp", "/var/tmp", "/root/.ansible", "/etc/systemd", "/run/log")
    assert on_server(lambda script: host.check_output("sh -c %s", script), SECRETS, *places) == []


def test_no_secret_was_in_a_command_line(host: Any) -> None:
    assert host.run("grep -aqF -e java /root/command-lines").rc == 0, "the recording contains the programs that ran"
    assert on_server(lambda script: host.check_output("sh -c %s", script), SECRETS, "/root/command-lines") == []


def test_no_secret_stays_on_the_controller() -> None:
    assert on_server(here, SECRETS, os.environ["ANSIBLE_HOME"]) == []
