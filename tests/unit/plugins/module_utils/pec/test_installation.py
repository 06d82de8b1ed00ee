# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.pec.credentials import Login
from ansible_collections.esus.pec.plugins.module_utils.pec.installation import Https, Installation, discover, parse_version
from ansible_collections.esus.pec.plugins.module_utils.postgres.psql import Connection

URL = "jdbc:postgresql://127.0.0.1:5433/esus"
SPRING = f"spring.datasource.url={URL}\nspring.datasource.username=postgres\nspring.datasource.password=da\\u00e7a\n"
CREDENTIALS = f"Url de conexão: {URL}\nusuário: postgres\nsenha: dele\n\nusuário: esus_leitura\nsenha: ler\n"
PEC, DATABASE = "e-SUS-PEC.service", "e-SUS-AB-PostgreSQL.service"


class Server:
    """A host below a directory; every method leaves one thing on it."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def file(self, path: str, text: str = "", mode: int = 0o644) -> Path:
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
        file.chmod(mode)
        return file

    def config(self, **changes: object) -> None:
        content = {
            "success": True,
            "directory": "/opt/e-SUS",
            "version": "5.4.37",
            "production": True,
            "customDatabase": False,
            "databaseUrl": URL,
            "databaseUsername": "postgres",
            "databasePassword": "da config",
            "jreVersion": "17.0.13-linux_x64",
            "jreDirectory": "/opt/e-SUS/jre/17.0.13-linux_x64",
            "webserverVersion": "5.4.37",
            "webserverDirectory": "/opt/e-SUS/webserver",
        }
        self.file("etc/pec.config", json.dumps({**content, **changes}, separators=(",", " : ")))

    def tree(self, home: str = "opt/e-SUS") -> None:
        self.file(f"{home}/webserver/standalone.sh", "#!/bin/bash\n", 0o755)
        self.file(f"{home}/webserver/pec-bundle.jar")
        self.file(f"{home}/webserver/config/application.properties", SPRING)
        self.file(f"{home}/webserver/config/credenciais.txt", CREDENTIALS, 0o600)
        self.file(f"{home}/jre/17.0.13-linux_x64/bin/java", "", 0o755)
        (self.root / home / "jre/current").symlink_to("/opt/e-SUS/jre/17.0.13-linux_x64")

    def units(self, *names: str, directory: str = "lib/systemd/system") -> None:
        for name in names:
            self.file(f"{directory}/{name}", "[Service]\n")

    def path(self, path: str) -> str:
        return str(self.root / path)

    def found(self) -> Installation:
        return discover(str(self.root))


@pytest.fixture
def server(tmp_path: Path) -> Server:
    return Server(tmp_path)


@pytest.fixture
def bundled(server: Server) -> Server:
    """A server as the installer leaves it when it brings the database along."""
    server.config()
    server.tree()
    server.units(PEC, DATABASE)
    return server


def test_a_bare_host_is_absent(server: Server) -> None:
    assert server.found() == Installation("absent")


@pytest.mark.parametrize("leftover", [[], ["lost+found"]])
def test_an_empty_home_is_a_disk_waiting_for_an_installation(server: Server, leftover: list[str]) -> None:
    for name in ["", *leftover]:
        (server.root / "opt/e-SUS" / name).mkdir(parents=True, exist_ok=True)
    assert server.found().state == "absent"


def test_a_bundled_installation(bundled: Server) -> None:
    webserver = bundled.path("opt/e-SUS/webserver")
    assert bundled.found() == Installation(
        state="installed",
        reasons=(),
        home=bundled.path("opt/e-SUS"),
        version="5.4.37",
        production=True,
        custom_database=False,
        connection=Connection("127.0.0.1", 5433, "esus", "postgres", "daça"),
        connection_source=f"{webserver}/config/application.properties",
        read_only=Login("esus_leitura", "ler"),
        jre_directory=bundled.path("opt/e-SUS/jre/17.0.13-linux_x64"),
        jre_version="17.0.13-linux_x64",
        standalone_sh=f"{webserver}/standalone.sh",
        application_properties=f"{webserver}/config/application.properties",
        credentials_file=f"{webserver}/config/credenciais.txt",
        keys_directory=f"{webserver}/chaves",
        log_file=f"{webserver}/logs/pec.log",
        config_file=bundled.path("etc/pec.config"),
        pec_unit_file=bundled.path(f"lib/systemd/system/{PEC}"),
        database_unit_file=bundled.path(f"lib/systemd/system/{DATABASE}"),
        ssl_properties=None,
        https=Https("none", None, None, None),
        http_port=8080,
        certificates=(),
    )
    assert bundled.found().urls == ("http://127.0.0.1:8080",)


def test_no_password_in_the_representation(bundled: Server) -> None:
    text = repr(bundled.found())
    assert not [secret for secret in ("daça", "da config", "dele", "'ler'") if secret in text]


@pytest.mark.parametrize(
    ("home", "configured"), [("opt/eSUS", None), ("opt/eSUS", "/opt/eSUS"), ("srv/pec", "/srv/pec"), ("opt/eSUS", "/opt/e-SUS")]
)
def test_the_home_may_be_elsewhere(server: Server, home: str, configured: str | None) -> None:
    server.tree(home)
    server.units(PEC, DATABASE, directory="usr/lib/systemd/system")
    if configured:
        server.config(directory=configured)
    found = server.found()
    assert (found.state, found.home) == ("installed", server.path(home))


def test_an_external_database_without_a_unit_works_and_is_remarked(server: Server) -> None:
    server.config(customDatabase=True)
    server.tree()
    found = server.found()
    assert (found.state, found.custom_database, found.pec_unit_file) == ("installed", True, None)
    assert found.reasons == (
        f"the service {PEC} is not installed, as happens with an external database; PEC does not start with the system",
    )


def test_a_missing_configuration_is_remarked(bundled: Server) -> None:
    (bundled.root / "etc/pec.config").unlink()
    found = bundled.found()
    assert (found.state, found.version, found.production, found.custom_database) == ("installed", None, None, None)
    assert (found.jre_directory, found.jre_version) == (bundled.path("opt/e-SUS/jre/current"), "17.0.13-linux_x64")
    assert [reason.split(";")[0] for reason in found.reasons] == ["/etc/pec.config is missing"]


def test_a_configuration_without_the_key_success_proves_nothing(bundled: Server) -> None:
    bundled.file("etc/pec.config", '{"version" : "5.4.37", "production" : true}')
    assert bundled.found().state == "installed"


@pytest.mark.parametrize("change", [{"success": False}, {"success": None}, {"success": "false"}, {"success": 1}])
def test_an_installation_that_did_not_succeed_is_broken(bundled: Server, change: dict[str, object]) -> None:
    bundled.config(**change)
    found = bundled.found()
    assert found.state == "broken"
    assert found.reasons == (f"{bundled.path('etc/pec.config')} does not say that the installation succeeded; run the installer again",)


def test_success_as_text_is_success(bundled: Server) -> None:
    bundled.config(success="true")
    assert bundled.found().state == "installed"


def test_a_configuration_that_is_not_json_is_broken_and_the_rest_is_still_read(bundled: Server) -> None:
    bundled.file("etc/pec.config", '{"success" : true, "databasePassword" : "da config"')
    found = bundled.found()
    assert (found.state, found.connection is not None) == ("broken", True)
    assert "is not JSON" in found.reasons[1]
    assert "da config" not in repr(found)


@pytest.mark.parametrize("name", ["standalone.sh", "pec-bundle.jar"])
def test_a_missing_part_of_the_application_is_broken(bundled: Server, name: str) -> None:
    (bundled.root / "opt/e-SUS/webserver" / name).unlink()
    found = bundled.found()
    assert (found.state, found.reasons) == (
        "broken",
        (f"{bundled.path('opt/e-SUS/webserver/' + name)} is missing; run the installer again",),
    )


def test_a_script_that_is_not_executable_is_broken(bundled: Server) -> None:
    (bundled.root / "opt/e-SUS/webserver/standalone.sh").chmod(0o644)
    assert (bundled.found().state, "is not executable" in bundled.found().reasons[0]) == ("broken", True)


@pytest.mark.parametrize("name", [PEC, DATABASE])
def test_a_missing_unit_of_a_bundled_installation_is_broken(bundled: Server, name: str) -> None:
    (bundled.root / "lib/systemd/system" / name).unlink()
    assert (bundled.found().state, name in bundled.found().reasons[0]) == ("broken", True)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can own an installation")
def test_a_bundled_installation_that_was_made_for_root_alone_is_broken(bundled: Server) -> None:
    bundled.file("opt/e-SUS/database/postgresql-9.6.13-1-linux-x64/bin/postgres")
    assert bundled.found().state == "installed"
    (bundled.root / "opt/e-SUS").chmod(0o700)
    found = bundled.found()
    assert (found.state, found.reasons) == (
        "broken",
        (f"only root can enter {bundled.path('opt/e-SUS')}, but postgres must; run the installer again",),
    )
    bundled.config(customDatabase=True)
    assert bundled.found().state == "installed", "nobody else has to enter it"


def test_units_without_a_tree_are_broken(server: Server) -> None:
    server.units(PEC, DATABASE)
    found = server.found()
    assert (found.state, found.home) == ("broken", None)
    assert f"{server.path('lib/systemd/system/' + PEC)} and " in found.reasons[0]
    assert "whose directory is gone" in found.reasons[0]


def test_a_configuration_without_a_tree_is_broken(server: Server) -> None:
    server.config()
    found = server.found()
    assert (found.state, found.home, found.version) == ("broken", server.path("opt/e-SUS"), "5.4.37")
    assert found.reasons[0].startswith(f"{server.path('etc/pec.config')} remain")


def test_an_installation_that_was_killed_is_broken(server: Server) -> None:
    server.file("opt/e-SUS/tmp/database/postgresql.run")
    found = server.found()
    assert (found.state, found.home) == ("broken", server.path("opt/e-SUS"))
    assert "an installation is running or stopped half-way" in found.reasons[0]


@pytest.mark.parametrize(
    ("spring", "config", "password", "source"),
    [
        pytest.param(SPRING, {}, "daça", "application.properties", id="what the application uses"),
        pytest.param("", {}, "da config", "pec.config", id="what the installer remembers"),
        pytest.param("", {"databaseUrl": None}, "dele", "credenciais.txt", id="what the operator was told"),
        pytest.param(SPRING.replace("da\\u00e7a", "${SENHA}"), {}, "da config", "pec.config", id="a placeholder does not count"),
        pytest.param(SPRING.replace("5433", "porta"), {}, "da config", "pec.config", id="a URL that cannot be read does not count"),
        pytest.param(SPRING.replace("\\u00e7", "\\u00"), {}, "da config", "pec.config", id="a file that Java refuses does not count"),
    ],
)
def test_the_connection_is_looked_for_in_order(bundled: Server, spring: str, config: dict[str, object], password: str, source: str) -> None:
    bundled.config(**config)
    bundled.file("opt/e-SUS/webserver/config/application.properties", spring)
    found = bundled.found()
    assert found.state == "installed"
    assert found.connection == Connection("127.0.0.1", 5433, "esus", "postgres", password)
    assert Path(found.connection_source or "").name == source


def test_the_connection_is_protected_as_pec_s_own_is(bundled: Server) -> None:
    query = "sslmode=verify-full&sslrootcert=/etc/ssl/db.crt&sslkey=/k.pk8"
    bundled.file("opt/e-SUS/webserver/config/application.properties", SPRING.replace(URL, f"{URL}?{query}"))
    conn = bundled.found().connection
    assert conn is not None
    assert (conn.sslmode, conn.sslrootcert, conn.unsupported) == ("verify-full", "/etc/ssl/db.crt", ("sslkey",))


def test_no_connection_anywhere_is_broken(bundled: Server) -> None:
    bundled.config(databaseUrl=None)
    bundled.file("opt/e-SUS/webserver/config/application.properties")
    bundled.file("opt/e-SUS/webserver/config/credenciais.txt", "em outro lugar")
    found = bundled.found()
    assert (found.state, found.connection, found.read_only) == ("broken", None, None)
    assert "says how to reach the database" in found.reasons[0]
    assert "the JDBC URL was not found" in found.reasons[1]


def test_another_product_s_database_is_no_fault_of_the_installation(bundled: Server) -> None:
    bundled.config(databaseUrl=None)
    (bundled.root / "opt/e-SUS/webserver/config/credenciais.txt").unlink()
    bundled.file("opt/e-SUS/webserver/config/application.properties", SPRING.replace(URL, "jdbc:oracle:thin:pec/segredo@db"))
    found = bundled.found()
    assert (found.state, found.connection, Path(found.connection_source or "").name) == ("installed", None, "application.properties")
    assert "'jdbc:oracle:...' is not the JDBC URL of a PostgreSQL database" in found.reasons[0]
    assert "segredo" not in repr(found)


@pytest.mark.parametrize(
    ("spring", "https", "urls"),
    [
        pytest.param("server.port=9090\n", Https("none", None, None, None), ("http://127.0.0.1:9090",), id="another port"),
        pytest.param("server.port=9090 #porta\n", Https("none", None, None, None), ("http://127.0.0.1:8080",), id="a port that is none"),
        pytest.param(
            "server.port=8443\nserver.ssl.key-store=config/esusaps.p12\n",
            Https("keystore", None, 8443, "opt/e-SUS/webserver/config/esusaps.p12"),
            ("https://127.0.0.1:8443",),
            id="a keystore, relative",
        ),
        pytest.param(
            "server.ssl.key-store=file:/etc/pec/k.jks\n",
            Https("keystore", None, 8080, "etc/pec/k.jks"),
            ("https://127.0.0.1:8080",),
            id="absolute",
        ),
        pytest.param(
            "server.ssl.key-store=config/k.p12\nserver.ssl.enabled=false\n",
            Https("none", None, None, None),
            ("http://127.0.0.1:8080",),
            id="switched off",
        ),
    ],
)
def test_https_by_a_keystore(bundled: Server, spring: str, https: Https, urls: tuple[str, ...]) -> None:
    bundled.file("opt/e-SUS/webserver/config/application.properties", SPRING + spring)
    found = bundled.found()
    keystore = bundled.path(https.keystore) if https.keystore else None
    assert (found.https, found.urls) == (Https(https.mode, https.domain, https.port, keystore), urls)


def test_https_by_certmgr(bundled: Server) -> None:
    ssl = bundled.file("opt/e-SUS/webserver/certmgr/config/ssl.properties", "certmgr.domain=esus.example\nserver.port=8443\n")
    found = bundled.found()
    assert (found.ssl_properties, found.https) == (str(ssl), Https("certmgr", "esus.example", 8443, None))
    assert found.urls == ("https://127.0.0.1:8443", "http://127.0.0.1:8080")
    ssl.write_text("", encoding="utf-8")
    assert bundled.found().https == Https("certmgr", None, 443, None)


def test_certificates_are_found_in_every_directory_of_theirs(bundled: Server) -> None:
    names = ["certmgr/config/esus.p12", "chaves/2026/MUNICIPIO.PFX", "config/esusaps.jks"]
    for name in [*names, "logs/not.p12", "chaves/senha.txt"]:
        bundled.file(f"opt/e-SUS/webserver/{name}")
    assert bundled.found().certificates == tuple(bundled.path(f"opt/e-SUS/webserver/{name}") for name in names)


@pytest.mark.parametrize(("text", "version"), [("5.4.37", (5, 4, 37)), (" 5.10.0\n", (5, 10, 0))])
def test_parse_version(text: str, version: tuple[int, int, int]) -> None:
    assert parse_version(text) == version


@pytest.mark.parametrize("text", ["", "5.4", "5.4.37.1", "v5.4.37", "5.4.x"])
def test_what_is_no_version_is_said_to_be_none(text: str) -> None:
    with pytest.raises(PecError, match="is not a version of PEC; it has three numbers"):
        parse_version(text)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
@pytest.mark.parametrize("kind", ["link", "hard link", "fifo", "device", "large", "directory is a link"])
@pytest.mark.parametrize("name", ["config/application.properties", "config/credenciais.txt", "certmgr/config/ssl.properties"])
def test_a_file_of_roots_is_not_taken_for_one_of_pec(tmp_path: Path, name: str, kind: str) -> None:
    """PEC's directories are its account's: its files could be shown by a link, and a FIFO or /dev/zero would never end."""
    server = Server(tmp_path)
    server.config()
    server.tree()
    server.units(PEC, DATABASE)
    roots = server.file(f"roots/{name.split('/')[-1]}", SPRING.replace("dele", "plantado") + CREDENTIALS + "certmgr.domain=plantado\n")
    path = server.file(f"opt/e-SUS/webserver/{name}")
    path.unlink()
    if kind == "directory is a link":
        shutil.move(path.parent, tmp_path / "aside")
        path.parent.symlink_to(roots.parent)
    elif kind == "hard link":
        os.link(roots, path)
    elif kind == "fifo":
        os.mkfifo(path)
    elif kind == "large":
        path.touch()
        os.truncate(path, 1 << 40)
    else:
        path.symlink_to("/dev/zero" if kind == "device" else roots)
    for parent in (path.parent, path.parent.parent) if kind != "directory is a link" else (path.parent.parent,):
        os.chown(parent, 65534, 65534)
    found = discover(str(tmp_path))
    assert found.state == "broken"
    assert any(str(path.parent) in reason for reason in found.reasons), found.reasons
    assert "plantado" not in repr(found)
    if kind == "link":
        path.unlink()
        shutil.copy(roots, path)
        copied = discover(str(tmp_path))
        assert copied.state == "installed" and ("ssl" not in name or copied.https.domain == "plantado"), "it would have been read"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_certificates_are_listed_in_pecs_directories_alone(tmp_path: Path) -> None:
    server = Server(tmp_path)
    server.tree()
    server.file("roots/private.pem")
    chaves = server.file("opt/e-SUS/webserver/chaves/municipio.pfx").parent
    (chaves / "below").symlink_to(tmp_path / "roots")
    assert discover(str(tmp_path)).certificates == (str(chaves / "municipio.pfx"),)
    shutil.rmtree(chaves)
    chaves.symlink_to(tmp_path / "roots")
    assert discover(str(tmp_path)).certificates == (str(chaves / "private.pem"),), "root's own link is followed"
    os.chown(chaves.parent, 65534, 65534)
    found = discover(str(tmp_path))
    assert found.certificates == () and any("chaves is a symbolic link" in reason for reason in found.reasons)
