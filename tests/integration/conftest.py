# SPDX-License-Identifier: GPL-3.0-or-later
"""Servers for the integration tests: systemd containers of the lab."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from neighbour import UID, Neighbour
from places import BUILD, LAB, ROOT
from postgres import PREPARED, Postgres
from preloaded import Preloaded
from secret_search import spellings

# Options of modules that are secret.
SECRETS = {
    "password",
    "new_password",
    "content",
    "key_content",
    "client_secret",
    "contra_chave",
    "chave",
    "identity",
    "private_key",
    "rsync_password",
    "instalador_password",
}
# What programs on the server are started with.
ENVIRONMENT = ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "container=podman"]
NEIGHBOURS: dict[str, Neighbour] = {}
WATCHING = threading.Lock()
LOADED: dict[str, Preloaded] = {}
LOADING = threading.Lock()


@dataclass(frozen=True)
class Server:
    """A container in the role of a server, to run programs on and modules of the collection against."""

    name: str

    def run(self, *argv: str, check: bool = True, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
        # As `podman exec` does, in a hundredth of the time.
        enter = ["nsenter", "--target", self.pid, "--mount", "--uts", "--ipc", "--net", "--pid", "--", "env", "-i", *ENVIRONMENT]
        ended = subprocess.run([*enter, *argv], capture_output=True, text=True, check=False, input=stdin or "", timeout=600)
        if ended.returncode < 0:
            ended.returncode = 128 - ended.returncode  # as a shell reports a signal, since that is what nsenter ended by
        if check:
            ended.check_returncode()
        return ended

    @property
    def pid_file(self) -> Path:
        return BUILD / "lab" / f"{self.name}.pid"

    @property
    def pid(self) -> str:
        """The process id of its systemd."""
        return self.pid_file.read_text().strip()

    def shell(self, script: str) -> str:
        return self.run("sh", "-c", script).stdout

    def put(self, text: str, path: str, mode: str = "0644") -> None:
        self.run("sh", "-c", 'umask 077; cat > "$1" && chmod "$2" "$1"', "put", path, mode, stdin=text)

    def copy(self, source: Path, path: str) -> None:
        subprocess.run([LAB, "podman", "cp", source, f"{self.name}:{path}"], check=True)

    @property
    def address(self) -> str:
        template = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}"
        argv = [LAB, "podman", "inspect", "-f", template, self.name]
        return subprocess.run(argv, capture_output=True, text=True, check=True).stdout.strip()

    def module(self, name: str, arguments: dict[str, Any] | None = None, *, check: bool = False, user: str = "root") -> dict[str, Any]:
        """Run one module with `ansible -m` and return its result.

        `_failed` is true if it failed; `_output` is everything printed (with --diff), to be searched for secrets. An account without rights
        watches meanwhile whether the secrets in the arguments become visible.
        """
        with self._watched(arguments or {}):
            return self._module(name, arguments, check, user)

    def _module(self, name: str, arguments: dict[str, Any] | None, check: bool, user: str) -> dict[str, Any]:
        become = {"ansible_become": user != "root", "ansible_become_user": user}
        options = ["-m", name, "-e", json.dumps(become), "--diff", *(["--check"] if check else [])]
        options += ["-a", json.dumps(arguments)] if arguments else []
        callback = {"ANSIBLE_STDOUT_CALLBACK": "ansible.builtin.minimal", "ANSIBLE_LOAD_CALLBACK_PLUGINS": "true"}
        run = self._ansible("ansible", "all", *options, **callback)
        start = run.stdout.find("=> {")
        if start < 0:
            pytest.fail(f"{name} gave no result:\n{run.stdout}\n{run.stderr}")
        result = json.JSONDecoder().raw_decode(run.stdout[start + 3 :])[0]
        return {**result, "_failed": run.returncode != 0, "_output": run.stdout + run.stderr}

    @contextlib.contextmanager
    def _watched(self, arguments: dict[str, Any]) -> Iterator[None]:
        """One watch at a time: a module that runs beside another one goes without."""
        secrets = {spelling for secret in secrets_in(arguments) for spelling in spellings(secret)}
        if not secrets or not WATCHING.acquire(blocking=False):
            yield
            return
        try:
            neighbour = NEIGHBOURS.get(self.name)
            if neighbour is None or not neighbour.alive:
                become = [str(LAB), "podman", "exec", "-i", "--user", f"{UID}:{UID}", self.name]
                neighbour = NEIGHBOURS[self.name] = Neighbour(become, self.shell)
            with neighbour.watching(secrets):
                yield
        finally:
            WATCHING.release()

    def play(self, what: str | dict[str, Any], *options: str, **variables: Any) -> subprocess.CompletedProcess[str]:
        """Run a playbook of the collection by its name, or one play given as data, against this server."""
        name = f"esus.pec.{what}"
        if not isinstance(what, str):
            file = BUILD / "lab" / f"{self.name}.yml"
            file.write_text(json.dumps([{"hosts": "all", "gather_facts": False, **what}]), encoding="utf-8")
            name = str(file)
        return self._ansible("ansible-playbook", name, *options, "-e", json.dumps({"pec_hosts": "all", **variables}))

    def _ansible(self, program: str, *arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
        connection = {
            "ansible_connection": "community.docker.nsenter",
            "ansible_nsenter_pid": self.pid,
            "ansible_python_interpreter": "/usr/bin/python3",
        }
        environment = {
            **{name: value for name, value in os.environ.items() if name != "PYTEST_CURRENT_TEST"},  # which is another for each test
            "ANSIBLE_FORCE_COLOR": "false",
            "ANSIBLE_NOCOLOR": "true",
            "ANSIBLE_PIPELINING": "true",
            "ANSIBLE_COLLECTIONS_PATH": str(BUILD / "collections"),
            **settings,
        }
        # In an inventory, because -e would apply to the controller too.
        inventory = BUILD / "lab" / f"{self.name}.inventory.yml"
        inventory.write_text(json.dumps({"all": {"hosts": {self.name: connection}}}), encoding="utf-8")
        with LOADING:
            key = json.dumps(environment, sort_keys=True)
            if key not in LOADED:
                LOADED[key] = Preloaded(environment)
        return LOADED[key].run(program, ["-i", str(inventory), *arguments])


def secrets_in(arguments: Any, name: str = "") -> Iterator[str]:
    """The secret values in a module's arguments."""
    if isinstance(arguments, dict):
        for key, value in arguments.items():
            yield from secrets_in(value, key)
    elif isinstance(arguments, list):
        for value in arguments:
            yield from secrets_in(value, name)
    elif isinstance(arguments, str) and name.rpartition(".")[2] in SECRETS and len(arguments) >= 8:
        yield arguments


