# SPDX-License-Identifier: GPL-3.0-or-later
"""One download's conversation with servers that nobody here trusts. Private to the collection.

Redirections are few, never from https to http, and never from a public address into a network of ours. Cookies are kept for this download
only: SharePoint gives one on the way to the file. Nothing is decompressed. Of an address only the host is shown.
"""

from __future__ import annotations

import base64
import http.client
import http.cookiejar
import ipaddress
import socket
import ssl
import time
import urllib.request
from collections.abc import Mapping
from contextlib import ExitStack
from urllib.parse import unquote, urljoin, urlsplit

from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.received import messages
from ansible_collections.esus.pec.plugins.module_utils.received.messages import InterruptedDownloadError, NotReceivedError
from ansible_collections.esus.pec.plugins.module_utils.received.share_links import cleaned
from ansible_collections.esus.pec.plugins.module_utils.system.http import Connection, tls_context
from ansible_collections.esus.pec.plugins.module_utils.system.patience import Patience

HEAD = 1 << 16
_CHUNK = 1 << 18
_REDIRECTIONS = (301, 302, 303, 307, 308)
_MOST_REDIRECTIONS = 10
_LEAST_RATE = 1024  # bytes per second; what is slower never ends
_HEADERS = {"User-Agent": "Mozilla/5.0 (compatible; esus.pec)", "Accept": "*/*", "Accept-Encoding": "identity"}


class Answer:
    """An answer that is read step by step. C(head) is what C(read_head) read of it, and the next C(read) returns."""

    def __init__(self, url: str, connection: Connection, response: http.client.HTTPResponse, stall: float, deadline: float) -> None:
        self.host = urlsplit(url).hostname or ""
        self.status, self.headers = response.status, response.headers
        self.head = b""
        self._connection, self._response = connection, response
        self._stall, self._deadline = stall, deadline
        self._since, self._count = time.monotonic(), 0

    def __enter__(self) -> Answer:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def close(self) -> None:
        """End the connection; what was not read is not waited for."""
        self._response.close()
        self._connection.close()

    def read_head(self) -> bytes:
        """Return the first bytes, or all of a shorter file."""
        while len(self.head) < HEAD:
            data = self._some()
            if not data:
                break
            self.head += data
        return self.head

    def read(self) -> bytes:
        """Return the next bytes, none at the end. Raises InterruptedDownloadError when the connection ends, stalls or takes too long."""
        head, self.head = self.head, b""
        return head or self._some()

    def _some(self) -> bytes:
        try:
            data = self._response.read1(_CHUNK)
        except (OSError, http.client.HTTPException, ValueError) as error:
            what = f"the download from {self.host} was interrupted: {_reason(error)}"
            raise InterruptedDownloadError(what, messages.INCOMPLETE_FILE) from None
        now = time.monotonic()
        self._count += len(data)
        if data and now > self._deadline:
            raise PecError(f"the download from {self.host} took too long and was stopped; run again to continue it, or raise timeout")
        if now - self._since >= self._stall:
            if data and self._count < _LEAST_RATE * self._stall:
                raise PecError(f"{self.host} sends almost nothing, so the download was stopped; run again later to continue it")
            self._since, self._count = now, 0
        return data


