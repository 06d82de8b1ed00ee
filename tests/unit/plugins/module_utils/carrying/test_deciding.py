# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.esus.pec.plugins.module_utils.carrying import deciding, staging
from ansible_collections.esus.pec.plugins.module_utils.carrying.deciding import Current, Desired, Existing, Plan, translate
from ansible_collections.esus.pec.plugins.module_utils.carrying.staging import Staged
from ansible_collections.esus.pec.plugins.module_utils.pec import contra_chave

WINDOWS = "C:/Program Files/e-SUS"
PROPERTIES = "webserver/config/application.properties"
KEY = "webserver/chaves/a.pfx"
KEYSTORE = "webserver/config/x.p12"
OURS = "spring.datasource.url=jdbc:postgresql://here/esus\nspring.datasource.password=ours\n"
ENTRY = contra_chave.Entry("instalacao", "5000203", "CHAVE-1")


def plan(text: str = "", home: str = WINDOWS, ours: str = OURS, **options: Any) -> Plan:
    """Plan with these settings at the source; files: what else is staged."""
    files = dict.fromkeys(options.pop("files", (KEYSTORE,)), b"there")
    staged = Staged(home, {**files, **options.pop("contents", {}), PROPERTIES: text.encode("latin-1")})
    current = Current("/opt/e-SUS", ours, options.pop("existing", {}), options.pop("contra_chaves", ()), memory=8 << 30)
    return deciding.plan(current, staged, Desired(7, 8, **options))


def settings(done: Plan) -> dict[str, str]:
    pairs = dict(line.split("=", 1) for line in done.properties.text.splitlines())
    return {key: value for key, value in pairs.items() if key in done.carried}


def reasons(done: Plan) -> dict[str, str]:
    return {each.what: each.reason for each in done.skipped}


@pytest.mark.parametrize(
    ("line", "carried"),
    [
        ("spring.datasource.url=jdbc:evil", None),
        ("spring.datasource.password=theirs", None),
        ("spring.config.import=http://evil", None),
        ("logging.file=/etc/x", None),
        ("server.port=8443", "8443"),
        ("security.require-ssl=true", "true"),
        ("bridge.x=Água", "\\u00c1gua"),
        ("bridge.x=${user.home}", None),
        ("bridge.x=a\\nb", None),
        ("bridge.x=PKCS12 #OPCIONAL", "PKCS12 #OPCIONAL"),
        ("server.servlet.context-path=/esus", "/esus"),
        ("server.tmp=D:\\\\Tomcat", None),
        ("server.tmp=c:\\\\program files\\\\E-SUS\\\\tmp", "/opt/e-SUS/tmp"),
        ("server.tmp=C:/Program Files/e-SUS/../../etc", None),
        ("server.tomcat.max-threads=200", "200"),
        ("server.tomcat.accesslog.directory=/etc/cron.d", None),
        ("server.tomcat.accesslog.pattern=* * * * * root id", None),
        ("server.tomcat.access-Log.enabled=true", None),
        ("server.tomcat[accesslog].enabled=true", None),
        ("server.undertow.acc\\u00e9ess_log.dir=/etc", None),
        ("server.tomcat.basedir=/etc", None),
        ("server.servlet.session.store-dir=/etc", None),
        ("server.servlet.session.persistent=true", None),
        ("server.servlet.jsp.class-name=x", None),
        ("server.servlet.context-parameters.x=y", None),
        ("server.x=\\\\\\\\server\\\\share", None),
        ("server.anexos=D:\\\\Anexos\\\\2025", "/srv/anexos/2025"),
        ("server.anexos=D:\\\\AnexosOutros", None),
    ],
)
def test_a_setting(line: str, carried: str | None) -> None:
    done = plan(line, directories={"D:/Anexos": "/srv/anexos"})
    key = line.partition("=")[0].replace("\\u00e9", "é")
    assert settings(done).get(key) == carried
    assert ("evil" in done.properties.text, "theirs" in done.properties.text) == (False, False)
    assert done.properties.text.startswith(OURS) and (key in reasons(done)) == (carried is None and key.startswith(("server.", "bridge.")))


