# SPDX-License-Identifier: GPL-3.0-or-later
"""Dumps from strangers: none runs a command on this host, becomes a superuser, or reaches another database.

PEC's role is a superuser here, as on a server with PEC's bundled PostgreSQL. The attacks are those of hostile_sql. Each is first seen to
work when psql loads the dump as that role; then one play restores all of them, each into a database of its own.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from hostile_sql import COMMANDS, GOOD, RIGHTS, TRAPS, Attack
from postgres import PASSWORD, Postgres
from restoring import DATABASE, DUMPS, Restoring

MAJOR = 15
EVIL = f"{DUMPS}/evil"
# Everything of the server that an attack could change, beside the databases themselves.
SERVER = """
SELECT rolname, rolsuper, rolcanlogin, rolvaliduntil FROM pg_roles WHERE rolname !~ '^pg_' ORDER BY 1;
SELECT setdatabase, setrole, setconfig FROM pg_db_role_setting ORDER BY 1, 2;
SELECT datname, datconnlimit FROM pg_database WHERE datname !~ '^hostile' ORDER BY 1;
"""
RESET = f"""
DROP ROLE IF EXISTS pwned; ALTER ROLE ALL RESET ALL; ALTER DATABASE postgres RESET ALL; ALTER ROLE esus RESET ALL;
ALTER ROLE esus PASSWORD '{PASSWORD.replace("'", "''")}' VALID UNTIL 'infinity'; UPDATE pg_database SET datconnlimit = -1;
"""
# Loads each dump as PEC's role into a database of its own and prints the numbers of those that reached what they tried.
ORACLE = """
export PGPASSWORD="$1" PGOPTIONS='-c client_min_messages=error'
admin() { runuser -u postgres -- psql -XAtq -h /var/run/postgresql "$@"; }
cd /srv/dumps/evil
for dump in *.sql; do
  number=${dump%.sql}
  echo 'CREATE DATABASE victim OWNER esus TEMPLATE template0' | admin postgres
  timeout 20 psql -qX -h 127.0.0.1 -U esus -d victim -f "$dump" </dev/null >/dev/null 2>&1
  reached=$([ -s "$number.check" ] && admin victim < "$number.check" 2>/dev/null)
  if [ -e "/tmp/proof-$number" ] || { [ -n "$reached" ] && [ "$reached" = "$(cat "$number.reached")" ]; }; then echo "$number"; fi
  rm -f "/tmp/proof-$number"
  echo 'DROP DATABASE victim WITH (FORCE)' | admin postgres
  admin postgres < reset
