# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Reads a sheet from YAML: a list with a mapping for each município, without anchors, tags and nesting. Private to the collection."""

from __future__ import annotations

import yaml

from ansible_collections.esus.pec.plugins.plugin_utils.municipios.sheet import MAX_COLUMNS, MAX_ROWS, Cell, Faults, Sheet, SheetError, cell

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_ROOT = "municipios"


def sheet_of_yaml(text: str, name: str, faults: Faults) -> Sheet:
    """Return the sheet. Only the parser's events are used, so that no alias multiplies anything and no tag makes an object."""
    try:
        return _Reader(name, faults).read(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"line {mark.line + 1}" if mark else "the file"
        raise SheetError(f"{where} is not YAML: {getattr(error, 'problem', None) or 'a character is not allowed'}") from None


class _Reader:
    def __init__(self, name: str, faults: Faults) -> None:
        self.sheet = Sheet(name)
        self.faults = faults
        self.columns: dict[str, int] = {}
        self.row: dict[int, Cell] = {}
        self.key: Cell | None = None

    def read(self, text: str) -> Sheet:
        depth: list[str] = []
        for event in yaml.parse(text, Loader=_LOADER):
            line = event.start_mark.line + 1 if event.start_mark else 0
            if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
                raise SheetError(f"line {line} has an anchor or alias, which a sheet cannot use; write the value itself")
            tag = getattr(event, "tag", None)
            if tag:
                raise SheetError(f"line {line} has the tag {tag!r}, which a sheet cannot use; a secret stays in a vault file")
            if isinstance(event, yaml.DocumentStartEvent) and self.sheet.rows:
                raise SheetError(f"line {line} begins a second document; write all municípios into one list")
            if isinstance(event, (yaml.MappingStartEvent, yaml.SequenceStartEvent)):
                depth.append("mapping" if isinstance(event, yaml.MappingStartEvent) else "list")
                self._enter(depth, line)
            elif isinstance(event, (yaml.MappingEndEvent, yaml.SequenceEndEvent)):
                if depth in (["list", "mapping"], ["mapping", "list", "mapping"]):
                    self._end()
                depth.pop()
            elif isinstance(event, yaml.ScalarEvent):
                self._scalar(depth, event, line)
        return self.sheet

    def _enter(self, depth: list[str], line: int) -> None:
        if depth == ["mapping", "list"] and (self.key is None or self.key.text != _ROOT):
            raise SheetError(f"line {line}: the list of municípios is not under the key {_ROOT!r}; write it there, or the list alone")
        if depth not in (["list"], ["list", "mapping"], ["mapping"], ["mapping", "list"], ["mapping", "list", "mapping"]):
            raise SheetError(f"line {line} has a list or mapping as a value; a cell is one text or number")
        if depth[-1] == "mapping":
            self.row = {}
        self.key = None

    def _scalar(self, depth: list[str], event: yaml.ScalarEvent, line: int) -> None:
        if depth == ["mapping"] and self.key is None:
            self.key = cell(event.value, line)
            return
        if depth not in (["list", "mapping"], ["mapping", "list", "mapping"]):
            empty = depth == ["mapping"] or (event.value == "" and not event.style)
            wanted = "a list with a mapping for each município, its columns as keys"
            raise SheetError(f"line {line} is not a município; write {wanted}" if not empty else f"it has no municípios; write {wanted}")
        if self.key is None:
            self.key = cell(event.value, line)
            return
        null = not event.style and event.value in ("", "~", "null", "Null", "NULL")
        number = self.columns.setdefault(self.key.text, len(self.columns))
        if number >= MAX_COLUMNS:
            raise SheetError(f"line {line} has one key more than the {MAX_COLUMNS} allowed; remove those that are not about municípios")
        self.sheet.headers.setdefault(number, self.key)
        if number in self.row:
            self.faults.add(self.sheet.name, line, "the key is there twice for one município; remove one", self.key.text)
        self.row[number] = Cell("", line) if null else cell(event.value, line)
        self.key = None

    def _end(self) -> None:
        filled = {number: each for number, each in self.row.items() if each.text}
        if len(self.sheet.rows) >= MAX_ROWS:
            raise SheetError(f"it has more than {MAX_ROWS} municípios; there are 5,571")
        if filled:
            self.sheet.rows.append(filled)
        self.row = {}
