#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: program
short_description: Install a program that a timer runs without Ansible
description:
  - Writes one executable file, built from the code of this collection, so that a timer and a playbook do the same. It requires only the
    Python of the host, and must be run as root.
  - C(backup.pyz [CONFIGURATION]) makes a backup as M(esus.pec.backup) does. The configuration defaults to C(/etc/esus-pec/backup.json).
  - C(renewal.pyz --renew-before-days=20 --timeout=900) restarts PEC when the certificate that PEC serves has few days left, because PEC's
    C(certmgr) renews it only when the service starts.
  - Both end with exit status 0 after a success, 1 after a failure, and 2 when they were called with wrong arguments or not as root.
    For C(backup.pyz) success means a new backup, for C(renewal.pyz) a newer certificate or one that is still valid long enough.
version_added: 0.1.0
author: ["esus.pec contributors (@esus-pec)"]
options:
  name:
    description: The program.
    type: str
    choices: [backup, renewal]
    required: true
  path:
    description:
      - Path of the program on the host. Its directory must exist, and nobody but root may be able to change it.
      - Defaults to C(/usr/local/lib/esus-pec/backup.pyz) or C(/usr/local/lib/esus-pec/renewal.pyz), depending on O(name).
    type: path
  state:
    description: V(present) writes the program, V(absent) removes it.
    type: str
    choices: [present, absent]
    default: present
attributes:
  check_mode:
    description: Compares, and writes nothing.
    support: full
  diff_mode:
    description: Shows the SHA-256 of the program before and after.
    support: full
  idempotent:
    description: The same version of the collection builds the same bytes.
    support: full
extends_documentation_fragment:
  - esus.pec.attributes
seealso:
  - module: esus.pec.backup
  - module: esus.pec.served_certificate
"""

EXAMPLES = r"""
- name: Install the backup program
  esus.pec.program:
    name: backup
  become: true

- name: Remove the renewal program
  esus.pec.program:
    name: renewal
    state: absent
  become: true
"""

RETURN = r"""
path: {description: Path of the program., returned: success, type: str, sample: /usr/local/lib/esus-pec/backup.pyz}
sha256:
  description: SHA-256 of the program. Null when it is absent.
  returned: success
  type: str
  sample: 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
"""

from typing import Any

from ansible_collections.esus.pec.plugins.module_utils.backup.program import backup_program
from ansible_collections.esus.pec.plugins.module_utils.module import PecModule, diff, run_module
from ansible_collections.esus.pec.plugins.module_utils.renewal.program import renewal_program
from ansible_collections.esus.pec.plugins.module_utils.system import pyz

# Ansible sends to the host only what a module imports, so the programs are imported here.
PROGRAMS = {"backup": backup_program, "renewal": renewal_program}

ARGUMENTS = {
    "name": {"type": "str", "choices": list(PROGRAMS), "required": True},
    "path": {"type": "path"},
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
}


def run(module: PecModule) -> dict[str, Any]:
    name = module.params["name"]
    path = module.params["path"] or f"/usr/local/lib/esus-pec/{name}.pyz"
    current, desired = pyz.read_current(path), pyz.read_desired(PROGRAMS[name], module.params["state"])
    if current != desired and not module.check_mode:
        pyz.apply(path, desired)
    return {"changed": current != desired, "path": path, "sha256": desired.sha256, "diff": diff(path, str(current), str(desired))}


def main() -> None:
    run_module(run, argument_spec=ARGUMENTS)


if __name__ == "__main__":
    main()
