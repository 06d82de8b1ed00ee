#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: transfer_key
short_description: Have the SSH key with which a transfer's target logs in to its source
description:
  - Makes an ed25519 key on the target, or writes the one that is given, and the source's host keys beside it, in files that only root can
    read. The private key never leaves the target.
version_added: 0.2.0
author: ["esus.pec contributors (@esus-pec)"]
options:
  state:
    description: V(present) makes or writes the files, V(absent) removes them.
    type: str
    choices: [present, absent]
    default: present
  directory:
    description: Directory of the files.
    type: path
    default: /var/lib/esus-pec/transfer/ssh
  private_key:
    description:
      - Content of a private key without passphrase that the source already allows, such as that of a Windows server.
      - Without it, an existing key is kept and a missing one is made.
    type: str
    default: ""
  known_hosts:
    description: Content of the list of known hosts, in OpenSSH's format.
    type: str
    default: ""
  host:
    description: Name or address of the source, to write the list of known hosts from O(host_keys).
    type: str
    default: ""
  port:
    description: Port of the source's SSH server, for the list of known hosts.
    type: int
    default: 22
  host_keys:
    description: Public host keys of the source, as M(esus.pec.transfer_access) returns them.
    type: list
    elements: str
    default: []
attributes:
  check_mode:
    description: Writes nothing. RV(public_key) is empty if the key would be made.
    support: full
  diff_mode:
    description: Returns no diff; RV(actions) says what changed.
    support: none
extends_documentation_fragment:
  - esus.pec.attributes
seealso:
  - module: esus.pec.transfer_access
"""

EXAMPLES = r"""
- name: Make a key on the new server
  esus.pec.transfer_key:
  become: true
  register: key

- name: Allow it on the old server
  esus.pec.transfer_access:
    public_key: "{{ key.public_key }}"
    database_port: 5433
  become: true
  delegate_to: old.example
  register: access

- name: Know the old server
  esus.pec.transfer_key:
    host: old.example
    host_keys: "{{ access.host_keys }}"
  become: true
"""

RETURN = r"""
actions:
  description: "What was done, of V(make key), V(write key), V(write known hosts) and V(remove)."
  returned: success
  type: list
  elements: str
  sample: [make key]
public_key:
  description: The public key, without a comment. Empty if there is none.
  returned: success
  type: str
  sample: ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIIk0c9H2yVqzq1yv7Jv0k2u1mA0qE6uJrZx9q2c5tE1f
key_path: {description: File of the private key., returned: success, type: str, sample: /var/lib/esus-pec/transfer/ssh/id_ed25519}
known_hosts_path:
  description: File of the source's host keys.
  returned: success
  type: str
  sample: /var/lib/esus-pec/transfer/ssh/known_hosts
"""

from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.module import PecModule, Result, run_module
from ansible_collections.esus.pec.plugins.module_utils.transfer import keys

ARGUMENTS = {
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "directory": {"type": "path", "default": keys.DIRECTORY},
    "private_key": {"type": "str", "default": "", "no_log": True},
    "known_hosts": {"type": "str", "default": ""},
    "host": {"type": "str", "default": ""},
    "port": {"type": "int", "default": 22},
    "host_keys": {"type": "list", "elements": "str", "default": [], "no_log": False},
}


def run(module: PecModule) -> Result:
    params = module.params
    if bool(params["host"]) != bool(params["host_keys"]):
        raise PecError("host and host_keys belong together; give both, or known_hosts instead")
    if params["host"] and params["known_hosts"]:
        raise PecError("known_hosts and host_keys are two ways to the same file; give one of them")
    known = keys.known_hosts(params["host"], params["port"], params["host_keys"]) if params["host"] else params["known_hosts"]
    desired = keys.Desired(params["directory"], params["private_key"], known)
    places = {"key_path": desired.key_path, "known_hosts_path": desired.known_hosts_path}
    if params["state"] == "absent":
        removed = keys.remove(desired, check=module.check_mode)
        return {"changed": removed, "actions": ["remove"] if removed else [], "public_key": "", **places}
    current = keys.read_current(desired)
    steps = keys.plan(current, desired)
    if not module.check_mode:
        keys.apply(desired, steps)
        current = keys.read_current(desired)
    return {"changed": bool(steps), "actions": steps, "public_key": current.public_key or "", **places}


def main() -> None:
    run_module(run, argument_spec=ARGUMENTS)


if __name__ == "__main__":
    main()
