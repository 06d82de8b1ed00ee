# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from ansible_collections.esus.pec.plugins.module_utils.transfer import modes
from ansible_collections.esus.pec.plugins.module_utils.transfer.judging import Judgement, describe, judge
from ansible_collections.esus.pec.plugins.module_utils.transfer.modes import Options
from ansible_collections.esus.pec.plugins.module_utils.transfer.picture import Database, Disk, Pec, Picture, Platform

GB = 10**9
LINUX = Platform("linux", "x86_64", "debian", "12", "2.36", 4, "America/Sao_Paulo", -180, 0.2)
OLD = Picture(
    platform=LINUX,
    pec=Pec("installed", "/opt/e-SUS", "5.4.37", False, "UBS", "https://pec.example", ports=(8080,), contra_chaves=({"a": "b"},)),
    database=Database(
        "127.0.0.1", 5433, "esus", "postgres", server_version="9.6.13", server_version_num=90613, system_identifier="7411",
        pec_version="5.4.37", size_bytes=2 * GB, table_count=1101, encoding="UTF8", collation="pt_BR.UTF-8", superuser=True,
        origin="bundled", data_directory="/opt/e-SUS/database/x/data", data_bytes=3 * GB,
    ),
    disks=(Disk("home", "/opt/e-SUS", 1, 100 * GB, 50 * GB), Disk("state", "/var/lib/esus-pec", 1, 100 * GB, 50 * GB)),
    clients=("9.6.13",),
    rsync=True,
)  # fmt: skip
NEW = Picture(
    platform=LINUX,
    pec=Pec("absent"),
    disks=(
        Disk("home", "/opt/e-SUS", 1, 100 * GB, 50 * GB),
        Disk("database", "/var/lib", 2, 100 * GB, 50 * GB),
        Disk("state", "/var/lib/esus-pec", 2, 100 * GB, 50 * GB),
    ),
    clients=("17.2",),
    rsync=True,
    listening=(22,),
)
DISTRIBUTION = {
    "origin": "distribution",
    "server_version": "15.18",
    "server_version_num": 150018,
    "data_directory": "/var/lib/postgresql/15",
}


def database(picture: Picture = OLD, **changes: Any) -> Picture:
    assert picture.database
    return replace(picture, database=replace(picture.database, **changes))


def pec(picture: Picture = OLD, **changes: Any) -> Picture:
    return replace(picture, pec=replace(picture.pec, **changes))


def platform(picture: Picture = OLD, **changes: Any) -> Picture:
    return replace(picture, platform=replace(picture.platform, **changes))


def installed(**changes: Any) -> Picture:
    """A new server with an empty PEC on it."""
    assert OLD.database
    there = replace(OLD.database, server_version="15.18", server_version_num=150018, system_identifier="7499", origin="distribution")
    return replace(NEW, pec=Pec("installed", "/opt/e-SUS", "5.4.37"), database=replace(there, **changes))


def codes(judgement: Judgement, severity: str = "") -> list[str]:
    return [finding.code for finding in judgement.findings if severity in ("", finding.severity)]


def test_nothing_is_wrong_with_a_good_transfer() -> None:
    judged = judge(OLD, NEW, Options(server_version="15"))
    assert judged.findings == () and judged.choice.mode == "stream"


