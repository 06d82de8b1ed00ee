# SPDX-License-Identifier: GPL-3.0-or-later
"""The one error type of the collection. Private to the collection."""

from __future__ import annotations


class PecError(Exception):
    """What failed, on which object, and what to do next.

    The operator reads the text as it is, so it never contains a secret nor a command line that may. C(facts) are values that a module
    returns beside the text, such as {"exit_code": 1}.
    """

    def __init__(self, message: str, **facts: object) -> None:
        super().__init__(message)
        self.facts = facts
