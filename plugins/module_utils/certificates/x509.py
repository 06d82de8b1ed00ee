# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads an X.509 certificate, without verifying its signature or revocation. Private to the collection.

An own reader gives the same answer on every host, with or without a library, also for certificates that strict libraries reject. It also
reads the fields with which ICP-Brasil identifies the owner, which no library knows.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

from ansible_collections.esus.pec.plugins.module_utils.certificates import asn1, icp_brasil
from ansible_collections.esus.pec.plugins.module_utils.errors import PecError

_ATTRIBUTES = {
    "2.5.4.3": "CN",
    "2.5.4.4": "SN",
    "2.5.4.5": "serialNumber",
    "2.5.4.6": "C",
    "2.5.4.7": "L",
    "2.5.4.8": "ST",
    "2.5.4.9": "street",
    "2.5.4.10": "O",
    "2.5.4.11": "OU",
    "2.5.4.12": "title",
    "2.5.4.42": "GN",
    "2.5.4.97": "organizationIdentifier",
    "0.9.2342.19200300.100.1.1": "UID",
    "0.9.2342.19200300.100.1.25": "DC",
    "1.2.840.113549.1.9.1": "emailAddress",
}
_KEY_USAGE = (
    "digitalSignature",
    "nonRepudiation",
    "keyEncipherment",
    "dataEncipherment",
    "keyAgreement",
    "keyCertSign",
    "cRLSign",
    "encipherOnly",
    "decipherOnly",
)
_EXTENDED_KEY_USAGE = {
    "1.3.6.1.5.5.7.3.1": "serverAuth",
    "1.3.6.1.5.5.7.3.2": "clientAuth",
    "1.3.6.1.5.5.7.3.3": "codeSigning",
    "1.3.6.1.5.5.7.3.4": "emailProtection",
    "1.3.6.1.5.5.7.3.8": "timeStamping",
    "1.3.6.1.4.1.311.20.2.2": "smartcardLogon",
    "2.5.29.37.0": "any",
}
_RSA, _EC = "1.2.840.113549.1.1.1", "1.2.840.10045.2.1"
_KEY_TYPES = {_RSA: "RSA", "1.2.840.113549.1.1.10": "RSA", _EC: "EC", "1.2.840.10040.4.1": "DSA"}
_CURVES = {"1.2.840.10045.3.1.7": 256, "1.3.132.0.34": 384, "1.3.132.0.35": 521, "1.3.132.0.10": 256, "1.3.36.3.3.2.8.1.1.7": 256}
_EDWARDS = {"1.3.101.112": ("Ed25519", 256), "1.3.101.113": ("Ed448", 456)}
_TIME = re.compile(r"(\d{2}|\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)?(?:\.\d+)?(?:Z|([+-])(\d\d)(\d\d))?")
PEM = re.compile(r"-----BEGIN (?:X509 |TRUSTED )?CERTIFICATE-----([^-]+)-----END (?:X509 |TRUSTED )?CERTIFICATE-----")


@dataclass(frozen=True)
class Certificate:
    """The content of a certificate. C(subject) and C(issuer) are RFC 4514 text; the times are aware, in UTC.

    C(holder) is the common name without the number that ICP-Brasil appends. C(public_key) identifies the key: two certificates, or a
    certificate and a private key, belong together when it is equal. C(self_signed) compares the names only.
    """

    subject: str
    issuer: str
    holder: str
    serial: int
    not_before: datetime
    not_after: datetime
    key_type: str
    key_bits: int
    key_usage: tuple[str, ...]
    extended_key_usage: tuple[str, ...]
    is_ca: bool
    dns_names: tuple[str, ...]
    identity: icp_brasil.Identity
    self_signed: bool
    fingerprint_sha256: str
    public_key: str

    def days_left(self, now: datetime) -> int:
        """Return the whole days until it expires; negative after that."""
        return (self.not_after - now) // timedelta(days=1)

    def names_host(self, domain: str) -> bool:
        """Return whether it is valid for C(domain), by name or by a wildcard for one label."""
        wanted = domain.lower().rstrip(".")
        wildcard = "*." + wanted.partition(".")[2]
        return any(name.lower().rstrip(".") in (wanted, wildcard) for name in self.dns_names)


