# SPDX-License-Identifier: GPL-3.0-or-later
"""Whose an ICP-Brasil certificate is: DOC-ICP-04 puts texts of fixed places into otherNames of its subjectAltName."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

_OID = "2.16.76.1.3."
_PERSON, _RESPONSIBLE_NAME, _CNPJ, _RESPONSIBLE = f"{_OID}1", f"{_OID}2", f"{_OID}3", f"{_OID}4"
_VOTER, _CEI_OF_PERSON, _CEI_OF_COMPANY, _COMPANY_NAME = f"{_OID}5", f"{_OID}6", f"{_OID}7", f"{_OID}8"
_CPF_PLACES = slice(8, 19)  # behind a date of birth DDMMAAAA; NIS, RG and who issued it follow
_VOTER_DIGITS, _CEI_DIGITS = 12, 12
_NUMBER_BEHIND_NAME = re.compile(r"(.*):\s*([0-9A-Za-z]{12}[0-9]{2}|[0-9]{11})\s*", re.DOTALL)


@dataclass(frozen=True)
class Identity:
    """Who the owner is; None is what the certificate does not say. C(name) is the company's, C(responsible) is who answers for it."""

    cnpj: str | None = None
    cpf: str | None = None
    name: str | None = None
    responsible: str | None = None
    responsible_cpf: str | None = None
    cei: str | None = None
    voter_registration: str | None = None


def holder(common_name: str) -> str:
    """Return the common name without the number that ICP-Brasil puts behind it."""
    found = _NUMBER_BEHIND_NAME.fullmatch(common_name)
    return (found.group(1) if found else common_name).strip()


def identity(other_names: Mapping[str, str], common_name: str) -> Identity:
    """Return the owner. A field that is empty or all zeros says nothing; then the number in the common name counts."""
    found = _NUMBER_BEHIND_NAME.fullmatch(common_name)
    number = found.group(2).upper() if found else ""
    return Identity(
        cnpj=_cnpj(other_names.get(_CNPJ, "")) or _said(number, 14),
        cpf=_said(other_names.get(_PERSON, "")[_CPF_PLACES], 11) or _said(number, 11),
        name=other_names.get(_COMPANY_NAME, "").strip() or None,
        responsible=other_names.get(_RESPONSIBLE_NAME, "").strip() or None,
        responsible_cpf=_said(other_names.get(_RESPONSIBLE, "")[_CPF_PLACES], 11),
        cei=_said(other_names.get(_CEI_OF_COMPANY, "")[:_CEI_DIGITS], 12) or _said(other_names.get(_CEI_OF_PERSON, "")[:_CEI_DIGITS], 12),
        voter_registration=_said(other_names.get(_VOTER, "")[:_VOTER_DIGITS], 12),
    )


def _cnpj(text: str) -> str | None:
    """The field holds the fourteen characters; some authorities have written it with its punctuation."""
    return _said(re.sub(r"[\s./-]", "", text).upper(), 14)


def _said(text: str, length: int) -> str | None:
    trimmed = text.strip()
    return trimmed if len(trimmed) == length and trimmed.strip("0") else None
