# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.testing import patch_module_args

from ansible_collections.esus.pec.plugins.modules import properties

SECRET = "Se\"gre\\do'26"
OLD = "OldSecret26"
TEXT = f"# of PEC\nserver.port=8080\nspring.datasource.password={OLD}\nlevel: 1\n"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "application.properties"
    path.write_text(TEXT, encoding="latin-1")
    path.chmod(0o640)
    return path


def run(capsys: pytest.CaptureFixture[str], path: Path, check: bool = False, **options: Any) -> dict[str, Any]:
    with patch_module_args({"path": str(path), "_ansible_check_mode": check, **options}), pytest.raises(SystemExit):
        properties.main()
    output = capsys.readouterr().out
    assert SECRET not in output and json.dumps(SECRET)[1:-1] not in output and OLD not in output
    return json.loads(output)


def test_first_second_and_check(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    wanted = {"values": {"server.port": 443, "security.require-ssl": True, "spring.datasource.password": SECRET}, "absent": ["level", "x"]}
    foretold = run(capsys, file, check=True, **wanted)
    assert file.read_text(encoding="latin-1") == TEXT
    answer = run(capsys, file, **wanted)
    told = ("changed", "set", "removed", "diff")
    assert [answer[key] for key in told] == [foretold[key] for key in told]
    assert answer["changed"] and answer["set"] == ["server.port", "security.require-ssl", "spring.datasource.password"]
    assert answer["removed"] == ["level"]
    assert answer["diff"] == {
        "before": "server.port=8080\nspring.datasource.password=********\nlevel=1\n",
        "after": "server.port=443\nsecurity.require-ssl=true\nspring.datasource.password=******** (changed)\n",
        "before_header": str(file),
        "after_header": str(file),
    }
    text = file.read_text(encoding="latin-1")
    assert text == "# of PEC\nserver.port=443\nspring.datasource.password=Se\"gre\\\\do'26\nsecurity.require-ssl=true\n"
    assert file.stat().st_mode & 0o777 == 0o640
    again = run(capsys, file, **wanted)
    assert (again["changed"], again["set"], again["removed"], again["diff"]["before"]) == (False, [], [], "")
    assert os.listdir(file.parent) == ["application.properties"]


def test_backup(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    answer = run(capsys, file, values={"server.port": "9090"}, backup=True)
    kept = Path(answer["backup_file"])
    assert kept.read_text(encoding="latin-1") == TEXT and kept.stat().st_mode & 0o777 == 0o640 and kept.parent == file.parent
    assert "backup_file" not in run(capsys, file, values={"server.port": "9090"}, backup=True)


def test_repetitions_alone(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file.write_text("a=1\nb=2\na=3\n", encoding="latin-1")
    answer = run(capsys, file, values={"a": "3"})
    assert (answer["changed"], answer["set"], answer["diff"]["before"], answer["diff"]["after"]) == (
        True,
        [],
        "a: 2 lines\n",
        "a: 1 lines\n",
    )
    assert run(capsys, file, values={"a": "3"})["changed"] is False


def test_a_missing_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "new.properties"
    answer = run(capsys, path, values={"a": "1"})
    assert answer["failed"] and f"{path} does not exist" in answer["msg"] and "create: true" in answer["msg"]
    foretold = run(capsys, path, check=True, values={"a": "1"})
    assert foretold["changed"] and "does not exist yet" in json.dumps(foretold["warnings"])
    assert run(capsys, path, absent=["a"])["changed"] is False and not path.exists()
    assert run(capsys, path, values={"a": "1"}, create=True)["changed"]
    assert path.read_text(encoding="latin-1") == "a=1\n" and path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"values": {"a": "1 "}}, "the value of a begins or ends with a blank"),
        ({"values": {"server.ssl.key-store-type": "PKCS12 #OPCIONAL!"}}, "no comment at the end of a line"),
        ({"values": {"a b": "1"}}, "give the key alone"),
        ({"absent": ["server.port=1"]}, "give the key alone"),
        ({"values": {"a": "1"}, "absent": ["a"]}, "a is in values and in absent"),
        ({"values": {"a": None}}, "to remove the key, name it in absent"),
        ({"values": {"a": [1]}}, "a is a list"),
        ({"values": {"a": {"b": 1}}}, "a is a mapping"),
        ({"values": {"a": 1.5}}, "in quotes"),
        ({"values": {"spring.datasource.password": SECRET + "\n"}}, "the value of spring.datasource.password begins or ends"),
    ],
)
def test_refusals(file: Path, capsys: pytest.CaptureFixture[str], options: dict[str, Any], said: str) -> None:
    for check in (True, False):
        answer = run(capsys, file, check=check, **options)
        assert answer["failed"] and said in answer["msg"] and str(file) in answer["msg"], answer
    assert file.read_text(encoding="latin-1") == TEXT


def test_verbatim(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys, file, values={"a": " 1 #2 "}, verbatim=True)["changed"]
    assert file.read_text(encoding="latin-1").endswith("a=\\ 1 #2 \n")


def test_mistakes_that_are_there_already(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file.write_text("server.ssl.key-store-type=PKCS12 #OPCIONAL!\na=1\n", encoding="latin-1")
    answer = run(capsys, file, values={"a": "1"})
    assert answer["changed"] is False and "the value of server.ssl.key-store-type looks like a mistake" in json.dumps(answer["warnings"])


def test_a_malformed_file(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file.write_text(f"senha={OLD}\\u1", encoding="latin-1")
    answer = run(capsys, file, values={"a": "1"})
    assert answer["failed"] and str(file) in answer["msg"] and "malformed" in answer["msg"]