@pytest.mark.parametrize(
    ("source", "target", "options", "mode"),
    [
        (OLD, NEW, Options(), "stream"),
        (database(size_bytes=38 * GB), NEW, Options(database_mode="bundled"), "physical"),
        (OLD, NEW, Options(database_mode="bundled"), "stream"),
        (database(size_bytes=38 * GB), NEW, Options(database_mode="managed"), "stream"),
        (database(size_bytes=38 * GB, **DISTRIBUTION), NEW, Options(server_version="15"), "physical"),
        (database(size_bytes=38 * GB, **DISTRIBUTION), NEW, Options(server_version="17"), "stream"),
        (database(size_bytes=38 * GB, **DISTRIBUTION), NEW, Options(server_version="15", managed=False), "stream"),
        (OLD, NEW, Options(link_mbit=100), "direct"),
        (OLD, NEW, Options(link_mbit=100, managed=False), "stream"),
        (OLD, NEW, Options(link_mbit=1000), "stream"),
        (OLD, NEW, Options(reachable=False), "relay"),
        (OLD, NEW, Options(reachable=False, managed=False), "cloud"),
        (None, NEW, Options(file=True), "file"),
        (OLD, NEW, Options(mode="cloud", remote=True), "cloud"),
    ],
)
def test_the_mode(source: Picture | None, target: Picture, options: Options, mode: str) -> None:
    chosen = modes.choose(source, target, options)
    assert chosen.mode == mode and chosen.reason


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (Options(mode="physical", managed=False, database_mode="bundled"), "not root"),
        (Options(mode="direct", managed=False), "not root"),
        (Options(mode="relay", managed=False), "not root"),
        (Options(mode="stream", reachable=False), "does not reach"),
        (Options(mode="cloud"), "no remote"),
        (Options(mode="file"), "not as a file"),
        (Options(mode="physical", database_mode="managed"), "gets another"),
        (Options(reachable=False, managed=False), "no remote"),
    ],
)
def test_a_mode_that_is_impossible_is_an_error_with_the_reason(options: Options, reason: str) -> None:
    judged = judge(OLD, NEW, options)
    errors = [finding for finding in judged.findings if finding.code == "mode"]
    assert errors and any(reason in finding.message for finding in errors) and {finding.severity for finding in errors} == {"error"}


def test_a_file_cannot_be_streamed() -> None:
    assert codes(judge(None, NEW, Options(mode="stream", file=True)), "error") == ["mode"]
    assert judge(None, NEW, Options(file=True)).findings == ()


BUNDLED = Options(database_mode="bundled")


@pytest.mark.parametrize(
    ("source", "target", "options", "reason"),
    [
        (platform(system="windows"), NEW, BUNDLED, "not both servers are Linux"),
        (platform(system=None), NEW, BUNDLED, "not both servers are Linux"),
        (platform(architecture="aarch64"), NEW, BUNDLED, "aarch64"),
        (database(origin="other"), NEW, BUNDLED, "neither"),
        (database(origin=None), NEW, BUNDLED, "not known whose"),
        (OLD, NEW, Options(database_mode="external"), "external"),
        (database(**DISTRIBUTION), NEW, Options(server_version="17"), "PostgreSQL 15 and the new one 17"),
        (database(**DISTRIBUTION), installed(server_version_num=170002), Options(), "PostgreSQL 15 and the new one 17"),
        (platform(glibc="2.24"), NEW, BUNDLED, "2.28"),
        (OLD, platform(NEW, glibc="2.27"), BUNDLED, "2.28"),
        (database(tablespaces=1), NEW, BUNDLED, "tablespaces"),
        (OLD, installed(server_version_num=90613, other_databases=("outro",)), BUNDLED, "would be replaced too: outro"),
        (replace(OLD, database=None), NEW, BUNDLED, "not known"),
    ],
)
def test_against_a_physical_copy(source: Picture, target: Picture, options: Options, reason: str) -> None:
    found = modes.against_physical(source, target, options)
    assert len(found) == 1 and reason in found[0]


def test_for_a_physical_copy() -> None:
    assert modes.against_physical(OLD, NEW, BUNDLED) == []
    assert modes.against_physical(database(**DISTRIBUTION), installed(), Options()) == []
    assert modes.against_physical(platform(glibc="2.24"), NEW, replace(BUNDLED, reindex=True)) == []
    assert modes.against_physical(platform(glibc="2.31"), NEW, BUNDLED) == []


def test_what_else_a_physical_copy_requires() -> None:
    wanted = replace(BUNDLED, mode="physical", reindex=True)
    assert codes(judge(OLD, NEW, wanted)) == []
    assert codes(judge(replace(OLD, rsync=False), NEW, wanted), "note") == ["rsync"]
    assert codes(judge(OLD, platform(NEW, glibc=None), wanted), "error") == ["glibc_unknown"]
    assert codes(judge(platform(glibc="2.24"), NEW, wanted)) == ["reindex"]
    assert codes(judge(database(other_databases=("outro",)), NEW, wanted)) == ["other_databases"]


