# SPDX-License-Identifier: GPL-3.0-or-later
"""The ways to dump and to restore that are compared, each as the commands that its users run."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cluster import ROLE, Cluster

SOURCE_DATABASE = "esus"


@dataclass(frozen=True)
class Command:
    """One program, of which the time counts. Of a module the memory counts, too."""

    name: str
    argv: tuple[str, ...]
    stdout: str | None = None
    module: bool = False


@dataclass(frozen=True)
class Side:
    """One of the two servers, and a directory for the files of one pass."""

    cluster: Cluster
    files: Path

    def client(self, program: str, *arguments: str, stdout: str | None = None, name: str | None = None) -> Command:
        return Command(name or program, (str(self.cluster.binaries / program), *arguments), stdout)

    def module(self, name: str, arguments: Mapping[str, Any]) -> Command:
        """A module as it runs on a managed host: the Python program alone, without Ansible's own start."""
        path = self.files.parent / f"{name.rsplit('.', 1)[-1]}.json"
        path.touch(0o600)
        path.write_text(json.dumps({"ANSIBLE_MODULE_ARGS": arguments}))
        collection, module = name.rsplit(".", 1)
        target = f"ansible_collections.{collection}.plugins.modules.{module}"
        return Command(name, (sys.executable, "-m", target, str(path)), module=True)

    def database(self, name: str) -> dict[str, Any]:
        return {"host": "127.0.0.1", "port": self.cluster.port, "name": name, "username": ROLE, "password": self.cluster.password}

    def login(self) -> dict[str, Any]:
        return {"login_host": "127.0.0.1", "login_port": self.cluster.port, "login_user": ROLE, "login_password": self.cluster.password}


@dataclass(frozen=True)
class Method:
    """How a dump is made and restored. What is copied to the other side is what the names in carries match."""

    name: str
    dump: Callable[[Side], tuple[Command, ...]]
    restore: Callable[[Side, str], tuple[Command, ...]] | None = None
    carries: tuple[str, ...] = ()
    creates: bool = False


def _procedure_dump(side: Side) -> tuple[Command, ...]:
    return (
        side.client("pg_dump", "-F", "p", SOURCE_DATABASE, stdout="backup.sql"),
        Command("zip", ("zip", "-q", "backup.zip", "backup.sql")),
    )


def _procedure_restore(side: Side, database: str) -> tuple[Command, ...]:
    return Command("unzip", ("unzip", "-q", "backup.zip")), side.client("psql", "-qX", "-d", database, "-f", "backup.sql")


def _vendor_dump(side: Side) -> tuple[Command, ...]:
    return (side.client("pg_dump", "-Fc", "-f", "esus.backup", SOURCE_DATABASE),)


def _vendor_restore(side: Side, database: str) -> tuple[Command, ...]:
    return (side.client("pg_restore", "-1", "-Fc", "-O", "-d", database, "esus.backup"),)


def _community(side: Side, database: str, state: str) -> tuple[Command, ...]:
    arguments = {**side.login(), "name": database, "state": state, "target": str(side.files / "esus.sql.gz")}
    return (side.module("community.postgresql.postgresql_db", arguments),)


def _ours(name: str, path: str, **options: object) -> Method:
    def dump(side: Side) -> tuple[Command, ...]:
        return (side.module("esus.pec.dump", {"path": str(side.files / path), "database": side.database(SOURCE_DATABASE), **options}),)

    def restore(side: Side, database: str) -> tuple[Command, ...]:
        return (side.module("esus.pec.restore", {"path": str(side.files / path), "database": side.database(database)}),)

    return Method(name, dump, restore, (f"{path}*",), creates=True)


METHODS = (
    Method("procedure", _procedure_dump, _procedure_restore, ("backup.zip",)),
    Method("vendor", _vendor_dump, _vendor_restore, ("esus.backup",)),
    Method(
        "community.postgresql",
        lambda side: _community(side, SOURCE_DATABASE, "dump"),
        lambda side, database: _community(side, database, "restore"),
        ("esus.sql.gz",),
    ),
    Method(
        "psql -f", lambda side: _procedure_dump(side)[:1], lambda side, database: _procedure_restore(side, database)[1:], ("backup.sql",)
    ),
    _ours("esus.pec, plain", "plain.sql", format="plain", compression="none"),
    _ours("esus.pec", "esus.dump"),
    _ours("esus.pec, fingerprint", "esus.dump", fingerprint=True),
    _ours("esus.pec, directory", "esus.dir", format="directory"),
    Method("raw bound", lambda side: (side.client("pg_dump", "-Fc", "-Z0", SOURCE_DATABASE, stdout="/dev/null"),)),
)
