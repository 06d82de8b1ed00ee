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
    restoring.dump(15, "inserts.sql", "--inserts", "--clean", "--create", database="source", client=17)
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


def test_what_somebody_sent_by_a_link(source: Restoring) -> None:
    link = "segredo-inadivinhavel"
    source.sh("mkdir $1 && ln backup.zip $1/", link)
    source.sh(f"systemd-run -q --collect -u sender -p StandardError=null python3 -m http.server -b 127.0.0.1 -d {DUMPS} 8099")
    source.wait("python3 -c 'import socket; socket.create_connection((\"127.0.0.1\", 8099))' 2>/dev/null")
    arguments = {"url": f"http://127.0.0.1:8099/{link}/backup.zip", "allow_http": True}
    results = [source.postgres.module("esus.pec.received_file", arguments, check=True)]
    results += [source.postgres.module("esus.pec.received_file", arguments) for _number in range(2)]
    source.sh("systemctl stop sender && rm -r $1", link)
    assert [(result["changed"], result["complete"]) for result in results] == [(True, False), (True, True), (False, True)]
    source.postgres.drop(15, DATABASE)
    restored = source.restore(results[1]["path"])
    assert not restored["_failed"], restored
    assert (restored["changed"], restored["kind"], restored["sha256"]) == (True, "zip plain", results[1]["sha256"])
    assert source.state(15) == source.state(15, "source")
    results.append(source.postgres.module("esus.pec.received_file", {**arguments, "state": "absent"}))
    assert results[-1]["changed"] and source.sh("ls /var/lib/esus-pec/received") == ""
    assert in_text("".join(result["_output"] for result in results), [link]) == []
    assert on_server(source.postgres.server.shell, [link], JOURNAL, "/var/lib/esus-pec") == []


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
        ALTER DATABASE esus SET default_transaction_read_only TO on; ALTER DATABASE esus SET session_replication_role TO replica;
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
    frozen = {"-|default_transaction_read_only=on", "-|session_replication_role=replica"}
    carried, old_ones = (set(sql(15, "postgres", settings.format(name)).splitlines()) for name in (DATABASE, kept))
    assert (carried, old_ones) == (old_ones - frozen, carried | frozen) and carried
    for run in (foreseen, result):
        assert "default_transaction_read_only = on (PEC could not write)" in "".join(run["notes"])
    sql(15, DATABASE, "BEGIN; UPDATE tb_config_sistema SET ds_texto = ds_texto; ROLLBACK", user="esus")
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
    assert_changes_are_noticed(source, dump)
    refused = source.restore(dump, force=True)
    assert refused["_failed"]
    assert "PEC 5.4.37" in refused["msg"] and "replace" in refused["msg"]
    assert source.identity(15) == oid
    forced = source.restore(dump, force=True, replace=True, keep_previous=False)
    assert (forced["changed"], forced["previous_database"]) == (True, None)
    assert source.identity(15) != oid
    assert source.postgres.databases(15) == [DATABASE, kept, "source"]


def assert_changes_are_noticed(source: Restoring, dump: str) -> None:
    """In copies of the restored database, in which every row keeps the transaction that wrote it."""
    sql = source.postgres.sql
    comment = sql(15, "postgres", "SELECT quote_literal(shobj_description(oid, 'pg_database')) FROM pg_database WHERE datname = 'esus'")
    large = sql(15, DATABASE, "SELECT min(oid) FROM pg_largeobject_metadata")
    for change, action in {
        "VACUUM ANALYZE": "none",
        "DELETE FROM tb_config_sistema WHERE co_config_sistema = 'NOMEINSTALACAO'": "restore",
        "UPDATE tb_config_sistema SET ds_texto = ds_texto WHERE co_config_sistema = 'NOMEINSTALACAO'": "restore",
        f"SELECT lo_put({large}, 0, 'x')": "restore",
        f"SELECT lo_unlink({large})": "restore",
        "SELECT setval(oid::regclass, 4711) FROM pg_class WHERE relkind = 'S' LIMIT 1": "restore",
        "CREATE INDEX ON tb_config_sistema (ds_texto)": "restore",
        "ALTER TABLE tb_config_sistema ALTER ds_texto SET DEFAULT 'x'": "restore",
    }.items():
        sql(15, "postgres", f"CREATE DATABASE used TEMPLATE {DATABASE} OWNER esus")
        sql(15, "postgres", f"COMMENT ON DATABASE used IS {comment}")
        sql(15, "used", change)
        result = source.restore(dump, check=True, database="used", replace=True)
        assert (result["_failed"], result["action"]) == (False, action), (change, result)
        if action == "restore":
            refused = source.restore(dump, check=True, database="used")
            assert refused["_failed"] and "was restored from this dump on" in refused["msg"]
        source.postgres.drop(15, "used")


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
    assert {"create", "load", "analyze", "verify", "hand_over", "total"} == set(result["seconds"])
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
    assert result["fingerprint"]["digest"] == made["fingerprint"]
    assert source.state(15) == source.state(15, "source")
    older = source.sh("ls -1 backups/*.dump* | grep -v json | head -n 1")
    for check in (True, False):
        other = source.restore(f"{DUMPS}/{older}", check=check)
        assert other["_failed"] and "set replace to true" in other["msg"], "a dump with the same rows is another one"
    replaced = source.restore(f"{DUMPS}/{older}", check=True, replace=True)
    assert (replaced["action"], replaced["changed"]) == ("restore", True)


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


