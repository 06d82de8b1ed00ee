#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: dump
short_description: Dump a PEC database into a file that is verified, or not there
description:
  - Makes one dump of one PostgreSQL database with C(pg_dump), reads it back, and only then gives it its name.
  - Beside it lies a manifest, O(path) and C(.json), with the versions, sizes, SHA-256 and what the database held. M(esus.pec.restore)
    checks a restore against it. It holds no secret.
  - A run that fails leaves nothing. What a run that was killed had left is removed by the next one, which says so.
  - PEC may go on working. The dump, the counts in the manifest and the fingerprint are of one moment, that of one snapshot.
  - While it runs, C(/run/esus-pec/dump-DATABASE.json) tells the phase, the bytes and the tables done.
author: ["esus.pec contributors (@esus-pec)"]
version_added: 0.1.0
options:
  path:
    description:
      - The dump, by its whole path. An existing directory, or a path that ends in C(/), gets a name made of O(municipality) or the
        host's name, the database and the time in UTC, such as V(agua-clara-esus-20261122T030000Z.dump).
      - An existing dump is not replaced unless O(overwrite) says so.
    type: path
    required: true
  database:
    description: The database. By default that of the PEC on this host, as PEC's own files tell.
    type: dict
    suboptions:
      host: {description: "Address of the server, or the directory of its socket.", type: str, default: 127.0.0.1}
      port: {description: Port of the server., type: int, default: 5432}
      name: {description: Name of the database., type: str, default: esus}
      username: {description: Role that may read all of it., type: str, default: esus}
      password: {description: Password of the role., type: str, default: ""}
  format:
    description:
      - V(custom) is one file, for backups. V(directory) is written and restored in parallel, for moves. V(plain) is SQL for C(psql), as the
        operating procedure makes it.
    type: str
    choices: [custom, directory, plain]
    default: custom
  compression:
    description:
      - V(auto) is zstd, by C(pg_dump) itself (from 16 on) or by the program C(zstd). Where neither is there it is gzip, as RV(notes) say.
      - V(zip) and V(tar.gz) hold a plain dump named C(backup.sql).
      - V(tar.gz) needs room for the dump without compression too, because a tar tells the size of its content before.
    type: str
    choices: [auto, zstd, gzip, none, zip, tar.gz]
    default: auto
  level:
    description: Level of the compression. By default 1, which on such databases is nearly as small as more and several times faster.
    type: int
  jobs:
    description: Processes that write a dump of format V(directory), and that read the fingerprint. By default the host's processors.
    type: int
  no_owner:
    description: Leave the owners of objects out.
    type: bool
    default: false
  no_privileges:
    description: Leave the rights of other roles out.
    type: bool
    default: false
  exclude_table_data:
    description:
      - Tables to dump without their rows, by patterns of C(pg_dump) such as V(tb_log*).
      - With O(fingerprint) a pattern has small letters, digits and C(_ . * ?) only.
    type: list
    elements: str
    default: []
  schema_only:
    description: Leave all rows out.
    type: bool
    default: false
  snapshot:
    description: An exported snapshot to dump, of a session that you keep open. By default the dump exports its own.
    type: str
  encoding:
    description: Encoding of the dump. By default UTF8.
    type: str
  fingerprint:
    description:
      - Whether to read every row once more, in the same snapshot, for sums that prove after a restore that each table is the same.
      - It takes about a quarter to half of the time of the dump. Not with O(schema_only).
    type: bool
    default: false
  recipients:
    description:
      - Public keys of C(age) (V(age1...)) or SSH that the dump is encrypted to, for what leaves the host. Nothing plain touches the disk.
      - Not with O(format=directory) nor O(compression=tar.gz).
    type: list
    elements: str
    default: []
  municipality:
    description: Name of the município, for the name of the file and the manifest.
    type: str
    default: ""
  owner:
    description: Account that the dump and its manifest belong to. Their mode is 0600.
    type: str
  group:
    description: Group that they belong to.
    type: str
  overwrite:
    description: Whether a dump of the same name may be replaced, once the new one is verified.
    type: bool
    default: false
  lock_timeout:
    description: Seconds to wait for a table that another session has locked; V(0) waits for ever.
    type: int
    default: 300
  check_space:
    description: Whether to refuse when the disk seems too small, which is judged by the size of the database.
    type: bool
    default: true
extends_documentation_fragment:
  - esus.pec.attributes
attributes:
  check_mode:
    description: Says what would be made, where, from which server and with which client, and how large it may become.
    support: full
  diff_mode:
    description: Returns what changed.
    support: none
  idempotent:
    description: Every run makes a dump; that is its purpose.
    support: none
seealso:
  - module: esus.pec.restore
  - module: esus.pec.backup
"""

EXAMPLES = r"""
- name: Dump PEC's database into a file with a name of its own
  esus.pec.dump:
    path: /var/backups/esus-pec/
  become: true
  register: dump

