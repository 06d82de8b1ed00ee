# SPDX-License-Identifier: GPL-3.0-or-later
"""How far a transfer to this host has come, so that another run resumes it, or begins anew. Private to the collection."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.system import clock, files, locks

DIRECTORY = "/var/lib/esus-pec"
PATH = f"{DIRECTORY}/transfer/state.json"
FREEZE, CUTOVER = "freeze", "cutover"
PHASES = ("preflight", "prepare", "rehearse", FREEZE, "move", "files", "settle", "verify", CUTOVER)
"""In their order. The rehearsal may be left out."""
LAST_TRANSACTION = "last_transaction"
"""The fact of the freeze that shows whether the source was frozen again since."""

_WORKING = (locks.INSTALLER, "database-", "dump-", "transfer-database", "physical-")
_ALONE = "transfer-state"
_WAIT = 10.0
_KEPT = 10


@dataclass(frozen=True)
class Source:
    """What distinguishes a source from all others; of a file C(host) is its name and C(database) its SHA-256."""

    host: str
    system_identifier: str = ""
    database: str = ""

    def __str__(self) -> str:
        server = f" (system identifier {self.system_identifier})" if self.system_identifier else ""
        return f"{self.database!r} of {self.host}{server}" if self.database else f"{self.host}{server}"


@dataclass(frozen=True)
class Done:
    """A finished phase: when, by which run, and what it found out."""

    phase: str
    at: str
    run: str
    facts: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class Takeover:
    """A run that was at work when another one began."""

    run: str
    by: str
    at: str


@dataclass(frozen=True)
class State:
    """One transfer. C(failure) is the phase that failed last, None after a success; C(taken) are the runs that were taken over."""

    source: Source
    run: str
    since: str
    phases: tuple[Done, ...] = ()
    failure: Done | None = None
    taken: tuple[Takeover, ...] = ()

    @property
    def finished(self) -> bool:
        """Whether the source was replaced by this host."""
        return any(done.phase == CUTOVER for done in self.phases)

    def facts(self, phase: str) -> Mapping[str, object]:
        """What a finished phase found out; nothing of one that is not done."""
        return next((done.facts for done in self.phases if done.phase == phase), {})


@dataclass(frozen=True)
class Begin:
    """A run that wants to work. C(last_transaction) is that of the source's mark, None if nobody asked; C(serving): it has no mark."""

    run: str
    source: Source
    last_transaction: int | None = None
    serving: bool = False
    restart: bool = False


@dataclass(frozen=True)
class Begun:
    """The state after a run began, which phases are no longer done and why, and which run was taken over."""

    state: State
    dropped: tuple[str, ...] = ()
    reason: str = ""
    taken_over: str = ""


def begin(before: State | None, wanted: Begin, now: str) -> Begun:
    """Return how a run resumes or begins. Raises PecError for a transfer that is finished."""
    if before is None:
        return Begun(State(wanted.source, wanted.run, now))
    again = before.run == wanted.run
    if before.finished and not wanted.restart and not again:
        finished = next(each for each in before.phases if each.phase == CUTOVER)
        raise PecError(
            f"the transfer of {before.source} to this host was finished on {finished.at}; to undo it run esus.pec.transfer_rollback; to "
            "move once more, which replaces this host's database, set restart: true"
        )
    older = tuple(each for each in before.taken if each.run != wanted.run)  # a run may come back
    kept, dropped, reason = _kept(before, wanted)
    after = replace(
        before,
        source=wanted.source,
        run=wanted.run,
        since=before.since if again else now,
        phases=kept,
        failure=before.failure if not reason else None,
        taken=before.taken if again else (*older, Takeover(before.run, wanted.run, now))[-_KEPT:],
    )
    return Begun(after, dropped, reason, "" if again else before.run)


def done(before: State | None, run: str, phase: str, facts: Mapping[str, object], now: str) -> State:
    """Return the state after a phase. Raises PecError if another run took over, or none began."""
    state = _of(before, run)
    known = next((each for each in state.phases if each.phase == phase), None)
    if known is not None and known.facts == facts:
        return replace(state, failure=None)
    phases = (*(each for each in state.phases if each.phase != phase), Done(phase, now, run, facts))
    return replace(state, phases=tuple(sorted(phases, key=lambda each: PHASES.index(each.phase))), failure=None)


def failed(before: State | None, run: str, phase: str, facts: Mapping[str, object], now: str, *, serving: bool) -> State:
    """Return the state after a phase failed: it is not done and, if the source serves again, nothing since the freeze is."""
    state = _of(before, run)
    gone = {phase, *(_since_freeze() if serving else ())}
    kept = tuple(each for each in state.phases if each.phase not in gone)
    return replace(state, phases=kept, failure=Done(phase, now, run, facts))


def following(state: State | None) -> str | None:
    """Return the first phase that is not done, apart from the rehearsal, which may be left out; None after the last."""
    finished = {each.phase for each in state.phases} if state else set()
    return next((phase for phase in PHASES if phase not in finished and phase != "rehearse"), None)


