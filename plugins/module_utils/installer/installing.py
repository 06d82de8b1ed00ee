# SPDX-License-Identifier: GPL-3.0-or-later
"""One installation from start to end: PEC stopped, the installer run and its result checked. Private to the collection."""

from __future__ import annotations

import glob
import os
import time
from dataclasses import replace

from ansible_collections.esus.pec.plugins.module_utils import beliefs
from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.installer import access, certmgr, java, pec_service, running, verify
from ansible_collections.esus.pec.plugins.module_utils.installer.planning import Current, Desired, Plan
from ansible_collections.esus.pec.plugins.module_utils.installer.running import Command, Run
from ansible_collections.esus.pec.plugins.module_utils.pec import installation, stopping
from ansible_collections.esus.pec.plugins.module_utils.postgres import jdbc, psql
from ansible_collections.esus.pec.plugins.module_utils.redact import Redactor
from ansible_collections.esus.pec.plugins.module_utils.system import clock, files, signals
from ansible_collections.esus.pec.plugins.module_utils.system.status_file import StatusFile

# Below PEC's home: the directories of what the installer and the service run.
_PROGRAMS = ("", beliefs.WEBSERVER, beliefs.CERTMGR, beliefs.JRE_DIRECTORY, os.path.dirname(beliefs.MIGRATOR))


def read_current(desired: Desired) -> Current:
    """Return the PEC on this host, and the version in its database, or in the desired one where PEC is absent."""
    here = installation.discover()
    connection = here.connection or (desired.database if here.state == "absent" else None)
    try:
        version = psql.read_facts(connection).pec_version if connection else None
    except PecError:
        version = None  # a stopped database is no reason to run the installer
    certificate = certmgr.read(here, desired.certificate.domain or "") if desired.certificate else None
    return Current(here.state, here.reasons, here.version, here.connection, version, here.custom_database, certificate)


def require_own_programs() -> None:
    """Raise PecError, with the command that mends it, if another account can change the PEC whose programs the installer runs as root."""
    home = installation.discover().home
    found = [changer for path in (_programs(home) if home else ()) for changer in files.changers(path)]
    if found:
        mend = " && ".join(dict.fromkeys(changer.remedy for changer in found))
        raise PecError(
            f"the installer was not run, because it changes PEC as root and runs its programs, and {found[0]}; run: {mend}; "
            f"if PEC runs as another account, give back afterwards only what it writes to"
        )


def _programs(home: str) -> list[str]:
    """PEC's programs that exist, with their directories."""
    directories = [os.path.join(home, place) for place in _PROGRAMS]
    patterns = [os.path.join(glob.escape(directory), suffix) for directory in directories for suffix in ("*.jar", "*.sh")]
    launcher = os.path.join(home, beliefs.JRE_CURRENT, "bin", "java")
    found = [*directories, *(path for pattern in patterns for path in glob.glob(pattern)), *java.parts(launcher)]
    return [path for path in found if os.path.exists(path)]


def arguments(jar: str, desired: Desired, *, training: bool, backup: bool) -> list[str]:
    """Return the arguments of Java, which may carry a password."""
    options = ["-jar", jar, beliefs.OPTION_CONSOLE, beliefs.OPTION_CONTINUE]
    if desired.database is not None:
        place = desired.database
        options.append(f"{beliefs.OPTION_URL}={jdbc.build(place.host, place.port, place.database, place.sslmode, place.sslrootcert)}")
        options.append(f"{beliefs.OPTION_USERNAME}={place.username}")
        options.append(f"{beliefs.OPTION_PASSWORD}={place.password}")
    if desired.certificate is not None:
        options.append(f"{beliefs.OPTION_CERT_DOMAIN}={desired.certificate.domain}")
        options.append(f"{beliefs.OPTION_CERT_PORT}={desired.certificate.port}")
    options += [beliefs.OPTION_TRAINING] if training else []
    return options + ([beliefs.OPTION_BACKUP] if backup else [])


def install(command: Command, current: Current, desired: Desired, planned: Plan, log_directory: str) -> dict[str, object]:
    """Run the installer, and return the log and the duration.

    Raises PecError unless PEC is then as desired. PEC is started again and its certificate brought back if nothing else has changed.
    """
    running.prepare_directories(log_directory, command.work_directory)
    log = os.path.join(log_directory, f"installer-{desired.version}-{clock.compact()}.log")
    status = StatusFile(running.STATUS, version=desired.version, log=log, action=planned.action)
    status.update(phase="checking")
    started = time.monotonic()
    before = pec_service.look() if planned.action != "install" else None
    try:
        if before is not None:
            if desired.database is None:
                access.open_to_database(installation.discover().home)
            pec_service.settle(before, own_database=desired.database is None)
        if desired.certificate is not None:
            certmgr.keep(installation.discover(), replaces=planned.replaces_certificate)
        ended, redact = _run(command, current, desired, log, status)
        status.update(phase="verifying", last_line="")
        problems = [] if ended.returncode else verify.what_is_missing(desired)
        verify.judge(ended, desired.version, problems, log=log, timeout=command.timeout, redact=redact)
    except (PecError, signals.Stopped) as error:
        status.update(phase="failed")
        if before is not None:
            https = certmgr.bring_back(installation.discover(), config_file=planned.action == "certificate")
            error.args = ("\n".join(filter(None, (str(error), https, pec_service.resume(before)))),)
        raise
    stopping.forget()
    certmgr.settle()
    status.update(phase="done")
    return {"log": log, "log_problem": ended.log_problem, "duration_seconds": round(time.monotonic() - started)}


def _run(command: Command, current: Current, desired: Desired, log: str, status: StatusFile) -> tuple[Run, Redactor]:
    """Run the installer. The passwords that it made itself are known only afterwards, and are then removed from the log."""
    known = [place.password for place in (desired.database, current.connection) if place]
    closed = access.closed_to_others(installation.discover())
    try:
        ended = running.run(command, log, Redactor(known), status)
    finally:
        access.close_to_others(closed)
    here = installation.discover()
    redact = Redactor([*known, *(login.password for login in (here.connection, here.read_only) if login)])
    problems = [ended.log_problem, running.redact_log(log, redact)]
    return replace(ended, log_problem=" and ".join(filter(None, problems)) or None), redact
