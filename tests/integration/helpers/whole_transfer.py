# SPDX-License-Identifier: GPL-3.0-or-later
"""A transfer by the playbook between an old server with PEC and a new one, so that it can be disturbed at a chosen moment."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dumping import LARGE_OBJECTS, STOPPED
from installed import prepare, wait
from pec_host import PecHost, fetch
from places import BUILD

OLD, NEW, OTHER = "esus-pec-faults-old", "esus-pec-faults-new", "esus-pec-faults-other"
PEC = "e-SUS-PEC"
PASSWORD = "Senha-do-banco-2026"  # also in the database's URL of the installer, which takes no other characters
STATE = "/var/lib/esus-pec/transfer/state.json"
MARK = "/var/lib/esus-pec/transfer-source.json"
DATABASE = f"""
alter system set password_encryption = md5;
set password_encryption = md5;
create role esus login createdb password '{PASSWORD}';
create database esus owner esus encoding 'UTF8' locale 'pt_BR.UTF-8' template template0;
"""
LET_IN = "sed -i 's/scram-sha-256/md5/' /etc/postgresql/*/main/pg_hba.conf; systemctl restart postgresql"  # which then has the locale, too
CITIZENS = """
select count(*) || ' ' || md5(string_agg(no_cidadao || js_contatos::text || dt_nascimento || coalesce(md5(im_foto), ''), ''
  order by co_unico_cidadao collate "C")) from tb_cidadao
