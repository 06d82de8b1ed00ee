# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import base64
import contextlib
import json
import os
import pwd
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import certificates
import pytest
from ansible.module_utils.testing import patch_module_args

from ansible_collections.esus.pec.plugins.module_utils.certificates import pkcs12, planning, records
from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.pec import installation
from ansible_collections.esus.pec.plugins.module_utils.redact import MASK
from ansible_collections.esus.pec.plugins.module_utils.system import files, locks, process, systemd
from ansible_collections.esus.pec.plugins.modules import certificate

PASSWORD = "Segredo do município"
RUNNER = pwd.getpwuid(os.geteuid()).pw_name


@cache
def issued(days: int) -> certificates.Issued:
    return certificates.issue(days=days)


@cache
def packed(form: str = "modern", days: int = 365) -> str:
    return base64.b64encode(certificates.pack(issued(days), PASSWORD, form)).decode()


class Here:
    """A host with PEC on it, below a directory of the test."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self.chaves = root / "webserver" / "chaves"
        self.chaves.parent.mkdir()
        self.state = root / "state"
        self.capsys = capsys
        self.pec = installation.Installation("installed", keys_directory=str(self.chaves))
        monkeypatch.setattr("ansible.module_utils.common.warnings._global_warnings", {})  # a module's process ends; this one goes on
        monkeypatch.setattr("os.geteuid", lambda: 0)
        monkeypatch.setattr(installation, "discover", lambda: self.pec)
        monkeypatch.setattr(
            systemd, "units", lambda names: {name: systemd.Unit(name, "loaded", "active", True, None, RUNNER) for name in names}
        )
        monkeypatch.setattr(planning, "REPLACED", str(self.state / "replaced"))
        kept = str(self.state / "certificates.json")
        read, write = records.read_notes, records.write_note
        monkeypatch.setattr(records, "read_notes", lambda path=kept: read(path))
        monkeypatch.setattr(records, "write_note", lambda path, entry: write(path, entry, kept))
        monkeypatch.setattr(files, "private_directory", _directory_in(root))
        lock = locks.lock
        monkeypatch.setattr(locks, "lock", lambda name: lock(name, directory=str(root / "lock")))

    def run(self, **arguments: Any) -> dict[str, Any]:
        given = {"content": packed(), "name": "municipio.pfx", "password": PASSWORD, **arguments}
        given = {name: value for name, value in given.items() if value is not None}
        with patch_module_args(given), pytest.raises(SystemExit):
            certificate.main()
        output = self.capsys.readouterr().out
        assert PASSWORD not in output and packed()[:64] not in output
        return json.loads(output)

    @property
    def file(self) -> Path:
        return self.chaves / "municipio.pfx"


def _directory_in(root: Path) -> Any:
    @contextlib.contextmanager
    def directory() -> Any:
        with tempfile.TemporaryDirectory(dir=root) as path:
            yield path

    return directory


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Here:
    return Here(tmp_path, monkeypatch, capsys)


def test_first_second_and_check(here: Here) -> None:
    foretold = here.run(_ansible_check_mode=True)
    assert foretold["changed"] is True and not here.chaves.exists() and not here.state.exists()
    first = here.run()
    assert first["changed"] is True and first["diff"] == foretold["diff"] and first["path"] == str(here.file)
    assert here.file.read_bytes() == base64.b64decode(packed())
    assert (here.file.stat().st_mode & 0o777, here.chaves.stat().st_mode & 0o777) == (0o600, 0o700)
    assert "Gestão Municipal" in first["next_step"] and "municipio.pfx" in first["next_step"] and "ID do solicitante" in first["next_step"]
    second = here.run()
    assert (second["changed"], second["next_step"], "backup_file" in second) == (False, None, False)
    assert here.run(_ansible_check_mode=True)["changed"] is False


def test_what_is_returned(here: Here) -> None:
    found = here.run(expected_cnpj="11.222.333/0001-81")["certificate"]
    assert found["holder"] == certificates.HOLDER and found["cnpj"] == certificates.CNPJ and found["responsible"] == "MARIA DA SILVA"
    assert (found["key"], found["encryption"], found["chain_complete"], found["days_left"]) == ("RSA 2048", "modern", True, 365)
    assert found["chain"] == ["CN=AC de Teste,O=ICP-Brasil,C=BR", "CN=AC Raiz de Teste,O=ICP-Brasil,C=BR"]
    assert found["backend"] == "cryptography" and found["keytool"] is None


def test_a_short_password_is_not_masked_in_what_roles_compare_and_pass_on(here: Here) -> None:
    """As 2026 is one, which is in the path, in the dates and in the fingerprint; here are characters of each."""
    asked = here.run()
    store = pkcs12.open_store(base64.b64decode(packed()), PASSWORD)
    end, fingerprint = asked["certificate"]["not_after"], store.leaf.fingerprint_sha256
    for password in (fingerprint[5:7], end[:4], "365"[:2], "municip", "/"):
        content = base64.b64encode(certificates.pack(issued(365), password)).decode()
        with patch_module_args({"content": content, "name": "municipio.pfx", "password": password}), pytest.raises(SystemExit):
            certificate.main()
        answer = json.loads(here.capsys.readouterr().out)
        assert (answer["path"], answer["backup_file"].startswith(str(here.state))) == (asked["path"], True)
        found = answer["certificate"]
        assert (found["fingerprint_sha256"], found["not_after"], found["days_left"]) == (
            fingerprint,
            end,
            asked["certificate"]["days_left"],
        )
        assert answer["invocation"]["module_args"]["password"] == answer["invocation"]["module_args"]["content"] == MASK


def test_files_are_compared_by_content(here: Here) -> None:
    here.run()
    before = here.file.read_bytes()
    again = base64.b64encode(certificates.pack(issued(365), PASSWORD)).decode()
    assert base64.b64decode(again) != before
    assert here.run(content=again)["changed"] is False and here.file.read_bytes() == before


@pytest.mark.parametrize("form", ["java8", "legacy"])
def test_another_encryption_of_the_same_is_written(here: Here, form: str) -> None:
    here.run()
    answer = here.run(content=packed(form))
    assert answer["changed"] is True and f"encryption: {form}" in answer["diff"]["after"]
    assert here.file.read_bytes() == base64.b64decode(packed(form))


def test_reencrypt(here: Here) -> None:
    answer = here.run(content=packed("legacy"), reencrypt="java8")
    assert answer["changed"] is True and "encryption: java8" in answer["diff"]["after"]
    written = here.file.read_bytes()
    assert pkcs12.open_store(written, PASSWORD).encryption == "java8"
    assert here.run(content=packed("legacy"), reencrypt="java8")["changed"] is False and here.file.read_bytes() == written
    assert here.run(content=packed("java8"), reencrypt="java8")["changed"] is False


def test_a_renewal_keeps_what_it_replaces(here: Here) -> None:
    here.run()
    before = here.file.read_bytes()
    answer = here.run(content=packed(days=700))
    assert answer["changed"] is True and answer["next_step"]
    kept = Path(answer["backup_file"])
    assert kept.read_bytes() == before and kept.stat().st_mode & 0o777 == 0o600 and kept.parent.stat().st_mode & 0o777 == 0o700
    assert here.run(content=packed(days=700))["changed"] is False


def test_another_password_replaces_the_file(here: Here) -> None:
    here.run()
    answer = here.run(content=base64.b64encode(certificates.pack(issued(365), "another one")).decode(), password="another one")
    assert answer["changed"] is True and answer["diff"]["before"] == "a file that this password does not open\n"


def test_mode_and_record_are_corrected(here: Here) -> None:
    here.run()
    here.file.chmod(0o644)
    answer = here.run()
    assert (answer["changed"], answer["next_step"]) == (True, None) and here.file.stat().st_mode & 0o777 == 0o600
    assert "mode: 0644" in answer["diff"]["before"] and "mode: 0600" in answer["diff"]["after"]
    (here.state / "certificates.json").unlink()
    assert here.run()["changed"] is True and here.run()["changed"] is False


def test_the_record_has_no_secret(here: Here) -> None:
    here.run()
    record = here.state / "certificates.json"
    assert record.stat().st_mode & 0o777 == 0o600 and PASSWORD not in record.read_text()
    note = json.loads(record.read_text())[str(here.file)]
    assert note["holder"] == certificates.HOLDER and note["cnpj"] == certificates.CNPJ and len(note) == 6


def test_absent(here: Here) -> None:
    arguments = {"state": "absent", "content": None, "password": None}
    assert here.run(**arguments)["changed"] is False
    here.run()
    assert here.run(**arguments, _ansible_check_mode=True)["changed"] is True and here.file.exists()
    answer = here.run(**arguments)
    assert answer["changed"] is True and not here.file.exists() and Path(answer["backup_file"]).exists() and answer["certificate"] is None
    assert json.loads((here.state / "certificates.json").read_text()) == {}
    assert here.run(**arguments)["changed"] is False


@pytest.mark.parametrize(
    ("arguments", "codes"),
    [
        pytest.param({"password": "Segredo do municipio"}, ["wrong_password"], id="password"),
        pytest.param({"content": "YWJj"}, ["not_pkcs12"], id="something else"),
        pytest.param({"expected_cnpj": "12.ABC.345/01DE-35"}, ["other_cnpj"], id="CNPJ"),
        pytest.param({"domain": "pec.example"}, ["wrong_purpose", "wrong_domain"], id="two problems"),
    ],
)
def test_a_certificate_with_a_problem_changes_nothing(here: Here, arguments: dict[str, Any], codes: list[str]) -> None:
    answer = here.run(**arguments)
    assert (answer["failed"], answer["problems"]) == (True, codes) and answer["msg"].startswith("municipio.pfx: ")
    assert not here.chaves.exists() and not here.state.exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        pytest.param({"password": PASSWORD + "\n"}, "it fits without the blanks around it", id="password with a line end"),
        pytest.param({"password": None}, "password is missing", id="no password"),
        pytest.param({"password": ""}, "; the one given is empty", id="empty password"),
        pytest.param({"content": None}, "src or content is missing", id="nothing"),
        pytest.param({"content": "not base64!"}, "content is not base64", id="no base64"),
        pytest.param({"name": "municipio.cer"}, "a .cer has no private key", id="cer"),
        pytest.param({"name": "municipio.txt"}, "only files whose names end in .p12 or .pfx", id="suffix"),
        pytest.param({"name": "../municipio.p12"}, "is not a plain file name", id="path"),
        pytest.param({"name": None}, "name is missing", id="no name"),
        pytest.param({"directory": "/nonexistent/deep/down"}, "the directory /nonexistent/deep does not exist", id="directory"),
        pytest.param({"owner": "nobody-of-that-name"}, "the account nobody-of-that-name, which would own", id="owner"),
        pytest.param({"content": None, "src": "/nonexistent.pfx", "name": None}, "cannot read /nonexistent.pfx", id="no file"),
    ],
)
def test_errors_change_nothing(here: Here, arguments: dict[str, Any], message: str) -> None:
    answer = here.run(**arguments)
    assert answer["failed"] is True and message in answer["msg"], answer["msg"]
    assert not here.chaves.exists() and not here.state.exists()


def test_where_pec_is_absent(here: Here) -> None:
    here.pec = installation.Installation("absent")
    answer = here.run(_ansible_check_mode=True)
    assert (answer["changed"], answer["path"], answer["certificate"]["cnpj"]) == (True, None, certificates.CNPJ)
    assert "PEC is not installed on this host" in here.run()["msg"]
    assert here.run(state="absent")["changed"] is False
    assert here.run(_ansible_check_mode=True, password="x")["problems"] == ["wrong_password"]


def test_check_mode_where_nothing_can_open_it_yet(here: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_arguments: object) -> None:
        raise pkcs12.UnreadableError("nothing on this host can open the file")

    monkeypatch.setattr(pkcs12, "open_store", refuse)
    monkeypatch.setattr(process, "which", lambda _name: None)
    answer = here.run(_ansible_check_mode=True)
    assert (answer["changed"], answer["certificate"]) == (True, None) and "openssl is not installed" in str(answer["warnings"])
    assert here.run()["problems"] == ["unreadable"]


def test_pecs_own_java_has_the_last_word(here: Here, tmp_path: Path) -> None:
    keytool = tmp_path / "jre" / "bin" / "keytool"
    keytool.parent.mkdir(parents=True)
    here.pec = installation.Installation("installed", keys_directory=str(here.chaves), jre_directory=str(tmp_path / "jre"))
    keytool.write_text("#!/bin/sh\necho 'keytool error: java.io.IOException: unknown'\nexit 1\n")
    keytool.chmod(0o755)
    answer = here.run()
    assert "PEC's own Java cannot read the file, but cryptography can (keytool error: java.io.IOException: unknown)" in answer["msg"]
    keytool.write_text('#!/bin/sh\n[ "$ESUS_PEC_PKCS12_PASSWORD" ] && echo "municipio, Nov 23, 2026, PrivateKeyEntry,"\n')
    assert here.run()["certificate"]["keytool"] == str(keytool)
    keytool.write_text("#!/bin/sh\necho 'Your keystore contains 0 entries'\n")
    assert here.run()["problems"] == ["rejected_by_java"]


def test_warnings_are_shown_when_the_file_cannot_be_written(here: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_arguments: object, **_options: object) -> None:
        raise PecError("cannot write: No space left on device")

    monkeypatch.setattr(files, "write_atomic", full)
    answer = here.run(warn_days=400)
    assert answer["failed"] and "No space left" in answer["msg"] and not here.file.exists()
    assert "expires in 365 days" in str(answer["warnings"]) and "ASCII" in str(answer["warnings"])


def test_a_pbmac1_where_pecs_java_is_not_there_yet(here: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a server without PEC, where openssl reads it and PEC's Java would not."""
    content = base64.b64encode(certificates.with_pbmac1(base64.b64decode(packed()), PASSWORD)).decode()
    warnings = str(here.run(content=content)["warnings"])
    assert "PBMAC1 (RFC 9579), which Java 17 and 21 refuse" in warnings and "pec_certificate_reencrypt" in warnings
    monkeypatch.setattr("ansible.module_utils.common.warnings._global_warnings", {})  # of the run before
    answer = here.run(content=content, reencrypt="java8")
    assert "PBMAC1" not in str(answer["warnings"]) and pkcs12.open_store(here.file.read_bytes(), PASSWORD).encryption == "java8"
    assert here.run(content=content, reencrypt="java8")["changed"] is False
    assert here.run(content=content, reencrypt="modern")["changed"] is True
    assert pkcs12.open_store(here.file.read_bytes(), PASSWORD).encryption == "modern"
    assert here.run(content=content, password="x")["problems"] == ["wrong_password"]


