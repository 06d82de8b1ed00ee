#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: restore
short_description: Restore a dump of PEC without losing the existing database
description:
  - Restores into a second database beside the one that PEC uses. Only when it is loaded and verified, the two change names, both in one
    transaction. Until then, and after any failure, the old database keeps its name and its content.
  - Reads what M(esus.pec.dump) writes, the C(.sql), C(.zip) and C(.tar.gz) of the operating procedure, the C(.backup) of the vendor's tool,
    and anything else that C(pg_dump) makes, also compressed with gzip, zstd, xz or bzip2 or encrypted with C(age). The type is detected
    from the content, not the name. A plain dump in UTF-16 is converted, and RV(kind) says so. A zip or tar holds one
    dump; a read-me and what macOS or Windows add beside it are ignored.
  - The manifest beside the dump is compared with it first, size and SHA-256. Afterwards the restored database is compared with the
    manifest, objects, sequences, number of large objects, PEC's version and, if it has a fingerprint, every row and large object. What
    cannot be compared, such as values between two encodings, is in RV(notes).
  - A dump whose manifest names another host or município is refused unless O(from_host) or O(from_municipality) names it. A dump without
    a manifest has to be chosen by its O(path).
  - The dump is loaded by a role that exists for this restore only, C(NAME_loading), and can do nothing outside the new database. If
    C(pg_hba.conf) names the roles that it admits, it has to admit this one too.
  - All objects then belong to the role that PEC connects as. The role C(esus_leitura) gets its read access again. Rights that the dump
    grants are not restored.
  - Settings, rights and the connection limit of the old database itself are copied to the new one. Those under which PEC could not work,
    such as C(default_transaction_read_only), are left out and named in RV(notes).
  - The old database is kept as C(NAME_before_TIME) until you drop it.
  - C(/run/esus-pec/restore-DATABASE.json) shows the phase of a running restore, and C(nothing_moved_since) if no
    table was finished for a while. A killed run leaves a database C(NAME_restoring_TIME),
    which the next run drops.
author: ["esus.pec contributors (@esus-pec)"]
version_added: 0.1.0
options:
  path:
    description: The dump on the host, a file or the directory of a dump in directory format.
    type: path
  directory:
    description:
      - A directory of dumps with manifests. The newest complete one is restored that was made on O(from_host), of O(from_municipality) and
        of a database of the same name, and that fits O(where).
    type: path
  where:
    description:
      - Fields of the manifest and their values, such as V({"pec_version":"5.4.37"}), for O(directory).
      - The field C(database) defaults to the name of the database that is restored.
    type: dict
    default: {}
  from_host:
    description: Name of the host that made the dump, as in its manifest. Defaults to this host's name.
    type: str
  from_municipality:
    description:
      - Município whose data the dump contains, as in its manifest. Case and accents do not matter.
      - Without it, a dump of any município is accepted from O(path); in O(directory) all dumps of O(from_host) must be of the same one.
      - If the manifest names none, what PEC itself recorded in the dump (name and link of the installation, municípios) is compared after
        the load with the database to replace, else with this option. Another one is restored only if this option has its name.
    type: str
    default: ""
  sha256:
    description: SHA-256 that the dump must have, as RV(sha256) of an earlier run in check mode.
    type: str
  identity:
    description: Secret key for a dump encrypted with C(age). It is kept in memory only.
    type: str
  identity_path:
    description: File on the host with that key.
    type: path
  force:
    description:
      - Restore a dump again although the database was restored from it and has not changed since.
      - Also restore a plain dump whose accents are broken, which is refused otherwise.
    type: bool
    default: false
  require_manifest:
    description: Refuse a dump without a manifest.
    type: bool
    default: false
  allow_partial:
    description:
      - Restore a dump that holds only a part of a database, such as one by C(pg_dump -t), C(--section) or C(-n). Without a manifest, a dump
        is compared with the database that it replaces and with the least that a PEC has, by its table of contents and after the load.
      - RV(notes) lists the missing objects by kind, with their numbers.
    type: bool
    default: false
extends_documentation_fragment:
  - esus.pec.attributes
  - esus.pec.database
  - esus.pec.restoring
attributes:
  check_mode:
    description: Reads the dump and the server, decides by the same rules, and changes nothing.
    support: full
  diff_mode:
    description: Shows which dump the database was restored from, before and after.
    support: full
  idempotent:
    description: A database that was restored from a dump with the same SHA-256 and has not changed since is left alone. One that was
      used meanwhile is restored again with O(replace), and is a reason to refuse without it. A rehearsal is always done.
    support: full
seealso:
  - module: esus.pec.dump
"""

EXAMPLES = r"""
- name: Replace PEC's database by a dump
  esus.pec.restore:
    path: /srv/backup.zip
    replace: true
    stop_service: true
  become: true

- name: Go back to the newest backup of version 5.4.37
  esus.pec.restore:
    directory: /var/backups/esus-pec
    where:
      pec_version: 5.4.37
    replace: true
    stop_service: true
  become: true

- name: Bring the newest backup of the old server to a new one
  esus.pec.restore:
    directory: /mnt/backup/pec
    from_host: pec-old
    from_municipality: Água Clara
    stop_service: true
  become: true

- name: Rehearse the restore of the newest backup while PEC keeps running
  esus.pec.restore:
    directory: /var/backups/esus-pec
    rehearse: true
  become: true
