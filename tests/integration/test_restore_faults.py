# SPDX-License-Identifier: GPL-3.0-or-later
"""Restores that must fail: whatever the dump is, and whatever happens, the old database does not change."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from postgres import PASSWORD, Postgres
from restoring import DATABASE, DUMPS, Restoring

PREPARE = r"""
age-keygen -o key 2>/dev/null; age-keygen -o other.key 2>/dev/null
gzip -k backup.sql; zip -q backup.zip backup.sql; tar -czf backup.tar.gz backup.sql; zstd -q z0 -o z0.zst
age -r "$(age-keygen -y key)" -o custom.age custom
head -c 900000 custom > truncated.custom
head -c 900000 backup.sql.gz > truncated.sql.gz
head -c 3000000 backup.sql > truncated.sql
head -c 900000 z0.zst > truncated.zst
head -c 1500000 backup.zip > truncated.zip
head -c 900000 backup.tar.gz > truncated.tar.gz
head -c 900000 custom.age > truncated.age
cp -a directory truncated.directory; rm "$(ls truncated.directory/*.dat.gz | head -n 1)"
for name in custom backup.sql.gz backup.zip z0.zst custom.age; do cp $name flipped.$name; done
python3 - <<'END'
for name in ("custom", "backup.sql.gz", "backup.zip", "z0.zst", "custom.age"):
    with open("flipped." + name, "r+b") as file:
        file.seek(700001)
        byte = file.read(1)
        file.seek(700001)
        file.write(bytes([byte[0] ^ 4]))
