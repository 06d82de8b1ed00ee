# SPDX-License-Identifier: GPL-3.0-or-later
"""An account without rights, as which root runs the programs that read what comes from outside. Private to the collection.

It has a number and no name, owns no file, and is of no group, so such a program reaches only what everybody may read and the descriptors
that it inherits.
"""

from __future__ import annotations

import functools
import itertools
import os
import pwd
from collections.abc import Iterator

from ansible_collections.esus.pec.plugins.module_utils.errors import PecError

# The numbers that systemd reserves for accounts that exist only while a service runs (systemd.io/UIDS-GIDS): nobody owns a file by them.
_NUMBERS = range(61184, 65520)


@functools.lru_cache(maxsize=1)
def _free() -> tuple[int, int]:
    """Two numbers that no account and no running process has. Raises PecError if too many are in use."""
    begin = os.getpid() % len(_NUMBERS)
    taken = set(_owners())
    free = (number for number in (*_NUMBERS[begin:], *_NUMBERS[:begin]) if number not in taken and not _named(number))
    found = tuple(itertools.islice(free, 2))
    if len(found) < 2:
        raise PecError(f"the numbers of accounts from {_NUMBERS.start} to {_NUMBERS.stop - 1} are in use; restart this host")
    return found[0], found[1]


def uid() -> int:
    """Return the number of the account that reads what comes from outside. It stays the same in this process. Raises PecError."""
    return _free()[0]


def keeper() -> int:
    """Return the number of the account of programs that hold a secret, such as a password or a private key.

    A program that was taken over by what it reads must not find the secrets of the others in /proc. Raises PecError.
    """
    return _free()[1]


def active() -> bool:
    """Return whether programs can be confined: only root may become another account. Another user's programs have that user's rights."""
    return os.geteuid() == 0


def owner() -> int:
    """Return whose files a confined program may read: those of the account, or ours if nothing can be confined."""
    return uid() if active() else os.geteuid()


def become(*, secret: bool = False) -> list[str]:
    """Return the options by which C(setpriv) becomes the account, or the one of programs that hold a C(secret)."""
    number = str(keeper() if secret else uid())
    return ["--reuid", number, "--regid", number, "--clear-groups", "--inh-caps", "-all", "--no-new-privs"]


def lend(descriptor: int) -> None:
    """Give a pipe, a file in memory or a directory of ours to the account, so that a confined program can open it as /dev/fd/N."""
    if active():
        os.fchown(descriptor, uid(), uid())


def _named(number: int) -> bool:
    try:
        pwd.getpwuid(number)
    except KeyError:
        return False
    return True


def _owners() -> Iterator[int]:
    """The accounts of all running processes."""
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                yield os.stat(f"/proc/{name}").st_uid
            except OSError:
                continue
