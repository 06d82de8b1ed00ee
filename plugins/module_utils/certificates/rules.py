# SPDX-License-Identifier: GPL-3.0-or-later
"""What has to be true of a certificate before PEC gets it, and what deserves attention although it works."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from ansible_collections.esus.pec.plugins.module_utils import brazil
from ansible_collections.esus.pec.plugins.module_utils.certificates import pkcs12, pkcs12_outside, x509

_RSA_BITS = 2048  # what ICP-Brasil issues since 2012
_EC_BITS = 256
_SIGNS = ("digitalSignature", "nonRepudiation")


@dataclass(frozen=True)
class Wanted:
    """What the operator says about the certificate. C(domain) makes it one for HTTPS; else PEC identifies itself by it."""

    expected_cnpj: str = ""
    domain: str = ""
    warn_days: int = 30


def problems(store: pkcs12.Store, wanted: Wanted, now: datetime) -> list[str]:
    """Return why this certificate would not work, one sentence each, most basic first."""
    leaf = store.leaf
    found = [*_key_problems(store), *validity_problems(leaf, now)]
    if leaf.is_ca:
        found.append(f"{leaf.holder} is the certificate of an authority, not one of its holders'; export the holder's with its private key")
    usage = "serverAuth" if wanted.domain else "clientAuth"
    if leaf.extended_key_usage and usage not in leaf.extended_key_usage and "any" not in leaf.extended_key_usage:
        purpose = "a server of HTTPS" if wanted.domain else "a client, which is what PEC is for the RNDS"
        found.append(f"it is not made for {purpose}: its uses are {', '.join(leaf.extended_key_usage)}, not {usage}; ask for another kind")
    if wanted.domain and not leaf.names_host(wanted.domain):
        names = ", ".join(leaf.dns_names) or "no domain at all"
        found.append(f"it is not made out to {wanted.domain} but to {names}; browsers would refuse it. Ask for one with that name")
    if wanted.expected_cnpj.strip():
        found += _cnpj_mismatch(leaf, wanted.expected_cnpj)
    return found


def remarks(store: pkcs12.Store, wanted: Wanted, now: datetime) -> list[str]:
    """Return what does not keep it from being installed, but should be known."""
    leaf, days = store.leaf, store.leaf.days_left(now)
    found = []
    if days < wanted.warn_days:
        found.append(f"the certificate of {leaf.holder} expires in {days} days, on {moment(leaf.not_after)}; ask for the next one now")
    if (leaf.key_type == "RSA" and leaf.key_bits < _RSA_BITS) or (leaf.key_type == "EC" and leaf.key_bits < _EC_BITS):
        found.append(f"its {leaf.key_type} key has {leaf.key_bits} bits, which others may refuse as too weak")
    if leaf.key_usage and not any(usage in leaf.key_usage for usage in _SIGNS):
        found.append(f"its key is not meant for signing (key usage: {', '.join(leaf.key_usage)}), which a connection over TLS needs")
    if leaf.self_signed:
        found.append("nobody but its holder vouches for it (self-signed); the RNDS and browsers accept only those of known authorities")
    elif not store.chain_complete:
        missing = "a certificate of its authorities is missing" if store.chain else "the certificates of its authorities are missing"
        found.append(f"{missing} (issuer: {leaf.issuer}); who does not know them already will refuse it. Export it with the whole chain")
    expired = [each for each in store.chain if each.not_after <= now]
    found += [f"the certificate of the authority {each.holder} expired on {moment(each.not_after)}" for each in expired]
    cnpj = leaf.identity.cnpj
    if cnpj and brazil.cnpj_problems(cnpj):
        found.append(f"what the certificate gives as CNPJ is not one: {brazil.cnpj_problems(cnpj)[0]}")
    if store.encryption == pkcs12_outside.LEGACY:
        found.append(
            f"the file is encrypted in an old way ({', '.join(dict.fromkeys(store.ciphers))}) that some programs no longer read; "
            "PEC's Java does. reencrypt: java8 writes it anew"
        )
    return found


def validity_problems(certificate: x509.Certificate, now: datetime) -> list[str]:
    """Return whether it is too early or too late for the certificate."""
    if certificate.not_after <= now:
        return [
            f"the certificate of {certificate.holder} expired on {moment(certificate.not_after)}, {-certificate.days_left(now)} days ago; "
            "ask for a new one and install that"
        ]
    if certificate.not_before > now:
        return [
            f"the certificate of {certificate.holder} is valid only from {moment(certificate.not_before)}, and the clock of this server "
            f"says {moment(now)}; check the clock (timedatectl), or wait"
        ]
    return []


def moment(time: datetime) -> str:
    """Return a time as people read it."""
    return time.strftime("%Y-%m-%d %H:%M UTC")


def _key_problems(store: pkcs12.Store) -> list[str]:
    if store.key_id is None:
        return ["there is no private key in it; export the certificate again with its private key, or ask who issued it for the .pfx"]
    if store.keys > 1:
        return [f"there are {store.keys} private keys in it, and PEC could take the wrong one; export each into a file of its own"]
    if not store.key_matches:
        return [f"the private key in it does not belong to the certificate of {store.leaf.holder}; whoever made the file mixed two up"]
    return []


def _cnpj_mismatch(leaf: x509.Certificate, expected: str) -> list[str]:
    wrong = brazil.cnpj_problems(expected)
    if wrong:
        return [f"expected_cnpj: {wrong[0]}"]
    cnpj = leaf.identity.cnpj
    if cnpj is None:
        return [f"it names no CNPJ (its holder is {leaf.holder}), and {brazil.cnpj_formatted(expected)} was expected"]
    if brazil.cnpj_plain(cnpj) == brazil.cnpj_plain(expected):
        return []
    return [f"it belongs to the CNPJ {brazil.cnpj_formatted(cnpj)} ({leaf.holder}), and {brazil.cnpj_formatted(expected)} was expected"]
