# SPDX-License-Identifier: GPL-3.0-or-later
"""Every block of the guide and of the README is what it says: YAML with variables and options that exist, commands that Ansible accepts."""

from __future__ import annotations

import configparser
import importlib.util
import re
import shlex
import subprocess
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[3]
PAGES = ("docs/guide.md", "README.md", "README.pt-BR.md")
OF_PLAYBOOKS = {"pec_hosts", "pec_serial", "pec_max_fail_percentage", "pec_any_errors_fatal", "pec_restore_all_servers"}
OF_PLAYBOOKS |= {"pec_doctor_output", "pec_doctor_strict", "pec_doctor_jar"}
OF_PLAYBOOKS |= {"pec_export_kit_directory", "pec_export_kit_destination", "pec_export_kit_contact"}
TYPES = {"str": (str, int, float), "int": (int,), "bool": (bool,), "list": (list,), "dict": (dict,), "path": (str,), "raw": (object,)}
KNOWN_OPTIONS = {"-i", "-e", "--limit", "--tags", "--check", "--diff", "--ask-vault-pass", "--ask-become-pass", "-K", "--syntax-check"}
WITH_VALUE = {"-i", "-e", "--limit", "--tags"}


def blocks(kind: str) -> list[Any]:
    found = []
    for page in PAGES:
        text = (ROOT / page).read_text(encoding="utf-8")
        for match in re.finditer(r"^( *)```(\w+)\n(.*?)^ *```$", text, re.MULTILINE | re.DOTALL):
            line = text.count("\n", 0, match.start()) + 2
            if match[2] == kind:
                indent = len(match[1])
                body = "\n".join(each[indent:] for each in match[3].splitlines())
                found.append(pytest.param(body, id=f"{Path(page).name}:{line}"))
    return found


@lru_cache(maxsize=None)
def variables() -> dict[str, dict[str, Any]]:
    """Every documented variable of every role."""
    found: dict[str, dict[str, Any]] = {}
    for path in ROOT.glob("roles/*/meta/argument_specs.yml"):
        for entry in yaml.safe_load(path.read_text(encoding="utf-8"))["argument_specs"].values():
            found.update(entry.get("options", {}))
    return found


@lru_cache(maxsize=None)
def module_options(name: str) -> dict[str, Any]:
    text = (ROOT / "plugins/modules" / f"{name}.py").read_text(encoding="utf-8")
    document = yaml.safe_load(re.search(r'DOCUMENTATION = r"""\n(.*?)"""', text, re.DOTALL)[1])  # type: ignore[index]
    options = dict(document.get("options", {}))
    for fragment in document.get("extends_documentation_fragment", []):
        file, _dot, part = fragment.removeprefix("esus.pec.").partition(".")
        source = (ROOT / "plugins/doc_fragments" / f"{file}.py").read_text(encoding="utf-8")
        found = re.search(rf'{(part or "documentation").upper()} = r"""\n(.*?)"""', source, re.DOTALL)
        assert found, fragment
        options.update(yaml.safe_load(found[1]).get("options", {}))
    return options


@lru_cache(maxsize=None)
def inventory_options() -> set[str]:
    text = (ROOT / "plugins/inventory/municipios.py").read_text(encoding="utf-8")
    document = yaml.safe_load(re.search(r'DOCUMENTATION = r"""\n(.*?)"""', text, re.DOTALL)[1])  # type: ignore[index]
    assert document["extends_documentation_fragment"] == ["constructed", "inventory_cache"]
    return {*document["options"], "compose", "groups", "keyed_groups", "cache", "cache_plugin", "cache_timeout", "cache_connection"}


def wrong_variables(given: dict[str, Any]) -> Iterator[str]:
    for name, value in given.items():
        if name in OF_PLAYBOOKS or not name.startswith("pec_"):
            continue
        spec = variables().get(name)
        if spec is None:
            yield f"{name} is no variable of any role"
        elif not (isinstance(value, str) and "{{" in value):
            yield from wrong_value(name, value, spec)


