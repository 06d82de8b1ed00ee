# SPDX-License-Identifier: GPL-3.0-or-later
"""Common to the tests of restores: dumps made with PostgreSQL's own programs, and databases compared through SQL."""

from __future__ import annotations

import json
import threading
import time
from dataclasses import dataclass
from typing import Any

from postgres import PASSWORD, SOCKETS, Postgres
from secret_search import JOURNAL, in_text, on_server

DUMPS = "/srv/dumps"
DATABASE = "esus"
# Every row of every table, and everything else in a database, as text. Old and new servers print floats alike only with few digits;
# the module compares their bits.
_STATE = """
SET extra_float_digits = 0;
SELECT c.oid::regclass, (xpath('/row/r/text()', query_to_xml(
  format('SELECT count(*) || ''|'' || coalesce(md5(string_agg(t::text, '','' ORDER BY t::text COLLATE "C")), '''') AS r FROM %s t',
    c.oid::regclass),
  false, true, '')))[1]
FROM pg_class c WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'm', 'v')
ORDER BY c.oid::regclass::text COLLATE "C";
SELECT 'indexes', count(*), md5(string_agg(indexdef, ',' ORDER BY indexdef COLLATE "C")) FROM pg_indexes WHERE schemaname = 'public';
SELECT 'constraints', count(*), md5(string_agg(conname::text || contype::text || convalidated::text, ','
  ORDER BY (conrelid::regclass::text || conname::text) COLLATE "C"))
FROM pg_constraint WHERE connamespace = 'public'::regnamespace AND contype IN ('p', 'u', 'f', 'c');
SELECT 'functions', count(*), md5(string_agg(prosrc, ',' ORDER BY proname)) FROM pg_proc WHERE pronamespace = 'public'::regnamespace;
SELECT 'triggers', count(*) FROM pg_trigger WHERE NOT tgisinternal;
SELECT 'large objects', count(*), md5(string_agg(encode(lo_get(oid), 'hex'), ',' ORDER BY oid)) FROM pg_largeobject_metadata;
"""
_SEQUENCES = """
SELECT string_agg(format('SELECT %L, last_value, is_called FROM %s', c.oid::regclass, c.oid::regclass), ' UNION ALL '
  ORDER BY c.relname::text COLLATE "C") FROM pg_class c WHERE relkind = 'S'
"""


@dataclass
class Restoring:
    """A server with its dumps."""

    postgres: Postgres

    def sh(self, script: str, *arguments: str, check: bool = True) -> str:
        """Run a script of the shell on the server, as root, in the directory of the dumps."""
        return self.postgres.server.run(
            "sh", "-ec", f"mkdir -p {DUMPS} && cd {DUMPS} && {script}", "sh", *arguments, check=check
        ).stdout.strip()

    def dump(self, major: int | str, name: str, *options: str, client: int = 15, database: str = DATABASE) -> str:
        """Make a dump with pg_dump and return its path."""
        path = f"{DUMPS}/{name}"
        port = str(self.postgres.major(major)["port"])
        self.sh("rm -rf -- $1; chmod 777 .", name)
        argv = ["/usr/lib/postgresql", str(client), "bin/pg_dump"]
        self.postgres.server.run(
            "runuser", "-u", "postgres", "--", "/".join(argv), "-h", SOCKETS, "-p", port, "-f", path, *options, "-d", database
        )
        self.sh("chmod 755 .; chown -R root: -- $1; chmod -R go= -- $1", name)
        return path

    def restore(
        self, path: str | None, major: int | str = 15, *, check: bool = False, database: str = DATABASE, **options: Any
    ) -> dict[str, Any]:
        """Run the module; everything that it printed or logged is searched for the password."""
        arguments = {"database": self.postgres.connection(major, database), **({"path": path} if path else {}), **options}
        result = self.postgres.module("esus.pec.restore", arguments, check=check)
        assert in_text(result["_output"], [PASSWORD]) == []
        assert on_server(self.postgres.server.shell, [PASSWORD], JOURNAL, "/run/esus-pec") == []
        return result

    def state(self, major: int | str, database: str = DATABASE) -> str:
        """Return everything in a database as text."""
        sequences = self.postgres.sql(major, database, _SEQUENCES)
        return self.postgres.sql(major, database, _STATE + sequences)

    def identity(self, major: int | str, database: str = DATABASE) -> str:
        """Return the server's facts about a database, which differ when another database takes its name."""
        sql = (
            "SELECT oid, pg_get_userbyid(datdba), datcollate, datacl, datallowconn, shobj_description(oid, 'pg_database') FROM pg_database"
        )
        return self.postgres.sql(major, "postgres", f"{sql} WHERE datname = '{database}'")

    def in_background(self, *arguments: Any, **options: Any) -> Background:
        """Restore in a thread."""
        return Background(self, arguments, options)

    def wait(self, condition: str, seconds: int = 60) -> None:
        """Wait until a condition of the shell holds on the server."""
        self.postgres.server.run("timeout", str(seconds), "sh", "-c", f"until {condition}; do sleep 0.1; done")

    def wait_for_sql(self, major: int | str, sql: str, answer: str, seconds: int = 60) -> None:
        """Wait until a query has this answer."""
        end = time.monotonic() + seconds
        while self.postgres.sql(major, "postgres", sql) != answer:
            assert time.monotonic() < end, f"{sql} does not become {answer}"
            time.sleep(0.1)

    def module_pid(self) -> str:
        """The process of the module that runs."""
        return str(json.loads(self.sh("cat /run/esus-pec/restore-esus.json"))["module_pid"])


class Background:
    """A restore in parallel with the test; C(result) waits for its end."""

    def __init__(self, restoring: Restoring, arguments: tuple[Any, ...], options: dict[str, Any]) -> None:
        self._result: dict[str, Any] = {}
        self._error: list[BaseException] = []
        self._thread = threading.Thread(target=self._run, args=(restoring, arguments, options))
        self._thread.start()

    def _run(self, restoring: Restoring, arguments: tuple[Any, ...], options: dict[str, Any]) -> None:
        try:
            self._result.update(restoring.restore(*arguments, **options))
        except BaseException as error:  # the test judges it
            self._error.append(error)

    @property
    def result(self) -> dict[str, Any]:
        self.join()
        assert not self._error, self._error
        return self._result

    def join(self) -> None:
        """Wait for its end, however it ends."""
        self._thread.join()
