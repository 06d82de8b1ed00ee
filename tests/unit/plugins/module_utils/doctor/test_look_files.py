# SPDX-License-Identifier: GPL-3.0-or-later
"""A tree as PEC leaves it, and what of it reaches the report."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from ansible_collections.esus.pec.plugins.module_utils.doctor import look_files
from ansible_collections.esus.pec.plugins.module_utils.doctor.facts import FilesSeen
from ansible_collections.esus.pec.plugins.module_utils.pec import installation

SECRETS = ("Segredo-Completo-1", "Segredo-Leitura-1", "SegredoGovBr1", "SegredoQuebrado1")
CREDENTIALS = f"""Url de conexão: jdbc:postgresql://127.0.0.1:5433/esus

Usuário com acesso completo
usuário: postgres
senha: {SECRETS[0]}

Usuário com acesso de leitura
usuário: esus_leitura
senha: {SECRETS[1]}
"""
PROPERTIES = f"""spring.datasource.url=jdbc:postgresql://127.0.0.1:5433/esus
spring.datasource.username=postgres
spring.datasource.password={SECRETS[0]}
server.ssl.key-store-type=PKCS12 #OPCIONAL!
server.port=8080
bridge.security.oauth2.client.registration.govbr.client-secret={SECRETS[2]}\x20
{SECRETS[3]}
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    webserver = tmp_path / "opt/e-SUS/webserver"
    for directory in (webserver / "config", webserver / "certmgr", tmp_path / "opt/e-SUS/jre/17.0.13-linux_x64", tmp_path / "etc"):
        directory.mkdir(parents=True)
    (tmp_path / "opt/e-SUS/jre/current").symlink_to("17.0.13-linux_x64")
    (webserver / "pec-bundle.jar").touch()
    (webserver / "certmgr/certmgr.jar").touch()
    (webserver / "standalone.sh").write_text('JAVA_OPTS="-Xmx4096M -Dfile.encoding=UTF-8 -Dsenha=x"\njava -jar certmgr.jar --renew\n')
    (webserver / "standalone.sh").chmod(0o755)
    (webserver / "config/application.properties").write_text(PROPERTIES)
    (webserver / "config/credenciais.txt").write_bytes(CREDENTIALS.encode("latin-1"))
    (webserver / "config/credenciais.txt").chmod(0o600)
    (tmp_path / "etc/pec.config").write_text(json.dumps({"success": True, "directory": "/opt/e-SUS", "databasePassword": SECRETS[0]}))
    return tmp_path


def look(root: Path) -> FilesSeen:
    return look_files.look_at_files(installation.discover(str(root)), str(root))


def test_names_leave_and_values_stay(root: Path) -> None:
    seen = look(root)
    assert [secret for secret in SECRETS if secret in repr(seen)] == []
    assert seen.config is not None and seen.config.names == ("success", "directory", "databasePassword")
    assert seen.application is not None and seen.application.odd == 1, "a value on a line of its own is not a name to repeat"
    assert "server.port" in seen.application.names


def test_mistakes_in_properties_are_named_by_their_key(root: Path) -> None:
    application = look(root).application
    assert application is not None
    assert application.commented == ("server.ssl.key-store-type",)
    assert application.blank_at_end == ("bridge.security.oauth2.client.registration.govbr.client-secret",)


def test_form_of_the_credentials(root: Path) -> None:
    seen = look(root).credentials
    assert seen is not None
    assert (seen.order, seen.lines, seen.encoding) == (("URL", "acesso completo", "acesso de leitura"), 9, "Latin-1")


def test_tree(root: Path) -> None:
    seen = look(root)
    assert seen.paths["credentials-file"].mode == 0o600
    assert seen.paths["jre-current"].target == "17.0.13-linux_x64"
    assert seen.jre_versions == ("17.0.13-linux_x64",)
    assert (seen.certmgr_jar, seen.standalone_renews) == (True, True)
    assert seen.standalone_options == ("-Xmx4096M", "-Dfile.encoding=UTF-8")
    assert not seen.paths["ssl-properties"].exists


def test_secrets_are_known_for_cleaning_other_texts(root: Path) -> None:
    known = look_files.secrets(installation.discover(str(root)))
    assert set(SECRETS[:3]) <= {secret.strip() for secret in known}


@pytest.mark.parametrize(
    ("text", "problem"),
    [("{", "não é JSON"), ("[" * 100_000, "não é JSON"), ("[]", "não é um objeto JSON")],
    ids=["broken", "nested too deep", "not an object"],
)
def test_config_that_is_not_as_believed(root: Path, text: str, problem: str) -> None:
    (root / "etc/pec.config").write_text(text)
    config = look(root).config
    assert config is not None and config.problem == problem


def test_a_host_without_pec(tmp_path: Path) -> None:
    seen = look(tmp_path)
    assert [name for name, path in seen.paths.items() if path.exists] == []
    assert (seen.config, seen.application, seen.credentials, seen.standalone_renews) == (None, None, None, None)


def test_a_link_that_leads_nowhere_is_absent(tmp_path: Path) -> None:
    os.symlink("gone", tmp_path / "link")
    seen = look_files.see(str(tmp_path / "link"))
    assert (seen.kind, seen.target) == ("absent", "gone")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
@pytest.mark.parametrize("name", ["config/application.properties", "config/credenciais.txt", "standalone.sh"])
@pytest.mark.parametrize("kind", ["link", "/dev/zero", "fifo"])
def test_what_pecs_account_puts_there_is_a_finding(root: Path, name: str, kind: str) -> None:
    path = root / "opt/e-SUS/webserver" / name
    secret = root / "secret"
    path.rename(secret)
    if kind == "fifo":
        os.mkfifo(path)
    else:
        path.symlink_to(kind if kind.startswith("/") else secret)
    os.chown(path.parent, 65534, 65534)
    seen = look(root)
    if name == "standalone.sh":
        assert (seen.standalone_renews, seen.standalone_options) == (None, ())
    else:
        found = seen.application if name.endswith("properties") else seen.credentials
        assert found is None or found.problem.startswith(f"não foi lido: {path} is")
        assert (found is None) == (kind != "link"), "what is no file is not there"