def test_a_dump_of_another_pec_and_municipality_is_refused_before_the_switch(source: Restoring) -> None:
    """Without a manifest, only what was loaded shows it."""
    sql = source.postgres.sql
    places = """CREATE TABLE tb_localidade (co_localidade bigint, co_ibge varchar(7), no_localidade varchar(255));
        CREATE TABLE tb_adm_municipal (co_ator_papel bigint, co_localidade bigint);
        INSERT INTO tb_localidade VALUES (1, '5000203', 'ÁGUA CLARA'), (2, '4122008', 'RIO AZUL');
        INSERT INTO tb_adm_municipal VALUES (1, {}), (2, {});"""
    source.postgres.create(15, DATABASE)
    sql(15, DATABASE, places.format(2, 2), user="esus")
    path = source.dump(15, "theirs.sql")
    sql(15, DATABASE, "UPDATE tb_adm_municipal SET co_localidade = 1")
    before = source.identity(15), source.postgres.databases(15)
    pec = {"success": True, "version": "5.4.36"}
    try:
        source.postgres.server.put(json.dumps(pec), "/etc/pec.config")
        refused = source.restore(path, replace=True, from_municipality="Água Clara")
        assert refused["_failed"]
        for words in ("is of PEC 5.4.37, which is newer than PEC 5.4.36", "município 'RIO AZUL' (IBGE '4122008')", "'ÁGUA CLARA'"):
            assert words in refused["msg"]
        assert (source.identity(15), source.postgres.databases(15)) == before
        source.postgres.server.put(json.dumps({**pec, "version": "5.5.28"}), "/etc/pec.config")
        result = source.restore(path, replace=True, keep_previous=False, from_municipality="Rio Azul", allow_other_version=True)
    finally:
        source.sh("rm -f /etc/pec.config")
    assert not result["_failed"], result
    assert (result["installed_version"], result["pec_version"], result["update_follows"]) == ("5.5.28", "5.4.37", True)
    assert sql(15, DATABASE, "SELECT DISTINCT co_localidade FROM tb_adm_municipal") == "2"


def test_a_part_of_a_database_is_refused_before_the_switch(source: Restoring) -> None:
    source.postgres.drop(15, DATABASE)
    table = source.dump(15, "table.dump", "-Fc", "-t", "tb_config_sistema", database="source")
    refused = source.restore(table, check=True)
    assert refused["_failed"] and "tables: 1, and a PEC has" in refused["msg"] and "allow_partial" in refused["msg"]
    sections = source.dump(15, "sections.sql", "-n", "public", "--section=pre-data", "--section=data", database="source")
    objects = source.postgres.sql(15, "source", "SELECT count(DISTINCT id_objeto) FROM tb_arquivo_externo")
    refused = source.restore(sections)
    assert refused["_failed"] and f"large objects: {objects} of {objects} that its tables refer to" in refused["msg"]
    assert "indexes: " in refused["msg"] and "constraints: " in refused["msg"]
    assert DATABASE not in source.postgres.databases(15)
    result = source.restore(sections, allow_partial=True)
    assert not result["_failed"] and "only a part of a database" in " ".join(result["notes"])


def test_by_roles_that_may_create_databases_and_roles(source: Restoring) -> None:
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
    sql(17, "postgres", "ALTER ROLE esus CREATEDB CREATEROLE")
    try:
        own = source.restore(path, 17, replace=True, force=True, admin_account="nobody")
    finally:
        sql(17, "postgres", "ALTER ROLE esus NOCREATEDB NOCREATEROLE; DROP ROLE chefe; DROP ROLE ninguem")
    assert not own["_failed"], own
    assert source.state(17) == source.state(15, "source")
    assert_belongs_to_pec(source, 17)


