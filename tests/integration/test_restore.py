# SPDX-License-Identifier: GPL-3.0-or-later
"""Restores that succeed: every type of dump, every version of the server, and what they keep and copy."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from postgres import SOCKETS, Postgres
from restoring import DATABASE, DUMPS, Restoring
from secret_search import JOURNAL, in_text, on_server

READER = "SET ROLE esus_leitura;"


@pytest.fixture(scope="module")
def source(postgres: Postgres) -> Iterator[Restoring]:
    """A server with a database of each version, and dumps of it of every kind."""
    restoring = Restoring(postgres)
    restoring.sh("rm -rf /srv/dumps")
    for major in (10, 15, 17):
        postgres.create(major, "source")
    made = restoring.dump(15, "backup.sql", database="source")
    restoring.dump(15, "custom.backup", "-Fc", database="source")
    restoring.dump(15, "z0", "-Fc", "-Z0", database="source")
    restoring.dump(15, "tar.dump", "-Ft", database="source")
    restoring.dump(15, "directory", "-Fd", "-j2", database="source")
    restoring.dump(15, "zstd.dump", "-Fc", "--compress=zstd:1", database="source", client=17)
    restoring.dump(15, "inserts.sql", "--inserts", "--clean", "--if-exists", database="source", client=17)
    restoring.sh(
        "age-keygen -o key 2>/dev/null; r=$(age-keygen -y key); gzip -k backup.sql; zip -q backup.zip backup.sql;"
        " tar -czf backup.tar.gz backup.sql;"
        "zstd -q z0 -o stream.dump.zst; age -r $r -o stream.dump.zst.age stream.dump.zst; age -r $r -o backup.zip.age backup.zip;"
        "gzip -c tar.dump > tar.dump.gz; zip -qj custom.zip custom.backup"
    )
    assert made == f"{DUMPS}/backup.sql"
    yield restoring
    restoring.sh("rm -rf /srv/dumps")
    for major in (10, 15, 17):
        for name in postgres.databases(major):
            postgres.drop(major, name)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("custom.backup", "custom"),
        ("zstd.dump", "custom"),
        ("directory", "directory"),
        ("tar.dump", "tar"),
        ("tar.dump.gz", "gzip tar"),
        ("stream.dump.zst", "zstd custom"),
        ("custom.zip", "zip custom"),
        ("backup.sql", "plain"),
        ("inserts.sql", "plain"),
        ("backup.sql.gz", "gzip plain"),
        ("backup.zip", "zip plain"),
        ("backup.tar.gz", "gzip tar plain"),
    ],
)
def test_every_kind_of_dump(source: Restoring, name: str, kind: str) -> None:
    source.postgres.drop(15, DATABASE)
    source.sh("ln -sfn $1 named", name)  # the name of a dump says nothing
    result = source.restore(f"{DUMPS}/named", jobs=2)
    assert not result["_failed"], result
    assert (result["changed"], result["kind"], result["pec_version"]) == (True, kind, "5.4.37")
    assert source.state(15) == source.state(15, "source")
    assert_belongs_to_pec(source, 15)


def assert_belongs_to_pec(source: Restoring, major: int) -> None:
    sql = source.postgres.sql
    owners = """SELECT DISTINCT pg_get_userbyid(o) FROM (
        SELECT relowner AS o FROM pg_class WHERE relnamespace = 'public'::regnamespace UNION ALL
        SELECT proowner FROM pg_proc WHERE pronamespace = 'public'::regnamespace UNION ALL
        SELECT lomowner FROM pg_largeobject_metadata UNION ALL
        SELECT datdba FROM pg_database WHERE datname = current_database()) x"""
    assert sql(major, DATABASE, owners) == "esus"
    assert sql(major, DATABASE, "UPDATE tb_config_sistema SET ds_texto = ds_texto RETURNING 1", user="esus")
    assert int(sql(major, DATABASE, f"{READER} SELECT count(*) FROM tb_config_sistema")) > 0
    sql(major, DATABASE, "CREATE TABLE tb_nova (a int)", user="esus")
    assert sql(major, DATABASE, f"{READER} SELECT count(*) FROM tb_nova") == "0"
    assert sql(major, DATABASE, f"{READER} SELECT has_table_privilege('tb_nova', 'INSERT')") == "f"
    assert sql(major, DATABASE, "SELECT count(*) FROM pg_stats WHERE schemaname = 'public'") != "0"


@pytest.mark.parametrize("name", ["stream.dump.zst.age", "backup.zip.age"])
@pytest.mark.parametrize("option", ["identity", "identity_path"])
def test_encrypted_dumps(source: Restoring, name: str, option: str) -> None:
    source.postgres.drop(15, DATABASE)
    key = source.sh("cat key")
    result = source.restore(f"{DUMPS}/{name}", **{option: key if option == "identity" else f"{DUMPS}/key"})
    assert not result["_failed"], result
    assert source.state(15) == source.state(15, "source")
    secret = key.split()[-1]
    assert in_text(result["_output"], [secret]) == []
    assert on_server(source.postgres.server.shell, [secret], JOURNAL, "/run", "/tmp", "/var/log", "/var/lib/esus-pec") == []


@pytest.mark.parametrize(
    ("origin", "client", "target", "options", "form"),
    [
        (10, 15, 10, {}, "-Fc"),
        (10, 15, 10, {}, "-Fp"),
        (10, 15, 15, {}, "-Fc"),
        (10, 17, 15, {}, "-Fp"),
        (10, 15, 17, {}, "-Fp"),
        (10, 17, 17, {}, "-Fc"),
        (15, 17, 17, {}, "-Fd"),
        (17, 17, 15, {"allow_older_server": True}, "-Fc"),
        (17, 17, 15, {"allow_older_server": True}, "-Fp"),
    ],
)
def test_from_one_version_to_another(source: Restoring, origin: int, client: int, target: int, options: dict[str, Any], form: str) -> None:
    path = source.dump(origin, "moved", form, client=client, database="source")
    source.postgres.drop(target, DATABASE)
    result = source.restore(path, target, locale="pt_BR.UTF-8", encoding="UTF8", **options)
    assert not result["_failed"], result
    assert source.state(target) == source.state(origin, "source")
    assert_belongs_to_pec(source, target)


def test_a_dump_of_a_newer_server_is_refused(source: Restoring) -> None:
    path = source.dump(17, "newer", "-Fp", client=17, database="source")
    source.postgres.create(15, DATABASE, sample=False)
    before = source.identity(15)
    for check in (True, False):
        result = source.restore(path, check=check)
        assert result["_failed"]
        assert "PostgreSQL 17" in result["msg"] and "(15." in result["msg"] and "allow_older_server" in result["msg"]
    assert source.identity(15) == before


def test_the_old_database_is_kept_and_what_belongs_to_it_is_carried_over(source: Restoring) -> None:
    sql = source.postgres.sql
    source.postgres.create(15, DATABASE)
    sql(15, DATABASE, "UPDATE tb_config_sistema SET ds_texto = 'the old one' WHERE co_config_sistema = 'NOMEINSTALACAO'")
    sql(
        15,
        "postgres",
        """DROP ROLE IF EXISTS auditor; CREATE ROLE auditor;
        ALTER DATABASE esus SET search_path TO "$user", public; ALTER DATABASE esus SET lc_monetary TO 'C';
        ALTER ROLE esus IN DATABASE esus SET work_mem TO '7MB'; ALTER DATABASE esus CONNECTION LIMIT 77;
        REVOKE ALL ON DATABASE esus FROM PUBLIC; GRANT CONNECT ON DATABASE esus TO auditor WITH GRANT OPTION;
        COMMENT ON DATABASE esus IS 'of the município''s \\ server';""",
    )
    old = source.identity(15)
    dump = f"{DUMPS}/custom.backup"

    foreseen = source.restore(dump, check=True, replace=True)
    assert (foreseen["changed"], foreseen["action"]) == (True, "restore")
    assert foreseen["previous_database"].startswith("esus_before_")
    assert source.identity(15) == old

    result = source.restore(dump, replace=True)
    assert not result["_failed"], result
    for run in (foreseen, result):
        assert "-esus: PEC 5.4.37" in run["_output"]
        assert f"+esus: restored from custom.backup (SHA-256 {result['sha256']})" in run["_output"]
    kept = result["previous_database"]
    assert source.postgres.databases(15) == [DATABASE, kept, "source"]
    assert sql(15, kept, "SELECT ds_texto FROM tb_config_sistema WHERE co_config_sistema = 'NOMEINSTALACAO'") == "the old one"
    assert source.state(15) == source.state(15, "source")
    settings = """SELECT coalesce(setrole::regrole::text, '-'), unnest(setconfig) FROM pg_db_role_setting
        WHERE setdatabase = (SELECT oid FROM pg_database WHERE datname = '{}') ORDER BY 2"""
    assert sql(15, "postgres", settings.format(DATABASE)) == sql(15, "postgres", settings.format(kept)) != ""
    rights = """SELECT datconnlimit, has_database_privilege('auditor', datname, 'CONNECT WITH GRANT OPTION'),
        has_database_privilege('public', datname, 'CONNECT') FROM pg_database WHERE datname = 'esus'"""
    assert sql(15, "postgres", rights) == "77|t|f"
    assert sql(15, "postgres", "SELECT has_database_privilege('esus_leitura', 'esus', 'CONNECT')") == "t"
    comment = json.loads(sql(15, "postgres", "SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = 'esus'"))[
        "esus.pec"
    ]
    assert (comment["state"], comment["comment"], comment["sha256"]) == ("restored", "of the município's \\ server", result["sha256"])

    assert source.sh("sha256sum custom.backup").split()[0] == result["sha256"]
    assert_second_run_and_force(source, dump, kept)


def assert_second_run_and_force(source: Restoring, dump: str, kept: str) -> None:
    oid = source.identity(15)
    for check in (True, False):
        again = source.restore(dump, check=check)
        assert (again["_failed"], again["changed"], again["action"]) == (False, False, "none")
        assert "force" in again["notes"][0]
    assert source.identity(15) == oid
    refused = source.restore(dump, force=True)
    assert refused["_failed"]
    assert "PEC 5.4.37" in refused["msg"] and "replace" in refused["msg"]
    assert source.identity(15) == oid
    forced = source.restore(dump, force=True, replace=True, keep_previous=False)
    assert (forced["changed"], forced["previous_database"]) == (True, None)
    assert source.identity(15) != oid
    assert source.postgres.databases(15) == [DATABASE, kept, "source"]


def test_an_empty_database_is_replaced_without_being_asked(source: Restoring) -> None:
    source.postgres.create(15, DATABASE, sample=False)
    result = source.restore(f"{DUMPS}/directory")
    assert not result["_failed"], result
    assert result["previous_database"] is None
    assert not [name for name in source.postgres.databases(15) if name.startswith("esus_before") and name in result["notes"]]
    assert source.state(15) == source.state(15, "source")


def test_a_rehearsal_leaves_nothing_behind(source: Restoring) -> None:
    source.postgres.create(15, DATABASE)
    before, databases = source.identity(15), source.postgres.databases(15)
    result = source.restore(f"{DUMPS}/stream.dump.zst", rehearse=True)
    assert (result["_failed"], result["changed"], result["action"]) == (False, False, "rehearse")
    assert {"create", "load", "analyze", "verify", "total"} == set(result["seconds"])
    assert (source.identity(15), source.postgres.databases(15)) == (before, databases)


NAMES = [
    "pec \"de\" $(touch pwned) 'ção'; \\ %s = {x}",
    "ã" * 31 + "x",
    "-e",
]


@pytest.mark.parametrize("name", NAMES)
def test_names(source: Restoring, name: str) -> None:
    sql = source.postgres.sql
    source.postgres.create(15, name)
    source.sh('mkdir -p -- "$1" && cp -a custom.backup "$1/$1"', f"./{name}")
    result = source.restore(f"{DUMPS}/{name}/{name}", database=name, replace=True)
    assert not result["_failed"], result
    kept = result["previous_database"]
    assert len(kept.encode()) <= 63
    assert kept.startswith(name[:10])
    assert {name, kept} <= set(source.postgres.databases(15))
    assert source.state(15, name) == source.state(15, "source")
    assert source.sh("find / -xdev -name pwned") == ""
    for database in (name, kept):
        source.postgres.drop(15, database)
    assert sql(15, "postgres", "SELECT count(*) FROM pg_database WHERE datname LIKE '%restoring%'") == "0"


def test_newest_in_a_directory(source: Restoring) -> None:
    source.postgres.drop(15, DATABASE)
    source.sh("rm -rf backups; mkdir backups")
    for _again in range(2):
        made = source.postgres.module(
            "esus.pec.dump", {"path": f"{DUMPS}/backups/", "database": source.postgres.connection(15, "source"), "fingerprint": True}
        )
        assert not made["_failed"], made
        source.sh("sleep 1.1")  # names have seconds
    newest = source.sh("ls -1 backups/*.dump* | grep -v json | tail -n 1")
    nothing = source.restore(None, directory=f"{DUMPS}/backups", where={"pec_version": "9.9.9"})
    assert nothing["_failed"]
    assert "pec_version 9.9.9" in nothing["msg"]
    result = source.restore(None, directory=f"{DUMPS}/backups", where={"pec_version": "5.4.37", "database": "source"})
    assert not result["_failed"], result
    assert (result["dump"], result["manifest"]) == (f"{DUMPS}/{newest}", True)
    assert source.state(15) == source.state(15, "source")
    older = source.sh("ls -1 backups/*.dump* | grep -v json | head -n 1")
    same = source.restore(f"{DUMPS}/{older}")
    assert not same["changed"], "it has the same rows"


def test_a_directory_that_two_municipalities_share(source: Restoring) -> None:
    """The newest dump is the neighbour's. It is chosen or accepted only when its host and município are named."""
    source.postgres.drop(15, DATABASE)
    source.sh("rm -rf shared; mkdir shared")
    ours, neighbours = f"{DUMPS}/shared/ours.dump", f"{DUMPS}/shared/neighbours.dump"
    options = {"path": ours, "database": source.postgres.connection(15, "source"), "municipality": "Água Clara"}
    made = source.postgres.module("esus.pec.dump", options)
    assert not made["_failed"], made
    source.sh(f"ln {ours} {neighbours}")
    manifest = json.loads(source.sh(f"cat {ours}.json"))
    there = {"host": "pec-rio-azul", "municipality": "Rio Azul", "ended": "2099-01-01T00:00:00Z"}
    source.postgres.server.put(json.dumps({**manifest, **there, "name": "neighbours.dump"}), f"{neighbours}.json")
    shared = {"directory": f"{DUMPS}/shared", "where": {"database": "source"}}

    own = source.restore(None, check=True, from_municipality="Água Clara", **shared)
    assert (own["dump"], own["origin"]["host"], own["origin"]["municipality"]) == (ours, manifest["host"], "Água Clara")
    named = {"from_host": "pec-rio-azul", "from_municipality": "Rio Azul"}
    other = source.restore(None, check=True, **named, **shared)
    assert (other["dump"], {name: other["origin"][name] for name in there}) == (neighbours, there)
    for check in (True, False):
        refused = source.restore(neighbours, from_municipality="Água Clara", check=check)
        assert refused["_failed"]
        for name in ("'Rio Azul'", "'Água Clara'", "'pec-rio-azul'", f"'{manifest['host']}'", "from_host", "from_municipality"):
            assert name in refused["msg"]
    replaced = source.restore(ours, sha256="0" * 64)
    assert replaced["_failed"] and manifest["sha256"] in replaced["msg"]
    assert DATABASE not in source.postgres.databases(15)


