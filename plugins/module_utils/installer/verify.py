# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether the installer did what it says: an exit code of 0 is no proof, and a failure deserves its cause."""

from __future__ import annotations

from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.installer.output import describe_end, find_cause, last_lines
from ansible_collections.esus.pec.plugins.module_utils.installer.running import Run
from ansible_collections.esus.pec.plugins.module_utils.pec import installation
from ansible_collections.esus.pec.plugins.module_utils.postgres import psql
from ansible_collections.esus.pec.plugins.module_utils.postgres.psql import Connection
from ansible_collections.esus.pec.plugins.module_utils.redact import Redactor


class InstallerError(PecError):
    """The installer ran and PEC is not as it should be; C(details) are what a program wants to know of it."""

    def __init__(self, message: str, **details: object) -> None:
        super().__init__(message)
        self.details = details


def what_is_missing(version: str, database: Connection | None) -> list[str]:
    """Return what contradicts that this version is installed, by PEC's files and by SQL; empty when nothing does.

    database is the one that was asked for, None for the one that the installer brought.
    """
    here = installation.discover()
    if here.state == "absent":
        return [f"there is no PEC: neither {installation.CONFIG_FILE} nor {installation.HOMES[0]}"]
    problems = _contradictions(here, version, database)
    if problems and here.config_file:
        # S (FD): with an external database it is deleted to have the installer run at all
        problems.append(
            f"an installer that finds {here.config_file} may believe that nothing is left to do: move it aside if this persists"
        )
    return problems


def _contradictions(here: installation.Installation, version: str, database: Connection | None) -> list[str]:
    problems = list(here.reasons) if here.state == "broken" else []
    if here.version not in (None, version):
        problems.append(f"{installation.CONFIG_FILE} tells version {here.version} instead of {version}")
    connection = database or here.connection
    if connection is None:
        return problems
    try:
        found = psql.read_facts(connection).pec_version
    except PecError as error:
        return [*problems, f"the database cannot be asked: {error}"]
    if found is None:
        problems.append("the database holds no version of PEC")
    elif found != version:
        problems.append(f"the database tells version {found} instead of {version}")
    return problems


def judge(run: Run, version: str, problems: list[str], *, log: str, timeout: float, redact: Redactor) -> None:
    """Raise InstallerError, with the cause in it, unless the run ended well and nothing is missing."""
    if run.returncode == 0 and not problems:
        return
    end = describe_end(run.returncode, timed_out=run.timed_out, timeout=timeout)
    cause = None if run.timed_out else find_cause("\n".join(run.lines))
    yet = f", yet {'; '.join(problems)}" if problems else ""
    first, second = (str(cause), [f"The installer {end}{yet}."]) if cause else (f"the installer {end}{yet}", [])
    text = [
        f"PEC {version} was not installed: {first}",
        *second,
        "Once the cause is gone, run this again: it repairs what is half done. Last lines of the installer:",
        *(f"  {line}" for line in last_lines(run.lines) or ["(it printed nothing)"]),
        f"The log on the host is {run.log_problem}: {log}" if run.log_problem else f"The whole log on the host: {log}",
    ]
    raise InstallerError(redact("\n".join(text)), exit_code=run.returncode, cause=cause.code if cause else None, log=log)
