# SPDX-License-Identifier: GPL-3.0-or-later
"""The target's key for the source, and the list of the source's host keys: two files of root's. Private to the collection."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.system import files, process

DIRECTORY = "/var/lib/esus-pec/transfer/ssh"
COMMENT = "esus.pec-transfer"
_HOST_KEY = re.compile(r"(?:ssh-|ecdsa-|sk-)[A-Za-z0-9@.-]+ [A-Za-z0-9+/]+={0,3}")


@dataclass(frozen=True)
class Desired:
    """C(private_key) and C(known_hosts) are contents; an empty key means one that is made here, empty known hosts that none are written."""

    directory: str = DIRECTORY
    private_key: str = field(default="", repr=False)
    known_hosts: str = ""

    @property
    def key_path(self) -> str:
        """The private key."""
        return os.path.join(self.directory, "id_ed25519")

    @property
    def known_hosts_path(self) -> str:
        """The host keys of the source."""
        return os.path.join(self.directory, "known_hosts")


@dataclass(frozen=True)
class Current:
    """What is there; None for a file that is not, or cannot be used."""

    private_key: str | None = field(default=None, repr=False)
    public_key: str | None = None
    known_hosts: str | None = None


def known_hosts(host: str, port: int, host_keys: Sequence[str]) -> str:
    """Return the content of the list of known hosts for one server. Raises PecError for what is no host key."""
    for key in host_keys:
        if not _HOST_KEY.fullmatch(key):
            raise PecError(f"{key!r} is no host key; give the first two words of a file /etc/ssh/ssh_host_*_key.pub of the source")
    plain = host.strip("[]")
    if re.search(r"[\s,*?!|@]", plain) or not plain:
        raise PecError(f"{host!r} is no name or address of a host; correct it")
    name = plain if port == 22 else f"[{plain}]:{port}"
    return "".join(f"{name} {key}\n" for key in host_keys)


def normal(text: str) -> str:
    """Return a file's text with the line ends and the last line break that OpenSSH requires."""
    return "\n".join(line.rstrip() for line in text.strip().splitlines()) + "\n" if text.strip() else ""


def read_current(desired: Desired) -> Current:
    """Return which files are there."""
    if not os.path.isdir(desired.directory):
        return Current()
    files.require_ours(desired.directory, "the directory of the key")
    private = _read(desired.key_path)
    return Current(private, public_key(desired.key_path) if private else None, _read(desired.known_hosts_path))


def plan(current: Current, desired: Desired) -> list[str]:
    """Return what to write: make or write a key, write the known hosts."""
    steps = []
    if desired.private_key:
        steps += ["write key"] if normal(desired.private_key) != current.private_key or not current.public_key else []
    elif not current.public_key:
        steps.append("make key")
    if desired.known_hosts and normal(desired.known_hosts) != current.known_hosts:
        steps.append("write known hosts")
    return steps


def apply(desired: Desired, steps: Sequence[str]) -> None:
    """Do what C(plan) returned. Raises PecError for a key that ssh cannot use."""
    if steps:
        files.make_private(desired.directory)
    partial = f"{desired.key_path}.new"
    for step in steps:
        if step == "write known hosts":
            files.write_atomic(desired.known_hosts_path, normal(desired.known_hosts).encode(), mode=0o600)
            continue
        files.unlink(partial)
        try:
            if step == "write key":
                files.write_atomic(partial, normal(desired.private_key).encode(), mode=0o600)
                if not public_key(partial):
                    raise PecError("private_key is no private key that ssh can use without a passphrase; give an OpenSSH key without one")
            else:
                argv = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", COMMENT, "-f", partial]
                made = process.run(argv)
                if made.returncode != 0:
                    raise PecError(
                        f"ssh-keygen made no key in {desired.directory}: {made.stderr.strip()}; check the directory's file system"
                    )
            files.rename(partial, desired.key_path)
        finally:
            files.unlink(partial)
            files.unlink(f"{partial}.pub")


def remove(desired: Desired, *, check: bool = False) -> bool:
    """Remove both files and the directory. Return whether there was anything."""
    found = os.path.lexists(desired.directory)
    if found and not check:
        for path in (desired.key_path, desired.known_hosts_path, f"{desired.key_path}.new", f"{desired.key_path}.new.pub"):
            files.unlink(path)
        if not os.listdir(desired.directory):
            files.remove_tree(desired.directory)
    return found


def public_key(path: str) -> str | None:
    """Return the public half of a private key, without its comment; None if ssh could not use the key."""
    answer = process.run(["ssh-keygen", "-y", "-P", "", "-f", path])
    return " ".join(answer.stdout.split()[:2]) if answer.returncode == 0 and answer.stdout else None


def _read(path: str) -> str | None:
    return files.read_text_lenient(path, files.CERTIFICATE) if os.path.lexists(path) else None
