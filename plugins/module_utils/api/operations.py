# SPDX-License-Identifier: GPL-3.0-or-later
"""The catalogue of PEC's API as objects, with a site's corrections. Private to the collection."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ansible_collections.esus.pec.plugins.module_utils import beliefs
from ansible_collections.esus.pec.plugins.module_utils.api import catalogue
from ansible_collections.esus.pec.plugins.module_utils.errors import PecError

WRITABLE_ROWS = ((beliefs.NAME_KEY, "ds_texto"), (beliefs.LINK_KEY, "ds_texto"), (beliefs.TRAINING_KEY, "ds_inteiro"))
"""The only cells of PEC's database that are ever written, whatever a site's corrections say."""

SITE = "site"
"""Evidence of an entry that the site corrected."""

_NAME = r"[A-Za-z_]\w*"
_TYPE = rf"\[?{_NAME}!?\]?!?"
_MARKS = {"evidence", "source"}
_DOCUMENT_KEYS = {"name", "arguments", "selection", "variables", *_MARKS}
_SETTING_KEYS = {"screen", "since", "requires", "advises", "read", "write", "disable"}


@dataclass(frozen=True)
class Operation:
    """A GraphQL operation of one field, from which its document is composed.

    C(kind) is query or mutation, C(root) the field, C(arguments) the field's arguments with their types, C(selection) what is asked of a
    result that is an object. C(variables) are the arguments' values and may hold placeholders. C(once): never repeated once PEC may have
    received it.
    """

    kind: str
    root: str
    name: str = ""
    arguments: Mapping[str, str] = field(default_factory=dict)
    selection: str = ""
    variables: Any = None
    once: bool = False
    evidence: str = ""

    def __post_init__(self) -> None:
        if not _is(_NAME, self.root):
            raise PecError(
                f"{self.root!r} is not the name of a GraphQL field; give only the name, such as {self.kind}: alterarVideochamada"
            )
        object.__setattr__(self, "name", self.name or self.root[0].upper() + self.root[1:])
        if not _is(_NAME, self.name):
            raise PecError(f"{self.name!r} is not the name of a GraphQL operation; give for example {self.root.capitalize()}")
        arguments = self.arguments if isinstance(self.arguments, Mapping) else {"": ""}
        if not all(_is(_NAME, name) and _is(_TYPE, kind) for name, kind in arguments.items()):
            raise PecError(f"the arguments {self.arguments!r} are not names with GraphQL types; give for example {{input: LoginInput!}}")
        if not _is_selection(self.selection):
            raise PecError(f"the selection {self.selection!r} is not a list of GraphQL fields; give for example: id acesso {{ id tipo }}")

    @property
    def document(self) -> str:
        """The GraphQL document."""
        return self._document("")

    @property
    def unexecuted(self) -> str:
        """The document for the server to validate and not execute: a field with @skip is left out after the validation of the whole.

        Source: GraphQL specification, sections 3.13.1 and 6.3.2.
        """
        return self._document(" @skip(if: true)")

    def _document(self, directive: str) -> str:
        declared = ", ".join(f"${name}: {kind}" for name, kind in self.arguments.items())
        passed = ", ".join(f"{name}: ${name}" for name in self.arguments)
        selection = f" {{ {self.selection} }}" if self.selection else ""
        return (
            f"{self.kind} {self.name}{f'({declared})' if declared else ''}"
            f" {{ {self.root}{f'({passed})' if passed else ''}{directive}{selection} }}"
        )

    def with_other_selection(self) -> Operation:
        """The same for a result that is an object where it was believed a plain value, and the reverse."""
        return replace(self, selection="" if self.selection else "__typename")

    def filled(self, values: Mapping[str, object]) -> object:
        """The variables with values instead of the placeholders. Raises PecError for a placeholder without a value."""
        return _fill({} if self.variables is None else self.variables, values, self.name)


def _is(pattern: str, text: object) -> bool:
    return isinstance(text, str) and re.fullmatch(pattern, text, re.ASCII) is not None


def _is_selection(text: object) -> bool:
    """Names and closed braces only, so that a selection cannot end its field and begin another one."""
    if not _is(r"[\w\s{}]*", text):
        return False
    depth = [0]
    for brace in re.findall("[{}]", str(text)):
        depth.append(depth[-1] + (1 if brace == "{" else -1))
    return depth[-1] == 0 == min(depth)


@dataclass(frozen=True)
class Row:
    """A cell of PEC's table of settings, for a setting without a known operation."""

    key: str
    column: str
    evidence: str = ""


