# SPDX-License-Identifier: GPL-3.0-or-later
"""The Java that runs the installer: its launcher, its environment, and a file for its arguments. Private to the collection."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence

from ansible_collections.esus.pec.plugins.module_utils import beliefs
from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.system import host, process

ARGUMENTS_PREFIX = "java-arguments-"


def find() -> str:
    """Return the best launcher on this host: of the releases that the installer accepts, the one nearest to that it was built for.

    PEC's own Java is left out, because the installer replaces it. Raises PecError when there is none.
    """
    homes = tuple(f"{home}/" for home in beliefs.HOMES)
    usable = [java for java in host.java() if java.major >= beliefs.JAVA_MAJOR and not java.path.startswith(homes)]
    if not usable:
        raise PecError(f"no Java {beliefs.JAVA_MAJOR} or newer on this host; install one (Debian: default-jre-headless) or name it in java")
    return min(usable, key=lambda java: java.major).path


def environment(java_options: Sequence[str]) -> Mapping[str, str]:
    """Return the environment of the installer. The bundled PostgreSQL inherits the locale, so its databases sort as Portuguese does."""
    spelled = beliefs.LOCALE.replace("UTF-8", "utf8")
    language = beliefs.LOCALE if spelled in host.locales() else "C.UTF-8"
    variables = {"PATH": process.SYSTEM_PATH, "HOME": os.path.expanduser("~root"), "LANG": language, "LC_ALL": language}
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
