# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from functools import cache
from typing import Any

import certificates
import pytest
from cryptography.x509.oid import ExtendedKeyUsageOID

from ansible_collections.esus.pec.plugins.module_utils.certificates import pkcs12
from ansible_collections.esus.pec.plugins.module_utils.certificates.rules import Wanted, problems, remarks

NOW = datetime.now(timezone.utc)


@cache
def weak_key() -> Any:
    return certificates.rsa_key(1024)


def opened(*, form: str = "modern", chain: bool = True, **changes: Any) -> pkcs12.Store:
    return pkcs12.open_store(certificates.pack(certificates.issue(**changes), "x", form, chain=chain), "x")


def test_a_good_one() -> None:
    assert problems(opened(), Wanted(certificates.CNPJ), NOW) == {}
    assert remarks(opened(), Wanted(), NOW) == []
    assert problems(opened(), Wanted("11.222.333/0001-81"), NOW) == {}
    letters = opened(other_names=certificates.icp_brasil(certificates.LETTERS_CNPJ))
    assert problems(letters, Wanted("12.abc.345/01de-35"), NOW) == {}
    for number in (certificates.CNPJ, certificates.LETTERS_CNPJ):
        seal = pkcs12.open_store(certificates.pack(certificates.seal(number), "x"), "x")
        assert problems(seal, Wanted(number), NOW) == {} and remarks(seal, Wanted(number), NOW) == []
        assert list(problems(seal, Wanted("11.444.777/0001-61"), NOW)) == ["other_cnpj"]


@pytest.mark.parametrize(
    ("changes", "wanted", "code", "part"),
    [
        pytest.param({"days": -10, "since_days": -400}, Wanted(), "expired", "MUNICIPIO DE EXEMPLO expired on 20", id="expired"),
        pytest.param({"since_days": 2}, Wanted(), "not_yet_valid", "is valid only from 20", id="not yet valid"),
        pytest.param({"uses": [certificates.SERVER]}, Wanted(), "wrong_purpose", "serverAuth, not clientAuth", id="of a server"),
        pytest.param(
            {"uses": [ExtendedKeyUsageOID.CODE_SIGNING]}, Wanted(), "wrong_purpose", "codeSigning, not clientAuth", id="of a programmer"
        ),
        pytest.param(
            {"domains": ["pec.example"], "uses": [certificates.CLIENT]},
            Wanted(domain="pec.example"),
            "wrong_purpose",
            "not for an HTTPS server",
            id="of a client",
        ),
        pytest.param({"authority": True}, Wanted(), "authority", "is a certificate authority", id="an authority's own"),
        pytest.param(
            {"domains": ["a.example"], "uses": [certificates.SERVER]},
            Wanted(domain="pec.example"),
            "wrong_domain",
            "the certificate is for a.example, not for pec.example",
            id="another domain",
        ),
        pytest.param(
            {},
            Wanted("12.ABC.345/01DE-35"),
            "other_cnpj",
            "the CNPJ 11.222.333/0001-81 (MUNICIPIO DE EXEMPLO), and 12.ABC.345/01DE-35 was",
            id="another CNPJ",
        ),
        pytest.param({}, Wanted("11.222.333/0001-82"), "expected_cnpj", "the CNPJ 11.222.333/0001-82 has wrong check digits", id="a typo"),
        pytest.param(
            {"common_name": "JOSE", "other_names": {}}, Wanted(certificates.CNPJ), "no_cnpj", "of JOSE contains no CNPJ", id="no CNPJ"
        ),
    ],
)
def test_problems(changes: dict[str, Any], wanted: Wanted, code: str, part: str) -> None:
    found = problems(opened(**changes), wanted, NOW)
    assert list(found) == [code] and part in found[code], found


