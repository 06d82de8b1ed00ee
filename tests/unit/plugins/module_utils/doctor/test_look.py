# SPDX-License-Identifier: GPL-3.0-or-later
"""The installer's file, logs, units, ports and answers, as the doctor sees them."""

from __future__ import annotations

import http.server
import json
import os
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.esus.pec.plugins.module_utils import beliefs
from ansible_collections.esus.pec.plugins.module_utils.doctor import look, look_host, look_web
from ansible_collections.esus.pec.plugins.module_utils.pec.installation import Installation

OPTIONS = " ".join(["url", "username", "password", "restore", "backup", "console", "continue", "help", "treinamento"])


def write_jar(path: Path, main_class: str = beliefs.JAR_MAIN_CLASS, leave_out: str = "") -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("META-INF/MANIFEST.MF", f"Manifest-Version: 1.0\r\nMain-Class: {main_class}\r\n")
        for name in beliefs.JAR_CONTENTS:
            if name != leave_out:
                archive.writestr(name, "")
        archive.writestr("a/Options.class", OPTIONS)
        archive.writestr(
            "a/texts.properties", "privilegio=Esta ferramenta necessita executar com privilégios de administrador.".encode("latin-1")
        )
        archive.writestr("container/x.class", "cert-domain cert-port")
    return path


def test_installer(tmp_path: Path) -> None:
    seen = look.see_jar(str(write_jar(tmp_path / "eSUS-AB-PEC-5.4.37-Linux64.jar")))
    assert (seen.main_class, seen.missing, seen.problem) == (beliefs.JAR_MAIN_CLASS, (), "")
    assert seen.constants == {"options", "text-not-root"}, "what is in the application's own part is not the installer's"


def test_installer_of_another_form(tmp_path: Path) -> None:
    seen = look.see_jar(str(write_jar(tmp_path / "renamed.jar", "br.gov.Other", beliefs.JAR_CONTENTS[1])))
    assert (seen.main_class, seen.missing) == ("br.gov.Other", (beliefs.JAR_CONTENTS[1],))


def test_file_that_is_no_installer(tmp_path: Path) -> None:
    (tmp_path / "eSUS-AB-PEC-5.4.37-Linux64.jar").write_text("no zip")
    assert "not a jar" in look.see_jar(str(tmp_path / "eSUS-AB-PEC-5.4.37-Linux64.jar")).problem


def test_texts_in_logs_in_either_encoding(tmp_path: Path) -> None:
    first, second = tmp_path / "pec.log", tmp_path / "old.log"
    first.write_text("ERRO O tipo de autenticação 10 não é suportado\n", encoding="utf-8")
    second.write_text("senha=xyz Não foi possível validar este endereço. Tente novamente mais tarde", encoding="latin-1")
    assert look.said_in([str(first), str(second)]) == {"text-scram": str(first), "text-link-rejected": str(second)}


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        pytest.param("[Service]\nUser=esus\n", "[Service]\nUser=esus", id="as it is"),
        pytest.param("# a comment\n\n; another\nType=simple\n", "Type=simple", id="comments"),
        pytest.param('Environment="SENHA=a b" LANG=pt_BR\n', "Environment=SENHA=(omitido) LANG=(omitido)", id="values"),
        pytest.param("Environment=A=1 \\\n  B=2\n", "Environment=A=(omitido) B=(omitido)", id="continued"),
        pytest.param('Environment="A=1\n', "Environment=(omitido)", id="quote left open"),
    ],
)
def test_unit_without_values(text: str, shown: str) -> None:
    assert look_host.without_values(text) == shown


class Pec(http.server.BaseHTTPRequestHandler):
    answers: dict[str, tuple[int, Any]]

    def do_GET(self) -> None:
        status, body = self.answers[self.path]
        self.send_response(status)
        self.end_headers()
        self.wfile.write((body if isinstance(body, str) else json.dumps(body)).encode())

    def do_POST(self) -> None:
        query = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        assert "mutation" not in query["query"], "the doctor only reads"
        self.do_GET()

    def log_message(self, *_arguments: object) -> None:
        pass


