# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Tells an operator of a role the inventory's variables instead of the module's options. Private to the collection."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

_VARIABLE = re.compile(r"\{\{\s*(pec_\w+)")


def names(given: Mapping[str, Any]) -> dict[str, str]:
    """Return the variable of each option whose template begins with one. C(given) are the options as the task has them."""
    found = {option: _VARIABLE.match(value) for option, value in given.items() if isinstance(value, str)}
    return {option: match.group(1) for option, match in found.items() if match}


def with_variables(text: str, variables: Mapping[str, str]) -> str:
    """Return a message with these options' variables, where the message says what an option is or has to be.

    Many options are ordinary words, so only such places are changed.
    """
    if not variables:
        return text
    option = "|".join(sorted(map(re.escape, variables), key=len, reverse=True))
    told = re.compile(rf"(?<![\w.'/-])({option})(?= (?:is|to) (?:true|false|-?\d))|(?<=\bset )({option})(?= instead\b)")
    return told.sub(lambda found: variables[found.group(1) or found.group(2)], text)
