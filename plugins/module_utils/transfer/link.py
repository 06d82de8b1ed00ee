# SPDX-License-Identifier: GPL-3.0-or-later
"""The way to the source: OpenSSH's own client, which forwards ports and copies files and runs nothing there. Private to the collection.

Nothing but the options given here counts: no configuration, agent or known host of an account. The source's host key has to be known.
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import socket
import stat
import struct
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.postgres.psql import Connection
from ansible_collections.esus.pec.plugins.module_utils.system import confinement, files, process
from ansible_collections.esus.pec.plugins.module_utils.system.pipeline import Pipeline, Stage

SSH_OPTIONS: dict[str, Any] = {
    "type": "dict",
    "options": {
        "host": {"type": "str", "required": True},
        "port": {"type": "int", "default": 22},
        "user": {"type": "str", "required": True},
        "key_path": {"type": "path", "required": True},
        "known_hosts_path": {"type": "path", "required": True},
    },
}
"""The option C(ssh), documented in the fragment esus.pec.ssh. ssh_from reads it."""

SOCKETS = "/run/esus-pec-tunnels"
"""A directory that everybody may pass through and only root may list."""
_SOCKET = ".s.PGSQL.5432"  # the name that libpq looks for with port 5432
_SSL_REQUEST = struct.pack("!II", 8, 80877103)  # PostgreSQL answers it with one byte, and logs nothing
_CONNECT_SECONDS = 20
_READY_SECONDS = 60
_TIMED_OUT = 124  # the exit code of the program timeout: somebody took the connection, and said nothing
_LAST_WORDS_SECONDS = 2  # what ssh says about a connection may come after its end
_OPTIONS = {
    "BatchMode": "yes",
    "IdentitiesOnly": "yes",
    "IdentityAgent": "none",
    "PreferredAuthentications": "publickey",
    "StrictHostKeyChecking": "yes",
    "GlobalKnownHostsFile": "none",
    "UpdateHostKeys": "no",
    "ExitOnForwardFailure": "yes",
    "ConnectTimeout": str(_CONNECT_SECONDS),
    "ServerAliveInterval": "10",
    "ServerAliveCountMax": "3",
    "StreamLocalBindMask": "0111",  # whoever finds the socket may use it
    "StreamLocalBindUnlink": "yes",
}
_HOST = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*|[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*(?:%[A-Za-z0-9._-]+)?")
_USER = re.compile(r"[^-\s\x00-\x20\x7f'\"`$;&<>|(){}%:@/][^\x00-\x1f\x7f'\"`$;&<>|(){}%:@/]*")
_CHANGED = re.compile(r"IDENTIFICATION HAS CHANGED|Offending|REVOKED")
_UNKNOWN = re.compile(r"No \S+ host key is known|Host key verification failed")
_KEY_FILE = re.compile(r"UNPROTECTED PRIVATE KEY|Load key .*|.*(?:invalid format|error in libcrypto|not accessible).*")
_REFUSED = re.compile(r"Permission denied|Too many authentication failures|No supported authentication")
_FORBIDDEN = re.compile(r"administratively prohibited|open failed: unknown channel|port forwarding is disabled", re.IGNORECASE)
_CLOSED = re.compile(r"open failed: connect failed: (.*)")
_NO_SFTP = re.compile(r"Received message too long|subsystem request failed|Ensure the remote shell")
_NOT_REACHED = re.compile(
    r"Could not resolve|Connection refused|[Tt]imed? ?out|No route to host|unreachable|Connection (?:closed|reset) by|kex_exchange|"
    r"not responding"
)


@dataclass(frozen=True)
class Ssh:
    """How to log in to the source. Both files are root's."""

    host: str
    port: int
    user: str
    key_path: str
    known_hosts_path: str

    def __str__(self) -> str:
        return f"{self.user}@{self.host}, port {self.port}"


