# SPDX-License-Identifier: GPL-3.0-or-later
"""The daily backup when something fails: nothing unfinished stays, no older backup is touched, and the failure is reported."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Iterator
from typing import Any

import backing
import pytest
from backing import ANEXOS, DIRECTORY, DUMPS, PROGRAM, SERVICE, Host
from places import LAB


@pytest.fixture(scope="module")
def host(postgres: Any) -> Iterator[Host]:
    with backing.prepared(postgres) as host:
        yield host


@pytest.fixture(scope="module", autouse=True)
def first(host: Host) -> None:
    host.backup()


def test_the_database_is_down(host: Host) -> None:
    before, unit = host.names(), host.postgres.unit(15)
    host.server.run("systemctl", "stop", unit)
    try:
        run = host.playbook("backup", "--tags", "now")
        assert run.returncode != 0
        assert "No backup was made" in run.stdout
        assert "127.0.0.1" in run.stdout, "the journal says which server"
    finally:
        host.server.run("systemctl", "start", unit)
    assert host.shell(f"systemctl is-failed {SERVICE}") == "failed"
    assert "127.0.0.1:5432" in host.failure()
    host.wait_until("test -e /run/told-esus-pec-backup")
    assert host.names() == before
    assert host.start() == 0
    assert host.record("failure") is None
    assert host.shell(f"systemctl is-failed {SERVICE}", check=False) == "inactive"


def test_stopped_in_the_middle(host: Host) -> None:
    before = host.names()
    with host.hold():
        host.server.run("systemctl", "start", "--no-block", SERVICE)
        host.wait_until(DUMPS)
        second = host.server.run(PROGRAM, check=False)
        assert second.returncode == 1
        assert "another run holds the lock" in second.stderr
        host.server.run("systemctl", "stop", SERVICE)
    assert "SIGTERM" in host.failure()
    assert host.names() == before
    assert host.running() == ""


def test_killed_in_the_middle_and_run_again(host: Host) -> None:
    before = host.sets()
    with host.hold(), subprocess.Popen([LAB, "podman", "exec", host.server.name, PROGRAM]) as run:
        host.wait_until(DUMPS)
        host.shell("pkill -KILL -f ^/usr/bin/python3.*backup.pyz")
        assert run.wait() == 128 + signal.SIGKILL
        host.wait_until("! " + DUMPS)
    assert f".unfinished-{host.server.name}" in host.names()
    assert host.start() == 0
    assert any("left" in note and "killed" in note for note in host.success()["notes"])
    assert f".unfinished-{host.server.name}" not in host.names()
    assert before[-1] in host.sets()
    assert host.running() == ""


def test_the_disk_becomes_full(host: Host) -> None:
    """There is room for the dump or for the files, but not for both."""
    host.shell("mkdir -p /srv/anexos-large && head -c 24000000 /dev/urandom > /srv/anexos-large/a")
    run = host.playbook("backup", pec_backup_directory="/small/backups", pec_backup_extra_paths=["/srv/anexos-large"])
    assert run.returncode != 0
    assert "zstd failed" in run.stdout
    assert "o space left on device" in host.failure()
    assert host.shell("find /small/backups -type f") == ""
    host.shell("head -c 2000000 /dev/urandom >> /srv/anexos-large/a")
    run = host.playbook("backup", pec_backup_directory="/small/backups", pec_backup_extra_paths=["/srv/anexos-large"])
    assert "have 26 MB and only" in run.stdout, "foreseen, when it can be"
    host.shell("rm -rf /small/backups /srv/anexos-large")
    host.backup("--tags", "setup")


@pytest.mark.parametrize(
    ("variables", "says"),
    [
        ({"pec_backup_schedule": "every night"}, "systemd does not understand pec_backup_schedule"),
        ({"pec_backup_randomized_delay": "a while"}, "systemd does not understand pec_backup_randomized_delay"),
        ({"pec_backup_directory": "backups"}, "set it to an absolute path that is written out"),
        ({"pec_backup_extra_paths": ["/srv/gone"]}, "/srv/gone does not exist"),
        ({"pec_backup_extra_paths": ["/srv"]}, "which is inside it"),
        ({"pec_backup_recipients": ["AGE-SECRET-KEY-1QQQQQQQQQQQQQQQQQQQQQQQ"]}, "has something that is no public key"),
        ({"pec_backup_owner": "ninguém"}, "ninguém"),
        ({"pec_backup_database": {"port": 5999, "password": "x"}}, "127.0.0.1:5999"),
    ],
)
def test_what_would_fail_at_night_is_refused_now(host: Host, variables: dict[str, Any], says: str) -> None:
    before = host.names()
    run = host.playbook("backup", **variables)
    assert run.returncode != 0
    assert says in run.stdout.replace('\\"', '"'), run.stdout
    assert host.names() == before


@pytest.mark.parametrize(
    ("variables", "says"),
    [
        ({}, "0 dumps are set"),
        ({"pec_restore_path": "/srv/x", "pec_restore_directory": "/srv"}, "2 dumps are set"),
        ({"pec_restore_directory": DIRECTORY, "pec_restore_force": True}, "set pec_restore_replace to true"),
        ({"pec_restore_directory": DIRECTORY, "pec_restore_where": {"pec_version": "1.2.3"}}, "pec_version 1.2.3"),
    ],
)
def test_what_a_restore_refuses(host: Host, variables: dict[str, Any], says: str) -> None:
    before = host.postgres.databases(15)
    run = host.playbook("restore", **variables)
    assert run.returncode != 0
    assert says in run.stdout, run.stdout
    assert host.postgres.databases(15) == before


def test_the_service_can_work_within_its_limits(start_server: Any) -> None:
    """In an ordinary container systemd cannot restrict a service; in a privileged one it can, as on a real server."""
    server = start_server("esus-pec-backup-limits", "debian12", "--privileged")
    limited = Host(type("Limited", (), {"server": server}))
    packages = "apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends postgresql zstd age"
    limited.shell(packages)
    for statement in ("create role esus login superuser password 'segredo'", "create database esus owner esus"):
        limited.shell('cd / && runuser -u postgres -- psql -qXc "$1"', statement)
    limited.shell("PGPASSWORD=segredo psql -qX -h 127.0.0.1 -U esus -c 'create table t as select 1 as a'")
    limited.shell('mkdir -p "$1" && echo x > "$1/a" && chown -R 1234 "$1" && chmod 700 "$1"', ANEXOS)
    recipient = limited.shell("age-keygen -o /root/key 2>/dev/null; age-keygen -y /root/key")
    limited.shell("useradd -d /home/copia copia")
    limited.backup(
        pec_backup_directory="/home/copia/back ups 50%",
        pec_backup_database={"password": "segredo"},
        pec_backup_owner="copia",
        pec_backup_group="copia",
        pec_backup_recipients=[recipient],
    )
    journal = limited.shell(f"journalctl --quiet --output=cat --unit={SERVICE}")
    assert "ignoring" not in journal
    assert set(limited.shell("stat -c '%U %a' /home/copia/back*/*").splitlines()) == {"copia 600"}
    names = limited.shell("cat /home/copia/back*/*.files.tar.zst.age | age -d -i /root/key | zstd -dc | tar -t").splitlines()
    assert len(names) == 2
    assert limited.record("failure") is None
