# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks what people of a município type: CPF, CNPJ, telephone, the instalador's password, the server's domain. Private to the collection.

Each `*_problems` function returns complete sentences for the operator, none if the value is correct. None of them contains a
password, and a CPF is masked.
"""

from __future__ import annotations

import re
import unicodedata
from ipaddress import ip_address
from urllib.parse import urlsplit

PASSWORD_LENGTH = range(8, 21)
"""8 to 20 characters, a letter and a digit, no personal data. Single source: V in docs/contract.md, `Instalar`."""

_NAME_PART_LENGTH = 3  # initials say nothing about a person
_NAME_PARTICLES = frozenset({"das", "dos", "del"})  # neither do these
_CPF_PART_LENGTH = 6  # how much of the CPF makes a password guessable
_DOMAIN_LENGTH = 253
_LABEL_LENGTH = 63
# Municípios whose code the IBGE itself gave a check digit that does not fit.
_IBGE_WITHOUT_CHECK = ("2201919", "2201988", "2202251", "2611533", "3117836", "3152131", "4305871", "5203939", "5203962")
_EXAMPLE = "esus.municipio.uf.gov.br"
# The area codes of the Plano Geral de Códigos Nacionais.
_AREA_CODE = re.compile("1[1-9]|2[12478]|3[1-578]|4[1-9]|5[1345]|6[1-9]|7[134579]|8[1-9]|9[1-9]")
_EMAIL = re.compile(r"[\w!#$%&'*+/=?^`{|}~-]+(?:\.[\w!#$%&'*+/=?^`{|}~-]+)*@([A-Za-z0-9.-]+)", re.ASCII)


def cpf_digits(text: str) -> str:
    """The eleven digits of a CPF however it was typed: 529.982.247-25, 529 982 247 25 or 52998224725."""
    return re.sub(r"[\s.\-/]", "", text)


def cpf_masked(text: str) -> str:
    """Return the middle of a CPF, as public bodies show it: enough to recognise a typing error, too little to identify a person."""
    digits = cpf_digits(text)
    if len(digits) != 11:
        return f"of {len(digits)} characters"
    return f"***.{digits[3:6]}.{digits[6:9]}-**"


def cpf_problems(text: str) -> list[str]:
    """Return what is wrong with a CPF: at most one sentence, because the first error explains the others."""
    digits = cpf_digits(text)
    if not digits:
        return ["the CPF is empty; give its 11 digits, with or without dots and dash"]
    if not re.fullmatch(r"[0-9]+", digits):
        return [f"the CPF {cpf_masked(text)} has characters that are not digits; give its 11 digits, with or without dots and dash"]
    if len(digits) != 11:
        hint = " (an inventory drops zeros at the start: put the number in quotes)" if len(digits) < 11 else ""
        return [f"the CPF has {len(digits)} digits instead of 11{hint}; give all 11, with or without dots and dash"]
    if digits == digits[0] * 11:
        return [f"the CPF {cpf_masked(text)} is one digit repeated, which nobody has; give the instalador's real CPF"]
    if digits[9:] != _check_digits(digits[:9]):
        return [f"the CPF {cpf_masked(text)} has wrong check digits; compare all 11 digits with the person's document"]
    return []


def _check_digits(body: str) -> str:
    first = _check_digit(body)
    return first + _check_digit(body + first)


def _check_digit(body: str) -> str:
    """Modulo 11 with weights that fall to 2 at the last digit."""
    total = sum(int(digit) * weight for digit, weight in zip(body, range(len(body) + 1, 1, -1)))
    return str(total * 10 % 11 % 10)


def cnpj_plain(text: str) -> str:
    """The fourteen characters of a CNPJ however it was typed: 12.ABC.345/01DE-35 or 12abc34501de35."""
    return re.sub(r"[\s./-]", "", text).upper()


def cnpj_formatted(text: str) -> str:
    """Format as on documents; a text that is no CNPJ is returned unchanged."""
    plain = cnpj_plain(text)
    return f"{plain[:2]}.{plain[2:5]}.{plain[5:8]}/{plain[8:12]}-{plain[12:]}" if len(plain) == 14 else text


def cnpj_problems(text: str) -> list[str]:
    """What is wrong with a CNPJ, which since 2026 may have letters in its first twelve places; at most one sentence."""
    plain = cnpj_plain(text)
    if not plain:
        return ["the CNPJ is empty; give its 14 characters, with or without dots, slash and dash"]
    if len(plain) != 14:
        hint = " (an inventory drops zeros at the start: put the number in quotes)" if len(plain) < 14 and plain.isdigit() else ""
        return [f"the CNPJ {text.strip()} has {len(plain)} characters instead of 14{hint}; give all of them"]
    if not re.fullmatch(r"[0-9A-Z]{12}[0-9]{2}", plain):
        return [f"the CNPJ {text.strip()} is not written as one: 12 digits or letters, then 2 check digits; compare it with the document"]
    if plain == plain[0] * 14:
        return [f"the CNPJ {cnpj_formatted(plain)} is one digit repeated, which nobody has; give the real one"]
    if plain[12:] != _cnpj_check_digits(plain[:12]):
        return [f"the CNPJ {cnpj_formatted(plain)} has wrong check digits; compare all of it with the document"]
    return []


def _cnpj_check_digits(body: str) -> str:
    first = _cnpj_check_digit(body)
    return first + _cnpj_check_digit(body + first)


def _cnpj_check_digit(body: str) -> str:
    """Modulo 11 with weights 2 to 9 from the right, over and over; a letter counts as its place in ASCII behind that of zero."""
    total = sum((ord(character) - ord("0")) * (2 + place % 8) for place, character in enumerate(reversed(body)))
    return str(-total % 11 % 10)


def ibge_problems(text: str) -> list[str]:
    """What is wrong with a município's code of the IBGE, of seven digits; at most one sentence."""
    if not re.fullmatch(r"[0-9]{7}", text):
        hint = "; with six digits the last one, a check digit, is missing" if re.fullmatch(r"[0-9]{6}", text) else ""
        return [f"{text!r} is not a município's code of the IBGE, which has 7 digits{hint}"]
    total = sum(sum(divmod(int(digit) * weight, 10)) for digit, weight in zip(text, (1, 2, 1, 2, 1, 2)))
    if text[6] != str(-total % 10) and text not in _IBGE_WITHOUT_CHECK:
        return [f"the IBGE code {text} has a wrong check digit; compare it with the list of the IBGE"]
    return []


