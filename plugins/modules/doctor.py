#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: doctor
short_description: Compare a server with everything this collection believes about PEC
description:
  - No public specification of PEC's files, database and answers exists, so this collection depends on beliefs, each with its evidence.
  - Compares a server with each belief and with the failures known from real servers, and reports what is not publicly known yet.
  - A check that cannot be made is reported as such; it never counts as an agreement.
  - Only reads, and works on servers without PEC and with a broken one. The report contains no password or other secret.
  - The texts of the report are in Portuguese, for the people who run PEC.
author: ["esus.pec contributors (@esus-pec)"]
version_added: 0.1.0
options:
  jar:
    description:
      - Path of PEC's installer on the server, to compare the beliefs about it too. It is not run.
      - By default the usual places are searched for one.
    type: path
  simultaneous_users:
    description: Number of simultaneous users, for the requirements in the official table of hardware.
    type: int
    default: 40
extends_documentation_fragment:
  - esus.pec.attributes
  - esus.pec.attributes.read_only
seealso:
  - module: esus.pec.preflight
"""

EXAMPLES = r"""
- name: Compare the server with what is believed about PEC
  esus.pec.doctor:
  register: report

- name: Show the report
  ansible.builtin.debug:
    msg: "{{ report.table.splitlines() }}"
"""

RETURN = r"""
lines:
  description: One line for each belief, each rule and each open question.
  returned: always
  type: list
  elements: dict
  contains:
    section: {description: "V(belief), V(rule) or V(discovery).", type: str, sample: belief}
    id: {description: "Stable name of the belief, rule or question.", type: str, sample: http-port}
    title: {description: Name of the thing., type: str, sample: Porta HTTP}
    expected: {description: What is expected., type: str, sample: "8080, em todos os endereços, pelo processo java"}
    found: {description: What was found., type: str, sample: "porta 8080 em 0.0.0.0, processo java"}
    status:
      description: V(ok), V(diverges), V(not_applicable), V(not_verifiable) or V(to_discover).
      type: str
      sample: ok
    verdict: {description: The status in Portuguese., type: str, sample: OK}
    evidence: {description: "Mark of the evidence: V(C), V(S), V(I) or V(?).", type: str, sample: C}
    source: {description: "Letters of the sources, explained in docs/contract.md.", type: str, sample: V DM M}
    beliefs: {description: Ids of the beliefs that the line touches., type: list, elements: str, sample: [http-port]}
    remedy: {description: What to do if it diverges., type: str, sample: ""}
table:
  description: The same lines as a table for a terminal.
  returned: always
  type: str
summary:
  description: Number of lines, in C(total) and by status.
  returned: always
  type: dict
  sample: {total: 105, ok: 60, diverges: 0, not_applicable: 15, not_verifiable: 20, to_discover: 10}
state:
  description: V(absent), V(installed) or V(broken).
  returned: always
  type: str
  sample: installed
version:
  description: Version of PEC, empty when not known.
  returned: always
  type: str
  sample: 5.4.37
stand_in:
  description: The server runs this collection's test double, which proves nothing about PEC.
  returned: always
  type: bool
"""

import platform
from typing import Any

from ansible_collections.esus.pec.plugins.module_utils.doctor.examining import examine, summarize
from ansible_collections.esus.pec.plugins.module_utils.doctor.look import look_at_server
from ansible_collections.esus.pec.plugins.module_utils.doctor.table import render
from ansible_collections.esus.pec.plugins.module_utils.module import PecModule, run_module

STATES = {"absent": "sem PEC neste servidor", "installed": "PEC instalado", "broken": "instalação do PEC incompleta"}
ARGUMENTS = {"jar": {"type": "path"}, "simultaneous_users": {"type": "int", "default": 40}}


def run(module: PecModule) -> dict[str, Any]:
    facts = look_at_server(module.params["jar"], module.params["simultaneous_users"])
    lines = examine(facts)
    summary = summarize(lines)
    state, version = facts.installation.state, facts.installation.version or ""
    heading = STATES[state] + (f", versão {version}" if version else "")
    return {
        "lines": [line.as_dict() for line in lines],
        "table": render(platform.node(), heading, lines, summary, stand_in=facts.web.stand_in),
        "summary": summary,
        "state": state,
        "version": version,
        "stand_in": facts.web.stand_in,
    }


def main() -> None:
    run_module(run, argument_spec=ARGUMENTS)


if __name__ == "__main__":
    main()
