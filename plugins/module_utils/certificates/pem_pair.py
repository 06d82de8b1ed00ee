# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks a certificate and its private key in PEM before a web server uses them. Private to the collection."""

from __future__ import annotations

import os
import re
import ssl
from datetime import datetime

from ansible_collections.esus.pec.plugins.module_utils.certificates import asn1, rules, x509
from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.system import files

_PRIVATE_KEY = re.compile(rb"PRIVATE\s*KEY", re.IGNORECASE)


def check(certificate: bytes, key: bytes, domain: str, now: datetime) -> x509.Certificate:
    """Return the leaf of a pair that a web server can use for C(domain) now. Raises PecError otherwise, without repeating the key."""
    if _PRIVATE_KEY.search(certificate):
        raise PecError(
            "the file of the certificate has a private key in it, and every account can read that file; leave only the certificates in it: "
            "openssl storeutl -certs -noout=0 OLD, or copy the parts from BEGIN CERTIFICATE to END CERTIFICATE",
            problems=["private_key"],
        )
    blocks = x509.blocks(certificate)
    if not blocks or b"-----BEGIN" not in certificate:
        raise PecError(
            "the certificate is not PEM; it must begin with -----BEGIN CERTIFICATE-----, followed by those of its authorities",
            problems=["not_pem"],
        )
    if b"PRIVATE KEY-----" not in key:
        raise PecError("the private key is not PEM; its first line must be like -----BEGIN PRIVATE KEY-----", problems=["not_pem"])
    leaf = x509.read(blocks[0])
    _require_match(certificate, key, leaf)
    rules.refuse({**rules.domain_problems(leaf, domain), **rules.validity_problems(leaf, now)})
    return leaf


def certificates_only(certificate: bytes) -> bytes:
    """Return what may be written where every account can read it: the certificates as they are, and nothing of what is between them.

    Raises PecError if one of them is not just a certificate.
    """
    for der in x509.blocks(certificate):
        x509.read(der)
        if asn1.read(der).whole != der:
            raise PecError(
                "a certificate in the file is followed by other data in the same block; get the file again", problems=["unreadable"]
            )
    return "".join(match.group() + "\n" for match in x509.PEM.finditer(certificate.decode("latin-1"))).encode("latin-1")


def _require_match(certificate: bytes, key: bytes, leaf: x509.Certificate) -> None:
    """Let the OpenSSL inside Python compare them, which reads them from files only."""
    with files.private_directory() as directory:
        paths = [os.path.join(directory, name) for name in ("certificate", "key")]
        for path, data in zip(paths, (certificate, key)):
            files.write_atomic(path, data, mode=0o600)
        try:
            ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(paths[0], paths[1], _refuse_passphrase)
        except ssl.SSLError as error:
            reason = error.reason or "unreadable"
            if "MISMATCH" in reason:
                rules.refuse(rules.foreign_key(leaf))
            raise PecError(
                f"OpenSSL rejects the certificate of {leaf.holder} with this private key ({reason}); get both files again",
                problems=["unreadable"],
            ) from None


def _refuse_passphrase() -> bytes:
    raise PecError(
        "the private key has a passphrase, for which a web server would ask at each start; remove it: openssl pkey -in OLD -out NEW",
        problems=["passphrase"],
    )
