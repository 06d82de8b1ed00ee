# SPDX-License-Identifier: GPL-3.0-or-later
"""Delivers a backup to a remote: encrypted, compared, and never the only good one removed. Private to the collection."""

from __future__ import annotations

import contextlib
import json
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from ansible_collections.esus.pec.plugins.module_utils.archive.opening import Dump, open_dump
from ansible_collections.esus.pec.plugins.module_utils.backup import recording
from ansible_collections.esus.pec.plugins.module_utils.dump import manifest
from ansible_collections.esus.pec.plugins.module_utils.dump.manifest import Manifest
from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.system import files, pipeline, rclone
from ansible_collections.esus.pec.plugins.module_utils.system.rclone import Rclone, Remote

_HEAD = 64
_AGE = (b"age-encryption.org/v1\n", b"-----BEGIN AGE ENCRYPTED FILE-----")
_LONGEST_RECORD = 1 << 20
# The files of a set share what is before the first dot: município, database and time.
_SET = re.compile(r"(?P<source>.+)-(?P<time>\d{8}T\d{6}Z)\..+")


@dataclass(frozen=True)
class Desired:
    """C(path) is the dump, None for the newest backup. C(keep) is how many sets stay at the remote; 0: all."""

    remote: Remote
    path: str | None = None
    allow_plaintext: bool = False
    keep: int = 0
    link: bool = False


@dataclass(frozen=True)
class Parcel:
    """A set to deliver: the manifest is the last of C(names), and C(encryption) is age, crypt or none.

    C(directory) is for this process alone; under each of the names it has a link to the open file that was verified.
    """

    path: str
    manifest: Manifest
    names: tuple[str, ...]
    encryption: str
    directory: str
    dump: Dump


@dataclass(frozen=True)
class Plan:
    """C(upload) are files that the remote lacks or has with another size, C(remove) those of older sets that are no longer kept."""

    upload: tuple[str, ...]
    remove: tuple[str, ...]


@dataclass(frozen=True)
class Delivered:
    """C(verified) is how the files were compared: checksum or download. C(link) is None where the remote gives none."""

    upload: tuple[str, ...]
    remove: tuple[str, ...]
    verified: str
    link: str | None
    notes: tuple[str, ...]


@contextlib.contextmanager
def packed(desired: Desired) -> Iterator[Parcel]:
    """Verify the set on this host, and hold its files open, because the owner of the backups could put others in their place.

    Raises PecError if it is damaged, or would leave the host readable by others.
    """
    path = os.path.abspath(desired.path) if desired.path else _newest()
    made = manifest.read(manifest.path_for(path))
    if made.format == "directory":
        raise PecError(f"{path} is a dump in directory format, which is not delivered; make one with format: custom")
    with contextlib.ExitStack() as stack:
        directory = stack.enter_context(files.private_directory())
        dump = stack.enter_context(open_dump(path))
        manifest.verify(dump, made)
        held = {os.path.basename(path): dump.descriptor()}
        stack.callback(os.close, held[os.path.basename(path)])
        for name in [made.attachment.name] if made.attachment else []:
            held[name] = stack.enter_context(files.open_regular(os.path.join(os.path.dirname(path), name))).fileno()
            _verify(name, held[name], made)
        readable = [name for name, descriptor in held.items() if not os.pread(descriptor, _HEAD, 0).startswith(_AGE)]
        encryption = "age" if not readable else "crypt" if desired.remote.encrypts else "none"
        if encryption == "none" and not desired.allow_plaintext:
            raise PecError(
                f"{', '.join(readable)} would leave this host unencrypted, and the data of patients must be protected from unauthorised "
                "access (LGPD, Art. 46); make backups with recipients (role: pec_backup_recipients), use a remote of the type crypt, or "
                "set allow_plaintext to true (role: pec_delivery_allow_plaintext)"
            )
        last = manifest.path_for(path)
        held[os.path.basename(last)] = stack.enter_context(files.open_regular(last)).fileno()
        for name, descriptor in held.items():
            os.symlink(f"/proc/{os.getpid()}/fd/{descriptor}", os.path.join(directory, name))
        yield Parcel(path, made, tuple(held), encryption, directory, dump)


