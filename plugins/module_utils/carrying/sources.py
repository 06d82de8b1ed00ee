# SPDX-License-Identifier: GPL-3.0-or-later
"""Where PEC's files come from: another server by SFTP or rsync, a directory, or the zip of the export kit. Private to the collection.

Each source yields what is at some paths below PEC's home, and below them; nothing is read before it is asked for, no link is followed.
"""

from __future__ import annotations

import contextlib
import os
import posixpath
import stat
import struct
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import BinaryIO

from ansible_collections.esus.pec.plugins.module_utils import beliefs
from ansible_collections.esus.pec.plugins.module_utils.archive import beside
from ansible_collections.esus.pec.plugins.module_utils.carrying import names
from ansible_collections.esus.pec.plugins.module_utils.carrying.sftp import Attributes, Sftp, UnreadableError, spelled
from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.export_kit import kit
from ansible_collections.esus.pec.plugins.module_utils.system import files
from ansible_collections.esus.pec.plugins.module_utils.system.directory import RefusedError

_END, _END_LENGTH, _LONGEST_COMMENT = b"PK\x05\x06", 22, 0xFFFF
_LOCATOR, _LOCATOR_LENGTH, _END_64_LENGTH = b"PK\x06\x07", 20, 56
_LONGEST_LIST = 1 << 20
_ENCRYPTED = 1
_CONFIG = posixpath.dirname(beliefs.APPLICATION_PROPERTIES)


@dataclass(frozen=True)
class Item:
    """A name that a source found: C(path) is below PEC's home. C(problem) is why it is not read; empty for a regular file.

    C(read) returns its content, up to this many bytes. Raises UnreadableError; it may only be called before the next item is asked for.
    """

    path: str
    problem: str = ""
    size: int = 0
    read: Callable[[int], bytes] = lambda _most: b""


class Source:
    """A source. C(home) is PEC's directory there, empty if unknown. C(unread): paths below it that cannot be read, and why."""

    home = ""
    unread: Sequence[tuple[str, str]] = ()

    def items(self, tops: Sequence[str]) -> Iterator[Item]:
        """Yield what is at these paths below the home, and below them. What does not exist is left out."""
        raise NotImplementedError


class SftpSource(Source):
    """A server that is read by SFTP. C(outside) says where files are that are not below the home."""

    def __init__(self, session: Sftp, home: str, outside: Mapping[str, str] | None = None) -> None:
        self._session, self.home, self._outside = session, home, outside or {}
        self._seen = 0

    def require_home(self, inside: str) -> None:
        """Raise PecError if this path does not exist below the home."""
        if self._session.status(self._at(inside)) is None:
            raise PecError(f"{self.home} on the source holds no {inside}, so PEC is not there; correct home")

    def items(self, tops: Sequence[str]) -> Iterator[Item]:
        for top in tops:
            try:
                status = self._session.status(self._at(top))
            except UnreadableError as error:
                yield Item(top, str(error))
                continue
            if status is not None:
                yield from self._below(top, status, 0)

    def _below(self, path: str, status: Attributes, depth: int) -> Iterator[Item]:
        place = self._at(path)
        if status.is_file:
            yield Item(path, size=status.size, read=lambda most: self._content(place, most))
        elif not status.is_directory:
            yield Item(path, _kind(status.mode))
        elif depth > names.SETTINGS.depth:
            yield Item(path, "it is nested too deep")
        else:
            try:
                for name, each in self._session.names(place):
                    self._seen += 1
                    if self._seen > names.SETTINGS.names:  # which may all be directories
                        raise PecError(f"{names.shown(place)} at the source holds more than {names.SETTINGS.names} names; look at it")
                    problem = names.problem(name)
                    below = posixpath.join(path, name.decode("utf-8", "replace"))
                    if problem:
                        yield Item(below, problem)
                    else:
                        yield from self._below(below, each, depth + 1)
            except UnreadableError as error:
                yield Item(path, str(error))

    def _content(self, place: str, most: int) -> bytes:
        found = bytearray()
        self._session.read(place, found.extend, most=most)
        return bytes(found)

    def _at(self, path: str) -> str:
        return spelled(self._outside.get(path) or f"{self.home.rstrip('/')}/{path}")


class DirectorySource(Source):
    """A directory of this host, arranged as below PEC's home, as the export kit arranges its files, or with its export in it."""

    def __init__(self, directory: str, home: str = "", unread: Sequence[tuple[str, str]] = ()) -> None:
        self.home, self.unread = home, unread
        self._places = {"": directory}
        for inside in (f"{directory}/{beside.CONFIGURATION}", directory):
            if files.is_directory(inside) and not files.is_directory(f"{directory}/{beliefs.WEBSERVER}"):
                self._places = {path: f"{inside}/{name}" for path, name in kit.DIRECTORIES.items()}
                self._places[_CONFIG] = inside
                break

    def items(self, tops: Sequence[str]) -> Iterator[Item]:
        for top in tops:
            for path, place in self._places.items():
                if path in ("", top) or top.startswith(f"{path}/"):
                    yield from self._below(top, f"{place}{top[len(path) :]}" if path else f"{place}/{top}")

    def _below(self, top: str, place: str) -> Iterator[Item]:
        if not os.path.lexists(place):
            return
        for entry in files.walk(place):
            path = top + entry.path[len(place) :]
            if entry.path != place and names.problem(entry.name):
                yield Item(path, names.problem(entry.name))
            elif stat.S_ISREG(entry.status.st_mode):
                yield Item(path, size=entry.status.st_size, read=_reading(entry))
            elif not stat.S_ISDIR(entry.status.st_mode):
                yield Item(path, _kind(entry.status.st_mode))


