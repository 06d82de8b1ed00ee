# SPDX-License-Identifier: GPL-3.0-or-later
"""A plain dump on its way into psql, without the statements that need the old server's roles. Private to the collection.

The rows between COPY and its end pass untouched and unread. Everything else is split into statements as the server does it, so that
text in a value or a function is not mistaken for a statement. A statement that is left out leaves its line breaks behind: the line
numbers in errors stay those of the file.

This is no boundary. Its lexer is not psql's, so a dump made for that purpose gets past it. What such a dump can do is limited by how psql
runs and as which role it loads. Here a dump of another kind gets an error that says what to do.
"""

from __future__ import annotations

import bisect
import contextlib
import re
import sys
from collections.abc import Collection, Generator, Iterator

from ansible_collections.esus.pec.plugins.module_utils.archive.skipping import Entry, Skip, entry_of_plain
from ansible_collections.esus.pec.plugins.module_utils.errors import PecError

BEGINNING = b"-- PostgreSQL database dump"
END = b"-- PostgreSQL database dump complete"
_HOLD = 1 << 16  # the rest of a longer statement is passed on as it comes: no statement that matters is as long
_HOLD_COPY = 1 << 20  # but for COPY, whose rows are found only if all of it was seen: it may list 1600 columns
_LONGEST_COMMENT = 1 << 20
_LONGEST = 1 << 24  # psql keeps a whole statement and a whole line in memory, three times
_MOST_EXTENSIONS = 1000
_BOM = b"\xef\xbb\xbf"
# What a prompt or a warning of pg_dump leaves ahead of the dump, if its errors went into the same file.
AHEAD = re.compile(rb"(?:password|senha)\b[^\n]*:|(?:\S{0,200}[/\\])?pg_dump(?:\.exe)?: ", re.IGNORECASE)
_LOOK_BEHIND = 2  # the bytes before a quote decide whether it begins an escape string
_WORD = rb"[\w$\x80-\xff]"
_NAME = rb'(?:"(?:[^"]|"")+"|' + _WORD + rb"+)"
_FLAGS = re.IGNORECASE | re.DOTALL

_TOKEN = re.compile(rb"""['"$;\\]|--|/\*""")
_LINE_END = re.compile(rb"[\r\n]")
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
_TABLE = re.compile(rb"CREATE\s+(?:UNLOGGED\s+)?TABLE\b", _FLAGS)
# A pg_dump before 10 creates a view that depends on a key of a table as a table, and then makes it a view.
_MADE_VIEW = re.compile(rb'CREATE\s+RULE\s+"_RETURN"\s+AS\s+ON\s+SELECT\b', _FLAGS)
_SETTING = re.compile(rb"SET\s+(\w+)", _FLAGS)
_STRINGS = re.compile(rb"SET\s+standard_conforming_strings\s*(?:=|\bTO\b)\s*'?(on|off)\b", _FLAGS)
_OIDS = re.compile(rb"SET\s+default_with_oids\s*(?:=|\bTO\b)\s*'?(?:true|on)\b", _FLAGS)
_COPY_OIDS = re.compile(rb"COPY\s+(.*?)\s*(?:\([^()]*\)\s*)?WITH\s+OIDS\s+FROM\s+STDIN\b", _FLAGS)
_NO_OIDS_SINCE = 120000
# What pg_dump --create writes around the dump of one database.
_OF_DATABASE = re.compile(rb"(CREATE|ALTER|DROP)\s+DATABASE\b", _FLAGS)
_AFTER_TABLES = (
    *("TABLE DATA", "SEQUENCE SET", "BLOB", "BLOBS", "BLOB METADATA", "MATERIALIZED VIEW DATA", "CONSTRAINT", "FK CONSTRAINT", "INDEX"),
    *("TRIGGER", "RULE"),
)
# Within what is left out, these serve what comes after it.
_SERVES_ALL = re.compile(rb"SET\b|SELECT\s+pg_catalog\.set_config\b", _FLAGS)
_SCHEMA = re.compile(rb"CREATE\s+SCHEMA\s+(?:IF\s+NOT\s+EXISTS\s+)?(" + _NAME + rb")\s*;", _FLAGS)
_MOST_MARKS = 100_000
# Owners and rights are those of the role that loads; a new database has nothing for --clean to remove.
_DROPPED = (
    re.compile(rb"(?:GRANT|REVOKE|DROP|SECURITY\s+LABEL)\b", _FLAGS),
    re.compile(rb"ALTER\s+DEFAULT\s+PRIVILEGES\b", _FLAGS),
    re.compile(rb"ALTER\s.*\sOWNER\s+TO\s+" + _NAME + rb"\s*;\Z", _FLAGS),
    re.compile(
        rb"ALTER\s+(?:TABLE|DOMAIN)\s+(?:IF\s+EXISTS\s+)?(?:ONLY\s+)?" + _NAME + rb"(?:\." + _NAME + rb")*\s+"
        rb"(?:ALTER\s+(?:COLUMN\s+)?" + _NAME + rb"\s+)?DROP\s+(?:CONSTRAINT|DEFAULT|IDENTITY)\b",
        _FLAGS,
    ),
    re.compile(rb"(?:SET|RESET)\s+(?:SESSION\s+AUTHORIZATION|(?:SESSION\s+|LOCAL\s+)?ROLE|default_tablespace)\b", _FLAGS),
    re.compile(rb'COMMENT\s+ON\s+(?:EXTENSION\b|DATABASE\b|SCHEMA\s+"?public"?\s)', _FLAGS),
    re.compile(rb"SELECT\s+(?:pg_catalog\.)?lo_unlink\s*\(", _FLAGS),
    re.compile(rb'CREATE\s+SCHEMA\s+(?:IF\s+NOT\s+EXISTS\s+)?"?public"?\s*(?:AUTHORIZATION\b[^;]*)?;', _FLAGS),
)
_NEWER_SETTINGS = {
    b"transaction_timeout": 170000,
    b"default_table_access_method": 120000,
    b"idle_in_transaction_session_timeout": 90600,
}


