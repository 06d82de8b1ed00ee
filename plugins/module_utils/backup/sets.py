# SPDX-License-Identifier: GPL-3.0-or-later
"""The directory of backups: complete sets, and one subdirectory for the set that is being made. Private to the collection.

A set is the dump, its manifest and the archive of files. The manifest arrives last and leaves first. So half of a set, left by a killed
run, is never taken for a backup, and the next run knows what to remove.
"""

from __future__ import annotations

import contextlib
import grp
import os
import pwd
import socket
import stat
from collections.abc import Iterable, Iterator

from ansible_collections.esus.pec.plugins.module_utils.backup.retention import Dated, Policy, local_time, prune
from ansible_collections.esus.pec.plugins.module_utils.dump import manifest
from ansible_collections.esus.pec.plugins.module_utils.dump.manifest import Backup, Manifest
from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.system import files
from ansible_collections.esus.pec.plugins.module_utils.system.directory import Directory, opened

# With the name of this server, because others may use the same directory.
UNFINISHED = f".unfinished-{socket.gethostname()}"
# Marks the manifests of backups: a dump made by hand is neither counted nor removed.
KEPT_BY = "esus.pec.backup"


@contextlib.contextmanager
def workshop(directory: str) -> Iterator[tuple[str, list[str]]]:
    """Yield a subdirectory in which to make a set, and the names that had to be removed first. It is removed afterwards."""
    place = os.path.join(directory, UNFINISHED)
    try:
        with opened(directory) as here:
            removed = _clear(here)
            here.make(UNFINISHED).close()
    except OSError as error:
        raise PecError(f"cannot create {place}: {error.strerror}; check that directory and its disk") from None
    try:
        yield place, removed
    finally:
        with contextlib.suppress(OSError, PecError), opened(directory) as here:  # the next run removes it, or fails with the reason
            _clear(here)


def require(directory: str) -> None:
    """Raise PecError unless the directory exists."""
    if not files.is_directory(directory):
        raise PecError(f"the directory for backups, {directory}, does not exist; mount it, or run the role pec_backup again")


def prepare(directory: str, owner: str, group: str, *, check: bool = False) -> bool:
    """Make the directory for the account that owns the backups, or correct an existing one; return whether there was anything to do.

    check: nothing is done. Raises PecError, also at a link by which that account may lead to a directory of root's.
    """
    try:
        uid, gid = pwd.getpwnam(owner).pw_uid, grp.getgrnam(group).gr_gid
    except KeyError as error:
        raise PecError(f"{directory}: {error.args[0]}; create that account or group, or correct its name") from None
    return files.keep_directory(directory, mode=0o700, uid=uid, gid=gid, check=check)


def publish(directory: str, archive: str, made: Manifest) -> str:
    """Move a complete set out of the workshop; return the new path of its dump."""
    final = os.path.join(directory, made.name)
    names = _names(made)
    with _moving(directory) as (here, place):
        taken = [name for name in names if here.status(name) is not None]
        if taken:
            # Otherwise the file of that name would be taken for a part of this set.
            place.unlink(os.path.basename(manifest.path_for(archive)))
            raise PecError(f"{directory} already has a file {taken[0]}, which is not replaced; run the backup again")
        _move(place, here, reversed(names))
    return final


def retire(directory: str, backup: Backup) -> None:
    """Remove a set."""
    with workshop(directory), _moving(directory) as (here, place):
        _move(here, place, _names(backup.manifest))


def prunable(directory: str, policy: Policy, made: Dated) -> tuple[list[Backup], list[str]]:
    """Return the sets that the policy no longer keeps beside the new one (made or planned), and the problems of incomplete sets.

    Only dumps made by a backup count. An incomplete set is neither counted nor removed: an operator has to look at it.
    """
    whole: dict[str, Backup] = {}
    found, wrong = manifest.list_backups(directory)
    for backup in found:
        if backup.manifest.kept_by != KEPT_BY:
            continue
        problem = backup.problem or _undated(backup)
        if problem:
            wrong.append(problem)
        else:
            whole[backup.manifest.name] = backup
    dated = {name: dated_as(backup.manifest) for name, backup in whole.items()}
    dated[made.name] = made
    return [whole[name] for name in prune(dated.values(), policy, keep=[made.name])], wrong


def dated_as(made: Manifest) -> Dated:
    """Return a backup as retention counts it: each server, database and município for itself."""
    return Dated(made.name, made.ended, (made.host, made.database, made.municipality))


def _undated(backup: Backup) -> str | None:
    try:
        local_time(backup.manifest.ended)
    except PecError as error:
        return f"{manifest.path_for(backup.path)}: {error}"
    return None


def _names(made: Manifest) -> list[str]:
    """Return the files of a set, the manifest first."""
    return [manifest.path_for(made.name), made.name, *([made.attachment.name] if made.attachment else [])]


@contextlib.contextmanager
def _moving(directory: str) -> Iterator[tuple[Directory, Directory]]:
    """Yield the directory of backups and its workshop, held open: the account that owns the backups may replace either meanwhile."""
    try:
        with opened(directory) as here, here.enter(UNFINISHED) as place:
            yield here, place
    except OSError as error:
        raise PecError(f"cannot move a backup within {directory}: {error.strerror}; check that directory and its disk") from None


def _move(source: Directory, target: Directory, names: Iterable[str]) -> None:
    for name in names:
        source.rename(name, target, name)
        target.sync()


def _clear(here: Directory) -> list[str]:
    """Remove the workshop and the parts of its sets that a killed run left outside it; return the names found in it."""
    status = here.status(UNFINISHED)
    if status is None:
        return []
    if not stat.S_ISDIR(status.st_mode):
        raise PecError(f"{here.at(UNFINISHED)} is not a directory, but backups are made there; remove it")
    with here.enter(UNFINISHED) as place:
        found = place.names()
    for name in found:
        if name.endswith(manifest.SUFFIX) and here.status(name) is None:
            for part in _parts(place.at(name)):
                with contextlib.suppress(FileNotFoundError):
                    here.unlink(part)
    here.remove(UNFINISHED)
    return found


def _parts(path: str) -> list[str]:
    """Return the file names of the set that a manifest in the workshop describes; none for a broken or foreign manifest."""
    try:
        names = _names(manifest.read(path))
    except PecError:
        return []
    return names if names[0] == os.path.basename(path) else []
