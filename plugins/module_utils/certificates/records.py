# SPDX-License-Identifier: GPL-3.0-or-later
"""Describes the certificates in PEC's directories, and records those that only a password opens. Private to the collection.

The module esus.pec.certificate opens a PKCS#12 and records its content, without secrets. The record is valid for that exact file only.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from datetime import datetime

from ansible_collections.esus.pec.plugins.module_utils import beliefs
from ansible_collections.esus.pec.plugins.module_utils.certificates import x509
from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.system import clock, files, locks
from ansible_collections.esus.pec.plugins.module_utils.system.directory import RefusedError

RECORDS = f"{files.STATE_DIRECTORY}/certificates.json"
_KINDS = {".p12": "pkcs12", ".pfx": "pkcs12", ".jks": "jks"}


def note(data: bytes, certificate: x509.Certificate) -> dict[str, str | None]:
    """Return the record of a file."""
    return {
        "sha256": hashlib.sha256(data).hexdigest(),
        "holder": certificate.holder,
        "cnpj": certificate.identity.cnpj,
        "not_before": clock.utc(certificate.not_before),
        "not_after": clock.utc(certificate.not_after),
        "fingerprint_sha256": certificate.fingerprint_sha256,
    }


def read_notes(path: str = RECORDS) -> dict[str, dict[str, str | None]]:
    """Return the records by the path of their file. A missing or damaged file counts as empty, because it can be written again."""
    try:
        content = json.loads(files.read_bytes(path))
    except (PecError, ValueError):
        return {}
    entries = content.items() if isinstance(content, dict) else ()
    return {name: entry for name, entry in entries if isinstance(entry, dict)}


def write_note(path: str, entry: dict[str, str | None] | None, record: str = RECORDS) -> None:
    """Record the content of the file C(path), or remove its record; records of files that no longer exist are removed too."""
    files.make_private(os.path.dirname(record))
    with locks.lock("certificates"):
        notes = {name: each for name, each in read_notes(record).items() if os.path.lexists(name) and name != path}
        if entry is not None:
            notes[path] = entry
        text = json.dumps(notes, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
        files.write_atomic(record, text.encode(), mode=0o600)


def describe(path: str, notes: Mapping[str, Mapping[str, str | None]], now: datetime) -> dict[str, object]:
    """Return the facts about a file that need no password; C(problem) is None for a good one."""
    suffix = os.path.splitext(path)[1].lower()
    kind = _KINDS.get(suffix, "certificate")
    found: dict[str, object] = {"path": path, "kind": kind, **dict.fromkeys(("holder", "cnpj", "not_after", "days_left", "problem"))}
    not_after = problem = None
    refused = False
    try:
        data = files.read_bytes(path, files.CERTIFICATE)
        if kind == "pkcs12":
            known, not_after = _from_note(data, notes.get(path))
        elif kind == "certificate":
            known, not_after = _from_file(data)
    except PecError as error:
        problem, refused = str(error), isinstance(error, RefusedError)
    if not_after is not None:
        problem = f"expired on {clock.human(not_after)}" if not_after <= now else None
        found = {**found, **known, "not_after": clock.utc(not_after), "days_left": (not_after - now).days}
    elif problem is None:
        problem = "the content is not known, because only its password opens the file; check it with esus.pec.certificate"
    if kind != "pkcs12" and f"/{beliefs.KEYS_DIRECTORY}/" in path:
        rejected = f"PEC does not accept {suffix} files here; it takes {' or '.join(beliefs.CERTIFICATE_SUFFIXES)}"
        problem = f"{rejected}; {problem}" if problem and (not_after is not None or refused) else rejected
    return {**found, "problem": problem}


def _from_note(data: bytes, entry: Mapping[str, str | None] | None) -> tuple[dict[str, str | None], datetime | None]:
    if entry is None or entry.get("sha256") != hashlib.sha256(data).hexdigest():
        return {}, None
    try:
        return {name: entry.get(name) for name in ("holder", "cnpj")}, clock.parse(entry.get("not_after") or "")
    except PecError:
        return {}, None


def _from_file(data: bytes) -> tuple[dict[str, str | None], datetime]:
    """Read the first certificate of a file that is not encrypted."""
    ders = x509.blocks(data)
    if not ders:
        raise PecError("the file contains no certificate")
    certificate = x509.read(ders[0])
    return {"holder": certificate.holder, "cnpj": certificate.identity.cnpj}, certificate.not_after
