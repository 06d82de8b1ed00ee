# SPDX-License-Identifier: GPL-3.0-or-later
"""Downloads a file from a remote of rclone, once, as C(receiving) does from a link. Private to the collection."""

from __future__ import annotations

import hashlib
import os
from typing import BinaryIO

from ansible_collections.esus.pec.plugins.module_utils.archive import reading
from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.received import messages, receiving
from ansible_collections.esus.pec.plugins.module_utils.received.messages import InterruptedDownloadError, NotReceivedError
from ansible_collections.esus.pec.plugins.module_utils.received.receiving import Desired, Received, Record
from ansible_collections.esus.pec.plugins.module_utils.system import files
from ansible_collections.esus.pec.plugins.module_utils.system.rclone import File, Rclone, Remote

_HEAD = 1 << 16
_ATTEMPTS = 3  # without progress in between
_PROGRESS = 1 << 20
_KINDS = ("sha256", "sha1", "md5")


def receive(desired: Desired, remote: Remote, program: Rclone, *, check: bool = False) -> Received:
    """Have the file in the directory. With check only its first bytes are asked for. Raises PecError when it cannot be had."""
    if not check:
        files.make_private(desired.directory)
    current = receiving.read_current(desired)
    action = receiving.plan(current, desired)
    if action == "none":
        return Received(action, remote.name, current.record.bytes, current.record.sha256)
    found = program.file(remote)
    if found.bytes == 0:
        raise NotReceivedError(f"{remote.text} is empty", messages.EMPTY)
    try:
        reading.require_dump(remote.text, program.head(remote, min(found.bytes, _HEAD)))
    except PecError as error:
        raise NotReceivedError(str(error), messages.NO_DUMP) from None
    mark = " ".join([found.changed, str(found.bytes), *(found.hashes[kind] for kind in _KINDS if kind in found.hashes)])
    resumes = current.record.mark == mark and 0 < current.part <= found.bytes
    action = "resume" if resumes and not current.complete else "download"
    if check:
        receiving.require_room(desired, found.bytes, current.part if resumes else 0)
        return Received(action, remote.name, found.bytes, "")
    with receiving.opened_part(desired) as part:
        if action != "resume":
            part.truncate(0)
        record = _download(desired, remote, program, found, part, Record(found.bytes, mark))
    return Received(action, remote.name, record.bytes, record.sha256)


def _download(desired: Desired, remote: Remote, program: Rclone, found: File, part: BinaryIO, record: Record) -> Record:
    """Fill the file, however often rclone ends, as long as something arrives; then give it its name."""
    left = _ATTEMPTS
    receiving.write(desired, record)
    while True:
        before = part.seek(0, os.SEEK_END)
        if before == found.bytes:
            break
        receiving.require_room(desired, found.bytes, before)
        reason = program.copy(remote, part.fileno(), before, found.bytes - before)
        after = os.fstat(part.fileno()).st_size
        if after > found.bytes:
            part.truncate(0)
            raise PecError(f"{remote.text} has more than the {found.bytes} bytes that the remote reports; check its upload, then run again")
        left = _ATTEMPTS if after - before >= _PROGRESS else left - 1
        if after < found.bytes and not left:
            what = f"{remote.text} arrived with {after} of {found.bytes} bytes: {reason or 'rclone ended'}"
            raise InterruptedDownloadError(what, messages.INCOMPLETE_FILE)
    digest = _compared(remote, found, part)
    if desired.sha256 not in ("", digest):
        part.truncate(0)
        raise NotReceivedError(f"{remote.text} has the SHA-256 {digest}, not {desired.sha256}", messages.OTHER_FILE)
    return receiving.completed(desired, part, record, digest)


def _compared(remote: Remote, found: File, part: BinaryIO) -> str:
    """Return the SHA-256 of what arrived. Raises PecError if the remote has another checksum."""
    digests = {kind: hashlib.new(kind) for kind in _KINDS if kind == "sha256" or kind in found.hashes}
    part.seek(0)
    for data in iter(lambda: part.read(1 << 20), b""):
        for digest in digests.values():
            digest.update(data)
    wrong = [kind for kind, digest in digests.items() if found.hashes.get(kind, digest.hexdigest()) != digest.hexdigest()]
    if wrong:
        part.truncate(0)
        raise PecError(f"{remote.text} arrived with another {wrong[0]} than the remote reports; run again")
    return digests["sha256"].hexdigest()
