# SPDX-License-Identifier: GPL-3.0-or-later
"""What a module returns of its arguments, also when they are wrong: no secret, whatever the mistake."""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from ansible.module_utils.testing import patch_module_args

from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.module import run_module, shown, unquoted
from ansible_collections.esus.pec.plugins.module_utils.redact import MASK
from ansible_collections.esus.pec.plugins.modules import contra_chave, dump, properties

NAMES = sorted(path.stem for path in Path(properties.__file__).parent.glob("*.py") if path.stem != "__init__")
SECRET = "hunter-2-and-3"
AGE_KEY = "AGE-SECRET-KEY-1QQPQQPQQ"


def answer(module: ModuleType, capsys: pytest.CaptureFixture[str], arguments: dict[str, Any]) -> tuple[dict[str, Any], str]:
    with patch_module_args(arguments), pytest.raises(SystemExit):
        module.main()
    output = capsys.readouterr().out
    return json.loads(output), output


def specs(module: ModuleType, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The options that the module passes to Ansible."""
    seen: list[dict[str, Any]] = []
    runner = next(name for name in ("run_module", "PecModule") if hasattr(module, name))
    with monkeypatch.context() as patch:
        patch.setattr(module, runner, lambda *_, argument_spec, **__: seen.append(argument_spec))
        module.main()
    return seen[0]


def mistakes(options: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Arguments with a secret where no option of that name is, at the top and in every option that holds others."""
    yield {"passwrod": SECRET}
    yield {"passwrod": {"deep": [SECRET]}}
    for name, spec in options.items():
        if spec.get("options"):
            yield {name: {"passwrod": SECRET}}
            yield {name: SECRET}
        elif spec["type"] == "dict":
            yield {name: {"x.storepass": SECRET, "y": {"api-key": [SECRET]}}, "passwrod": 1}
            yield {name: [SECRET], "passwrod": 1}
            yield {name: SECRET}
        elif spec["type"] in ("str", "list", "path"):
            yield {name: f"http://user:{SECRET}@host", "passwrod": 1}
            yield {name: f"-Dx.keyPassword={SECRET}", "passwrod": 1}


@pytest.mark.parametrize("name", NAMES)
def test_no_mistake_in_the_arguments_shows_a_secret(name: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    module = importlib.import_module(f"{properties.__package__}.{name}")
    options = specs(module, monkeypatch)
    tried = list(mistakes(options))
    assert len(tried) >= 2
    for arguments in tried:
        result, output = answer(module, capsys, arguments)
        assert result["failed"] and "module_args" in result["invocation"]
        assert SECRET not in output, arguments
    assert sys.modules[module.__name__] is module


def numbers(options: dict[str, Any], number: float) -> Iterator[tuple[str, dict[str, Any]]]:
    """Arguments with a number as each secret, at the top and in every option that holds others."""
    for name, spec in options.items():
        if spec.get("no_log"):
            yield name, {name: number}
        for inner, given in numbers(spec.get("options") or {}, number):
            yield f"{name}.{inner}", {name: given}


@pytest.mark.parametrize("name", NAMES)
def test_a_secret_that_yaml_read_as_a_number(name: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever else is wrong with the arguments."""
    module = importlib.import_module(f"{properties.__package__}.{name}")
    for number in (342391, 4.5, True):
        for place, given in numbers(specs(module, monkeypatch), number):
            result, output = answer(module, capsys, given)
            assert result["failed"] and f"the value of {place} has no quotes" in result["msg"], result
            assert str(number) not in output.replace('"failed": true', ""), "what it became is not shown either"


def test_every_kind_of_secret_was_tried() -> None:
    spec = {"a": {"options": {"b": {"no_log": True}}, "elements": "dict"}, "c": {"no_log": True}, "d": {}, "e": {"no_log": False}}
    assert list(unquoted({"a": [{"b": 1}, {"b": "1"}], "c": False, "d": 1, "e": 1}, spec)) == ["a.b", "c"]
    assert list(unquoted({"a": {"b": 0}, "c": None}, spec)) == ["a.b"]
    assert list(unquoted({"a": 1, "c": ""}, spec)) == []


def test_nothing_is_kept_of_a_contra_chave_that_is_a_number(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 0)
    monkeypatch.setattr(contra_chave.contra_chave, "read", lambda: pytest.fail("it went on"))
    arguments = {"purpose": "instalacao", "ibge_code": 2927408, "contra_chave": 342391}
    result, _output = answer(contra_chave, capsys, arguments)
    assert result["failed"] and "the value of contra_chave has no quotes" in result["msg"]


@pytest.mark.parametrize("key", ["spring.datasource.password", "server.ssl.key-store-password", "SENHA", "api.key"])
def test_a_secret_property_that_yaml_read_as_a_number(key: str, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = tmp_path / "x"
    result, output = answer(properties, capsys, {"path": str(path), "create": True, "values": {key: 342391}})
    assert result["failed"] and f"the value of {key} has no quotes" in result["msg"] and "342391" not in output
    assert not path.exists()


@pytest.mark.parametrize(
    "values",
    [
        {"db.password": [SECRET]},
        {"storepass": {"a": SECRET}},
        {"keypass": 4.5, "pwd": [SECRET]},
        {"sms.api-key": [{"x": SECRET}]},
        {"contraChave": None, "pin": [SECRET, 1]},
    ],
)
def test_properties_with_a_value_of_the_wrong_type(values: dict[str, Any], capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    result, output = answer(properties, capsys, {"path": str(tmp_path / "x"), "create": True, "values": {"port": 8080, **values}})
    assert result["failed"] and "the value of" in result["msg"]
    assert SECRET not in output and "4.5" not in output
    assert result["invocation"]["module_args"]["values"]["port"] == 8080


@pytest.mark.parametrize("key", [AGE_KEY, f" {AGE_KEY.lower()}\n", f"# x\n{AGE_KEY}", "AGE-PLUGIN-YUBIKEY-1QQPQQPQQ", SECRET])
def test_a_secret_key_as_recipient(key: str, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 0)
    database = {"host": "127.0.0.1", "password": "x"}
    result, output = answer(dump, capsys, {"path": f"{tmp_path}/", "recipients": ["age1" + "q" * 58, key], "database": database})
    assert result["failed"] and "recipient" in result["msg"]
    assert "QQPQQPQQ" not in output.upper() and SECRET not in result["msg"]
    result, output = answer(dump, capsys, {"path": f"{tmp_path}/", "recipients": [AGE_KEY], "overwrit": True})
    assert AGE_KEY not in output


def test_what_is_shown() -> None:
    options = {
        "a": {"type": "str"},
        "b": {"type": "str", "no_log": True},
        "c": {"type": "dict", "options": {"d": {"type": "int"}, "e": {"type": "str", "no_log": True}}},
        "f": {"type": "dict"},
        "g": {"type": "bool"},
    }
    given = {"a": "x", "b": "y", "c": {"d": 1, "e": "z", "h": 2}, "f": {"port": 1, "pwd": "w", "on": True}, "g": False, "i": "v"}
    assert shown(given, options) == {
        "a": "x",
        "b": MASK,
        "c": {"d": 1, "e": MASK, "h": MASK},
        "f": {"port": 1, "pwd": MASK, "on": True},
        "g": False,
        "i": MASK,
    }


FINGERPRINT = "2026" + "ab" * 30
EXACT = {
    "path": "/etc/esus-pec/replaced/municipio.pfx.20261123T065500Z.1f2e3d4c",
    "not_after": "2026-12-31T12:00:00Z",
    "fingerprint": FINGERPRINT,
    "colons": "20:26:AB",
    "serial": "12026f",
    "cnpj": "12026000181",
    "version": "5.2026.1",
    "database": "esus_before_20261123",
    "service": "e-SUS-PEC2026.service",
    "days_left": 2026,
    "seconds": {"total": 20.26},
    "list": ["/var/backups/esus-pec/esus-2026.dump", {"size": 120260}],
}


@pytest.mark.parametrize("password", ["2026", "20", "6", "esus", "e", "Z", "pec", "ab", "/"])
def test_a_short_secret_is_not_masked_inside_what_was_computed(
    password: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 0)
    spec = {"password": {"type": "str", "no_log": True}, "path": {"type": "path"}}
    module = ModuleType("short")
    module.main = lambda: run_module(lambda _module: dict(EXACT), argument_spec=spec)  # type: ignore[attr-defined]
    result, _output = answer(module, capsys, {"password": password, "path": EXACT["path"]})
    assert {name: result[name] for name in EXACT} == EXACT
    assert result["invocation"]["module_args"] == {"password": MASK, "path": EXACT["path"]}


@pytest.mark.parametrize("text", ["/srv/{}/x.dump", "{}x", "esus-{}", "esus.{}.service"])
@pytest.mark.parametrize("password", ["Segredo2026", "k7Zq9w3m", "1f2e-3d4c", "a_long_one"])
def test_a_secret_that_nothing_holds_by_chance_is_masked_everywhere(
    password: str, text: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 0)
    module = ModuleType("long")
    told = text.format(password)
    spec = {"password": {"type": "str", "no_log": True}}
    module.main = lambda: run_module(lambda _module: {"value": told}, argument_spec=spec)  # type: ignore[attr-defined]
    assert password not in answer(module, capsys, {"password": password})[1]


SAID = [
    "{}",
    "login failed with {}",
    "password={}",
    "-Dpassword={}",
    "/opt/java -Dpassword={}",
    "/opt/java/password={}",
    "jdbc:postgresql://esus:{}@127.0.0.1/esus",
    "//esus:{}@127.0.0.1/esus",
    "{}@host",
    "user:{}",
    '"{}"',
]


@pytest.mark.parametrize("password", ["2026", "Segredo", "Segredo do município", "hunter-2"])
@pytest.mark.parametrize("text", SAID)
def test_a_secret_is_masked_in_what_was_said(
    password: str, text: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also when the same result has it inside another value by chance, and also in a warning and an error."""
    monkeypatch.setattr("os.geteuid", lambda: 0)
    monkeypatch.setattr("ansible.module_utils.common.warnings._global_warnings", {})
    spec = {"password": {"type": "str", "no_log": True}}
    told = text.format(password)
    module = ModuleType("said")
    found = {"text": told, "path": f"/a/{password}b", "deep": [{"text": told}], "warnings": [told]}
    module.main = lambda: run_module(lambda _module: dict(found), argument_spec=spec)  # type: ignore[attr-defined]
    result, _output = answer(module, capsys, {"password": password})
    assert password not in json.dumps([result["text"], result["deep"], result["warnings"], result["invocation"]], ensure_ascii=False)

    def fail(_module: object) -> dict[str, Any]:
        raise PecError(told, path=f"/a/{password}b")

    module.main = lambda: run_module(fail, argument_spec=spec)  # type: ignore[attr-defined]
    assert password not in answer(module, capsys, {"password": password})[1]
