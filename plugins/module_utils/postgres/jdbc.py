# SPDX-License-Identifier: GPL-3.0-or-later
"""JDBC URLs of PostgreSQL, read as its driver reads them. Private to the collection."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, quote, unquote

from ansible_collections.esus.pec.plugins.module_utils.errors import PecError

PREFIX = "jdbc:postgresql:"
DEFAULT_PORT = 5432
MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
"""What the driver and libpq both understand by C(sslmode). Without one the driver prefers TLS from 42.2.5 on; before, it uses none."""

_NOT_VALIDATING = "org.postgresql.ssl.NonValidatingFactory"
_OWN_FACTORIES = ("", "org.postgresql.ssl.LibPQFactory", "org.postgresql.ssl.jdbc4.LibPQFactory", _NOT_VALIDATING)
_NOT_HONOURED = ("sslcert", "sslkey", "sslpassword", "sslpasswordcallback", "sslfactoryarg", "sslhostnameverifier")


@dataclass(frozen=True)
class JdbcUrl:
    """The parts of a URL. With an empty C(database) the driver uses the user's name. C(params) may hold a password."""

    host: str
    port: int
    database: str
    params: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def sslmode(self) -> str | None:
        """How the driver protects the connection, as libpq calls it. None is the default, C(prefer)."""
        mode = self.params.get("sslmode", "").lower()
        if not mode and self.params.get("ssl", "false").lower() in ("", "true"):
            mode = "require" if self.params.get("sslfactory") == _NOT_VALIDATING else "verify-full"
        return None if mode in ("", "prefer") else mode

    @property
    def sslrootcert(self) -> str | None:
        """The file with the authority of the server's certificate."""
        return self.params.get("sslrootcert") or None

    @property
    def unsupported(self) -> tuple[str, ...]:
        """The parameters that say who the other end must be, or who we are, and that libpq has no equal for."""
        names = [name for name in _NOT_HONOURED if self.params.get(name)]
        names += ["sslfactory"] if self.params.get("sslfactory", "") not in _OWN_FACTORIES else []
        names += ["sslmode"] if self.sslmode and self.sslmode not in MODES else []
        return tuple(names)


def parse(url: str) -> JdbcUrl:
    """Return the parts of a C(jdbc:postgresql:) URL, with the driver's defaults (localhost, 5432).

    Raises PecError for another product's URL, several servers, or an invalid port. The error never quotes what may be a login.
    """
    address, _mark, query = url.strip().partition("?")
    if not address.startswith(PREFIX) or "@" in address:
        shown = ":".join(address.split(":")[:2]) + ":..."
        raise PecError(f"{shown!r} is not the JDBC URL of a PostgreSQL database; it must look like {PREFIX}//127.0.0.1:5432/esus")
    rest = address[len(PREFIX) :]
    host, port = "localhost", DEFAULT_PORT
    if rest.startswith("//"):
        authority, _slash, rest = rest[2:].partition("/")
        host, port = _authority(authority, address)
    return JdbcUrl(host, port, unquote(rest.lstrip("/")), dict(parse_qsl(query, keep_blank_values=True)))


def build(host: str, port: int, database: str, sslmode: str | None = None, sslrootcert: str | None = None) -> str:
    """Return the URL that leads to this database. It never holds a password."""
    bracketed = f"[{host}]" if ":" in host else host
    params = [f"{name}={quote(value)}" for name, value in (("sslmode", sslmode), ("sslrootcert", sslrootcert)) if value]
    return f"{PREFIX}//{bracketed}:{port}/{quote(database, safe='')}{'?' if params else ''}{'&'.join(params)}"


def _authority(text: str, address: str) -> tuple[str, int]:
    if "," in text:
        raise PecError(f"{address!r} names several servers; give one host and port")
    host, colon, port = text.rpartition(":")
    if not colon or text.endswith("]"):
        host, port = text, ""
    if port and not (port.isascii() and port.isdigit() and 0 < int(port) < 65536):
        raise PecError(f"{address!r} has the port {port!r}; it must be a number from 1 to 65535")
    return host.strip("[]") or "localhost", int(port) if port else DEFAULT_PORT
