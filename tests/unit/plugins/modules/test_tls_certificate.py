# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import base64
import json
import os
from pathlib import Path
from typing import Any

import certificates
import pytest
from ansible.module_utils.testing import patch_module_args

from ansible_collections.esus.pec.plugins.module_utils.certificates import handshake
from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.system import files
from ansible_collections.esus.pec.plugins.modules import served_certificate as served_module
from ansible_collections.esus.pec.plugins.modules import tls_certificate

DOMAIN = "pec.example"
GOOD = certificates.issue(DOMAIN, domains=[DOMAIN], uses=[certificates.SERVER], days=10)
NEW = certificates.issue(DOMAIN, domains=[DOMAIN], uses=[certificates.SERVER])


@pytest.fixture
def run(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Any:
    """Run the module on two files of the test; whose they become is that of the one who tests."""
    write = files.write_atomic
    monkeypatch.setattr("os.geteuid", lambda: 0)
    monkeypatch.setattr(files, "write_atomic", lambda path, data, mode, **_owner: write(path, data, mode=mode))

    def call(issued: certificates.Issued | None = None, **arguments: Any) -> dict[str, Any]:
        given = {"certificate_content": issued.pem, "key_content": issued.key_pem} if issued else {}
        paths = {"certificate": str(tmp_path / "c.pem"), "key": str(tmp_path / "k.pem")}
        with patch_module_args({**paths, "domain": DOMAIN, **given, **arguments}), pytest.raises(SystemExit):
            tls_certificate.main()
        output = capsys.readouterr().out
        assert "PRIVATE KEY-----" not in output
        return dict(json.loads(output))

    return call


def test_from_nothing_to_a_renewed_one(run: Any, tmp_path: Path) -> None:
    assert run(GOOD, _ansible_check_mode=True)["changed"] and not os.listdir(tmp_path)
    made = run(GOOD)
    assert (made["changed"], made["days_left"], made["dns_names"]) == (True, 10, [DOMAIN])
    assert made["diff"]["before"] == "no certificate\n" and made["fingerprint_sha256"] in made["diff"]["after"]
    assert "expires in 10 days" in json.dumps(made["warnings"])
    assert (tmp_path / "k.pem").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "c.pem").stat().st_mode & 0o777 == 0o644
    assert not run(GOOD)["changed"]
    (tmp_path / "k.pem").chmod(0o644)
    assert run(GOOD)["changed"] and (tmp_path / "k.pem").stat().st_mode & 0o777 == 0o600
    assert run(NEW)["changed"] and (tmp_path / "c.pem").read_text() == NEW.pem


