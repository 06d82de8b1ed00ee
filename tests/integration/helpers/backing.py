# SPDX-License-Identifier: GPL-3.0-or-later
"""A server with PEC's files and a daily backup, for the tests of backups."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
from collections.abc import Iterator
from typing import Any

from places import LAB
from postgres import PASSWORD

DIRECTORY = '/srv/back ups/it\'s "50%" \\x $(touch broken) ç'
MUNICIPALITY = 'Água d\'Oeste "50%" $(touch broken)'
ANEXOS = '/srv/anexos e "mais"'
STATE = "/var/lib/esus-pec/backup"
PROGRAM = "/usr/local/lib/esus-pec/backup.pyz"
SERVICE = "esus-pec-backup.service"
VARIABLES: dict[str, Any] = {
    "pec_backup_directory": DIRECTORY,
    "pec_municipio": MUNICIPALITY,
    "pec_backup_extra_paths": [ANEXOS],
    "pec_backup_on_failure": ["backup-failed@%N.service"],
}
WEBSERVER = "/opt/e-SUS/webserver"
FILES = {
    "/etc/pec.config": '{"success" : true, "directory" : "/opt/e-SUS", "version" : "5.4.37", "customDatabase" : true}',
    f"{WEBSERVER}/pec-bundle.jar": "jar",
    f"{WEBSERVER}/standalone.sh": "#!/bin/sh\n",
    f"{WEBSERVER}/chaves/rnds.p12": "a key",
    f"{WEBSERVER}/certmgr/config/ssl.properties": "domain=pec.example\n",
    f"{ANEXOS}/ofício 1.pdf": "an attachment",
}
# True while a dump runs; the brackets keep pgrep from finding its own shell.
DUMPS = "pgrep -f [p]g_dump.*--snapshot >/dev/null"
ON_FAILURE = "[Service]\nType=oneshot\nExecStart=/usr/bin/touch /run/told-%i\n"


class Host:
    """The server, and how a test looks at its backups."""

    def __init__(self, postgres: Any) -> None:
        self.postgres = postgres
        self.server = postgres.server

    def shell(self, script: str, *arguments: str, check: bool = True) -> str:
        run = self.server.run("sh", "-c", script, "sh", *arguments, check=False)
        assert not check or run.returncode == 0, run.stderr
        return run.stdout.strip()

    def playbook(self, name: str, *arguments: str, **variables: Any) -> subprocess.CompletedProcess[str]:
        run: subprocess.CompletedProcess[str] = self.server.play(name, *arguments, **{**VARIABLES, **variables})
        return run

    def backup(self, *arguments: str, **variables: Any) -> str:
        run = self.playbook("backup", *arguments, **variables)
        assert run.returncode == 0, run.stdout + run.stderr
        return run.stdout

    def rehearse(self, **variables: Any) -> None:
        output = self.backup("--tags", "rehearse", **variables)
        assert "can be restored in " in output, output

    def start(self) -> int:
        """Start the service as the timer does, and wait until it ends."""
        return self.server.run("systemctl", "start", SERVICE, check=False).returncode

    def record(self, name: str) -> dict[str, Any] | None:
        """Return a record as an account without any rights reads it."""
        run = self.server.run("runuser", "-u", "nobody", "--", "cat", f"{STATE}/last-{name}.json", check=False)
        return json.loads(run.stdout) if run.returncode == 0 else None

    def success(self) -> dict[str, Any]:
        record = self.record("success")
        assert record is not None
        return record

    def failure(self) -> str:
        record = self.record("failure")
        assert record is not None
        return str(record["message"])

    def names(self) -> list[str]:
        return self.server.run("ls", "-A", DIRECTORY).stdout.splitlines()

    def sets(self) -> list[str]:
        """The complete dumps, oldest first."""
        return sorted(name[: -len(".json")] for name in self.names() if name.endswith(".json"))

    @contextlib.contextmanager
    def hold(self) -> Iterator[None]:
        """Lock a table, so that a dump waits."""
        argv = [LAB, "podman", "exec", "-i", self.server.name, "runuser", "-u", "postgres", "--"]
        argv += ["psql", "-XAtq", "-h", "/var/run/postgresql", "-d", "esus"]
        with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as psql:
            assert psql.stdin and psql.stdout
            psql.stdin.write("begin; lock table tb_anotacao_livre in access exclusive mode; select 'locked';\n")
            psql.stdin.flush()
            assert psql.stdout.readline() == "locked\n"
            try:
                yield
            finally:
                psql.communicate("rollback;\n")

    def wait_until(self, condition: str) -> None:
        self.shell(f"timeout 60 sh -c 'until {condition}; do sleep 0.1; done'")

    def running(self) -> str:
        """Return the programs of a backup that still run."""
        return self.server.run("pgrep", "-af", "pg_dump|psql|backup.pyz", check=False).stdout


@contextlib.contextmanager
def prepared(postgres: Any) -> Iterator[Host]:
    """Yield a server with PEC and without a backup; remove everything afterwards."""
    host = Host(postgres)
    escaped = PASSWORD.replace("\\", "\\\\").encode("ascii", "backslashreplace").decode().replace("\\xe3", "\\u00e3")
    spring = f"spring.datasource.url=jdbc:postgresql://127.0.0.1:5432/esus\nspring.datasource.username=esus\nspring.datasource.password={escaped}\n"
    for path, text in {**FILES, f"{WEBSERVER}/config/application.properties": spring}.items():
        host.server.run("mkdir", "-p", os.path.dirname(path))
        host.server.put(text, path, "0755" if path.endswith(".sh") else "0600")
    host.server.put(ON_FAILURE, "/etc/systemd/system/backup-failed@.service")
    postgres.create(15, "esus")
    try:
        yield host
    finally:
        host.shell(
            "systemctl disable --now esus-pec-backup.timer; rm -rf /etc/systemd/system/*backup* /etc/esus-pec /usr/local/lib/esus-pec",
            check=False,
        )
        host.shell(
            "rm -rf /srv/back* /srv/anexos* /opt/e-SUS /etc/pec.config /var/lib/esus-pec; systemctl daemon-reload; systemctl reset-failed"
        )
        postgres.drop(15, "esus")
