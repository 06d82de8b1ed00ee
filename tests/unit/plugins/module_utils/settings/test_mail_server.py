# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import base64
import contextlib
import re
import socket
import ssl
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import certificates
import pytest
from smtp_sink import SILENCE, Sink, context, running, scripted

from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.settings import mail_server
from ansible_collections.esus.pec.plugins.module_utils.settings.mail_server import Account, Report, Server

USER, PASSWORD = "pec@municipio.uf.gov.br", 'Sã\\o "João" €10'
ACCOUNT = Account(USER, PASSWORD, "pec@municipio.uf.gov.br", "ti@municipio.uf.gov.br")
LOGIN = Account(USER, PASSWORD)
EHLO = "250-mail.example\r\n250 AUTH PLAIN LOGIN"
SAFE = "250-mail.example\r\n250 STARTTLS"
OPENING = ("220 mail.example ESMTP", EHLO)
LOGGED_IN = (*OPENING, "334 ", "235 welcome")
ADDRESSED = (*LOGGED_IN, "250 sender ok", "250 recipient ok", "354 go on")


def compose() -> bytes:
    return "Subject: Teste\r\n\r\n.Olá\r\n".encode()


def base(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


FORMS = (PASSWORD, base(PASSWORD), base(PASSWORD).rstrip("="), base(f"\0{USER}\0{PASSWORD}"), base(f"\0{USER}\0{PASSWORD}").rstrip("="))


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Certificates with their keys, and the authorities that signed them."""
    directory, key = tmp_path_factory.mktemp("smtp"), certificates.rsa_key()
    kinds: dict[str, dict[str, Any]] = {
        "good": {},
        "other": {"domains": ["other.example"]},
        "expired": {"since_days": -30, "days": -2},
        "early": {"since_days": 2},
    }
    for name, options in kinds.items():
        issued = certificates.issue(key=key, uses=[certificates.SERVER], **{"domains": ["localhost"], **options})
        (directory / f"{name}.pem").write_text(issued.pem + issued.authorities[0].pem + issued.key_pem)
        (directory / "ca.pem").write_text("".join(each.pem for each in issued.authorities))
    return directory


@pytest.fixture(scope="module")
def trusting(files: Path) -> Server:
    return Server("localhost", 1, ca_path=str(files / "ca.pem"), timeout=5)


def names(report: Report) -> list[str]:
    return [step.name for step in report.steps]


def test_starttls_from_the_name_to_the_message(trusting: Server, files: Path) -> None:
    sink = Sink(USER, PASSWORD, context(files / "good.pem"), login_needs_tls=True)
    with running(sink, "starttls") as port:
        report = mail_server.probe(replace(trusting, port=port), ACCOUNT, compose)
    assert mail_server.complaint(trusting, report) == ""
    assert names(report) == ["connect", "greeting", "tls", "login", "sender", "recipient", "message"]
    assert all(step.ok for step in report.steps) and report.steps[1].said == "220 sink.example ESMTP sink"
    assert report.auth_methods == ("LOGIN", "PLAIN") and report.tls
    assert (report.tls["trusted"], report.tls["days_left"], report.tls["dns_names"]) == (True, 365, ["localhost"])
    assert re.match(r"TLSv1\.[23]$", report.tls["version"]) and "CN=AC de Teste" in report.tls["issuer"]
    assert sink.seen == [
        {"event": "login", "mechanism": "PLAIN", "user": USER, "ok": True},
        {
            "event": "message",
            "sender": ACCOUNT.sender,
            "recipients": [ACCOUNT.recipient],
            "subject": "Teste",
            "text": sink.seen[1]["text"],
        },
    ]


@pytest.mark.parametrize(("security", "opening"), [("tls", ["tls", "greeting"]), ("none", ["greeting"])])
def test_the_other_ways(trusting: Server, files: Path, security: str, opening: list[str]) -> None:
    """Without anything to send; the sender is asked for and let go."""
    sink = Sink(USER, PASSWORD, context(files / "good.pem"))
    with running(sink, security) as port:
        report = mail_server.probe(replace(trusting, port=port, security=security), ACCOUNT)
    assert names(report) == ["connect", *opening, "login", "sender"] and report.steps[-1].ok
    assert [event["event"] for event in sink.seen] == ["login"] and (report.tls is None) == (security == "none")


def test_the_steps_that_nobody_asked_for_are_left_out() -> None:
    with scripted(*OPENING, "221 bye") as (port, sent):
        report = mail_server.probe(Server("127.0.0.1", port, "none"), Account())
    assert names(report) == ["connect", "greeting"] and sent[-1] == "quit\r\n"
    assert re.fullmatch(r"ehlo (\[127\.0\.0\.1\]|\S+\.\S+)\r\n", sent[0])


def test_a_login_by_the_method_login() -> None:
    with scripted(OPENING[0], "250-mail.example\r\n250-AUTH LOGIN\r\n250 AUTH=LOGIN", "334 VXNlcg", "334 UGFzcw", "235 welcome") as (
        port,
        sent,
    ):
        report = mail_server.probe(Server("127.0.0.1", port, "none"), LOGIN)
    assert report.steps[-1] == mail_server.Step("login", True, "235 welcome") and report.auth_methods == ("LOGIN",)
    assert sent[1:4] == ["AUTH LOGIN\r\n", f"{base(USER)}\r\n", f"{base(PASSWORD)}\r\n"]


def test_what_is_sent() -> None:
    """The transaction of a test message, with the message as it was made."""
    with scripted(*ADDRESSED, "250 kept", "250 forgotten", "221 bye") as (port, sent):
        report = mail_server.probe(Server("127.0.0.1", port, "none"), ACCOUNT, compose)
    assert report.steps[-1].said == "250 kept"
    assert sent[3:7] == [
        f"mail FROM:<{ACCOUNT.sender}>\r\n",
        f"rcpt TO:<{ACCOUNT.recipient}>\r\n",
        "data\r\n",
        "Subject: Teste\r\n\r\n..Olá\r\n.\r\n",
    ]
    assert [line.strip() for line in sent[7:]] == ["rset", "quit"]


def test_a_literal_address_of_ipv6() -> None:
    try:
        with running(Sink(), "none", "::1") as port:
            report = mail_server.probe(Server("::1", port, "none"), Account())
    except OSError as error:
        pytest.skip(f"no IPv6 here: {error}")
    assert report.steps[0].said == "::1" and report.steps[-1].ok and Server("::1", 25).place == "[::1]:25"


def test_every_address_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    ask = socket.getaddrinfo

    def asked(name: str, *rest: Any, **more: Any) -> list[Any]:
        names = ("127.0.0.2", "127.0.0.1") if name == "two.example" else (name,)
        return [address for each in names for address in ask(each, *rest, **more)]

    monkeypatch.setattr(socket, "getaddrinfo", asked)
    with running(Sink(), "none") as port:
        report = mail_server.probe(Server("two.example", port, "none"), Account())
    assert report.steps[0].said == "127.0.0.1" and report.steps[-1].ok


def failure(server: Server, account: Account = LOGIN, step: str = "") -> str:
    """The complaint, which names the step, and in which no secret is."""
    report = mail_server.probe(server, account, compose)
    said = mail_server.complaint(server, report)
    assert said.startswith(f"the mail server {server.place} failed at the step {step}: "), said
    assert [each.ok for each in report.steps] == [True] * (len(report.steps) - 1) + [False]
    for secret in FORMS:
        assert secret not in said + repr(report)
    return said


@pytest.mark.parametrize(
    ("number", "said"),
    [(socket.EAI_NONAME, "check how the name is written"), (socket.EAI_AGAIN, "check how the name is written and this host's DNS")],
)
def test_a_name_that_does_not_resolve(monkeypatch: pytest.MonkeyPatch, number: int, said: str) -> None:
    def ask(*_arguments: object, **_options: object) -> None:
        raise socket.gaierror(number, "no such name")

    monkeypatch.setattr(socket, "getaddrinfo", ask)
    complaint = failure(Server("smtp.example", 587), step="connect")
    assert f"no such name; {said}" in complaint and complaint.endswith("getent ahosts smtp.example")


def test_a_name_that_is_none() -> None:
    assert "check how the name is written" in failure(Server("smtp..example", 587), step="connect")


def test_a_port_where_nothing_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
    assert "Connection refused; check host and port (587" in failure(Server("127.0.0.1", port), step="connect")


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (socket.timeout("timed out"), "timed out; a firewall drops it"),
        (OSError(101, "Network is unreachable"), "unreachable; check the network"),
    ],
)
def test_a_way_that_is_closed(monkeypatch: pytest.MonkeyPatch, error: OSError, said: str) -> None:
    def connect(*_arguments: object, **_options: object) -> None:
        raise error

    monkeypatch.setattr(socket, "create_connection", connect)
    assert said in failure(Server("127.0.0.1", 25), step="connect")


@pytest.mark.parametrize(
    ("security", "answers", "step", "said"),
    [
        pytest.param("none", ("554 not you",), "greeting", "554 not you; check host and port", id="greeting no"),
        pytest.param("none", ("421-busy\r\n421 come back",), "greeting", "421 busy come back; the server says that this may", id="busy"),
        pytest.param("none", ("HTTP/1.1 400 Bad Request",), "greeting", "does not speak SMTP", id="not SMTP"),
        pytest.param("none", ("",), "greeting", "the connection was closed", id="closed"),
        pytest.param("starttls", (SILENCE,), "greeting", "no answer within 1 seconds; without security tls, a port", id="silent"),
        pytest.param("starttls", OPENING, "tls", "offers no STARTTLS; use security tls", id="no STARTTLS"),
        pytest.param("starttls", (OPENING[0], SAFE, "454 no certificate"), "tls", "454 no certificate; the server says", id="STARTTLS no"),
        pytest.param("starttls", (OPENING[0], SAFE, "220 go"), "tls", "the connection was closed", id="STARTTLS and gone"),
        pytest.param(
            "starttls", (OPENING[0], SAFE, "220 go", SILENCE, "what?"), "tls", "does not begin with TLS", id="STARTTLS without TLS"
        ),
        pytest.param("tls", (SILENCE,), "tls", "the connection was closed", id="gone instead of TLS"),
        pytest.param("tls", OPENING, "tls", "does not begin with TLS; use security starttls", id="plain instead of TLS"),
        pytest.param("none", (OPENING[0], "502 no EHLO"), "greeting", "502 no EHLO; check host and port", id="EHLO no"),
        pytest.param("none", (OPENING[0], "250 mail.example"), "login", "but none at all; ask its operator; many", id="no login"),
        pytest.param("none", (OPENING[0], "250-x\r\n250 AUTH XOAUTH2"), "login", "but XOAUTH2; ask its operator; PEC has", id="XOAUTH2"),
        pytest.param("none", (OPENING[0], "250-x\r\n250 AUTH CRAM-MD5 NTLM"), "login", "but CRAM-MD5, NTLM; ask", id="others"),
        pytest.param("none", (*OPENING, "334 ", "535 5.7.8 wrong"), "login", "535 5.7.8 wrong; check username and password", id="wrong"),
        pytest.param("none", (*OPENING, "534 5.7.9 app"), "login", "Gmail requires an app password", id="app password"),
        pytest.param(
            "none", (*OPENING, "530 5.7.0 STARTTLS"), "login", "530 5.7.0 STARTTLS; the server requires encryption", id="protect it"
        ),
        pytest.param(
            "none", (*OPENING, "334 ", "454 4.7.0 later"), "login", "454 4.7.0 later; the server says that this may pass", id="later"
        ),
        pytest.param("none", (*OPENING, "334 ", ""), "login", "the connection was closed", id="gone"),
        pytest.param("none", (*LOGGED_IN, "553 not yours"), "sender", "553 not yours; use a sender", id="sender"),
        pytest.param("none", (*LOGGED_IN, "250 ok", "550 who?"), "recipient", "550 who?; check the recipient", id="recipient"),
        pytest.param("none", (*LOGGED_IN, "250 ok", "250 ok", "451 full"), "message", "451 full; the server says", id="no data"),
        pytest.param("none", (*ADDRESSED, "554 spam"), "message", "554 spam; a filter", id="message"),
        pytest.param("none", (*ADDRESSED, ""), "message", "closed (without a word); the message may or may not", id="unknown"),
    ],
)
def test_what_servers_do(security: str, answers: tuple[Any, ...], step: str, said: str) -> None:
    with scripted(*answers) as (port, sent):
        assert said in failure(Server("127.0.0.1", port, security, timeout=1), ACCOUNT, step)
    assert sum(line.startswith("AUTH") for line in sent) <= 1
    if security != "none":
        assert not any(secret in line for line in sent for secret in FORMS)


@pytest.mark.parametrize("error", [ssl.SSLEOFError, ssl.SSLZeroReturnError, ConnectionResetError, BrokenPipeError])
def test_how_a_connection_ends_is_a_matter_of_moments(error: type[OSError], monkeypatch: pytest.MonkeyPatch) -> None:
    def closed(*_arguments: object, **_options: object) -> None:
        raise error("closed")

    monkeypatch.setattr(ssl.SSLContext, "wrap_socket", closed)
    with scripted(SILENCE) as (port, _sent):
        assert "the connection was closed" in failure(Server("127.0.0.1", port, "tls", timeout=1), ACCOUNT, "tls")


@pytest.mark.parametrize("security", ["tls", "starttls"])
@pytest.mark.parametrize(
    ("certificate", "said", "remedy"),
    [
        ("good", "unable to get local issuer", "give its file in ca_path"),
        ("other", "for other.example, signed by", "as host, use a name from the certificate"),
        ("expired", "certificate has expired", "has to renew it"),
        ("early", "not yet valid", "check the clock"),
    ],
)
def test_certificates_that_are_refused(trusting: Server, files: Path, security: str, certificate: str, said: str, remedy: str) -> None:
    sink = Sink(USER, PASSWORD, context(files / f"{certificate}.pem"))
    server = replace(trusting, security=security, ca_path=None if certificate == "good" else trusting.ca_path)
    with running(sink, security) as port:
        server = replace(server, port=port)
        complaint = failure(server, step="tls")
        refused = mail_server.probe(server, LOGIN).tls
        assert sink.seen == []  # nobody logs in where that is not safe
        accepted = mail_server.probe(replace(server, validate_certs=False), LOGIN)
    assert said in complaint and "signed by CN=AC de Teste" in complaint and complaint.partition("; ")[2].find(remedy) >= 0, complaint
    assert refused and refused["trusted"] is False and refused["subject"]
    assert accepted.steps[-1].ok and accepted.tls == {**refused, "trusted": None}


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_server_with_an_old_tls(files: Path) -> None:
    old = context(files / "good.pem")
    old.minimum_version = old.maximum_version = ssl.TLSVersion.TLSv1_1
    with scripted(old, OPENING[0]) as (port, _sent):
        assert "may be older than 1.2" in failure(Server("127.0.0.1", port, "tls"), step="tls")


def test_what_was_said_before_the_handshake_does_not_count(trusting: Server, files: Path) -> None:
    """Somebody in between may have put it behind the server's answer."""
    injected = "220 go\r\n250-evil.example\r\n250 AUTH LOGIN"
    with scripted(OPENING[0], SAFE, injected, context(files / "good.pem"), "", "250 mail.example") as (port, _sent):
        report = mail_server.probe(replace(trusting, port=port), Account())
    assert (report.steps[-1].name, report.auth_methods) == ("tls", ())


def test_a_server_that_repeats_the_password() -> None:
    assert base(PASSWORD).endswith("=")
    echo = f"535 {' '.join(FORMS)} \x1b[31mno\x1b[0m"
    with scripted(*OPENING, "334 ", echo) as (port, _sent):
        complaint = failure(Server("127.0.0.1", port, "none"), step="login")
    assert f"535 {' '.join(['********'] * len(FORMS))} [31mno [0m; check" in complaint
    assert PASSWORD not in repr(LOGIN)


@pytest.mark.parametrize("end", ["\n", "\r", "\0", "\x85", "\u2028", "\ud800"])
@pytest.mark.parametrize("name", ["username", "password", "sender", "recipient"])
def test_line_breaks_are_refused(name: str, end: str) -> None:
    account = replace(ACCOUNT, **{name: f"{getattr(ACCOUNT, name)}{end}RCPT TO:<x@example>"})
    with scripted(*ADDRESSED) as (port, sent), pytest.raises(PecError, match=f"{name} has a line break") as caught:
        mail_server.probe(Server("127.0.0.1", port, "none"), account, compose)
    assert sent == [] and PASSWORD not in str(caught.value)


@pytest.mark.parametrize(
    ("server", "account", "said"),
    [
        (Server("a\nb", 25), Account(), "host has a line break"),
        (Server("", 25), Account(), "host is empty"),
        (Server("smtp.example ", 25), Account(), "has a blank in it"),
        (Server("smtp.example", 0), Account(), "port is 0"),
        (Server("smtp.example", 25, timeout=0), Account(), "timeout is 0"),
        (Server("smtp.example", 25), Account("only"), "go together"),
        (Server("smtp.example", 25), Account("", "only"), "go together"),
        (Server("smtp.example", 25), Account(sender="PEC <pec@municipio.uf.gov.br>"), "sender is no e-mail address"),
        (Server("smtp.example", 25), Account(sender="a@b> SIZE=1"), "sender is no e-mail address"),
        (Server("smtp.example", 25), Account(recipient="a@b.example"), "needs a sender"),
        (Server("smtp.example", 25, ca_path="/nowhere/ca.pem"), Account(), "authorities in /nowhere/ca.pem: No such file"),
        (Server("smtp.example", 25, ca_path=__file__), Account(), f"authorities in {__file__}"),
    ],
)
def test_what_cannot_be_tried(server: Server, account: Account, said: str) -> None:
    with pytest.raises(PecError, match=re.escape(said)):
        mail_server.probe(server, account)


@pytest.mark.parametrize(
    ("again", "pause", "said"),
    [
        pytest.param(b"220-welcome\r\n" * 1000, 0, "it said more than 512 KiB", id="lines"),
        pytest.param(b"2", 0.1, "no answer within 1 seconds", id="bytes"),
        pytest.param(b"220-welcome\r\n", 0.1, "no answer within 1 seconds", id="lines now and then"),
    ],
)
def test_a_greeting_without_end(again: bytes, pause: float, said: str) -> None:
    def talk() -> None:
        link, _address = listening.accept()
        with link, contextlib.suppress(OSError):
            while True:
                link.sendall(again)
                time.sleep(pause)

    started = time.monotonic()
    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=talk, daemon=True)
        thread.start()
        report = mail_server.probe(Server("127.0.0.1", listening.getsockname()[1], "none", timeout=1), ACCOUNT)
        thread.join(10)
    assert (names(report)[-1], said in report.steps[-1].said) == ("greeting", True), report.steps
    assert not thread.is_alive() and time.monotonic() - started < 10
