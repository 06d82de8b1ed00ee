#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: transfer_record
short_description: Record what PEC's database holds, and report what was written since
description:
  - Reads every row and large object of PEC's database in one snapshot, and keeps the number and a sum for each table in a file.
  - Later the database, on this or another server, is compared with the file. So a rollback can report what was written since a transfer.
  - The file is root's alone, because the sum of a table with few rows reveals what is in it to anybody who tries.
author: ["esus.pec contributors (@esus-pec)"]
version_added: 0.2.0
options:
  path:
    description: The file.
    type: path
    default: /var/lib/esus-pec/transfer/record.json
  state:
    description: V(recorded) writes the file, V(compared) compares the database with it.
    type: str
    choices: [recorded, compared]
    default: recorded
  jobs:
    description: Number of sessions that read in parallel. Defaults to the number of processors of the host.
    type: int
extends_documentation_fragment:
  - esus.pec.attributes
  - esus.pec.database
attributes:
  check_mode:
    description: Reads the database, and writes no file.
    support: full
  diff_mode:
    description: Returns no diff; RV(differences) has what differs.
    support: none
  idempotent:
    description: Every run with O(state=recorded) writes a new record. O(state=compared) changes nothing.
    support: partial
seealso:
  - module: esus.pec.transfer_database
"""

EXAMPLES = r"""
- name: Record what the database holds
  esus.pec.transfer_record:
  become: true

- name: Report what was written since
  esus.pec.transfer_record:
    state: compared
  become: true
  register: since
"""

RETURN = r"""
path: {description: The file., returned: success, type: str, sample: /var/lib/esus-pec/transfer/record.json}
at: {description: When the record was taken (UTC)., returned: success, type: str, sample: "2026-11-30T03:00:00Z"}
host: {description: Name of the host of the record., returned: success, type: str, sample: pec-new}
rows: {description: Number of rows now., returned: success, type: int, sample: 5310022}
digest:
  description: Digest of the sums of all tables now.
  returned: success
  type: str
  sample: 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
pec_version: {description: Version of PEC in the database now., returned: success, type: str, sample: 5.4.37}
same: {description: No row differs., returned: with O(state=compared), type: bool, sample: false}
differences:
  description: The tables with other rows, C(large objects) among them.
  returned: with O(state=compared)
  type: list
  elements: dict
  contains:
    table: {description: Name of the table., type: str, sample: public.tb_cidadao}
    rows_before: {description: "Number of rows in the record, null if it has no such table.", type: int, sample: 41200}
    rows_now: {description: "Number of rows now, null if there is no such table.", type: int, sample: 41203}
notes: {description: Tables that cannot be read., returned: success, type: list, elements: str, sample: []}
"""

import socket
from dataclasses import asdict

from ansible_collections.esus.pec.plugins.module_utils.dump import manifest
from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.module import PecModule, Result, run_module
from ansible_collections.esus.pec.plugins.module_utils.pec import installation
from ansible_collections.esus.pec.plugins.module_utils.postgres.options import DATABASE
from ansible_collections.esus.pec.plugins.module_utils.postgres.psql import connection_from
from ansible_collections.esus.pec.plugins.module_utils.system import host
from ansible_collections.esus.pec.plugins.module_utils.transfer import records

ARGUMENTS = {
    "path": {"type": "path", "default": "/var/lib/esus-pec/transfer/record.json"},
    "state": {"type": "str", "choices": ["recorded", "compared"], "default": "recorded"},
    "jobs": {"type": "int"},
    "database": DATABASE,
}


def run(module: PecModule) -> Result:
    path, jobs = module.params["path"], module.params["jobs"] or host.processors()
    if jobs < 1:
        raise PecError(f"jobs is {jobs}, but at least one is needed; leave it out for one per processor")
    conn = connection_from(module.params["database"]) or installation.connection()
    if module.params["state"] == "recorded":
        made = records.take(socket.gethostname(), conn, jobs)
        if not module.check_mode:
            records.write(path, made)
        return {"changed": True, **_described(path, made, made)}
    before = manifest.read(path)
    now = records.take(socket.gethostname(), conn, jobs, method=before.fingerprint.method if before.fingerprint else None)
    found = records.differences(before, now)
    return {**_described(path, before, now), "changed": False, "same": not found, "differences": [asdict(each) for each in found]}


def _described(path: str, before: manifest.Manifest, now: manifest.Manifest) -> Result:
    sums = now.fingerprint
    return {
        "path": path,
        "at": before.ended,
        "host": before.host,
        "rows": sums.rows if sums else 0,
        "digest": sums.digest if sums else "",
        "pec_version": now.pec_version,
        "notes": list(now.notes),
    }


def main() -> None:
    run_module(run, stoppable=True, argument_spec=ARGUMENTS)


if __name__ == "__main__":
    main()
