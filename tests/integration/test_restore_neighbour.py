# SPDX-License-Identifier: GPL-3.0-or-later
"""The sender of a dump who also has an ordinary role in the server: what the dump leaves behind gives that role nothing.

PEC's role is a superuser here, as on a server with PEC's bundled PostgreSQL.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hostile_sql import Attack
from postgres import Postgres
from restoring import DATABASE, DUMPS, Restoring

MAJOR = 15
ROLE = "mallory"
READER = "esus_leitura"
SUPERUSER = f"SELECT rolsuper FROM pg_roles WHERE rolname = '{ROLE}'"
# What a role calls, and what the dump brings for it.
CALLS = {
    "a function": "SELECT public.rise()",
    "an aggregate": "SELECT public.rising(1)",
    "a procedure": "CALL public.rise_all()",
    "an index of ranges": "CREATE TEMP TABLE t (r public.rising_range); CREATE INDEX ON t USING gist (r); "
    "INSERT INTO t SELECT public.rising_range(n, n + 1) FROM generate_series(1, 600) n",
}
LEFT = f"""
CREATE FUNCTION public.rise() RETURNS int LANGUAGE plpgsql SECURITY DEFINER AS
  $$ BEGIN EXECUTE 'ALTER ROLE {ROLE} SUPERUSER'; RETURN 1; END $$;
CREATE FUNCTION public.rise_state(int, int) RETURNS int LANGUAGE plpgsql SECURITY DEFINER AS
  $$ BEGIN EXECUTE 'ALTER ROLE {ROLE} SUPERUSER'; RETURN 1; END $$;
CREATE AGGREGATE public.rising(int) (SFUNC = public.rise_state, STYPE = int);
CREATE PROCEDURE public.rise_all() LANGUAGE plpgsql SECURITY DEFINER AS $$ BEGIN EXECUTE 'ALTER ROLE {ROLE} SUPERUSER'; END $$;
CREATE FUNCTION public.rise_apart(int, int) RETURNS float8 LANGUAGE plpgsql IMMUTABLE SECURITY DEFINER AS
  $$ BEGIN PERFORM public.rise(); RETURN 1; END $$;
CREATE TYPE public.rising_range AS RANGE (SUBTYPE = int, SUBTYPE_DIFF = public.rise_apart);
DO $$ BEGIN GRANT ALL ON FUNCTION public.rise() TO {ROLE}; GRANT ALL ON PROCEDURE public.rise_all() TO {ROLE}; END $$;
CREATE SCHEMA hidden;
CREATE VIEW hidden.passwords AS SELECT rolname, rolpassword FROM pg_catalog.pg_authid;
CREATE VIEW public.vw_shown AS SELECT * FROM hidden.passwords;
CREATE VIEW public.vw_settings AS SELECT co_config_sistema FROM public.tb_config_sistema;
"""
PASSWORDS = "SELECT count(rolpassword) > 0 FROM public.vw_shown"
OF_THE_DATABASE = """
DO $$ BEGIN
  EXECUTE pg_catalog.format('ALTER DATABASE %I IS_TEMPLATE true', pg_catalog.current_database());
  EXECUTE pg_catalog.format('ALTER DATABASE %I CONNECTION LIMIT 99', pg_catalog.current_database());
  EXECUTE pg_catalog.format('ALTER DATABASE %I SET default_transaction_read_only TO on', pg_catalog.current_database());
