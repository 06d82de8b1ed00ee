# SPDX-License-Identifier: GPL-3.0-or-later
"""What psql and pg_restore say while they load a dump: which lines are errors, in English and in Portuguese, and which of them matter.

Only the line that names an error is ever kept: those that follow it quote statements and rows, and rows are about patients.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Sequence

_SHOWN = 5
# A load that fails this often will not be used, and the rest of it would only cost time.
_LIMIT = 20
# "psql:<stdin>:12: ERROR:  ..." and "pg_restore: error: could not execute query: ERROR:  ...", in both languages.
_ERROR = re.compile(
    r"(?:^|: )(?:ERROR|ERRO|FATAL|PANIC|P[ÂA]NICO):\s|^(?:psql|pg_restore)(?::<stdin>:\d+)?: (?:error|erro|fatal):", re.ASCII
)
_OLD_ERROR = re.compile(r"^pg_restore: \[[^\]]+\] (?!Error (?:while|from) )")  # before PostgreSQL 12 there was no word for it
_WARNING = re.compile(r"(?:^|: )(?:WARNING|AVISO):\s|^(?:psql|pg_restore): (?:warning|aviso):", re.ASCII)
_SUMMARY = re.compile(r"(?:errors ignored on restore|erros ignorados durante restauração): (\d+)")
_ENTRY = re.compile(r"^pg_restore: (?:\[[^\]]+\] Error )?(?:from TOC entry|da entrada TOC|na entrada do TOC) (.+)")
# A newer pg_dump sets what an older server does not know, to the value that the older one has anyway.
_NEWER_SETTING = re.compile(
    r"(?:parameter|parâmetro).*\"(?:transaction_timeout|idle_in_transaction_session_timeout|default_table_access_method|row_security)\""
    r"|\"(?:transaction_timeout|idle_in_transaction_session_timeout|default_table_access_method|row_security)\".*(?:parameter|parâmetro)"
)
# "invalid input syntax for type bigint: "..."": what stands there is out of a row.
_VALUE = re.compile(r': ".*"$')
_DISK_FULL = re.compile(
    r"No space left on device|espaço disponível no dispositivo|Disk quota exceeded|Cota de disco excedida", re.IGNORECASE
)
_HOPELESS = (
    _DISK_FULL,
    re.compile(r"(?:^|: )(?:FATAL|PANIC|P[ÂA]NICO):\s"),
    re.compile(r"server closed the connection|servidor fechou a conexão|terminating connection|terminando conexão", re.IGNORECASE),
    re.compile(r"connection to server|conexão com o servidor|no connection to the server|could not connect|não pôde conectar"),
)


class LoadOutput:
    """Counts what a program that loads a dump says. on_hopeless is called once when nothing good can come any more.

    first_warnings are those of the programs before, which the new ones follow.
    """

    def __init__(self, on_hopeless: Callable[[], None] | None = None, first_warnings: Sequence[str] = ()) -> None:
        self.errors = 0
        self.warnings = 0
        self.harmless = 0
        self.ignored: int | None = None  # what pg_restore counted itself, in the end
        self.first_errors: list[str] = []
        self.first_warnings = list(first_warnings)
        self.stopped = False
        self._on_hopeless = on_hopeless
        self._entry = ""
        self._lock = threading.Lock()

    def read(self, _program: str, line: str) -> None:
        """Take one line of stderr."""
        with self._lock:
            hopeless = self._read(line.rstrip())
        if hopeless and self._on_hopeless:
            self._on_hopeless()

    def _read(self, line: str) -> bool:
        entry, summary = _ENTRY.match(line), _SUMMARY.search(line)
        if entry:
            self._entry = _entry_name(entry.group(1))
        elif summary:
            self.ignored = int(summary.group(1))
        elif _WARNING.search(line):
            self.warnings += 1
            _keep(self.first_warnings, line)
        elif _ERROR.search(line) or _OLD_ERROR.match(line):
            return self._read_error(line)
        return False

    def _read_error(self, line: str) -> bool:
        if _NEWER_SETTING.search(line):
            self.harmless += 1
            return False
        self.errors += 1
        shown = _VALUE.sub(': "..."', line)
        _keep(self.first_errors, f"{shown} ({self._entry})" if self._entry else shown)
        self._entry = ""
        hopeless = not self.stopped and (self.errors >= _LIMIT or any(pattern.search(line) for pattern in _HOPELESS))
        self.stopped = self.stopped or hopeless
        return hopeless

    def complaint(self) -> str:
        """The errors in words, the first ones quoted; empty when there was none."""
        if not self.errors:
            return ""
        counted = "1 error" if self.errors == 1 else f"{self.errors} errors"
        more = f" (and {self.errors - len(self.first_errors)} more)" if self.errors > len(self.first_errors) else ""
        end = ", after which it was stopped" if self.stopped else ""
        return f"{counted}{end}: {'; '.join(self.first_errors)}{more}"


def is_disk_full(text: str) -> bool:
    """Whether this is what the server says when its disk is full."""
    return _DISK_FULL.search(text) is not None


def _keep(lines: list[str], line: str) -> None:
    if len(lines) < _SHOWN:
        lines.append(line)


def _entry_name(text: str) -> str:
    """Of "3456; 1259 16388 TABLE tb_x esus" what a person knows: TABLE tb_x."""
    parts = re.sub(r"^\d+; \d+ \d+ ", "", text).rsplit(" ", 1)
    return parts[0]
