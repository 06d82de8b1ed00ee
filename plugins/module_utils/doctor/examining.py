# SPDX-License-Identifier: GPL-3.0-or-later
"""Compares what was seen of a server with the whole table. Reads nothing. Private to the collection."""

from __future__ import annotations

from collections.abc import Sequence

from ansible_collections.esus.pec.plugins.module_utils.beliefs import BELIEFS
from ansible_collections.esus.pec.plugins.module_utils.doctor import (
    check_database,
    check_files,
    check_installer,
    check_services,
    known_failures,
    known_failures_host,
    open_questions,
)
from ansible_collections.esus.pec.plugins.module_utils.doctor.facts import Facts
from ansible_collections.esus.pec.plugins.module_utils.doctor.model import BELIEF_ENTRIES, QUESTIONS, RULES, VERDICTS, Line

PARTS = (check_files, check_services, check_installer, check_database, known_failures, known_failures_host, open_questions)
"""They fill the table when they are imported."""


def examine(facts: Facts) -> tuple[Line, ...]:
    """Return one line for each belief, each rule and each open question, in this order."""
    entries = [*(BELIEF_ENTRIES[belief.id] for belief in BELIEFS), *RULES, *QUESTIONS]
    return tuple(entry.line(facts) for entry in entries)


def summarize(lines: Sequence[Line]) -> dict[str, int]:
    """Return how many lines have each status."""
    return {"total": len(lines), **{status: sum(line.status == status for line in lines) for status in VERDICTS}}
