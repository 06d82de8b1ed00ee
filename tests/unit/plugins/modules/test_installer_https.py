# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
from installer_world import DATABASE, INSTALLED, World, run

from ansible_collections.esus.pec.plugins.module_utils.installer import running
from ansible_collections.esus.pec.plugins.module_utils.installer.running import Run
from ansible_collections.esus.pec.plugins.module_utils.pec import installation
from ansible_collections.esus.pec.plugins.module_utils.pec.installation import Installation


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    return World(tmp_path, monkeypatch)


def served(world: World, domain: str | None) -> Installation:
    """PEC with HTTPS by certmgr for a domain."""
    home = world.logs.parent / "e-SUS"
    ssl = home / "webserver/certmgr/config/ssl.properties"
    ssl.parent.mkdir(parents=True, exist_ok=True)
    ssl.write_text(f"certmgr.domain={domain}\n")
    https = installation.Https("certmgr", domain, 443, None) if domain else installation.NO_HTTPS
    return dataclasses.replace(INSTALLED, home=str(home), config_file=None, ssl_properties=str(ssl), https=https)


def test_another_domain(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    world.versions = ("5.4.37", "5.4.37")
    world.here, world.after = served(world, "a.br"), served(world, "b.br")
    foretold = run(world, capsys, database=DATABASE, cert_domain="b.br", _ansible_check_mode=True)
    answer = run(world, capsys, database=DATABASE, cert_domain="b.br")
    assert (answer["action"], foretold["action"]) == ("certificate", "certificate")
    assert answer["diff"] == foretold["diff"]
    assert answer["diff"]["before"] == "PEC 5.4.37\nHTTPS by certmgr: a.br, port 443\n"
    assert answer["diff"]["after"] == "PEC 5.4.37\nHTTPS by certmgr: b.br, port 443\n"
    assert (world.logs.parent / "state/certmgr-previous/config/ssl.properties").exists()
    world.here = world.after
    assert not run(world, capsys, database=DATABASE, cert_domain="b.br")["changed"]
    assert not run(world, capsys, database=DATABASE)["changed"], "a certificate that is not asked for stays"


def test_another_domain_that_fails(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    world.versions, world.ending = ("5.4.37", "5.4.37"), Run(1, ("ACME: timeout",))
    world.here = world.after = served(world, "a.br")
    ssl = Path(str(world.here.ssl_properties))
    before = ssl.read_text()
    lines = run(world, capsys, database=DATABASE, cert_domain="b.br")["msg"].splitlines()
    assert lines[-2] == "HTTPS is as it was before."
    assert lines[-1].endswith("so it was started again.")
    assert ssl.read_text() == before


@pytest.mark.parametrize("exit_code", [0, 1])
def test_the_passwords_stay_closed_to_others(
    exit_code: int, world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "pec.config"
    config.write_text("{}", encoding="utf-8")
    config.chmod(0o600)

    def write_anew(*arguments: Any) -> Run:
        config.unlink()
        config.write_text("{}", encoding="utf-8")
        config.chmod(0o644)
        return world.run_java(*arguments)

    world.versions, world.ending = ("5.4.37", "5.4.37"), Run(exit_code, ())
    world.here, world.after = (dataclasses.replace(served(world, name), config_file=str(config)) for name in ("a.br", "b.br"))
    monkeypatch.setattr(running, "run", write_anew)
    run(world, capsys, database=DATABASE, cert_domain="b.br")
    assert (len(world.commands), config.stat().st_mode & 0o007) == (1, 0)


def test_a_certificate_that_does_not_come_is_a_failure_whatever_the_exit_code(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    world.versions = ("5.4.37", "5.4.37")
    world.here = world.after = served(world, None)
    answer = run(world, capsys, database=DATABASE, cert_domain="a.br")
    assert "ssl.properties for a.br" in answer["msg"]


def test_the_database_in_use(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    world.versions = ("5.4.37", "5.4.37")
    world.here, world.after = dataclasses.replace(served(world, None), custom_database=True), served(world, "a.br")
    assert run(world, capsys, database_in_use=True, cert_domain="a.br")["action"] == "certificate"
    assert "-username=esus" in world.commands[0].arguments
    world.commands.clear()
    world.here = dataclasses.replace(world.here, custom_database=False)
    run(world, capsys, database_in_use=True, cert_domain="a.br")
    assert not [argument for argument in world.commands[0].arguments if argument.startswith("-username")]
    world.commands.clear()
    world.here = Installation("absent")
    assert "PEC is not installed here" in run(world, capsys, database_in_use=True)["msg"]
