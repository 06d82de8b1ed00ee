# SPDX-License-Identifier: GPL-3.0-or-later
"""Certificates for tests, as issued by ICP-Brasil, and faulty ones. Keys are generated in each run and never committed.

As a program it writes one PKCS#12 for a scenario: python tests/helpers/certificates.py FILE PASSWORD [CNPJ [DOMAIN]].
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from functools import cache
from pathlib import Path
from typing import Any

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
    serial_numbers: Sequence[str] = (),
    organization: str = "ICP-Brasil",
) -> Issued:
    """Issue a certificate that is valid from C(since_days) until C(days) days from now.

    serial_numbers are those of the subject (2.5.4.5), organization is the O of the subject.
    """
    chain = issuer if issuer is not None else () if self_signed or authority else authorities()
    key = key or rsa_key()
    subject = _name(common_name, organization, serial_numbers)
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


def seal(number: str = CNPJ, **changes: Any) -> Issued:
    """Issue an electronic seal in software (SE-S): the number is in the subject's serialNumber, and in no other field."""
    return issue(HOLDER, **{"other_names": {}, "serial_numbers": [number], **changes})


def self_signed_by_openssl(*extensions: str, domain: str = "pec.example") -> Issued:
    """Issue one as manuals tell: openssl req -x509, which makes it a certificate of an authority too (CA:TRUE)."""
    key = rsa_key()
    text = Issued(key, b"").key_pem
    options = [option for extension in (f"subjectAltName=DNS:{domain}", *extensions) for option in ("-addext", extension)]
    argv = ["openssl", "req", "-x509", "-key", "/dev/stdin", "-days", "365", "-subj", f"/CN={domain}", "-outform", "DER", *options]
    return Issued(key, subprocess.run(argv, input=text.encode(), capture_output=True, check=True).stdout)


def pack_with_name(issued: Issued, password: str, name: bytes) -> bytes:
    """Return a PKCS#12 with a friendly name that openssl would not take."""
    encryption = serialization.BestAvailableEncryption(password.encode())
    return pkcs12.serialize_key_and_certificates(name, issued.key, issued.certificate, None, encryption)


def _element(tag: int, *contents: bytes) -> bytes:
    content = b"".join(contents)
    size = len(content)
    long = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes([tag]) + (bytes([size]) if size < 128 else bytes([0x80 | len(long)]) + long) + content


def _integer(number: int) -> bytes:
    return _element(0x02, number.to_bytes(number.bit_length() // 8 + 1, "big"))


def _parts(element: bytes) -> list[bytes]:
    """Return the elements inside one of DER."""

    def end(data: bytes) -> tuple[int, int]:
        more = data[1] & 0x7F if data[1] > 127 else 0
        size = int.from_bytes(data[2 : 2 + more], "big") if more else data[1]
        return 2 + more, 2 + more + size

    start, stop = end(element)
    rest, found = element[start:stop], []
    while rest:
        found.append(rest[: end(rest)[1]])
        rest = rest[end(rest)[1] :]
    return found


_PBMAC1, _PBKDF2 = bytes.fromhex("06092a864886f70d01050e"), bytes.fromhex("06092a864886f70d01050c")
_HMAC_OIDS = {"sha1": "06082a864886f70d0207", "sha256": "06082a864886f70d0209", "sha512": "06082a864886f70d020b"}


def _authenticated(data: bytes) -> tuple[bytes, bytes]:
    """Return the version of a PKCS#12 and the part that its authentication code is for."""
    version, contents, _mac = _parts(data)
    (inner,) = _parts(_parts(contents)[1])
    return version, inner[len(inner) - sum(map(len, _parts(inner))) :]


def _sealed(version: bytes, authenticated: bytes, mac: bytes) -> bytes:
    data = bytes.fromhex("06092a864886f70d010701")
    return _element(0x30, version, _element(0x30, data, _element(0xA0, _element(0x04, authenticated))), mac)


def pack_with_another_key_password(issued: Issued, password: str, key_password: str, form: str = "modern") -> bytes:
    """Return a PKCS#12 whose key has a password of its own; the certificates and the code (RFC 7292) have that of the file."""
    version, ours = _authenticated(pack(issued, password, form))
    certificates, _key = _parts(ours)
    _certificates, key = _parts(_authenticated(pack(issued, key_password, form))[1])
    authenticated = _element(0x30, certificates, key)
    salt, written = b"saltsalt", password.encode("utf-16-be") + b"\0\0"
    filled = (written * 64)[: -(-len(written) // 64) * 64]
    mac_key = hashlib.sha256(b"\3" * 64 + salt * 8 + filled).digest()
    sha256 = _element(0x30, bytes.fromhex("0609608648016503040201"), b"\x05\0")
    code = _element(0x30, sha256, _element(0x04, hmac.new(mac_key, authenticated, "sha256").digest()))
    return _sealed(version, authenticated, _element(0x30, code, _element(0x04, salt)))


def with_pbmac1(
    data: bytes,
    password: str,
    *,
    prf: str | None = "sha256",
    digest: str = "sha256",
    iterations: int = 2048,
    length: int | None = 32,
    cheap: bool = False,
) -> bytes:
    """Return a PKCS#12 with a PBMAC1 of RFC 9579, as openssl pkcs12 -pbmac1_pbkdf2 makes them (OpenSSL 3.4); cheap: its code is wrong."""
    version, authenticated = _authenticated(data)
    salt = b"saltsalt"
    key = hashlib.pbkdf2_hmac(prf or "sha1", password.encode(), salt, 1 if cheap else iterations, length or 20)
    details = [_element(0x04, salt), _integer(iterations), *([] if length is None else [_integer(length)])]
    details += [_element(0x30, bytes.fromhex(_HMAC_OIDS[prf]), b"\x05\0")] if prf else []
    derivation = _element(0x30, _PBKDF2, _element(0x30, *details))
    scheme = _element(0x30, bytes.fromhex(_HMAC_OIDS[digest]), b"\x05\0")
    algorithm = _element(0x30, _PBMAC1, _element(0x30, derivation, scheme))
    code = _element(0x30, algorithm, _element(0x04, hmac.new(key, authenticated, digest).digest()))
    return _sealed(version, authenticated, _element(0x30, code, _element(0x04, b"NOT USED")))


def _name(common_name: str, organization: str, serial_numbers: Sequence[str]) -> x509.Name:
    parts = [(NameOID.COUNTRY_NAME, "BR"), (NameOID.ORGANIZATION_NAME, organization)]
    parts += [*((NameOID.SERIAL_NUMBER, number) for number in serial_numbers), (NameOID.COMMON_NAME, common_name)]
    return x509.Name([x509.NameAttribute(oid, text) for oid, text in parts])


def main(path: str, password: str, cnpj: str = CNPJ, domain: str = "") -> None:
    issued = issue(domain, domains=[domain], uses=[SERVER]) if domain else issue(f"{HOLDER}:{cnpj}", other_names=icp_brasil(cnpj))
    Path(path).write_bytes(pack(issued, password))


if __name__ == "__main__":
    main(*sys.argv[1:])
