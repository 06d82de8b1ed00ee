# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.esus.pec.plugins.module_utils.backup import configuration
from ansible_collections.esus.pec.plugins.module_utils.backup.retention import Policy
from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.postgres.psql import Connection

PASSWORD = "a:b\\'%\"ã"
WHOLE: dict[str, Any] = {
    "directory": '/srv/back ups/it\'s "50%"/',
    "municipality": "Água Clara",
    "database": {
        "host": "db",
        "port": 5433,
        "name": "esus",
        "username": "esus",
        "password": PASSWORD,
        "sslmode": "verify-full",
        "sslrootcert": "/etc/ssl/db.crt",
    },
    "fingerprint": True,
    "recipients": ["age1" + "q" * 58],
    "extra_paths": ["/srv/anexos/"],
    "keep": {"last": 3, "daily": 7, "weekly": 4, "monthly": 6},
    "owner": "root",
    "group": "root",
}


def test_a_whole_one() -> None:
    config = configuration.parse(WHOLE)
    assert config.directory == '/srv/back ups/it\'s "50%"'
    assert config.connection == Connection("db", 5433, "esus", "esus", PASSWORD, sslmode="verify-full", sslrootcert="/etc/ssl/db.crt")
    assert config.extra_paths == ("/srv/anexos",)
    assert config.keep == Policy(3, 7, 4, 6)
    assert PASSWORD not in repr(config)


def test_without_a_database_it_is_that_of_pec() -> None:
    assert configuration.parse({**WHOLE, "database": {}}).connection is None


@pytest.mark.parametrize(
    ("content", "says"),
    [
        pytest.param([], "not an object", id="a list"),
        pytest.param({}, "lacks 'database', lacks 'directory'", id="nothing"),
        pytest.param({**WHOLE, "compress": 1}, "does not know 'compress'", id="an unknown key"),
        pytest.param({**WHOLE, "directory": "backups"}, "not an absolute path", id="a relative directory"),
        pytest.param({**WHOLE, "directory": "/srv/a\nb"}, "not an absolute path", id="a line break"),
        pytest.param({**WHOLE, "fingerprint": "yes"}, "'fingerprint' is not true or false", id="text for a boolean"),
        pytest.param({**WHOLE, "recipients": "age1x"}, "'recipients' is not a list", id="text for a list"),
        pytest.param({**WHOLE, "recipients": [1]}, "'recipients' is not a list of texts", id="numbers for texts"),
        pytest.param({**WHOLE, "extra_paths": ["anexos"]}, "'extra_paths' has 'anexos'", id="a relative path"),
        pytest.param({**WHOLE, "keep": {**WHOLE["keep"], "daily": -1}}, "below zero", id="fewer than none"),
        pytest.param({**WHOLE, "keep": {**WHOLE["keep"], "daily": True}}, "'daily' is not a number", id="a boolean for a number"),
        pytest.param({**WHOLE, "keep": {"last": 1}}, "keep lacks 'daily'", id="half a policy"),
        pytest.param(
            {**WHOLE, "database": {**WHOLE["database"], "port": "5433"}}, "'port' is not a number, but text in quotes", id="text for a port"
        ),
        pytest.param({**WHOLE, "database": {"password": PASSWORD}}, "database lacks 'host'", id="half a database"),
    ],
)
def test_what_is_wrong_is_named_and_no_password_is(content: object, says: str) -> None:
    with pytest.raises(PecError, match=says) as caught:
        configuration.parse(content)
    assert PASSWORD not in str(caught.value)


def write(path: Path, text: str, mode: int = 0o600) -> str:
    path.write_text(text, encoding="utf-8")
    path.chmod(mode)
    return str(path)


def test_a_file(tmp_path: Path) -> None:
    assert configuration.read(write(tmp_path / "b.json", json.dumps(WHOLE))) == configuration.parse(WHOLE)


@pytest.mark.parametrize(
    ("text", "mode", "says"),
    [
        ("{", 0o600, "is not JSON"),
        ("{}", 0o600, r"b\.json: the configuration lacks"),
        (json.dumps(WHOLE), 0o644, "chmod 600"),
        (None, 0o600, "does not exist; set the backup up first"),
    ],
)
def test_a_file_that_is_wrong(tmp_path: Path, text: str | None, mode: int, says: str) -> None:
    path = str(tmp_path / "b.json") if text is None else write(tmp_path / "b.json", text, mode)
    with pytest.raises(PecError, match=says):
        configuration.read(path)


def test_what_is_written_is_what_is_read(tmp_path: Path) -> None:
    path = tmp_path / "b.json"
    assert configuration.write(str(path), WHOLE, check=True) and not path.exists()
    assert configuration.write(str(path), WHOLE)
    assert configuration.read(str(path)) == configuration.parse(WHOLE)
    assert path.stat().st_mode & 0o777 == 0o600
    assert not configuration.write(str(path), WHOLE)
    path.chmod(0o644)
    assert configuration.write(str(path), WHOLE) and path.stat().st_mode & 0o777 == 0o600
    assert configuration.write(str(path), {**WHOLE, "database": None}) and configuration.read(str(path)).connection is None


@pytest.mark.parametrize(
    "wrong",
    [
        {"keep": {**WHOLE["keep"], "last": "3"}},
        {"keep": {**WHOLE["keep"], "daily": -1}},
        {"directory": "backups"},
        {"fingerprint": "True"},
        {"recipients": [1]},
        {"recipients": ["age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p"]},
        {"database": {**WHOLE["database"], "port": "5433"}},
    ],
)
def test_a_configuration_with_a_mistake_replaces_nothing(tmp_path: Path, wrong: dict[str, Any]) -> None:
    path = write(tmp_path / "b.json", json.dumps(WHOLE))
    with pytest.raises(PecError):
        configuration.write(path, {**WHOLE, **wrong})
    assert configuration.read(path) == configuration.parse(WHOLE)