class SqlFilter:
    """Takes a dump in pieces of any size and returns what to feed to psql.

    server_version_num: settings that are newer than this version are left out, and so are the extensions C(without), what C(skip) names
    and C(schemas) that exist already. C(before_rows) is SQL without line breaks to run between the tables and their rows. Raises PecError
    for a statement that leads out of the database, for one that would fill the memory, and at the end for a dump that is cut off.
    """

    def __init__(
        self,
        server_version_num: int,
        without: Collection[str] = (),
        skip: Skip | None = None,
        schemas: Collection[str] = (),
        before_rows: bytes = b"",
    ) -> None:
        self.copies = 0
        self._text = _Text()
        self._rules = _Rules(server_version_num, without, skip or Skip(), schemas)
        self._before_rows = before_rows
        self._marks: list[tuple[int, str]] = []  # the lines at which objects begin
        self._marked = 0
        self._in_rows = False
        self._line_length = 0
        self._comment = b""
        self._free = False  # what has been read may be passed on before the end of its statement
        self._complete = False  # the last line of a dump was read, and no statement after it
        self._may_end = False
        self._reader = self._read()
        next(self._reader)

    @property
    def tables(self) -> int:
        """How many tables have been created so far."""
        return self._rules.tables

    @property
    def without_oids(self) -> bool:
        """Whether tables lost a column "oid", which the server has no more."""
        return self._rules.without_oids

    @property
    def created(self) -> bool:
        """Whether the dump was made with --create."""
        return self._rules.created

    def object_at(self, line: int) -> str:
        """Return the text by which an operator names the object on this line; empty if it is unknown."""
        at = bisect.bisect_right(self._marks, (line, "\uffff"))
        return self._marks[at - 1][1] if at else ""

    @property
    def extensions(self) -> list[tuple[str, str | None]]:
        """The name and the schema, if it has one, of each extension that has been created so far."""
        return [extension for extension, _tables in self._rules.extensions]

    @property
    def first_extensions(self) -> list[tuple[str, str | None]]:
        """The extensions that were created before the first table."""
        return [extension for extension, tables in self._rules.extensions if not tables]

    def feed(self, data: bytes) -> bytes:
        """Take the next piece; return what can be passed on."""
        self._text.add(data)
        self._may_end = next(self._reader)
        out = self._text.take()
        self._check_line(out)
        return out

    def finish(self) -> bytes:
        """Return the rest. Raises PecError when the dump has no end."""
        rest = self.feed(b"\n")
        if not self._may_end:
            raise PecError("it is cut off: the line that pg_dump writes last is missing; copy the dump again, or make a new one")
        return rest + self._text.held()

    # These generators read forward. Where they need more of the dump they yield, with whether it may end there.

    def _read(self) -> Iterator[bool]:
        while len(self._text.buffer) < len(_BOM):
            yield False
        if self._text.buffer.startswith(_BOM):  # psql takes it only in its very first line
            self._text.start = self._text.at = len(_BOM)
        yield from self._leave_out_ahead()
        while True:
            insert = None if self._rules.skipping else _INSERT.match(self._text.buffer, self._text.start)
            if insert:
                self._complete = False
                self._text.pass_on(insert.end())
            else:
                yield from self._read_statement()

    def _leave_out_ahead(self) -> Iterator[bool]:
        text = self._text
        while True:
            end = text.buffer.find(b"\n", text.start)
            if end < 0 and len(text.buffer) - text.start <= _HOLD:
                yield False
                continue
            if end < 0 or not AHEAD.match(text.buffer, text.start, end):
                return
            text.at = end + 1
            text.leave_out()

    def _read_statement(self) -> Iterator[bool]:
        text = self._text
        text.begin()
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
        self._free = self._text.discarding = False
        kept = self._keeps(statement)
        if not kept:
            self._text.leave_out()
        else:
            self._text.pass_on(self._text.at)
        if _COPY.match(statement):
            self.copies += kept
            self._text.discarding = not kept
            yield from self._pass_rows()
            self._text.discarding = False

    def _pass_rows(self) -> Iterator[bool]:
        """The search begins with the line break before the first row."""
        self._free = self._in_rows = True
        end = yield from self._find(_COPY_END, _COPY_END_LENGTH)
        self._text.pass_on(end.end())
        self._free = self._in_rows = False

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
            if tag or len(text.buffer) - text.at > _HOLD or not _DOLLAR_BEGUN.match(text.buffer, text.at):
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
            self._begin_object()

    def _begin_object(self) -> None:
        """A comment was read that may name the next object of the dump."""
        entry = entry_of_plain(self._comment.decode("utf-8", "replace").rstrip()) if self._comment.startswith(b"-- ") else None
        self._comment = b""
        if entry is None:
            return
        self._rules.begin(entry)
        self._marked += len(entry.label)
        if len(self._marks) < _MOST_MARKS and self._marked < _LONGEST:
            self._marks.append((self._text.line_number, entry.label))
        if self._before_rows and entry.kind in _AFTER_TABLES:
            self._text.insert(self._before_rows)
            self._before_rows = b""

    def _pass_line(self) -> Iterator[bool]:
        text = self._text
        while True:
            end = _LINE_END.search(text.buffer, text.at)
            if end:
                self._comment = text.buffer[text.at : end.start()]
                self._complete = self._complete or self._comment.rstrip() == END
                text.at = end.end()
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
        known = word in (b"\\restrict", b"\\unrestrict") or (word == b"\\connect" and self._rules.connects())
        if not known or end < 0 or self._free or text.read().strip():
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
        if not self._in_rows and text.length > _LONGEST:
            self._too_long("statement or comment")
        if not self._free and len(text.buffer) - text.start > _HOLD:
            statement = text.held().lstrip()
            if _COPY.match(statement) and len(statement) <= _HOLD_COPY:
                yield False
                return
            if not self._keeps(statement):
                if not self._rules.skipping:
                    self._refuse(b" ".join(statement[:60].split()[:3]))
                text.discarding = True
            self._free = bool(statement)
        if self._free:
            text.pass_on(text.at - _LOOK_BEHIND)
        yield self._complete and not self._free and not text.held().strip()

    def _keeps(self, statement: bytes) -> bool:
        if statement.startswith(b"pg_dump"):
            raise PecError(
                f"line {self._text.line_number} is a message of pg_dump, mixed in by 2>&1; make the dump again with pg_dump --file=NAME"
            )
        of_database = _OF_DATABASE.match(statement)
        if of_database and self._rules.is_around(of_database.group(1).upper()):
            return False
        if _FORBIDDEN.match(statement) or (_COPY.match(statement) and not _COPY_FROM_STDIN.match(statement)):
            self._refuse(b" ".join(statement.split()[:3]))
        return self._rules.keeps(statement)

    def _check_line(self, out: bytes) -> None:
        """A row may have any length, because psql passes it on in pieces."""
        end = out.rfind(b"\n")
        self._line_length = 0 if self._in_rows else self._line_length + len(out) if end < 0 else len(out) - end - 1
        if self._line_length > _LONGEST:
            self._too_long("line")

    def _too_long(self, what: str) -> None:
        raise PecError(
            f"line {self._text.line_number} begins, or is within, a {what} of more than {_LONGEST >> 20} MiB, which would fill the memory: "
            "the dump is damaged, or was made with --inserts and has very large values; make it again without --inserts"
        )

    def _refuse(self, what: bytes) -> None:
        raise PecError(
            f"line {self._text.line_number} has {what.decode('utf-8', 'replace')}, which leads out of the database that is restored: the "
            "dump holds several databases, was made by pg_dumpall, or was written by hand; make it with pg_dump"
        )


