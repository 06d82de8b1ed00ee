#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: contra_chave
short_description: Keep a contra-chave from e-Gestor on the server it was issued for
version_added: 0.1.0
author: ["esus.pec contributors (@esus-pec)"]
description:
  - e-Gestor issues a contra-chave for the chave that PEC shows, one for each município and purpose. This module keeps it in
    C(/etc/esus-pec/contra-chave.yml), readable by root only, so that it is neither lost nor requested twice.
  - It is kept as received, without blanks and line ends around it. Its form is not known, so it is not checked. It is never shown; a
    fingerprint distinguishes one from another.
  - A contra-chave or chave that is replaced or removed is kept in C(/etc/esus-pec/replaced), readable by root only.
  - PEC is not changed. An operator types the contra-chave into PEC, because the matching call of PEC's API is not known. O(activated) and
    O(confirmed_by) only record that this was done.
options:
  purpose:
    description: V(instalacao) activates the installation, V(agendamento) Agenda Online.
    type: str
    choices: [instalacao, agendamento]
    required: true
  ibge_code:
    description: IBGE code of the município, all seven digits, in quotes.
    type: str
    required: true
  contra_chave:
    description: The contra-chave as it was copied or saved. Blanks, line ends and a byte order mark around it are removed.
    type: str
  src:
    description: A file on the managed host with the contra-chave, instead of O(contra_chave).
    type: path
  chave:
    description: The chave that PEC showed for the request.
    type: str
  requested_by:
    description: Who requested it from e-Gestor.
    type: str
  requested_on:
    description: Date of the request, such as V(2026-11-23).
    type: str
  activated:
    description: V(confirmed) after somebody saw in PEC that it is active. Another contra-chave resets it to V(unknown).
    type: str
    choices: [unknown, confirmed]
  confirmed_by:
    description: Who saw it. Required with O(activated=confirmed).
    type: str
  state:
    description: V(present) keeps the contra-chave, V(absent) removes it.
    type: str
    choices: [present, absent]
    default: present
attributes:
  check_mode:
    description: Can run in check mode and predict the change.
    support: full
  diff_mode:
    description: Shows everything except the contra-chave and the chave, which appear as fingerprints.
    support: full
  idempotent:
    description: A second run changes nothing. Options that are not given are left as they are.
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

- name: Record that it is active in PEC
  esus.pec.contra_chave:
    purpose: instalacao
    ibge_code: "2927408"
    activated: confirmed
    confirmed_by: Maria da Silva
  become: true
"""

RETURN = r"""
path: {description: The file that keeps it., returned: success, type: str, sample: /etc/esus-pec/contra-chave.yml}
backup_file:
  description: Where the file from before is kept.
  returned: when a contra-chave or chave was replaced or removed
  type: str
  sample: /etc/esus-pec/replaced/contra-chave.yml.20261123T065500Z.1f2e3d4c
contra_chave_record:
  description: The record without the contra-chave itself. Null with O(state=absent).
  returned: success
  type: dict
  contains:
    purpose: {description: Its purpose., type: str, sample: instalacao}
    ibge_code: {description: IBGE code of the município., type: str, sample: "2927408"}
    fingerprint: {description: First eight hexadecimal digits of its SHA-256., type: str, sample: 3f29a1b0}
    requested_by: {description: Who requested it., type: str, sample: Maria da Silva}
    requested_on: {description: Date of the request., type: str, sample: "2026-11-23"}
    activated: {description: Activation as recorded., type: str, sample: unknown}
    confirmed_by: {description: Who confirmed it., type: str, sample: ""}
"""

from typing import Any

from ansible_collections.esus.pec.plugins.module_utils.module import PecModule, Result, diff, run_module
from ansible_collections.esus.pec.plugins.module_utils.pec import contra_chave
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


def desired_from(params: dict[str, Any]) -> contra_chave.Desired:
    text, where = params["contra_chave"], "contra_chave"
    if params["src"]:
        text, where = files.read_text_lenient(params["src"]), params["src"]
    given = {name: params[name] for name in ("purpose", "ibge_code", "requested_by", "requested_on", "activated", "confirmed_by")}
    chave = params["chave"]
    return contra_chave.Desired(
        **given,
        present=params["state"] == "present",
        contra_chave=None if text is None else contra_chave.from_text(text, where),
        chave=None if chave is None else contra_chave.from_text(chave, "chave"),
    )


def run(module: PecModule) -> Result:
    desired = desired_from(module.params)
    module.no_log_values.update(value for value in (desired.contra_chave, desired.chave) if value)
    kept = None
    with locks.lock("contra-chave"):
        todo = contra_chave.plan(contra_chave.read(), desired)
        if todo.changed and not module.check_mode:
            kept = contra_chave.keep() if todo.loses else None
            contra_chave.write(todo.entries)
    return {
        "changed": todo.changed,
        "path": contra_chave.PATH,
        "contra_chave_record": todo.entry.public() if todo.entry else None,
        "diff": diff(contra_chave.PATH, todo.before, todo.after),
        **({"backup_file": kept} if kept else {}),
    }


def main() -> None:
    run_module(run, argument_spec=ARGUMENTS, mutually_exclusive=[("contra_chave", "src")])


if __name__ == "__main__":
    main()
