# SPDX-License-Identifier: GPL-3.0-or-later
"""Tests a mail server step by step, as PEC will use it, and says which step failed and what to do next. Private to the collection."""

from __future__ import annotations

import base64
import contextlib
import re
import smtplib
import socket
import ssl
import textwrap
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from ansible_collections.esus.pec.plugins.module_utils.certificates import handshake, x509
from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.redact import Redactor
from ansible_collections.esus.pec.plugins.module_utils.system.http import tls_context
from ansible_collections.esus.pec.plugins.module_utils.system.patience import Patience

PORTS = {"starttls": 587, "tls": 465, "none": 25}
"""The usual port by the security of its connection."""

_UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_ADDRESS = re.compile(r"[\w.!#$%&'*+/=?^`{|}~-]+@[\w.-]+|", re.ASCII)
_MOST_SAID = 1 << 19
_TIMEOUTS = (socket.timeout, TimeoutError)  # one and the same only from Python 3.10 on
_CERTIFICATE = ("subject", "issuer", "dns_names", "not_after", "days_left")
_NOT_TLS = ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "HTTP_REQUEST", "PACKET_LENGTH_TOO_LONG", "UNKNOWN_PROTOCOL")

# What to do next.
_CLOUD = "Gmail requires an app password; Microsoft 365 requires SMTP AUTH to be enabled for the mailbox, where that still exists"
_UNCONNECTED = (
    (UnicodeError, "check how the name is written"),
    (socket.gaierror, "check how the name is written and this host's DNS (/etc/resolv.conf); try on this host: getent ahosts {host}"),
    (ConnectionRefusedError, "check host and port (587 for starttls, 465 for tls): nothing listens there, or a firewall refuses it"),
    (_TIMEOUTS, "a firewall drops it, or the provider blocks the port, as is usual for 25; have it opened, or use 587 or 465"),
    (OSError, "check the network of this host: its address, its route and its firewall"),
)
_UNTRUSTED = {  # by OpenSSL's code
    9: "check the clock of this host; the certificate is not valid yet",
    10: "the server's operator has to renew it; also check the clock of this host",
    **dict.fromkeys((62, 64), "as host, use a name from the certificate"),
}
_REFUSED = {
    "greeting": "check host and port; if they are right, ask the server's operator to admit this host",
    "tls": "use security tls, usually on port 465; a firewall or antivirus in between that inspects e-mail may prevent STARTTLS, too",
    "login": f"check username and password. They were not tried again, as that may lock the account. {_CLOUD}",
    "sender": "use a sender that the account may send as, usually its own address; without a username, the server may require a login",
    "recipient": "check the recipient's address; without a username, the server may deliver to its own addresses only",
    "message": "a filter of the server refused it; ask its operator why",
}
_LOST = {
    "greeting": "without security tls, a port that begins with TLS is silent like this: use it for 465, or take 587 for starttls",
    "tls": "check security and port (587 for starttls, 465 for tls), and a firewall or antivirus in between that inspects e-mail",
    "message": "the message may or may not have been sent; look if it has arrived before you run this again",
}


@dataclass(frozen=True)
class Server:
    """C(security) is a key of C(PORTS). C(timeout) is in seconds and for each step."""

    host: str
    port: int
    security: str = "starttls"
    validate_certs: bool = True
    ca_path: str | None = None
    timeout: float = 15

    @property
    def place(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True)
class Account:
    """What is tried on a server. A step whose part is empty is left out."""

    username: str = ""
    password: str = field(default="", repr=False)
    sender: str = ""
    recipient: str = ""


@dataclass(frozen=True)
class Step:
    """C(said) are the server's own words, or what was found."""

    name: str
    ok: bool
    said: str


@dataclass(frozen=True)
class Report:
    """The steps in their order, up to the first that failed, for which C(remedy) is what to do next.

    C(tls) has the encryption and the facts of the certificate; "trusted" is None if it was not checked.
    """

    steps: tuple[Step, ...]
    tls: Mapping[str, Any] | None
    auth_methods: tuple[str, ...]
    remedy: str


