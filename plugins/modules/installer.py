#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: installer
short_description: Install, repair or update PEC with its own installer
description:
  - Runs the official installer when PEC is not here, not whole, or older than the installer, and only then.
  - An exit code of 0 is not believed. Afterwards C(/etc/pec.config), the files, and the version in the database must agree.
  - Passwords reach the installer in a file that only root can read and that is gone when Java has read it. The log has none of them.
  - While it runs, C(/run/esus-pec/installer.json) tells the phase.
  - After a failure or a broken connection, run it again. It repairs what is half done.
author: ["esus.pec contributors (@esus-pec)"]
version_added: 0.1.0
options:
  jar:
    description: Path on the host of the installer, such as V(/srv/eSUS-AB-PEC-5.4.37-Linux64.jar).
    type: path
    required: true
  sha256:
    description: SHA-256 that the installer must have.
    type: str
    default: ""
  version:
    description: Version of the installer. Required when its file was renamed. Otherwise it must agree with the name.
    type: str
    default: ""
  database:
    description: The PostgreSQL database of PEC. When the option is absent, the installer brings and sets up its own PostgreSQL.
    type: dict
    suboptions:
      host: {description: Address of the server., type: str, default: 127.0.0.1}
      port: {description: Port of the server., type: int, default: 5432}
      name: {description: Name of the database., type: str, default: esus}
      username: {description: Role that PEC uses., type: str, default: esus}
      password: {description: Password of the role., type: str, required: true}
  training:
    description: Whether this is a training installation.
    type: bool
    default: false
  update:
    description: Whether an older PEC may be updated. Make a backup before.
    type: bool
    default: false
  backup:
    description: Whether the installer makes a backup of its own before it updates.
    type: bool
    default: false
  database_in_use:
    description: Use the database that the PEC on this host uses, whichever it is, instead of O(database). PEC must be installed.
    type: bool
    default: false
  cert_domain:
    description:
      - Domain for which PEC's own C(certmgr) obtains a certificate. Ports 80 and O(cert_port) must be reachable from the Internet.
      - A PEC that is here and has no certificate of C(certmgr), or one for another domain or port, is a reason to run the installer.
        What certmgr had is kept in C(/etc/esus-pec) and brought back when the installer fails.
    type: str
    default: ""
  cert_port:
    description: Port of HTTPS with O(cert_domain).
    type: int
    default: 443
  java:
    description: The Java launcher. By default the one on the host whose release is nearest to 17 and not older.
    type: path
  java_options:
    description: Options for Java, such as V(-Xmx2g), which the migration of a large database needs.
    type: list
    elements: str
    default: []
  timeout:
    description: Seconds after which the installer is stopped. A large database takes hours.
    type: int
    default: 7200
  work_directory:
    description: Directory in which the installer runs. Not the root directory, in which it fails.
    type: path
    default: /var/lib/esus-pec
  log_directory:
    description: Directory of the logs, one for each run of the installer.
    type: path
    default: /var/log/esus-pec
  pending:
    description:
      - What earlier tasks of the same run bring.
      - In check mode these tasks have brought nothing, therefore what is missing of it is then no error.
    type: list
    elements: str
    choices: [jar, java, database]
    default: []
attributes:
  check_mode:
    description: Decides by the same rules, and runs nothing.
    support: full
  diff_mode:
    description: Shows the version before and after.
    support: full
  idempotent:
    description: A second run changes nothing.
    support: full
extends_documentation_fragment:
  - esus.pec.attributes
seealso:
  - module: esus.pec.health
  - module: esus.pec.preflight
"""

EXAMPLES = r"""
- name: Install PEC with the PostgreSQL that it brings
  esus.pec.installer:
    jar: /srv/eSUS-AB-PEC-5.4.37-Linux64.jar
    sha256: "{{ jar_sha256 }}"

- name: Update PEC on a database server of its own, after a backup
  esus.pec.installer:
    jar: /srv/eSUS-AB-PEC-5.5.28-Linux64.jar
    update: true
    java_options: [-Xmx2g]
    database:
      host: 192.0.2.10
      password: "{{ pec_database_password }}"

- name: Have certmgr obtain a certificate for the PEC that is here
  esus.pec.installer:
    jar: /var/cache/esus-pec/eSUS-AB-PEC-5.4.37-Linux64.jar
    database_in_use: true
    cert_domain: esus.municipio.uf.gov.br
"""

RETURN = r"""
needed:
  description: Whether the installer had to run, or in check mode would have to.
  returned: success
  type: bool
action:
  description: What it was needed for. V(none), V(install), V(repair), V(update), V(migrate) or V(certificate).
  returned: success
  type: str
  sample: install
reason: {description: Why., returned: success, type: str, sample: PEC is not installed here}
from_version: {description: The version that was here., returned: success, type: str, sample: 5.3.28}
version: {description: The version of the installer., returned: success, type: str, sample: 5.4.37}
log: {description: The log of the run., returned: when the installer ran, type: str, sample: /var/log/esus-pec/installer-5.4.37.log}
log_problem:
  description: Why the log is not whole, such as a full disk. The installer is not stopped for that.
  returned: when the installer ran
  type: str
  sample: null
