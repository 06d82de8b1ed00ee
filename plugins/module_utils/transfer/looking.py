# SPDX-License-Identifier: GPL-3.0-or-later
"""Looks at a server that takes part in a transfer, without changing it. Private to the collection.

On the server itself everything is read from it. Of one that is only reached through SSH, PEC's files are read from a copy on this host, and
the database through a tunnel.
"""

from __future__ import annotations

import contextlib
import os
import posixpath
import re
import stat
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from typing import Any, TypeVar, cast

from ansible_collections.esus.pec.plugins.module_utils import beliefs
from ansible_collections.esus.pec.plugins.module_utils.certificates import pkcs12
from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.info.picture import describe_certificates, describe_https
from ansible_collections.esus.pec.plugins.module_utils.pec import contra_chave, govbr, installation
from ansible_collections.esus.pec.plugins.module_utils.pec.installation import Installation
from ansible_collections.esus.pec.plugins.module_utils.postgres import administrator, psql
from ansible_collections.esus.pec.plugins.module_utils.postgres.psql import Connection
from ansible_collections.esus.pec.plugins.module_utils.preflight.survey import MANAGED_DATA
from ansible_collections.esus.pec.plugins.module_utils.properties import reading
from ansible_collections.esus.pec.plugins.module_utils.redact import looks_secret
from ansible_collections.esus.pec.plugins.module_utils.system import clock, files, host, process
from ansible_collections.esus.pec.plugins.module_utils.transfer.link import Ssh, reached
from ansible_collections.esus.pec.plugins.module_utils.transfer.picture import (
    BUNDLED,
    DISTRIBUTION,
    LINUX,
    OTHER,
    WINDOWS,
    Database,
    Disk,
    Pec,
    Picture,
    Platform,
    Table,
)

STATE_DIRECTORY = "/var/lib/esus-pec"
_BIGGEST = 10
_MOST_NAMES = 100
_ABSOLUTE = re.compile(r"(?:file:/{0,3})?(?P<path>/[^\s:;,]+(?:/[^:;,]*)?|[A-Za-z]:[\\/][^:;,]*)")
_DISTRIBUTION_DATA = ("/var/lib/postgresql/", "/var/lib/pgsql/")
_DETAIL_SQL = f"""
select json_build_object(
  'version', version(), 'now', extract(epoch from clock_timestamp()), 'timezone', current_setting('TimeZone'),
  'started', extract(epoch from pg_postmaster_start_time())::text,
  'offset', extract(timezone from now()) / 60,
  'superuser', rolsuper, 'data_directory', case when rolsuper then current_setting('data_directory') end,
  'extensions', (select coalesce(json_agg(extname::text order by extname), '[]'::json) from (
    select extname from pg_extension where extname <> 'plpgsql' order by extname limit {_MOST_NAMES}) e),
  'large_objects', (select count(*) from pg_largeobject_metadata),
  'large_object_bytes', pg_total_relation_size('pg_largeobject'::regclass),
  'biggest', (select coalesce(json_agg(json_build_array(name, bytes)), '[]'::json) from (
    select format('%I.%I', n.nspname, c.relname) as name, pg_total_relation_size(c.oid) as bytes
    from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where c.relkind = 'r' and n.nspname !~ '^pg_' and n.nspname <> 'information_schema' order by 2 desc, 1 limit {_BIGGEST}) t),
  'others', (select coalesce(json_agg(datname::text order by datname), '[]'::json) from (
    select datname from pg_database where not datistemplate and datname not in ('postgres', current_database())
    order by datname limit {_MOST_NAMES}) d),
  'tablespaces', (select count(*) from pg_tablespace where spcname !~ '^pg_')
) from pg_roles where rolname = current_user
"""
_Value = TypeVar("_Value")


@dataclass(frozen=True)
class Wanted:
    """Which server. C(home): the copy of its files on this host; C(ssh): the way to its database; without both this host is looked at.

    C(connection) is used instead of what the files say. C(reference) is the controller's time in seconds since 1970.
    """

    ssh: Ssh | None = None
    home: str | None = None
    connection: Connection | None = None
    reference: float | None = None

    @property
    def elsewhere(self) -> bool:
        """Whether the server is not this host."""
        return self.ssh is not None or self.home is not None


def look(wanted: Wanted) -> Picture:
    """Return the picture. What cannot be read is listed in it. Raises PecError when the source is not reached at all."""
    unread: list[str] = []
    found = installation.read_copy(wanted.home) if wanted.home else Installation("absent") if wanted.ssh else installation.discover()
    conn = wanted.connection or (None if wanted.home and not wanted.ssh else found.connection)
    database, facts, detail = _database(conn, wanted, unread) if conn else (None, None, {})
    if conn is None and wanted.home and not wanted.ssh:
        unread.append("the database: nothing leads to it without ssh or database")
    elif conn is None and (wanted.elsewhere or found.state != "absent"):
        unread.append("the database: the files of PEC do not name it; give database with its host, port, name, username and password")
    unread.extend(found.reasons if wanted.elsewhere else ())
    platform = _platform_by_database(detail, wanted) if wanted.elsewhere else _platform_here(wanted)
    if database:
        database = replace(database, **_place(database, found, wanted, unread))
    return Picture(
        platform=platform,
        pec=_pec(found, facts, wanted, unread),
        database=database,
        disks=() if wanted.elsewhere else tuple(_disks(found, database)),
        clients=() if wanted.elsewhere else tuple(".".join(map(str, each.version)) for each in psql.find_clients("pg_dump")),
        rsync=None if wanted.elsewhere else process.which("rsync") is not None,
        listening=() if wanted.elsewhere else tuple(host.listeners()),
        unread=tuple(unread),
    )


