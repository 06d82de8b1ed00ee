#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: physical_copy
short_description: Copy the data directory of another server's PostgreSQL in place of this one's
description:
  - Copies a whole cluster with C(rsync) in two passes, so that PEC is down for seconds whatever the size of its database. The first pass
    runs while the source works. The final one copies what changed since, after the source's PostgreSQL was stopped.
  - Requires the same major version, architecture and build of PostgreSQL on both servers. The control files of both are compared first.
  - The copy grows beside the target's data directory. It takes its place only after C(pg_controldata) shows the same cluster and the same
    last checkpoint on both. The replaced directory is kept under the name in RV(kept), and any failure leaves it where it was.
  - Configuration files in the target's data directory are the target's own and are kept. Roles, passwords and all databases are the
    source's afterwards.
  - Directories of tablespaces, other symbolic links and special files on the source are refused.
  - A pass that was interrupted is resumed by the next run.
  - C(rsync) runs as the account of the target's PostgreSQL. The connection is made by root, with a key that this account cannot read.
version_added: 0.2.0
author: ["esus.pec contributors (@esus-pec)"]
options:
  rsync:
    description: The service of C(rsync) on the source's loopback, as M(esus.pec.transfer_access) starts it.
    type: dict
    required: true
    suboptions:
      port:
        description: Its port.
        type: int
        default: 874
      user:
        description: Name to log in with.
        type: str
        default: esus-pec-transfer
      password:
        description: Its password.
        type: str
        required: true
      module:
        description: Name of the directory there.
        type: str
        default: data
  data_directory:
    description: Data directory of the target's PostgreSQL.
    type: path
    required: true
  pass:
    description:
      - V(first) copies while the source's PostgreSQL works, and compares every file that was already copied by its content.
      - V(final) copies what changed since, and puts the copy in place. The PostgreSQL of both servers must be stopped.
    type: str
    choices: [first, final]
    required: true
  bandwidth:
    description: KiB per second that the copy may take. V(0) sets no limit.
    type: int
    default: 0
attributes:
  check_mode:
    description: Asks the source and compares, copies nothing.
    support: full
  diff_mode:
    description: Returns no diff; RV(action) says what changed.
    support: none
extends_documentation_fragment:
  - esus.pec.attributes
  - esus.pec.ssh
seealso:
  - module: esus.pec.transfer_access
"""

EXAMPLES = r"""
- name: Copy the data directory while the old server works
  esus.pec.physical_copy:
    pass: first
    ssh: "{{ source_ssh }}"
    rsync:
      password: "{{ rsync_password }}"
    data_directory: /var/lib/postgresql/15/main
  become: true

- name: Copy the rest, with PostgreSQL stopped on both
  esus.pec.physical_copy:
    pass: final
    ssh: "{{ source_ssh }}"
    rsync:
      password: "{{ rsync_password }}"
    data_directory: /var/lib/postgresql/15/main
  become: true
"""

RETURN = r"""
action:
  description: "What was done: V(first), V(final), or V(none) if the target has the source's cluster already."
  returned: success
  type: str
  sample: final
system_identifier: {description: Identifier of the source's cluster., returned: success, type: str, sample: "7714011260831832201"}
checkpoint: {description: Place of the source's last checkpoint., returned: success, type: str, sample: 0/153F8D0}
files: {description: Files of the source., returned: success, type: int, sample: 8214}
bytes: {description: Size of the source's files., returned: success, type: int, sample: 38000000000}
transferred_bytes: {description: Bytes that were received. 0 in check mode., returned: success, type: int, sample: 52428800}
kept:
  description: The replaced data directory. Empty if none was replaced. Remove it when PEC serves from the new server.
  returned: success
  type: str
  sample: /var/lib/postgresql/15/main.esus-pec-replaced-20261130T180000Z
"""

from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.module import PecModule, Result, run_module
from ansible_collections.esus.pec.plugins.module_utils.transfer import access, link, physical

ARGUMENTS = {
    "ssh": link.SSH_OPTIONS,
    "rsync": {
        "type": "dict",
        "required": True,
        "options": {
            "port": {"type": "int", "default": access.RSYNC_PORT},
            "user": {"type": "str", "default": access.USER},
            "password": {"type": "str", "required": True, "no_log": True},
            "module": {"type": "str", "default": "data"},
        },
    },
    "data_directory": {"type": "path", "required": True},
    "pass": {"type": "str", "choices": [physical.FIRST, physical.FINAL], "required": True, "no_log": False},
    "bandwidth": {"type": "int", "default": 0},
}


def run(module: PecModule) -> Result:
    params = module.params
    ssh = link.ssh_from(params["ssh"])
    if ssh is None:
        raise PecError("ssh is missing; give the login to the source")
    desired = physical.Desired(ssh, physical.Rsync(**params["rsync"]), params["data_directory"], params["pass"], params["bandwidth"])
    copied = physical.copy(desired, check=module.check_mode)
    return {
        "changed": copied.action != physical.NONE,
        "action": copied.action,
        "system_identifier": copied.control.identifier,
        "checkpoint": copied.control.checkpoint,
        "files": copied.files,
        "bytes": copied.bytes,
        "transferred_bytes": copied.transferred_bytes,
        "kept": copied.kept,
    }


def main() -> None:
    run_module(run, stoppable=True, argument_spec=ARGUMENTS)


if __name__ == "__main__":
    main()
