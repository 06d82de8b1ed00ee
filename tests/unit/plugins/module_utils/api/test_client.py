# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import datetime
import ipaddress
import json
import ssl
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from ansible_collections.esus.pec.plugins.module_utils.api import catalogue
from ansible_collections.esus.pec.plugins.module_utils.api.client import Client, FirstRun, PecApiError, PecUnreachableError, Server

ANSWERS = FirstRun("UBS Central", "https://pec.example", "PRONTUARIO", "Maria da Silva", "52998224725", "Segredo2026")
NOT_DONE = {"data": {"info": {"ativado": False, "linkInstalacaoConfigurado": False}}}
DONE = {"data": {"info": {"ativado": False, "linkInstalacaoConfigurado": True}}}
REJECTED = "Não foi possível validar este endereço. Tente novamente mais tarde"


class Script:
    """A web server that gives prepared answers, one after the other, and remembers what it was asked."""

    def __init__(self) -> None:
        self.answers: list[tuple[int, Any, dict[str, str]]] = []
        self.requests: list[tuple[str, dict[str, str], Any]] = []
        script = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                script.requests.append((self.path, {key.lower(): value for key, value in self.headers.items()}, body))
                status, answer, headers = script.answers.pop(0)
                data = answer.encode() if isinstance(answer, str) else json.dumps(answer).encode()
                self.send_response(status)
                for name, value in {"Content-Length": str(len(data)), **headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_arguments: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def say(self, answer: Any, status: int = 200, **headers: str) -> None:
        self.answers.append((status, answer, {name.replace("_", "-"): value for name, value in headers.items()}))


@pytest.fixture
def pec() -> Iterator[Script]:
    script = Script()
    yield script
    script.server.shutdown()
    script.server.server_close()


@pytest.fixture
def pauses() -> list[float]:
    return []


@pytest.fixture
def client(pec: Script, pauses: list[float]) -> Client:
    return Client(Server(pec.url + "/", timeout=10, version="5.4.37"), sleep=pauses.append)


@pytest.mark.parametrize(
    ("info", "done"),
    [
        pytest.param({"ativado": False, "linkInstalacaoConfigurado": False}, False, id="new"),
        pytest.param({"ativado": False, "linkInstalacaoConfigurado": True}, True, id="has a link"),
        pytest.param({"ativado": True, "linkInstalacaoConfigurado": False}, True, id="is active"),
        pytest.param({"ativado": True, "linkInstalacaoConfigurado": None}, True, id="one of the two is enough"),
    ],
)
def test_whether_the_first_run_is_done(client: Client, pec: Script, info: dict[str, Any], done: bool) -> None:
    pec.say({"data": {"info": info}})
    assert client.first_run_done() is done


def test_what_is_asked(client: Client, pec: Script) -> None:
    pec.say(NOT_DONE)
    client.first_run_done()
    path, headers, body = pec.requests[0]
    assert path == "/api/graphql"
    assert headers["api-consumer-id"] == "ESUS_WEB_CLIENT"
    assert (headers["apollographql-client-name"], headers["apollographql-client-version"]) == ("PEC Web", "5.4.37")
    assert headers["content-type"] == "application/json"
    assert body == {
        "operationName": "Configuracoes",
        "query": "query Configuracoes { info { ativado linkInstalacaoConfigurado } }",
        "variables": {},
    }


def asked_fields(pec: Script) -> list[str]:
    return [body["query"].partition("info { ")[2].partition(" }")[0] for _path, _headers, body in pec.requests]


def test_what_pec_tells_everybody(client: Client, pec: Script) -> None:
    first, second = catalogue.PUBLIC_FACTS
    pec.say({"data": {"info": {name: True for name in first if name != "smtpConfigurado"}}})
    pec.say({"data": {"info": {"versao": "5.4.37", "treinamento": False}}})
    facts = client.public_facts()
    assert facts == {**dict.fromkeys(first, True), "smtpConfigurado": None, "versao": "5.4.37", "treinamento": False}
    assert asked_fields(pec) == [" ".join(first), " ".join(second)]


def test_one_field_that_is_not_known_does_not_lose_the_others(client: Client, pec: Script) -> None:
    first, second = catalogue.PUBLIC_FACTS
    unknown = {"errors": [{"message": "Validation error (FieldUndefined@[info/govBREnabled])"}]}
    pec.say(unknown)
    for name in first:
        pec.say(unknown if name == "govBREnabled" else {"data": {"info": {name: True}}})
    for _question in ("both", *second):
        pec.say({"errors": [{"message": "Validation error"}]})
    assert client.public_facts() == {**dict.fromkeys(first, True), "govBREnabled": None, "versao": None, "treinamento": None}
    assert asked_fields(pec) == [" ".join(first), *first, " ".join(second), *second]


def test_nobody_is_asked_twice_where_that_is_wished(pec: Script, pauses: list[float]) -> None:
    pec.say("", status=503)
    with pytest.raises(PecUnreachableError, match="HTTP 503"):
        Client(Server(pec.url, timeout=10), patience=0, sleep=pauses.append).public_facts()
    assert pauses == [] and len(pec.requests) == 1


def test_the_first_run(client: Client, pec: Script) -> None:
    pec.say({"data": {"instalar": True}})
    client.install(ANSWERS)
    assert pec.requests[0][2] == {
        "operationName": "Instalar",
        "query": "mutation Instalar($input: InstalacaoInput!) { instalar(input: $input) }",
        "variables": {
            "input": {
                "dadosInstalacao": {"linkInstalacao": "https://pec.example", "nomeInstalacao": "UBS Central"},
                "tipoInstalacao": "PRONTUARIO",
                "novaSenha": "Segredo2026",
                "profissional": {"nomeCivil": "Maria da Silva", "cpf": "52998224725", "endereco": None},
            }
        },
    }


def test_cookies_come_back_and_xsrf_as_a_header(client: Client, pec: Script) -> None:
    pec.say(NOT_DONE, Set_Cookie="XSRF-TOKEN=a%2Fb; Path=/")
    pec.say(NOT_DONE)
    client.first_run_done()
    client.first_run_done()
    assert "x-xsrf-token" not in pec.requests[0][1]
    assert pec.requests[1][1]["x-xsrf-token"] == "a/b"
    assert pec.requests[1][1]["cookie"] == "XSRF-TOKEN=a%2Fb"


@pytest.mark.parametrize("status", [502, 503])
def test_a_pec_that_is_starting_is_asked_again(client: Client, pec: Script, pauses: list[float], status: int) -> None:
    pec.say("starting", status)
    pec.say("starting", status)
    pec.say(DONE)
    assert client.first_run_done()
    assert pauses == [1, 2]


def test_it_is_not_asked_for_ever(client: Client, pec: Script, pauses: list[float]) -> None:
    for _attempt in range(4):
        pec.say("starting", 503)
    with pytest.raises(PecUnreachableError) as caught:
        client.first_run_done()
    assert pauses == [1, 2, 4]
    assert str(caught.value) == (
        f"{pec.url}/api/graphql answered Configuracoes with HTTP 503; PEC is starting, or stands behind a proxy that does not reach it"
    )


@pytest.mark.parametrize("status", [502, 503])
def test_what_writes_is_sent_once(client: Client, pec: Script, pauses: list[float], status: int) -> None:
    pec.say("starting", status)
    with pytest.raises(PecUnreachableError):
        client.install(ANSWERS)
    assert (len(pec.requests), pauses) == (1, [])


@pytest.mark.parametrize("status", [400, 401, 403, 404, 500])
def test_other_statuses_are_final(client: Client, pec: Script, pauses: list[float], status: int) -> None:
    pec.say({"errors": [{"message": "Acesso negado"}]}, status)
    with pytest.raises(PecApiError) as caught:
        client.first_run_done()
    assert not isinstance(caught.value, PecUnreachableError)
    assert str(caught.value) == f"{pec.url}/api/graphql answered Configuracoes with HTTP {status}: Acesso negado; PEC's log says why"
    assert pauses == []


def test_an_error_in_pecs_words(client: Client, pec: Script) -> None:
    pec.say({"data": None, "errors": [{"message": REJECTED, "extensions": {"classification": "ValidationException"}}]})
    with pytest.raises(PecApiError) as caught:
        client.install(ANSWERS)
    assert str(caught.value) == f"PEC refused Instalar: {REJECTED}"
    assert (caught.value.message, caught.value.classification) == (REJECTED, "ValidationException")
    assert len(pec.requests) == 1, "never more than one attempt"


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        pytest.param(
            "<html>", "{url}/api/graphql did not answer Configuracoes with JSON; is it really PEC, or a proxy before it?", id="a page"
        ),
        pytest.param([], "{url}/ answered Configuracoes without info; this version of PEC may not know it", id="a list"),
        pytest.param({"data": {}}, "{url}/ answered Configuracoes without info; this version of PEC may not know it", id="no root field"),
        pytest.param(
            {"data": {"info": {}}},
            "{url}/ does not tell whether its first run is over: neither ativado nor linkInstalacaoConfigurado is in its answer",
            id="no known field",
        ),
        pytest.param({"errors": [{}]}, "PEC refused Configuracoes: an error without a text", id="an empty error"),
        pytest.param({"errors": ["?"]}, "PEC refused Configuracoes: an error without a text", id="a strange error"),
    ],
)
def test_strange_answers(client: Client, pec: Script, answer: Any, text: str) -> None:
    pec.say(answer)
    with pytest.raises(PecApiError) as caught:
        client.first_run_done()
    assert str(caught.value) == text.format(url=pec.url)


