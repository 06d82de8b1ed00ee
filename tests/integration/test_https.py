# SPDX-License-Identifier: GPL-3.0-or-later
"""HTTPS in its three ways on a server with the stand-in, seen through TLS."""

from __future__ import annotations

import http.client
import json
import socket
import ssl
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import certificates
import pytest
from installed import install, prepare
from secret_search import JOURNAL, in_text, on_server

from ansible_collections.esus.pec.plugins.module_utils.certificates import x509

NAME = "esus-pec-https"
VERSION = "5.4.37"
DOMAIN, OTHER = "pec.municipio.uf.gov.br", "saude.municipio.uf.gov.br"
JAR = f"/srv/eSUS-AB-PEC-{VERSION}-Linux64.jar"
SECRET = 'Se\'nha "do" $keystore'
AUTHORITY = {"certmgr.authority": "/root/authority.p12", "certmgr.authority_password": "autoridade"}
SERVICE = "esus-pec-renewal.service"
CERTMGR = "/opt/e-SUS/webserver/certmgr/config"
PROPERTIES = "/opt/e-SUS/webserver/config/application.properties"


@dataclass(frozen=True)
class Answer:
    status: int
    location: str | None
    body: bytes


@dataclass(frozen=True)
class Pec:
    """A server, and PEC as its users see it."""

    server: Any
    directory: Path

    def role(self, *options: str, **variables: Any) -> subprocess.CompletedProcess[str]:
        play = {"gather_facts": True, "gather_subset": ["min", "pkg_mgr"], "roles": ["esus.pec.pec_https"]}
        given = {"pec_domain": DOMAIN, "pec_https_jar_path": JAR, "pec_health_timeout": 120, **variables}
        run: subprocess.CompletedProcess[str] = self.server.play(play, "--diff", *options, **given)
        assert in_text(run.stdout + run.stderr, [SECRET, "BEGIN PRIVATE KEY"]) == []
        return run

    def changed(self, *options: str, **variables: Any) -> int:
        run = self.role(*options, **variables)
        assert run.returncode == 0, run.stdout[-8000:] + run.stderr
        return int(run.stdout.rpartition("changed=")[2].split()[0])

    def refused(self, **variables: Any) -> str:
        run = self.role(**variables)
        assert run.returncode != 0, run.stdout[-4000:]
        return run.stdout

    def shell(self, script: str, check: bool = True) -> str:
        return str(self.server.run("sh", "-c", script, check=check).stdout.strip())

    def command(self, **commands: str) -> None:
        lines = {**AUTHORITY, **{key.replace("__", "."): value for key, value in commands.items()}}
        self.server.put("".join(f"{key} = {value}\n" for key, value in lines.items()), "/etc/pec-stand-in.conf")

    def get(self, path: str = "/", domain: str = DOMAIN, body: bytes | None = None, headers: dict[str, str] | None = None) -> Answer:
        """Return what a browser sees that trusts the private authority alone."""
        context = ssl.create_default_context(cadata=certificates.authorities()[1].pem)
        plain = socket.create_connection((self.server.address, 443), timeout=30)
        with context.wrap_socket(plain, server_hostname=domain) as secured:
            connection = http.client.HTTPSConnection(domain)
            connection.sock = secured
            connection.request("POST" if body else "GET", path, body, headers or {})
            answer = connection.getresponse()
            return Answer(answer.status, answer.getheader("Location"), answer.read())

    def shown(self, domain: str = DOMAIN) -> x509.Certificate:
        context = ssl.create_default_context(cadata=certificates.authorities()[1].pem)
        plain = socket.create_connection((self.server.address, 443), timeout=30)
        with context.wrap_socket(plain, server_hostname=domain) as secured:
            return x509.read(secured.getpeercert(binary_form=True) or b"")

    def plain(self, port: int) -> Answer | None:
        connection = http.client.HTTPConnection(self.server.address, port, timeout=10)
        try:
            connection.request("GET", "/x?y=1", headers={"Host": DOMAIN})
            answer = connection.getresponse()
            return Answer(answer.status, answer.getheader("Location"), answer.read())
        except OSError:
            return None
        finally:
            connection.close()

    def assert_no_secret(self) -> None:
        places = ("/tmp", "/var/tmp", "/var/log", "/root/.ansible")
        assert on_server(self.server.shell, [SECRET, "PRIVATE KEY"], JOURNAL, *places) == []

    def info(self) -> dict[str, Any]:
        result = self.server.module("esus.pec.info")
        assert not result["_failed"], result
        return dict(result["pec"])


