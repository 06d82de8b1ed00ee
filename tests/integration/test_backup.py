# SPDX-License-Identifier: GPL-3.0-or-later
"""The daily backup on a real server, seen through systemctl, tar, age, pg_restore and SQL."""

from __future__ import annotations

import base64
import json
import os
import re
import shlex
from collections.abc import Iterator
from typing import Any

import backing
import pytest
from backing import ANEXOS, DIRECTORY, FILES, MUNICIPALITY, PROGRAM, SERVICE, STATE, WEBSERVER, Host
from postgres import PASSWORD
from secret_search import JOURNAL, in_text, on_server


@pytest.fixture(scope="module")
def host(postgres: Any) -> Iterator[Host]:
    with backing.prepared(postgres) as host:
        yield host


@pytest.fixture(scope="module", autouse=True)
def first(host: Host) -> tuple[str, dict[str, Any]]:
    """The first run of the playbook, on a server without backups: its output, and the record for monitoring."""
    output = host.backup("--diff")
    return output, host.success()


def test_the_dump_is_one(host: Host, first: tuple[str, dict[str, Any]]) -> None:
    record = first[1]
    assert record["path"].startswith(f"{DIRECTORY}/agua-d-oeste-50-touch-broken-esus-")
    assert record["municipality"] == MUNICIPALITY
    assert host.shell('sha256sum < "$1"', record["path"]).split()[0] == record["sha256"]
    listing = host.shell('/usr/lib/postgresql/17/bin/pg_restore --list "$1"', record["path"])
    assert "TABLE DATA public tb_config_sistema" in listing
    sizes = host.shell('stat -c %s "$1" "$2"', record["path"], record["files"]).split()
    assert sum(map(int, sizes)) == record["bytes"]
    manifest = json.loads(host.shell('cat "$1"', record["manifest"]))
    assert manifest["sha256"] == record["sha256"]
    assert manifest["fingerprint"]["rows"] > 1000
    assert manifest["attachment"]["sha256"] == host.shell('sha256sum < "$1"', record["files"]).split()[0]


def test_the_files_are_those_of_pec(host: Host, first: tuple[str, dict[str, Any]]) -> None:
    script = 'rm -rf /tmp/restored && mkdir /tmp/restored && tar -C /tmp/restored --zstd -xpf "$1" && cd /tmp/restored && find . -type f'
    found = {path[1:] for path in host.shell(script, first[1]["files"]).splitlines()}
    assert found == {path for path in FILES if not path.endswith((".jar", ".sh"))} | {f"{WEBSERVER}/config/application.properties"}
    for path in found:
        assert host.shell('cmp "/tmp/restored$1" "$1" && stat -c %a "/tmp/restored$1"', path) == "600"


def test_nobody_else_reads_them(host: Host) -> None:
    assert host.shell('stat -c %a "$1"', DIRECTORY) == "700"
    assert set(host.shell('stat -c %a "$1"/*', DIRECTORY).split()) == {"600"}
    assert host.shell("stat -c %a /etc/esus-pec/backup.json") == "600"


def test_names_are_only_names(host: Host) -> None:
    assert host.shell("find / -xdev -name broken") == ""
    for name in ("ReadWritePaths", "RequiresMountsFor"):
        shown = host.shell(f"systemctl show {SERVICE} --property={name} --value")
        assert DIRECTORY in shlex.split(shown.replace("\\$", "$"))


def test_no_secret_is_written(host: Host, first: tuple[str, dict[str, Any]]) -> None:
    assert in_text(first[0], [PASSWORD]) == []
    assert in_text(host.shell('cat "$1"', first[1]["manifest"]), [PASSWORD]) == []
    assert on_server(host.shell, [PASSWORD], JOURNAL, STATE, "/etc/esus-pec", "/etc/systemd/system") == []


def test_setting_up_again_changes_nothing(host: Host) -> None:
    before = host.sets()
    assert "changed=0 " in host.backup("--tags", "setup")
    assert host.sets() == before
    assert "01:30:00" in host.shell("systemctl show --property=TimersCalendar --value esus-pec-backup.timer")


def test_check_mode_changes_nothing_and_foretells(host: Host) -> None:
    before = host.names()
    assert "changed=0 " in host.backup("--check", "--diff", "--tags", "setup")
    host.backup("--check", "--diff")
    foretold = host.server.module("esus.pec.backup", check=True)
    assert foretold["changed"]
    assert os.path.dirname(foretold["path"]) == DIRECTORY
    assert foretold["plan"]["database"] == "esus"
    assert ANEXOS in foretold["paths"]
    assert host.names() == before


