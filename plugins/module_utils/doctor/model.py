# SPDX-License-Identifier: GPL-3.0-or-later
"""What the doctor says: a line for each thing that was compared. Keys are English, texts are what a Brazilian administrator reads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass

OK = "ok"
DIVERGES = "diverges"
NOT_APPLICABLE = "not_applicable"
NOT_VERIFIABLE = "not_verifiable"
TO_DISCOVER = "to_discover"

VERDICTS: Mapping[str, str] = {
    OK: "OK",
    DIVERGES: "DIVERGE",
    NOT_APPLICABLE: "NÃO SE APLICA",
    NOT_VERIFIABLE: "NÃO VERIFICÁVEL",
    TO_DISCOVER: "A DESCOBRIR",
}

BELIEF = "belief"
RULE = "rule"
DISCOVERY = "discovery"


@dataclass(frozen=True)
class Answer:
    """What one check saw, and its judgement of it."""

    status: str
    found: str


@dataclass(frozen=True)
class Line:
    """One line of the report. C(beliefs) are the ids of the beliefs it touches, C(remedy) what to do when it diverges."""

    section: str
    id: str
    title: str
    expected: str
    found: str
    status: str
    evidence: str
    source: str
    beliefs: tuple[str, ...]
    remedy: str = ""

    def as_dict(self) -> dict[str, object]:
        return {**asdict(self), "beliefs": list(self.beliefs), "verdict": VERDICTS[self.status]}


def ok(found: str) -> Answer:
    return Answer(OK, found)


def diverges(found: str) -> Answer:
    return Answer(DIVERGES, found)


def not_applicable(why: str) -> Answer:
    return Answer(NOT_APPLICABLE, why)


def not_verifiable(why: str) -> Answer:
    return Answer(NOT_VERIFIABLE, why)


def discovered(found: str) -> Answer:
    return Answer(TO_DISCOVER, found)


def judged(agrees: bool, found: str) -> Answer:
    return ok(found) if agrees else diverges(found)


def listing(items: object, empty: str = "nada") -> str:
    """The items of a collection in one phrase."""
    texts = [str(item) for item in items] if isinstance(items, (list, tuple, set, frozenset, dict)) else [str(items)]
    return ", ".join(sorted(texts) if isinstance(items, (set, frozenset)) else texts) or empty
