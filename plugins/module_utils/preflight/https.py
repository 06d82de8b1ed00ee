# SPDX-License-Identifier: GPL-3.0-or-later
"""Rules for a certificate by PEC's certmgr, without reading anything. Private to the collection."""

from __future__ import annotations

from collections.abc import Iterator

from ansible_collections.esus.pec.plugins.module_utils import beliefs, brazil
from ansible_collections.esus.pec.plugins.module_utils.pec import installation
from ansible_collections.esus.pec.plugins.module_utils.preflight import host
from ansible_collections.esus.pec.plugins.module_utils.preflight.model import Facts, Finding, Wishes, error, warning


def version(facts: Facts, wishes: Wishes) -> Iterator[Finding]:
    here = wishes.wanted_version or facts.installed_version
    if (
        wishes.certificate_port is not None
        and here
        and installation.parse_version(here) < installation.parse_version(beliefs.CERTMGR_SINCE)
    ):
        yield error(
            "certmgr_version",
            f"PEC {here} has no certmgr, which exists since {beliefs.CERTMGR_SINCE}",
            "update PEC, or set pec_https_mode to keystore or proxy, with a certificate of your own",
        )


def domain(facts: Facts, wishes: Wishes) -> Iterator[Finding]:
    """The authority finds the server by the DNS, so this host's own hosts file does not count."""
    if wishes.certificate_port is None:
        return
    problems = brazil.domain_problems(wishes.domain)
    yield from (error("domain", problem, "correct pec_https_domain") for problem in problems)
    if problems or facts.domain_addresses is None:
        return
    ipv4 = [address for address in facts.domain_addresses if ":" not in address]
    if not facts.domain_addresses and facts.domain_resolves:
        yield warning(
            "domain_only_here",
            f"the DNS does not know {wishes.domain}, only this host's own hosts file does",
            "make sure that the public DNS has an A record with this server's public address",
        )
    elif not ipv4:
        yield error(
            "domain_unresolved",
            f"the DNS has no A record of {wishes.domain}" if facts.domain_addresses else f"the DNS does not know {wishes.domain}",
            "create an A record, without a port, with this server's public address, and wait until it is visible",
        )
    elif wishes.public_address and set(ipv4) != {wishes.public_address}:
        strange = ", ".join(address for address in ipv4 if address != wishes.public_address)
        yield error(
            "domain_elsewhere",
            f"{wishes.domain} resolves to {', '.join(ipv4)}, and this server's public address is {wishes.public_address}, not {strange}",
            "correct the A record, or pec_https_public_address",
        )
    yield from _ipv6(facts, wishes)


def _ipv6(facts: Facts, wishes: Wishes) -> Iterator[Finding]:
    found = [address for address in facts.domain_addresses or () if ":" in address]
    strange = [address for address in found if address not in facts.own_ipv6]
    if strange:
        yield error(
            "domain_elsewhere_ipv6",
            f"{wishes.domain} has an AAAA record with {', '.join(strange)}, not an address of this server, and the authority asks there",
            "remove the AAAA record, because PEC answers on IPv4 only",
        )
    elif found:
        yield warning(
            "domain_ipv6",
            f"{wishes.domain} has an AAAA record with {', '.join(found)}, and PEC answers on IPv4 only (java.net.preferIPv4Stack)",
            "remove the AAAA record, unless something else on this server answers there",
        )


RULES = (host.root, version, domain, host.certificate_ports)
