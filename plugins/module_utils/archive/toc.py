# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads an archive's table of contents and selects the entries that a restore takes. Private to the collection."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ansible_collections.esus.pec.plugins.module_utils import beliefs

# The entries of each kind of object that is counted.
_KINDS = {
    "tables": ("TABLE",),
    "sequences": ("SEQUENCE",),
    "views": ("VIEW", "MATERIALIZED VIEW"),
    "triggers": ("TRIGGER",),
    "functions": ("FUNCTION", "PROCEDURE", "AGGREGATE"),
    "indexes": ("INDEX", "CONSTRAINT"),
}
# Longer ones first: they must not be read as a shorter one in a schema of that name.
_WORDS = ("MATERIALIZED VIEW DATA", "TABLE DATA", "TABLE ATTACH", "INDEX ATTACH", "SEQUENCE OWNED BY", "SEQUENCE SET", "EXTENSION")
_ENTRY = re.compile(rf"\d+; \d+ \d+ ({'|'.join([*_WORDS, *(word for words in _KINDS.values() for word in words)])}) (\S+) (.*)")
# They belong to the server's administrator, or a new database has them already; rights are granted anew.
_LEFT_OUT = (
    re.compile(r"COMMENT - EXTENSION "),
    re.compile(r"(?:COMMENT - SCHEMA|SCHEMA -) public "),
    re.compile(r"EXTENSION - plpgsql\b"),
    re.compile(r"(?:DEFAULT )?ACL "),
    re.compile(r"DATABASE(?: PROPERTIES)? "),
    re.compile(r"SECURITY LABEL "),
)


@dataclass(frozen=True)
class Toc:
    """The entries of an archive; C(counts) has the number of objects of each kind."""

    entries: Sequence[str]
    counts: Mapping[str, int]
    extensions: Sequence[str]
    tables_with_data: int
    has_settings: bool
    has_settings_data: bool

    @property
    def selection(self) -> str:
        """The list for C(pg_restore --use-list)."""
        chosen = (entry for entry in self.entries if not any(pattern.match(_after_numbers(entry)) for pattern in _LEFT_OUT))
        return "".join(f"{entry}\n" for entry in chosen)


def parse(listing: str) -> Toc:
    """Read the output of C(pg_restore --list)."""
    entries = [line for line in listing.splitlines() if line and not line.startswith(";")]
    found = [match.groups() for match in map(_ENTRY.match, entries) if match]
    kinds = Counter(word for word, _namespace, _name in found)
    settings = {word for word, namespace, name in found if namespace == "public" and name.split(" ")[0] == beliefs.SETTINGS_TABLE}
    return Toc(
        entries=entries,
        counts={kind: sum(kinds[word] for word in words) for kind, words in _KINDS.items()},
        extensions=[name.strip() for word, _namespace, name in found if word == "EXTENSION" and name.strip() != "plpgsql"],
        tables_with_data=kinds["TABLE DATA"],
        has_settings="TABLE" in settings,
        has_settings_data="TABLE DATA" in settings,
    )


def _after_numbers(entry: str) -> str:
    return entry.split(" ", 3)[-1]
