# SPDX-License-Identifier: GPL-3.0-or-later
"""A host with an invented database, whose clients are scripts, for the tests of dumps."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import fake_clients
import pytest

from ansible_collections.esus.pec.plugins.module_utils.dump import dumping
from ansible_collections.esus.pec.plugins.module_utils.dump.planning import Desired
from ansible_collections.esus.pec.plugins.module_utils.postgres import contents, fingerprints, psql
from ansible_collections.esus.pec.plugins.module_utils.postgres.psql import Client, Connection
from ansible_collections.esus.pec.plugins.module_utils.system import clock, host, locks, process, status_file

CONNECTION = Connection("127.0.0.1", 5432, "esus", "esus", "segredo")
FACTS = psql.DatabaseFacts(
    "15.18", 150018, 10_000_000, "UTF8", "pt_BR.UTF-8", "pt_BR.UTF-8", 7, True, "5.4.37", False, "Água Clara", None, "PRONTUARIO"
)
HELD = contents.Contents({"tables": 2}, {"public.seq": 5}, 2, "5.4.37", rules=contents.RULES)
FINGERPRINT = fingerprints.Fingerprint(fingerprints.HASH64, 5, "0" * 64, {"public.t": [5, "77"]})
STAMP = "20261122T030000Z"


class World:
    """A host with an invented database, and clients that are scripts."""

    def __init__(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.directory = path / "b"
        self.directory.mkdir()
        self.clients = fake_clients.install(path / "bin")
        self.run_directory = path / "run"
        self.asked: dict[str, Any] = {}
        self.free = 10**12
        self.left_out: list[str] = []
        self.unreadable: list[str] = []
        self.programs = {"zstd", "pigz", "age"}
        lock, status, which = locks.lock, status_file.StatusFile, process.which
        monkeypatch.setattr(locks, "lock", lambda name, **about: lock(name, directory=str(path / "lock"), **about))
        monkeypatch.setattr(status_file, "StatusFile", lambda kind, database: status(kind, database, str(self.run_directory)))
        monkeypatch.setattr(psql, "find_clients", lambda _name: [Client(str(self.clients / "pg_dump"), (17, 11))])
        monkeypatch.setattr(psql, "cluster", lambda _connection: "7001")
        monkeypatch.setattr(psql, "read_facts", lambda _connection: FACTS)
        monkeypatch.setattr(contents, "read_contents", lambda _session: HELD)
        monkeypatch.setattr(contents, "read_left_out", lambda _session: list(self.left_out))
        monkeypatch.setattr(fingerprints, "read_fingerprint", self.fingerprint)
        monkeypatch.setattr(host, "disk_usage", lambda path: host.Disk(path, 10**12, self.free))
        monkeypatch.setattr(host, "processors", lambda: 3)
        monkeypatch.setattr(process, "which", lambda name: None if name in {"zstd", "pigz", "age"} - self.programs else which(name))
        monkeypatch.setattr(dumping.socket, "gethostname", lambda: "servidor")
        self.stamps = [STAMP]
        monkeypatch.setattr(clock, "compact", lambda: self.stamps[0])
        patience = SimpleNamespace(monotonic=time.monotonic, sleep=lambda _seconds: self.stamps.pop(0))
        monkeypatch.setattr(dumping, "time", patience)

    def fingerprint(self, _connection: Any, _psql: str, method: str, **asked: Any) -> fingerprints.Fingerprint:
        self.asked = {"method": method, **asked}
        for name in self.unreadable:
            asked["on_failure"](name, "no such function")
        return FINGERPRINT

    def mode(self, mode: str) -> None:
        (self.clients / "mode").write_text(mode)

    def desired(self, name: str = "", **wanted: Any) -> Desired:
        return Desired(**{"path": f"{self.directory}/{name}", "connection": CONNECTION, **wanted})

    def dump(self, name: str = "", *, check: bool = False, **wanted: Any) -> dumping.Outcome:
        return dumping.run(self.desired(name, **wanted), check=check)

    def statements(self) -> str:
        return (self.clients / "statements").read_text()

    @property
    def names(self) -> list[str]:
        return sorted(os.listdir(self.directory))

    @property
    def status(self) -> dict[str, Any] | None:
        path = self.run_directory / "dump-esus.json"
        return json.loads(path.read_text()) if path.exists() else None
