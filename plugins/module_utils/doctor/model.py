# SPDX-License-Identifier: GPL-3.0-or-later
"""The doctor's one table: beliefs, known failures and open questions, each with words and check. Private to the collection.

An entry is the decorator of the function that judges it. Keys are English; texts are what a Brazilian administrator reads.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Callable

from ansible_collections.esus.pec.plugins.module_utils.beliefs import BELIEFS
from ansible_collections.esus.pec.plugins.module_utils.doctor.facts import Facts

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

NO_PEC = "não há PEC neste servidor"
STOPPED = "o PEC não responde neste servidor"
EXTERNAL_UNKNOWN = "com banco próprio não se sabe se o instalador o cria"


@dataclass(frozen=True)
class Answer:
    """What one check saw, and its judgement."""

    status: str
    found: str

    @classmethod
    def ok(cls, found: str) -> Answer:
        return cls(OK, found)

    @classmethod
    def diverges(cls, found: str) -> Answer:
        return cls(DIVERGES, found)

    @classmethod
    def not_applicable(cls, why: str) -> Answer:
        return cls(NOT_APPLICABLE, why)

    @classmethod
    def not_verifiable(cls, why: str) -> Answer:
        return cls(NOT_VERIFIABLE, why)

    @classmethod
    def discovered(cls, found: str) -> Answer:
        return cls(TO_DISCOVER, found)


def judged(agrees: bool, found: str) -> Answer:
    return Answer(OK if agrees else DIVERGES, found)


def listing(items: object, empty: str = "nada") -> str:
    """The items of a collection in one phrase."""
    texts = [str(item) for item in items] if isinstance(items, (list, tuple, set, frozenset, dict)) else [str(items)]
    return ", ".join(sorted(texts) if isinstance(items, (set, frozenset)) else texts) or empty


def unasked(facts: Facts) -> Answer:
    reason = facts.database.error or facts.database.facts_error or "sem resposta"
    return Answer.not_verifiable(f"o banco não pôde ser consultado: {reason}")


@dataclass(frozen=True)
class Need:
    """Something without which a check cannot judge, and the answer then."""

    met: Callable[[Facts], bool]
    otherwise: Callable[[Facts], Answer]


PEC = Need(lambda facts: facts.present, lambda _facts: Answer.not_applicable(NO_PEC))
BUNDLED = Need(lambda facts: facts.bundled, lambda _facts: Answer.not_applicable("o banco é próprio, não o embutido"))
DATABASE = Need(lambda facts: not facts.database.error, unasked)
DATABASE_FACTS = Need(lambda facts: facts.database.facts is not None, unasked)
WEB = Need(lambda facts: facts.web.reachable, lambda _facts: Answer.not_verifiable(STOPPED))
JAR = Need(
    lambda facts: facts.jar is not None,
    lambda _facts: Answer.not_verifiable("o instalador não foi encontrado neste servidor; indique-o com pec_doctor_jar"),
)


@dataclass(frozen=True)
class Line:
    """One line of the report. C(beliefs) are the ids of the beliefs it touches, C(remedy) is what to do if it diverges."""

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


Judge = Callable[[Facts], Answer]


@dataclass(frozen=True)
class Entry:
    """A line as it is before the server was seen, and how to judge the server."""

    blank: Line
    judge: Judge
    needs: tuple[Need, ...]

    def line(self, facts: Facts) -> Line:
        missing = next((need for need in self.needs if not need.met(facts)), None)
        answer = missing.otherwise(facts) if missing else self.judge(facts)
        return replace(self.blank, found=answer.found, status=answer.status, remedy=self.blank.remedy if answer.status == DIVERGES else "")


BELIEF_ENTRIES: dict[str, Entry] = {}
RULES: list[Entry] = []
QUESTIONS: list[Entry] = []
_BELIEFS = {one.id: one for one in BELIEFS}


def belief(
    name: str, title: str, expected: str = "{value}", *, anywhere: bool = False, needs: Sequence[Need] = ()
) -> Callable[[Judge], Judge]:
    """Enter the check of a belief. {value} is the belief's own value; anywhere judges also without PEC."""
    held = _BELIEFS[name]
    line = Line(BELIEF, name, title, expected.replace("{value}", held.value), "", "", held.evidence, held.source, (name,))

    def enter(judge: Judge) -> Judge:
        BELIEF_ENTRIES[name] = Entry(line, judge, _all(needs, anywhere))
        return judge

    return enter


def rule(
    name: str,
    evidence: str,
    source: str,
    *,
    title: str,
    expected: str,
    remedy: str,
    beliefs: Sequence[str] = (),
    anywhere: bool = False,
    needs: Sequence[Need] = (),
) -> Callable[[Judge], Judge]:
    """Enter a known failure; the source ends in its section of the contract, and anywhere judges also without PEC."""
    line = Line(RULE, name, title, expected, "", "", evidence, source, tuple(beliefs), remedy)

    def enter(judge: Judge) -> Judge:
        RULES.append(Entry(line, judge, _all(needs, anywhere)))
        return judge

    return enter


def question(name: str, section: str, title: str, *, beliefs: Sequence[str] = (), needs: Sequence[Need] = ()) -> Callable[[Judge], Judge]:
    """Enter something to learn; section is where the contract leaves it open."""
    line = Line(DISCOVERY, name, title, "não se sabe", "", "", "?", f"§{section}", tuple(beliefs))

    def enter(judge: Judge) -> Judge:
        QUESTIONS.append(Entry(line, judge, _all(needs, anywhere=False)))
        return judge

    return enter


def _all(needs: Sequence[Need], anywhere: bool) -> tuple[Need, ...]:
    return (*(() if anywhere else (PEC,)), *needs)
