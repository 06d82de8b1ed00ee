# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The options of modules that restore a database."""

from __future__ import annotations


class ModuleDocFragment:
    """C(esus.pec.restoring) documents the options that C(module_utils/restore/options.py) defines."""

    DOCUMENTATION = r"""
options:
  admin:
    description:
      - A role that may create databases and roles (SUPERUSER, or CREATEDB and CREATEROLE). Required if PEC's own role may not and the
        server is on another host.
      - Defaults to PEC's own role if it may, else to the server's administrator by way of O(admin_account).
      - Requires O(database) if another account can change the file of PEC that says where the server is, as with C(User=) in PEC's unit.
    type: dict
    suboptions:
      username: {description: Name of the role., type: str, default: postgres}
      password: {description: Password of the role., type: str, required: true}
  admin_account:
    description: Account on this host that the server accepts as its administrator without a password (C(peer) in C(pg_hba.conf)).
    type: str
    default: postgres
  replace:
    description: Replace a database that is not empty.
    type: bool
    default: false
  stop_service:
    description:
      - Stop PEC before and start it again afterwards, also after a failure. Other sessions are ended at the switch.
      - Otherwise a running PEC or any other session is a reason to refuse.
    type: bool
    default: false
  rehearse:
    description: Restore and compare, then drop the restored database. PEC keeps running, and nothing is replaced.
    type: bool
    default: false
  keep_previous:
    description: Keep the database that was replaced. An empty one is never kept.
    type: bool
    default: true
  extensions:
    description:
      - Extensions of PostgreSQL that a dump may contain. The default are those that reach nothing outside the database.
      - A dump with another one is refused, because the administrator would have to create it. C(dblink), for example, reads and writes
        other databases.
    type: list
    elements: str
    default: [btree_gin, btree_gist, citext, fuzzystrmatch, hstore, intarray, ltree, pg_trgm, pgcrypto, tablefunc, unaccent, uuid-ossp]
  without_extensions:
    description: Extensions that are left out of the dump. What depends on them is an error.
    type: list
    elements: str
    default: []
  skip_objects:
    description:
      - Objects that are left out of the dump, each as C(KIND SCHEMA.NAME) in the way that errors and RV(notes) show them, such as
        V(VIEW public.vw_antiga). Rows, comments and triggers of a table go with it; anything else that depends on it is an error.
      - Publications, subscriptions, event triggers, row security policies, foreign servers with their wrappers, user mappings and tables,
        and the extensions C(adminpack), C(file_fdw), C(pg_buffercache), C(pg_stat_statements) and C(postgres_fdw) are always left out,
        because PEC does not need them. An extension is kept if it is in O(extensions).
      - RV(notes) names all that was left out; for a plain dump only after it was loaded.
    type: list
    elements: str
    default: []
  function_search_path:
    description:
      - Schemas in which the functions of the dump look for what they name without a schema, such as V([public]). For a dump that cannot be
        loaded because a function in an index, a check or a materialized view names another one without its schema.
      - Such functions keep this C(search_path), and RV(notes) names them.
    type: list
    elements: str
    default: []
  keep_failed:
    description: Keep the incomplete database after a failure, to look into it.
    type: bool
    default: false
  allow_older_server:
    description: Try a dump from a newer PostgreSQL than the server.
    type: bool
    default: false
  require_pec:
    description: Refuse a dump that is not one of PEC with its data, which its C(VERSAOBANCODADOS) proves.
    type: bool
    default: true
  allow_other_version:
    description:
      - Restore a dump of an older PEC than the installed one, because the installer updates the database afterwards. PEC is then left
        stopped, also if it ran before.
      - Otherwise a dump of another version is refused, by its manifest before anything is changed, else after the load and before the two
        databases change names. A dump of a newer PEC is always refused.
    type: bool
    default: false
  update_jar:
    description: The installer on the host that is to update the database. With O(allow_other_version), a restore is refused if it is not
      PEC's installer or older than the dump.
    type: path
  check_space:
    description:
      - Refuse if the disk of the server seems too small, and stop before it is full. PostgreSQL may not survive a full disk.
      - The disk of a server on another host is not checked.
    type: bool
    default: true
  jobs:
    description: Number of sessions that load, analyze and compare in parallel. Defaults to the number of processors of the host.
    type: int
  encoding:
    description: Encoding of the new database. Defaults to that of the old one, else of the one that was dumped; UTF-8 instead of
      C(SQL_ASCII), or if the server has no locale for that of the dump.
    type: str
  locale:
    description: Locale of the new database, such as V(pt_BR.UTF-8). Defaults to that of the old one, else of the one that was dumped, else
      to one of the server that fits the encoding.
    type: str
"""
