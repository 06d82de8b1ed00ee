# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.module_utils.testing import patch_module_args

from ansible_collections.esus.pec.plugins.module_utils.api.client import Client, PecUnreachableError
from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.info import picture
from ansible_collections.esus.pec.plugins.module_utils.pec import health
from ansible_collections.esus.pec.plugins.module_utils.postgres import psql
from ansible_collections.esus.pec.plugins.modules import info

FACTS = psql.DatabaseFacts(
    server_version="15.18",
    server_version_num=150018,
    size_bytes=9000000,
    encoding="UTF8",
    collation="pt_BR.UTF-8",
    ctype="pt_BR.UTF-8",
    table_count=1101,
    is_pec=True,
    pec_version="5.4.37",
    training=False,
    installation_name="Exemplo",
    installation_link="https://esus.example",
    installation_type="PRONTUARIO",
)
TOLD = {
    "ativado": True,
    "linkInstalacaoConfigurado": True,
    "smtpConfigurado": None,
    "internetHabilitada": "sim",
    "govBREnabled": False,
    "serverTimezoneOffset": True,
    "versao": "5.4.37",
    "treinamento": False,
}
TYPES = {"str": str, "bool": bool, "int": int, "list": list, "dict": dict}


@pytest.fixture
def root(tmp_path: Path) -> str:
    """A host with a PEC on it, and a secret in each of its files."""
    webserver = tmp_path / "opt/e-SUS/webserver"
    (webserver / "config").mkdir(parents=True)
    (webserver / "pec-bundle.jar").touch()
    (webserver / "standalone.sh").touch(mode=0o755)
    (webserver / "config/application.properties").write_text(
        "spring.datasource.url=jdbc:postgresql://db:5432/esus?password=segredo1\n"
        "spring.datasource.username=esus\nspring.datasource.password=segredo2\n",
        encoding="utf-8",
    )
    (webserver / "config/credenciais.txt").write_text(
        "Url: jdbc:postgresql://db:5432/esus\nusuário: esus\nsenha: segredo3\nusuário: esus_leitura\nsenha: segredo4\n", encoding="utf-8"
    )
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/pec.config").write_text(
        '{"success" : true, "version" : "5.4.37", "customDatabase" : true, "databasePassword" : "segredo5"}', encoding="utf-8"
    )
    return str(tmp_path)


