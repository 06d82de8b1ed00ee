# SPDX-License-Identifier: GPL-3.0-or-later
"""The playbook that writes the export kits, run against localhost: no server of the inventory is contacted."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DESTINATION = "https://nuvem.example.org/enviar"


def run(tmp_path: Path, *options: str, **variables: str) -> tuple[int, str]:
    collection = tmp_path / "collections/ansible_collections/esus"
    if not collection.exists():
        collection.mkdir(parents=True)
        (collection / "pec").symlink_to(ROOT)
    hosts = {"velho.example.org": {"pec_municipio": "Água Clara"}, "outro.example.org": {"pec_municipio": "Ipê d'Oeste"}}
    inventory = tmp_path / "inventory.yml"
    inventory.write_text(json.dumps({"pec": {"hosts": hosts}}), encoding="utf-8")
    environment = {**os.environ, "ANSIBLE_NOCOLOR": "true", "ANSIBLE_HOME": str(tmp_path), "ANSIBLE_LOCALHOST_WARNING": "false"}
    environment["ANSIBLE_COLLECTIONS_PATH"] = str(tmp_path / "collections")
    given = json.dumps({"pec_export_kit_directory": str(tmp_path / "kits"), **variables})
    argv = [str(Path(sys.executable).parent / "ansible-playbook"), "esus.pec.export_kit", "-i", str(inventory), "-e", given, *options]
    ended = subprocess.run(argv, capture_output=True, text=True, env=environment, timeout=120, check=False)
    return ended.returncode, ended.stdout + ended.stderr


def changes(output: str) -> dict[str, int]:
    return {host: int(number) for host, number in re.findall(r"^(\S+) +: ok=\d+ +changed=(\d+)", output, re.MULTILINE)}


def test_one_kit_for_each_server(tmp_path: Path) -> None:
    code, output = run(tmp_path, "--check", pec_export_kit_destination=DESTINATION)
    assert (code, sum(changes(output).values()), (tmp_path / "kits").exists()) == (0, 3, False), output
    code, output = run(tmp_path, pec_export_kit_destination=DESTINATION)
    assert (code, sum(changes(output).values())) == (0, 3), output
    for host, municipality in (("velho", "Água Clara"), ("outro", "Ipê d'Oeste")):
        with zipfile.ZipFile(tmp_path / f"kits/exportar-pec-{host}.example.org.zip") as packed:
            page = packed.read("LEIA-ME.txt").decode()
            assert municipality in page and DESTINATION in page
    code, output = run(tmp_path, pec_export_kit_destination=DESTINATION)
    assert (code, set(changes(output).values())) == (0, {0}), output


def test_no_kit_without_a_destination(tmp_path: Path) -> None:
    code, output = run(tmp_path)
    assert (code, "pec_export_kit_destination" in output, (tmp_path / "kits").exists()) == (2, True, False), output
