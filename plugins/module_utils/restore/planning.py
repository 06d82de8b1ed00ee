# SPDX-License-Identifier: GPL-3.0-or-later
"""Decides whether a dump is restored, and into what, without touching the host. Private to the collection."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ansible_collections.esus.pec.plugins.module_utils import beliefs
from ansible_collections.esus.pec.plugins.module_utils.archive import custom_format
from ansible_collections.esus.pec.plugins.module_utils.archive.reading import PLAIN, Archive
from ansible_collections.esus.pec.plugins.module_utils.archive.toc import Toc
from ansible_collections.esus.pec.plugins.module_utils.dump.manifest import Manifest
from ansible_collections.esus.pec.plugins.module_utils.dump.planning import slug
from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.postgres import administrator
from ansible_collections.esus.pec.plugins.module_utils.postgres.psql import Connection
from ansible_collections.esus.pec.plugins.module_utils.system.host import describe_size

KEY = "esus.pec"
RESTORING, RESTORED, PREVIOUS, FAILED = "restoring", "restored", "previous", "failed"
_ROOM_OF_DATABASE = 1.1
# For a dump without the size of its database: a compressed one grows to about five times its size.
_ROOM_OF_ARCHIVE = 5
_ROOM_OF_PLAIN = 2


@dataclass(frozen=True)
class Desired:
    """The module's options. Either C(path) or C(directory) is set. C(connection) None means the database of the PEC on this host.

    C(from_host) and C(from_municipality) are where the dump must come from; an empty município is unknown. C(admin_login), a name and
    a password, and C(admin_account) are two ways to a role that may create databases.
    """

    from_host: str
    from_municipality: str = ""
    path: str | None = None
    directory: str | None = None
    where: Mapping[str, str] = field(default_factory=dict)
    sha256: str | None = None
    connection: Connection | None = None
    admin_login: tuple[str, str] | None = field(default=None, repr=False)
    admin_account: str | None = None
    identity: str | None = field(default=None, repr=False)
    identity_path: str | None = None
    jobs: int | None = None
    replace: bool = False
    force: bool = False
    stop_service: bool = False
    rehearse: bool = False
    keep_previous: bool = True
    keep_failed: bool = False
    allow_older_server: bool = False
    require_pec: bool = True
    require_manifest: bool = False
    check_space: bool = True
    encoding: str | None = None
    locale: str | None = None


@dataclass(frozen=True)
class Service:
    """PEC's unit on this host. C(uses): PEC is configured for the database to replace, or for one that its files do not name."""

    running: bool
    enabled: bool
    uses: bool


@dataclass(frozen=True)
class Target:
    """The existing database. C(facts) has the columns of pg_database; C(sessions) names who is connected.

    C(problem) is why it cannot be read, None if it can.
    """

    facts: Mapping[str, object]
    size_bytes: int
    comment: str | None
    objects: int
    pec_version: str | None
    sessions: tuple[str, ...] = ()
    owned: bool = True
    problem: str | None = None


@dataclass(frozen=True)
class Current:
    """The server, the database to replace (C(target), None if it does not exist), and the dump with its C(sha256).

    C(toc) is None for a plain dump. C(leftovers) are databases of killed restores, C(previous) databases that earlier restores kept.
    C(free_bytes), C(locales) and C(extensions) are None if unknown.
    """

    name: str
    owner: str
    server_version: str
    server_version_num: int
    client_version: str
    target: Target | None
    defaults: Mapping[str, object]
    archive: Archive
    sha256: str
    manifest: Manifest | None
    toc: Toc | None
    service: Service
    leftovers: tuple[str, ...] = ()
    previous: tuple[str, ...] = ()
    free_bytes: int | None = None
    locales: tuple[str, ...] | None = None
    extensions: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Plan:
    """What to do. C(action) is none, restore or rehearse; C(side) is the name of the database to load, with these C(settings).

    C(previous) is the new name of the old database.
    """

    action: str
    reason: str
    side: str
    previous: str | None
    drop_old: bool
    settings: Mapping[str, object]
    leftovers: tuple[str, ...]
    notes: tuple[str, ...]
    before: str
    after: str

    @property
    def kept(self) -> str | None:
        """The name under which the old database is kept."""
        return None if self.drop_old or self.action != "restore" else self.previous

    @property
    def changed(self) -> bool:
        """A rehearsal changes nothing, except that it drops the leftovers of killed restores."""
        return self.action == "restore" or bool(self.leftovers)