def test_by_roles_that_may_create_databases(source: Restoring) -> None:
    sql = source.postgres.sql
    source.postgres.create(17, DATABASE)
    path = f"{DUMPS}/zstd.dump"
    refused = source.restore(path, 17, replace=True, admin_account="nobody")
    assert refused["_failed"]
    assert "'esus'" in refused["msg"] and "admin" in refused["msg"]
    sql(
        17,
        "postgres",
        "DROP ROLE IF EXISTS chefe; CREATE ROLE chefe LOGIN SUPERUSER PASSWORD 'a''b\\c'; CREATE ROLE ninguem LOGIN PASSWORD 'x'",
    )
    weak = source.restore(path, 17, replace=True, admin={"username": "ninguem", "password": "x"})
    assert weak["_failed"] and "'ninguem'" in weak["msg"]
    given = source.restore(path, 17, replace=True, admin={"username": "chefe", "password": "a'b\\c"})
    assert not given["_failed"], given
    sql(17, "postgres", "ALTER ROLE esus CREATEDB")
    try:
        own = source.restore(path, 17, replace=True, force=True, admin_account="nobody")
    finally:
        sql(17, "postgres", "ALTER ROLE esus NOCREATEDB; DROP ROLE chefe; DROP ROLE ninguem")
    assert not own["_failed"], own
    assert source.state(17) == source.state(15, "source")
    assert_belongs_to_pec(source, 17)