def test_the_servers_own_clean_up_is_nobody_who_is_connected(source: Restoring) -> None:
    """Only a superuser may end an autovacuum, and the server ends it by itself."""
    slow = {"autovacuum_naptime": "1s", "autovacuum_vacuum_cost_limit": 1, "autovacuum_vacuum_cost_delay": "100ms"}
    sql = source.postgres.sql
    source.postgres.create(17, DATABASE)
    sql(17, "postgres", "\n".join(f"ALTER SYSTEM SET {name} = '{value}';" for name, value in slow.items()))
    try:
        sql(17, "postgres", "SELECT pg_reload_conf(); ALTER ROLE esus CREATEDB CREATEROLE")
        sql(17, DATABASE, "CREATE TABLE tb_lixo AS SELECT generate_series(1, 200000) AS a; DELETE FROM tb_lixo WHERE a % 2 = 0")
        cleaning = "SELECT count(*) > 0 FROM pg_stat_activity WHERE datname = 'esus' AND backend_type = 'autovacuum worker'"
        source.wait_for_sql(17, cleaning, "t")
        restored = source.restore(f"{DUMPS}/zstd.dump", 17, replace=True, admin_account="nobody", allow_partial=True)
    finally:
        sql(17, "postgres", "\n".join(f"ALTER SYSTEM RESET {name};" for name in slow))
        sql(17, "postgres", "SELECT pg_reload_conf(); ALTER ROLE esus NOCREATEDB NOCREATEROLE")
    assert not restored["_failed"], restored
    assert source.state(17) == source.state(15, "source")


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
        # PEC's role need not reach the new database; only the role that loads it must.
        given = source.restore(f"{DUMPS}/zstd.dump", 17, replace=True, admin={"username": "chefe", "password": "x"})
        source.sh('sed -i "1i host all esus_loading 127.0.0.1/32 reject" "$1"; systemctl kill -s HUP --kill-whom=main postgresql-17', hba)
        refused = source.restore(f"{DUMPS}/zstd.dump", 17, replace=True, force=True)
    finally:
        source.sh('cp -a hba "$1"; systemctl kill -s HUP --kill-whom=main postgresql-17', hba)
        source.postgres.sql(17, "postgres", "DROP ROLE chefe")
    assert refused["_failed"]
    assert 'host all "esus_loading" 127.0.0.1/32 md5' in refused["msg"] and "was not changed" in refused["msg"]
    assert source.postgres.sql(17, "postgres", "SELECT count(*) FROM pg_roles WHERE rolname LIKE '%_loading'") == "0"
    assert not given["_failed"], given
    assert source.state(17) == source.state(15, "source")
    assert_belongs_to_pec(source, 17)


def test_extensions(source: Restoring) -> None:
    source.postgres.create(15, "with_extensions")
    source.postgres.sql(
        15,
        "with_extensions",
        """CREATE SCHEMA "de fora"; CREATE EXTENSION unaccent SCHEMA "de fora"; CREATE EXTENSION pageinspect;
        CREATE EXTENSION adminpack; COMMENT ON EXTENSION unaccent IS 'x'; DROP ROLE IF EXISTS bi; CREATE ROLE bi;
        CREATE PUBLICATION pub FOR TABLE tb_config_sistema; ALTER TABLE tb_config_sistema ENABLE ROW LEVEL SECURITY;
        CREATE POLICY p ON tb_config_sistema TO bi USING (true); COMMENT ON POLICY p ON tb_config_sistema IS 'x';
        CREATE FUNCTION public.ao_mudar() RETURNS event_trigger LANGUAGE plpgsql AS 'begin end';
        CREATE EVENT TRIGGER et ON ddl_command_end EXECUTE FUNCTION public.ao_mudar();""",
    )
    forms = {form: source.dump(15, f"extensions{form}", form, database="with_extensions") for form in ("-Fc", "-Fp", "-Fd")}
    source.postgres.sql(15, "postgres", "DROP DATABASE with_extensions; DROP ROLE bi")
    for form, path in forms.items():
        for options, kept in (
            ({}, None),
            ({"extensions": ["pageinspect", "unaccent"]}, "pageinspect\nunaccent"),
            ({"without_extensions": ["pageinspect"]} if form != "-Fp" else {"skip_objects": ["EXTENSION pageinspect"]}, "unaccent"),
        ):
            source.postgres.drop(15, DATABASE)
            result = source.restore(path, **options)
            assert result["_failed"] == (kept is None), result
            if kept is None:
                assert "needs the extensions pageinspect, which are not allowed" in result["msg"] and "without_extensions" in result["msg"]
            else:
                found = source.postgres.sql(15, DATABASE, "SELECT extname FROM pg_extension WHERE extname <> 'plpgsql' ORDER BY 1")
                assert found == kept
                assert source.postgres.sql(15, DATABASE, """SELECT "de fora".unaccent('ação')""") == "acao"
                assert source.postgres.sql(15, DATABASE, "SELECT count(*) FROM tb_config_sistema", user="esus") != "0"
                notes = "".join(result["notes"])
                for label in ("EXTENSION adminpack", "EVENT TRIGGER et", "PUBLICATION pub", "POLICY public.tb_config_sistema p"):
                    assert label in notes, form
    source.postgres.drop(10, DATABASE)
    refused = source.restore(forms["-Fc"], 10, allow_older_server=True)
    assert refused["_failed"]
    assert "unaccent" in refused["msg"] and "postgresql-contrib" in refused["msg"]


