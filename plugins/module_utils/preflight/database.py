# SPDX-License-Identifier: GPL-3.0-or-later
"""Rules about the database for PEC, without reading anything. Private to the collection."""

from __future__ import annotations

from collections.abc import Iterator

from ansible_collections.esus.pec.plugins.module_utils import beliefs
from ansible_collections.esus.pec.plugins.module_utils.pec import installation
from ansible_collections.esus.pec.plugins.module_utils.postgres.peer import VERIFYING, stays_here
from ansible_collections.esus.pec.plugins.module_utils.postgres.psql import Connection, DatabaseFacts
from ansible_collections.esus.pec.plugins.module_utils.preflight.model import DatabaseSeen, DatabaseWanted, Facts, Finding, error, warning

OLDEST_SERVER = 90600
"""PostgreSQL 9.6. From the official manual (M in docs/contract.md)."""

USABLE_AUTHENTICATION = ("md5", "password", "trust")
"""What PEC's PostgreSQL driver supports, still in 5.5.28. Sources FD and RS in docs/contract.md."""

UNFINISHED_TABLES = (beliefs.SETTINGS_TABLE, beliefs.MIGRATIONS_TABLE, beliefs.MIGRATION_LOCK_TABLE)
"""If one exists without a recorded version, PEC's migrations began and did not end."""

LOOPBACK = ("127.0.0.1", "localhost", "::1")
_TRIED_BACKUP = "have a backup of it that you have tried to restore"
RESERVED_NAMES = ("postgres", "template0", "template1")


def in_use(facts: Facts, wanted: DatabaseWanted) -> Iterator[Finding]:
    """An installed PEC keeps its database and login: a run must not change them, nor move PEC to an empty database."""
    here = facts.installed_connection
    if here is None:
        return
    asked = wanted.connection
    used = f"{here.database!r} on {here.host}:{here.port}"
    moved = bool(facts.installed_custom_database) if wanted.mode == "bundled" else here.place != asked.place
    if moved:
        asked_for = "a bundled one" if wanted.mode == "bundled" else wanted.place
        yield error(
            "another_database",
            f"PEC is installed here with the database {used}, not with {asked_for} as requested",
            "request the one in use, or transfer it first; the installer does not move data",
        )
    elif wanted.mode != "bundled" and wanted.password and facts.installed_state == "installed" and _login(here) != _login(asked):
        yield error(
            "database_login_differs",
            f"PEC logs in to {used} with another name or password than pec_database_username and pec_database_password",
            "set those to the values in PEC's application.properties, or change them there and in PostgreSQL first",
        )
    elif wanted.mode != "bundled" and asked.sslmode not in (None, here.sslmode):
        yield error(
            "database_tls_differs",
            f"PEC connects to {used} with sslmode {here.sslmode or 'prefer'}, not {asked.sslmode} as requested",
            "set sslmode in the URL in PEC's application.properties, by esus.pec.properties, or remove pec_database_sslmode",
        )


def _login(connection: Connection) -> tuple[str, str]:
    return connection.username, connection.password


def database_rules(seen: DatabaseSeen | None, wanted: DatabaseWanted, version: str, *, update: bool = False) -> Iterator[Finding]:
    """Yield every finding about the database; a managed one is set up later, so only its existing content can be wrong."""
    if wanted.mode == "bundled":
        return
    yield from _settings(wanted)
    if seen is None:
        return
    if wanted.mode == "external":
        yield from _access(seen, wanted)
    if seen.facts is not None:
        yield from _server(seen.facts, wanted)
        yield from _content(seen.facts, seen.unfinished, wanted, version)
        yield from _migration(seen.facts, wanted, version, update)


def _settings(wanted: DatabaseWanted) -> Iterator[Finding]:
    if not wanted.password:
        yield error("database_password", f"the role {wanted.username!r} has no password", "set pec_database_password, in a vault")
    if wanted.name in RESERVED_NAMES:
        yield error("database_name", f"the database {wanted.name!r} is PostgreSQL's own", "set pec_database_name to another, such as esus")
    if wanted.mode == "managed" and wanted.host not in LOOPBACK:
        yield error(
            "database_host",
            f"pec_database_mode is managed, which sets PostgreSQL up on this host, but pec_database_host is {wanted.host!r}",
            "remove pec_database_host, or set pec_database_mode: external",
        )
    elif wanted.mode == "managed" and ":" in wanted.host:
        yield error(
            "database_host",
            f"pec_database_host is {wanted.host!r}, and PEC's Java uses IPv4 only (java.net.preferIPv4Stack)",
            "remove pec_database_host, or set it to 127.0.0.1",
        )


