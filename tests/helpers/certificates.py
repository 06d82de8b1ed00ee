# SPDX-License-Identifier: GPL-3.0-or-later
"""Certificates for tests, as issued by ICP-Brasil, and faulty ones. Keys are generated in each run and never committed.

As a program it writes one PKCS#12 for a scenario: python tests/helpers/certificates.py FILE PASSWORD [CNPJ [DOMAIN]].
"""

from __future__ import annotations

import base64
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from functools import cache
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import pkcs12
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

CNPJ = "11222333000181"
LETTERS_CNPJ = "12ABC34501DE35"
CPF = "52998224725"
HOLDER = "MUNICIPIO DE EXEMPLO"
OCTET_STRING, UTF8_STRING, PRINTABLE_STRING = 0x04, 0x0C, 0x13
CLIENT, SERVER = ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH
FORMS = {
    "modern": ("-keypbe", "AES-256-CBC", "-certpbe", "AES-256-CBC", "-macalg", "sha256"),
    "java8": ("-keypbe", "PBE-SHA1-3DES", "-certpbe", "PBE-SHA1-3DES", "-macalg", "sha1"),
    "legacy": ("-legacy",),  # RC2-40 for the certificates, 3DES for the key
}


@dataclass(frozen=True)
class Issued:
    """A certificate with its key and those of its authorities."""

    key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey
    der: bytes
    authorities: tuple[Issued, ...] = ()

    @property
    def certificate(self) -> x509.Certificate:
        return x509.load_der_x509_certificate(self.der)

    @property
    def pem(self) -> str:
        text = base64.encodebytes(self.der).decode()
        return f"-----BEGIN CERTIFICATE-----\n{text}-----END CERTIFICATE-----\n"

    @property
    def key_pem(self) -> str:
        form = serialization.PrivateFormat.PKCS8
        return self.key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()).decode()


def person(birth: str = "01021970", cpf: str = CPF) -> str:
    """Return a person's fields in their fixed places: date of birth, CPF, NIS, RG, issuer of the RG."""
    return birth + cpf + "0" * 11 + "000001234567890" + "SSPMS "


def icp_brasil(cnpj: str = CNPJ, kind: int = OCTET_STRING) -> dict[str, tuple[int, str]]:
    """Return the otherNames of a company."""
    texts = {"2": "MARIA DA SILVA", "3": cnpj, "4": person(), "7": "0" * 12, "8": "MUNICIPIO DE EXEMPLO LTDA"}
    return {f"2.16.76.1.3.{place}": (kind, text) for place, text in texts.items()}


def rsa_key(bits: int = 2048) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, bits)


@cache
def authorities() -> tuple[Issued, ...]:
    """Return an authority and its root, nearest first; made once, because that is slow."""
    root = issue("AC Raiz de Teste", other_names={}, authority=True, issuer=None)
    return issue("AC de Teste", other_names={}, authority=True, issuer=(root,)), root


def issue(
    common_name: str = f"{HOLDER}:{CNPJ}",
    *,
    other_names: Mapping[str, tuple[int, str]] | None = None,
    issuer: tuple[Issued, ...] | None = None,
    self_signed: bool = False,
    authority: bool = False,
    days: int = 365,
    since_days: int = -1,
    domains: Sequence[str] = (),
    uses: Sequence[x509.ObjectIdentifier] = (CLIENT, ExtendedKeyUsageOID.EMAIL_PROTECTION),
    key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | None = None,
) -> Issued:
    """Issue a certificate that is valid from C(since_days) until C(days) days from now."""
    chain = issuer if issuer is not None else () if self_signed or authority else authorities()
    key = key or rsa_key()
    subject = _name(common_name)
    now = datetime.now(timezone.utc)
    builder = x509.CertificateBuilder(
        chain[0].certificate.subject if chain else subject,
        subject,
        key.public_key(),
        x509.random_serial_number(),
        now + timedelta(days=since_days),
        now + timedelta(days=days, hours=6),
    )
    builder = builder.add_extension(x509.BasicConstraints(authority, None), critical=True)
    usage = {name: name in (("key_cert_sign", "crl_sign") if authority else ("digital_signature", "key_encipherment")) for name in _USAGES}
    builder = builder.add_extension(x509.KeyUsage(**usage), critical=True)
    if not authority and uses:
        builder = builder.add_extension(x509.ExtendedKeyUsage(uses), critical=False)
    chosen = icp_brasil() if other_names is None and not domains else other_names or {}
    names: list[x509.GeneralName] = [x509.DNSName(domain) for domain in domains]
    for oid, (kind, text) in chosen.items():
        names.append(x509.OtherName(x509.ObjectIdentifier(oid), bytes([kind, len(text.encode())]) + text.encode()))
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    signed = builder.sign(chain[0].key if chain else key, hashes.SHA256())
    return Issued(key, signed.public_bytes(serialization.Encoding.DER), chain)


_USAGES = (
    "digital_signature",
    "content_commitment",
    "key_encipherment",
    "data_encipherment",
    "key_agreement",
    "key_cert_sign",
    "crl_sign",
    "encipher_only",
    "decipher_only",
)


def badly_encoded(issued: Issued) -> Issued:
    """Return it with a BOOLEAN of 1 instead of 255 for true, which OpenSSL and Java read and strict readers reject."""
    assert b"\x01\x01\xff" in issued.der
    return replace(issued, der=issued.der.replace(b"\x01\x01\xff", b"\x01\x01\x01"))


def pack(issued: Issued, password: str, form: str = "modern", *, chain: bool = True, key: bool = True, name: str = "municipio") -> bytes:
    """Return a PKCS#12 made by openssl. Its password is in the arguments, which is allowed in tests only."""
    bundle = (issued.key_pem if key else "") + issued.pem
    bundle += "".join(each.pem for each in issued.authorities) if chain else ""
    argv = ["openssl", "pkcs12", "-export", *FORMS[form], "-passout", f"pass:{password}", "-name", name]
    return subprocess.run([*argv, *([] if key else ["-nokeys"])], input=bundle.encode(), capture_output=True, check=True).stdout


def pack_with_foreign_key(issued: Issued, password: str) -> bytes:
    """Return a PKCS#12 with the key of another certificate, which openssl refuses to make."""
    encryption = serialization.BestAvailableEncryption(password.encode())
    return pkcs12.serialize_key_and_certificates(b"mixed up", rsa_key(), None, [issued.certificate], encryption)


def _name(common_name: str) -> x509.Name:
    parts = {NameOID.COUNTRY_NAME: "BR", NameOID.ORGANIZATION_NAME: "ICP-Brasil", NameOID.COMMON_NAME: common_name}
    return x509.Name([x509.NameAttribute(oid, text) for oid, text in parts.items()])


def main(path: str, password: str, cnpj: str = CNPJ, domain: str = "") -> None:
    issued = issue(domain, domains=[domain], uses=[SERVER]) if domain else issue(f"{HOLDER}:{cnpj}", other_names=icp_brasil(cnpj))
    Path(path).write_bytes(pack(issued, password))


if __name__ == "__main__":
    main(*sys.argv[1:])