def probe(server: Server, account: Account, compose: Callable[[], bytes] | None = None) -> Report:
    """Take the steps, with one attempt to log in. Without C(compose), which makes the message, the recipient is left alone.

    Nothing that the server does raises. Raises PecError for what cannot be tried at all.
    """
    _refuse(server, account)
    talk = _Talk(server, account)
    steps, remedy = [], ""
    for name, step in talk.plan(compose):
        with Patience(server.timeout) as patience:
            try:
                talk.hurry(patience)
                steps.append(Step(name, True, talk.clean(step())))
                continue
            except (_StepError, OSError, smtplib.SMTPException, ValueError) as error:
                said, remedy = _explain(name, socket.timeout() if patience.over else error, server)
                steps.append(Step(name, False, talk.clean(said)))
                break
    with Patience(server.timeout) as patience:
        talk.hurry(patience)
        talk.leave()
    return Report(tuple(steps), talk.tls, talk.auth_methods, remedy)


def complaint(server: Server, report: Report) -> str:
    """Say which step failed, in which words, and what to do next; nothing if none did."""
    step = report.steps[-1]
    return "" if step.ok else f"the mail server {server.place} failed at the step {step.name}: {step.said}; {report.remedy}"


class _StepError(Exception):
    """It ends a step. Its two arguments are what was found and what to do next."""


