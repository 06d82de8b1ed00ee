# SPDX-License-Identifier: GPL-3.0-or-later
"""The directory of backups. What stands in it under its own name is whole; what is unfinished is in a directory inside it.

A set is the dump, its manifest and the archive of files. The manifest arrives last and leaves first, so that a set of which a run that
was killed did one half is never taken for a backup, and the next run knows what to remove.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import stat
from collections.abc import Iterator

from ansible_collections.esus.pec.plugins.module_utils.backup.retention import Dated, Policy, local_time, prune
from ansible_collections.esus.pec.plugins.module_utils.dump import manifest
from ansible_collections.esus.pec.plugins.module_utils.dump.manifest import Backup, Manifest
from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.system import files

# Of this server alone: others may be at work in the same directory.
UNFINISHED = f".unfinished-{socket.gethostname()}"
# Of a manifest: a dump that somebody made by hand is neither counted nor removed, wherever it lies.
KEPT_BY = "esus.pec.backup"


@contextlib.contextmanager
def workshop(directory: str) -> Iterator[tuple[str, list[str]]]:
    """Give a place inside the directory where a set is made, and what had to be removed first; afterwards the place is gone."""
    place = os.path.join(directory, UNFINISHED)
    try:
        removed = _clear(directory, place)
        os.mkdir(place, 0o700)
    except OSError as error:
        raise PecError(f"cannot make {place}: {error.strerror}; look at that directory and its disk") from None
    try:
        yield place, removed
    finally:
        with contextlib.suppress(OSError):  # the next run does it, or tells why not
            _clear(directory, place)


def require(directory: str) -> None:
    """Raises PecError unless the directory is there."""
    if not os.path.isdir(directory):
        raise PecError(f"there is no directory {directory} for the backups; mount it, or set the backup up again (role pec_backup)")


def publish(directory: str, archive: str, made: Manifest) -> str:
    """Move a set that is whole out of the workshop; return where its dump is now."""
    final = os.path.join(directory, made.name)
    names = _names(made)
    taken = [name for name in names if os.path.lexists(os.path.join(directory, name))]
    if taken:
        os.unlink(manifest.path_for(archive))  # or what has that name would be taken for a part of this set
        raise PecError(f"{directory} has a file {taken[0]} already, which is not replaced; run the backup again")
    _move(os.path.dirname(archive), directory, reversed(names))
    return final


def retire(directory: str, backup: Backup) -> None:
    """Remove a set."""
    with workshop(directory) as (place, _removed):
        _move(directory, place, _names(backup.manifest))


def prunable(directory: str, policy: Policy, made: Dated) -> tuple[list[Backup], list[str]]:
    """Return the sets that may go because the one just made (or yet to be made) is there, and what is wrong with sets that stay.

    Dumps that were not made by a backup do not matter here. A set that is not whole is never counted, and never removed either:
    somebody has to look at it.
    """
    whole: dict[str, Backup] = {}
    wrong = []
    for backup in manifest.list_backups(directory):
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
    """Return a backup as retention sees it: what other machines put into the same directory counts for itself."""
    return Dated(made.name, made.ended, (made.host, made.database, made.municipality))


def _undated(backup: Backup) -> str | None:
    try:
        local_time(backup.manifest.ended)
    except PecError as error:
        return f"{manifest.path_for(backup.path)}: {error}"
    return None


def _names(made: Manifest) -> list[str]:
    """The files of a set, the manifest first."""
    return [manifest.path_for(made.name), made.name, *([made.attachment.name] if made.attachment else [])]


def _move(source: str, target: str, names: Iterator[str] | list[str]) -> None:
    try:
        for name in names:
            os.rename(os.path.join(source, name), os.path.join(target, name))
            files.sync_directory(target)
    except OSError as error:
        raise PecError(f"cannot move a backup from {source} to {target}: {error.strerror}") from None


def _clear(directory: str, place: str) -> list[str]:
    """Remove the workshop, and what a dead run moved out of it or was about to move into it; return what there was of that."""
    if not os.path.lexists(place):
        return []
    if not stat.S_ISDIR(os.lstat(place).st_mode):
        raise PecError(f"{place} is not a directory, and backups are made there; remove it")
    found = sorted(os.listdir(place))
    for name in found:
        if name.endswith(manifest.SUFFIX) and not os.path.lexists(os.path.join(directory, name)):
            for part in _parts(os.path.join(place, name)):
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(os.path.join(directory, part))
    shutil.rmtree(place)
    return found


def _parts(path: str) -> list[str]:
    """The names of the files of the set that a manifest in the workshop is of; none when it is broken, or not of what it lies beside."""
    try:
        names = _names(manifest.read(path))
    except PecError:
        return []
    return names if names[0] == os.path.basename(path) else []
