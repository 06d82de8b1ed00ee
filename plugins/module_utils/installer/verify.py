# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks what the installer did: an exit code of 0 is no proof, and a failure is explained by its cause. Private to the collection."""

from __future__ import annotations

from ansible_collections.esus.pec.plugins.module_utils import beliefs
from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.installer import certmgr
from ansible_collections.esus.pec.plugins.module_utils.installer.output import describe_end, find_cause, last_lines
from ansible_collections.esus.pec.plugins.module_utils.installer.planning import Desired
from ansible_collections.esus.pec.plugins.module_utils.installer.running import Run
from ansible_collections.esus.pec.plugins.module_utils.pec import installation
from ansible_collections.esus.pec.plugins.module_utils.postgres import psql
from ansible_collections.esus.pec.plugins.module_utils.redact import Redactor


def what_is_missing(desired: Desired) -> list[str]:
    """Return what contradicts that PEC is as desired, by its files and by SQL; empty when nothing does."""
    here = installation.discover()
    if here.state == "absent":
        return [f"PEC is absent: neither {beliefs.CONFIG_FILE} nor {beliefs.HOMES[0]} exists"]
    problems = _contradictions(here, desired)
    if problems and here.config_file:
        # S (FD): with an external database it is deleted to have the installer run at all
        problems.append(f"an installer that finds {here.config_file} may take PEC for complete: move the file aside if this persists")
    return problems + certmgr.what_is_missing(desired.certificate, here)


def _contradictions(here: installation.Installation, desired: Desired) -> list[str]:
    problems = list(here.reasons) if here.state == "broken" else []
    if here.version not in (None, desired.version):
        problems.append(f"{beliefs.CONFIG_FILE} has version {here.version} instead of {desired.version}")
    connection = desired.database or here.connection  # the latter is the one that the installer brought
    if connection is None:
        return problems
    try:
        found = psql.read_facts(connection).pec_version
    except PecError as error:
        return [*problems, f"the database cannot be queried: {error}"]
    if found is None:
        problems.append("the database has no version of PEC")
    elif found != desired.version:
        problems.append(f"the database has version {found} instead of {desired.version}")
    return problems


def judge(run: Run, version: str, problems: list[str], *, log: str, timeout: float, redact: Redactor) -> None:
    """Raise PecError, with the cause in it, unless the run ended well and nothing is missing."""
    if run.returncode == 0 and not problems:
        return
    end = describe_end(run.returncode, timed_out=run.timed_out, timeout=timeout)
    cause = None if run.timed_out else find_cause("\n".join(run.lines))
    yet = f", but {'; '.join(problems)}" if problems else ""
    first, second = (str(cause), [f"The installer {end}{yet}."]) if cause else (f"the installer {end}{yet}", [])
    text = [
        f"PEC {version} was not installed: {first}",
        *second,
        "Remove the cause and run again: the next run repairs what is half done. Last lines of the installer:",
        *(f"  {line}" for line in last_lines(run.lines) or ["(it printed nothing)"]),
        f"The log on the host is {run.log_problem}: {log}" if run.log_problem else f"The whole log on the host: {log}",
    ]
    raise PecError(redact("\n".join(text)), exit_code=run.returncode, cause=cause.code if cause else None, log=log)
