# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads files of another server by SFTP, version 3, which every OpenSSH speaks, on Windows too. Private to the collection.

OpenSSH's own program writes names so that they cannot be told from what they contain, and takes as many bytes as the server sends. Here
every name is exactly what the server sent, a link is never followed, and whoever reads sets the limit.
"""

from __future__ import annotations

import contextlib
import os
import re
import select
import stat
import struct
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from ansible_collections.esus.pec.plugins.module_utils.carrying import names
from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.system import confinement
from ansible_collections.esus.pec.plugins.module_utils.system.pipeline import Pipeline, Stage
from ansible_collections.esus.pec.plugins.module_utils.transfer import link

_INIT, _VERSION, _OPEN, _CLOSE, _READ, _LSTAT, _OPENDIR, _READDIR = 1, 2, 3, 4, 5, 7, 11, 12
_STATUS, _HANDLE, _DATA, _NAME, _ATTRS = 101, 102, 103, 104, 105
_EOF, _NO_FILE, _DENIED = 1, 2, 3
_FOR_READING = 1
_SIZE, _OWNER, _MODE, _TIMES, _EXTENDED = 1, 2, 4, 8, 0x80000000
_LONGEST = 256 << 10  # of a packet, as in OpenSSH
_PIECE, _WINDOW = 32 << 10, 32
_DRIVE = re.compile(r"[A-Za-z]:(?:[\\/]|\Z)")


class UnreadableError(PecError):
    """The server refuses a file or directory, or what it sends of it is not accepted. The next one may be read."""


@dataclass(frozen=True)
class Attributes:
    """What the server says of a name: its mode with the kind in it (0 if it does not say), size, and time of the last change."""

    mode: int
    size: int
    modified: int

    @property
    def is_file(self) -> bool:
        return stat.S_ISREG(self.mode)

    @property
    def is_directory(self) -> bool:
        return stat.S_ISDIR(self.mode)


def is_windows(path: str) -> bool:
    """Return whether a path is one of Windows, with the letter of a drive."""
    return _DRIVE.match(path) is not None


def spelled(path: str) -> str:
    """Return an absolute path as SFTP has it: the C:\\x of Windows is /C:/x there."""
    return "/" + path.replace("\\", "/") if is_windows(path) else path


class Sftp:
    """A session, in a C(with) block. C(command) is the program that speaks it, C(explain) makes a reason of what it wrote to
    stderr, C(stall) is in seconds without an answer.

    Raises PecError when the session ends or the server does not keep to the protocol, UnreadableError about one file.
    """

    def __init__(self, command: Sequence[str], explain: Callable[[Sequence[str]], str] = "; ".join, *, stall: float = 60) -> None:
        self._name = os.path.basename(command[0])
        self._explain = explain
        self._pipeline = Pipeline([Stage(command, user="root" if confinement.active() else None)], feed=True, collect=True)
        self._stall = stall
        self._ahead = b""
        self._last = 0

    def __enter__(self) -> Sftp:
        self._pipeline.__enter__()
        try:
            self._write(_INIT, struct.pack(">I", 3))
            kind, body = self._packet()
            if kind != _VERSION or len(body) < 4:
                raise self._wrong()
        except BaseException:
            self._pipeline.kill()
            raise
        return self

    def __exit__(self, *_error: object) -> None:
        self._pipeline.kill()

    def status(self, path: str) -> Attributes | None:
        """Return what the server says of a path, without following a link at its end; None if there is nothing."""
        kind, body = self._ask(_LSTAT, _text(path))
        if kind == _STATUS and _code(body) == _NO_FILE:
            return None
        if kind != _ATTRS:
            raise self._refused(path, kind, body)
        return _Reader(body).attributes()

    def names(self, path: str) -> Iterator[tuple[bytes, Attributes]]:
        """Yield the names in a directory but . and .., unchecked, in the order of the server."""
        own = [b".", b".."]
        handle = self._open(_OPENDIR, path, b"")
        try:
            while True:
                kind, body = self._ask(_READDIR, handle)
                if kind == _STATUS and _code(body) == _EOF:
                    return
                if kind != _NAME:
                    raise self._refused(path, kind, body)
                reader = _Reader(body)
                count = reader.number()
                for _each in range(count):
                    name, _shown, attributes = reader.text(), reader.text(), reader.attributes()
                    if name in own:
                        own.remove(name)
                    elif name in (b".", b".."):
                        raise self._wrong()
                    else:
                        yield name, attributes
                if not count:  # or nothing would ever end it
                    raise self._wrong()
        finally:
            self._ask(_CLOSE, handle)

    def read(self, path: str, write: Callable[[bytes], object], *, most: int, offset: int = 0) -> None:
        """Hand the content of a file from an offset on to C(write), piece by piece. Raises UnreadableError beyond C(most) bytes in all."""
        handle = self._open(_OPEN, path, struct.pack(">II", _FOR_READING, 0))
        try:
            while True:
                following = self._run_of_pieces(path, handle, write, offset, most)
                if following is None:
                    return
                offset = following
        finally:
            self._ask(_CLOSE, handle)

    def _run_of_pieces(self, path: str, handle: bytes, write: Callable[[bytes], object], offset: int, most: int) -> int | None:
        """Ask for pieces ahead until one is shorter than asked for; return where to go on, None at the end of the file."""
        asked: deque[int] = deque()
        ahead, ended, short = offset, False, False
        failed: PecError | None = None
        while not (ended or short or failed) or asked:
            while not (ended or short or failed) and len(asked) < _WINDOW:
                asked.append(self._send(_READ, handle + struct.pack(">QI", ahead, _PIECE)))
                ahead += _PIECE
            kind, body = self._answer(asked.popleft())
            if ended or short or failed:
                continue  # it was asked for too early, and its answer has to be out of the way
            if kind == _STATUS and _code(body) == _EOF:
                ended = True
                continue
            if kind != _DATA:
                failed = self._refused(path, kind, body)
                continue
            data = _Reader(body).text()
            if not data or len(data) > _PIECE:
                raise self._wrong()
            if offset + len(data) > most:
                failed = UnreadableError(f"{names.shown(path)} has more than {most} bytes")
                continue
            write(data)
            offset += len(data)
            short = len(data) < _PIECE
        if failed:
            raise failed
        return None if ended else offset

    def _open(self, kind: int, path: str, more: bytes) -> bytes:
        answered, body = self._ask(kind, _text(path) + more)
        if answered != _HANDLE:
            raise self._refused(path, answered, body)
        handle = _Reader(body).text()
        return struct.pack(">I", len(handle)) + handle

    def _refused(self, path: str, kind: int, body: bytes) -> PecError:
        if kind != _STATUS:
            return self._wrong()
        code = _code(body)
        reason = {_NO_FILE: "it does not exist", _DENIED: "the account may not read it"}.get(
            code, f"the server refuses it with code {code}"
        )
        return UnreadableError(f"{names.shown(path)} cannot be read: {reason}")

    def _wrong(self) -> PecError:
        return PecError("the server's SFTP does not keep to its protocol; check that it is an SSH server with SFTP")

    def _ask(self, kind: int, body: bytes) -> tuple[int, bytes]:
        return self._answer(self._send(kind, body))

    def _send(self, kind: int, body: bytes) -> int:
        self._last += 1
        self._write(kind, struct.pack(">I", self._last) + body)
        return self._last

    def _answer(self, number: int) -> tuple[int, bytes]:
        """Return the answer to a request; servers answer in the order of the requests."""
        kind, body = self._packet()
        if len(body) < 4 or struct.unpack(">I", body[:4])[0] != number:
            raise self._wrong()
        return kind, body[4:]

    def _write(self, kind: int, body: bytes) -> None:
        try:
            self._pipeline.input.write(struct.pack(">IB", len(body) + 1, kind) + body)
            self._pipeline.input.flush()
        except BrokenPipeError:
            raise self._ended() from None

    def _packet(self) -> tuple[int, bytes]:
        (length,) = struct.unpack(">I", self._take(4))
        if not 1 <= length <= _LONGEST:
            raise self._wrong()
        data = self._take(length)
        return data[0], data[1:]

    def _take(self, size: int) -> bytes:
        pipe = self._pipeline.output.fileno()
        while len(self._ahead) < size:
            if not select.select([pipe], [], [], self._stall)[0]:
                raise PecError(f"the server did not answer by SFTP for {self._stall:g} seconds; check the network, then run again")
            data = os.read(pipe, 1 << 16)
            if not data:
                raise self._ended()
            self._ahead += data
        taken, self._ahead = self._ahead[:size], self._ahead[size:]
        return taken

    def _ended(self) -> PecError:
        with contextlib.suppress(PecError):
            self._pipeline.wait()
        said = self._explain(self._pipeline.lines(self._name))
        return PecError(f"reading the source by SFTP failed: {said or 'the server ended it'}")


def session(ssh: link.Ssh) -> Sftp:
    """Return a session with the source."""
    return Sftp(link.subsystem(ssh, "sftp"), lambda lines: link.reason(ssh, "SFTP", lines))


class _Reader:
    """Reads the fields of an answer."""

    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0

    def _take(self, size: int) -> bytes:
        taken = self._data[self._at : self._at + size]
        self._at += size
        if len(taken) < size:
            raise PecError("the server's SFTP sends an answer that is cut off; run again")
        return taken

    def number(self) -> int:
        return int(struct.unpack(">I", self._take(4))[0])

    def text(self) -> bytes:
        return self._take(self.number())

    def attributes(self) -> Attributes:
        flags = self.number()
        size = int(struct.unpack(">Q", self._take(8))[0]) if flags & _SIZE else 0
        if flags & _OWNER:
            self._take(8)
        mode = self.number() if flags & _MODE else 0
        modified = 0
        if flags & _TIMES:
            self._take(4)
            modified = self.number()
        for _each in range(self.number() if flags & _EXTENDED else 0):
            self.text(), self.text()
        return Attributes(mode, size, modified)


def _text(path: str) -> bytes:
    data = path.encode("utf-8", "surrogateescape")
    return struct.pack(">I", len(data)) + data


def _code(body: bytes) -> int:
    return _Reader(body).number()