def test_a_server_that_lets_pec_into_one_database_only(source: Restoring) -> None:
    hba = source.sh(
        "runuser -u postgres -- psql -XAtc 'show hba_file' -h $1 -p 5417",
        SOCKETS,
    )
    source.postgres.create(17, DATABASE)
    source.postgres.sql(17, "postgres", "DROP ROLE IF EXISTS chefe; CREATE ROLE chefe LOGIN SUPERUSER PASSWORD 'x'")
    source.sh(
        'cp -a "$1" hba; sed -i "1i host all esus 127.0.0.1/32 reject" "$1"; sed -i "1i host esus esus 127.0.0.1/32 scram-sha-256" "$1"',
        hba,
    )
    source.sh("systemctl reload postgresql-17 || systemctl kill -s HUP --kill-whom=main postgresql-17")
    try:
        refused = source.restore(f"{DUMPS}/zstd.dump", 17, replace=True)
        assert refused["_failed"]
        assert "pg_hba.conf" in refused["msg"] and "admin" in refused["msg"]
        given = source.restore(f"{DUMPS}/zstd.dump", 17, replace=True, admin={"username": "chefe", "password": "x"})
    finally:
        source.sh('cp -a hba "$1"; systemctl kill -s HUP --kill-whom=main postgresql-17', hba)
        source.postgres.sql(17, "postgres", "DROP ROLE chefe")
    assert not given["_failed"], given
    assert source.state(17) == source.state(15, "source")
    assert_belongs_to_pec(source, 17)


