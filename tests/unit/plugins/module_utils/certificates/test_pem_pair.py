# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from datetime import datetime, timezone

import certificates
import pytest
from cryptography.hazmat.primitives import serialization

from ansible_collections.esus.pec.plugins.module_utils.certificates import pem_pair
from ansible_collections.esus.pec.plugins.module_utils.errors import PecError

NOW = datetime.now(timezone.utc)
DOMAIN = "pec.example"
GOOD = certificates.issue(DOMAIN, domains=[DOMAIN], uses=[certificates.SERVER])
OTHER = certificates.issue(DOMAIN, domains=[DOMAIN], uses=[certificates.SERVER])
CHAIN = GOOD.pem + GOOD.authorities[0].pem


def read(certificate: str, key: str, domain: str = DOMAIN) -> pem_pair.Pair:
    return pem_pair.read(certificate.encode(), key.encode(), domain, NOW)


def test_a_pair() -> None:
    found = read(CHAIN, GOOD.key_pem)
    assert (found.certificate.dns_names, found.chain) == ((DOMAIN,), 2)


def test_a_wildcard() -> None:
    wild = certificates.issue("*.example", domains=["*.example"], uses=[certificates.SERVER])
    assert read(wild.pem, wild.key_pem).certificate.dns_names == ("*.example",)


def expired(days: int, since: int) -> certificates.Issued:
    return certificates.issue(DOMAIN, domains=[DOMAIN], uses=[certificates.SERVER], days=days, since_days=since)


OLD, EARLY = expired(-1, -9), expired(30, 9)
SECRET_KEY = GOOD.key.private_bytes(
    serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.BestAvailableEncryption(b"x")
).decode()


@pytest.mark.parametrize(
    ("certificate", "key", "domain", "text"),
    [
        pytest.param(CHAIN, OTHER.key_pem, DOMAIN, "the private key is not the one of the certificate of pec.example", id="foreign key"),
        pytest.param(CHAIN, GOOD.key_pem, "b.example", "the certificate is for pec.example, and b.example is asked for", id="other name"),
        pytest.param(OLD.pem, OLD.key_pem, DOMAIN, "the certificate of pec.example expired on ", id="expired"),
        pytest.param(EARLY.pem, EARLY.key_pem, DOMAIN, "is valid only from ", id="not yet"),
        pytest.param("", GOOD.key_pem, DOMAIN, "the certificate is not PEM", id="no certificate"),
        pytest.param(CHAIN, GOOD.pem, DOMAIN, "the private key is not PEM", id="no key"),
        pytest.param(CHAIN, SECRET_KEY, DOMAIN, "the private key has a passphrase", id="passphrase"),
        pytest.param(CHAIN, GOOD.key_pem[:200] + "\n-----END PRIVATE KEY-----\n", DOMAIN, "OpenSSL does not take", id="cut"),
        pytest.param(GOOD.authorities[0].pem + GOOD.pem, GOOD.key_pem, DOMAIN, "private key", id="the wrong order"),
    ],
)
def test_what_no_web_server_could_use(certificate: str, key: str, domain: str, text: str) -> None:
    with pytest.raises(PecError) as caught:
        read(certificate, key, domain)
    assert text in str(caught.value)
    assert GOOD.key_pem.splitlines()[2] not in str(caught.value)
