# SPDX-License-Identifier: GPL-3.0-or-later
"""Attacks by whoever answers in the place of the database server, with the real psql."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import ssl
import struct
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import certificates
import pytest

from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.postgres import peer, psql

PASSWORD = "s3nha-do-banco"
CLEAR_TEXT = "in clear text"


def message(kind: bytes, payload: bytes) -> bytes:
    return kind + struct.pack("!I", len(payload) + 4) + payload


def authentication(code: int, more: bytes = b"") -> bytes:
    return message(b"R", struct.pack("!I", code) + more)


TRUST, PASSWORD_ASKED, MD5 = authentication(0), authentication(3), authentication(5, b"salt")


class Server:
    """What pretends to be PostgreSQL: it gives C(plain) or, over TLS, C(encrypted) as its answer, and records what it hears then."""

    def __init__(self, plain: bytes, encrypted: bytes | None = None, issued: certificates.Issued | None = None) -> None:
        self.plain, self.encrypted, self.issued = plain, encrypted, issued
        self.startups: list[bytes] = []
        self.heard = b""
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]

    def __enter__(self) -> Server:
        self.thread = threading.Thread(target=self.serve)
        self.thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self.listener.shutdown(socket.SHUT_RDWR)
        self.thread.join()
        self.listener.close()

    def serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                link, _address = self.listener.accept()
                with contextlib.suppress(OSError), link:
                    link.settimeout(5)
                    self.answer(link)

    def answer(self, link: socket.socket) -> None:
        answer, first = self.plain, link.recv(4096)
        if first[4:] == struct.pack("!I", 80877103):
            link.sendall(b"S" if self.encrypted else b"N")
            if self.encrypted:
                link, answer = self.context().wrap_socket(link, server_side=True), self.encrypted
            first = link.recv(4096)
        self.startups.append(first)
        link.sendall(answer)
        if answer in (PASSWORD_ASKED, MD5):
            self.heard += link.recv(4096)

    def context(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        with TemporaryDirectory() as place:
            pem = Path(place, "pem")
            assert self.issued is not None
            pem.write_text(self.issued.key_pem + self.issued.pem, encoding="utf-8")
            context.load_cert_chain(pem)
        return context


@pytest.fixture(scope="module")
def issued() -> certificates.Issued:
    return certificates.issue("localhost", domains=["localhost"], uses=[certificates.SERVER])


@pytest.fixture
def authority(issued: certificates.Issued) -> Iterator[str]:
    """The path of a file that every account can read, unlike one of pytest's."""
    place = Path("/var/tmp/esus-pec-test-" + str(os.getpid()))
    place.mkdir(mode=0o755)
    path = place / "root.crt"
    path.write_text("".join(each.pem for each in issued.authorities), encoding="utf-8")
    path.chmod(0o644)
    yield str(path)
    shutil.rmtree(place)


