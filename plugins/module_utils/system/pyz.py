# SPDX-License-Identifier: GPL-3.0-or-later
"""Builds a program in one file from the code that runs now, for use without Ansible. Private to the collection."""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import io
import os
import sys
import zipfile
from dataclasses import dataclass
from typing import Callable, List

from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.system import files, process

_HERE = __name__.rpartition(".system.")[0]
_OLDEST_PYTHON = (3, 8)
_SYSTEM_PYTHON = "/usr/bin/python3"
_EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest date that a zip can hold
_MODE = 0o755

Entry = Callable[[List[str]], int]
"""A function beside this room that takes the arguments and returns the exit status."""


@dataclass(frozen=True)
class File:
    """A program, current or desired. C(content) is None when it is absent."""

    content: bytes | None
    mode: int | None = _MODE
    uid: int = 0

    @property
    def sha256(self) -> str | None:
        return None if self.content is None else hashlib.sha256(self.content).hexdigest()

    def __str__(self) -> str:
        return "absent\n" if self.content is None else f"owner {self.uid}, mode {self.mode:04o}, SHA-256 {self.sha256}\n"


def read_current(path: str) -> File:
    """Return the program at this path. Raises PecError when it cannot be read, and when another account can swap it.

    Then the program would run with our rights what that account puts there.
    """
    directory = os.path.dirname(path)
    if os.path.isdir(directory):
        files.require_ours(directory, "the directory of the program")
    if not os.path.exists(path):
        return File(None)
    content, status = files.read(path)
    return File(content, status.st_mode & 0o7777, status.st_uid)


def read_desired(entry: Entry, state: str) -> File:
    """Return the program that calls C(entry), or none when the state is absent."""
    if state != "present":
        return File(None)
    python = interpreter()
    files.require_ours(python, "the Python of the program")
    return File(build(entry, python), uid=os.geteuid())


def apply(path: str, desired: File) -> None:
    """Write or remove the program. Raises PecError when that fails."""
    if desired.content is not None:
        files.write_atomic(path, desired.content, mode=_MODE, uid=desired.uid, gid=os.getegid())
        return
    files.unlink(path)


def build(entry: Entry, interpreter: str) -> bytes:
    """Return a program that calls C(entry), with everything that its module imports from the collection.

    The same code always gives the same bytes: nothing is compressed, because compressed bytes depend on the host's zlib.
    """
    stub = f"import sys\nfrom {entry.__module__} import {entry.__name__}\nsys.exit({entry.__name__}(sys.argv[1:]))\n"
    entries = {"__main__.py": stub}
    package = ""
    for part in _HERE.split("."):
        package += part + "/"
        entries[package + "__init__.py"] = ""
    for name, source in _sources(entry.__module__[len(_HERE) + 1 :]).items():
        entries[f"{package}{name.replace('.', '/')}.py"] = source
        if "." in name:
            entries[f"{package}{name.rpartition('.')[0].replace('.', '/')}/__init__.py"] = ""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, source in sorted(entries.items()):
            archive.writestr(zipfile.ZipInfo(name, _EPOCH), source.encode())
    return b"#!" + interpreter.encode() + b"\n" + stream.getvalue()


def interpreter() -> str:
    """Return the Python for a program that stays: the system's, which survives upgrades, unless it is too old or missing."""
    script = f"import sys; sys.exit(sys.version_info < {_OLDEST_PYTHON})"
    try:
        answer = process.run([_SYSTEM_PYTHON, "-c", script])
    except PecError:
        return sys.executable
    return _SYSTEM_PYTHON if answer.returncode == 0 else sys.executable


def _sources(main: str) -> dict[str, str]:
    """The sources of a module and of everything that it imports from this package, directly or not."""
    found: dict[str, str] = {}
    waiting = [main]
    while waiting:
        name = waiting.pop()
        if name not in found:
            found[name] = _source(name)
            waiting += _imported(found[name])
    return found


def _source(name: str) -> str:
    loader = getattr(importlib.util.find_spec(f"{_HERE}.{name}"), "loader", None)
    get_source = getattr(loader, "get_source", None)
    source = get_source(f"{_HERE}.{name}") if get_source else None
    if not isinstance(source, str):
        raise PecError(f"cannot build the program: the source of {name} is not available on this host; report this as a bug")
    return source


def _imported(source: str) -> list[str]:
    names: list[str] = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and (node.module == _HERE or (node.module or "").startswith(_HERE + ".")):
            below = str(node.module)[len(_HERE) + 1 :]
            for alias in node.names:
                whole = f"{below}.{alias.name}" if below else alias.name
                names.append(whole if _is_module(whole) else below)
    return names


def _is_module(name: str) -> bool:
    try:
        return importlib.util.find_spec(f"{_HERE}.{name}") is not None
    except ModuleNotFoundError:  # its parent is not a package
        return False
