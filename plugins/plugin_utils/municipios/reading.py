# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Reads the sheets of a file, whatever its format. Private to the collection."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from ansible_collections.esus.pec.plugins.plugin_utils.municipios.csv_sheet import rows_of_csv
from ansible_collections.esus.pec.plugins.plugin_utils.municipios.encoding import decoded
from ansible_collections.esus.pec.plugins.plugin_utils.municipios.sheet import (
    MAX_BYTES,
    MAX_TEXT,
    TOO_LONG,
    Cell,
    Faults,
    Sheet,
    SheetError,
    shown,
)
from ansible_collections.esus.pec.plugins.plugin_utils.municipios.xlsx_sheet import worksheets_of_xlsx
from ansible_collections.esus.pec.plugins.plugin_utils.municipios.yaml_sheet import sheet_of_yaml

_FORMATS = {"csv": "csv", "tsv": "csv", "txt": "csv", "xlsx": "xlsx", "xlsm": "xlsx", "yml": "yaml", "yaml": "yaml"}


@dataclass(frozen=True)
class Format:
    """The options that say how the file is read."""

    encoding: str = "auto"
    separator: str = "auto"
    worksheets: Sequence[str] = ()
    header_line: int = 1


def read_sheets(content: bytes, name: str, form: Format, faults: Faults, note: Callable[[str], None]) -> list[Sheet]:
    """Return the sheets of a file. Raises SheetError if it cannot be read."""
    kind = _FORMATS.get(name.rpartition(".")[2].lower())
    if len(content) > MAX_BYTES:
        raise SheetError(f"it is larger than {MAX_BYTES >> 20} MiB; save the list of municípios alone")
    if kind is None:
        raise SheetError(f"its suffix is none of {', '.join(f'.{suffix}' for suffix in _FORMATS)}; save it as CSV UTF-8 or XLSX")
    if form.worksheets and kind != "xlsx":
        raise SheetError("only an XLSX file has worksheets; remove worksheets from the inventory source")
    if kind == "xlsx":
        return _worksheets(content, name, form, note)
    text = decoded(content, form.encoding)
    if kind == "yaml":
        return [sheet_of_yaml(text, name, faults)]
    return [_table(name, rows_of_csv(text, form.separator), form.header_line)]


def _worksheets(content: bytes, name: str, form: Format, note: Callable[[str], None]) -> list[Sheet]:
    wanted = set(form.worksheets)
    there: list[str] = []
    filled: list[Sheet] = []
    for title, rows in worksheets_of_xlsx(content, note):
        there.append(title)
        if not wanted or title in wanted:
            sheet = _table(f"{name}, worksheet {title}", rows, form.header_line)
            if sheet.headers or wanted:
                filled.append(sheet)
            if len(filled) > 1 and not wanted:
                raise SheetError(f"it has more than one worksheet, such as {shown(title)}; name those with municípios in worksheets")
    missing = wanted - set(there)
    if missing:
        raise SheetError(f"it has no visible worksheet {shown(min(missing))}, only {', '.join(map(shown, there))}; correct worksheets")
    return filled


def _table(name: str, rows: Iterable[list[Cell]], header_line: int) -> Sheet:
    """Return a sheet whose columns' names are in the first line with values from C(header_line) on."""
    sheet = Sheet(name)
    total = 0
    for row in rows:
        total += sum(len(each.text) for each in row if each.text is not TOO_LONG)
        if total > MAX_TEXT:
            raise SheetError(f"it has more than {MAX_TEXT >> 20} million characters; save the list of municípios alone")
        if row[0].line < header_line:
            continue
        if not sheet.headers:
            # Also of columns that have none there, to name them if there are values below.
            sheet.headers = dict(enumerate(row))
            continue
        for number in range(len(sheet.headers), len(row)):
            sheet.headers[number] = Cell("", sheet.headers[0].line)
        sheet.rows.append({number: each for number, each in enumerate(row) if each.text})
    return sheet
