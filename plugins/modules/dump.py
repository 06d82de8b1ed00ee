#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: dump
short_description: Dump a PEC database into a file that is complete and verified
description:
  - Makes one dump of one PostgreSQL database with C(pg_dump), reads it back, and only then gives it its name.
  - Writes a manifest beside it, at O(path) and C(.json), with the versions, sizes, SHA-256 and contents of the database.
    M(esus.pec.restore) checks a restore against it. It holds no secret.
  - A run that fails leaves nothing behind. The leftovers of a run that was killed are removed by the next run, which reports it.
  - PEC can stay in use. The dump, the counts in the manifest and the fingerprint come from one snapshot.
  - During the run, C(/run/esus-pec/dump-DATABASE.json) has the phase, the bytes and the number of tables done,
    and C(nothing_moved_since) if none of them has changed for a while.
author: ["esus.pec contributors (@esus-pec)"]
version_added: 0.1.0
options:
  path:
    description:
      - Absolute path of the dump. In an existing directory, or a path that ends in C(/), the dump gets a name made of O(municipality) or
        the host's name, the database and the time in UTC, such as V(agua-clara-esus-20261122T030000Z.dump).
      - An existing dump is replaced only with O(overwrite).
    type: path
    required: true
  format:
    description:
      - V(custom) is one file, for backups. V(directory) is written and restored in parallel, for moves. V(plain) is SQL for C(psql), as in
        the operating procedure.
    type: str
    choices: [custom, directory, plain]
    default: custom
  compression:
    description:
      - V(auto) is zstd, by C(pg_dump) itself (from 16 on) or by the program C(zstd). Without either it is gzip, and RV(notes) says so.
      - V(zip) and V(tar.gz) hold a plain dump named C(backup.sql).
      - V(tar.gz) also needs room for the uncompressed dump, because a tar begins with the size of its content.
    type: str
    choices: [auto, zstd, gzip, none, zip, tar.gz]
    default: auto
  level:
    description: Level of the compression. Defaults to 1, which is several times faster than higher levels and gives nearly as small a dump.
    type: int
  jobs:
    description: Number of processes that write a dump of format V(directory) and read the fingerprint. Defaults to the host's processors.
    type: int
  no_owner:
    description: Leave out the owners of objects.
    type: bool
    default: false
  no_privileges:
    description: Leave out the rights of other roles.
    type: bool
    default: false
  exclude_table_data:
    description:
      - Tables to dump without their rows, as patterns of C(pg_dump) such as V(tb_log*).
      - With O(fingerprint) a pattern may have small letters, digits and C(_ . * ?) only.
    type: list
    elements: str
    default: []
  schema_only:
    description: Leave out all rows.
    type: bool
    default: false
  snapshot:
    description: Exported snapshot to dump, from a session that you keep open. By default the dump exports its own.
    type: str
  encoding:
    description: Encoding of the dump. Defaults to UTF8.
    type: str
  fingerprint:
    description:
      - Read every row and large object once more, in the same snapshot, for sums that prove after a restore that each table is the same.
      - Rows of materialized views are not in a dump; a restore computes them again.
      - A table that only C(pg_dump) can read is left out, with a note. One has an index on a function that fails without its schema's name.
      - Takes a quarter to half of the time of the dump, and more from a server before PostgreSQL 12. Not with O(schema_only).
      - With O(recipients) the sums in the manifest are encrypted too, because the sum of a table with few rows reveals what is in it to
        anybody who tries.
    type: bool
    default: false
  recipients:
    description:
      - Public keys of C(age) (V(age1...)) or SSH to encrypt the dump to before it leaves the host. Nothing is written to the disk in plain.
      - Not with O(format=directory) or O(compression=tar.gz).
    type: list
    elements: str
    default: []
  municipality:
    description: Name of the município, for the name of the dump and the manifest.
    type: str
    default: ""
  owner:
    description: Account that owns the dump and its manifest. Their mode is 0600.
    type: str
  group:
    description: Group of the dump and its manifest.
    type: str
  overwrite:
    description: Replace a dump of the same name, once the new one is verified.
    type: bool
    default: false
  lock_timeout:
    description: Seconds to wait for a table that another session has locked; V(0) is no limit.
    type: int
    default: 300
  check_space:
    description: Refuse to start when the disk seems too small, estimated from the size of the database.
    type: bool
    default: true
extends_documentation_fragment:
  - esus.pec.attributes
  - esus.pec.database
