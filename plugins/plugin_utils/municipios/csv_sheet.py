# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Reads a sheet from CSV. Private to the collection."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator

from ansible_collections.esus.pec.plugins.plugin_utils.municipios.sheet import MAX_COLUMNS, MAX_ROWS, Cell, SheetError, cell

_SEPARATORS = ";,\t"


def rows_of_csv(text: str, separator: str) -> Iterator[list[Cell]]:
    """Return the cells of each line that is not empty."""
    lines = text.splitlines(keepends=True)
    skipped = 0
    # The first line that Excel itself understands.
    if lines and lines[0].strip().lower().startswith("sep=") and len(lines[0].strip()) == 5:
        separator = lines[0].strip()[4] if separator == "auto" else separator
        skipped = 1
    wanted = _detected(lines[skipped:]) if separator == "auto" else separator
    reader = csv.reader(io.StringIO("".join(lines[skipped:]), newline=""), delimiter=wanted, strict=True)
    line = skipped + 1
    try:
        for row in reader:
            if len(row) > MAX_COLUMNS and any(row[MAX_COLUMNS:]):
                raise SheetError(f"line {line} has more than {MAX_COLUMNS} columns; remove those that are not about municípios")
            if line - skipped > MAX_ROWS:
                raise SheetError(f"it has more than {MAX_ROWS} lines; remove the empty ones at the end")
            cells = [cell(value, line) for value in row[:MAX_COLUMNS]]
            if any(each.text for each in cells):
                yield cells
            line = skipped + reader.line_num + 1
    except csv.Error as error:
        raise SheetError(f"line {line} is not CSV ({error}); a quotation mark in a cell is written twice") from None


def _detected(lines: list[str]) -> str:
    """Return the separator that the line with the columns' names has most of, outside quotation marks."""
    first = next((line for line in lines if line.strip(" \t\r\n;,")), "")
    outside = "".join(first.split('"')[::2])
    return max(_SEPARATORS, key=outside.count)
