#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: transfer_source_service
short_description: Freeze, give back or retire the PEC that is moved to another server
version_added: 0.1.0
author: ["esus.pec contributors (@esus-pec)"]
description:
  - Runs on the old server, and freezes its PEC before its database is moved. PEC's service is stopped, its port is closed, no session of
    PEC is left in the database, and the last transaction is recorded, so that a later write is noticed. The PostgreSQL of the server keeps
    running.
  - The record is C(/var/lib/esus-pec/transfer-source.json). It names the new server, and another one is refused. It outlives a restart of
    the server, after which PEC serves again, because its unit is still enabled.
  - If PEC does not stop, or a program keeps a session in its database, PEC is started again and the module fails.
  - Nothing is ever deleted.
options:
  state:
    description:
      - V(frozen) stops PEC. When PEC is frozen for O(target) already, it reports whether something was written since.
      - V(serving) gives PEC back as it was before it was frozen, which includes whether it starts with the server.
      - V(retired) stops and disables the services of a frozen PEC, its own PostgreSQL among them.
    type: str
    choices: [serving, frozen, retired]
    required: true
  target:
    description: Name of the new server. Required unless the state is V(serving), which without it takes any.
    type: str
  force:
    description: Also if PEC is frozen for or retired to another server.
    type: bool
    default: false
  fingerprint:
    description:
      - Fingerprint of the frozen database, in the form of a manifest of M(esus.pec.dump) with its tables. Without it, a transaction since
        the freeze may be the server's own, such as one that cleans up, and RV(written_since) is V(maybe).
      - It is read only if there was a transaction, and then every row of the database is read.
    type: dict
  timeout:
    description: Seconds to wait for PEC to stop, and for its sessions to end.
    type: int
    default: 300
attributes:
  check_mode:
    description: Reports what would be done.
    support: full
  diff_mode:
    description: Returns no diff; RV(state) has what is reached.
    support: none
extends_documentation_fragment:
  - esus.pec.attributes
seealso:
  - module: esus.pec.transfer_state
"""

EXAMPLES = r"""
- name: Stop PEC on the old server
  esus.pec.transfer_source_service:
    state: frozen
    target: "{{ inventory_hostname }}"
  delegate_to: antigo.example.org
  become: true
  register: frozen

- name: Start it again, because the transfer failed
  esus.pec.transfer_source_service:
    state: serving
    target: "{{ inventory_hostname }}"
  delegate_to: antigo.example.org
  become: true
"""

RETURN = r"""
state: {description: "State of the PEC: V(serving), V(frozen) or V(retired).", returned: success, type: str, sample: frozen}
target: {description: "The new server, null without a freeze.", returned: success, type: str, sample: novo.example.org}
at: {description: "When PEC was frozen or retired, null without a freeze.", returned: success, type: str, sample: "2026-11-30T12:05:00Z"}
last_transaction:
  description: Number of the next transaction at the time of the freeze, null without one.
  returned: success
  type: int
  sample: 812345
transaction: {description: Number of the next transaction now., returned: with O(state=frozen), type: int, sample: 812345}
written_since:
  description:
    - Whether something was written since an earlier freeze for the same target, V(no), V(maybe) or V(yes). Null if there was none.
    - After V(yes), and after V(maybe) if PEC was running, RV(last_transaction) is that of the new freeze.
  returned: with O(state=frozen)
  type: str
  sample: "no"
system_identifier:
  description: System identifier of the PostgreSQL; empty if it does not tell, null without a freeze.
  returned: success
  type: str
  sample: "7411234567890123456"
database: {description: "Name of the database, null without a freeze.", returned: success, type: str, sample: esus}
notes: {description: Sessions of others in the database., returned: success, type: list, elements: str, sample: []}
"""

from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.module import PecModule, Result, run_module
from ansible_collections.esus.pec.plugins.module_utils.transfer import service
from ansible_collections.esus.pec.plugins.module_utils.transfer.service import Outcome, Wanted

ARGUMENTS = {
    "state": {"type": "str", "choices": [service.SERVING, service.FROZEN, service.RETIRED], "required": True},
    "target": {"type": "str"},
    "force": {"type": "bool", "default": False},
    "fingerprint": {"type": "dict"},
    "timeout": {"type": "int", "default": 300},
}
REQUIRED = [("state", service.FROZEN, ("target",)), ("state", service.RETIRED, ("target",))]


def run(module: PecModule) -> Result:
    params, check = module.params, module.check_mode
    if params["timeout"] <= 0:
        raise PecError(f"timeout is {params['timeout']}; give seconds above 0")
    target, force = params["target"] or "", params["force"]
    if params["state"] == service.SERVING:
        return _described(service.thaw(target, force=force, check=check))
    if params["state"] == service.RETIRED:
        return _described(service.retire(target, force=force, check=check))
    wanted = Wanted(target, params["timeout"], force, service.fingerprint_from(params["fingerprint"]))
    done = service.freeze(wanted, check=check)
    return {**_described(done, service.FROZEN), "transaction": done.transaction, "written_since": done.written_since}


def _described(done: Outcome, state: str = service.SERVING) -> Result:
    mark = done.mark
    return {
        "changed": done.changed,
        "state": mark.state if mark else state,
        "target": mark.target if mark else None,
        "at": mark.at if mark else None,
        "last_transaction": mark.last_transaction if mark else None,
        "system_identifier": mark.system_identifier if mark else None,
        "database": mark.database if mark else None,
        "notes": list(done.notes),
    }


def main() -> None:
    run_module(run, argument_spec=ARGUMENTS, required_if=REQUIRED, stoppable=True)


if __name__ == "__main__":
    main()