def plan(current: Current, desired: Desired, stamp: str) -> Plan:
    """Return what to do. Raises PecError with every reason not to start."""
    restored = _restored_on(current)
    unchanged = restored is not None and not desired.force and not desired.rehearse
    if not unchanged:
        _refuse(current, desired)
    action = "none" if unchanged else "rehearse" if desired.rehearse else "restore"
    before = describe_target(current.target)
    target = current.target
    return Plan(
        action=action,
        reason=f"the database was restored from this dump on {restored}" if unchanged else _reason(current, desired),
        side=administrator.with_suffix(current.name, f"_restoring_{stamp}"),
        previous=administrator.with_suffix(current.name, f"_before_{stamp}") if target else None,
        drop_old=target is not None and (not desired.keep_previous or target.objects == 0),
        settings=settings(current, desired),
        leftovers=current.leftovers,
        notes=tuple(_notes(current, desired, restored if unchanged else None)),
        before=before,
        after=f"restored from {current.archive.name} (SHA-256 {current.sha256})" if action == "restore" else before,
    )


def _refuse(current: Current, desired: Desired) -> None:
    reasons = [
        *_against_source(current.manifest, desired),
        *_against_dump(current, desired),
        *_against_target(current, desired),
        *_against_server(current, desired),
        *_against_space(current, desired),
    ]
    if reasons:
        opening = f"{current.archive.path} was not restored, and nothing was touched: "
        raise PecError(opening + (reasons[0] if len(reasons) == 1 else "\n- ".join(["", *reasons])))


def settings(current: Current, desired: Desired) -> Mapping[str, object]:
    """Return the settings of the new database: those of the database to replace, else of the dumped one, else the server's."""
    chosen: dict[str, object] = dict(current.target.facts) if current.target else dict(current.defaults)
    dump = current.manifest
    if not current.target and dump:
        chosen = {"encoding": dump.encoding, "datcollate": dump.collation, "datctype": dump.ctype}
    if desired.locale:
        without = {key: value for key, value in chosen.items() if key not in ("datlocprovider", "daticulocale", "datlocale", "daticurules")}
        chosen = {**without, "datcollate": desired.locale, "datctype": desired.locale}
    return {**chosen, "encoding": desired.encoding} if desired.encoding else chosen


def record(state: str, **facts: object) -> str:
    """Return the comment by which later runs recognise a database."""
    return json.dumps({KEY: {"state": state, **facts}}, ensure_ascii=False, sort_keys=True)


def read_record(comment: str | None) -> Mapping[str, object]:
    """Return the facts in such a comment; none for any other comment."""
    try:
        content = json.loads(comment or "")
    except ValueError:
        return {}
    found = content.get(KEY) if isinstance(content, dict) else None
    return found if isinstance(found, dict) else {}


def describe_target(target: Target | None) -> str:
    """Return a description of the existing database, for the diff."""
    if target is None:
        return "absent"
    if target.problem:
        return f"cannot be read: {target.problem}"
    origin = read_record(target.comment)
    if origin.get("state") == RESTORED:
        return f"restored from {origin.get('name')} (SHA-256 {origin.get('sha256')})"
    return (
        f"PEC {target.pec_version}, {describe_size(target.size_bytes)}" if target.pec_version else f"{target.objects} objects, none of PEC"
    )


def _restored_on(current: Current) -> str | None:
    """Return when the database was restored from this dump, or from one with the same rows; None if it was not."""
    origin = read_record(current.target.comment) if current.target else {}
    if origin.get("state") != RESTORED:
        return None
    fingerprint = current.manifest.fingerprint.digest if current.manifest and current.manifest.fingerprint else None
    same = origin.get("sha256") == current.sha256 or (fingerprint is not None and origin.get("fingerprint") == fingerprint)
    return str(origin.get("restored")) if same else None


