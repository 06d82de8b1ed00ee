# SPDX-License-Identifier: GPL-3.0-or-later
"""Tells the dump from what people and their programs pack beside it in a zip or tar. Private to the collection."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence

from ansible_collections.esus.pec.plugins.module_utils.errors import PecError

LARGEST = 64 << 20  # of a file that is passed over
CONFIGURATION = "configuracao-pec"
"""Directory of the export kit, with files that are no dump."""
_LISTED = 10
_LONGEST_SUMS = 1 << 16
_SUMS = re.compile(r"sha256sums?(?:\.\w+)?", re.IGNORECASE)
_SUM = re.compile(r"([0-9a-fA-F]{64}) [ *](.+?)\s*")
_SEPARATOR = re.compile(r"[/\\]")
_NO_DUMP = re.compile(
    r"\._.*|\.ds_store|thumbs\.db|desktop\.ini|icon\r?"
    r"|(?:leia|read)[ ._-]?(?:me|isto|this)(?:[ ._-].*)?|(?:instru..?.?.?es|licen[cs]e|checksums?|(?:md5|sha\d+)sums?)(?:\.\w+)?"
    r"|.*\.(?:pdf|docx?|odt|rtf|md|log|png|jpe?g|url|lnk|md5|sha1|sha256|sha512)",
    re.IGNORECASE | re.DOTALL,
)
_OF_A_DIRECTORY = re.compile(r"toc\.dat|blobs(?:_\d+)?\.toc|(?:blob_)?\d+\.dat(?:\.gz|\.lz4|\.zst)?", re.ASCII)
_PAGE = re.compile(r".*\.(?:x?html?|mht(?:ml)?)", re.IGNORECASE | re.DOTALL)


def is_no_dump(name: str) -> bool:
    """Return whether a file of this name in an archive is plainly no dump, such as a read-me, a picture or what macOS and Windows add."""
    *directories, last = _SEPARATOR.split(name)
    return bool({"__MACOSX", CONFIGURATION} & set(directories)) or _NO_DUMP.fullmatch(last) is not None


class Sums:
    """The SHA-256 that a list in the archive, before the dump, gives for the dump. A list that does not name it counts as none.

    Whoever sends a dump can write such a list: it shows damage, not where the dump is from.
    """

    def __init__(self) -> None:
        self._list = b""
        self._listing = False
        self._expected = ""
        self._found = hashlib.sha256()

    def pass_over(self, name: str) -> None:
        """Begin a file that is no dump."""
        self._listing = _SUMS.fullmatch(_SEPARATOR.split(name)[-1]) is not None

    def passed(self, data: bytes) -> None:
        """Take a part of it."""
        if self._listing:
            self._list += data[: _LONGEST_SUMS - len(self._list)]

    def begin(self, name: str) -> bool:
        """Begin the dump of this name; return whether its SHA-256 is listed."""
        for line in map(_SUM.fullmatch, self._list.decode("utf-8", "replace").splitlines()):
            if line and _SEPARATOR.split(line[2])[-1] == _SEPARATOR.split(name)[-1]:
                self._expected = line[1].lower()
        return bool(self._expected)

    def update(self, data: bytes) -> None:
        """Take a part of the dump."""
        if self._expected:
            self._found.update(data)

    def check(self, path: str, name: str) -> None:
        """Compare the whole dump. Raises PecError if it differs."""
        if self._expected and self._found.hexdigest() != self._expected:
            raise PecError(
                f"{path}: {name} does not have the SHA-256 in the list beside it; copy it again from its source, or export again"
            )


def several(path: str, names: Sequence[str], *, joint: str = ", ", more: str = "") -> PecError:
    """Return the error about an archive that does not hold exactly one dump, but these files."""
    last = [_SEPARATOR.split(name)[-1] for name in names]
    if any(_OF_A_DIRECTORY.fullmatch(name) for name in last):
        return PecError(
            f"{path} must hold one file, the dump, and holds a dump in directory format; unpack it and give the directory's path"
        )
    page = next((name for name in last if _PAGE.fullmatch(name)), None)
    held = more or joint.join(names[:_LISTED]) or "none"
    if page:
        return PecError(
            f"{path} must hold one file, the dump, and holds {held}; {page} is a web page and not the backup: ask for the file itself"
        )
    return PecError(f"{path} must hold one file, the dump, and holds {held}; unpack it and give the path of the dump")
