# SPDX-License-Identifier: GPL-3.0-or-later
"""The catalogue of PEC's API as objects, with what a site has corrected in it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ansible_collections.esus.pec.plugins.module_utils import beliefs
from ansible_collections.esus.pec.plugins.module_utils.api import catalogue
from ansible_collections.esus.pec.plugins.module_utils.errors import PecError

WRITABLE_ROWS = ((beliefs.NAME_KEY, "ds_texto"), (beliefs.LINK_KEY, "ds_texto"), (beliefs.TRAINING_KEY, "ds_inteiro"))
"""The only cells of PEC's database that are ever written, whatever a site's catalogue says."""

SITE = "site"
"""Evidence of an entry that was corrected by the site itself."""

_HEADER = re.compile(r"\s*(query|mutation)\s+([A-Za-z_]\w*)\s*")
_ROOT = re.compile(r"\s*\{\s*([A-Za-z_]\w*)")
_PIECES = re.compile(r'"(?:[^"\\]|\\.)*"|.', re.DOTALL)
_CLOSING = {"(": ")", "{": "}"}
_OPERATION_KEYS = {"document", "variables", "once", "evidence", "source"}
_READ_KEYS = {"info", "sql", "document", "values", "variables", "evidence", "source"}
_WRITE_KEYS = {"row", "document", "variables", "evidence", "source"}
_SETTING_KEYS = {"screen", "since", "requires", "advises", "read", "write", "disable"}


@dataclass(frozen=True)
class Operation:
    """One GraphQL document with one root field. C(once): never repeated once it may have reached PEC. C(variables) holds placeholders."""

    document: str
    variables: Any = None
    once: bool = False
    evidence: str = ""

    def __post_init__(self) -> None:
        self._parts()

    @property
    def kind(self) -> str:
        """query or mutation."""
        return self._parts()[0]

    @property
    def name(self) -> str:
        return self._parts()[1]

    @property
    def root(self) -> str:
        return self._parts()[2]

    def filled(self, values: Mapping[str, object]) -> object:
        """The variables with values in place of the placeholders. Raises PecError for a placeholder without a value."""
        return _fill({} if self.variables is None else self.variables, values, self.name)

    def unexecuted(self) -> str:
        """The document to be checked by the server and not done: a field with @skip is left out after the whole document was validated.

        Source: GraphQL specification, sections 3.13.1 and 6.3.2.
        """
        *_names, before, after = self._parts()
        return f"{before} @skip(if: true){after}"

    def with_other_selection(self) -> Operation:
        """The same for a result that is an object where it was taken for a plain value, and the reverse."""
        *_names, before, after = self._parts()
        return replace(self, document=f"{before} }}" if after.lstrip().startswith("{") else f"{before} {{ __typename }}{after}")

    def _parts(self) -> tuple[str, str, str, str, str]:
        """Kind, name and root field; the text up to the end of the root field's arguments, and what follows: a selection or nothing."""
        text = self.document if isinstance(self.document, str) else ""
        header = _HEADER.match(text)
        root = _ROOT.match(text, _after_brackets(text, header.end(), "(")) if header else None
        if header and root:
            end = _after_brackets(text, root.end(), "(")
            if text[_after_brackets(text, end, "{") :].strip() == "}":
                return header.group(1), header.group(2), root.group(1), text[:end], text[end:]
        raise PecError(f"{self.document!r} is not a GraphQL document of one field, as in: query Name {{ field }}")


def _after_brackets(text: str, start: int, opening: str) -> int:
    """Where the brackets end that open here, if they do; those in strings are text. What stays open reaches to the end."""
    at = start + len(text[start:]) - len(text[start:].lstrip())
    if text[at : at + 1] != opening:
        return start
    depth = 0
    for piece in _PIECES.finditer(text, at):
        depth += {opening: 1, _CLOSING[opening]: -1}.get(piece.group(), 0)
        if depth == 0:
            return piece.end()
        if piece.group() == '"':
            break
    return len(text)


@dataclass(frozen=True)
class Row:
    """A cell of PEC's table of settings, for what no operation is known to set."""

    key: str
    column: str
    evidence: str = ""


@dataclass(frozen=True)
class Read:
    """How the fields of a setting are read: from info, by sql, or by an operation. C(values) leads from a field to its place there."""

    source: str | Operation
    values: Mapping[str, str]
    evidence: str