def _reason(current: Current, desired: Desired) -> str:
    if desired.rehearse:
        return "a rehearsal restores into a second database and drops it"
    if current.target is None:
        return f"the database {current.name!r} does not exist"
    return "the database is empty" if current.target.objects == 0 else "replace is true"


def _against_source(manifest: Manifest | None, desired: Desired) -> list[str]:
    """A directory or a disk may hold dumps of several servers: only a dump of this one is restored unless the other is named."""
    reasons = []
    if manifest and manifest.host.casefold() != desired.from_host.casefold():
        reasons.append(
            f"it was made on host {manifest.host!r}, but one from {desired.from_host!r} is expected; "
            f"to restore it anyway, set from_host (role: pec_restore_from_host) to {manifest.host!r}"
        )
    if manifest and not same_municipality(manifest.municipality or desired.from_municipality, desired.from_municipality):
        reasons.append(
            f"it holds the data of município {manifest.municipality!r}, but {desired.from_municipality!r} is expected; "
            f"to restore it anyway, set from_municipality (role: pec_restore_from_municipality) to {manifest.municipality!r}"
        )
    return reasons


def same_municipality(one: str, other: str) -> bool:
    """Compare as the names of dumps do: without case and accents. An empty C(other) is unknown and equals every município."""
    return not other or slug(one) == slug(other)


def _against_dump(current: Current, desired: Desired) -> list[str]:
    reasons = []
    if desired.require_manifest and current.manifest is None:
        reasons.append("it has no manifest, but one is required; make the dump with esus.pec.dump, or set require_manifest to false")
    if desired.require_pec and current.toc is not None and not current.toc.has_settings:
        reasons.append(f"it is not a dump of PEC: it has no table {beliefs.SETTINGS_TABLE}; check that it is the right file")
    elif desired.require_pec and (
        (current.manifest is not None and current.manifest.schema_only) or (current.toc is not None and not current.toc.has_settings_data)
    ):
        reasons.append(f"it has the tables of PEC but not their rows ({beliefs.SETTINGS_TABLE} has none); use a dump with data")
    written = custom_format.version_number(current.archive.header.server_version)
    if written is None and current.manifest is not None:
        written = current.manifest.server_version_num
    older = written is not None and custom_format.comparable(written) > custom_format.comparable(current.server_version_num)
    if written is not None and older and not desired.allow_older_server:
        major = custom_format.major(written)
        reasons.append(
            f"it is from PostgreSQL {major}, but this server is older ({current.server_version}); restore it into PostgreSQL {major} "
            "or newer, or set allow_older_server to true to try"
        )
    return reasons


def _against_target(current: Current, desired: Desired) -> list[str]:
    target, service = current.target, current.service
    if target is None or desired.rehearse:
        return _against_service(service, desired) if not desired.rehearse else []
    reasons = []
    what = f"PEC {target.pec_version}" if target.pec_version else "objects that are not PEC's"
    what = f"data that cannot be read ({target.problem})" if target.problem else what
    if target.objects and not desired.replace:
        reasons.append(f"the database {current.name!r} holds {what}; set replace to true to replace it")
    elif target.objects and not target.pec_version and not desired.keep_previous:
        reasons.append(
            f"the database {current.name!r} holds {what}, but keep_previous is false; set it to true, or drop the database yourself"
        )
    if not target.owned:
        reasons.append(f"the role that would rename the database {current.name!r} does not own it; set admin to its owner or a superuser")
    in_use = _against_service(service, desired)
    if target.sessions and not in_use and not desired.stop_service:
        shown = ", ".join(target.sessions[:5]) + (f" and {len(target.sessions) - 5} more" if len(target.sessions) > 5 else "")
        in_use = [
            f"the database {current.name!r} is in use by {shown}; end these sessions, or set stop_service to true to end them at the switch"
        ]
    return reasons + in_use


