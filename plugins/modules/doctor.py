#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: doctor
short_description: Compare a PEC server with everything this collection believes about PEC
description:
  - No public specification of PEC's files, database and answers exists, so this collection rests on beliefs, each with its evidence.
  - Looks at a server, compares it with each of them and with the failures that are known from real servers, and tells what nobody
    outside knows yet.
  - A check that cannot look says so; it is never counted as an agreement.
  - Reads only, and works on a server without PEC and on a broken one. No value of a password or another secret is in the report.
  - The texts of the report are in Portuguese, for the people who run PEC.
author: ["esus.pec contributors (@esus-pec)"]
version_added: 0.1.0
attributes:
  check_mode: {support: full, description: Only reads and does the same in check mode.}
  diff_mode: {support: none, description: Changes nothing and has no difference to show.}
  platform: {support: full, description: The systems it works on., platforms: linux}
options:
  jar:
    description:
      - Path of PEC's installer on the server, so that the beliefs about it can be compared too. It is not run.
      - Without the option the usual places are searched for one.
    type: path
  simultaneous_users:
    description: How many people use PEC at the same time; chooses the line of the official table of hardware.
    type: int
    default: 40
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
    title: {description: What it is., type: str, sample: Porta HTTP}
    expected: {description: What should be there., type: str, sample: "8080, em todos os endereços, pelo processo java"}
    found: {description: What is there., type: str, sample: "porta 8080 em 0.0.0.0, processo java"}
    status:
      description: V(ok), V(diverges), V(not_applicable), V(not_verifiable) or V(to_discover).
      type: str
      sample: ok
    verdict: {description: The status in Portuguese., type: str, sample: OK}
    evidence: {description: "Mark of the evidence: V(C), V(S), V(I) or V(?).", type: str, sample: C}
    source: {description: "Letters of the sources, explained in docs/contract.md.", type: str, sample: V DM M}
    beliefs: {description: Ids of the beliefs that the line touches., type: list, elements: str, sample: [http-port]}
    remedy: {description: What to do when it diverges., type: str, sample: ""}
table:
  description: The same for a terminal, aligned.
  returned: always
  type: str
summary:
  description: How many lines there are in all, C(total), and of each status.
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
  description: Whether the server runs this collection's test double, which proves nothing about PEC.
  returned: always
  type: bool
"""

import os
import platform

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.esus.pec.plugins.module_utils.doctor.examining import examine, summarize
from ansible_collections.esus.pec.plugins.module_utils.doctor.facts import Facts
from ansible_collections.esus.pec.plugins.module_utils.doctor.look import look
from ansible_collections.esus.pec.plugins.module_utils.doctor.table import render
from ansible_collections.esus.pec.plugins.module_utils.errors import PecError

STATES = {"absent": "sem PEC neste servidor", "installed": "PEC instalado", "broken": "instalação do PEC incompleta"}


def require_root() -> None:
    if os.geteuid() != 0:
        raise PecError("only root can read all of PEC's files, and the doctor runs as another user; set become: true for the play")


def describe(facts: Facts) -> str:
    version = facts.installation.version
    return STATES[facts.installation.state] + (f", versão {version}" if version else "")


def main() -> None:
    module = AnsibleModule(
        argument_spec={"jar": {"type": "path"}, "simultaneous_users": {"type": "int", "default": 40}},
        supports_check_mode=True,
    )
    try:
        require_root()
        facts = look(module.params["jar"], module.params["simultaneous_users"])
    except PecError as error:
        module.fail_json(msg=str(error))
    lines = examine(facts)
    summary = summarize(lines)
    module.exit_json(
        changed=False,
        lines=[line.as_dict() for line in lines],
        table=render(platform.node(), describe(facts), lines, summary, stand_in=facts.web.stand_in),
        summary=summary,
        state=facts.installation.state,
        version=facts.installation.version or "",
        stand_in=facts.web.stand_in,
    )


if __name__ == "__main__":
    main()
