#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: backup_program
short_description: Put the program that backs PEC up on the host
description:
  - Writes one file that a timer can run without Ansible. It is made from the code of this collection that M(esus.pec.backup) runs too,
    so that the timer and the playbook do the same.
  - It needs nothing but the Python of the host. Run by root, C(backup.pyz) makes the backup that C(/etc/esus-pec/backup.json) describes.
    Another configuration can be named as its only argument.
  - It ends with exit status 0 when a new backup is there, with 1 when not, and with 2 when it was called wrongly.
version_added: 0.1.0
author: ["esus.pec contributors (@esus-pec)"]
options:
  path:
    description: Where the program is. Its directory must exist.
    type: path
    default: /usr/local/lib/esus-pec/backup.pyz
  state:
    description: Whether it is there.
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
    description: The same version of the collection makes the same bytes.
    support: full
extends_documentation_fragment:
  - esus.pec.attributes
seealso:
  - module: esus.pec.backup
"""

EXAMPLES = r"""
- name: Put the program on the host
  esus.pec.backup_program:
  become: true

- name: Take it away
  esus.pec.backup_program:
    state: absent
  become: true
"""

RETURN = r"""
path: {description: Where the program is., returned: success, type: str, sample: /usr/local/lib/esus-pec/backup.pyz}
sha256:
  description: Its SHA-256. Null when it is absent.
  returned: success
  type: str
  sample: 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
"""


from ansible.module_utils.basic import AnsibleModule

from ansible_collections.esus.pec.plugins.module_utils.backup import program  # noqa: F401
from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.system import pyz

MAIN = "backup.program"


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "path": {"type": "path", "default": "/usr/local/lib/esus-pec/backup.pyz"},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
        },
        supports_check_mode=True,
    )
    path = module.params["path"]
    try:
        current, desired = pyz.read_current(path), pyz.read_desired(MAIN, module.params["state"])
        changed = current != desired
        if changed and not module.check_mode:
            pyz.apply(path, desired)
    except PecError as error:
        module.fail_json(msg=str(error))
    except OSError as error:
        module.fail_json(msg=f"cannot change {path}: {error.strerror}; run as root (become: true)")
    diff = {"before": str(current), "after": str(desired), "before_header": path, "after_header": path}
    module.exit_json(changed=changed, path=path, sha256=desired.sha256, diff=diff)


if __name__ == "__main__":
    main()
