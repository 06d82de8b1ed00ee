# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import contextlib
import pwd
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.system import process
from ansible_collections.esus.pec.plugins.module_utils.transfer import access, sshd
from ansible_collections.esus.pec.plugins.module_utils.transfer.access import Current, Desired, Served

NOW = datetime(2026, 11, 30, 12, 0, tzinfo=timezone.utc)
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILyn9tcfNirOSQCpnMLNREv20GXAvibRZ+nyMd5vHaf8"
PASSWORD = "x" * 20
DESIRED = Desired(KEY, 5433)
NONE = Current(False, "", "", "", "", False, (9, 2), {})
OPEN: sshd.Settings = {
    "pubkeyauthentication": ["yes"],
    "allowtcpforwarding": ["yes"],
    "permitopen": ["any"],
    "authorizedkeysfile": [".ssh/authorized_keys"],
}


@pytest.fixture(autouse=True)
def included(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The server has a directory for files like ours."""
    monkeypatch.setattr(access, "DROP_IN", str(tmp_path / "ours.conf"))


def forbidden(found: sshd.Settings) -> list[str]:
    return list(sshd.forbidden(found, "u", ["g"], "192.0.2.7", ["127.0.0.1:5433"], "/home/u"))


@pytest.mark.parametrize(
    "found",
    [
        {},
        OPEN,
        {"allowtcpforwarding": ["local"]},
        {"permitopen": ["127.0.0.1:22 127.0.0.1:5433"]},
        {"permitopen": ["127.0.0.1:*"]},
        {"authorizedkeysfile": ["/etc/keys/%u %h/.ssh/authorized_keys"]},
        {"authenticationmethods": ["publickey,password publickey"]},
        {"pubkeyacceptedalgorithms": ["rsa-sha2-512,ssh-ed25519"]},
        {"allowusers": ["root", "u@192.0.2.*"]},
        {"allowusers": ["*"], "denyusers": ["u@10.0.0.0/8"]},
        {"allowusers": ["u@192.0.2.0/24"]},
        {"denyusers": ["root"], "allowgroups": ["x g"], "denygroups": ["wheel"]},
    ],
)
def test_what_allows_the_access(found: sshd.Settings) -> None:
    assert forbidden(found) == []


@pytest.mark.parametrize(
    ("found", "named"),
    [
        ({"pubkeyauthentication": ["no"]}, "PubkeyAuthentication"),
        ({"allowtcpforwarding": ["no"]}, "AllowTcpForwarding"),
        ({"allowtcpforwarding": ["remote"]}, "AllowTcpForwarding"),
        ({"disableforwarding": ["yes"]}, "DisableForwarding"),
        ({"permitopen": ["none"]}, "PermitOpen"),
        ({"permitopen": ["127.0.0.1:22"]}, "PermitOpen"),
        ({"authorizedkeysfile": ["/etc/keys/%u"]}, "AuthorizedKeysFile"),
        ({"authenticationmethods": ["publickey,password"]}, "AuthenticationMethods"),
        ({"pubkeyacceptedkeytypes": ["ssh-rsa"]}, "PubkeyAcceptedAlgorithms"),
        ({"allowusers": ["root", "suporte"]}, "AllowUsers"),
        ({"allowusers": ["u@10.0.0.0/8"]}, "AllowUsers"),
        ({"allowusers": ["*", "!u"]}, "AllowUsers"),
        ({"denyusers": ["u*"]}, "DenyUsers"),
        ({"allowgroups": ["ssh"]}, "AllowGroups"),
        ({"denygroups": ["g"]}, "DenyGroups"),
    ],
)
def test_what_forbids_it_is_named(found: sshd.Settings, named: str) -> None:
    (reason,) = forbidden(found)
    assert reason.startswith(named)


def test_a_forbidden_access_fails_with_all_reasons() -> None:
    with pytest.raises(PecError, match=r"AllowTcpForwarding is no; AllowUsers \(root\) leaves out esus-pec-transfer"):
        access.plan(replace(NONE, sshd={"allowtcpforwarding": ["no"], "allowusers": ["root"]}), DESIRED, NOW)


def test_the_key_forwards_its_ports_and_does_nothing_else() -> None:
    served = replace(DESIRED, directories=(Served("data", "/srv"),), addresses=("192.0.2.7", "10.0.0.0/8"))
    options, _type, rest = access.key_line(served, NOW, (9, 2)).rpartition(" ssh-ed25519 ")
    assert options.split(",")[:3] == ["restrict", "port-forwarding", 'command="/bin/false"']
    assert options.count("permitopen") == 2 and 'permitopen="127.0.0.1:5433",permitopen="127.0.0.1:874"' in options
    assert 'permitlisten="127.0.0.1:1"' in options and 'from="192.0.2.7,10.0.0.0/8"' in options and "expiry-time=" in options
    assert rest.endswith(" until 2026-11-30T12:00:00Z\n")


@pytest.mark.parametrize(
    ("version", "words"), [((7, 4), (False, False)), ((7, 7), (True, False)), ((7, 8), (True, True)), ((10, 0), (True, True))]
)
def test_options_that_an_older_openssh_does_not_know(version: tuple[int, int], words: tuple[bool, bool]) -> None:
    """An option that it does not know would make it refuse the key."""
    line = access.key_line(DESIRED, NOW, version)
    assert ("expiry-time" in line, "permitlisten" in line) == words
    assert len(access.plan(replace(NONE, version=version), DESIRED, NOW).warnings) == words.count(False) + (version < (8, 2))


def done(desired: Desired, until: datetime) -> Current:
    return replace(NONE, account=True, keys=access.key_line(desired, until, (9, 2)), drop_in=access._RESTRICTION)


def test_a_second_run_changes_nothing_and_a_later_one_renews() -> None:
    first = access.plan(NONE, DESIRED, NOW)
    assert first.until == NOW + timedelta(hours=24)
    assert first.steps == ("account", "key", "sshd") and first.warnings == ()
    current = done(DESIRED, first.until)
    for hours, steps in ((0, ()), (11, ()), (13, ("key",)), (30, ("key",))):
        found = access.plan(current, DESIRED, NOW + timedelta(hours=hours))
        assert found.steps == steps
    assert access.plan(current, replace(DESIRED, hours=2), NOW).until == NOW + timedelta(hours=2)
    assert "key" in access.plan(current, replace(DESIRED, database_port=5432), NOW).steps
    assert "key" in access.plan(replace(current, keys=current.keys + "ssh-ed25519 AAAA another\n"), DESIRED, NOW).steps


def test_rsync(tmp_path: Path) -> None:
    desired = replace(DESIRED, directories=(Served("data", str(tmp_path)),), password=PASSWORD)
    planned = access.plan(NONE, desired, NOW)
    assert "rsync" in planned.steps
    text = planned.files[access.CONFIGURATION]
    assert f"[data]\npath = {tmp_path}\nuid = {tmp_path.stat().st_uid}\ngid = {tmp_path.stat().st_gid}\n" in text
    assert PASSWORD not in text and PASSWORD not in repr(planned) + repr(desired)
    current = replace(done(desired, planned.until), configuration=text, secrets=planned.files[access.SECRETS], serving=True)
    current = replace(current, unit=access.unit(99))
    assert "rsync" not in access.plan(current, desired, NOW).steps
    assert "rsync" in access.plan(replace(current, serving=False), desired, NOW).steps
    assert "rsync" in access.plan(replace(current, unit=access.unit(99) + "x"), desired, NOW).steps
    assert "rsync" in access.plan(current, replace(desired, password="y" * 20), NOW).steps
    assert "no rsync" in access.plan(current, DESIRED, NOW).steps
    with pytest.raises(PecError, match="is not on this host"):
        access.plan(NONE, replace(desired, directories=(Served("data", f"{tmp_path}/x"),)), NOW)


DIRECTORY = (Served("data", "/srv/data"),)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"public_key": f"{KEY}\nssh-ed25519 AAAA"}, "public_key"),
        ({"public_key": f'command="x" {KEY}'}, "public_key"),
        ({"public_key": KEY.replace("ed25519", "rsa")}, "public_key"),
        ({"addresses": ('1.2.3.4",command="x',)}, "addresses"),
        ({"directories": DIRECTORY, "password": PASSWORD, "rsync_port": 8730}, "rsync_port 8730 could be opened by any account"),
        ({"directories": DIRECTORY, "password": "curta"}, "rsync_password"),
        ({"directories": DIRECTORY, "password": "with a blank in it"}, "rsync_password"),
        ({"directories": DIRECTORY * 2, "password": PASSWORD}, "one name"),
        ({"directories": (Served("a]\n[b", "/srv"),), "password": PASSWORD}, "no name for a directory"),
        ({"directories": (Served("a", "/srv\nuid = 0"),), "password": PASSWORD}, "cannot be served"),
        ({"directories": (Served("a", "/srv/%HOME%"),), "password": PASSWORD}, "cannot be served"),
        ({"directories": (Served("a", "srv"),), "password": PASSWORD}, "cannot be served"),
    ],
)
def test_values_that_would_write_something_else(changes: dict[str, object], says: str) -> None:
    access.require_sound(replace(DESIRED, directories=DIRECTORY, password=PASSWORD))
    with pytest.raises(PecError, match=says):
        access.require_sound(replace(DESIRED, **changes))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("changes", "shadow"),
    [
        ({"pw_gecos": "Somebody"}, "*"),
        ({"pw_dir": "/home/x"}, "*"),
        ({"pw_shell": "/bin/bash"}, "*"),
        ({"pw_uid": 0}, "*"),
        ({}, "$6$hash"),
    ],
)
def test_an_account_of_that_name_that_is_anothers(monkeypatch: pytest.MonkeyPatch, changes: dict[str, object], shadow: str) -> None:
    fields = {"pw_gecos": "esus.pec transfer", "pw_dir": access.HOME, "pw_shell": access._no_shell(), "pw_uid": 990}

    def account(**more: object) -> pwd.struct_passwd:
        found = {**fields, **more}
        return pwd.struct_passwd((access.USER, "x", found["pw_uid"], 990, found["pw_gecos"], found["pw_dir"], found["pw_shell"]))

    said = ["*"]
    monkeypatch.setattr(process, "run", lambda argv: process.Completed(0, f"{access.USER}:{said[0]}:1::::::\n", ""))
    monkeypatch.setattr(pwd, "getpwnam", lambda name: account())
    assert access._account() is not None
    monkeypatch.setattr(pwd, "getpwnam", lambda name: account(**changes))
    said[0] = shadow
    with pytest.raises(PecError, match="is not the one that"):
        access._account()


def test_a_server_that_reads_no_such_files(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert "sshd" in access.plan(replace(NONE, drop_in="of an older run"), DESIRED, NOW).steps
    monkeypatch.setattr(access, "DROP_IN", str(tmp_path / "missing" / "ours.conf"))
    for current in (NONE, replace(NONE, version=(8, 1))):
        planned = access.plan(current, DESIRED, NOW)
        assert "sshd" not in planned.steps and "AllowStreamLocalForwarding no" in planned.warnings[0]


@pytest.mark.parametrize(("answer", "kept"), [(["no"], True), (["yes"], False), (None, False)])
def test_a_file_that_sshd_does_not_take_is_taken_back(monkeypatch: pytest.MonkeyPatch, answer: list[str] | None, kept: bool) -> None:
    def settings(user: str, address: str) -> dict[str, list[str]]:
        if answer is None:
            raise PecError("sshd does not accept its own configuration")
        return {"allowstreamlocalforwarding": answer, "port": ["2222"]}

    reloaded: list[int] = []
    monkeypatch.setattr(sshd, "settings", settings)
    monkeypatch.setattr(sshd, "reload", reloaded.extend)
    with contextlib.nullcontext() if kept else pytest.raises(PecError, match="sshd does not"):
        access._restrict()
    assert (Path(access.DROP_IN).exists(), reloaded) == (kept, [2222] if kept else [])


@pytest.mark.parametrize(
    ("now", "renewed"), [({}, False), ({("::", 22): "7"}, False), ({("::", 22): "8"}, True), ({("::", 22): "8", ("::", 23): "9"}, True)]
)
def test_when_the_server_listens_again(now: dict[tuple[str, int], str], renewed: bool) -> None:
    assert sshd._renewed({("::", 22): "7"}, now) is renewed


def test_the_key_goes_even_if_rsync_does_not_stop(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def hangs() -> None:
        raise PecError("systemctl stop did not end")

    key = tmp_path / "authorized_keys"
    key.touch()
    monkeypatch.setattr(access, "KEYS", str(key))
    monkeypatch.setattr(access, "_stop_rsync", hangs)
    with pytest.raises(PecError, match="did not end"):
        access.remove(replace(NONE, serving=True))
    assert not key.exists()
