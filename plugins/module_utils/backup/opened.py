# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether the private key of encrypted backups is known to exist: a rehearsal opened one, or the key opened a challenge. Private to the
collection.

A challenge is a random word that is encrypted to the recipients of the backups. Whoever has a private key decrypts it, anywhere, and hands
back the word, of which the server kept a hash. The key itself comes neither to the server nor to the controller.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import json
import os
import secrets
from collections.abc import Iterable, Sequence

from ansible_collections.esus.pec.plugins.module_utils.dump import sealing
from ansible_collections.esus.pec.plugins.module_utils.dump.manifest import Backup
from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.system import files

DIRECTORY = "/var/lib/esus-pec/backup"
REHEARSAL = "last-rehearsal.json"  # written by the role pec_backup after a rehearsal, which reads the whole dump
PROOF = "opened.json"
CHALLENGE = "backup-challenge.json"  # beside the configuration, which only root can read
_LIMIT = 1 << 20


def protected(recipients: Sequence[str], prunable: Sequence[Backup], known: Iterable[Backup], *, check: bool = False) -> list[Backup]:
    """Return those of C(prunable) that must stay, because nothing encrypted to these recipients was opened yet.

    Backups of the same recipients may go, because they are no easier to read. C(known): all backups of the directory, among which the one
    that was rehearsed is looked for. check: nothing is recorded.
    """
    wanted = _keys(recipients)
    others = [backup for backup in prunable if _keys(backup.manifest.recipients) != wanted]
    if not wanted or not others or _recorded() == wanted:
        return []
    rehearsed = _read(REHEARSAL).get("sha256")
    if any(backup.manifest.sha256 == rehearsed and _keys(backup.manifest.recipients) == wanted for backup in known):
        if not check:  # the backup that was rehearsed will be pruned itself one day
            _record(wanted)
        return []
    return others


def prove(recipients: Sequence[str], directory: str, words: Sequence[str], *, check: bool = False) -> tuple[bool, bool, str]:
    """Accept one of these words as the proof. Without words, return the challenge to decrypt, which is made if there is none yet.

    Returned are whether anything changed, whether the private key is proven, and the challenge if it is not. C(directory) is that of the
    configuration. check: nothing is written. Raises PecError for words that prove nothing.
    """
    wanted, path = _keys(recipients), os.path.join(directory, CHALLENGE)
    if not wanted:
        raise PecError("the backups are not encrypted, so there is no key to prove; set pec_backup_recipients, and run the role pec_backup")
    if _recorded() == wanted:
        return False, True, ""
    open_one = _read(path)
    challenge, expected = open_one.get("challenge"), open_one.get("sha256")
    if open_one.get("recipients") != wanted or not isinstance(challenge, str) or not isinstance(expected, str):
        challenge, expected = "", ""
    if words:
        if not challenge:
            raise PecError("no challenge for the present recipients is open on this server; ask for one first, without a word")
        if not any(hmac.compare_digest(_sum(word).encode(), expected.encode()) for word in words):
            raise PecError(
                "the word is not the one in the challenge of this server; decrypt this server's challenge (age -d -i KEY), and hand over "
                "what that prints"
            )
        if not check:
            _record(wanted)
            files.unlink(path)
        return True, True, ""
    if challenge or check:
        return not challenge, False, challenge
    word = f"pec-{secrets.token_hex(16)}"  # by its beginning no YAML takes it for a number; too long to be found by trying
    challenge = sealing.encrypt("the challenge", word, wanted)
    _write(path, {"recipients": wanted, "challenge": challenge, "sha256": _sum(word)}, 0o600)
    return True, False, challenge


def _sum(word: str) -> str:
    return hashlib.sha256(word.encode(errors="replace")).hexdigest()


def _record(recipients: list[str]) -> None:
    for path in (os.path.dirname(DIRECTORY), DIRECTORY):
        files.make_directory(path, mode=0o755)  # as the records for monitoring
    _write(os.path.join(DIRECTORY, PROOF), {"recipients": recipients}, 0o644)


def _write(path: str, content: dict[str, object], mode: int) -> None:
    files.write_atomic(path, json.dumps(content, indent=1).encode() + b"\n", mode=mode)


def _recorded() -> object:
    return _read(PROOF).get("recipients")


def _read(name: str) -> dict[str, object]:
    """Return a record; an unreadable one proves nothing."""
    with contextlib.suppress(PecError, OSError, ValueError, RecursionError):
        content = json.loads(files.read_bytes(os.path.join(DIRECTORY, name), _LIMIT))
        if isinstance(content, dict):
            return content
    return {}


def _keys(recipients: Sequence[str]) -> list[str]:
    return sorted({recipient.strip() for recipient in recipients})
