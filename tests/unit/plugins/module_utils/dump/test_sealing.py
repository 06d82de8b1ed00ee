# SPDX-License-Identifier: GPL-3.0-or-later
"""The fingerprint of an encrypted dump, as whoever finds its manifest sees it, and as whoever forges one writes it. With the real age."""

from __future__ import annotations

import json
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from dump_world import FINGERPRINT, World

from ansible_collections.esus.pec.plugins.module_utils.archive.reading import Identity
from ansible_collections.esus.pec.plugins.module_utils.dump import manifest, sealing
from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.postgres.fingerprints import Fingerprint

SUMS = Fingerprint("rows-hash64", 1, "c0ffee" * 10, {"public.tb_instalador": (1, "8675309123456789")})


@pytest.fixture(scope="module")
def keys() -> list[tuple[str, str]]:
    """Two pairs of keys, the secret one first."""
    pairs = []
    for _each in range(2):
        lines = subprocess.run(["age-keygen"], capture_output=True, text=True, check=True).stdout.splitlines()
        pairs.append((lines[-1], next(line.split()[-1] for line in lines if "public key" in line)))
    return pairs


def encrypted(text: str, recipient: str) -> str:
    """What anybody can make who knows the public key."""
    return subprocess.run(["age", "--armor", "-r", recipient], input=text, capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize("encrypt", [True, False])
def test_the_manifest_of_an_encrypted_dump_has_no_sums(
    encrypt: bool, keys: list[tuple[str, str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (secret, public), (_other, also) = keys
    world = World(tmp_path, monkeypatch)
    monkeypatch.setattr("dump_world.FINGERPRINT", SUMS)
    outcome = world.dump("x", fingerprint=True, recipients=(public, also) if encrypt else ())
    text = Path(manifest.path_for(outcome.path)).read_text(encoding="utf-8")
    clear = [word for word in (SUMS.digest, "8675309123456789", "tb_instalador") if word in text]
    assert clear == ([] if encrypt else [SUMS.digest, "8675309123456789", "tb_instalador"])
    made = manifest.read(manifest.path_for(outcome.path))
    assert (made.fingerprint is None) == encrypt
    with Identity(text=secret) as identity:
        found = sealing.unseal(outcome.path, made, identity).fingerprint
    assert found == replace(SUMS, tables={name: list(line) for name, line in SUMS.tables.items()})


def test_every_table_of_a_large_database_comes_back(keys: list[tuple[str, str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (_secret, public), (secret, also) = keys
    many = replace(SUMS, tables={f"public.tb_{number}": [number, str(number**5)] for number in range(20000)})
    described = described_by(tmp_path, monkeypatch, sealing.seal(many, [public, also]))
    with Identity(text=secret) as identity:
        assert sealing.unseal("x", described, identity).fingerprint == many


def described_by(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sealed: str) -> manifest.Manifest:
    made = World(tmp_path, monkeypatch).dump("x").manifest
    assert made is not None
    return replace(made, sealed_fingerprint=sealed)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        pytest.param("{", "cannot be read", id="no JSON"),
        pytest.param("[]", "cannot be read", id="no fingerprint"),
        pytest.param(json.dumps({"method": "rows-hash64", "rows": -1, "digest": "", "tables": {}}), "rows: -1 is not a number", id="types"),
        pytest.param('{"method": 1, "rows": 1, "digest": "", "tables": {}}', "method: 1 is not a text", id="other types"),
        pytest.param("[" * 100000, "cannot be read", id="deep"),
        pytest.param("[" + "1," * 5_000_000 + "1]", "cannot be read", id="large"),
    ],
)
def test_what_somebody_else_encrypted_is_read_with_care(
    content: str, problem: str, keys: list[tuple[str, str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret, public = keys[0]
    described = described_by(tmp_path, monkeypatch, encrypted(content, public))
    with Identity(text=secret) as identity, pytest.raises(PecError, match=problem):
        sealing.unseal("x", described, identity)


def test_without_the_identity_nothing_is_compared_less(
    keys: list[tuple[str, str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (_secret, public), (other, _also) = keys
    described = described_by(tmp_path, monkeypatch, sealing.seal(FINGERPRINT, [public]))
    with Identity() as identity, pytest.raises(PecError, match="x is encrypted; give identity"):
        sealing.unseal("x", described, identity)
    with Identity(text=other) as identity, pytest.raises(PecError, match="cannot be decrypted"):
        sealing.unseal("x", described, identity)
    with Identity(text=other) as identity, pytest.raises(PecError, match="cannot be decrypted"):
        sealing.unseal("x", replace(described, sealed_fingerprint=described.sealed_fingerprint[:200]), identity)
