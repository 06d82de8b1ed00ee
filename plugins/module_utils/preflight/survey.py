# SPDX-License-Identifier: GPL-3.0-or-later
"""Looks at the host, the installation and the database for the rules. Changes nothing. Private to the collection."""

from __future__ import annotations

import os
import tempfile

from ansible_collections.esus.pec.plugins.module_utils import beliefs
from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.pec import installation
from ansible_collections.esus.pec.plugins.module_utils.postgres import psql
from ansible_collections.esus.pec.plugins.module_utils.preflight.database import LOOPBACK, UNFINISHED_TABLES
from ansible_collections.esus.pec.plugins.module_utils.preflight.model import DatabaseSeen, DatabaseWanted, Facts, Place, Wishes
from ansible_collections.esus.pec.plugins.module_utils.system import files, host, locks, process, systemd

MANAGED_DATA = "/var/lib"
"""Where the distributions' PostgreSQL keeps its data, one directory up: /var/lib/postgresql, /var/lib/pgsql."""

_RESOLVE_SECONDS = 10

_RIGHTS_SQL = """
select json_build_object(
  'may_create', has_schema_privilege(current_user, 'public', 'CREATE'),
  'unfinished', {unfinished}
)
"""


def survey_host(wishes: Wishes, home: str) -> tuple[Facts, tuple[str, ...]]:
    """Return what was seen, and what could not be checked yet with the reason."""
    release = host.os_release()
    units = systemd.units((beliefs.PEC_UNIT, beliefs.DATABASE_UNIT))
    listeners = {port: listener.process for port, listener in host.listeners().items()}
    here = installation.discover() if os.geteuid() == 0 else installation.Installation("absent")  # only root may read all of it
    database, unchecked = _database(wishes.database, listeners) if "database" in wishes.checks else (None, "")
    return Facts(
        uid=os.geteuid(),
        architecture=host.architecture(),
        distribution=release.get("ID", "an unknown system"),
        distribution_version=release.get("VERSION_ID", ""),
        init_name=host.init_name() or _process_one(),
        memory_bytes=host.memory_bytes() or 0,
        processors=host.processors(),
        places=_places(wishes.database, here.home or home),
        listeners=listeners,
        active_units=tuple(name for name, unit in units.items() if unit.active_state in systemd.ACTIVE),
        installed_state=here.state,
        installed_version=here.version or "",
        installed_reasons=here.reasons,
        installed_connection=here.connection,
        installed_custom_database=here.custom_database,
        another_run=_another_run(),
        domain_resolves=_resolves(wishes),
        domain_addresses=_addresses(wishes),
        database=database,
    ), ((unchecked,) if unchecked else ())


def _process_one() -> str:
    """The installer asks `ps`, which a minimal host lacks until its package is installed; the kernel knows too."""
    return files.read_text_lenient("/proc/1/comm").strip()


def _places(database: DatabaseWanted, home: str) -> tuple[Place, ...]:
    wanted = [("home", home), ("temporary", tempfile.gettempdir())]
    if database.mode != "external":
        wanted.insert(1, ("database", MANAGED_DATA if database.mode == "managed" else os.path.join(home, "database")))
    places = []
    for purpose, path in wanted:
        disk = host.disk_usage(path)
        places.append(Place(purpose, path, _filesystem(path), disk.total_bytes, disk.free_bytes))
    return tuple(places)


def _filesystem(path: str) -> int:
    while not os.path.exists(path):
        path = os.path.dirname(path)
    return os.stat(path).st_dev


def _another_run() -> str:
    """Return the holder of the lock, or an empty text; the lock is taken for an instant, and only if its file exists."""
    if os.geteuid() != 0 or not os.path.exists(os.path.join(locks.DIRECTORY, f"{locks.INSTALLER}.lock")):
        return ""
    try:
        with locks.lock(locks.INSTALLER):
            return ""
    except PecError as error:
        return str(error)


def _resolves(wishes: Wishes) -> bool | None:
    wanted = wishes.certificate_port is not None or wishes.first_run is not None
    if not (wanted and wishes.domain and ("site" in wishes.checks or "https" in wishes.checks)):
        return None
    try:
        return process.run(["getent", "ahosts", wishes.domain], timeout=_RESOLVE_SECONDS).returncode == 0
    except PecError:
        return False


def _addresses(wishes: Wishes) -> tuple[str, ...] | None:
    """IPv4 only, because the manual requires an A record."""
    if wishes.certificate_port is None or not wishes.domain or "https" not in wishes.checks:
        return None
    try:
        answer = process.run(["getent", "-s", "hosts:dns", "ahostsv4", wishes.domain], timeout=_RESOLVE_SECONDS)
    except PecError:
        return ()
    return tuple(dict.fromkeys(line.split()[0] for line in answer.stdout.splitlines() if line.split()))


def _database(wanted: DatabaseWanted, listeners: dict[int, str]) -> tuple[DatabaseSeen | None, str]:
    """Check the database as far as its mode and this host allow; the text is what was left out and why."""
    if wanted.mode == "bundled" or not wanted.password:
        return None, ""
    if wanted.mode == "managed" and (wanted.host not in LOOPBACK or wanted.port not in listeners):
        return None, ""
    try:
        method = psql.authentication_method(wanted.host, wanted.port, wanted.username, wanted.name)
    except PecError as error:
        return DatabaseSeen(unreachable=str(error)), ""
    if method.startswith("rejected"):
        return DatabaseSeen(authentication=method), ""
    if not psql.find_clients():
        return DatabaseSeen(authentication=method), f"the content of the database {wanted.place}: psql is not installed on this host yet"
    return _inside(wanted, method), ""


def _inside(wanted: DatabaseWanted, method: str) -> DatabaseSeen:
    connection = psql.Connection(wanted.host, wanted.port, wanted.name, wanted.username, wanted.password)
    unfinished = " or ".join(f"to_regclass('public.{table}') is not null" for table in UNFINISHED_TABLES)
    try:
        rights = psql.query(connection, _RIGHTS_SQL.format(unfinished=unfinished))
        facts = psql.read_facts(connection)
    except PecError as error:
        return DatabaseSeen(authentication=method, login_error=str(error))
    if not isinstance(rights, dict):
        return DatabaseSeen(authentication=method, login_error="the server's answer about privileges is not understood")
    return DatabaseSeen(authentication=method, may_create=rights["may_create"], unfinished=rights["unfinished"], facts=facts)