done
"""


class Strangers:
    """The dumps of some attacks on the server, by number."""

    def __init__(self, server: Restoring, attacks: Mapping[str, Attack], directory: Path) -> None:
        self.server, self.attacks = server, attacks
        for number, attack in enumerate(attacks.values()):
            (directory / f"{number}.sql").write_bytes(attack.dump(f"/tmp/proof-{number}"))
            (directory / f"{number}.check").write_text(attack.sql)
            (directory / f"{number}.reached").write_text(attack.reached)
        (directory / "reset").write_text(RESET)
        server.sh("rm -rf evil")
        server.postgres.server.copy(directory, EVIL)
        server.sh("chmod 755 . evil; chown -R root: evil")

    def names(self, numbers: set[int]) -> list[str]:
        return [name for number, name in enumerate(self.attacks) if number in numbers]

    def that_work_with_psql(self) -> list[str]:
        said = self.server.sh("sh -s -- \"$1\" <<'END'\n" + ORACLE + "\nEND", PASSWORD)
        return self.names({int(line) for line in said.split()})

    def databases(self) -> list[dict[str, Any]]:
        connection = self.server.postgres.connection(MAJOR, "")
        return [{**connection, "name": f"hostile_{number}"} for number in range(len(self.attacks))]

    def module(self, name: str, arguments: Mapping[str, Any], check: bool = False) -> dict[str, dict[str, Any]]:
        """Run a module for each dump; return its results by the name of the attack."""
        more = {"allow_partial": True} if name == "restore" else {}  # it has two tables
        items = [{"path": f"{EVIL}/{number}.sql", "database": database} for number, database in enumerate(self.databases())]
        tasks = [
            {
                f"esus.pec.{name}": {**more, **arguments, "database": "{{ item.database | combine(more) }}"},
                "vars": {"more": {"mode": "external"} if name == "preflight" else {}},
                "loop": items,
                "loop_control": {"label": "{{ item.path }}"},
                "register": "runs",
                "ignore_errors": True,
                "check_mode": check,
            },
            {"copy": {"content": "{{ runs.results | to_json }}", "dest": "/tmp/results.json", "mode": "0600"}},
        ]
        run = self.server.postgres.server.play({"tasks": tasks})
        assert run.returncode == 0, run.stdout[-3000:]
        results = json.loads(self.server.sh("cat /tmp/results.json; rm /tmp/results.json"))
        return dict(zip(self.attacks, results))

    def reached(self) -> list[str]:
        """The attacks that left a proof."""
        left = self.server.sh("cd /tmp; ls -d proof-* 2>/dev/null || true; rm -f proof-*").split()
        return self.names({int(name.split("-")[1]) for name in left})

    def in_force(self) -> list[str]:
        """The attacks whose query gives their answer in the database that was restored from them."""
        exists = self.server.postgres.databases(MAJOR)
        return [
            name
            for (name, attack), database in zip(self.attacks.items(), self.databases())
            if attack.sql and database["name"] in exists and self.server.postgres.sql(MAJOR, database["name"], attack.sql) == attack.reached
        ]


@pytest.fixture(scope="module")
def server(postgres: Postgres) -> Iterator[Restoring]:
    restoring = Restoring(postgres)
    restoring.sh("rm -rf /srv/dumps /tmp/proof-*")
    postgres.sql(MAJOR, "postgres", f"ALTER ROLE esus SUPERUSER; {RESET}")
    postgres.create(MAJOR, DATABASE)
    yield restoring
    postgres.sql(MAJOR, "postgres", f"ALTER ROLE esus NOSUPERUSER; {RESET}")
    restoring.sh("rm -rf /srv/dumps /tmp/proof-*")
    for name in postgres.databases(MAJOR):
        postgres.drop(MAJOR, name)


@pytest.fixture(autouse=True)
def unchanged(server: Restoring) -> Iterator[None]:
    """The live database and the server's roles and settings are as before each test, and only databases of its dumps are left."""

    def state() -> tuple[str, ...]:
        login = server.postgres.sql(MAJOR, DATABASE, "SELECT 1", user="esus")
        return server.identity(MAJOR), server.state(MAJOR), login, server.postgres.sql(MAJOR, "postgres", SERVER)

    before = state()
    yield
    assert state() == before
    for name in server.postgres.databases(MAJOR):
        assert name == DATABASE or (name.startswith("hostile_") and name[8:].isdigit())
        if name != DATABASE:
            server.postgres.drop(MAJOR, name)


# A way of hiding a command is one of our filter's own faults, which is no boundary; so a third of them is enough for every run.
SOME_COMMANDS = {name: attack for number, (name, attack) in enumerate(COMMANDS.items()) if number % 3 == 0}


def test_no_command_of_a_dump_runs(server: Restoring, tmp_path: Path) -> None:
    strangers = Strangers(server, {**SOME_COMMANDS, "good": GOOD}, tmp_path)
    assert strangers.that_work_with_psql() == list(SOME_COMMANDS)
    results = strangers.module("restore", {"path": "{{ item.path }}"})
    assert strangers.reached() == []
    assert not results["good"].get("failed"), results["good"]
    for name, result in results.items():
        assert not result.get("failed") or f"{EVIL}/" in result["msg"], (name, result)


def test_no_dump_gets_beyond_its_database(server: Restoring, tmp_path: Path) -> None:
    strangers = Strangers(server, RIGHTS, tmp_path)
    assert strangers.that_work_with_psql() == list(RIGHTS)
    for options in ({}, {"rehearse": True}):
        results = strangers.module("restore", {"path": "{{ item.path }}", **options})
        assert strangers.reached() == []
        assert strangers.in_force() == [], results


