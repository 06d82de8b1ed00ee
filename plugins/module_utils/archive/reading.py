# SPDX-License-Identifier: GPL-3.0-or-later
"""Detects what a dump is, from its content and not its name, and reads the plain dump inside. Private to the collection."""

from __future__ import annotations

import contextlib
import os
import re
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, cast

from ansible_collections.esus.pec.plugins.module_utils.archive import custom_format, sql_filter
from ansible_collections.esus.pec.plugins.module_utils.archive.custom_format import Header
from ansible_collections.esus.pec.plugins.module_utils.archive.zip_stream import ZipStream
from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.system.pipeline import Pipeline, Stage

CUSTOM, DIRECTORY, TAR, PLAIN = "custom", "directory", "tar", "plain"
_HEAD = 1 << 16
_MOST_LAYERS = 4
_TAR_BLOCK = 512
_AGAIN = "copy it again from its source, or make a new dump"
_PROGRAMS = {"zstd": ("zstd", "-dcq", "--long=31"), "gzip": ("gzip", "-dcq")}
_FAILED = tuple(f"{program} failed" for program in ("age", *_PROGRAMS))
_LAYERS = (
    (re.compile(rb"age-encryption\.org/v1\n|-----BEGIN AGE ENCRYPTED FILE-----"), "age"),
    (re.compile(rb"\x28\xb5\x2f\xfd"), "zstd"),
    (re.compile(rb"\x1f\x8b"), "gzip"),
    (re.compile(rb"PK\x03\x04"), "zip"),
    (re.compile(rb"(?s).{257}ustar"), "tar"),
)
_FOREIGN = (
    (re.compile(rb"(?:(?:/\*|--).*\n)*-- (?:MySQL|MariaDB) dump"), "a dump of MySQL; give the dump of PEC's database"),
    (re.compile(rb"SQLite format 3\x00"), "a database of SQLite; give the dump of PEC's database"),
    (re.compile(rb"--\n-- PostgreSQL database cluster dump"), "made by pg_dumpall, with all databases of a server; make one with pg_dump"),
    (re.compile(rb"\xff\xfe|\xfe\xff"), "text in UTF-16, as PowerShell writes with >; make it again with pg_dump's own --file"),
    (
        re.compile(rb"7z\xbc\xaf\x27\x1c|Rar!|PK\x05\x06|BZh[1-9]|\xfd7zXZ\x00"),
        "an archive of an unsupported kind, or empty; unpack it first",
    ),
)


@dataclass(frozen=True)
class Archive:
    """A dump of a C(kind) inside C(layers), the outermost first: ("age", "zip"). C(bytes) is its size on the disk."""

    path: str
    kind: str
    layers: tuple[str, ...]
    header: Header
    bytes: int

    @property
    def name(self) -> str:
        """Its name without its directory."""
        return os.path.basename(self.path)


class Identity:
    """The secret key of an encrypted dump: a file, or a text that is kept in memory and never written to a disk."""

    def __init__(self, path: str | None = None, text: str | None = None) -> None:
        self._path, self._text = path, text
        self._handle = -1

    def __enter__(self) -> Identity:
        if self._text:
            self._handle = os.memfd_create("identity")
            os.write(self._handle, self._text.strip().encode() + b"\n")
        return self

    def __exit__(self, *_error: object) -> None:
        if self._handle >= 0:
            os.close(self._handle)

    def stage(self, archive: str) -> Stage:
        """Return the program that decrypts this archive. Raises PecError without an identity."""
        path = f"/dev/fd/{self._handle}" if self._text else self._path
        if path is None:
            raise PecError(
                f"{archive} is encrypted; give identity or identity_path with its secret key (AGE-SECRET-KEY-1... or one of SSH)"
            )
        if not self._text and not os.path.isfile(path):
            raise PecError(f"{archive} is encrypted, and the file {path} with its secret key does not exist; check identity_path")
        return Stage(("age", "--decrypt", "--identity", path), pass_fds=(self._handle,) if self._text else ())


