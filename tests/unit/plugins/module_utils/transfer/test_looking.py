# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import contextlib
import json
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from secret_search import in_text

from ansible_collections.esus.pec.plugins.module_utils.certificates import handshake
from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.pec import contra_chave, installation
from ansible_collections.esus.pec.plugins.module_utils.postgres import administrator, psql
from ansible_collections.esus.pec.plugins.module_utils.postgres.psql import Connection, DatabaseFacts
from ansible_collections.esus.pec.plugins.module_utils.system import process
from ansible_collections.esus.pec.plugins.module_utils.transfer import link, looking, picture
from ansible_collections.esus.pec.plugins.module_utils.transfer.link import Ssh
from ansible_collections.esus.pec.plugins.module_utils.transfer.looking import Wanted

PASSWORD, STORE_PASSWORD, GOVBR_SECRET = "Senha-do-banco-7€", "Senha-do-cofre-8", "a8F3kQ9zW2xL5vB7nM4p"
SECRETS = (PASSWORD, STORE_PASSWORD, GOVBR_SECRET)
SSH = Ssh("antigo", 22, "Administrador", "/key", "/known_hosts")
BRAZIL = "Portuguese_Brazil.1252"
LINK = "https://pec.agua-clara.ms.gov.br"
FACTS = DatabaseFacts(
    "9.6.13", 90613, 38_000_000_000, "UTF8", BRAZIL, BRAZIL, 1101, True, "5.4.37", False, "UBS Central", LINK, "PRONTUARIO"
)
DETAIL = {
    "version": "PostgreSQL 9.6.13, compiled by Visual C++ build 1800, 64-bit",
    "now": 1000.6,
    "timezone": "America/Sao_Paulo",
    "started": "1764540650.123456",
    "offset": -180.0,
    "superuser": True,
    "data_directory": "C:/Program Files/e-SUS/database/postgresql-9.6.13-4-windows-x64/data",
    "extensions": ["unaccent"],
    "large_objects": 12,
    "large_object_bytes": 1048576,
    "biggest": [["public.tb_a", 500], ["public.tb_b", 400]],
    "others": ["outro"],
    "tablespaces": 0,
}
PROPERTIES = f"""\
spring.datasource.url=jdbc:postgresql://localhost:5433/esus
spring.datasource.username=postgres
spring.datasource.password=do-arquivo
# Criação
server.port=8443
server.ssl.key-store=C:\\\\Program Files\\\\e-SUS\\\\webserver\\\\config\\\\ESUSAPS.P12
server.ssl.key-store-password={STORE_PASSWORD}
bridge.security.oauth2.client.registration.govbr.client-id=pec.agua-clara.ms.gov.br
bridge.security.oauth2.client.registration.govbr.client-secret={GOVBR_SECRET}
bridge.anexos.diretorio=D:\\\\Anexos do PEC
bridge.chave.secret=/um/segredo
"""
CREDENTIALS = f"""\
Url de conexão: jdbc:postgresql://localhost:5433/esus
Usuário com acesso completo
usuário: postgres
senha: {PASSWORD}
"""


