# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads an archive's table of contents and selects the entries that a restore takes. Private to the collection."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from ansible_collections.esus.pec.plugins.module_utils import beliefs
from ansible_collections.esus.pec.plugins.module_utils.archive.skipping import Skip, entry_of_archive

# The entries of each kind of object that is counted.
_KINDS = {
    "tables": ("TABLE",),
    "sequences": ("SEQUENCE",),
    "views": ("VIEW", "MATERIALIZED VIEW"),
    "triggers": ("TRIGGER",),
    "functions": ("FUNCTION", "PROCEDURE", "AGGREGATE"),
    "indexes": ("INDEX", "CONSTRAINT"),
    "materialized views with rows": ("MATERIALIZED VIEW DATA",),
}
# Longer ones first: they must not be read as a shorter one in a schema of that name.
_WORDS = ("MATERIALIZED VIEW DATA", "TABLE DATA", "TABLE ATTACH", "INDEX ATTACH", "SEQUENCE OWNED BY", "SEQUENCE SET", "EXTENSION")
_ENTRY = re.compile(rf"\d+; \d+ \d+ ({'|'.join([*_WORDS, *(word for words in _KINDS.values() for word in words)])}) (\S+) (.*)")
# A view that depends on a key of a table, from a pg_dump before 10: it is dumped as a table, and made a view by this rule. The name of its
# table came with 9.6.
_MADE_VIEW = re.compile(r"\d+; \d+ \d+ RULE (\S+) (?:(.+) )?_RETURN \S+")
_LARGE_OBJECTS = re.compile(r"\d+; \d+ \d+ BLOB(?:S| METADATA)? ")
# They belong to the server's administrator, or a new database has them already; rights are granted anew.
_LEFT_OUT = (
    re.compile(r"COMMENT - EXTENSION "),
    re.compile(r"(?:COMMENT - SCHEMA|SCHEMA -) public "),
    re.compile(r"EXTENSION - plpgsql\b"),
    re.compile(r"(?:DEFAULT )?ACL "),
    re.compile(r"(?:DATABASE(?: PROPERTIES)?|COMMENT - DATABASE) "),
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
    def has_large_objects(self) -> bool:
        """Whether it has any."""
        return any(_LARGE_OBJECTS.match(entry) for entry in self.entries)

    def selection(self, without: Collection[str] = (), skip: Skip | None = None, schemas: Collection[str] = ()) -> str:
        """Return the list for C(pg_restore --use-list), without these extensions, what is to be skipped, and schemas that exist."""
        return _lines(self._chosen(without, skip, schemas))

    def parts(self, number: int, without: Collection[str] = (), skip: Skip | None = None) -> list[str]:
        """Return lists for several programs that load rows side by side: each has a share of the tables, the first also all the rest."""
        chosen = self._chosen(without, skip)
        tables = [entry for entry in chosen if _after_numbers(entry).startswith("TABLE DATA ")]
        rest = [entry for entry in chosen if not _after_numbers(entry).startswith("TABLE DATA ")]
        shares = [tables[start::number] for start in range(max(1, min(number, len(tables))))]
        return [_lines([*rest, *share] if share is shares[0] else share) for share in shares]

    def of_extensions(self) -> str:
        """Return the list for C(pg_restore --use-list) with the extensions only; empty if there are none but plpgsql."""
        pattern = re.compile(r"EXTENSION - (?!plpgsql\b)")
        return _lines([entry for entry in self.entries if pattern.match(_after_numbers(entry))])

    def counted(self, skip: Skip) -> Mapping[str, int]:
        """Return the number of objects of each kind without those to be skipped."""
        return _counts([entry for entry in self.entries if not skip.skips(entry_of_archive(entry))])

    def labels(self) -> Mapping[str, str]:
        """Return the text by which an operator names an object, by the first number of its entry, as errors have it."""
        return {line.partition(";")[0]: entry.label for line in self.entries for entry in [entry_of_archive(line)] if entry}

    def _chosen(self, without: Collection[str], skip: Skip | None, schemas: Collection[str] = ()) -> list[str]:
        left_out = (
            *_LEFT_OUT,
            *(re.compile(rf"(?:COMMENT - )?EXTENSION (?:- )?{re.escape(name)}(?:\s|$)") for name in without),
            *(re.compile(rf"SCHEMA - {re.escape(name)}(?:\s|$)") for name in schemas),
        )
        return [
            entry
            for entry in self.entries
            if not any(pattern.match(_after_numbers(entry)) for pattern in left_out) and not (skip and skip.skips(entry_of_archive(entry)))
        ]


def parse(listing: str) -> Toc:
    """Read the output of C(pg_restore --list)."""
    # Only at line breaks, which names in it do not have; they may have others that splitlines() knows.
    entries = [line for line in listing.split("\n") if line and not line.startswith(";")]
    found = _found(entries)
    kinds = Counter(word for word, _namespace, _name in found)
    settings = {word for word, namespace, name in found if namespace == "public" and name.split(" ")[0] == beliefs.SETTINGS_TABLE}
    return Toc(
        entries=entries,
        counts=_counts(entries),
        extensions=[name.strip() for word, _namespace, name in found if word == "EXTENSION" and name.strip() != "plpgsql"],
        tables_with_data=kinds["TABLE DATA"],
        has_settings="TABLE" in settings,
        has_settings_data="TABLE DATA" in settings,
    )


def _without_views(counts: Mapping[str, int], tables: Collection[tuple[str, str]], entries: Sequence[str]) -> Mapping[str, int]:
    """Return the counts with tables that are made views counted as such, or without both if the archive does not show which they are."""
    names = {(namespace, name.rsplit(" ", 1)[0]) for namespace, name in tables}
    rules = [match.groups() for match in map(_MADE_VIEW.match, entries) if match]
    if not all(name for _namespace, name in rules):
        return {kind: number for kind, number in counts.items() if kind not in ("tables", "views")}
    made = sum(rule in names for rule in rules)
    return {**counts, "tables": counts["tables"] - made, "views": counts["views"] + made}


def _found(entries: Iterable[str]) -> list[tuple[str, str, str]]:
    return [cast("tuple[str, str, str]", match.groups()) for match in map(_ENTRY.match, entries) if match]


def _counts(entries: Sequence[str]) -> Mapping[str, int]:
    found = _found(entries)
    kinds = Counter(word for word, _namespace, _name in found)
    counts = {kind: sum(kinds[word] for word in words) for kind, words in _KINDS.items()}
    return _without_views(counts, {(namespace, name) for word, namespace, name in found if word == "TABLE"}, entries)


def _after_numbers(entry: str) -> str:
    return entry.split(" ", 3)[-1]


def _lines(entries: Sequence[str]) -> str:
    return "".join(f"{entry}\n" for entry in entries)