def read(der: bytes) -> Certificate:
    """Return the certificate in C(der). Raises PecError when it is not one."""
    try:
        return _certificate(der)
    except PecError as error:
        raise PecError(f"the certificate cannot be read: {error}") from None
    except (IndexError, ValueError, OverflowError, RecursionError):
        raise PecError("the certificate cannot be read: its parts are not those of an X.509 certificate") from None


def blocks(data: bytes) -> list[bytes]:
    """Return the certificates of a file as DER: one from DER, all from PEM, none from anything else."""
    found = PEM.findall(data.decode("latin-1"))
    if not found:
        return [data] if data[:1] == b"\x30" else []
    try:
        return [base64.b64decode("".join(text.split()), validate=True) for text in found]
    except binascii.Error:
        raise PecError("a certificate in the file is not valid base64, so the file was truncated or edited; get it again") from None


def public_key_id(spki_der: bytes) -> str:
    """Return the C(Certificate.public_key) of a public key (DER, SubjectPublicKeyInfo)."""
    return _public_key(asn1.read(spki_der))[2]


def _certificate(der: bytes) -> Certificate:
    whole = asn1.read(der)
    parts = whole.children()[0].children()
    explicit_version = parts[0].tag == 0xA0
    serial, _signature, issuer, validity, subject, spki = parts[1:7] if explicit_version else parts[:6]
    extensions = _extensions(parts)
    not_before, not_after = (_time(element) for element in validity.children()[:2])
    key_type, key_bits, key_id = _public_key(spki)
    names = extensions["2.5.29.17"].children() if "2.5.29.17" in extensions else []
    common_names = _values(subject, "CN")
    common_name = common_names[-1] if common_names else ""
    subject_text, issuer_text = _rfc4514(subject), _rfc4514(issuer)
    return Certificate(
        subject=subject_text,
        issuer=issuer_text,
        holder=icp_brasil.holder(common_name) or subject_text,
        serial=asn1.integer(serial),
        not_before=not_before,
        not_after=not_after,
        key_type=key_type,
        key_bits=key_bits,
        key_usage=_key_usage(extensions.get("2.5.29.15")),
        extended_key_usage=_extended_key_usage(extensions.get("2.5.29.37")),
        is_ca=_is_ca(extensions.get("2.5.29.19")),
        dns_names=tuple(asn1.octets(name).decode("latin-1") for name in names if name.tag == 0x82),
        identity=icp_brasil.identity(_other_names(names), common_name, _values(subject, "serialNumber"), _values(issuer, "O")),
        self_signed=subject_text == issuer_text,
        fingerprint_sha256=hashlib.sha256(whole.whole).hexdigest(),
        public_key=key_id,
    )


def _extensions(parts: list[asn1.Element]) -> dict[str, asn1.Element]:
    """Return the content of each extension by its identifier, without those that cannot be read."""
    found: dict[str, asn1.Element] = {}
    holders = [part for part in parts if part.tag == 0xA3]
    for extension in holders[0].children()[0].children() if holders else ():
        fields = extension.children()
        try:
            found[asn1.object_identifier(fields[0])] = asn1.read(asn1.octets(fields[-1]))
        except PecError:
            continue
    return found


def _other_names(names: list[asn1.Element]) -> dict[str, str]:
    """Return the otherNames of a subjectAltName as text; authorities use every string type for them."""
    found: dict[str, str] = {}
    for name in names:
        if name.tag != 0xA0:
            continue
        fields = name.children()
        if len(fields) < 2:
            continue
        value = fields[1].children()[0] if fields[1].tag == 0xA0 and fields[1].content else fields[1]
        if value.tag == asn1.OCTET_STRING:
            value = _unwrapped(value)
        if value.tag & 0xDF in asn1.STRINGS:
            found[asn1.object_identifier(fields[0])] = asn1.text(value).replace("\0", "")
    return found


