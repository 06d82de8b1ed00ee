# SPDX-License-Identifier: GPL-3.0-or-later
"""Who is on the other end of a connection to PostgreSQL: TLS, and no password in clear text. Private to the collection."""

from __future__ import annotations

import ipaddress
import os
import socket
import ssl
import stat
import struct
from collections.abc import Sequence
from functools import lru_cache

from ansible_collections.esus.pec.plugins.module_utils import beliefs
from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.system import listening
from ansible_collections.esus.pec.plugins.module_utils.system.host import own_addresses
from ansible_collections.esus.pec.plugins.module_utils.system.patience import Patience

_PROTOCOL_3 = 196608
_SSL_REQUEST = struct.pack("!II", 8, 80877103)
_AUTHENTICATION = {0: "trust", 3: "password", 5: "md5"}
_SASL = 10
VERIFYING = ("verify-ca", "verify-full")
"""The modes of sslmode in which the server has to prove who it is."""
_LOOPBACK = ("", "localhost")
_UNITS = ("postgresql", beliefs.DATABASE_UNIT)


def is_local(host: str) -> bool:
    """Return whether a server is on this host, whatever the spelling of its address, its name, or the directory of its socket."""
    return stays_here(host) or _leads_here(host.strip("[]"))


def stays_here(host: str) -> bool:
    """Return whether nobody outside this host can be at this address: it is no name, whose address a resolver can change."""
    if host in _LOOPBACK or host.startswith("/"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


@lru_cache(maxsize=None)
def _leads_here(name: str) -> bool:
    """Ask the resolver, which also reads the short forms of an address. All that it answers have to be addresses of this host."""
    try:
        found = {str(info[4][0]) for info in socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)}
    except (OSError, ValueError):
        return False
    own = own_addresses()
    addresses = [ipaddress.ip_address(one.partition("%")[0]) for one in found]
    plain = [getattr(one, "ipv4_mapped", None) or one for one in addresses]
    return bool(plain) and all(one.is_loopback or one.is_unspecified or str(one) in own for one in plain)


def protection(
    host: str, port: int, username: str, database: str, *, sslmode: str | None, sslrootcert: str | None, unsupported: Sequence[str] = ()
) -> dict[str, str]:
    """Return the variables that make a client protect its connection as asked.

    Raises PecError if it cannot be protected so, or if the password would travel in clear text over the network, or to somebody of this
    host who is no service of the system. Clients before 16 cannot refuse that themselves, so the server is asked first, without a password.
    """
    where = f"the database {database!r} at {host}:{port}"
    if unsupported:
        raise PecError(
            f"{where}: its URL has {', '.join(unsupported)}, which only PEC's driver understands, so nothing connects without it; "
            "use sslmode and sslrootcert in the URL, or give database with its host, port, name, username, password and sslmode"
        )
    variables = {"PGSSLMODE": sslmode} if sslmode else {}
    if sslrootcert:
        _require_readable(sslrootcert)
        variables["PGSSLROOTCERT"] = sslrootcert
    if sslmode in VERIFYING:
        if not sslrootcert:
            raise PecError(f"{where}: sslmode {sslmode} requires the authority of the server's certificate; set sslrootcert to its file")
        return variables
    if not stays_here(host) or (not host.startswith("/") and listening.is_strange(port, units=_UNITS)):
        _refuse_clear_text(host, port, username, database, sslmode)
        variables["PGREQUIREAUTH"] = "!password"  # libpq 16; older ones ignore it
    return variables


def authentication_method(host: str, port: int, username: str, database: str, timeout: float = 5, *, sslmode: str | None = None) -> str:
    """Return the authentication method that the server requires of this role. No password is sent.

    "trust", "md5", "scram-sha-256", "password", "other", or "rejected: " and the server's text. timeout is in seconds. With a C(sslmode)
    that requires TLS the question is asked over TLS, because a server may have other rules for it; the certificate is not verified for it.
    Raises PecError when nothing answers, or not PostgreSQL, or not with TLS.
    """
    return _ask(host, port, username, database, timeout, encrypted=sslmode in ("require", *VERIFYING))


