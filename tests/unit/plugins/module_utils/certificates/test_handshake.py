# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta, timezone

import certificates
import pytest

from ansible_collections.esus.pec.plugins.module_utils.certificates import handshake, x509
from ansible_collections.esus.pec.plugins.module_utils.certificates.handshake import Served
from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.pec.health import Health
from ansible_collections.esus.pec.plugins.module_utils.pec.installation import NO_HTTPS, Https
from ansible_collections.esus.pec.plugins.module_utils.renewal import renewing

NOW = datetime.now(timezone.utc)
HTTPS = Https("certmgr", "pec.example", 443, None)
WELL = Health("https://127.0.0.1", True, 200, 401, "5.4.37", None, True)


@pytest.fixture(scope="module")
def issued() -> certificates.Issued:
    return certificates.issue("pec.example", domains=["pec.example"], uses=[certificates.SERVER])


@pytest.fixture(scope="module")
def leaf(issued: certificates.Issued) -> x509.Certificate:
    return x509.read(issued.der)


@pytest.fixture(scope="module")
def port(issued: certificates.Issued, tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """Of a server that shows the certificate."""
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


def test_what_a_server_shows_whoever_signed_it(port: int, leaf: x509.Certificate) -> None:
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
    assert shown == Served(None, f"127.0.0.1:{free} showed no certificate: Connection refused")
    facts = handshake.describe(shown, "pec.example")
    assert (facts["served"], facts["days_left"], facts["dns_names"]) == (False, None, [])


def test_nobody_asked() -> None:
    assert {key for key, value in handshake.describe(None, None).items() if value is not None} == {"dns_names"}


@pytest.mark.parametrize(
    ("https", "active", "ahead", "restart", "reason"),
    [
        pytest.param(NO_HTTPS, True, 0, False, "no HTTPS by certmgr here (but none)", id="no HTTPS"),
        pytest.param(replace(HTTPS, mode="keystore"), True, 360, False, "(but keystore)", id="a keystore"),
        pytest.param(HTTPS, False, 360, False, "its next start renews", id="stopped by somebody"),
        pytest.param(HTTPS, True, 0, False, "valid for 365 more days, until", id="long"),
        pytest.param(HTTPS, True, 345, False, "valid for 20 more days, until", id="just long enough"),
        pytest.param(HTTPS, True, 346, True, "valid for 19 more days only", id="short"),
        pytest.param(HTTPS, True, 370, True, "valid for -5 more days only", id="expired"),
    ],
)
def test_when_it_is_renewed(leaf: x509.Certificate, https: Https, active: bool, ahead: int, restart: bool, reason: str) -> None:
    planned = renewing.plan(https, active, leaf, 20, NOW + timedelta(days=ahead))
    assert planned.restart is restart and reason in planned.reason


def test_a_running_server_without_a_certificate_is_an_error() -> None:
    with pytest.raises(PecError, match="shows no certificate"):
        renewing.plan(HTTPS, True, None, 20, NOW)


def test_what_came_of_a_restart(leaf: x509.Certificate) -> None:
    newer = replace(leaf, not_after=leaf.not_after + timedelta(days=90))
    assert renewing.judge(leaf, Served(newer), WELL).startswith("PEC shows a new certificate, valid until ")
    for fresh, state, text in (
        (Served(leaf), WELL, "certmgr did not renew it"),
        (Served(None, "closed"), WELL, "shows no certificate since: closed"),
        (Served(newer), replace(WELL, healthy=False, error="answered 500"), "PEC does not answer well: answered 500"),
    ):
        with pytest.raises(PecError, match=text):
            renewing.judge(leaf, fresh, state)


def test_the_first_answer_is_waited_for(monkeypatch: pytest.MonkeyPatch, leaf: x509.Certificate) -> None:
    answers = iter([Served(None, "refused"), Served(leaf)])
    monkeypatch.setattr(handshake, "fetch", lambda *_arguments: next(answers))
    monkeypatch.setattr(renewing.time, "sleep", lambda _seconds: None)
    assert renewing.wait_for_certificate("pec.example", 443, renewing.time.monotonic() + 60).certificate == leaf
