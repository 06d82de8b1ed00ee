# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads the owner of an ICP-Brasil certificate: DOC-ICP-04 puts them into otherNames. Private to the collection."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

_PERSON, _RESPONSIBLE, _CNPJ = (f"2.16.76.1.3.{number}" for number in (1, 2, 3))
_CPF_PLACES = slice(8, 19)  # after the date of birth DDMMAAAA
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


def identity(other_names: Mapping[str, str], common_name: str) -> Identity:
    """Return the owner. If a field is empty or all zeros, the number in the common name is used."""
    found = _NUMBER_AFTER_NAME.fullmatch(common_name)
    number = found.group(2).upper() if found else ""
    cnpj = re.sub(r"[\s./-]", "", other_names.get(_CNPJ, "")).upper()  # some authorities write the punctuation too
    return Identity(
        cnpj=_number(cnpj, 14) or _number(number, 14),
        cpf=_number(other_names.get(_PERSON, "")[_CPF_PLACES], 11) or _number(number, 11),
        responsible=other_names.get(_RESPONSIBLE, "").strip() or None,
    )


def _number(text: str, length: int) -> str | None:
    trimmed = text.strip()
    return trimmed if len(trimmed) == length and trimmed.strip("0") else None