class _Talk:
    """One connection of smtplib's. A step returns what was said, or raises."""

    _socket: socket.socket
    tls: Mapping[str, Any] | None = None
    auth_methods: tuple[str, ...] = ()

    def __init__(self, server: Server, account: Account) -> None:
        self._server, self._account = server, account
        self._context = _context(server)
        self._smtp = smtplib.SMTP(local_hostname="localhost", timeout=server.timeout)  # else it asks DNS for a name
        parts = {"PLAIN": [f"\0{account.username}\0{account.password}"], "LOGIN": [account.username, account.password]}
        self._answers = {method: [base64.b64encode(part.encode()).decode() for part in each] for method, each in parts.items()}
        sent = [each[-1] for each in self._answers.values()] if account.password else []
        self._redact = Redactor([account.password, *sent, *(form.rstrip("=") for form in sent)], only_known=True)

    def plan(self, compose: Callable[[], bytes] | None) -> list[tuple[str, Callable[[], str]]]:
        """The steps that were asked for."""
        smtp, account = self._smtp, self._account
        greeting, tls = ("greeting", self._greet), ("tls", self._encrypt)
        steps = [
            ("connect", self._connect),
            *{"starttls": [greeting, tls], "tls": [tls, greeting], "none": [greeting]}[self._server.security],
        ]
        steps += [("login", self._login)] if account.username else []
        steps += [("sender", lambda: _expect((250,), smtp.mail(account.sender)))] if account.sender else []
        if account.recipient and compose:
            steps += [("recipient", lambda: _expect((250, 251), smtp.rcpt(account.recipient)))]
            steps += [("message", lambda: _expect((250,), smtp.data(compose())))]
        return steps

    def clean(self, text: str) -> str:
        """Without secrets, and on one line without what a terminal would act on."""
        return textwrap.shorten("".join(letter if letter.isprintable() else " " for letter in self._redact(text)), 1000)

    def hurry(self, patience: Patience) -> None:
        """Let the next step last no longer than this."""
        if self._smtp.sock and self._smtp.sock.fileno() >= 0:
            patience.watch(self._smtp.sock)

    def leave(self) -> None:
        """Say goodbye, if the server still listens."""
        with contextlib.suppress(OSError, smtplib.SMTPException):
            if self._account.sender:
                self._smtp.rset()
            self._smtp.quit()
        self._smtp.close()

    def _connect(self) -> str:
        """Connect to the first address that answers. The addresses share the time, as a large provider has many."""
        place, timeout = (self._server.host, self._server.port), self._server.timeout
        addresses = socket.getaddrinfo(*place, type=socket.SOCK_STREAM)
        self._smtp.sock = self._socket = socket.create_connection(place, max(1, timeout / len(addresses)))
        self._socket.settimeout(timeout)
        self._smtp.file = _Reader(self._socket)
        name, own = socket.gethostname(), self._socket.getsockname()[0]
        self._smtp.local_hostname = name if "." in name else f"[IPv6:{own}]" if ":" in own else f"[{own}]"
        return str(self._socket.getpeername()[0])

    def _greet(self) -> str:
        said = _expect((220,), self._smtp.getreply())
        self._ehlo()
        return said

    def _encrypt(self) -> str:
        """Not by smtplib's starttls, which needs the name that only its constructor takes, and connects in it."""
        if self._server.security == "starttls":
            if not self._smtp.has_extn("starttls"):
                raise _StepError("the server offers no STARTTLS", _REFUSED["tls"])
            _expect((220,), self._smtp.docmd("STARTTLS"))
        try:
            secured = self._context.wrap_socket(self._socket, server_hostname=self._server.host)
        except ssl.SSLCertVerificationError as error:
            shown = probe(replace(self._server, validate_certs=False), Account()).tls  # a refused handshake does not return it
            self.tls = {**shown, "trusted": False} if shown else None
            raise _untrusted(error, self.tls) from None
        # What came unread before the handshake is dropped, as anybody could have sent it.
        self._smtp.sock, self._smtp.file = secured, _Reader(secured)
        self.tls = _encryption(secured, True if self._server.validate_certs else None)
        if self._server.security == "starttls":
            self._ehlo()
        return f"{self.tls['version']} {self.tls['cipher']}"

    def _ehlo(self) -> None:
        self._smtp.esmtp_features = {}
        _expect((250,), self._smtp.ehlo())
        if self.tls or self._server.security == "none":
            offered = re.findall(r"[A-Z0-9][A-Z0-9_-]*", self._smtp.esmtp_features.get("auth", "").upper())
            self.auth_methods = tuple(dict.fromkeys(offered))

    def _login(self) -> str:
        """Not by smtplib's login, which tries one method after the other and knows no letter outside ASCII."""
        method = next((method for method in self._answers if method in self.auth_methods), None)
        if method is None:
            offered = ", ".join(self.auth_methods) or "none at all"
            remedy = f"PEC has only a password. {_CLOUD}" if "OAUTH" in offered else "many offer it only with starttls or tls"
            raise _StepError(f"the server offers no login by PLAIN or LOGIN, but {offered}", f"ask its operator; {remedy}")
        answer = self._smtp.docmd("AUTH", method)
        for part in self._answers[method]:
            if answer[0] == 334:
                answer = self._smtp.docmd(part)
        return _expect((235,), answer)


class _Reader:
    """The lines of a connection, as smtplib reads them: it keeps all lines of an answer, and a server may send them without end."""

    def __init__(self, link: socket.socket) -> None:
        self._stream = link.makefile("rb")
        self._left = _MOST_SAID
        self.close = self._stream.close

    def readline(self, limit: int) -> bytes:
        line = self._stream.readline(limit)
        self._left -= len(line)
        if self._left < 0:
            raise OSError(f"it said more than {_MOST_SAID >> 10} KiB")
        return line


def _refuse(server: Server, account: Account) -> None:
    """Raises PecError with everything that is wrong in what was given, and shows no value that may be a secret."""
    given = {"host": server.host, **{name: getattr(account, name) for name in ("username", "password", "sender", "recipient")}}
    problems = [f"{name} has a line break or a control character in it; remove it" for name in given if _UNSAFE.search(given[name])]
    if server.host.split() != [server.host]:
        problems.append("host is empty or has a blank in it; give the name or the address of the mail server")
    if not 0 < server.port < 65536:
        problems.append(f"port is {server.port}; give one from 1 to 65535")
    if server.timeout < 1:
        problems.append(f"timeout is {server.timeout:g}; give at least one second")
    if bool(account.username) != bool(account.password):
        problems.append("username and password go together; give both or none")
    wrong = [name for name in ("sender", "recipient") if not _ADDRESS.fullmatch(given[name])]
    problems += [f"{name} is no e-mail address; write only the address, such as saude@municipio.uf.gov.br" for name in wrong]
    if account.recipient and not account.sender:
        problems.append("a message to recipient needs a sender; give sender, too")
    if problems:
        raise PecError("\n".join(["the mail server was not asked:", *problems]))


