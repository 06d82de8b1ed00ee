# SPDX-License-Identifier: GPL-3.0-or-later
"""Certificates of every kind on servers with more or fewer programs to open them. The keytool of a real Java is the oracle."""

from __future__ import annotations

import base64
import os
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import certificates
import pytest
from secret_search import JOURNAL, in_text, on_server

PASSWORD = """Não"aparece' \\1 $HOME %s #fim"""
PLAIN_PASSWORD = "Segredo-2026"
HOME = "/opt/e-SUS"
CHAVES = f"{HOME}/webserver/chaves"
LEGACY = "/usr/lib/x86_64-linux-gnu/ossl-modules/legacy.so"
FILES = {
    "/etc/pec.config": '{"success" : true, "directory" : "/opt/e-SUS", "version" : "5.4.37", "customDatabase" : true}',
    f"{HOME}/webserver/pec-bundle.jar": "jar",
    f"{HOME}/webserver/standalone.sh": "#!/bin/sh\n",
    "/etc/systemd/system/e-SUS-PEC.service": "[Service]\nExecStart=/bin/true\nUser=games\n",
}


@cache
def issued() -> certificates.Issued:
    return certificates.issue()


@cache
def packed(form: str, password: str = PLAIN_PASSWORD) -> bytes:
    return certificates.pack(issued(), password, form)


class Host:
    """A server with PEC's files, openssl and its legacy provider."""

    def __init__(self, server: Any, directory: Path) -> None:
        self.server = server
        self.directory = directory

    def certificate(self, data: bytes | None, *, check: bool = False, password: str = PLAIN_PASSWORD, **arguments: Any) -> dict[str, Any]:
        given = {"name": "municipio.pfx", "password": password, **arguments}
        if data is not None:
            source = self.directory / "municipio.pfx"
            source.write_bytes(data)
            given["src"] = str(source)
        result: dict[str, Any] = self.server.module("esus.pec.certificate", given, check=check)
        # For a failure, the command ansible prints its own arguments.
        shown = {name: value for name, value in result.items() if name != "_output" or not result["_failed"]}
        assert in_text(str(shown), [password]) == []
        return result

    def problems(self, data: bytes, **arguments: Any) -> list[str]:
        """The codes of what a rejected certificate is rejected for."""
        result = self.certificate(data, **arguments)
        assert result["_failed"], result
        return list(result["problems"])

    def shell(self, script: str) -> str:
        run = self.server.run("sh", "-c", script, check=False)
        assert run.returncode == 0, run.stderr
        return str(run.stdout).strip()

    def install(self, *packages: str) -> None:
        if self.server.run("dpkg", "-s", *packages, check=False).returncode == 0:
            return
        argv = ["apt-get", "install", "-y", "-qq", "--no-install-recommends", *packages]
        self.server.run("env", "DEBIAN_FRONTEND=noninteractive", *argv)

    def keytool(self, name: str = "municipio.pfx", password: str = PLAIN_PASSWORD) -> str:
        """What Java lists, with the fingerprints of the certificate and its authorities."""
        path = f"{CHAVES}/{name}"
        run = self.server.run("env", f"P={password}", "keytool", "-list", "-v", "-keystore", path, "-storepass:env", "P", check=False)
        assert run.returncode == 0, run.stdout
        return str(run.stdout).replace(":", "").lower()


@pytest.fixture(scope="module", params=["12", "13"])
def started(request: pytest.FixtureRequest, start_server: Any, tmp_path_factory: pytest.TempPathFactory) -> Host:
    server = start_server(f"esus-pec-cert{request.param}", f"debian{request.param}")
    for path, text in FILES.items():
        server.run("mkdir", "-p", os.path.dirname(path))
        server.put(text, path, "0755" if path.endswith(".sh") else "0644")
    host = Host(server, tmp_path_factory.mktemp("certificates"))
    host.shell("systemctl daemon-reload && apt-get update -qq")
    host.install("openssl", *(["openssl-provider-legacy"] if request.param == "13" else []))
    return host