@pytest.fixture
def serve() -> Iterator[Any]:
    servers = []

    def start(**answers: tuple[int, Any]) -> Installation:
        paths = {"root": "/", "esus": "/esus/", "info": "/api/public/info", "graphql": "/api/graphql"}
        handler = type("Handler", (Pec,), {"answers": {paths[name]: answer for name, answer in answers.items()}})
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return Installation("installed", http_port=server.server_port)

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def test_answers_of_pec(serve: Any) -> None:
    found = serve(
        root=(200, "<html>PEC</html>"),
        esus=(401, ""),
        info=(200, {"versao": "5.4.37", "treinamento": False, "uuid": None}),
        graphql=(200, {"data": {"info": {"serverTimezoneOffset": -180}}}),
    )
    web = look_web.look_at_web(found, None)
    assert (web.reachable, web.version, web.timezone_offset, web.stand_in) == (True, "5.4.37", -180, False)
    assert web.statuses == {"root-path": 200, "esus-path": 401, "info-path": 200}
    assert web.info_keys == {"versao": "texto", "treinamento": "booleano", "uuid": "nulo"}


def test_answers_that_are_not_as_believed(serve: Any) -> None:
    found = serve(root=(500, "ESTE NÃO É O PEC"), esus=(302, ""), info=(200, "<html>"), graphql=(400, {"errors": []}))
    web = look_web.look_at_web(found, None)
    assert (web.reachable, web.version, web.timezone_offset, web.info_keys, web.stand_in) == (True, None, None, None, True)


def test_nobody_answers() -> None:
    web = look_web.look_at_web(Installation("installed", http_port=9), None)
    assert (web.reachable, web.statuses) == (False, {"root-path": None, "esus-path": None, "info-path": None})


@pytest.mark.parametrize(
    ("link", "expected"),
    [
        pytest.param(None, (None, None), id="none"),
        pytest.param("http://name.invalid", (False, False), id="unknown name"),
        pytest.param("https://127.0.0.1:9/esus", (True, False), id="closed port"),
        pytest.param("http://[broken", (False, False), id="no link"),
    ],
)
def test_link(link: str | None, expected: tuple[bool | None, bool | None]) -> None:
    assert look_web._link(link) == expected


def test_link_of_this_server(serve: Any) -> None:
    assert look_web._link(f"127.0.0.1:{serve().http_port}") == (True, True)


def test_a_jar_with_a_corrupted_entry(tmp_path: Path) -> None:
    path = tmp_path / "eSUS-AB-PEC-5.4.37-Linux64.jar"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in ("META-INF/MANIFEST.MF", "a/Options.class", *beliefs.JAR_CONTENTS):
            archive.writestr(name, "Main-Class: br.gov.saude.esus.installers.installer.Main\n" * 100)
    data = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as archive:
        start = archive.getinfo("a/Options.class").header_offset + 30 + len("a/Options.class")
    data[start : start + 8] = b"\xff" * 8
    path.write_bytes(data)
    assert look.see_jar(str(path)).problem.startswith(f"{path} is not a jar, or not a whole one (")


def test_a_link_that_leads_nowhere_is_no_installer_to_stumble_over(tmp_path: Path) -> None:
    """Every account can put one into /tmp."""
    (tmp_path / "tmp").mkdir()
    (tmp_path / "tmp/eSUS-AB-PEC-5.4.37-Linux64.jar").symlink_to("nowhere")
    assert look.see_jar(str(look._find_jar(str(tmp_path)))).problem.startswith("there is no installer at")


def test_a_masked_unit_has_no_text(tmp_path: Path) -> None:
    (tmp_path / "e-SUS-PEC.service").symlink_to("/dev/null")
    assert look_host._text(str(tmp_path / "e-SUS-PEC.service")) == ""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
@pytest.mark.parametrize("kind", ["link", "/dev/zero", "fifo"])
def test_a_log_that_pecs_account_replaced_is_not_read(tmp_path: Path, kind: str) -> None:
    logs, secret = tmp_path / "logs", tmp_path / "secret"
    logs.mkdir()
    secret.write_text("O tipo de autenticação 10 não é suportado", encoding="utf-8")
    assert look.said_in([str(secret)]) != {}
    path = logs / "pec.log"
    if kind == "fifo":
        os.mkfifo(path)
    else:
        path.symlink_to(kind if kind.startswith("/") else secret)
    os.chown(logs, 65534, 65534)
    assert look.said_in([str(path)]) == {}
