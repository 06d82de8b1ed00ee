# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Iterator

import certificates
import pytest

from ansible_collections.esus.pec.plugins.module_utils.certificates import handshake, x509
from ansible_collections.esus.pec.plugins.module_utils.certificates.handshake import Served


@pytest.fixture(scope="module")
def issued() -> certificates.Issued:
    return certificates.issue("pec.example", domains=["pec.example"], uses=[certificates.SERVER])


@pytest.fixture(scope="module")
def leaf(issued: certificates.Issued) -> x509.Certificate:
    return x509.read(issued.der)


@pytest.fixture(scope="module")
def port(issued: certificates.Issued, tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """The port of a server that presents the certificate."""
    path = tmp_path_factory.mktemp("served") / "server.pem"
    path.write_text(issued.pem + issued.key_pem)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            while True:
                try:
                    plain, _address = listening.accept()
                except OSError:
                    return
                with contextlib.suppress(OSError), context.wrap_socket(plain, server_side=True):
                    pass

        threading.Thread(target=serve, daemon=True).start()
        yield listening.getsockname()[1]


def test_what_a_server_presents_whoever_issued_it(port: int, leaf: x509.Certificate) -> None:
    shown = handshake.fetch("pec.example", port)
    assert shown.certificate == leaf and shown.error == ""
    facts = handshake.describe(shown, "pec.example")
    assert (facts["served"], facts["matches_domain"], facts["trusted"], facts["days_left"]) == (True, True, False, 365)
    assert facts["dns_names"] == ["pec.example"] and "unable to get" in str(facts["trust_error"])


def test_one_for_another_name(port: int) -> None:
    facts = handshake.describe(handshake.fetch("other.example", port), "other.example")
    assert (facts["served"], facts["matches_domain"]) == (True, False)


def test_without_a_name(port: int) -> None:
    facts = handshake.describe(handshake.fetch(None, port), None)
    assert (facts["served"], facts["matches_domain"]) == (True, None)


def test_nobody_there() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        free = listening.getsockname()[1]
    shown = handshake.fetch("pec.example", free)
    assert shown == Served(None, f"127.0.0.1:{free} presented no certificate: Connection refused")
    facts = handshake.describe(shown, "pec.example")
    assert (facts["served"], facts["days_left"], facts["dns_names"]) == (False, None, [])


def test_nobody_asked() -> None:
    assert {key for key, value in handshake.describe(None, None).items() if value is not None} == {"dns_names"}
