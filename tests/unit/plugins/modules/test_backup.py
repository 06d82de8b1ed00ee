# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
import samples
from ansible.module_utils.testing import patch_module_args

from ansible_collections.esus.pec.plugins.module_utils.backup import configuration, opened
from ansible_collections.esus.pec.plugins.module_utils.dump.manifest import Backup
from ansible_collections.esus.pec.plugins.modules import backup

WANTED: dict[str, Any] = {
    "directory": "/srv/backups",
    "municipality": "123",
    "database": {"host": "db", "port": 5433, "name": "esus", "username": "esus", "password": "0'1", "sslmode": "prefer", "sslrootcert": ""},
    "fingerprint": True,
    "recipients": [],
    "extra_paths": [],
    "keep": {"last": 3, "daily": 7, "weekly": 4, "monthly": 6},
    "owner": "root",
    "group": "root",
}
# As a template of Ansible before 2.19 hands it to a module.
TEXTS = {
    **WANTED,
    "database": {**WANTED["database"], "port": "5433"},
    "fingerprint": "True",
    "keep": {name: str(number) for name, number in WANTED["keep"].items()},
}


@pytest.fixture(autouse=True)
def _as_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)


def run(capsys: pytest.CaptureFixture[str], path: Path, wanted: dict[str, Any], **arguments: Any) -> tuple[dict[str, Any], str]:
    with patch_module_args({"config": str(path), "write_config": wanted, **arguments}), pytest.raises(SystemExit):
        backup.main()
    output = capsys.readouterr().out
    return json.loads(output), output


@pytest.mark.parametrize("wanted", [WANTED, TEXTS])
def test_numbers_are_numbers_in_the_file(tmp_path: Path, capsys: pytest.CaptureFixture[str], wanted: dict[str, Any]) -> None:
    path = tmp_path / "backup.json"
    assert run(capsys, path, wanted, _ansible_check_mode=True)[0]["changed"] and not path.exists()
    result, output = run(capsys, path, wanted)
    assert result["changed"] and WANTED["database"]["password"] not in output
    assert json.loads(path.read_text(encoding="utf-8")) == WANTED
    assert configuration.read(str(path)) == configuration.parse(WANTED)
    assert not run(capsys, path, WANTED)[0]["changed"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"keep": {**WANTED["keep"], "last": "three"}},
        {"keep": {**WANTED["keep"], "last": ""}},
        {"keep": {**WANTED["keep"], "last": True}},
        {"keep": {**WANTED["keep"], "monthly": -1}},
        {"fingerprint": "perhaps"},
        {"database": {**WANTED["database"], "port": ""}},
        {"database": {**WANTED["database"], "password": 1234}},
        {"database": {"host": "db"}},
        {"directory": "here"},
    ],
)
def test_a_mistake_leaves_the_configuration_that_works(tmp_path: Path, capsys: pytest.CaptureFixture[str], wrong: dict[str, Any]) -> None:
    path = tmp_path / "backup.json"
    run(capsys, path, WANTED)
    for check_mode in (True, False):
        assert run(capsys, path, {**WANTED, **wrong}, _ansible_check_mode=check_mode)[0].get("failed")
    assert json.loads(path.read_text(encoding="utf-8")) == WANTED


class Server:
    """Where backups are encrypted to these keys; C(prove) is a run of the module there."""

    def __init__(self, root: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.config, self.keys, self._capsys = root / "backup.json", [root / "key1", root / "key2"], capsys
        self.challenge, self.record = root / "backup-challenge.json", root / "state/backup/opened.json"
        for key in self.keys:
            subprocess.run(["age-keygen", "-o", key], capture_output=True, check=True)
        self.public = [subprocess.check_output(["age-keygen", "-y", key], text=True).strip() for key in self.keys]
        self.encrypt_to(*self.public)

    def encrypt_to(self, *recipients: str) -> None:
        configuration.write(str(self.config), {**WANTED, "recipients": list(recipients)})

    def prove(self, *words: str, **arguments: Any) -> dict[str, Any]:
        with patch_module_args({"config": str(self.config), "prove": list(words), **arguments}), pytest.raises(SystemExit):
            backup.main()
        result: dict[str, Any] = json.loads(self._capsys.readouterr().out)
        return result

    def open(self, challenge: str, key: int = 0) -> str:
        return subprocess.check_output(["age", "-d", "-i", self.keys[key]], input=challenge, text=True)


@pytest.fixture
def server(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Server:
    monkeypatch.setattr(opened, "DIRECTORY", str(tmp_path / "state/backup"))
    return Server(tmp_path, capsys)


def test_a_key_that_is_kept_elsewhere_is_proven_by_a_word(server: Server) -> None:
    foretold = server.prove(_ansible_check_mode=True)
    assert foretold["changed"] and foretold["challenge"] == "" and not server.challenge.exists()
    asked = server.prove()
    assert (asked["changed"], asked["proven"]) == (True, False)
    word = server.open(asked["challenge"])
    assert server.open(asked["challenge"], 1) == word, "every recipient can open it"
    kept = server.challenge.read_text(encoding="utf-8")
    assert word not in kept and server.challenge.stat().st_mode & 0o777 == 0o600
    again = server.prove()
    assert (again["changed"], again["challenge"]) == (False, asked["challenge"])

    readable = Backup("/srv/backups/a.dump", samples.manifest(recipients=()), None)
    assert opened.protected(server.public, [readable], []) == [readable]
    foretold = server.prove(word, _ansible_check_mode=True)
    assert (foretold["changed"], foretold["proven"]) == (True, True) and not server.record.exists()
    proven = server.prove("of-another-server", word)
    assert (proven["changed"], proven["proven"], proven["challenge"]) == (True, True, "")
    assert json.loads(server.record.read_text(encoding="utf-8"))["recipients"] == sorted(server.public)
    assert server.record.stat().st_mode & 0o777 == 0o644 and not server.challenge.exists()
    assert opened.protected(server.public, [readable], []) == []
    assert not server.prove(word)["changed"] and not server.prove()["changed"]


def test_a_proof_is_of_the_present_recipients_alone(server: Server) -> None:
    old = server.open(server.prove()["challenge"])
    server.encrypt_to(server.public[1])
    refused = server.prove(old)
    assert refused["failed"] and "no challenge" in refused["msg"] and not server.record.exists()
    asked = server.prove()
    assert asked["changed"]
    refused = server.prove(old)
    assert refused["failed"] and "age -d" in refused["msg"] and old not in json.dumps(refused) and not server.record.exists()
    assert server.prove(server.open(asked["challenge"], 1))["proven"]
    server.encrypt_to(*server.public)
    assert not server.prove()["proven"]


@pytest.mark.parametrize("damaged", ["{", "[]", '{"recipients": 1}', '{"recipients": RECIPIENTS, "challenge": 1, "sha256": []}'])
def test_a_damaged_challenge_is_replaced(server: Server, damaged: str) -> None:
    server.challenge.write_text(damaged.replace("RECIPIENTS", json.dumps(sorted(server.public))), encoding="utf-8")
    assert server.prove("x")["failed"]
    assert server.prove(server.open(server.prove()["challenge"]))["proven"]


def test_nothing_is_to_be_proven_of_backups_that_everybody_can_read(server: Server) -> None:
    server.encrypt_to()
    assert "not encrypted" in server.prove()["msg"]
