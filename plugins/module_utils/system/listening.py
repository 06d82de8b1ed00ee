# SPDX-License-Identifier: GPL-3.0-or-later
"""Whose the other end of a connection is, if it is on this host. Private to the collection.

While a service is stopped, any account of the host may listen on its port, as long as that is not below 1024.
"""

from __future__ import annotations

import ipaddress
import os
import pwd
import socket
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.system import host, systemd

# A socket keeps its number and its owner, and to look for the owner takes long on a large server.
_ACCEPTED: set[tuple[str, str, bool, str]] = set()


class StrangerError(PecError):
    """Somebody else listens where a service is expected. Nothing was sent."""


@dataclass(frozen=True)
class _Process:
    inode: str
    pid: int
    name: str
    unit: str  # of the system; empty for one of a user's session


def require_service(link: socket.socket, unit: str, ports: Collection[int], root: str = "/") -> None:
    """Refuse a connection whose other end is on this host and is not this unit's, one of root's, or our own account's.

    On a port that is not one of the unit's own C(ports) it may also be another service of the system, such as a proxy, that runs as the
    account in its unit. Every socket counts that listens there: the kernel may give the next connection to another of them. So does the
    one at the other end, whose owner may have stopped listening since it accepted; and, behind a proxy, those on the unit's own ports.
    Raises StrangerError, with the account and the process.
    """
    (address, port), mine = link.getpeername()[:2], link.getsockname()[:2]
    sockets = list(host.sockets(root))
    there, here = (_plain(address), port), (_plain(mine[0]), mine[1])
    if not (_is_loopback(address) or any(one.local == there and one.remote == here for one in sockets)):
        return  # on another host, and what its certificate proves counts
    accepted = [one for one in sockets if one.local == there and one.remote == here and one.inode != "0"]
    _require(sockets, _plain(address), port, unit, ports, root, accepted)
    for behind in ports if port not in ports else ():
        _require(sockets, None, behind, unit, ports, root)


def is_strange(port: int, root: str = "/", *, units: tuple[str, ...] = ()) -> bool:
    """Return whether somebody other than a service of the system listens on a port of this host.

    Units whose names begin with one of C(units) are trusted whatever account their processes have: root starts Debian's PostgreSQL.
    """
    try:
        _require(list(host.sockets(root)), None, port, "", (), root, trusted=units)
    except StrangerError:
        return True
    return False


def _require(
    sockets: list[host.Socket],
    address: str | None,
    port: int,
    unit: str,
    ports: Collection[int],
    root: str,
    accepted: Sequence[host.Socket] = (),
    trusted: tuple[str, ...] = (),
) -> None:
    listening = [one for one in sockets if one.listens and one.local[1] == port and _reaches(one.local[0], address)]
    if not listening and address is not None:
        raise StrangerError(f"nothing was sent to port {port} of this host, because nothing listens on it any more; run again")
    known = (unit, port in ports, root)
    others = [one for one in (*listening, *accepted) if one.uid not in (0, os.geteuid())]
    strange = {one.inode: one for one in others if (one.inode, *known) not in _ACCEPTED}
    seen = list(_processes(strange, root)) if strange else []
    blind = bool(strange) and os.geteuid() == 0 and not host.sees_sockets(root)
    for inode, one in strange.items():
        # Root that may not see them, as in a hardened container, takes all of the account's.
        holders = [process for process in seen if process.inode == inode] or (list(_of_account(one, root)) if blind else [])
        wrong = next((process for process in holders if not _is_service(process, one, unit, ports, trusted)), None)
        # Without root no process of another account can be seen, but the account of each socket can.
        unseen = not holders and not (unit and os.geteuid() != 0 and one.uid == _uid(systemd.units((unit,))[unit].user))
        if wrong or unseen:
            who = f"the account {_account(one.uid)}" + (f" (process {wrong.pid}, {wrong.name!r})" if wrong else "")
            start = f"systemctl start {unit}" if unit else "its unit"
            raise StrangerError(
                f"nothing was sent to port {port} of this host, because {who} listens on it, which is not {unit or 'a system service'}; "
                f"end that process, or, if it is the service, start it by {start}"
            )
        if holders:
            _ACCEPTED.add((inode, *known))


def _is_service(process: _Process, its: host.Socket, unit: str, ports: Collection[int], trusted: tuple[str, ...]) -> bool:
    if not process.unit or process.unit == unit or (trusted and process.unit.startswith(trusted)):
        return bool(process.unit)
    return its.local[1] not in ports and _uid(systemd.units((process.unit,))[process.unit].user) == its.uid


def _processes(inodes: Collection[str], root: str) -> Iterator[_Process]:
    """The processes that have one of these sockets open."""
    for inode, pid in host.socket_owners(root, set(inodes)):
        yield _process(inode, pid, root)


def _of_account(its: host.Socket, root: str) -> Iterator[_Process]:
    for pid in host.processes_of(its.uid, root):
        yield _process(its.inode, pid, root)


def _process(inode: str, pid: int, root: str) -> _Process:
    first = _cgroup(1, root).partition("/init.scope")[0]  # systemd's own place, below which its units are
    return _Process(inode, pid, host.process_name(pid, root), _unit(pid, first, root))


def _unit(pid: int, first: str, root: str) -> str:
    """Return the unit of the system that a process is in. A user may make any name below the place that is the user's."""
    path = _cgroup(pid, root)
    parts = path[len(first) :].strip("/").split("/") if path.startswith(f"{first}/") else []
    if not parts or parts[0] == "user.slice":
        return ""
    return next((part for part in parts if not part.endswith(".slice")), "")


def _cgroup(pid: int, root: str) -> str:
    try:
        with open(os.path.join(root, f"proc/{pid}/cgroup"), encoding="utf-8", errors="replace") as stream:
            lines = [line.rstrip("\n").split(":", 2) for line in stream]
    except OSError:
        return ""
    places = {line[1]: line[2] for line in lines if len(line) == 3}
    return places.get("name=systemd", places.get("", ""))


def _plain(address: str) -> str:
    """An address in the form of host.sockets."""
    address = address.partition("%")[0]
    return address[len("::ffff:") :] if address.startswith("::ffff:") and "." in address else address


def _is_loopback(address: str) -> bool:
    return ipaddress.ip_address(_plain(address)).is_loopback


def _reaches(listens: str, address: str | None) -> bool:
    return address is None or listens in (address, "0.0.0.0", "::")  # noqa: S104  # nosec B104  # read, not bound


def _uid(user: str | None) -> int:
    """The account in a unit: a name, a number, or none for root; -1 if it does not exist."""
    if not user:
        return 0
    try:
        return int(user) if user.isdigit() else pwd.getpwnam(user).pw_uid
    except KeyError:
        return -1


def _account(uid: int) -> str:
    try:
        return f"{pwd.getpwuid(uid).pw_name!r} ({uid})"
    except KeyError:
        return str(uid)
