# SPDX-License-Identifier: GPL-3.0-or-later
"""Downloads from a server with TLS on a real socket, which answers as a script says: whole files, faults, and attacks."""

from __future__ import annotations

import hashlib
import io
import json
import select
import socket
import ssl
import stat
import threading
import time
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Callable

import certificates
import pytest

from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.received import conversation, messages, receiving, share_links
from ansible_collections.esus.pec.plugins.module_utils.received.messages import NotReceivedError
from ansible_collections.esus.pec.plugins.module_utils.received.receiving import Desired
from ansible_collections.esus.pec.plugins.module_utils.system import host

FILE = b"PK\x03\x04" + bytes(range(256)) * 4096
SHA256 = hashlib.sha256(FILE).hexdigest()
ETAG = '"v1"'
SECRET = "segredo-inadivinhavel"
Step = Callable[[BaseHTTPRequestHandler], None]


def answer(status: int = 200, body: bytes = b"", **headers: str) -> Step:
    """A complete answer, or one that says another length than it has."""

    def step(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **{key.replace("_", "-"): each for key, each in headers.items()}}.items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(body)

    return step


def serve(data: bytes = FILE, *, stop: int | None = None, etag: str = ETAG) -> Step:
    """A server that resumes; it ends the connection after C(stop) bytes of the file."""

    def step(handler: BaseHTTPRequestHandler) -> None:
        begin, asked = 0, handler.headers.get("Range", "")
        if asked and handler.headers.get("If-Range", etag) == etag:
            begin = int(asked[6:].partition("-")[0])
            end = int(asked.partition("-")[2] or len(data) - 1)
            if begin >= len(data):
                answer(416, Content_Range=f"bytes */{len(data)}")(handler)
                return
            part = data[begin : end + 1]
            headers = {"Content_Range": f"bytes {begin}-{begin + len(part) - 1}/{len(data)}", "Content_Length": str(len(part))}
        else:
            part, headers = data, {"Content_Length": str(len(data))}
        if stop is not None:
            part = data[begin:stop]
        answer(206 if "Content_Range" in headers else 200, part, ETag=etag, **headers)(handler)

    return step


def to(location: str, status: int = 302, **headers: str) -> Step:
    return answer(status, Location=location, **headers)


