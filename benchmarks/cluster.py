# SPDX-License-Identifier: GPL-3.0-or-later
"""A PostgreSQL server of the benchmark's own, as an unprivileged account, on a free port of the loopback interface."""

from __future__ import annotations

import os
import pwd
import secrets
import shutil
import socket
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
# A server refuses to run as root.
ACCOUNT = "nobody"
ROLE = "postgres"


def fetch_binaries(work: Path) -> Path:
    """PostgreSQL 17 under the directory, where any account may read it."""
    fetched = subprocess.run([ROOT / "tests" / "lab" / "postgresql", "17"], capture_output=True, text=True, check=True)
    shutil.copytree(fetched.stdout.strip(), work / "postgresql")
    return work / "postgresql" / "bin"


class Cluster:
    """A server with the configuration that initdb gives it, but for the port: fsync is on, shared_buffers are 128 MB."""

    def __init__(self, name: str, binaries: Path, work: Path) -> None:
        self.binaries = binaries
        self.directory = work / name
        self.password = secrets.token_hex(16)
        self.port = _free_port()
        self.directory.mkdir(mode=0o755)
        os.chown(self.directory, pwd.getpwnam(ACCOUNT).pw_uid, -1)
        secret = work / f"{name}.password"
        secret.write_text(self.password)
        secret.chmod(0o644)
        options = ["--encoding=UTF8", "--locale=C.UTF-8", "--auth=scram-sha-256", f"--pwfile={secret}", f"--username={ROLE}"]
        self._run("initdb", "--pgdata", self.data, *options)
        secret.unlink()

    @property
    def data(self) -> Path:
        return self.directory / "data"

    @property
    def environment(self) -> dict[str, str]:
        return {"PGHOST": "127.0.0.1", "PGPORT": str(self.port), "PGUSER": ROLE, "PGPASSWORD": self.password}

    def start(self) -> None:
        options = f"-p {self.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories=''"
        self._run("pg_ctl", "--pgdata", self.data, "--log", self.directory / "log", "--options", options, "--wait", "start")

    def stop(self) -> None:
        """Without a shutdown checkpoint, because everything is thrown away."""
        if (self.data / "postmaster.pid").exists():
            self._run("pg_ctl", "--pgdata", self.data, "--mode", "immediate", "--wait", "stop")

    def psql(self, database: str, text: str) -> str:
        argv = [self.binaries / "psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-d", database]
        run = subprocess.run(argv, input=text, capture_output=True, text=True, check=False, env={**os.environ, **self.environment})
        if run.returncode != 0:
            raise SystemExit(f"benchmark: {run.stderr.strip()}")
        return run.stdout.strip()

    def _run(self, program: str, *arguments: str | Path) -> None:
        argv = [self.binaries / program, *arguments]
        # A server inherits its starter's output, which a pipe would wait for.
        log = self.directory.parent / f"{self.directory.name}.{program}.log"
        with log.open("w") as output:
            run = subprocess.run(argv, stdout=output, stderr=subprocess.STDOUT, cwd="/", check=False, user=ACCOUNT, extra_groups=[])
        if run.returncode != 0:
            raise SystemExit(f"benchmark: {program} failed:\n{log.read_text()}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
