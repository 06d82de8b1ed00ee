# SPDX-License-Identifier: GPL-3.0-or-later
"""PostgreSQL's control file: what a cluster is, and whether it was shut down, by pg_controldata. Private to the collection."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Mapping

from ansible_collections.esus.pec.plugins.module_utils import beliefs
from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.system import confinement, files, process

LONGEST = 64 << 10
SHUT_DOWN = "shut down"
_SAME = (
    "pg_control version number",
    "Catalog version number",
    "Maximum data alignment",
    "Database block size",
    "Blocks per segment of large relation",
    "WAL block size",
    "Maximum length of identifiers",
    "Maximum columns in an index",
    "Maximum size of a TOAST chunk",
    "Size of a large-object chunk",
    "Date/time type storage",
    "Float4 argument passing",
    "Float8 argument passing",
)


@dataclass(frozen=True)
class Control:
    """What pg_controldata printed."""

    values: Mapping[str, str]

    @property
    def identifier(self) -> str:
        """What distinguishes the cluster from others that were not copied from it."""
        return self.values.get("Database system identifier", "")

    @property
    def checkpoint(self) -> str:
        """Where its last checkpoint is in its log of changes."""
        return self.values.get("Latest checkpoint location", "")

    @property
    def state(self) -> str:
        """What its server was doing when it last wrote the file."""
        return self.values.get("Database cluster state", "")

    def same_as(self, other: Control) -> bool:
        """Return whether both are the same cluster after the same shutdown, so that one is a whole copy of the other."""
        mine, others = ((each.identifier, each.checkpoint, each.state) for each in (self, other))
        return mine == others and all(mine) and self.state == SHUT_DOWN


def read(data: bytes, program: str, whose: str) -> Control:
    """Return what is in a control file. C(program) reads it as an account without rights: it may come from another server.

    Raises PecError when it is damaged, or was read while it was written.
    """
    with files.private_directory() as directory:
        files.make_directory(f"{directory}/global")
        files.write_atomic(f"{directory}/global/pg_control", data, mode=0o400, uid=confinement.owner())
        for path in (f"{directory}/global", directory):
            files.give(path, confinement.owner(), -1)
        answer = process.run([program, directory], confined=True)
    values = dict(_pairs(answer.stdout))
    if answer.returncode != 0 or "WARNING" in answer.stdout + answer.stderr or not values.get("Latest checkpoint location"):
        said = next((line for line in (answer.stderr + answer.stdout).splitlines() if line.strip()), "no output")
        raise PecError(f"the control file of {whose} cannot be read: {said}; compare the version of PostgreSQL there, then run again")
    return Control(values)


def differences(source: Control, target: Control) -> list[str]:
    """Return in what two clusters differ that keeps one's server from reading the other's files."""
    found = []
    for name in _SAME:
        one, other = source.values.get(name), target.values.get(name)
        if one != other:
            found.append(f"{name} is {one or 'unknown'} on the source and {other or 'unknown'} on this host")
    return found


def find_program(version: str) -> str:
    """Return the pg_controldata of a major version, such as 15 or 9.6. Raises PecError when it is not installed."""
    homes = [os.path.join(home, beliefs.BUNDLED_CLIENTS) for home in beliefs.HOMES]
    patterns = [f"/usr/lib/postgresql/{version}/bin", f"/usr/pgsql-{version}/bin", *homes, "/usr/bin", "/usr/local/pgsql/bin"]
    for pattern in patterns:
        for path in sorted(glob.glob(os.path.join(pattern, "pg_controldata"))):
            said = process.run([path, "--version"], confined=True).stdout
            if re.search(rf"\) {re.escape(version)}(?:\D|$)", said):
                return path
    raise PecError(f"this host has no pg_controldata of PostgreSQL {version}; install the package of its server")


def _pairs(text: str) -> Iterator[tuple[str, str]]:
    for line in text.splitlines():
        name, colon, value = line.partition(":")
        if colon:
            yield name.strip(), value.strip()
