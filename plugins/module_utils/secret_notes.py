# SPDX-License-Identifier: GPL-3.0-or-later
"""What this host remembers of secrets without keeping them: whether a text is the very one that was used last time.

A slow, salted hash in a file for root alone; PEC itself keeps passwords on this host in no better form.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import secrets
from collections.abc import Mapping

from ansible_collections.esus.pec.plugins.module_utils import files
from ansible_collections.esus.pec.plugins.module_utils.errors import PecError

PATH = os.path.join(files.STATE_DIRECTORY, "settings.json")
_ITERATIONS = 200_000


def read(path: str = PATH) -> dict[str, Mapping[str, str]]:
    """Return the notes by their names; a missing or damaged file is no notes, for they are made anew."""
    try:
        content = json.loads(files.read_bytes(path))
    except (PecError, ValueError):
        return {}
    return {name: note for name, note in content.items() if isinstance(note, dict)} if isinstance(content, dict) else {}


def matches(name: str, text: str, path: str = PATH) -> bool:
    """Return whether this is the text that was noted under this name."""
    note = read(path).get(name, {})
    return bool(note.get("hash")) and hmac.compare_digest(str(note["hash"]), _hash(text, str(note.get("salt", ""))))


def write(name: str, text: str | None, path: str = PATH, **facts: str) -> None:
    """Remember a text under a name, with facts that are no secrets; None forgets the name."""
    with files.lock("settings"):
        notes = read(path)
        if text is None and name not in notes:
            return
        notes.pop(name, None)
        if text is not None:
            salt = secrets.token_hex(16)
            notes[name] = {**facts, "salt": salt, "hash": _hash(text, salt)}
        files.make_private(os.path.dirname(path))
        files.write_atomic(path, (json.dumps(notes, indent=1, sort_keys=True) + "\n").encode(), mode=0o600)


def _hash(text: str, salt: str) -> str:
    return hashlib.pbkdf2_hmac("sha256", text.encode(), salt.encode(), _ITERATIONS).hex()
