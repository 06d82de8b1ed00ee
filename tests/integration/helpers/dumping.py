# SPDX-License-Identifier: GPL-3.0-or-later
"""For the tests of dumps: the module, with every trace searched for the password, and a dump that is held in the middle."""

from __future__ import annotations

import contextlib
import json
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from postgres import PASSWORD, SOCKETS, Postgres
from restoring import DATABASE, DUMPS, Restoring
from secret_search import JOURNAL, in_text, on_server

LAB = Path(__file__).resolve().parents[2] / "lab" / "lab"
# Large objects come last in a dump, so pg_dump stops here with the tables behind it.
LARGE_OBJECTS = "BEGIN; LOCK pg_largeobject IN ACCESS EXCLUSIVE MODE;"
STOPPED = "SELECT count(*) > 0 FROM pg_stat_activity WHERE application_name = 'pg_dump' AND wait_event_type = 'Lock'"


@dataclass
class Dumping:
    """A server with databases to dump into /srv/dumps."""

    postgres: Postgres
    restoring: Restoring = field(init=False)

    def __post_init__(self) -> None:
        self.restoring = Restoring(self.postgres)
        self.sh, self.wait, self.wait_for_sql = self.restoring.sh, self.restoring.wait, self.restoring.wait_for_sql

    def dump(
        self, name: str = "", major: int = 15, *, check: bool = False, database: str = DATABASE, connect: Any = (), **options: Any
    ) -> dict[str, Any]:
        """Run the module and search its output, files and logs for the password. connect: changes of the connection."""
        connection = {**self.postgres.connection(major, database), **dict(connect)}
        arguments = {"path": f"{DUMPS}/{name}", "database": connection, **options}
        result = self.postgres.module("esus.pec.dump", arguments, check=check)
        manifests = self.postgres.server.shell("cat /srv/dumps/*.json 2>/dev/null; true")
        assert in_text(result["_output"] + manifests, [PASSWORD]) == []
        assert on_server(self.postgres.server.shell, [PASSWORD], JOURNAL, "/run/esus-pec") == []
        return result

    def made(self, *arguments: Any, **options: Any) -> dict[str, Any]:
        """Make a dump that succeeds; add its manifest to the result."""
        result = self.dump(*arguments, **options)
        assert not result["_failed"], result
        assert result["changed"]
        return {**result, "manifest": json.loads(self.sh('cat -- "$1"', result["manifest_path"]))}

    def refused(self, says: str, *arguments: Any, **options: Any) -> str:
        """Make a dump that fails and leaves nothing; return the module's message."""
        before = self.listing()
        result = self.dump(*arguments, **options)
        assert result["_failed"], result
        assert says in result["msg"]
        assert self.listing() == before
        return str(result["msg"])

    def listing(self) -> str:
        """The content of the directories of dumps, to the nanosecond."""
        return self.sh("find /srv/dumps /small -mindepth 1 -printf '%p %s %m %u %T@ %i\\n' | sort")

    @contextlib.contextmanager
    def holding(self, sql: str, major: int = 15, database: str = DATABASE) -> Iterator[str]:
        """Keep a session of the superuser open that has run this SQL; yields its answer."""
        port = str(self.postgres.major(major)["port"])
        argv = [LAB, "podman", "exec", "-i", self.postgres.server.name, "runuser", "-u", "postgres", "--"]
        argv += ["psql", "-XAtq", "-h", SOCKETS, "-p", port, "-d", database]
        with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as session:
            assert session.stdin
            assert session.stdout
            session.stdin.write(f"{sql}\n\\echo held\n")
            session.stdin.flush()
            answer = "".join(iter(session.stdout.readline, "held\n"))
            yield answer.strip()
            with contextlib.suppress(BrokenPipeError):
                session.stdin.close()
            session.wait()

    @contextlib.contextmanager
    def stopped(self, name: str = "", major: int = 15, **options: Any) -> Iterator[Background]:
        """A dump in a thread that waits before the large objects until the block ends."""
        background = Background(self, (name, major), options)
        try:
            with self.holding(LARGE_OBJECTS, major):
                background.start()
                self.wait_for_sql(major, STOPPED, "t")
                yield background
        finally:
            background.join()

    def status(self) -> dict[str, Any]:
        """The status file of the run."""
        return json.loads(self.sh("cat /run/esus-pec/dump-esus.json"))

    @contextlib.contextmanager
    def without_17(self) -> Iterator[None]:
        """The newest pg_dump is that of 15."""
        self.sh("mv /usr/lib/postgresql/17/bin/pg_dump /root/pg_dump-17")
        try:
            yield
        finally:
            self.sh("mv /root/pg_dump-17 /usr/lib/postgresql/17/bin/pg_dump")


class Background(threading.Thread):
    """A dump in the background; C(result) waits for its end."""

    def __init__(self, dumping: Dumping, arguments: tuple[Any, ...], options: dict[str, Any]) -> None:
        super().__init__()
        self._call = lambda: dumping.dump(*arguments, **options)
        self._result: dict[str, Any] = {}
        self._error: list[BaseException] = []

    def run(self) -> None:
        try:
            self._result.update(self._call())
        except BaseException as error:  # it is the test's to judge
            self._error.append(error)

    @property
    def result(self) -> dict[str, Any]:
        self.join()
        assert not self._error, self._error
        return self._result
