# SPDX-License-Identifier: GPL-3.0-or-later
"""A program in one file, made from the very code that runs now, for when no Ansible is there to bring it."""

from __future__ import annotations

import ast
import hashlib
import importlib
import importlib.util
import io
import os
import sys
import zipfile
from dataclasses import dataclass

from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.system import files, process

_HERE = __name__.rpartition(".system.")[0]
_OLDEST_PYTHON = (3, 8)
_SYSTEM_PYTHON = "/usr/bin/python3"
_EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest that a zip can tell
_MODE = 0o755


@dataclass(frozen=True)
class File:
    """A program as it is or is to be. No content: it is not there."""

    content: bytes | None
    mode: int | None = _MODE

    @property
    def sha256(self) -> str | None:
        return None if self.content is None else hashlib.sha256(self.content).hexdigest()

    def __str__(self) -> str:
        return "absent\n" if self.content is None else f"mode {self.mode:04o}, SHA-256 {self.sha256}\n"


def read_current(path: str) -> File:
    """Return the program that is there."""
    try:
        mode = os.stat(path).st_mode & 0o7777
    except FileNotFoundError:
        return File(None)
    return File(files.read_bytes(path), mode)


def read_desired(main: str, state: str) -> File:
    """Return the program that calls C(main.main(arguments)), or none when the state is absent."""
    return File(build(main, interpreter()) if state == "present" else None)


def apply(path: str, desired: File) -> None:
    """Make it so. Raises PecError, or OSError when it cannot be removed."""
    if desired.content is None:
        os.unlink(path)
    else:
        files.write_atomic(path, desired.content, mode=_MODE)


def build(main: str, interpreter: str) -> bytes:
    """Return a program that calls C(main.main(arguments)), a module beside this one, with all that it imports from here.

    The same code always gives the same bytes: nothing is compressed, because what comes out of that depends on the host.
    """
    room, _, leaf = f"{_HERE}.{main}".rpartition(".")
    stub = f"import sys\nfrom {room} import {leaf}\nsys.exit({leaf}.main(sys.argv[1:]))\n"
    entries = {"__main__.py": stub}
    package = ""
    for part in _HERE.split("."):
        package += part + "/"
        entries[package + "__init__.py"] = ""
    for name, source in _sources(main).items():
        entries[f"{package}{name.replace('.', '/')}.py"] = source
        if "." in name:
            entries[f"{package}{name.rpartition('.')[0].replace('.', '/')}/__init__.py"] = ""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, source in sorted(entries.items()):
            archive.writestr(zipfile.ZipInfo(name, _EPOCH), source.encode())
    return b"#!" + interpreter.encode() + b"\n" + stream.getvalue()


def interpreter() -> str:
    """Return the Python for a program that stays: the system's, which survives its upgrades, unless that is too old or missing."""
    script = f"import sys; sys.exit(sys.version_info < {_OLDEST_PYTHON})"
    try:
        answer = process.run([_SYSTEM_PYTHON, "-c", script])
    except PecError:
        return sys.executable
    return _SYSTEM_PYTHON if answer.returncode == 0 else sys.executable


def _sources(main: str) -> dict[str, str]:
    """The sources of a module and of all that it imports from this package; no matter what else happens to be loaded."""
    found: dict[str, str] = {}
    waiting = [main]
    while waiting:
        name = waiting.pop()
        if name not in found:
            found[name] = _source(name)
            waiting += _imported(found[name])
    return found


def _source(name: str) -> str:
    loader = getattr(importlib.import_module(f"{_HERE}.{name}").__spec__, "loader", None)
    get_source = getattr(loader, "get_source", None)
    source = get_source(f"{_HERE}.{name}") if get_source else None
    if not isinstance(source, str):
        raise PecError(f"the source of {name} is not to be had here, so the program cannot be made; report this as a bug")
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
    except ModuleNotFoundError:  # its parent is no package
        return False
