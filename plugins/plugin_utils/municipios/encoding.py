# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Text files as spreadsheets save them: UTF-8, Windows-1252 or UTF-16. Private to the collection."""

from __future__ import annotations

import codecs

from ansible_collections.esus.pec.plugins.plugin_utils.municipios.sheet import SheetError


def decoded(content: bytes, encoding: str) -> str:
    """Return the text. With the encoding C(auto), a mark at the beginning decides, then whether it is UTF-8."""
    wanted = _detected(content) if encoding == "auto" else encoding
    try:
        text = content.decode(wanted)
    except UnicodeError:
        asked = "it is neither UTF-8 nor Windows-1252" if encoding == "auto" else f"it is not in the encoding {encoding}"
        raise SheetError(f"{asked}; save it as CSV UTF-8, or set encoding") from None
    if "\0" in text:
        raise SheetError("it holds characters of the code 0, so it is no text; save it as CSV UTF-8, or give it the suffix of its type")
    return text.removeprefix("\ufeff")


def _detected(content: bytes) -> str:
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    if content[1:2] == b"\0":
        return "utf-16-le"
    if content[:1] == b"\0":
        return "utf-16-be"
    try:
        content.decode("utf-8")
    except UnicodeDecodeError:
        return "cp1252"
    return "utf-8"
