# SPDX-License-Identifier: GPL-3.0-or-later
"""Fetches the certificate that a server presents for a domain, as a browser sees it. Private to the collection."""

from __future__ import annotations

import socket
import ssl
from dataclasses import dataclass
from datetime import datetime, timezone

from ansible_collections.esus.pec.plugins.module_utils.certificates import x509
from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.system import clock

_SECONDS = 10
_FIELDS = (
    "served", "error", "domain", "matches_domain", "trusted", "trust_error", "subject", "issuer", "dns_names",
    "not_before", "not_after", "days_left", "fingerprint_sha256",
)  # fmt: skip


@dataclass(frozen=True)
class Served:
    """The answer of one address. C(certificate) is None with an C(error) when none was presented that can be read.

    C(trust_error) is why a browser with this host's authorities would reject the certificate; empty when it would not.
    """

    certificate: x509.Certificate | None
    error: str = ""
    trust_error: str = ""


def fetch(domain: str | None, port: int, *, address: str = "127.0.0.1", seconds: float = _SECONDS) -> Served:
    """Ask an address for its certificate of C(domain), as a browser does. Never raises, whatever the server answers."""
    strict, trust_error = ssl.create_default_context(), ""
    strict.check_hostname = bool(domain)
    der, refusal = _handshake(strict, domain, port, address, seconds)
    if der is None and isinstance(refusal, ssl.SSLCertVerificationError):
        lenient = ssl.create_default_context()
        lenient.check_hostname = False
        lenient.verify_mode = ssl.CERT_NONE
        trust_error = str(refusal.verify_message or refusal)
        der, refusal = _handshake(lenient, domain, port, address, seconds)
    if der is None:
        return Served(None, f"{address}:{port} presented no certificate: {_reason(refusal)}")
    try:
        return Served(x509.read(der), trust_error=trust_error)
    except PecError as error:
        return Served(None, f"{address}:{port}: {error}", trust_error)


def describe(served: Served | None, domain: str | None, now: datetime | None = None) -> dict[str, object]:
    """Return the facts that modules return; all null, and no names, when the server was not asked (served is None)."""
    facts: dict[str, object] = {**dict.fromkeys(_FIELDS), "dns_names": []}
    if served is None:
        return facts
    found = served.certificate
    if found is None:
        return {**facts, "served": False, "error": served.error, "domain": domain}
    return {
        "served": True,
        "error": None,
        "domain": domain,
        "matches_domain": found.names_host(domain) if domain else None,
        "trusted": not served.trust_error,
        "trust_error": served.trust_error or None,
        "subject": found.subject,
        "issuer": found.issuer,
        "dns_names": list(found.dns_names),
        "not_before": clock.utc(found.not_before),
        "not_after": clock.utc(found.not_after),
        "days_left": found.days_left(now or datetime.now(timezone.utc)),
        "fingerprint_sha256": found.fingerprint_sha256,
    }


def _handshake(
    context: ssl.SSLContext, domain: str | None, port: int, address: str, seconds: float
) -> tuple[bytes | None, OSError | ValueError | None]:
    try:
        plain = socket.create_connection((address, port), timeout=seconds)
        with plain, context.wrap_socket(plain, server_hostname=domain or None) as secured:
            return secured.getpeercert(binary_form=True), None
    except (OSError, ValueError) as error:  # ValueError: the domain is not a possible host name
        return None, error


def _reason(error: OSError | ValueError | None) -> str:
    if isinstance(error, ssl.SSLError):
        return f"it does not speak TLS as expected ({error.reason or error})"
    return (getattr(error, "strerror", None) or str(error) or "it closed the connection") if error else "it closed the connection"
