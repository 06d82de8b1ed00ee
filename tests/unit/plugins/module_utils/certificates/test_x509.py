# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import contextlib
import time
from datetime import datetime, timedelta, timezone

import certificates
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from ansible_collections.esus.pec.plugins.module_utils.certificates import asn1, icp_brasil, x509
from ansible_collections.esus.pec.plugins.module_utils.errors import PecError

OTHER = "2.16.76.1.3."


def test_everything_agrees_with_another_reader() -> None:
    issued = certificates.issue('Prefeitura, de "Água" + Sul <1>;\\:11222333000181', domains=["pec.example"], uses=[certificates.SERVER])
    ours, theirs = x509.read(issued.der), issued.certificate
    assert ours.subject == theirs.subject.rfc4514_string()
    assert ours.issuer == theirs.issuer.rfc4514_string() == "CN=AC de Teste,O=ICP-Brasil,C=BR"
    assert ours.holder == 'Prefeitura, de "Água" + Sul <1>;\\'
    assert ours.serial == theirs.serial_number
    assert ours.not_before == theirs.not_valid_before_utc and ours.not_after == theirs.not_valid_after_utc
    assert (ours.key_type, ours.key_bits) == ("RSA", 2048)
    assert ours.key_usage == ("digitalSignature", "keyEncipherment") and ours.extended_key_usage == ("serverAuth",)
    assert (ours.is_ca, ours.self_signed, ours.dns_names) == (False, False, ("pec.example",))
    assert ours.fingerprint_sha256 == theirs.fingerprint(hashes.SHA256()).hex()


def test_authorities() -> None:
    intermediate, root = (x509.read(each.der) for each in certificates.authorities())
    assert (intermediate.is_ca, intermediate.self_signed, root.is_ca, root.self_signed) == (True, False, True, True)
    assert intermediate.key_usage == ("keyCertSign", "cRLSign")


@pytest.mark.parametrize("kind", [certificates.OCTET_STRING, certificates.UTF8_STRING, certificates.PRINTABLE_STRING])
@pytest.mark.parametrize("cnpj", [certificates.CNPJ, certificates.LETTERS_CNPJ])
def test_the_identity_of_a_company(kind: int, cnpj: str) -> None:
    issued = certificates.issue("X", other_names=certificates.icp_brasil(cnpj, kind))
    assert x509.read(issued.der).identity == icp_brasil.Identity(cnpj=cnpj, responsible="MARIA DA SILVA")


def test_the_identity_of_a_person() -> None:
    names = {f"{OTHER}1": (certificates.UTF8_STRING, certificates.person())}
    read = x509.read(certificates.issue("MARIA:52998224725", other_names=names).der)
    assert (read.identity, read.holder) == (icp_brasil.Identity(cpf=certificates.CPF), "MARIA")


@pytest.mark.parametrize(
    ("common_name", "holder", "cnpj", "cpf"),
    [
        pytest.param("MUNICIPIO: 11222333000181", "MUNICIPIO", certificates.CNPJ, None, id="CNPJ"),
        pytest.param("MUNICIPIO:12abc34501de35", "MUNICIPIO", certificates.LETTERS_CNPJ, None, id="with letters"),
        pytest.param("A:B:11222333000181", "A:B", certificates.CNPJ, None, id="colon in the name"),
        pytest.param("MARIA:52998224725", "MARIA", None, certificates.CPF, id="CPF"),
        pytest.param("MUNICIPIO:123", "MUNICIPIO:123", None, None, id="another number"),
        pytest.param("MUNICIPIO", "MUNICIPIO", None, None, id="no number"),
    ],
)
def test_without_other_names_the_common_name_counts(common_name: str, holder: str, cnpj: str | None, cpf: str | None) -> None:
    read = x509.read(certificates.issue(common_name, other_names={}).der)
    assert (read.holder, read.identity.cnpj, read.identity.cpf) == (holder, cnpj, cpf)


def test_fields_of_zeros_say_nothing_and_punctuation_is_dropped() -> None:
    names = {f"{OTHER}3": (certificates.OCTET_STRING, "0" * 14), f"{OTHER}7": (certificates.OCTET_STRING, "0" * 12)}
    assert x509.read(certificates.issue("X", other_names=names).der).identity == icp_brasil.Identity()
    names = {f"{OTHER}3": (certificates.OCTET_STRING, "11.222.333/0001-81")}
    assert x509.read(certificates.issue("X", other_names=names).der).identity.cnpj == certificates.CNPJ


@pytest.mark.parametrize(
    ("numbers", "cnpj", "cpf"),
    [
        pytest.param([certificates.CNPJ], certificates.CNPJ, None, id="CNPJ"),
        pytest.param([certificates.LETTERS_CNPJ], certificates.LETTERS_CNPJ, None, id="with letters"),
        pytest.param(["12abc34501de35"], certificates.LETTERS_CNPJ, None, id="small letters"),
        pytest.param(["11.222.333/0001-81 "], certificates.CNPJ, None, id="punctuation"),
        pytest.param([certificates.CPF], None, certificates.CPF, id="CPF"),
        pytest.param(["529.982.247-25"], None, certificates.CPF, id="CPF with punctuation"),
        pytest.param(["4711", certificates.CNPJ], certificates.CNPJ, None, id="another number too"),
        pytest.param(["0" * 14], None, None, id="zeros"),
        pytest.param(["A" * 14], None, None, id="no check digits"),
        pytest.param(["1122233300018"], None, None, id="too short"),
        pytest.param(["112223330001811"], None, None, id="too long"),
        pytest.param(["5299822472A"], None, None, id="a letter in 11"),
    ],
)
def test_a_seal_has_its_number_in_the_subject(numbers: list[str], cnpj: str | None, cpf: str | None) -> None:
    read = x509.read(certificates.seal(serial_numbers=numbers).der)
    assert (read.holder, read.identity) == (certificates.HOLDER, icp_brasil.Identity(cnpj=cnpj, cpf=cpf))


