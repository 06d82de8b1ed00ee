#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: backup
short_description: Make one backup of PEC, as the daily timer does
description:
  - Makes the backup that a configuration file describes. The role P(esus.pec.pec_backup#role) writes that file, and the timer goes by it.
  - A backup is a dump of the database, an archive of the files that no dump holds, and a manifest that tells what both are. They appear
    in the directory when they are complete and verified.
  - Older backups that the configuration does not keep are removed afterwards. Of those that a manifest does not describe, and of those
    that are not whole, none is touched.
  - C(/var/lib/esus-pec/backup/last-success.json) tells of the last good backup, C(last-failure.json) beside it why the last run failed.
version_added: 0.1.0
author: ["esus.pec contributors (@esus-pec)"]
options:
  config:
    description: The configuration.
    type: path
    default: /etc/esus-pec/backup.json
attributes:
  check_mode:
    description: Tells what would be made and what would be removed.
    support: full
  diff_mode:
    description: There is nothing to compare.
    support: none
  idempotent:
    description: Each run makes a backup.
    support: none
extends_documentation_fragment:
  - esus.pec.attributes
seealso:
  - module: esus.pec.dump
  - module: esus.pec.restore
  - module: esus.pec.backup_program
"""

EXAMPLES = r"""
- name: Make a backup before something is changed
  esus.pec.backup:
  become: true
  register: backup

- name: Tell where it is
  ansible.builtin.debug:
    msg: "{{ backup.path }}, {{ backup.bytes }} bytes, SHA-256 {{ backup.sha256 }}"
"""

RETURN = r"""
path: {description: The dump., returned: success, type: str, sample: /var/backups/esus-pec/agua-clara-esus-20261122T043000Z.dump}
manifest:
  description: The manifest of the dump.
  returned: when a backup was made
  type: str
  sample: /var/backups/esus-pec/agua-clara-esus-20261122T043000Z.dump.json
files:
  description: The archive of files. Null when there were none.
  returned: when a backup was made
  type: str
  sample: /var/backups/esus-pec/agua-clara-esus-20261122T043000Z.dump.files.tar.zst
database: {description: The database., returned: when a backup was made, type: str, sample: esus}
municipality: {description: Whose data these are., returned: when a backup was made, type: str, sample: Água Clara}
pec_version: {description: The version of PEC in the database., returned: when a backup was made, type: str, sample: 5.4.37}
bytes: {description: Size of the dump and of the archive., returned: when a backup was made, type: int, sample: 123456789}
sha256:
  description: SHA-256 of the dump.
  returned: when a backup was made
  type: str
  sample: 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
encrypted: {description: Whether it takes a private key to read it., returned: when a backup was made, type: bool, sample: false}
started: {description: When the dump began (UTC)., returned: when a backup was made, type: str, sample: "2026-11-22T04:30:00Z"}
ended: {description: When the dump was complete (UTC)., returned: when a backup was made, type: str, sample: "2026-11-22T04:31:12Z"}
duration_seconds: {description: How long the backup took., returned: when a backup was made, type: float, sample: 75.2}
paths:
  description: Files and directories that go into the archive.
  returned: success
  type: list
  elements: str
  sample: [/etc/pec.config, /opt/e-SUS/webserver/config]
pruned: {description: Names of the dumps that were removed., returned: success, type: list, elements: str, sample: []}
incomplete:
  description: What is wrong with sets in the directory that are not whole. They are neither counted nor removed.
  returned: success
  type: list
  elements: str
  sample: []
notes: {description: What deserves attention., returned: success, type: list, elements: str, sample: []}
plan: {description: What esus.pec.dump says it would do., returned: in check mode, type: dict, sample: {format: custom}}
"""

import os

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.esus.pec.plugins.module_utils.backup import configuration, running
from ansible_collections.esus.pec.plugins.module_utils.errors import PecError


def run(config: str, check: bool) -> dict[str, object]:
    if os.geteuid() != 0:
        raise PecError("esus.pec.backup must run as root, because only root can read PEC's files; use become: true")
    report = running.run(configuration.read(config), check=True) if check else running.run_recorded(config)
    told = {"plan": report.planned} if check else running.summary(report)
    lists = {"pruned": report.pruned, "incomplete": report.incomplete, "notes": report.notes, "paths": report.files}
    return {**told, **{name: list(values) for name, values in lists.items()}, "path": report.path}


def main() -> None:
    module = AnsibleModule(
        argument_spec={"config": {"type": "path", "default": configuration.DEFAULT_PATH}},
        supports_check_mode=True,
    )
    try:
        result = run(module.params["config"], module.check_mode)
    except PecError as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=True, **result)


if __name__ == "__main__":
    main()
