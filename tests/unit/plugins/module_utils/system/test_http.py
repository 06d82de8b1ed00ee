# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import contextlib
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import certificates
import pytest

from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.system.http import HttpClient, UnansweredError


class Handler(BaseHTTPRequestHandler):
    """Answers by the path: a redirection, an answer that breaks off, none at all, or what it was sent."""

    def do_GET(self) -> None:
        if self.path == "/silence":
            return
        status = int(self.path[1:4])
        body = f"{self.headers.get('Cookie')} {self.headers.get('X-Mine')} {self.rfile.read(int(self.headers.get('Content-Length', 0)))!r}"
        self.send_response(status)
        self.send_header("Location", "/200")
        self.send_header("Set-Cookie", "a=b; Path=/")
        self.send_header("Transfer-Encoding", "chunked") if self.path.endswith("/broken") else None
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())

    do_POST = do_GET  # noqa: N815

    def log_message(self, *_arguments: object) -> None:
        pass


@contextlib.contextmanager
def server(context: ssl.SSLContext | None = None) -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listener:
        if context:
            listener.socket = context.wrap_socket(listener.socket, server_side=True)
        thread = threading.Thread(target=listener.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"{'https' if context else 'http'}://127.0.0.1:{listener.server_address[1]}"
        listener.shutdown()
        thread.join()


@pytest.fixture
def url() -> Iterator[str]:
    with contextlib.ExitStack() as stack:
        yield stack.enter_context(server())


@pytest.mark.parametrize("status", [200, 302, 401, 404, 500])
def test_every_status_is_an_answer_and_no_redirection_is_followed(url: str, status: int) -> None:
    answer = HttpClient(5).ask(f"{url}/{status}")
    assert (answer.status, answer.text) == (status, "None None b''")


def test_what_is_sent_and_the_cookies_come_back(url: str) -> None:
    client = HttpClient(5)
    assert client.ask(f"{url}/200", b"text", {"X-Mine": "1"}).text == "None 1 b'text'"
    assert client.ask(f"{url}/200").text == "a=b None b''" and [cookie.value for cookie in client.cookies] == ["b"]


def test_an_answer_is_read_up_to_its_limit(url: str) -> None:
    assert HttpClient(5, maximum=4).ask(f"{url}/200").text == "None"


def test_an_answer_that_breaks_off(url: str) -> None:
    """Of a refusal the status is enough."""
    with pytest.raises(UnansweredError) as caught:
        HttpClient(5).ask(f"{url}/200/broken")
    assert caught.value.delivered
    assert HttpClient(5).ask(f"{url}/500/broken").status == 500


def test_a_proxy_of_the_environment_is_not_used(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    assert HttpClient(5).ask(f"{url}/200").status == 200


def test_a_server_that_says_nothing_may_have_heard(url: str) -> None:
    with pytest.raises(UnansweredError) as caught:
        HttpClient(5).ask(f"{url}/silence")
    assert (caught.value.delivered, caught.value.untrusted) == (True, False)


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/", "ftp://127.0.0.1/", "nothing", "http://127.0.0.1:x/"])
def test_nobody_heard_it(url: str) -> None:
    with pytest.raises(UnansweredError) as caught:
        HttpClient(5).ask(url)
    assert caught.value.delivered is False and caught.value.reason and str(caught.value) == f"{url}: {caught.value.reason}"


def test_something_that_does_not_speak_http() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=lambda: listener.accept()[0].sendall(b"nonsense\r\n\r\n")).start()
        with pytest.raises(UnansweredError):
            HttpClient(5).ask(f"http://127.0.0.1:{listener.getsockname()[1]}")


def test_a_certificate_is_checked_unless_told_otherwise(tmp_path: Path) -> None:
    issued = certificates.issue(domains=["localhost"], uses=[certificates.SERVER])
    (tmp_path / "server.pem").write_text(issued.pem + issued.authorities[0].pem + issued.key_pem)
    (tmp_path / "ca.pem").write_text("".join(each.pem for each in issued.authorities))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "server.pem")
    with server(context) as address:
        url = address.replace("127.0.0.1", "localhost") + "/200"
        for client, where in ((HttpClient(5), url), (HttpClient(5, ca_path=str(tmp_path / "ca.pem")), f"{address}/200")):
            with pytest.raises(UnansweredError) as caught:
                client.ask(where)
            assert caught.value.untrusted and not caught.value.delivered
        assert HttpClient(5, verify=False).ask(f"{address}/200").status == 200
        assert HttpClient(5, ca_path=str(tmp_path / "ca.pem")).ask(url).status == 200


def test_authorities_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    with pytest.raises(PecError, match=f"cannot read the certificate authorities in {tmp_path}/no.pem: No such file"):
        HttpClient(5, ca_path=str(tmp_path / "no.pem")).ask("https://127.0.0.1:1")


def reluctant(link: socket.socket, begin: bytes, again: bytes, pause: float) -> None:
    """Say something again and again, after the request has come."""
    with link, contextlib.suppress(OSError):
        link.recv(65536)
        link.sendall(begin)
        while True:
            link.sendall(again)
            time.sleep(pause)


@pytest.mark.parametrize(
    ("begin", "again", "pause"),
    [
        pytest.param(b"HTTP/1.1 200 OK\r\nA: ", b"x", 0.1, id="a header"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n", b"x", 0.1, id="an answer"),
        pytest.param(b"HTTP/1.1 200 OK\r\n\r\n", b"x", 0.1, id="an answer of unknown length"),
        pytest.param(b"HTTP/1.1 500 No\r\nContent-Length: 1000\r\n\r\n", b"x", 0.1, id="a refusal"),
        pytest.param(b"", b"HTTP/1.1 100 Continue\r\n\r\n", 0, id="promises without end"),
    ],
)
def test_a_server_that_never_ends_is_not_heard_for_ever(begin: bytes, again: bytes, pause: float) -> None:
    """Each byte comes within the timeout."""
    started = time.monotonic()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=lambda: reluctant(listener.accept()[0], begin, again, pause), daemon=True)
        thread.start()
        with pytest.raises(UnansweredError, match="no complete answer within 1 seconds") as caught:
            HttpClient(1).ask(f"http://127.0.0.1:{listener.getsockname()[1]}")
        thread.join(10)  # the connection was closed, too
    assert caught.value.delivered and not thread.is_alive() and time.monotonic() - started < 10
