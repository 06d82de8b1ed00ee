# SPDX-License-Identifier: GPL-3.0-or-later
"""The rules for a certificate: problems that keep it from working, and remarks on one that works. Private to the collection."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Dict

from ansible_collections.esus.pec.plugins.module_utils import brazil
from ansible_collections.esus.pec.plugins.module_utils.certificates import pkcs12, pkcs12_envelope, x509
from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.system import clock

_RSA_BITS = 2048  # what ICP-Brasil issues since 2012
_EC_BITS = 256
_SIGNS = ("digitalSignature", "nonRepudiation")
_SIGNS_CERTIFICATES = ("keyCertSign", "cRLSign")

Problems = Dict[str, str]
"""A sentence for each problem, by the code that modules return in C(problems)."""


@dataclass(frozen=True)
class Wanted:
    """What the certificate is for: HTTPS of C(domain), or without one to identify PEC as a client."""

    expected_cnpj: str = ""
    domain: str = ""
    warn_days: int = 30


def problems(store: pkcs12.Store, wanted: Wanted, now: datetime) -> Problems:
    """Return why this certificate would not work, most basic first."""
    leaf = store.leaf
    found = {**_key_problems(store), **validity_problems(leaf, now)}
    if leaf.is_ca and not _is_its_own_authority(store):
        found["authority"] = f"{leaf.holder} is a certificate authority; export the certificate that it issued, with its private key"
    usage = "serverAuth" if wanted.domain else "clientAuth"
    if leaf.extended_key_usage and usage not in leaf.extended_key_usage and "any" not in leaf.extended_key_usage:
        purpose = "an HTTPS server" if wanted.domain else "a client, which PEC is for the RNDS"
        uses = ", ".join(leaf.extended_key_usage)
        found["wrong_purpose"] = f"the certificate is not for {purpose}: its uses are {uses}, not {usage}; request one of that kind"
    if wanted.domain:
        found.update(domain_problems(leaf, wanted.domain))
    if wanted.expected_cnpj.strip():
        found.update(_cnpj_problems(leaf, wanted.expected_cnpj))
    return found


def remarks(store: pkcs12.Store, wanted: Wanted, now: datetime) -> list[str]:
    """Return what does not prevent the installation, but deserves attention."""
    leaf, days = store.leaf, store.leaf.days_left(now)
    found = []
    if days < wanted.warn_days:
        found.append(f"the certificate of {leaf.holder} expires in {days} days, on {clock.human(leaf.not_after)}; request the next one now")
    if (leaf.key_type == "RSA" and leaf.key_bits < _RSA_BITS) or (leaf.key_type == "EC" and leaf.key_bits < _EC_BITS):
        found.append(f"its {leaf.key_type} key has {leaf.key_bits} bits, which others may reject as too weak")
    if leaf.key_usage and not any(usage in leaf.key_usage for usage in _SIGNS):
        found.append(f"its key is not for signing (key usage: {', '.join(leaf.key_usage)}), which TLS requires")
    if leaf.self_signed:
        found.append("it is self-signed; the RNDS and browsers accept only certificates of known authorities")
    elif not store.chain_complete:
        missing = "a certificate of its authorities is missing" if store.chain else "the certificates of its authorities are missing"
        found.append(f"{missing} (issuer: {leaf.issuer}), so programs that do not know them will reject it; export it with the whole chain")
    expired = [each for each in store.chain if each.not_after <= now]
    found += [f"the certificate of the authority {each.holder} expired on {clock.human(each.not_after)}" for each in expired]
    cnpj = leaf.identity.cnpj
    if cnpj and brazil.cnpj_problems(cnpj):
        found.append(f"the CNPJ in the certificate is not valid: {brazil.cnpj_problems(cnpj)[0]}")
    if store.encryption == pkcs12_envelope.LEGACY:
        ciphers = ", ".join(dict.fromkeys(store.ciphers))
        found.append(f"the file uses old encryption ({ciphers}), which PEC's Java reads but some programs do not; see reencrypt: java8")
    return found


def validity_problems(certificate: x509.Certificate, now: datetime) -> Problems:
    """Return why the certificate is not valid now."""
    whose = f"the certificate of {certificate.holder}"
    if certificate.not_after <= now:
        days = -certificate.days_left(now)
        return {"expired": f"{whose} expired on {clock.human(certificate.not_after)}, {days} days ago; request a new one and install it"}
    if certificate.not_before > now:
        times = f"from {clock.human(certificate.not_before)}, and this server's clock shows {clock.human(now)}"
        return {"not_yet_valid": f"{whose} is valid only {times}; check the clock (timedatectl), or wait"}
    return {}


def domain_problems(certificate: x509.Certificate, domain: str) -> Problems:
    """Return why browsers would not accept the certificate for a domain."""
    if certificate.names_host(domain):
        return {}
    names = ", ".join(certificate.dns_names) or "no domain"
    return {"wrong_domain": f"the certificate is for {names}, not for {domain}, so browsers would reject it; request one for that domain"}


def foreign_key(certificate: x509.Certificate) -> Problems:
    return {"foreign_key": f"the private key does not belong to the certificate of {certificate.holder}; export both together again"}


def refuse(found: Mapping[str, str]) -> None:
    """Raise PecError with all problems, if there are any; their codes are its facts."""
    if found:
        raise PecError("; ".join(found.values()), problems=list(found))


def _key_problems(store: pkcs12.Store) -> Problems:
    if store.key_id is None:
        return {"no_key": "the file contains no private key; export it again with the private key, or ask the issuer for the .pfx"}
    if store.keys > 1:
        return {"several_keys": f"the file contains {store.keys} private keys, and PEC could use the wrong one; export one alone"}
    return {} if store.key_matches else foreign_key(store.leaf)


def _is_its_own_authority(store: pkcs12.Store) -> bool:
    """Return whether it is a certificate by openssl req -x509, which is marked as an authority's and used by a server all the same."""
    leaf = store.leaf
    for_certificates_only = bool(leaf.key_usage) and set(leaf.key_usage) <= set(_SIGNS_CERTIFICATES)
    return leaf.self_signed and not for_certificates_only and not any(each.issuer == leaf.subject for each in store.chain)


def _cnpj_problems(leaf: x509.Certificate, expected: str) -> Problems:
    wrong, cnpj = brazil.cnpj_problems(expected), leaf.identity.cnpj
    if wrong:
        return {"expected_cnpj": f"expected_cnpj: {wrong[0]}"}
    whose = f"is for the CNPJ {brazil.cnpj_formatted(cnpj)} ({leaf.holder})" if cnpj else f"of {leaf.holder} contains no CNPJ"
    if cnpj and brazil.cnpj_plain(cnpj) == brazil.cnpj_plain(expected):
        return {}
    code = "other_cnpj" if cnpj else "no_cnpj"
    return {code: f"the certificate {whose}, and {brazil.cnpj_formatted(expected)} was expected; install the right one"}