duration_seconds: {description: How long the installer ran., returned: when the installer ran, type: int, sample: 412}
exit_code: {description: The exit code of the installer; negative for a signal., returned: when the installer failed, type: int, sample: 1}
cause: {description: The kind of failure found in its output., returned: when one was found, type: str, sample: changeset}
"""

import os
import time
from dataclasses import replace
from typing import Any

from ansible_collections.esus.pec.plugins.module_utils import beliefs
from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.installer import certmgr, pec_service
from ansible_collections.esus.pec.plugins.module_utils.installer.jar import inspect, named_version
from ansible_collections.esus.pec.plugins.module_utils.installer.planning import Certificate, Current, Desired, Plan, plan
from ansible_collections.esus.pec.plugins.module_utils.installer.running import (
    Command,
    Run,
    Status,
    find_java,
    prepare_directories,
    redact_log,
    run,
    running_installer,
)
from ansible_collections.esus.pec.plugins.module_utils.installer.verify import judge, what_is_missing
from ansible_collections.esus.pec.plugins.module_utils.module import QuietModule
from ansible_collections.esus.pec.plugins.module_utils.pec import installation
from ansible_collections.esus.pec.plugins.module_utils.postgres import jdbc, psql
from ansible_collections.esus.pec.plugins.module_utils.preflight import judging, model
from ansible_collections.esus.pec.plugins.module_utils.preflight.look import look
from ansible_collections.esus.pec.plugins.module_utils.redact import Redactor
from ansible_collections.esus.pec.plugins.module_utils.system import locks

DATABASE = {
    "host": {"type": "str", "default": "127.0.0.1"},
    "port": {"type": "int", "default": 5432},
    "name": {"type": "str", "default": "esus"},
    "username": {"type": "str", "default": "esus"},
    "password": {"type": "str", "required": True, "no_log": True},
}
ARGUMENTS = {
    "jar": {"type": "path", "required": True},
    "sha256": {"type": "str", "default": ""},
    "version": {"type": "str", "default": ""},
    "database": {"type": "dict", "options": DATABASE},
    "training": {"type": "bool", "default": False},
    "update": {"type": "bool", "default": False},
    "backup": {"type": "bool", "default": False},
    "database_in_use": {"type": "bool", "default": False},
    "cert_domain": {"type": "str", "default": ""},
    "cert_port": {"type": "int", "default": 443},
    "java": {"type": "path"},
    "java_options": {"type": "list", "elements": "str", "default": []},
    "timeout": {"type": "int", "default": 7200},
    "work_directory": {"type": "path", "default": "/var/lib/esus-pec"},
    "log_directory": {"type": "path", "default": "/var/log/esus-pec"},
    "pending": {"type": "list", "elements": "str", "choices": ["jar", "java", "database"], "default": []},
}


def read_desired(params: dict[str, Any], pending: frozenset[str]) -> Desired:
    if os.geteuid() != 0:
        raise PecError("PEC's installer works for root only; use become: true")
    certificate = Certificate(params["cert_domain"], params["cert_port"]) if params["cert_domain"] else None
    given = params["database"]
    database = given and psql.Connection(given["host"], given["port"], given["name"], given["username"], given["password"])
    if params["database_in_use"]:
        here = installation.discover()
        database = installation.connection(here) if here.custom_database is not False else None
    if "jar" in pending and not os.path.exists(params["jar"]):
        return Desired(named_version(params["jar"], params["version"]), params["update"], database, certificate)
    jar = inspect(params["jar"], version=params["version"], sha256=params["sha256"])
    return Desired(jar.version, params["update"], database, certificate)


def read_current(desired: Desired, pending: frozenset[str]) -> Current:
    here = installation.discover()
    wanted = None if "database" in pending else desired.database
    version = database_version(here.connection or (wanted if here.state == "absent" else None))
    certificate = certmgr.read(here, desired.certificate.domain or "") if desired.certificate else None
    return Current(here.state, here.reasons, here.version, here.connection, version, here.custom_database, certificate)


def database_version(connection: psql.Connection | None) -> str | None:
    try:
        return psql.read_facts(connection).pec_version if connection else None
    except PecError:
        return None  # a stopped database is no reason to run the installer


def check(params: dict[str, Any], desired: Desired, pending: frozenset[str]) -> str:
    """Look for what would make the run fail, before it starts; returns the Java launcher."""
    if desired.database is not None and "database" not in pending:
        check_database(desired.database, desired)
    return "" if "java" in pending else params["java"] or find_java()


def check_database(place: psql.Connection, desired: Desired) -> None:
    wanted = model.DatabaseWanted("external", place.host, place.port, place.database, place.username, place.password)
    wishes = model.Desired(checks=("database",), database=wanted, version=desired.version, update=desired.update)
    facts, unchecked = look(wishes, installation.HOMES[0])
    errors = [str(finding) for finding in judging.judge(facts, wishes) if finding.severity == "error"]
    errors += [f"cannot tell {one}" for one in unchecked]
    if errors:
        raise PecError("\n".join(["the installer was not run, because its database is not ready:", *errors]))


def apply(params: dict[str, Any], current: Current, desired: Desired, planned: Plan, java: str) -> dict[str, Any]:
    prepare_directories(params["log_directory"], params["work_directory"])
    log = os.path.join(params["log_directory"], time.strftime(f"installer-{desired.version}-%Y%m%dT%H%M%S.log"))
    status = Status(desired.version, log)
    status.write("checking", action=planned.action)
    started = time.monotonic()
    before = pec_service.look() if planned.action != "install" else None
    try:
        if before is not None:
            pec_service.settle(own_database=desired.database is None)
        if desired.certificate is not None:
            certmgr.keep(installation.discover(), replaces=planned.replaces_certificate)
        ended, redact = run_installer(params, current, desired, java, log, status)
        status.write("verifying", last_line="")
        problems = [] if ended.returncode else what_is_missing(desired.version, desired.database)
        problems += [] if ended.returncode else certmgr.what_is_missing(desired.certificate, installation.discover())
        judge(ended, desired.version, problems, log=log, timeout=params["timeout"], redact=redact)
    except PecError as error:
        status.write("failed")
        if before is not None:
            https = certmgr.bring_back(installation.discover(), config_file=planned.action == "certificate")
            error.args = ("\n".join(filter(None, (str(error), https, pec_service.resume(before)))),)
        raise
    certmgr.settle()
    status.write("done")
    return {"log": log, "log_problem": ended.log_problem, "duration_seconds": round(time.monotonic() - started)}


def run_installer(params: dict[str, Any], current: Current, desired: Desired, java: str, log: str, status: Status) -> tuple[Run, Redactor]:
    known = [place.password for place in (desired.database, current.connection) if place]
    command = Command(java, command_line(params, desired), params["timeout"], params["work_directory"], params["java_options"])
    ended = run(command, log, Redactor(known), status)
    here = installation.discover()
    redact = Redactor([*known, *(login.password for login in (here.connection, here.read_only) if login)])
    problems = [ended.log_problem, redact_log(log, redact)]  # of what the installer printed, these may have been made by itself
    return replace(ended, log_problem=" and ".join(filter(None, problems)) or None), redact


def command_line(params: dict[str, Any], desired: Desired) -> list[str]:
    arguments = ["-jar", params["jar"], beliefs.OPTION_CONSOLE, beliefs.OPTION_CONTINUE]
    if desired.database is not None:
        place = desired.database
        arguments.append(f"{beliefs.OPTION_URL}={jdbc.build(place.host, place.port, place.database)}")
        arguments.append(f"{beliefs.OPTION_USERNAME}={place.username}")
        arguments.append(f"{beliefs.OPTION_PASSWORD}={place.password}")
    if params["cert_domain"]:
        arguments.append(f"{beliefs.OPTION_CERT_DOMAIN}={params['cert_domain']}")
        arguments.append(f"{beliefs.OPTION_CERT_PORT}={params['cert_port']}")
    arguments += [beliefs.OPTION_TRAINING] if params["training"] else []
    return arguments + ([beliefs.OPTION_BACKUP] if params["backup"] else [])


def main() -> None:
    module = QuietModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    params = module.params
    pending = frozenset(params["pending"] if module.check_mode else ())
    try:
        desired = read_desired(params, pending)
        with locks.lock(locks.INSTALLER):
            survivor = running_installer()
            if survivor is not None:
                raise PecError(
                    f"an installer that an earlier run started still works (process {survivor}); wait until it ends, then run again"
                )
            current = read_current(desired, pending)
            planned = plan(current, desired)
            result = {"action": planned.action, "needed": planned.needed, "reason": planned.reason, "from_version": planned.from_version}
            java = check(params, desired, pending) if planned.needed else ""
            if planned.needed and not module.check_mode:
                result.update(apply(params, current, desired, planned, java))
    except PecError as error:
        module.fail_json(msg=str(error), **getattr(error, "details", {}))
    if result.get("log_problem"):
        module.warn(f"the log of the installer is {result['log_problem']}: {result['log']}")
    flaw = ", not complete" if planned.action == "repair" else ""
    before = f"PEC {planned.from_version}{flaw}\n" if planned.from_version else ""
    after = f"PEC {desired.version}\n" if planned.needed else before
    if planned.action == "certificate":
        before += f"HTTPS by certmgr: {current.certificate or 'none'}\n"
        after += f"HTTPS by certmgr: {desired.certificate}\n"
    module.exit_json(changed=planned.needed, version=desired.version, diff={"before": before, "after": after}, **result)


if __name__ == "__main__":
    main()
