# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json
import os
import signal
from dataclasses import fields, replace
from typing import Any

import pytest
import samples
from ansible.module_utils.testing import patch_module_args

from ansible_collections.esus.pec.plugins.module_utils.dump import dumping
from ansible_collections.esus.pec.plugins.module_utils.dump.planning import Desired
from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.postgres import contents, fingerprints
from ansible_collections.esus.pec.plugins.module_utils.postgres.psql import Connection
from ansible_collections.esus.pec.plugins.modules import dump as module

SECRET = "se:nha\\com'%d\"ão"
AGE = "age1" + "q" * 58
MADE = samples.manifest(bytes=12, duration_seconds=8.2, host="servidor", contents=contents.Contents({"tables": 7}, {}, 0, "5.4.37"))


class World:
    """A dump that is not really made."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.asked: list[tuple[Desired, bool]] = []
        self.outcome = dumping.Outcome(True, "/b/x.dump", MADE, {"database": "esus", "estimate_bytes": 30}, ("a note",))
        self.error: str | None = None
        self.signal = 0
        monkeypatch.setattr(dumping, "run", self.run)
        monkeypatch.setattr(os, "geteuid", lambda: 0)

    def run(self, desired: Desired, *, check: bool) -> dumping.Outcome:
        self.asked.append((desired, check))
        if self.signal:
            os.kill(os.getpid(), self.signal)
            signal.sigtimedwait([], 5)
        if self.error:
            raise PecError(self.error)
        return replace(self.outcome, manifest=None) if check else self.outcome


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    return World(monkeypatch)


def run(capsys: pytest.CaptureFixture[str], **arguments: Any) -> dict[str, Any]:
    with patch_module_args(arguments), pytest.raises(SystemExit):
        module.main()
    output = capsys.readouterr().out
    answer = json.loads(output)
    assert SECRET not in output
    assert SECRET not in json.dumps(answer, ensure_ascii=False).replace("\\\\", "\\")
    return answer


def test_the_defaults(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    answer = run(capsys, path="/b/")
    desired, check = world.asked[0]
    assert (desired, check) == (Desired("/b/"), False)
    assert {name: answer[name] for name in answer if name != "invocation"} == {
        "changed": True,
        "path": "/b/x.dump",
        "manifest_path": "/b/x.dump.json",
        "planned": {"database": "esus", "estimate_bytes": 30},
        "notes": ["a note"],
        "bytes": 12,
        "sha256": "0" * 64,
        "tables": 7,
        "fingerprint": None,
        "pec_version": "5.4.37",
        "duration_seconds": 8.2,
    }


def test_every_option_arrives(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    wanted = {
        "path": "/b/x",
        "format": "directory",
        "compression": "zstd",
        "level": 3,
        "jobs": 2,
        "no_owner": True,
        "no_privileges": True,
        "exclude_table_data": ["a", "b"],
        "schema_only": True,
        "snapshot": "0001-1",
        "encoding": "LATIN1",
        "fingerprint": True,
        "recipients": [f" {AGE}\n"],
        "owner": "backup",
        "group": "backup",
        "overwrite": True,
        "municipality": "Água Clara",
        "lock_timeout": 7,
        "check_space": False,
    }
    database = {"host": "/run/postgresql", "port": 5433, "name": "o'b", "username": "u", "password": SECRET}
    run(capsys, database=database, **wanted)
    desired = world.asked[0][0]
    expected = {**wanted, "exclude_table_data": ("a", "b"), "recipients": (AGE,)}
    assert desired == Desired(connection=Connection("/run/postgresql", 5433, "o'b", "u", SECRET), **expected)
    changed = {item.name for item in fields(Desired) if getattr(desired, item.name) != getattr(Desired("/b/"), item.name)}
    assert changed == {item.name for item in fields(Desired)} - {"moves_to"}, "which is no option, but the backup's"


def test_a_database_with_a_password_only(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    run(capsys, path="/b/", database={"password": SECRET})
    assert world.asked[0][0].connection == Connection("127.0.0.1", 5432, "esus", "esus", SECRET)


def test_a_fingerprint(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    taken = fingerprints.Fingerprint(fingerprints.HASH64, 5, "f" * 64, {})
    world.outcome = replace(world.outcome, manifest=replace(MADE, fingerprint=taken))
    assert run(capsys, path="/b/", fingerprint=True)["fingerprint"] == "f" * 64


def test_check_mode(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    answer = run(capsys, path="/b/", _ansible_check_mode=True)
    assert world.asked[0][1]
    assert (answer["changed"], answer["path"], answer["notes"]) == (True, "/b/x.dump", ["a note"])
    assert "sha256" not in answer


def test_an_error_is_returned(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    world.error = "no room; make some"
    answer = run(capsys, path="/b/", database={"password": SECRET})
    assert (answer["failed"], answer["msg"]) == (True, "no room; make some")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_told_to_end_it_ends_as_a_failure_does(world: World, capsys: pytest.CaptureFixture[str], number: signal.Signals) -> None:
    """So what it began is removed. A run that does not listen would end without a word; here by KeyboardInterrupt."""
    world.signal = number
    before = {each: signal.signal(each, signal.default_int_handler) for each in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)}
    try:
        answer = run(capsys, path="/b/")
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
    assert (answer["failed"], answer["msg"]) == (True, f"it was stopped by {number.name}")


def test_only_root_may(world: World, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert run(capsys, path="/b/")["failed"]
    assert world.asked == []


@pytest.mark.parametrize("wrong", [{"format": "tar"}, {"compression": "lz4"}, {"jobs": "many"}, {"database": {"user": "x"}}])
def test_what_ansible_refuses(world: World, capsys: pytest.CaptureFixture[str], wrong: dict[str, Any]) -> None:
    assert run(capsys, **{"path": "/b/", **wrong})["failed"]
    assert world.asked == []
