# SPDX-License-Identifier: GPL-3.0-or-later
"""PEC's login with Gov.br: checks of the credentials, the addresses to register, what makes it fail. Private to the collection."""

from __future__ import annotations

import json
import os
import re
import time
from dataclasses import dataclass

from ansible_collections.esus.pec.plugins.module_utils import beliefs, brazil
from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.redact import is_domain_name, looks_secret
from ansible_collections.esus.pec.plugins.module_utils.system import files, systemd

RECORD = os.path.join(files.STATE_DIRECTORY, "govbr.json")
CLOCK_TOLERANCE = 60
"""Seconds: Spring, which PEC is built with, accepts a token that is off by this much by default."""

# Examples consist of these words alone, however they are joined: SEU_CLIENT_SECRET_GOVBR, clientIdAqui, vault_govbr_client_secret.
_TELLING = re.findall(
    r"\w+",
    """client cliente id identificador secret secreto secreta segredo senha password chave credencial change mudar mude trocar troque
    alterar altere substituir substitua preencher preencha colocar coloque inserir insira informar informe digitar digite definir defina
    replace insert enter fill exemplo example sample placeholder dummy fake ficticio fixme todo tbd vault xxx""",
)
_BESIDE = re.findall(
    r"\w+",
    """seu sua meu minha your my our the this that a o de do da em in of for from me it isto isso este esta esse essa aqui here com by um
    uma please favor por pec esus gov br govbr login unico oauth oauth2 sso value valor key token municipio prefeitura test teste""",
)
_ALONE = re.compile("teste?|testing|demo|none|null|nil|na|undefined|indefinido|vazio|empty|pendente|pending|default|padrao|abc|asdf|qwerty")
_LONGEST_PLACEHOLDER = 100

_NAMED = frozenset(("secret", "segredo", "secreta", "senha", "password", "client", "cliente", "govbr", "oauth", "oauth2"))
_NAMED_LAST = frozenset(("id", "key", "chave"))
_SETTING = re.compile(r"oauth2\.client\.|client[-_. ]?(?:id|secret)[\"']?\s*[=:]", re.IGNORECASE)
_ADDRESS = re.compile(r"[a-z][a-z0-9+.-]*://", re.IGNORECASE)
_HOST_AND_MORE = re.compile(r"//|[\w-]+(?:\.[\w-]+)+(?:/|:[0-9]+$)")
_UUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_WORDS = re.compile(r"[a-z]+(?:[._-][a-z]+)*")
_GENERATED_LENGTH = 16


@dataclass(frozen=True)
class Clock:
    """This host's clock: what systemd reports, and the seconds that it is ahead of the reference. None is not known."""

    synchronized: bool | None = None
    ahead_seconds: float | None = None


def credential_problems(name: str, value: str) -> list[str]:
    """Return why a value cannot be what Gov.br sent. No sentence repeats the value."""
    if not value.strip():
        return [f"{name} is {'blank' if value else 'empty'}; give what Gov.br sent"]
    problems = []
    if re.search(r"\s", value):
        problems.append("contains a blank or a line end, probably from copying; remove it")
    elif not value.isascii() or not value.isprintable():
        problems.append("contains characters that Gov.br does not use, such as a dash or quotation mark of a word processor; type it again")
    if value.strip()[:1] in ("'", '"', "`") or value.strip()[-1:] in ("'", '"', "`"):
        problems.append("begins or ends with a quotation mark, which a properties file does not use; remove it")
    if "${" in value:
        problems.append("contains ${, which PEC would replace by another setting; ask Gov.br for another value")
    if _is_setting(value):
        problems.append("contains the name of a setting, as if a whole line was copied; give only what follows the = of that line")
    elif _is_placeholder(value):
        problems.append("is a placeholder from an example; give what Gov.br sent")
    elif _ADDRESS.match(value.strip()) or (name == "client_id" and _HOST_AND_MORE.match(value.strip())):
        problems.append("is an address; give what Gov.br sent, without https:// and without a path")
    return [f"{name} {problem}" for problem in problems]


def pair_problems(client_id: str, client_secret: str) -> list[str]:
    """Return why two values cannot be an id and its secret, though each of them could be one of both. No sentence repeats a value."""
    if client_id == client_secret:
        return ["client_id and client_secret are the same; copy each from Gov.br again"]
    identifies = _WORDS.fullmatch(client_secret) or (_UUID.fullmatch(client_secret) and len(client_id) > len(client_secret))
    if is_domain_name(client_secret) or (identifies and _is_generated(client_id)):
        return [
            "client_secret is written like a client id; if the two are swapped, exchange them, otherwise copy the secret from Gov.br again"
        ]
    return []


def id_warnings(client_id: str) -> list[str]:
    """Return why a client id may be the secret."""
    if not _is_generated(client_id):
        return []
    return ["client_id is not a plain name and may be the secret, so it is not shown; compare both with what Gov.br sent"]