class Server:
    """What it answers at each path, in turn; the last answer stays. C(asked) are the paths, C(headers) those of each request."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.script: dict[str, list[Step]] = {}
        self.asked: list[str] = []
        self.headers: list[dict[str, str]] = []

    def link(self, *steps: Step, path: str = f"/{SECRET}.zip") -> str:
        self.script[path] = list(steps)
        return self.url + path

    def handle(self, handler: BaseHTTPRequestHandler) -> None:
        path = handler.path.partition("?")[0]
        self.asked.append(path)
        self.headers.append({name.lower(): value for name, value in handler.headers.items()})
        steps = self.script.get(path, [answer(404)])
        (steps.pop(0) if len(steps) > 1 else steps[0])(handler)


@pytest.fixture(scope="module")
def credentials(tmp_path_factory: pytest.TempPathFactory) -> Path:
    issued = certificates.self_signed_by_openssl(domain="localhost,IP:127.0.0.1")
    path = tmp_path_factory.mktemp("tls") / "server.pem"
    path.write_text(issued.key_pem + issued.pem, encoding="ascii")
    return path


@pytest.fixture
def server(credentials: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setenv("SSL_CERT_FILE", str(credentials))
    monkeypatch.setattr(host, "disk_usage", lambda path: host.Disk(path, 10**12, 10**11))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(credentials)
    running: Server

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            running.handle(self)

        def log_message(self, *_arguments: object) -> None:
            pass

    class Quiet(ThreadingHTTPServer):
        def handle_error(self, *_arguments: object) -> None:
            pass

    with Quiet(("127.0.0.1", 0), Handler) as listener:
        listener.socket = context.wrap_socket(listener.socket, server_side=True, do_handshake_on_connect=False)
        running = Server(f"https://127.0.0.1:{listener.server_address[1]}")
        threading.Thread(target=listener.serve_forever, args=(0.01,), daemon=True).start()
        try:
            yield running
        finally:
            listener.shutdown()


@pytest.fixture
def desired(server: Server, tmp_path: Path) -> Desired:
    return Desired(server.link(serve()), str(tmp_path / "received"), stall=5)


def refused(desired: Desired, **more: Any) -> str:
    """Return the error; whatever it is, nothing of the link is in it, and no file is there."""
    with pytest.raises(PecError) as caught:
        receiving.receive(desired, **more)
    assert SECRET not in str(caught.value) + json.dumps(caught.value.facts)
    assert not Path(desired.path).exists()
    return str(caught.value.facts.get("message_to_sender") or caught.value)


def test_a_file_is_downloaded_once(server: Server, desired: Desired) -> None:
    received = receiving.receive(desired)
    assert (received.action, received.host, received.bytes, received.sha256) == ("download", "127.0.0.1", len(FILE), SHA256)
    path = Path(desired.path)
    assert path.read_bytes() == FILE
    assert stat.S_IMODE(path.stat().st_mode) == 0o600 and stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert sorted(each.name for each in path.parent.iterdir()) == [path.name, f"{path.name}.known"]
    assert SECRET not in "".join(each.name for each in path.parent.iterdir()) + Path(f"{path}.known").read_text(encoding="utf-8")
    assert server.headers[0]["accept-encoding"] == "identity" and "range" not in server.headers[0]
    again = receiving.receive(desired)
    assert (again.action, again.sha256, len(server.asked)) == ("none", SHA256, 1)
    assert receiving.receive(replace(desired, sha256=SHA256)).action == "none"


def test_check_mode_asks_for_the_first_bytes_only(server: Server, desired: Desired) -> None:
    received = receiving.receive(desired, check=True)
    assert (received.action, received.bytes, received.sha256) == ("download", len(FILE), "")
    assert server.headers[0]["range"] == "bytes=0-65535"
    assert not Path(desired.directory).exists()


def test_a_broken_connection_is_continued(server: Server, desired: Desired) -> None:
    server.link(serve(stop=300_000), serve(stop=700_000), serve())
    assert receiving.receive(desired).sha256 == SHA256
    assert [each.get("range") for each in server.headers] == [None, "bytes=300000-", "bytes=700000-"]
    assert server.headers[1]["if-range"] == ETAG


def test_the_next_run_continues(server: Server, desired: Desired) -> None:
    server.link(serve(stop=300_000), answer(503))
    assert "503 (Service Unavailable)" in refused(desired)
    server.link(serve())
    received = receiving.receive(desired)
    assert (received.action, received.sha256) == ("resume", SHA256)
    assert server.headers[-1]["range"] == "bytes=300000-"


def test_a_file_that_was_replaced_meanwhile_is_begun_again(server: Server, desired: Desired) -> None:
    new = b"PK\x03\x04" + b"n" * 500_000
    server.link(serve(stop=300_000), serve(new, etag='"v2"'))
    assert receiving.receive(desired).sha256 == hashlib.sha256(new).hexdigest()
    assert Path(desired.path).read_bytes() == new


@pytest.mark.parametrize(
    "second",
    [
        pytest.param(answer(416, Content_Range="bytes */9"), id="no such range"),
        pytest.param(answer(206, FILE[:9], Content_Range="bytes 0-8/9"), id="another range"),
        pytest.param(answer(206, b"x", Content_Range="bytes 300000-300000/300001", ETag='"v2"'), id="another file"),
    ],
)
def test_a_server_that_does_not_continue(server: Server, desired: Desired, second: Step) -> None:
    server.link(serve(stop=300_000), second, serve())
    assert receiving.receive(desired).sha256 == SHA256


def test_a_server_that_cannot_resume(server: Server, desired: Desired) -> None:
    server.link(answer(200, FILE[:1000], Content_Length=str(len(FILE))), answer(200, FILE))
    assert receiving.receive(desired).sha256 == SHA256
    assert all("range" not in each for each in server.headers)


def test_a_file_that_stays_truncated(server: Server, desired: Desired) -> None:
    server.link(answer(200, FILE[:70_000], Content_Length=str(len(FILE))))
    assert refused(desired) == messages.INCOMPLETE_FILE
    assert len(server.asked) == 3


PAGE = b"<!DOCTYPE html><html><title>x</title><body>%s</body></html>"


@pytest.mark.parametrize(
    ("step", "message"),
    [
        pytest.param(answer(401), messages.ACCESS, id="401"),
        pytest.param(answer(403), messages.ACCESS, id="403"),
        pytest.param(answer(403, b"<?xml version='1.0'?><Error><Message>Request has expired</Message></Error>"), messages.MISSING, id="S3"),
        pytest.param(answer(404), messages.MISSING, id="404"),
        pytest.param(answer(410), messages.MISSING, id="410"),
        pytest.param(answer(429), messages.QUOTA, id="429"),
        pytest.param(answer(400), messages.INCOMPLETE, id="400"),
        pytest.param(answer(200), messages.EMPTY, id="empty"),
        pytest.param(answer(200, PAGE % b"Bem-vindo"), messages.PAGE, id="page"),
        pytest.param(answer(200, b"\xef\xbb\xbf\r\n" + PAGE % b"Bem-vindo"), messages.PAGE, id="page with a mark of UTF-8"),
        pytest.param(answer(200, PAGE % b"Bem-vindo", Content_Type="application/zip"), messages.PAGE, id="page that claims to be a zip"),
        pytest.param(answer(200, PAGE % b'<input type="password">'), messages.ACCESS, id="login"),
        pytest.param(answer(200, b"hello"), messages.NO_DUMP, id="text"),
        pytest.param(answer(200, b"\x89PNG\r\n\x1a\n" + b"x" * 99), messages.NO_DUMP, id="picture"),
        pytest.param(answer(200, b"-- MySQL dump 10.13\n"), messages.NO_DUMP, id="MySQL"),
    ],
)
@pytest.mark.parametrize("check", [False, True])
def test_what_is_no_backup(server: Server, desired: Desired, step: Step, message: str, check: bool) -> None:
    server.link(step)
    assert refused(desired, check=check) == message


@pytest.mark.parametrize(
    "begin", [b"PGDMP\x01\x0e\x00\x04\x08\x01", b"--\n-- PostgreSQL database dump\n--\n", b"\x1f\x8b", b"\x28\xb5\x2f\xfd"]
)
def test_what_may_be_a_backup(server: Server, desired: Desired, begin: bytes) -> None:
    server.link(answer(200, begin + b"\0" * 99, Content_Type="text/html", Content_Encoding="gzip"))
    receiving.receive(desired)
    assert Path(desired.path).read_bytes() == begin + b"\0" * 99


FORM = """<!DOCTYPE html><title>Google Drive - Virus scan warning</title><form id="download-form" action="{}" method="get">
<input type="submit" value="Download anyway"><input type="hidden" name="id" value="x&amp;y"><input type="hidden" name="confirm" value="t">
<input type="hidden" name="uuid" value="u-1"><input type="hidden" name="evil" value="1"></form>"""


@pytest.fixture
def google(server: Server, monkeypatch: pytest.MonkeyPatch) -> Server:
    """The server takes the place of Google Drive."""
    monkeypatch.setattr(share_links, "GOOGLE", ("127.0.0.1", server.url[8:]))
    monkeypatch.setattr(receiving, "_WITH_QUOTA", "127.0.0.1")
    monkeypatch.setattr(share_links, "_google", lambda parts: parts.geturl())
    return server


def test_the_warning_about_a_large_file(google: Server, desired: Desired) -> None:
    asked: list[str] = []
    google.link(lambda handler: (asked.append(handler.path), serve()(handler))[0], path="/download")
    google.link(answer(200, FORM.format(f"{google.url}/download").encode()))
    assert receiving.receive(desired).sha256 == SHA256
    assert asked == ["/download?id=x%26y&confirm=t&uuid=u-1"]


@pytest.mark.parametrize("action", ["https://evil.example/download", "http://127.0.0.1/download", "/download", "https://[::1"])
def test_a_form_that_leads_elsewhere(google: Server, desired: Desired, action: str) -> None:
    google.link(answer(200, FORM.format(action).encode()))
    assert refused(desired) == messages.PAGE
    assert len(google.asked) == 1


def test_a_warning_without_end(google: Server, desired: Desired) -> None:
    google.link(answer(200, FORM.format(desired.url).encode()))
    assert refused(desired) == messages.PAGE
    assert len(google.asked) == 2


def test_a_form_of_another_host(server: Server, desired: Desired) -> None:
    server.link(answer(200, FORM.format("https://drive.usercontent.google.com/download").encode()))
    assert refused(desired) == messages.PAGE


@pytest.mark.parametrize("status", [200, 403])
def test_too_many_downloads(google: Server, desired: Desired, status: int) -> None:
    google.link(answer(status, PAGE % b"Sorry, you can't view or download this file: Quota exceeded"))
    assert refused(desired) == messages.QUOTA


def test_the_second_address_of_a_link(server: Server, tmp_path: Path) -> None:
    """Nextcloud's, which another server may not know."""
    url = server.link(serve(), path="/s/segredoSegredo12")
    assert receiving.receive(Desired(url, str(tmp_path / "received"))).sha256 == SHA256
    assert server.asked == ["/s/segredoSegredo12/download", "/s/segredoSegredo12"]


