# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import contextlib
import shutil
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.pec import health

HEALTHY = {"/": (200, "<html>"), "/esus/": (401, ""), "/api/public/info": (200, '{"versao": "5.4.37"}')}


@contextlib.contextmanager
def server(answers: Mapping[str, tuple[int, str]], context: ssl.SSLContext | None = None) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, body = answers.get(self.path, (404, ""))
            self.send_response(status)
            if status == 302:
                self.send_header("Location", "/elsewhere")
            self.send_header("Content-Length", str(len(body.encode())))
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *_arguments: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listener:
        if context:
            listener.socket = context.wrap_socket(listener.socket, server_side=True)
        thread = threading.Thread(target=listener.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"{'https' if context else 'http'}://127.0.0.1:{listener.server_address[1]}"
        listener.shutdown()
        thread.join()


@pytest.fixture
def closed() -> str:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return f"http://127.0.0.1:{listener.getsockname()[1]}"


def test_a_working_pec_is_healthy() -> None:
    with server(HEALTHY) as url:
        assert health.probe(url + "/") == health.Health(url, True, 200, 401, "5.4.37", None, True)


@pytest.mark.parametrize(
    ("change", "error"),
    [
        pytest.param({"/": (500, "")}, "GET / answered 500, expected 200; PEC's log says why", id="root fails"),
        pytest.param({"/": (302, "")}, "GET / answered 302, expected 200; PEC's log says why", id="a redirection is not followed"),
        pytest.param(
            {"/esus/": (404, "")}, "GET /esus/ answered 404, expected 200 or 401; PEC's log says why", id="something else on this port"
        ),
    ],
)
def test_what_is_not_healthy_says_why(change: dict[str, tuple[int, str]], error: str) -> None:
    with server({**HEALTHY, **change}) as url:
        answer = health.probe(url)
    assert (answer.reachable, answer.healthy, answer.error) == (True, False, error)


@pytest.mark.parametrize("body", ["", "not json", "[]", '{"versao": 5}', "{}"])
def test_a_version_that_is_not_said_is_unknown_and_no_illness(body: str) -> None:
    with server({**HEALTHY, "/api/public/info": (200, body)}) as url:
        answer = health.probe(url)
    assert (answer.healthy, answer.version) == (True, None)


def test_nobody_there_is_not_reachable(closed: str) -> None:
    answer = health.probe(closed)
    assert (answer.reachable, answer.root_status, answer.healthy) == (False, None, False)
    assert "Connection refused" in (answer.error or "")


def test_something_that_does_not_speak_http_is_not_reachable() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=lambda: listener.accept()[0].sendall(b"nonsense\r\n\r\n")).start()
        answer = health.probe(f"http://127.0.0.1:{listener.getsockname()[1]}")
    assert (answer.reachable, answer.healthy) == (False, False)
    assert answer.error


def test_a_proxy_of_the_environment_is_not_used(monkeypatch: pytest.MonkeyPatch, closed: str) -> None:
    monkeypatch.setenv("http_proxy", closed)
    with server(HEALTHY) as url:
        assert health.probe(url).healthy


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    if shutil.which("openssl") is None:
        pytest.skip("no openssl on this machine to make a certificate")
    path = tmp_path / "server.pem"
    argv = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "1"]
    argv += ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(tmp_path / "key.pem"), "-out", str(path)]
    subprocess.run(argv, check=True, capture_output=True)
    return path


def test_a_certificate_is_checked_unless_told_otherwise(certificate: Path) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, certificate.parent / "key.pem")
    with server(HEALTHY, context) as url:
        refused = health.probe(url)
        assert (refused.reachable, refused.healthy) == (False, False)
        assert "CERTIFICATE_VERIFY_FAILED" in (refused.error or "")
        assert health.probe(url, verify=False).healthy
        assert health.probe(url, ca_path=str(certificate)).healthy


def test_authorities_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    with pytest.raises(PecError, match=f"cannot read the certificate authorities in {tmp_path}/no.pem: No such file"):
        health.probe("https://127.0.0.1:1", ca_path=str(tmp_path / "no.pem"))


def test_wait_returns_as_soon_as_it_is_healthy() -> None:
    answers = dict.fromkeys(HEALTHY, (503, ""))
    calls = []

    def starting() -> bool:
        calls.append(None)
        if len(calls) == 3:
            answers.update(HEALTHY)
        return True

    with server(answers) as url:
        assert health.wait([url], seconds=60, interval=0.01, still_starting=starting).healthy
    assert len(calls) == 3


def test_wait_gives_up_when_the_service_has(closed: str) -> None:
    assert not health.wait([closed], seconds=600, interval=300, still_starting=lambda: False).healthy


def test_wait_gives_up_when_the_time_is_over(closed: str) -> None:
    assert not health.wait([closed], seconds=0.05, interval=0.01).reachable


def test_the_address_that_answers_counts(closed: str) -> None:
    with server(HEALTHY) as good, server({}) as bad:
        assert health.wait([closed, bad, good], seconds=0).url == good
        assert health.wait([closed, bad], seconds=0).url == bad
    assert health.wait([closed], seconds=0).url == closed
