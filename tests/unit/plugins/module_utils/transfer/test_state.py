# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.system import locks
from ansible_collections.esus.pec.plugins.module_utils.transfer import state
from ansible_collections.esus.pec.plugins.module_utils.transfer.state import Begin, Done, Source, State

NOW = "2026-11-30T12:00:00Z"
LATER = "2026-11-30T13:00:00Z"
OLD = Source("antigo", "7411", "esus")


def reached(*phases: str, run: str = "one") -> State:
    """A transfer with these phases done."""
    facts = {"freeze": {"last_transaction": 900}}
    return State(OLD, run, NOW, tuple(Done(phase, NOW, run, facts.get(phase, {})) for phase in phases))


def names(found: State) -> list[str]:
    return [each.phase for each in found.phases]


def test_a_first_run_begins_and_the_same_run_goes_on() -> None:
    begun = state.begin(None, Begin("one", OLD), NOW)
    assert begun.state == State(OLD, "one", NOW)
    assert (begun.dropped, begun.reason, begun.taken_over) == ((), "", "")
    moved = state.done(begun.state, "one", "prepare", {"jar": "x"}, LATER)
    again = state.begin(moved, Begin("one", OLD), LATER)
    assert again.state == moved and not again.taken_over


@pytest.mark.parametrize(
    ("wanted", "kept", "reason"),
    [
        (Begin("two", OLD), ["prepare", "freeze", "move"], ""),
        (Begin("two", OLD, last_transaction=900), ["prepare", "freeze", "move"], ""),
        (Begin("two", OLD, last_transaction=901), ["prepare"], "frozen again since, at transaction 901 instead of 900"),
        (Begin("two", OLD, serving=True), ["prepare"], "serves again"),
        (Begin("two", Source("antigo", "7412", "esus")), [], "from 'esus' of antigo (system identifier 7411), and now it is from"),
        (Begin("two", Source("antigo", "7411", "outro")), [], "and now it is from 'outro'"),
        (Begin("two", Source("outro", "7411", "esus")), [], "and now it is from 'esus' of outro"),
        (Begin("two", OLD, restart=True), [], "restart"),
    ],
)
def test_what_a_rerun_finds_done(wanted: Begin, kept: list[str], reason: str) -> None:
    before = reached("prepare", "freeze", "move")
    begun = state.begin(before, wanted, LATER)
    assert names(begun.state) == kept
    assert list(begun.dropped) == [phase for phase in names(before) if phase not in kept]
    assert reason in begun.reason and bool(reason) == bool(begun.reason)
    assert (begun.taken_over, begun.state.run, begun.state.since, begun.state.source) == ("one", "two", LATER, wanted.source)


def test_what_has_not_been_frozen_is_not_dropped_because_the_source_serves() -> None:
    begun = state.begin(reached("preflight", "prepare"), Begin("two", OLD, serving=True), LATER)
    assert names(begun.state) == ["preflight", "prepare"] and begun.reason == ""


def test_restart_counts_once_for_a_run() -> None:
    first = state.begin(reached("prepare"), Begin("two", OLD, restart=True), LATER).state
    prepared = state.done(first, "two", "prepare", {}, LATER)
    assert names(state.begin(prepared, Begin("two", OLD, restart=True), LATER).state) == ["prepare"]


def test_a_finished_transfer_is_begun_again_only_when_asked() -> None:
    finished = reached("freeze", "cutover")
    assert finished.finished
    for wanted in (Begin("two", OLD), Begin("two", Source("outro"))):
        with pytest.raises(PecError, match=r"was finished on 2026-11-30T12:00:00Z.*restart: true"):
            state.begin(finished, wanted, LATER)
    assert state.begin(finished, Begin("one", OLD), LATER).state == finished, "the run that finished it goes on"
    assert not state.begin(finished, Begin("two", OLD, restart=True), LATER).state.finished


def test_the_run_that_was_taken_over_is_told_by_whom_and_when() -> None:
    second = state.begin(reached("prepare"), Begin("two", OLD), LATER).state
    for call in (
        lambda: state.done(second, "one", "move", {}, LATER),
        lambda: state.failed(second, "one", "move", {}, LATER, serving=False),
    ):
        with pytest.raises(PecError, match=rf"the run two took this transfer over on {LATER}; this run ends here"):
            call()
    third = state.begin(second, Begin("three", OLD), "2026-11-30T14:00:00Z").state
    with pytest.raises(PecError, match=rf"the run two took this transfer over on {LATER}, and now it is the run three's"):
        state.done(third, "one", "move", {}, LATER)
    back = state.begin(third, Begin("one", OLD), LATER).state
    assert names(state.done(back, "one", "move", {}, LATER)) == ["prepare", "move"], "it began again, and is the newest"
    with pytest.raises(PecError, match="never began it"):
        state.done(third, "stranger", "move", {}, LATER)
    with pytest.raises(PecError, match="no transfer to this host has begun"):
        state.done(None, "one", "move", {}, LATER)