@pytest.fixture(scope="module")
def keystore(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    place = tmp_path_factory.mktemp("keystore")
    openssl = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-noenc", "-keyout", "k", "-out", "c", "-days", "40", "-subj", "/CN=pec"]
    subprocess.run([*openssl, "-addext", "subjectAltName=DNS:pec.agua-clara.ms.gov.br"], cwd=place, check=True, capture_output=True)
    pack = ["openssl", "pkcs12", "-export", "-inkey", "k", "-in", "c", "-out", "p", "-passout", f"pass:{STORE_PASSWORD}"]
    subprocess.run(pack, cwd=place, check=True, capture_output=True)
    return (place / "p").read_bytes()


@pytest.fixture
def home(tmp_path: Path, keystore: bytes) -> Path:
    """A copy of a Windows server's files."""
    config = tmp_path / "files" / "webserver" / "config"
    config.mkdir(parents=True)
    (config / "application.properties").write_bytes(PROPERTIES.replace("\n", "\r\n").encode("latin-1"))
    (config / "esusaps.p12").write_bytes(keystore)
    return tmp_path / "files"


class Source:
    """A database behind a tunnel."""

    def __init__(self) -> None:
        self.tunnels: list[tuple[str, int, str]] = []
        self.asked: list[Connection] = []
        self.failure = ""
        self.detail: dict[str, Any] = dict(DETAIL)

    @contextlib.contextmanager
    def tunnel(self, ssh: Ssh, port: int, host: str) -> Iterator[Any]:
        self.tunnels.append((ssh.host, port, host))

        class Way:
            socket_directory, port = "/run/way", 5432

            def require_alive(self) -> None:
                raise PecError("the tunnel to the source ended: cut")

        yield Way()

    def query(self, conn: Connection, _sql: str) -> object:
        self.asked.append(conn)
        return self.detail

    def facts(self, _conn: Connection) -> DatabaseFacts:
        if self.failure:
            raise PecError(self.failure)
        return FACTS


@pytest.fixture
def source(monkeypatch: pytest.MonkeyPatch) -> Source:
    found = Source()
    monkeypatch.setattr(link, "Tunnel", found.tunnel)
    monkeypatch.setattr(psql, "query", found.query)
    monkeypatch.setattr(psql, "read_facts", found.facts)
    monkeypatch.setattr(psql, "cluster", lambda _conn: "7411")
    monkeypatch.setattr(psql, "find_clients", lambda _program: [psql.Client("/usr/bin/pg_dump", (17, 2))])
    monkeypatch.setattr(contra_chave, "PATH", "/nonexistent/contra-chave.yml")
    return found


def test_a_windows_server_is_read_from_a_copy_and_through_the_tunnel(source: Source, home: Path) -> None:
    seen = looking.look(Wanted(ssh=SSH, home=str(home), reference=1000.0))
    assert source.tunnels == [("antigo", 5433, "localhost")]
    assert {(conn.host, conn.port, conn.username, conn.password) for conn in source.asked} == {("/run/way", 5432, "postgres", "do-arquivo")}
    assert (seen.platform.system, seen.platform.architecture, seen.platform.clock_ahead_seconds) == ("windows", "x86_64", 0.6)
    assert (seen.platform.timezone, seen.platform.utc_offset_minutes, seen.platform.glibc) == ("America/Sao_Paulo", -180, None)
    assert seen.database == picture.Database(
        host="localhost", port=5433, name="esus", username="postgres", server_version="9.6.13", server_version_num=90613,
        system_identifier="7411", started="1764540650.123456", pec_version="5.4.37", size_bytes=38_000_000_000, table_count=1101,
        encoding="UTF8",
        collation="Portuguese_Brazil.1252", ctype="Portuguese_Brazil.1252", extensions=("unaccent",), large_objects=12,
        large_object_bytes=1048576, biggest_tables=(picture.Table("public.tb_a", 500), picture.Table("public.tb_b", 400)),
        other_databases=("outro",), superuser=True, origin="bundled", data_directory=DETAIL["data_directory"],
    )  # fmt: skip
    assert (seen.pec.state, seen.pec.version, seen.pec.training, seen.pec.home) == ("installed", "5.4.37", False, None)
    assert (seen.pec.https_mode, seen.pec.https_domain, seen.pec.https_port) == ("keystore", "pec.agua-clara.ms.gov.br", 8443)
    assert seen.pec.https_days_left in (39, 40) and seen.pec.govbr is True and seen.pec.contra_chaves is None
    assert seen.pec.directories == ({"key": "bridge.anexos.diretorio", "path": "D:\\Anexos do PEC"},)
    assert (seen.disks, seen.clients, seen.listening, seen.unread) == ((), (), (), ())
    assert in_text(json.dumps(seen.plain()), SECRETS) == []


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252", "utf-16", "utf-16-le"])
def test_the_login_is_read_in_any_encoding(source: Source, home: Path, encoding: str) -> None:
    config = home / "webserver" / "config"
    (config / "application.properties").unlink()
    (config / "credenciais.txt").write_bytes(CREDENTIALS.replace("\n", "\r\n").encode(encoding))
    seen = looking.look(Wanted(ssh=SSH, home=str(home)))
    assert source.asked[0].password == PASSWORD and seen.database and seen.database.error is None


def test_a_given_database_wins_and_alone_is_enough(source: Source, home: Path) -> None:
    given = Connection("banco", 5432, "esus", "leitor", "x")
    for wanted in (Wanted(ssh=SSH, connection=given), Wanted(ssh=SSH, home=str(home), connection=given)):
        seen = looking.look(wanted)
        assert source.tunnels[-1] == ("antigo", 5432, "banco") and seen.database and seen.database.username == "leitor"
    assert looking.look(Wanted(ssh=SSH, connection=given)).pec.state == "absent"


def test_a_source_that_is_not_reached_is_an_error(source: Source, home: Path) -> None:
    source.failure = "no answer"
    with pytest.raises(PecError, match="the tunnel to the source ended: cut"):
        looking.look(Wanted(ssh=SSH, home=str(home)))


def test_what_leads_nowhere_is_listed(source: Source, home: Path, tmp_path: Path) -> None:
    alone = looking.look(Wanted(home=str(home)))
    assert alone.database is None and source.tunnels == [] and "without ssh" in alone.unread[0]
    (tmp_path / "empty").mkdir()
    empty = looking.look(Wanted(ssh=SSH, home=str(tmp_path / "empty")))
    assert empty.database is None and empty.pec.state == "broken" and "do not name it" in empty.unread[0]


def test_this_host(source: Source, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here = installation.read_copy(str(home))
    monkeypatch.setattr(installation, "discover", lambda: here)
    monkeypatch.setattr(handshake, "fetch", lambda *_: None)
    monkeypatch.setattr(process, "which", lambda _name: None)
    source.detail["data_directory"] = None
    monkeypatch.setattr(looking, "_ask_administrator", lambda _conn: str(home))
    seen = looking.look(Wanted(reference=time.time() - 30))
    assert source.tunnels == [] and source.asked[0].host == "localhost"
    assert seen.platform.system == "linux" and seen.platform.architecture == os.uname().machine and seen.platform.clock_ahead_seconds
    assert 30 <= seen.platform.clock_ahead_seconds < 60
    assert {disk.purpose for disk in seen.disks} == {"home", "database", "state", "temporary"} and seen.clients == ("17.2",)
    assert seen.disk("database") and seen.disk("database").path == str(home)  # type: ignore[union-attr]
    assert seen.rsync is False and seen.pec.home == str(home) and seen.pec.contra_chaves == ()
    assert seen.database and (seen.database.origin, seen.database.data_directory) == ("other", str(home))
    assert seen.database.data_bytes == sum(path.stat().st_size for path in home.rglob("*") if path.is_file())
    assert in_text(json.dumps(seen.plain()), SECRETS) == []


def test_a_database_that_does_not_answer_here_is_listed(source: Source, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here = installation.read_copy(str(home))
    monkeypatch.setattr(installation, "discover", lambda: here)
    monkeypatch.setattr(handshake, "fetch", lambda *_: None)
    source.failure = "no answer"
    seen = looking.look(Wanted())
    assert seen.database and seen.database.error == "no answer" and "the database: no answer" in seen.unread


@pytest.mark.parametrize(
    ("directory", "origin"),
    [
        ("/opt/e-SUS/database/postgresql-9.6.13-1-linux-x64/data", "bundled"),
        ("/opt/eSUS/database/postgresql-9.6.13-1-linux-x64/data", "bundled"),
        ("c:\\Program Files\\E-sus\\Database\\current\\data", "bundled"),
        ("/var/lib/postgresql/15/main", "distribution"),
        ("/var/lib/pgsql/15/data", "distribution"),
        ("/srv/banco", "other"),
    ],
)
def test_whose_postgresql_it_is(source: Source, home: Path, directory: str, origin: str) -> None:
    source.detail["data_directory"] = directory
    seen = looking.look(Wanted(ssh=SSH, home=str(home)))
    assert seen.database and (seen.database.origin, seen.database.data_directory) == (origin, directory)


def test_the_administrator_of_this_host_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[object] = []

    class Login:
        data_directory = "/var/lib/postgresql/15/main"

    monkeypatch.setattr(psql, "find_clients", lambda _program: [])
    conn = Connection("127.0.0.1", 5432, "esus", "esus", "x")
    assert looking._ask_administrator(conn) is None
    monkeypatch.setattr(psql, "find_clients", lambda _program: [psql.Client("/usr/bin/psql", (17,))])
    monkeypatch.setattr(administrator, "log_in", lambda *given: asked.append(given))
    monkeypatch.setattr(administrator, "find", lambda *_: Login())
    assert looking._ask_administrator(conn) == Login.data_directory and asked == [(conn, "/usr/bin/psql")]


@pytest.mark.parametrize(
    ("version", "system", "architecture"),
    [
        ("PostgreSQL 15.18 (Debian 15.18-0+deb12u1) on x86_64-pc-linux-gnu, compiled by gcc", "linux", "x86_64"),
        ("PostgreSQL 9.6.13 on x86_64-pc-mingw64, compiled by gcc", "windows", "x86_64"),
        ("PostgreSQL 17.2 on aarch64-unknown-linux-gnu, compiled by gcc", "linux", "aarch64"),
        ("PostgreSQL 17.2, compiled by msvc-19, 64-bit", "windows", "x86_64"),
        ("something", None, None),
    ],
)
def test_the_machine_by_its_database(source: Source, home: Path, version: str, system: str | None, architecture: str | None) -> None:
    source.detail["version"] = version
    seen = looking.look(Wanted(ssh=SSH, home=str(home))).platform
    assert (seen.system, seen.architecture) == (system, architecture)


def test_a_picture_is_read_as_it_was_returned(source: Source, home: Path) -> None:
    seen = looking.look(Wanted(ssh=SSH, home=str(home)))
    assert picture.parse(json.loads(json.dumps(seen.plain())), "source") == seen
    for wrong in (None, [], "x", {"platform": {}}, {"platform": 1, "pec": {}}, {**seen.plain(), "disks": [1]}):
        with pytest.raises(PecError, match="source is not what"):
            picture.parse(wrong, "source")
