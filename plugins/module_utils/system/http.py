# SPDX-License-Identifier: GPL-3.0-or-later
"""The one HTTP client: no proxy, no redirection, a limit on every answer. Private to the collection."""

from __future__ import annotations

import http.client
import http.cookiejar
import socket
import ssl
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Callable

from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.system.patience import Patience

Check = Callable[[socket.socket], None]


@dataclass(frozen=True)
class Answer:
    """The status of HTTP and the text of an answer."""

    status: int
    text: str


class UnansweredError(PecError):
    """No answer came.

    C(reason) is the cause in words, C(delivered) True if the server may have received the whole request all the same, C(untrusted)
    True if the cause is the server's certificate or TLS.
    """

    def __init__(self, url: str, cause: Exception) -> None:
        # urllib wraps only what fails before the whole request is sent.
        origin = getattr(cause, "reason", None) or cause
        self.reason = str(origin) or type(origin).__name__
        super().__init__(f"{url}: {self.reason}")
        self.delivered = not isinstance(cause, (urllib.error.URLError, http.client.InvalidURL, ValueError))
        self.untrusted = isinstance(origin, ssl.SSLError) or "CERTIFICATE_VERIFY_FAILED" in self.reason


class HttpClient:
    """Sends requests and keeps the server's cookies.

    timeout is in seconds, to connect and then for the whole request and its answer. verify checks the certificate of an https server,
    against the file ca_path if given.
    maximum is the number of bytes of an answer that are read. check looks at each connection before anything is sent over it; an error
    that it raises ends the request.
    """

    def __init__(
        self,
        timeout: float,
        *,
        verify: bool = True,
        ca_path: str | None = None,
        maximum: int = 1 << 20,
        check: Check | None = None,
    ) -> None:
        self.cookies = http.cookiejar.CookieJar()
        self._timeout = timeout
        self._verify = verify
        self._ca_path = ca_path
        self._maximum = maximum
        self._check = check
        self._patience = Patience(timeout)

    def ask(self, url: str, body: bytes | None = None, headers: Mapping[str, str] | None = None) -> Answer:
        """Return the answer to a GET, or to a POST of C(body), whatever its status.

        Raises UnansweredError when there is none, PecError when the certificate authorities cannot be read.
        """
        opener = self._https if url.lower().startswith("https:") else self._http
        with Patience(self._timeout) as self._patience:
            try:
                request = urllib.request.Request(url, body, {"User-Agent": "esus.pec", **(headers or {})})  # noqa: S310  # only http and https have a handler
                with opener.open(request, timeout=self._timeout) as response:
                    answer = Answer(response.status, self._text(response))
            except (OSError, http.client.HTTPException, ValueError) as error:
                if not self._patience.over:
                    raise UnansweredError(url, error) from None
        if self._patience.over:
            raise UnansweredError(url, TimeoutError(f"no complete answer within {self._timeout:g} seconds"))
        return answer

    def _text(self, response: http.client.HTTPResponse) -> str:
        try:
            return response.read(self._maximum).decode("utf-8", "replace")
        except (OSError, http.client.HTTPException):
            if 200 <= response.status < 300:
                raise
            return ""  # the status alone is the answer

    def _connected(self, link: socket.socket) -> None:
        self._patience.watch(link)
        if self._check:
            self._check(link)

    @cached_property
    def _http(self) -> urllib.request.OpenerDirector:
        return self._opener(_HttpHandler(self._connected))

    @cached_property
    def _https(self) -> urllib.request.OpenerDirector:
        return self._opener(_HttpsHandler(self._connected, tls_context(self._verify, self._ca_path)))

    def _opener(self, handler: urllib.request.BaseHandler) -> urllib.request.OpenerDirector:
        """Not urllib's build_opener, which follows redirections, asks proxies, and loads the host's authorities even for http."""
        opener = urllib.request.OpenerDirector()
        for each in (handler, urllib.request.HTTPCookieProcessor(self.cookies), urllib.request.UnknownHandler()):
            opener.add_handler(each)
        return opener


class Connection(http.client.HTTPConnection):
    """One connection of http or, with a context, of https. C(check) sees it once it is open and before TLS or anything else."""

    def __init__(self, host: str, *, check: Check, context: ssl.SSLContext | None, timeout: float) -> None:
        self.default_port = http.client.HTTPS_PORT if context else http.client.HTTP_PORT
        super().__init__(host, timeout=timeout)
        self._checking, self._tls = check, context

    def connect(self) -> None:
        super().connect()
        self._checking(self.sock)
        if self._tls:
            self.sock = self._tls.wrap_socket(self.sock, server_hostname=getattr(self, "_tunnel_host", None) or self.host)


class _HttpHandler(urllib.request.HTTPHandler):
    def __init__(self, check: Check) -> None:
        super().__init__()
        self._connection = partial(Connection, check=check, context=None)

    def http_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(self._connection, req)


class _HttpsHandler(urllib.request.HTTPSHandler):
    def __init__(self, check: Check, context: ssl.SSLContext) -> None:
        super().__init__(context=context)
        self._connection = partial(Connection, check=check, context=context)

    def https_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(self._connection, req)


def tls_context(verify: bool, ca_path: str | None) -> ssl.SSLContext:
    """Return a client's side of TLS. Without verify no authorities are loaded, which takes long. Raises PecError for an unreadable file."""
    if not verify:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        return context
    try:
        return ssl.create_default_context(cafile=ca_path)
    except OSError as error:
        raise PecError(f"cannot read the certificate authorities in {ca_path}: {error.strerror or error}; correct ca_path") from None
