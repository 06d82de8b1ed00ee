# SPDX-License-Identifier: GPL-3.0-or-later
"""Looks at PEC's files for the doctor. Values of settings stay here; names, order and modes leave. Private to the collection."""

from __future__ import annotations

import glob
import grp
import json
import os
import pwd
import re
import stat
from collections.abc import Iterable

from ansible_collections.esus.pec.plugins.module_utils import beliefs
from ansible_collections.esus.pec.plugins.module_utils.doctor.facts import CredentialsSeen, FilesSeen, Keys, PathSeen
from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.pec import credentials
from ansible_collections.esus.pec.plugins.module_utils.pec.installation import Installation
from ansible_collections.esus.pec.plugins.module_utils.properties import reading
from ansible_collections.esus.pec.plugins.module_utils.system import files, host
from ansible_collections.esus.pec.plugins.module_utils.system.directory import RefusedError

_BELOW_HOME = (
    "webserver", "bundle", "standalone", "application-properties", "credentials-file", "log-file", "keys-directory", "certmgr",
    "ssl-properties", "unit-template", "jre-directory", "jre-current", "migrator",
)  # fmt: skip
_PLACES = {belief.id: belief.value for belief in beliefs.BELIEFS}

# A secret whose line was broken becomes a key of its own; only what looks like a key is repeated.
_PROPERTY_NAME = re.compile(r"[A-Za-z][A-Za-z0-9]*([.-][A-Za-z0-9]+){1,9}")
_JSON_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,39}")
_COMMENT = re.compile(r"(^|\s)#|#\s?OPCIONAL", re.IGNORECASE)
_SECRET_NAME = re.compile(r"pass|secret|senha", re.IGNORECASE)
_NOT_READ = "não foi lido: {}"
_HARMLESS_OPTION = re.compile(
    r"-X[A-Za-z0-9:+.-]+|-D(?:java\.net|java\.awt|file\.encoding|user\.(?:timezone|language|country))[A-Za-z0-9.]*=[\w/.-]+"
)


def look_at_files(found: Installation, root: str = "/") -> FilesSeen:
    """Return the names, order, modes and shapes of PEC's files."""
    home = found.home or os.path.join(root, beliefs.HOMES[0].lstrip("/"))
    paths = {name: see(os.path.join(home, _PLACES[name])) for name in _BELOW_HOME}
    config_file = found.config_file or os.path.join(root, beliefs.CONFIG_FILE.lstrip("/"))
    paths["config-file"] = see(config_file)
    script = paths["standalone"].path
    text = _script(script)
    keys_directory = paths["keys-directory"].path
    return FilesSeen(
        paths=paths,
        certmgr_jar=os.path.isfile(os.path.join(paths["certmgr"].path, "certmgr.jar")),
        jre_versions=_directories(paths["jre-directory"].path),
        jre_java=_java_version(paths["jre-current"].path),
        bundled_psql=tuple(sorted(glob.glob(os.path.join(glob.escape(home), beliefs.BUNDLED_CLIENTS, "psql")))),
        config=_config(config_file),
        application=_properties(paths["application-properties"].path),
        ssl=_properties(paths["ssl-properties"].path),
        credentials=_credentials(paths["credentials-file"].path),
        standalone_renews=None if text is None else "--renew" in text and "certmgr" in text,
        standalone_options=tuple(dict.fromkeys(_HARMLESS_OPTION.findall(text or ""))),
        java_conf=os.path.exists(os.path.join(root, "etc/java.conf")),
        key_files=len(os.listdir(keys_directory)) if os.path.isdir(keys_directory) else 0,
        temporary_owners=tuple(sorted(see(path).owner for path in glob.glob(os.path.join(root, "tmp/PEC-*")))),
    )


def _script(path: str) -> str | None:
    try:
        return files.read_text_lenient(path) if os.path.isfile(path) else None
    except RefusedError:
        return None


def see(path: str) -> PathSeen:
    """What is at a path, after links; a link that leads nowhere is absent."""
    try:
        status = os.stat(path)
    except OSError:
        return PathSeen(path, target=os.readlink(path) if os.path.islink(path) else "")
    return PathSeen(
        path,
        kind="directory" if stat.S_ISDIR(status.st_mode) else "file",
        mode=stat.S_IMODE(status.st_mode),
        owner=_name_of_user(status.st_uid),
        group=_name_of_group(status.st_gid),
        size=status.st_size,
        target=os.readlink(path) if os.path.islink(path) else "",
    )