"""

RETURN = r"""
action: {description: "What was done: V(none), V(restore) or V(rehearse).", returned: success, type: str, sample: restore}
reason: {description: Why., returned: success, type: str, sample: replace is true}
dump: {description: The dump., returned: success, type: str, sample: /srv/backup.zip}
kind:
  description: Type of the dump, from the outside to the inside.
  returned: success
  type: str
  sample: zip plain
sha256:
  description: SHA-256 of the dump. For a directory, that of the lines that C(sha256sum) prints for its files.
  returned: success
  type: str
  sample: 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
manifest: {description: Whether the dump has a manifest., returned: success, type: bool, sample: true}
origin:
  description: Where the dump is from, according to its manifest.
  returned: if the dump has a manifest
  type: dict
  contains:
    host: {description: Name of the host that made the dump., type: str, sample: pec1}
    municipality: {description: The município. Empty if unknown., type: str, sample: Água Clara}
    database: {description: Name of the database., type: str, sample: esus}
    pec_version: {description: Version of PEC., type: str, sample: 5.4.37}
    ended: {description: End of the dump (UTC)., type: str, sample: "2026-11-22T04:31:12Z"}
dumped_from: {description: Version of PostgreSQL that the dump is from., returned: success, type: str, sample: "9.6.13"}
database: {description: Name of the database., returned: success, type: str, sample: esus}
previous_database:
  description: Name under which the old database is kept.
  returned: success
  type: str
  sample: esus_before_20261122T030000Z
server_version: {description: Version of the server., returned: success, type: str, sample: "15.18"}
client_version: {description: Version of the client programs., returned: success, type: str, sample: "15.18"}
installed_version:
  description: Version of the PEC on this host that uses the database. Null if it is unknown.
  returned: success
  type: str
  sample: 5.4.37
update_follows:
  description: PEC is left stopped, because the installer has to update the restored database first.
  returned: success
  type: bool
  sample: false
pec_version: {description: Version of PEC in the restored database., returned: when restored or rehearsed, type: str, sample: 5.4.37}
objects: {description: Number of objects by kind., returned: when restored or rehearsed, type: dict, sample: {tables: 1101}}
fingerprint:
  description: What the dump and the restored database have in common, if the manifest has a fingerprint and values could be compared.
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
  sample: ["the free space was not checked, because the server's data directory is not visible on this host"]
"""

import socket
from dataclasses import replace
from typing import Any

from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.module import PecModule, run_module
from ansible_collections.esus.pec.plugins.module_utils.restore import restoring
from ansible_collections.esus.pec.plugins.module_utils.restore.options import RESTORING, desired_from, require_known_server
from ansible_collections.esus.pec.plugins.module_utils.restore.planning import Desired
from ansible_collections.esus.pec.plugins.module_utils.restore.restoring import Outcome

ARGUMENTS = {
    "path": {"type": "path"},
    "directory": {"type": "path"},
    "where": {"type": "dict", "default": {}},
    "from_host": {"type": "str"},
    "sha256": {"type": "str"},
    "identity": {"type": "str", "no_log": True},
    "identity_path": {"type": "path"},
    "force": {"type": "bool", "default": False},
    "require_manifest": {"type": "bool", "default": False},
    "allow_partial": {"type": "bool", "default": False},
    **RESTORING,
}


def read_desired(params: dict[str, Any]) -> Desired:
    if params["where"] and not params["directory"]:
        raise PecError("where chooses among the dumps of a directory, but path names one; set directory instead, or leave where out")
    chosen = {name: params[name] for name in ("path", "directory", "sha256", "identity", "identity_path")}
    return replace(
        desired_from(params),
        **chosen,
        where={name: str(value) for name, value in params["where"].items()},
        from_host=params["from_host"] or socket.gethostname(),
        force=params["force"],
        require_manifest=params["require_manifest"],
        allow_partial=params["allow_partial"],
    )


def describe(outcome: Outcome) -> dict[str, Any]:
    current, plan, made = outcome.current, outcome.plan, outcome.current.manifest
    result = {
        "changed": plan.changed,
        "action": plan.action,
        "reason": plan.reason,
        "dump": current.archive.path,
        "kind": " ".join((*current.archive.layers, current.archive.kind)),
        "sha256": current.sha256,
        "manifest": made is not None,
        "dumped_from": current.archive.header.server_version,
        "database": current.name,
        "previous_database": plan.kept,
        "server_version": current.server_version,
        "client_version": current.client_version,
        "installed_version": current.installed,
        "update_follows": outcome.update_follows,
        "notes": list(outcome.notes),
        "warnings": outcome.warnings,
        "diff": {"before": f"{current.name}: {plan.before}\n", "after": f"{current.name}: {plan.after}\n"},
    }
    if made is not None:
        result["origin"] = {name: getattr(made, name) for name in ("host", "municipality", "database", "pec_version", "ended")}
    if outcome.contents is not None:
        result.update(pec_version=outcome.contents.pec_version, objects=dict(outcome.contents.objects), seconds=dict(outcome.seconds))
    if outcome.fingerprint is not None:
        result["fingerprint"] = outcome.fingerprint.summary
    return result


def run(module: PecModule) -> dict[str, Any]:
    require_known_server(module.params)
    return describe(restoring.run(read_desired(module.params), check=module.check_mode))


def main() -> None:
    run_module(
        run,
        stoppable=True,
        argument_spec=ARGUMENTS,
        mutually_exclusive=[("path", "directory"), ("identity", "identity_path")],
        required_one_of=[("path", "directory")],
    )


if __name__ == "__main__":
    main()
