# SPDX-License-Identifier: GPL-3.0-or-later
"""Looks at the machine for the doctor. What cannot be seen is None. Private to the collection."""

from __future__ import annotations

import os
import pwd
import shlex
from collections.abc import Callable

from ansible_collections.esus.pec.plugins.module_utils import beliefs
from ansible_collections.esus.pec.plugins.module_utils.doctor.facts import HostSeen
from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.pec.installation import Installation
from ansible_collections.esus.pec.plugins.module_utils.postgres import psql
from ansible_collections.esus.pec.plugins.module_utils.system import files, host, process, systemd

_UNITS = (beliefs.PEC_UNIT, beliefs.DATABASE_UNIT)
_TEMPORARY = os.path.join(os.sep, "tmp")


def look_at_host(found: Installation, clean: Callable[[str], str]) -> HostSeen:
    """Return everything about the machine; clean removes secrets from a text."""
    texts = {name: path for name, path in zip(_UNITS, (found.pec_unit_file, found.database_unit_file)) if path}
    units = systemd.units(_UNITS)
    seconds = systemd.active_seconds(beliefs.PEC_UNIT)
    home = found.home or beliefs.HOMES[0]
    return HostSeen(
        init_name=host.init_name(),
        file_of_init=_output([beliefs.FILE_PROGRAM, "-L", "/sbin/init"]),
        memory_bytes=host.memory_bytes(),
        processors=host.processors(),
        disks=tuple(host.disk_usage(path) for path in (home, _TEMPORARY)),
        listeners=host.listeners(),
        units=units,
        unit_texts={name: clean(without_values(_text(path))) for name, path in texts.items()},
        unit_user=(units[beliefs.PEC_UNIT].user or "root") if found.pec_unit_file else None,
        unit_days=None if seconds is None else int(seconds // 86400),
        timezone=host.timezone(),
        utc_offset_minutes=host.utc_offset_minutes(),
        locales=host.locales(),
        remove_ipc=host.remove_ipc(),
        fonts=_fonts(),
        clock_synchronized={"yes": True, "no": False}.get(_output(["timedatectl", "show", "--property=NTPSynchronized", "--value"]) or ""),
        dump_clients=tuple(client.version for client in psql.find_clients("pg_dump")),
        database_account=_account(beliefs.BUNDLED_USER),
    )


def without_values(text: str) -> str:
    """A unit's text without the values of its Environment= lines, which may be passwords; comments are dropped."""
    joined = text.replace("\\\n", " ")
    kept = [line for line in joined.splitlines() if line.strip() and not line.lstrip().startswith(("#", ";"))]
    return "\n".join(_without_value(line) for line in kept)


def _without_value(line: str) -> str:
    key, equals, value = line.partition("=")
    if key.strip() != "Environment" or not equals:
        return line
    try:
        names = [pair.partition("=")[0] for pair in shlex.split(value)]
    except ValueError:
        return f"{key}=(omitido)"
    return f"{key}={' '.join(f'{name}=(omitido)' for name in names)}"


def _text(path: str) -> str:
    try:
        return files.read_text_lenient(path)
    except PecError:  # such as a link to /dev/null, which is a masked unit
        return ""


def _output(argv: list[str]) -> str | None:
    try:
        answer = process.run(argv, timeout=10)
    except PecError:
        return None
    return answer.stdout.strip() if answer.returncode == 0 else None


def _fonts() -> int | None:
    listed = _output(["fc-list", ":", "family"])
    return None if listed is None else len(listed.splitlines())


def _account(name: str) -> str | None:
    try:
        account = pwd.getpwnam(name)
    except KeyError:
        return None
    return f"{name} (uid {account.pw_uid}, gid {account.pw_gid})"
