# SPDX-License-Identifier: GPL-3.0-or-later
"""One server with several versions of PostgreSQL, and databases like PEC's, for the tests of dump and restore."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from places import ROOT

ROLE = "esus"
# Characters that some layer escapes (connection strings, .pgpass, SQL, Java, format strings), and one of two bytes.
PASSWORD = """se:nha\\com'%d"ão$x"""
SOCKETS = "/var/run/postgresql"
# This file exists on the server once its clusters are prepared.
PREPARED = "/run/esus-pec-tests-prepared"
LOCALE = "pt_BR.UTF-8"
# Port, systemd unit and locale of each cluster. "small" is a 17 whose data directory is a filesystem of 160 MB.
CLUSTERS: dict[int | str, tuple[int, str, str]] = {
    10: (5410, "postgresql-10", LOCALE),
    15: (5432, "postgresql@15-main", LOCALE),
    17: (5417, "postgresql-17", "C.UTF-8"),
    "small": (5418, "postgresql-small", "C.UTF-8"),
}
PACKAGES = ("locales", "postgresql", "zstd", "age", "zip", "unzip", "pigz")
UNIT = """\
[Unit]
Description=PostgreSQL {name} of the tests
[Service]
User=postgres
ExecStart={binaries}/postgres -D {data} -p {port} -k {sockets}
ExecStartPost=/bin/sh -c 'until /usr/bin/pg_isready -q -h {sockets} -p {port}; do sleep 0.1; done'
KillMode=mixed
KillSignal=SIGINT
TimeoutStartSec=60
"""
ACCESS = """\
local all all peer
host all all 127.0.0.1/32 {method}
host all all ::1/128 {method}
"""
ROLES = """\
CREATE ROLE {role} LOGIN PASSWORD '{password}';
CREATE ROLE esus_leitura LOGIN PASSWORD 'leitura';
"""


