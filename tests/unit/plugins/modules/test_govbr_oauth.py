# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.testing import patch_module_args

from ansible_collections.esus.pec.plugins.module_utils.pec import govbr, installation
from ansible_collections.esus.pec.plugins.module_utils.properties import planning
from ansible_collections.esus.pec.plugins.module_utils.system import locks, systemd
from ansible_collections.esus.pec.plugins.modules import govbr_oauth

ID_KEY, SECRET_KEY = (f"bridge.security.oauth2.client.registration.govbr.client-{part}" for part in ("id", "secret"))
SECRET = "pZ3\\x#9!vQ=="
OLD = "0ldV4lue-from-gov"
DATASOURCE = "# of PEC\r\nspring.datasource.password=D4tabase\r\n"
ARGUMENTS = {"client_id": "pec.municipio.uf.gov.br", "client_secret": SECRET, "domain": "pec.municipio.uf.gov.br"}


class World:
    """A host with a PEC whose file is at C(file), and how long it has been running."""

    def __init__(self, directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.file = directory / "application.properties"
        self.file.write_bytes(DATASOURCE.encode())
        self.here = installation.Installation("installed", application_properties=str(self.file))
        self.age: float | None = 100.0
        record = str(directory / "state" / "govbr.json")
        note, pending = govbr.note_change, govbr.restart_pending
        lock = locks.lock
        monkeypatch.setattr(locks, "lock", lambda name: lock(name, directory=str(directory / "state" / "locks")))
        monkeypatch.setattr("os.geteuid", lambda: 0)
        monkeypatch.setattr(installation, "discover", lambda: self.here)
        monkeypatch.setattr(systemd, "active_seconds", lambda _unit: self.age)
        monkeypatch.setattr(govbr, "note_change", lambda: note(record))
        monkeypatch.setattr(govbr, "restart_pending", lambda: pending(record))
        monkeypatch.setattr(govbr, "read_clock", lambda _reference: govbr.Clock(True, 0.0))


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    return World(tmp_path, monkeypatch)


def run(capsys: pytest.CaptureFixture[str], check: bool = False, **changes: Any) -> dict[str, Any]:
    with patch_module_args({**ARGUMENTS, "_ansible_check_mode": check, **changes}), pytest.raises(SystemExit):
        govbr_oauth.main()
    output = capsys.readouterr().out
    for secret in (SECRET, json.dumps(SECRET)[1:-1], OLD, "D4tabase"):
        assert secret not in output
    return json.loads(output)


def test_from_nothing_to_rotation_to_removal(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    foretold = run(capsys, check=True)
    assert world.file.read_bytes() == DATASOURCE.encode() and sorted(os.listdir(world.file.parent)) == ["application.properties"]
    answer = run(capsys)
    assert [answer[key] for key in ("changed", "restart_needed", "diff")] == [
        foretold[key] for key in ("changed", "restart_needed", "diff")
    ]
    assert answer["changed"] and answer["restart_needed"]
    assert answer["redirect_urls"] == govbr.redirect_urls("pec.municipio.uf.gov.br")
    assert answer["logout_url"] == "https://pec.municipio.uf.gov.br/logout"
    assert answer["diff"]["after"] == f"{ID_KEY}=pec.municipio.uf.gov.br\n{SECRET_KEY}=********\n"
    escaped = SECRET.replace("\\", "\\\\")
    assert world.file.read_bytes().decode() == f"{DATASOURCE}{ID_KEY}=pec.municipio.uf.gov.br\r\n{SECRET_KEY}={escaped}\r\n"

    again = run(capsys)
    assert (again["changed"], again["restart_needed"]) == (False, True)  # interrupted before the restart
    world.age = 0.0
    assert run(capsys)["restart_needed"] is False

    world.age = 100.0
    rotated = run(capsys, client_secret="an0ther-one")
    assert (rotated["changed"], rotated["restart_needed"]) == (True, True)
    assert rotated["diff"]["after"] == f"{SECRET_KEY}=******** (changed)\n" and rotated["diff"]["before"] == f"{SECRET_KEY}=********\n"

    removed = run(capsys, state="absent")
    assert (removed["changed"], removed["restart_needed"], removed["diff"]["after"]) == (True, True, "")
    assert world.file.read_bytes() == DATASOURCE.encode()
    world.age = 0.0
    assert run(capsys, state="absent")["changed"] is False


def test_backup(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    world.file.write_text(f"{SECRET_KEY}={OLD}\n", encoding="utf-8")
    world.file.chmod(0o600)
    kept = Path(run(capsys, backup=True)["backup_file"])
    assert kept.read_text(encoding="utf-8") == f"{SECRET_KEY}={OLD}\n" and kept.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"client_secret": SECRET + "\n"}, "client_secret contains a blank or a line end"),
        ({"client_id": "SEU-CLIENT_ID"}, "client_id is a placeholder"),
        ({"client_id": "", "client_secret": ""}, "client_id is empty; give what Gov.br sent\nclient_secret is empty"),
        ({"client_id": SECRET}, "are the same"),
        ({"client_id": SECRET, "client_secret": "pec.municipio.uf.gov.br"}, "are swapped"),
        ({"client_secret": f"{SECRET_KEY}={SECRET}"}, "whole line"),
        ({"client_id": f"{SECRET_KEY}={SECRET}", "client_secret": "an0ther-one"}, "whole line"),
        ({"client_id": "https://pec.municipio.uf.gov.br"}, "client_id is an address"),
        ({"client_secret": "SEU_CLIENT_SECRET_GOVBR"}, "client_secret is a placeholder"),
        ({"domain": "https://pec.municipio.uf.gov.br"}, "write pec.municipio.uf.gov.br"),
    ],
)
def test_refusals(world: World, capsys: pytest.CaptureFixture[str], changes: dict[str, str], said: str) -> None:
    for check in (True, False):
        answer = run(capsys, check=check, **changes)
        assert answer["failed"] and said in answer["msg"], answer
    assert world.file.read_bytes() == DATASOURCE.encode()