def test_extensions(source: Restoring) -> None:
    source.postgres.create(15, "with_extensions")
    source.postgres.sql(
        15, "with_extensions", "CREATE EXTENSION unaccent; CREATE EXTENSION pageinspect; COMMENT ON EXTENSION unaccent IS 'x'"
    )
    for form in ("-Fc", "-Fp"):
        path = source.dump(15, "extensions", form, database="with_extensions")
        source.postgres.drop(15, DATABASE)
        result = source.restore(path)
        assert not result["_failed"], result
        found = source.postgres.sql(15, DATABASE, "SELECT extname FROM pg_extension WHERE extname <> 'plpgsql' ORDER BY 1")
        assert found == "pageinspect\nunaccent"
    path = source.dump(15, "extensions", "-Fc", database="with_extensions")
    source.postgres.drop(10, DATABASE)
    refused = source.restore(path, 10, allow_older_server=True)
    assert refused["_failed"]
    assert "unaccent" in refused["msg"] and "postgresql-contrib" in refused["msg"]


def test_warnings_are_no_failure(source: Restoring) -> None:
    source.sh(
        r"sed '/^-- PostgreSQL database dump complete/i do $$ begin raise warning $x$tenha cuidado$x$; end $$;' backup.sql > warning.sql"
    )
    source.postgres.drop(15, DATABASE)
    result = source.restore(f"{DUMPS}/warning.sql")
    assert not result["_failed"], result
    assert "tenha cuidado" in result["_output"]


def test_encodings_and_locales(source: Restoring) -> None:
    source.postgres.drop(15, DATABASE)
    unknown = source.restore(f"{DUMPS}/custom.backup", locale="xx_XX.UTF-8", check=True)
    assert unknown["_failed"]
    assert "'xx_XX.UTF-8'" in unknown["msg"] and "locale-gen" in unknown["msg"]
    source.postgres.sql(15, "postgres", "CREATE DATABASE esus OWNER esus TEMPLATE template0 ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C'")
    narrow = source.restore(f"{DUMPS}/custom.backup")
    assert narrow["_failed"]
    assert "UTF8" in narrow["msg"] and "LATIN1" in narrow["msg"]
    told = source.restore(f"{DUMPS}/custom.backup", encoding="UTF8", locale="C.UTF-8")
    assert not told["_failed"], told
    assert source.identity(15).split("|")[2] == "C.UTF-8"
    assert source.state(15) == source.state(15, "source")
