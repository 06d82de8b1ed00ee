# SPDX-License-Identifier: GPL-3.0-or-later
"""The source's side of a transfer: an account whose one key forwards two ports, and a read-only rsync. Private to the collection.

Whoever holds the key runs nothing on the source: the account has no shell, and the key's options leave two ports, no socket and no
listening. They do not keep it from making a socket in /tmp, where a program of root's may take it for PostgreSQL's, so a file for this
account in sshd_config.d does. The daemon of rsync is root's on a port that only root can open, asks for a password, and reads each
directory as the directory's owner, locked into it.
"""

from __future__ import annotations

import contextlib
import grp
import os
import pwd
import re
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone

from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.system import clock, files, host, process, systemd
from ansible_collections.esus.pec.plugins.module_utils.system.directory import opened
from ansible_collections.esus.pec.plugins.module_utils.transfer import sshd

USER = "esus-pec-transfer"
HOME = "/var/lib/esus-pec-transfer"
KEYS = f"{HOME}/.ssh/authorized_keys"
DROP_IN = "/etc/ssh/sshd_config.d/10-esus-pec-transfer.conf"
RUNTIME = "/run/esus-pec-transfer"
CONFIGURATION = f"{RUNTIME}/rsyncd.conf"
SECRETS = f"{RUNTIME}/secrets"
UNIT = "esus-pec-transfer-rsync.service"
UNIT_FILE = f"/run/systemd/system/{UNIT}"
RSYNC_PORT = 874
_GECOS = "esus.pec transfer"
_NOTHING = "/bin/false"
_PUBLIC_KEY = re.compile(r"ssh-ed25519 [A-Za-z0-9+/]+={0,2}")
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,40}")
_PATH = re.compile(r"/[^\x00-\x1f\x7f%\\#]*[^\x00-\x20\x7f%\\#]")
_PASSWORD = re.compile(r"[\x21-\x7e]{16,}")
_LASTS = re.compile(r"^RuntimeMaxSec=.*$", re.MULTILINE)
_UNTIL = re.compile(r" until (\S+)$")
_EXPIRY_SINCE, _LISTEN_SINCE, _INCLUDE_SINCE = (7, 7), (7, 8), (8, 2)
_RESTRICTION = f"""\
# Written by esus.pec.transfer_access, which removes it when the transfer is done.
Match User {USER}
    AllowStreamLocalForwarding no
    PasswordAuthentication no
"""
# Containers often lack CAP_DAC_READ_SEARCH; the file system is read-only for the unit either way.
_CAPABILITIES = "CAP_SYS_CHROOT CAP_SETUID CAP_SETGID CAP_DAC_READ_SEARCH CAP_DAC_OVERRIDE CAP_NET_BIND_SERVICE"
_UNIT_SETTINGS = (
    f"CapabilityBoundingSet={_CAPABILITIES}",
    "IPAddressAllow=localhost",
    "IPAddressDeny=any",
    "NoNewPrivileges=yes",
    "PrivateDevices=yes",
    "PrivateTmp=yes",
    "ProtectControlGroups=yes",
    "ProtectKernelModules=yes",
    "ProtectKernelTunables=yes",
    "ProtectSystem=strict",
    "RestrictAddressFamilies=AF_INET AF_UNIX",
    "RestrictNamespaces=yes",
    "RestrictRealtime=yes",
    "UMask=0077",
)


@dataclass(frozen=True)
class Served:
    """A directory that rsync serves under a name."""

    name: str
    path: str


@dataclass(frozen=True)
class Desired:
    """C(addresses) are those the target may come from, none for all. C(hours) is how long the key lives."""

    public_key: str
    database_port: int
    directories: tuple[Served, ...] = ()
    rsync_port: int = RSYNC_PORT
    password: str = field(default="", repr=False)
    addresses: tuple[str, ...] = ()
    hours: int = 24

    @property
    def address(self) -> str:
        """One that the target may come from, to ask sshd with."""
        return self.addresses[0].partition("/")[0] if self.addresses else "127.0.0.1"

    @property
    def destinations(self) -> list[str]:
        """What the key may forward to."""
        return [f"127.0.0.1:{port}" for port in (self.database_port, *([self.rsync_port] if self.directories else []))]


@dataclass(frozen=True)
class Current:
    """What is on this host. C(sshd) is what counts for the account there."""

    account: bool
    keys: str
    drop_in: str
    configuration: str
    secrets: str = field(repr=False)
    serving: bool
    version: tuple[int, int]
    sshd: sshd.Settings
    unit: str = ""


