# SPDX-License-Identifier: GPL-3.0-or-later
"""The role's download of a shared dump, from a server on this machine: what Ansible shows of it, and when it ends."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SECRET = "segredo-inadivinhavel"
DUMP = b"PGDMP\x01\x0e\x00\x04\x08\x01" + b"x" * 90_000


class Handler(BaseHTTPRequestHandler):
    asked: list[str]

    def do_GET(self) -> None:
        self.asked.append(self.path)
        found = DUMP if self.path.endswith(".dump") else b"<!DOCTYPE html><title>Entrar</title>"
        self.send_response(200)
        self.send_header("Content-Length", str(len(found)))
        self.end_headers()
        self.wfile.write(found)

    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setattr(Handler, "asked", [], raising=False)
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        threading.Thread(target=running.serve_forever, args=(0.01,), daemon=True).start()
        yield f"http://127.0.0.1:{running.server_address[1]}"
        running.shutdown()


def test_a_shared_dump(server: str, tmp_path: Path) -> None:
    collection = tmp_path / "collections/ansible_collections/esus"
    collection.mkdir(parents=True)
    (collection / "pec").symlink_to(ROOT)
    directory = tmp_path / "received"
    play = tmp_path / "play.yml"
    play.write_text(
        json.dumps(
            [
                {
                    "hosts": "localhost",
                    "gather_facts": False,
                    "tasks": [
                        {"include_role": {"name": "esus.pec.pec_restore", "tasks_from": "receive"}},
                        {"debug": {"msg": "<{{ __pec_restore_received | to_json }}>"}},
                    ],
                }
            ]
        ),
        encoding="utf-8",
    )

    def run(path: str, *options: str) -> subprocess.CompletedProcess[str]:
        variables = {
            "ansible_python_interpreter": sys.executable,
            "pec_restore_url": f"{server}/{SECRET}{path}",
            "pec_restore_url_allow_http": True,
            "pec_restore_url_directory": str(directory),
        }
        (tmp_path / "link.json").write_text(json.dumps(variables), encoding="utf-8")
        argv = [str(Path(sys.executable).parent / "ansible-playbook"), "-i", "localhost,", "-c", "local", "-vvv", str(play), *options]
        environment = {
            **os.environ,
            "ANSIBLE_NOCOLOR": "true",
            "ANSIBLE_HOME": str(tmp_path / "home"),
            "ANSIBLE_COLLECTIONS_PATH": str(tmp_path / "collections"),
        }
        ended = subprocess.run(
            [*argv, "-e", f"@{tmp_path}/link.json"], capture_output=True, text=True, env=environment, timeout=120, check=False
        )
        assert SECRET not in ended.stdout + ended.stderr
        return ended

    checked = run(".dump", "--check")
    assert checked.returncode == 0 and not directory.exists(), checked.stdout
    assert "From 127.0.0.1: 90011 bytes" in checked.stdout and "changed=1" in checked.stdout
    first = run(".dump")
    assert first.returncode == 0 and "changed=1" in first.stdout, first.stdout
    (path,) = set(re.findall(rf"{directory}/[0-9a-f]{{32}}", first.stdout))
    assert Path(path).read_bytes() == DUMP
    asked = len(Handler.asked)
    assert "changed=0" in run(".dump").stdout and len(Handler.asked) == asked
    page = run("")
    assert page.returncode == 2 and "message_to_sender" in page.stdout and "forward to the sender: O link abre uma página" in page.stdout
