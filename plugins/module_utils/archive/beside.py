# SPDX-License-Identifier: GPL-3.0-or-later
"""Tells the dump from what people and their programs pack beside it in a zip or tar. Private to the collection."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ansible_collections.esus.pec.plugins.module_utils.errors import PecError

LARGEST = 64 << 20  # of a file that is passed over
_LISTED = 10
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
    return "__MACOSX" in directories or _NO_DUMP.fullmatch(last) is not None


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
