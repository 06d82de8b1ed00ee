# SPDX-License-Identifier: GPL-3.0-or-later
"""PEC's files, from a Windows server by SFTP and from a Linux server by rsync, to a new server."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from backing import FILES
from secret_search import JOURNAL, in_text, on_server
from windows_source import ATTACHMENTS, GOVBR_SECRET, KEYSTORE_PASSWORD, PASSWORD, ROOT, WEBSERVER, WindowsSource

SECRETS = [PASSWORD, KEYSTORE_PASSWORD, GOVBR_SECRET]
STAGED = "/var/lib/esus-pec/transfer/files"
HERE = "/opt/e-SUS/webserver"
SPRING = "spring.datasource.url=jdbc:postgresql://127.0.0.1:5432/esus\nspring.datasource.username=esus\nspring.datasource.password=Senha-de-ca-1\n"
LISTING = f"find {STAGED} {HERE} /srv /etc/esus-pec -printf '%p %M %U %s %T@\\n' 2>/dev/null | sort"
RSYNC = """
port = 8730
address = 127.0.0.1
read only = yes
auth users = pec
secrets file = /etc/rsync.secrets
[config]
path = /opt/eSUS/webserver/config
uid = root
[chaves]
path = /opt/eSUS/webserver/chaves
uid = pec
[webserver]
path = /opt/eSUS/webserver
uid = root
exclude = /config /chaves /*.jar
[anexos]
path = /srv/anexos de lá
uid = root
"""


@dataclass
class Move:
    """The old server and the new one."""

    source: WindowsSource
    target: Any
    ssh: dict[str, Any]

    def run(self, state: str, *, check: bool = False, **options: Any) -> dict[str, Any]:
        """Run the module; no secret may be seen anywhere."""
        result: dict[str, Any] = self.target.module("esus.pec.transfer_files", {"state": state, **options}, check=check)
        assert in_text(result["_output"], SECRETS) == []
        return result

    def done(self, state: str, *, changed: bool = True, **options: Any) -> dict[str, Any]:
        """Run it in check mode and really: both agree, and check mode does nothing."""
        before = self.target.shell(LISTING)
        checked = self.run(state, check=True, **options)
        assert (checked["_failed"], checked["changed"]) == (False, changed), checked
        assert self.target.shell(LISTING) == before
        result = self.run(state, **options)
        assert (result["_failed"], result["changed"]) == (False, changed), result
        if not changed:
            assert self.target.shell(LISTING) == before
        return result


@pytest.fixture(scope="module")
def move(start_server: Any) -> Move:
    source = WindowsSource(start_server("esus-pec-windows")).prepared()
    target = start_server("esus-pec-files")
    target.shell("apt-get update -qq; DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends rsync >/dev/null")
    return Move(source, target, source.allow(target))


@pytest.fixture
def pec(move: Move) -> Iterator[Move]:
    """PEC on the new server, with an account of its own."""
    move.target.run("useradd", "--system", "pec", check=False)
    for path, text in {**FILES, f"{HERE}/config/application.properties": SPRING}.items():
        if "/chaves/" not in path and "/certmgr/" not in path and not path.startswith("/srv/"):
            move.target.run("mkdir", "-p", path.rpartition("/")[0])
            move.target.put(text, path, "0755" if path.endswith(".sh") else "0600")
    yield move
    move.target.shell(f"rm -rf {STAGED} /opt/e-SUS /etc/pec.config /srv/anexos* /etc/esus-pec")


def properties(server: Any) -> dict[str, str]:
    lines = server.shell(f"cat {HERE}/config/application.properties").splitlines()
    return dict(line.split("=", 1) for line in lines if "=" in line)


def test_from_windows(pec: Move) -> None:
    given = {"attachments": [{"source": ATTACHMENTS, "target": "/srv/anexos"}]}
    staged = pec.done("staged", ssh=pec.ssh)
    assert {"webserver/chaves/antigos/São João.p12", "webserver/config/credenciais.txt"} <= set(staged["files"])
    assert "pec-bundle.jar" not in str(staged["files"])
    pec.done("staged", ssh=pec.ssh, changed=False)
    assert pec.done("synced", ssh=pec.ssh, **given)["attachments"][0]["fetched"] == 1
    pec.done("synced", ssh=pec.ssh, changed=False, **given)
    assert pec.target.shell("stat -c '%a %U' /srv/anexos.transfer").split() == ["700", "root"]

    applied = pec.done("applied", owner="pec", **given)
    reasons = {each["what"]: each["reason"] for each in applied["not_carried"]}
    assert reasons.keys() == {"webserver/certmgr/config/ssl.properties", "server.tomcat.basedir"}
    pec.done("applied", owner="pec", changed=False, **given)
    assert "has files" in pec.done("synced", ssh=pec.ssh, changed=False, **given)["notes"][0]
    pairs = properties(pec.target)
    assert (pairs["server.ssl.key-store"], pairs["server.ssl.key-store-password"]) == ("config/esusaps.p12", KEYSTORE_PASSWORD)
    assert pairs["bridge.security.oauth2.client.registration.govbr.client-secret"] == GOVBR_SECRET
    assert pairs["spring.datasource.password"] == "Senha-de-ca-1" and pairs["server.port"] == "8443"
    sums = "cd '{}' && find {} -type f | sort | xargs -d '\\n' sha256sum"
    there, here = (
        server.shell(sums.format(place, "chaves config/*.p12")) for server, place in ((pec.source.server, WEBSERVER), (pec.target, HERE))
    )
    assert there == here != ""
    modes = pec.target.shell(f"find {HERE}/chaves {HERE}/config/esusaps.p12 /srv/anexos -printf '%u %m %f\\n'").splitlines()
    assert {line.split()[0] for line in modes} == {"pec"}
    assert "pec 600 São João.p12" in modes and "pec 640 ofício nº 1.pdf" in modes
    kept = pec.target.shell(f"stat -c '%a %u' {' '.join(applied['kept'])}").split()
    assert kept == ["600", "0"]
    assert on_server(pec.target.shell, [GOVBR_SECRET], JOURNAL, "/tmp", "/run") == []

    pec.target.shell("echo mine >/srv/anexos/own.pdf")
    assert pec.done("synced", ssh=pec.ssh, replace=True, **given)["attachments"][0]["fetched"] == 1
    kept = pec.done("applied", owner="pec", replace=True, **given)["kept"]
    assert pec.target.shell("cat /srv/anexos.replaced-*/own.pdf; find /srv/anexos -type f -printf '%f\n'") == "mine\nofício nº 1.pdf\n"
    assert len(kept) == 1 and kept[0].startswith("/srv/anexos.replaced-")

    carried = pec.done("applied", owner="pec", certmgr=True, domain="pec.agua-clara.ms.gov.br", except_keys=["server.*"])
    assert "webserver/certmgr/config/ssl.properties" in carried["carried"] and properties(pec.target)["server.port"] == "8443"
    # A certificate that was replaced there replaces the one here, which is kept.
    pec.source.put(f"{WEBSERVER}/chaves/antigos/São João.p12", b"renewed")
    pec.done("staged", ssh=pec.ssh)
    again = pec.done("applied", owner="pec")
    assert pec.target.shell(f"cat '{HERE}/chaves/antigos/São João.p12'") == "renewed"
    assert pec.target.shell(f"grep -ac 'an old certificate' '{again['kept'][0]}'") == "1\n"
    pec.done("absent")
    pec.done("absent", changed=False)


