# SPDX-License-Identifier: GPL-3.0-or-later
"""The configuration of the backup: one JSON file for the timer's program and the module. Private to the collection."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ansible_collections.esus.pec.plugins.module_utils.backup.retention import Policy
from ansible_collections.esus.pec.plugins.module_utils.dump import planning
from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.postgres.psql import Connection, connection_from
from ansible_collections.esus.pec.plugins.module_utils.system import files

DEFAULT_PATH = "/etc/esus-pec/backup.json"

_KEYS: Mapping[str, type] = {
    "directory": str,
    "municipality": str,
    "database": dict,
    "fingerprint": bool,
    "recipients": list,
    "extra_paths": list,
    "keep": dict,
    "owner": str,
    "group": str,
}
_DATABASE_KEYS: Mapping[str, type] = {
    "host": str,
    "port": int,
    "name": str,
    "username": str,
    "password": str,
    "sslmode": str,
    "sslrootcert": str,
}
_KEEP_KEYS: Mapping[str, type] = {"last": int, "daily": int, "weekly": int, "monthly": int}
_WORDS: Mapping[type, str] = {str: "text", bool: "true or false", int: "a number", list: "a list", dict: "an object"}
_ANSIBLE: Mapping[type, str] = {str: "str", bool: "bool", int: "int", list: "list", dict: "dict"}


def _options(keys: Mapping[str, type], **nested: Any) -> dict[str, Any]:
    found: dict[str, Any] = {name: {"type": _ANSIBLE[kind], "required": True} for name, kind in keys.items()}
    for name, kind in keys.items():
        if kind is list:
            found[name]["elements"] = "str"
    for name, options in nested.items():
        found[name]["options"] = options
    return found


OPTIONS: dict[str, Any] = _options(_KEYS, database=_options(_DATABASE_KEYS), keep=_options(_KEEP_KEYS))
"""The same as options of a module. Ansible makes numbers of texts there: before 2.19 a template makes a text of every number."""
OPTIONS["database"]["required"] = False
OPTIONS["database"]["options"]["password"]["no_log"] = True


@dataclass(frozen=True)
class Config:
    """The configuration; C(connection), in the file C(database), is None to use the database in PEC's own files."""

    directory: str
    municipality: str
    connection: Connection | None
    fingerprint: bool
    recipients: tuple[str, ...]
    extra_paths: tuple[str, ...]
    keep: Policy
    owner: str
    group: str


def read(path: str) -> Config:
    """Return the configuration in this file. Raises PecError with what is wrong in it, without values, which may be passwords."""
    if not os.path.exists(path):
        raise PecError(f"{path} does not exist; set the backup up first (role pec_backup)")
    files.require_ours(path, "the configuration of the backup")
    data, status = files.read(path)
    if status.st_mode & 0o077:
        raise PecError(f"{path} may hold a password, and other accounts can read it; run: chmod 600 {path}")
    try:
        content = json.loads(data)
    except ValueError as error:
        raise PecError(f"{path} is not JSON ({error}); run the role pec_backup again") from None
    try:
        return parse(content)
    except PecError as error:
        raise PecError(f"{path}: {error}; run the role pec_backup again, or correct the file") from None


def write(path: str, options: Mapping[str, Any], *, check: bool = False) -> bool:
    """Write the configuration of a module's C(OPTIONS), for root alone; return whether there was anything to do.

    check: nothing is written. Raises PecError with what is wrong in it; the file stays as it is then.
    """
    content = {**options, "database": options["database"] or {}}
    parse(content)
    data = json.dumps({name: content[name] for name in _KEYS}, ensure_ascii=False, indent=1).encode() + b"\n"
    if os.path.exists(path):
        before, status = files.read(path)
        if before == data and (status.st_uid, status.st_gid, status.st_mode & 0o7777) == (os.getuid(), os.getgid(), 0o600):
            return False
    if not check:
        files.write_atomic(path, data, mode=0o600, uid=os.getuid(), gid=os.getgid())
    return True


def parse(content: object) -> Config:
    """Return the configuration in this JSON value. Raises PecError with what is wrong in it."""
    values = _checked(content, _KEYS, "the configuration")
    keep = Policy(**_checked(values["keep"], _KEEP_KEYS, "keep"))
    if min(keep.last, keep.daily, keep.weekly, keep.monthly) < 0:
        raise PecError("keep: a number of backups is below zero")
    recipients = tuple(_texts("recipients", values["recipients"]))
    planning.refuse_recipients(recipients)
    return Config(
        directory=_absolute("directory", values["directory"]),
        municipality=values["municipality"],
        connection=_connection(values["database"]) if values["database"] else None,
        fingerprint=values["fingerprint"],
        recipients=recipients,
        extra_paths=tuple(_absolute("extra_paths", path) for path in _texts("extra_paths", values["extra_paths"])),
        keep=keep,
        owner=values["owner"],
        group=values["group"],
    )


def _connection(value: object) -> Connection | None:
    return connection_from(_checked(value, _DATABASE_KEYS, "database"))


def _checked(value: object, keys: Mapping[str, type], where: str) -> dict[str, Any]:
    """Return the object. No key has a default: the role writes all of them, so a missing or unknown one is a mistake."""
    if not isinstance(value, dict):
        raise PecError(f"{where} is not an object")
    unknown, missing = sorted(set(value) - set(keys)), sorted(set(keys) - set(value))
    if unknown or missing:
        problems = [f"does not know {name!r}" for name in unknown] + [f"lacks {name!r}" for name in missing]
        raise PecError(f"{where} {', '.join(problems)}")
    for name, kind in keys.items():
        if not isinstance(value[name], kind) or isinstance(value[name], bool) != (kind is bool):  # a bool is an int, too
            quoted = ", but text in quotes" if isinstance(value[name], str) else ""
            raise PecError(f"{where}: {name!r} is not {_WORDS[kind]}{quoted}")
    return value


def _texts(name: str, values: list[object]) -> list[str]:
    if not all(isinstance(value, str) and value for value in values):
        raise PecError(f"{name!r} is not a list of texts")
    return [str(value) for value in values]


def _absolute(name: str, path: str) -> str:
    if not os.path.isabs(path) or any(ord(character) < ord(" ") for character in path):
        raise PecError(f"{name!r} has {path!r}, which is not an absolute path")
    return os.path.normpath(path)