def plan(parcel: Parcel, there: Mapping[str, int], keep: int) -> Plan:
    """Decide, from the files at the remote, what to upload and, once that is verified, what to remove."""
    sizes = {name: os.path.getsize(os.path.join(parcel.directory, name)) for name in parcel.names}
    upload = tuple(name for name in parcel.names if there.get(name) != sizes[name])
    return Plan(upload, _superfluous(parcel, there, keep))


def deliver(program: Rclone, parcel: Parcel, planned: Plan, desired: Desired) -> Delivered:
    """Upload, compare, and only then remove. Raises PecError; then nothing was removed."""
    remote, notes = desired.remote, []
    if desired.keep and not _SET.fullmatch(parcel.names[0]):
        notes.append(f"keep was not applied, because {parcel.names[0]} has no date and time in its name")
    for name in planned.upload:
        _upload(program, parcel, remote, name)
    download = not program.hashes(remote)
    wrong = program.different(parcel.directory, remote, parcel.names, download=download)
    for name in wrong:
        _upload(program, parcel, remote, name)
    if wrong:
        still = program.different(parcel.directory, remote, wrong, download=download)
        if still:
            raise PecError(f"{', '.join(still)}: what {remote.text} has is not what was uploaded; nothing was removed there; run again")
    parcel.dump.require_unchanged()
    link = None
    if desired.link:
        ended = program.run("link", remote.at(parcel.names[0]))
        link = ended.stdout.strip() or None if ended.returncode == 0 else None
        if link is None:
            notes.append(f"{remote.text} gives no link: {rclone.reason(ended)}")
    for name in planned.remove:
        program.done(f"removing {remote.at(name)}", "deletefile", remote.at(name))
    upload = tuple(name for name in parcel.names if name in {*planned.upload, *wrong})
    return Delivered(upload, planned.remove, "download" if download else "checksum", link, tuple(notes))


def _newest() -> str:
    record = os.path.join(recording.DIRECTORY, "last-success.json")
    if not os.path.exists(record):
        raise PecError(f"{record} does not exist, so no backup was made here; run esus.pec.backup first, or give path")
    try:
        return str(json.loads(files.read_bytes(record, _LONGEST_RECORD))["path"])
    except (ValueError, KeyError, TypeError):
        raise PecError(f"{record} does not name a backup; run esus.pec.backup again, or give path") from None


def _verify(name: str, descriptor: int, made: Manifest) -> None:
    expected = made.attachment.sha256 if made.attachment else ""
    found = pipeline.sha256_file(os.dup(descriptor))[1]
    if found != expected:
        raise PecError(f"{name} was changed: its SHA-256 is {found}, its manifest says {expected}; make a new backup")


def _upload(program: Rclone, parcel: Parcel, remote: Remote, name: str) -> None:
    """Whatever is there under this name is wrong, so times do not matter."""
    program.done(
        f"uploading {name} to {remote.text}",
        *("copyto", "--ignore-times", "--retries", "5", "--low-level-retries", "20"),
        *(os.path.join(parcel.directory, name), remote.at(name)),
    )


def _superfluous(parcel: Parcel, there: Mapping[str, int], keep: int) -> tuple[str, ...]:
    """Return the files of all but the newest complete sets of the same município and database, each set's manifest first.

    A set without a manifest or a dump counts as none: it is neither counted nor removed. The delivered one always stays.
    """
    own = _SET.fullmatch(parcel.names[0])
    if keep < 1 or own is None:
        return ()
    sets: dict[str, list[str]] = {}
    for name in there:
        found = _SET.fullmatch(name)
        if found and found["source"] == own["source"] and found["time"] != own["time"]:
            sets.setdefault(found["time"], []).append(name)
    complete = [time for time, names in sets.items() if _is_complete(names, there)]
    older = sorted(complete, reverse=True)[keep - 1 :]
    return tuple(name for time in older for name in sorted(sets[time], key=lambda name: (not name.endswith(manifest.SUFFIX), name)))


def _is_complete(names: list[str], there: Mapping[str, int]) -> bool:
    """Whether there is a manifest, and the dump that it is named after."""
    return any(name.endswith(manifest.SUFFIX) and there.get(name[: -len(manifest.SUFFIX)], 0) > 0 for name in names)