def _context(server: Server) -> ssl.SSLContext:
    """As Java judges: from TLS 1.2 on, and without the strictness in matters of form that Python has from 3.13 on."""
    context = tls_context(server.validate_certs, server.ca_path)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    return context


def _encryption(connection: ssl.SSLSocket, trusted: bool | None) -> dict[str, Any]:
    """What cannot be read of a certificate is None."""
    certificate = None
    with contextlib.suppress(PecError):
        certificate = x509.read(connection.getpeercert(binary_form=True) or b"")
    facts = handshake.describe(handshake.Served(certificate), None)
    cipher = (connection.cipher() or (None,))[0]
    return {"version": connection.version(), "cipher": cipher, "trusted": trusted, **{name: facts[name] for name in _CERTIFICATE}}


def _untrusted(error: ssl.SSLCertVerificationError, tls: Mapping[str, Any] | None) -> _StepError:
    said = f"the certificate is refused: {error.verify_message}"
    if tls:
        names = ", ".join(tls["dns_names"]) or "no name"
        said += f" (it is {tls['subject']}, for {names}, signed by {tls['issuer']}, valid until {tls['not_after']})"
    other = "if an authority of your own signed it, give its file in ca_path; PEC's Java must trust it, too"
    return _StepError(said, _UNTRUSTED.get(error.verify_code, other))


def _expect(codes: tuple[int, ...], answer: tuple[int, bytes]) -> str:
    code, words = answer
    if code not in codes:
        raise smtplib.SMTPResponseException(code, words)
    return _words(code, words)


def _words(code: int, words: bytes | str) -> str:
    text = words if isinstance(words, str) else words.decode("utf-8", "replace")
    return f"{code} {text}" if code > 0 else f"what answers does not speak SMTP ({text})"


def _explain(step: str, error: Exception, server: Server) -> tuple[str, str]:
    """What was found in the step, and what to do next."""
    if isinstance(error, _StepError):
        return error.args[0], error.args[1]
    if isinstance(error, smtplib.SMTPResponseException):
        remedy = _REFUSED[step]
        if error.smtp_code in (530, 538):
            remedy = "the server requires encryption (security starttls or tls) or a login (username and password) first"
        elif 400 <= error.smtp_code < 500:
            remedy = f"the server says that this may pass, so try again later; if it stays: {remedy}"
        return _words(error.smtp_code, error.smtp_error), remedy
    if step == "connect":
        return _reason(error), next(text for kind, text in _UNCONNECTED if isinstance(error, kind)).format(host=server.host)
    # How a connection ends in a handshake, with an error of TLS or of the network, is a matter of moments.
    if isinstance(error, ssl.SSLError) and not isinstance(error, (ssl.SSLEOFError, ssl.SSLZeroReturnError)):
        if error.reason in _NOT_TLS:
            return "what answers does not begin with TLS", "use security starttls, usually on 587, or the port 465"
        remedy = "the server's TLS may be older than 1.2, which Java refuses, too; its operator has to update it"
        return f"no encryption was agreed on ({error.reason or error})", remedy
    cause = error.__context__ if isinstance(error, smtplib.SMTPServerDisconnected) else error
    said = (
        f"no answer within {server.timeout:g} seconds" if isinstance(cause, _TIMEOUTS) else f"the connection was closed ({_reason(cause)})"
    )
    return said, _LOST.get(step, "a firewall in between, or the server, may have ended it; try again, and ask the server's operator")


def _reason(error: BaseException | None) -> str:
    return getattr(error, "strerror", None) or str(error or "without a word")