class _Text:
    """The part of a dump that is in memory: C(buffer) up to C(start) was passed on or left out, up to C(at) it was read."""

    def __init__(self) -> None:
        self.buffer = b""
        self.start = 0
        self.at = 0
        self._line = 1
        self._before = 0  # bytes of the dump before the buffer
        self._begun = 0  # the byte of the dump at which the statement begins
        self._out: list[bytes] = []
        self.discarding = False  # what is passed on leaves only its line breaks

    @property
    def length(self) -> int:
        """How much of a statement, with the comments before it, is here or was passed on."""
        return self._before + len(self.buffer) - self._begun

    def begin(self) -> None:
        """A statement begins here."""
        self._begun = self._before + self.start

    @property
    def line_number(self) -> int:
        """The line on which the statement begins that is being read."""
        beginning = self.buffer[self.start : self.start + _HOLD]
        return self._line + beginning[: len(beginning) - len(beginning.lstrip())].count(b"\n")

    def add(self, data: bytes) -> None:
        self.buffer = self.buffer[self.start :] + data
        self._before += self.start
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
            self._out.append(b"\n" * piece.count(b"\n") if self.discarding else piece)
            self._line += piece.count(b"\n")
            self.start = end
        self.at = max(self.at, end)

    def insert(self, sql: bytes) -> None:
        """Put SQL after what was passed on."""
        self._out.append(sql)

    def leave_out(self) -> None:
        """Leave out what was read, but not its line breaks."""
        lines = self.buffer.count(b"\n", self.start, self.at)
        self._out.append(b"\n" * lines)
        self._line += lines
        self.start = self.at


