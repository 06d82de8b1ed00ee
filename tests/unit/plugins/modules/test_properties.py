# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json
import multiprocessing
import os
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.testing import patch_module_args

from ansible_collections.esus.pec.plugins.module_utils.properties import planning
from ansible_collections.esus.pec.plugins.module_utils.system import locks
from ansible_collections.esus.pec.plugins.modules import properties

SECRET = "Se\"gre\\do'26"
OLD = "OldSecret26"
TEXT = f"# of PEC\nserver.port=8080\nspring.datasource.password={OLD}\nlevel: 1\n"


@pytest.fixture(autouse=True)
def locks_of_our_own(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    lock, directory = locks.lock, str(tmp_path_factory.mktemp("run") / "locks")
    monkeypatch.setattr(locks, "lock", lambda name: lock(name, directory=directory))


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
        ({"values": {"a": "1${server.port}"}}, "the value of a contains ${...}, which PEC replaces"),
        ({"values": {"a": "${x:${y}}"}}, "(verbatim: true accepts values as they are)"),
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
    assert run(capsys, file, values={"a": "${b}"}, verbatim=True)["changed"]
    assert file.read_text(encoding="latin-1").endswith("a=${b}\n")
    assert run(capsys, file, values={"b": "$ {x} ${"})["changed"], "nothing is replaced without both brackets"


def test_mistakes_that_are_there_already(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file.write_text("server.ssl.key-store-type=PKCS12 #OPCIONAL!\na=1\n", encoding="latin-1")
    answer = run(capsys, file, values={"a": "1"})
    assert answer["changed"] is False and "the value of server.ssl.key-store-type looks like a mistake" in json.dumps(answer["warnings"])


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("server.port=8080\nb=1\n", "server.port"),
        ("  server.port : 8080\n", "server.port"),
        ("server.port 8080", "server.port"),
        (f"spring.datasource.password={OLD}\n", "spring.datasource.password"),
        ("# of PEC\nserver.port=8080\n", None),
        ("\nserver.port=8080\n", None),
        ("", None),
    ],
)
@pytest.mark.parametrize("before", ["", "b=2\n"])
def test_a_byte_order_mark(file: Path, capsys: pytest.CaptureFixture[str], text: str, key: str | None, before: str) -> None:
    """Also in the middle, where two files were joined."""
    data = f"{before}\ufeff{text}".encode()
    file.write_bytes(data)
    said = f"{file}: an invisible byte order mark precedes {key}, so PEC does not find this key; save the file without the mark"
    assert planning.warnings(str(file), planning.read_current(str(file))) == ([said] if key else [])
    for check in (True, False):
        answer = run(capsys, file, check=check, values={"c": "3"})
        assert (said in str(answer.get("warnings"))) is bool(key)
    assert file.read_bytes().startswith(data) and b"c=3" in file.read_bytes(), "the rest stays byte for byte"


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be"])
@pytest.mark.parametrize("before", [b"", b"# of PEC\r\n"])
@pytest.mark.parametrize("options", [{"values": {"server.port": "443"}}, {"absent": ["server.port"]}])
def test_a_file_with_several_bytes_a_character(
    file: Path, capsys: pytest.CaptureFixture[str], encoding: str, before: bytes, options: dict[str, Any]
) -> None:
    """Also where a line was appended by Windows to a file that was good."""
    data = before + f"senha={OLD}\r\n".encode(encoding)
    file.write_bytes(data)
    for check in (True, False):
        answer = run(capsys, file, check=check, **options)
        assert answer["failed"] and f"{file} contains text in UTF-16 or UTF-32" in answer["msg"]
    assert file.read_bytes() == data


def test_bytes_that_are_no_utf_16(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file.write_bytes(b"# \x00\x00\x00\x00\x00\x00 caf\xe9 a\x00b\x00c\n\xff\xfe=1\n")
    assert run(capsys, file, values={"a": "1"})["changed"]


def write_one(path: str, number: int) -> None:
    with open(os.devnull, "w", encoding="utf-8") as nowhere:
        os.dup2(nowhere.fileno(), 1)
        with patch_module_args({"path": path, "values": {f"key.{number}": str(number)}}), pytest.raises(SystemExit):
            properties.main()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root's runs know of each other")
def test_many_runs_at_once_lose_nothing(file: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(file)  # another name of the same file
    fork = multiprocessing.get_context("fork")
    runs = [fork.Process(target=write_one, args=(str(file if number % 2 else tmp_path / "link"), number)) for number in range(16)]
    for one in runs:
        one.start()
    for one in runs:
        one.join()
    lines = file.read_text(encoding="latin-1").splitlines()
    assert lines[:4] == TEXT.splitlines() and sorted(lines[4:]) == sorted(f"key.{number}={number}" for number in range(16))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root's runs know of each other")
def test_a_run_that_does_not_end(file: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(planning, "_WAIT", 0.0)
    with planning.alone(str(file)):
        answer = run(capsys, file, values={"a": "1"})
        assert answer["failed"] and "another run holds the lock" in answer["msg"]
        assert run(capsys, file, check=True, values={"a": "1"})["changed"], "check mode writes nothing"
        assert file.read_text(encoding="latin-1") == TEXT
    assert run(capsys, file, values={"a": "1"})["changed"]


def test_a_malformed_file(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file.write_text(f"senha={OLD}\\u1", encoding="latin-1")
    answer = run(capsys, file, values={"a": "1"})
    assert answer["failed"] and str(file) in answer["msg"] and "malformed" in answer["msg"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
@pytest.mark.parametrize("check", [True, False])
@pytest.mark.parametrize("attack", ["link", "hard link", "fifo", "directory is a link"])
def test_a_file_of_roots_is_neither_shown_nor_changed(tmp_path: Path, capsys: pytest.CaptureFixture[str], attack: str, check: bool) -> None:
    """PEC's directories are its account's, which may put anything at the path."""
    roots, config = tmp_path / "roots", tmp_path / "webserver/config"
    roots.mkdir()
    precious = roots / "application.properties"
    precious.write_text("level=planted\n", encoding="utf-8")
    config.parent.mkdir()
    if attack == "directory is a link":
        config.symlink_to(roots)
    else:
        config.mkdir()
        path = config / "application.properties"
        {"link": path.symlink_to, "hard link": lambda to: os.link(to, path), "fifo": lambda _to: os.mkfifo(path)}[attack](precious)
        os.chown(config, 65534, 65534)
    os.chown(config.parent, 65534, 65534)
    answer = run(capsys, config / "application.properties", check=check, values={"level": "2"}, absent=["x"], backup=True)
    assert answer["failed"] and "planted" not in json.dumps(answer)
    assert (precious.read_text(encoding="utf-8"), precious.stat().st_uid, os.listdir(roots)) == ("level=planted\n", 0, [precious.name])
    assert run(capsys, precious, check=True, values={"level": "2"})["diff"]["before"] == "level=planted\n", "what is planted can be shown"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_the_backup_goes_through_no_link(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Its name can be foretold."""
    path = tmp_path / "application.properties"
    path.write_text(TEXT, encoding="latin-1")
    os.chown(tmp_path, 65534, 65534)
    monkeypatch.setattr("time.strftime", lambda *_arguments: "now")
    names = [f"{path.name}.{os.getpid()}.now{end}" for end in ("", "~")]
    (tmp_path / "precious").mkdir()
    for name in names:
        (tmp_path / name).symlink_to(tmp_path / "precious/created")
    run(capsys, path, values={"server.port": "9090"}, backup=True)
    assert os.listdir(tmp_path / "precious") == []