def phone_digits(text: str) -> str:
    """The digits of a telephone number of Brazil, without the country's code and without the 0 before an area code."""
    digits = re.sub(r"[\s().-]", "", text)
    digits = digits[3:] if digits.startswith("+55") else digits
    return digits[1:] if re.fullmatch(r"0(?![3589]00)[1-9][0-9]{9,10}", digits) else digits


def phone_formatted(text: str) -> str:
    """Format as on documents, such as (67) 5555-0100; a text that is no telephone number is returned unchanged."""
    digits = phone_digits(text)
    if phone_problems(text):
        return text
    if digits.startswith("0"):
        return f"{digits[:4]} {digits[4:7]} {digits[7:]}"
    return f"({digits[:2]}) {digits[2:-4]}-{digits[-4:]}"


def phone_problems(text: str) -> list[str]:
    """What is wrong with a telephone number of Brazil; at most one sentence."""
    digits = phone_digits(text)
    if not re.fullmatch(r"[0-9]+", digits):
        return [f"the telephone number {text!r} has characters other than digits, blanks, dashes and brackets; write it as (67) 5555-0100"]
    if re.fullmatch(r"0[3589]00[0-9]{7}", digits):
        return []
    if len(digits) not in (10, 11):
        return [f"the telephone number {text!r} has {len(digits)} digits, not 10 or 11; write it with its area code, as (67) 5555-0100"]
    if not _AREA_CODE.match(digits):
        return [f"the telephone number {text!r} begins with {digits[:2]}, which is no area code of Brazil; compare it with the real one"]
    if (len(digits) == 11) != (digits[2] == "9") or digits[2] in "01":
        return [f"the telephone number {text!r} is no number of Brazil: with 9 digits it begins with 9, with 8 with 2 to 8; compare it"]
    return []


def email_problems(text: str) -> list[str]:
    """What is wrong with an e-mail address; at most one sentence."""
    found = _EMAIL.fullmatch(text)
    if found is None or _name_problems(found.group(1)) or len(text) > _DOMAIN_LENGTH:
        return [f"{text!r} is not an e-mail address; write it as saude@municipio.uf.gov.br, without a name and without brackets"]
    return []


