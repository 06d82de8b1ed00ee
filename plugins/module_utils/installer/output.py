# SPDX-License-Identifier: GPL-3.0-or-later
"""Finds the cause of a failure in the installer's output. Private to the collection.

Texts of the product come from beliefs.py. The patterns below also cover spellings seen only in other people's scripts, and texts of
Java, PostgreSQL and Liquibase. They are approximate: an unknown text costs an explanation, but is never taken for a success.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from ansible_collections.esus.pec.plugins.module_utils import beliefs

_SIGNALS = 65
_KILL = 9


@dataclass(frozen=True)
class Cause:
    """The cause of a failure, with the installer's own text in the message, and the next thing to do."""

    code: str
    message: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.message}; {self.remedy}"


def find_cause(text: str) -> Cause | None:
    """Return the most specific known cause in the installer's output, or None.

    The cause quotes the output, which may carry secrets: redact it before it is shown.
    """
    for rule in _RULES:
        found = rule.pattern.search(text)
        if found is not None:
            groups = {name: (value or "").strip() for name, value in found.groupdict().items()}
            return Cause(rule.code, rule.message.format(said=_line(text, found), **groups), rule.remedy)
    return None


def last_lines(lines: Iterable[str], count: int = 15) -> list[str]:
    """Return the last lines, without empty ones and the frames of Java's stack traces."""
    useful = [line.rstrip() for line in lines if line.strip() and not _FRAME.match(line)]
    return useful[-count:]


def describe_end(returncode: int, *, timed_out: bool = False, timeout: float = 0) -> str:
    """Return how the installer ended, as the end of a sentence."""
    if timed_out:
        return f"did not end within {timeout:g} seconds and was stopped; give it more time with timeout (role: pec_install_timeout)"
    killed_by = -returncode if returncode < 0 else returncode - 128
    if returncode < 0:
        said = f"was killed by signal {killed_by}"
    elif 0 < killed_by < _SIGNALS:
        said = f"ended with exit code {returncode}, which means that signal {killed_by} killed it"
    else:
        return f"ended with exit code {returncode}"
    hint = "; journalctl -k shows whether the host ran out of memory" if killed_by == _KILL else ""
    return said + hint


@dataclass(frozen=True)
class _Rule:
    code: str
    pattern: re.Pattern[str]
    message: str
    remedy: str


def _line(text: str, found: re.Match[str]) -> str:
    start = text.rfind("\n", 0, found.start()) + 1
    end = text.find("\n", found.start())
    line = text[start : end if end >= 0 else len(text)].strip()
    return _LOG_PREFIX.sub("", line)


def _real(*texts: str) -> str:
    return "|".join(re.escape(text.rstrip(".")) for text in texts)


def _rule(code: str, pattern: str, message: str, remedy: str) -> _Rule:
    return _Rule(code, re.compile(pattern, re.IGNORECASE), message, remedy)


_FRAME = re.compile(r"\s+at [\w.$/]+\(|\s*\.\.\. \d+ (?:common frames|more)")
_LOG_PREFIX = re.compile(r"^(?:[A-Z]+\s+)?\d\d/\d\d/\d\d(?:\d\d)? \d\d:\d\d:\d\d \w+:\s*")