"""
LARGE = "select count(*) || ' ' || md5(string_agg(md5(lo_get(oid)), '' order by md5(lo_get(oid)))) from pg_largeobject_metadata"
STAYS = "/run/pec-stays"
STAYING = f"[Service]\nExecStopPost=/bin/sh -c 'while [ -e {STAYS} ]; do sleep 0.1; done'\n"
AT_WORK = "for file in /run/esus-pec/*.lock; do flock -n $file true || exit 0; done; exit 1"
SECONDS = 180


@dataclass
class Run:
    """One ansible-playbook, in a session of its own."""

    process: subprocess.Popen[bytes]
    output: Any

    def said(self) -> str:
        """Wait for its end, and return what it printed."""
        self.process.wait(timeout=600)
        self.output.seek(0)
        return str(self.output.read().decode())

    def shows(self, text: str) -> bool:
        """Whether it has printed this already."""
        descriptor = self.output.fileno()
        return text.encode() in os.pread(descriptor, os.fstat(descriptor).st_size, 0)  # the place to write to is the run's

    def kill(self) -> None:
        """Kill it and its workers, as when the controller loses its power. What it has started on a server goes on there, as after SSH."""
        mine = [int(name) for name in os.listdir("/proc") if name.isdigit() and _is_ansible(name, self.process.pid)]
        assert self.process.pid in mine
        for pid in mine:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait(timeout=60)


def _is_ansible(pid: str, session: int) -> bool:
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        return os.getsid(int(pid)) == session and any(word.endswith(b"ansible-playbook") for word in words[:2])
    except OSError:
        return False


@dataclass
class Transfer:
    """The two servers."""

    old: PecHost
    new: PecHost
    variables: dict[str, Any]
    prepared: str = ""
    runs: list[Run] = field(default_factory=list)

    def set_up(self, jar: Path) -> None:
        """Install PEC on the old server, and prepare the new one."""
        packages = ("postgresql", "rsync", "curl")
        there = threading.Thread(target=prepare, args=(self.new.server, *packages))
        there.start()
        prepare(self.old.server, *packages)
        self.old.run("systemctl", "start", "ssh")
        self.old.server.shell(LET_IN)
        self.admin(self.old, DATABASE, "postgres")
        self.stay()
        self.old.server.copy(jar, f"/srv/{jar.name}")
        options = f"-console -continue -url=jdbc:postgresql://127.0.0.1:5432/esus -username=esus -password={PASSWORD}"
        self.old.server.run("sh", "-ec", f"cd /root && LC_ALL=C.UTF-8 java -jar /srv/{jar.name} {options} && systemctl start {PEC}")
        wait(self.old.server)
        self.old.load_sample_data()
        there.join()
        said = self.start("--tags", "prepare").said()
        assert "failed=0" in said, said
        self.prepared = self.new.sh(f"cat {STATE}")

    def stay(self) -> None:
        """Have PEC on the old server take as long to stop as the file STAYS exists."""
        directory = f"/etc/systemd/system/{PEC}.service.d"
        self.old.run("mkdir", "-p", directory)
        self.old.server.put(STAYING, f"{directory}/stay.conf")
        self.old.run("systemctl", "daemon-reload")

    def as_before(self) -> None:
        """PEC serves on the old server, and the new one is prepared and no more."""
        for run in self.runs:
            if run.process.poll() is None:
                run.kill()
        self.new.command()
        self.old.sh(f"rm -f {STAYS}")
        self.signal("CONT")
        until(lambda: not self.at_work())
        result = self.old.server.module("esus.pec.transfer_source_service", {"state": "serving", "force": True})
        assert not result["_failed"], result["_output"]
        self.new.sh(f"systemctl reset-failed {PEC}; systemctl disable --now -q {PEC}")
        self.new.server.put(self.prepared, STATE, "0600")

    def start(self, *options: str, playbook: str = "transfer", host: str = NEW, **variables: Any) -> Run:
        """Begin a run of the playbook."""
        inventory = BUILD / "lab" / f"{OLD}.inventory.yml"
        inventory.write_text(json.dumps(self._inventory()), encoding="utf-8")
        given = {"pec_hosts": host, "pec_health_timeout": 120, "pec_transfer_mode": "stream", **variables}
        argv = ["ansible-playbook", f"esus.pec.{playbook}", "-i", str(inventory), *options, "-e", json.dumps(given)]
        environment = {
            **{name: value for name, value in os.environ.items() if name != "PYTEST_CURRENT_TEST"},
            "ANSIBLE_NOCOLOR": "true",
            "ANSIBLE_PIPELINING": "true",
            "ANSIBLE_COLLECTIONS_PATH": str(BUILD / "collections"),
        }
        output = tempfile.TemporaryFile()  # noqa: SIM115  # as long as the run
        process = subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, env=environment, start_new_session=True
        )
        self.runs.append(Run(process, output))
        return self.runs[-1]

    def transfer(self, *options: str, **variables: Any) -> Run:
        """Begin the transfer alone, because the new server is prepared."""
        return self.start("--tags", "transfer", *options, **variables)

    def _inventory(self) -> dict[str, Any]:
        def host(server: Any, **more: str) -> dict[str, str]:
            return {"ansible_connection": "community.docker.nsenter", "ansible_nsenter_pid": server.pid, **more}

        new = host(self.new.server, pec_transfer_source=OLD)
        return {"all": {"hosts": {OLD: host(self.old.server), NEW: new, OTHER: new}, "vars": self.variables}}

    def admin(self, host: PecHost, statement: str, database: str = "esus") -> str:
        """Ask the database as its administrator."""
        argv = ["runuser", "-u", "postgres", "--", "psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-d", database, "-f", "-"]
        run = host.run(*argv, stdin=statement, check=False)
        assert run.returncode == 0, run.stderr
        return str(run.stdout.strip())

    def data(self, host: PecHost) -> tuple[str, str]:
        """What has to be the same on both servers."""
        return self.admin(host, CITIZENS), self.admin(host, LARGE)

    def at_work(self) -> bool:
        """Whether a module works on the new server, as that of a killed run does until it ends."""
        return self.new.run("sh", "-c", AT_WORK, check=False).returncode == 0

    def signal(self, name: str) -> None:
        """Send a signal to what loads the database on the new server."""
        self.new.sh(f"for pid in $(pgrep -x pg_restore); do kill -{name} $pid; done")

    def phases(self) -> list[str]:
        """The phases that are recorded as done."""
        return [each["phase"] for each in json.loads(self.new.sh(f"cat {STATE}"))["phases"]]

    def owner(self) -> str:
        """The name of the run that the transfer belongs to."""
        return str(json.loads(self.new.sh(f"cat {STATE}"))["run"]["id"])

    def local(self, *argv: str) -> None:
        """Run a program of this machine."""
        subprocess.run(argv, check=True)

    def mark(self) -> dict[str, Any]:
        """The record of the freeze on the old server; empty without one."""
        text = self.old.sh(f"cat {MARK}", check=False)
        return json.loads(text) if text else {}

    def serves(self, host: PecHost) -> bool:
        """Whether PEC answers at its port."""
        try:
            return fetch(f"http://{host.server.address}:8080/").status == 200
        except OSError:
            return False

    @contextlib.contextmanager
    def held(self) -> Iterator[Run]:
        """Begin a transfer that waits at the large objects of the old server, until the end of the block."""
        self.old.sh(f"touch {STAYS}")  # earlier, the look at the old server would wait
        run = self.transfer()
        until(lambda: self.old.unit(PEC, "ActiveState") == "deactivating", run)
        argv = ["nsenter", "--target", self.old.server.pid, "--mount", "--ipc", "--net", "--pid", "--", "runuser", "-u", "postgres", "--"]
        with subprocess.Popen([*argv, "psql", "-XAtq", "-d", "esus"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as session:
            assert session.stdin
            assert session.stdout
            session.stdin.write(f"{LARGE_OBJECTS}\n\\echo held\n")
            session.stdin.flush()
            "".join(iter(session.stdout.readline, "held\n"))
            self.old.sh(f"rm {STAYS}")
            yield run
            with contextlib.suppress(BrokenPipeError):
                session.stdin.close()
            session.wait()

    def until_moving(self, run: Run) -> None:
        """Wait until the run is at the large objects of the old server."""
        until(lambda: self.admin(self.old, STOPPED) == "t", run)


def until(reached: Callable[[], bool], run: Run | None = None) -> None:
    """Wait for something, as long as the run that has to reach it goes on."""
    end = time.monotonic() + SECONDS
    while not reached():
        assert time.monotonic() < end
        assert run is None or run.process.poll() is None, run.said()
        time.sleep(0.1)
