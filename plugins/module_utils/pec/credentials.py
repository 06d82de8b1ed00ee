# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads C(credenciais.txt), where the installer writes the database's logins. Private to the collection.

Its wording is known only from other people's parsers, so reading is lenient: accents, blank lines, line ends and trailing
punctuation do not matter.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, field

from ansible_collections.esus.pec.plugins.module_utils.errors import PecError

_URL = re.compile(r"jdbc:[a-z]+:\S+", re.IGNORECASE)
# The accented letter may be one character, two (UTF-8 read as Latin-1) or a replacement mark.
_USERNAME = re.compile(r"^\W*usu.{1,3}rio\s*:\s*(?P<value>\S.*?)\s*$", re.IGNORECASE)
_PASSWORD = re.compile(r"^\W*senha\s*:\s*(?P<value>\S.*?)\s*$", re.IGNORECASE)
_TRAILING = ".,;"
_LONGEST_LINE = 1000  # the patterns take long for longer ones, and PEC's account can write what it likes


@dataclass(frozen=True)
class Login:
    """A database role and its password."""

    username: str
    password: str = field(repr=False)


@dataclass(frozen=True)
class Credentials:
    """The JDBC URL, the role that PEC uses, and the one for reports (None if the file names only one)."""

    url: str = field(repr=False)
    full: Login
    read_only: Login | None


def parse(text: str) -> Credentials:
    """Return the file's content. Raises PecError, without quoting the file, if the URL or the first login is missing."""
    url = _URL.search(text)
    logins = _logins(text)
    if url is None or not logins:
        missing = "the JDBC URL" if url is None else "a pair of lines 'usuário:' and 'senha:'"
        raise PecError(f"{missing} was not found among the database credentials; compare the file's wording with docs/contract.md")
    return Credentials(url.group().rstrip(_TRAILING), logins[0], logins[1] if len(logins) > 1 else None)


def _logins(text: str) -> list[Login]:
    """Pair each user with the password after it; full access comes first, then read access."""
    logins = []
    username = None
    for line in (unicodedata.normalize("NFC", line) for line in text.splitlines() if len(line) <= _LONGEST_LINE):
        user_line = _USERNAME.match(line)
        password_line = _PASSWORD.match(line)
        if user_line:
            username = user_line.group("value")
        elif password_line and username is not None:
            logins.append(_login(username, password_line.group("value")))
            username = None
    return logins


def _login(username: str, password: str) -> Login:
    """A trailing mark belongs to the sentence, not to the password, only when the user's line ends with the same mark."""
    mark = username[-1]
    if mark not in _TRAILING:
        return Login(username, password)
    return Login(username.rstrip(_TRAILING), password[:-1] if password.endswith(mark) else password)