@pytest.fixture
def host(started: Host) -> Host:
    """The server without certificates, and with no Java of PEC's own."""
    started.shell(f"rm -rf {CHAVES} {HOME}/jre /etc/esus-pec /root/received")
    return started


@pytest.fixture
def without_legacy(host: Host) -> Iterator[Host]:
    host.shell(f"mv {LEGACY} {LEGACY}.away")
    yield host
    host.shell(f"mv {LEGACY}.away {LEGACY}")


# The next four tests run before others install a Java and Python's cryptography.


def test_with_openssl_alone(host: Host) -> None:
    assert host.shell(f"test -e {LEGACY} && ! command -v java && ! python3 -c 'import cryptography' 2>/dev/null && echo so") == "so"
    foretold = host.certificate(packed("modern"), check=True)
    assert foretold["changed"] is True and host.shell(f"test -e {CHAVES} || echo none; test -e /etc/esus-pec || echo none") == "none\nnone"
    first = host.certificate(packed("modern"), expected_cnpj="11.222.333/0001-81")
    assert first["changed"] is True and first["certificate"]["backend"] == "openssl"
    for shown in (foretold, first):
        assert "+holder: MUNICIPIO DE EXEMPLO\n+cnpj: 11222333000181\n" in shown["_output"]
    assert host.shell(f"stat -c '%U %a' {CHAVES} {CHAVES}/municipio.pfx /etc/esus-pec /etc/esus-pec/certificates.json") == (
        "games 700\ngames 600\nroot 700\nroot 600"
    )
    assert base64.b64decode(host.shell(f"base64 {CHAVES}/municipio.pfx")) == packed("modern")
    again = certificates.pack(issued(), PLAIN_PASSWORD)
    assert again != packed("modern") and host.certificate(again)["changed"] is False
    assert host.certificate(again, check=True)["changed"] is False
    assert host.certificate(packed("legacy"), check=True)["certificate"]["backend"] == "openssl -legacy"
    assert host.certificate(packed("java8"), check=True)["certificate"]["backend"] == "openssl"


def test_a_password_of_every_character(host: Host) -> None:
    answer = host.certificate(packed("modern", PASSWORD), password=PASSWORD, name="other.p12")
    assert answer["changed"] is True
    assert host.certificate(packed("modern", PASSWORD), password=PASSWORD, name="other.p12")["changed"] is False
    assert host.problems(packed("modern", PASSWORD), name="other.p12") == ["wrong_password"]
    assert host.certificate(None, state="absent", name="other.p12")["changed"] is True
    assert host.certificate(None, state="absent", name="other.p12")["changed"] is False


def test_what_would_not_work_is_rejected(host: Host) -> None:
    host.certificate(packed("modern"))
    before = host.shell(f"sha256sum {CHAVES}/*")
    for data, code in (
        (certificates.pack(certificates.issue(days=-10, since_days=-400), PLAIN_PASSWORD), "expired"),
        (certificates.pack(certificates.issue(since_days=3), PLAIN_PASSWORD), "not_yet_valid"),
        (certificates.pack(issued(), PLAIN_PASSWORD, key=False), "no_key"),
        (certificates.pack_with_foreign_key(issued(), PLAIN_PASSWORD), "foreign_key"),
        (certificates.pack(issued(), "other"), "wrong_password"),
        (issued().der, "not_pkcs12"),
        (packed("modern")[:700], "not_pkcs12"),
    ):
        assert host.problems(data) == [code]
    assert host.problems(packed("modern"), expected_cnpj="12.ABC.345/01DE-35") == ["other_cnpj"]
    assert host.shell(f"sha256sum {CHAVES}/*") == before


def test_without_the_legacy_provider(without_legacy: Host) -> None:
    host = without_legacy
    assert host.problems(packed("legacy")) == ["unreadable"]
    assert host.problems(packed("legacy"), password="another one") == ["wrong_password"]
    assert host.certificate(packed("java8"), check=True)["certificate"]["backend"] == "openssl"