@dataclass(frozen=True)
class Read:
    """How the fields of a setting are read: from info, by sql, or by an operation. C(values) has the place of each field there."""

    source: str | Operation
    values: Mapping[str, str]
    evidence: str


@dataclass(frozen=True)
class Setting:
    """One setting of PEC. Its parts are explained above catalogue.SETTINGS."""

    name: str
    fields: Mapping[str, Mapping[str, Any]]
    screen: str
    since: str
    requires: Sequence[str]
    advises: Sequence[str]
    read: Read
    write: Operation | Row
    disable: Operation | Row

    @property
    def only_field(self) -> str | None:
        """The field of a setting that is one plain value."""
        return next(iter(self.fields)) if len(self.fields) == 1 else None

    @property
    def unread(self) -> list[str]:
        """The fields that nothing reads."""
        return [name for name in self.fields if name not in self.read.values]

    def is_secret(self, field: str) -> bool:
        return bool(self.fields[field].get("no_log"))

    def writer(self, wanted: Mapping[str, object]) -> Operation | Row:
        return self.disable if wanted.get("enabled") is False else self.write

    def argument_spec(self) -> dict[str, Any]:
        """The module's option of this setting."""
        if self.only_field:
            return {key: value for key, value in self.fields[self.only_field].items() if key != "default"}
        return {"type": "dict", "options": {name: dict(spec) for name, spec in self.fields.items()}}


class Catalogue:
    """Every operation and setting by its name. Raises PecError with all problems of a site's corrections."""

    def __init__(self, corrections: Mapping[str, Any] | None = None) -> None:
        corrections = corrections or {}
        entries = {**catalogue.OPERATIONS, **catalogue.SETTINGS}
        problems = [f"{name} is not in the catalogue; it has {', '.join(sorted(entries))}" for name in corrections if name not in entries]
        self.operations: dict[str, Operation] = {}
        self.settings: dict[str, Setting] = {}
        for name, entry in entries.items():
            try:
                merged = _merged(name, entry, corrections.get(name))
                if name in catalogue.OPERATIONS:
                    self.operations[name] = _operation(name, merged, _kind(name))
                else:
                    self.settings[name] = _setting(name, merged)
            except PecError as error:
                problems.append(str(error))
        if problems:
            raise PecError("\n".join(["the corrections of PEC's operations (pec_api_operations) make no sense:", *problems]))


def public_facts(fields: Sequence[str]) -> Operation:
    """The question for some of the fields of `info` that need no session."""
    return Operation("query", "info", "Configuracoes", selection=" ".join(fields), evidence="S")


def _merged(name: str, entry: Mapping[str, Any], correction: object) -> Mapping[str, Any]:
    """A given part replaces the whole part: a correction's C(read) is not merged into the old one."""
    if correction is None:
        return entry
    if not isinstance(correction, Mapping):
        raise PecError(f"{name} is corrected by {type(correction).__name__}; give a mapping such as {{write: {{mutation: ...}}}}")
    if name in catalogue.OPERATIONS:
        _only(name, correction, {_kind(name), "once", *_DOCUMENT_KEYS})
        return {**entry, **correction, "evidence": SITE}
    _only(name, correction, _SETTING_KEYS)
    parts = {key: {"evidence": SITE, **value} if isinstance(value, Mapping) else value for key, value in correction.items()}
    return {**entry, **parts, **({"disable": None} if "write" in correction and "disable" not in correction else {})}


