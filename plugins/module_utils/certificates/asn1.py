# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads BER, the encoding of certificates. Private to the collection.

It is more lenient than DER, because authorities have issued certificates that OpenSSL and Java read and strict readers reject: lengths
longer than needed, indefinite lengths, negative serial numbers, strings with characters of another type. Nothing is verified.
"""

from __future__ import annotations

from dataclasses import dataclass

from ansible_collections.esus.pec.plugins.module_utils.errors import PecError

BOOLEAN, INTEGER, BIT_STRING, OCTET_STRING, OBJECT_IDENTIFIER = 0x01, 0x02, 0x03, 0x04, 0x06
UTF8_STRING, T61_STRING, BMP_STRING, UNIVERSAL_STRING = 0x0C, 0x14, 0x1E, 0x1C
UTC_TIME, GENERALIZED_TIME = 0x17, 0x18
SEQUENCE, SET = 0x30, 0x31

_CONSTRUCTED = 0x20
_DEEPEST = 32  # a certificate needs about ten
_LATIN_STRINGS = (0x12, 0x13, T61_STRING, 0x16, 0x19, 0x1A, 0x1B)  # Numeric, Printable, T61, IA5, Graphic, Visible, General
STRINGS = (UTF8_STRING, BMP_STRING, UNIVERSAL_STRING, OCTET_STRING, *_LATIN_STRINGS)


@dataclass(frozen=True)
class Element:
    """One element: its identifier octet, its content, and the whole with identifier and length."""

    tag: int
    content: bytes
    whole: bytes

    def children(self) -> list[Element]:
        """Return the elements inside. Raises PecError when they cannot be read."""
        found, rest = [], self.content
        while rest:
            element, rest = _element(rest, 0)
            found.append(element)
        return found


def read(data: bytes) -> Element:
    """Return the first element of C(data) and ignore the rest. Raises PecError when it is truncated or not BER."""
    return _element(data, 0)[0]


def _element(data: bytes, depth: int) -> tuple[Element, bytes]:
    if len(data) < 2 or depth > _DEEPEST:
        raise PecError("it is not ASN.1, or truncated")
    tag, length = data[0], data[1]
    if tag & 0x1F == 0x1F:
        raise PecError("it contains an ASN.1 identifier that certificates do not use")
    start = 2
    if length == 0x80:
        return _indefinite(data, depth)
    if length > 0x80:
        start += length & 0x7F
        length = int.from_bytes(data[2:start], "big")
    end = start + length
    if len(data) < end:
        raise PecError("it is not ASN.1, or truncated")
    return Element(tag, data[start:end], data[:end]), data[end:]


def _indefinite(data: bytes, depth: int) -> tuple[Element, bytes]:
    rest = data[2:]
    while rest[:2] != b"\0\0":
        _inner, rest = _element(rest, depth + 1)
    end = len(data) - len(rest)
    return Element(data[0], data[2:end], data[: end + 2]), rest[2:]


def object_identifier(element: Element) -> str:
    """Return the dotted form."""
    if element.tag != OBJECT_IDENTIFIER or not element.content:
        raise PecError("it contains another ASN.1 type instead of an object identifier")
    numbers, value = [], 0
    for octet in element.content:
        value = value << 7 | octet & 0x7F
        if not octet & 0x80:
            numbers.append(value)
            value = 0
    if not numbers:
        raise PecError("it contains an incomplete object identifier")
    first = min(numbers[0] // 40, 2)
    return ".".join(str(number) for number in [first, numbers[0] - first * 40, *numbers[1:]])


def integer(element: Element) -> int:
    """Return the signed number, of any length."""
    if element.tag != INTEGER:
        raise PecError("it contains another ASN.1 type instead of a number")
    return int.from_bytes(element.content, "big", signed=True)


def octets(element: Element) -> bytes:
    """Return the content of a string of octets or bits, which may be encoded in pieces."""
    if element.tag & _CONSTRUCTED:
        return b"".join(octets(child) for child in element.children())
    return element.content[1:] if element.tag == BIT_STRING else element.content


def text(element: Element) -> str:
    """Return the text of any string type; some authorities write UTF-8 into strings of other types."""
    content = octets(element)
    encodings = {BMP_STRING: "utf-16-be", UNIVERSAL_STRING: "utf-32-be"}
    try:
        return content.decode(encodings.get(element.tag, "utf-8"))
    except UnicodeDecodeError:
        return content.decode("latin-1")
