# SPDX-License-Identifier: GPL-3.0-or-later
"""The JSON file beside a dump that describes and verifies it, and a directory of dumps. Private to the collection."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import cast

from ansible_collections.esus.pec.plugins.module_utils.archive import copying, opening
from ansible_collections.esus.pec.plugins.module_utils.archive.opening import Dump
from ansible_collections.esus.pec.plugins.module_utils.dump import json_fields
from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.postgres.contents import Contents
from ansible_collections.esus.pec.plugins.module_utils.postgres.fingerprints import Fingerprint
from ansible_collections.esus.pec.plugins.module_utils.system import files, pipeline

SCHEMA = 1
SUFFIX = ".json"
AGAIN = "make a new dump, or copy this one again"
_LONGEST = 8 << 20
_MOST_MANIFESTS = 10000


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

    The C(fingerprint) of an encrypted dump is only in C(sealed_fingerprint), encrypted to the same recipients (sealing.py).
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
    sealed_fingerprint: str = ""
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
    """A dump in a directory of dumps; C(problem) says why it cannot be relied on, None when no problem was found.

    Its manifest is the one in the file without the long lists.
    """

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
    """Return the manifest in this file, which may come from anywhere. Raises PecError when it cannot be read or is not a manifest."""
    try:
        content = json_fields.parse(files.read_bytes(path, _LONGEST))
        if not isinstance(content, dict) or "schema" not in content:
            raise ValueError("it has no schema")
        if content["schema"] != SCHEMA:
            raise PecError(
                f"{path} is a manifest of schema {json_fields.words(content['schema'])}, and this version of the collection knows schema "
                f"{SCHEMA} only; update the collection"
            )
        manifest = cast(Manifest, json_fields.record(Manifest, _FIELDS, content))
        beside = manifest.attachment.name if manifest.attachment else f"{manifest.name}."
        if not beside.startswith(f"{manifest.name}.") or beside == path_for(manifest.name):  # else retention would remove another's
            raise ValueError(f"attachment: the name {beside!r} does not begin with that of the dump")
        return manifest
    except (ValueError, RecursionError) as error:
        raise PecError(f"{path} is not a complete manifest of a dump ({str(error)[: json_fields.SHOWN]}); {AGAIN}") from None


def digest(dump: Dump, on_bytes: Callable[[int], None] | None = None) -> tuple[dict[str, tuple[int, str]], str]:
    """Return the size and SHA-256 of each file of a directory, nothing for a file, and the SHA-256 of the dump as in a manifest."""
    if not dump.is_directory:
        return {}, pipeline.sha256_file(dump.descriptor(), on_bytes)[1]
    parts = {name: pipeline.sha256_file(dump.descriptor(name), on_bytes) for name in dump.parts()}
    return parts, copying.sum_of(parts)


def digest_directory(path: str, on_bytes: Callable[[int], None] | None = None) -> tuple[dict[str, tuple[int, str]], str]:
    """Return what C(digest) does for a directory of ours."""
    with opening.open_dump(path) as dump:
        return digest(dump, on_bytes)


def verify(dump: Dump, manifest: Manifest, on_bytes: Callable[[int], None] | None = None) -> str:
    """Read the whole dump and compare it with its manifest; return its SHA-256. Raises PecError with the first difference."""
    if not dump.is_directory and dump.bytes != manifest.bytes:
        raise PecError(f"{dump.path} has {dump.bytes} bytes, and its manifest says {manifest.bytes}; {AGAIN}")
    parts, sha256 = digest(dump, on_bytes)
    compare(dump.path, manifest, parts, sha256)
    return sha256


def compare(path: str, manifest: Manifest, parts: Mapping[str, tuple[int, str]], sha256: str) -> None:
    """Compare what C(digest) returned with a manifest. Raises PecError with the first difference."""
    for name in sorted({*parts, *manifest.files}):
        size, found = parts.get(name, (0, None))
        expected_size, expected = manifest.files.get(name, (0, None))
        part = os.path.join(path, name)
        if found is None:
            raise PecError(f"{part} is missing, and its manifest names it; {AGAIN}")
        if expected is None:
            raise PecError(f"{part} is not in the manifest of the dump; {AGAIN}")
        if size != expected_size:
            raise PecError(f"{part} has {size} bytes, and its manifest says {expected_size}; {AGAIN}")
        if found != expected:
            raise PecError(f"{part} was changed: its SHA-256 is {found}, its manifest says {expected}; {AGAIN}")
    if sha256 != manifest.sha256:
        raise PecError(f"{path} was changed: its SHA-256 is {sha256}, its manifest says {manifest.sha256}; {AGAIN}")


def list_backups(directory: str) -> tuple[list[Backup], list[str]]:
    """Return the dumps in a directory that have a manifest, newest first, and a sentence for each manifest that cannot be used.

    Only their existence and size are checked. Raises PecError when there is no such directory, or too many manifests in it.
    """
    if not os.path.isdir(directory):
        raise PecError(f"{directory} is not a directory on this host; check the path")
    names = sorted(name for name in os.listdir(directory) if name.endswith(SUFFIX) and not name.startswith("."))
    if len(names) > _MOST_MANIFESTS:
        raise PecError(f"{directory} has {len(names)} manifests, and more than {_MOST_MANIFESTS} are not read; move old dumps elsewhere")
    found, problems = [], []
    for path in (os.path.join(directory, name) for name in names):
        archive = path[: -len(SUFFIX)]
        try:
            manifest = read(path)
            if os.path.basename(archive) != manifest.name:
                raise PecError(f"{path} is the manifest of {manifest.name!r}; give it and its dump their names again, or remove it")
        except PecError as error:
            if os.path.lexists(archive) or _claims(path):
                problems.append(str(error))
            continue
        problem = _size_problem(archive, manifest) or _attachment_problem(directory, manifest)
        found.append(Backup(archive, _without_lists(manifest), problem))
    return sorted(found, key=lambda backup: (backup.manifest.ended, backup.path), reverse=True), problems


def _parts(archive: str, manifest: Manifest) -> list[tuple[str, tuple[int, str]]]:
    if manifest.format == "directory":
        return [(os.path.join(archive, name), part) for name, part in sorted(manifest.files.items())]
    return [(archive, (manifest.bytes, manifest.sha256))]


def _size_problem(archive: str, manifest: Manifest) -> str | None:
    for name, (size, _sha256) in _parts(archive, manifest):
        try:
            found = os.path.getsize(name)
        except OSError as error:
            return f"{name}: {error.strerror}; {AGAIN}"
        if found != size:
            return f"{name} has {found} bytes, and its manifest says {size}; {AGAIN}"
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


def _claims(path: str) -> bool:
    """Whether a file beside no dump was meant to be a manifest: other programs write JSON too."""
    try:
        return b'"schema"' in files.read_bytes(path, _LONGEST)
    except PecError:
        return False


def _without_lists(manifest: Manifest) -> Manifest:
    """Return what a listing needs: the rest of thousands of manifests would fill the memory."""
    held = manifest.contents
    return replace(
        manifest,
        contents=Contents({"tables": held.tables}, {}, held.large_objects, held.pec_version),
        fingerprint=None,
        sealed_fingerprint="",
        files={},
        recipients=manifest.recipients[:1],
        excluded_table_data=(),
        attachment=replace(manifest.attachment, paths=()) if manifest.attachment else None,
        notes=(),
    )


def _sum(value: object) -> list[object]:
    """The number of rows of a table, and their sum, which may be a text because it can be longer than a number in JSON."""
    if not isinstance(value, list) or len(value) != 2 or not isinstance(value[1], (str, int)):
        raise ValueError(f"{json_fields.words(value)} is not a number of rows and a sum")
    return [json_fields.whole(value[0]), value[1] if isinstance(value[1], int) else json_fields.text(value[1])]


def _part(value: object) -> tuple[int, str]:
    if not isinstance(value, list) or len(value) != 2:
        raise ValueError(f"{json_fields.words(value)} is not a size and a SHA-256")
    return json_fields.whole(value[0]), json_fields.text(value[1])


def _objects(value: object) -> object:
    counts = json_fields.mapping(json_fields.text, json_fields.whole)(value)
    if "tables" not in cast("dict[str, int]", counts):
        raise ValueError("tables is missing")
    return counts


_CONTENTS: Mapping[str, Callable[[object], object]] = {
    "objects": _objects,
    "sequences": json_fields.mapping(json_fields.key, json_fields.signed),
    "large_objects": json_fields.whole,
    "pec_version": json_fields.or_none(json_fields.text),
    "directions": json_fields.mapping(json_fields.key, json_fields.signed),
    "rules": json_fields.whole,
}
FINGERPRINT: Mapping[str, Callable[[object], object]] = {
    "method": json_fields.text,
    "rows": json_fields.whole,
    "digest": json_fields.text,
    "tables": json_fields.mapping(json_fields.key, _sum),
    "unproven": json_fields.texts,
}
_ATTACHMENT: Mapping[str, Callable[[object], object]] = {
    "name": json_fields.file_name,
    "bytes": json_fields.whole,
    "sha256": json_fields.text,
    "paths": json_fields.texts,
}
_FIELDS: Mapping[str, Callable[[object], object]] = {
    "name": json_fields.file_name,
    "format": json_fields.text,
    "compression": json_fields.text,
    "bytes": json_fields.whole,
    "sha256": json_fields.text,
    "started": json_fields.moment,
    "ended": json_fields.moment,
    "duration_seconds": json_fields.seconds,
    "database": json_fields.text,
    "host": json_fields.text,
    "database_bytes": json_fields.whole,
    "encoding": json_fields.text,
    "collation": json_fields.text,
    "ctype": json_fields.text,
    "server_version": json_fields.text,
    "server_version_num": json_fields.whole,
    "client_version": json_fields.text,
    "contents": lambda value: json_fields.record(Contents, _CONTENTS, value),
    "municipality": json_fields.text,
    "pec_version": json_fields.or_none(json_fields.text),
    "training": json_fields.or_none(json_fields.flag),
    "toc_entries": json_fields.or_none(json_fields.whole),
    "fingerprint": json_fields.or_none(lambda value: json_fields.record(Fingerprint, FINGERPRINT, value)),
    "sealed_fingerprint": json_fields.key,  # as it is
    "recipients": json_fields.texts,
    "schema_only": json_fields.flag,
    "excluded_table_data": json_fields.texts,
    "files": json_fields.mapping(json_fields.file_name, _part),
    "attachment": json_fields.or_none(lambda value: json_fields.record(Attachment, _ATTACHMENT, value)),
    "kept_by": json_fields.text,
    "notes": json_fields.texts,
}
