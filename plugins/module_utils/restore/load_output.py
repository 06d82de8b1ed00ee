# SPDX-License-Identifier: GPL-3.0-or-later
"""The errors in the output of psql and pg_restore, in English and Portuguese, and which of them matter. Private to the collection.

Only the line that names an error is kept: the lines after it quote statements and rows, which are about patients.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Sequence

_SHOWN = 5
# A load with so many errors will not be used, so it is stopped.
_LIMIT = 20
# "psql:<stdin>:12: ERROR:  ..." and "pg_restore: error: could not execute query: ERROR:  ...", in both languages.
_ERROR = re.compile(
    r"(?:^|: )(?:ERROR|ERRO|FATAL|PANIC|P[ÂA]NICO):\s|^(?:psql|pg_restore)(?::<stdin>:\d+)?: (?:error|erro|fatal):", re.ASCII
)
_OLD_ERROR = re.compile(r"^pg_restore: \[[^\]]+\] (?!Error (?:while|from) )")  # before PostgreSQL 12, without the word "error"
_WARNING = re.compile(r"(?:^|: )(?:WARNING|AVISO):\s|^(?:psql|pg_restore): (?:warning|aviso):", re.ASCII)
_SUMMARY = re.compile(r"(?:errors ignored on restore|erros ignorados durante restauração): (\d+)")
_ENTRY = re.compile(r"^pg_restore: (?:\[[^\]]+\] Error )?(?:from TOC entry|da entrada TOC|na entrada do TOC) (.+)")
# A newer pg_dump sets parameters that an older server does not know, to what the older one does anyway.
_NEWER_SETTING = re.compile(
    r"(?:parameter|parâmetro).*\"(?:transaction_timeout|idle_in_transaction_session_timeout|default_table_access_method|row_security)\""
    r"|\"(?:transaction_timeout|idle_in_transaction_session_timeout|default_table_access_method|row_security)\".*(?:parameter|parâmetro)"
)
# 'invalid input syntax for type bigint: "..."' quotes a value of a row.
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
    """Counts the errors and warnings of a program that loads a dump. on_hopeless is called once, when the load cannot succeed any more.

    first_warnings are those of the programs that ran before.
    """

    def __init__(self, on_hopeless: Callable[[], None] | None = None, first_warnings: Sequence[str] = ()) -> None:
        self.errors = 0
        self.warnings = 0
        self.harmless = 0
        self.ignored: int | None = None  # pg_restore's own count, in its last line
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
        """Return the number of errors and the first of them; empty if there was none."""
        if not self.errors:
            return ""
        counted = "1 error" if self.errors == 1 else f"{self.errors} errors"
        more = f" (and {self.errors - len(self.first_errors)} more)" if self.errors > len(self.first_errors) else ""
        end = ", after which it was stopped" if self.stopped else ""
        return f"{counted}{end}: {'; '.join(self.first_errors)}{more}"


def is_disk_full(text: str) -> bool:
    """Whether this is the server's message about a full disk."""
    return _DISK_FULL.search(text) is not None


def _keep(lines: list[str], line: str) -> None:
    if len(lines) < _SHOWN:
        lines.append(line)


def _entry_name(text: str) -> str:
    """Return TABLE tb_x of "3456; 1259 16388 TABLE tb_x esus"."""
    return re.sub(r"^\d+; \d+ \d+ ", "", text).rsplit(" ", 1)[0]