@pytest.fixture(scope="module")
def bare(start_server: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pec]:
    server = start_server(NAME, "debian12")
    prepare(server, "openssl")
    server.run("sh", "-c", f"echo '127.0.1.1 {DOMAIN} {OTHER}' >> /etc/hosts")
    yield Pec(server, tmp_path_factory.mktemp("https"))


@pytest.fixture(scope="module")
def pec(bare: Pec, jar: Any) -> Pec:
    """PEC without HTTPS. Each test of a proxy or a keystore leaves it so; those of certmgr come after them."""
    authority = bare.directory / "authority.p12"
    authority.write_bytes(certificates.pack(certificates.authorities()[1], AUTHORITY["certmgr.authority_password"], name="ca"))
    bare.server.copy(authority, AUTHORITY["certmgr.authority"])
    bare.command()
    assert install(bare.server, jar(VERSION)) == JAR
    return bare


@pytest.fixture
def certmgr(pec: Pec) -> Pec:
    """PEC with HTTPS by certmgr."""
    if pec.info()["https"]["mode"] != "certmgr":
        pec.command(certmgr__days="10")
        assert pec.changed(pec_https_mode="certmgr") > 0
    return pec


def issued(domain: str = DOMAIN, **options: Any) -> certificates.Issued:
    return certificates.issue(domain, domains=[domain], uses=[certificates.SERVER], **options)


def pair(pec: Pec, certificate: certificates.Issued, key: certificates.Issued | None = None) -> dict[str, Any]:
    """The variables of the proxy mode with this certificate."""
    files = {"certificate": certificate.pem + certificate.authorities[0].pem, "key": (key or certificate).key_pem}
    for name, text in files.items():
        (pec.directory / f"{name}.pem").write_text(text)
    return {"pec_https_mode": "proxy", **{f"pec_https_{name}_file": str(pec.directory / f"{name}.pem") for name in files}}


def keystore(pec: Pec, certificate: certificates.Issued) -> dict[str, Any]:
    path = pec.directory / "tls.p12"
    path.write_bytes(certificates.pack(certificate, SECRET))
    return {"pec_https_mode": "keystore", "pec_https_keystore_file": str(path), "pec_https_keystore_password": SECRET}


ECHO = """
import http.server, json
class Echo(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = json.dumps(dict(self.headers)).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
http.server.HTTPServer(("127.0.0.1", 8080), Echo).serve_forever()
"""


def behind(pec: Pec, path: str, **headers: str) -> bytes:
    """Return the headers that nginx sends to a program in PEC's place."""
    pec.server.put(ECHO, "/root/echo.py")
    pec.shell("systemctl stop e-SUS-PEC; systemd-run -q --unit echo-headers python3 /root/echo.py")
    pec.shell("timeout 30 sh -c 'until ss -Hltn | grep -q :8080; do sleep 0.2; done'")
    try:
        return pec.get(path, headers=headers).body
    finally:
        pec.shell("systemctl stop echo-headers; systemctl start e-SUS-PEC")
        assert not pec.server.module("esus.pec.health", {"timeout": 120})["_failed"]


def test_an_empty_server(bare: Pec) -> None:
    """Without a mode nothing is done, check mode predicts, a run fails. On its server PEC is installed later."""
    assert bare.changed() == 0
    for variables in (pair(bare, issued()), keystore(bare, issued()), {"pec_https_mode": "certmgr"}):
        assert bare.changed("--check", **variables) > 0
    bare.refused(pec_https_mode="certmgr")


