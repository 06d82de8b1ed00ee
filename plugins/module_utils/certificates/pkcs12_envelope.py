# SPDX-License-Identifier: GPL-3.0-or-later
"""Inspects a PKCS#12 file without opening it: its type, its encryption, and whether a password fits. Private to the collection.

It needs no library and no program, so a wrong password is never confused with an encryption that this host cannot read; programs report
the same error for both.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterator
from dataclasses import dataclass

from ansible_collections.esus.pec.plugins.module_utils.certificates import asn1
from ansible_collections.esus.pec.plugins.module_utils.errors import PecError

LEGACY, JAVA8, MODERN, OTHER = "legacy", "java8", "modern", "other"

_DATA, _ENCRYPTED_DATA, _SIGNED_DATA = "1.2.840.113549.1.7.1", "1.2.840.113549.1.7.6", "1.2.840.113549.1.7.2"
_KEY_BAG, _SHROUDED_KEY_BAG = "1.2.840.113549.1.12.10.1.1", "1.2.840.113549.1.12.10.1.2"
_FRIENDLY_NAME = "1.2.840.113549.1.9.20"
_PBES2 = "1.2.840.113549.1.5.13"
_CIPHERS = {
    "1.2.840.113549.1.12.1.1": "RC4-128",
    "1.2.840.113549.1.12.1.2": "RC4-40",
    "1.2.840.113549.1.12.1.3": "3DES",
    "1.2.840.113549.1.12.1.4": "3DES with two keys",
    "1.2.840.113549.1.12.1.5": "RC2-128",
    "1.2.840.113549.1.12.1.6": "RC2-40",
    "1.2.840.113549.1.5.3": "DES with MD5",
    "1.2.840.113549.1.5.10": "DES",
    "2.16.840.1.101.3.4.1.2": "AES-128",
    "2.16.840.1.101.3.4.1.22": "AES-192",
    "2.16.840.1.101.3.4.1.42": "AES-256",
    "1.2.840.113549.3.7": "PBES2 3DES",
}
_DIGESTS = {
    "1.2.840.113549.2.5": "md5",
    "1.3.14.3.2.26": "sha1",
    "2.16.840.1.101.3.4.2.4": "sha224",
    "2.16.840.1.101.3.4.2.1": "sha256",
    "2.16.840.1.101.3.4.2.2": "sha384",
    "2.16.840.1.101.3.4.2.3": "sha512",
}
_MOST_ITERATIONS = 5000000  # Java's limit; more is an attack
_MAC_KEY = 3  # the purpose byte in the key derivation of RFC 7292


class NotPkcs12Error(PecError):
    """The file is something else, or it is damaged."""

    def __init__(self, message: str) -> None:
        super().__init__(message, problems=["not_pkcs12"])


@dataclass(frozen=True)
class Mac:
    """The authentication code of the file, which also proves a password."""

    digest: str
    value: bytes
    salt: bytes
    iterations: int


@dataclass(frozen=True)
class Form:
    """The visible part of a file. C(ciphers) encrypt the certificates and the key; C(mac) is None when missing or of an unknown kind."""

    ciphers: tuple[str, ...]
    keys: int
    friendly_name: str | None
    mac: Mac | None
    protected: bytes

    @property
    def encryption(self) -> str:
        """The class of encryption: C(legacy) needs OpenSSL's legacy provider, C(java8) opens everywhere, C(modern) in new programs."""
        if any(cipher.startswith(("RC", "DES")) for cipher in self.ciphers):
            return LEGACY
        digest = self.mac.digest if self.mac else ""
        if self.ciphers and all(cipher == "3DES" for cipher in self.ciphers) and digest == "sha1":
            return JAVA8
        modern = bool(self.ciphers) and all(cipher.startswith("AES") for cipher in self.ciphers)
        return MODERN if modern and digest not in ("md5", "sha1") else OTHER

    def password_fits(self, password: str) -> bool | None:
        """Return whether the password is the file's; None when the file does not allow to know."""
        if self.mac is None:
            return None
        spellings = [password.encode("utf-16-be") + b"\0\0", password.encode().decode("latin-1").encode("utf-16-be") + b"\0\0"]
        try:
            return any(_proves(self.mac, self.protected, spelling) for spelling in [*spellings, *([] if password else [b""])])
        except ValueError:  # a host in FIPS mode has no old digests
            return None


def inspect(data: bytes) -> Form:
    """Return the visible part of a file. Raises NotPkcs12Error, which names what the file is instead."""
    other = _something_else(data)
    if other:
        raise NotPkcs12Error(f"the file is {other}; give the .pfx or .p12 file as it was received")
    try:
        return _form(asn1.read(data).children())
    except NotPkcs12Error:
        raise
    except (PecError, IndexError, ValueError, RecursionError):
        raise NotPkcs12Error("the file is not a PKCS#12 (.pfx, .p12), or it is truncated or damaged; get it again") from None