@pytest.mark.parametrize(
    ("home", "value", "carried"),
    [
        (WINDOWS, "config/x.p12", "config/x.p12"),
        (WINDOWS, "config\\\\X.P12", "config/x.p12"),
        (WINDOWS, "C:\\\\Program Files\\\\e-SUS\\\\webserver\\\\config\\\\x.p12", "config/x.p12"),
        (WINDOWS, "file:///C:/Program Files/e-SUS/webserver/config/x.p12", "config/x.p12"),
        ("/opt/eSUS", "file:/opt/eSUS/webserver/config/x.p12", "config/x.p12"),
        ("/opt/eSUS", "./config/x.p12", "config/x.p12"),
        ("", "config/x.p12", "config/x.p12"),
        ("/opt/eSUS", "classpath:x.p12", "classpath:x.p12"),
        ("/opt/eSUS", "/etc/ssl/x.p12", None),
        ("/opt/eSUS", "../../../etc/ssl/x.p12", None),
        (WINDOWS, "E:\\\\x.p12", None),
        (WINDOWS, "config/other.p12", None),
    ],
)
def test_a_keystore(home: str, value: str, carried: str | None) -> None:
    """Without its file nothing of HTTPS is carried, because PEC would not start."""
    text = f"server.ssl.key-store={value}\nserver.ssl.key-store-password=s\nserver.port=443\nsecurity.require-ssl=true\nserver.x=1\n"
    done = plan(text, home)
    assert settings(done).get("server.ssl.key-store") == carried
    assert set(settings(done)) == ({"server.x"} if carried is None else {*(line.split("=")[0] for line in text.splitlines())})
    excepted = plan(text, home, excepted=("server.ssl.*",))
    assert set(settings(excepted)) == {"server.port", "security.require-ssl", "server.x"}
    assert reasons(excepted)["server.ssl.key-store"] == "this host sets it itself"


@pytest.mark.parametrize("path", ["webserver/pec-bundle.jar", "webserver/config/application.yml", "jre/lib/security/java.security"])
def test_a_keystore_is_no_way_to_bring_another_file(path: str) -> None:
    done = plan(f"server.ssl.key-store=/opt/eSUS/{path}\n", "/opt/eSUS", files=(path,))
    assert (dict(done.write), settings(done)) == ({}, {})
    assert "not carried" in reasons(done)["server.ssl.key-store"]


def test_files_owners_and_a_second_plan() -> None:
    good = Existing(b"there", 0o600, 7, 8)
    first = plan("server.port=1\n", files=(KEY, KEYSTORE), existing={KEY: Existing(b"here", 0o600, 7, 8)})
    assert set(first.write) == {KEY, KEYSTORE} and first.changed
    assert first.before.count("sha256") == 1 and "there" not in first.after and "here" not in first.before
    owned = plan("", files=(KEY, KEYSTORE), existing={KEY: Existing(b"there", 0o644, 7, 8), KEYSTORE: Existing(b"there", 0o600, 0, 0)})
    assert (dict(owned.write), owned.own, owned.changed) == ({}, (KEY, KEYSTORE), True)
    again = plan("server.port=1\n", files=(KEY, KEYSTORE), existing={KEY: good, KEYSTORE: good}, ours=first.properties.text)
    assert (again.changed, again.before, again.after) == (False, "", "")
    assert again.carried == first.carried


def test_the_diff_has_no_secret() -> None:
    done = plan("bridge.a.client-secret=hunter-2\nserver.port=1\n", ours=OURS + "bridge.a.client-secret=old-one\n")
    assert "server.port=1" in done.after
    assert not [secret for secret in ("hunter-2", "old-one", "ours") if secret in done.before + done.after]


CERTMGR = {
    "webserver/certmgr/config/ssl.properties": b"domain=Pec.example\n"
    b"server.ssl.key-store=C:/Program Files/e-SUS/webserver/certmgr/config/k.p12\n",
    "webserver/certmgr/config/k.p12": b"k",
}


@pytest.mark.parametrize("line", ["spring.datasource.url=jdbc:x", "LOGGING.config=/x", "server.tomcat.basedir=/x", "[spring].x=y"])
def test_what_certmgr_has_sets_nothing_else(line: str) -> None:
    """PEC takes ssl.properties for settings of its own that count more than the others."""
    contents = {**CERTMGR, "webserver/certmgr/config/ssl.properties": f"domain=pec.example\n{line}\n".encode()}
    done = plan("", contents=contents, files=(), certmgr=True, domain="pec.example")
    assert dict(done.write) == {} and "is no setting of certmgr" in reasons(done)["webserver/certmgr/config/ssl.properties"]


def test_of_certmgr_only_certificates_and_its_settings() -> None:
    others = ("webserver/certmgr/config/application.yml", "webserver/certmgr/config/a/logback.xml", "webserver/certmgr/config/a.pem")
    done = plan("", contents=CERTMGR, files=others, certmgr=True, domain="pec.example")
    assert set(done.write) == {*CERTMGR, others[2]}


@pytest.mark.parametrize(
    ("options", "carried"),
    [
        ({}, False),
        ({"certmgr": True}, False),
        ({"certmgr": True, "domain": "other"}, False),
        ({"certmgr": True, "domain": "pec.EXAMPLE"}, True),
    ],
)
def test_certmgr(options: dict[str, Any], carried: bool) -> None:
    done = plan("", contents=CERTMGR, **options)
    assert [path for path in CERTMGR if path in done.write] == (list(CERTMGR) if carried else [])
    assert [path for path in CERTMGR if path in reasons(done)] == ([] if carried else list(CERTMGR))
    if carried:
        assert b"key-store=/opt/e-SUS/webserver/certmgr/config/k.p12" in done.write[next(iter(CERTMGR))]


