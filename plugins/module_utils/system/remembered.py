# SPDX-License-Identifier: GPL-3.0-or-later
"""Remembers which secrets were used on this host, without keeping them. Private to the collection.

Slow, salted hashes in files that only root can read; PEC itself keeps passwords on this host in no better form. A note counts for one
database of PEC, because a restored one has other passwords; if a database is unknown, it counts for any.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import secrets
from typing import ContextManager, Dict, List, Mapping

from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.system import files, locks
from ansible_collections.esus.pec.plugins.module_utils.system.clock import utc

SENT = os.path.join(files.STATE_DIRECTORY, "settings.json")
REFUSED = os.path.join(files.STATE_DIRECTORY, "refused-logins.json")
_ITERATIONS = 200_000
_KEPT = 10
_WAIT = 10.0

Note = Mapping[str, str]
Notes = Dict[str, List[Note]]


def find(path: str, name: str, text: str, database: str) -> Note | None:
    """Return the note of this text under this name."""
    for note in _read(path).get(name, []):
        known = bool(note.get("database")) and bool(database)
        if not (known and note["database"] != database) and hmac.compare_digest(note["hash"], _hash(text, note["salt"])):
            return note
    return None


def add(path: str, name: str, text: str, database: str, *, only: bool = False) -> None:
    """Remember a text under a name, beside the last few others of that name, or C(only) it."""
    salt = secrets.token_hex(16)
    note = {"salt": salt, "hash": _hash(text, salt), "database": database, "at": utc()}
    with _alone():
        notes = _read(path)
        notes[name] = [note] if only else [*notes.get(name, []), note][-_KEPT:]
        _write(path, notes)


def forget(path: str, name: str, text: str | None = None, database: str = "") -> None:
    """Forget a text of a name, or all of them."""
    with _alone():
        notes = _read(path)
        found = None if text is None else find(path, name, text, database)
        kept = [note for note in notes.get(name, []) if text is not None and note != found]
        if kept != notes.get(name, []):
            _write(path, {**notes, name: kept})


def _alone() -> ContextManager[None]:
    return locks.lock_soon("secret-notes", _WAIT)


def _read(path: str) -> Notes:
    """The notes; none in a missing or damaged file, which the next note replaces."""
    try:
        content = json.loads(files.read_bytes(path))
        return {name: [note for note in notes if note["hash"] and note["salt"]] for name, notes in content.items()}
    except (PecError, ValueError, TypeError, KeyError, AttributeError):
        return {}


def _write(path: str, notes: Notes) -> None:
    files.make_private(os.path.dirname(path))
    files.write_atomic(path, (json.dumps(notes, indent=1, sort_keys=True) + "\n").encode(), mode=0o600)


def _hash(text: str, salt: str) -> str:
    return hashlib.pbkdf2_hmac("sha256", text.encode(), salt.encode(), _ITERATIONS).hex()
