#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: transfer_state
short_description: Record how far the transfer of a PEC to this host has come
version_added: 0.2.0
author: ["esus.pec contributors (@esus-pec)"]
description:
  - Keeps a record on the new server, in C(/var/lib/esus-pec/transfer/state.json). If a run is interrupted, the next one resumes at the
    first phase that is not done.
  - One run works on a host at a time. A second run that begins takes the transfer over, and the next call of the older one fails with the
    name of the newer. While a module such as M(esus.pec.restore), M(esus.pec.dump) or M(esus.pec.installer) works on the host, no run can
    take over.
  - The record holds no secret. Give none in O(facts).
options:
  state:
    description:
      - V(read) returns the record.
      - V(begun) begins or resumes the transfer from O(source) for the run O(run).
      - V(done) records that O(phase) has ended well.
      - V(failed) records that O(phase) has failed.
      - V(absent) removes the record.
    type: str
    choices: [read, begun, done, failed, absent]
    default: read
  run:
    description: Name of this run of a playbook, the same in all of its tasks. Required unless the state is V(read) or V(absent).
    type: str
  source:
    description: What distinguishes the PEC that is moved. With another one than recorded, V(begun) starts over.
    type: dict
    suboptions:
      host: {description: Name of the host; of a file its name., type: str, required: true}
      system_identifier: {description: System identifier of its PostgreSQL., type: str, default: ""}
      database: {description: Name of the database; of a file its SHA-256., type: str, default: ""}
  last_transaction:
    description:
      - Last transaction in the record of the source's freeze. If it differs from the fact C(last_transaction) of the phase V(freeze), the
        source was frozen again since, and V(begun) drops this phase and those after it.
    type: int
  serving:
    description: The source is in service. V(begun) and V(failed) then drop the phase V(freeze) and those after it.
    type: bool
    default: false
  phase:
    description: The phase. Required for V(done) and V(failed).
    type: str
    choices: [preflight, prepare, rehearse, freeze, move, files, settle, verify, cutover]
  facts:
    description: What the phase found out, or why it failed.
    type: dict
    default: {}
  restart:
    description: Begin anew. Without it a transfer that was finished, which includes the phase V(cutover), cannot be begun again.
    type: bool
    default: false
attributes:
  check_mode:
    description: Returns what would be recorded, and writes nothing. V(done) and V(failed) then need no transfer that has begun.
    support: full
  diff_mode:
    description: Returns no diff; the result has the whole record.
    support: none
extends_documentation_fragment:
  - esus.pec.attributes
seealso:
  - module: esus.pec.restore
"""

EXAMPLES = r"""
- name: Begin the transfer, or resume it
  esus.pec.transfer_state:
    state: begun
    run: "{{ ansible_date_time.iso8601_micro }}"
    source:
      host: antigo.example.org
      system_identifier: "7411234567890123456"
      database: esus
  become: true
  register: transfer

- name: Record that PEC was stopped at the source
  esus.pec.transfer_state:
    state: done
    run: "{{ transfer.run }}"
    phase: freeze
    facts: "{{ {'last_transaction': frozen.last_transaction} }}"
  become: true
"""

RETURN = r"""
path: {description: The record., returned: success, type: str, sample: /var/lib/esus-pec/transfer/state.json}
run: {description: "The run that the transfer belongs to, null if none has begun.", returned: success, type: str, sample: 20261130T120000}
since: {description: When that run began., returned: success, type: str, sample: "2026-11-30T12:00:00Z"}
source:
  description: The recorded source, null if no transfer has begun.
  returned: success
  type: dict
  sample: {host: antigo.example.org, system_identifier: "7411234567890123456", database: esus}
done:
  description: The phases that are done, in their order.
  returned: success
  type: list
  elements: dict
  contains:
    phase: {description: Name of the phase., type: str, sample: freeze}
    at: {description: When it ended., type: str, sample: "2026-11-30T12:05:00Z"}
    run: {description: The run that did it., type: str, sample: 20261130T120000}
    facts: {description: What it found out., type: dict, sample: {last_transaction: 812345}}
