# SPDX-License-Identifier: GPL-3.0-or-later
"""Decides which of the staged files and settings the new server gets, and gives them to it. Private to the collection.

The staged files come from another server: nothing of them is run, and of its settings only those are taken that are not the new server's
own. The database's never are.
"""

from __future__ import annotations

import contextlib
import fnmatch
import hashlib
import os
import posixpath
import re
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ansible_collections.esus.pec.plugins.module_utils import beliefs, brazil
from ansible_collections.esus.pec.plugins.module_utils.carrying import names, staging
from ansible_collections.esus.pec.plugins.module_utils.carrying.staging import Staged
from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.pec import contra_chave
from ansible_collections.esus.pec.plugins.module_utils.properties import editing, planning, reading
from ansible_collections.esus.pec.plugins.module_utils.redact import looks_secret
from ansible_collections.esus.pec.plugins.module_utils.system import files, host

MODE = 0o600
_DIRECTORY_MODE = 0o700
_WINDOWS_PATH = re.compile(r"(?:file:/{0,3})?(?:[A-Za-z]:[\\/]|\\\\)")
_SIZE = re.compile(r"(\d+)([kKmMgG])\Z")
_UNITS = {"k": 1 << 10, "m": 1 << 20, "g": 1 << 30}
_WRITE_OR_RUN = frozenset(("accesslog", "basedir", "contextparameters", "jsp", "jspservlet", "persistent", "storedir"))
_OF_SPRING = frozenset(("debug", "logging", "management", "spring", "trace"))
_OWN_LINE = re.compile(r"^[ \t]*(?![ \t#])(.*)$", re.MULTILINE)


@dataclass(frozen=True)
class Desired:
    """How to carry. C(excepted): patterns of keys that the new server sets itself. C(domain): its own, empty if unknown; certmgr's settings
    are carried with C(certmgr) and for the same domain only. C(directories): where directories of the source are on this host."""

    uid: int
    gid: int
    excepted: tuple[str, ...] = ()
    certmgr: bool = False
    domain: str = ""
    directories: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Existing:
    """A file of this host."""

    data: bytes = field(repr=False)
    mode: int = MODE
    uid: int = 0
    gid: int = 0


@dataclass(frozen=True)
class Current:
    """What this host has: PEC's home, the text of its settings, the files at the places of staged ones, contra-chaves, memory in bytes."""

    home: str
    properties: str = field(repr=False)
    existing: Mapping[str, Existing] = field(default_factory=dict, repr=False)
    contra_chaves: tuple[contra_chave.Entry, ...] = field(default=(), repr=False)
    memory: int = 0


@dataclass(frozen=True)
class Skipped:
    """What is not carried, and why."""

    what: str
    reason: str


@dataclass(frozen=True)
class Plan:
    """What to do. C(write) has new contents by their path below the home, C(own) files whose owner or mode is wrong only."""

    write: Mapping[str, bytes] = field(repr=False)
    own: tuple[str, ...]
    properties: planning.Plan
    contra_chaves: tuple[contra_chave.Entry, ...] | None = field(repr=False)
    carried: tuple[str, ...]
    skipped: tuple[Skipped, ...]
    notes: tuple[str, ...]
    java_options: tuple[str, ...]
    before: str
    after: str

    @property
    def changed(self) -> bool:
        return bool(self.write or self.own or self.properties.changed or self.contra_chaves is not None)


def read_current(home: str, staged: Staged) -> Current:
    """Return what this host has. Raises PecError when PEC is not installed, or a file is in the way."""
    path = f"{home}/{beliefs.APPLICATION_PROPERTIES}"
    text = planning.read_current(path)
    if text is None:
        raise PecError(f"{path} does not exist; install PEC on this host first")
    existing = {}
    for name in _files(staged):
        place = f"{home}/{name}"
        if os.path.lexists(place):
            data, status = files.read(place)
            existing[name] = Existing(data, stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid)
    return Current(home, text, existing, contra_chave.read(), host.memory_bytes() or 0)


def secrets(current: Current, staged: Staged) -> set[str]:
    """Return the secret values of what may be carried, on both sides, to be masked wherever they may appear."""
    pairs = list(reading.parse(current.properties).items())
    with contextlib.suppress(PecError):  # nothing of a malformed file is carried
        pairs += _pairs(staged, beliefs.APPLICATION_PROPERTIES).items()
    return {value for key, value in pairs if value and key.startswith(beliefs.CARRIED_KEYS) and looks_secret(key, value)}


