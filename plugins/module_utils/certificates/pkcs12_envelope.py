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
from ansible_collections.esus.pec.plugins.module_utils.errors import PecError, printable

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
_PBMAC1, _PBKDF2 = "1.2.840.113549.1.5.14", "1.2.840.113549.1.5.12"
_HMACS = {
    "1.2.840.113549.2.7": "sha1",
    "1.2.840.113549.2.8": "sha224",
    "1.2.840.113549.2.9": "sha256",
    "1.2.840.113549.2.10": "sha384",
    "1.2.840.113549.2.11": "sha512",
}
_MOST_ITERATIONS = 5000000  # Java's limit; more is an attack
_LONGEST_KEY = 64  # bytes, as of the longest digest; each piece of a longer key costs all iterations again
_LINE_ENDS = str.maketrans("\t\n", "  ")
_MAC_KEY = 3  # the purpose byte in the key derivation of RFC 7292


class NotPkcs12Error(PecError):
    """The file is something else, or it is damaged."""

    def __init__(self, message: str) -> None:
        super().__init__(message, problems=["not_pkcs12"])


@dataclass(frozen=True)
class Mac:
    """The authentication code of the file, which also proves a password.

    C(derived) is the digest that derives the key by PBKDF2, and the key's length, for a PBMAC1 (RFC 9579); None for that of RFC 7292.
    """

    digest: str
    value: bytes
    salt: bytes
    iterations: int
    derived: tuple[str, int] | None = None


@dataclass(frozen=True)
class Form:
    """The visible part of a file.

    C(ciphers) encrypt the certificates and the key, C(key_ciphers) the key; C(mac) is None when missing or of an unknown kind; C(pbmac1)
    also tells of a PBMAC1 that is of an unknown kind.
    """

    ciphers: tuple[str, ...]
    keys: int
    friendly_name: str | None
    mac: Mac | None
    protected: bytes
    key_ciphers: tuple[str, ...] = ()
    pbmac1: bool = False

    @property
    def encryption(self) -> str:
        """The class of encryption: C(legacy) needs OpenSSL's legacy provider, C(java8) opens everywhere, C(modern) in new programs.

        One with a PBMAC1 is C(other): no Java before 26 opens it.
        """
        if any(cipher.startswith(("RC", "DES")) for cipher in self.ciphers):
            return LEGACY
        if self.pbmac1:
            return OTHER
        digest = self.mac.digest if self.mac else ""
        if self.ciphers and all(cipher == "3DES" for cipher in self.ciphers) and digest == "sha1":
            return JAVA8
        modern = bool(self.ciphers) and all(cipher.startswith("AES") for cipher in self.ciphers)
        return MODERN if modern and digest not in ("md5", "sha1") else OTHER

    def password_fits(self, password: str) -> bool | None:
        """Return whether the password is the file's; None when the file does not allow to know."""
        if self.mac is None:
            return None
        written = password.encode("utf-8", "surrogatepass")
        spellings = [text.encode("utf-16-be", "surrogatepass") + b"\0\0" for text in (password, written.decode("latin-1"))]
        spellings += [] if password else [b""]
        try:
            return any(_proves(self.mac, self.protected, spelling) for spelling in ([written] if self.mac.derived else spellings))
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
    ciphers, key_ciphers, names, keys = [], [], [], 0
    for part in asn1.read(protected).children():
        kind, *rest = part.children()
        oid = asn1.object_identifier(kind)
        if oid == _ENCRYPTED_DATA:
            ciphers.append(_cipher(rest[0].children()[0].children()[1].children()[1]))
        elif oid == _DATA:
            for bag, cipher, name in _bags(asn1.read(asn1.octets(rest[0].children()[0]))):
                keys += bag in (_KEY_BAG, _SHROUDED_KEY_BAG)
                key_ciphers.extend([cipher] if cipher else [])
                names.extend([name] if name and bag in (_KEY_BAG, _SHROUDED_KEY_BAG) else [])
    mac, pbmac1 = _mac(parts[2]) if len(parts) > 2 else (None, False)
    return Form((*ciphers, *key_ciphers), keys, names[0] if names else None, mac, protected, tuple(key_ciphers), pbmac1)


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
            # It is shown in a line, and given to openssl as an argument.
            return printable(asn1.text(values.children()[0]).replace("\0", "").translate(_LINE_ENDS))
    return None


def _cipher(algorithm: asn1.Element) -> str:
    kind, *parameters = algorithm.children()
    oid = asn1.object_identifier(kind)
    if oid == _PBES2:
        oid = asn1.object_identifier(parameters[0].children()[1].children()[0])
    return _CIPHERS.get(oid, f"an unknown algorithm ({oid})")


def _mac(data: asn1.Element) -> tuple[Mac | None, bool]:
    """Return the authentication code, None for one of an unknown kind, and whether it is a PBMAC1."""
    digest_info, salt, *iterations = data.children()
    algorithm, value = digest_info.children()[:2]
    kind, *parameters = algorithm.children()
    oid = asn1.object_identifier(kind)
    if oid == _PBMAC1:
        return _pbmac1(parameters[0], asn1.octets(value)), True
    digest = _DIGESTS.get(oid)
    count = asn1.integer(iterations[0]) if iterations else 1
    if digest is None or not 0 < count <= _MOST_ITERATIONS:
        return None, False
    return Mac(digest, asn1.octets(value), asn1.octets(salt), count), False


def _pbmac1(parameters: asn1.Element, value: bytes) -> Mac | None:
    derivation, scheme = parameters.children()[:2]
    kind, details = derivation.children()[:2]
    salt, iterations, *rest = details.children()
    lengths = [asn1.integer(each) for each in rest if each.tag == asn1.INTEGER]
    functions = [asn1.object_identifier(each.children()[0]) for each in rest if each.tag == asn1.SEQUENCE]
    prf = _HMACS.get(functions[0]) if functions else "sha1"
    digest, count = _HMACS.get(asn1.object_identifier(scheme.children()[0])), asn1.integer(iterations)
    length = lengths[0] if lengths else 0  # RFC 9579 requires it
    known = asn1.object_identifier(kind) == _PBKDF2 and salt.tag == asn1.OCTET_STRING and prf is not None and digest is not None
    if not known or not 0 < count <= _MOST_ITERATIONS or not 0 < length <= _LONGEST_KEY:
        return None
    return Mac(str(digest), value, salt.content, count, (str(prf), length))


def _proves(mac: Mac, protected: bytes, password: bytes) -> bool:
    """Derive the key from the password (PBKDF2, or RFC 7292, appendix B) and compare the authentication code."""
    if mac.derived:
        prf, length = mac.derived
        key = hashlib.pbkdf2_hmac(prf, password, mac.salt, mac.iterations, length)
        return hmac.compare_digest(hmac.new(key, protected, mac.digest).digest(), mac.value)
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