@dataclass(frozen=True)
class Plan:
    """C(steps) are of account, key, sshd, rsync and no rsync. C(until) is when the access ends."""

    steps: tuple[str, ...]
    until: datetime
    files: dict[str, str] = field(repr=False)
    warnings: tuple[str, ...] = ()


def require_sound(desired: Desired) -> None:
    """Raise PecError for values that would write something else into the configuration of sshd or rsync."""
    if not _PUBLIC_KEY.fullmatch(desired.public_key):
        raise PecError(
            "public_key is no public key of type ssh-ed25519 without a comment; give the one that esus.pec.transfer_key returned"
        )
    for address in desired.addresses:
        if not re.fullmatch(r"[0-9A-Fa-f:.]+(?:/\d+)?", address):
            raise PecError(f"{address!r} in addresses is no address of IPv4 or IPv6; correct it")
    if not desired.directories:
        return
    if not 0 < desired.rsync_port < 1024:
        raise PecError(f"rsync_port {desired.rsync_port} could be opened by any account of this host; give one below 1024 that is free")
    if not _PASSWORD.fullmatch(desired.password):
        raise PecError("rsync_password has to have 16 or more characters of ASCII without blanks; give another")
    names = [each.name for each in desired.directories]
    if len(set(names)) != len(names):
        raise PecError("two of the directories have one name; give each another")
    for each in desired.directories:
        if not _NAME.fullmatch(each.name):
            raise PecError(f"{each.name!r} is no name for a directory; use a to z, 0 to 9, - and _")
        if not _PATH.fullmatch(each.path):
            raise PecError(f"{each.path!r} cannot be served, because of a character in it or because it is not absolute; give another path")


def read_current(desired: Desired | None) -> Current:
    """Return what is on this host. Raises PecError for an account of that name that is another's."""
    account = _account()
    return Current(
        account=account is not None,
        keys=_read(KEYS),
        drop_in=_read(DROP_IN),
        configuration=_read(CONFIGURATION),
        secrets=_read(SECRETS),
        serving=systemd.state(UNIT) in systemd.ACTIVE,
        version=sshd.version() if desired else (0, 0),
        sshd=sshd.settings(USER, desired.address) if desired else {},
        unit=_read(UNIT_FILE),
    )


def plan(current: Current, desired: Desired, now: datetime) -> Plan:
    """Return what to do. An access of which more than half of its time is left is not renewed.

    Raises PecError with everything in the configuration of sshd that forbids the access.
    """
    found = list(sshd.forbidden(current.sshd, USER, [USER], desired.address, desired.destinations, HOME))
    if found:
        raise PecError(
            f"the configuration of this host's SSH server forbids the transfer: {'; '.join(found)}. Allow it for the account {USER} in "
            f"/etc/ssh/sshd_config, as by a block Match User {USER}, or use another way of transfer; sshd -T -C user={USER},"
            f"host={desired.address},addr={desired.address} shows what counts"
        )
    until = _until(current.keys)
    left = until - now if until else timedelta()
    if until is None or left * 2 < timedelta(hours=desired.hours) or left > timedelta(hours=desired.hours):
        until = (now + timedelta(hours=desired.hours)).replace(second=0, microsecond=0)
    wanted = {KEYS: key_line(desired, until, current.version)}
    steps = [] if current.account else ["account"]
    if current.keys != wanted[KEYS]:
        steps.append("key")
    restricted = os.path.isdir(os.path.dirname(DROP_IN)) and current.version >= _INCLUDE_SINCE
    if restricted:
        wanted[DROP_IN] = _RESTRICTION
        steps += ["sshd"] if current.drop_in != _RESTRICTION else []
    if desired.directories:
        wanted.update({CONFIGURATION: configuration(desired), SECRETS: f"{USER}:{desired.password}\n"})
        right = (current.configuration, current.secrets) == (wanted[CONFIGURATION], wanted[SECRETS])
        right = right and _LASTS.sub("", current.unit) == _LASTS.sub("", unit(0))
        steps += ["rsync"] if not (right and current.serving) or "key" in steps else []
    elif current.serving or current.configuration or current.secrets:
        steps.append("no rsync")
    return Plan(tuple(steps), until, wanted, tuple(_warnings(current.version, restricted=restricted)))


