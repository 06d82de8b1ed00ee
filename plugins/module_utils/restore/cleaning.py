# SPDX-License-Identifier: GPL-3.0-or-later
"""Finds and drops the databases that restores replaced and kept. Private to the collection."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import cast

from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.pec import installation
from ansible_collections.esus.pec.plugins.module_utils.postgres import administrator, psql
from ansible_collections.esus.pec.plugins.module_utils.postgres.administrator import Login
from ansible_collections.esus.pec.plugins.module_utils.postgres.psql import Connection, literal
from ansible_collections.esus.pec.plugins.module_utils.postgres.session import CLIENTS, database_lock
from ansible_collections.esus.pec.plugins.module_utils.restore import planning, tools
from ansible_collections.esus.pec.plugins.module_utils.system import clock, locks

_DATABASES_SQL = """
select coalesce(json_agg(json_build_object('name', d.datname, 'size', pg_database_size(d.oid),
  'comment', shobj_description(d.oid, 'pg_database'),
  'sessions', (select count(*) from pg_stat_activity where datid = d.oid and {clients})) order by d.datname), '[]')
from pg_database d where d.datname <> {live} and shobj_description(d.oid, 'pg_database') is not null
"""


@dataclass(frozen=True)
class Replaced:
    """A database that a restore replaced. C(kept) says why it is not dropped; it is empty for one that is."""

    name: str
    size_bytes: int
    replaced: str
    kept: str


def run(
    connection: Connection | None, admin_login: tuple[str, str] | None, admin_account: str | None, days: int, *, check: bool
) -> tuple[Replaced, ...]:
    """Drop those that were replaced at least so many days ago. Raises PecError, and then says which were dropped.

    Only a database whose record says that a restore of this one replaced it is dropped, only while nobody is connected to it, and only
    while the one in use is a PEC's.
    """
    used = {installed.database for installed in [_installed()] if installed}
    connection = connection or installation.connection()
    with locks.lock(database_lock(connection)):
        pec = administrator.log_in(connection, tools.find()[0].psql)
        admin = administrator.find(pec, admin_login, admin_account)
        if not psql.read_facts(connection).is_pec:
            raise PecError(
                f"the database {connection.database!r} is not a PEC's, so a database that it replaced may be the only one with the data; "
                "nothing was dropped"
            )
        found = replaced(admin, connection.database, used, days)
        dropped: list[str] = []
        for database in found:
            if check or database.kept:
                continue
            try:
                administrator.drop(admin, database.name)
            except PecError as error:
                raise PecError(
                    f"{database.name!r} could not be dropped: {error}; dropped before it: {', '.join(dropped) or 'none'}"
                ) from None
            dropped.append(database.name)
        return found


def replaced(admin: Login, live: str, used: set[str], days: int) -> tuple[Replaced, ...]:
    """Return the databases that restores of C(live) replaced, the oldest first. C(used): names that PEC's own files know."""
    with admin.session() as session:
        rows = cast("list[dict[str, object]]", session.query(_DATABASES_SQL.format(live=literal(live), clients=CLIENTS)))
    found = []
    for row in rows:
        name, record = str(row["name"]), planning.read_record(cast("str | None", row["comment"]))
        if record.get("state") == planning.PREVIOUS and record.get("target") == live and name not in used | {live}:
            when = str(record.get("replaced"))
            found.append(Replaced(name, int(str(row["size"])), when, _reason(when, int(str(row["sessions"])), days)))
    return tuple(sorted(found, key=lambda database: database.replaced))


def _reason(when: str, sessions: int, days: int) -> str:
    try:
        age = _now() - clock.parse(when)
    except PecError:
        return "it is not recorded when it was replaced"
    if age < timedelta(days=days):
        return f"it was replaced fewer than {days} days ago"
    return f"somebody is connected to it ({sessions} sessions)" if sessions else ""


def _now() -> datetime:
    return clock.parse(clock.utc())


def _installed() -> Connection | None:
    try:
        return installation.connection()
    except PecError:
        return None
