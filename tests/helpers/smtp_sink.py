# SPDX-License-Identifier: GPL-3.0-or-later
"""A mail server for tests, based on aiosmtpd: it logs what it accepts, delivers nothing, and refuses on command.

As a program, with Debian's python3-aiosmtpd:
python3 smtp_sink.py --plain 2525 --starttls 2587 --tls 2465 --certificate CERT --key KEY --user U --password-file F --log LOG
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import email
import email.policy
import json
import socket
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiosmtpd.smtp import SMTP, AuthResult

ACCEPTED = "250 2.0.0 OK"
SILENCE = object()
"""In a script: receive something and do not answer."""


@dataclass
class Sink:
    """What it accepts, and what it saw: every attempted login and every message, as in its log, but never a password."""

    user: str = ""
    password: str = ""
    tls: ssl.SSLContext | None = None
    offers_login: bool = True
    login_needs_tls: bool = False
    refuses: tuple[str, ...] = ()  # of sender, recipient, message
    log: Path | None = None
    seen: list[dict[str, Any]] = field(default_factory=list)

    def note(self, **event: Any) -> None:
        self.seen.append(event)
        if self.log:
            with self.log.open("a", encoding="utf-8") as stream:
                stream.write(json.dumps(event, ensure_ascii=False) + "\n")

    async def listen(self, security: str, port: int = 0, address: str = "127.0.0.1") -> asyncio.AbstractServer:
        loop = asyncio.get_running_loop()

        def session() -> SMTP:
            return SMTP(
                self,
                hostname="sink.example",
                ident="ESMTP sink",
                loop=loop,
                tls_context=self.tls if security == "starttls" else None,
                authenticator=self.authenticate,
                auth_require_tls=self.login_needs_tls and security != "tls",  # aiosmtpd knows no TLS but that of STARTTLS
            )

        return await loop.create_server(session, address, port, ssl=self.tls if security == "tls" else None)

    def authenticate(self, _server: Any, _session: Any, _envelope: Any, mechanism: str, given: Any) -> AuthResult:
        right = (given.login, given.password) == (self.user.encode(), self.password.encode())
        self.note(event="login", mechanism=mechanism, user=given.login.decode("utf-8", "replace"), ok=right)
        return AuthResult(success=right, handled=False)

    # aiosmtpd calls these by their names.

    async def handle_EHLO(self, _server: Any, session: Any, _envelope: Any, name: str, answers: list[str]) -> list[str]:  # noqa: N802
        session.host_name = name
        return [answer for answer in answers if self.offers_login or not answer.startswith("250-AUTH")]

    async def handle_MAIL(self, _server: Any, _session: Any, envelope: Any, address: str, options: list[str]) -> str:  # noqa: N802
        if "sender" in self.refuses:
            return "553 5.7.1 sender not owned by this user"
        envelope.mail_from, envelope.mail_options = address, options
        return ACCEPTED

    async def handle_RCPT(self, _server: Any, _session: Any, envelope: Any, address: str, _options: list[str]) -> str:  # noqa: N802
        if "recipient" in self.refuses:
            return "550 5.1.1 no such user"
        envelope.rcpt_tos.append(address)
        return ACCEPTED

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:  # noqa: N802
        if "message" in self.refuses:
            return "554 5.7.1 looks like spam"
        message = email.message_from_bytes(envelope.content, policy=email.policy.default)
        text = "" if message.is_multipart() else message.get_content().replace("\r\n", "\n")
        self.note(event="message", sender=envelope.mail_from, recipients=envelope.rcpt_tos, subject=message["Subject"], text=text)
        return ACCEPTED


def context(certificate: str | Path, key: str | Path | None = None) -> ssl.SSLContext:
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.load_cert_chain(certificate, key)
    return made


@contextlib.contextmanager
def running(sink: Sink, security: str, address: str = "127.0.0.1") -> Iterator[int]:
    """Run it in this process during the block. Yields its port."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    server = asyncio.run_coroutine_threadsafe(sink.listen(security, address=address), loop).result()
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        asyncio.run_coroutine_threadsafe(leave(server), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


async def leave(server: asyncio.AbstractServer) -> None:
    """Close without waiting for open connections."""
    server.close()
    talking = asyncio.all_tasks() - {asyncio.current_task()}
    for task in talking:
        task.cancel()
    await asyncio.gather(*talking, return_exceptions=True)


def line(connection: socket.socket, end: bytes) -> str:
    received = b""
    while not received.endswith(end):
        letter = connection.recv(1)
        if not letter:
            raise ConnectionResetError
        received += letter
    return received.decode()


@contextlib.contextmanager
def scripted(*answers: Any) -> Iterator[tuple[int, list[str]]]:
    """A server that sends everybody the first answer at once, and each other one after it has received a line.

    It switches to TLS if an answer is a context, and closes the connection at the end. Yields its port and the list of received lines.
    """
    sent: list[str] = []

    def talk(connection: socket.socket, open_ones: contextlib.ExitStack) -> None:
        open_ones.enter_context(connection)
        said: str | None = None
        for answer in answers:
            if isinstance(answer, str):
                if said is not None:
                    sent.append(line(connection, b"\r\n.\r\n" if said.startswith("354") else b"\r\n"))
                said = answer
                connection.sendall(f"{said}\r\n".encode() if said else b"")
                continue
            said = None
            if isinstance(answer, ssl.SSLContext):
                connection = open_ones.enter_context(answer.wrap_socket(connection, server_side=True))
            else:
                connection.recv(4096)

    def serve() -> None:
        while True:
            try:
                connection, _address = listening.accept()
            except OSError:
                return
            with contextlib.suppress(OSError), contextlib.ExitStack() as open_ones:
                talk(connection, open_ones)

    with socket.create_server(("127.0.0.1", 0)) as listening:
        threading.Thread(target=serve, daemon=True).start()
        yield listening.getsockname()[1], sent
        listening.shutdown(socket.SHUT_RDWR)


async def serve(sink: Sink, address: str, ports: dict[str, int | None]) -> None:
    servers = [await sink.listen(security, port, address) for security, port in ports.items() if port]
    await asyncio.gather(*(server.serve_forever() for server in servers))


def main() -> None:
    parser = argparse.ArgumentParser(description="A mail server for tests. It delivers nothing.")
    parser.add_argument("--listen", default="127.0.0.1")
    for security in ("plain", "starttls", "tls"):
        parser.add_argument(f"--{security}", type=int, metavar="PORT")
    parser.add_argument("--certificate")
    parser.add_argument("--key")
    parser.add_argument("--user", default="")
    parser.add_argument("--password-file", type=Path)
    parser.add_argument("--log", type=Path, required=True, help="file for one JSON object per line")
    parser.add_argument("--no-auth", action="store_true", help="offer no login")
    parser.add_argument("--login-needs-tls", action="store_true", help="offer a login only on an encrypted connection")
    for refused in ("sender", "recipient", "message"):
        parser.add_argument(f"--refuse-{refused}", dest="refuses", action="append_const", const=refused, default=[])
    given = parser.parse_args()
    sink = Sink(
        user=given.user,
        password=given.password_file.read_text(encoding="utf-8").rstrip("\n") if given.password_file else "",
        tls=context(given.certificate, given.key) if given.certificate else None,
        offers_login=not given.no_auth,
        login_needs_tls=given.login_needs_tls,
        refuses=tuple(given.refuses),
        log=given.log,
    )
    asyncio.run(serve(sink, given.listen, {"none": given.plain, "starttls": given.starttls, "tls": given.tls}))


if __name__ == "__main__":
    main()
