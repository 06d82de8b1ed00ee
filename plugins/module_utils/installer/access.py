# SPDX-License-Identifier: GPL-3.0-or-later
"""Who may read what the installer wrote. Private to the collection.

The bundled PostgreSQL's account needs its programs, which an installation under umask 077 closed. Nobody else needs PEC's passwords.
"""

from __future__ import annotations

import contextlib
import glob
import os
import stat
from collections.abc import Iterable

from ansible_collections.esus.pec.plugins.module_utils import beliefs
from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.pec.installation import Installation
from ansible_collections.esus.pec.plugins.module_utils.system import files

_DATABASE = beliefs.BUNDLED_CLIENTS.partition("/")[0]
_PROGRAMS = ("bin", "lib", "share", "scripts", "installer")


def open_to_database(home: str | None) -> None:
    """Let every account enter the directories of the bundled PostgreSQL, and read its programs. Its data and PEC's secrets lie elsewhere.

    Only what is root's, in directories of root's, is changed. Raises PecError when that fails.
    """
    above = os.path.join(home, _DATABASE) if home else ""
    if not os.path.isdir(above):
        return
    ways = [os.path.realpath(path) for path in (home, above, *glob.glob(os.path.join(glob.escape(above), "*"))) if path]
    try:
        for way in dict.fromkeys(ways):
            if os.path.isdir(way) and not files.changers(way):
                _open(way, os.stat(way))
                for program in (os.path.join(way, name) for name in _PROGRAMS if os.path.dirname(way) == os.path.realpath(above)):
                    for entry in files.walk(program):
                        if not entry.here.shared:
                            _open(entry.place(), entry.status)
    except OSError as error:
        raise PecError(files.cannot("change the modes below", above, error)) from None


def closed_to_others(here: Installation) -> list[str]:
    """Return the files with passwords that other accounts may not read."""
    return [path for path in here.secret_files if not os.stat(path).st_mode & 0o007]


def close_to_others(paths: Iterable[str]) -> None:
    """Take from others what the installer gave them when it wrote the files anew. A file that another account can swap is left."""
    for path in paths:
        with contextlib.suppress(PecError), files.open_regular(path) as stream:
            mode = stat.S_IMODE(os.fstat(stream.fileno()).st_mode)
            if mode & 0o007:
                os.fchmod(stream.fileno(), mode & 0o770)


def _open(path: str, status: os.stat_result) -> None:
    """Give others what root has, but for writing."""
    mode = stat.S_IMODE(status.st_mode)
    readable = mode & 0o500
    wanted = mode | readable >> 3 | readable >> 6
    if status.st_uid == 0 and wanted != mode and not stat.S_ISLNK(status.st_mode):
        os.chmod(path, wanted)