def plan(current: Current, staged: Staged, desired: Desired) -> Plan:
    """Decide what changes."""
    skipped: list[Skipped] = []
    notes: list[str] = []
    roots = {**desired.directories, **({staged.home: current.home} if staged.home else {})}
    wanted = _wanted_files(staged, desired, roots, skipped)
    values = _values(staged, desired, wanted, roots, skipped, notes)
    properties = planning.plan(current.properties, planning.Desired(values))
    write = {path: data for path, data in wanted.items() if path not in current.existing or current.existing[path].data != data}
    own = tuple(
        path
        for path, found in current.existing.items()
        if path in wanted and path not in write and (found.mode, found.uid, found.gid) != (MODE, desired.uid, desired.gid)
    )
    added, entries = _contra_chaves(current, staged, skipped)
    java_options = _java_options(staged, current.memory, skipped)
    if staged.home and _WINDOWS_PATH.match(staged.home):
        notes.append("the options of Java are not known, because PEC on Windows has them in its service; compare its memory there")
    before = "".join(f"{path}: {_shown(current.existing[path])}" for path in (*write, *own) if path in current.existing)
    after = "".join(f"{path}: {_shown(Existing(wanted[path], MODE, desired.uid, desired.gid))}" for path in (*write, *own))
    after += "".join(f"contra-chave: {each.purpose} of {each.ibge_code}, {each.fingerprint}\n" for each in added)
    carried = (*wanted, *values, *(f"contra-chave for {each.purpose} of {each.ibge_code}" for each in entries))
    return Plan(
        write,
        own,
        properties,
        tuple(sorted([*current.contra_chaves, *added], key=lambda each: each.key)) if added else None,
        carried,
        tuple(skipped),
        tuple(notes),
        java_options,
        before + properties.before,
        after + properties.after,
    )


def apply(current: Current, todo: Plan, desired: Desired) -> list[str]:
    """Do it; return where replaced files are kept, which only root can read. The settings come last, because they name the rest."""
    kept = []
    for path, data in todo.write.items():
        place = f"{current.home}/{path}"
        if path in current.existing:
            kept.append(files.keep(place, current.existing[path].data))
        for above in _above(path):
            if not os.path.lexists(f"{current.home}/{above}"):
                files.make_directory(f"{current.home}/{above}", mode=_DIRECTORY_MODE, uid=desired.uid, gid=desired.gid)
        files.write_atomic(place, data, mode=MODE, uid=desired.uid, gid=desired.gid)
    for path in todo.own:
        files.write_atomic(f"{current.home}/{path}", current.existing[path].data, mode=MODE, uid=desired.uid, gid=desired.gid)
    if todo.contra_chaves is not None:
        contra_chave.write(todo.contra_chaves)
    if todo.properties.changed:
        place = f"{current.home}/{beliefs.APPLICATION_PROPERTIES}"
        kept.append(files.keep(place, current.properties.encode("latin-1")))
        planning.apply(place, todo.properties)
    return kept


def _files(staged: Staged) -> list[str]:
    """The staged files that are carried as they are: keys, keystores and what certmgr has."""
    return [path for path in staged.contents if staging.is_copied(path)]


def _wanted_files(staged: Staged, desired: Desired, roots: Mapping[str, str], skipped: list[Skipped]) -> dict[str, bytes]:
    wanted = {path: staged.contents[path] for path in _files(staged)}
    of_certmgr = [path for path in wanted if path.startswith(f"{staging.CERTMGR_CONFIG}/")]
    reason = _why_without_certmgr(staged, desired) if of_certmgr else ""
    for path in of_certmgr if reason else ():
        skipped.append(Skipped(path, reason))
        del wanted[path]
    if beliefs.SSL_PROPERTIES in wanted:
        text = wanted[beliefs.SSL_PROPERTIES].decode("latin-1")
        moved = {}
        for key, value in reading.parse(text).items():
            translated = translate(value, roots)
            if translated is None:
                skipped.append(Skipped(f"{beliefs.SSL_PROPERTIES}: {key}", "it names a path that only the source has; correct it here"))
            elif translated != value:
                moved[key] = translated
        wanted[beliefs.SSL_PROPERTIES] = editing.edit(text, moved).encode("latin-1")
    return wanted


