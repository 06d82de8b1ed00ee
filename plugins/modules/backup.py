#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: backup
short_description: Make one backup of PEC, as the daily timer does
description:
  - Makes the backup that a configuration file describes. The role P(esus.pec.pec_backup#role) writes the file, and the timer uses it too.
  - A backup is a dump of the database, an archive of PEC's files, and a manifest that describes both. They appear in the directory only
    when they are complete and verified.
  - Older backups that the configuration no longer keeps are removed afterwards. Dumps made by hand and incomplete backups are left alone.
  - C(/var/lib/esus-pec/backup/last-success.json) records the last good backup, C(last-failure.json) beside it why the last run failed.
version_added: 0.1.0
author: ["esus.pec contributors (@esus-pec)"]
options:
  config:
    description: Path of the configuration.
    type: path
    default: /etc/esus-pec/backup.json
  make_directory:
    description:
      - Makes only this directory, of mode 0700, or corrects the owner and the mode of an existing one. No backup is made.
      - Unlike M(ansible.builtin.file) it follows no link that another account can have made, such as the owner of the backups.
    type: dict
    suboptions:
      path:
        description: Path of the directory.
        type: path
        required: true
      owner:
        description: Account that owns it.
        type: str
        required: true
      group:
        description: Its group.
        type: str
        required: true
  write_config:
    description:
      - Writes only this configuration to O(config), of mode 0600, after it was checked as a backup checks it. No backup is made.
      - A configuration with a mistake replaces nothing.
    type: dict
    suboptions:
      directory:
        description: Directory of the backups.
        type: str
        required: true
      municipality:
        description: Name of the município, for the manifests and the names of the files.
        type: str
        required: true
      database:
        description: Database to back up. Without it the one in PEC's own files. Every key is required.
        type: dict
        suboptions:
          host: {description: Address of the server or directory of its socket., type: str, required: true}
          port: {description: Port of the server., type: int, required: true}
          name: {description: Name of the database., type: str, required: true}
          username: {description: Role to log in with., type: str, required: true}
          password: {description: Password of that role., type: str, required: true}
          sslmode: {description: Protection of the connection., type: str, required: true}
          sslrootcert: {description: File with the authority of the server's certificate., type: str, required: true}
      fingerprint:
        description: Count and hash every row.
        type: bool
        required: true
      recipients:
        description: Public keys that every file is encrypted to.
        type: list
        elements: str
        required: true
      extra_paths:
        description: More files and directories to back up.
        type: list
        elements: str
        required: true
      keep:
        description: How many backups are kept.
        type: dict
        required: true
        suboptions:
          last: {description: This many of the newest., type: int, required: true}
          daily: {description: The newest of each of this many days., type: int, required: true}
          weekly: {description: The newest of each of this many weeks., type: int, required: true}
          monthly: {description: The newest of each of this many months., type: int, required: true}
      owner:
        description: Account that owns the backups.
        type: str
        required: true
      group:
        description: Group of the backups.
        type: str
        required: true
  prove:
    description:
      - Proves only that the private key of encrypted backups exists, without it. No backup is made.
      - An empty list returns RV(challenge), a word that is encrypted to the recipients in O(config). Decrypt it with C(age -d -i KEY) where
        the key is kept, and give the word here. Of several words, such as those of several servers, one has to be this server's.
      - Until the key is proven, by this or by a rehearsal, the retention removes no backup that can be read without it. Other recipients
        require a new proof.
    type: list
    elements: str
attributes:
  check_mode:
    description: Returns what would be made and what would be removed.
    support: full
  diff_mode:
    description: Returns no diff; a run only makes new files.
    support: none
  idempotent:
    description: Each run makes a backup.
    support: none
extends_documentation_fragment:
  - esus.pec.attributes
seealso:
  - module: esus.pec.dump
  - module: esus.pec.restore
  - module: esus.pec.program
"""

EXAMPLES = r"""
- name: Make a backup before a change
  esus.pec.backup:
  become: true
  register: backup

- name: Show where it is
  ansible.builtin.debug:
    msg: "{{ backup.path }}, {{ backup.bytes }} bytes, SHA-256 {{ backup.sha256 }}"

- name: Prove that the private key exists, by the word in the challenge that prove with an empty list returned
  esus.pec.backup:
    prove: ["{{ word }}"]
  become: true
"""

RETURN = r"""
path:
  description: Path of the dump.
  returned: when a backup was made or planned
  type: str
  sample: /var/backups/esus-pec/agua-clara-esus-20261122T043000Z.dump
manifest:
  description: Path of the manifest.
  returned: when a backup was made
  type: str
  sample: /var/backups/esus-pec/agua-clara-esus-20261122T043000Z.dump.json
files:
  description: Path of the archive of files. Null when there were none.
  returned: when a backup was made
  type: str
  sample: /var/backups/esus-pec/agua-clara-esus-20261122T043000Z.dump.files.tar.zst
database: {description: Name of the database., returned: when a backup was made, type: str, sample: esus}
municipality: {description: The município in the configuration., returned: when a backup was made, type: str, sample: Água Clara}
pec_version: {description: The version of PEC in the database., returned: when a backup was made, type: str, sample: 5.4.37}
bytes: {description: Size of the dump and the archive together., returned: when a backup was made, type: int, sample: 123456789}
sha256:
  description: SHA-256 of the dump.
  returned: when a backup was made
  type: str
  sample: 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
encrypted: {description: Whether the backup is encrypted., returned: when a backup was made, type: bool, sample: false}
started: {description: Start of the dump (UTC)., returned: when a backup was made, type: str, sample: "2026-11-22T04:30:00Z"}
ended: {description: End of the dump (UTC)., returned: when a backup was made, type: str, sample: "2026-11-22T04:31:12Z"}
duration_seconds: {description: Duration of the backup in seconds., returned: when a backup was made, type: float, sample: 75.2}
paths:
  description: Files and directories in the archive.
  returned: when a backup was made or planned
  type: list
  elements: str
  sample: [/etc/pec.config, /opt/e-SUS/webserver/config]
pruned:
  description: Names of the dumps that were removed, or in check mode would be.
  returned: when a backup was made or planned
  type: list
  elements: str
  sample: []
incomplete:
  description: Problems of incomplete backups in the directory. These are neither counted nor removed.
  returned: when a backup was made or planned
  type: list
  elements: str
  sample: []
notes:
  description: Observations that deserve attention.
  returned: when a backup was made or planned
  type: list
  elements: str
  sample: []
proven:
  description: Whether the private key of the backups is proven to exist.
  returned: with O(prove)
  type: bool
  sample: false
challenge:
  description: The encrypted word, for C(age -d). Empty if the key is proven, and in check mode if no challenge exists yet.
  returned: with O(prove)
  type: str
  sample: "-----BEGIN AGE ENCRYPTED FILE-----\n...\n-----END AGE ENCRYPTED FILE-----\n"
plan: {description: The dump that would be made., returned: in check mode, type: dict, sample: {format: custom}}
"""

import os
from typing import Any

from ansible_collections.esus.pec.plugins.module_utils.backup import configuration, opened, recording, running, sets
from ansible_collections.esus.pec.plugins.module_utils.module import PecModule, run_module

ARGUMENTS = {
    "config": {"type": "path", "default": configuration.DEFAULT_PATH},
    "make_directory": {
        "type": "dict",
        "options": {
            "path": {"type": "path", "required": True},
            "owner": {"type": "str", "required": True},
            "group": {"type": "str", "required": True},
        },
    },
    "write_config": {"type": "dict", "options": configuration.OPTIONS},
    "prove": {"type": "list", "elements": "str", "no_log": True},  # a private key may be pasted
}


def run(module: PecModule) -> dict[str, Any]:
    wanted = module.params["make_directory"]
    if wanted:
        return {"changed": sets.prepare(wanted["path"], wanted["owner"], wanted["group"], check=module.check_mode)}
    path = module.params["config"]
    if module.params["write_config"]:
        return {"changed": configuration.write(path, module.params["write_config"], check=module.check_mode)}
    words = module.params["prove"]
    if words is not None:
        recipients = configuration.read(path).recipients
        changed, proven, challenge = opened.prove(recipients, os.path.dirname(path), words, check=module.check_mode)
        return {"changed": changed, "proven": proven, "challenge": challenge}
    report = running.run(configuration.read(path), check=True) if module.check_mode else recording.run_recorded(path)
    return {"changed": True, "paths": list(report.files), **recording.summary(report)}


def main() -> None:
    run_module(run, stoppable=True, argument_spec=ARGUMENTS)


if __name__ == "__main__":
    main()