END $$;
"""
OWN_PASSWORD = """
DO $$ BEGIN EXECUTE pg_catalog.format('ALTER ROLE %I PASSWORD ''known''', session_user); COMMIT; PERFORM pg_catalog.pg_sleep(8); END $$;
"""


def login(server: Restoring, role: str, password: str, database: str, sql: str) -> tuple[bool, str]:
    """Run SQL as an ordinary role; return whether it worked and what was said."""
    argv = ["env", f"PGPASSWORD={password}", "psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-h", "127.0.0.1", "-U", role, "-d", database]
    run = server.postgres.server.run(*argv, "-c", sql, check=False)
    return run.returncode == 0, (run.stdout + run.stderr).strip()


def put(server: Restoring, directory: Path, piece: str) -> str:
    path = directory / "dump.sql"
    path.write_bytes(Attack("", piece).dump())
    server.sh("rm -f neighbour.sql")
    server.postgres.server.copy(path, f"{DUMPS}/neighbour.sql")
    server.sh("chmod 755 .; chown root: neighbour.sql; chmod 600 neighbour.sql")
    return f"{DUMPS}/neighbour.sql"


@pytest.fixture()
def server(postgres: Postgres) -> Iterator[Restoring]:
    restoring = Restoring(postgres)
    postgres.sql(MAJOR, "postgres", f"ALTER ROLE esus SUPERUSER; CREATE ROLE {ROLE} LOGIN PASSWORD 'x'")
    postgres.create(MAJOR, DATABASE, sample=False)
    yield restoring
    clean = "UPDATE pg_database SET datistemplate = false WHERE datname ~ '^(esus|proof)'; ALTER ROLE esus NOSUPERUSER"
    postgres.sql(MAJOR, "postgres", clean)
    for name in postgres.databases(MAJOR):
        postgres.drop(MAJOR, name)
    postgres.sql(MAJOR, "postgres", f"DROP ROLE {ROLE}; DROP ROLE IF EXISTS esus_loading")
    restoring.sh("rm -f neighbour.sql")


def risen(server: Restoring, database: str) -> list[str]:
    """The calls by which the role became a superuser."""
    found = []
    for name, sql in CALLS.items():
        login(server, ROLE, "x", database, sql)
        if server.postgres.sql(MAJOR, "postgres", SUPERUSER) == "t":
            found.append(name)
            server.postgres.sql(MAJOR, "postgres", f"ALTER ROLE {ROLE} NOSUPERUSER")
    return found


def test_what_a_dump_leaves_does_not_lend_the_rights_of_pecs_role(server: Restoring, tmp_path: Path) -> None:
    path = put(server, tmp_path, LEFT)
    server.postgres.create(MAJOR, "proof", sample=False)
    server.postgres.sql(MAJOR, "proof", server.sh("cat neighbour.sql"), user="esus")
    server.postgres.sql(MAJOR, "proof", f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {READER}")
    assert risen(server, "proof") == list(CALLS)
    assert login(server, READER, "leitura", "proof", PASSWORDS) == (True, "t")
    result = server.restore(path, allow_partial=True)
    assert not result["_failed"], result
    assert risen(server, DATABASE) == []
    worked, said = login(server, READER, "leitura", DATABASE, PASSWORDS)
    assert (worked, "permission denied" in said) == (False, True)
    assert login(server, READER, "leitura", DATABASE, "SELECT count(*) FROM public.vw_settings") == (True, "2")
    assert any("vw_shown" in note for note in result["notes"])


def test_the_settings_of_a_role_are_copied_and_run_no_statement(server: Restoring, tmp_path: Path) -> None:
    path = put(server, tmp_path, "")
    evil = f"public;alter/**/role/**/{ROLE}/**/superuser"
    sql = f"SELECT set_config('search_path', '{evil}', false); ALTER ROLE {ROLE} IN DATABASE {DATABASE} SET search_path FROM CURRENT"
    assert login(server, ROLE, "x", DATABASE, sql)[0]
    server.postgres.sql(MAJOR, "postgres", f"ALTER DATABASE {DATABASE} SET search_path TO \"$user\", 'A, b', public")
    shown = "SELECT unnest(setconfig) FROM pg_db_role_setting JOIN pg_database d ON d.oid = setdatabase WHERE datname = 'esus' ORDER BY 1"
    before = server.postgres.sql(MAJOR, "postgres", shown)
    assert not server.restore(path, allow_partial=True)["_failed"]
    assert server.postgres.sql(MAJOR, "postgres", SUPERUSER) == "f"
    assert server.postgres.sql(MAJOR, "postgres", shown).replace(f'"{evil}"', evil) == before


@pytest.mark.parametrize("rehearse", [True, False])
def test_what_a_dump_sets_for_its_database_does_not_stay(server: Restoring, tmp_path: Path, rehearse: bool) -> None:
    result = server.restore(put(server, tmp_path, OF_THE_DATABASE), rehearse=rehearse, allow_partial=True)
    assert not result["_failed"], result
    facts = "SELECT datname, datistemplate, datconnlimit FROM pg_database WHERE datname ~ '^esus'"
    assert server.postgres.sql(MAJOR, "postgres", facts) == f"{DATABASE}|f|-1"
    assert server.postgres.sql(MAJOR, DATABASE, "SHOW default_transaction_read_only") == "off"


def test_the_role_that_loads_logs_in_nowhere_else_and_nobody_comes_to_it(server: Restoring, tmp_path: Path) -> None:
    running = server.in_background(put(server, tmp_path, OWN_PASSWORD), allow_partial=True)
    server.wait_for_sql(MAJOR, "SELECT count(*) FROM pg_stat_activity WHERE usename = 'esus_loading' AND wait_event = 'PgSleep'", "1")
    side = server.postgres.sql(MAJOR, "postgres", "SELECT datname FROM pg_database WHERE datname ~ '^esus_restoring'")
    assert login(server, "esus_loading", "known", side, "SELECT 1") == (True, "1")
    elsewhere = [login(server, "esus_loading", "known", name, "SELECT 1")[0] for name in ("postgres", DATABASE, "template1")]
    assert elsewhere == [False] * 3
    assert login(server, ROLE, "x", "postgres", "SELECT 1")[0]
    worked, said = login(server, ROLE, "x", side, "SELECT 1")
    assert (worked, "permission denied for database" in said) == (False, True)
    assert running.result["_failed"]  # its own password is another now
    assert server.postgres.databases(MAJOR) == [DATABASE]
    assert server.postgres.sql(MAJOR, "postgres", "SELECT count(*) FROM pg_roles WHERE rolname = 'esus_loading'") == "0"


def test_rights_given_to_the_role_that_loads_do_not_break_a_restore(server: Restoring, tmp_path: Path) -> None:
    running = server.in_background(put(server, tmp_path, "SELECT pg_catalog.pg_sleep(4);\n"), allow_partial=True)
    server.wait_for_sql(MAJOR, "SELECT count(*) FROM pg_stat_activity WHERE usename = 'esus_loading' AND wait_event = 'PgSleep'", "1")
    server.postgres.sql(MAJOR, "postgres", "CREATE TABLE public.given (a int); GRANT SELECT ON public.given TO esus_loading")
    try:
        assert not running.result["_failed"], running.result
    finally:
        server.postgres.sql(MAJOR, "postgres", "DROP TABLE public.given")
