#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: installer
short_description: Install, repair or update PEC with its own installer
description:
  - Runs the official installer only if PEC is absent, incomplete, or older than the installer.
  - An exit code of 0 is not taken for a success. Afterwards C(/etc/pec.config), the files, and the version in the database must agree.
  - The installer gets passwords in a file that only root can read, which is removed as soon as Java has read it. The log has no passwords.
  - The installer runs as root. It is refused if another account can change it, its Java, or the programs of the installed PEC; the error
    has the command that corrects this.
  - While the installer runs, C(/run/esus-pec/installer.json) shows its phase.
  - After a failure or a broken connection, run the module again. It repairs what is half done.
author: ["esus.pec contributors (@esus-pec)"]
version_added: 0.1.0
options:
  jar:
    description: Path of the installer on the host, such as V(/srv/eSUS-AB-PEC-5.4.37-Linux64.jar).
    type: path
    required: true
  sha256:
    description: Expected SHA-256 of the installer. By default it is not checked.
    type: str
    default: ""
  version:
    description: Version of the installer. Required if its file was renamed; otherwise it must match the name.
    type: str
    default: ""
  database:
    description: The PostgreSQL database of PEC. By default the installer sets up its own PostgreSQL.
    type: dict
    suboptions:
      host: {description: Address of the server., type: str, default: 127.0.0.1}
      port: {description: Port of the server., type: int, default: 5432}
      name: {description: Name of the database., type: str, default: esus}
      username: {description: Role that PEC connects as., type: str, default: esus}
      password: {description: Password of the role., type: str, required: true}
      sslmode:
        description: Protection of the connection, as in the other modules' O(database.sslmode). PEC's driver receives it in its URL.
        type: str
        choices: [disable, prefer, require, verify-ca, verify-full]
        default: prefer
      sslrootcert:
        description: File on this host with the authority of the server's certificate. Every account must be able to read it.
        type: str
        default: ""
  training:
    description: Install PEC as a training installation.
    type: bool
    default: false
  update:
    description: Allow the update of an older PEC. Make a backup before.
    type: bool
    default: false
  backup:
    description: Let the installer make its own backup before an update.
    type: bool
    default: false
  database_in_use:
    description: Use the database of the PEC on this host instead of O(database). PEC must be installed.
    type: bool
    default: false
  cert_domain:
    description:
      - Domain for which PEC's own C(certmgr) obtains a certificate. Ports 80 and O(cert_port) must be reachable from the Internet.
      - The installer also runs if the installed PEC has no certificate from C(certmgr), or one for another domain or port. The files of
        C(certmgr) are then kept in C(/etc/esus-pec), and restored if the installer fails.
    type: str
    default: ""
  cert_port:
    description: HTTPS port for O(cert_domain).
    type: int
    default: 443
  java:
    description: Path of the Java launcher. Defaults to the oldest release on the host from 17 on.
    type: path
  java_options:
    description: Options for Java, such as V(-Xmx2g), which the migration of a large database requires.
    type: list
    elements: str
    default: []
  timeout:
    description: Stop the installer after this many seconds. The migration of a large database takes hours.
    type: int
    default: 7200
  work_directory:
    description: Directory in which the installer runs. The installer fails in the root directory.
    type: path
    default: /var/lib/esus-pec
  log_directory:
    description: Directory of the logs. Each run of the installer writes one.
    type: path
    default: /var/log/esus-pec
  pending:
    description:
      - What earlier tasks of the same run provide.
      - In check mode those tasks have provided nothing, so the module does not require it then.
    type: list
    elements: str
    choices: [jar, java, database]
    default: []
attributes:
  check_mode:
    description: Decides by the same rules, and does not run the installer.
    support: full
  diff_mode:
    description: Shows the version, and the certificate if it changes, before and after.
    support: full
extends_documentation_fragment:
  - esus.pec.attributes
seealso:
  - module: esus.pec.health
  - module: esus.pec.preflight
"""

EXAMPLES = r"""
- name: Install PEC with its own PostgreSQL
  esus.pec.installer:
    jar: /srv/eSUS-AB-PEC-5.4.37-Linux64.jar
    sha256: "{{ jar_sha256 }}"

- name: Update a PEC whose database is on another server, after a backup
  esus.pec.installer:
    jar: /srv/eSUS-AB-PEC-5.5.28-Linux64.jar
    update: true
    java_options: [-Xmx2g]
    database:
      host: 192.0.2.10
      password: "{{ pec_database_password }}"

- name: Let certmgr obtain a certificate for the installed PEC
  esus.pec.installer:
    jar: /var/cache/esus-pec/eSUS-AB-PEC-5.4.37-Linux64.jar
    database_in_use: true
    cert_domain: esus.municipio.uf.gov.br
"""

RETURN = r"""
needed:
  description: Whether the installer ran, or in check mode would run.
  returned: success
  type: bool