@dataclass
class Postgres:
    """The server and its clusters. Their superuser is the OS account postgres, through the socket."""

    server: Any
    samples: set[int | str] = field(default_factory=set)

    def major(self, major: int | str) -> dict[str, Any]:
        """Where the cluster of a major version listens."""
        return {"host": "127.0.0.1", "port": CLUSTERS[major][0]}

    def unit(self, major: int | str) -> str:
        """The cluster's systemd unit, to stop or kill it."""
        return CLUSTERS[major][1]

    def connection(self, major: int | str, database: str) -> dict[str, Any]:
        """The connection of PEC's role, in the form of the modules' option."""
        return {**self.major(major), "name": database, "username": ROLE, "password": PASSWORD}

    def module(self, name: str, arguments: dict[str, Any] | None = None, **options: Any) -> dict[str, Any]:
        return self.server.module(name, arguments, **options)

    def sql(self, major: int | str, database: str, text: str, user: str | None = None) -> str:
        """Run SQL as the superuser, or as PEC's role over TCP, and return the unaligned rows."""
        argv = ["psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-p", str(CLUSTERS[major][0]), "-d", _conninfo(dbname=database), "-f", "-"]
        if user:
            argv = ["env", f"PGPASSWORD={PASSWORD}", *argv, "-h", "127.0.0.1", "-U", user]
        else:
            argv = ["runuser", "-u", "postgres", "--", *argv, "-h", SOCKETS]
        run = self.server.run(*argv, stdin=text, check=False)
        assert run.returncode == 0, run.stderr
        return run.stdout.strip()

    def create(self, major: int | str, name: str, sample: bool = True) -> None:
        """Create a database of PEC's role, with sample data (about 20 MB, 50 tables) or empty. One of that name is dropped first."""
        self.drop(major, name)
        template = "template0"
        if sample:
            template = "sample"
            if major not in self.samples:
                self._create(major, template, "template0")
                self.fill(major, template)
                self.samples.add(major)
        self._create(major, name, template)

    def fill(self, major: int | str, database: str, *arguments: str) -> None:
        """Run the benchmark's generator, with its arguments, as PEC's role."""
        argv = [sys.executable, ROOT / "benchmarks" / "generate.py", *(arguments or ("--scale", "0.004", "--tables", "50"))]
        script = subprocess.run(argv, capture_output=True, text=True, check=True).stdout
        self.sql(major, database, script, user=ROLE)

    def drop(self, major: int | str, name: str) -> None:
        """Drop a database, even with sessions connected."""
        sessions = f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = {_literal(name)};"
        self.sql(major, "postgres", f"{sessions}\nDROP DATABASE IF EXISTS {_identifier(name)};")

    def databases(self, major: int | str) -> list[str]:
        """The names of the databases that tests created."""
        condition = "NOT datistemplate AND datname NOT IN ('postgres', 'sample')"
        return self.sql(major, "postgres", f"SELECT datname FROM pg_database WHERE {condition} ORDER BY 1").splitlines()

    def _create(self, major: int | str, name: str, template: str) -> None:
        options = f"OWNER {ROLE} TEMPLATE {template} ENCODING 'UTF8' LC_COLLATE '{LOCALE}' LC_CTYPE '{LOCALE}'"
        self.sql(major, "postgres", f"CREATE DATABASE {_identifier(name)} {options};")

    def prepared(self) -> Postgres:
        """Install and start the clusters unless an earlier run did, and remove what its tests left."""
        if self.server.run("test", "-e", PREPARED, check=False).returncode == 0:
            for major in CLUSTERS:
                for name in ["sample", *self.databases(major)]:
                    self.drop(major, name)
            return self
        shell = self.server.run
        install = "DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends"
        shell(
            "sh", "-c", f"apt-get update -qq && {install} {PACKAGES[0]} && sed -i 's/^# *\\({LOCALE}\\)/\\1/' /etc/locale.gen && locale-gen"
        )
        shell("sh", "-c", f"LANG={LOCALE} {install} {' '.join(PACKAGES[1:])}")
        for major in (10, 17):
            fetch = [ROOT / "tests" / "lab" / "postgresql", str(major)]
            tree = subprocess.run(fetch, capture_output=True, text=True, check=True).stdout.strip()
            shell("mkdir", "-p", "/usr/lib/postgresql")
            self.server.copy(Path(tree), f"/usr/lib/postgresql/{major}")
        for name in (10, 17, "small"):
            self._start(name)
        password = PASSWORD.replace("'", "''")
        for name in CLUSTERS:
            self.sql(name, "postgres", ROLES.format(role=ROLE, password=password))
        shell("touch", PREPARED)
        return self

    def _start(self, name: int | str) -> None:
        port, unit, locale = CLUSTERS[name]
        binaries = f"/usr/lib/postgresql/{10 if name == 10 else 17}/bin"
        data = "/small-cluster/data" if name == "small" else f"/var/lib/postgresql/{name}/tests"
        small = "--wal-segsize=1" if name == "small" else ""
        init = f"{binaries}/initdb --pgdata={data} --encoding=UTF8 --locale={locale} {small}"
        self.server.run("sh", "-c", f"mkdir -p {data} && chown postgres: {data} && cd / && runuser -u postgres -- {init} >/dev/null")
        self.server.put(ACCESS.format(method="md5" if name == 10 else "scram-sha-256"), f"{data}/pg_hba.conf", "0644")
        if name == "small":
            self.server.run("sh", "-c", f"printf 'min_wal_size = 2MB\\nmax_wal_size = 8MB\\n' >> {data}/postgresql.conf")
        text = UNIT.format(name=name, binaries=binaries, data=data, port=port, sockets=SOCKETS)
        self.server.put(text, f"/etc/systemd/system/{unit}.service")
        self.server.run("systemctl", "start", unit)


def _identifier(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _conninfo(**parts: str) -> str:
    """A connection string, because psql takes a database name with "=" for one."""
    return " ".join(f"{key}='" + value.replace("\\", "\\\\").replace("'", "\\'") + "'" for key, value in parts.items())
