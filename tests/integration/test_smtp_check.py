# SPDX-License-Identifier: GPL-3.0-or-later
"""The test of a mail server from a server of its own: ports of each kind, a private authority, and what the mail server saw."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import pytest
from places import ROOT
from secret_search import JOURNAL, in_text, on_server

NAME = "esus-pec-smtp"
HOST = "smtp.municipio.uf.gov.br"
PORTS = {"none": 2525, "starttls": 2587, "tls": 2465}
USER, PASSWORD, WRONG = "pec@municipio.uf.gov.br", 'Sã\\o "João" €26', "Err\\ada'26"
ACCOUNT = {"username": USER, "password": PASSWORD, "sender": USER}
RECIPIENT = "informatica@municipio.uf.gov.br"
LOG = "/root/sink.jsonl"
SINK = (
    "python3 /root/smtp_sink.py --listen 127.0.1.1 --plain 2525 --starttls 2587 --tls 2465 "
    f"--certificate /root/server.pem --key /root/server.key --user {USER} --password-file /root/password --log {LOG}"
)
PREPARE = f"""
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
apt-get install -y -qq --no-install-recommends python3-aiosmtpd openssl >/dev/null
echo '127.0.1.1 {HOST} outro.municipio.uf.gov.br' >> /etc/hosts
cd /root
openssl req -x509 -newkey rsa:2048 -nodes -days 30 -subj '/CN=AC do Municipio' -keyout ca.key -out ca.pem 2>/dev/null
openssl req -newkey rsa:2048 -nodes -subj '/CN={HOST}' -keyout server.key -out server.csr 2>/dev/null
printf 'subjectAltName=DNS:{HOST}\\n' > names
openssl x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 30 -extfile names -out server.pem 2>/dev/null
"""


@dataclass(frozen=True)
class Mail:
    server: Any

    def check(self, security: str = "starttls", check: bool = False, **options: Any) -> dict[str, Any]:
        """Run the module; no password may be in what is printed."""
        given = {"host": HOST, "port": PORTS[security], "security": security, "ca_path": "/root/ca.pem", **ACCOUNT, **options}
        result: dict[str, Any] = self.server.module("esus.pec.smtp_check", given, check=check)
        assert in_text(result["_output"], [PASSWORD, WRONG]) == []
        return result

    def start(self, *options: str) -> None:
        """The mail server, which then behaves as the options say."""
        self.server.run("systemctl", "stop", "smtp-sink", check=False)
        self.server.run("systemd-run", "--quiet", "--unit=smtp-sink", *SINK.split(), *options)
        self.server.run("sh", "-c", "until ss -Hltn | grep -q 127.0.1.1:2465; do sleep 0.2; done")

    def seen(self) -> list[dict[str, Any]]:
        """What the mail server has seen since the last time."""
        text = self.server.run("sh", "-c", f"touch {LOG}; cat {LOG}; : > {LOG}").stdout
        return [json.loads(line) for line in text.splitlines()]


def failed(result: dict[str, Any]) -> tuple[str, str]:
    """The step that failed, and what was said."""
    last = result["steps"][-1]
    assert not last["ok"] and f"failed at the step {last['name']}: {last['said']}; " in result["msg"]
    return last["name"], last["said"]


@pytest.fixture(scope="module")
def mail(start_server: Any) -> Mail:
    server = start_server(NAME, "debian12")
    server.copy(ROOT / "tests" / "helpers" / "smtp_sink.py", "/root/smtp_sink.py")
    server.put(PASSWORD + "\n", "/root/password", "0600")
    server.run("sh", "-ec", PREPARE)
    mail = Mail(server)
    mail.start()
    return mail


@pytest.mark.parametrize(("security", "opening"), [("starttls", ["greeting", "tls"]), ("tls", ["tls", "greeting"]), ("none", ["greeting"])])
def test_each_kind_of_port(mail: Mail, security: str, opening: list[str]) -> None:
    result = mail.check(security)
    assert not result["_failed"] and result["changed"] is False, result["_output"]
    assert [step["name"] for step in result["steps"]] == ["connect", *opening, "login", "sender"]
    assert result["steps"][0]["said"] == "127.0.1.1" and result["auth_methods"] == ["LOGIN", "PLAIN"]
    if security == "none":
        assert result["tls"] is None and "is not encrypted" in result["_output"]
    else:
        assert (result["tls"]["trusted"], result["tls"]["issuer"]) == (True, "CN=AC do Municipio")
        assert result["tls"]["dns_names"] == [HOST] and "not encrypted" not in result["_output"]
    assert mail.seen() == [{"event": "login", "mechanism": "PLAIN", "user": USER, "ok": True}]


def test_a_message(mail: Mail) -> None:
    """Check mode foretells it and sends none."""
    assert mail.check(check=True, recipient=RECIPIENT)["changed"] is True
    assert [event["event"] for event in mail.seen()] == ["login"]
    result = mail.check(recipient=RECIPIENT)
    assert result["changed"] is True and result["steps"][-1]["name"] == "message"
    login, message = mail.seen()
    assert login["ok"] and (message["sender"], message["recipients"]) == (USER, [RECIPIENT])
    assert message["subject"] == "Teste do e-mail do PEC" and f"{HOST}:2587" in message["text"]
    assert "Não é preciso fazer nada" in message["text"]


def test_a_wrong_password_is_tried_once(mail: Mail) -> None:
    result = mail.check("tls", password=WRONG, recipient=RECIPIENT)
    assert result["_failed"] and result["tls"]["trusted"] is True
    assert failed(result)[0] == "login" and failed(result)[1].startswith("535")
    assert mail.seen() == [{"event": "login", "mechanism": "PLAIN", "user": USER, "ok": False}]


@pytest.mark.parametrize(
    ("security", "options", "step", "said"),
    [
        ("starttls", {"ca_path": "/etc/ssl/certs/ca-certificates.crt"}, "tls", "unable to get local issuer"),
        ("tls", {"host": "outro.municipio.uf.gov.br"}, "tls", "Hostname mismatch"),
        ("tls", {"port": 2587}, "tls", "does not begin with TLS"),
        ("starttls", {"port": 2465, "timeout": 1}, "greeting", "no answer within 1 seconds"),
        ("starttls", {"port": 2525}, "tls", "STARTTLS"),
        ("starttls", {"port": 2526}, "connect", "Connection refused"),
        ("starttls", {"host": "smtp.municipio.invalid"}, "connect", ""),
    ],
)
def test_no_password_is_sent_where_something_is_wrong(mail: Mail, security: str, options: dict[str, Any], step: str, said: str) -> None:
    result = mail.check(security, **options)
    assert result["_failed"] and failed(result)[0] == step and said in failed(result)[1], result["_output"]
    assert mail.seen() == []


def test_what_the_server_refuses(mail: Mail) -> None:
    mail.start("--refuse-recipient")
    result = mail.check(recipient=RECIPIENT)
    assert result["_failed"] and failed(result)[0] == "recipient" and failed(result)[1].startswith("550 5.1.1")
    assert [event["event"] for event in mail.seen()] == ["login"]


def test_the_journal_has_no_password(mail: Mail) -> None:
    assert on_server(mail.server.shell, [PASSWORD, WRONG], JOURNAL, "/var/log", "/tmp", "/var/tmp", "/root/.ansible") == []