attributes:
  check_mode:
    description: Returns the path, the server, the client and the estimated size without making the dump.
    support: full
  diff_mode:
    description: Not applicable; a dump has no earlier state to compare with.
    support: none
  idempotent:
    description: Every run makes a dump.
    support: none
seealso:
  - module: esus.pec.restore
  - module: esus.pec.backup
"""

EXAMPLES = r"""
- name: Dump PEC's database into a file with a generated name
  esus.pec.dump:
    path: /var/backups/esus-pec/
  become: true
  register: dump

- name: Make the dump of the operating procedure, a backup.sql in a zip
  esus.pec.dump:
    path: /var/backups/esus-pec/backup.zip
    format: plain
    compression: zip
    overwrite: true
  become: true

- name: Dump for a move, in parallel, with a fingerprint of every row
  esus.pec.dump:
    path: /srv/move/esus.dir
    format: directory
    fingerprint: true
  become: true

- name: Make a dump that may leave the host, encrypted for the holder of one key
  esus.pec.dump:
    path: /srv/outgoing/
    municipality: Água Clara
    recipients:
      - "{{ your_age_public_key }}" # age1..., printed by age-keygen
  become: true
"""

RETURN = r"""
path: {description: Path of the dump., returned: success, type: str, sample: /var/backups/esus-pec/agua-clara-esus-20261122T030000Z.dump}
manifest_path: {description: "Path of its manifest, RV(path) and .json.", returned: success, type: str, sample: /srv/esus.dump.json}
bytes: {description: Size of the dump in bytes., returned: when a dump was made, type: int, sample: 121634816}
sha256:
  description: SHA-256 of the file; for the directory format, of the lines that C(sha256sum) prints for its files.
  returned: when a dump was made
  type: str
  sample: 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
tables: {description: Number of tables in the database., returned: when a dump was made, type: int, sample: 1106}
fingerprint:
  description: Digest of all rows, with O(fingerprint). Null with O(recipients).
  returned: when a dump was made
  type: str
  sample: null
pec_version: {description: PEC's version as recorded in the database., returned: when a dump was made, type: str, sample: 5.4.37}
duration_seconds: {description: Duration in seconds., returned: when a dump was made, type: float, sample: 8.2}
planned:
  description: The decisions made before the dump. Sizes are in bytes.
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
notes:
  description:
    - Remarks on how the dump was made. They include warnings of C(pg_dump), objects that it leaves out (invalid indexes, rows of foreign
      tables) and tables without a fingerprint.
  returned: success
  type: list
  elements: str
  sample: ["pg_dump leaves out invalid indexes: public.idx_cidadao_ccnew"]
"""

from collections.abc import Mapping
from typing import Any

from ansible_collections.esus.pec.plugins.module_utils.dump import dumping, manifest, planning
from ansible_collections.esus.pec.plugins.module_utils.module import PecModule, run_module
from ansible_collections.esus.pec.plugins.module_utils.postgres.options import DATABASE
from ansible_collections.esus.pec.plugins.module_utils.postgres.psql import connection_from

ARGUMENTS = {
    "path": {"type": "path", "required": True},
    "database": DATABASE,
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
}


def desired(params: Mapping[str, Any]) -> planning.Desired:
    """Return the options as the dump takes them. Most are its fields as they are."""
    fields = {
        **{name: params[name] for name in ARGUMENTS if name != "database"},
        "connection": connection_from(params["database"]),
        "exclude_table_data": tuple(params["exclude_table_data"]),
        "recipients": tuple(recipient.strip() for recipient in params["recipients"]),
    }
    return planning.Desired(**fields)


def run(module: PecModule) -> dict[str, Any]:
    planning.refuse_recipients(module.params["recipients"])  # before anything is done with them
    outcome = dumping.run(desired(module.params), check=module.check_mode)
    result = {
        "changed": True,
        "path": outcome.path,
        "manifest_path": manifest.path_for(outcome.path),
        "planned": dict(outcome.planned),
        "notes": list(outcome.notes),
    }
    made = outcome.manifest
    if made is None:
        return result
    return {
        **result,
        "bytes": made.bytes,
        "sha256": made.sha256,
        "tables": made.contents.tables,
        "fingerprint": made.fingerprint.digest if made.fingerprint else None,
        "pec_version": made.pec_version,
        "duration_seconds": made.duration_seconds,
    }


def main() -> None:
    run_module(run, stoppable=True, argument_spec=ARGUMENTS)  # stoppable, so that neither half a dump nor a pg_dump is left


if __name__ == "__main__":
    main()