@pytest.mark.parametrize(
    ("store", "code", "part"),
    [
        pytest.param(lambda: certificates.pack(certificates.issue(), "x", key=False), "no_key", "contains no private key", id="no key"),
        pytest.param(
            lambda: certificates.pack_with_foreign_key(certificates.issue(), "x"), "foreign_key", "does not belong to", id="foreign key"
        ),
    ],
)
def test_problems_of_the_key(store: Callable[[], bytes], code: str, part: str) -> None:
    found = problems(pkcs12.open_store(store(), "x"), Wanted(), NOW)
    assert list(found) == [code] and part in found[code], found


def of_an_authority(issued: certificates.Issued, domain: str = "") -> list[str]:
    store = pkcs12.open_store(certificates.pack(issued, "x"), "x")
    assert store.leaf.is_ca
    return list(problems(store, Wanted(domain=domain), datetime.now(timezone.utc)))  # it is valid from now on


@pytest.mark.parametrize(
    "extensions", [[], ["keyUsage=digitalSignature,keyEncipherment"], ["keyUsage=critical,keyCertSign,digitalSignature"]]
)
def test_self_signed_by_openssl(extensions: list[str]) -> None:
    issued = certificates.self_signed_by_openssl(*extensions)
    assert of_an_authority(issued) == of_an_authority(issued, "pec.example") == []
    assert of_an_authority(issued, "other.example") == ["wrong_domain"]
    store = pkcs12.open_store(certificates.pack(issued, "x"), "x")
    assert [remark for remark in remarks(store, Wanted(), NOW) if "it is self-signed" in remark]


def test_self_signed_by_openssl_for_old_servers() -> None:
    assert of_an_authority(certificates.self_signed_by_openssl("keyUsage=keyEncipherment")) == []


def test_an_authority_that_only_signs_certificates_is_refused() -> None:
    assert of_an_authority(certificates.self_signed_by_openssl("keyUsage=keyCertSign,cRLSign")) == ["authority"]
    assert of_an_authority(certificates.authorities()[0]) == ["authority"]  # not self-signed


def test_an_authority_with_the_certificate_that_it_issued_is_refused() -> None:
    """The file has the key of the wrong one."""
    authority = certificates.self_signed_by_openssl()
    theirs = certificates.issue(issuer=(authority,))
    mixed = certificates.Issued(authority.key, authority.der, (theirs,))
    assert of_an_authority(mixed) == ["authority"]


def test_uses_that_fit() -> None:
    both = {"domains": ["pec.example"], "uses": [certificates.CLIENT, certificates.SERVER]}
    assert problems(opened(**both), Wanted(domain="pec.example"), NOW) == {}
    assert problems(opened(uses=[]), Wanted(), NOW) == {}
    assert problems(opened(uses=[ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE]), Wanted(), NOW) == {}


@pytest.mark.parametrize(
    ("changes", "part"),
    [
        pytest.param({"days": 5}, "expires in 5 days, on 20", id="soon"),
        pytest.param({"key": weak_key}, "its RSA key has 1024 bits", id="weak"),
        pytest.param({"self_signed": True}, "it is self-signed", id="self-signed"),
        pytest.param({"chain": False}, "the certificates of its authorities are missing (issuer: CN=AC de Teste", id="no chain"),
        pytest.param({"form": "legacy"}, "old encryption (RC2-40, 3DES)", id="old encryption"),
        pytest.param(
            {"other_names": certificates.icp_brasil("11222333000199")},
            "not valid: the CNPJ 11.222.333/0001-99",
            id="CNPJ",
        ),
    ],
)
def test_remarks(changes: dict[str, Any], part: str) -> None:
    changes = {name: value() if callable(value) else value for name, value in changes.items()}
    store = opened(**changes)
    assert problems(store, Wanted(), NOW) == {}
    found = remarks(store, Wanted(), NOW)
    assert len(found) == 1 and part in found[0], found


def test_warn_days() -> None:
    store = opened(days=29)
    assert [len(remarks(store, Wanted(warn_days=days), NOW)) for days in (29, 30)] == [0, 1]
    assert len(problems(store, Wanted(), NOW + timedelta(days=30))) == 1
