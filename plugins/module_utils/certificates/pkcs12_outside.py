# SPDX-License-Identifier: GPL-3.0-or-later
"""What a PKCS#12 file shows before it is opened: whether it is one, how it is encrypted, and whether a password is its password.

This needs no library and no program, so "the password is wrong" is never confused with "this host cannot read the old encryption",
which is what every program says about both.
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
_MAC_KEY = 3  # the purpose, for the derivation of RFC 7292


class NotPkcs12Error(PecError):
    """The file is something else, or it is damaged."""


class WrongPasswordError(PecError):
    """The file is whole, and this is not its password."""


@dataclass(frozen=True)
class Mac:
    """What protects the whole file, and proves a password."""

    digest: str
    value: bytes
    salt: bytes
    iterations: int


@dataclass(frozen=True)
class Form:
    """What is seen from outside. C(ciphers) are those of the certificates and of the key; C(mac) is None where there is none we know."""

    ciphers: tuple[str, ...]
    keys: int
    friendly_name: str | None
    mac: Mac | None
    protected: bytes

    @property
    def encryption(self) -> str:
        """The class of encryption: C(legacy) needs OpenSSL's legacy provider, C(java8) opens everywhere, C(modern) on what is new."""
        if any(cipher.startswith(("RC", "DES")) for cipher in self.ciphers):
            return LEGACY
        digest = self.mac.digest if self.mac else ""
        if self.ciphers and all(cipher == "3DES" for cipher in self.ciphers) and digest == "sha1":
            return JAVA8
        modern = bool(self.ciphers) and all(cipher.startswith("AES") for cipher in self.ciphers)
        return MODERN if modern and digest not in ("md5", "sha1") else OTHER

    def password_fits(self, password: str) -> bool | None:
        """Whether the password is the file's; None where the file has nothing that could tell."""
        if self.mac is None:
            return None
        spellings = [password.encode("utf-16-be") + b"\0\0", password.encode().decode("latin-1").encode("utf-16-be") + b"\0\0"]
        try:
            return any(_proves(self.mac, self.protected, spelling) for spelling in [*spellings, *([] if password else [b""])])
        except ValueError:  # a host in FIPS mode has no old digests
            return None


def inspect(data: bytes) -> Form:
    """Return what the file shows. Raises NotPkcs12Error that says what it is instead."""
    other = _something_else(data)
    if other:
        raise NotPkcs12Error(f"{other}; give the .pfx or .p12 file as it was received")
    try:
        return _form(asn1.read(data).children())
    except NotPkcs12Error:
        raise
    except (PecError, IndexError, ValueError, RecursionError):
        raise NotPkcs12Error("it is not a PKCS#12 file (.pfx, .p12), or it was cut off or changed on its way; get it again") from None


def _something_else(data: bytes) -> str | None:
    head = data[:4096].lstrip()
    if not head:
        return "the file is empty"
    if head.startswith((b"-----BEGIN", b"Bag Attributes", b"\xef\xbb\xbf-----BEGIN")):
        return "it is PEM text, not a PKCS#12"
    signatures = {b"\xfe\xed\xfe\xed": "it is a Java keystore (JKS)", b"PK\x03\x04": "it is a ZIP archive that has to be unpacked"}
    found = next((text for start, text in signatures.items() if data.startswith(start)), None)
    if found:
        return found
    if head[:1] != b"0" or (head[:2] == b"MI" and b"\0" not in head):
        return "it is base64 text instead of the file itself" if head.startswith(b"MI") else "it is not a PKCS#12 file"
    return None


def _form(parts: list[asn1.Element]) -> Form:
    if parts[0].tag == asn1.SEQUENCE:
        raise NotPkcs12Error("it is a certificate without its private key (as in .cer), not a PKCS#12; PEC needs the .pfx or .p12 file")
    if asn1.integer(parts[0]) != 3:
        raise NotPkcs12Error("it is not a PKCS#12 file (.pfx, .p12), but perhaps a bare private key; give the .pfx or .p12 file")
    kind, content = parts[1].children()[:2]
    if asn1.object_identifier(kind) == _SIGNED_DATA:
        raise NotPkcs12Error("it is a PKCS#12 that is protected by a signature instead of a password; export it with a password")
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
    """Give the kind, the cipher and the friendly name of every bag that is not inside something encrypted."""
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
    return _CIPHERS.get(oid, f"an algorithm that is not known ({oid})")


def _mac(data: asn1.Element) -> Mac | None:
    digest_info, salt, *iterations = data.children()
    algorithm, value = digest_info.children()[:2]
    digest = _DIGESTS.get(asn1.object_identifier(algorithm.children()[0]))
    count = asn1.integer(iterations[0]) if iterations else 1
    if digest is None or not 0 < count <= _MOST_ITERATIONS:
        return None
    return Mac(digest, asn1.octets(value), asn1.octets(salt), count)


def _proves(mac: Mac, protected: bytes, password: bytes) -> bool:
    """RFC 7292, appendix B: derive the key from the password, then compare the authentication code."""
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
