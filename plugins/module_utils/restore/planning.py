# SPDX-License-Identifier: GPL-3.0-or-later
"""Decides whether a dump is restored, and into what, without touching the host. Private to the collection."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ansible_collections.esus.pec.plugins.module_utils import beliefs
from ansible_collections.esus.pec.plugins.module_utils.archive import custom_format
from ansible_collections.esus.pec.plugins.module_utils.archive.reading import PLAIN, Archive
from ansible_collections.esus.pec.plugins.module_utils.archive.skipping import UNNEEDED_EXTENSIONS, Skip
from ansible_collections.esus.pec.plugins.module_utils.archive.toc import Toc
from ansible_collections.esus.pec.plugins.module_utils.dump.manifest import Manifest
from ansible_collections.esus.pec.plugins.module_utils.dump.planning import slug
from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.postgres import administrator
from ansible_collections.esus.pec.plugins.module_utils.postgres.psql import Connection
from ansible_collections.esus.pec.plugins.module_utils.restore import origin
from ansible_collections.esus.pec.plugins.module_utils.restore.carried import carried
from ansible_collections.esus.pec.plugins.module_utils.restore.completeness import Inventory
from ansible_collections.esus.pec.plugins.module_utils.restore.origin import Holder
from ansible_collections.esus.pec.plugins.module_utils.system.host import describe_size

KEY = "esus.pec"
RESTORING, RESTORED, PREVIOUS, FAILED = "restoring", "restored", "previous", "failed"
_ROOM_OF_DATABASE = 1.1
# For a dump without the size of its database: a compressed one grows to about five times its size.
_ROOM_OF_ARCHIVE = 5
_ROOM_OF_PLAIN = 2
_SHOWN = 30
NO_ENCODING = "SQL_ASCII"  # PostgreSQL's name for bytes of any encoding
_PORTUGUESE = ("pt_BR.UTF-8", "pt_BR.utf8")


@dataclass(frozen=True)
class Desired:
    """The module's options. Either C(path) or C(directory) is set. C(connection) None means the database of the PEC on this host.

    C(from_host) and C(from_municipality) are where the dump must come from; an empty município is unknown. C(admin_login), a name and
    a password, and C(admin_account) are two ways to a role that may create databases. C(extensions) are those that a dump may have;
    C(without_extensions) are left out of it. C(rows_follow): the dump has no rows, because they come from the server that it is of.
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
    allow_other_version: bool = False
    update_jar: str | None = None
    allow_partial: bool = False
    check_space: bool = True
    encoding: str | None = None
    locale: str | None = None
    extensions: tuple[str, ...] = ()
    without_extensions: tuple[str, ...] = ()
    skip_objects: tuple[str, ...] = ()
    function_search_path: tuple[str, ...] = ()
    rows_follow: bool = False

    @property
    def left_out(self) -> tuple[str, ...]:
        """The extensions that are left out: those named, and those that PEC never needs unless they are asked for."""
        unneeded = [name for name in UNNEEDED_EXTENSIONS if name not in self.extensions]
        return tuple(dict.fromkeys((*self.without_extensions, *Skip(self.skip_objects).extensions, *unneeded)))


@dataclass(frozen=True)
class Service:
    """PEC's unit on this host. C(uses): PEC is configured for the database to replace, or for one that its files do not name.

    C(owed): it does not run because a run that was killed stopped it, and can be started again.
    """

    running: bool
    enabled: bool
    uses: bool
    owed: bool = False


@dataclass(frozen=True)
class Target:
    """The existing database. C(facts) has the columns of pg_database; C(sessions) names who is connected.

    C(unchanged): it is proven that it is still as a restore left it. C(problem) is why it cannot be read, None if it can. C(holder) is
    whose data it holds, C(inventory) what a whole dump of it would have.
    """

    facts: Mapping[str, object]
    size_bytes: int
    comment: str | None
    objects: int
    pec_version: str | None
    sessions: tuple[str, ...] = ()
    owned: bool = True
    unchanged: bool = False
    problem: str | None = None
    holder: Holder | None = None
    inventory: Inventory | None = None


