# SPDX-License-Identifier: GPL-3.0-or-later
"""The inventory plugin as Ansible runs it: hosts and groups, faults, templates, the cache, the guide's example and the example fleet."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import openpyxl
import pytest
import yaml

from ansible_collections.esus.pec.plugins.plugin_utils.municipios import ibge

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "examples/fleet"
HOSTILE = "{{ lookup('pipe', 'id > ran') }}"


class Ansible:
    """Ansible in a directory with a sheet and a source."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        collection = directory / "collections/ansible_collections/esus"
        collection.mkdir(parents=True)
        (collection / "pec").symlink_to(ROOT)
        self.environment = {
            **os.environ,
            "ANSIBLE_NOCOLOR": "true",
            "ANSIBLE_HOME": str(directory / "home"),
            "ANSIBLE_COLLECTIONS_PATH": f"{directory / 'collections'}:{os.environ.get('ANSIBLE_COLLECTIONS_PATH', '')}",
            "ANSIBLE_INVENTORY_ANY_UNPARSED_IS_FAILED": "true",
        }

    def source(self, name: str = "municipios.yml", **options: Any) -> None:
        given = {"plugin": "esus.pec.municipios", "path": "municipios.csv", **options}
        (self.directory / name).write_text(yaml.safe_dump(given, allow_unicode=True), encoding="utf-8")

    def sheet(self, text: str) -> None:
        (self.directory / "municipios.csv").write_text(text, encoding="utf-8")

    def run(self, program: str, *arguments: str, source: str = "municipios.yml") -> subprocess.CompletedProcess[str]:
        argv = [str(Path(sys.executable).parent / program), "-i", str(self.directory / source), *arguments]
        return subprocess.run(
            argv,
            capture_output=True,
            text=True,
            env=self.environment,
            cwd=self.directory,
            timeout=300,
            check=False,
            stdin=subprocess.DEVNULL,
        )

    def listed(self, *arguments: str, source: str = "municipios.yml") -> dict[str, Any]:
        ended = self.run("ansible-inventory", "--list", *arguments, source=source)
        assert ended.returncode == 0, ended.stdout + ended.stderr
        found: dict[str, Any] = plain(json.loads(ended.stdout))
        return found

    def hosts(self, source: str = "municipios.yml") -> dict[str, Any]:
        found: dict[str, Any] = self.listed(source=source)["_meta"]["hostvars"]
        return found

    def said(self, text: str, *arguments: str) -> list[str]:
        """What a play on all servers shows of an expression, in the order of their names."""
        tasks = [{"ansible.builtin.debug": {"msg": f"<{text}>"}}]
        (self.directory / "play.yml").write_text(
            json.dumps([{"hosts": "pec", "gather_facts": False, "connection": "local", "tasks": tasks}]), encoding="utf-8"
        )
        ended = self.run("ansible-playbook", str(self.directory / "play.yml"), *arguments)
        assert ended.returncode == 0, ended.stdout + ended.stderr
        return [json.loads(f'"{each}"') for each in sorted(re.findall(r'"msg": "<(.*)>"', ended.stdout))]


def plain(content: Any) -> Any:
    """Without the marks of what is no template."""
    if isinstance(content, dict):
        return (
            content["__ansible_unsafe"] if set(content) == {"__ansible_unsafe"} else {key: plain(value) for key, value in content.items()}
        )
    return [plain(each) for each in content] if isinstance(content, list) else content


@pytest.fixture
def ansible(tmp_path: Path) -> Ansible:
    made = Ansible(tmp_path)
    made.source()
    made.sheet(
        "Município;UF;Domínio;IPv4;Onda;Responsável;Senha (variável do vault)\n"
        f'Salvador;BA;pec.salvador.example;203.0.113.1;1;"{HOSTILE}";vault_salvador\n'
        "Água Clara;MS;pec.agua-clara.example;203.0.113.2;piloto;;\n"
    )
    return made


def three_hundred() -> str:
    chosen = sorted(ibge.places().values(), key=lambda place: place.code)[::18][:300]
    lines = [
        f"{place.name};{place.uf};pec{number}.example;203.0.{number // 250}.{number % 250 + 1};5.4.37;{number % 5};Produção"
        for number, place in enumerate(chosen)
    ]
    assert len(lines) == 300
    return "\n".join(["Município;UF;Domínio;IPv4;Versão;Onda;Situação", *lines, ""])


