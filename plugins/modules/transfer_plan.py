#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: transfer_plan
short_description: Judge a transfer of PEC before it begins, and choose how its database is moved
version_added: 0.2.0
author: ["esus.pec contributors (@esus-pec)"]
description:
  - Compares the pictures of the old and the new server from M(esus.pec.transfer_source) with what is wanted. It reads nothing else and
    changes nothing.
  - Every finding is reported at once, errors first. The module fails if one is an error.
options:
  source:
    description: RV(esus.pec.transfer_source#module:picture) of the old server. Leave it out if PEC comes as a file.
    type: dict
  target:
    description: The same of the new server.
    type: dict
    required: true
  mode:
    description:
      - How the database is moved. V(stream) restores straight from the old server, V(direct) moves a dump, V(physical) the data directory.
        V(relay) takes a dump through the controller, V(cloud) through a remote of rclone. V(file) is for what somebody sent.
      - V(auto) chooses V(physical) where it is possible and the database is large, V(direct) on a slow link, else V(stream). If the new
        server does not reach the old one, it chooses V(relay) or V(cloud).
    type: str
    choices: [auto, stream, direct, physical, relay, cloud, file]
    default: auto
  managed:
    description: Ansible is root on the old server.
    type: bool
    default: true
  reachable:
    description: The new server reaches the old one by SSH.
    type: bool
    default: true
  remote:
    description: A remote of rclone is configured.
    type: bool
    default: false
  database_mode:
    description: The PostgreSQL of the new server, as C(pec_database_mode).
    type: str
    choices: [managed, bundled, external]
    default: managed
  server_version:
    description: Version of the PostgreSQL that the new server gets, such as V(15). Not used if it has one already.
    type: str
    default: ""
  version:
    description: Version of PEC that the new server gets. Defaults to the newer one of both servers.
    type: str
    default: ""
  domain:
    description: Domain of the new server.
    type: str
    default: ""
  reindex:
    description: Allow V(physical) between C libraries that sort differently, after which every index on texts is built again.
    type: bool
    default: false
  replace:
    description: The data of a PEC that is in use on the new server may be replaced.
    type: bool
    default: false
  link_mbit:
    description: Speed of the network between the servers in Mbit/s. V(0) if it is unknown.
    type: int
    default: 0
  rehearsal:
    description: What a rehearsal measured, for a better estimate of the downtime.
    type: dict
    suboptions:
      downtime_seconds: {description: Seconds from the freeze to a PEC that serves., type: float, required: true}
      size_bytes: {description: Size of the database then., type: int, default: 0}
  accepted:
    description: Codes of errors to report as warnings.
    type: list
    elements: str
    default: []
  report_only:
    description: Do not fail because of errors.
    type: bool
    default: false
extends_documentation_fragment:
  - esus.pec.attributes
  - esus.pec.attributes.read_only
seealso:
  - module: esus.pec.transfer_source
  - module: esus.pec.preflight
"""

EXAMPLES = r"""
- name: Judge the transfer
  esus.pec.transfer_plan:
    source: "{{ old.picture }}"
    target: "{{ new.picture }}"
    mode: auto
  register: plan

- name: Show what to expect
  ansible.builtin.debug:
    msg: "{{ plan.mode }}, because {{ plan.reason }}; about {{ plan.downtime_seconds }} seconds"
"""

RETURN = r"""
findings:
  description: The findings, errors first.
  returned: always
  type: list
  elements: dict
  contains:
    severity: {description: "V(error), V(warning) or V(note).", type: str, returned: always, sample: warning}
    code: {description: Stable name of the finding., type: str, returned: always, sample: domain_changes}
    message: {description: What was found., type: str, returned: always, sample: the old PEC is a training installation}
    remedy: {description: What to do., type: str, returned: always, sample: check that it is the one to move}
ready: {description: No finding is an error., returned: always, type: bool, sample: true}
mode: {description: How the database is moved., returned: always, type: str, sample: stream}
reason: {description: Why., returned: always, type: str, sample: it takes no room for a file on either server}
downtime_seconds:
  description: Seconds that nobody can use PEC. Null if nothing is known. Estimated from the size, only the order of time is meaningful.
  returned: always
  type: int
  sample: 420
downtime_basis: {description: "V(rehearsal), V(size) or V(unknown).", returned: always, type: str, sample: size}
"""

from dataclasses import asdict

from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.module import PecModule, Result, run_module
from ansible_collections.esus.pec.plugins.module_utils.transfer import modes
from ansible_collections.esus.pec.plugins.module_utils.transfer.judging import describe, judge
from ansible_collections.esus.pec.plugins.module_utils.transfer.picture import parse

TEXT = {"type": "str", "default": ""}
FLAG = {"type": "bool", "default": False}
ARGUMENTS = {
    "source": {"type": "dict"},
    "target": {"type": "dict", "required": True},
    "mode": {"type": "str", "choices": list(modes.MODES), "default": modes.AUTO},
    "managed": {"type": "bool", "default": True},
    "reachable": {"type": "bool", "default": True},
    "remote": FLAG,
    "database_mode": {"type": "str", "choices": ["managed", "bundled", "external"], "default": "managed"},
    "server_version": TEXT,
    "version": TEXT,
    "domain": TEXT,
    "reindex": FLAG,
    "replace": FLAG,
    "link_mbit": {"type": "int", "default": 0},
    "rehearsal": {
        "type": "dict",
        "options": {"downtime_seconds": {"type": "float", "required": True}, "size_bytes": {"type": "int", "default": 0}},
    },
    "accepted": {"type": "list", "elements": "str", "default": []},
    "report_only": FLAG,
}
_SAME = (
    "mode",
    "managed",
    "reachable",
    "remote",
    "database_mode",
    "server_version",
    "version",
    "domain",
    "reindex",
    "replace",
    "link_mbit",
)


def run(module: PecModule) -> Result:
    params = module.params
    source = None if params["source"] is None else parse(params["source"], "source")
    options = modes.Options(
        file=source is None,
        rehearsal=params["rehearsal"] or {},
        accepted=tuple(params["accepted"]),
        **{name: params[name] for name in _SAME},
    )
    judged = judge(source, parse(params["target"], "target"), options)
    ready = all(finding.severity != "error" for finding in judged.findings)
    result = {
        "findings": [asdict(finding) for finding in judged.findings],
        "ready": ready,
        "mode": judged.choice.mode,
        "reason": judged.choice.reason,
        "downtime_seconds": judged.downtime_seconds,
        "downtime_basis": judged.downtime_basis,
    }
    if not ready and not params["report_only"]:
        raise PecError(describe(judged), **result)
    return {**result, "warnings": [str(finding) for finding in judged.findings if finding.severity == "warning"]}


def main() -> None:
    run_module(run, root=False, argument_spec=ARGUMENTS)


if __name__ == "__main__":
    main()