def instalador_password_problems(password: str, name: str, cpf: str) -> list[str]:
    """Return everything for which PEC rejects this password of the instalador."""
    if not password:
        return ["the instalador's password is empty"]
    problems: list[str] = []
    if len(password) not in PASSWORD_LENGTH:
        shortest, longest = PASSWORD_LENGTH[0], PASSWORD_LENGTH[-1]
        problems.append(f"the instalador's password has {len(password)} characters; PEC accepts {shortest} to {longest}")
    if not any(character.isalpha() for character in password):
        problems.append("the instalador's password has no letter; PEC requires at least one")
    if not any(character.isdigit() for character in password):
        problems.append("the instalador's password has no digit; PEC requires at least one")
    if _holds_name(password, name):
        problems.append("the instalador's password contains a part of the instalador's name; PEC rejects personal data")
    if _holds_cpf(password, cpf):
        problems.append("the instalador's password contains digits of the instalador's CPF in a row; PEC rejects personal data")
    return problems


def _holds_name(password: str, name: str) -> bool:
    folded = _fold(password)
    parts = (part for part in _fold(name).split() if len(part) >= _NAME_PART_LENGTH and part not in _NAME_PARTICLES)
    return any(part in folded for part in parts)


def _holds_cpf(password: str, cpf: str) -> bool:
    digits = cpf_digits(cpf)
    parts = (digits[start : start + _CPF_PART_LENGTH] for start in range(len(digits) - _CPF_PART_LENGTH + 1))
    return any(part in password for part in parts)


def _fold(text: str) -> str:
    """Without accents and case, so that `João` is found in `joao2026`."""
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    return "".join(character for character in decomposed if not unicodedata.combining(character))


def link_problems(text: str) -> list[str]:
    """Return why a text cannot be the address of the installation, which PEC opens itself."""
    if not text.startswith(("http://", "https://")):
        return [f"the link {text!r} is not an address; it starts with https:// or http://"]
    try:
        parts = urlsplit(text)
        named = bool(parts.hostname) and parts.port != 0 and not re.search(r"[\s\x00-\x1f\x7f]", text)
    except ValueError:
        named = False
    return [] if named else [f"the link {text!r} is not an address; after // it has a name, and perhaps a port, as https://{_EXAMPLE}"]


def domain_problems(text: str) -> list[str]:
    """Return why a text cannot be the plain name of this server in browsers and certificates."""
    if not text.strip():
        return [f"the domain is empty; give the name under which people open PEC, such as {_EXAMPLE}"]
    problems: list[str] = []
    scheme, separator, rest = text.strip().rpartition("://")
    if separator:
        problems.append(f"it starts with the scheme {scheme + separator!r}")
    host, path = _split_path(rest)
    _user, at, host = host.rpartition("@")
    if at:
        problems.append("it has a user name before '@'")
    if path:
        problems.append(f"it has the path {path!r}")
    host, port = _split_port(host)
    if port:
        problems.append(f"it has the port {port!r}")
    if text != text.strip():
        problems.append("it has spaces around it")
    name = host.rstrip(".")
    problems += _name_problems(name)
    if host != name:
        problems.append("it ends in a dot")
    if not problems:
        return []
    instead = f"a name such as {_EXAMPLE}" if _name_problems(name) else name
    return [f"the domain {text!r} is not a plain domain name: {'; '.join(problems)}; write {instead}"]


def _split_path(text: str) -> tuple[str, str]:
    found = re.search(r"[/?#]", text)
    return (text[: found.start()], text[found.start() :]) if found else (text, "")


def _split_port(text: str) -> tuple[str, str]:
    """`host:8080` and `[::1]:8080` have a port, a bare `::1` has none."""
    found = re.fullmatch(r"(\[[^\]]*\]|[^:]*)(:[^:]*)?", text)
    return (found.group(1).strip("[]"), found.group(2) or "") if found else (text, "")


def _name_problems(name: str) -> list[str]:
    if not name:
        return ["it contains no name"]
    if _is_address(name):
        return ["it is an IP address, for which no public certificate is issued"]
    if "." not in name:
        return ["it is a single word; a public name has at least one dot"]
    problems: list[str] = []
    labels = name.split(".")
    if not name.isascii():
        problems.append("it has letters beyond a-z (a name with accents is written in its 'xn--' form)")
    elif not all(re.fullmatch(r"[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?", label) for label in labels):
        problems.append("a part between dots is empty or has characters other than letters, digits and inner dashes")
    if len(name) > _DOMAIN_LENGTH or any(len(label) > _LABEL_LENGTH for label in labels):
        problems.append(f"it is longer than {_DOMAIN_LENGTH} characters, or a part between dots longer than {_LABEL_LENGTH}")
    return problems


def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return bool(re.fullmatch(r"[0-9]+(\.[0-9]+)*", name))
    return True
