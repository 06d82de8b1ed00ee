# SPDX-License-Identifier: GPL-3.0-or-later
"""Judges what was seen (Facts) against what is wanted (Wishes), without reading the host. Private to the collection.

Every rule yields all its findings, so that an operator corrects everything in one go.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace

from ansible_collections.esus.pec.plugins.module_utils import beliefs, brazil
from ansible_collections.esus.pec.plugins.module_utils.pec import installation
from ansible_collections.esus.pec.plugins.module_utils.preflight import host, https
from ansible_collections.esus.pec.plugins.module_utils.preflight.database import database_rules, in_use
from ansible_collections.esus.pec.plugins.module_utils.preflight.host import count
from ansible_collections.esus.pec.plugins.module_utils.preflight.model import (
    VERSION,
    Address,
    Facts,
    Finding,
    Wishes,
    error,
    jar_name,
    warning,
)

INSTALLATION_TYPES = ("PRONTUARIO", "CENTRALIZADORA")


def judge(facts: Facts, wishes: Wishes) -> tuple[Finding, ...]:
    """Return every finding, errors first; an accepted error becomes a warning."""
    found = [_accept(finding, wishes.accepted) for check in wishes.checks for rule in RULES[check] for finding in rule(facts, wishes)]
    return tuple(sorted(found, key=lambda finding: finding.severity != "error"))


def describe(findings: tuple[Finding, ...]) -> str:
    """Return one line for each finding, under a line that counts them."""
    errors = sum(finding.severity == "error" for finding in findings)
    warnings = len(findings) - errors
    total = f"{count(errors, 'error')}, {count(warnings, 'warning')}"
    heading = f"This host is not ready for PEC: {total}. Correct every error, then run again."
    return "\n".join([heading, *(f"{finding.severity.upper()} {finding}" for finding in findings)])


def _accept(finding: Finding, accepted: tuple[str, ...]) -> Finding:
    if finding.severity == "error" and finding.code in accepted:
        return replace(finding, severity="warning", message=f"{finding.message} (accepted)")
    return finding


def _jar(_facts: Facts, wishes: Wishes) -> Iterator[Finding]:
    if wishes.jars is None:
        return
    ways = "pec_install_jar_url (with pec_install_jar_sha256), pec_install_jar_file or pec_install_jar_path"
    if not wishes.jars:
        yield error("no_jar", "no installer is named", f"set one of {ways}")
    if len(wishes.jars) > 1:
        yield error("many_jars", f"{len(wishes.jars)} installers are named: {', '.join(wishes.jars)}", f"set exactly one of {ways}")
    if wishes.jar_sha256 and not re.fullmatch(r"\s*[0-9a-fA-F]{64}\s*", wishes.jar_sha256):
        yield error(
            "sha256",
            f"{wishes.jar_sha256!r} is not a SHA-256; it has 64 hexadecimal digits",
            "correct pec_install_jar_sha256 from a source that you trust",
        )
    for jar in wishes.jars:
        name = jar_name(jar)["name"]
        if jar_name(jar)["platform"] == "Win":
            yield error("windows_jar", f"{name} is the installer for Windows", "use the one whose name ends in -Linux64.jar")
    if wishes.jar_url and not wishes.jar_sha256:
        unknown = f"{jar_name(wishes.jar_url)['name']} is downloaded, but its SHA-256 is not known"
        yield error("no_sha256", unknown, "set pec_install_jar_sha256 from a source that you trust")


def _jar_content(facts: Facts, wishes: Wishes) -> Iterator[Finding]:
    known = tuple(finding.message for finding in _jar(facts, wishes))
    for option, problem in (("jar_path", facts.jar_problem), ("jar_file", wishes.jar_problem)):
        if problem and not problem.startswith(known):
            message, _semicolon, remedy = problem.rpartition("; ")
            yield error("jar", f"{option}: {message or remedy}", remedy if message else f"correct {option}")
    if facts.download_problem:
        yield error("jar_url", *facts.download_problem)


def _version(_facts: Facts, wishes: Wishes) -> Iterator[Finding]:
    if wishes.version and not re.fullmatch(VERSION, wishes.version):
        yield error("version", f"{wishes.version!r} is not a version of PEC", "set pec_install_version to three numbers, such as 5.4.37")


def _installed(facts: Facts, wishes: Wishes) -> Iterator[Finding]:
    here, wanted = facts.installed_version, wishes.wanted_version
    if facts.installed_state == "broken":
        yield warning(
            "installation_broken",
            f"PEC's installation on this host is not complete: {'; '.join(facts.installed_reasons)}",
            "the installation goes on from there; if it fails, these are the first things to look at",
        )
    if not here or not wanted:
        return
    if installation.parse_version(wanted) < installation.parse_version(here):
        yield error(
            "downgrade",
            f"PEC {here} is installed here and the requested {wanted} is older; PEC cannot be downgraded",
            f"request {here} or newer, or restore a backup that was made with {wanted}",
        )
    elif installation.parse_version(wanted) > installation.parse_version(here) and not wishes.update:
        yield error(
            "update_not_allowed",
            f"PEC {here} is installed here and {wanted} is requested; an update changes the database and cannot be undone",
            "make a backup and try to restore it, then set pec_install_update: true",
        )


def _domain(facts: Facts, wishes: Wishes) -> Iterator[Finding]:
    needed = wishes.certificate_port is not None
    problems = brazil.domain_problems(wishes.domain) if wishes.domain or needed else []
    yield from (error("domain", problem, "correct pec_domain") for problem in problems)
    if not problems and facts.domain_resolves is False and not wishes.hosts_entry and facts.link_state != "unresolved":
        yield warning(
            "domain_unresolved",
            f"this host cannot resolve {wishes.domain}, and PEC rejects a link that it cannot open itself",
            "correct the DNS, or set pec_prerequisites_hosts_entry: true",
        )


def _first_run(_facts: Facts, wishes: Wishes) -> Iterator[Finding]:
    wanted = wishes.first_run
    if wanted is None:
        return
    if not wanted.name.strip():
        yield error("first_run_name", "the name of the installation is empty", "set pec_first_run_name, such as the município's name")
    if not wanted.link.strip() and not wishes.domain:
        yield error("first_run_link", "there is no link under which people open PEC", "set pec_domain, or pec_first_run_link")
    for problem in brazil.link_problems(wanted.link.strip()) if wanted.link.strip() else []:
        yield error("first_run_link", problem, "correct pec_first_run_link")
    if wanted.type not in INSTALLATION_TYPES:
        types = " or ".join(INSTALLATION_TYPES)
        yield error("first_run_type", f"PEC has no installation of the type {wanted.type!r}", f"set pec_first_run_type to {types}")
    if not wanted.instalador_name.strip():
        yield error("instalador_name", "the name of the instalador is empty", "set pec_first_run_instalador_name to the person's full name")
    for problem in brazil.cpf_problems(wanted.instalador_cpf):
        yield error("instalador_cpf", problem, "correct pec_instalador_cpf")
    for problem in brazil.instalador_password_problems(wanted.instalador_password, wanted.instalador_name, wanted.instalador_cpf):
        yield error("instalador_password", problem, "choose a pec_instalador_password that PEC accepts")


def _link(facts: Facts, wishes: Wishes) -> Iterator[Finding]:
    """PEC opens the link at the end of the installation, and rejects what it cannot open."""
    link = wishes.link
    if link is None:
        return
    https = wishes.https.address if wishes.https else None
    if facts.link_state == "unresolved":
        yield error(
            "link_unresolved",
            f"this host cannot resolve {link.host}, and PEC rejects a link that it cannot open itself",
            "correct the DNS, or set pec_prerequisites_hosts_entry: true, which is for pec_domain",
        )
    elif facts.link_state == "unanswered":
        plain = Address("http", link.host, beliefs.HTTP_PORT)
        remedy = f"set pec_first_run_link to {https or plain}"
        if link.scheme == "https" and https is None:
            remedy = f"set pec_https_mode, so that esus.pec.configure provides HTTPS and then changes the link, or {remedy}"
        yield error("link_unanswered", f"nothing answers at {link}, and PEC rejects a link that it cannot open itself", remedy)
    elif https and link.scheme == "http" and link.host == https.host:
        yield warning(
            "link_without_https",
            f"the link is {link}, and HTTPS will be at {https}",
            f"set pec_first_run_link to {https}; until HTTPS is there, the first run uses a link with http",
        )


def _database(facts: Facts, wishes: Wishes) -> Iterator[Finding]:
    yield from in_use(facts, wishes.database)
    yield from database_rules(facts.database, wishes.database, wishes.wanted_version, update=wishes.update)


RULES: dict[str, tuple[Callable[[Facts, Wishes], Iterator[Finding]], ...]] = {
    "host": host.RULES,
    "installation": (_jar, _jar_content, _version, _installed),
    "site": (_domain, _first_run, _link),
    "database": (_database,),
    "https": (*https.RULES, _jar_content),
}

BEFORE_INSTALLING = ("host", "installation", "site", "database")
