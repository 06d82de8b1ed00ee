# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import contextlib
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
import samples

from ansible_collections.esus.pec.plugins.module_utils import beliefs
from ansible_collections.esus.pec.plugins.module_utils.archive.custom_format import Header
from ansible_collections.esus.pec.plugins.module_utils.archive.reading import Archive
from ansible_collections.esus.pec.plugins.module_utils.archive.toc import Toc
from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.postgres.contents import Contents
from ansible_collections.esus.pec.plugins.module_utils.restore import completeness, origin, restoring
from ansible_collections.esus.pec.plugins.module_utils.restore.completeness import Inventory
from ansible_collections.esus.pec.plugins.module_utils.restore.origin import Holder
from ansible_collections.esus.pec.plugins.module_utils.restore.planning import Current, Desired, Service, Target, plan
from ansible_collections.esus.pec.plugins.module_utils.system import signals, systemd

STAMP = "20261122T030000Z"
FACTS = {"encoding": "UTF8", "datcollate": "C", "datctype": "C"}
TARGET = Target(FACTS, 1000, None, 40, "5.4.37")
CURRENT = Current(
    name="esus",
    owner="esus",
    server_version="15.18",
    server_version_num=150018,
    client_version="15.18",
    target=TARGET,
    defaults=FACTS,
    archive=Archive("/srv/x.sql", "plain", (), Header("15.18"), 5),
    sha256="0" * 64,
    manifest=None,
    toc=None,
    service=Service(False, True, True),
)
DESIRED = Desired(from_host="pec", path="/srv/x.sql", replace=True)


@pytest.mark.parametrize(
    "failure",
    [
        pytest.param(signals.Stopped("it was stopped by SIGTERM"), id="a signal"),
        pytest.param(PecError("systemctl did not end within 300 seconds and was stopped"), id="a time-out"),
    ],
)
def test_pec_is_started_again_when_its_stop_is_interrupted(failure: BaseException, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, str]] = []

    def systemctl(verb: str, name: str) -> None:
        asked.append((verb, name))
        if verb == "stop":
            raise failure

    monkeypatch.setattr(systemd, "systemctl", systemctl)
    monkeypatch.setattr(restoring.locks, "lock", lambda _name: contextlib.nullcontext())
    planned: Any = SimpleNamespace(leftovers=(), action="restore", notes=())
    found: Any = SimpleNamespace(current=SimpleNamespace(name="esus", service=Service(running=True, enabled=True, uses=True)), admin=None)
    desired: Any = SimpleNamespace(jobs=1, stop_service=True)
    status: Any = SimpleNamespace(update=lambda **_facts: None)
    nothing: Any = None
    with pytest.raises(type(failure)) as caught:
        restoring._Restore(desired, nothing, found, planned, nothing, status).run()
    assert (caught.value, asked) == (failure, [("stop", beliefs.PEC_UNIT), ("start", beliefs.PEC_UNIT)])


