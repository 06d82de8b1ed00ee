# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.esus.pec.plugins.module_utils.dump import planning
from ansible_collections.esus.pec.plugins.module_utils.dump.planning import Desired, Plan, Tools
from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.postgres.psql import Client

ALL = frozenset({"zstd", "pigz", "age"})
NEW = Tools(Client("/usr/lib/postgresql/17/bin/pg_dump", (17, 11)), True, ALL, processors=4)
OLD = Tools(Client("/usr/lib/postgresql/15/bin/pg_dump", (15, 18)), False, ALL, processors=4)
BARE = replace(OLD, programs=frozenset())
AGE = "age1" + "q" * 58
SSH = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIG1vZGVsbw backup@prefeitura"
MB = 1_000_000


def plan(tools: Tools = NEW, *, database: str = "esus", size: int = 100 * MB, **wanted: Any) -> Plan:
    desired = Desired(**{"path": "/b/x", **wanted})
    return planning.plan(desired, tools, database, size, "Servidor.local", "20261122T030000Z")


ZSTD_PIPE = ("zstd", "-q", "-T0", "-1")


@pytest.mark.parametrize(
    ("tools", "form", "wanted", "compression", "extension", "option", "compressor", "direct"),
    [
        (NEW, "custom", "auto", "zstd", ".dump", "--compress=zstd:1", (), True),
        (NEW, "custom", "gzip", "gzip", ".dump", "--compress=1", (), True),
        (NEW, "custom", "none", "none", ".dump", "--compress=0", (), True),
        (OLD, "custom", "auto", "zstd", ".dump.zst", "--compress=0", ZSTD_PIPE, False),
        (OLD, "custom", "zstd", "zstd", ".dump.zst", "--compress=0", ZSTD_PIPE, False),
        (OLD, "custom", "gzip", "gzip", ".dump", "--compress=1", (), True),
        (BARE, "custom", "auto", "gzip", ".dump", "--compress=1", (), True),
        (NEW, "directory", "auto", "zstd", ".dir", "--compress=zstd:1", (), True),
        (NEW, "directory", "none", "none", ".dir", "--compress=0", (), True),
        (OLD, "directory", "auto", "gzip", ".dir", "--compress=1", (), True),
        (NEW, "plain", "auto", "zstd", ".sql.zst", None, ZSTD_PIPE, False),
        (OLD, "plain", "auto", "zstd", ".sql.zst", None, ZSTD_PIPE, False),
        (BARE, "plain", "auto", "gzip", ".sql.gz", None, ("gzip", "-1"), False),
        (NEW, "plain", "gzip", "gzip", ".sql.gz", None, ("pigz", "-1"), False),
        (NEW, "plain", "none", "none", ".sql", None, (), False),
        (NEW, "plain", "zip", "zip", ".zip", None, (), False),
        (NEW, "plain", "tar.gz", "tar.gz", ".tar.gz", None, ("pigz", "-1"), True),
        (BARE, "plain", "tar.gz", "tar.gz", ".tar.gz", None, ("gzip", "-1"), True),
    ],
)
def test_every_sensible_pair(
    tools: Tools, form: str, wanted: str, compression: str, extension: str, option: str | None, compressor: tuple[str, ...], direct: bool
) -> None:
    made = plan(tools, path="/b/", format=form, compression=wanted)
    assert made.path == f"/b/servidor-local-esus-20261122T030000Z{extension}"
    assert (made.format, made.compression, made.compressor, made.direct) == (form, compression, compressor, direct)
    assert [word for word in made.options if word.startswith("--compress")] == ([option] if option else [])
    assert f"--format={form}" in made.options
    assert made.level == (0 if compression == "none" else 1)


@pytest.mark.parametrize(
    ("form", "compression", "tools", "extension"),
    [
        ("custom", "auto", NEW, ".dump.age"),
        ("custom", "auto", OLD, ".dump.zst.age"),
        ("custom", "none", NEW, ".dump.age"),
        ("plain", "zip", NEW, ".zip.age"),
        ("plain", "auto", NEW, ".sql.zst.age"),
        ("plain", "none", NEW, ".sql.age"),
    ],
)
def test_what_is_encrypted_never_lies_on_the_disk_before(form: str, compression: str, tools: Tools, extension: str) -> None:
    made = plan(tools, path="/b/", format=form, compression=compression, recipients=(AGE, SSH))
    assert made.path.endswith("Z" + extension)
    assert not made.direct


