#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: transfer_source_service
short_description: Freeze, give back or retire the PEC that is moved to another server
version_added: 0.2.0
author: ["esus.pec contributors (@esus-pec)"]
description:
  - Runs on the old server, and freezes its PEC before its database is moved. PEC's service is stopped, its port is closed, no session of
    PEC is left in the database, and the last transaction is recorded, so that a later write is noticed. The PostgreSQL of the server keeps
    running.
  - The record is C(/var/lib/esus-pec/transfer-source.json). It names the new server, and another one is refused. It outlives a restart of
    the server, after which PEC serves again, because its unit is still enabled.
  - With O(ssh) it runs on the new server, for an old one where nothing can be run, such as one with Windows. A person or another task stops
    PEC there, and the module waits until its ports are closed and its sessions have ended. The record is then on the new server, in
    C(/var/lib/esus-pec/transfer/source.json).
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
  home:
    description: Directory on this host with a copy of the files of the old PEC, which name its database. Used with O(ssh) only.
    type: path
  database:
    description: The database, as seen from the server in O(ssh), instead of O(home). Used with O(ssh) only.
  ports:
    description: Ports of PEC that must be closed. Used with O(ssh) only; otherwise PEC's files name them.
    type: list
    elements: int
    default: [8080]
  system:
    description: System of the server in O(ssh), for RV(steps).
    type: str
    choices: [windows, linux]
    default: windows
attributes:
  check_mode:
    description: Reports what would be done.
    support: full
  diff_mode:
    description: Returns no diff; RV(state) has what is reached.
    support: none
extends_documentation_fragment:
  - esus.pec.attributes
  - esus.pec.database
  - esus.pec.ssh
seealso:
  - module: esus.pec.transfer_source
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

- name: Wait until somebody has stopped PEC on an old server with Windows
  esus.pec.transfer_source_service:
    state: frozen
    target: "{{ inventory_hostname }}"
    timeout: 1800
    home: /var/lib/esus-pec/transfer/files
    ssh:
      host: antigo.example.org
      user: Administrador
      key_path: /var/lib/esus-pec/transfer/ssh/id_ed25519
      known_hosts_path: /var/lib/esus-pec/transfer/ssh/known_hosts
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
steps:
  description: What a person has to do on the old server to reach O(state), in Portuguese. Returned also if the module fails.
  returned: with O(ssh)
  type: list
  elements: str
  sample: ['Pare o PEC: net stop "e-SUS-AB PEC"']
notes:
  description: Sessions of others in the database, and what else an operator should know.
  returned: success
  type: list
  elements: str
  sample: []
"""

from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.module import PecModule, Result, run_module
from ansible_collections.esus.pec.plugins.module_utils.pec import installation
from ansible_collections.esus.pec.plugins.module_utils.postgres.options import DATABASE
from ansible_collections.esus.pec.plugins.module_utils.postgres.psql import connection_from
from ansible_collections.esus.pec.plugins.module_utils.transfer import picture, service, watching
from ansible_collections.esus.pec.plugins.module_utils.transfer.link import SSH_OPTIONS, Ssh, ssh_from
from ansible_collections.esus.pec.plugins.module_utils.transfer.service import Outcome, Wanted
from ansible_collections.esus.pec.plugins.module_utils.transfer.steps import steps

ARGUMENTS = {
    "state": {"type": "str", "choices": [service.SERVING, service.FROZEN, service.RETIRED], "required": True},
    "target": {"type": "str"},
    "force": {"type": "bool", "default": False},
    "fingerprint": {"type": "dict"},
    "timeout": {"type": "int", "default": 300},
    "ssh": SSH_OPTIONS,
    "home": {"type": "path"},
    "database": DATABASE,
    "ports": {"type": "list", "elements": "int", "default": [8080]},
    "system": {"type": "str", "choices": [picture.WINDOWS, picture.LINUX], "default": picture.WINDOWS},
}
REQUIRED = [("state", service.FROZEN, ("target",)), ("state", service.RETIRED, ("target",))]


def run(module: PecModule) -> Result:
    params = module.params
    if params["timeout"] <= 0:
        raise PecError(f"timeout is {params['timeout']}; give seconds above 0")
    ssh = ssh_from(params["ssh"])
    if ssh is None:
        return _result(_here(params, check=module.check_mode), params)
    todo = list(steps(params["state"], params["system"]))
    try:
        return {**_result(_there(ssh, params, check=module.check_mode), params), "steps": todo}
    except PecError as error:
        error.facts["steps"] = todo
        raise


def _here(params: Result, *, check: bool) -> Outcome:
    target, force = params["target"] or "", params["force"]
    if params["state"] == service.SERVING:
        return service.thaw(target, force=force, check=check)
    if params["state"] == service.RETIRED:
        return service.retire(target, force=force, check=check)
    return service.freeze(_wanted(params), check=check)


def _there(ssh: Ssh, params: Result, *, check: bool) -> Outcome:
    target, force, source = params["target"] or "", params["force"], watching.Source(ssh, params["ports"])
    if params["state"] == service.SERVING:
        return watching.thaw(target, force=force, check=check)
    if params["state"] == service.RETIRED:
        return watching.retire(source, target, force=force, check=check)
    connection = connection_from(params["database"])
    if connection is None and not params["home"]:
        raise PecError("with ssh the database is not known; give home, a copy of the files of PEC, or database")
    return watching.freeze(source, connection or installation.connection_below(params["home"]), _wanted(params), check=check)


def _wanted(params: Result) -> Wanted:
    return Wanted(params["target"], params["timeout"], params["force"], service.fingerprint_from(params["fingerprint"]))


def _result(done: Outcome, params: Result) -> Result:
    mark, frozen = done.mark, params["state"] == service.FROZEN
    return {
        "changed": done.changed,
        "state": mark.state if mark else params["state"],
        "target": mark.target if mark else None,
        "at": mark.at if mark else None,
        "last_transaction": mark.last_transaction if mark else None,
        "system_identifier": mark.system_identifier if mark else None,
        "database": mark.database if mark else None,
        "notes": list(done.notes),
        **({"transaction": done.transaction, "written_since": done.written_since} if frozen else {}),
    }


def main() -> None:
    run_module(run, argument_spec=ARGUMENTS, required_if=REQUIRED, stoppable=True)


if __name__ == "__main__":
    main()