def test_a_proxy(pec: Pec) -> None:
    first = issued()
    assert pec.changed(**pair(pec, first)) > 0
    assert pec.get().status == 200 and pec.shown().fingerprint_sha256 == x509.read(first.der).fingerprint_sha256
    redirect = pec.plain(80)
    assert redirect is not None and (redirect.status, redirect.location) == (301, f"https://{DOMAIN}/x?y=1")
    assert pec.shell("stat -c '%U %a' /etc/esus-pec/proxy/key.pem /etc/esus-pec/proxy") == "root 600\nroot 700"
    assert pec.get("/api/graphql", body=b" " * 20_000_000).status != 413
    assert pec.changed(**pair(pec, first)) == 0
    assert pec.changed("--check", **pair(pec, first)) == 0
    seen = json.loads(behind(pec, "/x", Upgrade="websocket", Connection="Upgrade"))
    assert seen["Host"] == seen["X-Forwarded-Host"] == DOMAIN
    assert (seen["X-Forwarded-Proto"], seen["X-Forwarded-Port"]) == ("https", "443")
    assert seen["X-Forwarded-For"] == seen["X-Real-IP"] and seen["X-Real-IP"].count(".") == 3
    assert (seen["Upgrade"], seen["Connection"]) == ("websocket", "upgrade")
    # What cannot work is rejected before anything changes.
    assert "foreign_key" in pec.refused(**pair(pec, issued(), key=first))
    assert "wrong_domain" in pec.refused(**pair(pec, issued(OTHER)))
    assert '"expired"' in pec.refused(**pair(pec, issued(days=-1, since_days=-9)))
    said = pec.refused(**pair(pec, first), pec_https_upload_limit="much")
    assert "nginx keeps running as before" in said and "client_max_body_size" in said
    assert pec.shell("ls /etc/nginx/conf.d") == "esus-pec.conf" and pec.shell("nginx -t 2>&1").endswith("is successful")
    assert pec.shown().fingerprint_sha256 == x509.read(first.der).fingerprint_sha256
    renewed = issued()
    assert pec.changed("--check", **pair(pec, renewed)) == 1
    assert pec.changed(**pair(pec, renewed)) > 0
    assert pec.shown().fingerprint_sha256 == x509.read(renewed.der).fingerprint_sha256
    said = pec.refused(pec_https_mode="certmgr")
    assert "port 443 is taken by nginx" in said and "port 80 is taken by nginx" in said
    assert "port 443 is taken by nginx; stop and disable it" in pec.refused(**keystore(pec, first))
    pec.shell("systemctl disable --now nginx")
    pec.assert_no_secret()


def test_a_keystore(pec: Pec) -> None:
    first = issued()
    assert pec.changed(**keystore(pec, first)) > 0
    assert pec.get().status == 200 and pec.shown().fingerprint_sha256 == x509.read(first.der).fingerprint_sha256
    assert pec.plain(8080) is None
    assert pec.shell("stat -c '%U %a' /opt/e-SUS/webserver/config/esusaps.p12") == "root 600"
    https = pec.info()["https"]
    assert (https["mode"], https["port"], https["certificate"]["fingerprint_sha256"]) == ("keystore", 443, pec.shown().fingerprint_sha256)
    assert https["certificate"]["trusted"] is False
    assert pec.changed(**keystore(pec, first)) == 0
    assert pec.changed("--check", **keystore(pec, first)) == 0
    renewed = issued()
    assert pec.changed(**keystore(pec, renewed)) > 0
    assert pec.shown().fingerprint_sha256 == x509.read(renewed.der).fingerprint_sha256
    assert "PEC serves HTTPS by keystore on port 443 already" in pec.refused(pec_https_mode="certmgr")
    pec.shell(f"sed -i '/^server\\./d; /^security\\.require-ssl/d' {PROPERTIES} && systemctl restart e-SUS-PEC")
    assert not pec.server.module("esus.pec.health", {"timeout": 120})["_failed"]
    pec.assert_no_secret()