@pytest.mark.parametrize(
    ("tools", "wanted", "note"),
    [
        (NEW, {}, None),
        (OLD, {}, "compressed by the program zstd, because pg_dump 15.18 has none built in: a restore loads one table after the other"),
        (
            BARE,
            {},
            "compressed with gzip level 1, because pg_dump 15.18 has no zstd, and the program zstd is not installed (package zstd)",
        ),
        (OLD, {"format": "directory"}, "compressed with gzip level 1, because pg_dump 15.18 has no zstd"),
        (OLD, {"format": "plain"}, None),
        (OLD, {"compression": "gzip"}, None),
    ],
)
def test_what_was_done_and_why(tools: Tools, wanted: dict[str, Any], note: str | None) -> None:
    assert plan(tools, **wanted).notes == ((note,) if note else ())


@pytest.mark.parametrize(
    ("tools", "wanted", "level", "word"),
    [
        (NEW, {"level": 19}, 19, "--compress=zstd:19"),
        (OLD, {"level": 7}, 7, ("zstd", "-q", "-T0", "-7")),
        (NEW, {"level": 9, "compression": "gzip"}, 9, "--compress=9"),
        (NEW, {"level": 6, "compression": "zip", "format": "plain"}, 6, None),
        (NEW, {"level": 6, "compression": "tar.gz", "format": "plain"}, 6, ("pigz", "-6")),
        # A level of zstd means nothing to gzip, which had to do instead.
        (BARE, {"level": 19}, 1, "--compress=1"),
        (BARE, {"level": 19, "compression": "zstd"}, 1, "--compress=1"),
        (BARE, {"level": 19, "compression": "zstd", "format": "plain"}, 1, ("gzip", "-1")),
    ],
)
def test_the_level(tools: Tools, wanted: dict[str, Any], level: int, word: Any) -> None:
    made = plan(tools, **wanted)
    assert made.level == level
    assert word is None or word == made.compressor or word in made.options


def test_the_options_of_pg_dump() -> None:
    made = plan(
        no_owner=True, no_privileges=True, encoding="LATIN1", exclude_table_data=("tb_log*", 'a b; "c"'), schema_only=True, lock_timeout=7
    )
    assert made.options == (
        "--format=custom",
        "--no-password",
        "--verbose",
        "--lock-wait-timeout=7000",
        "--no-owner",
        "--no-privileges",
        "--schema-only",
        "--encoding=LATIN1",
        "--exclude-table-data=tb_log*",
        '--exclude-table-data=a b; "c"',
        "--compress=zstd:1",
    )
    assert not {"--no-owner", "--no-privileges", "--schema-only"} & set(plan().options)


@pytest.mark.parametrize(
    ("wanted", "jobs"),
    [({}, 1), ({"jobs": 8}, 1), ({"format": "directory"}, 4), ({"format": "directory", "jobs": 2}, 2)],
)
def test_jobs_write_a_directory_only(wanted: dict[str, Any], jobs: int) -> None:
    made = plan(**wanted)
    assert made.jobs == jobs
    assert [word for word in made.options if word.startswith("--jobs")] == ([f"--jobs={jobs}"] if "format" in wanted else [])


