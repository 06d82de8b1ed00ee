# SPDX-License-Identifier: GPL-3.0-or-later
"""Detects what a dump is, from its content and not its name, and reads the plain dump inside. Private to the collection."""

from __future__ import annotations

import contextlib
import io
import os
import re
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, cast

from ansible_collections.esus.pec.plugins.module_utils.archive import custom_format, sql_filter
from ansible_collections.esus.pec.plugins.module_utils.archive.compressed_stream import CompressedStream, DamagedError, TooLargeError
from ansible_collections.esus.pec.plugins.module_utils.archive.custom_format import Header
from ansible_collections.esus.pec.plugins.module_utils.archive.opening import CONTENTS, Dump
from ansible_collections.esus.pec.plugins.module_utils.archive.tar_stream import TarStream
from ansible_collections.esus.pec.plugins.module_utils.archive.text_encoding import Utf16Stream
from ansible_collections.esus.pec.plugins.module_utils.archive.zip_stream import ZipStream, require_one_file
from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.system import confinement, files
from ansible_collections.esus.pec.plugins.module_utils.system.pipeline import Pipeline, Stage

CUSTOM, DIRECTORY, TAR, PLAIN = "custom", "directory", "tar", "plain"
_HEAD = 1 << 16
HEAD = 1 << 20  # of a plain dump, which is looked at before it is loaded
_MOST_LAYERS = 4
_TAR_BLOCK = 512
_AGAIN = "copy it again from its source, or make a new dump"
# zstd keeps a window of the size that the dump asks for; --long without a number asks for as much as this, --ultra -22 too.
_WINDOW = 128
_PROGRAMS = {"zstd": ("zstd", "-dcq", f"--memory={_WINDOW}MiB"), "gzip": ("gzip", "-dc")}
_WINDOW_LIMIT = (_WINDOW + 2) << 20
_IN_PROCESS = ("xz", "bzip2")
_LIMITS = {"data": (_WINDOW + 32) << 20}
_LONGEST_IDENTITY = 1 << 16
_FAILED = tuple(f"{program} failed" for program in ("age", *_PROGRAMS))
_TOO_LARGE = re.compile(r"[Mm]emory|[Ww]indow")
_LAYERS = (
    (re.compile(rb"age-encryption\.org/v1\n|-----BEGIN AGE ENCRYPTED FILE-----"), "age"),
    (re.compile(rb"\x28\xb5\x2f\xfd"), "zstd"),
    (re.compile(rb"\x1f\x8b"), "gzip"),
    (re.compile(rb"\xfd7zXZ\x00"), "xz"),
    (re.compile(rb"BZh[1-9](?:1AY&SY|\x17\x72\x45\x38\x50\x90)"), "bzip2"),
    (re.compile(rb"PK\x03\x04"), "zip"),
    (re.compile(rb"(?s).{257}ustar"), "tar"),
    (re.compile(rb"\xff\xfe|\xfe\xff|(?:[\t\n\r -~]\0){8}|(?:\0[\t\n\r -~]){8}"), "UTF-16"),
)
_A_PAGE = (
    "a web page and not the backup, such as the page of a download that asks for a login or a confirmation; download the file itself, or "
    "ask the sender for it"
)
_FOREIGN = (
    (re.compile(rb"(?:(?:/\*|--).*\n)*-- (?:MySQL|MariaDB) dump"), "a dump of MySQL; give the dump of PEC's database"),
    (re.compile(rb"SQLite format 3\x00"), "a database of SQLite; give the dump of PEC's database"),
    (re.compile(rb"--\n-- PostgreSQL database cluster dump"), "made by pg_dumpall, with all databases of a server; make one with pg_dump"),
    (
        re.compile(rb"(?:\S{0,200}[/\\])?pg_dump(?:\.exe)? ?: "),
        "what pg_dump printed, and not its dump; look at its messages in the file, or make a new dump with --file=NAME",
    ),
    (
        re.compile(rb"7z\xbc\xaf\x27\x1c"),
        "an archive of an unsupported kind, 7-Zip; unpack it with '7z x' and give the path of the dump in it",
    ),
    (
        re.compile(rb"Rar!"),
        "an archive of an unsupported kind, RAR; unpack it with 'unrar x' or '7z x' and give the path of the dump in it",
    ),
    (
        re.compile(rb"\x04\x22\x4d\x18|LZIP|\x1f\x9d|MSCF"),
        "an archive of an unsupported kind; unpack it and give the path of the dump in it",
    ),
    (
        re.compile(rb"PK\x07\x08|PK00"),
        "the first part of a zip in several parts; join them with 'zip -s 0 FIRST --out WHOLE', and give WHOLE",
    ),
    (re.compile(rb"PK\x05\x06"), "an empty zip; ask for the backup itself"),
    (re.compile(rb"From: <Saved by|MIME-Version: [^\n]*\n"), _A_PAGE),
)
_PAGE = re.compile(rb"<(?:!doctype\s+html|html|head|body)\b", re.IGNORECASE)
_MARKUP = re.compile(rb"\s*<[?!a-z]", re.IGNORECASE)
_PAGE_WITHIN = 4096
_BEGINS = re.compile(rb"^" + sql_filter.BEGINNING + rb"[ \t\r]*$", re.MULTILINE)
_CLUSTER = re.compile(rb"^-- PostgreSQL database cluster dump", re.MULTILINE)
_CHATTER = re.compile(
    rb"^(?:\S{0,200}[/\\])?pg_dump(?:\.exe)? ?: (?:pg_dump: )?(?:last built-in|reading|identifying|finding|flagging)", re.MULTILINE
)