def test_what_a_hostile_server_has(pec: Move) -> None:
    keys = f"{WEBSERVER}/chaves"
    pec.target.put("of root", "/etc/of-root", "0600")
    hostile = f"""
cd '{keys}'
ln -s /etc/passwd link.pfx
truncate -s 20G huge.pfx
touch 'two
lines.pfx' '..\\..\\up.pfx' "$(printf 'latin-\\351.pfx')"
mkfifo pipe.pfx
install -m 0000 -o root /dev/null secret.pfx
mkdir -p deep/2/3/4/5/6/7/8/9/10/11
touch deep/2/3/4/5/6/7/8/9/10/11/x.pfx
cd '{ROOT}/{ATTACHMENTS}'
ln -s / link
truncate -s 100G huge
install -m 0000 -o root /dev/null secret
"""
    pec.source.server.run("sh", "-ec", hostile)
    try:
        staged = pec.done("staged", ssh=pec.ssh)
        unreadable = {each["path"].rpartition("/")[2]: each["reason"] for each in staged["unreadable"]}
        names = {"link.pfx", "huge.pfx", "two?lines.pfx", "pipe.pfx", "secret.pfx", "..\\..\\up.pfx", "latin-\ufffd.pfx"}
        assert names | {name for name in unreadable if name.isdigit()} == unreadable.keys(), unreadable
        assert "more than 8 MiB" in unreadable["huge.pfx"] and "may not read it" in unreadable["secret.pfx"]
        assert "webserver/chaves/Certificado do Município.pfx" in staged["files"]
        given = {"attachments": [{"source": ATTACHMENTS, "target": "/srv/anexos"}]}
        synced = pec.done("synced", ssh=pec.ssh, **given)["attachments"][0]
        assert {each["path"] for each in synced["missing"]} == {"link", "huge", "secret"} and synced["files"] == 1
        # What PEC's account put in the way here is not followed.
        pec.target.shell(
            f"mkdir -p {HERE}/chaves; ln -s /etc/of-root '{HERE}/chaves/Certificado do Município.pfx'; chown -hR pec {HERE}/chaves"
        )
        failed = pec.run("applied", owner="pec", **given)
        assert failed["_failed"] and "is a symbolic link" in failed["msg"]
        assert pec.target.shell("cat /etc/of-root; stat -c %U%a /etc/of-root") == "of rootroot600\n"
        pec.target.shell(f"rm -r {HERE}/chaves")
    finally:
        pec.source.server.shell(f"cd '{keys}'; rm -rf *.pfx deep; cd '{ROOT}/{ATTACHMENTS}'; rm -f link huge secret")
        pec.source.put(f"{keys}/Certificado do Município.pfx", b"\x30\x82a certificate")