def _something_else(data: bytes) -> str | None:
    head = data[:4096].lstrip()
    if not head:
        return "empty"
    if head.startswith((b"-----BEGIN", b"Bag Attributes", b"\xef\xbb\xbf-----BEGIN")):
        return "PEM text, not a PKCS#12"
    if data.startswith(b"\xfe\xed\xfe\xed"):
        return "a Java keystore (JKS)"
    if data.startswith(b"PK\x03\x04"):
        return "a ZIP archive, which has to be unpacked"
    if head.startswith(b"MI"):
        return "base64 text instead of the file itself"
    return None if head[:1] == b"0" else "not a PKCS#12"


def _form(parts: list[asn1.Element]) -> Form:
    if parts[0].tag == asn1.SEQUENCE:
        raise NotPkcs12Error("the file is a certificate without its private key (as in .cer); PEC needs the .pfx or .p12 file")
    if asn1.integer(parts[0]) != 3:
        raise NotPkcs12Error("the file is not a PKCS#12 but perhaps a private key alone; give the .pfx or .p12 file")
    kind, content = parts[1].children()[:2]
    if asn1.object_identifier(kind) == _SIGNED_DATA:
        raise NotPkcs12Error("the file is a PKCS#12 protected by a signature instead of a password; export it with a password")
    protected = asn1.octets(content.children()[0])
    ciphers, names, keys = [], [], 0
    for part in asn1.read(protected).children():
        kind, *rest = part.children()
        oid = asn1.object_identifier(kind)
        if oid == _ENCRYPTED_DATA:
            ciphers.append(_cipher(rest[0].children()[0].children()[1].children()[1]))
        elif oid == _DATA:
            for bag, cipher, name in _bags(asn1.read(asn1.octets(rest[0].children()[0]))):
                keys += bag in (_KEY_BAG, _SHROUDED_KEY_BAG)
                ciphers.extend([cipher] if cipher else [])
                names.extend([name] if name and bag in (_KEY_BAG, _SHROUDED_KEY_BAG) else [])
    return Form(tuple(ciphers), keys, names[0] if names else None, _mac(parts[2]) if len(parts) > 2 else None, protected)


def _bags(contents: asn1.Element) -> Iterator[tuple[str, str | None, str | None]]:
    """Yield kind, cipher and friendly name of every bag outside encrypted content."""
    for bag in contents.children():
        kind, value, *attributes = bag.children()
        oid = asn1.object_identifier(kind)
        cipher = _cipher(value.children()[0].children()[0]) if oid == _SHROUDED_KEY_BAG else None
        yield oid, cipher, _name(attributes)


def _name(attributes: list[asn1.Element]) -> str | None:
    for attribute in attributes[0].children() if attributes else ():
        kind, values = attribute.children()[:2]
        if asn1.object_identifier(kind) == _FRIENDLY_NAME:
            return asn1.text(values.children()[0])
    return None


def _cipher(algorithm: asn1.Element) -> str:
    kind, *parameters = algorithm.children()
    oid = asn1.object_identifier(kind)
    if oid == _PBES2:
        oid = asn1.object_identifier(parameters[0].children()[1].children()[0])
    return _CIPHERS.get(oid, f"an unknown algorithm ({oid})")


def _mac(data: asn1.Element) -> Mac | None:
    digest_info, salt, *iterations = data.children()
    algorithm, value = digest_info.children()[:2]
    digest = _DIGESTS.get(asn1.object_identifier(algorithm.children()[0]))
    count = asn1.integer(iterations[0]) if iterations else 1
    if digest is None or not 0 < count <= _MOST_ITERATIONS:
        return None
    return Mac(digest, asn1.octets(value), asn1.octets(salt), count)


def _proves(mac: Mac, protected: bytes, password: bytes) -> bool:
    """Derive the key from the password (RFC 7292, appendix B) and compare the authentication code."""
    block = hashlib.new(mac.digest).block_size
    material = bytes([_MAC_KEY]) * block + _filled(mac.salt, block) + _filled(password, block)
    key = material
    for _round in range(mac.iterations):
        key = hashlib.new(mac.digest, key).digest()
    return hmac.compare_digest(hmac.new(key, protected, mac.digest).digest(), mac.value)


def _filled(text: bytes, block: int) -> bytes:
    """Repeat a text until it fills whole blocks."""
    length = -(-len(text) // block) * block
    return (text * (length // len(text) + 1))[:length] if text else b""