@pytest.mark.parametrize(
    ("password", "remedy"),
    [("Segredo", "give reencrypt: java8 (role: pec_certificate_reencrypt)"), (PASSWORD, "export the file again with a password of ASCII")],
)
def test_what_helps_when_pecs_java_rejects_it(here: Here, tmp_path: Path, password: str, remedy: str) -> None:
    keytool = tmp_path / "jre" / "bin" / "keytool"
    keytool.parent.mkdir(parents=True)
    here.pec = installation.Installation("installed", keys_directory=str(here.chaves), jre_directory=str(tmp_path / "jre"))
    keytool.write_text("#!/bin/sh\necho 'keytool error: java.io.IOException: keystore password was incorrect'\nexit 1\n")
    keytool.chmod(0o755)
    answer = here.run(content=base64.b64encode(certificates.pack(issued(365), password)).decode(), password=password)
    assert answer["problems"] == ["rejected_by_java"] and remedy in answer["msg"]
    assert ("reencrypt" in answer["msg"]) == (password == "Segredo")


@pytest.mark.parametrize(
    ("arguments", "warning"),
    [
        pytest.param({"name": "meu certificado.pfx"}, "contains blanks or accents", id="name"),
        pytest.param({"warn_days": 400}, "expires in 365 days", id="soon"),
        pytest.param({}, "characters beyond ASCII", id="password"),
    ],
)
def test_warnings(here: Here, arguments: dict[str, Any], warning: str) -> None:
    assert warning in str(here.run(**arguments)["warnings"])