END
cat create.sql create.sql > create_twice.sql
zip -q two.zip backup.sql key
tar -czf two.tar.gz backup.sql key
: > empty
printf -- '-- MySQL dump 10.13  Distrib 8.0\n--\nCREATE TABLE x (a int);\n' > mysql.sql
printf 'Not a dump at all.\n' > letter.txt
printf '\377\376-\0-\0' > powershell.sql
mkdir not_a_dump
awk '/^-- Data for Name/ && !done {print "SELECT 1/0;"; done=1} {print}' backup.sql > failing.sql
awk '/^COPY public.tb_cidadao / && !done {print; print "this is no row"; done=1; next} {print}' backup.sql > broken_row.sql
"""

# Refused before anything is created on the server, and so in check mode too.
REFUSED = [
    ("nothing", {}, "/srv/dumps/nothing does not exist"),
    ("empty", {}, "it is empty"),
    ("letter.txt", {}, "not a dump by pg_dump"),
    ("mysql.sql", {}, "it is a dump of MySQL"),
    ("powershell.sql", {}, "UTF-16"),
    ("not_a_dump", {}, "toc.dat"),
    ("all.sql", {}, "made by pg_dumpall"),
    ("shop.dump", {}, "tb_config_sistema"),
    ("schema.dump", {}, "tb_config_sistema"),
    ("two.zip", {}, "must hold one file, the dump, and holds backup.sql,? (?:and )?key"),
    ("truncated.zip", {}, "is damaged or incomplete"),
    ("custom.age", {}, "is encrypted; give identity or identity_path"),
    ("custom.age", {"identity_path": f"{DUMPS}/none"}, "/srv/dumps/none .*identity_path"),
    ("custom.age", {"identity_path": f"{DUMPS}/other.key"}, "cannot be decrypted: .*no identity matched"),
    ("custom", {"require_manifest": True}, "require_manifest"),
    ("custom", {"replace": False}, "PEC 5.4.37.* replace"),
    ("custom", {"locale": "xx_XX.UTF-8"}, "'xx_XX.UTF-8'.*locale-gen"),
    ("custom", {"jobs": 0}, "jobs is 0"),
    ("custom", {"where": {"database": "esus"}}, "where .* directory"),
]
# Found only while it is loaded into the second database.
FAILED = [
    ("truncated.custom", {}, r"could not be loaded, \d errors?: pg_restore: error: (could not|a worker process died)"),
    ("truncated.directory", {}, "could not be loaded"),
    ("truncated.sql", {}, "truncated.sql cannot be restored: it is cut off"),
    ("truncated.sql.gz", {}, "is damaged or incomplete .gzip failed: .*unexpected end of file"),
    ("truncated.tar.gz", {}, "is damaged or incomplete"),
    ("truncated.zst", {}, "is damaged or incomplete .zstd failed: .*premature end"),
    ("truncated.age", {"identity_path": f"{DUMPS}/key"}, "cannot be decrypted"),
    ("flipped.custom", {}, "could not be loaded"),
    ("flipped.backup.sql.gz", {}, "is damaged or incomplete|could not be loaded"),
    ("flipped.backup.zip", {}, "is damaged or incomplete|could not be loaded"),
    ("flipped.z0.zst", {}, "is damaged or incomplete|could not be loaded"),
    ("flipped.custom.age", {"identity_path": f"{DUMPS}/key"}, "cannot be decrypted"),
    ("two.tar.gz", {}, "must hold one file, the dump, and holds backup.sql,? (?:and )?key"),
    ("shop.sql", {}, "VERSAOBANCODADOS"),
    ("create_twice.sql", {}, r"line \d+ has CREATE DATABASE source, which leads out of the database"),
    ("failing.sql", {}, r"could not be loaded, 1 error: psql:<stdin>:\d+: ERRO?R?:"),
    ("broken_row.sql", {}, r"could not be loaded, 1 error: psql:<stdin>:\d+: ERRO?R?:"),
]


@pytest.fixture(scope="module")
def server(postgres: Postgres) -> Iterator[Restoring]:
    """A server with a PEC database, and everything that must not replace it."""
    restoring = Restoring(postgres)
    restoring.sh("rm -rf /srv/dumps")
    postgres.create(15, "source")
    postgres.sql(15, "source", "UPDATE tb_config_sistema SET ds_texto = 'from the dump' WHERE co_config_sistema = 'NOMEINSTALACAO'")
    for name, options in (
        ("backup.sql", "-Fp"),
        ("custom", "-Fc"),
        ("z0", "-Fc -Z0"),
        ("directory", "-Fd"),
        ("create.sql", "-Fp --create"),
    ):
        restoring.dump(15, name, *options.split(), database="source")
    restoring.dump(15, "schema.dump", "-Fc", "--schema-only", database="source")
    postgres.create(15, "shop", sample=False)
    postgres.sql(15, "shop", "CREATE TABLE invoice (id int)")
    restoring.dump(15, "shop.dump", "-Fc", database="shop")
    restoring.dump(15, "shop.sql", "-Fp", database="shop")
    restoring.sh(PREPARE)
    restoring.sh("runuser -u postgres -- pg_dumpall -p 5432 --globals-only > all.sql")
    postgres.create(15, DATABASE)
    yield restoring
    restoring.sh("rm -rf /srv/dumps")
    for name in postgres.databases(15):
        postgres.drop(15, name)


@pytest.fixture
def untouched(server: Restoring) -> Iterator[None]:
    """The database and the server's list of databases are afterwards what they were before, and PEC's role can work in it."""
    before = server.identity(15), server.state(15), server.postgres.databases(15)
    yield
    assert (server.identity(15), server.state(15), server.postgres.databases(15)) == before
    assert server.postgres.sql(15, DATABASE, "UPDATE tb_config_sistema SET ds_texto = ds_texto RETURNING 1", user="esus")


@pytest.mark.usefixtures("untouched")
@pytest.mark.parametrize(("name", "options", "says"), REFUSED)
def test_is_refused(server: Restoring, name: str, options: dict[str, Any], says: str) -> None:
    for check in (True, False):
        result = server.restore(f"{DUMPS}/{name}", check=check, **{"replace": True, **options})
        assert result["_failed"], result
        assert re.search(says, result["msg"]), result["msg"]


@pytest.mark.usefixtures("untouched")
@pytest.mark.parametrize(("name", "options", "says"), FAILED)
def test_fails(server: Restoring, name: str, options: dict[str, Any], says: str) -> None:
    result = server.restore(f"{DUMPS}/{name}", replace=True, **options)
    assert result["_failed"], result
    assert re.search(says, result["msg"]), result["msg"]
    if "age" not in name:  # a small one fails as soon as its contents are listed
        assert re.search(r"'esus_restoring_\w+'", result["msg"]), result["msg"]


@pytest.mark.usefixtures("untouched")
@pytest.mark.parametrize("case", ["password", "role", "port", "host"])
def test_a_server_that_does_not_let_in(server: Restoring, case: str) -> None:
    connection, says = {
        "password": ({"password": "errada"}, "(?i)password authentication failed|autentica"),
        "role": ({"username": "ninguem"}, "(?i)authentication failed|autentica"),
        "port": ({"port": 5999}, "127.0.0.1:5999"),
        "host": ({"host": "does.not.exist.invalid"}, "does.not.exist.invalid"),
    }[case]
    for check in (True, False):
        arguments = {"path": f"{DUMPS}/custom", "replace": True, "database": {**server.postgres.connection(15, DATABASE), **connection}}
        result = server.postgres.module("esus.pec.restore", arguments, check=check)
        assert result["_failed"]
        assert re.search(says, result["msg"]), result["msg"]


@pytest.mark.usefixtures("untouched")
def test_a_newer_archive_than_the_clients_can_read(server: Restoring) -> None:
    server.dump(15, "newer", "-Fc", database="source", client=17)
    hidden = "/usr/lib/postgresql/17/bin/psql"
    server.sh('mv "$1" "$1.away"', hidden)
    try:
        result = server.restore(f"{DUMPS}/newer", replace=True)
    finally:
        server.sh('mv "$1.away" "$1"', hidden)
    assert result["_failed"]
    assert "pg_dump 17.11" in result["msg"] and "postgresql-client-17" in result["msg"]


@pytest.mark.usefixtures("untouched")
def test_not_root(server: Restoring) -> None:
    arguments = {"path": f"{DUMPS}/custom", "database": server.postgres.connection(15, DATABASE)}
    result = server.postgres.module("esus.pec.restore", arguments, user="nobody")
    assert result["_failed"]
    assert "become: true" in result["msg"]


@pytest.mark.usefixtures("untouched")
def test_a_manifest_that_the_dump_does_not_match(server: Restoring) -> None:
    options = {"path": f"{DUMPS}/proved.dump", "database": server.postgres.connection(15, "source"), "fingerprint": True, "overwrite": True}
    made = server.postgres.module("esus.pec.dump", options)
    assert not made["_failed"], made
    server.sh(
        "cp proved.dump flipped.dump; cp proved.dump.json flipped.dump.json; cp proved.dump short.dump; cp proved.dump.json short.dump.json"
    )
    server.sh("printf x | dd of=flipped.dump bs=1 seek=700001 conv=notrunc status=none; truncate -s -1 short.dump")
    server.sh("cp proved.dump torn.dump; head -c 200 proved.dump.json > torn.dump.json")
    for name, says in (("flipped", "its SHA-256 is"), ("short", "bytes, and its manifest says"), ("torn", "is not a complete manifest")):
        for check in (True, False):
            result = server.restore(f"{DUMPS}/{name}.dump", check=check, replace=True)
            assert result["_failed"]
            assert says in result["msg"]


@pytest.mark.usefixtures("untouched")
@pytest.mark.parametrize(
    ("change", "says"),
    [
        ("m['contents']['objects']['indexes'] += 1", r"indexes: \d+ instead of \d+"),
        ("m['contents']['large_objects'] += 1", r"large objects: \d+ instead of \d+"),
        ("m['contents']['sequences'][sorted(m['contents']['sequences'])[0]] += 10**9", "sequences missing or behind: "),
        ("m['contents']['pec_version'] = '5.4.38'", "VERSAOBANCODADOS: 5.4.37 instead of 5.4.38"),
        ("m['fingerprint']['tables']['public.tb_cidadao'][1] = '7'", "tables with other values: public.tb_cidadao"),
        ("m['fingerprint']['tables']['public.tb_cidadao'][0] -= 1", "tables with another number of rows: public.tb_cidadao"),
    ],
)
def test_a_database_that_is_not_what_the_manifest_says(server: Restoring, change: str, says: str) -> None:
    options = {"path": f"{DUMPS}/lying.dump", "database": server.postgres.connection(15, "source"), "fingerprint": True, "overwrite": True}
    made = server.postgres.module("esus.pec.dump", options)
    assert not made["_failed"], made
    server.sh(
        "python3 -c \"import json; m = json.load(open('lying.dump.json')); exec(\\\"$1\\\"); json.dump(m, open('lying.dump.json', 'w'))\"",
        change,
    )
    result = server.restore(f"{DUMPS}/lying.dump", replace=True)
    assert result["_failed"]
    assert re.search(says, result["msg"]), result["msg"]


def test_what_failed_can_be_kept(server: Restoring) -> None:
    before = server.identity(15), server.state(15)
    result = server.restore(f"{DUMPS}/failing.sql", replace=True, keep_failed=True)
    assert result["_failed"]
    kept = re.search(r"'(esus_restoring_\w+)'", result["msg"])
    assert kept, result["msg"]
    assert (server.identity(15), server.state(15)) == before
    assert int(server.postgres.sql(15, kept.group(1), "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'")) > 0
    server.restore(f"{DUMPS}/failing.sql", replace=True)
    assert kept.group(1) in server.postgres.databases(15), "what was kept on purpose is not cleaned up"
    server.postgres.drop(15, kept.group(1))


@pytest.mark.usefixtures("untouched")
def test_errors_are_counted_and_name_no_patient(server: Restoring) -> None:
    path = server.dump(15, "forward", "-Fc", database="source")
    server.postgres.create(10, "unused", sample=False)
    # One job, because the lines of several can interrupt each other.
    result = server.restore(path, 10, database="unused", allow_older_server=True, jobs=1)
    server.postgres.drop(10, "unused")
    assert result["_failed"]
    assert re.search(
        r"could not be loaded, \d+ errors: pg_restore: error: could not execute query: ERRO?R?:  .*\(TRIGGER .*and \d+ more\)",
        result["msg"],
    )
    broken = server.restore(f"{DUMPS}/broken_row.sql", replace=True)
    assert "this is no row" not in broken["msg"]


def test_the_password_is_never_in_an_argument(server: Restoring) -> None:
    server.sh(r"""sed '/^-- PostgreSQL database dump complete/i SELECT pg_sleep(3);' backup.sql > slow.sql; rm -f /run/esus-pec/*""")
    restore = server.in_background(f"{DUMPS}/slow.sql", replace=True, rehearse=True)
    server.wait("grep -q '\"load\"' /run/esus-pec/restore-esus.json && pgrep -x psql")
    seen = server.sh("for file in /proc/[0-9]*/cmdline; do tr '\\0' ' ' < $file; echo; done 2>/dev/null")
    status = server.sh("cat /run/esus-pec/restore-esus.json")
    assert not restore.result["_failed"], restore.result
    assert "psql -X -q" in seen
    assert PASSWORD not in seen + status