@dataclass(frozen=True)
class Archive:
    """A dump of a C(kind) inside C(layers), the outermost first: ("age", "zip"). C(bytes) is its size on the disk.

    C(summed) is whether a list in the same zip or tar has its SHA-256, which is compared as the dump is read.
    """

    path: str
    kind: str
    layers: tuple[str, ...]
    header: Header
    bytes: int
    accepts_broken_accents: bool = False
    summed: bool = False

    @property
    def name(self) -> str:
        """Its name without its directory."""
        return os.path.basename(self.path)


class Identity:
    """The secret key of an encrypted dump, from a file or a text; age gets it in memory, so a text is never written to a disk."""

    def __init__(self, path: str | None = None, text: str | None = None) -> None:
        self._path, self._text = path, text
        self._handle = -1

    def __enter__(self) -> Identity:
        return self

    def __exit__(self, *_error: object) -> None:
        if self._handle >= 0:
            os.close(self._handle)
        self._handle = -1

    def stage(self, archive: str) -> Stage:
        """Return the program that decrypts this archive. Raises PecError without an identity."""
        if self._handle < 0:
            self._handle = self._in_memory(self._key(archive))
        return Stage(("age", "--decrypt", "--identity", f"/dev/fd/{self._handle}"), pass_fds=(self._handle,), limits=_LIMITS, secret=True)

    def _key(self, archive: str) -> bytes:
        if self._text:
            return self._text.strip().encode() + b"\n"
        if self._path is None:
            raise PecError(
                f"{archive} is encrypted; give identity or identity_path with its secret key (AGE-SECRET-KEY-1... or one of SSH)"
            )
        if not os.path.exists(self._path):
            raise PecError(f"{archive} is encrypted, and the file {self._path} with its secret key does not exist; check identity_path")
        return files.read_bytes(self._path, _LONGEST_IDENTITY)

    @staticmethod
    def _in_memory(key: bytes) -> int:
        """Only root can open the file by its name, and age is not root."""
        handle = os.memfd_create("identity")
        os.write(handle, key)
        confinement.lend(handle)
        return handle


