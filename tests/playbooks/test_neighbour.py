# SPDX-License-Identifier: GPL-3.0-or-later
"""Modules beside another account on this machine. The integration tests have that account beside every module (their conftest)."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import certificates
import pytest
from neighbour import UID, Neighbour
from secret_search import here, spellings

ROOT = Path(__file__).resolve().parents[2]
SECRET = """Não"aparece' \\1 $HOME %s"""
pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another account")


@pytest.fixture(scope="module")
def neighbour() -> Iterator[Neighbour]:
    become = ["setpriv", "--reuid", str(UID), "--regid", str(UID), "--clear-groups", "--no-new-privs", "env", "-i", "PATH=/usr/bin:/bin"]
    beside = Neighbour(become, here)
    yield beside
    beside.close()


def in_arguments(secret: str) -> None:
    subprocess.run(["sh", "-c", "sleep 0.3; :", secret], check=True)


def in_a_file(secret: str, mode: int = 0o644) -> None:
    with tempfile.TemporaryDirectory() as directory:
        os.chmod(directory, 0o755)
        path = Path(directory) / "secret"
        path.write_text(secret, encoding="utf-8")
        path.chmod(mode)
        subprocess.run(["sleep", "0.5"], check=True)


@pytest.mark.parametrize("leak", [in_arguments, in_a_file])
def test_a_leak_is_seen(neighbour: Neighbour, leak: Callable[[str], None]) -> None:
    with pytest.raises(AssertionError, match="visible to another account"), neighbour.watching(spellings(SECRET)):
        leak(SECRET)


def test_what_is_private_is_not_seen(neighbour: Neighbour) -> None:
    with neighbour.watching(spellings(SECRET)):
        in_a_file(SECRET, 0o600)
        subprocess.run(["sh", "-c", "sleep 0.3; :"], check=True, env={"PATH": os.environ["PATH"], "SECRET": SECRET})


def pkcs12(directory: Path) -> dict[str, Any]:
    (directory / "a.p12").write_bytes(certificates.pack(certificates.issue(), SECRET, "java8"))
    return {"src": str(directory / "a.p12"), "password": SECRET, "name": "a.p12", "directory": str(directory / "chaves")}


def properties(directory: Path) -> dict[str, Any]:
    (directory / "a.properties").touch(0o600)
    return {"path": str(directory / "a.properties"), "values": {"spring.datasource.password": SECRET}, "backup": True}


def dump(directory: Path) -> dict[str, Any]:
    nobody_answers = {"host": "127.0.0.1", "port": 1, "name": "a", "username": "a", "password": SECRET}
    return {"path": f"{directory}/a.dump", "database": nobody_answers}


@pytest.mark.parametrize(
    ("module", "made", "ends"),
    [("certificate", pkcs12, "changed=1"), ("properties", properties, "changed=1"), ("dump", dump, "ignored=1")],
)
def test_a_module_shows_its_secrets_to_nobody(
    neighbour: Neighbour, tmp_path: Path, module: str, made: Callable[[Path], dict[str, Any]], ends: str
) -> None:
    collection = tmp_path / "collections/ansible_collections/esus"
    collection.mkdir(parents=True)
    (collection / "pec").symlink_to(ROOT)
    task = {f"esus.pec.{module}": made(tmp_path), "ignore_errors": True, "no_log": False}
    play = tmp_path / "play.yml"
    play.write_text(json.dumps([{"hosts": "localhost", "gather_facts": False, "tasks": [task]}]), encoding="utf-8")
    play.chmod(0o600)
    environment = {**os.environ, "ANSIBLE_HOME": str(tmp_path / "home"), "ANSIBLE_COLLECTIONS_PATH": str(tmp_path / "collections")}
    variables = json.dumps({"ansible_python_interpreter": sys.executable})
    argv = [str(Path(sys.executable).parent / "ansible-playbook"), "-i", "localhost,", "-c", "local", "-e", variables, "-vvv", str(play)]
    with neighbour.watching(spellings(SECRET)):
        ended = subprocess.run(argv, capture_output=True, text=True, env=environment, timeout=120, check=False)
    assert ends in ended.stdout, ended.stdout + ended.stderr
