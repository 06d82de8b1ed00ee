# SPDX-License-Identifier: GPL-3.0-or-later
"""The one place that takes secrets out of text that people or logs get to see. Private to the collection."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable

MASK = "********"

_SECRET_FORMS = (
    # -password=..., --superpassword "...", databasePassword" : "...", spring.datasource.password=..., PGPASSWORD=...
    re.compile(r"""((?:pass(?:word|wd)?|senha)["']?(?:\s*[:=]\s*|\s+(?=["'])))("[^"]*"|'[^']*'|\S+)""", re.IGNORECASE),
    # jdbc:postgresql://user:secret@host
    re.compile(r"(//[^/\s:@]+:)([^@\s/]+)(?=@)"),
)

_SECRET_KEY = re.compile(r"password|passwd|passphrase|senha|secret|segredo|token|credential|private-?key|(?:^|[._-])pass$", re.IGNORECASE)


def looks_secret(key: str, value: str = "") -> bool:
    """Return whether the value of a setting must not be shown: its name is that of a secret, or a password is part of the value."""
    return bool(_SECRET_KEY.search(key)) or Redactor()(value) != value


class Redactor:
    """Takes secrets out of text: the values that are known and, unless C(only_known), whatever stands where passwords stand."""

    def __init__(self, secrets: Iterable[str] = (), *, only_known: bool = False) -> None:
        self._forms = () if only_known else _SECRET_FORMS
        known = {form for secret in secrets if secret for form in (secret, _escaped(secret), json.dumps(secret)[1:-1])}
        self._known = re.compile("|".join(re.escape(secret) for secret in sorted(known, key=len, reverse=True))) if known else None

    def __call__(self, text: str) -> str:
        """Return the text without secrets; it may have several lines."""
        if self._known is not None:
            text = self._known.sub(MASK, text)
        for form in self._forms:
            text = form.sub(rf"\g<1>{MASK}", text)
        return text


def _escaped(secret: str) -> str:
    return secret.replace("\\", "\\\\").replace('"', '\\"').replace("'", "\\'")