@pytest.mark.parametrize(
    ("script", "options"),
    [
        ('JAVA_OPTS="-Xms2048M -Xmx4096M -Djava.awt.headless=true"', ("-Xms2048M", "-Xmx4096M")),
        ("JAVA_OPTS=-Xmx1g\r\n# -Xmx2g\r\nJAVA_OPTS='-Xmx3g'\r\n", ("-Xmx3g",)),
        ("java -XX:MaxRAMPercentage=75.0 -XX:+UseG1GC -XX:OnOutOfMemoryError=reboot", ("-XX:MaxRAMPercentage=75.0", "-XX:+UseG1GC")),
        ("-Xmx2g;reboot $(-Xmx1g) -javaagent:/x.jar", ()),
        ("-Xmx64g -Xms1g", ("-Xms1g",)),
    ],
)
def test_options_of_java(script: str, options: tuple[str, ...]) -> None:
    done = plan("", home="/opt/eSUS", contents={"webserver/standalone.sh": script.encode()})
    assert done.java_options == options and "webserver/standalone.sh" not in done.carried
    assert ("-Xmx64g" in reasons(done)) == ("64g" in script)


@pytest.mark.parametrize(
    ("entries", "here", "added", "reason"),
    [
        ([{"purpose": "instalacao", "ibge_code": "5000203", "contra_chave": "CHAVE-1"}], (), 1, ""),
        ([{"purpose": "instalacao", "ibge_code": "5000203", "contra_chave": "CHAVE-1"}], (ENTRY,), 0, ""),
        ([{"purpose": "instalacao", "ibge_code": "5000203", "contra_chave": "CHAVE-2"}], (ENTRY,), 0, "has another one"),
        ([{"purpose": "root", "ibge_code": "5000203", "contra_chave": "CHAVE-2"}], (), 0, "is none"),
        ([{"purpose": "instalacao", "ibge_code": "../1", "contra_chave": "CHAVE-2"}], (), 0, "is none"),
        (["x"], (), 0, "was not written by this collection"),
    ],
)
def test_contra_chaves(entries: list[Any], here: tuple[contra_chave.Entry, ...], added: int, reason: str) -> None:
    content = json.dumps({contra_chave.VARIABLE: entries}).encode()
    done = plan("", contents={staging.CONTRA_CHAVE: content}, contra_chaves=here)
    assert (len(done.contra_chaves or ()) - len(here) if done.contra_chaves else 0) == added
    assert reason in "".join(reasons(done).values()) and bool(reason) == bool(done.skipped)
    assert "CHAVE-" not in done.after + done.before + str(done.carried) + str(done.skipped)


@pytest.mark.parametrize("text", ["\xff\xfes\0e\0r\0v\0", "bridge.x=\\u12"])
def test_settings_that_java_could_not_read(text: str) -> None:
    done = plan(text)
    assert PROPERTIES in reasons(done) and not done.properties.changed
    ours = Current("/opt/e-SUS", "bridge.client-secret=hunter-2\nspring.datasource.password=x\n")
    assert deciding.secrets(ours, Staged("", {PROPERTIES: text.encode("latin-1")})) == {"hunter-2"}


def test_paths_of_linux_are_exact() -> None:
    roots = {"/opt/eSUS": "/opt/e-SUS", "/opt/eSUS/anexos": "/srv/a"}
    found = [translate(value, roots) for value in ("/opt/eSUS", "/opt/eSUS/anexos/1", "/OPT/esus/x", "/opt/eSUSx", "x")]
    assert found == ["/opt/e-SUS", "/srv/a/1", "/OPT/esus/x", "/opt/eSUSx", "x"]
    assert translate("/opt/eSUS/../../etc/shadow", roots) is None


def test_applied_and_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deciding.files, "REPLACED", str(tmp_path / "kept"))
    monkeypatch.setattr(deciding.files.keep, "__defaults__", (None, str(tmp_path / "kept")))
    desired = Desired(os.getuid(), os.getgid())
    home = tmp_path / "home"
    (home / "webserver/config").mkdir(parents=True)
    (home / PROPERTIES).write_text(OURS)
    staged = Staged("/opt/eSUS", {KEY: b"there", PROPERTIES: b"server.port=1\n"})
    kept: list[str] = []
    for turn in range(2):
        current = deciding.read_current(str(home), staged)
        todo = deciding.plan(current, staged, desired)
        assert todo.changed == (turn == 0)
        kept += deciding.apply(current, todo, desired)
    assert (home / KEY).read_bytes() == b"there" and (home / PROPERTIES).read_text() == f"{OURS}server.port=1\n"
    assert [Path(path).read_text() for path in kept] == [OURS]