def ssh_from(options: Mapping[str, Any] | None) -> Ssh | None:
    """Return the login in a module's option C(ssh); None when it is left out. Raises PecError for what could be no host or account."""
    if options is None:
        return None
    ssh = Ssh(options["host"].strip("[]"), options["port"], options["user"], options["key_path"], options["known_hosts_path"])
    if not _HOST.fullmatch(ssh.host):
        raise PecError(f"ssh.host {ssh.host!r} is no name or address of a host; correct it")
    if not _USER.fullmatch(ssh.user):
        raise PecError(f"ssh.user {ssh.user!r} is no name of an account that ssh accepts; correct it")
    if not 0 < ssh.port < 65536:
        raise PecError(f"ssh.port {ssh.port} is no port; give a number from 1 to 65535")
    return ssh


class Tunnel:
    """A socket on this host that leads to a port of the source, from C(with) to its end. It ends with the thread that starts it.

    C(socket_directory) is the host, and 5432 the port, by which libpq reaches it. Programs without rights may, if they are told the name of
    the directory: no other account can find it out.

    PostgreSQL has to answer at the other end. Raises PecError with what ssh said when it does not, or when the source is not reached.
    """

    port = 5432

    def __init__(self, ssh: Ssh, port: int, host: str = "127.0.0.1") -> None:
        # The source allows an address, and takes no name for it. PEC's own PostgreSQL listens on this one.
        self._ssh, self._target = ssh, f"{'127.0.0.1' if host in ('', 'localhost') else host}:{port}"
        self.socket_directory = ""
        self._stack = contextlib.ExitStack()
        self._program: Pipeline | None = None

    def __enter__(self) -> Tunnel:
        with contextlib.ExitStack() as stack:
            self.socket_directory = stack.enter_context(_hidden_directory())
            # A path relative to its directory, because everybody can read in /proc/net/unix what a socket was bound to.
            forward = ["-N", "-L", f"./{_SOCKET}:{self._target}"]
            self._program = stack.enter_context(_running(self._ssh, forward, cwd=self.socket_directory))
            self._wait()
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_error: object) -> None:
        self._stack.close()

    def require_alive(self) -> None:
        """Raise PecError with the reason when ssh has ended: whatever was read through the tunnel may be cut off."""
        if self._program is None or self._program.returncodes != [None]:
            if self._program:
                self._program.kill()  # which reads its last lines
            raise PecError(f"the tunnel to the source ended: {self.reason()}")

    def reason(self) -> str:
        """Return what went wrong by what ssh said last, and what to do."""
        return reason(self._ssh, self._target, self._lines())

    def _lines(self) -> list[str]:
        return self._program.lines("ssh") if self._program else []

    def _wait(self) -> None:
        # Whether the source allows the forwarding shows with the first connection only.
        with socket.socket(socket.AF_UNIX) as probe:
            self._connect(probe)
            try:
                probe.sendall(_SSL_REQUEST)
                answer = probe.recv(1)
            except OSError:
                answer = b""
        if answer not in (b"S", b"N"):
            deadline = time.monotonic() + _LAST_WORDS_SECONDS
            while not _complaint(self._ssh, self._target, self._lines()) and time.monotonic() < deadline:
                self.require_alive()
                time.sleep(0.05)
            raise PecError(f"no PostgreSQL answers through the tunnel to the source: {self.reason()}")

    def _connect(self, probe: socket.socket) -> None:
        """Connect as soon as ssh has logged in and listens."""
        deadline = time.monotonic() + _READY_SECONDS
        probe.settimeout(_READY_SECONDS)
        while True:
            try:
                probe.connect(os.path.join(self.socket_directory, _SOCKET))
                return
            except OSError:  # it is not there, or not yet listened on
                self.require_alive()
            if time.monotonic() > deadline:
                raise PecError(
                    f"the source {self._ssh} did not answer within {_READY_SECONDS} seconds; check its SSH server and the network"
                )
            time.sleep(0.05)