def _database(conn: Connection, wanted: Wanted, unread: list[str]) -> tuple[Database, psql.DatabaseFacts | None, Mapping[str, Any]]:
    """An unreachable source is an error of the module only where nothing else shows that the source is reached."""
    named = Database(conn.host, conn.port, conn.database, conn.username)
    try:
        with reached(conn, wanted.ssh) as here:
            facts = psql.read_facts(here)
            detail = cast("Mapping[str, Any]", psql.query(here, _DETAIL_SQL))
            identifier = psql.cluster(here)
    except PecError as error:
        if wanted.ssh:
            raise
        unread.append(f"the database: {error}")
        return replace(named, error=str(error)), None, {}
    return (
        replace(
            named,
            server_version=facts.server_version,
            server_version_num=facts.server_version_num,
            system_identifier=identifier or None,
            started=str(detail["started"]),
            pec_version=facts.pec_version,
            size_bytes=facts.size_bytes,
            table_count=facts.table_count,
            encoding=facts.encoding,
            collation=facts.collation,
            ctype=facts.ctype,
            extensions=tuple(map(str, detail["extensions"])),
            large_objects=int(detail["large_objects"]),
            large_object_bytes=int(detail["large_object_bytes"]),
            biggest_tables=tuple(Table(str(name), int(size)) for name, size in detail["biggest"]),
            other_databases=tuple(map(str, detail["others"])),
            tablespaces=int(detail["tablespaces"]),
            superuser=bool(detail["superuser"]),
            data_directory=detail["data_directory"],
        ),
        facts,
        detail,
    )


def _place(database: Database, found: Installation, wanted: Wanted, unread: list[str]) -> dict[str, Any]:
    """Where the server keeps its data, how much that is, and whose PostgreSQL it is."""
    directory = database.data_directory
    if directory is None and not wanted.elsewhere and found.connection and found.connection.is_local and database.error is None:
        directory = _try(lambda: _ask_administrator(cast(Connection, found.connection)), "the data directory of PostgreSQL", unread)
    if directory is None:
        return {"data_directory": None}
    plain = directory.replace("\\", "/")
    inside = f"{posixpath.basename(beliefs.HOMES[0])}/{beliefs.BUNDLED_CLIENTS.partition('/')[0]}/".casefold()
    homes = (f"/{inside}", f"/{inside.replace('-', '')}")
    known = [BUNDLED] if any(home in f"{plain}/".casefold() for home in homes) else []
    known += [DISTRIBUTION] if f"{plain}/".startswith(_DISTRIBUTION_DATA) else []
    local = not wanted.elsewhere and files.is_directory(directory)
    size = _try(lambda: _bytes_below(directory), "the size of the data directory", unread) if local else None
    return {"data_directory": directory, "origin": next(iter(known), OTHER), "data_bytes": size}


def _ask_administrator(conn: Connection) -> str | None:
    clients = psql.find_clients("psql")
    if not clients:
        return None
    return administrator.find(administrator.log_in(conn, clients[0].path), None, None).data_directory


def _bytes_below(directory: str) -> int:
    return sum(entry.status.st_size for entry in files.walk(directory) if stat.S_ISREG(entry.status.st_mode))


def _platform_here(wanted: Wanted) -> Platform:
    release = host.os_release()
    libc = os.confstr("CS_GNU_LIBC_VERSION") if "CS_GNU_LIBC_VERSION" in os.confstr_names else None
    return Platform(
        system=LINUX,
        architecture=host.architecture(),
        distribution=release.get("ID"),
        distribution_version=release.get("VERSION_ID"),
        glibc=libc.partition(" ")[2] if libc and libc.startswith("glibc ") else None,
        processors=host.processors(),
        timezone=host.timezone(),
        utc_offset_minutes=host.utc_offset_minutes(),
        clock_ahead_seconds=round(time.time() - wanted.reference, 1) if wanted.reference is not None else None,
    )


def _platform_by_database(detail: Mapping[str, Any], wanted: Wanted) -> Platform:
    if not detail:
        return Platform()
    version = str(detail["version"])
    windows = re.search(r"Visual C\+\+|mingw|msvc", version, re.IGNORECASE) is not None
    built_for = re.search(r" on (\w+)-[\w.-]+", version)
    architecture = built_for.group(1) if built_for else "x86_64" if "64-bit" in version else None
    # The server was asked during this call, and the reference is of its beginning; both count in seconds.
    ahead = round(float(detail["now"]) - wanted.reference, 1) if wanted.reference is not None else None
    return Platform(
        system=WINDOWS if windows else LINUX if "linux" in version else None,
        architecture=architecture,
        timezone=str(detail["timezone"]),
        utc_offset_minutes=int(float(detail["offset"])),
        clock_ahead_seconds=ahead,
    )


