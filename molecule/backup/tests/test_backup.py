# SPDX-License-Identifier: GPL-3.0-or-later
"""A server whose database was lost and restored, and its backups, through SQL and the system's own tools."""

from __future__ import annotations

import json
from typing import Any

import pytest

testinfra_hosts = ["podman://esus-pec-backup"]
DIRECTORY = '/srv/cópias de "segurança" 100%'
PASSWORD = "Senha do banco '\\\"#%1"
# The text of every row and definition from PostgreSQL's own pg_dump, compared with the text from before the loss.
DIFFERENCE = """PGPASSWORD=%s pg_dump -h 127.0.0.1 -U esus %s | grep -v -e '^.restrict' -e '^.unrestrict' | LC_ALL=C sort |
  diff /var/tmp/before.sql - | head -n 20"""


def superuser(host: Any, statement: str) -> str:
    return host.check_output("cd / && runuser -u postgres -- psql -XAtc %s", statement)


def databases(host: Any) -> list[str]:
    return superuser(host, "select datname from pg_database where not datistemplate order by 1").splitlines()


@pytest.fixture(scope="module")
def manifests(host: Any) -> list[dict[str, Any]]:
    """Oldest first."""
    paths = host.check_output("find %s -maxdepth 1 -name '*.json' | sort", DIRECTORY).splitlines()
    return [{"path": path[: -len(".json")], **json.loads(host.file(path).content)} for path in paths]


def test_nothing_is_missing(host: Any) -> None:
    assert host.file("/var/tmp/before.sql").size > 1_000_000
    assert host.check_output(DIFFERENCE, PASSWORD, "esus") == ""


def test_the_database_that_was_replaced_is_kept_and_whole(host: Any) -> None:
    (kept,) = [name for name in databases(host) if name.startswith("esus_before_")]
    assert host.check_output(DIFFERENCE, PASSWORD, kept) == ""


def test_no_database_is_left_over(host: Any) -> None:
    assert [name for name in databases(host) if "restoring" in name] == []


def test_pec_owns_what_came_back(host: Any) -> None:
    owners = "select string_agg(distinct pg_get_userbyid(relowner), ',') from pg_class where relnamespace = 'public'::regnamespace"
    assert host.check_output("cd / && runuser -u postgres -- psql -XAt -d esus -c %s", owners) == "esus"


def test_the_first_backup_was_made_by_the_timer(host: Any, manifests: list[dict[str, Any]]) -> None:
    assert host.service("esus-pec-backup.timer").is_running
    assert host.service("esus-pec-backup.timer").is_enabled
    assert host.run("systemctl is-failed esus-pec-backup.service").stdout.strip() in ("inactive", "active")
    trigger = host.check_output("systemctl show --value -p LastTriggerUSec esus-pec-backup.timer").strip()
    assert trigger not in ("", "n/a", "0")
    assert len(manifests) >= 2
    assert {manifest["municipality"] for manifest in manifests} == {"Água d'Oeste"}


def test_every_backup_is_what_its_manifest_says(host: Any, manifests: list[dict[str, Any]]) -> None:
    for manifest in manifests:
        assert host.check_output("sha256sum < %s", manifest["path"]).split()[0] == manifest["sha256"]
        attachment = manifest["attachment"]
        assert host.check_output("sha256sum < %s", f"{DIRECTORY}/{attachment['name']}").split()[0] == attachment["sha256"]
        assert manifest["pec_version"] == "5.4.37"
        assert manifest["contents"]["objects"]["tables"] > 900
        assert manifest["fingerprint"]["rows"] > 5000


def test_postgresql_reads_the_newest_dump(host: Any, manifests: list[dict[str, Any]]) -> None:
    listing = host.check_output("zstd -dcq %s | pg_restore --list", manifests[-1]["path"])
    assert "TABLE DATA public tb_cidadao" in listing


def test_the_rehearsal_was_recorded(host: Any, manifests: list[dict[str, Any]]) -> None:
    record = json.loads(host.check_output("cat /var/lib/esus-pec/backup/last-rehearsal.json"))
    assert record["sha256"] in [manifest["sha256"] for manifest in manifests]
    assert (record["pec_version"], record["seconds"]["total"] > 0) == ("5.4.37", True)