def _ask(host: str, port: int, username: str, database: str, timeout: float, *, encrypted: bool) -> str:
    where = f"PostgreSQL at {host}:{port}"
    parameters = b"".join(part.encode() + b"\0" for part in ("user", username, "database", database))
    body = struct.pack("!I", _PROTOCOL_3) + parameters + b"\0"
    try:
        with socket.create_connection((host, port), timeout) as plain, _wrap(plain) if encrypted else plain as link:
            link.sendall(struct.pack("!I", len(body) + 4) + body)
            with Patience(timeout) as patience, link.makefile("rb") as stream:
                patience.watch(link)
                kind, length = struct.unpack("!cI", stream.read(5))
                return _read_authentication(kind, stream.read(max(0, min(length, 1 << 16) - 4)))
    except (struct.error, ValueError):
        raise PecError(f"{where}: the answer is not in PostgreSQL's protocol; check host and port") from None
    except OSError as error:
        reason = error.strerror or str(error)
        raise PecError(f"{where} cannot be reached: {reason}; check that it runs, its listen_addresses and the firewall") from None


def _wrap(link: socket.socket) -> socket.socket:
    """Start TLS. Only the method is asked for over it, so whose certificate it is does not matter."""
    link.sendall(_SSL_REQUEST)
    answer = link.recv(1)
    if answer == b"N":
        raise OSError("it offers no TLS, which sslmode requires")
    if answer != b"S":
        raise ValueError(answer)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context.wrap_socket(link)


@lru_cache(maxsize=None)
def _refuse_clear_text(host: str, port: int, username: str, database: str, sslmode: str | None) -> None:
    """By default libpq tries both with TLS and without, and a server may have a rule for each."""
    methods = []
    if sslmode != "disable":
        try:
            methods.append(authentication_method(host, port, username, database, sslmode="require"))
        except PecError:
            if sslmode == "require":
                raise
    if sslmode != "require":
        methods.append(authentication_method(host, port, username, database))
    if "password" in methods:
        raise PecError(
            f"PostgreSQL at {host}:{port} asks for the password of {username!r} in clear text, and anyone who answers in its place would "
            "receive it; on that server, put the method md5 in pg_hba.conf and reload, or set sslmode to verify-full with sslrootcert"
        )


def _require_readable(path: str) -> None:
    """The client that reads the file runs as an account without rights."""
    remedy = "give the path of a file that every account may read, such as one in /etc/ssl/certs; it holds no secret"
    if not os.path.isabs(path):
        raise PecError(f"sslrootcert {path!r} is not an absolute path; {remedy}")
    try:
        real = os.path.realpath(path)
        if not os.stat(real).st_mode & stat.S_IROTH:
            raise PecError(f"sslrootcert {path} cannot be read by other accounts; {remedy}")
        while real != "/":
            real = os.path.dirname(real)
            if not os.stat(real).st_mode & stat.S_IXOTH:
                raise PecError(f"sslrootcert {path} cannot be read by other accounts, because they cannot enter {real}; {remedy}")
    except OSError as error:
        raise PecError(f"sslrootcert {path}: {error.strerror}; {remedy}") from None


def _read_authentication(kind: bytes, payload: bytes) -> str:
    if kind == b"E":
        fields = {text[:1]: text[1:] for text in payload.split(b"\0")}
        return "rejected: " + fields.get(b"M", b"no reason given").decode("utf-8", "replace")
    if kind != b"R":
        raise ValueError(kind)
    (code,) = struct.unpack("!I", payload[:4])
    if code == _SASL:
        return "scram-sha-256" if b"SCRAM-SHA-256" in payload[4:].split(b"\0") else "other"
    return _AUTHENTICATION.get(code, "other")