def test_nobody_steps_into_the_trap_of_a_restored_database(server: Restoring, tmp_path: Path) -> None:
    strangers = Strangers(server, TRAPS, tmp_path)
    results = strangers.module("restore", {"path": "{{ item.path }}", "require_pec": False})
    for name, result in results.items():
        assert not result.get("failed"), (name, result["msg"])
        assert any("functions of its own, which PEC's role, a superuser" in note for note in result["notes"]) or name == "names with quotes"
    server.sh("mkdir out")
    strangers.module("dump", {"path": f"{DUMPS}/out/", "fingerprint": True})
    strangers.module("preflight", {"checks": ["database"]})
    strangers.module("restore", {"path": f"{EVIL}/0.sql", "replace": True, "require_pec": False}, check=True)
    assert strangers.reached() == []
    assert strangers.in_force() == []
    for number, sql in ((0, "SELECT to_json(true)"), (list(TRAPS).index("the cast of a row"), "SELECT tb_trap::text FROM tb_trap")):
        server.postgres.sql(MAJOR, f"hostile_{number}", f"SET search_path TO public; {sql}")
        assert len(strangers.reached()) == 1  # and they are traps


def test_what_a_dump_grants_is_not_kept(server: Restoring, tmp_path: Path) -> None:
    granted = """
CREATE FUNCTION public.read_all() RETURNS bigint LANGUAGE sql SECURITY DEFINER AS 'SELECT count(*) FROM public.tb_config_sistema';
CREATE SEQUENCE public.sq; CREATE SCHEMA other; CREATE TABLE other.t (a int);
DO $$ BEGIN
  GRANT ALL ON ALL TABLES IN SCHEMA public TO PUBLIC; GRANT SELECT (a) ON other.t TO esus_leitura WITH GRANT OPTION;
  GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO esus_leitura WITH GRANT OPTION; GRANT ALL ON SCHEMA other, public TO PUBLIC, esus_leitura;
  EXECUTE format('GRANT CREATE ON DATABASE %I TO PUBLIC', current_database());
END $$;
"""
    strangers = Strangers(server, {"grants": Attack("", granted)}, tmp_path)
    result = strangers.module("restore", {"path": "{{ item.path }}"})["grants"]
    assert not result.get("failed"), result
    assert any("SECURITY DEFINER" in note and "read_all()" in note for note in result["notes"])
    answers = server.postgres.sql(
        MAJOR,
        "hostile_0",
        """SELECT has_table_privilege('public', 'public.tb_config_sistema', 'SELECT'),
        has_function_privilege('esus_leitura', 'public.read_all()', 'EXECUTE'),
        has_table_privilege('esus_leitura', 'public.tb_config_sistema', 'INSERT'),
        has_sequence_privilege('esus_leitura', 'public.sq', 'USAGE'), has_column_privilege('esus_leitura', 'other.t', 'a', 'SELECT'),
        has_schema_privilege('esus_leitura', 'other', 'USAGE'), has_schema_privilege('esus_leitura', 'public', 'CREATE'),
        has_database_privilege('public', 'hostile_0', 'CREATE')""",
    )
    assert answers == "|".join("f" * 8)
    kept = """SELECT has_table_privilege('esus_leitura', 'public.tb_config_sistema', 'SELECT'),
        has_database_privilege('public', 'hostile_0', 'CONNECT'), has_schema_privilege('esus_leitura', 'public', 'USAGE')"""
    assert server.postgres.sql(MAJOR, "hostile_0", kept) == "t|t|t"


def test_the_programs_that_read_a_dump_are_not_root(server: Restoring, tmp_path: Path) -> None:
    Strangers(server, {"slow": Attack("", "SELECT pg_catalog.pg_sleep(5);\n")}, tmp_path)
    running = server.in_background(f"{EVIL}/0.sql", MAJOR, rehearse=True, allow_partial=True)
    find = "pid=$(pgrep -f '[p]sql -X -q')"
    server.wait(find)
    status = server.sh(f"{find}; cat /proc/$pid/status")
    facts = {name: value.split() for name, _colon, value in (line.partition(":") for line in status.splitlines())}
    assert all(61184 <= int(number) < 65520 for number in [*facts["Uid"], *facts["Gid"], *facts["Groups"]])
    assert [facts[name] for name in ("CapPrm", "CapEff", "CapInh", "NoNewPrivs")] == [["0" * 16]] * 3 + [["1"]]
    assert not running.result["_failed"], running.result
