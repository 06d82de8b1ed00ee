# SPDX-License-Identifier: GPL-3.0-or-later
"""The errors in the output of psql and pg_restore, in English and Portuguese, and which of them matter. Private to the collection.

Only the line that names an error is kept: the lines after it quote statements and rows, which are about patients.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Sequence

OTHER_ENCODING = (
    "Its text is not in the encoding that it names. A dump of a database in SQL_ASCII may hold text in Latin-1: write it as SQL "
    "(pg_restore --file=NAME.sql), replace SQL_ASCII in the line SET client_encoding by WIN1252, and restore that file"
)
"""What to do about bytes that are no text."""

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
# What PostgreSQL 12 and later cannot hold, and why; the words of the error are those of the server.
_NO_TYPE = r"(?:type|tipo) \"(?:\w+\.)?(?:abstime|reltime|tinterval)(?:\[\])?\""
_GONE = (
    (re.compile(_NO_TYPE), "it uses a type that PostgreSQL 12 or later does not have (abstime, reltime, tinterval)"),
    (
        re.compile(r"(?:pseudo-type|pseudo-tipo) \"?unknown"),
        "it has a column of the pseudo-type unknown, which PostgreSQL 10 or later does not allow",
    ),
    (re.compile(r"WITH OIDS"), "it is a table WITH OIDS, which PostgreSQL 12 or later does not have"),
    (
        re.compile(
            r"\b(?:relhasoids|relhaspkey|reltoastidxid|consrc|adsrc|proisagg|proiswindow|protransform|datlastsysoid|attcacheoff|cache_value"
            r"|increment_by|min_value|max_value|is_cycled|waiting|procpid|current_query|xlog_location|(?:sent|write|flush|replay)_location"
            r"|pg_pltemplate|pg_xlog\w*|pg_current_xlog\w*|amstrategies|amsupport|amcanorder|relminxid|spclocation|tgisconstraint"
            r"|checkpoints_(?:timed|req)|buffers_(?:checkpoint|backend)\w*|blk_(?:read|write)_time)\b"
        ),
        "it reads a part of the server's catalogs that this version of PostgreSQL does not have",
    ),
)
_WITH_OIDS_ROWS = re.compile(r"(?:syntax error at or near|erro de sintaxe em ou próximo a) \"WITH\"")
_UNQUALIFIED = re.compile(
    r"(?:function|função|relation|relação|type|tipo) "
    r"(?P<name>\"?[^\".\s(]+\"?(?:\([^)]*\))?) (?:does not exist|não existe)"
)
_LATE = ("TABLE DATA", "MATERIALIZED VIEW DATA", "INDEX", "CONSTRAINT", "CHECK CONSTRAINT", "FK CONSTRAINT")
_MOST_GONE = 200
_SKIPPABLE = ("VIEW ", "MATERIALIZED VIEW ", "FUNCTION ", "PROCEDURE ", "AGGREGATE ", "TRIGGER ", "RULE ", "CAST ", "OPERATOR ", "INDEX ")
_BYTES = re.compile(r"(?:invalid byte sequence for encoding|sequência de bytes é inválida para codificação) \"UTF8\"")
_LINE = re.compile(r"^psql:<stdin>:(\d+): ")
# 'invalid input syntax for type bigint: "..."' quotes a value of a row, which may go on in the next line.
_VALUE = re.compile(r': "(?:.*"|[^"]*)$')
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

    first_warnings are those of the programs that ran before; name_of(number) is the object of an entry of an archive, or on a line of a
    plain dump, as an operator names it.
    """

    def __init__(
        self,
        on_hopeless: Callable[[], None] | None = None,
        first_warnings: Sequence[str] = (),
        name_of: Callable[[int], str] = lambda _number: "",
    ) -> None:
        self._name_of = name_of
        self._number = 0
        self.gone: dict[str, str] = {}  # objects that this server cannot hold, and why
        self.failed: dict[str, str] = {}  # other objects, and what to do about their errors
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
            number = re.match(r"\d+", entry.group(1))
            self._number = int(number.group()) if number else 0
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
        if self._explain(line) and self.errors - len(self.gone) < _LIMIT:
            return False  # all of them are to be named
        shown = _VALUE.sub(': "..."', line)
        _keep(self.first_errors, f"{shown} ({self._entry})" if self._entry else shown)
        self._entry = ""
        hopeless = not self.stopped and (self.errors - len(self.gone) >= _LIMIT or any(pattern.search(line) for pattern in _HOPELESS))
        self.stopped = self.stopped or hopeless
        return hopeless

    def _explain(self, line: str) -> bool:
        """Note what is to be done about an error; return whether it is of an object that this server cannot hold."""
        at = _LINE.match(line)
        name = self._name_of(int(at.group(1)) if at else self._number) or self._entry
        self._number = 0
        kind = next((kind for kind in _LATE if name.startswith(kind + " ")), "")
        why = next((why for pattern, why in _GONE if pattern.search(line)), "")
        if name.startswith("TABLE DATA ") and _WITH_OIDS_ROWS.search(line):
            why = "its rows come with OIDs, which PostgreSQL 12 or later cannot hold; make the dump again without -o (--oids)"
        if why and name and len(self.gone) < _MOST_GONE:
            self.gone[name] = why
            self._entry = ""
            return True
        missing = _UNQUALIFIED.search(line)
        if _BYTES.search(line):
            self.failed[""] = OTHER_ENCODING
        elif missing and kind:
            self.failed[name] = (
                f"a function that {name} uses names {missing.group('name')} without its schema, and dumps are loaded with an empty "
                "search_path: set function_search_path to the schema, such as public (role: pec_restore_function_search_path)"
            )
        elif name and not kind and len(self.failed) < _SHOWN:
            self.failed[name] = ""
        return False

    def advice(self) -> str:
        """Return what to do about the errors, by the objects that they are about; empty if that is unknown."""
        parts = []
        names = list(self.gone)
        if names:
            reasons = "; ".join(f"{name}: {why}" for name, why in self.gone.items())
            parts.append(f"this server cannot hold {'this object' if len(names) == 1 else f'these {len(names)} objects'}: {reasons}")
        skippable = [name for name in (*names, *self.failed) if name.startswith(_SKIPPABLE)]
        if skippable:
            parts.append(f"to leave it out, if PEC can do without: skip_objects: {skippable} (role: pec_restore_skip_objects)")
        with_rows = [name for name in names if name.startswith(("TABLE ", "TYPE ", "DOMAIN "))]
        if with_rows:
            parts.append(f"{', '.join(with_rows)} may hold data: change it on the old server, and make the dump again, or leave it out too")
        parts += dict.fromkeys(text for text in self.failed.values() if text)
        return ". ".join(parts)

    def complaint(self) -> str:
        """Return the number of errors and the first of them; empty if there was none."""
        if not self.errors:
            return ""
        counted = "1 error" if self.errors == 1 else f"{self.errors} errors"
        hidden = self.errors - len(self.first_errors) - len(self.gone)
        more = f" (and {hidden} more)" if hidden > 0 else ""
        end = ", after which it was stopped" if self.stopped else ""
        first = f": {'; '.join(self.first_errors)}{more}" if self.first_errors else ""
        advice = self.advice()
        return f"{counted}{end}{first}{'. ' if first and advice else ': ' if advice else ''}{advice}"


def is_disk_full(text: str) -> bool:
    """Whether this is the server's message about a full disk."""
    return _DISK_FULL.search(text) is not None


def _keep(lines: list[str], line: str) -> None:
    if len(lines) < _SHOWN:
        lines.append(line)


def _entry_name(text: str) -> str:
    """Return TABLE tb_x of "3456; 1259 16388 TABLE tb_x esus"."""
    return re.sub(r"^\d+; \d+ \d+ ", "", text).rsplit(" ", 1)[0]
