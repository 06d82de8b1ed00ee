#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: preflight
short_description: Tell what keeps a server from running PEC, all of it at once
description:
  - Looks at the server, at what is installed on it, at the answers in the inventory and at the database, before anything is changed.
  - Compares them with the official requirements and with the failures that are known from real servers.
  - What this collection's roles bring themselves, such as packages, the locale and the timezone, is not checked here.
author: ["esus.pec contributors (@esus-pec)"]
version_added: 0.1.0
attributes:
  check_mode: {support: full, description: Only reads and so does the same in check mode.}
  diff_mode: {support: none, description: Changes nothing and so has no difference to show.}
  platform: {support: full, description: The systems it works on., platforms: linux}
options:
  checks:
    description:
      - What is checked.
      - V(host) is the machine, its disks and ports; V(installation) the installer and the PEC that is here; V(site) the domain and the
        first run; V(database) the database.
      - V(https) is what C(certmgr) needs on a server that has PEC already, that is PEC's version, the domain in the DNS, and the ports.
    type: list
    elements: str
    choices: [host, installation, site, database, https]
    default: [host, installation, site, database]
  report_only:
    description: Return errors instead of failing.
    type: bool
    default: false
  accepted:
    description: Codes of errors that the operator knows and accepts; they become warnings.
    type: list
    elements: str
    default: []
  home:
    description: Where PEC is, or will be.
    type: path
    default: /opt/e-SUS
  version:
    description: The version of PEC that is wanted. By default the one in the installer's name.
    type: str
    default: ""
  jar:
    description:
      - Address or path of the installer. Exactly one is expected.
      - When the option is absent, installers are not checked.
    type: list
    elements: str
  jar_sha256:
    description: SHA-256 of the installer. Required when it is downloaded.
    type: str
    default: ""
  update:
    description: Whether an older PEC may be updated.
    type: bool
    default: false
  domain:
    description: The name under which people open PEC, without scheme, port or path.
    type: str
    default: ""
  hosts_entry:
    description: Whether the domain will be written to the hosts file, so that it needs no DNS here.
    type: bool
    default: false
  simultaneous_users:
    description: How many people use PEC at the same time; chooses the line of the official table of hardware.
    type: int
    default: 40
  certificate_port:
    description: Port of HTTPS by PEC's own C(certmgr). It and port 80 must then be free. Absent without C(certmgr).
    type: int
  public_address:
    description: IPv4 address that this server has on the Internet. The check V(https) compares it with the DNS. Empty compares nothing.
    type: str
    default: ""
  database:
    description: The database of PEC.
    type: dict
    default: {}
    suboptions:
      mode:
        description:
          - V(managed) is a PostgreSQL that the role P(esus.pec.pec_database#role) sets up here; only what it holds already is checked.
          - V(bundled) is the one that PEC's installer brings.
          - V(external) must be ready now, on whatever host.
        type: str
        choices: [managed, bundled, external]
        default: managed
      host: {description: Address of the server., type: str, default: 127.0.0.1}
      port: {description: Port of the server., type: int, default: 5432}
      name: {description: Name of the database., type: str, default: esus}
      username: {description: Role that PEC uses., type: str, default: esus}
      password: {description: Password of the role., type: str, default: ""}
  first_run:
    description: The answers of the first run. Absent when it is done by hand.
    type: dict
    suboptions:
      name: {description: Name of the installation., type: str, default: ""}
      link: {description: Address of the installation. By default made from O(domain)., type: str, default: ""}
      type: {description: V(PRONTUARIO) or V(CENTRALIZADORA)., type: str, default: PRONTUARIO}
      instalador_name: {description: Full name of the instalador., type: str, default: ""}
      instalador_cpf: {description: CPF of the instalador., type: str, default: ""}
      instalador_password: {description: Password of the instalador., type: str, default: ""}
"""

EXAMPLES = r"""
- name: Look at a server before PEC is installed
  esus.pec.preflight:
    domain: esus.municipio.uf.gov.br
    simultaneous_users: 100
    jar: [/srv/eSUS-AB-PEC-5.4.37-Linux64.jar]
    database:
      mode: external
      host: 192.0.2.10
      password: "{{ pec_database_password }}"

- name: List what is wrong with the database without failing
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
  description: What was found, errors first.
  returned: always
  type: list
  elements: dict
  contains:
    severity: {description: V(error) or V(warning)., type: str, returned: always, sample: error}
    code: {description: Stable name of the finding., type: str, returned: always, sample: port_taken}
    message: {description: What is wrong., type: str, returned: always, sample: port 8080 is taken by nginx}
    remedy: {description: What to do., type: str, returned: always, sample: stop and disable it}
unchecked:
  description: What could not be looked at yet, and why.
  returned: always
  type: list
  elements: str
  sample: ["what the database 'esus' on 192.0.2.10:5432 holds: there is no psql on this host yet"]
"""

from dataclasses import asdict
from typing import Any

from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.module import QuietModule
from ansible_collections.esus.pec.plugins.module_utils.preflight.judging import BEFORE_INSTALLING, RULES, describe, judge
from ansible_collections.esus.pec.plugins.module_utils.preflight.look import look
from ansible_collections.esus.pec.plugins.module_utils.preflight.model import DatabaseWanted, Desired, FirstRun

TEXT = {"type": "str", "default": ""}
DATABASE = {
    "mode": {"type": "str", "choices": ["managed", "bundled", "external"], "default": "managed"},
    "host": {"type": "str", "default": "127.0.0.1"},
    "port": {"type": "int", "default": 5432},
    "name": {"type": "str", "default": "esus"},
    "username": {"type": "str", "default": "esus"},
    "password": {**TEXT, "no_log": True},
}
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
    "home": {"type": "path", "default": "/opt/e-SUS"},
    "version": TEXT,
    "jar": {"type": "list", "elements": "str"},
    "jar_sha256": TEXT,
    "update": {"type": "bool", "default": False},
    "domain": TEXT,
    "hosts_entry": {"type": "bool", "default": False},
    "simultaneous_users": {"type": "int", "default": 40},
    "certificate_port": {"type": "int"},
    "public_address": TEXT,
    "database": {"type": "dict", "default": {}, "options": DATABASE},
    "first_run": {"type": "dict", "options": FIRST_RUN},
}


def desired_from(params: dict[str, Any]) -> Desired:
    return Desired(
        checks=tuple(params["checks"]),
        database=DatabaseWanted(**params["database"]),
        version=params["version"],
        jars=None if params["jar"] is None else tuple(params["jar"]),
        jar_sha256=params["jar_sha256"],
        update=params["update"],
        domain=params["domain"],
        hosts_entry=params["hosts_entry"],
        simultaneous_users=params["simultaneous_users"],
        certificate_port=params["certificate_port"],
        public_address=params["public_address"],
        first_run=FirstRun(**params["first_run"]) if params["first_run"] else None,
        accepted=tuple(params["accepted"]),
    )


def main() -> None:
    module = QuietModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    desired = desired_from(module.params)
    try:
        facts, unchecked = look(desired, module.params["home"])
        findings = judge(facts, desired)
    except PecError as error:
        module.fail_json(msg=str(error))
    errors = [finding for finding in findings if finding.severity == "error"]
    result = {"changed": False, "findings": [asdict(finding) for finding in findings], "unchecked": list(unchecked)}
    if errors and not module.params["report_only"]:
        module.fail_json(msg=describe(findings), **result)
    for finding in findings:
        if finding.severity == "warning":
            module.warn(str(finding))
    module.exit_json(**result)


if __name__ == "__main__":
    main()