class PlainStream:
    """The content of all layers, read forward. Checksums, ends and exit codes are checked when its end is reached."""

    def __init__(self, dump: Dump, layers: tuple[str, ...], identity: Identity) -> None:
        self._dump = dump
        self._path = dump.path
        self._stack = contextlib.ExitStack()
        self._pipeline: Pipeline | None = None
        self._packed: BinaryIO = io.BytesIO()
        try:
            self._stream = self._open(layers, identity)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> PlainStream:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    @property
    def summed(self) -> bool:
        """Whether a list in the innermost archive has the SHA-256 of the content."""
        return isinstance(self._stream, (ZipStream, TarStream)) and self._stream.summed

    def read(self, size: int) -> bytes:
        """Return up to this many bytes, none at the end. Raises PecError when the dump is damaged."""
        with _readable(self._path):
            data = self._stream.read(size)
            if not data and size:
                _drain(self._packed)  # what follows the dump belongs to a program's checks
                if self._pipeline:
                    self._pipeline.wait()
            return data

    def close(self) -> None:
        """Stop reading; the rest is not checked."""
        self._stack.close()
        if self._pipeline:
            self._pipeline.kill()

    def _open(self, layers: tuple[str, ...], identity: Identity) -> BinaryIO:
        inner = list(layers)
        with _readable(self._path):
            file = self._stack.enter_context(os.fdopen(self._dump.descriptor(), "rb"))
            stages = []
            while inner and inner[0] in (*_PROGRAMS, "age"):
                layer = inner.pop(0)
                stages.append(identity.stage(self._path) if layer == "age" else Stage(_PROGRAMS[layer], limits=_LIMITS))
            self._packed = file
            if stages:
                self._pipeline = Pipeline(stages, stdin=file.fileno(), collect=True)
                self._packed = self._pipeline.__enter__().output
            stream = self._packed
            if inner[:1] == ["zip"] and not stages:
                require_one_file(file, self._path)
            for layer in inner:
                stream = cast(BinaryIO, _unpacked(stream, layer, self._path))
            return stream


def _unpacked(stream: BinaryIO, layer: str, path: str) -> object:
    if layer == "UTF-16":
        return Utf16Stream(stream)
    if layer in _IN_PROCESS:
        return CompressedStream(stream, layer, _WINDOW_LIMIT)
    return ZipStream(stream, path) if layer == "zip" else TarStream(stream, path)


def inspect(dump: Dump, identity: Identity) -> Archive:
    """Return what the dump is. Raises PecError when it is not a dump, is not readable, or holds several files."""
    if dump.is_directory:
        with open(dump.descriptor(CONTENTS), "rb") as contents:
            return Archive(dump.path, DIRECTORY, (), custom_format.parse(contents.read(_HEAD)), dump.bytes)
    layers: tuple[str, ...] = ()
    while True:
        with PlainStream(dump, layers, identity) as stream:
            head, summed = read_head(stream, _HEAD), stream.summed
        layer = next((name for pattern, name in _LAYERS if pattern.match(head)), None)
        if "UTF-16" in layers:
            return _judge_converted(dump, layers, head)
        if layer is None or (layer == "tar" and head.startswith(b"toc.dat\0")):
            kind, header = (TAR, custom_format.parse(head[_TAR_BLOCK:])) if layer else _judge(dump.path, head)
            return Archive(dump.path, kind, layers, header, dump.bytes, summed=summed)
        layers = (*layers, layer)
        if len(layers) > _MOST_LAYERS or not _may_follow(layer, layers[:-1]):
            raise PecError(f"{dump.path} is packed too many times ({' in '.join(reversed(layers))}); unpack it first")


def _may_follow(layer: str, outer: tuple[str, ...]) -> bool:
    """A program reads only what another program or the file gives it; what takes much memory comes once."""
    if layer == "UTF-16":
        return True
    if {"zip", "tar"} & set(outer) or (layer in (*_PROGRAMS, "age") and set(_IN_PROCESS) & set(outer)):
        return False
    return layer not in ("zstd", *_IN_PROCESS) or layer not in outer


def read_head(stream: PlainStream, size: int = HEAD) -> bytes:
    """Return the beginning of a dump, or all of a smaller one."""
    head = b""
    while len(head) < size:
        data = stream.read(size - len(head))
        if not data:
            break
        head += data
    return head


def is_page(head: bytes) -> bool:
    """Return whether a file that begins so is a web page."""
    text = head.lstrip(b"\xef\xbb\xbf")
    return bool(_MARKUP.match(text) and _PAGE.search(text[:_PAGE_WITHIN]))


def require_dump(shown: str, head: bytes) -> None:
    """Raise PecError if a file that begins so is no dump, also none that was packed. C(shown) names it in the error."""
    if not any(pattern.match(head) for pattern, _layer in _LAYERS):
        _judge(shown, head)