OLD = """
CREATE FUNCTION tira(text) RETURNS text LANGUAGE sql IMMUTABLE AS $$ SELECT translate($1, 'ãé', 'ae') $$;
CREATE FUNCTION busca(text) RETURNS text LANGUAGE sql IMMUTABLE AS $$ SELECT lower(tira($1)) $$;
CREATE FUNCTION outra(text) RETURNS text LANGUAGE sql IMMUTABLE AS $$ SELECT lower(tira($1)) $$;
CREATE TABLE tb_nome (no text CHECK (busca(no) <> ''));
INSERT INTO tb_nome VALUES ('João');
CREATE INDEX ON tb_nome (busca(no));
CREATE MATERIALIZED VIEW mv_nome AS SELECT busca(no) FROM tb_nome;
CREATE VIEW vw_oids AS SELECT relname FROM pg_class WHERE relhasoids;
CREATE VIEW vw_agg AS SELECT proname FROM pg_proc WHERE proisagg;
CREATE TABLE tb_velha (quando abstime);
"""


@pytest.mark.parametrize("form", ["-Fc", "-Fp"])
def test_what_a_new_server_cannot_hold_is_named_and_left_out(source: Restoring, form: str) -> None:
    source.postgres.create(10, "old", sample=False)
    source.postgres.sql(10, "old", OLD)
    path = source.dump(10, "old.dump", form, database="old", client=15)
    source.postgres.drop(10, "old")
    source.postgres.drop(17, DATABASE)
    gone = ["VIEW public.vw_agg", "VIEW public.vw_oids", "TABLE public.tb_velha"]
    options: dict[str, Any] = {"require_pec": False, "locale": "pt_BR.UTF-8"}
    refused = source.restore(path, 17, **options)
    assert refused["_failed"] and "12 or later" in refused["msg"]
    assert form == "-Fp" or "skip_objects: ['VIEW public.vw_agg', 'VIEW public.vw_oids']" in refused["msg"]
    assert [label for label in gone if label in refused["msg"]] == (gone if form == "-Fc" else ["TABLE public.tb_velha"])
    unqualified = source.restore(path, 17, skip_objects=gone, **options)
    assert unqualified["_failed"] and "names tira(text) without its schema" in unqualified["msg"]
    assert "set function_search_path" in unqualified["msg"]
    result = source.restore(path, 17, skip_objects=gone, function_search_path=["public"], **options)
    assert not result["_failed"], result
    assert "left out of the dump: " in "".join(result["notes"]) and all(label in "".join(result["notes"]) for label in gone)
    sql = source.postgres.sql
    assert sql(17, DATABASE, "SELECT proname FROM pg_proc WHERE proconfig IS NOT NULL AND proowner = 'esus'::regrole") == "busca"
    assert sql(17, DATABASE, "SELECT busca || ' ' || no FROM mv_nome, tb_nome") == "joao João"


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
    assert_an_encoding_that_nobody_chose(source)


def assert_an_encoding_that_nobody_chose(source: Restoring) -> None:
    sql, create = source.postgres.sql, "CREATE DATABASE {} OWNER esus TEMPLATE template0 ENCODING 'SQL_ASCII' LC_COLLATE 'C' LC_CTYPE 'C'"
    source.postgres.drop(15, DATABASE)
    sql(15, "postgres", create.format(DATABASE))
    restored = source.restore(f"{DUMPS}/custom.backup")
    assert not restored["_failed"], restored
    chosen = "SELECT pg_encoding_to_char(encoding), datcollate FROM pg_database WHERE datname = 'esus'"
    assert sql(15, "postgres", chosen) == "UTF8|pt_BR.UTF-8"
    assert source.state(15) == source.state(15, "source")
    sql(15, "postgres", create.format("bytes"))
    sql(15, "bytes", "CREATE TABLE tb_nome (no text); INSERT INTO tb_nome VALUES (E'Jos\\xe9')")
    path = source.dump(15, "bytes.dump", "-Fc", database="bytes")
    source.postgres.drop(15, "bytes")
    refused = source.restore(path, require_pec=False, replace=True, allow_partial=True)
    assert refused["_failed"] and "replace SQL_ASCII in the line SET client_encoding by WIN1252" in refused["msg"]
    assert sql(15, "postgres", chosen) == "UTF8|pt_BR.UTF-8"
