# SPDX-License-Identifier: GPL-3.0-or-later
"""A certificate and its private key as PEM, as web servers want them: whether they belong together, before a web server sees them."""

from __future__ import annotations

import os
import ssl
import tempfile
from dataclasses import dataclass
from datetime import datetime

from ansible_collections.esus.pec.plugins.module_utils.certificates import x509
from ansible_collections.esus.pec.plugins.module_utils.errors import PecError


@dataclass(frozen=True)
class Pair:
    """What is wrong is never here: a pair that cannot be used is an error. C(chain) is the number of certificates in the file."""

    certificate: x509.Certificate
    chain: int


def read(certificate: bytes, key: bytes, domain: str, now: datetime) -> Pair:
    """Return the leaf of a pair that a web server can use for C(domain) now. Raises PecError otherwise, and never repeats the key."""
    blocks = x509.blocks(certificate)
    if not blocks or b"-----BEGIN" not in certificate:
        raise PecError("the certificate is not PEM; it begins with -----BEGIN CERTIFICATE-----, and those of its authority follow")
    if b"PRIVATE KEY-----" not in key:
        raise PecError("the private key is not PEM; it has to begin with -----BEGIN PRIVATE KEY-----, or with the key's type in that line")
    leaf = x509.read(blocks[0])
    _belong_together(certificate, key, leaf)
    if not leaf.names_host(domain):
        names = ", ".join(leaf.dns_names) or "no name at all"
        raise PecError(f"the certificate is for {names}, and {domain} is asked for; browsers would refuse it")
    if leaf.not_after <= now:
        raise PecError(f"the certificate of {domain} expired on {leaf.not_after:%Y-%m-%d}; obtain a new one")
    if leaf.not_before > now:
        raise PecError(f"the certificate of {domain} is valid only from {leaf.not_before:%Y-%m-%d %H:%M} UTC; look at this server's clock")
    return Pair(leaf, len(blocks))


def _belong_together(certificate: bytes, key: bytes, leaf: x509.Certificate) -> None:
    """OpenSSL inside Python compares them, and reads files only."""
    with tempfile.TemporaryDirectory(prefix="esus-pec-") as directory:  # 0700
        paths = [os.path.join(directory, name) for name in ("certificate", "key")]
        for path, data in zip(paths, (certificate, key)):
            with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as stream:
                stream.write(data)
        try:
            ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(paths[0], paths[1], _refuse_passphrase)
        except ssl.SSLError as error:
            reason = error.reason or ""
            if "MISMATCH" in reason:
                raise PecError(f"the private key is not the one of the certificate of {leaf.holder}") from None
            raise PecError(
                f"OpenSSL does not take the certificate of {leaf.holder} with this private key ({reason or 'unreadable'})"
            ) from None


def _refuse_passphrase() -> bytes:
    raise PecError(
        "the private key has a passphrase, which a web server would ask for at each start; remove it: openssl pkey -in OLD -out NEW"
    )
