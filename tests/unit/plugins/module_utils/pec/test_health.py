# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from ansible_collections.esus.pec.plugins.module_utils.pec import health

HEALTHY = {"/": (200, "<html>"), "/esus/": (401, ""), "/api/public/info": (200, '{"versao": "5.4.37"}')}


@contextlib.contextmanager
def server(answers: Mapping[str, tuple[int, str]]) -> Iterator[str]:
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
        thread = threading.Thread(target=listener.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{listener.server_address[1]}"
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
        pytest.param({"/": (500, "")}, "GET / answered 500, expected 200; look into PEC's log", id="root fails"),
        pytest.param({"/": (302, "")}, "GET / answered 302, expected 200; look into PEC's log", id="a redirection is not followed"),
        pytest.param(
            {"/esus/": (404, "")}, "GET /esus/ answered 404, expected 200 or 401; look into PEC's log", id="something else on this port"
        ),
    ],
)
def test_what_is_not_healthy_says_why(change: dict[str, tuple[int, str]], error: str) -> None:
    with server({**HEALTHY, **change}) as url:
        answer = health.probe(url)
    assert (answer.reachable, answer.healthy, answer.error) == (True, False, error)


@pytest.mark.parametrize("body", ["", "not json", "[]", '{"versao": 5}', "{}", "[" * 100_000], ids=range(6))
def test_a_version_that_is_not_said_is_unknown_and_no_illness(body: str) -> None:
    with server({**HEALTHY, "/api/public/info": (200, body)}) as url:
        answer = health.probe(url)
    assert (answer.healthy, answer.version) == (True, None)


def test_nobody_there_is_not_reachable(closed: str) -> None:
    answer = health.probe(closed)
    assert (answer.reachable, answer.root_status, answer.healthy) == (False, None, False)
    assert "Connection refused" in (answer.error or "")


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
