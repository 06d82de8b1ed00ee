#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: replaced_databases
short_description: Drop the databases that restores replaced
description:
  - M(esus.pec.restore) keeps the database that it replaces as C(NAME_before_TIME). This module lists these, and drops those that were
    replaced long enough ago.
  - Only a database is dropped whose record, written by the restore, names the database that PEC uses as the one that took its place. Any
    other is left, also one whose name looks alike. So is one that somebody is connected to.
  - Nothing is dropped unless the database that PEC uses can be read and is a PEC's.
  - A dropped database cannot be brought back except from a backup.
author: ["esus.pec contributors (@esus-pec)"]
version_added: 0.2.0
options:
  older_than_days:
    description: Drop those that were replaced at least so many days ago. With V(0), all of them.
    type: int
    default: 30
  admin:
    description: A role that may drop them, as in M(esus.pec.restore).
    type: dict
    suboptions:
      username: {description: Name of the role., type: str, default: postgres}
      password: {description: Password of the role., type: str, required: true}
  admin_account:
    description: Account on this host that the server accepts as its administrator without a password, as in M(esus.pec.restore).
    type: str
    default: postgres
attributes:
  check_mode:
    description: Lists what would be dropped.
    support: full
  diff_mode:
    description: Shows the databases before and after.
    support: full
extends_documentation_fragment:
  - esus.pec.attributes
  - esus.pec.database
seealso:
  - module: esus.pec.restore
"""

EXAMPLES = r"""
- name: Drop what restores replaced more than two months ago
  esus.pec.replaced_databases:
    older_than_days: 60
  become: true
"""

RETURN = r"""
databases:
  description: The databases that restores replaced, the oldest first. In check mode, what would happen to them.
  returned: success
  type: list
  elements: dict
  contains:
    name: {description: Its name., type: str, sample: esus_before_20261122T043000Z}
    size_bytes: {description: Its size., type: int, sample: 52428800}
    replaced: {description: When it was replaced., type: str, sample: "2026-11-22T04:30:00Z"}
    kept: {description: Why it is not dropped. Empty for one that is., type: str, sample: ""}
"""

from dataclasses import asdict
from typing import Any

from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.module import PecModule, run_module
from ansible_collections.esus.pec.plugins.module_utils.postgres.options import ADMIN, DATABASE
from ansible_collections.esus.pec.plugins.module_utils.postgres.psql import connection_from
from ansible_collections.esus.pec.plugins.module_utils.restore import cleaning
from ansible_collections.esus.pec.plugins.module_utils.restore.options import require_known_server

ARGUMENTS = {
    "older_than_days": {"type": "int", "default": 30},
    "database": DATABASE,
    "admin": ADMIN,
    "admin_account": {"type": "str", "default": "postgres"},
}


def run(module: PecModule) -> dict[str, Any]:
    params, admin = module.params, module.params["admin"]
    if params["older_than_days"] < 0:
        raise PecError(f"older_than_days is {params['older_than_days']}; give 0 or more")
    require_known_server(params)
    login = (admin["username"], admin["password"]) if admin else None
    found = cleaning.run(
        connection_from(params["database"]), login, params["admin_account"], params["older_than_days"], check=module.check_mode
    )
    left = [database.name for database in found if database.kept]
    return {
        "changed": len(left) < len(found),
        "databases": [asdict(database) for database in found],
        "diff": {"before": "".join(f"{database.name}\n" for database in found), "after": "".join(f"{name}\n" for name in left)},
    }


def main() -> None:
    run_module(run, argument_spec=ARGUMENTS)


if __name__ == "__main__":
    main()
