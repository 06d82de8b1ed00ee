# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import base64
import email
import email.policy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import certificates
import pytest
from ansible.module_utils.testing import patch_module_args
from smtp_sink import Sink, context, running

from ansible_collections.esus.pec.plugins.module_utils.settings.mail_server import Account, Server, probe
from ansible_collections.esus.pec.plugins.modules import smtp_check

USER, PASSWORD = "pec@municipio.uf.gov.br", 'Ação "1"\\ €'
ARGUMENTS = {"host": "localhost", "username": USER, "password": PASSWORD, "sender": USER, "timeout": 5}
RECIPIENT = "informatica@municipio.uf.gov.br"
FORMS = [base64.b64encode(form.encode()).decode().rstrip("=") for form in (PASSWORD, f"\0{USER}\0{PASSWORD}")]


@pytest.fixture
def sink(tmp_path: Path) -> Sink:
    """Its certificate is about to expire; C(ca) beside it is who signed it."""
    issued = certificates.issue(domains=["localhost"], uses=[certificates.SERVER], days=10)
    (tmp_path / "server.pem").write_text(issued.pem + issued.authorities[0].pem + issued.key_pem)
    (tmp_path / "ca.pem").write_text("".join(each.pem for each in issued.authorities))
    return Sink(USER, PASSWORD, context(tmp_path / "server.pem"))


@pytest.fixture
def starttls(sink: Sink, tmp_path: Path) -> Iterator[dict[str, Any]]:
    """The arguments of a server that works."""
    with running(sink, "starttls") as port:
        yield {**ARGUMENTS, "port": port, "ca_path": str(tmp_path / "ca.pem")}


def run(capsys: pytest.CaptureFixture[str], arguments: dict[str, Any], check: bool = False) -> dict[str, Any]:
    with patch_module_args({**arguments, "_ansible_check_mode": check}), pytest.raises(SystemExit):
        smtp_check.main()
    output = capsys.readouterr().out
    for secret in (PASSWORD, json.dumps(PASSWORD)[1:-1], json.dumps(PASSWORD, ensure_ascii=False)[1:-1], *FORMS):
        assert secret not in output
    return dict(json.loads(output))


def test_a_message_is_a_change_and_check_mode_sends_none(sink: Sink, starttls: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    asked = run(capsys, starttls)
    assert asked["changed"] is False and asked["steps"][-1]["name"] == "sender"
    foretold = run(capsys, {**starttls, "recipient": RECIPIENT}, check=True)
    assert foretold["changed"] is True and foretold["steps"][-1]["name"] == "sender"
    assert [event["event"] for event in sink.seen] == ["login", "login"]

    answer = run(capsys, {**starttls, "recipient": RECIPIENT})
    assert answer["changed"] is True and [step["name"] for step in answer["steps"][-2:]] == ["recipient", "message"]
    message = sink.seen[-1]
    assert (message["sender"], message["recipients"], message["subject"]) == (USER, [RECIPIENT], "Teste do e-mail do PEC")
    assert f"localhost:{starttls['port']}\n" in message["text"] and "Não é preciso fazer nada" in message["text"]


def test_what_is_returned(starttls: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    answer = run(capsys, starttls)
    assert answer["auth_methods"] == ["LOGIN", "PLAIN"] and answer["steps"][0] == {"name": "connect", "ok": True, "said": "127.0.0.1"}
    tls = answer["tls"]
    assert tls["version"].startswith("TLSv1.") and tls["cipher"] and tls["trusted"] is True and tls["dns_names"] == ["localhost"]
    assert tls["subject"].startswith("CN=") and tls["issuer"].startswith("CN=AC de Teste") and tls["not_after"].endswith("Z")
    assert set(answer) == {"changed", "steps", "tls", "auth_methods", "warnings", "invocation"}
    assert f"certificate of localhost:{starttls['port']} is valid for only 10 more days, until {tls['not_after']}" in str(
        answer["warnings"]
    )


def test_a_failure_tells_as_much_and_tries_one_login(sink: Sink, starttls: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    sink.password = "another"
    answer = run(capsys, {**starttls, "recipient": RECIPIENT})
    assert answer["failed"] and answer["msg"].startswith(
        f"the mail server localhost:{starttls['port']} failed at the step login: 535 5.7.8"
    )
    assert "not tried again" in answer["msg"] and answer["steps"][-1]["ok"] is False
    assert answer["tls"]["trusted"] is True and answer["auth_methods"]
    assert sink.seen == [{"event": "login", "mechanism": "PLAIN", "user": USER, "ok": False}]


@pytest.mark.parametrize(("refused", "said"), [("sender", "553 5.7.1"), ("recipient", "550 5.1.1"), ("message", "554 5.7.1")])
def test_refusals(sink: Sink, starttls: dict[str, Any], capsys: pytest.CaptureFixture[str], refused: str, said: str) -> None:
    sink.refuses = (refused,)
    answer = run(capsys, {**starttls, "recipient": RECIPIENT})
    assert answer["failed"] and f"failed at the step {refused}: {said}" in answer["msg"]
    assert not answer.get("changed") and [event["event"] for event in sink.seen] == ["login"]


def test_a_server_without_logins(sink: Sink, starttls: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    sink.offers_login = False
    assert "offers no login by PLAIN or LOGIN, but none at all" in run(capsys, starttls)["msg"]


def test_a_login_without_encryption_is_a_warning(sink: Sink, capsys: pytest.CaptureFixture[str]) -> None:
    with running(sink, "none") as port:
        answer = run(capsys, {**ARGUMENTS, "port": port, "security": "none"})
        assert answer["tls"] is None and f"the login at localhost:{port} is not encrypted" in str(answer["warnings"])
        server = Server("localhost", port, "none")
        assert smtp_check.warnings(server, probe(server, Account())) == []
        refused = run(capsys, {**ARGUMENTS, "port": port})
    assert "failed at the step tls: the server offers no STARTTLS" in refused["msg"]
    assert [event["event"] for event in sink.seen] == ["login"]


def test_the_usual_ports() -> None:
    given = {"host": "h", "port": None, "validate_certs": True, "ca_path": None, "timeout": 1}
    ports = {security: smtp_check.server_from({**given, "security": security}).port for security in ("starttls", "tls", "none")}
    assert ports == {"starttls": 587, "tls": 465, "none": 25}
    assert smtp_check.server_from({**given, "port": 2525, "security": "tls"}).port == 2525


def test_what_cannot_be_tried(capsys: pytest.CaptureFixture[str]) -> None:
    answer = run(
        capsys, {"host": "localhost", "recipient": f"{RECIPIENT}\nBcc: x@example.org", "username": USER, "password": f"{PASSWORD}\n"}
    )
    assert answer["failed"] and "steps" not in answer
    for said in ("the mail server was not asked", "password has a line break", "recipient has a line break", "needs a sender"):
        assert said in answer["msg"]


def test_the_message() -> None:
    """Any mail server takes it: nothing but ASCII in lines that are short."""
    raw = smtp_check.compose("smtp.municipio.uf.gov.br:587", Account(USER, PASSWORD, USER, RECIPIENT))
    assert raw.isascii() and all(len(line) < 79 for line in raw.split(b"\r\n")) and b"\n" not in raw.replace(b"\r\n", b"")
    message = email.message_from_bytes(raw, policy=email.policy.default)
    assert (message["From"], message["To"], message["Auto-Submitted"]) == (USER, RECIPIENT, "auto-generated")
    assert message["Message-ID"].endswith("@municipio.uf.gov.br>") and message["Date"]
    assert "Esta é uma mensagem de teste do e-mail do e-SUS PEC." in message.get_content()