def _why_without_certmgr(staged: Staged, desired: Desired) -> str:
    if not desired.certmgr:
        return "certmgr obtains a certificate here by itself; certmgr: true carries its settings"
    if beliefs.SSL_PROPERTIES not in staged.contents:
        return "certmgr is not in use at the source"
    try:
        pairs = reading.parse(staged.contents[beliefs.SSL_PROPERTIES].decode("latin-1"))
    except PecError as error:
        return f"its settings are malformed: {error}"
    # PEC reads them as settings of its own, which count more than the others.
    foreign = next((key for key in pairs if _uniform(key)[0] in _OF_SPRING or _writes_or_runs(key)), "")
    if foreign:
        return f"{names.shown(foreign)} is no setting of certmgr; look at its settings on the source"
    domain = next((value for key, value in pairs.items() if re.split(r"[.-]", key)[-1] == beliefs.SSL_DOMAIN_KEY), "")
    if not domain or domain.strip().lower() != desired.domain.strip().lower():
        return f"certmgr's domain at the source is {names.shown(domain) or 'unknown'}, and here it is {desired.domain or 'not given'}"
    return ""


def _values(
    staged: Staged,
    desired: Desired,
    wanted: Mapping[str, bytes],
    roots: Mapping[str, str],
    skipped: list[Skipped],
    notes: list[str],
) -> dict[str, str]:
    """The pairs of the settings to set here."""
    try:
        pairs = _pairs(staged, beliefs.APPLICATION_PROPERTIES)
    except PecError as error:
        skipped.append(Skipped(beliefs.APPLICATION_PROPERTIES, f"it is malformed: {error}"))
        return {}
    values = {}
    for key, value in pairs.items():
        if not key.startswith(beliefs.CARRIED_KEYS):
            continue
        translated = translate(value, roots)
        reason = _why_not(key, value, desired)
        if key == beliefs.KEYSTORE_KEY and value and not reason:
            translated = _keystore(value, staged, wanted)
            reason = "" if translated else "its file is not carried; bring it to this host, and set the keystore here"
        elif translated is None and not reason:
            reason = "it names a path that only the source has; set it here to one of this host"
        if reason:
            skipped.append(Skipped(names.shown(key), reason))
            continue
        values[key] = str(translated)
    keystore = pairs.get(beliefs.KEYSTORE_KEY)
    if keystore and beliefs.KEYSTORE_KEY not in values and not _is_excepted(beliefs.KEYSTORE_KEY, desired):
        # PEC would not start with them, or would serve plain HTTP on the port of HTTPS.
        for key in [key for key in values if key.startswith(beliefs.SSL_KEYS) or key == beliefs.PORT_KEY]:
            skipped.append(Skipped(key, "the keystore is not carried"))
            del values[key]
    odd = [key for key, value in values.items() if editing.value_problems(key, value)]
    notes += [f"the value of {key} looks like a mistake, such as a blank or a comment at its end; it is carried as it is" for key in odd]
    return values


def _uniform(key: str) -> list[str]:
    """The elements of a key as Spring compares them: it knows several spellings of each."""
    return [re.sub("[^a-z0-9]", "", element.lower()) for element in re.split(r"[.\[\]]+", key.lstrip(".["))]


def _writes_or_runs(key: str) -> bool:
    """Whether a setting of Spring's server names a place to write to, such as /etc/cron.d for the log of requests, or a class to load."""
    elements = _uniform(key)
    return elements[0] == "server" and not _WRITE_OR_RUN.isdisjoint(elements)


def _is_excepted(key: str, desired: Desired) -> bool:
    return any(fnmatch.fnmatchcase(key, pattern) for pattern in desired.excepted)


def _why_not(key: str, value: str, desired: Desired) -> str:
    if editing.key_problems(key):
        return "it is no key"
    if _is_excepted(key, desired):
        return "this host sets it itself"
    if _writes_or_runs(key):
        return "the server would write files by it, or load a class; set it here"
    if "${" in value:
        return "PEC replaces its ${...} by something of the host; set it here"
    return "it has a line end or another control character" if not value.isprintable() else ""


