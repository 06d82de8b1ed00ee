# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Tells an operator of a role the inventory's variables instead of the module's options. Private to the collection."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

_VARIABLES = re.compile(r"\{\{\s*(_?pec_\w+(?:\s+or\s+_?pec_\w+)*)")
_VERBS = "set|give|correct|check|compare|use|with|without|leave"
# The same variable in brackets, for those who call the module without a role.
_ROLE = re.compile(r" \(role: (pec_\w+(?:, pec_\w+)*)\)")


def names(given: Mapping[str, Any], variables: Mapping[str, Any]) -> dict[str, str]:
    """Return the variable of each option whose template begins with one.

    C(given) are the options as the task has them, C(variables) those of the task, not rendered: a role may compute an option of several
    variables, such as C(database). If a template has alternatives, the first with a value counts.
    """
    found: dict[str, str] = {}
    for option, value in given.items():
        inner: Any = value
        if isinstance(value, str) and (match := _VARIABLES.match(value)):
            alternatives = re.split(r"\s+or\s+", match.group(1))
            name = next((each for each in alternatives if variables.get(each)), alternatives[0])
            inner = variables.get(name)
            if not name.startswith("_"):
                found[option] = name
            elif isinstance(inner, str):
                found.update(names({option: inner}, {each: value for each, value in variables.items() if each != name}))
        if isinstance(inner, Mapping):
            found = {**names(inner, variables), **found}
    return found


def with_variables(text: str, variables: Mapping[str, str]) -> str:
    """Return a message with these options' variables, where the message says what an option is or has to be.

    Many options are ordinary words, so only such places are changed.
    """
    if not variables:
        return text
    option = _any(variables)
    several = rf"{option}(?:(?:, | and | or ){option})*"
    told = re.compile(
        rf"\b(?:{_VERBS}) {several}(?=[,;:.)]|$| \(| (?:to|and|or|instead|of|from|with|too|first|as|out)\b)"
        rf"|^{several}(?= (?:is|are|has|go|chooses)\b)"
        rf"|{option}(?= (?:is|to) (?:true|false|none|-?\d)| \(role: | (?:start)?tls\b)"
        rf"|{_any([name for name in variables if '_' in name])}",
        re.MULTILINE,
    )
    text = told.sub(lambda place: re.sub(option, lambda found: variables[found.group()], place.group()), text)
    here = _ROLE.sub("", text)
    return _ROLE.sub(lambda found: "" if all(name in here for name in found.group(1).split(", ")) else found.group(), text)


def _any(options: Any) -> str:
    alternatives = "|".join(sorted(map(re.escape, options), key=len, reverse=True))
    return rf"(?<![\w.'/-])(?:{alternatives or '(?!)'})(?![\w'/=-]|\.\w)"