class Steps:
    """The steps of a restore, with the database replaced by what a test says that the dump holds."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, version: str | None, holder: Holder) -> None:
        self.done: list[str] = []
        self.inventory = Inventory({"tables": 1101}, 0, version)
        found = Contents({"tables": 1}, {}, 0, version)
        monkeypatch.setattr(restoring, "Session", lambda *_arguments: contextlib.nullcontext())
        monkeypatch.setattr(restoring.contents, "read_contents", lambda _session: found)
        monkeypatch.setattr(origin, "read_holder", lambda _session: holder)
        monkeypatch.setattr(completeness, "take", lambda *_arguments, look: self.inventory)
        monkeypatch.setattr(restoring.verify, "analyze", lambda *_arguments: None)
        monkeypatch.setattr(restoring.loading_role, "drop", lambda *_arguments: None)
        monkeypatch.setattr(systemd, "systemctl", lambda verb, _name: self.done.append(verb))
        for name, answer in {
            "_create": (SimpleNamespace(name="r", owner_is_superuser=lambda: False, hand_over=list), None),
            "_load": SimpleNamespace(
                output=SimpleNamespace(first_warnings=[]), tables=None, filled=None, without_oids=False, created=False
            ),
            "_verify": found,
            "_give_rights": None,
            "_switch": None,
            "_clean_up": "",
            "_drop": None,
        }.items():
            monkeypatch.setattr(restoring._Restore, name, self.step(name, answer))

    def step(self, name: str, answer: Any) -> Any:
        def run(*_arguments: Any) -> Any:
            self.done.append(name)
            return answer

        return run

    def run(self, current: Current, desired: Desired) -> restoring.Outcome:
        status: Any = SimpleNamespace(update=lambda **_facts: None)
        nothing: Any = None
        admin = SimpleNamespace(superuser=False)
        clients = SimpleNamespace(psql="", vacuumdb="")
        dump = SimpleNamespace(require_unchanged=lambda: None)
        found: Any = SimpleNamespace(current=current, admin=admin, clients=clients, dump=dump)
        return restoring._Restore(desired, nothing, found, plan(current, desired, STAMP), nothing, status).run()


RUNNING = replace(CURRENT, installed="5.5.28", service=Service(running=True, enabled=True, uses=True))
WITH_STOP = replace(DESIRED, stop_service=True)


@pytest.mark.parametrize("rehearse", [True, False])
def test_another_version_is_refused_before_the_switch(monkeypatch: pytest.MonkeyPatch, rehearse: bool) -> None:
    for version, allowed in (("5.4.37", False), ("5.6.0", False), ("5.6.0", True)):
        steps = Steps(monkeypatch, version, Holder())
        with pytest.raises(PecError, match=f"is of PEC {version}"):
            steps.run(RUNNING, replace(WITH_STOP, rehearse=rehearse, allow_other_version=allowed))
        assert "_switch" not in steps.done
        assert steps.done[-2:] == (["_load", "_clean_up"] if rehearse else ["_clean_up", "start"]), "PEC runs with the old database"


def test_pec_waits_for_the_update_that_the_operator_announced(monkeypatch: pytest.MonkeyPatch) -> None:
    steps = Steps(monkeypatch, "5.4.37", Holder())
    outcome = steps.run(RUNNING, replace(WITH_STOP, allow_other_version=True))
    assert steps.done == ["stop", "_create", "_load", "_verify", "_give_rights", "_switch"], "PEC is not started"
    assert outcome.update_follows
    assert "stays stopped until its installer has updated the database" in " ".join(outcome.notes)
    same = Steps(monkeypatch, "5.5.28", Holder())
    assert not same.run(RUNNING, replace(WITH_STOP, allow_other_version=True)).update_follows
    assert same.done[-2:] == ["_switch", "start"]


def test_unknown_versions_are_said(monkeypatch: pytest.MonkeyPatch) -> None:
    steps = Steps(monkeypatch, None, Holder())
    said = " ".join(steps.run(RUNNING, replace(WITH_STOP, require_pec=False)).notes)
    assert "the dump is of PEC unknown, and the PEC on this server is 5.5.28" in said


def test_another_municipality_is_refused_before_the_switch(monkeypatch: pytest.MonkeyPatch) -> None:
    target = replace(TARGET, holder=Holder("Água Clara", "https://pec.aguaclara.ms.gov.br"))
    current = replace(RUNNING, installed=None, target=target)
    theirs = Holder("Rio Azul", "https://pec.rioazul.pr.gov.br")
    steps = Steps(monkeypatch, "5.4.37", theirs)
    with pytest.raises(PecError, match=r"it holds the data of 'Rio Azul', link .*, but .* 'Água Clara'"):
        steps.run(current, WITH_STOP)
    assert "_switch" not in steps.done
    named = Steps(monkeypatch, "5.4.37", theirs)
    named.run(current, replace(WITH_STOP, from_municipality="Rio Azul"))
    assert "_switch" in named.done


def test_a_part_of_a_database_is_refused_before_the_switch(monkeypatch: pytest.MonkeyPatch) -> None:
    steps = Steps(monkeypatch, "5.5.28", Holder())
    steps.inventory = Inventory({"tables": 1}, 0, "5.5.28")
    with pytest.raises(PecError, match=r"only a part of a database: tables: 1, and a PEC has .* set allow_partial"):
        steps.run(RUNNING, WITH_STOP)
    assert "_switch" not in steps.done
    asked = Steps(monkeypatch, "5.5.28", Holder())
    asked.inventory = steps.inventory
    assert "only a part of a database: tables: 1" in " ".join(asked.run(RUNNING, replace(WITH_STOP, allow_partial=True)).notes)
    assert "_switch" in asked.done


def test_an_archive_shows_before_the_load_that_it_is_a_part() -> None:
    toc = Toc([], {"tables": 1101, "indexes": 0}, [], 1101, True, True)
    current = replace(CURRENT, toc=toc)
    with pytest.raises(PecError, match="indexes: 0 for 1101 tables"):
        restoring._partial(current, DESIRED)
    assert restoring._partial(current, replace(DESIRED, allow_partial=True))
    assert restoring._partial(replace(current, toc=replace(toc, counts={"tables": 1101, "indexes": 2000})), DESIRED) == []
    assert restoring._partial(replace(current, manifest=samples.manifest()), DESIRED) == [], "it is compared with its manifest"


@pytest.mark.parametrize("fails", [True, False])
def test_a_pec_that_a_killed_restore_had_stopped_is_started_again(fails: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """It does not run when this one begins, and nothing else would start it: its unit is not enabled."""
    asked: list[str] = []
    monkeypatch.setattr(systemd, "systemctl", lambda verb, _name: asked.append(verb))
    monkeypatch.setattr(restoring.locks, "lock", lambda _name: contextlib.nullcontext())

    def beside(_self: Any) -> Any:
        if fails:
            raise PecError("the dump is damaged")

    monkeypatch.setattr(restoring._Restore, "_restore_beside", beside)
    planned: Any = SimpleNamespace(leftovers=(), action="restore", notes=())
    service = Service(running=False, enabled=False, uses=True, owed=True)
    found: Any = SimpleNamespace(current=SimpleNamespace(name="esus", service=service), admin=None)
    desired: Any = SimpleNamespace(jobs=1, stop_service=True)
    nothing: Any = None
    restore = restoring._Restore(desired, nothing, found, planned, nothing, nothing)
    if fails:
        with pytest.raises(PecError, match=r"damaged\. PEC, which a killed run had stopped, was started again"):
            restore.run()
    else:
        restore.run()
    assert asked == ["start"]