@pytest.mark.parametrize(
    ("wanted", "says"),
    [
        ({"format": "custom", "compression": "zip"}, "compression zip is for plain dumps only; set format: plain"),
        ({"format": "directory", "compression": "tar.gz"}, "tar.gz is for plain dumps only"),
        ({"format": "directory", "recipients": (AGE,)}, "the directory format cannot be encrypted as one; set format: custom"),
        (
            {"format": "plain", "compression": "tar.gz", "recipients": (AGE,)},
            "a tar.gz cannot be encrypted: .*; set compression: zip or zstd",
        ),
        ({"level": 20}, "compression auto has no level 20; its levels are from 1 to 19"),
        ({"level": 0}, "no level 0"),
        ({"level": 10, "compression": "gzip"}, "levels are from 1 to 9"),
        ({"level": 1, "compression": "none"}, "compression none has no level 1; its levels are none"),
        ({"jobs": 0}, "jobs is 0; give at least 1"),
        ({"lock_timeout": -1}, "lock_timeout is -1"),
        ({"path": "backups/x.dump"}, "the path 'backups/x.dump' does not begin with a slash"),
        ({"path": ""}, "does not begin with a slash"),
        ({"recipients": ("AGE-SECRET-KEY-1QQPQQ",)}, "number 1 of the recipients is a secret key; keep that one off this host"),
        ({"recipients": (AGE, "joao@example.org")}, "number 2 of the recipients is no public key"),
        ({"schema_only": True, "fingerprint": True}, "fingerprint compares rows, and schema_only leaves them out"),
        ({"exclude_table_data": ("TB_LOG*",), "fingerprint": True}, "'TB_LOG\\*' in exclude_table_data does not work with fingerprint"),
        ({"exclude_table_data": ('"tb log"',), "fingerprint": True}, "leave fingerprint out"),
    ],
)
def test_what_does_not_go_together(wanted: dict[str, Any], says: str) -> None:
    with pytest.raises(PecError, match=says) as error:
        plan(**wanted)
    assert "QQPQQ" not in str(error.value)


def test_patterns_that_a_fingerprint_understands_too() -> None:
    plan(exclude_table_data=("tb_log*", "auditoria.tb_?"), fingerprint=True)


@pytest.mark.parametrize(
    ("wanted", "share"),
    [
        ({}, 30),
        ({"compression": "none"}, 80),
        ({"format": "plain", "compression": "none"}, 80),
        ({"format": "plain", "compression": "zip"}, 30),
        ({"format": "plain", "compression": "tar.gz"}, 110),
    ],
)
def test_the_estimate_is_a_share_of_the_database(wanted: dict[str, Any], share: int) -> None:
    assert plan(size=100 * MB, **wanted).estimate_bytes == share * MB


def test_a_schema_is_small_however_large_the_database() -> None:
    assert plan(size=10**12, schema_only=True).estimate_bytes < 50 * MB


@pytest.mark.parametrize(
    ("municipality", "database", "stem"),
    [
        ("", "esus", "servidor-local-esus-"),
        ("Água Clara", "esus", "agua-clara-esus-"),
        ("São João d'Água/2", "we ird\"$(x)'ã", "sao-joao-d-agua-2-we-ird-x-a-"),
        ("北京", "é" * 31 + "a", "pec-" + "e" * 31 + "a-"),
        ("x" * 90, "y" * 63, "x" * 48 + "-" + "y" * 48 + "-"),
    ],
)
def test_a_name_is_safe_everywhere(municipality: str, database: str, stem: str) -> None:
    assert plan(path="/b/", municipality=municipality, database=database).path == f"/b/{stem}20261122T030000Z.dump"


def test_what_is_a_directory_to_write_into(tmp_path: Path) -> None:
    assert plan(path=str(tmp_path)).path.startswith(f"{tmp_path}/servidor-local-")
    assert plan(path=f"{tmp_path}/x/../y").path == f"{tmp_path}/y"
    (tmp_path / "toc.dat").touch()  # it is a dump itself, to be replaced as a whole
    for path in (str(tmp_path), f"{tmp_path}/"):
        assert plan(path=path, format="directory").path == str(tmp_path)


@pytest.mark.parametrize(
    ("path", "name", "ours"),
    [
        ("/b/", "servidor-local-esus-20261122T030000Z.dump.partial", True),
        ("/b/", "servidor-local-esus-20251122T030000Z.sql.zst.age.partial", True),
        ("/b/", "servidor-local-esus-20251122T030000Z.tar.gz.partial.backup.sql", True),
        ("/b/", "servidor-local-esus-20251122T030000Z.dump.partial.json", True),
        ("/b/", "servidor-local-esus-20251122T030000Z.dump.partial.json.partial", True),
        ("/b/", "servidor-local-esus-20251122T030000Z.dump", False),
        ("/b/", "servidor-local-esus-20251122T030000Z.dump.json", False),
        ("/b/", "servidor-local-esus-treino-20251122T030000Z.dump.partial", False),
        ("/b/", "outro-esus-20251122T030000Z.dump.partial", False),
        ("/b/esus", "esus.partial", True),
        ("/b/esus", "esus-outro.dump.partial", False),
        ("/b/e.us", "exus.partial", False),
    ],
)
def test_what_a_run_that_was_killed_has_left(path: str, name: str, ours: bool) -> None:
    assert bool(planning.leftover_name(Desired(path), "Servidor.local", "esus").fullmatch(name)) is ours


