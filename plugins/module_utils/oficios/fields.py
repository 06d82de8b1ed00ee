# SPDX-License-Identifier: GPL-3.0-or-later
"""What a município's letters hold, and every problem of it at once. Private to the collection."""

from __future__ import annotations

import datetime
import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Address, ip_network

from ansible_collections.esus.pec.plugins.module_utils import brazil
from ansible_collections.esus.pec.plugins.module_utils.api import catalogue
from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.oficios import states
from ansible_collections.esus.pec.plugins.module_utils.pec import installation

DOMINIO, GOVBR, PRESCRICAO = "dominio", "govbr", "prescricao_digital"
LETTERS = (DOMINIO, GOVBR, PRESCRICAO)
SINCE: str = catalogue.SETTINGS["prescricao_digital"]["since"]
"""The oldest PEC with the prescrição digital."""

_LONGEST = 200
_BAD = ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")
# What an example or a template leaves behind. None of these brackets is part of a name, an address or a number.
_PLACEHOLDER = re.compile(
    r"[\[\]{}<>]|_{2,}|\b(?:a (?:definir|preencher|confirmar|informar)|preencher|placeholder|fulano|sicrano|beltrano)\b"
    r"|^(?:todo|tbd|fixme|n/?a|none|null|x+|[-.?*]+)$",
    re.IGNORECASE,
)
_PLACE_NAME = re.compile(r"[^\W\d_](?:[^\W\d_]|[ '\u2019.()-])*")
_PRIVATE = [ip_network(text) for text in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10")]


@dataclass(frozen=True)
class Fields:
    """The answers of one município, as they were given. The names are those of the options of esus.pec.oficios."""

    municipality: str = ""
    uf: str = ""
    ibge_code: str = ""
    institution: str = ""
    cnpj: str = ""
    responsible_name: str = ""
    responsible_position: str = ""
    responsible_cpf: str = ""
    responsible_email: str = ""
    responsible_phone: str = ""
    requester_name: str = ""
    requester_position: str = ""
    domain: str = ""
    ipv4: str = ""
    url: str = ""
    domain_body: str = ""
    govbr_recipient: str = ""
    date: str = ""
    numbers: Mapping[str, str] = field(default_factory=dict)
    mail_to: Mapping[str, list[str]] = field(default_factory=dict)
    smtp: bool = False
    certificate: bool = False
    pec_version: str = ""

    @property
    def place(self) -> str:
        return f"{self.municipality}/{self.uf}"

    @property
    def body(self) -> str:
        """Who registers domains in this state; empty if nobody is known and none was given."""
        return self.domain_body or states.BY_UF[self.uf].body


# The options that every letter needs, and those of each letter.
_ALWAYS = (
    "municipality",
    "uf",
    "ibge_code",
    "responsible_name",
    "responsible_email",
    "responsible_phone",
    "requester_name",
)
_OF_LETTER = {
    DOMINIO: ("institution", "cnpj", "domain", "ipv4"),
    GOVBR: ("institution", "cnpj", "domain"),
    PRESCRICAO: ("url",),
}
# For whoever reads that one is missing.
_MEANING = {
    "municipality": "the name of the município, such as Água Clara",
    "uf": "the two letters of its state, such as MS",
    "ibge_code": "its code of the IBGE, seven digits in quotes",
    "institution": "the razão social of the prefeitura",
    "cnpj": "the CNPJ of the prefeitura, in quotes",
    "responsible_name": "the full name of the person who answers for the domain and the installation",
    "responsible_email": "that person's e-mail address",
    "responsible_phone": "that person's telephone number, in quotes, such as (67) 5555-0100",
    "requester_name": "the full name of who signs",
    "domain": "the name to request, such as esus.municipio.uf.gov.br",
    "ipv4": "the server's public IPv4 address",
    "url": "the address of PEC, such as https://esus.municipio.uf.gov.br",
}


def problems(fields: Fields, letters: tuple[str, ...], *, mark: bool = False) -> list[str]:
    """Return everything that keeps these letters from being written. Each sentence begins with the option.

    mark: a letter whose premises are not met is marked instead.
    """
    needed = [name for name in _MEANING if name in _ALWAYS or any(name in _OF_LETTER[letter] for letter in letters)]
    missing = [name for name in needed if not getattr(fields, name).strip()]
    found = [f"{name} is missing: {_MEANING[name]}" for name in missing]
    for name in vars(fields):
        value = getattr(fields, name)
        if isinstance(value, str) and value.strip():
            found += [f"{name} is wrong: {problem}" for problem in _problems_of(name, value, fields)]
    for letter, number in fields.numbers.items():
        found += [f"numbers is wrong: {letter}: {problem}" for problem in _text_problems(number)]
    for letter, addresses in fields.mail_to.items():
        found += [f"mail_to is wrong: {letter}: {problem}" for each in addresses for problem in brazil.email_problems(each)]
    if DOMINIO in letters:
        found += _domain_problems(fields)
    if PRESCRICAO in letters and not mark:
        found += [f"{option} is not as the prescrição digital requires: {problem}" for option, problem, _said in missing_premises(fields)]
    return found


def _problems_of(name: str, value: str, fields: Fields) -> list[str]:
    check = _CHECKS.get(name)
    return _text_problems(value) or (check(value) if check else []) + (_uf_problems(fields) if name == "ibge_code" else [])


def _text_problems(value: str) -> list[str]:
    if len(value) > _LONGEST or any(unicodedata.category(character) in _BAD for character in value):
        return [f"it is not one line of at most {_LONGEST} printable characters; remove line breaks and control characters"]
    if value != value.strip():
        return ["it begins or ends with a blank; remove it"]
    left = _PLACEHOLDER.search(value)
    return [f"it looks like a place left to fill in ({left.group()!r}); give the real value"] if left else []


def _place_problems(value: str) -> list[str]:
    return [] if _PLACE_NAME.fullmatch(value) else [f"{value!r} has characters that no name of a município has; write it as the IBGE does"]


def _person_problems(value: str) -> list[str]:
    if not _PLACE_NAME.fullmatch(value):
        return [f"{value!r} has characters that no name of a person has; correct it"]
    return [] if " " in value else [f"{value!r} is a single word; give the full name"]


def _uf_name_problems(value: str) -> list[str]:
    return [] if value in states.BY_UF else [f"{value!r} is none of the 27 states; write its two capital letters, such as MS"]


def _uf_problems(fields: Fields) -> list[str]:
    state = states.BY_UF.get(fields.uf)
    if state is None or fields.ibge_code[:2] == state.ibge or brazil.ibge_problems(fields.ibge_code):
        return []
    real = next((each.uf for each in states.STATES if each.ibge == fields.ibge_code[:2]), "")
    return [f"{fields.ibge_code} is of {real or 'no state'}, not of {state.uf}; correct one of the two"]


def _ipv4_problems(value: str) -> list[str]:
    try:
        address = IPv4Address(value)
    except ValueError:
        return [f"{value!r} is not an IPv4 address, such as 200.198.5.20"]
    if address.is_unspecified or address.is_loopback or address.is_multicast or address.is_link_local or address.is_reserved:
        return [f"{value} is no address of a server; give the one at which the internet reaches PEC"]
    if any(address in network for network in _PRIVATE):
        return [f"{value} is a private address, which the internet does not reach; give the public one"]
    return []


def _date_problems(value: str) -> list[str]:
    try:
        parsed_date(value)
    except PecError as error:
        return [str(error)]
    return []


def _version_problems(value: str) -> list[str]:
    try:
        installation.parse_version(value)
    except PecError as error:
        return [str(error)]
    return []


def _domain_problems(fields: Fields) -> Iterator[str]:
    if fields.domain and not brazil.domain_problems(fields.domain) and not fields.domain.lower().endswith(".gov.br"):
        yield f"domain is wrong: {fields.domain} does not end in .gov.br, and this letter requests a domain there; set domain to that name"
    if fields.uf in states.BY_UF and not fields.body:
        yield f"domain_body is missing: who registers domains in {fields.uf} is not known here; find it out and set domain_body to its name"


def missing_premises(fields: Fields) -> Iterator[tuple[str, str, str]]:
    """Yield what the prescrição digital requires and the inventory does not declare: the option, why, and the words for the letter."""
    if not fields.smtp:
        yield (
            "smtp",
            "no mail server is declared; set pec_smtp_host, or set smtp to true if PEC has one",
            "servidor de e-mail (SMTP) no PEC",
        )
    if fields.url.startswith("http://"):
        yield "url", "it does not begin with https://; install HTTPS first, then set url to that address", "HTTPS na instalação"
    if not fields.certificate:
        yield (
            "certificate",
            "no certificate of the município is declared; install it first (pec_certificate), or set certificate to true if PEC has it",
            "certificado digital do município no PEC",
        )
    if not fields.pec_version or (not _version_problems(fields.pec_version) and _older(fields.pec_version)):
        here = f"PEC {fields.pec_version} does not have it" if fields.pec_version else "PEC's version is not declared"
        yield (
            "pec_version",
            f"{here}; it exists since {SINCE}; update PEC, or set pec_version to the installed one",
            f"PEC {SINCE} ou mais novo",
        )


def _older(version: str) -> bool:
    return installation.parse_version(version) < installation.parse_version(SINCE)


def parsed_date(value: str) -> datetime.date:
    """Return the date. Raises PecError when it is none."""
    try:
        return datetime.datetime.strptime(value, "%Y-%m-%d").date()
    except ValueError:
        raise PecError(f"{value!r} is not a date; write it as 2026-11-30") from None


_CHECKS = {
    "municipality": _place_problems,
    "uf": _uf_name_problems,
    "ibge_code": brazil.ibge_problems,
    "cnpj": brazil.cnpj_problems,
    "responsible_name": _person_problems,
    "responsible_cpf": brazil.cpf_problems,
    "responsible_email": brazil.email_problems,
    "responsible_phone": brazil.phone_problems,
    "requester_name": _person_problems,
    "domain": brazil.domain_problems,
    "ipv4": _ipv4_problems,
    "url": brazil.link_problems,
    "date": _date_problems,
    "pec_version": _version_problems,
}