def _against_service(service: Service, desired: Desired) -> list[str]:
    if not service.running or not service.uses or desired.stop_service:
        return []
    return [f"PEC is running, and what it writes during the restore would be lost; set stop_service to true, or stop {beliefs.PEC_UNIT}"]


def _against_server(current: Current, desired: Desired) -> list[str]:
    reasons = []
    chosen = settings(current, desired)
    encoding, dumped = str(chosen.get("encoding")), current.manifest.encoding if current.manifest else current.archive.header.encoding
    if dumped and encoding not in ("UTF8", "SQL_ASCII", dumped):
        reasons.append(
            f"its text is in {dumped}, which a database in {encoding} cannot fully hold; set encoding to UTF8, and locale to match"
        )
    for locale in dict.fromkeys(str(chosen[key]) for key in ("datcollate", "datctype") if chosen.get(key)):
        if current.locales is not None and _spelling(locale) not in current.locales:
            reasons.append(
                f"the server has no locale {locale!r}; generate it there (locale-gen) and restart PostgreSQL, or set locale to another"
            )
    missing = [
        name
        for name in (current.toc.extensions if current.toc else ())
        if current.extensions is not None and name not in current.extensions
    ]
    if missing:
        package = f"postgresql-contrib, or for Debian postgresql-{custom_format.major(current.server_version_num)}"
        reasons.append(f"it needs the extensions {', '.join(missing)}, which are not installed on the server; install {package} there")
    return reasons


def _against_space(current: Current, desired: Desired) -> list[str]:
    needed, how = _space_needed(current)
    if not desired.check_space or current.free_bytes is None or needed <= current.free_bytes:
        return []
    size, left = describe_size(needed), describe_size(current.free_bytes)
    return [
        f"the restored database needs about {size} ({how}), but only {left} are free in the server's data directory; "
        "make room (earlier restores kept databases named NAME_before_TIME), or set check_space to false"
    ]


def _space_needed(current: Current) -> tuple[int, str]:
    """Return the estimated size of the new database in bytes, and its basis."""
    if current.manifest and not current.manifest.schema_only:
        return round(current.manifest.database_bytes * _ROOM_OF_DATABASE), "its size when it was dumped"
    if current.target and current.target.pec_version:
        return round(current.target.size_bytes * _ROOM_OF_DATABASE), "the size of the one it replaces"
    plain = current.archive.kind == PLAIN and not current.archive.layers
    factor = _ROOM_OF_PLAIN if plain else _ROOM_OF_ARCHIVE
    return current.archive.bytes * factor, f"{factor} times the dump, a rough estimate"


def _notes(current: Current, desired: Desired, restored: str | None) -> list[str]:
    notes = []
    if restored:
        notes.append(f"nothing to do: the database was restored from this dump on {restored}; set force to true to restore it again")
    if current.manifest is None:
        notes.append("the dump has no manifest, so its SHA-256, its rows and which server it is from were not checked")
    elif bool(current.manifest.municipality) != bool(desired.from_municipality):
        unknown = "that of this server is unknown" if current.manifest.municipality else "the manifest names none"
        notes.append(f"the município of the dump was not checked: {unknown}")
    if current.leftovers:
        notes.append(f"dropped databases that killed restores left: {', '.join(current.leftovers)}")
    if current.free_bytes is None and desired.check_space:
        notes.append("the free space was not checked, because the server's data directory is not visible on this host")
    if current.previous:
        notes.append(f"databases that earlier restores kept: {', '.join(current.previous)}")
    if desired.stop_service and current.target and current.target.sessions:
        notes.append(f"sessions that end at the switch: {', '.join(current.target.sessions[:5])}")
    return notes


def _spelling(locale: str) -> str:
    """UTF-8 and utf8 are the same encoding in a locale's name."""
    name, dot, encoding = locale.partition(".")
    return name + dot + encoding.lower().replace("-", "")


def spellings(locales: Sequence[str]) -> tuple[str, ...]:
    """Return the locales in the spelling that they are compared in."""
    return tuple(dict.fromkeys(_spelling(locale) for locale in locales))