def _kind(name: str) -> str:
    return "query" if "query" in catalogue.OPERATIONS[name] else "mutation"


def _setting(name: str, entry: Mapping[str, Any]) -> Setting:
    for part in ("requires", "advises"):
        unknown = [each for each in entry.get(part, ()) if each not in catalogue.PREREQUISITES]
        if unknown or isinstance(entry.get(part), str):
            raise PecError(f"{name}.{part} is a list of {', '.join(catalogue.PREREQUISITES)}")
    write = _write(f"{name}.write", entry["write"])
    return Setting(
        name=name,
        fields=entry["fields"],
        screen=entry["screen"],
        since=entry.get("since", ""),
        requires=entry.get("requires", ()),
        advises=entry.get("advises", ()),
        read=_read(name, entry["read"], entry["fields"]),
        write=write,
        disable=_write(f"{name}.disable", entry["disable"]) if entry.get("disable") else write,
    )


def _read(name: str, entry: Mapping[str, Any], fields: Mapping[str, Any]) -> Read:
    where = f"{name}.read"
    _only(where, entry, {"info", "sql", "query", "values", *_DOCUMENT_KEYS})
    given = [source for source in ("info", "sql", "query") if source in entry]
    if len(given) != 1:
        raise PecError(f"{where} is read in one way: give info, sql, or query with selection and values")
    values = entry.get("values") if given == ["query"] else entry[given[0]]
    if not isinstance(values, Mapping) or not values or set(values) - set(fields):
        raise PecError(f"{where} needs the place of each of its fields; {name} has {', '.join(fields)}")
    if given == ["sql"]:
        _require_schema(where, values)
    source = _operation(where, entry, "query") if given == ["query"] else given[0]
    return Read(source, values, entry.get("evidence", ""))


def _require_schema(where: str, queries: Mapping[str, Any]) -> None:
    """Every session has search_path=pg_catalog, in which the server would find no table of PEC."""
    for key, sql in queries.items():
        if not isinstance(sql, str) or (re.search(r"(?i)\b(?:from|join)\b", sql) and "public." not in sql.lower()):
            raise PecError(f"{where}.sql.{key} is a query that names each table as public.TABLE, such as public.{beliefs.SETTINGS_TABLE}")


def _write(where: str, entry: Mapping[str, Any]) -> Operation | Row:
    _only(where, entry, {"row", "mutation", *_DOCUMENT_KEYS})
    if "row" not in entry:
        return _operation(where, entry, "mutation")
    row = next((row for row in WRITABLE_ROWS if list(row) == entry["row"]), None)
    if row is None:
        raise PecError(f"{where} names the row {entry['row']}, which this collection never writes; give a mutation")
    return Row(*row, evidence=entry.get("evidence", ""))


def _operation(where: str, entry: Mapping[str, Any], kind: str) -> Operation:
    if kind not in entry:
        raise PecError(f"{where} has no {kind}; give the name of its GraphQL field, such as {kind}: alterarVideochamada")
    given = {key: entry[key] for key in ("name", "arguments", "selection", "variables", "once", "evidence") if key in entry}
    try:
        return Operation(kind, entry[kind], **given)
    except PecError as error:
        raise PecError(f"{where}: {error}") from None


def _only(where: str, entry: object, known: set[str]) -> None:
    if not isinstance(entry, Mapping) or set(entry) - known:
        raise PecError(f"{where} takes only {', '.join(sorted(known))}")


def _fill(template: object, values: Mapping[str, object], name: str) -> object:
    if isinstance(template, Mapping):
        return {key: _fill(value, values, name) for key, value in template.items()}
    if isinstance(template, (list, tuple)):
        return [_fill(value, values, name) for value in template]
    if not isinstance(template, str) or not template.startswith("$"):
        return template
    if template[1:] not in values:
        raise PecError(f"{name} needs a value for {template}; the known values are {', '.join(sorted(values)) or 'none'}")
    return values[template[1:]]
