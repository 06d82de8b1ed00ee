# SPDX-License-Identifier: GPL-3.0-or-later
"""Takes secrets out of text before an operator or a log sees it. Private to the collection."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable

MASK = "********"

_SECRET_FORMS = (
    # -password=..., --superpassword "...", databasePassword" : "...", spring.datasource.password=..., PGPASSWORD=..., client-secret: ...
    re.compile(
        r"""((?:pass(?:word|wd|phrase)?|pwd|senha|secret|segredo|token|(?:api|access|private)[-_.]?key|(?:key|store)pass)["']?"""
        r"""(?:\s*[:=]\s*|\s+(?=["'])))("[^"]*"|'[^']*'|\S+)""",
        re.IGNORECASE,
    ),
    # keytool -storepass ..., -keypass ...
    re.compile(r"((?<!\S)-{1,2}(?:key|store|src|dest|new|super)*pass(?:word|wd)?\s+)([^\s-]\S*)", re.IGNORECASE),
    # jdbc:postgresql://user:secret@host, redis://:secret@host
    re.compile(r"(//[^/\s:@]*:)([^@\s/]+)(?=@)"),
)
# What is a secret by itself, wherever it is.
_KEY_FORMS = (
    re.compile(r"()\bAGE-(?:SECRET-KEY|PLUGIN-[A-Z0-9-]{0,100}?)-?1[A-Z0-9]+", re.IGNORECASE),
    re.compile(r"()-----BEGIN [^-\n]*PRIVATE KEY-----(?:\s|\\r|\\n)+\S[\s\S]*?(?:-----END [^-\n]*-----|\Z)"),
)
_SECRET_PARTS = re.compile(
    "passw|passphrase|passcode|pwd|senha|secret|segredo|token|credential|credencia|storepass|keypass|jaas"
    "|(?:api|access|private|signing|encryption|master)key|chaveprivada|contrachave"
)
_SECRET_WORDS = re.compile(
    r"(?:^|-)(?:(?:db|user|root|admin|smtp|mail|ldap)?pass|pin|psk|otp)(?:-|$)|(?:^|-)(?<!public-)(?:key|chave|jwt)$"
)
# Of a client's id that is not written as a domain name, nobody knows whether it is the secret, given in the wrong place.
_CLIENT_ID = re.compile(r"(?:^|-)client-?id$")
_SHORTEST_SECRET = 8
_DOMAIN_NAME = re.compile(r"(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]{2,24}")
# How a program that quotes a secret may write it, without the quotes around it.
_SPELLINGS: tuple[Callable[[str], str], ...] = (
    lambda secret: secret,
    lambda secret: json.dumps(secret)[1:-1],
    lambda secret: json.dumps(secret, ensure_ascii=False)[1:-1],
    lambda secret: json.dumps(json.dumps(secret)[1:-1])[1:-1],  # a request in the report of its error
    lambda secret: json.dumps(json.dumps(secret, ensure_ascii=False)[1:-1], ensure_ascii=False)[1:-1],
    lambda secret: repr(secret)[1:-1],
    lambda secret: secret.replace("\\", "\\\\"),
    lambda secret: re.sub(r"([\\:])", r"\\\1", secret),  # a file of Java properties
    lambda secret: re.sub(r"([\\'\"])", r"\\\1", secret),
    lambda secret: re.sub(r"([\\'])", r"\\\1", secret),  # a connection string of libpq
    lambda secret: re.sub(r"([\\ \t\n])", r"\\\1", secret),  # PGOPTIONS
    lambda secret: re.sub(r"([^\w%+,./:=@-])", r"\\\1", secret),  # a shell's %q
    lambda secret: secret.replace("'", "'\"'\"'"),  # shlex.quote
    lambda secret: secret.replace("'", "'\\''"),  # a shell's set -x
    lambda secret: secret.replace("'", "''"),  # SQL
    lambda secret: secret.replace("\\", "\\\\").replace("'", "''"),  # SQL, E'...'
)


def looks_secret(key: str, value: str = "") -> bool:
    """Return whether the value of a setting must not be shown: its name is that of a secret, or a password is part of the value."""
    words = re.sub(r"[^a-z0-9]+", "-", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "-", key).lower())  # clientSecret, client_secret
    if _CLIENT_ID.search(words) and len(value) >= _SHORTEST_SECRET and not is_domain_name(value):
        return True
    named = _SECRET_PARTS.search(words.replace("-", "")) or _SECRET_WORDS.search(words)
    return bool(named) or Redactor()(value) != value


def is_domain_name(text: str) -> bool:
    """Return whether a text is written as a domain name is; with both small letters and capitals it may be random, but under C(gov.br)."""
    small = text.lower()
    return (text in (small, text.upper()) or small.endswith(".gov.br")) and _DOMAIN_NAME.fullmatch(small) is not None


class Redactor:
    """Takes secrets out of text: the known ones however they are spelled, private keys, and any value in a password's place.

    only_known leaves the last out.
    """

    def __init__(self, secrets: Iterable[str] = (), *, only_known: bool = False) -> None:
        self._forms = _KEY_FORMS if only_known else (*_KEY_FORMS, *_SECRET_FORMS)
        known = [spelling for secret in sorted(filter(None, set(secrets)), key=len, reverse=True) for spelling in _patterns(secret)]
        self._known = re.compile("|".join(known)) if known else None

    def __call__(self, text: str) -> str:
        """Return the text without secrets; it may have several lines."""
        if self._known is not None:
            text = self._known.sub(MASK, text)
        for form in self._forms:
            text = form.sub(rf"\g<1>{MASK}", text)
        return text


def _patterns(secret: str) -> list[str]:
    """Return patterns for all spellings, the longer ones first: a part of a spelling may be another."""
    written = sorted({spell(secret) for spell in _SPELLINGS}, key=len, reverse=True)
    # Which characters a URL has percent-encoded is up to its writer.
    return [*map(re.escape, written), "".join(map(_in_url, secret))]


def _in_url(character: str) -> str:
    encoded = "".join(f"%{byte:02X}" for byte in character.encode("utf-8", "surrogatepass"))
    return f"(?:{re.escape(character)}|(?i:{encoded}){'|[+]' if character == ' ' else ''})"