def test_the_list_of_runs_does_not_grow_without_end() -> None:
    found = reached()
    for number in range(50):
        found = state.begin(found, Begin(f"run {number}", OLD), NOW).state
    assert len(found.taken) < 20


def test_phases_have_their_order_and_are_recorded_once() -> None:
    found = reached()
    for phase in ("move", "prepare", "freeze"):
        found = state.done(found, "one", phase, {}, LATER)
    assert names(found) == ["prepare", "freeze", "move"]
    assert state.done(found, "one", "move", {}, "2027-01-01T00:00:00Z") == found
    assert state.done(found, "one", "move", {"rows": 1}, LATER).facts("move") == {"rows": 1}


def test_a_failure_is_kept_until_a_phase_is_done() -> None:
    broken = state.failed(reached("prepare", "freeze", "move"), "one", "files", {"why": "disk"}, LATER, serving=False)
    assert names(broken) == ["prepare", "freeze", "move"] and state.following(broken) == "preflight"
    assert broken.failure == Done("files", LATER, "one", {"why": "disk"})
    assert state.begin(broken, Begin("two", OLD), LATER).state.failure == broken.failure
    assert state.done(broken, "one", "files", {}, LATER).failure is None
    back = state.failed(broken, "one", "settle", {}, LATER, serving=True)
    assert names(back) == ["prepare"], "the source serves again, so the freeze is over"


@pytest.mark.parametrize(
    ("phases", "following"),
    [((), "preflight"), (("preflight",), "prepare"), (("preflight", "prepare"), "freeze"), (state.PHASES, None)],
)
def test_what_comes_next(phases: tuple[str, ...], following: str | None) -> None:
    assert state.following(reached(*phases)) == following


def test_the_file_is_for_root_alone_and_says_the_same_again(tmp_path: Path) -> None:
    path = tmp_path / "esus-pec" / "transfer" / "state.json"
    assert state.read(str(path)) is None
    full = state.failed(reached("prepare", "freeze"), "one", "move", {"é": ["ã", 1, None]}, LATER, serving=False)
    full = state.begin(full, Begin("two", OLD), LATER).state
    state.write(full, str(path))
    assert state.read(str(path)) == full
    assert (path.stat().st_mode & 0o777, path.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    assert path.parent.parent.stat().st_mode & 0o777 == 0o755, "others have directories of their own in it"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "{}",
        "null",
        '"text"',
        "[" * 100000,
        '{"source": 1, "run": 2, "phases": 3, "failure": 4, "taken": 5}',
        json.dumps(
            {"source": {"host": "a", "system_identifier": "", "database": ""}, "run": {"id": 1, "since": ""}, "phases": [], "taken": []}
        ),
        json.dumps(
            {"source": {"host": "a", "system_identifier": "", "database": ""}, "run": {"id": "1", "since": NOW}, "phases": [{"phase": "x"}]}
        ),
    ],
)
def test_a_damaged_file_is_an_error_that_names_it(tmp_path: Path, text: str) -> None:
    path = tmp_path / "state.json"
    path.write_text(text)
    with pytest.raises(PecError, match=rf"{path} is damaged.*state: absent"):
        state.read(str(path))


def test_a_phase_that_does_not_exist_or_has_no_time_is_damage(tmp_path: Path) -> None:
    path = tmp_path / "d" / "state.json"
    path.parent.mkdir(mode=0o700)
    state.write(reached("prepare"), str(path))
    good = json.loads(path.read_text())
    for wrong in ({"phase": "unknown"}, {"facts": []}):
        path.write_text(json.dumps({**good, "phases": [{**good["phases"][0], **wrong}]}))
        with pytest.raises(PecError, match="is damaged"):
            state.read(str(path))


@pytest.mark.parametrize("name", ["installer", "database-0123", "dump-0123"])
def test_nobody_takes_over_while_a_module_works(tmp_path: Path, name: str) -> None:
    place = str(tmp_path / "run")
    state.require_idle(reached(), "two", place)
    with locks.lock("transfer-state", directory=place), locks.lock("certificates", directory=place):
        state.require_idle(reached(), "two", place)
    with locks.lock(name, directory=place, run="a restore of 'esus'"):
        with pytest.raises(PecError, match=rf"a restore of 'esus', process {os.getpid()}, since 20.*wait until it ends"):
            state.require_idle(reached(), "two", place)
        state.require_idle(reached(), "one", place)
        state.require_idle(None, "two", place)
    state.require_idle(reached(), "two", place)