# The first that matches wins: specific causes precede the general text at the end of the output.
_RULES = (
    _rule("java_too_old", r"UnsupportedClassVersionError", "the Java that ran it is too old ({said})", "set java to a Java 17"),
    _rule(
        "heap",
        _real(beliefs.TEXT_OUT_OF_MEMORY) + r"|OutOfMemoryError",
        "Java had too little memory ({said})",
        "give it more with java_options, such as [-Xmx2g] (role: pec_install_installer_java_options), and look at the host's free memory",
    ),
    _rule(
        "disk_full",
        r"No space left on device|N[ãa]o h[áa] espa[çc]o dispon[íi]vel",
        "a disk is full ({said})",
        "free space or enlarge it, then run again",
    ),
    _rule(
        "scram",
        _real(beliefs.TEXT_SCRAM, beliefs.TEXT_SCRAM_ENGLISH) + r"|authentication type 10|autentica\S+ 10 n\S+o",
        "the database requires SCRAM, which PEC's driver does not support ({said})",
        "on the database server SET password_encryption = 'md5', give the role its password again, and use md5 in pg_hba.conf",
    ),
    _rule(
        "changeset",
        r"ChangeSet (?P<changeset>\S+::\S+?::\S+) " + _real(beliefs.TEXT_CHANGESET_FAILED) + r"\.?\s*(?P<why>[^\n]*)",
        "the migration stopped at the change set {changeset}: {why}",
        "keep the log and a backup of the database, and ask the support of e-SUS APS; do not edit the migration's tables",
    ),
    _rule(
        "checksum",
        r"(?P<changeset>\S+) was: (?P<was>\S+) " + _real(beliefs.TEXT_CHECKSUM) + r" (?P<now>\S+)",
        "the migration rejects the database: the change set {changeset} was: {was} but is now: {now}",
        "the migration's tables or the installer were changed; restore a backup, and do not edit the checksums",
    ),
    _rule(
        "migration_locked",
        r"Could not acquire change log lock",
        "another migration holds the database, or a killed one left its lock ({said})",
        "make sure that no other installer runs on this database, then free it: UPDATE tb_migracao_trava SET locked = false",
    ),
    _rule(
        "semaphores",
        _real(beliefs.TEXT_SEMAPHORES),
        "PostgreSQL lost its semaphores ({said})",
        "set RemoveIPC=no in /etc/systemd/logind.conf, restart systemd-logind and PostgreSQL, then run again",
    ),
    _rule(
        "locale",
        r"invalid value for parameter|invalid locale name",
        "PostgreSQL lacks a locale ({said})",
        "generate pt_BR.UTF-8, then run again",
    ),
    _rule(
        "database_login",
        r"password authentication failed|autentica\S+ do tipo senha falhou|role \S+ does not exist|no pg_hba\.conf entry"
        r"|permission denied for",
        "the database rejects the role ({said})",
        "correct the role, its password or its rights, then run again",
    ),
    _rule(
        "database_unreachable",
        r"n\S+o foi poss\S+vel conectar ao banco de dados|Connection to \S+ refused|Conex\S+o negada|UnknownHostException",
        "the database cannot be reached ({said})",
        "check that PostgreSQL runs, and that host and port are right",
    ),
    _rule(
        "directory",
        _real(beliefs.TEXT_NO_DIRECTORY),
        "it cannot use the directory that it was run in ({said})",
        "set work_directory to a real directory, not /",
    ),
    _rule(
        "not_root",
        _real(beliefs.TEXT_NOT_ROOT),
        "it does not see itself as root ({said})",
        "use become: true, and check that /bin/sh and id exist",
    ),
    _rule("os_family", _real(beliefs.TEXT_OS_FAMILY), "it does not support this system ({said})", "use a supported Linux distribution"),
    _rule(
        "not_systemd",
        r"Ess?t?a ferramenta suporta apenas",
        "it does not accept this system ({said})",
        "process 1 must be systemd, and 'file -L /sbin/init' must print 64-bit: install the packages procps and file",
    ),
    _rule(
        "headless",
        r"No X11 DISPLAY|HeadlessException",
        "it requires a display ({said})",
        "report this: it was called with -console, which should be enough",
    ),
    _rule(
        "unknown_option",
        r"Unmatched arguments?|Unknown options?",
        "it does not support one of its options ({said})",
        "report this with PEC's version",
    ),
    _rule(
        "database_version",
        r"n\S+o foi poss\S+vel obter a vers\S+o do banco de dados|n\S+o \S+ poss\S+vel prosseguir",
        "it rejects the database ({said})",
        "give it an empty database, or PEC's own of the same or an older version",
    ),
    _rule(
        "migration",
        _real(beliefs.TEXT_MIGRATION_FAILED),
        "the migration of the database failed ({said})",
        "see the lines above it in the log",
    ),
)
