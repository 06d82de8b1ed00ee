#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: restore
short_description: Bring a dump of PEC back without losing the database that is there
description:
  - Restores into a database of its own, beside the one that PEC uses. Only when it is loaded and found to be whole do the two change names,
    both in one transaction. Until then, and after any failure, the old database is under its name and as it was.
  - Takes what M(esus.pec.dump) writes, the C(.sql), C(.zip) and C(.tar.gz) of the operating procedure, the C(.backup) of the vendor's tool,
    anything else that C(pg_dump) makes, also packed with gzip or zstd or encrypted with C(age). What it is, its content tells.
  - A manifest beside the dump is checked first, size and SHA-256; afterwards the database is compared with it, objects, sequences, large
    objects, PEC's version and, where it has a fingerprint, every row.
  - All objects belong to the role that PEC connects as. The role C(esus_leitura) may read again. Rights of other roles are not restored.
  - Settings, rights and the connection limit of the old database itself are carried over to the new one.
  - The database that was replaced is kept as C(NAME_before_TIME) until you drop it.
  - While it runs, C(/run/esus-pec/restore-DATABASE.json) tells the phase. A run that was killed leaves a database C(NAME_restoring_TIME),
    which the next run drops.
author: ["esus.pec contributors (@esus-pec)"]
version_added: 0.1.0
options:
  path:
    description: The dump on the host, a file, or the directory of a dump in directory format.
    type: path
  newest_in:
    description: A directory of dumps with manifests. The newest one that is complete, and that has what O(where) says, is restored.
    type: path
  where:
    description: Fields of the manifest and their values, such as V({"pec_version":"5.4.37"}), for O(newest_in).
    type: dict
    default: {}
  database:
    description: The database that the dump is put in the place of. By default that of the PEC on this host, as PEC's own files tell.
    type: dict
    suboptions:
      host: {description: "Address of the server, or the directory of its socket.", type: str, default: 127.0.0.1}
      port: {description: Port of the server., type: int, default: 5432}
      name: {description: Name of the database., type: str, default: esus}
      username: {description: Role that PEC uses. It will own everything., type: str, default: esus}
      password: {description: Password of the role., type: str, default: ""}
  admin:
    description:
      - A role that may create databases there. Needed when PEC's own may not and the server is on another host.
      - By default PEC's own role when it may, else the server's administrator by the account O(admin_account) on this host.
    type: dict
    suboptions:
      username: {description: Name of the role., type: str, default: postgres}
      password: {description: Password of the role., type: str, required: true}
  admin_account:
    description: Account on this host that the server knows as its administrator without a password (C(peer) in C(pg_hba.conf)).
    type: str
    default: postgres
  identity:
    description: Secret key for a dump encrypted with C(age). It is kept in memory only.
    type: str
  identity_file:
    description: File on the host with that key.
    type: path
  replace:
    description: Whether a database that holds anything may be replaced.
    type: bool
    default: false
  force:
    description: Whether to restore a dump that the database says it was restored from already.
    type: bool
    default: false
  stop_service:
    description:
      - Whether to stop PEC before and start it again afterwards, also after a failure. Other sessions are ended at the switch.
      - Without it, PEC running or anybody connected is a reason to refuse.
    type: bool
    default: false
  rehearse:
    description: Restore and compare, then drop it again. PEC goes on working, and nothing is replaced.
    type: bool
    default: false
  keep_previous:
    description: Whether the database that was replaced is kept. An empty one never is.
    type: bool
    default: true
  keep_failed:
    description: Whether a failure leaves the database that was being filled, for a look at it.
    type: bool
    default: false
  allow_older_server:
    description: Whether to try a dump of a newer PostgreSQL than the server.
    type: bool
    default: false
  require_pec:
    description: Whether the dump must be one of PEC with its data, which its C(VERSAOBANCODADOS) proves.
    type: bool
    default: true
  require_manifest:
    description: Whether a dump without a manifest is refused.
    type: bool
    default: false
  check_space:
    description:
      - Whether to refuse when the disk of the server seems too small, and to stop before it is full. PostgreSQL may not survive that.
      - A server on another host is not checked.
    type: bool
    default: true
  jobs:
    description: Sessions that load, analyze and compare at once. By default the host's processors.
    type: int
  encoding:
    description: Encoding of the new database. By default that of the old one, else of the one that was dumped.
    type: str
  locale:
    description: Locale of the new database, such as V(pt_BR.UTF-8). By default that of the old one, else of the one that was dumped.
    type: str
extends_documentation_fragment:
  - esus.pec.attributes
attributes:
  check_mode:
    description: Reads the dump and asks the server, decides by the same rules, and changes nothing.
    support: full
  diff_mode:
    description: Shows which dump the database came from, before and after.
    support: full
  idempotent:
    description: The database remembers the dump, and the same one is not restored twice. A rehearsal is always done.
    support: full
seealso:
  - module: esus.pec.dump
"""

EXAMPLES = r"""
- name: Put a dump in the place of PEC's database
  esus.pec.restore:
    path: /srv/backup.zip
    replace: true
    stop_service: true
  become: true

- name: Go back to the newest backup of version 5.4.37
  esus.pec.restore:
    newest_in: /var/backups/esus-pec
    where:
      pec_version: 5.4.37
    replace: true
    stop_service: true
  become: true

- name: Prove that the newest backup can be restored, beside a PEC that goes on working
  esus.pec.restore:
    newest_in: /var/backups/esus-pec
    rehearse: true
  become: true
