# SPDX-License-Identifier: GPL-3.0-or-later
"""The search for secrets finds them in every spelling, cleans up after itself, and notices when it is blind."""

from __future__ import annotations

import base64
import json
import os
import shlex
import subprocess
import sys
from pathlib import Path
from urllib.parse import quote

import pytest
import secret_search

SECRET = """Sã:o "João"' \\1 $HOME %s"""
SPELT = {
    "plain": SECRET,
    "repr": repr(SECRET),
    "JSON": json.dumps(SECRET),
    "JSON as UTF-8": json.dumps(SECRET, ensure_ascii=False),
    "JSON in JSON": json.dumps(json.dumps({"password": SECRET})),
    "shell": shlex.quote(SECRET),
    "SQL": SECRET.replace("'", "''"),
    "properties": SECRET.replace("\\", "\\\\"),
    "pgpass": SECRET.replace("\\", "\\\\").replace(":", "\\:"),
    "URL": quote(SECRET, safe=""),
    **{f"base64 behind {n} bytes": base64.b64encode(b"x" * n + SECRET.encode() + b"!").decode() for n in range(4)},
}


@pytest.fixture(params=SPELT.values(), ids=SPELT)
def text(request: pytest.FixtureRequest) -> str:
    return f"before {request.param} after"


def test_a_text(text: str) -> None:
    assert secret_search.in_text(text, ["another secret", SECRET]) == [SECRET]


def test_a_text_as_a_program_reads_it(text: str) -> None:
    def run(text: str) -> int:
        given = json.dumps({"text": text, "secrets": ["another secret", SECRET]})
        return subprocess.run([sys.executable, secret_search.__file__], input=given, text=True, capture_output=True, check=False).returncode

    assert (run(text), run("nothing")) == (1, 0)


def test_a_directory_and_a_file(text: str, tmp_path: Path) -> None:
    (tmp_path / "a place" / "deep").mkdir(parents=True)
    (tmp_path / "a place" / "deep" / "file").write_bytes(b"\0\xff\n" + text.encode() + b"\n")
    (tmp_path / "single").write_text(text)
    places = [str(tmp_path / "a place"), str(tmp_path / "single"), str(tmp_path / "none")]
    found = secret_search.on_server(secret_search.here, ["another secret", SECRET], *places)
    assert {file for file, _text in found} == {str(tmp_path / "a place" / "deep" / "file"), str(tmp_path / "single")}
    assert all(spelling in secret_search.spellings(SECRET) for _file, spelling in found)


def test_it_leaves_no_trace(tmp_path: Path) -> None:
    (tmp_path / "log").mkdir()
    (tmp_path / "file").write_text("as it was")
    assert secret_search.on_server(secret_search.here, [SECRET], str(tmp_path / "log"), str(tmp_path / "file")) == []
    assert (list((tmp_path / "log").iterdir()), (tmp_path / "file").read_text()) == ([], "as it was")


@pytest.mark.parametrize("grep", ["exit 1", 'exec /bin/grep "$@" | head -n 1', "echo nothing of the kind"])
def test_a_blind_search_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, grep: str) -> None:
    (tmp_path / "log").mkdir()
    (tmp_path / "grep").write_text(f"#!/bin/sh\n{grep}\n")
    (tmp_path / "grep").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    with pytest.raises(AssertionError, match="blind"):
        secret_search.on_server(secret_search.here, [SECRET], str(tmp_path / "log"))


def test_places_that_do_not_exist_are_no_search(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="blind"):
        secret_search.on_server(secret_search.here, [SECRET], str(tmp_path / "none"))