def _pec(found: Installation, facts: psql.DatabaseFacts | None, wanted: Wanted, unread: list[str]) -> Pec:
    spring = _properties(found)
    domain_and_end = _https_end(found, facts, spring, wanted)
    return Pec(
        state=found.state,
        home=found.home if not wanted.elsewhere else None,
        version=found.version or (facts.pec_version if facts else None),
        training=facts.training if facts else None,
        installation_name=facts.installation_name if facts else None,
        installation_link=facts.installation_link if facts else None,
        installation_type=facts.installation_type if facts else None,
        ports=found.ports if found.state != "absent" else (),
        https_mode=found.https.mode,
        https_domain=domain_and_end[0],
        https_port=found.https.port,
        https_not_after=domain_and_end[1],
        https_days_left=_days_left(domain_and_end[1]),
        govbr=_govbr(spring) if spring or found.state != "absent" else None,
        contra_chaves=_contra_chaves(wanted, unread),
        certificates=tuple(describe_certificates("/", found)),
        directories=tuple(_directories(spring, found)),
        reasons=found.reasons,
    )


def _properties(found: Installation) -> Mapping[str, str]:
    path = found.application_properties
    with contextlib.suppress(PecError):
        return reading.load(path) if path and os.path.exists(path) else {}
    return {}


def _govbr(spring: Mapping[str, str]) -> bool:
    names = {"client_id": beliefs.GOVBR_ID_KEY, "client_secret": beliefs.GOVBR_SECRET_KEY}
    return not any(govbr.credential_problems(name, spring.get(key, "")) for name, key in names.items())


def _https_end(
    found: Installation, facts: psql.DatabaseFacts | None, spring: Mapping[str, str], wanted: Wanted
) -> tuple[str | None, str | None]:
    """The domain, and until when the certificate is valid: of the one that PEC serves, or of the keystore in a copy."""
    served = describe_https(found, facts, not wanted.elsewhere)
    certificate = cast("Mapping[str, Any]", served["certificate"])
    domain: str | None = certificate["domain"] or served["domain"]  # type: ignore[assignment]  # of mixed values
    if certificate["not_after"] or found.https.mode != "keystore" or not found.https.keystore:
        return domain, certificate["not_after"]
    wanted_name = re.split(r"[\\/]", found.https.keystore)[-1].casefold()  # Windows knows no difference between small letters and capitals
    for path in found.certificates:
        if os.path.basename(path).casefold() == wanted_name:
            with contextlib.suppress(PecError):
                data = files.read_bytes(path, files.CERTIFICATE)
                leaf = pkcs12.open_store(data, spring.get(beliefs.KEYSTORE_PASSWORD_KEY, "")).leaf
                return domain or next(iter(leaf.dns_names), None), clock.utc(leaf.not_after)
    return domain, None


def _days_left(moment: str | None) -> int | None:
    return (clock.parse(moment) - datetime.now(timezone.utc)).days if moment else None


def _contra_chaves(wanted: Wanted, unread: list[str]) -> tuple[Mapping[str, str], ...] | None:
    """Those that this collection keeps. A server that it never managed may have one, which PEC keeps in its database."""
    path = f"{wanted.home}/{posixpath.basename(contra_chave.PATH)}" if wanted.home else contra_chave.PATH
    if wanted.elsewhere and (not wanted.home or not os.path.lexists(path)):
        return None
    entries = _try(lambda: contra_chave.read(path), "the contra-chaves", unread)
    return None if entries is None else tuple(contra_chave.describe(entries))


def _directories(spring: Mapping[str, str], found: Installation) -> Iterator[Mapping[str, str]]:
    """The places outside of PEC's directory that its settings name, such as that of attachments."""
    for key, value in spring.items():
        match = _ABSOLUTE.fullmatch(value.strip())
        if match is None or key in (beliefs.KEYSTORE_KEY, beliefs.URL_KEY) or looks_secret(key, value):
            continue
        if not (found.home and match.group("path").startswith(f"{found.home}/")):
            yield {"key": key, "path": match.group("path")}


def _disks(found: Installation, database: Database | None) -> Iterator[Disk]:
    data = database.data_directory if database else None
    places = {
        "home": found.home or beliefs.HOMES[0],
        "database": data if data and files.is_directory(data) else MANAGED_DATA,
        "state": STATE_DIRECTORY,
        "temporary": tempfile.gettempdir(),
    }
    for purpose, path in places.items():
        room = host.disk_usage(path)
        yield Disk(purpose, path, _filesystem(path), room.total_bytes, room.free_bytes)


def _filesystem(path: str) -> int:
    while not os.path.exists(path):
        path = os.path.dirname(path)
    return os.stat(path).st_dev


def _try(read: Callable[[], _Value], what: str, unread: list[str]) -> _Value | None:
    try:
        return read()
    except PecError as error:
        unread.append(f"{what}: {error}")
        return None