"""

RETURN = r"""
action: {description: "What was needed: V(none), V(restore) or V(rehearse).", returned: success, type: str, sample: restore}
reason: {description: Why., returned: success, type: str, sample: it is to be replaced}
dump: {description: The dump., returned: success, type: str, sample: /srv/backup.zip}
kind:
  description: What it is, from the outside to the inside.
  returned: success
  type: str
  sample: zip plain
sha256:
  description: SHA-256 of the dump. Of a directory, that of the lines that C(sha256sum) prints for its files.
  returned: success
  type: str
  sample: 9f86d08188...
manifest: {description: Whether the dump had a manifest that it was compared with., returned: success, type: bool, sample: true}
dumped_from: {description: PostgreSQL that it was dumped from., returned: success, type: str, sample: "9.6.13"}
database: {description: The database., returned: success, type: str, sample: esus}
previous_database:
  description: The name under which the old database is kept.
  returned: success
  type: str
  sample: esus_before_20261122T030000Z
server_version: {description: Version of the server., returned: success, type: str, sample: "15.18"}
client_version: {description: Version of the client programs., returned: success, type: str, sample: "15.18"}
pec_version: {description: Version of PEC that the database is of., returned: when restored or rehearsed, type: str, sample: 5.4.37}
objects: {description: Number of objects by kind., returned: when restored or rehearsed, type: dict, sample: {tables: 1101}}
seconds: {description: Time of each phase and of all., returned: when restored or rehearsed, type: dict, sample: {load: 26.9, total: 31.2}}
notes:
  description: What the operator should know.
  returned: success
  type: list
  elements: str
  sample: ["the dump has no manifest, so only what it says about itself was checked"]
"""

from typing import Any

from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.module import DATABASE_OPTIONS, QuietModule
from ansible_collections.esus.pec.plugins.module_utils.postgres.psql import connection_from
from ansible_collections.esus.pec.plugins.module_utils.restore import restoring
from ansible_collections.esus.pec.plugins.module_utils.restore.planning import Desired
from ansible_collections.esus.pec.plugins.module_utils.restore.restoring import Outcome
from ansible_collections.esus.pec.plugins.module_utils.system import signals

ADMIN = {
    "username": {"type": "str", "default": "postgres"},
    "password": {"type": "str", "required": True, "no_log": True},
}
ARGUMENTS = {
    "path": {"type": "path"},
    "newest_in": {"type": "path"},
    "where": {"type": "dict", "default": {}},
    "database": {"type": "dict", "options": DATABASE_OPTIONS},
    "admin": {"type": "dict", "options": ADMIN},
    "admin_account": {"type": "str", "default": "postgres"},
    "identity": {"type": "str", "no_log": True},
    "identity_file": {"type": "path"},
    "replace": {"type": "bool", "default": False},
    "force": {"type": "bool", "default": False},
    "stop_service": {"type": "bool", "default": False},
    "rehearse": {"type": "bool", "default": False},
    "keep_previous": {"type": "bool", "default": True},
    "keep_failed": {"type": "bool", "default": False},
    "allow_older_server": {"type": "bool", "default": False},
    "require_pec": {"type": "bool", "default": True},
    "require_manifest": {"type": "bool", "default": False},
    "check_space": {"type": "bool", "default": True},
    "jobs": {"type": "int"},
    "encoding": {"type": "str"},
    "locale": {"type": "str"},
}


def read_desired(params: dict[str, Any]) -> Desired:
    if params["jobs"] is not None and params["jobs"] < 1:
        raise PecError(f"jobs is {params['jobs']}, and it takes at least one; leave it out for one per processor")
    if params["where"] and not params["newest_in"]:
        raise PecError("where chooses among the dumps of a directory; name the directory in newest_in")
    as_they_are = {name: value for name, value in params.items() if name not in ("database", "admin", "where")}
    admin = params["admin"]
    return Desired(
        connection=connection_from(params["database"]),
        admin_login=(admin["username"], admin["password"]) if admin else None,
        where={name: str(value) for name, value in params["where"].items()},
        **as_they_are,
    )


def describe(outcome: Outcome) -> dict[str, Any]:
    current, plan = outcome.current, outcome.plan
    result = {
        "changed": outcome.changed,
        "action": plan.action,
        "reason": plan.reason,
        "dump": current.archive.path,
        "kind": " ".join((*current.archive.layers, current.archive.kind)),
        "sha256": current.sha256,
        "manifest": current.manifest is not None,
        "dumped_from": current.archive.header.server_version,
        "database": current.name,
        "previous_database": outcome.previous,
        "server_version": current.server_version,
        "client_version": current.client_version,
        "notes": list(outcome.notes),
        "diff": {"before": f"{current.name}: {plan.before}\n", "after": f"{current.name}: {plan.after}\n"},
    }
    if outcome.contents is not None:
        result.update(pec_version=outcome.contents.pec_version, objects=dict(outcome.contents.objects), seconds=dict(outcome.seconds))
    return result


def main() -> None:
    module = QuietModule(
        argument_spec=ARGUMENTS,
        mutually_exclusive=[("path", "newest_in"), ("identity", "identity_file")],
        required_one_of=[("path", "newest_in")],
        supports_check_mode=True,
    )
    signals.listen()
    try:
        outcome = restoring.run(read_desired(module.params), check=module.check_mode)
    except (PecError, signals.Stopped) as error:
        module.fail_json(msg=str(error))
    for warning in outcome.warnings:
        module.warn(warning)
    module.exit_json(**describe(outcome))


if __name__ == "__main__":
    main()
