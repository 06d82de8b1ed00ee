#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: contra_chave
short_description: Keep a contra-chave of e-Gestor with the server that it is for
version_added: 0.1.0
author: ["esus.pec contributors (@esus-pec)"]
description:
  - A contra-chave is what e-Gestor gives out for the chave that PEC shows, one per município and purpose. This module keeps it in
    C(/etc/esus-pec/contra-chave.yml), which only root reads, so that it is neither lost nor asked for twice.
  - It is kept as it was received, without what stands around it. Its form is not known, so it is not judged; it is never invented, and
    never shown. A fingerprint tells one from another.
  - PEC is not told. A person types it into PEC; what PEC's API would take for it is not known. Whether that was done is what
    O(activated) and O(confirmed_by) say, and no more.
options:
  purpose:
    description: V(instalacao) activates the installation, V(agendamento) Agenda Online.
    type: str
    choices: [instalacao, agendamento]
    required: true
  ibge_code:
    description: The município's code of the IBGE, with all seven digits, in quotes.
    type: str
    required: true
  contra_chave:
    description: The contra-chave, as it was copied or saved; blanks, line ends and a byte order mark around it are removed.
    type: str
  src:
    description: A file on the managed host that holds it, in place of O(contra_chave).
    type: path
  chave:
    description: The chave that PEC showed when it was asked for.
    type: str
  requested_by:
    description: Who asked e-Gestor for it.
    type: str
  requested_on:
    description: When, such as V(2026-11-23).
    type: str
  activated:
    description: V(confirmed) when a person has seen in PEC that it is active. Another contra-chave makes it V(unknown) again.
    type: str
    choices: [unknown, confirmed]
  confirmed_by:
    description: Who saw it. Goes with O(activated=confirmed).
    type: str
  state:
    description: Whether it is kept.
    type: str
    choices: [present, absent]
    default: present
attributes:
  check_mode:
    description: Can run in check mode and predict the change.
    support: full
  diff_mode:
    description: Shows all but the contra-chave and the chave, of which it shows fingerprints.
    support: full
  idempotent:
    description: A second run changes nothing. What is not given stays as it is.
    support: full
extends_documentation_fragment:
  - esus.pec.attributes
seealso:
  - module: esus.pec.info
"""

EXAMPLES = r"""
- name: Keep the contra-chave of the installation
  esus.pec.contra_chave:
    purpose: instalacao
    ibge_code: "2927408"
    contra_chave: "{{ vault_contra_chave_instalacao }}"
    requested_by: Maria da Silva
    requested_on: "2026-11-23"
  become: true

- name: Somebody has seen in PEC that it is active
  esus.pec.contra_chave:
    purpose: instalacao
    ibge_code: "2927408"
    activated: confirmed
    confirmed_by: Maria da Silva
  become: true
"""

RETURN = r"""
path: {description: Where it is kept., returned: success, type: str, sample: /etc/esus-pec/contra-chave.yml}
contra_chave_record:
  description: What is known of it, without itself. Null with O(state=absent).
  returned: success
  type: dict
  contains:
    purpose: {description: What it is for., type: str, sample: instalacao}
    ibge_code: {description: The município., type: str, sample: "2927408"}
    fingerprint: {description: "First eight hexadecimal digits of its SHA-256.", type: str, sample: 3f29a1b0}
    requested_by: {description: Who asked for it., type: str, sample: Maria da Silva}
    requested_on: {description: When., type: str, sample: "2026-11-23"}
    activated: {description: What a person said., type: str, sample: unknown}
    confirmed_by: {description: Who said so., type: str, sample: ""}
"""

from typing import Any

from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.module import QuietModule
from ansible_collections.esus.pec.plugins.module_utils.pec import contra_chave
from ansible_collections.esus.pec.plugins.module_utils.pec.contra_chave import Desired
from ansible_collections.esus.pec.plugins.module_utils.system import files, locks

ARGUMENTS = {
    "purpose": {"type": "str", "required": True, "choices": list(contra_chave.PURPOSES)},
    "ibge_code": {"type": "str", "required": True},
    "contra_chave": {"type": "str", "no_log": True},
    "src": {"type": "path"},
    "chave": {"type": "str", "no_log": True},
    "requested_by": {"type": "str"},
    "requested_on": {"type": "str"},
    "activated": {"type": "str", "choices": [contra_chave.UNKNOWN, contra_chave.CONFIRMED]},
    "confirmed_by": {"type": "str"},
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
}


def desired_from(params: dict[str, Any]) -> Desired:
    text, where = params["contra_chave"], "contra_chave"
    if params["src"]:
        text, where = files.read_text_lenient(params["src"]), params["src"]
    told = {name: params[name] for name in ("purpose", "ibge_code", "requested_by", "requested_on", "activated", "confirmed_by")}
    chave = params["chave"]
    return Desired(
        **told,
        present=params["state"] == "present",
        contra_chave=None if text is None else contra_chave.from_text(text, where),
        chave=None if chave is None else contra_chave.from_text(chave, "chave"),
    )


def main() -> None:
    module = QuietModule(argument_spec=ARGUMENTS, mutually_exclusive=[("contra_chave", "src")], supports_check_mode=True)
    try:
        desired = desired_from(module.params)
        module.no_log_values.update(value for value in (desired.contra_chave, desired.chave) if value)
        with locks.lock("contra-chave"):
            plan = contra_chave.plan(contra_chave.read(), desired)
            if plan.changed and not module.check_mode:
                contra_chave.write(plan.entries)
    except PecError as error:
        module.fail_json(msg=str(error))
    module.exit_json(
        changed=plan.changed,
        path=contra_chave.PATH,
        contra_chave_record=plan.entry.public() if plan.entry else None,
        diff={"before": plan.before, "after": plan.after, "before_header": contra_chave.PATH, "after_header": contra_chave.PATH},
    )


if __name__ == "__main__":
    main()