def apply(planned: Plan) -> None:
    """Do what was planned. Raises PecError."""
    if "sshd" in planned.steps:
        _restrict()  # before there is a key
    if "account" in planned.steps:
        _run("useradd", "--system", "--no-create-home", "--home-dir", HOME, "--shell", _no_shell(), "--comment", _GECOS, USER)
    if {"account", "key"} & set(planned.steps):
        # "*" is no password and, unlike "!", not taken for a locked account by an sshd without PAM.
        _run("usermod", "--password", "*", "--expiredate", (planned.until + timedelta(days=2)).strftime("%Y-%m-%d"), USER)
        for directory in (HOME, os.path.dirname(KEYS)):
            files.keep_directory(directory, mode=0o755, uid=0, gid=0)
        files.write_atomic(KEYS, planned.files[KEYS].encode(), mode=0o644, uid=0, gid=0)
        if os.path.exists("/sys/fs/selinux/enforce"):
            _run("chcon", "-R", "-t", "ssh_home_t", os.path.dirname(KEYS))
    if "no rsync" in planned.steps:
        _stop_rsync()
    if "rsync" in planned.steps:
        _start_rsync(planned)


def remove(current: Current, *, check: bool = False) -> bool:
    """Remove everything. Return whether there was anything."""
    left = [path for path in (HOME, DROP_IN, RUNTIME, UNIT_FILE) if os.path.lexists(path)]
    found = bool(left) or current.account or current.serving
    if not found or check:
        return found
    files.unlink(KEYS)  # first, so that nobody comes in any more
    _stop_rsync()
    if current.account:
        _end_processes(pwd.getpwnam(USER).pw_uid)
        _run("userdel", USER)
    files.remove_tree(HOME)
    if os.path.lexists(DROP_IN):
        files.unlink(DROP_IN)
        sshd.reload(sshd.ports(sshd.settings(USER, "127.0.0.1")))
    return True


def key_line(desired: Desired, until: datetime, version: tuple[int, int]) -> str:
    """Return the content of the account's authorized_keys."""
    options = ["restrict", "port-forwarding", f'command="{_NOTHING}"', *(f'permitopen="{place}"' for place in desired.destinations)]
    if version >= _LISTEN_SINCE:
        options.append('permitlisten="127.0.0.1:1"')  # which the account may not open: nothing of the source's leads to the target
    if version >= _EXPIRY_SINCE:
        options.append(f'expiry-time="{until.astimezone().strftime("%Y%m%d%H%M")}"')  # in the time zone of this host
    if desired.addresses:
        options.append(f'from="{",".join(desired.addresses)}"')
    return f"{','.join(options)} {desired.public_key} {_GECOS} until {clock.utc(until)}\n"


def configuration(desired: Desired) -> str:
    """Return the configuration of rsync's daemon. Raises PecError for a directory that is not there."""
    head = [
        "address = 127.0.0.1",
        f"port = {desired.rsync_port}",
        "use chroot = yes",
        "read only = yes",
        "list = no",
        "reverse lookup = no",
    ]
    head += ["munge symlinks = no", "refuse options = copy-links copy-dirlinks copy-unsafe-links remove-source-files", "timeout = 600"]
    head += [f"auth users = {USER}", f"secrets file = {SECRETS}", "hosts allow = 127.0.0.1"]
    for each in desired.directories:
        path = files.resolve(each.path)
        if not files.is_directory(path):
            raise PecError(f"the directory {each.path} is not on this host; correct the path of {each.name!r} in directories")
        with opened(path) as directory:
            owner = os.stat(".", dir_fd=directory.descriptor)
        head += [f"[{each.name}]", f"path = {path}", f"uid = {owner.st_uid}", f"gid = {owner.st_gid}"]
    return "\n".join(head) + "\n"


def _restrict() -> None:
    """Write the file for sshd, and take it back if sshd does not accept it, or does not read it."""
    files.write_atomic(DROP_IN, _RESTRICTION.encode(), mode=0o600, uid=0, gid=0)
    try:
        found = sshd.settings(USER, "127.0.0.1")
        if found.get("allowstreamlocalforwarding") != ["no"]:
            raise PecError(
                f"sshd does not read {DROP_IN}; put this line first in /etc/ssh/sshd_config: Include /etc/ssh/sshd_config.d/*.conf"
            )
    except PecError:
        files.unlink(DROP_IN)
        raise
    sshd.reload(sshd.ports(found))