def test_any_java_opens_what_openssl_cannot(without_legacy: Host) -> None:
    host = without_legacy
    host.install("default-jre-headless")
    answer = host.certificate(packed("legacy"), name="legacy.pfx")
    assert answer["changed"] is True and answer["certificate"]["backend"] == "keytool and openssl"
    assert answer["certificate"]["encryption"] == "legacy" and answer["certificate"]["friendly_name"] == "municipio"
    assert host.certificate(packed("legacy"), name="legacy.pfx")["changed"] is False
    assert base64.b64decode(host.shell(f"base64 {CHAVES}/legacy.pfx")) == packed("legacy")
    left = "ls -d /run/esus-pec-* /tmp/esus-pec-* 2>/dev/null || true"
    assert host.shell(left) == ""


@pytest.mark.parametrize("form", ["java8", "modern"])
def test_reencrypted_for_java(host: Host, form: str) -> None:
    host.install("default-jre-headless")
    answer = host.certificate(packed("legacy"), name=f"{form}.p12", reencrypt=form)
    assert answer["changed"] is True
    listed = host.keytool(f"{form}.p12")
    assert "privatekeyentry" in listed and "certificate chain length 3" in listed and "alias name municipio" in listed
    assert answer["certificate"]["fingerprint_sha256"] in listed
    assert host.certificate(packed("legacy"), name=f"{form}.p12", reencrypt=form)["changed"] is False


def test_pecs_own_java_has_the_last_word(host: Host) -> None:
    host.install("default-jre-headless")
    host.certificate(packed("modern"))
    java = host.shell("dirname $(dirname $(readlink -f $(command -v java)))")
    host.shell(f"mkdir -p {HOME}/jre && ln -sfn {java} {HOME}/jre/current")
    answer = host.certificate(packed("modern"))
    assert (answer["changed"], answer["certificate"]["keytool"]) == (False, f"{HOME}/jre/current/bin/keytool")


def test_with_cryptography_too(host: Host) -> None:
    host.certificate(packed("modern"))
    host.install("python3-cryptography")
    for form in certificates.FORMS:
        answer = host.certificate(packed(form), check=True)
        assert answer["certificate"]["backend"] == "cryptography", answer
    assert host.certificate(packed("modern"))["changed"] is False


def test_what_a_strict_reader_rejects(host: Host) -> None:
    host.install("python3-cryptography", "default-jre-headless")
    bad = certificates.badly_encoded(
        certificates.issue(other_names=certificates.icp_brasil(certificates.LETTERS_CNPJ, certificates.UTF8_STRING))
    )
    answer = host.certificate(certificates.pack(bad, PLAIN_PASSWORD), name="bad.p12", expected_cnpj="12.ABC.345/01DE-35")
    assert answer["changed"] is True and answer["certificate"]["backend"] == "openssl"
    assert answer["certificate"]["fingerprint_sha256"] in host.keytool("bad.p12")