@pytest.fixture(scope="session")
def start_server() -> Iterator[Any]:
    """A function that starts a server by name, image and arguments of podman run. All servers are removed after the tests."""
    started: list[str] = []

    def start(name: str, image: str = "debian12", *arguments: str) -> Server:
        started.append(name)
        subprocess.run([LAB, "up", name, image, *arguments], check=True)
        return Server(name)

    yield start
    for one in (*NEIGHBOURS.values(), *LOADED.values()):
        one.close()
    if started:
        subprocess.run([LAB, "down", *started], check=True)


@pytest.fixture(scope="session")
def jar() -> Any:
    """A function that returns the path of the stand-in's installer for a version."""

    def build(version: str) -> Path:
        run = subprocess.run([ROOT / "tests" / "stand_in" / "build", version], capture_output=True, text=True, check=True)
        return Path(run.stdout.strip().splitlines()[-1])

    return build


@pytest.fixture(scope="session")
def postgres(start_server: Any) -> Postgres:
    """A server with PostgreSQL 10, 15 and 17 for the tests of dumps. /small is a filesystem of 24 MB.

    With LAB_POSTGRES=NAME the container gets that name, is kept after the tests, and is used again by the next run.
    """
    filesystems = ("--tmpfs=/small:size=24m", "--tmpfs=/small-cluster:size=160m", "--tmpfs=/var/lib/postgresql")
    kept = os.environ.get("LAB_POSTGRES")
    if not kept:
        return Postgres(start_server("esus-pec-postgres", "debian12", *filesystems)).prepared()
    server = Server(kept)
    if not server.pid_file.exists() or server.run("test", "-e", PREPARED, check=False).returncode != 0:
        subprocess.run([LAB, "up", kept, "debian12", *filesystems], check=True)
    return Postgres(server).prepared()
