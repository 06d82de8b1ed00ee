# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import pytest
from installer_world import CONNECTION, DATABASE, INSTALLED, PASSWORD, World, database_facts, run

from ansible_collections.esus.pec.plugins.module_utils import beliefs
from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.installer import java, pec_service
from ansible_collections.esus.pec.plugins.module_utils.installer.running import Run
from ansible_collections.esus.pec.plugins.module_utils.module import PecModule
from ansible_collections.esus.pec.plugins.module_utils.pec.installation import Installation
from ansible_collections.esus.pec.plugins.module_utils.preflight.model import DatabaseSeen
from ansible_collections.esus.pec.plugins.module_utils.system import signals


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    return World(tmp_path, monkeypatch)


def test_a_bare_host_and_the_second_run(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    answer = run(world, capsys, database=DATABASE)
    assert (answer["changed"], answer["needed"], answer["action"]) == (True, True, "install")
    assert (answer["reason"], answer["from_version"], answer["version"]) == ("PEC is not installed here", None, "5.4.37")
    assert answer["diff"] == {"before": "", "after": "PEC 5.4.37\n"}
    assert answer["log"].startswith(f"{world.logs}/installer-5.4.37-") and answer["duration_seconds"] == 0
    assert world.phases == ["checking", "verifying", "done"]
    assert world.systemctl == [], "nothing to stop on a bare host"
    world.here, world.versions = INSTALLED, ("5.4.37", "5.4.37")
    again = run(world, capsys, database=DATABASE)
    assert (again["changed"], again["action"], len(world.commands)) == (False, "none", 1)
    assert again["diff"]["before"] == again["diff"]["after"]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        pytest.param({}, [], id="bundled"),
        pytest.param(
            {"database": {"host": "db", "port": 5433, "name": "pec", "username": "u", "password": PASSWORD}},
            ["-url=jdbc:postgresql://db:5433/pec", "-username=u", f"-password={PASSWORD}"],
            id="a database of its own",
        ),
        pytest.param(
            {"database": {"host": "db", "password": PASSWORD, "sslmode": "verify-full", "sslrootcert": "/etc/ssl/db.crt"}},
            [
                "-url=jdbc:postgresql://db:5432/esus?sslmode=verify-full&sslrootcert=/etc/ssl/db.crt",
                "-username=esus",
                f"-password={PASSWORD}",
            ],
            id="a protected connection",
        ),
        pytest.param({"cert_domain": "pec.example"}, ["-cert-domain=pec.example", "-cert-port=443"], id="certmgr"),
        pytest.param({"training": True, "backup": True}, ["-treinamento", "-backup"], id="training and backup"),
    ],
)
def test_the_command(world: World, capsys: pytest.CaptureFixture[str], arguments: dict[str, Any], expected: list[str]) -> None:
    run(world, capsys, java_options=["-Xmx2g"], timeout=5, **arguments)
    command = world.commands[0]
    assert command.arguments == ["-jar", str(world.jar), "-console", "-continue", *expected]
    assert (command.java, command.java_options, command.timeout) == ("/usr/bin/java", ["-Xmx2g"], 5)
    assert PASSWORD not in repr(command)