def test_the_module_does_the_same(host: Host) -> None:
    made = host.server.module("esus.pec.backup")
    assert made["changed"], made
    assert os.path.basename(made["path"]) in host.sets()
    assert host.success()["sha256"] == made["sha256"]


def test_by_hand(host: Host) -> None:
    before = host.sets()
    assert host.success()["path"] != (told := host.shell(PROGRAM))
    assert f"backup of database 'esus': {host.success()['path']}, " in told
    assert len(host.sets()) == len(before) + 1 or len(host.success()["pruned"]) == 1


KEEP_TWO = {"pec_backup_keep_last": 2, "pec_backup_keep_daily": 1, "pec_backup_keep_weekly": 0, "pec_backup_keep_monthly": 0}


def test_only_what_is_kept_stays(host: Host) -> None:
    by_hand = host.server.module("esus.pec.dump", {"path": f"{DIRECTORY}/before update.dump", "schema_only": True})
    assert by_hand["changed"]
    host.server.put("mine", f"{DIRECTORY}/notes.txt")
    host.backup("--tags", "setup", **KEEP_TWO)
    for _night in range(3):
        assert host.start() == 0
    newest = os.path.basename(host.success()["path"])
    sets = host.sets()
    assert len(sets) == 3
    assert {"before update.dump", newest} <= set(sets)
    assert "notes.txt" in host.names()
    assert len(host.names()) == 2 * 3 + 2 + 1, "a dump by hand has no archive of files"
    host.shell('rm "$1/before update.dump"*', DIRECTORY)


def test_a_broken_set_is_neither_counted_nor_removed(host: Host) -> None:
    host.backup("--tags", "setup", **KEEP_TWO)
    for _night in range(2):
        assert host.start() == 0
    oldest, newest = host.sets()
    host.shell('truncate -s -1 "$1/$2"', DIRECTORY, newest)
    assert host.start() == 0
    assert host.start() == 0
    assert newest in host.sets()
    assert oldest not in host.sets()
    record = host.success()
    assert len(record["incomplete"]) == 1
    assert newest in record["incomplete"][0]
    host.shell('rm "$1/$2"*', DIRECTORY, newest)


def test_encrypted(host: Host) -> None:
    host.backup("--tags", "setup")  # reset what the tests before have changed
    recipient = host.shell("rm -f /root/key; age-keygen -o /root/key 2>/dev/null; age-keygen -y /root/key")
    host.backup(pec_backup_recipients=[recipient])
    record = host.success()
    assert record["encrypted"]
    assert record["path"].endswith(".age")
    assert record["files"].endswith(".files.tar.zst.age")
    for name in ("path", "files"):
        assert host.shell('head -c 21 "$1"', record[name]) == "age-encryption.org/v1"
    names = host.shell('age -d -i /root/key "$1" | zstd -dc | tar -t', record["files"])
    assert f"{WEBSERVER}/chaves/rnds.p12"[1:] in names.splitlines()
    restore = 'age -d -i /root/key "$1" | (zstd -dcf 2>/dev/null || cat) | /usr/lib/postgresql/17/bin/pg_restore --list'
    assert "TABLE DATA public tb_config_sistema" in host.shell(restore, record["path"])
    assert on_server(host.shell, [host.shell("grep SECRET /root/key")], JOURNAL, DIRECTORY, "/etc", STATE) == []
    asked = re.search(r"run: (echo \S+ \| base64 -d \| age -d -i )KEY", host.backup("--tags", "prove"))
    assert asked
    host.backup("--tags", "prove", pec_backup_proof=host.shell(f"{asked[1]} /root/key"))
    assert json.loads(host.shell(f"cat {STATE}/opened.json")) == {"recipients": [recipient]}
    host.rehearse(pec_backup_rehearse_identity=host.shell("cat /root/key"))
    host.backup("--tags", "setup")


def test_check_mode_on_an_empty_server(start_server: Any) -> None:
    """Without PEC and without a client of PostgreSQL nothing fails, and nothing is written."""
    empty = Host(type("Empty", (), {"server": start_server("esus-pec-backup-empty")}))
    empty.shell("touch /var/tmp/before")
    output = empty.backup("--check", "--diff")
    assert "failed=0" in output
    assert "changed=0 " not in output
    touched = empty.shell("find /etc /usr /srv /opt /var/lib /var/backups -newer /var/tmp/before").splitlines()
    assert [path for path in touched if not path.startswith(("/var/lib/apt", "/var/lib/systemd"))] == []