def _unwrapped(value: asn1.Element) -> asn1.Element:
    """Return the string inside an OCTET STRING that contains exactly one string, else the OCTET STRING."""
    try:
        inner = asn1.read(value.content)
    except PecError:
        return value
    return inner if inner.tag in asn1.STRINGS and len(inner.whole) == len(value.content) else value


def _pairs(name: asn1.Element) -> list[tuple[str, str]]:
    pairs = []
    for relative in name.children():
        for attribute in relative.children():
            kind, value = attribute.children()[:2]
            oid = asn1.object_identifier(kind)
            pairs.append((_ATTRIBUTES.get(oid, oid), asn1.text(value)))
    return pairs


def _values(name: asn1.Element, wanted: str) -> list[str]:
    return [value for kind, value in _pairs(name) if kind == wanted]


def _rfc4514(name: asn1.Element) -> str:
    return ",".join(f"{kind}={_escaped(value)}" for kind, value in reversed(_pairs(name)))


def _escaped(value: str) -> str:
    text = re.sub(r'([,+"\\<>;])', r"\\\1", value).replace("\0", "\\00")
    if text.endswith(" "):
        text = text[:-1] + "\\ "
    return "\\" + text if text.startswith((" ", "#")) else text


def _time(element: asn1.Element) -> datetime:
    found = _TIME.fullmatch(element.content.decode("latin-1").strip())
    if found is None:
        raise PecError("its validity is not a time")
    year_text, month, day, hour, minute, second, sign, hours, minutes = found.groups()
    year = int(year_text)
    if len(year_text) == 2:
        year += 1900 if year >= 50 else 2000
    moment = datetime(year, int(month), int(day), int(hour), int(minute), int(second or 0), tzinfo=timezone.utc)
    offset = timedelta(hours=int(hours or 0), minutes=int(minutes or 0))
    return moment + offset if sign == "-" else moment - offset


def _public_key(spki: asn1.Element) -> tuple[str, int, str]:
    """Return type, size in bits and identity of the key; the identity does not depend on the encoding of the numbers."""
    algorithm, bits = spki.children()[:2]
    fields = algorithm.children()
    oid = asn1.object_identifier(fields[0])
    key = asn1.octets(bits)
    if _KEY_TYPES.get(oid) == "RSA":
        modulus, exponent = (int.from_bytes(number.content, "big") for number in asn1.read(key).children()[:2])
        return "RSA", modulus.bit_length(), hashlib.sha256(f"RSA {modulus} {exponent}".encode()).hexdigest()
    identity = hashlib.sha256(oid.encode() + b" " + key).hexdigest()
    if oid in _EDWARDS:
        return (*_EDWARDS[oid], identity)
    curve = fields[1] if len(fields) > 1 else None
    named = asn1.object_identifier(curve) if curve is not None and curve.tag == asn1.OBJECT_IDENTIFIER else ""
    coordinates = len(key) - 1 if key[:1] in (b"\x02", b"\x03") else (len(key) - 1) // 2
    return _KEY_TYPES.get(oid, oid), _CURVES.get(named, coordinates * 8), identity


def _key_usage(extension: asn1.Element | None) -> tuple[str, ...]:
    bits = asn1.octets(extension) if extension is not None else b""
    return tuple(name for index, name in enumerate(_KEY_USAGE) if index // 8 < len(bits) and bits[index // 8] & 0x80 >> index % 8)


def _extended_key_usage(extension: asn1.Element | None) -> tuple[str, ...]:
    oids = [asn1.object_identifier(child) for child in extension.children()] if extension is not None else []
    return tuple(_EXTENDED_KEY_USAGE.get(oid, oid) for oid in oids)


def _is_ca(extension: asn1.Element | None) -> bool:
    fields = extension.children() if extension is not None else []
    return bool(fields) and fields[0].tag == asn1.BOOLEAN and fields[0].content not in (b"", b"\0")