def test_a_redirection_with_a_cookie(server: Server, desired: Desired) -> None:
    server.link(serve(), path="/file")
    server.link(to("/file", Set_Cookie="FedAuth=x; Path=/; Secure"))
    assert receiving.receive(desired).sha256 == SHA256
    assert server.headers[1]["cookie"] == "FedAuth=x"
    other = replace(desired, url=server.link(serve(), path="/other"))
    receiving.receive(other)
    assert "cookie" not in server.headers[2]


@pytest.mark.parametrize(
    "target", [f"http://127.0.0.1/{SECRET}", f"ftp://a.br/{SECRET}", f"file:///{SECRET}", f"https://u:{SECRET}@a.br/", "https://[::1/x"]
)
def test_a_redirection_to_no_https(server: Server, desired: Desired, target: str) -> None:
    server.link(to(target))
    assert refused(replace(desired, allow_http=True)) == messages.PAGE


def test_redirections_without_end(server: Server, desired: Desired) -> None:
    server.link(to(f"/{SECRET}.zip"))
    assert refused(desired) == messages.PAGE
    assert len(server.asked) == 11


def test_a_redirection_into_a_network_of_ours(server: Server, desired: Desired, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first address counts as public, the second as private."""
    inner = iter([0, 1])
    monkeypatch.setattr(conversation, "_innerness", lambda _address: next(inner, 1))
    server.link(to("/inside"))
    assert refused(desired) == messages.PAGE
    assert len(server.asked) == 1


@pytest.mark.parametrize(
    ("address", "inner"),
    [
        *(("8.8.8.8", 0), ("2800:3f0::1", 0), ("10.1.2.3", 1), ("192.168.0.1", 1), ("100.64.0.1", 1), ("fd00::1", 1), ("127.0.0.1", 2)),
        *(("::1", 2), ("::ffff:127.0.0.1", 2), ("169.254.169.254", 2), ("fe80::1%eth0", 2), ("0.0.0.0", 2), ("::ffff:10.0.0.1", 1)),
    ],
)
def test_how_far_inside_an_address_is(address: str, inner: int) -> None:
    assert conversation._innerness(address) == inner


def test_a_certificate_of_nobody(server: Server, desired: Desired, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SSL_CERT_FILE")
    assert "its certificate is not accepted" in refused(desired)
    assert server.asked == []


def test_nobody_listens(desired: Desired) -> None:
    assert "cannot download from 127.0.0.1: Connection refused" in refused(replace(desired, url=f"https://127.0.0.1:1/{SECRET}"))


def test_a_proxy(server: Server, desired: Desired, monkeypatch: pytest.MonkeyPatch) -> None:
    """It connects to where it was asked to, and sees nothing of the link but the host."""
    seen: list[bytes] = []

    def connect(listener: socket.socket) -> None:
        with listener.accept()[0] as client, socket.create_connection(("127.0.0.1", int(server.url.rpartition(":")[2]))) as there:
            seen.append(client.recv(4096))
            client.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
            ends = {client: there, there: client}
            while True:
                for end in select.select(list(ends), [], [])[0]:
                    data = end.recv(65536)
                    if not data:
                        return
                    ends[end].sendall(data)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=connect, args=(listener,), daemon=True).start()
        monkeypatch.delenv("no_proxy")
        monkeypatch.delenv("NO_PROXY", raising=False)
        monkeypatch.setenv("https_proxy", f"http://posto:s%40nha@127.0.0.1:{listener.getsockname()[1]}")
        assert receiving.receive(desired).sha256 == SHA256
    assert seen[0].startswith(b"CONNECT 127.0.0.1:") and b"Basic cG9zdG86c0BuaGE=" in seen[0]
    assert SECRET.encode() not in seen[0] and len(server.asked) == 1


def test_a_proxy_that_refuses(server: Server, desired: Desired, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(listener: socket.socket) -> None:
        with listener.accept()[0] as client:
            client.recv(4096)
            client.sendall(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n")

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=refuse, args=(listener,), daemon=True).start()
        monkeypatch.delenv("no_proxy")
        monkeypatch.setenv("https_proxy", f"127.0.0.1:{listener.getsockname()[1]}")
        assert "the proxy refuses it (Tunnel connection failed: 407 Proxy Authentication Required)" in refused(desired)


def test_a_server_that_is_silent(server: Server, desired: Desired) -> None:
    server.link(lambda _handler: time.sleep(3))
    assert "no answer within 0.5 seconds" in refused(replace(desired, stall=0.5))


def drip(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.send_header("Content-Length", str(len(FILE)))
    handler.end_headers()
    handler.wfile.write(FILE[:70_000])
    for number in range(40):
        handler.wfile.write(FILE[70_000 + number : 70_001 + number])
        handler.wfile.flush()
        time.sleep(0.1)


def test_a_server_that_sends_a_byte_now_and_then(server: Server, desired: Desired) -> None:
    server.link(drip)
    begun = time.monotonic()
    assert "sends almost nothing" in refused(replace(desired, stall=0.5))
    assert time.monotonic() - begun < 3


def test_a_download_that_takes_too_long(server: Server, desired: Desired) -> None:
    server.link(drip)
    assert "took too long" in refused(replace(desired, timeout=0.3))


def test_no_room(server: Server, desired: Desired, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host, "disk_usage", lambda path: host.Disk(path, 10**12, (1 << 30) + 1_000_000))
    assert "the file needs 1 MB more, and only 1.1 GB are free" in refused(desired)
    assert "the file needs 1 MB more" in refused(desired, check=True)


def test_a_size_that_is_only_known_at_the_end(server: Server, desired: Desired) -> None:
    def step(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.end_headers()
        handler.wfile.write(FILE)

    server.link(step)
    assert "more than max_bytes allows (600000)" in refused(replace(desired, most_bytes=600_000))
    assert Path(f"{desired.path}.part").stat().st_size == 0
    assert receiving.receive(replace(desired, most_bytes=2_000_000)).bytes == len(FILE)


def test_a_size_that_is_told(server: Server, desired: Desired) -> None:
    assert "more than max_bytes allows (9)" in refused(replace(desired, most_bytes=9), check=True)
    assert "more than max_bytes allows (9)" in refused(replace(desired, most_bytes=9))


def test_the_wrong_file(server: Server, desired: Desired) -> None:
    assert refused(replace(desired, sha256="0" * 64)) == messages.OTHER_FILE
    assert Path(f"{desired.path}.part").stat().st_size == 0
    receiving.receive(desired)
    new = FILE + b"new"
    server.link(serve(new))
    assert receiving.receive(replace(desired, sha256=hashlib.sha256(new).hexdigest())).action == "download"
    assert Path(desired.path).read_bytes() == new


def test_one_run_at_a_time(desired: Desired, tmp_path: Path) -> None:
    Path(desired.directory).mkdir(mode=0o700)
    with receiving.opened_part(desired):
        assert "another run downloads the same link" in refused(desired)


def test_a_file_that_another_run_has_just_completed(desired: Desired, monkeypatch: pytest.MonkeyPatch) -> None:
    Path(desired.directory).mkdir(mode=0o700)

    def flock(stream: object, _operation: int) -> None:
        Path(f"{desired.path}.part").rename(f"{desired.path}.whole")

    monkeypatch.setattr(receiving.fcntl, "flock", flock)
    assert "another run downloads the same link" in refused(desired)


def test_a_directory_of_everybody(desired: Desired) -> None:
    Path(desired.directory).mkdir()
    Path(desired.directory).chmod(0o777)
    assert "every account can change" in refused(desired)


def test_a_link_in_the_way(desired: Desired, tmp_path: Path) -> None:
    Path(desired.directory).mkdir(mode=0o700)
    target = tmp_path / "target"
    Path(f"{desired.path}.part").symlink_to(target)
    assert "cannot write" in refused(desired)
    assert not target.exists()


@pytest.mark.parametrize("record", ["", "[]", '{"bytes": 1}', '{"sha256": 1, "bytes": "x"}', '{"other": 1}'])
def test_a_damaged_record(desired: Desired, record: str) -> None:
    receiving.receive(desired)
    Path(f"{desired.path}.known").write_text(record, encoding="utf-8")
    assert receiving.receive(desired).action == "download"


def test_everything_is_removed(server: Server, desired: Desired) -> None:
    assert not receiving.forget(desired)
    receiving.receive(desired)
    assert receiving.forget(desired, check=True) and Path(desired.path).exists()
    assert receiving.forget(desired)
    assert list(Path(desired.directory).iterdir()) == []


def test_a_real_zip(server: Server, desired: Desired) -> None:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as packed:
        packed.writestr("backup.sql", "--\n-- PostgreSQL database dump\n--\n")
    server.link(serve(data.getvalue()))
    assert receiving.receive(desired).bytes == len(data.getvalue())


def test_a_sentence_for_the_sender_is_in_the_error(server: Server, desired: Desired) -> None:
    server.link(answer(404))
    with pytest.raises(NotReceivedError, match=r"^127\.0\.0\.1 answers with 404 \(Not Found\); forward to the sender: O link") as caught:
        receiving.receive(desired)
    assert caught.value.facts == {"message_to_sender": messages.MISSING}
