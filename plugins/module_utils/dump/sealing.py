# SPDX-License-Identifier: GPL-3.0-or-later
"""Keeps the fingerprint of an encrypted dump inside the encryption. Private to the collection.

Whoever has the sum of a table with few rows can try what is in it, such as each CPF, until the sum is the same.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import cast

from ansible_collections.esus.pec.plugins.module_utils.archive.reading import Identity
from ansible_collections.esus.pec.plugins.module_utils.dump import json_fields, manifest
from ansible_collections.esus.pec.plugins.module_utils.dump.manifest import Manifest
from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.postgres.fingerprints import Fingerprint
from ansible_collections.esus.pec.plugins.module_utils.system import pipeline, process
from ansible_collections.esus.pec.plugins.module_utils.system.pipeline import Pipeline

_LONGEST = 8 << 20


def seal(fingerprint: Fingerprint, recipients: Sequence[str]) -> str:
    """Return the fingerprint encrypted to the recipients of the dump, as text. Raises PecError when age fails."""
    return encrypt("the fingerprint", json.dumps(asdict(fingerprint)), recipients)


def encrypt(what: str, text: str, recipients: Sequence[str]) -> str:
    """Return a text encrypted to the recipients, as text. C(what) names it in the PecError that is raised when age fails."""
    (stage,) = pipeline.encryption(recipients)
    answer = process.run([*stage.argv, "--armor"], stdin=text, confined=True)
    if answer.returncode != 0:
        raise PecError(f"age failed to encrypt {what}: {answer.stderr.strip()}; check the recipients")
    return answer.stdout


def unseal(path: str, described: Manifest, identity: Identity) -> Manifest:
    """Return the manifest of the dump C(path) with its fingerprint. Raises PecError if that is encrypted and cannot be read."""
    if not described.sealed_fingerprint:
        return described
    try:
        content = _decrypted(path, described.sealed_fingerprint.encode(), identity)
        found = cast(Fingerprint, json_fields.record(Fingerprint, manifest.FINGERPRINT, json_fields.parse(content)))
    except (ValueError, RecursionError) as error:
        raise PecError(
            f"the fingerprint in the manifest of {path} cannot be read ({str(error)[: json_fields.SHOWN]}); {manifest.AGAIN}"
        ) from None
    return replace(described, fingerprint=found)


def _decrypted(path: str, sealed: bytes, identity: Identity) -> bytes:
    stage = identity.stage(path)
    with os.fdopen(os.memfd_create("sealed"), "w+b") as source:
        source.write(sealed)
        source.seek(0)
        try:
            with Pipeline([stage], stdin=source.fileno(), collect=True) as age:
                content = age.output.read(_LONGEST + 1)
                if len(content) > _LONGEST:  # leaving by an exception ends age
                    raise ValueError("it is too long")
        except PecError as error:
            raise PecError(
                f"the fingerprint in the manifest of {path} cannot be decrypted ({error}); check that the identity belongs to one of its "
                f"recipients, or {manifest.AGAIN}"
            ) from None
    return content
