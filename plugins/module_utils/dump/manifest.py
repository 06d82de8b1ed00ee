# SPDX-License-Identifier: GPL-3.0-or-later
"""The JSON file beside a dump that describes and verifies it, and a directory of dumps. Private to the collection."""

from __future__ import annotations

import glob
import hashlib
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, fields, replace

from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.postgres.contents import Contents, Fingerprint
from ansible_collections.esus.pec.plugins.module_utils.system import files, pipeline

SCHEMA = 1
SUFFIX = ".json"
_AGAIN = "make a new dump, or copy this one again"


@dataclass(frozen=True)
class Attachment:
    """The archive beside a dump with files that the dump does not hold. C(paths) are the files and directories in it."""

    name: str
    bytes: int
    sha256: str
    paths: tuple[str, ...]


@dataclass(frozen=True)
class Manifest:
    """One dump. It holds no secret; C(recipients) are public keys. Times are UTC, as in 2026-11-22T03:00:00Z.

    C(files) is for the directory format only: the size and SHA-256 of each file; C(sha256) is then that of the lines that C(sha256sum)
    prints for them, sorted by name. C(database_bytes) is the size of the database on its server. C(kept_by) names the module whose
    retention may remove the dump, such as esus.pec.backup; empty: none.
    """

    name: str
    format: str
    compression: str
    bytes: int
    sha256: str
    started: str
    ended: str
    duration_seconds: float
    database: str
    host: str
    database_bytes: int
    encoding: str
    collation: str
    ctype: str
    server_version: str
    server_version_num: int
    client_version: str
    contents: Contents
    municipality: str = ""
    pec_version: str | None = None
    training: bool | None = None
    toc_entries: int | None = None
    fingerprint: Fingerprint | None = None
    recipients: tuple[str, ...] = ()
    schema_only: bool = False
    excluded_table_data: tuple[str, ...] = ()
    files: Mapping[str, tuple[int, str]] = field(default_factory=dict)
    attachment: Attachment | None = None
    kept_by: str = ""
    notes: tuple[str, ...] = ()

    @property
    def encrypted(self) -> bool:
        """Whether an identity is required to read the dump."""
        return bool(self.recipients)


@dataclass(frozen=True)
class Backup:
    """A dump in a directory of dumps; C(problem) says why it cannot be relied on, None when no problem was found."""

    path: str
    manifest: Manifest
    problem: str | None

    @property
    def complete(self) -> bool:
        """Whether all its files exist and have their sizes."""
        return self.problem is None


def path_for(archive: str) -> str:
    """Return the path of a dump's manifest."""
    return archive.rstrip("/") + SUFFIX


def write(archive: str, manifest: Manifest, *, uid: int | None = None, gid: int | None = None, mode: int = 0o600) -> None:
    """Write the manifest beside its dump, completely or not at all."""
    content = {"schema": SCHEMA, **asdict(manifest), "encrypted": manifest.encrypted}
    data = json.dumps(content, ensure_ascii=False, indent=1).encode() + b"\n"
    files.write_atomic(path_for(archive), data, mode=mode, uid=uid, gid=gid)


def read(path: str) -> Manifest:
    """Return the manifest in this file. Raises PecError when it cannot be read or is not a manifest."""
    try:
        content = json.loads(files.read_bytes(path))
        if content["schema"] != SCHEMA:
            raise PecError(
                f"{path} is a manifest of schema {content['schema']}, and this version of the collection knows schema {SCHEMA} only; "
                "update the collection"
            )
        known = {item.name for item in fields(Manifest)}
        manifest = Manifest(**{name: value for name, value in content.items() if name in known})
        return replace(
            manifest,
            contents=Contents(**content["contents"]),
            fingerprint=Fingerprint(**content["fingerprint"]) if content.get("fingerprint") else None,
            attachment=_attachment(content.get("attachment")),
            recipients=tuple(content.get("recipients", ())),
            excluded_table_data=tuple(content.get("excluded_table_data", ())),
            files={_plain_name(name): (size, sha256) for name, (size, sha256) in content.get("files", {}).items()},
            notes=tuple(content.get("notes", ())),
        )
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise PecError(f"{path} is not a complete manifest of a dump ({error}); {_AGAIN}") from None