@pytest.mark.parametrize(
    ("source", "target", "options", "code", "severity"),
    [
        (replace(OLD, database=None), NEW, Options(), "source_database", "error"),
        (database(error="no answer", pec_version=None), NEW, Options(), "source_database", "error"),
        (database(pec_version=None), NEW, Options(), "source_no_pec", "error"),
        (replace(OLD, unread=("the size of the data directory: x",)), NEW, Options(), "source_unread", "warning"),
        (pec(reasons=("a service is missing",)), NEW, Options(), "source_broken", "warning"),
        (OLD, NEW, Options(version="5.4.36"), "database_newer", "error"),
        (OLD, NEW, Options(version="5.5.28"), "update_follows", "note"),
        (OLD, NEW, Options(version="x"), "version", "error"),
        (database(pec_version="5"), NEW, Options(), "version", "error"),
        (OLD, pec(installed(), version="5.4.36"), Options(), "target_older", "error"),
        (OLD, pec(installed(), version="5.5.28"), Options(), "update_follows", "note"),
        (pec(version="5.4.36"), NEW, Options(), "source_versions", "warning"),
        (OLD, installed(system_identifier="7411"), Options(), "same_server", "error"),
        (database(**DISTRIBUTION), NEW, Options(database_mode="bundled"), "server_older", "error"),
        (database(**DISTRIBUTION), installed(server_version_num=140001), Options(), "server_older", "error"),
        (database(**DISTRIBUTION), replace(NEW, clients=("14.1",)), Options(), "client_older", "error"),
        (database(superuser=False), NEW, Options(), "no_superuser", "note"),
        (database(encoding="SQL_ASCII"), NEW, Options(), "encoding", "warning"),
        (database(collation="Portuguese_Brazil.1252"), NEW, Options(), "collation", "note"),
        (platform(clock_ahead_seconds=-400.0), NEW, Options(), "clock", "warning"),
        (OLD, platform(NEW, clock_ahead_seconds=61.0), Options(), "clock", "warning"),
        (platform(utc_offset_minutes=-240, timezone="America/Manaus"), NEW, Options(), "timezone", "warning"),
        (pec(https_mode="keystore", https_days_left=12), NEW, Options(), "https_expires", "warning"),
        (pec(https_mode="keystore", https_days_left=-1), NEW, Options(), "https_expires", "warning"),
        (pec(https_mode="certmgr", https_domain="pec.example"), NEW, Options(), "certmgr", "note"),
        (OLD, NEW, Options(domain="novo.example"), "domain_changes", "warning"),
        (pec(training=True), NEW, Options(), "training", "warning"),
        (pec(contra_chaves=None), NEW, Options(), "contra_chave", "note"),
        (pec(certificates=({"path": "/x.p12", "days_left": 3},)), NEW, Options(), "certificate_expires", "warning"),
        (pec(directories=({"key": "a", "path": "/srv/anexos"},)), NEW, Options(), "directory", "note"),
        (OLD, pec(installed(), installation_link="https://novo"), Options(), "target_in_use", "error"),
        (OLD, replace(NEW, listening=(22, 8080)), Options(), "port_taken", "error"),
    ],
)
def test_a_finding(source: Picture, target: Picture, options: Options, code: str, severity: str) -> None:
    judged = judge(source, target, options)
    assert [(finding.code, finding.severity) for finding in judged.findings] == [(code, severity)]
    assert all(finding.message and finding.remedy for finding in judged.findings)


@pytest.mark.parametrize(
    ("source", "target", "options"),
    [
        (OLD, installed(), Options()),
        (OLD, pec(installed(), installation_link="https://novo"), Options(replace=True)),
        (OLD, replace(NEW, clients=()), Options(server_version="15")),
        (OLD, NEW, Options(domain="PEC.example")),
        (platform(clock_ahead_seconds=None, utc_offset_minutes=None), NEW, Options()),
        (pec(certificates=({"path": "/x.p12", "days_left": None}, {"path": "/y.p12", "days_left": 300})), NEW, Options()),
        (pec(https_mode="keystore", https_days_left=90), NEW, Options()),
        (OLD, replace(installed(), listening=(8080,)), Options()),
        (replace(OLD, disks=()), NEW, Options()),
    ],
)
def test_what_is_no_finding(source: Picture, target: Picture, options: Options) -> None:
    assert judge(source, target, options).findings == ()