def test_a_renewal_from_a_vault(host: Host, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    host.certificate(packed("modern"))
    secret = tmp_path / "vault"
    secret.write_text("vault password")
    renewed = tmp_path / "renewed.pfx"
    renewed.write_bytes(certificates.pack(certificates.issue(days=800), PLAIN_PASSWORD))
    monkeypatch.setenv("ANSIBLE_VAULT_PASSWORD_FILE", str(secret))
    subprocess.run([Path(sys.executable).parent / "ansible-vault", "encrypt", renewed], check=True, capture_output=True)
    assert renewed.read_bytes().startswith(b"$ANSIBLE_VAULT")
    answer = host.certificate(None, src=str(renewed))
    assert answer["changed"] is True and answer["certificate"]["days_left"] == 800 and answer["next_step"]
    assert base64.b64decode(host.shell(f"base64 {answer['backup_file']}")) == packed("modern")
    assert host.shell(f"stat -c '%U %a' {answer['backup_file']} /etc/esus-pec/replaced") == "root 600\nroot 700"
    assert host.certificate(None, src=str(renewed))["changed"] is False


def test_a_file_of_the_server(host: Host) -> None:
    host.shell("install -d -m 0700 /root/received")
    host.server.run("sh", "-c", "base64 -d > /root/received/municipio.pfx", stdin=base64.b64encode(packed("java8")).decode())
    answer = host.certificate(None, src="/root/received/municipio.pfx", remote_src=True, name=None, check=True)
    assert answer["changed"] is True and answer["path"] == f"{CHAVES}/municipio.pfx"
    missing = host.certificate(None, src="/nonexistent/municipio.pfx")
    assert missing["_failed"] and "there is no file /nonexistent/municipio.pfx on the controller" in missing["msg"]


def test_what_info_lists(host: Host) -> None:
    letters = certificates.issue(other_names=certificates.icp_brasil(certificates.LETTERS_CNPJ))
    host.certificate(certificates.pack(certificates.issue(days=800), PLAIN_PASSWORD))
    host.certificate(certificates.pack(letters, PLAIN_PASSWORD), name="letters.p12")
    host.server.put(issued().pem, f"{CHAVES}/municipio.cer")
    host.shell(f"cp {CHAVES}/municipio.pfx {CHAVES}/copied.pfx")
    info = host.server.module("esus.pec.info", {"database": False, "health": False})
    found = {os.path.basename(each["path"]): each for each in info["pec"]["certificates"]}
    assert (found["municipio.pfx"]["cnpj"], found["municipio.pfx"]["days_left"]) == (certificates.CNPJ, 800)
    assert found["municipio.pfx"]["problem"] is None
    assert found["letters.p12"]["cnpj"] == certificates.LETTERS_CNPJ
    assert found["copied.pfx"]["holder"] is None and found["copied.pfx"]["problem"]
    assert ".cer" in found["municipio.cer"]["problem"] and found["municipio.cer"]["days_left"] == 365


def test_the_role(host: Host, tmp_path: Path) -> None:
    source = tmp_path / "role.pfx"
    source.write_bytes(packed("modern"))
    play = {"gather_facts": True, "roles": ["esus.pec.pec_certificate"]}

    def run(*arguments: str, **variables: Any) -> subprocess.CompletedProcess[str]:
        given = {"pec_certificate_file": str(source), "pec_certificate_password": PASSWORD, **variables}
        answer: subprocess.CompletedProcess[str] = host.server.play(play, "--diff", *arguments, **given)
        assert PASSWORD not in answer.stdout + answer.stderr and PLAIN_PASSWORD not in answer.stdout + answer.stderr
        return answer

    refused = run("--check")
    assert refused.returncode != 0 and "wrong_password" in refused.stdout
    assert "changed=1 " in run("--check", pec_certificate_password=PLAIN_PASSWORD).stdout
    done = run(pec_certificate_password=PLAIN_PASSWORD)
    assert "changed=1 " in done.stdout and "11222333000181" in done.stdout, done.stdout
    assert "changed=0 " in run(pec_certificate_password=PLAIN_PASSWORD).stdout
    nothing = run(pec_certificate_file="")
    assert "changed=0 " in nothing.stdout and nothing.returncode == 0
    assert "changed=1 " in run(pec_certificate_state="absent", pec_certificate_name="role.pfx").stdout
    assert host.shell(f"ls {CHAVES}/role.pfx 2>/dev/null || echo gone") == "gone"


def test_the_journal_has_no_secret(host: Host) -> None:
    host.certificate(packed("modern"))
    host.certificate(packed("modern", PASSWORD), password=PASSWORD, name="other.p12")
    secrets = [PASSWORD, PLAIN_PASSWORD, base64.b64encode(packed("modern")).decode()[:60]]
    assert on_server(host.shell, secrets, JOURNAL, "/var/log") == []