- name: Make what the operating procedure makes, a backup.sql in a zip
  esus.pec.dump:
    path: /var/backups/esus-pec/backup.zip
    format: plain
    compression: zip
    overwrite: true
  become: true

- name: Dump for a move, in parallel, with the proof of every row
  esus.pec.dump:
    path: /srv/move/esus.dir
    format: directory
    fingerprint: true
  become: true

- name: Dump what may leave the host, readable for the holder of the key only
  esus.pec.dump:
    path: /srv/outgoing/
    municipality: Água Clara
    recipients:
      - age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p
  become: true
"""

RETURN = r"""
path: {description: The dump., returned: success, type: str, sample: /var/backups/esus-pec/agua-clara-esus-20261122T030000Z.dump}
manifest_path: {description: "Its manifest, which is RV(path) and .json.", returned: success, type: str, sample: /srv/esus.dump.json}
bytes: {description: Size of the dump., returned: when a dump was made, type: int, sample: 121634816}
sha256:
  description: SHA-256 of the file; of the directory format that of the lines that C(sha256sum) prints for its files.
  returned: when a dump was made
  type: str
  sample: 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
tables: {description: Number of tables in the database., returned: when a dump was made, type: int, sample: 1106}
fingerprint: {description: "The digest of all rows, with O(fingerprint).", returned: when a dump was made, type: str, sample: null}
pec_version: {description: Version that PEC's database says it has., returned: when a dump was made, type: str, sample: 5.4.37}
duration_seconds: {description: How long it took., returned: when a dump was made, type: float, sample: 8.2}
planned:
  description: What was decided before it began.
  returned: success
  type: dict
  sample:
    database: esus
    server: "127.0.0.1:5432"
    server_version: "15.18"
    database_bytes: 1918000000
    client: /usr/lib/postgresql/15/bin/pg_dump
    client_version: "15.18"
    format: custom
    compression: zstd
    level: 1
    jobs: 1
    encrypted: false
    estimate_bytes: 575400000
notes: {description: What to know about it., returned: success, type: list, elements: str, sample: []}
"""

import os
from typing import Any

from ansible_collections.esus.pec.plugins.module_utils.dump import dumping, manifest, planning
from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.module import DATABASE_OPTIONS, QuietModule
from ansible_collections.esus.pec.plugins.module_utils.postgres.psql import connection_from


def desired(params: dict[str, Any]) -> planning.Desired:
    """What the options ask for."""
    same = (
        "path", "format", "compression", "level", "jobs", "no_owner", "no_privileges", "schema_only", "snapshot", "encoding", "fingerprint",
        "municipality", "owner", "group", "overwrite", "lock_timeout", "check_space",
    )  # fmt: skip
    return planning.Desired(
        connection=connection_from(params["database"]),
        exclude_table_data=tuple(params["exclude_table_data"]),
        recipients=tuple(recipient.strip() for recipient in params["recipients"]),
        **{name: params[name] for name in same},
    )


def describe(outcome: dumping.Outcome) -> dict[str, object]:
    """What the module returns."""
    result: dict[str, object] = {
        "path": outcome.path,
        "manifest_path": manifest.path_for(outcome.path),
        "planned": dict(outcome.planned),
        "notes": list(outcome.notes),
    }
    made = outcome.manifest
    if made:
        result.update(
            bytes=made.bytes,
            sha256=made.sha256,
            tables=made.contents.tables,
            fingerprint=made.fingerprint.digest if made.fingerprint else None,
            pec_version=made.pec_version,
            duration_seconds=made.duration_seconds,
        )
    return result


def main() -> None:
    module = QuietModule(
        argument_spec={
            "path": {"type": "path", "required": True},
            "database": {"type": "dict", "options": DATABASE_OPTIONS},
            "format": {"type": "str", "choices": list(planning.FORMATS), "default": "custom"},
            "compression": {"type": "str", "choices": list(planning.COMPRESSIONS), "default": "auto"},
            "level": {"type": "int"},
            "jobs": {"type": "int"},
            "no_owner": {"type": "bool", "default": False},
            "no_privileges": {"type": "bool", "default": False},
            "exclude_table_data": {"type": "list", "elements": "str", "default": []},
            "schema_only": {"type": "bool", "default": False},
            "snapshot": {"type": "str"},
            "encoding": {"type": "str"},
            "fingerprint": {"type": "bool", "default": False},
            "recipients": {"type": "list", "elements": "str", "default": []},
            "municipality": {"type": "str", "default": ""},
            "owner": {"type": "str"},
            "group": {"type": "str"},
            "overwrite": {"type": "bool", "default": False},
            "lock_timeout": {"type": "int", "default": 300},
            "check_space": {"type": "bool", "default": True},
        },
        supports_check_mode=True,
    )
    if os.geteuid() != 0:
        module.fail_json(msg="esus.pec.dump must run as root, because only root can read PEC's files; use become: true")
    try:
        outcome = dumping.run(desired(module.params), check=module.check_mode)
    except PecError as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=True, **describe(outcome))


if __name__ == "__main__":
    main()
