#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: transfer_database
short_description: Restore PEC's database straight from another server
description:
  - Runs on the new server. Reads the database of the old one in one snapshot and restores it beside the new server's database, as
    M(esus.pec.restore) does from a dump. No file of rows is written on either side.
  - While the rows are loaded, the fingerprint of the source is read in the same snapshot. The two databases change names only if every
    table, large object and sequence and the number of all objects are the same.
  - Writes at the source after the module has begun are not transferred. Stop PEC there first, or use O(rehearse).
  - The source is only read.
author: ["esus.pec contributors (@esus-pec)"]
version_added: 0.2.0
options:
  source:
    description: Connection to the old database, as seen from the SSH server in O(ssh), else from this host.
    type: dict
    suboptions:
      host: {description: Address of the server., type: str, default: 127.0.0.1}
      port: {description: Port of the server., type: int, default: 5433}
      name: {description: Name of the database., type: str, default: esus}
      username: {description: Role to connect as. It has to be able to read all tables., type: str, default: postgres}
      password: {description: Password of the role., type: str, default: ""}
      sslmode:
        description: TLS to the server, as the C(sslmode) of PostgreSQL's clients. Ignored with O(ssh).
        type: str
        choices: [disable, prefer, require, verify-ca, verify-full]
        default: prefer
      sslrootcert: {description: File with the authority of the server's certificate., type: str, default: ""}
  home:
    description:
      - Directory on this host with a copy of the files of the old PEC below its home, such as
        V(/var/lib/esus-pec/transfer/files). The connection is read from its C(application.properties), else from C(credenciais.txt).
    type: path
  name:
    description: Name of the old server for texts and records. Defaults to the address of the SSH server or of the database.
    type: str
  from_municipality:
    description:
      - Município whose data the old database has to hold, if this server's database holds none yet. Case and accents do not matter.
      - What PEC itself recorded is compared, the name and link of the installation and its municípios. Another one is transferred only if
        this option has its name.
    type: str
    default: ""
  record_path:
    description: File for the contents and the fingerprint of the source (mode 0600), to compare with later. Written after a restore only.
    type: path
extends_documentation_fragment:
  - esus.pec.attributes
  - esus.pec.database
  - esus.pec.restoring
  - esus.pec.ssh
attributes:
  check_mode:
    description: Reads both servers, decides by the same rules, and changes nothing.
    support: full
  diff_mode:
    description: Shows which database the new server's was restored from, before and after.
    support: full
  idempotent:
    description: Every run restores. O(replace) is required if the database of this server is not empty.
    support: none
seealso:
  - module: esus.pec.restore
"""

EXAMPLES = r"""
- name: Rehearse the transfer while the old PEC keeps running
  esus.pec.transfer_database:
    home: /var/lib/esus-pec/transfer/files
    ssh:
      host: pec-old.example.org
      user: esus-pec-transfer
      key_path: /var/lib/esus-pec/transfer/ssh/id_ed25519
      known_hosts_path: /var/lib/esus-pec/transfer/ssh/known_hosts
    rehearse: true
  become: true

- name: Transfer the database of a server in the same network
  esus.pec.transfer_database:
    source:
      host: 192.0.2.10
      port: 5432
      username: esus
      password: "{{ vault_old_database_password }}"
    stop_service: true
  become: true
"""

RETURN = r"""
action: {description: "What was done: V(restore) or V(rehearse).", returned: success, type: str, sample: restore}
source:
  description: The old server and its database, in the snapshot that was read.
  returned: success
  type: dict
  contains:
    name: {description: Name of the server., type: str, sample: pec-old.example.org}
    database: {description: Name of the database., type: str, sample: esus}
    server_version: {description: Version of PostgreSQL., type: str, sample: "9.6.13"}
    bytes: {description: Size of the database., type: int, sample: 1918000000}
    encoding: {description: Encoding of the database., type: str, sample: UTF8}
    collation: {description: Collation of the database., type: str, sample: pt_BR.UTF-8}
    pec_version: {description: Version of PEC in the database., type: str, sample: 5.4.37}
database: {description: Name of the database on this server., returned: success, type: str, sample: esus}
previous_database:
  description: Name under which the replaced database is kept.
  returned: success
  type: str
  sample: esus_before_20261122T030000Z
server_version: {description: Version of this server's PostgreSQL., returned: success, type: str, sample: "15.18"}
client_version: {description: Version of the client programs., returned: success, type: str, sample: "15.18"}
installed_version: {description: Version of the PEC on this host., returned: success, type: str, sample: 5.4.37}
update_follows:
  description: PEC is left stopped, because the installer has to update the restored database first.
  returned: success
  type: bool
  sample: false
pec_version: {description: Version of PEC in the restored database., returned: when restored or rehearsed, type: str, sample: 5.4.37}
objects: {description: Number of objects by kind., returned: when restored or rehearsed, type: dict, sample: {tables: 1101}}
fingerprint:
  description: What was compared. Both sides have the same.
  returned: when restored or rehearsed
  type: dict
  contains:
    rows: {description: Number of rows in all tables., type: int, sample: 5310022}
    digest:
      description: Digest of the sums of all tables.
      type: str
      sample: 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
    tables: {description: Number of tables with a sum., type: int, sample: 1101}
    method: {description: Method of the sums., type: str, sample: rows-hash64}
seconds: {description: Duration by phase and in total., returned: when restored or rehearsed, type: dict, sample: {load: 26.9, total: 31.2}}
notes:
  description: What the operator should know.
  returned: success
  type: list
  elements: str
  sample: ["functions that got a search_path of their own: none"]
"""

from typing import Any

from ansible_collections.esus.pec.plugins.module_utils.module import PecModule, run_module
from ansible_collections.esus.pec.plugins.module_utils.postgres.options import DATABASE
from ansible_collections.esus.pec.plugins.module_utils.postgres.psql import connection_from
from ansible_collections.esus.pec.plugins.module_utils.restore.options import RESTORING, desired_from, require_known_server
from ansible_collections.esus.pec.plugins.module_utils.transfer import link, streaming
from ansible_collections.esus.pec.plugins.module_utils.transfer.streaming import Source, Streamed

ARGUMENTS = {
    "source": {
        **DATABASE,
        "options": {
            **DATABASE["options"],
            "port": {"type": "int", "default": 5433},
            "username": {"type": "str", "default": "postgres"},
        },
    },
    "home": {"type": "path"},
    "ssh": link.SSH_OPTIONS,
    "name": {"type": "str"},
    "record_path": {"type": "path"},
    **RESTORING,
}


def read_source(params: dict[str, Any]) -> Source:
    ssh, given = link.ssh_from(params["ssh"]), connection_from(params["source"])
    name = params["name"] or (ssh.host if ssh else given.host if given else "")
    return Source(name or "the old server", ssh, given, params["home"])


def describe(source: Source, streamed: Streamed) -> dict[str, Any]:
    outcome, facts, sums = streamed.outcome, streamed.facts, streamed.outcome.fingerprint
    current, plan = outcome.current, outcome.plan
    text = f"{current.name}: {plan.before}\n", f"{current.name}: restored from {source.name}\n"
    result: dict[str, Any] = {
        "changed": plan.changed,
        "action": plan.action,
        "source": {
            "name": source.name,
            "database": current.manifest.database if current.manifest else None,
            "server_version": facts.server_version,
            "bytes": facts.size_bytes,
            "encoding": facts.encoding,
            "collation": facts.collation,
            "pec_version": facts.pec_version,
        },
        "database": current.name,
        "previous_database": plan.kept,
        "server_version": current.server_version,
        "client_version": streamed.client_version,
        "installed_version": current.installed,
        "update_follows": outcome.update_follows,
        "notes": list(outcome.notes),
        "warnings": outcome.warnings,
        "diff": {"before": text[0], "after": text[1] if plan.changed else text[0]},
    }
    if outcome.contents is not None:
        result.update(pec_version=outcome.contents.pec_version, objects=dict(outcome.contents.objects), seconds=dict(streamed.seconds))
    if sums is not None:
        result["fingerprint"] = sums.summary
    return result


def run(module: PecModule) -> dict[str, Any]:
    require_known_server(module.params)
    source = read_source(module.params)
    desired = desired_from(module.params)
    return describe(source, streaming.run(desired, source, check=module.check_mode, record=module.params["record_path"]))


def main() -> None:
    run_module(
        run,
        stoppable=True,
        argument_spec=ARGUMENTS,
        mutually_exclusive=[("source", "home")],
        required_one_of=[("source", "home")],
    )


if __name__ == "__main__":
    main()
