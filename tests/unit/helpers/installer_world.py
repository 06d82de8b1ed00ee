# SPDX-License-Identifier: GPL-3.0-or-later
"""A host for the module installer, without a host."""

from __future__ import annotations

import contextlib
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ansible.module_utils.testing import patch_module_args

from ansible_collections.esus.pec.plugins.module_utils import beliefs
from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.installer import certmgr, installing, java, running
from ansible_collections.esus.pec.plugins.module_utils.installer.running import Command, Run
from ansible_collections.esus.pec.plugins.module_utils.pec import installation
from ansible_collections.esus.pec.plugins.module_utils.pec.installation import Installation
from ansible_collections.esus.pec.plugins.module_utils.postgres import psql
from ansible_collections.esus.pec.plugins.module_utils.preflight import survey
from ansible_collections.esus.pec.plugins.module_utils.preflight.model import DatabaseSeen, Facts
from ansible_collections.esus.pec.plugins.module_utils.system import files, locks, signals, systemd
from ansible_collections.esus.pec.plugins.modules import installer

PASSWORD = "Senha-do-banco-1"
NAME = "eSUS-AB-PEC-5.4.37-Linux64.jar"
CONNECTION = psql.Connection("127.0.0.1", 5432, "esus", "esus", PASSWORD)
INSTALLED = Installation("installed", version="5.4.37", connection=CONNECTION, config_file="/etc/pec.config")
DATABASE = {"password": PASSWORD}


def throw(error: Exception) -> None:
    raise error


def database_facts(version: str | None, tables: int = 0) -> psql.DatabaseFacts:
    return psql.DatabaseFacts("15", 150000, 1, "UTF8", "pt_BR.UTF-8", "C", tables, version is not None, version, None, None, None, None)


class World:
    """A host on which the installer turns what is here into what comes after."""

    def __init__(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.jar = path / NAME
        with zipfile.ZipFile(self.jar, "w") as archive:
            archive.writestr("META-INF/MANIFEST.MF", "Main-Class: br.gov.saude.esus.installers.installer.Main\n")
        self.logs, self.work = path / "log", path / "work"
        self.here, self.after = Installation("absent"), INSTALLED
        self.versions: tuple[str | None, str | None] = (None, "5.4.37")
        self.tables, self.database_error = (0, 0), None
        self.ending = Run(0, ("INFO done",))
        self.seen = DatabaseSeen(authentication="md5", may_create=True, facts=database_facts(None))
        self.unchecked: tuple[str, ...] = ()
        self.units = {beliefs.PEC_UNIT: "active", beliefs.DATABASE_UNIT: "inactive"}
        self.commands: list[Command] = []
        self.systemctl: list[tuple[str, str]] = []
        self.phases: list[str] = []
        self.lock_error: PecError | None = None
        self.survivor: PecError | None = None
        self.connections: list[psql.Connection] = []
        for target, attribute, value in (
            (installation, "discover", lambda: self.after if self.commands else self.here),
            (psql, "read_facts", self.read_facts),
            (systemd, "units", lambda names: {name: systemd.Unit(name, "loaded", self.units[name], True, None) for name in names}),
            (survey, "survey_host", self.survey_host),
            (java, "find", lambda named: named or "/usr/bin/java"),
            (running, "prepare_directories", lambda *_directories: None),
            (running, "redact_log", lambda *_arguments: None),
            (running, "refuse_survivor", self.refuse_survivor),
            (systemd, "systemctl", self.turn),
            (running, "run", self.run_java),
            (installing, "StatusFile", self.status),
            (signals, "listen", lambda: None),
            (locks, "lock", self.lock),
            (files, "STATE_DIRECTORY", str(path / "state")),
            (certmgr, "CHANGING", str(path / "state/certmgr-changing")),
            (certmgr, "PREVIOUS", str(path / "state/certmgr-previous")),
        ):
            monkeypatch.setattr(target, attribute, value)

    def read_facts(self, connection: psql.Connection) -> psql.DatabaseFacts:
        self.connections.append(connection)
        if self.commands and self.database_error:
            throw(self.database_error)
        return database_facts(self.versions[1 if self.commands else 0], self.tables[1 if self.commands else 0])

    def turn(self, verb: str, unit: str) -> None:
        self.systemctl.append((verb, unit))
        self.units[unit] = {"stop": "inactive", "start": "active"}[verb]

    def survey_host(self, _wishes: Any, _home: str) -> tuple[Facts, tuple[str, ...]]:
        return Facts(0, "x86_64", "debian", "13", "systemd", 9 * 10**9, 4, database=self.seen), self.unchecked

    def run_java(self, command: Command, _log: str, _redact: Any, _status: Any) -> Run:
        self.commands.append(command)
        return self.ending

    def status(self, _kind: str, **_facts: object) -> Any:
        return SimpleNamespace(update=lambda phase, **_facts: self.phases.append(phase))

    def refuse_survivor(self) -> None:
        if self.survivor:
            throw(self.survivor)

    @contextlib.contextmanager
    def lock(self, name: str) -> Iterator[None]:
        assert name == "installer"
        if self.lock_error:
            throw(self.lock_error)
        yield


def run(world: World, capsys: pytest.CaptureFixture[str], **arguments: Any) -> dict[str, Any]:
    defaults = {"jar": str(world.jar), "log_directory": str(world.logs), "work_directory": str(world.work)}
    with patch_module_args({**defaults, **arguments}), pytest.raises(SystemExit):
        installer.main()
    output = capsys.readouterr().out
    assert PASSWORD not in output
    return json.loads(output)
