# SPDX-License-Identifier: GPL-3.0-or-later
"""Compares one server with everything that is believed about PEC: from what was seen to the lines of a report, nothing is read here."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from ansible_collections.esus.pec.plugins.module_utils.beliefs import BELIEFS, Belief
from ansible_collections.esus.pec.plugins.module_utils.doctor import check_files, check_server
from ansible_collections.esus.pec.plugins.module_utils.doctor.facts import Facts
from ansible_collections.esus.pec.plugins.module_utils.doctor.known_failures import RULES, Rule
from ansible_collections.esus.pec.plugins.module_utils.doctor.known_failures_host import HOST_RULES
from ansible_collections.esus.pec.plugins.module_utils.doctor.model import (
    BELIEF,
    DISCOVERY,
    DIVERGES,
    RULE,
    VERDICTS,
    Answer,
    Line,
    not_applicable,
)
from ansible_collections.esus.pec.plugins.module_utils.doctor.open_questions import QUESTIONS, Question
from ansible_collections.esus.pec.plugins.module_utils.doctor.words import BELIEF_WORDS, NO_PEC

ALL_RULES = (*RULES, *HOST_RULES)
_ANYWHERE: Mapping[str, check_server.Check] = {
    **check_server.HOST_CHECKS,
    **check_server.TEXT_CHECKS,
    **check_files.INSTALLER_CHECKS,
}
_WITH_PEC: Mapping[str, check_server.Check] = {**check_files.CHECKS, **check_server.CHECKS}


def examine(facts: Facts) -> tuple[Line, ...]:
    """One line for each belief, each rule and each open question, in this order."""
    return (
        *(_belief_line(belief, facts) for belief in BELIEFS),
        *(_rule_line(rule, facts) for rule in ALL_RULES),
        *(_question_line(question, facts) for question in QUESTIONS),
    )


def summarize(lines: Sequence[Line]) -> dict[str, int]:
    """How many lines there are of each status."""
    return {"total": len(lines), **{status: sum(line.status == status for line in lines) for status in VERDICTS}}


def diverging(lines: Sequence[Line]) -> Iterator[Line]:
    return (line for line in lines if line.status == DIVERGES)


def _belief_line(belief: Belief, facts: Facts) -> Line:
    words = BELIEF_WORDS[belief.id]
    if belief.id in _ANYWHERE:
        answer = _ANYWHERE[belief.id](facts, belief.value)
    else:
        answer = _WITH_PEC[belief.id](facts, belief.value) if facts.present else not_applicable(NO_PEC)
    expected = words.expected.replace("{value}", belief.value)
    return _line(BELIEF, belief.id, words.title, expected, answer, belief.evidence, belief.source, (belief.id,))


def _rule_line(rule: Rule, facts: Facts) -> Line:
    answer = rule.check(facts) if facts.present or not rule.needs_pec else not_applicable(NO_PEC)
    source = f"{rule.source} §{rule.section}" if rule.source != "-" else f"§{rule.section}"
    return _line(RULE, rule.id, rule.title, rule.expected, answer, rule.evidence, source, rule.beliefs, rule.remedy)


def _question_line(question: Question, facts: Facts) -> Line:
    answer = question.look(facts) if facts.present else not_applicable(NO_PEC)
    return _line(DISCOVERY, question.id, question.title, "não se sabe", answer, "?", f"§{question.section}", question.beliefs)


def _line(
    section: str,
    name: str,
    title: str,
    expected: str,
    answer: Answer,
    evidence: str,
    source: str,
    beliefs: tuple[str, ...],
    remedy: str = "",
) -> Line:
    shown = remedy if answer.status == DIVERGES else ""
    return Line(section, name, title, expected, answer.found, answer.status, evidence, source, beliefs, shown)
