# SPDX-License-Identifier: GPL-3.0-or-later
"""The source's SSH server: what its configuration allows the transfer's account, asked with C(sshd -T). Private to the collection."""

from __future__ import annotations

import fnmatch
import ipaddress
import re
import time
from collections.abc import Iterator, Sequence
from typing import List, Mapping

from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.system import files, host, process, systemd

Settings = Mapping[str, List[str]]
KEY_TYPE = "ssh-ed25519"
_RELOAD_SECONDS = 10
_UNITS = ("ssh.service", "sshd.service")


def settings(user: str, address: str) -> dict[str, list[str]]:
    """Return what counts for a login of this account from this address: the values of each setting, one for each of its lines.

    Raises PecError when there is no SSH server, or its configuration has an error.
    """
    if process.which("sshd") is None:
        raise PecError("this host has no SSH server; install openssh-server and start it")
    answer = process.run(["sshd", "-T", "-C", f"user={user},host={address},addr={address}"])
    if answer.returncode != 0:
        raise PecError(f"sshd does not accept its own configuration: {answer.stderr.strip()}; correct it (sshd -t shows it)")
    found: dict[str, list[str]] = {}
    for line in answer.stdout.splitlines():
        name, _blank, value = line.partition(" ")
        found.setdefault(name.lower(), []).append(value.strip())
    return found


def version() -> tuple[int, int]:
    """Return the version of OpenSSH; 0.0 if it cannot be read."""
    answer = process.run(["ssh", "-V"])
    match = re.search(r"OpenSSH_(\d+)\.(\d+)", answer.stderr + answer.stdout)
    return (int(match.group(1)), int(match.group(2))) if match else (0, 0)


def reload(ports: Sequence[int]) -> None:
    """Have the running server read its configuration, and wait until it listens again; one that is started for each login does so itself.

    Raises PecError when systemd refuses.
    """
    for name, unit in systemd.units(_UNITS).items():
        if unit.active_state == "active":
            before = _listening(ports)
            systemd.systemctl("reload", name)
            # For a moment it closes its ports, and whoever connects then is refused.
            deadline = time.monotonic() + _RELOAD_SECONDS
            while before and time.monotonic() < deadline and not _renewed(before, _listening(ports)):
                time.sleep(0.02)
            return


def ports(found: Settings) -> list[int]:
    """Return the ports of the server."""
    return [int(port) for port in found.get("port", ()) if port.isdigit()] or [22]


def _listening(ports: Sequence[int]) -> dict[tuple[str, int], str]:
    return {each.local: each.inode for each in host.sockets() if each.listens and each.local[1] in ports}


def _renewed(before: Mapping[tuple[str, int], str], now: Mapping[tuple[str, int], str]) -> bool:
    return all(place in now and now[place] != inode for place, inode in before.items())


def host_keys(found: Settings) -> list[str]:
    """Return the public host keys, each as its type and its key."""
    keys = []
    for path in found.get("hostkey", ()):
        try:
            words = files.read_text_lenient(f"{path}.pub", files.CERTIFICATE).split()
        except PecError:  # a key without its public half is not shown
            continue
        keys += [" ".join(words[:2])] if len(words) >= 2 else []
    if not keys:
        raise PecError("no public host key of this host's SSH server was found; make them with: ssh-keygen -A")
    return keys


def forbidden(found: Settings, user: str, groups: Sequence[str], address: str, destinations: Sequence[str], home: str) -> Iterator[str]:
    """Yield what in the server's configuration forbids the account to log in by its key and to forward to these destinations."""

    def words(name: str) -> list[str]:
        return [word for value in found.get(name, ()) for word in value.split()]

    if words("pubkeyauthentication") == ["no"]:
        yield "PubkeyAuthentication is no"
    methods = words("authenticationmethods")
    if methods and "any" not in methods and "publickey" not in methods:
        yield f"AuthenticationMethods ({' '.join(methods)}) requires more than a key"
    types = [
        name for setting in ("pubkeyacceptedalgorithms", "pubkeyacceptedkeytypes") for name in ",".join(words(setting)).split(",") if name
    ]
    if types and KEY_TYPE not in types:
        yield f"PubkeyAcceptedAlgorithms does not name {KEY_TYPE}"
    keys = words("authorizedkeysfile")
    if keys and not {".ssh/authorized_keys", "%h/.ssh/authorized_keys", f"{home}/.ssh/authorized_keys"} & set(keys):
        yield f"AuthorizedKeysFile ({' '.join(keys)}) leaves out .ssh/authorized_keys"
    if words("disableforwarding") == ["yes"]:
        yield "DisableForwarding is yes"
    if words("allowtcpforwarding")[:1] in (["no"], ["remote"]):
        yield f"AllowTcpForwarding is {words('allowtcpforwarding')[0]}"
    opened = words("permitopen")
    if opened and "any" not in opened:
        missing = [place for place in destinations if place not in opened and "127.0.0.1:*" not in opened]
        if missing:
            yield f"PermitOpen ({' '.join(opened)}) leaves out {', '.join(missing)}"
    for name, shown in (("denyusers", "DenyUsers"), ("allowusers", "AllowUsers")):
        listed = words(name)
        if listed and (name == "denyusers") == _names_user(listed, user, address):
            yield f"{shown} ({' '.join(listed)}) {'names' if name == 'denyusers' else 'leaves out'} {user}"
    for name, shown in (("denygroups", "DenyGroups"), ("allowgroups", "AllowGroups")):
        listed = words(name)
        if listed and (name == "denygroups") == any(_matches(group, listed) for group in groups):
            yield f"{shown} ({' '.join(listed)}) {'names' if name == 'denygroups' else 'leaves out'} the group {' '.join(groups)}"


def _names_user(patterns: Sequence[str], user: str, address: str) -> bool:
    """Whether a list of USER and USER@HOST patterns names the account; one that begins with "!" takes it out."""
    named = False
    for pattern in patterns:
        negative = pattern.startswith("!")
        name, at, host = pattern.lstrip("!").partition("@")
        if fnmatch.fnmatchcase(user, name) and (not at or _is_at(address, host)):
            if negative:
                return False
            named = True
    return named


def _matches(name: str, patterns: Sequence[str]) -> bool:
    if any(fnmatch.fnmatchcase(name, pattern[1:]) for pattern in patterns if pattern.startswith("!")):
        return False
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)


def _is_at(address: str, pattern: str) -> bool:
    if fnmatch.fnmatchcase(address, pattern):
        return True
    try:
        return ipaddress.ip_address(address) in ipaddress.ip_network(pattern, strict=False)
    except ValueError:
        return False
