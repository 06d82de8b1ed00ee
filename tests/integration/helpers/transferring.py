# SPDX-License-Identifier: GPL-3.0-or-later
"""Two servers for the tests of a transfer between them: an old one and a new one, each with the distribution's PostgreSQL."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from typing import Any

PASSWORD = "uma senha/do:rsync".replace(" ", "-")
DATABASE_PASSWORD = "senha do banco"
PACKAGES = "postgresql rsync"
DATA = "/var/lib/postgresql/15/main"


@dataclass
class Pair:
    """The source and the target. C(ssh) is what the modules' option has, once C(access) was given."""

    old: Any
    new: Any
    ssh: dict[str, Any]

    def prepare(self) -> None:
        """Install what a test requires on both at the same time."""
        install = "DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends"
        script = f"apt-get update -qq && {install} {PACKAGES} >/dev/null 2>&1"
        for thread in [_in_background(server, script) for server in (self.old, self.new)]:
            assert thread.wait() == 0
        self.old.run("systemctl", "start", "ssh")
        self.sql(self.old, f"ALTER ROLE postgres PASSWORD '{DATABASE_PASSWORD}'")

    def sql(self, server: Any, text: str) -> str:
        argv = ["runuser", "-u", "postgres", "--", "psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-f", "-"]
        run = server.run(*argv, stdin=text, check=False)
        assert run.returncode == 0, run.stderr
        return str(run.stdout.strip())

    def allow(self, *, check: bool = False, **options: Any) -> dict[str, Any]:
        """Give the access on the source, to a key that is made on the target."""
        key = self.new.module("esus.pec.transfer_key")
        assert not key["_failed"], key
        given = {"public_key": key["public_key"], "directories": [{"name": "data", "path": DATA}], "rsync_password": PASSWORD}
        access: dict[str, Any] = self.old.module("esus.pec.transfer_access", {**given, **options}, check=check)
        if not access["_failed"]:
            self.new.module("esus.pec.transfer_key", {"host": self.old.address, "host_keys": access["host_keys"]})
            self.ssh = {"host": self.old.address, "user": access["user"]}
            self.ssh.update({name: key[name] for name in ("key_path", "known_hosts_path")})
        return access

    def login(self, *words: str, seconds: int = 20) -> subprocess.CompletedProcess[str]:
        """Run OpenSSH's own ssh on the target with the key."""
        options = [
            "-F",
            "none",
            "-o",
            "BatchMode=yes",
            "-o",
            f"UserKnownHostsFile={self.ssh['known_hosts_path']}",
            "-i",
            self.ssh["key_path"],
        ]
        argv = ["timeout", str(seconds), "ssh", *options, *words[:-1], f"{self.ssh['user']}@{self.ssh['host']}", *words[-1:]]
        run: subprocess.CompletedProcess[str] = self.new.run(*[word for word in argv if word], check=False)
        return run


def _in_background(server: Any, script: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(["nsenter", "--target", server.pid, "--mount", "--uts", "--ipc", "--net", "--pid", "--", "sh", "-c", script])
