# SPDX-License-Identifier: GPL-3.0-or-later
"""Looks at the machine for the doctor: beyond host.py only what nobody else asks. What cannot be seen is None."""

from __future__ import annotations

import os
import pwd
import shlex
import socket
import time
from collections.abc import Callable, Mapping

from ansible_collections.esus.pec.plugins.module_utils import beliefs
from ansible_collections.esus.pec.plugins.module_utils.doctor.facts import HostSeen, Listener
from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.pec.installation import Installation
from ansible_collections.esus.pec.plugins.module_utils.postgres import psql
from ansible_collections.esus.pec.plugins.module_utils.system import files, host, process, systemd

_UNITS = (beliefs.PEC_UNIT, beliefs.DATABASE_UNIT)
_LISTEN = "0A"
_TEMPORARY = os.path.join(os.sep, "tmp")


def look(found: Installation, clean: Callable[[str], str]) -> HostSeen:
    """Everything about the machine; C(clean) takes secrets out of a text."""
    texts = {name: path for name, path in zip(_UNITS, (found.pec_unit_file, found.database_unit_file)) if path}
    user, days = _service()
    home = found.home or beliefs.HOMES[0]
    return HostSeen(
        init_name=host.init_name(),
        file_of_init=_output([beliefs.FILE_PROGRAM, "-L", "/sbin/init"]),
        memory_bytes=host.memory_bytes(),
        processors=host.processors(),
        disks=tuple(host.disk_usage(path) for path in (home, _TEMPORARY)),
        listeners=listeners(host.listeners()),
        units=systemd.units(_UNITS),
        unit_texts={name: clean(without_values(files.read_text_lenient(path))) for name, path in texts.items()},
        unit_user=user if found.pec_unit_file else None,
        unit_days=days,
        timezone=host.timezone(),
        utc_offset_minutes=host.utc_offset_minutes(),
        locales=host.locales(),
        remove_ipc=host.remove_ipc(),
        fonts=_fonts(),
        clock_synchronized={"yes": True, "no": False}.get(_output(["timedatectl", "show", "--property=NTPSynchronized", "--value"]) or ""),
        dump_clients=tuple(client.version for client in psql.find_clients("pg_dump")),
        database_account=_account(beliefs.BUNDLED_USER),
    )


def listeners(names: Mapping[int, str], root: str = "/") -> dict[int, Listener]:
    """The ports of host.listeners with the addresses they are open on."""
    addresses: dict[int, set[str]] = {port: set() for port in names}
    for table in ("proc/net/tcp", "proc/net/tcp6"):
        try:
            lines = files.read_text_lenient(os.path.join(root, table)).splitlines()[1:]
        except PecError:
            continue
        for fields in (line.split() for line in lines):
            address, _colon, port = fields[1].rpartition(":")
            if fields[3] == _LISTEN and int(port, 16) in addresses:
                addresses[int(port, 16)].add(_address(address))
    return {port: Listener(process_name, tuple(sorted(addresses[port]))) for port, process_name in names.items()}


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


def _address(text: str) -> str:
    """An address of /proc/net, whose words of four bytes are in the machine's own order."""
    words = [bytes.fromhex(text[start : start + 8])[::-1] for start in range(0, len(text), 8)]
    family = socket.AF_INET if len(words) == 1 else socket.AF_INET6
    printed = socket.inet_ntop(family, b"".join(words))
    return printed[len("::ffff:") :] if printed.startswith("::ffff:") and "." in printed else printed


def _output(argv: list[str]) -> str | None:
    try:
        answer = process.run(argv, timeout=10)
    except PecError:
        return None
    return answer.stdout.strip() if answer.returncode == 0 else None


def _fonts() -> int | None:
    listed = _output(["fc-list", ":", "family"])
    return None if listed is None else len(listed.splitlines())


def _service() -> tuple[str, int | None]:
    """The user of the application's service (systemd's default is root), and for how many days it has run."""
    shown = _output(["systemctl", "show", "--property=User,ActiveEnterTimestampMonotonic,ActiveState", beliefs.PEC_UNIT]) or ""
    pairs = dict(line.split("=", 1) for line in shown.splitlines() if "=" in line)
    entered = int(pairs.get("ActiveEnterTimestampMonotonic") or 0)
    if pairs.get("ActiveState") != "active" or not entered:
        return pairs.get("User") or "root", None
    return pairs.get("User") or "root", int((time.clock_gettime(time.CLOCK_MONOTONIC) - entered / 1e6) // 86400)


def _account(name: str) -> str | None:
    try:
        account = pwd.getpwnam(name)
    except KeyError:
        return None
    return f"{name} (uid {account.pw_uid}, gid {account.pw_gid})"
