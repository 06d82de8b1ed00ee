# SPDX-License-Identifier: GPL-3.0-or-later
"""A plain dump on its way into psql: without the statements that need the old server's roles, and never out of its database.

The rows between COPY and its end pass untouched and unread; everything else is split into statements as the server would, so that text
in a value or in a function is never taken for a statement. A dropped statement leaves its line breaks behind: the line numbers in
errors stay those of the file.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from ansible_collections.esus.pec.plugins.module_utils.errors import PecError

BEGINNING = b"-- PostgreSQL database dump"
END = b"-- PostgreSQL database dump complete"
_HOLD = 1 << 16  # of a longer statement the rest passes as it comes: none of those that matter is as long
_LONGEST_COMMENT = 1 << 20
_WORD = rb"[\w$\x80-\xff]"
_NAME = rb'(?:"(?:[^"]|"")+"|' + _WORD + rb"+)"
_FLAGS = re.IGNORECASE | re.DOTALL

_TOKEN = re.compile(rb"""['"$;\\]|--|/\*""")
_COMMENT_EDGE = re.compile(rb"/\*|\*/")
_DOLLAR = re.compile(rb"\$(?:[A-Za-z_\x80-\xff][A-Za-z0-9_\x80-\xff]*)?\$")
_DOLLAR_BEGUN = re.compile(rb"\$(?:[A-Za-z_\x80-\xff][A-Za-z0-9_\x80-\xff]*)?\Z")
_ESCAPED = re.compile(rb"[^'\\]*(?:\\.[^'\\]*)*", re.DOTALL)
_COPY_END = re.compile(rb"\n\\\.\r?\n")
# One whole statement of a dump made with --inserts, in one step.
_INSERT = re.compile(rb"""\s*INSERT INTO [^'"$;\\/-]*(?:(?:-(?!-)|'[^'\\]*'|"[^"]*")[^'"$;\\/-]*)*;""")

_FORBIDDEN = re.compile(rb"(?:CREATE|ALTER|DROP)\s+(?:DATABASE|ROLE|USER(?!\s+MAPPING\b)|GROUP|TABLESPACE|SYSTEM)\b", _FLAGS)
_COPY = re.compile(rb"COPY\b", _FLAGS)
_COPY_FROM_STDIN = re.compile(rb"COPY\b.*\bFROM\s+STDIN\b", _FLAGS)
_EXTENSION = re.compile(
    rb"CREATE\s+EXTENSION\s+(?:IF\s+NOT\s+EXISTS\s+)?(" + _NAME + rb")\s*(?:WITH\s+)?(?:SCHEMA\s+(" + _NAME + rb"))?", _FLAGS
)
_TABLE = re.compile(rb"CREATE\s+(?:UNLOGGED\s+|FOREIGN\s+)?TABLE\b", _FLAGS)
_SETTING = re.compile(rb"SET\s+(\w+)", _FLAGS)
_STRINGS = re.compile(rb"SET\s+standard_conforming_strings\s*=\s*'?(on|off)\b", _FLAGS)
# Owners and rights are those of the role that loads; what --clean removes first is not in a new database.
_DROPPED = (
    re.compile(rb"(?:GRANT|REVOKE|DROP|SECURITY\s+LABEL)\b", _FLAGS),
    re.compile(rb"ALTER\s+DEFAULT\s+PRIVILEGES\b", _FLAGS),
    re.compile(rb"ALTER\s.*\sOWNER\s+TO\s+" + _NAME + rb"\s*;\Z", _FLAGS),
    re.compile(rb"ALTER\s+(?:TABLE|DOMAIN)\s.*\sDROP\s+(?:CONSTRAINT|DEFAULT|IDENTITY)\b[^;]*;\Z", _FLAGS),
    re.compile(rb"(?:SET|RESET)\s+(?:SESSION\s+AUTHORIZATION|(?:SESSION\s+|LOCAL\s+)?ROLE|default_tablespace)\b", _FLAGS),
    re.compile(rb'COMMENT\s+ON\s+(?:EXTENSION\b|SCHEMA\s+"?public"?\s)', _FLAGS),
    re.compile(rb'CREATE\s+SCHEMA\s+(?:IF\s+NOT\s+EXISTS\s+)?"?public"?\s*(?:AUTHORIZATION\b[^;]*)?;', _FLAGS),
)
_NEWER_SETTINGS = {
    b"transaction_timeout": 170000,
    b"default_table_access_method": 120000,
    b"idle_in_transaction_session_timeout": 90600,
}


class SqlFilter:
    """Reads a dump in pieces of any size and gives back what psql is to be fed with.

    server_version_num: settings that a server of this version does not have yet are left out. on_extension(name, schema) is called
    before an extension is made, because that may take a superuser. C(tables) and C(copies) count what went through.

    Raises PecError for what would lead out of the database, and at the end when the dump is not whole.
    """

    def __init__(self, server_version_num: int, on_extension: Callable[[str, str | None], None] | None = None) -> None:
        self.tables = 0
        self.copies = 0
        self._on_extension = on_extension
        self._newer = {name for name, version in _NEWER_SETTINGS.items() if server_version_num < version}
        self._buffer = b""
        self._start = 0  # what lies before it has gone: it is the beginning of a statement, or within rows
        self._at = 0  # how far the search got
        self._line = 1
        self._inside: Callable[[], bool] | None = None  # what looks for the end of a value, of a comment or of rows
        self._tag = b""
        self._depth = 0
        self._leading = False  # the comment stands before a statement
        self._passing = False  # the statement is long and its beginning has gone
        self._conforming = True
        self._complete = False
        self._out: list[bytes] = []

    def feed(self, data: bytes) -> bytes:
        """Take the next piece; return what can go on by now."""
        self._buffer = self._buffer[self._start :] + data
        self._at -= self._start
        self._start = 0
        while (self._inside or self._statement)():
            pass
        long = len(self._buffer) - self._start > _HOLD
        if long and self._inside != self._rows and not self._passing and not self._leading:
            self._begin_long_statement()
        if self._passing or (self._leading and long):
            self._emit(max(self._start, self._at - 2))  # the last two decide whether a quote is one of an escape string
        out, self._out = self._out, []
        return b"".join(out)

    def finish(self) -> bytes:
        """Return the rest. Raises PecError when the dump has no end."""
        rest = self.feed(b"\n")
        if self._inside is not None or not self._complete or self._buffer[self._start :].strip():
            raise PecError("it ends in the middle: the line that pg_dump writes last is missing; fetch it or make it again")
        return rest + self._buffer[self._start :]

    # Each of these moves on by one step and says whether there may be another one.

    def _statement(self) -> bool:
        if self._at == self._start and not self._passing:
            insert = _INSERT.match(self._buffer, self._start)
            if insert:
                self._complete = False
                self._at = insert.end()
                return self._emit(self._at)
        token = _TOKEN.search(self._buffer, self._at)
        if token is None:
            self._at = max(self._at, len(self._buffer) - 1)  # the last byte may be half of a token
            return False
        self._at = token.start()
        kind = token.group()
        if kind == b";":
            self._at += 1
            return self._end_statement()
        if kind == b"--":
            self._begin_comment()
            return self._line_comment()
        if kind == b"\\":
            return self._meta_command()
        if kind == b"$":
            return self._dollar()
        if kind == b"/*":
            self._depth = 0
            self._begin_comment()
            return self._enter(self._block_comment, 0)
        if kind == b'"':
            return self._enter(self._identifier, 1)
        return self._enter(self._escape_string if self._is_escape_string() else self._string, 1)

    def _string(self) -> bool:
        return self._leave_after(b"'")

    def _identifier(self) -> bool:
        return self._leave_after(b'"')

    def _dollar_string(self) -> bool:
        return self._leave_after(self._tag)

    def _escape_string(self) -> bool:
        match = _ESCAPED.match(self._buffer, self._at)
        self._at = match.end() if match else self._at
        return self._buffer[self._at : self._at + 1] == b"'" and self._leave(self._at + 1)

    def _block_comment(self) -> bool:
        edge = _COMMENT_EDGE.search(self._buffer, self._at)
        if edge is None:
            self._at = max(self._at, len(self._buffer) - 1)
            return False
        self._depth += 1 if edge.group() == b"/*" else -1
        self._at = edge.end()
        return self._leave_comment() if self._depth == 0 else True

    def _rows(self) -> bool:
        """They begin with the line break before the first one."""
        end = _COPY_END.search(self._buffer, self._start)
        self._at = end.end() if end else max(self._start, len(self._buffer) - 4)
        self._emit(self._at)
        return end is not None and self._leave(self._at)

    def _line_comment(self) -> bool:
        end = self._buffer.find(b"\n", self._at)
        if end < 0:
            if len(self._buffer) - self._at > _LONGEST_COMMENT:
                raise PecError(f"line {self._line_here()} is not SQL; this is not a dump of PostgreSQL, or it is damaged")
            return False
        self._complete = self._complete or self._buffer[self._at : end].rstrip() == END
        self._at = end + 1
        return self._leave_comment()

    def _meta_command(self) -> bool:
        end = self._buffer.find(b"\n", self._at)
        if end < 0 and len(self._buffer) - self._at < _HOLD:
            return False
        words = self._buffer[self._at : end].split()
        if words[0] not in (b"\\restrict", b"\\unrestrict") or self._passing or self._buffer[self._start : self._at].strip():
            self._refuse(words[0])
        self._emit(self._at)
        self._start = self._at = end
        return True

    def _dollar(self) -> bool:
        tag = _DOLLAR.match(self._buffer, self._at)
        within_name = self._at > 0 and re.match(_WORD, self._buffer[self._at - 1 : self._at]) is not None
        if tag is not None and not within_name:
            self._tag = tag.group()
            return self._enter(self._dollar_string, len(self._tag))
        if tag is None and _DOLLAR_BEGUN.match(self._buffer, self._at):
            return False
        self._at += 1
        return True

    def _enter(self, inside: Callable[[], bool], length: int) -> bool:
        self._inside = inside
        self._at += length
        return True

    def _leave(self, position: int) -> bool:
        self._inside = None
        self._at = position
        return True

    def _leave_after(self, mark: bytes) -> bool:
        end = self._buffer.find(mark, self._at)
        if end < 0:
            self._at = max(self._at, len(self._buffer) - len(mark) + 1)
            return False
        return self._leave(end + len(mark))

    def _begin_comment(self) -> None:
        """A comment before a statement goes on by itself, so that a statement always begins with its first word."""
        self._leading = not self._passing and not self._buffer[self._start : self._at].strip()
        if self._leading:
            self._emit(self._at)

    def _leave_comment(self) -> bool:
        if self._leading:
            self._emit(self._at)
        self._leading = False
        return self._leave(self._at)

    def _is_escape_string(self) -> bool:
        before = self._buffer[max(0, self._at - 2) : self._at]
        prefix = before[-1:] in (b"e", b"E") and re.fullmatch(_WORD + b"{2}", before) is None
        return prefix or not self._conforming

    def _end_statement(self) -> bool:
        self._complete = False
        if self._passing:
            self._passing = False
            return self._emit(self._at)
        statement = self._buffer[self._start : self._at].lstrip()
        if not self._keeps(statement):
            return self._drop()
        if _COPY.match(statement):
            self.copies += 1
            self._inside = self._rows
        return self._emit(self._at)

    def _begin_long_statement(self) -> None:
        """Decide on its beginning."""
        statement = self._buffer[self._start :].lstrip()
        if statement and not self._keeps(statement):
            self._refuse(b" ".join(statement[:60].split()[:3]))
        self._passing = bool(statement)

    def _keeps(self, statement: bytes) -> bool:
        if _FORBIDDEN.match(statement) or (_COPY.match(statement) and not _COPY_FROM_STDIN.match(statement)):
            self._refuse(b" ".join(statement.split()[:3]))
        strings = _STRINGS.match(statement)
        if strings:
            self._conforming = strings.group(1).lower() == b"on"
        extension = _EXTENSION.match(statement)
        if extension and self._on_extension:
            schema = extension.group(2)
            self._on_extension(_unquoted(extension.group(1)), _unquoted(schema) if schema else None)
        self.tables += bool(_TABLE.match(statement))
        setting = _SETTING.match(statement)
        if setting and setting.group(1).lower() in self._newer:
            return False
        return not any(pattern.match(statement) for pattern in _DROPPED)

    def _emit(self, end: int) -> bool:
        """Let what came go on, up to this position. True, so that steps can end with it."""
        if end > self._start:
            piece = self._buffer[self._start : end]
            self._out.append(piece)
            self._line += piece.count(b"\n")
            self._start = end
        return True

    def _drop(self) -> bool:
        lines = self._buffer.count(b"\n", self._start, self._at)
        self._out.append(b"\n" * lines)
        self._line += lines
        self._start = self._at
        return True

    def _refuse(self, what: bytes) -> None:
        text = what.decode("utf-8", "replace")
        raise PecError(
            f"line {self._line_here()} has {text}, which would lead out of the database that is restored: the dump was made with --create "
            "or by pg_dumpall, or written by hand; make it with pg_dump without --create"
        )

    def _line_here(self) -> int:
        rest = self._buffer[self._start : self._start + _HOLD]
        return self._line + rest[: len(rest) - len(rest.lstrip())].count(b"\n")


def _unquoted(name: bytes) -> str:
    text = name.decode("utf-8", "replace")
    return text[1:-1].replace('""', '"') if text.startswith('"') else text.lower()