def read(path: str = PATH) -> State | None:
    """Return the recorded state; None if no transfer began. Raises PecError if the file is damaged."""
    if not os.path.lexists(path):
        return None
    data = files.read_bytes(path)
    try:
        return _parse(json.loads(data))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise PecError(
            f"{path} is damaged, so nobody knows how far the transfer came; look at both servers, then remove it with "
            "esus.pec.transfer_state and state: absent, which makes the next run begin anew"
        ) from None


def write(state: State, path: str = PATH) -> None:
    """Record the state, for root alone."""
    above = os.path.dirname(os.path.dirname(path))
    if not os.path.isdir(above):
        files.keep_directory(above, mode=0o755, uid=-1, gid=-1)
    files.make_private(os.path.dirname(path))
    files.write_atomic(path, json.dumps(_plain(state), ensure_ascii=False, indent=1).encode() + b"\n", mode=0o600, uid=os.getuid())


def alone() -> contextlib.AbstractContextManager[None]:
    """Hold the lock of the file, which every call requires for a moment only."""
    return locks.lock_soon(_ALONE, _WAIT)


def require_idle(state: State | None, run: str, directory: str = locks.DIRECTORY) -> None:
    """Raise PecError, with the holder, while a module of another run works on this host's PEC or database."""
    if state is None or state.run == run:
        return
    for name in locks.names(directory):
        holder = locks.holder(name, directory=directory) if name.startswith(_WORKING) else ""
        if holder:
            raise PecError(
                f"the run {state.run}, which began on {state.since}, or another one is at work on this host ({holder}); wait until it "
                "ends, or stop that process, then run again"
            )


def _kept(before: State, wanted: Begin) -> tuple[tuple[Done, ...], tuple[str, ...], str]:
    """The phases that are still done, those that are not, and the reason."""
    frozen_at = before.facts(FREEZE).get(LAST_TRANSACTION)
    if wanted.restart and wanted.run != before.run:  # of one run only the first call
        gone, reason = set(PHASES), "restart was asked for"
    elif wanted.source != before.source:
        gone, reason = set(PHASES), f"the transfer was from {before.source}, and now it is from {wanted.source}"
    elif wanted.serving:
        gone, reason = set(_since_freeze()), "the source serves again, so it may have been written to since its freeze"
    elif wanted.last_transaction is not None and frozen_at is not None and str(frozen_at) != str(wanted.last_transaction):
        gone = set(_since_freeze())
        reason = f"the source was frozen again since, at transaction {wanted.last_transaction} instead of {frozen_at}"
    else:
        gone, reason = set(), ""
    kept = tuple(each for each in before.phases if each.phase not in gone)
    dropped = tuple(each.phase for each in before.phases if each.phase in gone)
    return kept, dropped, reason if dropped or len(gone) == len(PHASES) else ""


def _since_freeze() -> tuple[str, ...]:
    return PHASES[PHASES.index(FREEZE) :]


def _of(state: State | None, run: str) -> State:
    if state is None:
        raise PecError("no transfer to this host has begun, or its record was removed; run the playbook from its beginning")
    if state.run == run:
        return state
    taken = next((each for each in reversed(state.taken) if each.run == run), None)
    if taken is None:
        raise PecError(f"the transfer to this host is the run {state.run}'s since {state.since}; this run never began it")
    now = "" if taken.by == state.run else f", and now it is the run {state.run}'s"
    raise PecError(
        f"the run {taken.by} took this transfer over on {taken.at}{now}; this run ends here and leaves everything as it is: "
        "follow the other run, or start again when it has ended"
    )


def _plain(state: State) -> Mapping[str, object]:
    return {
        "source": vars(state.source),
        "run": {"id": state.run, "since": state.since},
        "phases": [vars(each) for each in state.phases],
        "failure": vars(state.failure) if state.failure else None,
        "taken": [vars(each) for each in state.taken],
    }


def _parse(content: Mapping[str, Mapping[str, object]]) -> State:
    return State(
        source=Source(**_texts(content["source"], "host", "system_identifier", "database")),
        run=_text(content["run"]["id"]),
        since=_text(content["run"]["since"]),
        phases=tuple(_done(each) for each in _list(content["phases"])),
        failure=_done(content["failure"]) if content["failure"] is not None else None,
        taken=tuple(Takeover(**_texts(each, "run", "by", "at")) for each in _list(content["taken"])),
    )


def _done(content: Mapping[str, object]) -> Done:
    facts = content["facts"]
    named = _texts(content, "phase", "at", "run")
    if not isinstance(facts, dict) or named["phase"] not in PHASES:
        raise ValueError
    clock.parse(named["at"])
    return Done(facts=facts, **named)


def _texts(content: Mapping[str, object], *names: str) -> dict[str, str]:
    return {name: _text(content[name]) for name in names}


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value


def _list(value: object) -> Iterator[Mapping[str, object]]:
    if not isinstance(value, list):
        raise TypeError
    return iter(value)