@dataclass(frozen=True)
class Setting:
    """One setting of PEC; what its parts mean stands above pec_catalogue.SETTINGS."""

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
        return [name for name in self.fields if name not in self.read.values]

    def is_secret(self, field: str) -> bool:
        return bool(self.fields[field].get("no_log"))

    def writer(self, wanted: Mapping[str, object]) -> Operation | Row:
        return self.disable if wanted.get("enabled") is False else self.write

    def argument_spec(self) -> dict[str, Any]:
        """As Ansible wants it."""
        if self.only_field:
            return {key: value for key, value in self.fields[self.only_field].items() if key != "default"}
        return {"type": "dict", "options": {name: dict(spec) for name, spec in self.fields.items()}}


class Catalogue:
    """Every operation and setting by its name. Raises PecError, with all of it, where a site's corrections make no sense."""

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
                    self.operations[name] = _operation(name, merged)
                else:
                    self.settings[name] = _setting(name, merged)
            except PecError as error:
                problems.append(str(error))
        if problems:
            raise PecError("\n".join(["the corrections of PEC's operations (pec_api_operations) make no sense:", *problems]))


def public_facts(fields: Sequence[str]) -> Operation:
    """The question for some of the fields that `info` tells everybody."""
    return Operation(f"query Configuracoes {{ info {{ {' '.join(fields)} }} }}", evidence="S")


def _merged(name: str, entry: Mapping[str, Any], correction: object) -> Mapping[str, Any]:
    """Part by part: a correction's C(read) is a whole one, not a change to the old one."""
    if correction is None:
        return entry
    if not isinstance(correction, Mapping):
        raise PecError(f"{name} is corrected by {type(correction).__name__}; give a mapping such as {{write: {{document: ...}}}}")
    _only(name, correction, _OPERATION_KEYS if name in catalogue.OPERATIONS else _SETTING_KEYS)
    if name in catalogue.OPERATIONS:
        return {**entry, **correction, "evidence": SITE}
    parts = {key: {"evidence": SITE, **value} if isinstance(value, Mapping) else value for key, value in correction.items()}
    return {**entry, **parts, **({"disable": None} if "write" in correction and "disable" not in correction else {})}


def _operation(name: str, entry: Mapping[str, Any]) -> Operation:
    kind = "query" if catalogue.OPERATIONS[name]["document"].startswith("query") else "mutation"
    return _document(name, entry, kind, entry.get("once", False))


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
    _only(where, entry, _READ_KEYS)
    given = [source for source in ("info", "sql", "document") if source in entry]
    if len(given) != 1:
        raise PecError(f"{where} is read in one way: give info, sql, or document with values")
    values = entry.get("values") if given == ["document"] else entry[given[0]]
    if not isinstance(values, Mapping) or not values or set(values) - set(fields):
        raise PecError(f"{where} has to say where each of its fields stands; {name} has {', '.join(fields)}")
    source = _document(where, entry, "query") if given == ["document"] else given[0]
    return Read(source, values, entry.get("evidence", ""))


def _write(where: str, entry: Mapping[str, Any]) -> Operation | Row:
    _only(where, entry, _WRITE_KEYS)
    if "row" not in entry:
        return _document(where, entry, "mutation")
    row = next((row for row in WRITABLE_ROWS if list(row) == entry["row"]), None)
    if row is None:
        raise PecError(f"{where} names the row {entry['row']}, which this collection never writes; give a document")
    return Row(*row, evidence=entry.get("evidence", ""))


def _document(where: str, entry: Mapping[str, Any], kind: str, once: bool = False) -> Operation:
    try:
        operation = Operation(entry.get("document", ""), entry.get("variables"), once, entry.get("evidence", ""))
    except PecError as error:
        raise PecError(f"{where}: {error}") from None
    if operation.kind != kind:
        raise PecError(f"{where} has to be a {kind}, and {operation.name} is a {operation.kind}")
    return operation


def _only(where: str, entry: object, known: set[str]) -> None:
    if not isinstance(entry, Mapping) or set(entry) - known:
        raise PecError(f"{where} takes {', '.join(sorted(known))}, and nothing else")


def _fill(template: object, values: Mapping[str, object], name: str) -> object:
    if isinstance(template, Mapping):
        return {key: _fill(value, values, name) for key, value in template.items()}
    if isinstance(template, (list, tuple)):
        return [_fill(value, values, name) for value in template]
    if not isinstance(template, str) or not template.startswith("$"):
        return template
    if template[1:] not in values:
        raise PecError(f"{name} wants {template}, for which there is no value; it has {', '.join(sorted(values)) or 'none'}")
    return values[template[1:]]