def _warnings(version: tuple[int, int], *, restricted: bool) -> Iterator[str]:
    if not restricted:
        yield (
            f"this host's SSH server reads no {os.path.dirname(DROP_IN)}, so whoever holds the temporary key can make sockets in /tmp; to "
            f"end that, append to /etc/ssh/sshd_config, and reload sshd: Match User {USER}, and below it AllowStreamLocalForwarding no"
        )
    if version < _EXPIRY_SINCE:
        yield "OpenSSH before 7.7 knows no key that expires, so the access ends days later with its account; end it with state: absent"
    if version < _LISTEN_SINCE:
        yield "OpenSSH before 7.8 cannot keep a key from opening ports on this host's loopback; end the access as soon as it is not needed"


def unit(seconds: int) -> str:
    """Return the unit of rsync's daemon. It is in /run, and a systemd passes over what it does not know yet."""
    start = f"{process.find('rsync')} --daemon --no-detach --config={CONFIGURATION}"
    lines = ["[Unit]", "Description=rsync for the transfer of PEC", "[Service]", f"ExecStart={start}", f"RuntimeMaxSec={seconds}"]
    return "\n".join([*lines, *_UNIT_SETTINGS]) + "\n"


def _start_rsync(planned: Plan) -> None:
    _stop_rsync()
    files.make_private(RUNTIME)
    for path in (CONFIGURATION, SECRETS):
        files.write_atomic(path, planned.files[path].encode(), mode=0o600)
    left = max(60, int((planned.until - datetime.now(timezone.utc)).total_seconds()))
    files.write_atomic(UNIT_FILE, unit(left).encode(), mode=0o644)
    _run("systemctl", "daemon-reload")
    process.run(["systemctl", "reset-failed", UNIT])
    systemd.systemctl("start", UNIT)
    port = int(re.findall(r"^port = (\d+)$", planned.files[CONFIGURATION], re.MULTILINE)[0])
    deadline = time.monotonic() + 20
    while port not in host.listeners():
        if systemd.state(UNIT) not in systemd.ACTIVE or time.monotonic() > deadline:
            raise PecError(
                f"rsync did not open port {port}; journalctl -u {UNIT} shows why (another program may have the port: rsync_port)"
            )
        time.sleep(0.05)


def _stop_rsync() -> None:
    if systemd.state(UNIT) not in systemd.STOPPED:
        systemd.systemctl("stop", UNIT)
    files.remove_tree(RUNTIME)
    if os.path.lexists(UNIT_FILE):
        files.unlink(UNIT_FILE)
        _run("systemctl", "daemon-reload")


def _account() -> pwd.struct_passwd | None:
    """Return the transfer's account. Raises PecError if there is one of its name that this module did not make."""
    try:
        found = pwd.getpwnam(USER)
    except KeyError:
        return None
    shadow = process.run(["getent", "shadow", USER]).stdout.split(":")
    groups = [group.gr_name for group in grp.getgrall() if USER in group.gr_mem]
    own = (found.pw_gecos, found.pw_dir, found.pw_shell) == (_GECOS, HOME, _no_shell())
    if not own or found.pw_uid == 0 or groups or (len(shadow) > 1 and shadow[1] not in ("*", "!", "!!", "!*")):
        raise PecError(
            f"the account {USER} exists and is not the one that esus.pec.transfer_access makes, without password, shell and groups; "
            f"find out whose it is, then rename or remove it: userdel {USER}"
        )
    return found


def _no_shell() -> str:
    return next((path for path in ("/usr/sbin/nologin", "/sbin/nologin") if os.path.exists(path)), _NOTHING)


def _end_processes(uid: int) -> None:
    for pid in host.processes_of(uid):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    deadline = time.monotonic() + 10
    while any(True for _pid in host.processes_of(uid)) and time.monotonic() < deadline:
        time.sleep(0.05)


def _until(keys: str) -> datetime | None:
    match = _UNTIL.search(keys.strip())
    try:
        return clock.parse(match.group(1)) if match else None
    except PecError:
        return None


def _read(path: str) -> str:
    return files.read_text_lenient(path, files.CERTIFICATE) if os.path.lexists(path) else ""


def _run(*argv: str) -> None:
    ended = process.run(argv)
    if ended.returncode != 0:
        raise PecError(f"{argv[0]} failed: {ended.stderr.strip() or f'exit code {ended.returncode}'}; correct that, then run again")
