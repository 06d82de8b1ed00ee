# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads the owner of an ICP-Brasil certificate. Private to the collection.

DOC-ICP-04 puts them into otherNames. The electronic seals of Resolução CG ICP-Brasil 211/2024 (SE-S, SE-H) have the number of the owner in
the subject's serialNumber instead.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

_PERSON, _RESPONSIBLE, _CNPJ = (f"2.16.76.1.3.{number}" for number in (1, 2, 3))
_CPF_PLACES = slice(8, 19)  # after the date of birth DDMMAAAA
_ORGANIZATION = "icp-brasil"
_PUNCTUATION = re.compile(r"[\s./-]")
_CNPJ_FORM, _CPF_FORM = re.compile("[0-9A-Z]{12}[0-9]{2}"), re.compile("[0-9]{11}")
_NUMBER_AFTER_NAME = re.compile(r"(.*):\s*([0-9A-Za-z]{12}[0-9]{2}|[0-9]{11})\s*", re.DOTALL)


@dataclass(frozen=True)
class Identity:
    """The owner's numbers and the name of the person responsible for a company; None is not in the certificate."""

    cnpj: str | None = None
    cpf: str | None = None
    responsible: str | None = None


def holder(common_name: str) -> str:
    """Return the common name without the number that ICP-Brasil appends."""
    found = _NUMBER_AFTER_NAME.fullmatch(common_name)
    return (found.group(1) if found else common_name).strip()


def identity(
    other_names: Mapping[str, str], common_name: str, serial_numbers: Sequence[str] = (), issuer_organizations: Sequence[str] = ()
) -> Identity:
    """Return the owner. If a field is empty or all zeros, a number in the subject is used.

    serial_numbers are the subject's: other authorities put anything there, and even ICP-Brasil's put numbers of devices there.
    """
    found = _NUMBER_AFTER_NAME.fullmatch(common_name)
    trusted = any(each.strip().casefold() == _ORGANIZATION for each in issuer_organizations)
    numbers = [_plain(each) for each in (serial_numbers if trusted else ())] + [found.group(2).upper() if found else ""]
    return Identity(
        cnpj=_number(_plain(other_names.get(_CNPJ, "")), 14) or _first(numbers, _CNPJ_FORM),
        cpf=_number(other_names.get(_PERSON, "")[_CPF_PLACES], 11) or _first(numbers, _CPF_FORM),
        responsible=other_names.get(_RESPONSIBLE, "").strip() or None,
    )


def _plain(number: str) -> str:
    return _PUNCTUATION.sub("", number).upper()  # some authorities write the punctuation too


def _first(numbers: Sequence[str], form: re.Pattern[str]) -> str | None:
    return next((each for each in numbers if form.fullmatch(each) and each.strip("0")), None)


def _number(text: str, length: int) -> str | None:
    trimmed = text.strip()
    return trimmed if len(trimmed) == length and trimmed.strip("0") else None