def test_an_interrupted_copy_is_continued(pec: Move) -> None:
    big = f"{ROOT}/{ATTACHMENTS}/exame.dcm"
    pec.source.server.shell(f"head -c 3000000 /dev/urandom > '{big}'; chmod 644 '{big}'; touch -d 2024-01-02 '{big}'")
    given = {"attachments": [{"source": ATTACHMENTS, "target": "/srv/anexos"}]}
    try:
        assert not pec.run("synced", ssh=pec.ssh, **given)["_failed"]
        # As a run that ended in the middle leaves it, with a mark that shows that the first part is not read again.
        part = "/srv/anexos.transfer/.esus-pec-$(printf exame.dcm | sha256sum | cut -c 1-16).part"
        pec.target.shell(
            f"cd /srv/anexos.transfer; mv exame.dcm {part}; truncate -s 1000000 {part}\n"
            f"printf mark | dd of={part} conv=notrunc status=none; touch -d 2024-01-02 {part}"
        )
        again = pec.run("synced", ssh=pec.ssh, **given)
        assert again["attachments"][0]["fetched"] == 1
        there = pec.source.server.shell(f"tail -c +5 '{big}' | sha256sum")
        assert pec.target.shell("tail -c +5 /srv/anexos.transfer/exame.dcm | sha256sum") == there
        assert pec.target.shell("head -c 4 /srv/anexos.transfer/exame.dcm; ls -A /srv/anexos.transfer | wc -l") == "mark2\n"
    finally:
        pec.source.server.shell(f"rm '{big}'")


