# SPDX-License-Identifier: GPL-3.0-or-later
"""The Java that runs the installer: its launcher, its environment, and a file for its arguments. Private to the collection."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence

from ansible_collections.esus.pec.plugins.module_utils import beliefs
from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.system import files, host, process

ARGUMENTS_PREFIX = "java-arguments-"


def find(named: str | None = None) -> str:
    """Return the launcher C(named), else the best on this host: of the releases that the installer accepts, the one nearest to its own.

    PEC's own Java is left out, because the installer replaces it. Raises PecError when there is none, and when another account can change
    it, because the installer runs as root.
    """
    if named:
        _require_ours(named)
        return named
    homes = tuple(f"{home}/" for home in beliefs.HOMES)
    usable = [java for java in host.java() if java.major >= beliefs.JAVA_MAJOR and not java.path.startswith(homes)]
    if not usable:
        remedy = "install one (Debian: default-jre-headless) or set java to its path"
        raise PecError(f"no Java {beliefs.JAVA_MAJOR} or newer on this host; {remedy}")
    ours = [java for java in usable if not any(map(files.changers, parts(java.path)))]
    best = min(ours or usable, key=lambda java: java.major).path
    _require_ours(best)
    return best


def parts(launcher: str) -> list[str]:
    """Return the launcher, and what it loads."""
    library = os.path.join(os.path.dirname(os.path.dirname(os.path.realpath(launcher))), "lib")
    return [launcher, *(path for path in (library, os.path.join(library, "modules")) if os.path.exists(path))]


def _require_ours(launcher: str) -> None:
    for path in parts(launcher):
        files.require_ours(path, "the Java for the installer")


def require_plain(java_options: Sequence[str]) -> None:
    """Raise PecError for an option that Java would not get as it is."""
    for number, option in enumerate(java_options, 1):
        if any(ord(character) < ord(" ") or character == "\x7f" for character in option):
            raise PecError(
                f"option {number} of java_options has a line break or another control character in it; set each option on its own"
            )


def environment(java_options: Sequence[str]) -> Mapping[str, str]:
    """Return the environment of the installer. The bundled PostgreSQL inherits the locale, so its databases sort as Portuguese does."""
    spelled = beliefs.LOCALE.replace("UTF-8", "utf8")
    language = beliefs.LOCALE if spelled in host.locales() else "C.UTF-8"
    variables = {"PATH": process.search_path(), "HOME": os.path.expanduser("~root"), "LANG": language, "LC_ALL": language}
    return {**variables, "JAVA_TOOL_OPTIONS": " ".join(java_options)} if java_options else variables


@contextlib.contextmanager
def arguments_file(arguments: Sequence[str], directory: str) -> Iterator[str]:
    """Yield the path of a file for C(java @file), because arguments carry secrets. Whoever uses it may remove it earlier."""
    text = quote_arguments(arguments)
    try:
        handle, path = tempfile.mkstemp(prefix=ARGUMENTS_PREFIX, dir=directory)
    except OSError as error:
        raise PecError(f"cannot write the installer's arguments to {directory}: {error.strerror}; check its disk") from None
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            stream.write(text)
    except OSError as error:
        os.unlink(path)
        raise PecError(f"cannot write the installer's arguments to {path}: {error.strerror}; check its disk") from None
    try:
        yield path
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)


def quote_arguments(arguments: Sequence[str]) -> str:
    """Return the text of such a file: each argument quoted by the rules of the Java launcher."""
    return "".join(f"{_quote(argument)}\n" for argument in arguments)


def _quote(argument: str) -> str:
    if "\0" in argument:
        raise PecError("an argument of the installer holds a null character; correct the password or the path")
    escaped = argument.replace("\\", "\\\\").replace('"', '\\"')
    for character, escape in (("\n", "\\n"), ("\r", "\\r"), ("\t", "\\t"), ("\f", "\\f")):
        escaped = escaped.replace(character, escape)
    return f'"{escaped}"'