phases: {description: Names of the phases that are done., returned: success, type: list, elements: str, sample: [prepare, freeze]}
next: {description: "The first phase that is not done, null after the last.", returned: success, type: str, sample: move}
failure:
  description: The phase that failed last, in the form of RV(done). Null if none did since the last phase that was done.
  returned: success
  type: dict
  sample: null
finished: {description: The phase V(cutover) is done., returned: success, type: bool, sample: false}
resumed: {description: Phases were done before this run., returned: with O(state=begun), type: bool, sample: false}
dropped: {description: Phases that are no longer done., returned: with O(state=begun), type: list, elements: str, sample: []}
reason: {description: Why phases were dropped; empty if none were., returned: with O(state=begun), type: str, sample: ""}
taken_over: {description: The run that was taken over; empty if none was., returned: with O(state=begun), type: str, sample: ""}
"""

import os

from ansible_collections.esus.pec.plugins.module_utils.module import PecModule, Result, run_module
from ansible_collections.esus.pec.plugins.module_utils.system import clock, files
from ansible_collections.esus.pec.plugins.module_utils.transfer import state

ARGUMENTS = {
    "state": {"type": "str", "choices": ["read", "begun", "done", "failed", "absent"], "default": "read"},
    "run": {"type": "str"},
    "source": {
        "type": "dict",
        "options": {
            "host": {"type": "str", "required": True},
            "system_identifier": {"type": "str", "default": ""},
            "database": {"type": "str", "default": ""},
        },
    },
    "last_transaction": {"type": "int"},
    "serving": {"type": "bool", "default": False},
    "phase": {"type": "str", "choices": list(state.PHASES)},
    "facts": {"type": "dict", "default": {}},
    "restart": {"type": "bool", "default": False},
}
REQUIRED = [("state", "begun", ("run", "source")), ("state", "done", ("run", "phase")), ("state", "failed", ("run", "phase"))]


def run(module: PecModule) -> Result:
    params = module.params
    with state.alone():
        if params["state"] == "absent":
            exists = os.path.lexists(state.PATH)
            if exists and not module.check_mode:
                files.unlink(state.PATH)
            return {"changed": exists, **_described(None)}
        before = state.read()
        if params["state"] == "read":
            return _described(before)
        more: Result = {}
        if params["state"] == "begun":
            state.require_idle(before, params["run"])
            begun = state.begin(before, _wanted(params), clock.utc())
            after = begun.state
            told = {"dropped": list(begun.dropped), "reason": begun.reason, "taken_over": begun.taken_over}
            more = {"resumed": bool(after.phases), **told}
        else:
            after = _after(before, params, check=module.check_mode)
        changed = after != before
        if changed and not module.check_mode:
            state.write(after)
    return {"changed": changed, **_described(after), **more}


def _wanted(params: Result) -> state.Begin:
    return state.Begin(params["run"], state.Source(**params["source"]), params["last_transaction"], params["serving"], params["restart"])


def _after(before: state.State | None, params: Result, *, check: bool) -> state.State:
    now = clock.utc()
    if check and (before is None or before.run != params["run"]):  # it began in check mode too, so it is not recorded
        before = state.State(before.source if before else state.Source(""), params["run"], now, before.phases if before else ())
    if params["state"] == "done":
        return state.done(before, params["run"], params["phase"], params["facts"], now)
    return state.failed(before, params["run"], params["phase"], params["facts"], now, serving=params["serving"])


def _described(found: state.State | None) -> Result:
    return {
        "path": state.PATH,
        "run": found.run if found else None,
        "since": found.since if found else None,
        "source": vars(found.source) if found else None,
        "done": [vars(each) for each in found.phases] if found else [],
        "phases": [each.phase for each in found.phases] if found else [],
        "next": state.following(found),
        "failure": vars(found.failure) if found and found.failure else None,
        "finished": bool(found and found.finished),
    }


def main() -> None:
    run_module(run, argument_spec=ARGUMENTS, required_if=REQUIRED)


if __name__ == "__main__":
    main()