def _keystore(value: str, staged: Staged, wanted: Mapping[str, bytes]) -> str | None:
    """The keystore's path, relative to the application as PEC's manual has it, in the spelling of its file; None if it is not carried."""
    if value.startswith("classpath:"):
        return value
    path = staging.inside(value, staged.home)
    found = next((name for name in wanted if path and name.casefold() == path.casefold()), None)
    return posixpath.relpath(found, beliefs.WEBSERVER) if found else None


def translate(value: str, roots: Mapping[str, str]) -> str | None:
    """Return a value that is a path below one of these directories of the source as the path on this host, another value as it is.

    None for a path of Windows that is not below one of them.
    """
    plain = re.sub(r"^file:/{0,3}(?=[A-Za-z]:[\\/])|^file:/{0,2}(?=/)", "", value)
    windows = _WINDOWS_PATH.match(plain) is not None
    path = posixpath.normpath(plain.replace("\\", "/")) if windows else plain
    for root, here in sorted(roots.items(), key=lambda each: -len(each[0])):
        there = root.replace("\\", "/").rstrip("/")
        if not there or windows != (_WINDOWS_PATH.match(root) is not None):
            continue
        start = path[: len(there)]
        if (start.casefold() == there.casefold() if windows else start == there) and path[len(there) : len(there) + 1] in ("", "/"):
            moved = posixpath.normpath(here + path[len(there) :])
            return moved if moved == here or moved.startswith(f"{here}/") else None
    return None if windows else value


def _pairs(staged: Staged, path: str) -> dict[str, str]:
    text = staged.contents.get(path, b"").decode("latin-1")
    reading.require_bytes_as_characters(f"{path} of the source", text)
    return reading.parse(text)


def _contra_chaves(current: Current, staged: Staged, skipped: list[Skipped]) -> tuple[list[contra_chave.Entry], list[contra_chave.Entry]]:
    """The source's contra-chaves that are new here, and all of them that are here then."""
    here = {entry.key: entry for entry in current.contra_chaves}
    added, all_here = [], []
    try:
        entries = contra_chave.parse(staged.contents[staging.CONTRA_CHAVE], "it") if staging.CONTRA_CHAVE in staged.contents else ()
    except PecError as error:
        skipped.append(Skipped(staging.CONTRA_CHAVE, str(error)))
        entries = ()
    for entry in entries:
        what = f"contra-chave for {names.shown(entry.purpose)} of {names.shown(entry.ibge_code)}"
        if entry.purpose not in contra_chave.PURPOSES or brazil.ibge_problems(entry.ibge_code) or not entry.contra_chave:
            skipped.append(Skipped(what, "it is none that this collection recorded"))
        elif entry.key not in here:
            added.append(entry)
            all_here.append(entry)
        elif here[entry.key].contra_chave != entry.contra_chave:
            skipped.append(Skipped(what, "this host has another one"))
        else:
            all_here.append(entry)
    return added, all_here


def _java_options(staged: Staged, memory: int, skipped: list[Skipped]) -> tuple[str, ...]:
    """The known options about memory in the script that starts PEC, without its comments; of one that is repeated the last."""
    text = staged.contents.get(beliefs.STANDALONE, b"").decode("latin-1")
    found: dict[str, str] = {}
    for line in _OWN_LINE.findall(text):
        for word in re.split(r"[\s\"'=]+(?=-X)|[\s\"']+", line):
            if beliefs.JAVA_OPTIONS.fullmatch(word):
                found[re.split(r"[=\d]", word)[0]] = word
    for name, word in list(found.items()):
        size = _SIZE.search(word)
        if size and memory and int(size[1]) * _UNITS[size[2].lower()] > memory:
            skipped.append(Skipped(word, f"this host has only {host.describe_size(memory)} of memory"))
            del found[name]
    return tuple(found.values())


def _above(path: str) -> Sequence[str]:
    parts = path.split("/")
    return ["/".join(parts[:count]) for count in range(1, len(parts))]


def _shown(found: Existing) -> str:
    """What a diff shows of a file, which is a secret."""
    return f"sha256 {hashlib.sha256(found.data).hexdigest()[:8]}, mode {found.mode:04o}, uid {found.uid}\n"
