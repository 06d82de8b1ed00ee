# SPDX-License-Identifier: GPL-3.0-or-later
"""Judges a transfer before it begins, from the pictures of both servers, without reading anything. Private to the collection.

Every rule yields all its findings, so that an operator corrects everything in one go.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from ansible_collections.esus.pec.plugins.module_utils.errors import PecError, printable
from ansible_collections.esus.pec.plugins.module_utils.pec import installation
from ansible_collections.esus.pec.plugins.module_utils.postgres.psql import DatabaseFacts
from ansible_collections.esus.pec.plugins.module_utils.preflight.database import database_rules
from ansible_collections.esus.pec.plugins.module_utils.preflight.host import count
from ansible_collections.esus.pec.plugins.module_utils.preflight.model import DatabaseSeen, DatabaseWanted, Finding, error, warning
from ansible_collections.esus.pec.plugins.module_utils.system import host
from ansible_collections.esus.pec.plugins.module_utils.transfer import modes
from ansible_collections.esus.pec.plugins.module_utils.transfer.modes import Choice, Options
from ansible_collections.esus.pec.plugins.module_utils.transfer.picture import Database, Picture

CLOCKS = 60
"""Seconds that two clocks may differ."""
EXPIRES = 30
"""Days before the end of a certificate that it is worth a warning."""
_ORDER = {"error": 0, "warning": 1, "note": 2}


@dataclass(frozen=True)
class Case:
    """A transfer: both servers (no source if it is a file), what is wanted, and the mode."""

    source: Picture | None
    target: Picture
    options: Options
    choice: Choice

    @property
    def old(self) -> Database | None:
        """The old database, if it could be read."""
        database = self.source.database if self.source else None
        return database if database and database.error is None else None


@dataclass(frozen=True)
class Judgement:
    """Everything that was found, errors first, with the mode and the expected downtime in seconds (None if nothing is known)."""

    findings: tuple[Finding, ...]
    choice: Choice
    downtime_seconds: int | None
    downtime_basis: str


def judge(source: Picture | None, target: Picture, options: Options) -> Judgement:
    """Judge a transfer. An accepted error becomes a warning."""
    case = Case(source, target, options, modes.choose(source, target, options))
    found = [_accept(finding, options.accepted) for rule in RULES for finding in rule(case)]
    seconds, basis = modes.downtime(case.choice.mode, source, options)
    return Judgement(tuple(sorted(found, key=lambda finding: _ORDER[finding.severity])), case.choice, seconds, basis)


def describe(judgement: Judgement) -> str:
    """Return one line for each finding, under a line that counts them."""
    errors = sum(finding.severity == "error" for finding in judgement.findings)
    warnings = sum(finding.severity == "warning" for finding in judgement.findings)
    heading = f"PEC cannot be transferred yet: {count(errors, 'error')}, {count(warnings, 'warning')}. Correct every error, then run again."
    shown = [finding for finding in judgement.findings if finding.severity != "note"]
    return "\n".join([heading, *(f"{finding.severity.upper()} {finding}" for finding in shown)])


def note(code: str, message: str, remedy: str) -> Finding:
    """Return what an operator should know and need not correct."""
    return Finding("note", code, message, remedy)


def _accept(finding: Finding, accepted: tuple[str, ...]) -> Finding:
    clean = replace(finding, message=printable(finding.message), remedy=printable(finding.remedy))
    if clean.severity == "error" and clean.code in accepted:
        return replace(clean, severity="warning", message=f"{clean.message} (accepted)")
    return clean


def _read(case: Case) -> Iterator[Finding]:
    """What could not be read is no reason to stop, except for the database."""
    if case.source is None:
        return
    if case.old is None:
        reason = case.source.database.error if case.source.database and case.source.database.error else "nothing names it"
        yield error(
            "source_database", f"the database of the old server cannot be read: {reason}", "correct that, because nothing moves without it"
        )
    elif case.old.pec_version is None:
        yield error(
            "source_no_pec",
            f"the database {case.old.name!r} of the old server holds no version of PEC",
            "check which database PEC uses there",
        )
    for each in case.source.unread:
        if not each.startswith("the database:"):
            yield warning("source_unread", f"of the old server could not be read: {each}", "look whether it matters, and move it by hand")
    for each in case.source.pec.reasons:
        if each not in case.source.unread:
            yield warning(
                "source_broken", f"the old installation: {each}", "the transfer does not depend on it; it is no better afterwards"
            )


def _mode(case: Case) -> Iterator[Finding]:
    for each in case.choice.obstacles:
        yield error("mode", f"the mode {case.choice.mode} is impossible: {each}", "choose another pec_transfer_mode, or auto")
    if case.choice.mode != modes.PHYSICAL or case.source is None:
        return
    crossed = modes.glibc_crossed(case.source, case.target)
    if crossed:
        yield warning("reindex", f"{crossed}; every index on texts is built again", "count the time for it")
    if not (case.source.platform.glibc and case.target.platform.glibc):
        yield error(
            "glibc_unknown", "the C library of one of the servers is not known, so an index may be wrong afterwards", "choose stream"
        )
    for name, picture in (("old", case.source), ("new", case.target)):
        if picture.rsync is False:
            yield note("rsync", f"rsync is not installed on the {name} server", "nothing to do; the transfer installs the package")
    if case.old and case.old.other_databases:
        others = ", ".join(case.old.other_databases)
        yield warning(
            "other_databases", f"a physical copy takes the server's other databases along: {others}", "drop them afterwards if not wanted"
        )


def _versions(case: Case) -> Iterator[Finding]:
    """The new server gets the same version of PEC or a newer one. The messages are those of an installation."""
    old = case.old
    if old is None or old.pec_version is None:
        return
    try:
        installation.parse_version(old.pec_version)
        wanted = case.options.version or max(case.target.pec.version or old.pec_version, old.pec_version, key=installation.parse_version)
        newer = installation.parse_version(wanted) > installation.parse_version(old.pec_version)
    except PecError as problem:
        yield error("version", str(problem), "correct pec_version")
        return
    place = DatabaseWanted("external", old.host, old.port, old.name, old.username, "unused")
    judged = database_rules(DatabaseSeen(facts=_facts(old)), place, wanted, update=True)
    yield from (finding for finding in judged if finding.code == "database_newer")
    if newer:
        yield note(
            "update_follows",
            f"PEC {old.pec_version} is migrated to {wanted} on the new server, which counts as downtime and cannot be undone there",
            "rehearse it first",
        )
    here = case.target.pec.version
    if here and case.target.pec.state == "installed" and installation.parse_version(here) < installation.parse_version(old.pec_version):
        yield error(
            "target_older",
            f"PEC {here} is installed on the new server, and the database is at {old.pec_version}; PEC cannot be downgraded",
            f"install {old.pec_version} there, by pec_install_update: true",
        )
    files = case.source.pec.version if case.source else None
    if files and files != old.pec_version:
        yield warning(
            "source_versions",
            f"the files of the old server are PEC {files}, and its database is at {old.pec_version}",
            "make PEC work there first: it does not start like this",
        )


def _servers(case: Case) -> Iterator[Finding]:
    old = case.old
    if old is None:
        return
    new, major = case.target.database, modes.major(old)
    # A physical copy has the identifier of its source, and not its start.
    if new and new.system_identifier and (new.system_identifier, new.started, new.name) == (old.system_identifier, old.started, old.name):
        yield error("same_server", "both names lead to the same database", "correct pec_transfer_source: it names the new server itself")
    version = modes.target_major(case.target, case.options)
    if version and version < major:
        yield error(
            "server_older",
            f"the old server has PostgreSQL {old.server_version}, newer than the one of the new server",
            "set pec_database_mode to managed, or install a newer PostgreSQL; what a newer one dumped an older one may not understand",
        )
    clients = [client for client in case.target.clients if _client_major(client) >= major]
    if case.choice.mode in (modes.STREAM,) and case.target.clients and not clients:
        yield error(
            "client_older",
            f"no pg_dump of the new server ({', '.join(case.target.clients)}) can read PostgreSQL {old.server_version}",
            "install a newer postgresql-client there",
        )
    if old.superuser is False and case.choice.mode != modes.PHYSICAL:
        yield note(
            "no_superuser",
            f"PEC's role {old.username!r} is no superuser",
            "if it may not read a table, the transfer says so before anything is stopped",
        )


def _texts(case: Case) -> Iterator[Finding]:
    old = case.old
    if old is None:
        return
    if old.encoding not in (None, "UTF8"):
        yield warning(
            "encoding",
            f"the old database is in {old.encoding}, and the new one is in UTF8; what cannot be converted fails before anything is renamed",
            "rehearse it first",
        )
    if old.collation and not old.collation.startswith("pt_BR") and case.choice.mode != modes.PHYSICAL:
        yield note("collation", f"the old database sorts by {old.collation}, and the new one by pt_BR.UTF-8", "nothing to do")


def _clocks(case: Case) -> Iterator[Finding]:
    if case.source is None:
        return
    old, new = case.source.platform, case.target.platform
    for name, each in (("old", old), ("new", new)):
        ahead = each.clock_ahead_seconds
        if ahead is not None and abs(ahead) > CLOCKS:
            word = "ahead of" if ahead > 0 else "behind"
            yield warning(
                "clock",
                f"the clock of the {name} server is {abs(ahead):.0f} seconds {word} the controller's",
                "let NTP set it; Gov.br and certificates require the right time",
            )
    if None not in (old.utc_offset_minutes, new.utc_offset_minutes) and old.utc_offset_minutes != new.utc_offset_minutes:
        yield warning(
            "timezone",
            f"the time zone is {old.timezone} on the old server and {new.timezone} on the new one, and PEC stores local times",
            "set pec_timezone to that of the município",
        )


def _addresses(case: Case) -> Iterator[Finding]:
    if case.source is None:
        return
    pec = case.source.pec
    domain = pec.https_domain or _host_of(pec.installation_link)
    wanted = case.options.domain.lower()
    if pec.https_days_left is not None and pec.https_days_left < EXPIRES:
        state = "has expired" if pec.https_days_left < 0 else f"expires in {count(pec.https_days_left, 'day')}"
        yield warning("https_expires", f"the HTTPS certificate of the old server {state}", "renew it before or right after the transfer")
    if pec.https_mode == "certmgr" and not (wanted and domain and wanted != domain.lower()):
        yield note(
            "certmgr",
            f"PEC obtains the certificate of {domain or 'its domain'} by itself, and the authority asks the address that the DNS has",
            "change the DNS right after the cutover, and keep ports 80 and 443 of the new server open",
        )
    if wanted and domain and wanted != domain.lower():
        yield warning(
            "domain_changes",
            f"PEC has the domain {domain}, and the new server is to have {wanted}",
            "tell the people who use it; the link of the installation is changed by the transfer",
        )
        if pec.govbr:
            yield warning(
                "govbr_redirects",
                f"the login with Gov.br is registered for {domain}",
                f"ask Gov.br to register the addresses of {wanted} before the transfer",
            )


def _belongings(case: Case) -> Iterator[Finding]:
    """What is not in the database and may need a hand."""
    if case.source is None:
        return
    pec = case.source.pec
    if pec.training:
        yield warning("training", "the old PEC is a training installation", "check that it is the one to move")
    if not pec.contra_chaves:
        yield note(
            "contra_chave",
            "no contra-chave of the old server is known to this collection; what PEC knows of one is in its database",
            "have the contra-chave at hand, because e-Gestor may ask for it again",
        )
    for each in pec.certificates:
        days, path = each.get("days_left"), each.get("path")
        if isinstance(days, int) and days < EXPIRES:
            state = "has expired" if days < 0 else f"expires in {count(days, 'day')}"
            yield warning(
                "certificate_expires", f"the certificate {path} {state}", "ask for a new one; PEC does not reach the RNDS without it"
            )
    for place in pec.directories:
        yield note(
            "directory",
            f"{place.get('key')} names {place.get('path')}, which is outside of PEC's directory",
            "list it in pec_transfer_attachments if PEC keeps files there",
        )


def _target(case: Case) -> Iterator[Finding]:
    target = case.target
    data = target.database if target.database and target.database.error is None else None
    if data and data.table_count and target.pec.installation_link and not case.options.replace:
        yield error(
            "target_in_use",
            f"the new server has a PEC in use already: {target.pec.installation_name or 'one'} at {target.pec.installation_link}",
            "set pec_transfer_replace: true if its data is to be replaced; it is kept under another name",
        )
    if case.source and target.pec.state == "absent":
        taken = sorted({*case.source.pec.ports} & {*target.listening})
        for port in taken:
            yield error("port_taken", f"port {port} of the new server is taken, and PEC needs it", "stop what listens on it")


def _disks(case: Case) -> Iterator[Finding]:
    """Needs on one file system add up."""
    needs = modes.room(case.choice.mode, case.source)
    for name, picture in (("source", case.source), ("target", case.target)):
        if picture is None or not picture.disks:
            continue
        wanted = needs.get(name, {})
        for filesystem in sorted({disk.filesystem for disk in picture.disks}):
            disks = [disk for disk in picture.disks if disk.filesystem == filesystem and disk.purpose in wanted]
            needed = sum(wanted[disk.purpose] for disk in disks)
            if disks and needed > host.Disk(disks[0].path, disks[0].total_bytes, disks[0].free_bytes).spare_bytes:
                where = " and ".join(dict.fromkeys(disk.path for disk in disks))
                yield error(
                    f"{name}_disk",
                    f"the mode {case.choice.mode} needs {host.describe_size(needed)} on the filesystem of {where} of the "
                    f"{'old' if name == 'source' else 'new'} server, which has {host.describe_size(disks[0].free_bytes)} free",
                    "free space or enlarge it" + ("" if case.choice.mode == modes.STREAM else ", or choose stream, which writes no file"),
                )


def _host_of(link: str | None) -> str | None:
    try:
        return urlsplit(link or "").hostname
    except ValueError:
        return None


def _client_major(version: str) -> int:
    numbers = [int(part) for part in version.split(".") if part.isascii() and part.isdigit()]
    if not numbers:
        return 0
    return numbers[0] * 100 + (numbers[1] if numbers[0] < 10 and len(numbers) > 1 else 0)


def _facts(old: Database) -> DatabaseFacts:
    return DatabaseFacts(
        server_version=old.server_version or "",
        server_version_num=old.server_version_num,
        size_bytes=old.size_bytes,
        encoding="UTF8",
        collation=old.collation or "",
        ctype=old.ctype or "",
        table_count=old.table_count,
        is_pec=True,
        pec_version=old.pec_version,
        training=None,
        installation_name=None,
        installation_link=None,
        installation_type=None,
    )


RULES: tuple[Callable[[Case], Iterator[Finding]], ...] = (
    _read,
    _mode,
    _versions,
    _servers,
    _target,
    _disks,
    _texts,
    _clocks,
    _addresses,
    _belongings,
)