@pytest.fixture
def far(monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything but a socket's directory counts as another host."""
    monkeypatch.setattr(peer, "stays_here", lambda host: host.startswith("/"))
    peer._refuse_clear_text.cache_clear()


def connect(conn: psql.Connection) -> str:
    """Run the real psql as every caller of psql.environment does, without PGREQUIREAUTH, which the older ones ignore."""
    variables = {**psql.environment(conn), "PATH": os.environ["PATH"], "PGREQUIREAUTH": ""}
    return subprocess.run(["psql", "-XAtqwc", "select 1"], env=variables, capture_output=True, text=True, timeout=20, check=False).stderr


def connection(port: int, **more: object) -> psql.Connection:
    return replace(psql.Connection("127.0.0.1", port, "esus", "esus", PASSWORD), **more)


@pytest.mark.parametrize("sslmode", [None, "disable", "allow", "require"])
def test_a_server_on_another_host_that_asks_for_clear_text_does_not_receive_the_password(
    sslmode: str | None, issued: certificates.Issued, request: pytest.FixtureRequest
) -> None:
    with Server(PASSWORD_ASKED, PASSWORD_ASKED, issued) as server:
        connect(connection(server.port))
        assert PASSWORD.encode() in server.heard  # one on this host does, which shows that this server can tell
        server.heard = b""
        request.getfixturevalue("far")
        with pytest.raises(PecError, match=CLEAR_TEXT):
            connect(connection(server.port, sslmode=sslmode))
        assert server.heard == b""


@pytest.mark.parametrize(
    ("plain", "encrypted"), [pytest.param(MD5, PASSWORD_ASKED, id="over TLS"), pytest.param(PASSWORD_ASKED, MD5, id="without TLS")]
)
@pytest.mark.usefixtures("far")
def test_clear_text_on_one_of_the_two_ways_that_libpq_tries(plain: bytes, encrypted: bytes, issued: certificates.Issued) -> None:
    with Server(plain, encrypted, issued) as server:
        with pytest.raises(PecError, match=CLEAR_TEXT):
            connect(connection(server.port))
        assert server.heard == b""


@pytest.mark.usefixtures("far")
def test_md5_is_accepted_over_the_network_and_a_server_is_asked_once(issued: certificates.Issued) -> None:
    with Server(MD5) as server:
        connect(connection(server.port))
        asked = len(server.startups)
        connect(connection(server.port))
        assert len(server.startups) == asked + 1
        assert server.heard.startswith(b"p")
        assert PASSWORD.encode() not in server.heard
        assert psql.environment(connection(server.port))["PGREQUIREAUTH"] == "!password"


@pytest.mark.usefixtures("far")
def test_a_verified_server_may_ask_for_clear_text_and_an_impostor_may_not(issued: certificates.Issued, authority: str) -> None:
    verified = {"host": "localhost", "sslmode": "verify-full", "sslrootcert": authority}
    with Server(MD5, PASSWORD_ASKED, issued) as server:
        connect(connection(server.port, **verified))
        assert PASSWORD.encode() in server.heard
    other = certificates.issue("localhost", domains=["localhost"], uses=[certificates.SERVER], self_signed=True)
    with Server(PASSWORD_ASKED, PASSWORD_ASKED, other) as server:
        assert "certificate verify failed" in connect(connection(server.port, **verified))
        assert server.heard == b""
    with Server(PASSWORD_ASKED) as server:  # without TLS
        assert "does not support SSL" in connect(connection(server.port, **verified))
        assert server.heard == b""


@pytest.mark.parametrize(
    ("more", "error"),
    [
        pytest.param({"sslmode": "verify-full"}, "set sslrootcert", id="no authority"),
        pytest.param({"sslmode": "verify-ca", "sslrootcert": "root.crt"}, "is not an absolute path", id="relative"),
        pytest.param({"sslmode": "verify-ca", "sslrootcert": "/var/missing.crt"}, "No such file", id="missing"),
        pytest.param({"sslmode": "verify-ca", "sslrootcert": "/etc/shadow"}, "cannot be read by other accounts", id="private"),
        pytest.param(
            {"unsupported": ("sslcert", "sslkey")}, "sslcert, sslkey, which only PEC's driver understands", id="client certificate"
        ),
    ],
)
def test_what_cannot_be_honoured_is_an_error(more: dict[str, object], error: str) -> None:
    with pytest.raises(PecError, match=error):
        psql.environment(connection(5432, **more))


def test_an_authority_in_a_private_directory(tmp_path: Path) -> None:
    path = tmp_path / "root.crt"
    path.write_text("", encoding="utf-8")
    path.chmod(0o644)
    tmp_path.chmod(0o700)
    with pytest.raises(PecError, match=f"they cannot enter {tmp_path}"):
        psql.environment(connection(5432, sslmode="require", sslrootcert=str(path)))


@pytest.mark.parametrize(
    ("answer", "method"),
    [
        pytest.param(TRUST, "trust", id="trust"),
        pytest.param(PASSWORD_ASKED, "password", id="password"),
        pytest.param(MD5, "md5", id="md5"),
        pytest.param(authentication(10, b"SCRAM-SHA-256\0\0"), "scram-sha-256", id="SCRAM"),
        pytest.param(authentication(10, b"SCRAM-SHA-256-PLUS\0SCRAM-SHA-256\0\0"), "scram-sha-256", id="SCRAM with channel binding too"),
        pytest.param(authentication(10, b"OAUTHBEARER\0\0"), "other", id="another SASL mechanism"),
        pytest.param(authentication(7), "other", id="GSSAPI"),
        pytest.param(
            message(b"E", b"SFATAL\0C28000\0Mno pg_hba.conf entry for host\0\0"), "rejected: no pg_hba.conf entry for host", id="rejected"
        ),
    ],
)
def test_authentication_method(answer: bytes, method: str) -> None:
    with Server(answer) as server:
        assert peer.authentication_method("127.0.0.1", server.port, "esus", "banco") == method
    (heard,) = server.startups
    assert heard[4:] == struct.pack("!I", 196608) + b"user\0esus\0database\0banco\0\0"
    assert struct.unpack("!I", heard[:4]) == (len(heard),)


def test_with_sslmode_the_method_is_that_of_the_rules_for_tls(issued: certificates.Issued) -> None:
    with Server(TRUST, MD5, issued) as server:
        assert peer.authentication_method("127.0.0.1", server.port, "esus", "esus", sslmode="require") == "md5"
        assert peer.authentication_method("127.0.0.1", server.port, "esus", "esus", sslmode="disable") == "trust"
    with Server(TRUST) as server, pytest.raises(PecError, match="it offers no TLS, which sslmode requires"):
        peer.authentication_method("127.0.0.1", server.port, "esus", "esus", sslmode="require")


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 400 Bad Request\r\n\r\n", b"R", authentication(10)[:7]])
def test_another_protocol_is_said_to_be_one(answer: bytes) -> None:
    with Server(answer) as server, pytest.raises(PecError, match=r"127.0.0.1:\d+: the answer is not in PostgreSQL's protocol"):
        peer.authentication_method("127.0.0.1", server.port, "esus", "esus")


def test_nobody_there_is_said_with_what_to_check() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(PecError, match=f"PostgreSQL at 127.0.0.1:{port} cannot be reached: Connection refused; check"):
        peer.authentication_method("127.0.0.1", port, "esus", "esus")


OWN = frozenset({"192.0.2.5", "2001:db8::5"})


@pytest.mark.parametrize(
    ("host", "answers", "local"),
    [
        pytest.param("192.0.2.5", None, True, id="the address of an interface"),
        pytest.param("2001:DB8:0::5", None, True, id="another spelling of one"),
        pytest.param("[2001:db8::5]", None, True, id="in brackets"),
        pytest.param("127.0.0.2", None, True, id="any loopback address"),
        pytest.param("::1", None, True, id="IPv6"),
        pytest.param("0:0:0:0:0:0:0:1", None, True, id="IPv6 in full"),
        pytest.param("::ffff:192.0.2.5", None, True, id="IPv4 in IPv6"),
        pytest.param("127.1", None, True, id="the short form"),
        pytest.param("0.0.0.0", None, True, id="what a client takes for this host"),
        pytest.param("servidor", ["127.0.1.1"], True, id="the host's name"),
        pytest.param("servidor.example", ["192.0.2.5", "2001:db8::5"], True, id="its name in the network"),
        pytest.param("cluster.example", ["192.0.2.5", "192.0.2.6"], False, id="a name that leads elsewhere too"),
        pytest.param("192.0.2.6", None, False, id="another host"),
        pytest.param("127.0.0.1.example", ["203.0.113.1"], False, id="a name that looks like an address"),
        pytest.param("nowhere.example", [], False, id="a name that is not known"),
    ],
)
def test_every_address_of_this_host_is_this_host(
    host: str, answers: list[str] | None, local: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = socket.getaddrinfo

    def resolve(name: str, *arguments: Any, **options: Any) -> Any:
        if answers is None:
            return real(name, *arguments, **{**options, "flags": socket.AI_NUMERICHOST})
        if not answers:
            raise socket.gaierror(-2, "Name or service not known")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 0)) for address in answers]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    monkeypatch.setattr(peer, "own_addresses", lambda: OWN)
    peer._leads_here.cache_clear()
    assert peer.is_local(host) is local
    assert not peer.stays_here(host) or local
    peer._leads_here.cache_clear()
