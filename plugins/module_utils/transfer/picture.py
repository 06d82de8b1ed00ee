# SPDX-License-Identifier: GPL-3.0-or-later
"""What is known of a server that takes part in a transfer: its PEC, database and machine, without a secret. Private to the collection."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, cast

from ansible_collections.esus.pec.plugins.module_utils.errors import PecError

BUNDLED, DISTRIBUTION, OTHER = "bundled", "distribution", "other"
LINUX, WINDOWS = "linux", "windows"


@dataclass(frozen=True)
class Platform:
    """The machine. Of one that is only reached through SSH, its database tells the system, the architecture and the clock."""

    system: str | None = None
    architecture: str | None = None
    distribution: str | None = None
    distribution_version: str | None = None
    glibc: str | None = None
    processors: int | None = None
    timezone: str | None = None
    utc_offset_minutes: int | None = None
    clock_ahead_seconds: float | None = None


@dataclass(frozen=True)
class Pec:
    """The installation, by its files and its database. C(govbr): both credentials are set. C(contra_chaves) is None if they are unknown."""

    state: str = "absent"
    home: str | None = None
    version: str | None = None
    training: bool | None = None
    installation_name: str | None = None
    installation_link: str | None = None
    installation_type: str | None = None
    ports: tuple[int, ...] = ()
    https_mode: str = "none"
    https_domain: str | None = None
    https_port: int | None = None
    https_not_after: str | None = None
    https_days_left: int | None = None
    govbr: bool | None = None
    contra_chaves: tuple[Mapping[str, str], ...] | None = None
    certificates: tuple[Mapping[str, object], ...] = ()
    directories: tuple[Mapping[str, str], ...] = ()
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True)
class Table:
    """One of the biggest tables, with its indexes."""

    name: str
    bytes: int


@dataclass(frozen=True)
class Database:
    """The database of PEC and its server. C(origin): bundled with PEC, of the distribution, or another.

    C(started) is when the server started, in seconds of the epoch: it distinguishes a server from its physical copy.
    """

    host: str
    port: int
    name: str
    username: str
    error: str | None = None
    server_version: str | None = None
    server_version_num: int = 0
    system_identifier: str | None = None
    started: str | None = None
    pec_version: str | None = None
    size_bytes: int = 0
    table_count: int = 0
    encoding: str | None = None
    collation: str | None = None
    ctype: str | None = None
    extensions: tuple[str, ...] = ()
    large_objects: int = 0
    large_object_bytes: int = 0
    biggest_tables: tuple[Table, ...] = ()
    other_databases: tuple[str, ...] = ()
    tablespaces: int = 0
    superuser: bool | None = None
    origin: str | None = None
    data_directory: str | None = None
    data_bytes: int | None = None


@dataclass(frozen=True)
class Disk:
    """Room at a path. Paths with the same C(filesystem) share it."""

    purpose: str
    path: str
    filesystem: int
    total_bytes: int
    free_bytes: int


@dataclass(frozen=True)
class Picture:
    """Everything of one server. C(clients) are the versions of pg_dump on it, newest first; C(unread) what could not be read, and why."""

    platform: Platform
    pec: Pec
    database: Database | None = None
    disks: tuple[Disk, ...] = ()
    clients: tuple[str, ...] = ()
    rsync: bool | None = None
    listening: tuple[int, ...] = ()
    unread: tuple[str, ...] = field(default_factory=tuple)

    def plain(self) -> dict[str, Any]:
        """Return it as a module does."""
        return asdict(self)

    def disk(self, purpose: str) -> Disk | None:
        """Return the room for one purpose: home, database, state or temporary."""
        return next((disk for disk in self.disks if disk.purpose == purpose), None)


_PARTS: Mapping[str, type] = {"platform": Platform, "pec": Pec, "database": Database}
_LISTS: Mapping[str, type] = {"disks": Disk, "biggest_tables": Table}


def parse(content: object, where: str) -> Picture:
    """Return the picture that a module returned. Raises PecError for anything else."""
    try:
        return cast(Picture, _parsed(Picture, content))
    except (TypeError, ValueError, KeyError, AttributeError):
        raise PecError(f"{where} is not what esus.pec.transfer_source returns as picture; give that") from None


def _parsed(kind: type, content: object) -> object:
    if not isinstance(content, Mapping):
        raise TypeError
    values: dict[str, Any] = {}
    for each in fields(kind):
        if each.name in content:
            values[each.name] = _value(each.name, content[each.name])
    return kind(**values)


def _value(name: str, value: object) -> object:
    if value is None:
        return None
    if name in _PARTS:
        return _parsed(_PARTS[name], value)
    if name in _LISTS:
        return tuple(_parsed(_LISTS[name], each) for each in cast("list[object]", value))
    return tuple(value) if isinstance(value, list) else value