def test_three_hundred(ansible: Ansible) -> None:
    ansible.sheet(three_hundred())
    ended = ansible.run("ansible-inventory", "--graph")
    assert ended.returncode == 0 and ended.stderr == "", ended.stderr
    assert len(set(re.findall(r"--(pec\d+\.example)$", ended.stdout, re.MULTILINE))) == 300
    assert len(re.findall(r"^  \|  \|--@pec_uf_\w\w:$", ended.stdout, re.MULTILINE)) > 20
    found = ansible.listed()
    assert len(found["_meta"]["hostvars"]) == len(found["pec"]["hosts"]) == len(found["pec_version_5_4_37"]["hosts"]) == 300
    assert found["pec"]["hosts"][:2] == ["pec0.example", "pec1.example"], "in the order of the sheet, for --limit pec[20:]"
    assert {len(found[f"pec_wave_{wave}"]["hosts"]) for wave in range(5)} == {60}
    regions = [found[f"pec_region_{region}"]["hosts"] for region in ("norte", "nordeste", "centro_oeste", "sudeste", "sul")]
    assert sum(map(len, regions)) == 300 and min(map(len, regions)) > 10
    codes = {variables["pec_ibge_code"]: variables["pec_municipio"] for variables in found["_meta"]["hostvars"].values()}
    assert codes == {code: ibge.places()[code].name for code in codes} and len(codes) == 300


def test_what_is_in_a_cell_is_no_template(ansible: Ansible) -> None:
    """Neither directly nor through a variable, a composed variable or a group; and the name of a vault variable is one."""
    ansible.source(
        compose={"composed": "'<' ~ pec_responsible ~ '>'"},
        keyed_groups=[{"key": "pec_responsible", "prefix": "who"}],
        groups={"answered": "pec_responsible is defined"},
        strict=False,
    )
    text = "|".join(f"{{{{ {name} | default('') }}}}" for name in ("pec_responsible", "again", "composed", "pec_instalador_password"))
    variables = json.dumps({"again": "{{ pec_responsible | default('') }}", "vault_salvador": "segredo"})
    assert ansible.said(text, "-e", variables) == [f"{HOSTILE}|{HOSTILE}|<{HOSTILE}>|segredo", "|||"]
    assert ansible.listed()["answered"]["hosts"] == ["pec.salvador.example"]
    assert not (ansible.directory / "ran").exists()


def test_a_template_in_a_cell_would_run_if_it_were_one(ansible: Ansible) -> None:
    """The test above can fail: an inventory file of the same content does run it."""
    hosts = {"pec.salvador.example": {"pec_responsible": HOSTILE}}
    (ansible.directory / "municipios.yml").write_text(json.dumps({"pec": {"hosts": hosts}}), encoding="utf-8")
    ansible.said("{{ pec_responsible }}")
    assert (ansible.directory / "ran").exists()


def test_every_fault_is_in_the_error(ansible: Ansible) -> None:
    ansible.sheet("Município;UF;Domínio;Senha\nSalvador;MS;pec.example;x\nXyzzy;BA;https://a.example;y\n")
    ansible.environment["ANSIBLE_INVENTORY_ENABLED"] = "esus.pec.municipios"
    ended = ansible.run("ansible-inventory", "--list")
    text = " ".join((ended.stdout + ended.stderr).split())
    assert ended.returncode != 0
    assert "4 problems in the sheet of municípios" in text
    places = ["line 1, column 'Senha'", "line 2, column 'Município'", "line 3, column 'Domínio'", "line 3, column 'Município'"]
    assert [place for place in places if f"- municipios.csv, {place}: " not in text] == []


def test_without_the_setting_a_fault_leaves_no_host(ansible: Ansible) -> None:
    ansible.sheet("Município;UF;Domínio\nÁgua Clara;MS;pec.example\nXyzzy;BA;a.example\n")
    del ansible.environment["ANSIBLE_INVENTORY_ANY_UNPARSED_IS_FAILED"]
    ended = ansible.run("ansible-inventory", "--list")
    assert json.loads(ended.stdout)["_meta"]["hostvars"] == {}
    assert "no município of BA has the name 'Xyzzy'" in " ".join(ended.stderr.split())


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"columns": {"A": "pec_domain"}}, "columns maps 'A' to 'pec_domain', which the field 'domain' sets"),
        ({"prefix": "PEC-"}, "prefix is 'PEC-'; use lower case letters, digits and underscores"),
        ({"group": ""}, "group is ''; use lower case letters, digits and underscores"),
        ({"vault_prefix": "x-"}, "vault_prefix is not the beginning of a variable's name"),
        ({"path": "other.csv"}, "other.csv; give the sheet's path relative to the inventory source"),
        ({"encoding": "latin"}, "latin"),
        ({"strict": True, "compose": {"x": "nothing_of_this_name"}}, "Could not set x for host"),
    ],
)
def test_options_that_are_wrong(ansible: Ansible, options: dict[str, Any], error: str) -> None:
    ansible.source(**options)
    ended = ansible.run("ansible-inventory", "--list")
    assert ended.returncode != 0 and error in " ".join((ended.stdout + ended.stderr).split()), ended.stdout + ended.stderr