def _access(seen: DatabaseSeen, wanted: DatabaseWanted) -> Iterator[Finding]:
    rule = f"'host {wanted.name} {wanted.username} ADDRESS-OF-THIS-HOST md5'"
    if seen.unreachable:
        yield error("database_unreachable", seen.unreachable, "correct pec_database_host or pec_database_port, or that server")
    elif seen.authentication == "scram-sha-256":
        yield error(
            "database_scram",
            f"the server of {wanted.place} requires SCRAM of the role {wanted.username!r}, and PEC's driver answers "
            f"'{beliefs.TEXT_SCRAM_ENGLISH}.'",
            f"on that server: SET password_encryption = 'md5', give the role its password again, "
            f"put the line {rule} first in pg_hba.conf, and reload",
        )
    elif seen.authentication.startswith("rejected"):
        reason = seen.authentication.partition(":")[2].strip() or "no reason given"
        yield error(
            "database_rejected",
            f"the server of {wanted.place} rejects the role {wanted.username!r}: {reason}",
            f"create the role and the database there, and allow them by the line {rule} in pg_hba.conf",
        )
    elif seen.authentication and seen.authentication not in USABLE_AUTHENTICATION:
        yield error(
            "database_authentication",
            f"the server of {wanted.place} requires an authentication of the role {wanted.username!r} that PEC's driver does not support",
            f"put the line {rule} first in that server's pg_hba.conf, and reload",
        )
    elif seen.authentication == "password" and not (stays_here(wanted.host) or wanted.sslmode in VERIFYING):
        yield error(
            "database_clear_text",
            f"the server of {wanted.place} asks for the password of {wanted.username!r} in clear text, and anyone who answers in its place "
            "would receive it",
            f"put the line {rule} first in that server's pg_hba.conf, and reload; or set pec_database_sslmode: verify-full and "
            "pec_database_sslrootcert",
        )
    elif seen.login_error and seen.authentication in USABLE_AUTHENTICATION:  # otherwise it is the authentication that fails
        yield error(
            "database_login",
            f"the login of PEC fails: {seen.login_error}",
            "check pec_database_name, pec_database_username and pec_database_password",
        )
    if seen.may_create is False:
        yield error(
            "database_privileges",
            f"the role {wanted.username!r} may not create tables in the database {wanted.place}",
            f"on that server: ALTER DATABASE {wanted.name} OWNER TO {wanted.username}, "
            f"and in the database: ALTER SCHEMA public OWNER TO {wanted.username}",
        )


def _server(facts: DatabaseFacts, wanted: DatabaseWanted) -> Iterator[Finding]:
    if facts.server_version_num < OLDEST_SERVER:
        here = f"the server of {wanted.place} is PostgreSQL {facts.server_version}"
        yield error("database_server", f"{here}; PEC requires 9.6 or newer", "use a newer server")
    if facts.encoding != "UTF8":
        yield error(
            "database_encoding",
            f"the database {wanted.place} is encoded in {facts.encoding}, and PEC requires UTF8",
            f"recreate it: CREATE DATABASE {wanted.name} OWNER {wanted.username} ENCODING 'UTF8' TEMPLATE template0",
        )
    if not facts.collation.startswith("pt_BR"):
        yield warning(
            "database_collation",
            f"the database {wanted.place} sorts by {facts.collation}, so names with accents are not in Portuguese order",
            "leave it if it has data; recreate an empty one with LC_COLLATE 'pt_BR.UTF-8'",
        )


def _content(facts: DatabaseFacts, unfinished: bool, wanted: DatabaseWanted, version: str) -> Iterator[Finding]:
    if not facts.is_pec and unfinished:
        yield warning(
            "database_unfinished",
            f"the database {wanted.place} has PEC's tables but no version, so an installation in it was interrupted",
            "run the installation again; if it fails at the same place, start with an empty database",
        )
    elif not facts.is_pec and facts.table_count:
        tables = "1 table" if facts.table_count == 1 else f"{facts.table_count} tables"
        yield error(
            "database_foreign",
            f"the database {wanted.place} is not empty and not PEC's: it has {tables} of something else",
            "set pec_database_name to an empty database; this one was not changed",
        )
    elif facts.pec_version and version:
        yield from _versions(facts.pec_version, wanted, version)


def _versions(here: str, wanted: DatabaseWanted, version: str) -> Iterator[Finding]:
    if installation.parse_version(here) > installation.parse_version(version):
        yield error(
            "database_newer",
            f"the database {wanted.place} is at PEC {here}, newer than the requested {version}; PEC cannot be downgraded",
            f"request {here} or newer, or restore a backup that was made with {version}",
        )


def _migration(facts: DatabaseFacts, wanted: DatabaseWanted, version: str, update: bool) -> Iterator[Finding]:
    here = facts.pec_version
    if here and version and installation.parse_version(here) < installation.parse_version(version):
        yield (warning if update else error)(
            "database_older",
            f"the database {wanted.place} is at PEC {here} and would be migrated to {version}, which cannot be undone",
            _TRIED_BACKUP if update else f"{_TRIED_BACKUP}, then set pec_install_update: true",
        )