class ZipSource(Source):
    """The zip of the export kit."""

    def __init__(self, archive: zipfile.ZipFile) -> None:
        self._archive = archive

    def items(self, tops: Sequence[str]) -> Iterator[Item]:
        for info in self._archive.infolist():
            path = _inside(info.filename)
            if not any(path == top or path.startswith(f"{top}/") for top in tops):
                continue
            problem = next((found for found in map(names.problem, path.split("/")) if found), "")
            kind = stat.S_IFMT(info.external_attr >> 16)
            if info.flag_bits & _ENCRYPTED:
                problem = "it has a password"
            elif info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):  # another one may take any memory
                problem = "it is compressed in an unusual way"
            if problem or (kind not in (0, stat.S_IFREG)):
                yield Item(path, problem or _kind(kind))
            elif not info.is_dir():
                yield Item(path, size=info.file_size, read=self._reading(info))

    def _reading(self, info: zipfile.ZipInfo) -> Callable[[int], bytes]:
        def read(most: int) -> bytes:
            try:
                with self._archive.open(info) as stream:
                    return stream.read(most)
            except (zipfile.BadZipFile, NotImplementedError, EOFError, OSError, RuntimeError) as error:
                raise UnreadableError(f"it cannot be unpacked: {error}") from None

        return read


@contextlib.contextmanager
def opened(path: str, home: str = "") -> Iterator[Source]:
    """Yield a directory, or the zip of an export, of this host. Raises PecError for anything else."""
    if files.is_directory(path):
        yield DirectorySource(path, home)
        return
    with contextlib.ExitStack() as stack:
        try:
            stream = stack.enter_context(files.open_regular(path))
            _require_short_list(stream, path)
            archive = stack.enter_context(zipfile.ZipFile(stream))
        except (zipfile.BadZipFile, ValueError, struct.error):
            raise PecError(f"{path} is neither a directory nor a zip; unpack it and give the directory") from None
        yield ZipSource(archive)


def _reading(entry: files.Entry) -> Callable[[int], bytes]:
    def read(most: int) -> bytes:
        try:
            with entry.open() as stream:
                return stream.read(most)
        except (OSError, RefusedError) as error:
            raise UnreadableError(getattr(error, "strerror", None) or str(error)) from None

    return read


def _inside(name: str) -> str:
    """Return where the file of the kit was below PEC's home; empty if it is none. Windows' tar may write backslashes."""
    _before, found, path = f"/{name}".replace("\\", "/").rpartition(f"/{beside.CONFIGURATION}/")
    if not found:
        return ""
    first, _separator, rest = path.partition("/")
    home = next((home for home, name in kit.DIRECTORIES.items() if name == first and rest), None)
    return f"{home}/{rest}" if home else f"{_CONFIG}/{path}"


def _kind(mode: int) -> str:
    kinds = {stat.S_IFLNK: "it is a link, which is not followed", stat.S_IFDIR: "it is a directory"}
    return kinds.get(stat.S_IFMT(mode), "it is no regular file")


def _require_short_list(stream: BinaryIO, path: str) -> None:
    """Raise PecError for a zip whose list of files would fill the memory: zipfile reads all of it."""
    end = stream.seek(0, os.SEEK_END)
    start = max(0, end - _END_LENGTH - _LONGEST_COMMENT)
    stream.seek(start)
    tail = stream.read()
    bare = tail[-_END_LENGTH:].startswith(_END) and tail.endswith(b"\0\0")  # as zipfile looks for it
    at = len(tail) - _END_LENGTH if bare else tail.rfind(_END)
    if at < 0:
        raise zipfile.BadZipFile
    (size,) = struct.unpack("<I", tail[at + 12 : at + 16])
    if size == 0xFFFFFFFF or tail[at - _LOCATOR_LENGTH : at - _LOCATOR_LENGTH + 4] == _LOCATOR:
        stream.seek(max(0, start + at - _LOCATOR_LENGTH - _END_64_LENGTH))
        (size,) = struct.unpack("<Q", stream.read(_END_64_LENGTH)[40:48])
    if size > _LONGEST_LIST:
        raise PecError(f"{names.shown(path)} holds more files than an export of PEC; unpack it and give the directory")
    stream.seek(0)
