# SPDX-License-Identifier: GPL-3.0-or-later
"""What was seen, what is wanted, and what was found. Private to the collection."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass, field
from typing import NamedTuple, cast
from urllib.parse import urlsplit

from ansible_collections.esus.pec.plugins.module_utils import beliefs
from ansible_collections.esus.pec.plugins.module_utils.postgres.psql import Connection, DatabaseFacts, connection_from

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
    sslmode: str = "prefer"
    sslrootcert: str = ""

    @property
    def place(self) -> str:
        return f"{self.name!r} on {self.host}:{self.port}"

    @property
    def connection(self) -> Connection:
        return cast(Connection, connection_from(asdict(self)))


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


class Address(NamedTuple):
    scheme: str
    host: str
    port: int

    @classmethod
    def of(cls, link: str) -> Address | None:
        """Return where a link leads, None if that cannot be known."""
        try:
            parts = urlsplit(link)
            port = parts.port or {"http": 80, "https": 443}.get(parts.scheme, 0)
        except ValueError:
            return None
        return cls(parts.scheme, parts.hostname, port) if parts.hostname and port else None

    def __str__(self) -> str:
        usual = (self.scheme, self.port) in (("http", 80), ("https", 443))
        return f"{self.scheme}://{self.host}" + ("" if usual else f":{self.port}")


@dataclass(frozen=True)
class Https:
    """Where HTTPS will be, by this installation or by esus.pec.configure after it."""

    domain: str
    port: int = beliefs.HTTPS_PORT

    @property
    def address(self) -> Address:
        return Address("https", self.domain.lower(), self.port)


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
    jar_path: str | None = None  # of the installer that is on the host already
    jar_file: str | None = None  # of the one on the controller
    jar_problem: str = ""  # what is wrong with that one
    jar_kept: str = ""  # where a downloaded one is or will be
    update: bool = False
    domain: str = ""
    hosts_entry: bool = False
    simultaneous_users: int = 40
    certificate_port: int | None = None
    public_address: str = ""
    first_run: FirstRun | None = None
    https: Https | None = None
    accepted: tuple[str, ...] = ()

    @property
    def database_is_here(self) -> bool:
        return self.database.mode != "external"

    @property
    def link(self) -> Address | None:
        """Where the first run's link leads; None without a first run, or if it leads nowhere."""
        if self.first_run is None:
            return None
        usual = str(self.https.address) if self.https else f"https://{self.domain}" if self.domain else ""
        return Address.of(self.first_run.link.strip() or usual)

    def serves(self, link: Address, http_port: int) -> bool:
        """Return True if PEC, once it is installed and configured, is what answers at the link."""
        if link.scheme == "https":
            return self.https is not None and link == self.https.address
        return link.port == http_port and self.certificate_port is None  # with certmgr PEC listens on its HTTPS port only

    @property
    def jar_url(self) -> str:
        """The address of an installer that is downloaded; empty if none is."""
        return next((jar for jar in self.jars or () if "://" in jar), "")

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
    possible_listeners: dict[int, tuple[str, ...]] = field(default_factory=dict)  # of a port without a name, if root sees the account's
    accounts: dict[int, str] = field(default_factory=dict)  # whose such a port is
    active_units: tuple[str, ...] = ()
    installed_state: str = "absent"
    installed_version: str = ""
    installed_reasons: tuple[str, ...] = ()
    installed_connection: Connection | None = field(default=None, repr=False)
    installed_custom_database: bool | None = None
    jar_problem: str = ""  # what is wrong with the installer that is on the host already
    download_problem: tuple[str, str] | None = None  # what keeps it from being downloaded, and what to do
    another_run: str = ""  # who holds the installer's lock
    domain_resolves: bool | None = None  # None: nobody asked
    link_state: str = ""  # unresolved or unanswered: the first run's link cannot be opened when PEC will check it
    domain_addresses: tuple[str, ...] | None = None  # what the DNS says, without the hosts file; None: nobody asked
    own_ipv6: tuple[str, ...] = ()
    database: DatabaseSeen | None = None  # None: there is no server to look at, or no reason to
