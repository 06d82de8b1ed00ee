# SPDX-License-Identifier: GPL-3.0-or-later
"""The ways to move a database to another server that are compared, between two containers of the lab."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import generate
import transfer_report
from cluster import ROOT
from methods import SOURCE_DATABASE

sys.path += [str(ROOT / "tests" / place) for place in ("helpers", "integration/helpers", "integration")]

# The path is known now.
import transferring
from conftest import LOADED, Server
from transferring import DATA, DATABASE_PASSWORD, PASSWORD, Pair

PACKAGES = "zip unzip zstd"
UNIT = "postgresql@15-main"
ROLE = "esus"
BY_HAND = "/var/backups/by-hand"
DUMPS = "/var/backups/dumps"
ARRIVED = "/var/backups/arrived"
# Whatever a way writes besides the database itself and the server's WAL is in one of these.
WATCHED = ("var/backups", "var/tmp", "var/lib/esus-pec", "run/esus-pec", "run/esus-pec-transfer")
# What PEC writes between the first pass of a physical copy and the freeze.
WORK = """
update tb_atend_prof set dt_evento = dt_evento + interval '1 second' where co_seq_atend_prof % 100 = 0;
insert into tb_evolucao_plano (co_atend_prof, ds_texto) select co_atend_prof, ds_texto from tb_evolucao_plano limit 1000;
"""
CREATE_CLUSTER = "pg_dropcluster --stop 15 main; pg_createcluster --locale C.UTF-8 15 main >/dev/null && systemctl start " + UNIT


class Host(Server):
    """A server on which nobody looks for secrets in the meantime, because that takes processor time."""

    @contextlib.contextmanager
    def _watched(self, arguments: dict[str, Any]) -> Iterator[None]:  # noqa: ARG002
        yield

    def done(self, name: str, arguments: dict[str, Any] | None = None) -> dict[str, Any]:
        """Run a module that has to succeed."""
        result = self.module(name, arguments)
        if result["_failed"]:
            raise SystemExit(f"benchmark: {name} failed on {self.name}: {result['_output'][-3000:]}")
        return result

    def as_postgres(self, *argv: str, stdin: str | None = None) -> str:
        run = self.run("runuser", "-u", "postgres", "--", *argv, check=False, stdin=stdin)
        if run.returncode != 0:
            raise SystemExit(f"benchmark: {argv[0]} failed on {self.name}: {run.stderr[-3000:]}")
        return run.stdout

    def sql(self, text: str, database: str = "postgres") -> str:
        return self.as_postgres("psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-d", database, "-f", "-", stdin=text).strip()

    def root(self, path: str) -> Path:
        """A path of the server as this machine sees it."""
        return Path(f"/proc/{self.pid}/root") / path.lstrip("/")

    def create_cluster(self) -> None:
        """Give it a new server with the distribution's configuration, and the roles of PEC's database."""
        self.run("sh", "-c", f"{CREATE_CLUSTER}; rm -rf {DATA}.*")
        roles = (f"create role {ROLE} login password '{DATABASE_PASSWORD}';", f"create role {generate.READ_ONLY_ROLE};")
        self.sql("".join(roles) + f"alter role postgres password '{DATABASE_PASSWORD}';")

    def remove_files(self) -> None:
        self.run("rm", "-rf", BY_HAND, DUMPS, f"{ARRIVED}.transfer")
        self.run("install", "-d", "-o", "postgres", BY_HAND)
        self.run("install", "-d", "-m", "0700", DUMPS)

    def create_database(self) -> None:
        self.as_postgres("createdb", "-T", "template0", "-O", ROLE, SOURCE_DATABASE)

    def cpu(self) -> float:
        """Seconds of what the container's systemd started."""
        cgroups = Path(f"/proc/{self.pid}/cgroup").read_text()
        return transfer_report.cpu_seconds(transfer_report.cpu_file(cgroups).read_text())


def prepared(old: Host, new: Host, scale: float) -> Pair:
    """Install what is used, fill the old server's database, and let the new one reach it."""
    pair = Pair(old, new, {})
    transferring.PACKAGES += f" {PACKAGES}"
    pair.prepare()
    for host in (old, new):
        host.create_cluster()
        host.remove_files()
    old.create_database()
    connection = f"host=127.0.0.1 user={ROLE} password='{DATABASE_PASSWORD}' dbname={SOURCE_DATABASE}"
    script = "\n".join(generate.script(scale, generate.TABLES, 1, "5.4.37"))
    old.as_postgres("psql", "-qX", "-v", "ON_ERROR_STOP=1", "-d", connection, "-f", "-", stdin=script)
    served = [{"name": "data", "path": DATA}, {"name": "dump", "path": DUMPS}]
    if pair.allow(directories=served)["_failed"]:
        raise SystemExit("benchmark: the new server was not given access to the old one")
    return pair


