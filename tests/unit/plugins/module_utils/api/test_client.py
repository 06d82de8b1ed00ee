# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import certificates
import pytest
from fake_pec import FakePec

from ansible_collections.esus.pec.plugins.module_utils.api import catalogue
from ansible_collections.esus.pec.plugins.module_utils.api.client import Client, FirstRun, PecApiError, PecUnreachableError, Server

ANSWERS = FirstRun("UBS Central", "https://pec.example", "PRONTUARIO", "Maria da Silva", "52998224725", "Segredo2026")
NOT_DONE = {"data": {"info": {"ativado": False, "linkInstalacaoConfigurado": False}}}
DONE = {"data": {"info": {"ativado": False, "linkInstalacaoConfigurado": True}}}
REJECTED = "Não foi possível validar este endereço. Tente novamente mais tarde"


@pytest.fixture
def pec() -> Iterator[FakePec]:
    fake = FakePec()
    yield fake
    fake.close()


@pytest.fixture
def pauses() -> list[float]:
    return []


@pytest.fixture
def client(pec: FakePec, pauses: list[float]) -> Client:
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
def test_whether_the_first_run_is_done(client: Client, pec: FakePec, info: dict[str, Any], done: bool) -> None:
    pec.say({"data": {"info": info}})
    assert client.first_run_done() is done


def test_what_is_asked(client: Client, pec: FakePec) -> None:
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


def asked_fields(pec: FakePec) -> list[str]:
    return [body["query"].partition("info { ")[2].partition(" }")[0] for _path, _headers, body in pec.requests]


def test_what_pec_tells_everybody(client: Client, pec: FakePec) -> None:
    first, second = catalogue.PUBLIC_FACTS
    pec.say({"data": {"info": {name: True for name in first if name != "smtpConfigurado"}}})
    pec.say({"data": {"info": {"versao": "5.4.37", "treinamento": False}}})
    facts = client.public_facts()
    assert facts == {**dict.fromkeys(first, True), "smtpConfigurado": None, "versao": "5.4.37", "treinamento": False}
    assert asked_fields(pec) == [" ".join(first), " ".join(second)]


def test_one_field_that_is_not_known_does_not_lose_the_others(client: Client, pec: FakePec) -> None:
    first, second = catalogue.PUBLIC_FACTS
    unknown = {"errors": [{"message": "Validation error (FieldUndefined@[info/govBREnabled])"}]}
    pec.say(unknown)
    for name in first:
        pec.say(unknown if name == "govBREnabled" else {"data": {"info": {name: True}}})
    for _question in ("both", *second):
        pec.say({"errors": [{"message": "Validation error"}]})
    assert client.public_facts() == {**dict.fromkeys(first, True), "govBREnabled": None, "versao": None, "treinamento": None}
    assert asked_fields(pec) == [" ".join(first), *first, " ".join(second), *second]


def test_nobody_is_asked_twice_where_that_is_wished(pec: FakePec, pauses: list[float]) -> None:
    pec.say("", status=503)
    with pytest.raises(PecUnreachableError, match="HTTP 503"):
        Client(Server(pec.url, timeout=10), patience=0, sleep=pauses.append).public_facts()
    assert pauses == [] and len(pec.requests) == 1


def test_the_first_run(client: Client, pec: FakePec) -> None:
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


def test_cookies_come_back_and_xsrf_as_a_header(client: Client, pec: FakePec) -> None:
    pec.say(NOT_DONE, Set_Cookie="XSRF-TOKEN=a%2Fb; Path=/")
    pec.say(NOT_DONE)
    client.first_run_done()
    client.first_run_done()
    assert "x-xsrf-token" not in pec.requests[0][1]
    assert pec.requests[1][1]["x-xsrf-token"] == "a/b"
    assert pec.requests[1][1]["cookie"] == "XSRF-TOKEN=a%2Fb"


@pytest.mark.parametrize("status", [502, 503])
def test_a_pec_that_is_starting_is_asked_again(client: Client, pec: FakePec, pauses: list[float], status: int) -> None:
    pec.say("starting", status)
    pec.say("starting", status)
    pec.say(DONE)
    assert client.first_run_done()
    assert pauses == [1, 2]


