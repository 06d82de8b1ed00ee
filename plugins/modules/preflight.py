#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: preflight
short_description: Report everything that keeps a server from running PEC
description:
  - Checks the server, the installation on it, the values in the inventory and the database, before anything is changed, against the
    official requirements and the failures known from real servers.
  - Does not check what this collection's roles install themselves, such as packages, the locale and the timezone.
  - Runs without root too, and reports that as an error.
author: ["esus.pec contributors (@esus-pec)"]
version_added: 0.1.0
options:
  checks:
    description:
      - Subjects to check.
      - V(host) is the machine, its disks and ports; V(installation) the installer and the installed PEC; V(site) the domain and the first
        run; V(database) the database.
      - V(https) is what C(certmgr) requires on a server with PEC, that is PEC's version, the domain in the DNS, and the ports.
    type: list
    elements: str
    choices: [host, installation, site, database, https]
    default: [host, installation, site, database]
  report_only:
    description: Return errors instead of failing.
    type: bool
    default: false
  accepted:
    description: Codes of errors to accept; they become warnings.
    type: list
    elements: str
    default: []
  home:
    description: Directory of PEC, existing or not.
    type: path
    default: /opt/e-SUS
  version:
    description: Version of PEC to install. By default the one in the installer's name.
    type: str
    default: ""
  jar:
    description:
      - Address or path of the installer. Exactly one is expected.
      - Without the option, installers are not checked.
    type: list
    elements: str
  jar_sha256:
    description: SHA-256 of the installer. Required when it is downloaded.
    type: str
    default: ""
  jar_path:
    description:
      - Path of an installer that is on the host already. It is opened, and compared with O(jar_sha256) and O(version), before anything
        is changed.
    type: path
  jar_file:
    description: Path of an installer on the controller. It is checked there in the same way.
    type: path
  jar_problem:
    description: What is wrong with O(jar_file). Ansible sets it when the task runs.
    type: str
    default: ""
  jar_kept:
    description:
      - Path at which a downloaded installer is kept on the host.
      - If the file there does not have O(jar_sha256), the first bytes are read from the address in O(jar), to see whether it can be
        downloaded.
    type: path
    default: ""
  update:
    description: Allow the update of an older PEC.
    type: bool
    default: false
  domain:
    description: Domain under which people open PEC, without scheme, port or path.
    type: str
    default: ""
  hosts_entry:
    description: The domain will be in the hosts file, so this server does not require it in the DNS.
    type: bool
    default: false
  simultaneous_users:
    description: Number of simultaneous users, for the requirements in the official table of hardware.
    type: int
    default: 40
  certificate_port:
    description: Port of HTTPS by PEC's C(certmgr). This port and port 80 must be free. Absent without C(certmgr).
    type: int
  public_address:
    description: Public IPv4 address of this server. The check V(https) compares it with the DNS, unless it is empty.
    type: str
    default: ""
  database:
    description: The database of PEC.
    type: dict
    default: {}
    suboptions:
      mode:
        description:
          - V(managed) is a PostgreSQL that the role P(esus.pec.pec_database#role) sets up here; only existing content is checked.
          - V(bundled) comes with PEC's installer.
          - V(external) is on any host and must be ready now.
        type: str
        choices: [managed, bundled, external]
        default: managed
      host: {description: Address of the server., type: str, default: 127.0.0.1}
      port: {description: Port of the server., type: int, default: 5432}
      name: {description: Name of the database., type: str, default: esus}
      username: {description: Role that PEC uses., type: str, default: esus}
      password: {description: Password of the role., type: str, default: ""}
      sslmode:
        description: Protection of the connection, as in the other modules' O(database.sslmode). PEC's driver receives it in its URL.
        type: str
        choices: [disable, prefer, require, verify-ca, verify-full]
        default: prefer
      sslrootcert:
        description: File on this host with the authority of the server's certificate. Every account must be able to read it.
        type: str
        default: ""
  first_run:
    description: Answers of the first run. Absent if it is done by hand.
    type: dict
    suboptions:
      name: {description: Name of the installation., type: str, default: ""}
      link: {description: "Address of the installation. By default made from O(https), else O(domain).", type: str, default: ""}
      type: {description: V(PRONTUARIO) or V(CENTRALIZADORA)., type: str, default: PRONTUARIO}
      instalador_name: {description: Full name of the instalador., type: str, default: ""}
      instalador_cpf: {description: CPF of the instalador., type: str, default: ""}
      instalador_password: {description: Password of the instalador., type: str, default: ""}
  https:
    description:
      - Where HTTPS will be after the installation, by C(certmgr) or because another run provides it. Absent without such HTTPS.
      - A link of O(first_run) that leads elsewhere has to be answered now, because PEC opens it.
    type: dict
    suboptions:
      domain: {description: Domain of the certificate., type: str, default: ""}
      port: {description: TCP port., type: int, default: 443}
extends_documentation_fragment:
  - esus.pec.attributes
  - esus.pec.attributes.read_only
"""

EXAMPLES = r"""
- name: Check a server before PEC is installed
  esus.pec.preflight:
    domain: esus.municipio.uf.gov.br
    simultaneous_users: 100
    jar: [/srv/eSUS-AB-PEC-5.4.37-Linux64.jar]
    database:
      mode: external
      host: 192.0.2.10
      password: "{{ pec_database_password }}"

- name: See whether the installer can be downloaded
  esus.pec.preflight:
    checks: [installation]
    jar: ["https://downloads.municipio.uf.gov.br/eSUS-AB-PEC-5.4.37-Linux64.jar"]
    jar_sha256: "{{ pec_install_jar_sha256 }}"
    jar_kept: /var/cache/esus-pec/eSUS-AB-PEC-5.4.37-Linux64.jar

- name: List the problems of the database without failing
  esus.pec.preflight:
    checks: [database]
    report_only: true
    database:
      mode: external
      host: 192.0.2.10
      password: "{{ pec_database_password }}"
  register: found
"""

RETURN = r"""
findings:
  description: The findings, errors first.
  returned: always
  type: list
  elements: dict
  contains:
    severity: {description: V(error) or V(warning)., type: str, returned: always, sample: error}
    code: {description: Stable name of the finding., type: str, returned: always, sample: port_taken}
    message: {description: What is wrong., type: str, returned: always, sample: port 8080 is taken by nginx}
    remedy: {description: What to do., type: str, returned: always, sample: stop and disable it}
unchecked:
  description: What could not be checked yet, and why.
  returned: always
  type: list
  elements: str
  sample: ["what the database 'esus' on 192.0.2.10:5432 holds: there is no psql on this host yet"]
"""

from dataclasses import asdict
from typing import Any

from ansible_collections.esus.pec.plugins.module_utils import beliefs
from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.module import PecModule, run_module
from ansible_collections.esus.pec.plugins.module_utils.postgres.options import DATABASE
from ansible_collections.esus.pec.plugins.module_utils.preflight.judging import BEFORE_INSTALLING, RULES, describe, judge
from ansible_collections.esus.pec.plugins.module_utils.preflight.model import DatabaseWanted, FirstRun, Https, Wishes
from ansible_collections.esus.pec.plugins.module_utils.preflight.survey import survey_host

TEXT = {"type": "str", "default": ""}
MODE = {"type": "str", "choices": ["managed", "bundled", "external"], "default": "managed"}
FIRST_RUN = {
    "name": TEXT,
    "link": TEXT,
    "type": {"type": "str", "default": "PRONTUARIO"},
    "instalador_name": TEXT,
    "instalador_cpf": TEXT,
    "instalador_password": {**TEXT, "no_log": True},
}
ARGUMENTS = {
    "checks": {"type": "list", "elements": "str", "choices": list(RULES), "default": list(BEFORE_INSTALLING)},
    "report_only": {"type": "bool", "default": False},
    "accepted": {"type": "list", "elements": "str", "default": []},
    "home": {"type": "path", "default": beliefs.HOMES[0]},
    "version": TEXT,
    "jar": {"type": "list", "elements": "str"},
    "jar_sha256": TEXT,
    "jar_path": {"type": "path"},
    "jar_file": {"type": "path"},
    "jar_problem": TEXT,
    "jar_kept": {"type": "path", "default": ""},
    "update": {"type": "bool", "default": False},
    "domain": TEXT,
    "hosts_entry": {"type": "bool", "default": False},
    "simultaneous_users": {"type": "int", "default": 40},
    "certificate_port": {"type": "int"},
    "public_address": TEXT,
    "database": {"type": "dict", "default": {}, "options": {"mode": MODE, **DATABASE["options"]}},
    "first_run": {"type": "dict", "options": FIRST_RUN},
    "https": {
        "type": "dict",
        "options": {"domain": TEXT, "port": {"type": "int", "default": beliefs.HTTPS_PORT}},
    },
}


def read_wishes(params: dict[str, Any]) -> Wishes:
    same = (
        "version",
        "jar_sha256",
        "jar_path",
        "jar_file",
        "jar_problem",
        "jar_kept",
        "update",
        "domain",
        "hosts_entry",
        "simultaneous_users",
        "certificate_port",
        "public_address",
    )
    return Wishes(
        checks=tuple(params["checks"]),
        database=DatabaseWanted(**params["database"]),
        jars=None if params["jar"] is None else tuple(params["jar"]),
        first_run=FirstRun(**params["first_run"]) if params["first_run"] else None,
        https=Https(**params["https"]) if params["https"] and params["https"]["domain"] else None,
        accepted=tuple(params["accepted"]),
        **{name: params[name] for name in same},
    )


def run(module: PecModule) -> dict[str, Any]:
    wishes = read_wishes(module.params)
    facts, unchecked = survey_host(wishes, module.params["home"])
    findings = judge(facts, wishes)
    result = {"findings": [asdict(finding) for finding in findings], "unchecked": list(unchecked)}
    if any(finding.severity == "error" for finding in findings) and not module.params["report_only"]:
        raise PecError(describe(findings), **result)
    return {**result, "warnings": [str(finding) for finding in findings if finding.severity == "warning"]}


def main() -> None:
    run_module(run, root=False, argument_spec=ARGUMENTS)  # without root the rule not_root reports it


if __name__ == "__main__":
    main()
