# SPDX-License-Identifier: GPL-3.0-or-later
"""The one error type of the collection. Private to the collection."""

from __future__ import annotations

import re

# They would move the cursor of a terminal, or show a name as another. Names come from dumps, manifests and foreign directories.
_UNPRINTABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


class PecError(Exception):
    """What failed, on which object, and what to do next.

    The operator reads the text as it is, so it never contains a secret nor a command line that may. C(facts) are values that a module
    returns beside the text, such as {"exit_code": 1}.
    """

    def __init__(self, message: str, **facts: object) -> None:
        super().__init__(printable(message))
        self.facts = facts


def printable(text: str) -> str:
    """Return the text with a question mark for each character that would control a terminal."""
    return _UNPRINTABLE.sub("?", text)
