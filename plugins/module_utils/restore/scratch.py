# SPDX-License-Identifier: GPL-3.0-or-later
"""A place for the copy of a dump that programs without rights have to open by name. Private to the collection."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator

from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.system import confinement, files

PARENT = "/var/lib/esus-pec/restoring"


@contextlib.contextmanager
def directory(name: str) -> Iterator[str]:
    """Yield an empty directory of root's, in which only the account without rights can read what C(add) puts there.

    It is removed at the end; what a killed run left under this C(name) is removed first. Raises PecError if it cannot be created.
    """
    place = os.path.join(PARENT, name)
    try:
        os.makedirs(PARENT, exist_ok=True)
        files.require_ours(PARENT, "the directory for copies of dumps")
        shutil.rmtree(place, ignore_errors=True)
        os.mkdir(place)
        above = os.path.dirname(PARENT)  # the timers' programs and sudo may have made it for root alone
        os.chmod(above, os.stat(above).st_mode & 0o777 | 0o111)  # noqa: S103
        for directory in (PARENT, place):
            os.chmod(directory, 0o711)  # noqa: S103  # nosec B103  # to be passed through, not listed
    except OSError as error:
        raise PecError(files.cannot("create the directory", place, error)) from None
    try:
        yield place
    finally:
        shutil.rmtree(place, ignore_errors=True)


def add(place: str, name: str, descriptor: int) -> None:
    """Copy an open file, which is then closed, into the directory, for the account without rights to read."""
    path = os.path.join(place, name)
    made = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o400)
    with open(descriptor, "rb") as source, open(made, "wb") as target:
        shutil.copyfileobj(source, target)
        confinement.lend(target.fileno())