def test_a_certificate_for_https_has_no_next_step_in_pec(here: Here, tmp_path: Path) -> None:
    web = certificates.issue("pec.example", domains=["pec.example"], uses=[certificates.SERVER])
    content = base64.b64encode(certificates.pack(web, PASSWORD)).decode()
    answer = here.run(content=content, domain="pec.example", directory=str(tmp_path), name="esusaps.p12")
    assert (answer["changed"], answer["next_step"], answer["path"]) == (True, None, str(tmp_path / "esusaps.p12"))


def test_what_info_shows(here: Here) -> None:
    here.run()
    notes = records.read_notes()
    now = certificate.datetime.now(certificate.timezone.utc)
    shown = records.describe(str(here.file), notes, now)
    assert (shown["kind"], shown["holder"], shown["cnpj"], shown["days_left"]) == ("pkcs12", certificates.HOLDER, certificates.CNPJ, 365)
    assert shown["problem"] is None
    here.file.write_bytes(base64.b64decode(packed("java8")))
    shown = records.describe(str(here.file), notes, now)
    assert shown["holder"] is None and "only its password opens the file" in str(shown["problem"])
    cer = here.chaves / "municipio.cer"
    for data in (issued(365).der, issued(365).pem.encode()):
        cer.write_bytes(data)
        shown = records.describe(str(cer), notes, now)
        assert (shown["kind"], shown["holder"], shown["days_left"]) == ("certificate", certificates.HOLDER, 365)
        assert shown["problem"] == "PEC does not accept .cer files here; it takes .p12 or .pfx"
    cer.write_bytes(certificates.issue(days=-1, since_days=-9).der)
    assert "; expired on 20" in str(records.describe(str(cer), notes, now)["problem"])
    other = here.chaves.parent / "server.crt"
    other.write_text("nothing")
    assert records.describe(str(other), notes, now)["problem"] == "the file contains no certificate"