def test_other_files_are_for_other_plugins(ansible: Ansible) -> None:
    (ansible.directory / "hosts.yml").write_text("pec: {hosts: {other.example: {}}}\n", encoding="utf-8")
    ansible.environment["ANSIBLE_INVENTORY_ENABLED"] = "esus.pec.municipios,yaml"
    assert list(ansible.hosts("hosts.yml")) == [] and ansible.listed(source="hosts.yml")["pec"]["hosts"] == ["other.example"]
    ansible.source("sul.municipios.yaml")
    assert len(ansible.hosts("sul.municipios.yaml")) == 2
    ansible.source("fleet.yml")
    assert ansible.run("ansible-inventory", "--list", source="fleet.yml").returncode != 0


def test_a_sheet_encrypted_by_ansible_vault(ansible: Ansible) -> None:
    password = ansible.directory / "password"
    password.write_text("x", encoding="utf-8")
    sheet = ansible.directory / "municipios.csv"
    argv = [str(Path(sys.executable).parent / "ansible-vault"), "encrypt", "--vault-password-file", str(password), str(sheet)]
    subprocess.run(argv, check=True, capture_output=True, env=ansible.environment, timeout=300)
    assert sheet.read_bytes().startswith(b"$ANSIBLE_VAULT")
    assert len(ansible.listed("--vault-password-file", str(password))["_meta"]["hostvars"]) == 2


def test_the_cache(ansible: Ansible) -> None:
    """What it holds is used, but never for another sheet or other options; and no value of it is a template."""
    cache = ansible.directory / "cache"
    options = {"cache": True, "cache_plugin": "ansible.builtin.jsonfile", "cache_connection": str(cache)}
    ansible.source(**options)
    first = ansible.hosts()
    (kept,) = cache.iterdir()
    assert HOSTILE.replace('"', '\\"') in kept.read_text(encoding="utf-8")
    assert ansible.hosts() == first
    # From now on it has another value than the sheet, to see which of them is used.
    kept.write_text(kept.read_text(encoding="utf-8").replace("203.0.113.1", "203.0.113.99"), encoding="utf-8")
    assert ansible.hosts()["pec.salvador.example"]["ansible_host"] == "203.0.113.99"
    variables = json.dumps({"vault_salvador": "segredo"})
    assert ansible.said("{{ pec_responsible | default('') }}{{ pec_instalador_password | default('') }}", "-e", variables) == [
        "",
        f"{HOSTILE}segredo",
    ]
    assert not (ansible.directory / "ran").exists()
    assert ansible.said("{{ ansible_host }}", "--flush-cache") == ["203.0.113.1", "203.0.113.2"]
    ansible.source(**options, prefix="esus_")
    assert "esus_uf_ba" in ansible.listed()
    ansible.sheet("Município;UF;Domínio\nItabuna;BA;pec.itabuna.example\n")
    assert list(ansible.hosts()) == ["pec.itabuna.example"]
    ansible.source(**options, vault_prefix="secret_")
    ansible.sheet("Município;UF;Domínio;Senha (vault)\nItabuna;BA;pec.itabuna.example;vault_x\n")
    assert ansible.run("ansible-inventory", "--list").returncode != 0


def test_xlsx(ansible: Ansible) -> None:
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    for row in (["Município", "Código IBGE", "Domínio"], ["Salvador", 2927408.0, "pec.salvador.example"]):
        sheet.append(row)
    book.save(ansible.directory / "municipios.xlsx")
    ansible.source(path="municipios.xlsx")
    assert ansible.hosts()["pec.salvador.example"]["pec_ibge_code"] == "2927408"


def section() -> str:
    text = (ROOT / "docs/guide.md").read_text(encoding="utf-8").partition("\n## A fleet from a sheet\n")[2]
    return text.partition("\n## ")[0]