RCLONE = """\
[nuvem]
type = webdav
url = http://127.0.0.1:8099
vendor = other
user = pec
pass = {obscured}
[cofre]
type = crypt
remote = nuvem:enc
password = {obscured}
"""
CLOUD_PASSWORD = "senha-da-nuvem-8347"


def test_a_delivery(host: Host) -> None:
    """To an encrypted remote over WebDAV, seen through rclone's own programs and a mail server that prints what it gets."""
    assert host.start() == 0  # a backup that is not encrypted
    made = host.success()
    mail = {"pec_smtp_host": "127.0.0.1", "pec_smtp_port": 2525, "pec_smtp_security": "none", "pec_smtp_sender": "pec@example.org"}
    given = {
        "pec_delivery_config": "[nuvem]\ntype = webdav\nurl = http://127.0.0.1:8099\n",
        "pec_delivery_mail_to": ["ti@example.org"],
        **mail,
    }
    refused = host.playbook("deliver", **given, pec_delivery_remote="nuvem:pec")
    assert (refused.returncode, "LGPD, Art. 46" in refused.stdout) == (2, True), refused.stdout
    units = {
        "test-cloud": f"rclone serve webdav /srv/cloud --addr 127.0.0.1:8099 --user pec --pass {CLOUD_PASSWORD}",
        "test-mail": "python3 -u -W ignore -m smtpd -n -c DebuggingServer 127.0.0.1:2525",
    }
    obscured = host.shell('rclone obscure "$1"', CLOUD_PASSWORD)
    given["pec_delivery_config"] = RCLONE.format(obscured=obscured)
    try:
        host.shell("mkdir -p /srv/cloud")
        for unit, command in units.items():
            host.shell(f"systemd-run --quiet --collect --unit={unit} --setenv=HOME=/root {command}")
        host.shell("for port in 8099 2525; do until ss -Hltn sport = :$port | grep -q .; do sleep 0.1; done; done")
        assert "changed=1 " in host.playbook("deliver", "--check", **given, pec_delivery_remote="cofre:pec").stdout
        assert host.shell("find /srv/cloud -type f") == ""
        ran = host.playbook("deliver", **given, pec_delivery_remote="cofre:pec", pec_delivery_link=True)
        assert ran.returncode == 0 and "changed=1 " in ran.stdout and "compared by download" in ran.stdout, ran.stdout
        host.server.put(given["pec_delivery_config"], "/root/rclone.conf", "0600")
        name = os.path.basename(made["path"])
        there = 'rclone --config /root/rclone.conf cat "cofre:pec/$1" | sha256sum'
        assert host.shell(there, name).split()[0] == made["sha256"]
        names = host.shell("rclone --config /root/rclone.conf lsf cofre:pec").split()
        assert sorted(names) == sorted(os.path.basename(made[part]) for part in ("path", "files", "manifest"))
        assert host.shell(f"grep -rlE 'PGDMP|{made['sha256']}' /srv/cloud; true") == ""
        host.shell("rm /root/rclone.conf")
        told = host.shell("journalctl --output=cat --unit=test-mail")
        text = base64.b64decode("".join(re.findall(r"^b'([A-Za-z0-9+/]+=*)'$", told, re.MULTILINE))).decode()
        assert made["sha256"] in text and "rclone o criptografou" in text and "doesn't support public links" in ran.stdout, text
        again = host.playbook("deliver", **given, pec_delivery_remote="cofre:pec")
        assert "changed=0 " in again.stdout and host.shell("journalctl --output=cat --unit=test-mail") == told, again.stdout
        received = {"remote": f"cofre:pec/{name}", "config": given["pec_delivery_config"], "directory": "/srv/received"}
        back = [host.server.module("esus.pec.received_file", received, check=check) for check in (True, False, False)]
        assert [(each["changed"], each["action"]) for each in back] == [(True, "download"), (True, "download"), (False, "none")], back
        assert host.shell('sha256sum "$1"', back[1]["path"]).split()[0] == made["sha256"] and back[0]["bytes"] == back[1]["bytes"]
        host.shell("systemctl stop test-cloud")
        failed = host.playbook("deliver", **given, pec_delivery_remote="cofre:pec")
        assert (failed.returncode, "cannot be listed" in failed.stdout) == (2, True), failed.stdout
        outputs = "".join(run.stdout + run.stderr for run in (ran, again, failed)) + told + text + "".join(each["_output"] for each in back)
        assert in_text(outputs, [obscured]) == [] and on_server(host.shell, [obscured], JOURNAL, "/run", "/tmp", "/root", "/etc") == []
    finally:
        host.shell("systemctl stop test-cloud test-mail; rm -rf /srv/cloud /srv/received /root/rclone.conf", check=False)
