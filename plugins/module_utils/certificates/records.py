# SPDX-License-Identifier: GPL-3.0-or-later
"""The certificates that lie in PEC's directories, and what is known of those that only their password opens.

The module esus.pec.certificate opens a PKCS#12 and notes down, without any secret, what is in it. The note counts as long as the file
is the very same.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from datetime import datetime, timezone

from ansible_collections.esus.pec.plugins.module_utils import beliefs
from ansible_collections.esus.pec.plugins.module_utils.certificates import rules, x509
from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.system import files, locks

RECORDS = f"{files.STATE_DIRECTORY}/certificates.json"
_KINDS = {".p12": "pkcs12", ".pfx": "pkcs12", ".jks": "jks"}
_TIME = "%Y-%m-%dT%H:%M:%SZ"


def iso(time: datetime) -> str:
    """Return a time as programs read it."""
    return time.astimezone(timezone.utc).strftime(_TIME)


def note(data: bytes, certificate: x509.Certificate) -> dict[str, str | None]:
    """Return what is noted down about a file."""
    return {
        "sha256": hashlib.sha256(data).hexdigest(),
        "holder": certificate.holder,
        "cnpj": certificate.identity.cnpj,
        "not_before": iso(certificate.not_before),
        "not_after": iso(certificate.not_after),
        "fingerprint_sha256": certificate.fingerprint_sha256,
    }


def read_notes(path: str = RECORDS) -> dict[str, dict[str, str | None]]:
    """Return the notes by the path of their file; a missing or damaged record is no notes, for they can be written anew."""
    try:
        content = json.loads(files.read_bytes(path))
    except (PecError, ValueError):
        return {}
    entries = content.items() if isinstance(content, dict) else ()
    return {name: entry for name, entry in entries if isinstance(entry, dict)}


def write_note(path: str, entry: dict[str, str | None] | None, record: str = RECORDS) -> None:
    """Note down what is in the file C(path), or forget it; notes about files that are gone are forgotten too."""
    files.make_private(os.path.dirname(record))
    with locks.lock("certificates"):
        notes = {name: each for name, each in read_notes(record).items() if os.path.exists(name) and name != path}
        if entry is not None:
            notes[path] = entry
        text = json.dumps(notes, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
        files.write_atomic(record, text.encode(), mode=0o600)


def describe(path: str, notes: Mapping[str, Mapping[str, str | None]], now: datetime) -> dict[str, object]:
    """Return what can be said about a file without its password; C(problem) is None where nothing is wrong with it."""
    suffix = os.path.splitext(path)[1].lower()
    kind = _KINDS.get(suffix, "certificate")
    found: dict[str, object] = {"path": path, "kind": kind, **dict.fromkeys(("holder", "cnpj", "not_after", "days_left", "problem"))}
    in_keys = f"/{beliefs.KEYS_DIRECTORY}/" in path
    rejected = f"PEC does not accept {suffix} files here; it takes {' or '.join(beliefs.CERTIFICATE_SUFFIXES)}" if in_keys else None
    try:
        data = files.read_bytes(path)
        known = _from_note(data, notes.get(path)) if kind == "pkcs12" else _from_file(data, kind)
    except PecError as error:
        return {**found, "problem": rejected if rejected and kind != "pkcs12" else str(error)}
    if not isinstance(known["not_after"], datetime):
        unread = "what is in it is not known: only its password opens it. Let esus.pec.certificate check it"
        return {**found, "problem": rejected if rejected and kind != "pkcs12" else unread}
    days = (known["not_after"] - now).days
    problem = f"expired on {rules.moment(known['not_after'])}" if known["not_after"] <= now else None
    if kind != "pkcs12" and rejected:
        problem = "; ".join(part for part in (rejected, problem) if part)
    return {**found, **known, "not_after": iso(known["not_after"]), "days_left": days, "problem": problem}


def _from_note(data: bytes, entry: Mapping[str, str | None] | None) -> dict[str, object]:
    if entry is None or entry.get("sha256") != hashlib.sha256(data).hexdigest():
        return {"not_after": None}
    try:
        not_after = datetime.strptime(entry.get("not_after") or "", _TIME).replace(tzinfo=timezone.utc)
    except ValueError:
        return {"not_after": None}
    return {"holder": entry.get("holder"), "cnpj": entry.get("cnpj"), "not_after": not_after}


def _from_file(data: bytes, kind: str) -> dict[str, object]:
    """The first certificate of a file that is not encrypted."""
    if kind == "jks":
        return {"not_after": None}
    ders = x509.blocks(data)
    if not ders:
        raise PecError("there is no certificate in it")
    certificate = x509.read(ders[0])
    return {"holder": certificate.holder, "cnpj": certificate.identity.cnpj, "not_after": certificate.not_after}