@pytest.mark.parametrize(("started", "found"), [("1764540651.5", []), ("1764540650.5", ["same_server"])])
def test_a_physical_copy_is_no_second_name_of_its_source(started: str, found: list[str]) -> None:
    there = installed(system_identifier="7411", started=started)
    assert codes(judge(database(started="1764540650.5"), there, Options())) == found


def test_gov_br_must_know_a_new_domain() -> None:
    judged = judge(pec(govbr=True), NEW, Options(domain="novo.example"))
    assert codes(judged) == ["domain_changes", "govbr_redirects"]


@pytest.mark.parametrize(
    ("mode", "free", "found"),
    [
        ("stream", 3.4, []),
        ("stream", 3.0, ["target_disk"]),
        ("direct", 4.0, []),
        ("direct", 3.7, ["target_disk"]),
        ("physical", 4.0, ["target_disk"]),
        ("physical", 4.6, []),
    ],
)
def test_room_on_the_new_server_adds_up(mode: str, free: float, found: list[str]) -> None:
    small = tuple(replace(disk, free_bytes=int(free * GB)) for disk in NEW.disks)
    judged = judge(OLD, replace(NEW, disks=small), Options(mode=mode, database_mode="bundled"))
    assert codes(judged, "error") == found


def test_a_dump_needs_room_on_the_old_server_too() -> None:
    full = replace(OLD, disks=(Disk("home", "/", 1, 100 * GB, GB), Disk("state", "/", 1, 100 * GB, GB)))
    assert codes(judge(full, NEW, Options(mode="direct"))) == ["source_disk"]
    assert codes(judge(full, NEW, Options(mode="stream"))) == []


def test_the_downtime_grows_with_the_size_but_for_a_physical_copy() -> None:
    big = database(size_bytes=38 * GB)
    for mode in ("stream", "direct", "relay", "cloud"):
        small_seconds, basis = modes.downtime(mode, OLD, Options())
        big_seconds, _basis = modes.downtime(mode, big, Options())
        assert small_seconds and big_seconds and basis == "size" and big_seconds > 600 > small_seconds > modes.PEC_START
    physical, _basis = modes.downtime("physical", big, Options())
    assert physical and physical - modes.PEC_START < 60
    assert modes.downtime("file", None, Options()) == (None, "unknown")


def test_a_slow_link_counts() -> None:
    fast, _basis = modes.downtime("direct", OLD, Options(link_mbit=1000))
    slow, _basis = modes.downtime("direct", OLD, Options(link_mbit=10))
    assert fast and slow and slow - fast > 300


def test_a_rehearsal_counts_more_than_the_size() -> None:
    measured = {"downtime_seconds": 500.0, "size_bytes": 1 * GB}
    assert modes.downtime("stream", OLD, Options(rehearsal=measured)) == (1000, "rehearsal")
    assert modes.downtime("stream", OLD, Options(rehearsal={"downtime_seconds": 500.0, "size_bytes": 0})) == (500, "rehearsal")
    assert modes.downtime("stream", OLD, Options(rehearsal={"downtime_seconds": 500.0, "size_bytes": 4 * GB})) == (500, "rehearsal")


def test_errors_come_first_and_an_accepted_one_is_a_warning() -> None:
    bad = pec(database(pec_version=None), training=True, contra_chaves=None)
    judged = judge(bad, NEW, Options())
    assert [finding.severity for finding in judged.findings] == ["error", "warning", "note"]
    accepted = judge(bad, NEW, Options(accepted=("source_no_pec",)))
    assert codes(accepted, "error") == [] and "(accepted)" in accepted.findings[0].message
    assert describe(judged).splitlines()[0].startswith("PEC cannot be transferred yet: 1 error, 1 warning.")
    assert len(describe(judged).splitlines()) == 3


def test_what_the_other_server_says_cannot_move_the_cursor() -> None:
    judged = judge(pec(certificates=({"path": "/x\x1b[2J.p12", "days_left": 3},)), NEW, Options())
    assert "\x1b" not in judged.findings[0].message
