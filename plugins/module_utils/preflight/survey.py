# SPDX-License-Identifier: GPL-3.0-or-later
"""Looks at the host, the installation and the database for the rules. Changes nothing. Private to the collection."""

from __future__ import annotations

import os
import socket
import tempfile

from ansible_collections.esus.pec.plugins.module_utils import beliefs
from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.installer import jar
from ansible_collections.esus.pec.plugins.module_utils.pec import installation
from ansible_collections.esus.pec.plugins.module_utils.postgres import peer, psql
from ansible_collections.esus.pec.plugins.module_utils.preflight import download
from ansible_collections.esus.pec.plugins.module_utils.preflight.database import LOOPBACK, UNFINISHED_TABLES
from ansible_collections.esus.pec.plugins.module_utils.preflight.model import DatabaseSeen, DatabaseWanted, Facts, Place, Wishes
from ansible_collections.esus.pec.plugins.module_utils.system import files, host, locks, process, systemd

MANAGED_DATA = "/var/lib"
"""Where the distributions' PostgreSQL keeps its data, one directory up: /var/lib/postgresql, /var/lib/pgsql."""

_RESOLVE_SECONDS = 10
_CONNECT_SECONDS = 5

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
    listening = host.listeners()
    listeners = {port: listener.process for port, listener in listening.items()}
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
        possible_listeners={port: listener.possible for port, listener in listening.items() if listener.possible},
        accounts={port: listener.account for port, listener in listening.items() if listener.account},
        active_units=tuple(name for name, unit in units.items() if unit.active_state in systemd.ACTIVE),
        installed_state=here.state,
        installed_version=here.version or "",
        installed_reasons=here.reasons,
        installed_connection=here.connection,
        installed_custom_database=here.custom_database,
        jar_problem=_jar_problem(wishes),
        download_problem=_download_problem(wishes),
        another_run=_another_run(),
        domain_resolves=_resolves(wishes),
        link_state=_link_state(wishes, here),
        domain_addresses=_addresses(wishes),
        own_ipv6=host.ipv6_addresses(),
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


def _jar_problem(wishes: Wishes) -> str:
    if os.geteuid() != 0 or wishes.jar_path is None or not {"installation", "https"}.intersection(wishes.checks):
        return ""
    try:
        jar.inspect(wishes.jar_path, version=wishes.version, sha256=wishes.jar_sha256)
    except PecError as error:
        return str(error)
    return ""


def _download_problem(wishes: Wishes) -> tuple[str, str] | None:
    if "installation" not in wishes.checks or len(wishes.jars or ()) != 1 or not wishes.jar_url:
        return None
    return download.problem(wishes.jar_url, sha256=wishes.jar_sha256, kept=wishes.jar_kept)


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
    return _is_known(wishes.domain)


def _is_known(name: str) -> bool:
    try:
        return process.run(["getent", "ahosts", name], timeout=_RESOLVE_SECONDS).returncode == 0
    except PecError:
        return False


def _link_state(wishes: Wishes, here: installation.Installation) -> str:
    """PEC opens the link before it accepts it, minutes after the preflight; what answers there by then is PEC itself or answers now."""
    link = wishes.link
    if link is None or "site" not in wishes.checks or _first_run_is_over(here):
        return ""
    will_be_here = wishes.hosts_entry and link.host == wishes.domain.lower()
    if not will_be_here and not _is_known(link.host):
        return "unresolved"
    if wishes.serves(link, here.http_port or beliefs.HTTP_PORT):
        return ""
    try:
        with socket.create_connection(("127.0.0.1" if will_be_here else link.host, link.port), timeout=_CONNECT_SECONDS):
            return ""
    except (OSError, ValueError):
        return "unanswered"


def _first_run_is_over(here: installation.Installation) -> bool:
    """Also if it cannot be known, so that no server is refused for a link that nobody opens any more."""
    if here.connection is None:
        return here.state != "absent"
    try:
        return psql.read_facts(here.connection).installation_link is not None
    except PecError:
        return True


def _addresses(wishes: Wishes) -> tuple[str, ...] | None:
    """Both families: the authority prefers IPv6, although the manual requires an A record only."""
    if wishes.certificate_port is None or not wishes.domain or "https" not in wishes.checks:
        return None
    found = [address for family in ("ahostsv4", "ahostsv6") for address in _answer(family, wishes.domain)]
    return tuple(dict.fromkeys(address for address in found if not address.startswith("::ffff:")))  # an A record once more


def _answer(family: str, domain: str) -> list[str]:
    try:
        answer = process.run(["getent", "-s", "hosts:dns", family, domain], timeout=_RESOLVE_SECONDS)
    except PecError:
        return []
    return [line.split()[0] for line in answer.stdout.splitlines() if line.split()]


def _database(wanted: DatabaseWanted, listeners: dict[int, str]) -> tuple[DatabaseSeen | None, str]:
    """Check the database as far as its mode and this host allow; the text is what was left out and why."""
    if wanted.mode == "bundled" or not wanted.password:
        return None, ""
    if wanted.mode == "managed" and (wanted.host not in LOOPBACK or wanted.port not in listeners):
        return None, ""
    try:
        method = peer.authentication_method(wanted.host, wanted.port, wanted.username, wanted.name, sslmode=wanted.connection.sslmode)
    except PecError as error:
        return DatabaseSeen(unreachable=str(error)), ""
    if method.startswith("rejected"):
        return DatabaseSeen(authentication=method), ""
    if not psql.find_clients():
        return DatabaseSeen(authentication=method), f"the content of the database {wanted.place}: psql is not installed on this host yet"
    return _inside(wanted, method), ""


def _inside(wanted: DatabaseWanted, method: str) -> DatabaseSeen:
    connection = wanted.connection
    unfinished = " or ".join(f"to_regclass('public.{table}') is not null" for table in UNFINISHED_TABLES)
    try:
        rights = psql.query(connection, _RIGHTS_SQL.format(unfinished=unfinished))
        facts = psql.read_facts(connection)
    except PecError as error:
        return DatabaseSeen(authentication=method, login_error=str(error))
    if not isinstance(rights, dict):
        return DatabaseSeen(authentication=method, login_error="the server's answer about privileges is not understood")
    return DatabaseSeen(authentication=method, may_create=rights["may_create"], unfinished=rights["unfinished"], facts=facts)