def test_the_serial_number_of_a_subject_counts_for_certificates_of_icp_brasil_only() -> None:
    elsewhere = certificates.issue("Another Authority", other_names={}, authority=True, organization="Another PKI")
    assert x509.read(certificates.seal(issuer=(elsewhere,)).der).identity == icp_brasil.Identity()
    lower = certificates.issue("An Authority", other_names={}, authority=True, organization=" ICP-BRASIL")
    assert x509.read(certificates.seal(issuer=(lower,)).der).identity.cnpj == certificates.CNPJ


def test_the_fields_of_the_first_profile_count_before_the_serial_number() -> None:
    read = x509.read(certificates.issue("X", serial_numbers=[certificates.LETTERS_CNPJ]).der)
    assert read.identity.cnpj == certificates.CNPJ
    read = x509.read(certificates.issue(f"X:{certificates.LETTERS_CNPJ}", other_names={}, serial_numbers=[certificates.CNPJ]).der)
    assert read.identity.cnpj == certificates.CNPJ, "before that in the common name"


def test_a_string_in_an_octet_string() -> None:
    inner = b"\x13\x0e" + certificates.CNPJ.encode()
    names = {f"{OTHER}3": (certificates.OCTET_STRING, inner.decode())}
    assert x509.read(certificates.issue("X", other_names=names).der).identity.cnpj == certificates.CNPJ


def test_what_a_strict_reader_refuses() -> None:
    issued = certificates.issue()
    bad = certificates.badly_encoded(issued)
    with pytest.raises(ValueError, match="pars"):
        assert bad.certificate.extensions
    assert x509.read(bad.der).identity == x509.read(issued.der).identity


def rewritten(der: bytes, indefinite: bool) -> bytes:
    """The same in BER, with lengths that DER forbids."""
    element = asn1.read(der)
    body = element.content
    if element.tag & 0x20:
        body = b"".join(rewritten(child.whole, indefinite) for child in element.children())
        if indefinite:
            return bytes([element.tag, 0x80]) + body + b"\0\0"
    return bytes([element.tag, 0x84]) + len(body).to_bytes(4, "big") + body


@pytest.mark.parametrize("indefinite", [True, False])
def test_lengths_of_ber(indefinite: bool) -> None:
    der = certificates.issue().der
    ours, ber = x509.read(der), x509.read(rewritten(der, indefinite))
    assert (ber.subject, ber.identity, ber.public_key, ber.not_after) == (ours.subject, ours.identity, ours.public_key, ours.not_after)


@pytest.mark.parametrize(("curve", "bits"), [(ec.SECP256R1(), 256), (ec.SECP384R1(), 384)])
def test_keys_on_curves(curve: ec.EllipticCurve, bits: int) -> None:
    read = x509.read(certificates.issue(key=ec.generate_private_key(curve)).der)
    assert (read.key_type, read.key_bits) == ("EC", bits)


def test_days_left() -> None:
    read = x509.read(certificates.issue(days=10).der)
    assert read.days_left(read.not_after - timedelta(hours=23)) == 0
    assert read.days_left(read.not_after + timedelta(hours=1)) == -1
    assert read.days_left(datetime.now(timezone.utc)) == 10


@pytest.mark.parametrize(
    ("domain", "named"),
    [("pec.example", True), ("PEC.example.", True), ("a.pec.test", True), ("a.b.pec.test", False), ("pec.test", False), ("other", False)],
)
def test_names_host(domain: str, named: bool) -> None:
    assert x509.read(certificates.issue("pec", domains=["pec.example", "*.pec.test"]).der).names_host(domain) is named


@pytest.mark.parametrize(
    "der", [b"", b"0", b"\x30\x03abc", b"no certificate", bytes(100), b"\x30\x80" * 50, b"\x30\x06\x30\x04\x02\x02\0\0"]
)
def test_what_is_no_certificate(der: bytes) -> None:
    with pytest.raises(PecError, match="the certificate cannot be read: "):
        x509.read(der)


def test_no_damage_is_anything_but_a_pec_error() -> None:
    der = certificates.issue().der
    for place in range(0, len(der), 3):
        for damaged in (der[:place], der[:place] + bytes([der[place] ^ 0xFF]) + der[place + 1 :]):
            with contextlib.suppress(PecError):
                x509.read(damaged)


def test_blocks() -> None:
    one, two = certificates.authorities()
    assert x509.blocks((f"key\n{one.pem}\n\n{two.pem}").encode()) == [one.der, two.der]
    assert x509.blocks(one.der) == [one.der]
    assert x509.blocks(b"nothing") == []
    with pytest.raises(PecError, match="base64"):
        x509.blocks(b"-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----")


@pytest.mark.parametrize(
    "text", [b"-----BEGIN CERTIFICATE-----", b"-----BEGIN CERTIFICATE-----A", b"-----BEGIN CERTIFICATE-----\n-----END"]
)
def test_a_hostile_file_takes_no_time(text: bytes) -> None:
    """Anybody who can write to a directory of certificates would make root wait for minutes."""
    began = time.process_time()
    assert x509.blocks(text * 30_000) == []
    assert time.process_time() - began < 60  # what is not linear takes many minutes
    issued = certificates.issue()
    assert x509.blocks(issued.pem.encode()) == [issued.der], "a good one is found"