@pytest.mark.skipif(os.getuid() != 0, reason="only root gives files away")
@pytest.mark.parametrize("attack", ["link", "hard link", "directory", "chaves", "webserver", "partial", "kept"])
@pytest.mark.parametrize("state", ["present", "absent"])
def test_pecs_account_gets_no_file_of_roots(here: Here, tmp_path: Path, attack: str, state: str) -> None:
    """PEC's directories are its account's. Seen: ln -s /etc/shadow chaves/municipio.pfx, and the account owned /etc/shadow."""
    theirs = pwd.getpwnam("nobody")
    precious = tmp_path / "precious"
    (precious / "chaves").mkdir(parents=True)
    for shadow in (precious / "municipio.pfx", precious / "chaves/municipio.pfx"):
        shadow.write_text("root's", encoding="utf-8")
    web = here.chaves.parent
    if attack == "webserver":
        web.rmdir()
        os.chown(tmp_path, theirs.pw_uid, theirs.pw_gid)
        web.symlink_to(precious)
    elif attack == "chaves":
        here.chaves.symlink_to(precious)
    else:
        here.chaves.mkdir()
        if attack == "link":
            here.file.symlink_to(shadow)
        elif attack == "hard link":
            os.link(shadow, here.file)
        elif attack == "directory":
            here.file.mkdir()
        elif attack == "partial":
            here.file.with_name("municipio.pfx.partial").symlink_to(shadow)
        else:
            here.file.write_text("old", encoding="utf-8")
        os.chown(here.chaves, theirs.pw_uid, theirs.pw_gid)
    if attack != "webserver":
        os.chown(web, theirs.pw_uid, theirs.pw_gid)
    answer = here.run(owner="nobody", state=state)
    for shadow in (precious / "municipio.pfx", precious / "chaves/municipio.pfx"):
        assert (shadow.read_text(encoding="utf-8"), shadow.stat().st_uid) == ("root's", 0)
    if attack in ("partial", "kept"):
        assert answer.get("failed") is None
        assert not here.file.exists() if state == "absent" else here.file.stat().st_uid == theirs.pw_uid
    else:
        assert answer["failed"] and "municipio.pfx" in answer["msg"]


@pytest.mark.skipif(os.getuid() != 0, reason="only root gives files away")
def test_a_new_chaves_of_pecs_account(here: Here) -> None:
    os.chown(here.chaves.parent, 65534, 65534)
    assert here.run(owner="nobody")["changed"]
    assert {path.stat().st_uid for path in (here.chaves, here.file)} == {pwd.getpwnam("nobody").pw_uid}
    assert here.run(owner="nobody")["changed"] is False