def test_a_secret_in_the_place_of_the_id_is_never_shown(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    """Whether two random texts are swapped, only Gov.br knows. run() looks for the secrets in all that is returned."""
    for check in (True, False):
        answer = run(capsys, check=check, client_id=SECRET + "-0123456789", client_secret="an0ther-one")
        assert answer["diff"]["after"] == f"{ID_KEY}=********\n{SECRET_KEY}=********\n" and "may be the secret" in str(answer["warnings"])
    # An earlier run, or an operator, wrote them so; this run corrects it.
    world.file.write_text(f"{ID_KEY}={OLD}\n{SECRET_KEY}=pec.municipio.uf.gov.br\n", encoding="utf-8")
    diff = run(capsys, domain="")["diff"]
    assert diff["before"] == f"{ID_KEY}=********\n{SECRET_KEY}=********\n" and f"{ID_KEY}=pec.municipio.uf.gov.br" in diff["after"]


def test_a_file_that_java_reads_otherwise(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    world.file.write_bytes(b"\xef\xbb\xbf" + f"{SECRET_KEY}={OLD}\n".encode())
    assert f"{world.file}: an invisible byte order mark precedes {SECRET_KEY}, so PEC does not find this key" in str(
        run(capsys)["warnings"]
    )
    for data in (DATASOURCE.encode("utf-16"), DATASOURCE.encode() + f"{SECRET_KEY}={OLD}\n".encode("utf-16-le")):
        world.file.write_bytes(data)
        for check in (True, False):
            answer = run(capsys, check=check)
            assert answer["failed"] and f"{world.file} contains text in UTF-16" in answer["msg"]
        assert world.file.read_bytes() == data


def test_another_run_that_changes_the_file(world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(planning, "_WAIT", 0.0)
    with planning.alone(str(world.file)):
        answer = run(capsys)
        assert answer["failed"] and "another run holds the lock" in answer["msg"]
        assert run(capsys, check=True)["changed"] and world.file.read_bytes() == DATASOURCE.encode()
    assert run(capsys)["changed"]


def test_a_domain_in_capitals(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    answer = run(capsys, domain="PEC.MUNICIPIO.UF.GOV.BR")
    assert answer["redirect_urls"] == govbr.redirect_urls("pec.municipio.uf.gov.br") and world.file.read_bytes() != DATASOURCE.encode()


def test_warnings(world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(govbr, "read_clock", lambda _reference: govbr.Clock(False, 300.0))
    warnings = json.dumps(run(capsys, domain="pec.noharm.ai")["warnings"])
    assert "7.076/2024" in warnings and "300 seconds ahead" in warnings and "chrony" in warnings


def test_where_pec_is_not_installed(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    world.here = installation.Installation("absent")
    answer = run(capsys)
    assert answer["failed"] and answer["msg"] == "PEC is not installed on this host; install it first"
    foretold = run(capsys, check=True)
    assert (foretold["changed"], foretold["path"], foretold["restart_needed"]) == (True, None, False)
    assert "install it first" in json.dumps(foretold["warnings"])
    assert run(capsys, state="absent")["changed"] is False


def test_where_the_file_is_missing(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    world.file.unlink()
    assert f"{world.file} does not exist" in run(capsys)["msg"]
    assert run(capsys, check=True)["changed"] is True
    world.here = installation.Installation("broken", reasons=("an installation stopped half-way; run the installer again",))
    assert "stopped half-way" in run(capsys)["msg"]
