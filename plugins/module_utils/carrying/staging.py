# SPDX-License-Identifier: GPL-3.0-or-later
"""Brings PEC's small files from where they are now into a directory of root's, arranged as below PEC's home. Private to the collection.

They are keys, keystores and settings. Nothing of it is used before C(deciding) judged it.
"""

from __future__ import annotations

import json
import os
import posixpath
import re
import stat
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

from ansible_collections.esus.pec.plugins.module_utils import beliefs
from ansible_collections.esus.pec.plugins.module_utils.carrying import names
from ansible_collections.esus.pec.plugins.module_utils.carrying.sftp import UnreadableError
from ansible_collections.esus.pec.plugins.module_utils.carrying.sources import Source
from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.pec import contra_chave
from ansible_collections.esus.pec.plugins.module_utils.properties import reading
from ansible_collections.esus.pec.plugins.module_utils.system import files

DIRECTORY = "/var/lib/esus-pec/transfer/files"
CONTRA_CHAVE = posixpath.basename(contra_chave.PATH)
"""Where the contra-chaves are in the directory; on a server they are not below PEC's home."""
CONFIG = posixpath.dirname(beliefs.APPLICATION_PROPERTIES)
CERTMGR_CONFIG = posixpath.dirname(beliefs.SSL_PROPERTIES)
KEYSTORE_SUFFIXES = (*beliefs.CERTIFICATE_SUFFIXES, ".jks", ".keystore")
_CERTMGR_SUFFIXES = (*KEYSTORE_SUFFIXES, ".pem", ".key", ".crt", ".cer", ".der", ".csr")
_TOPS = (beliefs.KEYS_DIRECTORY, CONFIG, CERTMGR_CONFIG, beliefs.STANDALONE, CONTRA_CHAVE)
_RECORD = ".staged.json"


@dataclass(frozen=True)
class Unreadable:
    """What could not be read at the source, and why."""

    path: str
    reason: str


@dataclass(frozen=True)
class Staged:
    """The files by their path below PEC's home, where that is at the source (empty if unknown), and what could not be read."""

    home: str = ""
    contents: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    unreadable: tuple[Unreadable, ...] = ()


def collect(source: Source) -> Staged:
    """Read everything that matters from a source. Raises PecError when there is far too much, or the source is not reached."""
    contents: dict[str, bytes] = {}
    unreadable = [Unreadable(names.shown(path), names.shown(reason)) for path, reason in source.unread]
    _read(source, _TOPS, contents, unreadable)
    keystore = _keystore(contents, source.home)
    if keystore and is_copied(keystore) and keystore.casefold() not in map(str.casefold, contents):  # Windows knows no difference
        _read(source, (keystore,), contents, unreadable, asked=True)
    return Staged(source.home, dict(sorted(contents.items())), tuple(sorted(unreadable, key=lambda each: each.path)))


def is_copied(path: str) -> bool:
    """Whether a file is copied as it is: keys, certificates, keystores. Another one may be run, or set anything."""
    if path.startswith(f"{beliefs.KEYS_DIRECTORY}/") or path == beliefs.SSL_PROPERTIES:
        return True
    return path.lower().endswith(_CERTMGR_SUFFIXES if path.startswith(f"{CERTMGR_CONFIG}/") else KEYSTORE_SUFFIXES)


def inside(value: str, home: str) -> str | None:
    """Return the path below the home that a setting names, relative to the application's directory or absolute; None if it is elsewhere."""
    path = re.sub(r"^file:(?:/{0,3}(?=[A-Za-z]:[\\/])|/{0,2}(?=/))?", "", value.strip()).replace("\\", "/")
    root = home.replace("\\", "/").rstrip("/")
    path = path[1:] if re.match(r"/[A-Za-z]:/", path) else path
    if root and path.casefold().startswith(f"{root.casefold()}/"):
        path = path[len(root) + 1 :]
    elif path.startswith("/") or re.match(r"[A-Za-z]:", path):
        return None
    else:
        path = posixpath.normpath(f"{beliefs.WEBSERVER}/{path}")
    return None if path in ("", ".") or path.startswith(("../", "/")) else posixpath.normpath(path)