def test_nobody_there(pec: Script, pauses: list[float]) -> None:
    pec.server.server_close()
    with pytest.raises(PecUnreachableError) as caught:
        Client(Server(pec.url, timeout=5), sleep=pauses.append).first_run_done()
    assert str(caught.value).startswith(f"PEC does not answer at {pec.url}/api/graphql: ")
    assert str(caught.value).endswith("; check that its service runs, and the address")
    assert pauses == [1, 2, 4]


def test_a_redirection_is_not_followed(client: Client, pec: Script) -> None:
    pec.say("", 302, Location="http://127.0.0.1:1/elsewhere")
    with pytest.raises(PecApiError, match="with HTTP 302"):
        client.install(ANSWERS)


@pytest.fixture
def certificate(tmp_path: Path, pec: Script) -> str:
    """Makes the server speak TLS with a certificate that nobody else trusts."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "pec test")])
    now = datetime.datetime.now(datetime.timezone.utc)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    (tmp_path / "key.pem").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    (tmp_path / "cert.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "cert.pem", tmp_path / "key.pem")
    pec.server.socket = context.wrap_socket(pec.server.socket, server_side=True)
    pec.url = pec.url.replace("http:", "https:")
    return str(tmp_path / "cert.pem")


def test_tls_is_verified(pec: Script, certificate: str) -> None:
    pec.say(DONE)
    with pytest.raises(
        PecUnreachableError, match=r"^the certificate of https://.* is not trusted .*; name the authority's file in ca_path"
    ):
        Client(Server(pec.url, timeout=5), sleep=lambda _seconds: None).first_run_done()
    assert Client(Server(pec.url, timeout=5, ca_path=certificate)).first_run_done()
    pec.say(DONE)
    assert Client(Server(pec.url, timeout=5, validate_certs=False)).first_run_done()


def test_no_secret_in_reprs() -> None:
    assert "Segredo2026" not in repr(ANSWERS)
    assert "52998224725" not in repr(ANSWERS)