def _is_generated(value: str) -> bool:
    identifies = _WORDS.fullmatch(value) or _UUID.fullmatch(value)
    return len(value) >= _GENERATED_LENGTH and looks_secret(beliefs.GOVBR_ID_KEY, value) and not identifies


def _is_setting(value: str) -> bool:
    """Return whether a value begins with its own name, in one of the ways in which settings are written."""
    if _SETTING.search(value) or value.strip()[:1] == "=":
        return True
    head, sign, rest = re.match(r"([^=:]*)([=:]?)(.*)", value, re.DOTALL).groups()  # type: ignore[union-attr]  # it always matches
    words = re.findall(r"[a-z0-9]+", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", head).casefold())
    named = not _NAMED.isdisjoint(words) or (bool(words) and words[-1] in _NAMED_LAST)
    return bool(sign) and named and bool(rest.strip("= "))  # base64 may end in one or two of them


def _is_placeholder(value: str) -> bool:
    text = value.strip().casefold()
    if re.fullmatch(r"<.*>|\[.*\]|\{.*\}|\(.*\)", text) or len(set(text)) == 1:
        return True
    joined = re.sub(r"[\W_]", "", text)
    if len(joined) > _LONGEST_PLACEHOLDER or (text.endswith(".br") and is_domain_name(text)):
        return False
    joined = re.sub(r"(?<=[a-z])123[0-9]*$", "", joined)
    alone = len(set(joined)) <= 1 or _ALONE.fullmatch(joined) is not None or joined in "01234567890123456789"
    return alone or (_consists_of(joined, _TELLING + _BESIDE) and not _consists_of(joined, _BESIDE))


def _consists_of(text: str, words: list[str]) -> bool:
    reached = {0}
    for start in range(len(text)):
        if start in reached:
            reached |= {start + len(word) for word in words if text.startswith(word, start)}
    return len(text) in reached


def redirect_urls(domain: str) -> list[str]:
    """Return the addresses to register with Gov.br, to which it sends people back after the login.

    Browsers write a domain in small letters, and Gov.br compares addresses letter by letter.
    """
    return [f"https://{domain.lower()}{path}" for path in beliefs.GOVBR_REDIRECTS] if domain else []


def logout_url(domain: str) -> str | None:
    return f"https://{domain.lower()}{beliefs.GOVBR_LOGOUT}" if domain else None


def domain_warnings(domain: str) -> list[str]:
    """Return why Gov.br may reject a domain. Raises PecError for text that is not a domain."""
    if not domain:
        return ["domain is missing, so the addresses to register with Gov.br are not known; set domain (role: pec_domain)"]
    problems = brazil.domain_problems(domain)
    if problems:
        raise PecError("; ".join(problems))
    if domain.lower().endswith(".gov.br"):
        return []
    return [
        f"the domain {domain} does not end in .gov.br; Gov.br may reject it (Portaria SGD/MGI 7.076/2024). Ask your state for a "
        ".gov.br domain (procedure 5.1), or ask Gov.br before people rely on this login"
    ]


def read_clock(reference: float | None) -> Clock:
    """Return the state of this host's clock. C(reference) is the right time, in seconds since 1970."""
    return Clock(systemd.clock_synchronized(), None if reference is None else round(time.time() - reference, 1))


def clock_warnings(clock: Clock) -> list[str]:
    warnings = []
    if clock.ahead_seconds is not None and abs(clock.ahead_seconds) > CLOCK_TOLERANCE:
        direction = "ahead of" if clock.ahead_seconds > 0 else "behind"
        warnings.append(
            f"this server's clock is {abs(clock.ahead_seconds):.0f} seconds {direction} the controller's, and a wrong clock makes a "
            "login with Gov.br fail; find out which of the two is right, then set the other"
        )
    if clock.synchronized is False:
        warnings.append("this server's clock is not synchronized (timedatectl); install chrony or enable systemd-timesyncd")
    return warnings


def note_change(path: str = RECORD) -> None:
    """Record when the credentials changed: if a run is interrupted before PEC's restart, the next run restarts PEC."""
    files.make_private(os.path.dirname(path))
    files.write_atomic(path, (json.dumps({"changed": time.time()}) + "\n").encode())


def restart_pending(path: str = RECORD) -> bool:
    """Return whether PEC was started before the last change, and so has not read it."""
    changed, age = _changed(path), systemd.active_seconds(beliefs.PEC_UNIT)
    return changed is not None and age is not None and changed > time.time() - age


def _changed(path: str) -> float | None:
    if not os.path.exists(path):
        return None
    try:
        record = json.loads(files.read_text_lenient(path))
    except ValueError:
        return None
    changed = record.get("changed") if isinstance(record, dict) else None
    return float(changed) if isinstance(changed, (int, float)) else None
