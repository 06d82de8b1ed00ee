# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import certificates
import pytest
from ansible.module_utils.testing import patch_module_args

from ansible_collections.esus.pec.plugins.module_utils.certificates import handshake
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
