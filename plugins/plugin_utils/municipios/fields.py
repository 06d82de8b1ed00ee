# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The checks of each field of a município: the value as variables get it, or what is wrong with it. Private to the collection."""

from __future__ import annotations

import re
from collections.abc import Callable
from ipaddress import AddressValueError, IPv4Address

from ansible_collections.esus.pec.plugins.module_utils.brazil import (
    cnpj_formatted,
    cnpj_plain,
    cnpj_problems,
    cpf_digits,
    cpf_problems,
    domain_problems,
    ibge_problems,
)
from ansible_collections.esus.pec.plugins.plugin_utils.municipios.ibge import completed, folded, places, uf_of
from ansible_collections.esus.pec.plugins.plugin_utils.municipios.sheet import Cell, shown

_AS_TEXT = "a spreadsheet changed it; format the column as text and type it again"
_RESERVED_HOSTS = {"all", "ungrouped", "localhost"}
_MAX_GROUP = 60


class FieldError(Exception):
    """A value that is not correct, with a sentence for the operator."""


def digits(cell: Cell) -> str:
    """Return a number that a spreadsheet may have saved with decimal places: 2927408,0 is 2927408."""
    if re.fullmatch(r"[0-9]+(?:[.,][0-9]+)?[eE]\+?[0-9]+", cell.text):
        raise FieldError(f"{shown(cell.text)} is a shortened number: {_AS_TEXT}")
    return re.sub(r"(?<=[0-9])[.,]0+$", "", cell.text) if re.fullmatch(r"[0-9]+[.,]0+", cell.text) else cell.text


def ibge_code(cell: Cell) -> str:
    text = digits(cell)
    short = completed(text)
    if short:
        raise FieldError(f"{shown(text)} lacks the last of 7 digits; {short} has the code {short.code}")
    _refuse(ibge_problems(text))
    if text not in places():
        raise FieldError(f"no município has the IBGE code {text}; compare it with the list of the IBGE")
    return text


def uf(cell: Cell) -> str:
    found = uf_of(cell.text)
    if not found:
        raise FieldError(f"{shown(cell.text)} is not a UF of Brazil; write two letters, such as MS")
    return found


def cnpj(cell: Cell) -> str:
    text = _with_zeros(digits(cell), 14, 11, cnpj_problems)
    _refuse(cnpj_problems(text))
    return cnpj_formatted(cnpj_plain(text))


def cpf(cell: Cell) -> str:
    text = _with_zeros(digits(cell), 11, 8, cpf_problems)
    _refuse(cpf_problems(text))
    return cpf_digits(text)


def domain(cell: Cell) -> str:
    _refuse(domain_problems(cell.text))
    return cell.text.lower()


def host(cell: Cell) -> str:
    name = cell.text.lower()
    if not re.fullmatch(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?", name) or name in _RESERVED_HOSTS:
        raise FieldError(f"{shown(cell.text)} cannot name a server; use letters, digits, dots and inner dashes, not all or localhost")
    return name


def ipv4(cell: Cell) -> str:
    try:
        address = IPv4Address(cell.text)
    except AddressValueError:
        hint = f": {_AS_TEXT}" if cell.kind != "text" or cell.text.isdigit() else "; write four numbers, such as 203.0.113.7"
        raise FieldError(f"{shown(cell.text)} is not an IPv4 address{hint}") from None
    if address.is_loopback or address.is_unspecified or address.is_multicast or address.is_link_local or address.packed[0] >= 240:
        raise FieldError(f"{address} is not the address of a server that others reach; write the one that Ansible connects to")
    return str(address)


def version(cell: Cell) -> str:
    text = cell.text.removeprefix("v")
    if cell.kind == "date":
        raise FieldError(f"{shown(cell.text)} is a date: {_AS_TEXT}")
    if not re.fullmatch(r"[0-9]{1,4}(\.[0-9]{1,4}){2}", text):
        hint = f": {_AS_TEXT}" if cell.kind == "number" else "; write three numbers, such as 5.4.37"
        raise FieldError(f"{shown(cell.text)} is not a version of PEC{hint}")
    return text


def users(cell: Cell) -> int:
    text = digits(cell)
    if not re.fullmatch(r"[0-9]{1,6}", text) or int(text) < 1:
        raise FieldError(f"{shown(cell.text)} is not a number of users; write a whole number from 1 on")
    return int(text)


def wave(cell: Cell) -> str:
    text = re.sub(r"^onda\s+(?=\S)", "", digits(cell), flags=re.IGNORECASE)
    return grouped(Cell(str(int(text)) if re.fullmatch(r"[0-9]{1,9}", text) else text, cell.line, cell.kind))


def grouped(cell: Cell) -> str:
    """Return a text that also names a group."""
    if cell.kind == "date":
        raise FieldError(f"{shown(cell.text)} is a date: {_AS_TEXT}")
    if not folded(cell.text) or len(cell.text) > _MAX_GROUP:
        raise FieldError(f"{shown(cell.text)} cannot name a group; write up to {_MAX_GROUP} characters with a letter or digit in them")
    return cell.text


def free(cell: Cell) -> str:
    return cell.text


CHECKS: dict[str, Callable[[Cell], str | int]] = {
    "municipio": free,
    "uf": uf,
    "ibge_code": ibge_code,
    "host": host,
    "domain": domain,
    "ipv4": ipv4,
    "cnpj": cnpj,
    "instalador": free,
    "cpf": cpf,
    "users": users,
    "version": version,
    "wave": wave,
    "window": free,
    "state": grouped,
    "responsible": free,
}
"""The check of each field in columns.FIELDS."""


def _refuse(problems: list[str]) -> None:
    if problems:
        raise FieldError(problems[0])


def _with_zeros(text: str, length: int, shortest: int, problems: Callable[[str], list[str]]) -> str:
    """Return a number with the zeros at its start that a spreadsheet dropped, if the check digits then fit."""
    whole = text.zfill(length)
    return whole if text.isdigit() and shortest <= len(text) < length and not problems(whole) else text
