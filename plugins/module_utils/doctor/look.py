# SPDX-License-Identifier: GPL-3.0-or-later
"""Looks at everything that the doctor judges, and at the installer and the logs itself. Changes nothing. Private to the collection."""

from __future__ import annotations

import glob
import os
import zipfile
from collections.abc import Sequence
from dataclasses import replace

from ansible_collections.esus.pec.plugins.module_utils import beliefs
from ansible_collections.esus.pec.plugins.module_utils.doctor import look_database, look_files, look_host, look_web
from ansible_collections.esus.pec.plugins.module_utils.doctor.facts import Facts, JarSeen, WebSeen
from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.installer import jar
from ansible_collections.esus.pec.plugins.module_utils.pec import installation
from ansible_collections.esus.pec.plugins.module_utils.redact import Redactor
from ansible_collections.esus.pec.plugins.module_utils.system import files

INSTALLER_LOGS = "var/log/esus-pec/*"
INSTALLER_PLACES = ("root", "opt", "opt/e-SUS", "srv", "home/*", "tmp", "var/cache/esus-pec", "var/lib/esus-pec")

_TEXTS = {belief.id: belief.value for belief in beliefs.BELIEFS if belief.id.startswith("text-")}
_LOG_BYTES = 4 << 20
_LOGS = 12
_CLASS_BYTES = 1 << 20
_ANOTHER_NAME = "0.0.0"


def look_at_server(jar_path: str | None = None, simultaneous_users: int = 40, root: str = "/") -> Facts:
    """Return everything to judge, without secrets. Raises PecError if a file of PEC cannot be read."""
    found = installation.discover(root)
    clean = Redactor(look_files.secrets(found))
    seen_files = look_files.look_at_files(found, root)
    database = look_database.look_at_database(found, clean)
    link = database.facts.installation_link if database.facts else None
    logs = _logs(found, root)
    installer = jar_path or _find_jar(root)
    return Facts(
        installation=_without_secrets(found, clean),
        files=seen_files,
        host=look_host.look_at_host(found, clean),
        database=database,
        web=WebSeen() if found.state == "absent" else look_web.look_at_web(found, link),
        jar=see_jar(installer) if installer else None,
        logs=logs,
        said=said_in(logs),
        simultaneous_users=simultaneous_users,
    )


def see_jar(path: str) -> JarSeen:
    """Return what the installer's file contains; it is not run."""
    try:
        named = beliefs.JAR_NAME.fullmatch(os.path.basename(path))
        main_class = jar.inspect(path, version="" if named else _ANOTHER_NAME).main_class
        with zipfile.ZipFile(path) as archive:
            names = set(archive.namelist())
            return JarSeen(
                path,
                main_class=main_class,
                missing=tuple(name for name in beliefs.JAR_CONTENTS if name not in names),
                constants=_constants(archive),
            )
    except PecError as error:
        return JarSeen(path, problem=str(error))
    except jar.UNREADABLE as error:
        return JarSeen(path, problem=f"{path} is not a jar, or not a whole one ({error}); download it again")


def said_in(logs: Sequence[str]) -> dict[str, str]:
    """Return for each text of the product the first log that has it; the lines around it stay there."""
    said: dict[str, str] = {}
    for path in logs:
        content = _tail(path)
        for belief, text in _TEXTS.items():
            if belief not in said and any(form in content for form in _forms(text)):
                said[belief] = path
    return said


def _without_secrets(found: installation.Installation, clean: Redactor) -> installation.Installation:
    """Judging requires the place of the database, not its password."""
    return replace(
        found,
        connection=replace(found.connection, password="") if found.connection else None,  # nosec B106  # taken out
        read_only=replace(found.read_only, password="") if found.read_only else None,  # nosec B106  # taken out
        reasons=tuple(clean(reason) for reason in found.reasons),
    )


def _find_jar(root: str) -> str | None:
    patterns = [os.path.join(root, place, "eSUS-AB-PEC-*.jar") for place in INSTALLER_PLACES]
    paths = [path for pattern in patterns for path in glob.glob(pattern)]
    return max(paths, key=_changed, default=None)


def _constants(archive: zipfile.ZipFile) -> frozenset[str]:
    """The beliefs about the installer's words of which every word is in one of its own classes or texts."""
    wanted = {**{name: (text,) for name, text in _TEXTS.items()}, **{name: _words(name) for name in ("options", "certificate-options")}}
    missing = {name: {word: _forms(word) for word in texts} for name, texts in wanted.items()}
    for entry in archive.infolist():
        if (
            entry.filename.startswith("container/")
            or not entry.filename.endswith((".class", ".properties"))
            or entry.file_size > _CLASS_BYTES
        ):
            continue
        content = archive.read(entry)
        for words_left in missing.values():
            for word in [word for word, forms in words_left.items() if any(form in content for form in forms)]:
                del words_left[word]
    return frozenset(name for name, words_left in missing.items() if not words_left)


def _words(belief: str) -> tuple[str, ...]:
    """The words of an option's belief, without their dash: a program may keep it elsewhere."""
    value = next(one.value for one in beliefs.BELIEFS if one.id == belief)
    return tuple(word.lstrip("-") for word in value.split())


def _forms(text: str) -> tuple[bytes, ...]:
    return tuple(dict.fromkeys((text.encode(), text.encode("latin-1", "replace"))))


def _logs(found: installation.Installation, root: str) -> tuple[str, ...]:
    """The newest logs of PEC and of its installer."""
    patterns = [os.path.join(root, INSTALLER_LOGS)]
    if found.home:
        patterns += [os.path.join(found.home, directory, "*.log") for directory in (os.path.dirname(beliefs.LOG_FILE), "logs")]
    paths = [path for pattern in patterns for path in glob.glob(pattern) if os.path.isfile(path)]
    return tuple(sorted(paths, key=_changed, reverse=True)[:_LOGS])


def _changed(path: str) -> float:
    """When a file was changed; every account can put a link that leads nowhere into /tmp."""
    try:
        return os.lstat(path).st_mtime
    except OSError:
        return 0


def _tail(path: str) -> bytes:
    try:
        return files.read_end(path, _LOG_BYTES)
    except PecError:
        return b""