def _judge(path: str, head: bytes) -> tuple[str, Header]:
    if head.startswith(custom_format.MAGIC):
        return CUSTOM, custom_format.parse(head)
    text = head[3:] if head.startswith(b"\xef\xbb\xbf") else head
    begins = _BEGINS.search(text)
    if begins and not _CLUSTER.search(text, 0, begins.start()):
        _require_only_dump(path, text[: begins.start()])
        return PLAIN, custom_format.parse_plain(text)
    foreign = next((words for pattern, words in _FOREIGN if pattern.match(text)), None)
    if foreign is None and _MARKUP.match(text):
        foreign = _A_PAGE if is_page(text) else "XML, such as a server's error, and not the backup; ask for the file itself"
    what = foreign or ("not a dump by pg_dump; give the path of one" if head else f"empty; {_AGAIN}")
    raise PecError(f"{path} cannot be restored: it is {what}")


def _judge_converted(dump: Dump, layers: tuple[str, ...], head: bytes) -> Archive:
    """What was binary, or in another encoding than the dump names, is lost when a program writes it as UTF-16."""
    again = "ask for a dump that pg_dump itself wrote, with --format=custom --file=NAME and never >"
    if not _BEGINS.search(head):
        what = (
            _A_PAGE if _PAGE.search(head[:_PAGE_WITHIN]) else f"text in UTF-16, as PowerShell writes with >, and not a plain dump; {again}"
        )
        raise PecError(f"{dump.path} cannot be restored: it is {what}")
    kind, header = _judge(dump.path, head)
    if header.encoding not in ("UTF8", "UTF-8", "UNICODE"):
        raise PecError(f"{dump.path} cannot be restored: it is text in UTF-16, but says that it is in {header.encoding}; {again}")
    return Archive(dump.path, kind, layers, header, dump.bytes)


def _require_only_dump(path: str, ahead: bytes) -> None:
    """C(ahead) is what stands before the dump's first line. Its text is not shown: it may be a command with a password."""
    again = "make it again with pg_dump --file=NAME, without > and 2>&1"
    if _CHATTER.search(ahead):
        raise PecError(f"{path} cannot be restored: the messages of pg_dump -v are mixed into it; {again}")
    if b";" in ahead:
        return  # statements, which the load judges
    for number, line in enumerate(ahead.split(b"\n"), 1):
        if line.strip() and not line.lstrip().startswith((b"--", b"/*", b"\\")) and not sql_filter.AHEAD.match(line):
            raise PecError(
                f"{path} cannot be restored: line {number} is not of the dump, another program wrote it before the dump begins; "
                f"remove the lines before '-- PostgreSQL database dump', or {again}"
            )


def _drain(stream: BinaryIO) -> None:
    while stream.read(1 << 20):
        pass


@contextlib.contextmanager
def _readable(path: str) -> Iterator[None]:
    """Turn the libraries' errors about damage into PecError."""
    try:
        yield
    except (zipfile.BadZipFile, tarfile.TarError, zlib.error) as error:
        raise PecError(f"{path} is damaged or incomplete ({error}); {_AGAIN}") from None
    except DamagedError as error:
        raise PecError(f"{path} is damaged or incomplete ({error}); {_AGAIN}") from None
    except TooLargeError:
        raise PecError(
            f"{path} was compressed by xz with a window of more than {_WINDOW} MiB (option --lzma2=dict), so it takes too much memory "
            "to read; compress it again: xz -d, then xz"
        ) from None
    except NotImplementedError as error:
        raise PecError(f"{path} is packed in a way that is not read here ({error}); unpack it first") from None
    except OSError as error:
        raise PecError(f"cannot read {path}: {error.strerror or error}") from None
    except PecError as error:
        text = str(error)
        if not text.startswith(_FAILED):
            raise
        if text.startswith("zstd ") and _TOO_LARGE.search(text):
            raise PecError(
                f"{path} was compressed by zstd with a window of more than {_WINDOW} MiB (option --long), so it takes too much memory to "
                "read; compress it again: zstd -d --long=31, then zstd without --long"
            ) from None
        if text.startswith("age ") and "runtime" in text:  # the last line of what a program in Go writes when it dies
            raise PecError(f"{path} has a header that takes too much memory to read; {_AGAIN}") from None
        if text.startswith("age "):
            raise PecError(
                f"{path} cannot be decrypted: {text}; check that the identity belongs to one of its recipients, or {_AGAIN}"
            ) from None
        raise PecError(f"{path} is damaged or incomplete ({text}); {_AGAIN}") from None
