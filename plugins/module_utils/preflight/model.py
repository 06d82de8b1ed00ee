# SPDX-License-Identifier: GPL-3.0-or-later
"""What was seen, what is wanted, and what was found. Private to the collection."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from ansible_collections.esus.pec.plugins.module_utils import beliefs
from ansible_collections.esus.pec.plugins.module_utils.postgres.psql import Connection, DatabaseFacts

VERSION = r"\d+\.\d+\.\d+"


@dataclass(frozen=True)
class Finding:
    """One problem: severity is `error` or `warning`, code is stable, remedy is the next thing to do."""

    severity: str
    code: str
    message: str
    remedy: str

    def __str__(self) -> str:
        return f"[{self.code}] {self.message}. What to do: {self.remedy}."


def error(code: str, message: str, remedy: str) -> Finding:
    return Finding("error", code, message, remedy)


def warning(code: str, message: str, remedy: str) -> Finding:
    return Finding("warning", code, message, remedy)


@dataclass(frozen=True)
class DatabaseWanted:
    mode: str  # managed, bundled or external
    host: str = "127.0.0.1"
    port: int = 5432
    name: str = "esus"
    username: str = "esus"
    password: str = field(default="", repr=False)

    @property
    def place(self) -> str:
        return f"{self.name!r} on {self.host}:{self.port}"


@dataclass(frozen=True)
class DatabaseSeen:
    """How far the check of the database came; each text is empty if its step succeeded or was not tried."""

    unreachable: str = ""
    authentication: str = ""
    login_error: str = ""
    may_create: bool | None = None
    unfinished: bool = False  # PEC's migrations began here and did not end
    facts: DatabaseFacts | None = None


@dataclass(frozen=True)
class Place:
    """One directory that will grow; those with the same filesystem share their space."""

    purpose: str  # home, database or temporary
    path: str
    filesystem: int
    total_bytes: int
    free_bytes: int


@dataclass(frozen=True)
class FirstRun:
    name: str
    link: str
    type: str
    instalador_name: str
    instalador_cpf: str = field(repr=False)
    instalador_password: str = field(repr=False)


@dataclass(frozen=True)
class Wishes:
    checks: tuple[str, ...]
    database: DatabaseWanted
    version: str = ""
    jars: tuple[str, ...] | None = None  # None: the installer is not this run's business
    jar_sha256: str = ""
    update: bool = False
    domain: str = ""
    hosts_entry: bool = False
    simultaneous_users: int = 40
    certificate_port: int | None = None
    public_address: str = ""
    first_run: FirstRun | None = None
    accepted: tuple[str, ...] = ()

    @property
    def database_is_here(self) -> bool:
        return self.database.mode != "external"

    @property
    def wanted_version(self) -> str:
        """The requested version, else the one in the installer's name; empty if neither exists."""
        named = [self.version] if self.version else [jar_name(jar)["version"] for jar in self.jars or ()]
        return next((version for version in named if re.fullmatch(VERSION, version)), "")


def jar_name(jar: str) -> dict[str, str]:
    """Return the name at the end of an installer's address or path, and the version and platform in it, empty if missing."""
    name = jar.partition("?")[0].rsplit("/", 1)[-1]
    found = beliefs.JAR_NAME.fullmatch(name)
    return {"name": name, "version": found.group("version") if found else "", "platform": found.group("platform") if found else ""}


@dataclass(frozen=True)
class Facts:
    uid: int
    architecture: str
    distribution: str
    distribution_version: str
    init_name: str
    memory_bytes: int
    processors: int
    places: tuple[Place, ...] = ()
    listeners: dict[int, str] = field(default_factory=dict)
    active_units: tuple[str, ...] = ()
    installed_state: str = "absent"
    installed_version: str = ""
    installed_reasons: tuple[str, ...] = ()
    installed_connection: Connection | None = field(default=None, repr=False)
    installed_custom_database: bool | None = None
    another_run: str = ""  # who holds the installer's lock
    domain_resolves: bool | None = None  # None: nobody asked
    domain_addresses: tuple[str, ...] | None = None  # what the DNS says, without the hosts file; None: nobody asked
    database: DatabaseSeen | None = None  # None: there is no server to look at, or no reason to
