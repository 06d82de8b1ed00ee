#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: transfer_access
short_description: Let a transfer's target reach the database and some directories of its source, for a while
description:
  - Makes the account C(esus-pec-transfer) on the source, without password and shell, that one key of the target may use. It can forward two
    ports of the loopback and do nothing else, until it expires.
  - If directories are given, starts C(rsync) as a service on the loopback. It serves them read-only, each with the rights of its owner, to
    whoever has the password. Symbolic links in them are not followed.
  - Writes a file for the account to C(/etc/ssh/sshd_config.d) and reloads the SSH server, because the options of a key do not keep it from
    making sockets. A server without that directory is left as it is, with a warning.
  - Fails with the settings that forbid the access if the SSH server's configuration does, such as C(AllowUsers). They are not changed.
  - A run that was killed is completed by the next one. V(absent) ends the account's connections and removes everything.
version_added: 0.2.0
author: ["esus.pec contributors (@esus-pec)"]
options:
  state:
    description: V(present) gives the access, V(absent) removes it.
    type: str
    choices: [present, absent]
    default: present
  public_key:
    description: Public key of the target, as M(esus.pec.transfer_key) returns it. Required if O(state=present).
    type: str
  database_port:
    description: Port of the source's PostgreSQL on its loopback. PEC's bundled one has V(5433).
    type: int
    default: 5432
  directories:
    description: Directories to serve with C(rsync).
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: Name of the directory's rsync module, of V(a) to V(z), V(0) to V(9), V(-) and V(_).
        type: str
        required: true
      path:
        description: The directory.
        type: path
        required: true
  rsync_port:
    description: Port for C(rsync) on the loopback, below 1024 so that no other account can open it.
    type: int
    default: 874
  rsync_password:
    description: Password that C(rsync) asks for, of at least 16 characters. Required with O(directories).
    type: str
    default: ""
  addresses:
    description: Addresses or networks that the target may come from. Empty for any.
    type: list
    elements: str
    default: []
  hours:
    description: Hours until the key expires. A later run renews it when less than half of them is left.
    type: int
    default: 24
attributes:
  check_mode:
    description: Changes nothing. Judges the configuration of the SSH server.
    support: full
  diff_mode:
    description: Returns no diff; RV(actions) says what changed.
    support: none
extends_documentation_fragment:
  - esus.pec.attributes
seealso:
  - module: esus.pec.transfer_key
  - module: esus.pec.physical_copy
"""

EXAMPLES = r"""
- name: Let the new server reach the database
  esus.pec.transfer_access:
    public_key: "{{ key.public_key }}"
    database_port: 5433
    addresses: [192.0.2.20]
  become: true

- name: Let it also copy the data directory
  esus.pec.transfer_access:
    public_key: "{{ key.public_key }}"
    directories:
      - name: data
        path: /var/lib/postgresql/15/main
    rsync_password: "{{ rsync_password }}"
  become: true

- name: End it
  esus.pec.transfer_access:
    state: absent
  become: true
"""

RETURN = r"""
actions:
  description: "What was done, of V(account), V(key), V(sshd), V(rsync), V(no rsync) and V(remove)."
  returned: success
  type: list
  elements: str
  sample: [account, key, sshd]
user: {description: The account., returned: success, type: str, sample: esus-pec-transfer}
expires: {description: When the key expires., returned: state is present, type: str, sample: "2026-12-01T18:00:00Z"}
host_keys:
  description: Public keys of the SSH server, each as its type and its key.
  returned: state is present
  type: list
  elements: str
  sample: [ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIIk0c9H2yVqzq1yv7Jv0k2u1mA0qE6uJrZx9q2c5tE1f]
ssh_ports: {description: Ports of the SSH server., returned: state is present, type: list, elements: int, sample: [22]}
rsync:
  description: Where C(rsync) serves the directories. Null without directories.
  returned: state is present
  type: dict
  contains:
    port: {description: Its port on the loopback., type: int, returned: always, sample: 874}
    user: {description: Name to log in with., type: str, returned: always, sample: esus-pec-transfer}
    modules: {description: Names of the directories., type: list, elements: str, returned: always, sample: [data]}
"""

from datetime import datetime, timezone

from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.module import PecModule, Result, run_module
from ansible_collections.esus.pec.plugins.module_utils.system import clock
from ansible_collections.esus.pec.plugins.module_utils.transfer import access, sshd

ARGUMENTS = {
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "public_key": {"type": "str", "no_log": False},
    "database_port": {"type": "int", "default": 5432},
    "directories": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": {"name": {"type": "str", "required": True}, "path": {"type": "path", "required": True}},
    },
    "rsync_port": {"type": "int", "default": access.RSYNC_PORT},
    "rsync_password": {"type": "str", "default": "", "no_log": True},
    "addresses": {"type": "list", "elements": "str", "default": []},
    "hours": {"type": "int", "default": 24},
}


def run(module: PecModule) -> Result:
    params = module.params
    if params["state"] == "absent":
        removed = access.remove(access.read_current(None), check=module.check_mode)
        return {"changed": removed, "actions": ["remove"] if removed else [], "user": access.USER}
    if not 1 <= params["hours"] <= 24 * 7:
        raise PecError(f"hours {params['hours']} is not between 1 and 168; a transfer that takes longer renews the access by running again")
    desired = access.Desired(
        params["public_key"].strip(),
        params["database_port"],
        tuple(access.Served(each["name"], each["path"]) for each in params["directories"]),
        params["rsync_port"],
        params["rsync_password"],
        tuple(params["addresses"]),
        params["hours"],
    )
    access.require_sound(desired)
    current = access.read_current(desired)
    planned = access.plan(current, desired, datetime.now(timezone.utc))
    if not module.check_mode:
        access.apply(planned)
    served = {"port": desired.rsync_port, "user": access.USER, "modules": [each.name for each in desired.directories]}
    return {
        "changed": bool(planned.steps),
        "actions": list(planned.steps),
        "user": access.USER,
        "expires": clock.utc(planned.until),
        "host_keys": sshd.host_keys(current.sshd),
        "ssh_ports": sshd.ports(current.sshd),
        "rsync": served if desired.directories else None,
        "warnings": list(planned.warnings),
    }


def main() -> None:
    run_module(run, argument_spec=ARGUMENTS, required_if=[("state", "present", ["public_key"])])


if __name__ == "__main__":
    main()
