# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Reads sheets from XLSX with openpyxl, within limits that a hostile file does not pass. Private to the collection."""

from __future__ import annotations

import io
import warnings
import zipfile
import zlib
from collections.abc import Callable, Iterator
from typing import Any

from ansible_collections.esus.pec.plugins.plugin_utils.municipios.sheet import MAX_COLUMNS, MAX_ROWS, Cell, SheetError, cell, shown

MAX_UNPACKED = 64 * 1024 * 1024
MAX_PARTS = 2000
_HOSTILE = (b"<!DOCTYPE", b"<!ENTITY", b"\0")
_REMEDY = "open it in a spreadsheet program and save it again as XLSX, or as CSV UTF-8"


def worksheets_of_xlsx(content: bytes, note: Callable[[str], None]) -> Iterator[tuple[str, Iterator[list[Cell]]]]:
    """Return the visible worksheets, each with the cells of its lines that are not empty.

    Of a formula the value counts that the spreadsheet program stored; C(note) is called with a sentence about it.
    """
    try:
        import openpyxl
    except ImportError:
        raise SheetError("an XLSX file requires the Python package openpyxl on the controller: pip install openpyxl") from None
    _check_archive(content)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about styles and validations of cells, which do not matter here
            formulas = openpyxl.load_workbook(io.BytesIO(content), read_only=True, keep_links=False)
            values = openpyxl.load_workbook(io.BytesIO(content), read_only=True, data_only=True, keep_links=False)
        for sheet in values.worksheets:
            if sheet.sheet_state == "visible":
                yield sheet.title, _guarded(_rows(sheet, formulas[sheet.title], note))
    except SheetError:
        raise
    except Exception as error:  # openpyxl raises whatever its code happens to meet in a damaged file
        raise SheetError(f"it is not a correct XLSX file ({type(error).__name__}); {_REMEDY}") from None


def _guarded(rows: Iterator[list[Cell]]) -> Iterator[list[Cell]]:
    try:
        yield from rows
    except SheetError:
        raise
    except Exception as error:
        raise SheetError(f"it is not a correct XLSX file ({type(error).__name__}); {_REMEDY}") from None


def _rows(values: Any, formulas: Any, note: Callable[[str], None]) -> Iterator[list[Cell]]:
    for sheet in (values, formulas):
        sheet.reset_dimensions()  # they are what the file says, and would cut off what is beyond them
    count, first = 0, ""
    for line, (row, originals) in enumerate(zip(values.iter_rows(), formulas.iter_rows(), strict=True), 1):
        if line > MAX_ROWS:
            raise SheetError(f"worksheet {values.title!r} has more than {MAX_ROWS} lines; delete the empty ones at the end and save it")
        broken = next((each for each in row if each.data_type == "e"), None)
        if broken is not None:
            raise SheetError(f"the cell {values.title}!{broken.coordinate} holds the error {broken.value}; correct its formula")
        cells = [cell(each.value, line) for each in row]
        for number, original in enumerate(originals):
            if original.data_type == "f":
                place = f"{values.title}!{original.coordinate}"
                if row[number].value is None:
                    raise SheetError(f"the formula in {place} has no stored value; {_REMEDY}")
                count, first = count + 1, first or place
        if any(each.text for each in cells[MAX_COLUMNS:]):
            raise SheetError(f"line {line} of worksheet {values.title!r} has more than {MAX_COLUMNS} columns; remove some")
        if any(each.text for each in cells):
            yield cells[:MAX_COLUMNS]
    if count:
        note(f"worksheet {shown(values.title)} has {count} formulas (the first in {first}); the values stored with them are used")


def _check_archive(content: bytes) -> None:
    """Refuse what unpacks to too much, and XML that defines entities or is in an encoding that hides them."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            parts = archive.infolist()
            # Python's zipfile unpacks no more of a part than the size that is declared here.
            if len(parts) > MAX_PARTS or sum(part.file_size for part in parts) > MAX_UNPACKED:
                raise SheetError(
                    f"it has more than {MAX_PARTS} parts or unpacks to more than {MAX_UNPACKED >> 20} MiB; save the list alone as CSV UTF-8"
                )
            for part in parts:
                text = archive.read(part)
                if text.lstrip(b"\xef\xbb\xbf\xff\xfe\0 \t\r\n").startswith(b"<") and any(each in text for each in _HOSTILE):
                    raise SheetError(f"its part {part.filename!r} is XML that no spreadsheet program writes; {_REMEDY}")
    except SheetError:
        raise
    except (zipfile.BadZipFile, zlib.error, RuntimeError, NotImplementedError, ValueError, EOFError, OSError) as error:
        raise SheetError(f"it is not an XLSX file, or it is protected by a password ({error}); {_REMEDY}") from None
