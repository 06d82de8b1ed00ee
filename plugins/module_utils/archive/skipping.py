# SPDX-License-Identifier: GPL-3.0-or-later
"""Which objects of a dump are left out: kinds that PEC never has, and what the operator names. Private to the collection."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from ansible_collections.esus.pec.plugins.module_utils.errors import PecError

UNNEEDED = (
    *("PUBLICATION", "PUBLICATION TABLE", "PUBLICATION TABLES IN SCHEMA", "SUBSCRIPTION", "SUBSCRIPTION TABLE", "EVENT TRIGGER"),
    *("FOREIGN DATA WRAPPER", "SERVER", "USER MAPPING", "FOREIGN TABLE", "POLICY"),
)
"""Kinds that only an administrator can create, or that reach other servers or name roles that a dump does not hold.

None of them holds rows. Row security itself stays on, so that a policy which is missing shows less to others, not more.
"""

UNNEEDED_EXTENSIONS = ("adminpack", "file_fdw", "pg_buffercache", "pg_stat_statements", "postgres_fdw")
"""They serve administrators or foreign tables, and PostgreSQL 17 has the first no more."""

_NAMED_KINDS = (
    *("ACCESS METHOD", "AGGREGATE", "CAST", "CHECK CONSTRAINT", "COLLATION", "CONSTRAINT", "CONVERSION", "DEFAULT", "DOMAIN"),
    *("EXTENSION", "FK CONSTRAINT", "FUNCTION", "INDEX", "MATERIALIZED VIEW", "OPERATOR", "OPERATOR CLASS", "OPERATOR FAMILY"),
    *("PROCEDURAL LANGUAGE", "PROCEDURE", "ROW SECURITY", "RULE", "SCHEMA", "SEQUENCE", "STATISTICS", "TABLE", "TRIGGER", "TYPE", "VIEW"),
    *("TEXT SEARCH CONFIGURATION", "TEXT SEARCH DICTIONARY", "TEXT SEARCH PARSER", "TEXT SEARCH TEMPLATE", "TRANSFORM"),
)
_OTHER_KINDS = (
    *("ACL", "ACL LANGUAGE", "BLOB", "BLOB METADATA", "BLOBS", "COMMENT", "DATABASE", "DATABASE PROPERTIES", "DEFAULT ACL", "ENCODING"),
    *("INDEX ATTACH", "MATERIALIZED VIEW DATA", "SEARCHPATH", "SECURITY LABEL", "SEQUENCE OWNED BY", "SEQUENCE SET", "SHELL TYPE"),
    *("STATISTICS DATA", "STDSTRINGS", "TABLE ATTACH", "TABLE DATA"),
)
# The tags of these begin with the name of the table or view that they belong to.
_OF_RELATIONS = (
    *("TABLE DATA", "MATERIALIZED VIEW DATA", "STATISTICS DATA", "TABLE ATTACH", "CONSTRAINT", "CHECK CONSTRAINT", "FK CONSTRAINT"),
    *("DEFAULT", "TRIGGER", "RULE", "POLICY", "ROW SECURITY", "SEQUENCE SET", "SEQUENCE OWNED BY"),
)
_RELATIONS = ("TABLE", "FOREIGN TABLE", "VIEW", "MATERIALIZED VIEW", "SEQUENCE")
_MOST_ENTRIES = 10_000
_LONGEST_HEADER = 10_000
_WITH_ROWS = ("TABLE", "SEQUENCE")
_ONE_BY_ONE = (*_WITH_ROWS, "SCHEMA", "EXTENSION")
# Longer ones first: they must not be read as a shorter one in a schema of that name.
_KINDS = "|".join(sorted((*UNNEEDED, *_NAMED_KINDS, *_OTHER_KINDS), key=len, reverse=True))
_ENTRY = re.compile(rf"\d+; \d+ \d+ ({_KINDS}) (\S+) (.*)")
_HEADER = re.compile(rf"-- (?:Data for )?Name: (.*); Type: ({_KINDS}); Schema: ([^;]*); Owner: .*\Z")
_ITEM = re.compile(rf"({_KINDS})(?: (\S.*))?\Z")


@dataclass(frozen=True)
class Entry:
    """One object of a dump: C(schema) is "-" if it is in none; C(tag) is its name, for a function with its arguments."""

    kind: str
    schema: str
    tag: str

    @property
    def label(self) -> str:
        """The text by which an operator names it."""
        return f"{self.kind} {self.tag}" if self.schema == "-" else f"{self.kind} {self.schema}.{self.tag}"


def entry_of_archive(line: str) -> Entry | None:
    """Read a line of C(pg_restore --list)."""
    found = _ENTRY.match(line)
    if found is None:
        return None
    kind, schema, rest = found.groups()
    return Entry(kind, schema, rest.rpartition(" ")[0] or rest)  # without its owner


def entry_of_plain(comment: str) -> Entry | None:
    """Read the comment ahead of an object of a plain dump."""
    found = _HEADER.match(comment) if len(comment) <= _LONGEST_HEADER else None
    return Entry(found.group(2), found.group(3), found.group(1)) if found else None


class Skip:
    """What is left out. C(names) are texts such as "VIEW public.vw_x" or a kind alone. Raises PecError for one that is no such text.

    C(used) are the names that were found in the dump, C(entries) what was left out, without what only belongs to it.
    """

    def __init__(self, names: Sequence[str] = ()) -> None:
        self._items = [_item(name) for name in names]
        self._names = dict(zip(self._items, names))
        self.used: set[str] = set()
        self.entries: dict[Entry, None] = {}
        self._relations: set[tuple[str, str]] = set()

    @property
    def labels(self) -> list[str]:
        """What was left out so far."""
        return [entry.label for entry in self.entries]

    @property
    def extensions(self) -> list[str]:
        """The extensions among the names."""
        return [name for kind, name in self._items if kind == "EXTENSION"]

    @property
    def unused(self) -> list[str]:
        """Names that are not in the dump."""
        return [name for name in self._names.values() if name not in self.used]

    def skips(self, entry: Entry | None) -> bool:
        """Whether it is left out."""
        if entry is None:
            return False
        if entry.kind in UNNEEDED:
            self._leave_out(entry)
            return True
        for item in ((entry.kind, entry.tag), (entry.kind, f"{entry.schema}.{entry.tag}"), (entry.kind, "")):
            if item in self._names and (item[1] != entry.tag or entry.schema in ("-", "public")):
                self.used.add(self._names[item])
                self._leave_out(entry)
                return True
        return self._belongs(entry)

    def _leave_out(self, entry: Entry) -> None:
        if len(self.entries) >= _MOST_ENTRIES:
            raise PecError(f"more than {_MOST_ENTRIES} of its objects are to be left out, and no dump of PEC has so many; look into it")
        self.entries[entry] = None
        if entry.kind in _RELATIONS:
            self._relations.add((entry.schema, entry.tag))

    def _belongs(self, entry: Entry) -> bool:
        """Whether it is nothing without what is left out: rows, a comment, a trigger of a table."""
        if entry.kind == "COMMENT":
            kind = next((kind for kind in _COMMENTED if entry.tag.startswith(kind + " ")), "")
            name = entry.tag[len(kind) + 1 :]
            if kind == "COLUMN":
                return any(schema == entry.schema and name.startswith(tag + ".") for schema, tag in self._relations)
            if kind in UNNEEDED:
                return True
            named = (Entry(kind, entry.schema, name), Entry(kind, entry.schema, name.replace(" ON ", " ", 1)))
            return any(one in self.entries for one in named)
        return entry.kind in _OF_RELATIONS and any(
            schema == entry.schema and (entry.tag + " ").startswith(tag + " ") for schema, tag in self._relations
        )


_COMMENTED = sorted(("COLUMN", *UNNEEDED, *_NAMED_KINDS), key=len, reverse=True)


def _item(name: str) -> tuple[str, str]:
    found = _ITEM.match(name.strip())
    if found is None or found.group(1) in _OTHER_KINDS or (found.group(2) is None and found.group(1) in _ONE_BY_ONE):
        raise PecError(
            f"skip_objects has {name[:200]!r}, which is not the kind and name of an object; write it as an error or a note shows it, such "
            "as 'VIEW public.vw_x' (role: pec_restore_skip_objects)"
        )
    return found.group(1), found.group(2) or ""