@pytest.fixture(autouse=True)
def world(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A database that answers, and a web server that answers only with https; the addresses that were asked."""
    asked: list[str] = []

    def probe(url: str, **_options: object) -> health.Health:
        asked.append(url)
        reachable = url.startswith("https:")
        return health.Health(url, reachable, 200 if reachable else None, 401, "5.4.37", None if reachable else "refused", reachable)

    monkeypatch.setattr(psql, "read_facts", lambda _connection: FACTS)
    monkeypatch.setattr(health, "probe", probe)
    monkeypatch.setattr(Client, "public_facts", lambda _client: dict(TOLD))
    return asked


def test_the_picture_of_an_installed_host(root: str, world: list[str]) -> None:
    pec = picture.picture(root, ask_database=True, ask_health=True)
    assert (pec["state"], pec["version"], pec["training"], pec["custom_database"]) == ("installed", "5.4.37", False, True)
    assert pec["connection"] == {
        "jdbc_url": "jdbc:postgresql://db:5432/esus",
        "host": "db",
        "port": 5432,
        "database": "esus",
        "username": "esus",
    }
    assert pec["database"] == {
        "reachable": True,
        "error": None,
        "server_version": "15.18",
        "version": "5.4.37",
        "size_bytes": 9000000,
        "encoding": "UTF8",
        "collation": "pt_BR.UTF-8",
        "table_count": 1101,
    }
    assert pec["installation"] == {"name": "Exemplo", "link": "https://esus.example", "type": "PRONTUARIO"}
    assert world == ["http://127.0.0.1:8080"]


def test_no_secret_in_the_picture(root: str) -> None:
    assert "segredo" not in json.dumps(picture.picture(root, ask_database=True, ask_health=True))


def test_https_is_asked_first_and_one_answer_is_enough(root: str, world: list[str]) -> None:
    pec = picture.picture(with_https(root), ask_database=False, ask_health=True)
    assert world == ["https://127.0.0.1:443"]
    assert pec["health"] == {
        "url": "https://127.0.0.1:443",
        "healthy": True,
        "root_status": 200,
        "esus_status": 401,
        "version": "5.4.37",
        "error": None,
    }


def test_the_names_of_pec_are_known_without_pec(tmp_path: Path) -> None:
    pec: Any = picture.picture(str(tmp_path), ask_database=True, ask_health=True)
    assert (pec["state"], pec["home"]) == ("absent", None)
    assert pec["paths"]["application_properties"] == f"{tmp_path}/opt/e-SUS/webserver/config/application.properties"
    assert pec["paths"]["config_file"] == f"{tmp_path}/etc/pec.config"
    assert (pec["ports"]["http"], pec["ports"]["https"], pec["ports"]["bundled_database"]) == (8080, 443, 5433)
    assert {name: unit["name"] for name, unit in pec["services"].items()} == {
        "pec": "e-SUS-PEC.service",
        "database": "e-SUS-AB-PostgreSQL.service",
    }
    assert (pec["read_only_role"], pec["property_names"]["port"]) == ("esus_leitura", "server.port")


def test_paths_follow_the_installation(tmp_path: Path) -> None:
    (tmp_path / "opt/eSUS/webserver").mkdir(parents=True)
    pec: Any = picture.picture(str(tmp_path), ask_database=False, ask_health=False)
    assert pec["paths"]["keys_directory"] == f"{pec['home']}/webserver/chaves" == f"{tmp_path}/opt/eSUS/webserver/chaves"


def with_https(root: str) -> str:
    ssl = Path(root, "opt/e-SUS/webserver/certmgr/config/ssl.properties")
    ssl.parent.mkdir(parents=True)
    ssl.touch()
    return root


def test_what_the_api_tells(root: str, monkeypatch: pytest.MonkeyPatch) -> None:
    silent = picture.picture(root, ask_database=False, ask_health=True)["api"]
    assert set(silent.values()) == {None}  # type: ignore[attr-defined]  # nobody answers without https here
    api = picture.picture(with_https(root), ask_database=False, ask_health=True)["api"]
    assert api == {
        "error": None,
        "ativado": True,
        "linkInstalacaoConfigurado": True,
        "smtpConfigurado": None,
        "internetHabilitada": None,  # not the type that is known
        "govBREnabled": False,
        "serverTimezoneOffset": None,
        "version": "5.4.37",
        "training": False,
    }

    def fail(_client: Client) -> dict[str, object]:
        raise PecUnreachableError("PEC does not answer")

    monkeypatch.setattr(Client, "public_facts", fail)
    failed = picture.picture(root, ask_database=False, ask_health=True)["api"]
    assert failed == {**dict.fromkeys(api), "error": "PEC does not answer"}  # type: ignore[call-overload]


def test_a_database_that_does_not_answer_is_a_finding(root: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_connection: psql.Connection) -> psql.DatabaseFacts:
        raise PecError("database 'esus' at db:5432 as 'esus': refused")

    monkeypatch.setattr(psql, "read_facts", refuse)
    pec = picture.picture(root, ask_database=True, ask_health=False)
    database = pec["database"]
    assert isinstance(database, Mapping)
    assert (database["reachable"], database["error"]) == (False, "database 'esus' at db:5432 as 'esus': refused")
    assert (database["version"], pec["training"]) == (None, None)


def test_what_is_not_asked_is_null(root: str, tmp_path_factory: pytest.TempPathFactory, world: list[str]) -> None:
    bare = str(tmp_path_factory.mktemp("bare"))
    for where, ask in ((root, False), (bare, True)):
        pec = picture.picture(where, ask_database=ask, ask_health=ask)
        for part in ("database", "health", "api"):
            assert set(pec[part].values()) == {None}, (where, part)  # type: ignore[attr-defined]
    assert world == []


@pytest.mark.parametrize("installed", [True, False])
def test_the_shape_is_the_documented_one(root: str, tmp_path_factory: pytest.TempPathFactory, installed: bool) -> None:
    pec = picture.picture(root if installed else str(tmp_path_factory.mktemp("bare")), ask_database=True, ask_health=True)
    documented = yaml.safe_load(info.RETURN)["pec"]
    assert list(differences(documented, json.loads(json.dumps(pec)), "pec")) == []


def differences(documented: Mapping[str, object], value: object, where: str) -> list[str]:
    """Where a value departs from what RETURN says of it: its type, the keys of a dictionary, the elements of a list."""
    kind = str(documented["type"])
    if value is None:
        return [] if kind not in ("dict", "list") else [f"{where} is null"]
    if not isinstance(value, TYPES[kind]) or (kind == "int" and isinstance(value, bool)):
        return [f"{where} is {type(value).__name__}, not {kind}"]
    contains = documented.get("contains")
    if isinstance(value, list):
        elements = {"type": documented["elements"], **({"contains": contains} if contains else {})}
        return [problem for index, element in enumerate(value) for problem in differences(elements, element, f"{where}[{index}]")]
    if not isinstance(value, dict) or not isinstance(contains, dict):
        return []
    if set(value) != set(contains):
        return [f"{where} has {sorted(set(value) ^ set(contains))} on one side only"]
    return [problem for key, part in contains.items() for problem in differences(part, value[key], f"{where}.{key}")]


def run_module(capsys: pytest.CaptureFixture[str]) -> dict[str, object]:
    with patch_module_args({}), pytest.raises(SystemExit):
        info.main()
    answer = json.loads(capsys.readouterr().out)
    assert isinstance(answer, dict)
    return answer


def test_an_unprivileged_run_says_what_to_do(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    answer = run_module(capsys)
    assert answer["failed"] is True
    assert "become: true" in str(answer["msg"])


def test_a_file_that_cannot_be_read_fails_with_its_name(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def unreadable(_root: str, _database: bool, _health: bool) -> dict[str, object]:
        raise PecError("cannot read /etc/pec.config: Input/output error")

    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(info, "picture", unreadable)
    assert run_module(capsys)["msg"] == "cannot read /etc/pec.config: Input/output error"


def test_nothing_changes(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(info, "picture", lambda *_arguments: {"state": "absent"})
    answer = run_module(capsys)
    assert (answer["changed"], answer["pec"]) == (False, {"state": "absent"})


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
@pytest.mark.parametrize("name", ["x.pem", "x.pfx", "x.jks"])
@pytest.mark.parametrize("kind", ["fifo", "/dev/zero", "link", "hard link", "large", "socket"])
def test_what_pecs_account_puts_into_chaves_is_a_finding(root: str, kind: str, name: str) -> None:
    """Seen: info hung on a FIFO and read /dev/zero."""
    chaves, secret = Path(root) / "opt/e-SUS/webserver/chaves", Path(root) / "secret.pem"
    chaves.mkdir()
    secret.write_text("plantado", encoding="utf-8")
    path = chaves / name
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "socket":
        os.mknod(path, 0o140600)
    elif kind == "large":
        path.touch()
        os.truncate(path, 1 << 40)
    elif kind == "hard link":
        os.link(secret, path)
    else:
        path.symlink_to(kind if kind.startswith("/") else secret)
    os.chown(chaves, 65534, 65534)
    (shown,) = picture.describe_certificates(root, picture.installation.discover(root))
    assert shown["path"] == str(path) and name in str(shown["problem"])
    assert "plantado" not in json.dumps(shown)