@contextlib.contextmanager
def reached(conn: Connection, ssh: Ssh | None) -> Iterator[Connection]:
    """Yield the connection as this host can use it, through SSH if it is given.

    Raises PecError with the reason of SSH, too, if that ended meanwhile.
    """
    if ssh is None:
        yield conn
        return
    with Tunnel(ssh, conn.port, conn.host) as tunnel:
        try:
            # What protects the connection is SSH; no certificate is for the name of the socket.
            yield replace(conn, host=tunnel.socket_directory, port=tunnel.port, sslmode=None, sslrootcert=None, unsupported=())
        except PecError as error:
            try:
                tunnel.require_alive()
            except PecError as cause:
                raise PecError(f"{error}. The cause: {cause}") from None
            raise


@contextlib.contextmanager
def joined(ssh: Ssh, port: int, uid: int) -> Iterator[Joined]:
    """Yield one connection to a port of the source's loopback, for a program of an account that may not read the key."""
    from_source, to_program = os.pipe()
    from_program, to_source = os.pipe()
    with contextlib.ExitStack() as stack:
        with contextlib.ExitStack() as of_ssh:
            for descriptor in (from_source, to_source, to_program, from_program):
                (of_ssh if descriptor in (to_program, from_program) else stack).callback(os.close, descriptor)
                os.fchown(descriptor, uid, -1)  # else the program could not open it by its number
            program = stack.enter_context(_running(ssh, ["-W", f"127.0.0.1:{port}"], stdin=from_program, stdout=to_program))
        yield Joined(ssh, port, (from_source, to_source), program)


@dataclass(frozen=True)
class Joined:
    """C(descriptors) are the two ends of the connection on this host, which a program inherits."""

    ssh: Ssh
    port: int
    descriptors: tuple[int, int]
    program: Pipeline

    @property
    def connect_program(self) -> str:
        """The value of RSYNC_CONNECT_PROG for an rsync that inherits the descriptors. It ends as soon as the source's side does.

        A shell knows descriptors of one digit, and a program in its background has no input unless it is given another number.
        """
        source, target = self.descriptors
        spare = next(number for number in range(3, 10) if number not in self.descriptors)
        return f"exec {spare}<&0 2>/dev/null; cat <&{spare} >/dev/fd/{target} & cat /dev/fd/{source}; kill $!"

    def reason(self) -> str:
        """Return what went wrong by what ssh said, and what to do; empty if it complained of nothing."""
        target, deadline = f"127.0.0.1:{self.port}", time.monotonic() + _LAST_WORDS_SECONDS
        while True:
            ended = self.program.returncodes[0] not in (None, 0)
            lines = self.program.lines("ssh")
            found = _complaint(self.ssh, target, lines)
            if found or time.monotonic() > deadline:
                return found or (reason(self.ssh, target, lines) if ended and lines else "")
            time.sleep(0.05)


def listens(ssh: Ssh, port: int) -> bool | None:
    """Return whether something listens on a port of the source's loopback; None if the source does not allow that port.

    Raises PecError with the reason when the source is not reached.
    """
    files.require_ours(ssh.key_path, "the key for the source")
    files.require_ours(ssh.known_hosts_path, "the list of known hosts")
    argv = ["timeout", str(_READY_SECONDS), "ssh", *_options(ssh), "-T", "-W", f"127.0.0.1:{port}", "--", ssh.host]
    ended = process.run(argv, stdin="GET / HTTP/1.0\r\n\r\n", timeout=2 * _READY_SECONDS)  # whatever it is, it answers or ends
    if ended.returncode in (0, _TIMED_OUT) or ended.stdout:
        return True
    if _FORBIDDEN.search(ended.stderr):
        return None
    if _CLOSED.search(ended.stderr):
        return False
    raise PecError(reason(ssh, f"127.0.0.1:{port}", ended.stderr.splitlines()))


def subsystem(ssh: Ssh, name: str) -> list[str]:
    """Return the program that speaks with a subsystem of the source's SSH server, such as sftp."""
    return ["ssh", *_options(ssh), "-T", "-s", "--", ssh.host, name]


