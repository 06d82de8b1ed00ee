# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import stat
import subprocess
from pathlib import Path

import pytest

from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.transfer import keys
from ansible_collections.esus.pec.plugins.module_utils.transfer.keys import Desired

HOST_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILyn9tcfNirOSQCpnMLNREv20GXAvibRZ+nyMd5vHaf8"


def have(desired: Desired) -> list[str]:
    steps = keys.plan(keys.read_current(desired), desired)
    keys.apply(desired, steps)
    return steps


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "transfer" / "ssh"


def test_a_key_is_made_once(directory: Path) -> None:
    desired = Desired(str(directory))
    assert have(desired) == ["make key"]
    first = keys.read_current(desired)
    assert first.public_key and first.public_key.startswith("ssh-ed25519 ") and keys.COMMENT not in first.public_key
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    assert {path.name: stat.S_IMODE(path.stat().st_mode) for path in directory.iterdir()} == {"id_ed25519": 0o600}
    assert have(desired) == [] and keys.read_current(desired) == first
    assert first.private_key is not None and first.private_key not in repr(first)


def test_a_key_that_a_killed_run_left_half_written_is_made_again(directory: Path) -> None:
    desired = Desired(str(directory))
    directory.mkdir(parents=True)
    for name in ("id_ed25519", "id_ed25519.new", "id_ed25519.new.pub"):
        (directory / name).write_text("-----BEGIN")
    assert have(desired) == ["make key"]
    assert keys.read_current(desired).public_key
    assert [path.name for path in directory.iterdir()] == ["id_ed25519"]


def test_a_given_key(directory: Path, tmp_path: Path) -> None:
    for name, passphrase in (("own", ""), ("locked", "senha")):
        subprocess.run(["ssh-keygen", "-q", "-t", "ecdsa", "-N", passphrase, "-f", tmp_path / name], check=True)
    given = Desired(str(directory), (tmp_path / "own").read_text().replace("\n", "\r\n").strip())
    assert have(given) == ["write key"] and have(given) == []
    public = keys.read_current(given).public_key
    assert public and (tmp_path / "own.pub").read_text().startswith(public)
    assert have(Desired(str(directory))) == []  # it is kept
    for content in ((tmp_path / "locked").read_text(), "x"):
        with pytest.raises(PecError, match="without a passphrase"):
            have(Desired(str(directory), content))
    assert keys.read_current(given).public_key == public and [path.name for path in directory.iterdir()] == ["id_ed25519"]


@pytest.mark.parametrize(
    ("host", "port", "name"),
    [("old.example", 22, "old.example"), ("192.0.2.1", 2222, "[192.0.2.1]:2222"), ("[2001:db8::1]", 22, "2001:db8::1")],
)
def test_known_hosts(directory: Path, host: str, port: int, name: str) -> None:
    desired = Desired(str(directory), known_hosts=keys.known_hosts(host, port, [HOST_KEY]))
    assert have(desired) == ["make key", "write known hosts"] and have(desired) == []
    found = subprocess.run(["ssh-keygen", "-F", name, "-f", directory / "known_hosts"], capture_output=True, text=True, check=True)
    assert HOST_KEY in found.stdout
    assert have(Desired(str(directory), known_hosts=keys.known_hosts(host, port + 1, [HOST_KEY]))) == ["write known hosts"]


@pytest.mark.parametrize("key", [f"{HOST_KEY}\n* {HOST_KEY}", "@cert-authority x", "x", f"{HOST_KEY} comment"])
def test_what_is_no_host_key(key: str) -> None:
    with pytest.raises(PecError, match="is no host key"):
        keys.known_hosts("h", 22, [key])


@pytest.mark.parametrize("host", ["*", "a,b", "a b", "", "!a", "|1|x"])
def test_what_is_no_host(host: str) -> None:
    with pytest.raises(PecError, match="is no name or address"):
        keys.known_hosts(host, 22, [HOST_KEY])


def test_removed(directory: Path) -> None:
    desired = Desired(str(directory), known_hosts="h x")
    assert not keys.remove(desired)
    have(desired)
    assert keys.remove(desired, check=True) and directory.exists()
    assert keys.remove(desired) and not directory.exists() and not keys.remove(desired)
