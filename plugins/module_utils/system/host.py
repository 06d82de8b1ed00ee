# SPDX-License-Identifier: GPL-3.0-or-later
"""Facts of the machine, read without changing it. Private to the collection.

A fact that cannot be read is None (or empty), never a guess.
"""

from __future__ import annotations

import contextlib
import glob
import ipaddress
import os
import platform
import re
import shlex
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass

from ansible_collections.esus.pec.plugins.module_utils import beliefs
from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.system import files, process
from ansible_collections.esus.pec.plugins.module_utils.system.directory import account_name

_LISTEN = "0A"
_CAP_SYS_PTRACE = 19
_NO_LIMIT = 1 << 60  # cgroup v1 writes a number of this size for "no limit"
_RESERVE = 1 << 30
_LEAST_SHARE = 20  # on a small disk a twentieth stays free
_LOGIND_DIRECTORIES = ("usr/lib/systemd", "usr/local/lib/systemd", "run/systemd", "etc/systemd")


@dataclass(frozen=True)
class Disk:
    """Room on the filesystem that holds C(path), or will once it is created. C(free_bytes) is what unprivileged users may take."""

    path: str
    total_bytes: int
    free_bytes: int

    @property
    def spare_bytes(self) -> int:
        """What may still be written so that PostgreSQL and others do not find a full disk; below 0 if there is too little already."""
        return self.free_bytes - min(_RESERVE, self.total_bytes // _LEAST_SHARE)


@dataclass(frozen=True)
class Listener:
    """A TCP port that is listened on: the name of its process ("" if it cannot be seen, as without root), and its addresses.

    C(possible): what it may be if root cannot see it, that is the names of the processes of the socket's account; C(account) is that.
    """

    process: str
    addresses: tuple[str, ...] = ()
    possible: tuple[str, ...] = ()
    account: str = ""


@dataclass(frozen=True)
class Socket:
    """A TCP socket: address and port of both ends, whether it listens, the account that opened it, and its number."""

    local: tuple[str, int]
    remote: tuple[str, int]
    listens: bool
    uid: int
    inode: str


@dataclass(frozen=True)
class Java:
    """A Java on this host: its launcher, its version ("17.0.15", "1.8.0_402") and its feature release (17, 8)."""

    path: str
    version: str
    major: int


def memory_bytes(root: str = "/") -> int | None:
    """Return the memory this system can use: that of the machine, or of its control group when that is less."""
    limits = [value for value in (_memory_total(root), *_memory_limits(root)) if value is not None]
    return min(limits) if limits else None


def processors() -> int:
    """Return the number of processors that this system may use."""
    return len(os.sched_getaffinity(0))


def disk_usage(path: str) -> Disk:
    """Return the room at C(path); while it does not exist, that of its nearest existing parent. Raises PecError when unreadable."""
    existing = os.path.abspath(path)
    while not os.path.exists(existing):
        existing = os.path.dirname(existing)
    try:
        status = os.statvfs(existing)
    except OSError as error:
        raise PecError(f"cannot read the free space at {existing}: {error.strerror}") from None
    return Disk(path, status.f_blocks * status.f_frsize, status.f_bavail * status.f_frsize)


def describe_size(count: int) -> str:
    """Return a number of bytes as people read it."""
    if count >= 1e9:
        return f"{count / 1e9:.1f} GB"
    return f"{count / 1e6:.0f} MB" if count >= 1e6 else f"{count / 1e6:.1f} MB"


def listeners(root: str = "/") -> dict[int, Listener]:
    """Return the TCP ports that are listened on, in ascending order."""
    ports: dict[str, int] = {}
    addresses: dict[int, set[str]] = {}
    uids: dict[int, int] = {}
    for one in sockets(root):
        if one.listens:
            address, port = one.local
            ports[one.inode] = port
            uids[port] = one.uid
            addresses.setdefault(port, set()).add(address)
    names: dict[int, str] = {}
    for inode, pid in socket_owners(root, set(ports)):
        names.setdefault(ports[inode], process_name(pid, root))
    unseen = {uids[port] for port in addresses if port not in names} if not sees_sockets(root) else set()
    others = {uid: tuple(sorted({process_name(pid, root) for pid in processes_of(uid, root)} - {""})) for uid in unseen}
    return {port: _listener(names.get(port, ""), addresses[port], uids[port], others) for port in sorted(addresses)}


def ipv6_addresses(root: str = "/") -> tuple[str, ...]:
    """Return this host's addresses of IPv6, in their short form."""
    found = [line.split()[0] for line in _lines(os.path.join(root, "proc/net/if_inet6")) if line.split()]
    return tuple(str(ipaddress.IPv6Address(int(digits, 16))) for digits in found)


def _listener(process: str, addresses: set[str], uid: int, others: dict[int, tuple[str, ...]]) -> Listener:
    places = tuple(sorted(addresses))
    if process or uid not in others:
        return Listener(process, places)
    possible = others[uid]
    return Listener(possible[0] if len(possible) == 1 else "", places, possible, account_name(uid))


def sees_sockets(root: str = "/") -> bool:
    """Return whether this process can see which sockets another account's processes have: root can, unless CAP_SYS_PTRACE was taken."""
    found = [line.partition(":")[2].strip() for line in _lines(os.path.join(root, "proc/self/status")) if line.startswith("CapEff:")]
    return not found or bool(int(found[0], 16) >> _CAP_SYS_PTRACE & 1)


def processes_of(uid: int, root: str = "/") -> Iterator[int]:
    """Yield the processes that are an account's."""
    for place in glob.iglob(os.path.join(root, "proc/[0-9]*/status")):
        if any(line.startswith("Uid:") and str(uid) in line.split()[1:] for line in _lines(place)):
            yield int(place.split("/")[-2])


def process_name(pid: int, root: str = "/") -> str:
    """Return the name of a process, empty if it is gone."""
    return "".join(_lines(os.path.join(root, f"proc/{pid}/comm"))[:1])


def sockets(root: str = "/") -> Iterator[Socket]:
    """Yield the TCP sockets of this host's network. An address of IPv4 inside IPv6 is that of IPv4."""
    for table in ("proc/net/tcp", "proc/net/tcp6"):
        for line in _lines(os.path.join(root, table))[1:]:
            fields = line.split()
            if len(fields) > 9:
                yield Socket(_end(fields[1]), _end(fields[2]), fields[3] == _LISTEN, int(fields[7]), fields[9])


def socket_owners(root: str, inodes: set[str]) -> Iterator[tuple[str, int]]:
    """Yield each of these sockets with the number of each process that has it open, as far as they can be seen."""
    for descriptor in glob.iglob(os.path.join(root, "proc/[0-9]*/fd/*")):
        try:
            target = os.readlink(descriptor)
        except OSError:
            continue
        inode = target[len("socket:[") : -1]
        if target.startswith("socket:[") and inode in inodes:
            yield inode, int(descriptor.split("/")[-3])


def own_addresses(root: str = "/") -> frozenset[str]:
    """Return the IP addresses of this host's interfaces, in their shortest form."""
    found, last = set(), ""
    for line in _lines(os.path.join(root, "proc/net/fib_trie")):
        words = line.split()
        if words[:1] == ["|--"]:
            last = words[1]
        elif words[1:] == ["host", "LOCAL"]:
            found.add(last)
    for line in _lines(os.path.join(root, "proc/net/if_inet6")):
        with contextlib.suppress(ValueError, OSError):
            found.add(socket.inet_ntop(socket.AF_INET6, bytes.fromhex(line[:32])))
    return frozenset(found)


def timezone(root: str = "/") -> str | None:
    """Return the name of the system's timezone, such as America/Sao_Paulo."""
    try:
        target = os.readlink(os.path.join(root, "etc/localtime"))
    except OSError:
        target = ""
    _before, marker, name = target.partition("zoneinfo/")
    if marker:
        return name
    written = "".join(_lines(os.path.join(root, "etc/timezone"))[:1]).strip()
    return written or None


def utc_offset_minutes() -> int:
    """Return how many minutes the local clock is now ahead of UTC (-180 in Brasília)."""
    return time.localtime().tm_gmtoff // 60


def locales() -> tuple[str, ...]:
    """Return the locales that exist here, spelled as C(locale -a) does (pt_BR.utf8); empty when it cannot be asked."""
    try:
        return tuple(process.run(["locale", "-a"]).stdout.split())
    except PecError:
        return ()


def init_name() -> str | None:
    """Return the name of process 1 exactly as the installer asks for it; None when ps is missing, in which case it fails too."""
    try:
        return process.run(["ps", "--no-headers", "-o", "comm", "1"]).stdout.strip() or None
    except PecError:
        return None


def architecture() -> str:
    """Return the machine's architecture, such as x86_64."""
    return platform.machine()


def os_release(root: str = "/") -> dict[str, str]:
    """Return the pairs of C(/etc/os-release) (ID, VERSION_ID, ...), empty when there is none."""
    for path in ("etc/os-release", "usr/lib/os-release"):
        lines = _lines(os.path.join(root, path))
        if lines:
            pairs = (line.partition("=") for line in lines if "=" in line and not line.startswith("#"))
            return {key.strip(): "".join(shlex.split(value)) for key, _equals, value in pairs}
    return {}


def java(root: str = "/") -> list[Java]:
    """Return each Java on this host once, newest first: those of the system, and those PEC brought along."""
    found: dict[str, Java] = {}
    for launcher in _java_launchers(root):
        real = os.path.realpath(launcher)
        version = None if real in found else _java_version(real)
        if version:
            found[real] = Java(launcher, version, _java_major(version))
    return sorted(found.values(), key=lambda one: [int(number) for number in re.findall(r"\d+", one.version)], reverse=True)


def remove_ipc(root: str = "/") -> bool:
    """Return whether logind removes a user's shared memory when he logs out: the last setting counts, and without one it does."""
    value = "yes"
    for path in _logind_files(root):
        section = ""
        for line in _lines(path):
            text = line.strip()
            section = text if text.startswith("[") else section
            key, equals, setting = text.partition("=")
            if section == "[Login]" and equals and key.strip() == "RemoveIPC":
                value = setting.strip() or "yes"
    return value.lower() in ("yes", "true", "on", "1", "y", "t")


def _lines(path: str) -> list[str]:
    try:
        return files.read_bytes(path).decode("utf-8", "replace").splitlines()
    except PecError:
        return []


def _memory_total(root: str) -> int | None:
    for line in _lines(os.path.join(root, "proc/meminfo")):
        if line.startswith("MemTotal:"):
            return int(line.split()[1]) * 1024
    return None


def _memory_limits(root: str) -> list[int]:
    paths = ("sys/fs/cgroup/memory.max", "sys/fs/cgroup/memory/memory.limit_in_bytes")
    texts = ("".join(_lines(os.path.join(root, path))).strip() for path in paths)
    return [int(text) for text in texts if text.isdigit() and int(text) < _NO_LIMIT]


def _end(text: str) -> tuple[str, int]:
    address, _colon, port = text.rpartition(":")
    return _address(address), int(port, 16)


def _address(text: str) -> str:
    """Read an address of /proc/net; its words of four bytes are in the machine's own order."""
    words = [bytes.fromhex(text[start : start + 8])[::-1] for start in range(0, len(text), 8)]
    printed = socket.inet_ntop(socket.AF_INET if len(words) == 1 else socket.AF_INET6, b"".join(words))
    return printed[len("::ffff:") :] if printed.startswith("::ffff:") and "." in printed else printed


def _java_launchers(root: str) -> Iterator[str]:
    on_path = process.which("java") if root == "/" else None
    if on_path:
        yield on_path
    patterns = ["usr/lib/jvm/*/bin/java", *(f"{home.lstrip('/')}/{beliefs.JRE_DIRECTORY}/*/bin/java" for home in beliefs.HOMES)]
    for pattern in patterns:
        yield from sorted(path for path in glob.glob(os.path.join(root, pattern)) if os.access(path, os.X_OK))


def _java_version(launcher: str) -> str | None:
    """Read the C(release) file of the JDK (of its parent, for a JRE inside one), which costs nothing; else ask the launcher."""
    home = os.path.dirname(os.path.dirname(launcher))
    for directory in (home, os.path.dirname(home)):
        for line in _lines(os.path.join(directory, "release")):
            if line.startswith("JAVA_VERSION="):
                return line.partition("=")[2].strip().strip('"')
    try:
        answer = process.run([launcher, "-XX:-UsePerfData", "-version"], confined=True)
    except PecError:
        return None
    match = re.search(r'version "(\d[^"]*)"', answer.stderr + answer.stdout)
    return match.group(1) if match else None


def _java_major(version: str) -> int:
    numbers = [int(number) for number in re.findall(r"\d+", version)]
    return numbers[1] if numbers[0] == 1 and len(numbers) > 1 else numbers[0]


def _logind_files(root: str) -> list[str]:
    """The main file, then the drop-ins by name; a drop-in in a later directory replaces its namesake, as systemd does."""
    drop_ins: dict[str, str] = {}
    mains: list[str] = []
    for directory in _LOGIND_DIRECTORIES:
        main = os.path.join(root, directory, "logind.conf")
        mains = [main] if os.path.exists(main) else mains
        for path in glob.glob(os.path.join(root, directory, "logind.conf.d/*.conf")):
            drop_ins[os.path.basename(path)] = path
    return [*mains, *(drop_ins[name] for name in sorted(drop_ins))]