@pytest.mark.parametrize(
    ("server", "chosen"),
    [(90624, (17, 11)), (100023, (17, 11)), (150018, (17, 11)), (170000, (17, 11)), (170099, (17, 11))],
)
def test_the_newest_client_reads_every_older_server(server: int, chosen: tuple[int, ...]) -> None:
    clients = [Client("/15", (15, 18)), Client("/17", (17, 11)), Client("/16", (16, 2))]
    assert planning.choose_client(clients, server).version == chosen


@pytest.mark.parametrize(
    ("clients", "says"),
    [
        ([], r"the server is PostgreSQL 17, which no pg_dump on this host can read \(found: none\); install postgresql-client-17 "),
        ([Client("/a/pg_dump", (15, 18)), Client("/b/pg_dump", (10, 23))], r"\(found: 15.18 \(/a/pg_dump\), 10.23 \(/b/pg_dump\)\)"),
    ],
)
def test_a_server_newer_than_every_client(clients: list[Client], says: str) -> None:
    with pytest.raises(PecError, match=says):
        planning.choose_client(clients, 170004)


SAMPLES = [
    pytest.param("age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p", id="age"),
    pytest.param(" age1lggyhqrw2nlhcxprm67z43rta597azn8gknawjehu9d9dl0jq3yqqvfafg\n", id="age's second"),
    pytest.param("age1lvyvwawkr0mcnnnncaghunadrqkmuf9e6507x9y920xxpp866cnql7dp2z", id="age-keygen"),
    pytest.param("age1uvscypafkkxt6u2gkguxet62cenfmnpc0smzzlyun0lzszfatawq4kvf2u", id="rage"),
    pytest.param("age1yt3tfqlfrwdwx0z0ynwplcr6qxcxfaqycuprpmy89nr83ltx74tqdpszlw", id="SOPS"),
    pytest.param("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAID+Wi8WZw2bXfBpcs/WECttCzP39OkenS6pHWHWGFJvN me@here", id="SOPS, SSH"),
    pytest.param("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIL0idNvgGiucWgup/mP78zyC23uFjYq0evcWdjGQUaBH", id="agenix"),
]


@pytest.mark.parametrize("recipient", SAMPLES)
def test_a_key_from_a_manual(recipient: str) -> None:
    with pytest.raises(PecError, match="number 2 of the recipients is a sample key from a manual"):
        planning.refuse_recipients([AGE, recipient])


def test_no_document_of_ours_shows_a_key_that_works() -> None:
    root = Path(__file__).resolve().parents[5]
    pages = [*root.glob("*.md"), *root.glob("docs/*.md"), *root.glob("roles/**/*.md"), *root.glob("plugins/modules/*.py")]
    assert len(pages) > 30
    assert [page.name for page in pages if re.search(r"age1[0-9a-z]{50}", page.read_text(encoding="utf-8"))] == []


@pytest.mark.parametrize("recipient", [AGE, f" {AGE}\n", SSH, "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABAQ=="])
def test_public_keys(recipient: str) -> None:
    planning.refuse_recipients([AGE, recipient])


@pytest.mark.parametrize(
    ("recipient", "secret"),
    [
        ("", False),
        ("age1", False),
        ("-r", False),
        ("ssh-dss AAAAB3NzaC1kc3MAAACBAP1", False),
        ("a password XYZ", False),
        ("AGE-SECRET-KEY-1XYZ", True),
        (" age-secret-key-1xyz", True),
        ("# created\nAGE-SECRET-KEY-1XYZ", True),
        ("AGE-PLUGIN-YUBIKEY-1XYZ", True),
        ("-----BEGIN OPENSSH PRIVATE KEY-----\nXYZ", True),
        (f"{SSH} AGE-SECRET-KEY-1XYZ", True),
    ],
)
def test_no_public_keys(recipient: str, secret: bool) -> None:
    with pytest.raises(PecError, match="number 2 of the recipients is " + ("a secret key" if secret else "no public key")) as caught:
        planning.refuse_recipients([AGE, recipient])
    assert "XYZ" not in str(caught.value).upper()
