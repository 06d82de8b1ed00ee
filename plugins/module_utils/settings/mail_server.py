# SPDX-License-Identifier: GPL-3.0-or-later
"""Tests a mail server step by step, as PEC is going to use it, and says which step failed and what to do next."""

from __future__ import annotations

import base64
import contextlib
import re
import smtplib
import socket
import ssl
import textwrap
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone

from ansible_collections.esus.pec.plugins.module_utils.certificates import x509
from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.redact import Redactor

PORTS = {"starttls": 587, "tls": 465, "none": 25}
"""The usual port by the security of its connection."""

_UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_ADDRESS = re.compile(r"[\w.!#$%&'*+/=?^`{|}~-]+@[\w.-]+|", re.ASCII)
_TIMEOUTS = (socket.timeout, TimeoutError)  # one and the same only from Python 3.10 on
_NOT_TLS = ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "HTTP_REQUEST", "PACKET_LENGTH_TOO_LONG", "UNKNOWN_PROTOCOL")

# What to do next.
_CLOUD = "Gmail wants an app password; Microsoft 365 wants SMTP AUTH to be allowed for the mailbox, where that still exists"
_UNCONNECTED = (
    (ConnectionRefusedError, "check host and port (587 for starttls, 465 for tls): nothing listens there, or a firewall refuses it"),
    (_TIMEOUTS, "a firewall drops it, or the provider blocks the port, as is usual for 25; have it opened, or use 587 or 465"),
    (OSError, "check the network of this host: its address, its route and its firewall"),
)
_UNTRUSTED = {  # by OpenSSL's code
    9: "check the clock of this host; the certificate is not valid yet",
    10: "the server's operator has to renew it; check the clock of this host, too",
    **dict.fromkeys((62, 64), "as host, use a name that it is made out to"),
}
_REFUSED = {
    "greeting": "check host and port; if they are right, ask the server's operator to admit this host",
    "starttls": "use security tls, usually on port 465; a firewall or antivirus in between that inspects e-mail may prevent it, too",
    "tls": "the server's TLS may be older than 1.2, which Java refuses, too; its operator has to update it",
    "ehlo": "ask the server's operator why it does not serve this host",
    "login": f"check username and password. This was not tried again, as that may lock the account. {_CLOUD}",
    "sender": "use a sender that the account may send as, usually its own address; without a username, the server may want a login",
    "recipient": "check the recipient's address; without a username, the server may deliver to its own addresses only",
    "message": "a filter of the server refused it; its operator can say why",
}
_LOST = {
    "greeting": "without security tls, a port that begins with TLS is silent like this: use it for 465, or take 587 for starttls",
    "tls": "check security and port (587 for starttls, 465 for tls), and a firewall or antivirus in between that inspects e-mail",
    "message": "whether the message was sent is not known; look whether it has arrived before you run this again",
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
    """What is to be tried on a server. A step whose part is empty is left out."""

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
class Tls:
    """The encryption. C(trusted) is None when it was not to be checked; what nobody can read of the certificate is None, too."""

    version: str | None
    cipher: str | None
    trusted: bool | None
    subject: str | None = None
    issuer: str | None = None
    dns_names: tuple[str, ...] = ()
    not_after: str | None = None
    days_left: int | None = None


@dataclass(frozen=True)
class Report:
    """The steps in their order, up to the first that failed, for which C(remedy) is what to do next."""

    steps: tuple[Step, ...]
    greeting: str | None
    tls: Tls | None
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
        try:
            steps.append(Step(name, True, talk.clean(step())))
        except (_StepError, OSError, smtplib.SMTPException, ValueError) as error:
            said, remedy = _explain(name, error, server.timeout)
            steps.append(Step(name, False, talk.clean(said)))
            break
    talk.leave()
    return Report(tuple(steps), talk.greeting, talk.tls, talk.auth_methods, remedy)


def complaint(server: Server, report: Report) -> str:
    """Say which step failed, by which words, and what to do next; nothing when none did."""
    step = report.steps[-1]
    return "" if step.ok else f"the mail server {server.place} failed at the step {step.name}: {step.said}; {report.remedy}"


class _StepError(Exception):
    """It ends a step. Its two arguments are what was found and what to do next."""


class _Talk:
    """One connection. A step returns what was said, or raises."""

    _socket: socket.socket
    greeting: str | None = None
    tls: Tls | None = None
    auth_methods: tuple[str, ...] = ()

    def __init__(self, server: Server, account: Account) -> None:
        self._server, self._account = server, account
        self._context = _context(server)
        self._smtp = smtplib.SMTP(local_hostname="localhost")  # or else it asks DNS
        self._addresses: list[str] = []
        user, password = account.username.encode(), account.password.encode()
        answers = {"PLAIN": [b"\0" + user + b"\0" + password], "LOGIN": [user, password]}
        self._answers = {method: [base64.b64encode(part).decode() for part in parts] for method, parts in answers.items()}
        sent = [parts[-1] for parts in self._answers.values()] if password else []
        self._redact = Redactor([account.password, *sent, *(form.rstrip("=") for form in sent)], only_known=True)

    def plan(self, compose: Callable[[], bytes] | None) -> list[tuple[str, Callable[[], str]]]:
        sender, recipient = self._account.sender, self._account.recipient
        greeting, starttls, tls = ("greeting", self._greeting), ("starttls", self._starttls), ("tls", self._handshake)
        opening = {"starttls": [greeting, starttls, tls], "tls": [tls, greeting], "none": [greeting]}[self._server.security]
        steps = [("resolve", self._resolve), ("connect", self._connect), *opening, ("ehlo", self._ehlo)]
        steps += [("login", self._login)] if self._account.username else []
        steps += [("sender", lambda: _expect((250,), self._smtp.docmd("MAIL", f"FROM:<{sender}>")))] if sender else []
        if recipient and compose:
            steps += [("recipient", lambda: _expect((250, 251), self._smtp.docmd("RCPT", f"TO:<{recipient}>")))]
            steps += [("message", lambda: _expect((250,), self._smtp.data(compose())))]
        return steps

    def clean(self, text: str) -> str:
        """Without secrets, and on one line without what a terminal would act on."""
        return textwrap.shorten("".join(letter if letter.isprintable() else " " for letter in self._redact(text)), 1000)

    def leave(self) -> None:
        """Say goodbye, if there is still somebody to say it to."""
        with contextlib.suppress(OSError, smtplib.SMTPException):
            if self._account.sender:
                self._smtp.rset()
            self._smtp.quit()
        self._smtp.close()

    def _resolve(self) -> str:
        try:
            found = socket.getaddrinfo(self._server.host, self._server.port, type=socket.SOCK_STREAM)
        except (socket.gaierror, UnicodeError) as error:
            unsure = getattr(error, "errno", None) == socket.EAI_AGAIN
            remedy = "check this host's DNS (/etc/resolv.conf), which gives no answer" if unsure else "check how the name is written"
            raise _StepError(_reason(error), f"{remedy}, and try on this host: getent ahosts {self._server.host}") from None
        self._addresses = list(dict.fromkeys(str(info[4][0]) for info in found))
        return ", ".join(self._addresses)

    def _connect(self) -> str:
        """To the first address that answers. They share the time, as a large provider has many."""
        failures: dict[str, OSError] = {}
        for address in self._addresses:
            share = max(1, self._server.timeout / len(self._addresses))
            try:
                self._socket = socket.create_connection((address, self._server.port), timeout=share)
            except OSError as error:
                failures[address] = error
                continue
            self._socket.settimeout(self._server.timeout)
            name, own = socket.gethostname(), self._socket.getsockname()[0]
            self._smtp.local_hostname = name if "." in name else f"[IPv6:{own}]" if ":" in own else f"[{own}]"
            self._smtp.sock = self._socket
            return address
        remedy = next(text for kind, text in _UNCONNECTED if any(isinstance(error, kind) for error in failures.values()))
        raise _StepError("; ".join(f"{address}: {_reason(error)}" for address, error in failures.items()), remedy)

    def _greeting(self) -> str:
        code, words = self._smtp.getreply()
        self.greeting = self.clean(_words(code, words)) if code > 0 else None
        return _expect((220,), (code, words))

    def _starttls(self) -> str:
        _expect((250,), self._smtp.ehlo())
        if not self._smtp.has_extn("starttls"):
            raise _StepError("the server offers no STARTTLS", _REFUSED["starttls"])
        return _expect((220,), self._smtp.docmd("STARTTLS"))

    def _handshake(self) -> str:
        try:
            secured = self._context.wrap_socket(self._socket, server_hostname=self._server.host)
        except ssl.SSLCertVerificationError as error:
            shown = probe(replace(self._server, validate_certs=False), Account()).tls  # a refused handshake keeps it to itself
            self.tls = replace(shown, trusted=False) if shown else None
            raise _untrusted(error, self.tls) from None
        except (ssl.SSLEOFError, ssl.SSLZeroReturnError):  # which of the two is a matter of moments
            raise
        except ssl.SSLError as error:
            if error.reason in _NOT_TLS:
                raise _StepError("what answers does not begin with TLS", "use security starttls, usually on 587, or the port 465") from None
            raise _StepError(f"no encryption was agreed on ({error.reason or error})", _REFUSED["tls"]) from None
        # What came before the handshake and was not read is forgotten, as anybody could have said it.
        self._smtp.sock, self._smtp.file = secured, None
        self.tls = _shown(secured, True if self._server.validate_certs else None)
        return f"{self.tls.version} {self.tls.cipher}"

    def _ehlo(self) -> str:
        said = _expect((250,), self._smtp.ehlo())
        offered = re.findall(r"[A-Z0-9][A-Z0-9_-]*", self._smtp.esmtp_features.get("auth", "").upper())
        self.auth_methods = tuple(dict.fromkeys(offered))
        return said

    def _login(self) -> str:
        """Not by smtplib's login, which tries one method after the other and knows no letter outside ASCII."""
        method = next((method for method in self._answers if method in self.auth_methods), None)
        if method is None:
            offered = ", ".join(self.auth_methods) or "none at all"
            remedy = f"PEC has only a password to show. {_CLOUD}" if "OAUTH" in offered else "many offer it only with starttls or tls"
            raise _StepError(f"the server offers no login by PLAIN or LOGIN, but {offered}", f"ask its operator; {remedy}")
        answer = self._smtp.docmd("AUTH", method)
        for part in self._answers[method]:
            if answer[0] == 334:
                answer = self._smtp.docmd(part)
        return _expect((235,), answer)


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
    try:
        context = ssl.create_default_context(cafile=server.ca_path)
    except OSError as error:
        raise PecError(f"cannot read the certificate authorities in {server.ca_path}: {error.strerror or error}") from None
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    if not server.validate_certs:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _shown(connection: ssl.SSLSocket, trusted: bool | None) -> Tls:
    bare = Tls(connection.version(), (connection.cipher() or (None,))[0], trusted)
    try:
        found = x509.read(connection.getpeercert(binary_form=True) or b"")
    except PecError:
        return bare
    until, left = found.not_after.strftime("%Y-%m-%dT%H:%M:%SZ"), found.days_left(datetime.now(timezone.utc))
    return replace(bare, subject=found.subject, issuer=found.issuer, dns_names=found.dns_names, not_after=until, days_left=left)


def _untrusted(error: ssl.SSLCertVerificationError, tls: Tls | None) -> _StepError:
    said = f"the certificate is refused: {error.verify_message}"
    if tls:
        names = ", ".join(tls.dns_names) or "no name"
        said += f" (it is {tls.subject}, made out to {names}, signed by {tls.issuer}, valid until {tls.not_after})"
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


def _explain(step: str, error: Exception, timeout: float) -> tuple[str, str]:
    """What was found in the step, and what to do next."""
    if isinstance(error, _StepError):
        return error.args[0], error.args[1]
    if isinstance(error, smtplib.SMTPResponseException):
        remedy = _REFUSED[step]
        if error.smtp_code in (530, 538):
            remedy = "the server wants encryption (security starttls or tls) or a login (username and password) first"
        elif 400 <= error.smtp_code < 500:
            remedy = f"the server says that this may pass, so try again later; if it stays: {remedy}"
        return _words(error.smtp_code, error.smtp_error), remedy
    cause = error.__context__ if isinstance(error, smtplib.SMTPServerDisconnected) else error
    said = f"no answer within {timeout:g} seconds" if isinstance(cause, _TIMEOUTS) else f"the connection was closed ({_reason(cause)})"
    return said, _LOST.get(step, "a firewall in between, or the server, may have ended the talk; try again, and ask the server's operator")


def _reason(error: BaseException | None) -> str:
    return getattr(error, "strerror", None) or str(error or "without a word")