def wrong_value(name: str, value: object, spec: dict[str, Any]) -> Iterator[str]:
    if not isinstance(value, TYPES[spec["type"]]) or (spec["type"] == "int" and isinstance(value, bool)):
        yield f"{name} is {value!r}, not of the type {spec['type']}"
    if spec.get("choices") and any(each not in spec["choices"] for each in (value if isinstance(value, list) else [value])):
        yield f"{name} is {value!r}, not one of {spec['choices']}"
    for each in value if isinstance(value, list) else [value]:
        if spec.get("options") and isinstance(each, dict):
            yield from (f"{name}.{key} does not exist" for key in each if key not in spec["options"])


def wrong_tasks(listed: list[dict[str, Any]]) -> Iterator[str]:
    for task in listed:
        for key, value in task.items():
            if key.startswith("esus.pec."):
                options = module_options(key.removeprefix("esus.pec."))
                for name in value or {}:
                    if name not in options:
                        yield f"{key} has no option {name}"
        yield from wrong_variables(task.get("vars", {}))
        yield from wrong_tasks(task.get("block", []))


def wrong(content: Any) -> Iterator[str]:
    """What is wrong with an inventory, variables, a play or tasks."""
    if isinstance(content, list):
        for entry in content:
            if "hosts" in entry:
                assert entry["hosts"] and (entry.get("tasks") or entry.get("roles"))
                yield from wrong_variables(entry.get("vars", {}))
                yield from wrong_tasks(entry.get("tasks", []))
                for role in entry.get("roles", []):
                    yield from wrong_variables(role.get("vars", {}))
            else:
                yield from wrong_tasks([entry])
    elif "plugin" in content:
        yield from (f"the inventory plugin has no option {name}" for name in content if name not in inventory_options())
    elif "pec" in content and set(content) <= {"pec", "old"}:
        for group in content.values():
            assert set(group) <= {"hosts", "vars"}
            for given in [group.get("vars") or {}, *(group["hosts"] or {}).values()]:
                yield from wrong_variables(given or {})
    else:
        assert all(name.startswith(("pec_", "vault_", "ansible_")) for name in content), list(content)
        yield from wrong_variables(content)


@pytest.mark.parametrize("text", blocks("yaml"))
def test_yaml(text: str) -> None:
    documents = list(yaml.safe_load_all(text))
    assert documents and all(documents)
    assert [problem for document in documents for problem in wrong(document)] == []


@pytest.mark.parametrize("path", sorted((ROOT / "examples/fleet").rglob("*.yml*")), ids=lambda path: path.name)
def test_the_example_fleet(path: Path) -> None:
    """Ansible runs it in tests/playbooks; here are the names and types of its variables, and its vault's layout too."""
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    own = {name: value for name, value in content.items() if not name.startswith("vault_")}
    assert content and list(wrong(own) if own else []) == []


def test_what_is_wrong_is_found() -> None:
    assert list(wrong({"plugin": "esus.pec.municipios", "file": "x"})) == ["the inventory plugin has no option file"]
    assert list(wrong({"pec_domian": "x", "pec_https_port": "443", "pec_https_mode": "nginx"})) == [
        "pec_domian is no variable of any role",
        "pec_https_port is '443', not of the type int",
        "pec_https_mode is 'nginx', not one of ['none', 'certmgr', 'keystore', 'proxy']",
    ]
    assert list(wrong([{"hosts": "pec", "tasks": [{"esus.pec.dump": {"file": "/x"}}]}])) == ["esus.pec.dump has no option file"]
    assert list(wrong_command(shlex.split("ansible-playbook esus.pec.doctor -i a.yml --tags setup -e pec_x=1 --wrong"))) == [
        "doctor has no tag setup",
        "pec_x is no variable of any role",
        "--wrong is no option that the pages use",
    ]


@lru_cache(maxsize=None)
def tags(playbook: str) -> set[str]:
    """The tags of a playbook, as --list-tags prints them."""
    path = ROOT / "playbooks" / f"{playbook}.yml"

    def of(node: Any) -> Iterator[str]:
        if isinstance(node, dict):
            given = node.get("tags", [])
            yield from [given] if isinstance(given, str) else given
        for each in node.values() if isinstance(node, dict) else node if isinstance(node, list) else []:
            yield from of(each)

    return set(of(yaml.safe_load(path.read_text(encoding="utf-8"))))


def commands(text: str) -> list[list[str]]:
    lines = text.replace("\\\n", " ").splitlines()
    return [words for words in (shlex.split(line, comments=True) for line in lines) if words]