action:
  description: Reason for the run as a code. V(none), V(install), V(repair), V(update), V(migrate) or V(certificate).
  returned: success
  type: str
  sample: install
reason: {description: Reason for the action as a sentence., returned: success, type: str, sample: PEC is not installed here}
from_version: {description: Version of PEC before the run. Null when PEC was absent., returned: success, type: str, sample: 5.3.28}
version: {description: Version of the installer., returned: success, type: str, sample: 5.4.37}
log:
  description: Path of the log.
  returned: when the installer ran
  type: str
  sample: /var/log/esus-pec/installer-5.4.37-20261122T030000Z.log
log_problem:
  description: Why the log is incomplete, such as a full disk, which does not stop the installer. Null when it is complete.
  returned: when the installer ran
  type: str
  sample: null
duration_seconds: {description: Duration of the run in seconds., returned: when the installer ran, type: int, sample: 412}
exit_code: {description: Exit code of the installer. Negative for a signal., returned: when the installer failed, type: int, sample: 1}
cause: {description: Code of the cause. Null when it is unknown., returned: when the installer failed, type: str, sample: heap}
"""

import os
from dataclasses import replace
from typing import Any

from ansible_collections.esus.pec.plugins.module_utils import beliefs
from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.installer import installing, jar, java, planning, running
from ansible_collections.esus.pec.plugins.module_utils.module import PecModule, run_module
from ansible_collections.esus.pec.plugins.module_utils.pec import installation
from ansible_collections.esus.pec.plugins.module_utils.postgres import psql
from ansible_collections.esus.pec.plugins.module_utils.postgres.options import DATABASE
from ansible_collections.esus.pec.plugins.module_utils.preflight import judging, model, survey
from ansible_collections.esus.pec.plugins.module_utils.system import locks

ARGUMENTS = {
    "jar": {"type": "path", "required": True},
    "sha256": {"type": "str", "default": ""},
    "version": {"type": "str", "default": ""},
    "database": {"type": "dict", "options": {**DATABASE["options"], "password": {"type": "str", "required": True, "no_log": True}}},
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


def read_desired(params: dict[str, Any], pending: frozenset[str]) -> planning.Desired:
    database = psql.connection_from(params["database"])
    if params["database_in_use"]:
        here = installation.discover()
        database = installation.connection(here) if here.custom_database is not False else None
    certificate = planning.CertmgrHttps(params["cert_domain"], params["cert_port"]) if params["cert_domain"] else None
    if "jar" in pending and not os.path.exists(params["jar"]):
        version = jar.named_version(params["jar"], params["version"])
    else:
        version = jar.inspect(params["jar"], version=params["version"], sha256=params["sha256"]).version
    return planning.Desired(version, params["update"], database, certificate)


def check_database(place: psql.Connection, desired: planning.Desired) -> None:
    """Look for what would make the run fail, before it starts."""
    wanted = model.DatabaseWanted(
        "external",
        place.host,
        place.port,
        place.database,
        place.username,
        place.password,
        sslmode=place.sslmode or "prefer",
        sslrootcert=place.sslrootcert or "",
    )
    wishes = model.Wishes(checks=("database",), database=wanted, version=desired.version, update=desired.update)
    facts, unchecked = survey.survey_host(wishes, beliefs.HOMES[0])
    errors = [str(finding) for finding in judging.judge(facts, wishes) if finding.severity == "error"]
    errors += [f"not checked: {one}" for one in unchecked]
    if errors:
        raise PecError("\n".join(["the installer was not run, because its database is not ready:", *errors]))


def run(module: PecModule) -> dict[str, Any]:
    params = module.params
    pending = frozenset(params["pending"] if module.check_mode else ())
    desired = read_desired(params, pending)
    with locks.lock(locks.INSTALLER):
        running.refuse_survivor()
        current = installing.read_current(replace(desired, database=None) if "database" in pending else desired)
        planned = planning.plan(current, desired)
        desired = planning.keep_protection(current, desired)
        result = {"action": planned.action, "needed": planned.needed, "reason": planned.reason, "from_version": planned.from_version}
        if planned.needed:
            if desired.database is not None and "database" not in pending:
                check_database(desired.database, desired)
            installing.require_own_programs()
            java.require_plain(params["java_options"])
            launcher = "" if "java" in pending else java.find(params["java"])
            if not module.check_mode:
                arguments = installing.arguments(params["jar"], desired, training=params["training"], backup=params["backup"])
                command = running.Command(launcher, arguments, params["timeout"], params["work_directory"], params["java_options"])
                result.update(installing.install(command, current, desired, planned, params["log_directory"]))
    warnings = [f"the log of the installer is {result['log_problem']}: {result['log']}"] if result.get("log_problem") else []
    diff = planning.diff(current, desired, planned)
    return {"changed": planned.needed, "version": desired.version, "diff": diff, "warnings": warnings, **result}


def main() -> None:
    run_module(run, stoppable=True, argument_spec=ARGUMENTS)


if __name__ == "__main__":
    main()