def test_it_is_not_asked_for_ever(client: Client, pec: FakePec, pauses: list[float]) -> None:
    for _attempt in range(4):
        pec.say("starting", 503)
    with pytest.raises(PecUnreachableError) as caught:
        client.first_run_done()
    assert pauses == [1, 2, 4]
    assert str(caught.value) == (
        f"{pec.url}/api/graphql answered Configuracoes with HTTP 503; PEC is starting, or is behind a proxy that does not reach it"
    )


@pytest.mark.parametrize("status", [502, 503])
def test_what_writes_is_sent_once(client: Client, pec: FakePec, pauses: list[float], status: int) -> None:
    pec.say("starting", status)
    with pytest.raises(PecUnreachableError):
        client.install(ANSWERS)
    assert (len(pec.requests), pauses) == (1, [])


@pytest.mark.parametrize("status", [400, 401, 403, 404, 500])
def test_other_statuses_are_final(client: Client, pec: FakePec, pauses: list[float], status: int) -> None:
    pec.say({"errors": [{"message": "Acesso negado"}]}, status)
    with pytest.raises(PecApiError) as caught:
        client.first_run_done()
    assert not isinstance(caught.value, PecUnreachableError)
    assert str(caught.value) == f"{pec.url}/api/graphql answered Configuracoes with HTTP {status}: Acesso negado; look into PEC's log"
    assert pauses == []


def test_an_error_in_pecs_words(client: Client, pec: FakePec) -> None:
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
            "<html>", "{url}/api/graphql did not answer Configuracoes with JSON; is it PEC, or a proxy in front of it?", id="a page"
        ),
        pytest.param(
            "[" * 100_000,
            "{url}/api/graphql did not answer Configuracoes with JSON; is it PEC, or a proxy in front of it?",
            id="nested too deep",
        ),
        pytest.param([], "{url}/ answered Configuracoes without info; this version of PEC may not know it", id="a list"),
        pytest.param({"data": {}}, "{url}/ answered Configuracoes without info; this version of PEC may not know it", id="no root field"),
        pytest.param(
            {"data": {"info": {}}},
            "{url}/ does not report if its first run is over: its answer has neither ativado nor linkInstalacaoConfigurado; "
            "correct the entry info by pec_api_operations",
            id="no known field",
        ),
        pytest.param({"errors": [{}]}, "PEC refused Configuracoes: an error without a text", id="an empty error"),
        pytest.param({"errors": ["?"]}, "PEC refused Configuracoes: an error without a text", id="a strange error"),
    ],
)
def test_strange_answers(client: Client, pec: FakePec, answer: Any, text: str) -> None:
    pec.say(answer)
    with pytest.raises(PecApiError) as caught:
        client.first_run_done()
    assert str(caught.value) == text.format(url=pec.url)


def test_nobody_there(pec: FakePec, pauses: list[float]) -> None:
    pec.server.server_close()
    with pytest.raises(PecUnreachableError) as caught:
        Client(Server(pec.url, timeout=5), sleep=pauses.append).first_run_done()
    assert str(caught.value).startswith(f"PEC does not answer at {pec.url}/api/graphql: ")
    assert str(caught.value).endswith("; check that its service runs, and the address")
    assert pauses == [1, 2, 4]


def test_tls_is_verified(pec: FakePec, tmp_path: Path, pauses: list[float]) -> None:
    issued = certificates.issue(domains=["localhost"], uses=[certificates.SERVER])
    (tmp_path / "server.pem").write_text(issued.pem + issued.authorities[0].pem + issued.key_pem)
    (tmp_path / "ca.pem").write_text("".join(each.pem for each in issued.authorities))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "server.pem")
    pec.server.socket = context.wrap_socket(pec.server.socket, server_side=True)
    url = pec.url.replace("http://127.0.0.1", "https://localhost")
    with pytest.raises(PecUnreachableError, match=r"^the certificate of https://.* is not trusted .* in ca_path") as caught:
        Client(Server(url, timeout=5), sleep=pauses.append).first_run_done()
    assert caught.value.final and caught.value.not_done and pauses == []
    assert Client(Server(url, timeout=5, ca_path=str(tmp_path / "ca.pem"))).first_run_done()
    assert Client(Server(pec.url.replace("http:", "https:"), timeout=5, validate_certs=False)).first_run_done()


def test_no_secret_in_reprs() -> None:
    assert "Segredo2026" not in repr(ANSWERS)
    assert "52998224725" not in repr(ANSWERS)
