# SPDX-License-Identifier: GPL-3.0-or-later
"""What servers answer at the address of an installer, each on a real socket."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from ansible_collections.esus.pec.plugins.module_utils.preflight import download
from ansible_collections.esus.pec.plugins.module_utils.system import host

JAR = b"PK\x03\x04" + b"x" * 996
A_PAGE = " is not an installer but a web page, such as that of a login or an error"
PAGE = b"<!DOCTYPE html><title>Entrar</title>"
ANSWERS: dict[str, tuple[int, dict[str, str], bytes]] = {
    "/whole.jar": (200, {"Content-Length": "1000"}, JAR),
    "/part.jar": (206, {"Content-Length": "4", "Content-Range": "bytes 0-3/900000000"}, JAR[:4]),
    "/unknown.jar": (206, {"Content-Length": "4", "Content-Range": "bytes 0-3/*"}, JAR[:4]),
    "/moved.jar": (302, {"Location": "/part.jar", "Content-Length": "0"}, b""),
    "/login.jar": (302, {"Location": "/page", "Content-Length": "0"}, b""),
    "/loop.jar": (302, {"Location": "/loop.jar", "Content-Length": "0"}, b""),
    "/page": (200, {"Content-Type": "application/java-archive", "Content-Length": str(len(PAGE))}, PAGE),
    "/text.jar": (200, {"Content-Length": "5"}, b"hello"),
    "/nothing.jar": (200, {"Content-Length": "0"}, b""),
    "/empty.jar": (416, {"Content-Range": "bytes */0", "Content-Length": "0"}, b""),
    "/401.jar": (401, {"WWW-Authenticate": "Basic", "Content-Length": "0"}, b""),
    "/500.jar": (500, {"Content-Length": "0"}, b""),
}


class Handler(BaseHTTPRequestHandler):
    asked: list[str]

    def do_GET(self) -> None:
        self.asked.append(self.path)
        status, headers, body = ANSWERS.get(self.path.partition("?")[0], (404, {"Content-Length": "0"}, b""))
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.setenv("no_proxy", "*")
    requests: list[str] = []
    monkeypatch.setattr(Handler, "asked", requests, raising=False)
    return requests


@pytest.fixture
def server(asked: list[str]) -> Iterator[str]:
    """A server that does not answer HEAD."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        threading.Thread(target=running.serve_forever, args=(0.01,), daemon=True).start()
        yield f"http://127.0.0.1:{running.server_address[1]}"
        running.shutdown()


@pytest.mark.parametrize("name", ["whole", "part", "unknown", "moved", "part.jar?signature=1#x"])
def test_an_installer(server: str, name: str, tmp_path: Path) -> None:
    url = server + (f"/{name}" if "?" in name else f"/{name}.jar")
    assert download.problem(url, sha256="0" * 64, kept=str(tmp_path / "new/a.jar")) is None
    assert download.problem(url, sha256="", kept="") is None


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        pytest.param("/missing.jar", " is answered with 404 (Not Found)", id="404"),
        pytest.param("/401.jar", " is answered with 401 (Unauthorized)", id="401"),
        pytest.param("/500.jar", " is answered with 500 (Internal Server Error)", id="500"),
        pytest.param("/page", A_PAGE, id="page"),
        pytest.param("/login.jar", A_PAGE, id="a page after a redirection"),
        pytest.param("/text.jar", " is not an installer but another file", id="text"),
        pytest.param("/nothing.jar", " is not an installer but an empty one", id="nothing"),
        pytest.param("/empty.jar", " is an empty file", id="empty"),
    ],
)
def test_no_installer(server: str, name: str, problem: str) -> None:
    found = download.problem(f"{server}{name}?token=segredo", sha256="0" * 64, kept="")
    assert found is not None
    message, remedy = found
    assert message == server + name + problem
    assert "pec_install_jar_url" in remedy and "pec_install_jar_file" in remedy


def test_a_redirection_to_itself(server: str) -> None:
    found = download.problem(f"{server}/loop.jar", sha256="", kept="")
    assert found is not None and "is answered with 302" in found[0]


@pytest.mark.parametrize(
    "url",
    [
        pytest.param("http://user:segredo@127.0.0.1:1/a.jar?x=segredo", id="nobody listens"),
        pytest.param("http://nowhere.invalid/a.jar?x=segredo", id="no such name"),
        pytest.param("https://[::1/a.jar?x=segredo", id="no address"),
        pytest.param("gopher://a.br/a.jar?x=segredo", id="no protocol"),
        pytest.param("http://127.0.0.1:99999999/a.jar?x=segredo", id="no port"),
    ],
)
@pytest.mark.usefixtures("asked")
def test_no_server(url: str) -> None:
    found = download.problem(url, sha256="", kept="")
    assert found is not None and found[0].startswith("this host cannot download ")
    assert "segredo" not in found[0]


def test_no_room(server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host, "disk_usage", lambda path: host.Disk(path, 2 * 10**9, 8 * 10**8))
    found = download.problem(f"{server}/part.jar", sha256="", kept=str(tmp_path / "a.jar"))
    assert found == (
        f"{server}/part.jar has 900 MB, and only 800 MB are free in {tmp_path}",
        "make room there, or set pec_install_cache_directory",
    )


def test_nobody_is_asked_for_what_is_there(server: str, asked: list[str], tmp_path: Path) -> None:
    kept = tmp_path / "a.jar"
    kept.write_bytes(JAR)
    right = hashlib.sha256(JAR).hexdigest().upper()
    assert download.problem(f"{server}/missing.jar", sha256=f" {right}", kept=str(kept)) is None
    assert asked == []
    assert download.problem(f"{server}/missing.jar", sha256="0" * 64, kept=str(kept)) is not None