def test_a_warning_is_shown_when_the_files_cannot_be_written(run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = files.write_atomic

    def full(path: str, data: bytes, mode: int, **_owner: object) -> None:
        if path.startswith(str(tmp_path)):
            raise PecError("cannot write: No space left on device")
        write(path, data, mode=mode)

    monkeypatch.setattr("ansible.module_utils.common.warnings._global_warnings", {})
    monkeypatch.setattr(files, "write_atomic", full)
    answer = run(GOOD)
    assert "No space left" in answer["msg"] and "expires in 10 days" in json.dumps(answer["warnings"])


def test_existing_files_are_only_checked(run: Any, tmp_path: Path) -> None:
    assert run()["msg"] == f"{tmp_path}/c.pem does not exist on this host; create it, or give its content"
    (tmp_path / "c.pem").write_text(NEW.pem)
    (tmp_path / "k.pem").write_text(NEW.key_pem)
    looked = run()
    assert not looked["changed"] and looked["diff"]["before"] == looked["diff"]["after"]
    (tmp_path / "k.pem").write_text(GOOD.key_pem)
    assert run()["problems"] == ["foreign_key"]


def test_a_pair_that_cannot_be_used_changes_nothing(run: Any, tmp_path: Path) -> None:
    run(GOOD)
    assert run(NEW, key_content=GOOD.key_pem)["problems"] == ["foreign_key"]
    assert (tmp_path / "c.pem").read_text() == GOOD.pem


OTHER = NEW.key_pem  # not the one in key_content, which Ansible hides wherever it appears
KEY_LINES = OTHER.splitlines()
SECRET = KEY_LINES[3]


@pytest.mark.parametrize(
    "key",
    [
        pytest.param(OTHER, id="PKCS#8"),
        pytest.param(OTHER.replace("PRIVATE KEY", "RSA PRIVATE KEY"), id="another label"),
        pytest.param(OTHER.replace("PRIVATE KEY", "ENCRYPTED PRIVATE KEY"), id="encrypted"),
        pytest.param(OTHER.replace("PRIVATE KEY", "private  key"), id="a label that OpenSSL does not know"),
        pytest.param("\n".join(KEY_LINES[:5]), id="cut off"),
    ],
)
@pytest.mark.parametrize("form", ["{cert}{key}", "{key}{cert}", "{cert}{key}{chain}"])
def test_a_private_key_in_the_certificate_is_written_nowhere(run: Any, tmp_path: Path, capsys: Any, key: str, form: str) -> None:
    content = form.format(cert=GOOD.pem, key=key, chain=GOOD.authorities[0].pem)
    answer = run(GOOD, certificate_content=content)
    assert answer["problems"] == ["private_key"]
    assert SECRET not in json.dumps(answer)
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "c.pem").write_text(content)
    (tmp_path / "k.pem").write_text(GOOD.key_pem)
    assert run()["problems"] == ["private_key"]


def test_of_a_certificate_s_file_only_the_certificates_are_written(run: Any, tmp_path: Path) -> None:
    bare, chain = "".join(KEY_LINES[1:-1]), GOOD.authorities[0].pem
    answer = run(GOOD, certificate_content=f"Bag Attributes\n{bare}\n{GOOD.pem}\x00{bare}\n{chain}{bare}")
    assert answer["changed"] and SECRET not in json.dumps(answer)
    assert (tmp_path / "c.pem").read_text() == GOOD.pem + chain
    assert not run(GOOD, certificate_content=GOOD.pem + chain)["changed"]


def test_a_key_that_is_hidden_in_the_block_of_a_certificate(run: Any, tmp_path: Path) -> None:
    hidden = base64.encodebytes(GOOD.der + base64.b64decode("".join(KEY_LINES[1:-1]))).decode()
    mixed = f"-----BEGIN CERTIFICATE-----\n{hidden}-----END CERTIFICATE-----\n"
    assert run(GOOD, certificate_content=mixed)["problems"] == ["unreadable"]
    disguised = OTHER.replace("PRIVATE KEY", "CERTIFICATE")
    assert "OpenSSL rejects" in run(GOOD, certificate_content=GOOD.pem + disguised)["msg"]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("typo", ["certificate_contents", "key_contant"])
def test_a_key_in_an_option_that_does_not_exist_is_not_shown(run: Any, typo: str) -> None:
    answer = run(GOOD, **{typo: OTHER})
    assert answer["failed"] and typo in answer["msg"]
    assert SECRET not in json.dumps(answer)


def test_what_a_server_presents(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    asked: list[Any] = []

    def fetch(domain: str, port: int, *, address: str, seconds: float) -> handshake.Served:
        asked.append((domain, port, address, seconds))
        return handshake.Served(None, "closed")

    monkeypatch.setattr(handshake, "fetch", fetch)
    with patch_module_args({"domain": DOMAIN, "timeout": 3}), pytest.raises(SystemExit):
        served_module.main()
    answer = json.loads(capsys.readouterr().out)
    assert (answer["changed"], answer["certificate"]["served"], answer["certificate"]["error"]) == (False, False, "closed")
    assert asked == [(DOMAIN, 443, "127.0.0.1", 3)]