class PlainStream:
    """The content of all layers, read forward. Checksums, ends and exit codes are checked when its end is reached."""

    def __init__(self, path: str, layers: tuple[str, ...], identity: Identity) -> None:
        self._path = path
        self._stack = contextlib.ExitStack()
        self._pipeline: Pipeline | None = None
        self._tar: tarfile.TarFile | None = None
        self._member = ""
        try:
            self._stream = self._open(layers, identity)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> PlainStream:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def read(self, size: int) -> bytes:
        """Return up to this many bytes, none at the end. Raises PecError when the dump is damaged."""
        with _readable(self._path):
            data = self._stream.read(size)
            if not data:
                self._check_end()
            return data

    def close(self) -> None:
        """Stop reading; the rest is not checked."""
        self._stack.close()
        if self._pipeline:
            self._pipeline.kill()

    def _open(self, layers: tuple[str, ...], identity: Identity) -> BinaryIO:
        inner = list(layers)
        with _readable(self._path):
            file = self._stack.enter_context(open(self._path, "rb"))  # noqa: SIM115  # the stack closes it
            stages = []
            while inner and inner[0] in (*_PROGRAMS, "age"):
                layer = inner.pop(0)
                stages.append(identity.stage(self._path) if layer == "age" else Stage(_PROGRAMS[layer]))
            stream: BinaryIO = file
            if stages:
                stages[0] = Stage((*stages[0].argv, os.path.realpath(self._path)), pass_fds=stages[0].pass_fds)
                self._pipeline = Pipeline(stages, collect=True)
                stream = self._pipeline.__enter__().output
            for layer in inner:
                stream = self._open_zip(file, stages) if layer == "zip" else self._open_tar(stream)
            return stream

    def _open_zip(self, file: BinaryIO, stages: list[Stage]) -> BinaryIO:
        if stages and self._pipeline:
            return cast(BinaryIO, ZipStream(self._pipeline.output, self._path))
        entries = self._stack.enter_context(zipfile.ZipFile(file))
        members = [entry for entry in entries.infolist() if not entry.is_dir()]
        _single(self._path, [entry.filename for entry in members])
        if members[0].flag_bits & 1:
            raise PecError(f"{self._path} is a zip with a password; unpack it first")
        return cast(BinaryIO, self._stack.enter_context(entries.open(members[0])))

    def _open_tar(self, stream: BinaryIO) -> BinaryIO:
        self._tar = self._stack.enter_context(tarfile.open(fileobj=stream, mode="r|"))  # noqa: SIM115  # the stack closes it
        member = _next_file(self._tar)
        content = self._tar.extractfile(member) if member else None
        if content is None:
            raise PecError(f"{self._path} holds no file")
        self._member = member.name if member else ""
        return cast(BinaryIO, content)

    def _check_end(self) -> None:
        if self._tar:
            other = _next_file(self._tar)
            if other:
                _single(self._path, [self._member, other.name])
            _drain(cast(BinaryIO, self._tar.fileobj))
        if self._pipeline:
            _drain(self._pipeline.output)
            self._pipeline.wait()


def inspect(path: str, identity: Identity) -> Archive:
    """Return what the dump at this path is. Raises PecError when it is not a dump, is not readable, or holds several files."""
    if os.path.isdir(path):
        return _inspect_directory(path)
    layers: tuple[str, ...] = ()
    while True:
        with PlainStream(path, layers, identity) as stream:
            head = _read_head(stream)
        layer = next((name for pattern, name in _LAYERS if pattern.match(head)), None)
        if layer is None or (layer == "tar" and head.startswith(b"toc.dat\0")):
            kind, header = (TAR, custom_format.parse(head[_TAR_BLOCK:])) if layer else _judge(path, head)
            return Archive(path, kind, layers, header, os.path.getsize(path))
        layers = (*layers, layer)
        if len(layers) > _MOST_LAYERS or {"zip", "tar"} & set(layers[:-1]):
            raise PecError(f"{path} is packed too many times ({' in '.join(reversed(layers))}); unpack it first")


def _inspect_directory(path: str) -> Archive:
    contents = os.path.join(path, "toc.dat")
    if not os.path.isfile(contents):
        raise PecError(f"{path} is a directory, but not a dump: it has no toc.dat; give the path of the dump itself")
    with open(contents, "rb") as stream:
        header = custom_format.parse(stream.read(_HEAD))
    size = sum(entry.stat().st_size for entry in os.scandir(path) if entry.is_file())
    return Archive(path.rstrip("/"), DIRECTORY, (), header, size)


def _judge(path: str, head: bytes) -> tuple[str, Header]:
    if head.startswith(custom_format.MAGIC):
        return CUSTOM, custom_format.parse(head)
    text = head[3:] if head.startswith(b"\xef\xbb\xbf") else head
    if sql_filter.BEGINNING in (line.rstrip() for line in text.split(b"\n")[:20]):
        return PLAIN, custom_format.parse_plain(text)
    foreign = next((words for pattern, words in _FOREIGN if pattern.match(text)), None)
    what = foreign or ("not a dump by pg_dump; give the path of one" if head else f"empty; {_AGAIN}")
    raise PecError(f"{path} cannot be restored: it is {what}")


def _read_head(stream: PlainStream) -> bytes:
    head = b""
    while len(head) < _HEAD:
        data = stream.read(_HEAD - len(head))
        if not data:
            break
        head += data
    return head


def _next_file(archive: tarfile.TarFile) -> tarfile.TarInfo | None:
    member = archive.next()
    while member is not None and not member.isreg():
        member = archive.next()
    return member


def _single(path: str, names: list[str]) -> None:
    if len(names) != 1:
        listed = ", ".join(names[:10]) if names else "none"
        raise PecError(f"{path} must hold one file, the dump, and holds {listed}; unpack it and give the path of the dump")


def _drain(stream: BinaryIO) -> None:
    while stream.read(1 << 20):
        pass


@contextlib.contextmanager
def _readable(path: str) -> Iterator[None]:
    """Turn the libraries' errors about damage into PecError."""
    try:
        yield
    except (zipfile.BadZipFile, tarfile.TarError, zlib.error, EOFError, ValueError) as error:
        raise PecError(f"{path} is damaged or incomplete ({error}); {_AGAIN}") from None
    except NotImplementedError as error:
        raise PecError(f"{path} is packed in a way that is not read here ({error}); unpack it first") from None
    except OSError as error:
        raise PecError(f"cannot read {path}: {error.strerror or error}") from None
    except PecError as error:
        text = str(error)
        if not text.startswith(_FAILED):
            raise
        if text.startswith("age "):
            raise PecError(
                f"{path} cannot be decrypted: {text}; check that the identity belongs to one of its recipients, or {_AGAIN}"
            ) from None
        raise PecError(f"{path} is damaged or incomplete ({text}); {_AGAIN}") from None
