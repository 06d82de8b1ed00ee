# SPDX-License-Identifier: GPL-3.0-or-later
"""What the first plays of install and configure tell: Ansible runs them for three servers, which are this machine, in check mode."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
JAR = "eSUS-AB-PEC-5.4.37-Linux64.jar"


def run(tmp_path: Path, playbook: str, hosts: dict[str, dict[str, Any]], **variables: Any) -> str:
    collection = tmp_path / "collections/ansible_collections/esus"
    collection.mkdir(parents=True, exist_ok=True)
    if not (collection / "pec").exists():
        (collection / "pec").symlink_to(ROOT)
    local = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable, "ansible_become": False}
    inventory = {"pec": {"hosts": hosts, "vars": {**local, "pec_domain": "esus.municipio.uf.gov.br", **variables}}}
    (tmp_path / "inventory.json").write_text(json.dumps(inventory), encoding="utf-8")
    argv = [str(Path(sys.executable).parent / "ansible-playbook"), "-i", str(tmp_path / "inventory.json"), "--check", playbook]
    environment = {
        **os.environ,
        "ANSIBLE_NOCOLOR": "true",
        "ANSIBLE_HOME": str(tmp_path / "home"),
        "ANSIBLE_COLLECTIONS_PATH": f"{tmp_path / 'collections'}:{os.environ.get('ANSIBLE_COLLECTIONS_PATH', '')}",
    }
    ended = subprocess.run(argv, capture_output=True, text=True, env=environment, timeout=300, check=False)
    return ended.stdout + ended.stderr


def told(output: str) -> dict[str, str]:
    """What the last task of the play says to each server."""
    last = output.partition("TASK [esus.pec.pec : Fail if anything is wrong]")[2]
    return {host: json.loads(text)["msg"] for host, text in re.findall(r"^fatal: \[(\w+)\]: FAILED! => (\{.*\})$", last, re.MULTILINE)}


def test_configure_tells_every_area_of_every_server(tmp_path: Path) -> None:
    secret = "Segredo-de-2026"
    (tmp_path / "a.pfx").write_bytes(b"")
    hosts = {
        "h1": {"pec_govbr_client_secret": "{{ vault_h1 }}"},
        "h2": {"pec_certificate_file": str(tmp_path / "a.pfx"), "pec_certificate_password": 123},
        "h3": {
            "pec_contra_chave_values": [
                {"purpose": "agendamento", "file": "/nowhere/chave"},
                {"purpose": "instalacao", "contra_chave": secret},
            ],
            "pec_services_settings": {"horus": True},
            "pec_instalador_password": secret,
        },
    }
    output = run(
        tmp_path,
        str(ROOT / "playbooks/configure.yml"),
        hosts,
        pec_any_errors_fatal="true",  # for a server that fails, not for an area
        pec_ibge_code="2927408",
        pec_certificate_file="/nowhere/a.pfx",
        pec_https_mode="proxy",
        pec_https_certificate_file="/nowhere/a.pem",
        pec_https_key_file="/nowhere/a.key",
        pec_govbr_client_id="abcdefgh",
        pec_govbr_client_secret="abcdefgh",
    )
    found = told(output)
    gone = "{}: there is no file {} on the controller; Ansible searches beside the playbook"
    for answer in found.values():
        assert answer.startswith("Nothing was changed. Correct this, then run again:\n")
        assert gone.format("pec_https_certificate_file", "/nowhere/a.pem") in answer
        assert gone.format("pec_https_key_file", "/nowhere/a.key") in answer
    assert set(found) == {"h1", "h2", "h3"}, output
    assert [gone.format("pec_certificate_file", "/nowhere/a.pfx") in found[host] for host in ("h1", "h2", "h3")] == [True, False, True]
    assert "'vault_h1' is undefined" in found["h1"]
    assert "pec_certificate_password: the value has no quotes" in found["h2"]
    assert "pec_govbr_client_id and pec_govbr_client_secret are the same" in found["h2"] and "undefined" not in found["h2"]
    assert gone.format("pec_contra_chave_values", "/nowhere/chave") in found["h3"]
    assert "set pec_instalador_cpf and" in found["h3"]
    assert secret not in output
    assert output.count("changed=0 ") == 3 and "PLAY [Configure PEC]" not in output


def test_install_tells_what_every_role_would_refuse(tmp_path: Path) -> None:
    (tmp_path / JAR).write_bytes(b"<html>")
    hosts: dict[str, dict[str, Any]] = {"h1": {}, "h2": {"pec_install_jar_sha256": ""}, "h3": {"pec_install_jar_file": "/nowhere/" + JAR}}
    output = run(
        tmp_path,
        str(ROOT / "playbooks/install.yml"),
        hosts,
        pec_database_password="a-long-password-1",
        pec_database_name="a\nb",
        pec_install_jar_file=str(tmp_path / JAR),
        pec_install_jar_sha256="0" * 64,
        pec_install_cache_directory="relative",
        pec_timezone="a\nb",
    )
    found = told(output)
    assert set(found) == {"h1", "h2", "h3"}, output
    for answer in found.values():
        assert "pec_database_name has a line break" in answer
        assert "pec_timezone has a line break" in answer
        assert 'pec_install_cache_directory is "relative"' in answer
    assert f"[jar] pec_install_jar_file: {tmp_path / JAR} is another file than expected: its SHA-256 is " in found["h1"]
    assert "or correct pec_install_jar_sha256 from a source that you trust" in found["h1"]
    assert f"[jar] pec_install_jar_file: {tmp_path / JAR} is not a jar, or a damaged one" in found["h2"]
    assert f"[jar] pec_install_jar_file: there is no file /nowhere/{JAR} on the controller" in found["h3"]
    assert "PLAY [Install PEC on the servers]" not in output


def test_a_warning_names_its_server(tmp_path: Path) -> None:
    """Ansible shows equal warnings once."""
    play = tmp_path / "play.yml"
    task = {"esus.pec.preflight": {"checks": ["host"], "simultaneous_users": 5000, "report_only": True}}
    play.write_text(json.dumps([{"hosts": "all", "gather_facts": False, "tasks": [task]}]), encoding="utf-8")
    output = " ".join(run(tmp_path, str(play), {"h1": {}, "h2": {}}).split())
    for host in ("h1", "h2"):
        assert f"{host}: [beyond_table] the official table ends at 4000 simultaneous users" in output