@dataclass(frozen=True)
class Current:
    """The server, the database to replace (C(target), None if it does not exist), and the dump with its C(sha256).

    C(toc) is None for a plain dump. C(needs) are the extensions that the dump creates, C(schemas) those of them that
    are not in public, each with its schema, C(changeable) is why another account may change it
    while it is read, None if none can. C(leftovers) are databases of killed restores, C(previous) databases that earlier restores kept.
    C(free_bytes), C(locales) and C(extensions) are None if unknown. C(installed) is the version of the PEC that uses the database, None if
    it is unknown; C(update_jar) that of the installer that will update it.
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
    needs: tuple[str, ...] = ()
    schemas: Mapping[str, str] = field(default_factory=dict)
    changeable: str | None = None
    leftovers: tuple[str, ...] = ()
    previous: tuple[str, ...] = ()
    free_bytes: int | None = None
    locales: tuple[str, ...] | None = None
    extensions: tuple[str, ...] | None = None
    installed: str | None = None
    update_jar: str | None = None

    @property
    def recorded_version(self) -> str | None:
        """The version of PEC in the dump according to its manifest, None if only the load will show it."""
        return (self.manifest.pec_version or self.manifest.contents.pec_version) if self.manifest else None

    def against_version(self, found: str | None, desired: Desired) -> list[str]:
        """Return why PEC could not start with a database of this version, or not be updated to it."""
        reason = origin.against_version(found, self.installed, allowed=desired.allow_other_version)
        older = [
            version for version in (self.installed, found) if self.update_jar and version and origin.is_older(self.update_jar, version)
        ]
        if not reason and older and origin.update_follows(found, self.installed):
            reason = (
                f"it is of PEC {origin.shown(str(found))}, but the installer that is to update it ({desired.update_jar}) is of PEC "
                f"{self.update_jar}, which is older than {origin.shown(older[0])}; name that of the installed version or of a newer one in "
                "update_jar (role: pec_restore_update_jar)"
            )
        return [reason] if reason else []


@dataclass(frozen=True)
class Plan:
    """What to do. C(action) is none, restore or rehearse; C(side) is the name of the database to load, with these C(settings).

    C(previous) is the new name of the old database. C(extensions) are created before the dump is loaded.
    """

    action: str
    reason: str
    side: str
    previous: str | None
    drop_old: bool
    settings: Mapping[str, object]
    extensions: tuple[str, ...]
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
    restored = restored_on(current.target, current.sha256)
    unchanged = current.target is not None and current.target.unchanged and not desired.force and not desired.rehearse
    if not unchanged:
        _refuse(current, desired)
    action = "none" if unchanged else "rehearse" if desired.rehearse else "restore"
    before = describe_target(current.target)
    target = current.target
    return Plan(
        action=action,
        reason=f"the database was restored from this dump on {restored} and has not changed since"
        if unchanged
        else _reason(current, desired),
        side=administrator.with_suffix(current.name, f"_restoring_{stamp}"),
        previous=administrator.with_suffix(current.name, f"_before_{stamp}") if target else None,
        drop_old=target is not None and (not desired.keep_previous or target.objects == 0),
        settings=settings(current, desired),
        extensions=tuple(name for name in current.needs if name not in desired.left_out),
        leftovers=current.leftovers,
        notes=tuple(_notes(current, desired, restored if unchanged else None)),
        before=before,
        after=f"restored from {current.archive.name} (SHA-256 {current.sha256})" if action == "restore" else before,
    )


def _refuse(current: Current, desired: Desired) -> None:
    reasons = [
        *_against_source(current.manifest, desired),
        *_against_dump(current, desired),
        *current.against_version(current.recorded_version, desired),
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
    dumped = current.archive.header.encoding
    if chosen.get("encoding") == NO_ENCODING or (not current.target and not dump and dumped):
        chosen = _with_encoding(chosen, "UTF8" if dumped in (None, NO_ENCODING) else str(dumped), current)
    if desired.locale:
        without = {key: value for key, value in chosen.items() if key not in ("datlocprovider", "daticulocale", "datlocale", "daticurules")}
        chosen = {**without, "datcollate": desired.locale, "datctype": desired.locale}
    return {**chosen, "encoding": desired.encoding} if desired.encoding else chosen


def _with_encoding(chosen: Mapping[str, object], encoding: str, current: Current) -> dict[str, object]:
    """Return the settings with this encoding and a locale that fits it.

    A cluster that was created without a locale has SQL_ASCII and C, which nobody chose. What has no encoding is UTF-8 in every PEC; text
    that is not is refused after the load.
    """
    own = str(chosen.get("datcollate") or "")
    if chosen.get("encoding") == encoding or chosen.get("datlocprovider") in ("i", "b"):
        return {**chosen, "encoding": encoding}
    candidates = (*_PORTUGUESE, "C.UTF-8", own) if own in ("C", "POSIX", "") else (own, *_PORTUGUESE, "C.UTF-8")
    known = current.locales or ()
    for held in (encoding, "UTF8"):  # with C alone, capitals with accents would be found only as they are written
        fits = [locale for locale in candidates if _fits(locale, held) and _spelling(locale) in known]
        if fits and fits[0] not in ("C", "POSIX"):
            return {**chosen, "encoding": held, "datcollate": fits[0], "datctype": fits[0]}
    return {**chosen, "encoding": encoding, "datcollate": "C", "datctype": "C"}


def _fits(locale: str, encoding: str) -> bool:
    """Whether a locale is one for this encoding; C is for all."""
    codeset = _spelling(locale).partition(".")[2].partition("@")[0]
    return locale in ("C", "POSIX") or codeset == encoding.lower()


def record(state: str, **facts: object) -> str:
    """Return the comment by which later runs recognise a database."""
    return json.dumps({KEY: {"state": state, **facts}}, ensure_ascii=False, sort_keys=True)


def read_record(comment: str | None) -> Mapping[str, object]:
    """Return the facts in such a comment; none for any other comment."""
    try:
        content = json.loads(comment or "")
    except (ValueError, RecursionError):
        return {}
    found = content.get(KEY) if isinstance(content, dict) else None
    return found if isinstance(found, dict) else {}


def describe_target(target: Target | None) -> str:
    """Return a description of the existing database, for the diff."""
    if target is None:
        return "absent"
    if target.problem:
        return f"cannot be read: {target.problem}"
    found = read_record(target.comment)
    if found.get("state") == RESTORED:
        return f"restored from {found.get('name')} (SHA-256 {found.get('sha256')})"
    return (
        f"PEC {target.pec_version}, {describe_size(target.size_bytes)}" if target.pec_version else f"{target.objects} objects, none of PEC"
    )


def restored_on(target: Target | None, sha256: str) -> str | None:
    """Return when the database was restored from this dump; None if it was not. It may have changed since."""
    found = read_record(target.comment) if target else {}
    return str(found.get("restored")) if found.get("state") == RESTORED and found.get("sha256") == sha256 else None


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
    elif (
        desired.require_pec
        and not desired.rows_follow
        and (
            (current.manifest is not None and current.manifest.schema_only)
            or (current.toc is not None and not current.toc.has_settings_data)
        )
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
    restored = restored_on(target, current.sha256)
    what += f" and was restored from this dump on {restored}, but may have changed since" if restored else ""
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
    if dumped == NO_ENCODING and encoding == NO_ENCODING:
        reasons.append("nothing names the encoding of its text (SQL_ASCII); set encoding to UTF8, so that the server refuses any other")
    if dumped and encoding not in ("UTF8", "SQL_ASCII", dumped):
        reasons.append(
            f"its text is in {dumped}, which a database in {encoding} cannot fully hold; set encoding to UTF8, and locale to match"
        )
    for locale in dict.fromkeys(str(chosen[key]) for key in ("datcollate", "datctype") if chosen.get(key)):
        if current.locales is not None and _spelling(locale) not in current.locales:
            reasons.append(
                f"the server has no locale {locale!r}; generate it there (locale-gen) and restart PostgreSQL, or set locale to another"
            )
    wanted = [name for name in current.needs if name not in desired.left_out]
    forbidden = [name for name in wanted if name not in desired.extensions]
    if forbidden:
        reasons.append(
            f"it needs the extensions {', '.join(forbidden)}, which are not allowed; an extension can give a dump access beyond its "
            "database: add those that you trust to extensions (role: pec_restore_extensions), or leave them out with without_extensions "
            "(role: pec_restore_without_extensions)"
        )
    unusual = [path for path in desired.function_search_path if not path or path.startswith("pg_")]
    if unusual:
        reasons.append(f"function_search_path has {unusual[0]!r}, which is no schema of a dump; give one such as public")
    missing = [name for name in wanted if name not in forbidden and current.extensions is not None and name not in current.extensions]
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
        unchecked = "its rows" if current.archive.summed else "its SHA-256, its rows"
        notes.append(f"the dump has no manifest, so {unchecked} and which server it is from were not checked")
    if current.changeable:
        notes.append(f"the dump may change while it is restored: {current.changeable}")
    if current.manifest and not desired.rows_follow and bool(current.manifest.municipality) != bool(desired.from_municipality):
        unknown = "that of this server is unknown" if current.manifest.municipality else "the manifest names none"
        notes.append(f"the município of the dump was not checked: {unknown}")
    if current.installed and not restored and not current.recorded_version:
        notes.append(f"the dump names no version of PEC; it is compared with PEC {current.installed} on this server after the load")
    skip = Skip(desired.skip_objects)
    if current.toc:
        current.toc.counted(skip)
    notes += skipped_notes(skip, [name for name in current.needs if name in desired.left_out], known=current.toc is not None)
    if current.leftovers:
        notes.append(f"dropped databases that killed restores left: {', '.join(current.leftovers)}")
    if current.free_bytes is None and desired.check_space:
        notes.append("the free space was not checked, because the server's data directory is not visible on this host")
    if current.target:
        notes += carried(current.target.facts, current.owner)[1]
    if current.previous:
        notes.append(f"databases that earlier restores kept: {', '.join(current.previous)}")
    if desired.stop_service and current.target and current.target.sessions:
        notes.append(f"sessions that end at the switch: {', '.join(current.target.sessions[:5])}")
    return notes


def skipped_notes(skip: Skip, extensions: Sequence[str], *, known: bool) -> list[str]:
    """Return what was left out of the dump. C(known): all of the dump was looked at."""
    left_out = [*(f"EXTENSION {name}" for name in extensions), *skip.labels]
    notes = []
    if left_out:
        more = f" and {len(left_out) - _SHOWN} more" if len(left_out) > _SHOWN else ""
        notes.append(
            f"left out of the dump: {', '.join(left_out[:_SHOWN])}{more} (named in skip_objects or without_extensions, or of a kind that "
            "PEC does not need); if something else needs them, create them by hand afterwards"
        )
    unused = [name for name in skip.unused if not name.startswith("EXTENSION ")]
    if known and unused:
        notes.append(f"skip_objects names what is not in the dump: {', '.join(unused)}")
    return notes


def _spelling(locale: str) -> str:
    """UTF-8 and utf8 are the same encoding in a locale's name."""
    name, dot, encoding = locale.partition(".")
    return name + dot + encoding.lower().replace("-", "")


def spellings(locales: Sequence[str]) -> tuple[str, ...]:
    """Return the locales in the spelling that they are compared in."""
    return tuple(dict.fromkeys(_spelling(locale) for locale in locales))