class Conversation:
    """Asks for files, with the cookies of this one download. C(stall) and C(timeout) are in seconds."""

    def __init__(self, *, allow_http: bool, stall: float, timeout: float) -> None:
        self._allow_http = allow_http
        self._stall, self._deadline = stall, time.monotonic() + timeout
        self._cookies = http.cookiejar.CookieJar()
        self._reach: int | None = None

    def get(self, url: str, headers: Mapping[str, str]) -> Answer:
        """Return the answer at the end of the redirections, whatever its status. Raises PecError if there is none, or they lead astray."""
        for _number in range(_MOST_REDIRECTIONS + 1):
            request = urllib.request.Request(url, headers={**_HEADERS, **headers})  # noqa: S310  # cleaned() lets https and http through
            self._cookies.add_cookie_header(request)
            connection, response = self._ask(request)
            self._cookies.extract_cookies(response, request)
            target = response.headers.get("Location", "")
            if response.status not in _REDIRECTIONS or not target:
                return Answer(url, connection, response, self._stall, self._deadline)
            connection.close()
            url = self._next(url, target)
        raise NotReceivedError(f"{request.host} redirects more than {_MOST_REDIRECTIONS} times", messages.PAGE)

    def _ask(self, request: urllib.request.Request) -> tuple[Connection, http.client.HTTPResponse]:
        host = urlsplit(request.full_url).hostname or ""
        with Patience(self._stall) as patience, ExitStack() as stack:
            try:
                connection = self._connection(request, host, patience)
                stack.callback(connection.close)
                connection.request("GET", request.selector, headers=dict(request.header_items()))
                response = connection.getresponse()
                stack.pop_all()
                return connection, response
            except (OSError, http.client.HTTPException, ValueError) as error:
                reason = f"no answer within {self._stall:g} seconds" if patience.over else _reason(error)
                raise PecError(f"cannot download from {host}: {reason}; check the link and this host's way there, then run again") from None

    def _connection(self, request: urllib.request.Request, host: str, patience: Patience) -> Connection:
        proxy = urllib.request.getproxies().get("https", "") if request.type == "https" else ""
        proxied = bool(proxy) and not urllib.request.proxy_bypass(host)

        def connected(link: socket.socket) -> None:
            patience.watch(link)
            if not proxied:  # a proxy decides by itself where it goes
                self._require_in_reach(link, host)

        context = tls_context(True, None) if request.type == "https" else None
        if not proxied:
            return Connection(request.host, check=connected, context=context, timeout=self._stall)
        way = urlsplit(proxy if "//" in proxy else f"//{proxy}")
        connection = Connection(f"{way.hostname}:{way.port or 3128}", check=connected, context=context, timeout=self._stall)
        login = base64.b64encode(unquote(f"{way.username}:{way.password or ''}").encode()).decode() if way.username else ""
        connection.set_tunnel(request.host, headers={"Proxy-Authorization": f"Basic {login}"} if login else {})
        return connection

    def _require_in_reach(self, link: socket.socket, host: str) -> None:
        """Look at the address that answers, not at one of its name, which may have another a moment later."""
        inner = _innerness(link.getpeername()[0])
        if self._reach is None:
            self._reach = inner
        if inner > self._reach:
            what = f"the link leads on to {host}, an address inside a network of this server, which is not followed"
            raise NotReceivedError(what, messages.PAGE)

    def _next(self, url: str, target: str) -> str:
        host = urlsplit(url).hostname
        try:
            following = urljoin(url, target.replace(" ", "%20"))
            # Headers arrive as Latin-1, and servers write UTF-8.
            following = following.encode("latin-1").decode("utf-8", "replace") if not following.isascii() else following
            return cleaned(following, allow_http=self._allow_http and url.startswith("http:"))
        except (PecError, ValueError):
            raise NotReceivedError(f"{host} redirects to what is no https address, which is not followed", messages.PAGE) from None


def _innerness(address: str) -> int:
    """Return 0 for an address of the internet, 1 for one of a private network, 2 for one of this host or its link."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    ip = getattr(ip, "ipv4_mapped", None) or ip
    if ip.is_loopback or ip.is_link_local or ip.is_unspecified or ip.is_multicast:
        return 2
    return 0 if ip.is_global else 1


def _reason(error: Exception) -> str:
    """The cause in words that hold nothing of the address, which http.client quotes in some."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not accepted ({error.verify_message})"
    if str(error).startswith("Tunnel connection failed"):
        return f"the proxy refuses it ({error})"
    return getattr(error, "strerror", None) or type(error).__name__