class _Rules:
    """Which statements a restore takes, and what it learns from them."""

    def __init__(self, server_version_num: int, without: Collection[str], skip: Skip, schemas: Collection[str]) -> None:
        self.tables = 0
        self.skipping = False
        self.without_oids = False
        self._entry: Entry | None = None
        self._skip, self._schemas = skip, schemas
        self.created = self._connected = self._contents = False
        self._oids = server_version_num < _NO_OIDS_SINCE
        self.extensions: list[tuple[tuple[str, str | None], int]] = []  # each with the number of tables before it
        self.backslash_is_plain = True  # standard_conforming_strings
        self._without = without
        self._newer = {name for name, version in _NEWER_SETTINGS.items() if server_version_num < version}

    def begin(self, entry: Entry) -> None:
        """The statements from here on are of this object."""
        self._entry = entry
        self.skipping = self._skip.skips(entry)
        self._contents = self._contents or not entry.kind.startswith("DATABASE")

    def is_around(self, verb: bytes) -> bool:
        """Whether a statement about a database is one that pg_dump --create writes: they come once, ahead of the contents."""
        kind = self._entry.kind if self._entry else ""
        if verb == b"CREATE":
            first = kind == "DATABASE" and not self.created and not self._contents
            self.created = self.created or first
            return first
        if verb == b"DROP":
            return self._entry is None
        return kind in ("DATABASE", "DATABASE PROPERTIES") and self.created

    def connects(self) -> bool:
        """Whether a change of the database is the one into that which the dump created."""
        first = self.created and not self._connected and not self._contents
        self._connected = self._connected or first
        return first

    def keeps(self, statement: bytes) -> bool:
        if self.skipping and not _SERVES_ALL.match(statement):
            return False
        if not self._oids and _OIDS.match(statement):
            self.without_oids = True
            return False
        with_oids = None if self._oids else _COPY_OIDS.match(statement)
        if with_oids:
            raise PecError(
                f"the rows of the table {with_oids.group(1).decode('utf-8', 'replace')} come with OIDs, which PostgreSQL 12 or later "
                "cannot hold: make the dump again with pg_dump without -o (--oids)"
            )
        created = _SCHEMA.match(statement)
        if created and _unquoted(created.group(1)) in self._schemas:
            return False
        strings = _STRINGS.match(statement)
        if strings:
            self.backslash_is_plain = strings.group(1).lower() == b"on"
        extension = _EXTENSION.match(statement)
        if extension:
            name, schema = _unquoted(extension.group(1)), extension.group(2)
            if name in self._without:
                return False
            if len(self.extensions) < _MOST_EXTENSIONS:
                self.extensions.append(((name, _unquoted(schema) if schema else None), self.tables))
        self.tables += bool(_TABLE.match(statement)) - bool(_MADE_VIEW.match(statement))
        setting = _SETTING.match(statement)
        if setting and setting.group(1).lower() in self._newer:
            return False
        return not any(pattern.match(statement) for pattern in _DROPPED)


def extensions_in(head: bytes) -> list[tuple[str, str | None]]:
    """Return the extensions, each with its schema if it has one, that a dump with this beginning creates before its first table."""
    stream = SqlFilter(sys.maxsize)
    with contextlib.suppress(PecError):  # the load itself reports it
        stream.feed(head)
    return stream.first_extensions


def _unquoted(name: bytes) -> str:
    text = name.decode("utf-8", "replace")
    return text[1:-1].replace('""', '"') if text.startswith('"') else text.lower()
