# SPDX-License-Identifier: GPL-3.0-or-later
"""A cluster moves between two servers by transfer_key, transfer_access and physical_copy, and the key for it opens nothing else."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest
from transferring import DATA, PASSWORD, Pair

UNIT = "postgresql@15-main"
STATE = "SELECT count(*), md5(string_agg(md5(x), '' ORDER BY i)) FROM rows_of_the_test"
# Reaches a socket of the source through the key's own account, and prints what PostgreSQL answers to a question without a login.
REACH_SOCKET = """
rm -f /root/there; timeout -s KILL 15 "$@" -N -L /root/there:/var/run/postgresql/.s.PGSQL.5432 {user}@{host} >/root/said 2>&1 </dev/null &
timeout 10 sh -c 'until [ -S /root/there ]; do sleep 0.1; done'
python3 -c 'import socket
s = socket.socket(socket.AF_UNIX); s.settimeout(5); s.connect("/root/there"); s.send(bytes.fromhex("0000000804d2162f")); print(s.recv(1))'
"""


@pytest.fixture(scope="module")
def pair(start_server: Any) -> Pair:
    found = Pair(start_server("esus-pec-physical-old"), start_server("esus-pec-physical-new"), {})
    found.prepare()
    return found


@pytest.fixture
def allowed(pair: Pair) -> Iterator[Pair]:
    """With the access given for the test."""
    given = pair.allow()
    assert not given["_failed"] and given["changed"], given
    yield pair
    assert pair.old.module("esus.pec.transfer_access", {"state": "absent"})["changed"]


def copy(pair: Pair, which: str, *, check: bool = False, **options: Any) -> dict[str, Any]:
    given = {"ssh": pair.ssh, "rsync": {"password": PASSWORD}, "data_directory": DATA, "pass": which, **options}
    result: dict[str, Any] = pair.new.module("esus.pec.physical_copy", given, check=check)
    assert PASSWORD not in result["_output"]
    return result


def rsync(pair: Pair, *words: str, module: str = "data", password: str = PASSWORD) -> Any:
    """Run rsync as root of the target, by the key."""
    connect = (
        f"ssh -F none -o BatchMode=yes -o UserKnownHostsFile={pair.ssh['known_hosts_path']} -i {pair.ssh['key_path']} -W 127.0.0.1:874 "
    )
    connect += f"{pair.ssh['user']}@{pair.ssh['host']}"
    environment = ["env", f"RSYNC_PASSWORD={password}", f"RSYNC_CONNECT_PROG={connect}"]
    return pair.new.run(*environment, "rsync", *words[:-1], f"rsync://{pair.ssh['user']}@localhost/{module}/", words[-1], check=False)


def test_the_access_is_given_once_and_leaves_nothing(pair: Pair) -> None:
    before = pair.old.shell("getent passwd; ls /var/lib /run/systemd/system /etc/ssh/sshd_config.d")
    checked = pair.allow(check=True)
    assert checked["changed"] and pair.old.shell("getent passwd; ls /var/lib /run/systemd/system /etc/ssh/sshd_config.d") == before
    given = pair.allow()
    assert given["actions"] == checked["actions"] == ["account", "key", "sshd", "rsync"]
    assert not pair.allow()["changed"] and not pair.allow(check=True)["changed"]
    pair.old.run("systemctl", "kill", "-s", "KILL", "esus-pec-transfer-rsync")
    pair.old.shell("until systemctl is-failed -q esus-pec-transfer-rsync; do sleep 0.1; done")
    assert pair.allow()["actions"] == ["rsync"]
    removed = pair.old.module("esus.pec.transfer_access", {"state": "absent"})
    assert removed["changed"] and not pair.old.module("esus.pec.transfer_access", {"state": "absent"})["changed"]
    assert pair.old.shell("getent passwd; ls /var/lib /run/systemd/system /etc/ssh/sshd_config.d") == before
    assert "874" not in pair.old.shell("ss -Hltn")


def test_the_key_opens_two_ports_and_nothing_else(allowed: Pair) -> None:
    assert "RSYNCD" in allowed.login("-W", "127.0.0.1:874", "").stdout  # it works for what it is for
    for words in (("id",), ("-tt", "id"), ("-s", "sftp")):
        run = allowed.login(*words)
        assert run.returncode != 0 and "uid=" not in run.stdout
    for place in ("127.0.0.1:22", "127.0.0.1:873", "localhost:5432", f"{allowed.new.address}:22"):
        assert allowed.login("-W", place, "").returncode == 255
    listening = ["-N", "-o", "ExitOnForwardFailure=yes", "-R"]
    assert allowed.login(*listening, "127.0.0.1:9999:127.0.0.1:22", "").returncode == 255


def test_the_key_reaches_no_socket_of_the_source(allowed: Pair) -> None:
    ssh = ["ssh", "-F", "none", "-o", f"UserKnownHostsFile={allowed.ssh['known_hosts_path']}", "-i", allowed.ssh["key_path"]]
    script = REACH_SOCKET.format(**allowed.ssh)
    allowed.old.shell("rm /etc/ssh/sshd_config.d/*esus-pec*; systemctl restart ssh")  # the key's options are enough
    assert allowed.new.run("sh", "-c", script, "sh", *ssh, check=False).stdout.strip() in ("", "b''")
    assert "open failed" in allowed.new.shell("cat /root/said")
    # Without them the key reaches it.
    allowed.old.shell("sed -i 's/permitopen=[^ ,]*,//g' /var/lib/esus-pec-transfer/.ssh/authorized_keys")
    assert allowed.new.run("sh", "-c", script, "sh", *ssh, check=False).stdout.strip() in ("b'S'", "b'N'")
    assert {"key", "sshd"} <= set(allowed.allow()["actions"])


def test_the_key_makes_no_socket_on_the_source(allowed: Pair) -> None:
    """The options of a key do not prevent it, so sshd has a file for the account."""
    listening = ["-N", "-o", "ExitOnForwardFailure=yes", "-R", "/tmp/listens:127.0.0.1:22", ""]
    assert allowed.login(*listening).returncode == 255
    allowed.old.shell("rm /etc/ssh/sshd_config.d/*esus-pec*; systemctl restart ssh")
    assert allowed.login(*listening, seconds=5).returncode == 124
    allowed.old.shell("rm /tmp/listens")
    assert allowed.allow()["actions"] == ["sshd"]
    assert allowed.login(*listening).returncode == 255


def test_what_rsync_gives_and_to_whom(allowed: Pair) -> None:
    allowed.old.shell("mkdir -p /srv/served && cd /srv/served && echo plain >plain && ln -sf /etc/shadow one && ln -sfn /etc two")
    assert allowed.allow(directories=[{"name": "data", "path": DATA}, {"name": "files", "path": "/srv/served"}])["actions"] == ["rsync"]
    allowed.new.shell("rm -rf /root/got; mkdir /root/got")
    assert rsync(allowed, "-rl", "/root/got/", module="files").returncode == 0
    assert allowed.new.shell("cat /root/got/plain; readlink /root/got/one /root/got/two") == "plain\n/etc/shadow\n/etc\n"
    for option in ("-rL", "-rk", "-r", "--copy-unsafe-links"):
        allowed.new.shell("rm -rf /root/got; mkdir /root/got")
        rsync(allowed, option, "-r", "/root/got/", module="files")
        assert allowed.new.shell("find /root/got -mindepth 1 ! -name plain") == ""
    assert rsync(allowed, "-r", "/root/got/", module="etc").returncode == 5
    assert rsync(allowed, "-r", "/root/got/", password="outra-senha-errada").returncode == 5
    writing = allowed.new.run("env", f"RSYNC_PASSWORD={PASSWORD}", "rsync", "/etc/hostname", "rsync://x@localhost/files/", check=False)
    assert writing.returncode != 0
    # Another account of the source finds neither the password nor a way around it.
    as_nobody = ["runuser", "-u", "nobody", "--"]
    asked = allowed.old.run(*as_nobody, "rsync", "-r", "rsync://esus-pec-transfer@127.0.0.1:874/data/", "/tmp/x/", check=False)
    assert asked.returncode == 5
    assert allowed.old.run(*as_nobody, "cat", "/run/esus-pec-transfer/secrets", check=False).returncode != 0
    assert PASSWORD not in allowed.old.run("sh", "-c", "cat /proc/*/cmdline 2>/dev/null", check=False).stdout
    assert allowed.allow()["actions"] == ["rsync"]


def test_what_forbids_the_access(pair: Pair) -> None:
    pair.old.shell("echo 'AllowUsers root suporte' >/etc/ssh/sshd_config.d/00-ours.conf")
    try:
        refused = pair.allow()
        assert refused["_failed"] and "AllowUsers (root suporte) leaves out esus-pec-transfer" in refused["msg"]
    finally:
        pair.old.shell("rm /etc/ssh/sshd_config.d/00-ours.conf")
    pair.old.shell("useradd -m -s /bin/bash esus-pec-transfer")
    try:
        for state in ({}, {"state": "absent"}):
            refused = pair.allow(**state)
            assert refused["_failed"] and "the account esus-pec-transfer exists" in refused["msg"]
        assert pair.old.run("test", "-d", "/home/esus-pec-transfer").returncode == 0
    finally:
        pair.old.shell("userdel -r esus-pec-transfer 2>/dev/null")


def test_a_cluster_is_copied_in_two_passes(allowed: Pair) -> None:
    old, new = allowed.old, allowed.new
    make = "INSERT INTO rows_of_the_test SELECT i, repeat(md5(i::text), 20) FROM generate_series({}) i"
    allowed.sql(old, "CREATE TABLE rows_of_the_test (i int PRIMARY KEY, x text);" + make.format("1, 20000"))
    allowed.sql(new, "CREATE TABLE of_the_target (i int); ALTER SYSTEM SET application_name = 'the target';")
    assert copy(allowed, "first", check=True)["action"] == "first"
    assert new.shell(f"ls -d {DATA}*") == f"{DATA}\n"

    # Killed in the middle, while both servers work.
    running = threading.Thread(target=copy, args=(allowed, "first"), kwargs={"bandwidth": 3000})
    running.start()
    new.shell(f"timeout 120 sh -c 'until [ $(find {DATA}.*incoming -type f 2>/dev/null | wc -l) -gt 100 ]; do sleep 0.1; done'")
    new.shell("kill -9 $(cut -d' ' -f1 /run/esus-pec/physical-copy.lock)")
    running.join()
    new.shell("timeout 20 sh -c 'while pgrep -x rsync; do sleep 0.1; done'")
    assert allowed.sql(new, "SELECT count(*) FROM of_the_target") == "0"
    first = copy(allowed, "first")
    assert first["action"] == "first" and first["changed"], first
    whole = first["transferred_bytes"]
    assert copy(allowed, "first")["transferred_bytes"] < whole / 10

    allowed.sql(old, make.format("20001, 21000") + "; CHECKPOINT; DROP TABLE IF EXISTS none; DELETE FROM rows_of_the_test WHERE i < 100")
    expected = allowed.sql(old, STATE)
    new.run("systemctl", "stop", UNIT)
    assert "not stopped" in copy(allowed, "final")["msg"]
    old.run("systemctl", "stop", UNIT)
    new.run("systemctl", "start", UNIT)
    assert "runs on this host" in copy(allowed, "final")["msg"]
    new.run("systemctl", "stop", UNIT)
    final = copy(allowed, "final")
    assert final["action"] == "final" and final["transferred_bytes"] < whole, final
    assert copy(allowed, "final")["action"] == "none"

    new.run("systemctl", "start", UNIT)
    assert allowed.sql(new, STATE) == expected
    assert allowed.sql(new, "SHOW application_name") != ""
    assert "the target" in new.shell(f"cat {DATA}/postgresql.auto.conf")
    assert new.shell(f"stat -c '%U:%G %a' {DATA} {DATA}/base") == "postgres:postgres 700\n" * 2
    assert new.shell(f"find {DATA} ! -user postgres -o -type l") == ""
    # The replaced cluster is whole.
    new.run("systemctl", "stop", UNIT)
    new.shell(f"mv {DATA} {DATA}.copied; mv {final['kept']} {DATA}")
    new.run("systemctl", "start", UNIT)
    assert allowed.sql(new, "SELECT count(*) FROM of_the_target") == "0"
    old.run("systemctl", "start", UNIT)
    assert allowed.sql(old, STATE) == expected


def test_tablespaces_are_refused(allowed: Pair) -> None:
    allowed.old.shell("install -d -o postgres /srv/space")
    allowed.sql(allowed.old, "CREATE TABLESPACE outside LOCATION '/srv/space'")
    try:
        refused = copy(allowed, "first")
        assert refused["_failed"] and "pg_tblspc" in refused["msg"] and "symbolic link" in refused["msg"]
    finally:
        allowed.sql(allowed.old, "DROP TABLESPACE outside")


def test_errors_of_the_way(allowed: Pair) -> None:
    assert "rsync.module" in copy(allowed, "first", rsync={"password": PASSWORD, "module": "../etc"})["msg"]
    assert "transfer_access" in copy(allowed, "first", rsync={"password": PASSWORD, "module": "other"})["msg"]
    assert "the password of" in copy(allowed, "first", rsync={"password": "x" * 20})["msg"]
    assert "does not allow esus-pec-transfer to forward" in copy(allowed, "first", rsync={"password": PASSWORD, "port": 873})["msg"]
    allowed.old.shell("systemctl stop esus-pec-transfer-rsync")
    assert "nothing answers at 127.0.0.1:874" in copy(allowed, "first")["msg"]
