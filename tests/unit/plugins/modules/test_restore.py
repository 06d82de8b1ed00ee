# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json
import os
import socket
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import samples
from ansible.module_utils.testing import patch_module_args

from ansible_collections.esus.pec.plugins.module_utils.archive.custom_format import Header
from ansible_collections.esus.pec.plugins.module_utils.archive.reading import Archive
from ansible_collections.esus.pec.plugins.module_utils.pec import installation
from ansible_collections.esus.pec.plugins.module_utils.pec.installation import Installation
from ansible_collections.esus.pec.plugins.module_utils.postgres.psql import Connection
from ansible_collections.esus.pec.plugins.module_utils.restore import restoring
from ansible_collections.esus.pec.plugins.module_utils.restore.planning import Current, Desired, Service, plan
from ansible_collections.esus.pec.plugins.modules import restore as module

SECRET = "se:nha\\com'%d\"ão"
CURRENT = Current(
    name="esus",
    owner="esus",
    server_version="15.18",
    server_version_num=150018,
    client_version="15.18",
    target=None,
    defaults={"encoding": "UTF8"},
    archive=Archive("/b/x.dump", "custom", ("zstd",), Header("15.18"), 5),
    sha256="0" * 64,
    manifest=samples.manifest(host=socket.gethostname()),
    toc=None,
    service=Service(False, True, True),
)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Desired, bool]]:
    """What the module asks for; it is only planned."""
    calls: list[tuple[Desired, bool]] = []

    def only_plan(desired: Desired, *, check: bool) -> restoring.Outcome:
        calls.append((desired, check))
        current = CURRENT if desired.directory else replace(CURRENT, manifest=None)
        planned = plan(current, desired, "20261122T030000Z")
        return restoring.Outcome(planned, current, warnings=("careful",), notes=planned.notes)

    monkeypatch.setattr(restoring, "run", only_plan)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    return calls


def run(capsys: pytest.CaptureFixture[str], **arguments: Any) -> dict[str, Any]:
    with patch_module_args(arguments), pytest.raises(SystemExit):
        module.main()
    output = capsys.readouterr().out
    answer: dict[str, Any] = json.loads(output)
    assert SECRET not in json.dumps(answer, ensure_ascii=False).replace("\\\\", "\\")
    return answer


def test_the_newest_of_this_server(asked: list[tuple[Desired, bool]], capsys: pytest.CaptureFixture[str]) -> None:
    answer = run(capsys, directory="/b", where={"pec_version": 5}, from_municipality="Água Clara", _ansible_check_mode=True)
    desired, check = asked[0]
    assert (check, desired.directory, desired.path, desired.where) == (True, "/b", None, {"pec_version": "5"})
    assert (desired.from_host, desired.from_municipality, desired.connection) == (socket.gethostname(), "Água Clara", None)
    assert (answer["changed"], answer["action"], answer["dump"], answer["kind"]) == (True, "restore", "/b/x.dump", "zstd custom")
    assert answer["origin"] == {
        "host": socket.gethostname(),
        "municipality": "Água Clara",
        "database": "esus",
        "pec_version": "5.4.37",
        "ended": "2026-11-22T03:05:00Z",
    }
    assert "careful" in json.dumps(answer["warnings"])


def test_a_dump_without_a_manifest(asked: list[tuple[Desired, bool]], capsys: pytest.CaptureFixture[str]) -> None:
    database = {"host": "db", "password": SECRET}
    answer = run(capsys, path="/b/x.dump", from_host="pec-old", database=database, admin={"password": SECRET}, sha256="ab")
    desired = asked[0][0]
    assert (desired.path, desired.from_host, desired.sha256) == ("/b/x.dump", "pec-old", "ab")
    assert desired.connection == Connection("db", 5432, "esus", "esus", SECRET)
    assert desired.admin_login == ("postgres", SECRET)
    assert (answer["manifest"], "origin" in answer) == (False, False)


@pytest.mark.parametrize(
    ("wrong", "name"),
    [
        ({"path": "/b", "jobs": 0}, "jobs is 0"),
        ({"path": "/b", "where": {"pec_version": "5"}}, "set directory"),
        ({"path": "/b", "directory": "/b"}, "mutually exclusive"),
        ({}, "path, directory"),
    ],
)
def test_what_does_not_go_together(
    asked: list[tuple[Desired, bool]], capsys: pytest.CaptureFixture[str], wrong: dict[str, Any], name: str
) -> None:
    answer = run(capsys, **wrong)
    assert answer["failed"] and name in answer["msg"]
    assert asked == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
@pytest.mark.parametrize("owner", [0, 65534])
def test_no_administrator_logs_in_where_another_account_says(
    asked: list[tuple[Desired, bool]], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, owner: int
) -> None:
    """A program of PEC's account would hand the login on to the real server, and add statements of its own."""
    source = tmp_path / "application.properties"
    source.touch()
    os.chown(source, owner, owner)
    monkeypatch.setattr(installation, "discover", lambda: Installation("installed", connection_source=str(source)))
    admin = {"username": "postgres", "password": SECRET}
    answer = run(capsys, path="/b/x.dump", admin=admin)
    assert bool(answer.get("failed")) == bool(owner) and len(asked) == (0 if owner else 1)
    if owner:
        assert f"because the account nobody can change {source}; give database, too" in answer["msg"]
    asked.clear()
    for arguments in ({"admin": admin, "database": {"password": SECRET}}, {}):
        assert not run(capsys, path="/b/x.dump", **arguments).get("failed")
    assert len(asked) == 2
