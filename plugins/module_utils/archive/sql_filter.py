# SPDX-License-Identifier: GPL-3.0-or-later
"""A plain dump on its way into psql, without the statements that need the old server's roles. Private to the collection.

The rows between COPY and its end pass untouched and unread. Everything else is split into statements as the server does it, so that
text in a value or a function is not mistaken for a statement. A statement that is left out leaves its line breaks behind: the line
numbers in errors stay those of the file.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Iterator

from ansible_collections.esus.pec.plugins.module_utils.errors import PecError

BEGINNING = b"-- PostgreSQL database dump"
END = b"-- PostgreSQL database dump complete"
_HOLD = 1 << 16  # the rest of a longer statement is passed on as it comes: no statement that matters is as long
_LONGEST_COMMENT = 1 << 20
_LOOK_BEHIND = 2  # the bytes before a quote decide whether it begins an escape string
_WORD = rb"[\w$\x80-\xff]"
_NAME = rb'(?:"(?:[^"]|"")+"|' + _WORD + rb"+)"
_FLAGS = re.IGNORECASE | re.DOTALL

_TOKEN = re.compile(rb"""['"$;\\]|--|/\*""")
_COMMENT_EDGE = re.compile(rb"/\*|\*/")
_DOLLAR = re.compile(rb"\$(?:[A-Za-z_\x80-\xff][A-Za-z0-9_\x80-\xff]*)?\$")
_DOLLAR_BEGUN = re.compile(rb"\$(?:[A-Za-z_\x80-\xff][A-Za-z0-9_\x80-\xff]*)?\Z")
_ESCAPED = re.compile(rb"[^'\\]*(?:\\.[^'\\]*)*", re.DOTALL)
_COPY_END = re.compile(rb"\n\\\.\r?\n")
_COPY_END_LENGTH = 5
# A whole statement of a dump made with --inserts, in one step.
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
# Owners and rights are those of the role that loads; a new database has nothing for --clean to remove.
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
    """Takes a dump in pieces of any size and returns what to feed to psql.

    server_version_num: settings that are newer than this version are left out. on_extension(name, schema) is called before an
    extension is created, because that may take a superuser. Raises PecError for a statement that leads out of the database, and at the
    end for a dump that is cut off.
    """

    def __init__(self, server_version_num: int, on_extension: Callable[[str, str | None], None] | None = None) -> None:
        self.copies = 0
        self._text = _Text()
        self._rules = _Rules(server_version_num, on_extension)
        self._free = False  # what has been read may be passed on before the end of its statement
        self._complete = False  # the last line of a dump was read, and no statement after it
        self._may_end = False
        self._reader = self._read()
        next(self._reader)

    @property
    def tables(self) -> int:
        """How many tables have been created so far."""
        return self._rules.tables

    def feed(self, data: bytes) -> bytes:
        """Take the next piece; return what can be passed on."""
        self._text.add(data)
        self._may_end = next(self._reader)
        return self._text.take()

    def finish(self) -> bytes:
        """Return the rest. Raises PecError when the dump has no end."""
        rest = self.feed(b"\n")
        if not self._may_end:
            raise PecError("it is cut off: the line that pg_dump writes last is missing; copy the dump again, or make a new one")
        return rest + self._text.held()

    # These generators read forward. Where they need more of the dump they yield, with whether it may end there.

    def _read(self) -> Iterator[bool]:
        while True:
            insert = _INSERT.match(self._text.buffer, self._text.start)
            if insert:
                self._complete = False
                self._text.pass_on(insert.end())
            else:
                yield from self._read_statement()

    def _read_statement(self) -> Iterator[bool]:
        text = self._text
        while True:
            token = yield from self._find(_TOKEN)
            text.at = token.start()
            mark = token.group()
            if mark == b";":
                text.at += 1
                yield from self._end_statement()
                return
            if mark == b"'":
                yield from self._pass_string()
            elif mark == b'"':
                yield from self._pass_quoted(mark, mark)
            elif mark == b"$":
                yield from self._pass_dollar()
            elif mark == b"\\":
                yield from self._read_meta_command()
            else:
                yield from self._pass_comment(self._pass_line() if mark == b"--" else self._pass_block())

    def _end_statement(self) -> Iterator[bool]:
        self._complete = False
        statement = b"" if self._free else self._text.read().lstrip()  # the beginning of a long one was judged before
        self._free = False
        if not self._keeps(statement):
            self._text.leave_out()
            return
        self._text.pass_on(self._text.at)
        if _COPY.match(statement):
            self.copies += 1
            yield from self._pass_rows()

    def _pass_rows(self) -> Iterator[bool]:
        """The search begins with the line break before the first row."""
        self._free = True
        end = yield from self._find(_COPY_END, _COPY_END_LENGTH)
        self._text.pass_on(end.end())
        self._free = False

    def _pass_string(self) -> Iterator[bool]:
        text = self._text
        before = text.buffer[max(0, text.at - 2) : text.at]
        prefixed = before[-1:] in (b"e", b"E") and re.fullmatch(_WORD + b"{2}", before) is None
        if self._rules.backslash_is_plain and not prefixed:
            yield from self._pass_quoted(b"'", b"'")
            return
        text.at += 1
        while True:
            text.at = _ESCAPED.match(text.buffer, text.at).end()  # type: ignore[union-attr]  # it matches everywhere
            if text.buffer[text.at : text.at + 1] == b"'":
                text.at += 1
                return
            yield from self._wait()

    def _pass_dollar(self) -> Iterator[bool]:
        """A dollar begins a quoted string, or belongs to a name or a parameter such as $1."""
        text = self._text
        while True:
            tag = _DOLLAR.match(text.buffer, text.at)
            if tag or not _DOLLAR_BEGUN.match(text.buffer, text.at):
                break
            yield from self._wait()
        if tag and not (text.at and re.match(_WORD, text.buffer[text.at - 1 : text.at])):
            yield from self._pass_quoted(tag.group(), tag.group())
        else:
            text.at += 1

    def _pass_quoted(self, opening: bytes, closing: bytes) -> Iterator[bool]:
        text = self._text
        text.at += len(opening)
        while True:
            end = text.buffer.find(closing, text.at)
            if end >= 0:
                text.at = end + len(closing)
                return
            text.at = max(text.at, len(text.buffer) - len(closing) + 1)
            yield from self._wait()

    def _pass_comment(self, comment: Iterator[bool]) -> Iterator[bool]:
        """A comment before a statement is passed on by itself, so that a statement always begins with its first word."""
        leading = not self._free and not self._text.read().strip()
        if leading:
            self._text.pass_on(self._text.at)
            self._free = True
        yield from comment
        if leading:
            self._text.pass_on(self._text.at)
            self._free = False

    def _pass_line(self) -> Iterator[bool]:
        text = self._text
        while True:
            end = text.buffer.find(b"\n", text.at)
            if end >= 0:
                self._complete = self._complete or text.buffer[text.at : end].rstrip() == END
                text.at = end + 1
                return
            if len(text.buffer) - text.at > _LONGEST_COMMENT:
                raise PecError(f"line {text.line_number} is not SQL; this is not a dump from PostgreSQL, or it is damaged")
            yield from self._wait()

    def _pass_block(self) -> Iterator[bool]:
        """Comments of this kind nest."""
        depth = 0
        while True:
            edge = yield from self._find(_COMMENT_EDGE)
            self._text.at = edge.end()
            depth += 1 if edge.group() == b"/*" else -1
            if depth == 0:
                return

    def _read_meta_command(self) -> Iterator[bool]:
        """Two may come, between statements; psql gets neither of them."""
        text = self._text
        while True:
            end = text.buffer.find(b"\n", text.at)
            if end >= 0 or len(text.buffer) - text.at >= _HOLD:
                break
            yield from self._wait()
        word = text.buffer[text.at : end].split()[0]
        if word not in (b"\\restrict", b"\\unrestrict") or end < 0 or self._free or text.read().strip():
            self._refuse(word)
        text.pass_on(text.at)
        text.start = text.at = end

    def _find(self, pattern: re.Pattern[bytes], length: int = 2) -> Generator[bool, None, re.Match[bytes]]:
        """Return the next match of C(pattern), which takes at most C(length) bytes."""
        text = self._text
        while True:
            found = pattern.search(text.buffer, text.at)
            if found:
                return found
            text.at = max(text.at, len(text.buffer) - length + 1)
            yield from self._wait()

    def _wait(self) -> Iterator[bool]:
        """Wait for the next piece; first pass on what can be, so that a long statement does not fill the memory."""
        text = self._text
        if not self._free and len(text.buffer) - text.start > _HOLD:
            statement = text.held().lstrip()
            if not self._keeps(statement):
                self._refuse(b" ".join(statement[:60].split()[:3]))
            self._free = bool(statement)
        if self._free:
            text.pass_on(text.at - _LOOK_BEHIND)
        yield self._complete and not self._free and not text.held().strip()

    def _keeps(self, statement: bytes) -> bool:
        if _FORBIDDEN.match(statement) or (_COPY.match(statement) and not _COPY_FROM_STDIN.match(statement)):
            self._refuse(b" ".join(statement.split()[:3]))
        return self._rules.keeps(statement)

    def _refuse(self, what: bytes) -> None:
        raise PecError(
            f"line {self._text.line_number} has {what.decode('utf-8', 'replace')}, which leads out of the database that is restored: the "
            "dump was made with --create or by pg_dumpall, or written by hand; make it with pg_dump without --create"
        )


class _Text:
    """The part of a dump that is in memory: C(buffer) up to C(start) was passed on or left out, up to C(at) it was read."""

    def __init__(self) -> None:
        self.buffer = b""
        self.start = 0
        self.at = 0
        self._line = 1
        self._out: list[bytes] = []

    @property
    def line_number(self) -> int:
        """The line on which the statement begins that is being read."""
        beginning = self.buffer[self.start : self.start + _HOLD]
        return self._line + beginning[: len(beginning) - len(beginning.lstrip())].count(b"\n")

    def add(self, data: bytes) -> None:
        self.buffer = self.buffer[self.start :] + data
        self.at -= self.start
        self.start = 0

    def take(self) -> bytes:
        out, self._out = self._out, []
        return b"".join(out)

    def read(self) -> bytes:
        """What was read and neither passed on nor left out."""
        return self.buffer[self.start : self.at]

    def held(self) -> bytes:
        """All of the buffer that was neither passed on nor left out."""
        return self.buffer[self.start :]

    def pass_on(self, end: int) -> None:
        if end > self.start:
            piece = self.buffer[self.start : end]
            self._out.append(piece)
            self._line += piece.count(b"\n")
            self.start = end
        self.at = max(self.at, end)

    def leave_out(self) -> None:
        """Leave out what was read, but not its line breaks."""
        lines = self.buffer.count(b"\n", self.start, self.at)
        self._out.append(b"\n" * lines)
        self._line += lines
        self.start = self.at


class _Rules:
    """Which statements a restore takes, and what it learns from them."""

    def __init__(self, server_version_num: int, on_extension: Callable[[str, str | None], None] | None) -> None:
        self.tables = 0
        self.backslash_is_plain = True  # standard_conforming_strings
        self._newer = {name for name, version in _NEWER_SETTINGS.items() if server_version_num < version}
        self._on_extension = on_extension

    def keeps(self, statement: bytes) -> bool:
        strings = _STRINGS.match(statement)
        if strings:
            self.backslash_is_plain = strings.group(1).lower() == b"on"
        extension = _EXTENSION.match(statement)
        if extension and self._on_extension:
            schema = extension.group(2)
            self._on_extension(_unquoted(extension.group(1)), _unquoted(schema) if schema else None)
        self.tables += bool(_TABLE.match(statement))
        setting = _SETTING.match(statement)
        if setting and setting.group(1).lower() in self._newer:
            return False
        return not any(pattern.match(statement) for pattern in _DROPPED)


def _unquoted(name: bytes) -> str:
    text = name.decode("utf-8", "replace")
    return text[1:-1].replace('""', '"') if text.startswith('"') else text.lower()