def secrets(found: Installation) -> tuple[str, ...]:
    """The passwords that PEC's files hold, so that texts from elsewhere can be cleaned of them."""
    known = [login.password for login in (found.connection, found.read_only) if login is not None]
    if found.application_properties and os.path.isfile(found.application_properties):
        try:
            pairs = reading.load(found.application_properties)
        except PecError:
            pairs = {}
        known += [value for key, value in pairs.items() if _SECRET_NAME.search(key)]
    return tuple(secret for secret in known if secret)


def _name_of_user(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _name_of_group(gid: int) -> str:
    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return str(gid)


def _directories(path: str) -> tuple[str, ...]:
    """The versions in a directory; links to one of them do not count."""
    if not os.path.isdir(path):
        return ()
    below = [(name, os.path.join(path, name)) for name in sorted(os.listdir(path))]
    return tuple(name for name, one in below if os.path.isdir(one) and name != os.path.basename(beliefs.JRE_CURRENT))


def _java_version(directory: str) -> str:
    launcher = os.path.join(directory, "bin", "java")
    if not os.access(launcher, os.X_OK):
        return ""
    real = os.path.realpath(launcher)
    return next((one.version for one in host.java() if os.path.realpath(one.path) == real), "")


def _config(path: str) -> Keys | None:
    if not os.path.isfile(path):
        return None
    try:
        text, encoding = _decode(files.read_bytes(path))
    except RefusedError as error:
        return Keys(problem=_NOT_READ.format(error))
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        return Keys(problem="não é JSON", encoding=encoding)
    if not isinstance(content, dict):
        return Keys(problem="não é um objeto JSON", encoding=encoding)
    return _keys(content, _JSON_NAME, encoding)


def _properties(path: str) -> Keys | None:
    if not os.path.isfile(path):
        return None
    try:
        text = reading.read_text(path)
    except RefusedError as error:
        return Keys(problem=_NOT_READ.format(error))
    try:
        pairs = reading.parse(text)
    except PecError:
        return Keys(problem="tem um escape \\uXXXX que o Java recusa")
    keys = _keys(pairs, _PROPERTY_NAME, "latin-1")
    known = {name: pairs[name] for name in keys.names}
    return Keys(
        names=keys.names,
        odd=keys.odd,
        commented=tuple(name for name, value in known.items() if not _SECRET_NAME.search(name) and _COMMENT.search(value)),
        blank_at_end=tuple(name for name, value in known.items() if value != value.rstrip()),
        encoding=keys.encoding,
    )


def _keys(names: Iterable[str], shape: re.Pattern[str], encoding: str) -> Keys:
    listed = list(names)
    good = tuple(name for name in listed if shape.fullmatch(name))
    return Keys(names=good, odd=len(listed) - len(good), encoding=encoding)


def _credentials(path: str) -> CredentialsSeen | None:
    if not os.path.isfile(path):
        return None
    try:
        text, encoding = _decode(files.read_bytes(path))
    except RefusedError as error:
        return CredentialsSeen(problem=_NOT_READ.format(error))
    lines = len(text.splitlines())
    try:
        content = credentials.parse(text)
    except PecError:
        return CredentialsSeen(problem="as palavras esperadas (URL, usuário:, senha:) não estão todas lá", lines=lines, encoding=encoding)
    full = text.find(content.full.password)
    read = -1 if content.read_only is None else text.find(content.read_only.password, full + 1)
    places = {"URL": text.find(content.url), "acesso completo": full, "acesso de leitura": read}
    order = tuple(name for name, place in sorted(places.items(), key=lambda pair: pair[1]) if place >= 0)
    return CredentialsSeen(order=order, lines=lines, encoding=encoding)


def _decode(data: bytes) -> tuple[str, str]:
    try:
        return data.decode("utf-8-sig"), "ASCII" if data.isascii() else "UTF-8"
    except UnicodeDecodeError:
        return data.decode("latin-1"), "Latin-1"