@contextlib.contextmanager
def _running(ssh: Ssh, words: Sequence[str], *, cwd: str = "/", stdin: int | None = None, stdout: int | None = None) -> Iterator[Pipeline]:
    """Run ssh until the end of the block."""
    files.require_ours(ssh.key_path, "the key for the source")
    files.require_ours(ssh.known_hosts_path, "the list of known hosts")
    argv = ["ssh", *_options(ssh), "-T", *words, "--", ssh.host]
    stage = Stage(argv, user="root" if confinement.active() else None, cwd=cwd)
    program = Pipeline([stage], stdin=stdin, stdout=stdout)
    program.__enter__()  # its end by "with" would wait for ssh, and take its end for a failure
    try:
        yield program
    finally:
        program.kill()


def _options(ssh: Ssh) -> list[str]:
    known = ssh.known_hosts_path.replace("%", "%%")
    settings = {
        **_OPTIONS,
        "Port": str(ssh.port),
        "UserKnownHostsFile": f'"{known}"',
        "IdentityFile": f'"{ssh.key_path.replace("%", "%%")}"',
    }
    return ["-F", "none", *(word for name, value in settings.items() for word in ("-o", f"{name}={value}")), "-l", ssh.user]


@contextlib.contextmanager
def _hidden_directory() -> Iterator[str]:
    """Make a directory whose name only its maker knows. What a killed run left is removed."""
    base = SOCKETS if confinement.active() else os.path.join(os.environ.get("TMPDIR", "/tmp"), f"esus-pec-tunnels-{os.getuid()}")  # noqa: S108  # nosec B108  # root's is /run
    files.keep_directory(base, mode=stat.S_IRWXU | stat.S_IXGRP | stat.S_IXOTH, uid=os.getuid(), gid=os.getgid())
    for name in os.listdir(base):
        if not process.started(int(name.partition("-")[0]) if name.partition("-")[0].isdigit() else 0):
            files.remove_tree(os.path.join(base, name))
    directory = os.path.join(base, f"{os.getpid()}-{secrets.token_hex(12)}")
    files.make_directory(directory, mode=0o711)
    try:
        yield directory
    finally:
        files.remove_tree(directory)


def reason(ssh: Ssh, target: str, lines: Sequence[str]) -> str:
    """Return why ssh failed, from its messages, and what to do."""
    return _complaint(ssh, target, lines) or f"{_last(lines)}; check the SSH server of {ssh}"


def _complaint(ssh: Ssh, target: str, lines: Sequence[str]) -> str:
    """Return what of ssh's messages is a known cause; empty if nothing is, such as what a server greets with."""
    text = "\n".join(lines)
    where = f"[{ssh.host}]:{ssh.port}" if ssh.port != 22 else ssh.host
    if _CHANGED.search(text):
        return (
            f"the host key of {where} is not the one in {ssh.known_hosts_path}: it was reinstalled, or another host answers in its place; "
            "compare the fingerprint with the server's own (ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub there), then replace the key"
        )
    if _UNKNOWN.search(text):
        return f"no host key of {where} is in {ssh.known_hosts_path}; add the server's own, from /etc/ssh/ssh_host_ed25519_key.pub there"
    if _KEY_FILE.search(text):
        return f"ssh cannot use the private key {ssh.key_path}: {_last(lines)}; it must be an OpenSSH key without passphrase, of mode 0600"
    if _REFUSED.search(text):
        return f"the source refused the key {ssh.key_path} for {ssh}; check that the account allows it and that it has not expired"
    if _FORBIDDEN.search(text):
        return (
            f"the source does not allow {ssh.user} to forward a port to {target}; check permitopen of the key there, and "
            "AllowTcpForwarding in its sshd_config"
        )
    closed = _CLOSED.search(text)
    if closed:
        return f"nothing answers at {target} on the source ({closed.group(1)}); start it there, or correct the port"
    if _NO_SFTP.search(text):
        return f"the source offers {ssh.user} no SFTP; check Subsystem sftp in its sshd_config"
    if _NOT_REACHED.search(text):
        return f"{ssh} is not reached ({_last(lines)}); check host, port, its SSH server and the network"
    return ""


def _last(lines: Sequence[str]) -> str:
    said = [line.strip() for line in lines if line.strip()]
    return said[-1] if said else "ssh said nothing"