def test_from_linux_by_rsync(pec: Move) -> None:
    old = pec.source.server
    files = {
        "config/application.properties": "server.ssl.key-store=/opt/eSUS/webserver/config/a.p12\nserver.port=443\n",
        "config/a.p12": "a keystore",
        "config/credenciais.txt": "senha: there\n",
        "chaves/rnds.pfx": "a certificate",
        "standalone.sh": '# -Xmx99g\nJAVA_OPTS="-Xms256m -Xmx512M -Dx=$(touch /tmp/broken)"\n',
        "pec-bundle.jar": "jar",
    }
    old.shell("apt-get install -y -qq --no-install-recommends rsync >/dev/null; useradd --system pec")
    old.shell("mkdir -p /opt/eSUS/webserver/chaves /opt/eSUS/webserver/config '/srv/anexos de lá/1'")
    old.shell("echo one > '/srv/anexos de lá/1/ofício.pdf'; ln -s /etc/passwd '/srv/anexos de lá/link'")
    for name, text in files.items():
        old.put(text, f"/opt/eSUS/webserver/{name}", "0644")
    old.put("of another account", "/opt/eSUS/webserver/chaves/secret.pfx", "0600")
    old.put("pec:Senha-do-rsync-1\n", "/etc/rsync.secrets", "0600")
    old.put(RSYNC, "/etc/rsync-test.conf")
    old.shell("systemd-run --quiet --collect --unit=test-rsync rsync --daemon --no-detach --config=/etc/rsync-test.conf")
    old.shell("sed -i 's/^PermitOpen .*/& 127.0.0.1:8730/' /etc/ssh/sshd_config.d/windows.conf; systemctl restart ssh")
    modules = {"config": "config", "chaves": "chaves", "webserver": ""}
    rsync = {
        "port": 8730,
        "user": "pec",
        "password": "Senha-do-rsync-1",
        "modules": [{"name": name, "path": f"/opt/eSUS/webserver/{path}".rstrip("/")} for name, path in modules.items()]
        + [{"name": "anexos", "path": "/srv/anexos de lá"}],
    }
    given = {"ssh": pec.ssh, "rsync": rsync, "home": "/opt/eSUS"}
    anexos = {"attachments": [{"source": "/srv/anexos de lá", "target": "/srv/anexos"}]}
    try:
        staged = pec.done("staged", **given)
        assert "webserver/chaves/rnds.pfx" in staged["files"] and "webserver/pec-bundle.jar" not in staged["files"]
        assert [each["path"] for each in staged["unreadable"]] == ["webserver/chaves/secret.pfx"]
        pec.done("staged", changed=False, **given)
        synced = pec.done("synced", **given, **anexos)["attachments"][0]
        assert (synced["fetched"], [each["path"] for each in synced["missing"]]) == (1, ["link"])
        pec.done("synced", changed=False, **given, **anexos)
        old.shell("cd '/srv/anexos de lá'; echo two > 2.pdf; touch gone.pdf")
        pec.done("synced", **given, **anexos)
        old.shell("rm '/srv/anexos de lá/gone.pdf'")
        pec.done("synced", **given, **anexos)
        assert pec.target.shell("ls -A /srv/anexos.transfer") == "1\n2.pdf\n"
        applied = pec.done("applied", owner="pec", **anexos)
        assert pec.target.run("test", "-e", f"{HERE}/config/credenciais.txt", check=False).returncode != 0
        assert applied["java_options"] == ["-Xms256m", "-Xmx512M"]
        assert properties(pec.target)["server.ssl.key-store"] == "config/a.p12"
        assert (
            pec.target.shell("cat /srv/anexos/1/ofício.pdf; stat -c %U /srv/anexos/1/ofício.pdf; ls /tmp/broken 2>&1 | wc -l")
            == "one\npec\n1\n"
        )
        wrong = pec.run("staged", **{**given, "rsync": {**rsync, "password": "another-one"}})
        assert wrong["_failed"] and "auth failed" in wrong["msg"]
    finally:
        old.shell("systemctl stop test-rsync; rm -rf /opt/eSUS '/srv/anexos de lá'")


def test_a_source_that_is_not_reached(pec: Move) -> None:
    pec.target.shell(
        "ssh-keygen -q -t ed25519 -N '' -f /root/other; printf '%s ' " + pec.ssh["host"] + " | cat - /root/other.pub > /root/other_hosts"
    )
    changed = pec.run("staged", ssh={**pec.ssh, "known_hosts_path": "/root/other_hosts"})
    refused = pec.run("staged", ssh={**pec.ssh, "key_path": "/root/other"})
    elsewhere = pec.run("staged", ssh=pec.ssh, home="E:/e-SUS")
    for result, said in ((changed, "host key"), (refused, "refused the key"), (elsewhere, "correct home")):
        assert result["_failed"] and said in result["msg"], result