def verify(archive: str, manifest: Manifest, on_bytes: Callable[[int], None] | None = None) -> None:
    """Read the whole dump and compare it with its manifest. Raises PecError with the first difference."""
    problem = _size_problem(archive, manifest)
    if problem:
        raise PecError(problem)
    for name, (_size, expected) in _parts(archive, manifest):
        _bytes, found = pipeline.sha256_file(name, on_bytes)
        if found != expected:
            raise PecError(f"{name} was changed: its SHA-256 is {found}, its manifest says {expected}; {_AGAIN}")


def digest_directory(path: str, on_bytes: Callable[[int], None] | None = None) -> tuple[dict[str, tuple[int, str]], str]:
    """Return the size and SHA-256 of each file of a dump in the directory format, and the SHA-256 of the lines of C(sha256sum) for them."""
    names = sorted(name for name in os.listdir(path) if os.path.isfile(os.path.join(path, name)))
    parts = {name: pipeline.sha256_file(os.path.join(path, name), on_bytes) for name in names}
    lines = "".join(f"{sha256}  {name}\n" for name, (_bytes, sha256) in parts.items())
    return parts, hashlib.sha256(lines.encode()).hexdigest()


def list_backups(directory: str) -> list[Backup]:
    """Return the dumps in a directory that have a manifest, newest first; only their existence and size are checked.

    A manifest that cannot be read is skipped. Raises PecError when there is no such directory.
    """
    if not os.path.isdir(directory):
        raise PecError(f"{directory} is not a directory on this host; check the path")
    found = []
    for path in glob.glob(os.path.join(glob.escape(directory), "*" + SUFFIX)):
        try:
            manifest = read(path)
        except PecError:
            continue
        archive = path[: -len(SUFFIX)]
        if os.path.basename(archive) == manifest.name:
            found.append(Backup(archive, manifest, _size_problem(archive, manifest) or _attachment_problem(directory, manifest)))
    return sorted(found, key=lambda backup: (backup.manifest.ended, backup.path), reverse=True)


def _parts(archive: str, manifest: Manifest) -> list[tuple[str, tuple[int, str]]]:
    if manifest.format == "directory":
        return [(os.path.join(archive, name), part) for name, part in sorted(manifest.files.items())]
    return [(archive, (manifest.bytes, manifest.sha256))]


def _size_problem(archive: str, manifest: Manifest) -> str | None:
    for name, (size, _sha256) in _parts(archive, manifest):
        try:
            found = os.path.getsize(name)
        except OSError as error:
            return f"{name}: {error.strerror}; {_AGAIN}"
        if found != size:
            return f"{name} has {found} bytes, and its manifest says {size}; {_AGAIN}"
    return None


def _attachment_problem(directory: str, manifest: Manifest) -> str | None:
    if manifest.attachment is None:
        return None
    path = os.path.join(directory, manifest.attachment.name)
    found = os.path.getsize(path) if os.path.isfile(path) else None
    return (
        None
        if found == manifest.attachment.bytes
        else f"{path} is missing or does not have the {manifest.attachment.bytes} bytes in its manifest"
    )


def _attachment(content: object) -> Attachment | None:
    if not isinstance(content, dict):
        return None
    return Attachment(_plain_name(content["name"]), content["bytes"], content["sha256"], tuple(content["paths"]))


def _plain_name(name: str) -> str:
    """Return the name. A manifest may come from anywhere; the files that it names must be beside it."""
    if name != os.path.basename(name) or name in ("", ".", ".."):
        raise ValueError(f"{name!r} is not the name of a file")
    return name