def wrong_command(words: list[str]) -> Iterator[str]:
    playbook, rest = words[1].removeprefix("esus.pec."), iter(words[2:])
    assert (ROOT / "playbooks" / f"{playbook}.yml").exists(), words
    options: dict[str, list[str]] = {}
    for word in rest:
        options.setdefault(word, []).append(next(rest, "") if word in WITH_VALUE else "")
    for tag in ",".join(options.get("--tags", [])).split(","):
        if tag and tag not in tags(playbook):
            yield f"{playbook} has no tag {tag}"
    for extra in options.get("-e", []):
        if extra.startswith("@"):
            continue
        given = yaml.safe_load(extra) if extra.startswith("{") else dict([extra.split("=", 1)])
        names = dict.fromkeys(given, "{{ }}") if not extra.startswith("{") else given  # key=value is always a text
        yield from wrong_variables(names)
    yield from (f"{word} is no option that the pages use" for word in options if word not in KNOWN_OPTIONS)


@pytest.mark.parametrize("text", blocks("sh"))
def test_commands(text: str) -> None:
    assert subprocess.run(["bash", "-n"], input=text, text=True, capture_output=True, check=False).stderr == ""
    for words in commands(text):
        while "=" in words[0]:
            words.pop(0)
        if words[:3] == ["ansible-galaxy", "collection", "install"] and "./" in words:
            assert "--force" in words, "the version grows with a release only, so that nothing is installed after git pull"
        if words[0] == "ansible-playbook" and words[1].startswith("esus.pec."):
            assert list(wrong_command(words)) == [], words


def test_the_version_is_newer_than_the_last_release() -> None:
    """Changes that no release has yet are in fragments, so a collection with fragments has a version of its own."""
    numbers = [tuple(map(int, str(version).split("."))) for version in released()]
    version = tuple(map(int, yaml.safe_load((ROOT / "galaxy.yml").read_text(encoding="utf-8"))["version"].split(".")))
    fragments = list((ROOT / "changelogs/fragments").glob("*.yml"))
    assert version >= (0, 2, 0)
    assert version > max(numbers, default=(0, 0, 0)) if fragments else version == max(numbers, default=version)


def released() -> list[str]:
    return list((yaml.safe_load((ROOT / "changelogs/changelog.yaml").read_text(encoding="utf-8")) or {}).get("releases") or {})


@pytest.mark.parametrize("text", blocks("ini"))
def test_settings_of_ansible(text: str) -> None:
    # Read as a file: once the controller's own code is imported, modules in this process keep their warnings to themselves.
    ansible = importlib.util.find_spec("ansible")
    assert ansible and ansible.origin
    entries = yaml.safe_load((Path(ansible.origin).parent / "config/base.yml").read_text(encoding="utf-8"))
    known = {(place["section"], place["key"]) for entry in entries.values() for place in entry.get("ini", [])}
    parser = configparser.ConfigParser()
    parser.read_string(text)
    assert [(section, key) for section in parser.sections() for key in parser[section] if (section, key) not in known] == []


def test_the_collections_are_those_of_galaxy_yml() -> None:
    wanted = yaml.safe_load((ROOT / "galaxy.yml").read_text(encoding="utf-8"))["dependencies"]
    page = (ROOT / "docs/guide.md").read_text(encoding="utf-8")
    assert dict(re.findall(r"'(community\.\w+):([^']+)'", page)) == wanted


def test_links_lead_somewhere() -> None:
    """Links to other pages and to headings, as GitHub makes them."""
    broken = []
    for page in PAGES:
        for target in re.findall(r"\]\((?!https?:)([^)]+)\)", (ROOT / page).read_text(encoding="utf-8")):
            file, _hash, anchor = target.partition("#")
            path = (ROOT / page).parent / file if file else ROOT / page
            if not path.exists() or (anchor and anchor not in anchors(path)):
                broken.append((page, target))
    assert broken == []


def anchors(path: Path) -> set[str]:
    titles = re.findall(r"^#+ (.+)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def test_the_pages_have_blocks() -> None:
    assert len(blocks("yaml")) >= 20 and len(blocks("sh")) >= 10
    text = "".join((ROOT / page).read_text(encoding="utf-8") for page in PAGES)
    assert set(re.findall(r"^ *```(\w+)$", text, re.MULTILINE)) <= {"yaml", "sh", "ini", "text"}