def test_the_guides_example(ansible: Ansible) -> None:
    found_blocks = re.findall(r"^```(text|yaml|ini)\n(.*?)^```", section(), re.MULTILINE | re.DOTALL)
    (sheet, faults), blocks = [text for kind, text in found_blocks if kind == "text"], dict(found_blocks)
    ansible.sheet(sheet)
    (ansible.directory / "municipios.yml").write_text(blocks["yaml"], encoding="utf-8")
    (ansible.directory / "ansible.cfg").write_text(blocks["ini"], encoding="utf-8")
    found = ansible.listed()
    assert found["_meta"]["hostvars"]["pec.agua-clara.ms.gov.br"]["pec_instalador_password"] == "{{ vault_instalador_agua_clara }}"
    named = re.findall(r"`(pec_(?:uf|region|wave|version|state)_\w+)`", section())
    assert len(named) > 3 and [group for group in named if group not in found] == []
    ansible.sheet(sheet.replace("Três Lagoas", "Tres Lagos").replace("198.51.100.21", "198.51.100.300"))
    ended = ansible.run("ansible-inventory", "--list")
    assert ended.returncode != 0 and " ".join(faults.split()) in " ".join((ended.stdout + ended.stderr).split()), ended.stderr


@pytest.fixture
def fleet(tmp_path: Path) -> Ansible:
    """A copy of the example, with its vault."""
    made = Ansible(tmp_path)
    shutil.copytree(EXAMPLE, tmp_path, dirs_exist_ok=True)
    example = tmp_path / "group_vars/pec/vault.yml.example"
    example.rename(example.with_suffix(""))
    return made


def test_the_example_fleet(fleet: Ansible) -> None:
    found = fleet.listed()
    assert found["pec_wave_piloto"]["hosts"] == ["pec.agua-clara.example", "pec.boa-esperanca-do-norte.example"]
    assert found["pec_large"]["hosts"] == ["pec.campo-grande.example", "pec.salvador.example"]
    variables = (
        "{{ [inventory_hostname, pec_timezone, pec_smtp_host, pec_backup_fingerprint | default('-'), pec_install_jar_file] | join(' ') }}"
    )
    assert fleet.said(variables) == [
        "pec.agua-clara.example America/Campo_Grande smtp.example True /srv/pec/eSUS-AB-PEC-5.4.37-Linux64.jar",
        "pec.boa-esperanca-do-norte.example America/Cuiaba smtp.example True /srv/pec/eSUS-AB-PEC-5.4.37-Linux64.jar",
        "pec.campo-grande.example America/Campo_Grande smtp.example False /srv/pec/eSUS-AB-PEC-5.4.37-Linux64.jar",
        "pec.itabuna.example America/Bahia smtp.bahia.example - /srv/pec/eSUS-AB-PEC-5.3.28-Linux64.jar",
        "pec.salvador.example America/Bahia smtp.bahia.example False /srv/pec/eSUS-AB-PEC-5.3.28-Linux64.jar",
        "pec.tres-lagoas.example America/Campo_Grande smtp.example - /srv/pec/eSUS-AB-PEC-5.4.37-Linux64.jar",
    ]


def test_the_vault_of_the_example_has_every_secret_and_no_real_one(fleet: Ansible) -> None:
    secrets = "{{ [pec_instalador_password, pec_database_password, pec_smtp_password] | join(' ') }}"
    assert fleet.said(secrets) == ["REPLACE-ME REPLACE-ME REPLACE-ME"] * 6
    vault = yaml.safe_load((fleet.directory / "group_vars/pec/vault.yml").read_text(encoding="utf-8"))
    values = [each for value in vault.values() for each in (value.values() if isinstance(value, dict) else [value])]
    assert set(values) == {"REPLACE-ME"} and len(vault) == 8


@pytest.mark.parametrize(
    ("group_vars", "value"),
    [
        ({"pec": "pec", "pec_uf_ba": "uf"}, "uf"),
        ({"pec_region_nordeste": "region", "pec_state_x": "state", "pec_uf_ba": "uf"}, "uf"),
        ({"pec_region_nordeste": "region", "pec_state_x": "state"}, "state"),
        ({"pec_uf_ba": "uf", "pec_version_5_4_37": "version", "pec_wave_1": "wave"}, "wave"),
        ({"pec_uf_ba": "uf", "pec_version_5_4_37": "version"}, "version"),
    ],
)
def test_which_group_is_the_strongest(ansible: Ansible, group_vars: dict[str, str], value: str) -> None:
    ansible.sheet("Município;UF;Domínio;Versão;Onda;Situação\nSalvador;BA;pec.salvador.example;5.4.37;1;x\n")
    (ansible.directory / "group_vars").mkdir()
    for group, text in group_vars.items():
        (ansible.directory / f"group_vars/{group}.yml").write_text(f"strongest: {text}\n", encoding="utf-8")
    assert ansible.hosts()["pec.salvador.example"]["strongest"] == value