def test_an_authority_that_does_not_answer(pec: Pec) -> None:
    pec.command(certmgr__acme="timeout")
    said = pec.refused(pec_https_mode="certmgr")
    assert "ACME: timeout" in said and "PEC has no HTTPS, as before." in said and "so it was started again" in said
    assert not pec.server.module("esus.pec.health", {"timeout": 120})["_failed"]
    assert pec.info()["state"] == "installed" and pec.info()["https"]["mode"] == "none"
    assert "certmgr" not in pec.shell("ls /etc/esus-pec")


def test_certmgr(pec: Pec) -> None:
    pec.command(certmgr__days="10")
    assert pec.changed("--check", pec_https_mode="certmgr") > 0
    assert pec.changed(pec_https_mode="certmgr") > 0
    assert pec.get().status == 200 and pec.shown().days_left(datetime.now(timezone.utc)) == 9
    assert pec.plain(8080) is None
    https = pec.info()["https"]
    assert (https["mode"], https["domain"], https["certificate"]["days_left"]) == ("certmgr", DOMAIN, 9)
    assert https["certificate"]["matches_domain"] is True and https["certificate"]["dns_names"] == [DOMAIN]
    assert pec.changed(pec_https_mode="certmgr") == 0
    assert pec.changed("--check", pec_https_mode="certmgr") == 0
    assert pec.shell("systemctl is-active esus-pec-renewal.timer") == "active"
    assert pec.shell("systemctl is-enabled esus-pec-renewal.timer") == "enabled"


def test_renewal(certmgr: Pec) -> None:
    pec = certmgr
    old = pec.shown()
    pec.command(certmgr__days="90", certmgr__acme="timeout")
    assert pec.server.run("systemctl", "start", SERVICE, check=False).returncode != 0
    journal = pec.shell(f"journalctl -q -o cat -u {SERVICE}")
    assert "is valid for 9 more days only" in journal and "certmgr did not renew it" in journal
    assert pec.get().status == 200 and pec.shown() == old
    pec.command(certmgr__days="90")
    pec.server.run("systemctl", "start", SERVICE)
    assert "PEC shows a new certificate, valid until" in pec.shell(f"journalctl -q -o cat -u {SERVICE}")
    assert pec.shown().days_left(datetime.now(timezone.utc)) == 89
    started = pec.shell("systemctl show -P ActiveEnterTimestampMonotonic e-SUS-PEC")
    pec.server.run("systemctl", "start", SERVICE)
    assert pec.shell("systemctl show -P ActiveEnterTimestampMonotonic e-SUS-PEC") == started
    assert "is valid for 89 more days" in pec.shell(f"journalctl -q -o cat -u {SERVICE}")


def test_another_domain(certmgr: Pec) -> None:
    """The documented way; if it fails, HTTPS works as before, with the same certificate."""
    pec = certmgr
    old = pec.shown()
    pec.command(certmgr__acme="timeout")
    said = pec.refused(pec_https_mode="certmgr", pec_https_domain=OTHER)
    assert "HTTPS is as it was before." in said and "so it was started again" in said
    assert not pec.server.module("esus.pec.health", {"timeout": 120})["_failed"]
    assert pec.get().status == 200 and pec.shown() == old
    assert pec.info()["https"]["domain"] == DOMAIN
    pec.command()
    assert pec.changed("--check", pec_https_mode="certmgr", pec_https_domain=OTHER) > 0
    assert pec.shown() == old
    assert pec.changed(pec_https_mode="certmgr", pec_https_domain=OTHER) > 0
    assert pec.get(domain=OTHER).status == 200 and pec.shown(OTHER).dns_names == (OTHER,)
    assert pec.changed(pec_https_mode="certmgr", pec_https_domain=OTHER) == 0
    assert pec.shell("stat -c '%U %a' /etc/esus-pec/certmgr-previous") == "root 700"
    assert DOMAIN in pec.shell("cat /etc/esus-pec/certmgr-previous/config/ssl.properties")
    assert pec.shell(f"stat -c %a {CERTMGR}/ssl.properties") == "600"
    pec.assert_no_secret()