@dataclass
class Move:
    """One way in one pass: what it took."""

    pair: Pair
    steps: dict[str, float] = field(default_factory=dict)
    before: dict[str, float] = field(default_factory=dict)
    phases: dict[str, float] = field(default_factory=dict)
    tasks: int = 0
    kept: str = ""
    proof: str = "none"

    @property
    def old(self) -> Host:
        host: Host = self.pair.old
        return host

    @property
    def new(self) -> Host:
        host: Host = self.pair.new
        return host

    @contextlib.contextmanager
    def step(self, name: str) -> Iterator[None]:
        began = time.monotonic()
        yield
        self.steps[name] = time.monotonic() - began

    def task(self, name: str, host: Host, module: str, arguments: dict[str, Any]) -> dict[str, Any]:
        """A step that is a task of Ansible's."""
        with self.step(name):
            self.tasks += 1
            return host.done(module, arguments)

    @property
    def database(self) -> dict[str, Any]:
        return {"host": "127.0.0.1", "port": 5432, "name": SOURCE_DATABASE, "username": ROLE, "password": DATABASE_PASSWORD}


@dataclass(frozen=True)
class Way:
    """C(before) is done while PEC works, C(after) is from the freeze on."""

    name: str
    after: Callable[[Move], None]
    before: Callable[[Move], None] | None = None


def procedure(move: Move) -> None:
    old, new = move.old, move.new
    with move.step("pg_dump"):
        old.as_postgres("pg_dump", "-F", "p", "-f", f"{BY_HAND}/backup.sql", SOURCE_DATABASE)
    with move.step("zip"):
        old.run("zip", "-qj", f"{BY_HAND}/backup.zip", f"{BY_HAND}/backup.sql")
    with move.step("copy"):
        # Faster than any network: within this machine, without encryption.
        shutil.copyfile(old.root(f"{BY_HAND}/backup.zip"), new.root(f"{BY_HAND}/backup.zip"))
    with move.step("unzip"):
        new.run("unzip", "-q", f"{BY_HAND}/backup.zip", "-d", BY_HAND)
    with move.step("psql"):
        new.create_database()
        new.as_postgres("psql", "-qX", "-d", SOURCE_DATABASE, "-f", f"{BY_HAND}/backup.sql")


def direct(move: Move) -> None:
    dumped = {"path": f"{DUMPS}/esus.dir", "format": "directory", "fingerprint": True, "database": move.database}
    move.task("dump", move.old, "esus.pec.dump", dumped)
    rsync = {"port": 874, "user": move.pair.ssh["user"], "password": PASSWORD, "modules": [{"name": "dump", "path": DUMPS}]}
    copied = {"state": "synced", "ssh": move.pair.ssh, "rsync": rsync, "attachments": [{"source": DUMPS, "target": ARRIVED}]}
    place = move.task("transfer_files", move.new, "esus.pec.transfer_files", copied)["attachments"][0]["place"]
    given = {"path": f"{place}/esus.dir", "from_host": move.old.name, "database": move.database}
    move.phases = _phases(move.task("restore", move.new, "esus.pec.restore", given))
    move.proof = "fingerprint"


def stream(move: Move) -> None:
    given = {"source": move.database, "ssh": move.pair.ssh, "database": move.database}
    moved = move.task("transfer_database", move.new, "esus.pec.transfer_database", given)
    move.phases = _phases(moved)
    move.proof = f"fingerprint {moved['fingerprint']['digest'][:8]} of {moved['fingerprint']['rows']} rows"


def _phases(result: dict[str, Any]) -> dict[str, float]:
    return {name: float(value) for name, value in result["seconds"].items() if name != "total"}


def _physical(move: Move, which: str) -> dict[str, Any]:
    given = {"ssh": move.pair.ssh, "rsync": {"password": PASSWORD}, "data_directory": DATA, "pass": which}
    return move.task(f"physical_copy {which}", move.new, "esus.pec.physical_copy", given)


def physical_before(move: Move) -> None:
    _physical(move, "first")
    move.old.sql(WORK, SOURCE_DATABASE)
    # The new server's PostgreSQL serves nobody yet.
    move.new.run("systemctl", "stop", UNIT)


def physical(move: Move) -> None:
    service = "ansible.builtin.systemd_service"
    move.task("stop", move.old, service, {"name": UNIT, "state": "stopped"})
    move.kept = _physical(move, "final")["kept"]
    there, here = (_control(host) for host in (move.old, move.new))
    move.task("start", move.new, service, {"name": UNIT, "state": "started"})
    if there != here:
        raise SystemExit(f"benchmark: the copy is {here}, and the source is {there}")
    move.proof = f"pg_controldata, checkpoint {here[1]}"


def _control(host: Host) -> tuple[str, str]:
    return transfer_report.control_of(host.run("/usr/lib/postgresql/15/bin/pg_controldata", DATA).stdout)


WAYS = (Way("procedure", procedure), Way("direct", direct), Way("stream", stream), Way("physical", physical, physical_before))


def cpu(pair: Pair) -> float:
    """Seconds of both servers, of Ansible, and of what it ran: its process counts a child once it has ended and another begins."""
    times = os.times()
    ansible = sum(loaded.cpu_seconds() for loaded in LOADED.values())
    return float(pair.old.cpu() + pair.new.cpu()) + times.children_user + times.children_system + ansible
