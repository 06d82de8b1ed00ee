# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from datetime import datetime, timezone

import certificates
import pytest
from cryptography.hazmat.primitives import serialization

from ansible_collections.esus.pec.plugins.module_utils.certificates import pem_pair, x509
from ansible_collections.esus.pec.plugins.module_utils.errors import PecError

NOW = datetime.now(timezone.utc)
DOMAIN = "pec.example"
GOOD = certificates.issue(DOMAIN, domains=[DOMAIN], uses=[certificates.SERVER])
OTHER = certificates.issue(DOMAIN, domains=[DOMAIN], uses=[certificates.SERVER])
CHAIN = GOOD.pem + GOOD.authorities[0].pem


def check(certificate: str, key: str, domain: str = DOMAIN) -> x509.Certificate:
    return pem_pair.check(certificate.encode(), key.encode(), domain, NOW)


def test_a_pair() -> None:
    assert check(CHAIN, GOOD.key_pem) == x509.read(GOOD.der)


def test_a_wildcard() -> None:
    wild = certificates.issue("*.example", domains=["*.example"], uses=[certificates.SERVER])
    assert check(wild.pem, wild.key_pem).dns_names == ("*.example",)


def expired(days: int, since: int) -> certificates.Issued:
    return certificates.issue(DOMAIN, domains=[DOMAIN], uses=[certificates.SERVER], days=days, since_days=since)


OLD, EARLY = expired(-1, -9), expired(30, 9)
SECRET_KEY = GOOD.key.private_bytes(
    serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.BestAvailableEncryption(b"x")
).decode()


@pytest.mark.parametrize(
    ("certificate", "key", "domain", "code"),
    [
        pytest.param(CHAIN, OTHER.key_pem, DOMAIN, "foreign_key", id="foreign key"),
        pytest.param(CHAIN, GOOD.key_pem, "b.example", "wrong_domain", id="other name"),
        pytest.param(OLD.pem, OLD.key_pem, DOMAIN, "expired", id="expired"),
        pytest.param(EARLY.pem, EARLY.key_pem, DOMAIN, "not_yet_valid", id="not yet"),
        pytest.param("", GOOD.key_pem, DOMAIN, "not_pem", id="no certificate"),
        pytest.param(CHAIN, GOOD.pem, DOMAIN, "not_pem", id="no key"),
        pytest.param(CHAIN, SECRET_KEY, DOMAIN, "passphrase", id="passphrase"),
        pytest.param(CHAIN, GOOD.key_pem[:200] + "\n-----END PRIVATE KEY-----\n", DOMAIN, "unreadable", id="cut"),
        pytest.param(GOOD.authorities[0].pem + GOOD.pem, GOOD.key_pem, DOMAIN, "foreign_key", id="the wrong order"),
    ],
)
def test_what_no_web_server_could_use(certificate: str, key: str, domain: str, code: str) -> None:
    with pytest.raises(PecError) as caught:
        check(certificate, key, domain)
    assert caught.value.facts == {"problems": [code]}
    assert GOOD.key_pem.splitlines()[2] not in str(caught.value)
