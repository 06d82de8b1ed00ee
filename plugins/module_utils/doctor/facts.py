# SPDX-License-Identifier: GPL-3.0-or-later
"""What the doctor sees of a server, without secrets: of a file that may carry one only the names of its keys. Private to the collection."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ansible_collections.esus.pec.plugins.module_utils.pec.installation import Installation
from ansible_collections.esus.pec.plugins.module_utils.postgres.psql import DatabaseFacts
from ansible_collections.esus.pec.plugins.module_utils.preflight.database import LOOPBACK
from ansible_collections.esus.pec.plugins.module_utils.system.host import Disk, Listener
from ansible_collections.esus.pec.plugins.module_utils.system.systemd import Unit

TABLES = (
    *("tb_migracao", "tb_migracao_trava", "tb_adm_municipal", "tb_localidade"),
    *("tb_cfg_rnds", "tb_cfg_certificado", "tb_ativacao_agendamento_online"),
)
"""Tables of which only a name is known, or that seem to have been renamed."""


@dataclass(frozen=True)
class PathSeen:
    """One path. C(kind) is file, directory or absent, after links; C(target) is where a link leads."""

    path: str
    kind: str = "absent"
    mode: int = 0
    owner: str = ""
    group: str = ""
    size: int = 0
    target: str = ""

    @property
    def exists(self) -> bool:
        return self.kind != "absent"

    def __str__(self) -> str:
        if not self.exists:
            return f"{self.path}: ausente"
        link = f" -> {self.target}" if self.target else ""
        return f"{self.path}{link}, {self.owner}:{self.group} {self.mode:04o}"


@dataclass(frozen=True)
class Keys:
    """The names in a file of settings. C(problem) says why it cannot be understood; C(odd) counts names that do not look like one."""

    names: tuple[str, ...] = ()
    odd: int = 0
    problem: str = ""
    commented: tuple[str, ...] = ()  # keys whose value swallowed a comment
    blank_at_end: tuple[str, ...] = ()  # keys whose value ends in a blank or a line break
    encoding: str = ""


@dataclass(frozen=True)
class CredentialsSeen:
    """C(order) lists what the file holds, in the order in which it does."""

    order: tuple[str, ...] = ()
    problem: str = ""
    lines: int = 0
    encoding: str = ""


@dataclass(frozen=True)
class FilesSeen:
    """C(paths) is by belief id, below the home that was found (or the usual one)."""

    paths: Mapping[str, PathSeen] = field(default_factory=dict)
    certmgr_jar: bool = False
    jre_versions: tuple[str, ...] = ()
    jre_java: str = ""  # version of jre/current/bin/java
    bundled_psql: tuple[str, ...] = ()
    config: Keys | None = None
    application: Keys | None = None
    ssl: Keys | None = None
    credentials: CredentialsSeen | None = None
    standalone_renews: bool | None = None  # the script runs certmgr --renew
    standalone_options: tuple[str, ...] = ()  # of the JVM, harmless ones only
    java_conf: bool = False
    key_files: int = 0
    temporary_owners: tuple[str, ...] = ()  # of /tmp/PEC-*


@dataclass(frozen=True)
class HostSeen:
    """The machine. What could not be seen is None."""

    init_name: str | None = None
    file_of_init: str | None = None  # what the program `file` says; None if it is not installed
    memory_bytes: int | None = None
    processors: int = 0
    disks: tuple[Disk, ...] = ()
    listeners: Mapping[int, Listener] = field(default_factory=dict)
    units: Mapping[str, Unit] = field(default_factory=dict)
    unit_texts: Mapping[str, str] = field(default_factory=dict)
    unit_user: str | None = None
    unit_days: int | None = None  # since the application was started
    timezone: str | None = None
    utc_offset_minutes: int = 0
    locales: tuple[str, ...] = ()
    remove_ipc: bool | None = None
    fonts: int | None = None
    clock_synchronized: bool | None = None
    dump_clients: tuple[tuple[int, ...], ...] = ()
    database_account: str | None = None  # uid and gid of the bundled server's account


@dataclass(frozen=True)
class DatabaseSeen:
    """The database. C(error) says why it cannot be asked at all; what only part of it answers is None."""

    error: str = ""
    facts: DatabaseFacts | None = None
    facts_error: str = ""
    authentication: str | None = None
    columns: Mapping[str, str] = field(default_factory=dict)
    settings: Mapping[str, tuple[str, ...]] | None = None  # key -> the columns that hold a value
    extensions: tuple[str, ...] = ()
    roles: Mapping[str, bool] = field(default_factory=dict)  # name -> superuser
    locale: Mapping[str, str] = field(default_factory=dict)
    tables: tuple[str, ...] = ()  # of those asked for
    large_objects: int | None = None
    read_only_reads: bool | None = None
    migration_locked: bool | None = None


@dataclass(frozen=True)
class WebSeen:
    """The answers of the application. C(statuses) is by belief id."""

    url: str = ""
    reachable: bool = False
    error: str = ""
    statuses: Mapping[str, int | None] = field(default_factory=dict)
    info_keys: Mapping[str, str] | None = None  # name -> JSON type; None when it is no JSON object
    version: str | None = None
    timezone_offset: int | None = None
    certificate_days: int | None = None
    link_resolves: bool | None = None
    link_opens: bool | None = None
    stand_in: bool = False


@dataclass(frozen=True)
class JarSeen:
    """The installer. C(constants) are the ids of the beliefs whose text is in its classes."""

    path: str
    main_class: str = ""
    missing: tuple[str, ...] = ()
    constants: frozenset[str] = frozenset()
    problem: str = ""


@dataclass(frozen=True)
class Facts:
    installation: Installation
    files: FilesSeen = FilesSeen()
    host: HostSeen = HostSeen()
    database: DatabaseSeen = DatabaseSeen()
    web: WebSeen = WebSeen()
    jar: JarSeen | None = None
    logs: tuple[str, ...] = ()  # the ones that were read
    said: Mapping[str, str] = field(default_factory=dict)  # id of a text -> the log that has it
    simultaneous_users: int = 40

    @property
    def present(self) -> bool:
        return self.installation.state != "absent"

    @property
    def bundled(self) -> bool:
        """True for the database that comes with the installer; if the files do not say, its directory does."""
        custom = self.installation.custom_database
        return bool(self.files.bundled_psql) if custom is None else not custom

    @property
    def database_is_local(self) -> bool:
        connection = self.installation.connection
        return connection is not None and connection.host in LOOPBACK