def test_check_mode_agrees_and_runs_nothing(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    answer = run(world, capsys, database=DATABASE, _ansible_check_mode=True)
    assert (answer["changed"], answer["action"], world.commands, world.phases) == (True, "install", [], [])


def test_check_mode_tells_the_errors_of_the_run(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    world.seen = DatabaseSeen(authentication="scram-sha-256")
    for check_mode in (False, True):
        answer = run(world, capsys, database=DATABASE, _ansible_check_mode=check_mode)
        lines = answer["msg"].splitlines()
        assert lines[0] == "the installer was not run, because its database is not ready:"
        assert lines[1].startswith("[database_scram]")
    assert world.commands == []


def test_check_mode_before_anything_is_there(world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    world.jar.unlink()
    world.seen = DatabaseSeen(unreachable="nobody answers")
    monkeypatch.setattr(java, "find", lambda _named: pytest.fail("Java is looked for"))
    answer = run(world, capsys, database=DATABASE, pending=["jar", "java", "database"], _ansible_check_mode=True)
    assert (answer["changed"], answer["version"]) == (True, "5.4.37")


def test_outside_of_check_mode_nothing_may_be_missing(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    world.jar.unlink()
    answer = run(world, capsys, database=DATABASE, pending=["jar", "java", "database"])
    assert answer["msg"].startswith(f"there is no installer at {world.jar}; ")


@pytest.mark.parametrize(("bundled", "expected"), [(True, [("stop", "pec"), ("start", "db")]), (False, [("stop", "pec")])])
def test_an_update_stops_pec_and_wants_its_own_database(
    world: World, capsys: pytest.CaptureFixture[str], bundled: bool, expected: list[tuple[str, str]]
) -> None:
    names = {"pec": beliefs.PEC_UNIT, "db": beliefs.DATABASE_UNIT}
    world.here = Installation("installed", version="5.3.28", connection=CONNECTION)
    world.versions = ("5.3.28", "5.4.37")
    answer = run(world, capsys, update=True, **({} if bundled else {"database": DATABASE}))
    assert (answer["action"], answer["from_version"]) == ("update", "5.3.28")
    assert answer["diff"] == {"before": "PEC 5.3.28\n", "after": "PEC 5.4.37\n"}
    assert world.systemctl == [(verb, names[unit]) for verb, unit in expected]


def test_an_update_that_nobody_allowed(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    world.here, world.versions = Installation("installed", version="5.3.28", connection=CONNECTION), ("5.3.28", None)
    assert "update: true" in run(world, capsys)["msg"]
    assert world.commands == []


AGAIN = "PEC 5.3.28 and its database are unchanged, so it was started again."
STARTS = "Correct that, then run: systemctl start e-SUS-PEC.service"


@pytest.mark.parametrize(
    ("changes", "note"),
    [
        pytest.param({}, AGAIN, id="nothing changed"),
        pytest.param(
            {"versions": ("5.3.28", "5.4.37")},
            f"PEC is stopped and was not started again: its database had version 5.3.28 and now has 5.4.37. {STARTS}",
            id="migrated",
        ),
        pytest.param(
            {"tables": (900, 901)},
            f"PEC is stopped and was not started again: its database had 900 tables and now has 901. {STARTS}",
            id="migrated in part",
        ),
        pytest.param(
            {"database_error": PecError("nobody answers")},
            f"PEC is stopped and was not started again: its database cannot be compared with before (nobody answers). {STARTS}",
            id="no database",
        ),
        pytest.param(
            {"after": Installation("broken", ("standalone.sh is missing",), connection=CONNECTION)},
            f"PEC is stopped and was not started again: its files are not complete (standalone.sh is missing). {STARTS}",
            id="half of its files",
        ),
        pytest.param(
            {"after": INSTALLED},
            f"PEC is stopped and was not started again: its files had version 5.3.28 and now have 5.4.37. {STARTS}",
            id="files",
        ),
        pytest.param(
            {"units": {beliefs.PEC_UNIT: "inactive", beliefs.DATABASE_UNIT: "active"}},
            "PEC is stopped, as it was before.",
            id="off",
        ),
    ],
)
def test_a_failed_update_starts_pec_again_if_nothing_changed(
    world: World, capsys: pytest.CaptureFixture[str], changes: dict[str, Any], note: str
) -> None:
    world.here = world.after = Installation("installed", version="5.3.28", connection=CONNECTION)
    world.versions, world.ending = ("5.3.28", "5.3.28"), Run(1, ("ERROR x",))
    for name, value in changes.items():
        setattr(world, name, value)
    answer = run(world, capsys, update=True, database=DATABASE)
    assert (answer["msg"].splitlines()[-1], answer["exit_code"]) == (note, 1)
    assert (world.systemctl[-1:] == [("start", beliefs.PEC_UNIT)]) == (note == AGAIN)


def test_a_run_that_is_stopped_starts_pec_again(world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    world.here = world.after = Installation("installed", version="5.3.28", connection=CONNECTION)
    world.versions = ("5.3.28", "5.3.28")

    def settle(_before: object, **_options: bool) -> None:
        world.turn("stop", beliefs.PEC_UNIT)
        raise signals.Stopped("it was stopped by SIGTERM")

    monkeypatch.setattr(pec_service, "settle", settle)
    answer = run(world, capsys, update=True, database=DATABASE)
    assert (answer["failed"], world.commands, world.phases[-1]) == (True, [], "failed")
    assert answer["msg"].splitlines() == ["it was stopped by SIGTERM", AGAIN]


def test_a_log_that_is_not_whole_is_told(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    world.ending = Run(0, ("INFO done",), log_problem="incomplete")
    answer = run(world, capsys, database=DATABASE)
    assert (answer["changed"], answer["log_problem"]) == (True, "incomplete")
    assert f"the log of the installer is incomplete: {answer['log']}" in json.dumps(answer["warnings"])


def test_exit_code_zero_without_effect(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    world.after, world.versions = Installation("absent"), (None, None)
    answer = run(world, capsys, database=DATABASE)
    assert answer["failed"] is True and answer["exit_code"] == 0
    assert "PEC is absent" in answer["msg"].splitlines()[0]
    assert world.phases == ["checking", "verifying", "failed"]


def test_a_failure_does_not_tell_secrets(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    world.ending = Run(1, (f"INFO java -password={PASSWORD}", f"INFO {PASSWORD}", "ERROR Falha ao migrar o Banco de Dados."))
    answer = run(world, capsys, database=DATABASE)
    assert (answer["cause"], answer["exit_code"]) == ("migration", 1)
    assert "-password=********" in answer["msg"] and "INFO ********" in answer["msg"]


def test_sql_is_asked_where_the_installer_was_sent(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    run(world, capsys, database={"host": "db", "password": PASSWORD})
    assert world.connections[-1].host == "db"


def test_two_runs_at_once(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    world.lock_error = PecError("another run holds the lock '/run/esus-pec/installer.lock' (process 7, since now)")
    assert run(world, capsys)["msg"] == str(world.lock_error)


def test_an_installer_that_outlived_its_run(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    world.survivor = PecError("an installer still works (process 77)", pid=77)
    answer = run(world, capsys)
    assert (answer["msg"], answer["pid"], world.commands) == (str(world.survivor), 77, [])


def test_not_root(world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert "become: true" in run(world, capsys)["msg"]


def test_wrong_sha256(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    actual = hashlib.sha256(world.jar.read_bytes()).hexdigest()
    assert actual in run(world, capsys, sha256="0" * 64)["msg"]
    assert run(world, capsys, sha256=actual)["changed"] is True


@pytest.mark.parametrize(
    ("seen", "unchecked", "code"),
    [
        pytest.param(DatabaseSeen(unreachable="nobody answers"), (), "[database_unreachable]", id="unreachable"),
        pytest.param(DatabaseSeen(authentication="scram-sha-256"), (), "[database_scram]", id="SCRAM only"),
        pytest.param(
            DatabaseSeen(authentication="md5", facts=database_facts(None, 7)), (), "[database_foreign]", id="not empty and not PEC"
        ),
        pytest.param(DatabaseSeen(authentication="md5", facts=database_facts("5.5.28")), (), "[database_newer]", id="newer"),
        pytest.param(DatabaseSeen(), ("what it holds: there is no psql",), "not checked: what it holds: there is no psql", id="no client"),
    ],
)
def test_a_database_that_is_not_ready(
    world: World, capsys: pytest.CaptureFixture[str], seen: DatabaseSeen, unchecked: tuple[str, ...], code: str
) -> None:
    world.seen, world.unchecked = seen, unchecked
    answer = run(world, capsys, database=DATABASE)
    assert [line for line in answer["msg"].splitlines()[1:] if line.startswith(code)], answer["msg"]
    assert world.commands == []


def test_the_journal_gets_no_password(world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    logged: list[str] = []
    monkeypatch.setattr(PecModule, "log", lambda _self, message, **_arguments: logged.append(message))
    answer = run(world, capsys, _ansible_no_log=False, database={"password": "back\\slash 'and' \"quotes\""})
    assert answer["changed"] is True
    assert "slash" not in str(logged) + json.dumps(answer)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
@pytest.mark.parametrize(
    "place", ["", "webserver", "webserver/standalone.sh", "webserver/certmgr", "jre/17", "jre/17/lib", "webserver/certmgr/certmgr.jar"]
)
@pytest.mark.parametrize("check_mode", [False, True])
def test_the_installer_runs_no_program_of_a_pec_that_another_account_can_change(
    world: World, capsys: pytest.CaptureFixture[str], tmp_path: Path, place: str, check_mode: bool
) -> None:
    home = tmp_path / "e-SUS"
    for name in ("webserver/certmgr/config", "webserver/chaves", "jre/17/lib", "jre/17/bin"):
        (home / name).mkdir(parents=True)
    for name in ("webserver/standalone.sh", "webserver/certmgr/certmgr.jar", "jre/17/bin/java"):
        (home / name).touch()
    (home / "jre/current").symlink_to("17")
    os.chown(home / "webserver/chaves", 65533, 65533)  # PEC's account may write there
    world.here = Installation("installed", version="5.3.28", connection=CONNECTION, home=str(home))
    world.versions = ("5.3.28", "5.4.37")
    arguments = {"update": True, "database": DATABASE, "_ansible_check_mode": check_mode}
    os.chown(home / place, 65533, 65533)
    assert f"; run: chown root {home / place};" in run(world, capsys, **arguments)["msg"]
    assert (world.commands, world.systemctl) == ([], [])
    os.chown(home / place, 0, 0)
    assert run(world, capsys, **arguments)["changed"] is True


@pytest.mark.parametrize("option", ["-Xmx2g\n-javaagent:/tmp/a.jar", "-Da=\0", "-Da=\x7f"])
def test_options_of_java_that_are_more_than_one(world: World, capsys: pytest.CaptureFixture[str], option: str) -> None:
    answer = run(world, capsys, java_options=["-Xmx2g", option])
    assert answer["msg"].startswith("option 2 of java_options has a line break or another control character in it; ")
    assert world.commands == []
