# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A sheet of any format as lines of texts, what is wrong with it, and the limits of its size. Private to the collection."""

from __future__ import annotations

import datetime
from dataclasses import dataclass, field

from ansible_collections.esus.pec.plugins.module_utils.errors import PecError, printable

MAX_BYTES = 16 * 1024 * 1024
MAX_ROWS = 10_000
"""There are 5,571 municípios; the rest are empty lines that a spreadsheet keeps."""
MAX_COLUMNS = 100
MAX_CELL = 1000
MAX_TEXT = 16 * 1024 * 1024
"""Characters in all cells of a sheet. In XLSX, many cells may refer to one long text."""
TOO_LONG = "…" * (MAX_CELL + 1)
"""Stands for the text of a longer cell, which is a fault unless its column is ignored."""
MAX_SHOWN = 50


class SheetError(PecError):
    """A sheet that cannot be read at all."""


@dataclass(frozen=True, slots=True)
class Cell:
    """The text of a cell and what it was before: C(text), C(number) or C(date). A spreadsheet makes numbers and dates by itself."""

    text: str
    line: int
    kind: str = "text"


@dataclass
class Sheet:
    """The column's names and the lines with values. A line has only the cells that are not empty, by the number of their column."""

    name: str
    headers: dict[int, Cell] = field(default_factory=dict)
    rows: list[dict[int, Cell]] = field(default_factory=list)


@dataclass
class Faults:
    """Everything wrong with the sheets, in order; more than an operator reads at once is counted only."""

    texts: list[tuple[str, int, str]] = field(default_factory=list)
    count: int = 0

    def add(self, sheet: str, line: int, text: str, column: str = "") -> None:
        self.count += 1
        if len(self.texts) < MAX_ROWS:
            where = f"{sheet}, line {line}" if line else sheet
            self.texts.append((sheet, line, printable(f"{where}, column {shown(column)}: {text}" if column else f"{where}: {text}")))

    def message(self) -> str:
        """Return the list as an error shows it."""
        lines = [text for _sheet, _line, text in sorted(self.texts, key=lambda fault: fault[:2])][:MAX_SHOWN]
        rest = [f"and {self.count - MAX_SHOWN} more"] if self.count > MAX_SHOWN else []
        problems = "1 problem" if self.count == 1 else f"{self.count} problems"
        # ansible-core 2.18 shows it without line ends, hence the dashes.
        shown_lines = [f"- {line}" for line in [*lines, *rest]]
        return "\n".join([f"{problems} in the sheet of municípios; correct each and run again:", *shown_lines])


def cell(value: object, line: int) -> Cell:
    """Return a value of a spreadsheet as its text, in one line and without blanks around it."""
    if value is None:
        return Cell("", line)
    if isinstance(value, bool):
        return Cell(str(value).lower(), line)
    if isinstance(value, (int, float)):
        whole = isinstance(value, int) or value.is_integer()
        return Cell(str(int(value)) if whole else str(value), line, "number")
    if isinstance(value, datetime.datetime):
        midnight = value.time() == datetime.time()
        return Cell(value.date().isoformat() if midnight else value.isoformat(" ", "minutes"), line, "date")
    if isinstance(value, datetime.date):
        return Cell(value.isoformat(), line, "date")
    if isinstance(value, datetime.time):
        return Cell(value.isoformat("minutes"), line, "date")
    text = str(value)
    return Cell(" ".join(text.split()) if len(text) <= MAX_CELL else TOO_LONG, line)


def shown(text: str) -> str:
    """Return a value as an error shows it."""
    return repr(text if len(text) <= 60 else text[:57] + "...")
