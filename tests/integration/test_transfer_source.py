# SPDX-License-Identifier: GPL-3.0-or-later
"""A PEC that is to be moved: looked at, frozen, given back and retired, on one server with the stand-in and its own PostgreSQL.

And one behind SSH, where nothing can be run.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from installed import install, prepare, wait
from secret_search import in_text, on_server
from windows_source import GOVBR_SECRET, KEYSTORE_PASSWORD, WEBSERVER, WindowsSource
from windows_source import PASSWORD as WINDOWS_PASSWORD

NAME = "esus-pec-transfer-source"
VERSION = "5.4.37"
COPY = "/var/lib/esus-pec/transfer/files"
MARK = "/var/lib/esus-pec/transfer-source.json"
PROPERTIES = "/opt/e-SUS/webserver/config/application.properties"
WITHOUT_CLEAN_UP = ("alter system set autovacuum = off", "select pg_reload_conf()")
"""It takes numbers of transactions whenever it likes."""
PEC, DATABASE = "e-SUS-PEC", "e-SUS-AB-PostgreSQL"


@dataclass
class Source:
    """The server, as an operator on it sees it."""

    server: Any

    @property
    def password(self) -> str:
        return str(self.server.shell(f"sed -n 's/^spring.datasource.password=//p' {PROPERTIES}")).strip()

    def sql(self, statement: str) -> str:
        argv = [
            "env",
            f"PGPASSWORD={self.password}",
            "psql",
            "-XAtq",
            "-h",
            "127.0.0.1",
            "-p",
            "5433",
            "-U",
            "postgres",
            "-d",
            "esus",
            "-c",
        ]
        return str(self.server.run(*argv, statement).stdout).strip()

    def answers(self) -> bool:
        return self.server.run("bash", "-c", "exec 3<>/dev/tcp/127.0.0.1/8080", check=False).returncode == 0

    def is_(self, what: str, unit: str) -> bool:
        return self.server.run("systemctl", f"is-{what}", "--quiet", unit, check=False).returncode == 0

    def service(self, state: str, target: str = "novo", *, check: bool = False, **more: Any) -> dict[str, Any]:
        arguments = {"state": state, "target": target, "timeout": 60, **more}
        found: dict[str, Any] = self.server.module("esus.pec.transfer_source_service", arguments, check=check)
        assert self.password not in found["_output"]
        return found


@pytest.fixture(scope="module")
def source(start_server: Any, jar: Any) -> Source:
    server = start_server(NAME)
    prepare(server)
    path: Path = jar(VERSION)
    install(server, path)
    found = Source(server)
    for statement in WITHOUT_CLEAN_UP:
        found.sql(statement)
    return found


@pytest.fixture
def serving(source: Source) -> Iterator[Source]:
    """The source in service, before and after a test."""
    yield source
    source.service("serving", force=True)
    assert source.is_("active", PEC) and source.is_("enabled", PEC) and source.is_("active", DATABASE)


def test_the_picture_of_a_server(serving: Source) -> None:
    source = serving
    now = float(source.server.shell("date +%s"))
    found = source.server.module("esus.pec.transfer_source", {"controller_time": now - 600})
    assert not found["_failed"] and not found["changed"], found["_output"]
    assert in_text(found["_output"], [source.password]) == []
    seen = found["picture"]
    assert seen["unread"] == []
    machine = seen["platform"]
    assert (machine["system"], machine["architecture"]) == ("linux", source.server.shell("uname -m").strip())
    assert machine["glibc"] == source.server.shell("ldd --version").splitlines()[0].split()[-1]
    assert 600 <= machine["clock_ahead_seconds"] < 660
    assert (seen["pec"]["state"], seen["pec"]["version"], seen["pec"]["training"]) == ("installed", VERSION, False)
    assert (seen["pec"]["ports"], seen["pec"]["https_mode"], seen["pec"]["govbr"]) == ([8080], "none", False)
    database = seen["database"]
    assert database["system_identifier"] == source.sql("select system_identifier from pg_control_system()")
    assert database["size_bytes"] == int(source.sql("select pg_database_size('esus')"))
    assert (database["origin"], database["data_directory"]) == ("bundled", source.sql("show data_directory"))
    assert database["data_bytes"] > database["size_bytes"] // 2
    assert database["biggest_tables"][0]["name"].startswith("public.")
    assert {disk["purpose"] for disk in seen["disks"]} == {"home", "database", "state", "temporary"}
    assert {22, 5433, 8080} & set(seen["listening"]) >= {5433, 8080}


def test_frozen_and_what_is_written_after_it(serving: Source) -> None:
    source = serving
    made = source.server.module("esus.pec.dump", {"path": "/root/before.dump", "fingerprint": True})
    assert not made["_failed"], made["_output"]
    manifest = json.loads(source.server.shell(f"cat {made['path']}.json"))

    foretold = source.service("frozen", check=True)
    assert foretold["changed"] and source.answers() and source.is_("active", PEC)
    frozen = source.service("frozen")
    assert not frozen["_failed"], frozen["_output"]
    assert (frozen["changed"], frozen["state"], frozen["target"], frozen["written_since"]) == (True, "frozen", "novo", None)
    assert not source.answers() and not source.is_("active", PEC)
    assert (frozen["database"], frozen["system_identifier"]) == ("esus", source.sql("select system_identifier from pg_control_system()"))
    assert frozen["last_transaction"] == int(source.sql("select txid_snapshot_xmax(txid_current_snapshot())"))
    assert source.server.shell(f"stat -c '%a %U' {MARK}").strip() == "600 root"

    again = source.service("frozen")
    assert (again["changed"], again["written_since"], again["last_transaction"]) == (False, "no", frozen["last_transaction"])
    source.sql("select txid_current()")  # as a clean-up by the server takes one
    assert source.service("frozen")["written_since"] == "maybe"
    same = source.service("frozen", fingerprint=manifest["fingerprint"])
    assert (same["written_since"], same["changed"], same["last_transaction"]) == ("no", False, frozen["last_transaction"])
    source.sql("update tb_config_sistema set ds_texto = 'outra' where co_config_sistema = 'NOMEINSTALACAO'")
    late = source.service("frozen", fingerprint=manifest["fingerprint"])
    assert (late["written_since"], late["changed"]) == ("yes", True) and late["last_transaction"] > frozen["last_transaction"]

    refused = source.service("frozen", "outro")
    assert refused["_failed"] and "'novo'" in refused["msg"] and not source.is_("active", PEC)
    assert source.service("serving", "outro")["_failed"] and not source.is_("active", PEC)
    assert source.service("serving")["changed"]
    wait(source.server)
    assert not source.service("serving")["changed"]
    assert source.server.run("test", "-e", MARK, check=False).returncode == 1


def test_a_program_that_may_still_write_keeps_pec_in_service(serving: Source) -> None:
    source = serving
    login = f"PGPASSWORD={source.password} PGAPPNAME=importador psql -XAtq -h 127.0.0.1 -p 5433 -U postgres -d esus"
    source.server.shell(f"{login} -c 'select pg_sleep(60)' >/dev/null 2>&1 & sleep 1")
    refused = source.service("frozen", timeout=3)
    assert refused["_failed"] and "importador" in refused["msg"]
    assert source.is_("active", PEC) and source.server.run("test", "-e", MARK, check=False).returncode == 1
    source.sql("select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'importador'")


def test_retired_is_whole_and_comes_back(serving: Source) -> None:
    source = serving
    assert source.service("retired")["_failed"] and source.is_("active", PEC)
    source.service("frozen")
    before = source.server.shell("find /opt/e-SUS /etc/pec.config -not -path '*/data/*' -not -path '*/logs/*' | sort | sha256sum")
    assert source.service("retired", check=True)["changed"] and source.is_("enabled", PEC)
    retired = source.service("retired")
    assert not retired["_failed"] and retired["state"] == "retired", retired["_output"]
    for unit in (PEC, DATABASE):
        assert not source.is_("active", unit) and not source.is_("enabled", unit)
    assert source.server.shell("find /opt/e-SUS /etc/pec.config -not -path '*/data/*' -not -path '*/logs/*' | sort | sha256sum") == before
    assert not source.service("retired")["changed"]
    assert on_server(source.server.shell, [source.password], "/var/lib/esus-pec", "/run/esus-pec") == []
    source.service("serving")
    wait(source.server)
    assert source.is_("enabled", PEC) and source.is_("enabled", DATABASE)


def test_a_server_where_nothing_can_be_run(start_server: Any) -> None:
    """The new server is the same one here; what it knows of the old one comes by SSH and from a copy of its files."""
    server = start_server(f"{NAME}-windows")
    old = WindowsSource(server).prepared()
    for statement in WITHOUT_CLEAN_UP:
        old.sql("postgres", statement)
    server.shell(f"sed -i 's/^PermitOpen.*/& 127.0.0.1:8080/' /etc/ssh/sshd_config.d/windows.conf; systemctl restart ssh; mkdir -p {COPY}")
    server.shell(f"cp -r '{WEBSERVER}' {COPY}/")
    reach = {"ssh": old.allow(server), "home": COPY}

    found = server.module("esus.pec.transfer_source", {**reach, "controller_time": float(server.shell("date +%s")) + 600})
    assert not found["_failed"], found["_output"]
    assert in_text(found["_output"], [WINDOWS_PASSWORD, KEYSTORE_PASSWORD, GOVBR_SECRET]) == []
    seen = found["picture"]
    assert seen["database"]["system_identifier"] == old.sql("esus", "select system_identifier from pg_control_system()")
    assert (seen["database"]["host"], seen["database"]["port"], seen["database"]["collation"]) == ("localhost", 5433, "pt_BR.UTF-8")
    assert -600 <= seen["platform"]["clock_ahead_seconds"] < -500
    assert (seen["pec"]["https_mode"], seen["pec"]["govbr"], seen["disks"]) == ("certmgr", True, [])

    def service(state: str, **more: Any) -> dict[str, Any]:
        result: dict[str, Any] = server.module("esus.pec.transfer_source_service", {**reach, "state": state, "target": "novo", **more})
        assert in_text(result["_output"], [WINDOWS_PASSWORD]) == []
        return result

    server.shell("systemd-run --quiet --unit pec-do-windows python3 -m http.server 8080; sleep 1")
    refused = service("frozen", timeout=3)
    assert refused["_failed"] and "8080" in refused["msg"] and any("net stop" in step for step in refused["steps"])
    server.shell("systemctl stop pec-do-windows")
    frozen = service("frozen", timeout=20)
    assert not frozen["_failed"] and frozen["changed"] and not frozen["notes"], frozen["_output"]
    assert frozen["last_transaction"] == int(old.sql("esus", "select txid_snapshot_xmax(txid_current_snapshot())"))
    again = service("frozen", timeout=20)
    assert (again["written_since"], again["changed"]) == ("no", False)
    old.sql("esus", "create table nova (a int)")
    assert service("frozen", timeout=20)["written_since"] == "maybe"
    assert service("retired")["changed"] and not service("retired")["changed"]
    assert service("frozen", ports=[9999], timeout=20)["notes"]
    assert service("serving")["changed"] and not service("serving")["changed"]