def read(directory: str = DIRECTORY) -> Staged:
    """Return what was staged. Raises PecError if nothing was."""
    if not os.path.lexists(f"{directory}/{_RECORD}"):
        raise PecError(f"{directory} holds nothing that was brought from a source; run with state: staged first")
    files.require_ours(directory, "the directory")
    try:
        record = json.loads(files.read_bytes(f"{directory}/{_RECORD}"))
        unreadable = tuple(Unreadable(**each) for each in record["unreadable"])
        home = str(record["home"])
    except (ValueError, KeyError, TypeError):
        raise PecError(f"{directory}/{_RECORD} is damaged; remove {directory}, then run with state: staged") from None
    contents = {}
    for entry in files.walk(directory):
        path = entry.path[len(directory) + 1 :]
        if stat.S_ISREG(entry.status.st_mode) and path != _RECORD:
            with entry.open() as stream:
                contents[path] = stream.read(names.SETTINGS.file)
    return Staged(home, dict(sorted(contents.items())), unreadable)


def write(staged: Staged, directory: str = DIRECTORY, *, check: bool = False) -> bool:
    """Have exactly this in the directory; return whether there was anything to do."""
    try:
        before = read(directory)
    except PecError:
        before = None
    if before == staged:
        return False
    if not check:
        files.remove_tree(directory)
        for above in (posixpath.dirname(posixpath.dirname(directory)), posixpath.dirname(directory)):
            if not os.path.lexists(above):
                files.make_private(above)
        files.make_private(directory)
        for path, data in staged.contents.items():
            parts = path.split("/")
            for count in range(1, len(parts)):
                files.make_directory("/".join([directory, *parts[:count]]))
            files.write_atomic(f"{directory}/{path}", data, mode=0o600)
        record = {"home": staged.home, "unreadable": [asdict(each) for each in staged.unreadable]}
        files.write_atomic(f"{directory}/{_RECORD}", json.dumps(record, ensure_ascii=False).encode(), mode=0o600)
    return True


def _read(source: Source, tops: tuple[str, ...], contents: dict[str, bytes], unreadable: list[Unreadable], *, asked: bool = False) -> None:
    seen = 0
    for item in source.items(tops):
        seen += 1
        if seen > names.SETTINGS.names:
            raise PecError(
                f"{names.shown(posixpath.dirname(item.path))} at the source holds more than {names.SETTINGS.names} files; look at it"
            )
        if not asked and not _matters(item.path):
            continue
        try:
            if item.problem:
                raise UnreadableError(item.problem)
            _require_place(item.path, contents)
            data = item.read(names.SETTINGS.file + 1) if item.size <= names.SETTINGS.file else bytes(names.SETTINGS.file + 1)
            if len(data) > names.SETTINGS.file:
                raise UnreadableError(f"it has more than {names.SETTINGS.file >> 20} MiB")
        except UnreadableError as error:
            unreadable.append(Unreadable(names.shown(item.path), str(error)))
            continue
        if sum(map(len, contents.values())) + len(data) > names.SETTINGS.total:
            raise PecError(
                f"the files of PEC at the source have more than {names.SETTINGS.total >> 20} MiB; look at {names.shown(item.path)}"
            )
        contents[item.path] = data


def _matters(path: str) -> bool:
    """Whether a file is used, here or (the database's logins) by what looks at the source."""
    if path in (beliefs.APPLICATION_PROPERTIES, beliefs.CREDENTIALS_FILE, beliefs.STANDALONE, CONTRA_CHAVE):
        return True
    if path.startswith(f"{CONFIG}/") and posixpath.dirname(path) != CONFIG:
        return False
    return is_copied(path) and any(path.startswith(f"{top}/") for top in _TOPS)


def _require_place(path: str, contents: Mapping[str, bytes]) -> None:
    """Raise UnreadableError for a path that cannot be beside the others, as an archive may have it."""
    parts = path.split("/")
    if len(parts) > names.SETTINGS.depth + 3:
        raise UnreadableError("it is nested too deep")
    above = {"/".join(parts[:count]) for count in range(1, len(parts))}
    if path in contents or above & set(contents) or any(other.startswith(f"{path}/") for other in contents):
        raise UnreadableError("another file has the same name")


def _keystore(contents: Mapping[str, bytes], home: str) -> str | None:
    try:
        pairs = reading.parse(contents.get(beliefs.APPLICATION_PROPERTIES, b"").decode("latin-1"))
    except PecError:
        return None
    return inside(pairs[beliefs.KEYSTORE_KEY], home) if pairs.get(beliefs.KEYSTORE_KEY) else None
