# SPDX-License-Identifier: GPL-3.0-or-later
"""Contra-chaves on a server without PEC: what is kept, shown and exported."""

from __future__ import annotations

import json
import os
import stat
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from secret_search import JOURNAL, in_text, on_server

NAME = "esus-pec-contra-chave"
FILE = "/etc/esus-pec/contra-chave.yml"
REPLACED = "/etc/esus-pec/replaced"
SECRET, OTHER, CHAVE = "A1-b2/C3=d4", "Zz99-agenda", "chave-que-o-PEC-mostrou"
SECRETS = [SECRET, OTHER, CHAVE]
INSTALACAO = {"purpose": "instalacao", "ibge_code": "2927408"}
KEPT = {**INSTALACAO, "contra_chave": f"\ufeff  {SECRET} \r\n", "chave": CHAVE, "requested_by": "Maria", "requested_on": "2026-11-23"}
ENTRY = {**KEPT, "contra_chave": SECRET}
AGENDAMENTO = {**INSTALACAO, "purpose": "agendamento", "contra_chave": OTHER}


@pytest.fixture(scope="module")
def started(start_server: Any) -> Any:
    return start_server(NAME, "debian12")


@pytest.fixture
def server(started: Any) -> Any:
    """A server that keeps nothing."""
    started.run("rm", "-rf", os.path.dirname(FILE))
    return started


def keep(server: Any, *entries: dict[str, str]) -> None:
    """Write the file as an earlier run left it."""
    server.run("install", "-d", "-m", "0700", os.path.dirname(FILE))
    server.put(json.dumps({"pec_contra_chave_values": entries}), FILE, "0600")


def module(server: Any, arguments: dict[str, Any], *, check: bool = False) -> dict[str, Any]:
    result: dict[str, Any] = server.module("esus.pec.contra_chave", arguments, check=check)
    assert in_text(result["_output"], SECRETS) == []
    return result


def role(server: Any, *options: str, tasks_from: str = "main", **variables: Any) -> subprocess.CompletedProcess[str]:
    play = {"tasks": [{"import_role": {"name": "esus.pec.pec_contra_chave", "tasks_from": tasks_from}}]}
    run: subprocess.CompletedProcess[str] = server.play(play, "-vvv", "--diff", *options, **variables)
    assert in_text(run.stdout + run.stderr, SECRETS) == []
    return run


def kept(server: Any) -> list[dict[str, str]]:
    """Read the file with YAML alone, without the collection."""
    entries: list[dict[str, str]] = yaml.safe_load(server.run("cat", FILE).stdout)["pec_contra_chave_values"]
    return entries


def test_check_mode_predicts_the_run(server: Any) -> None:
    predicted = module(server, KEPT, check=True)
    assert (predicted["changed"], server.run("test", "-e", FILE, check=False).returncode) == (True, 1)
    done = module(server, KEPT)
    assert (done["changed"], done["contra_chave_record"]) == (True, predicted["contra_chave_record"])
    assert [entry["contra_chave"] for entry in kept(server)] == [SECRET]
    assert server.run("stat", "-c", "%a %U %G", FILE).stdout.strip() == "600 root root"
    assert server.run("stat", "-c", "%a %U", "/etc/esus-pec").stdout.strip() == "700 root"


def test_a_second_run_changes_nothing(server: Any) -> None:
    module(server, KEPT)
    before = server.run("stat", "-c", "%i %Y", FILE).stdout
    assert not module(server, KEPT)["changed"]
    assert not module(server, INSTALACAO)["changed"]
    assert server.run("stat", "-c", "%i %Y", FILE).stdout == before


def test_a_file_on_the_server_as_it_was_saved(server: Any) -> None:
    keep(server, ENTRY)
    server.put(f"\r\n\r\n   {OTHER}\t\r\n\r\n", "/root/agendamento.txt")
    agendamento = {**INSTALACAO, "purpose": "agendamento", "src": "/root/agendamento.txt"}
    assert module(server, agendamento)["changed"]
    assert sorted(entry["contra_chave"] for entry in kept(server)) == sorted([SECRET, OTHER])


def test_a_rejected_value_changes_nothing(server: Any) -> None:
    keep(server, ENTRY)
    before = kept(server)
    server.put(f"Contra-chave:\n{OTHER}\n", "/root/two.txt")
    for arguments, about in (
        ({**INSTALACAO, "src": "/root/two.txt"}, "/root/two.txt"),
        ({**KEPT, "ibge_code": "2927400"}, "2927400"),
        ({**INSTALACAO, "activated": "confirmed"}, "confirmed_by"),
    ):
        result = module(server, arguments)
        assert result["_failed"] and about in result["msg"], result
    assert "become: true" in server.module("esus.pec.contra_chave", KEPT, user="nobody")["msg"]
    assert kept(server) == before


def test_info_shows_it_without_the_secret(server: Any) -> None:
    keep(server, ENTRY, AGENDAMENTO)
    confirmed = {**INSTALACAO, "activated": "confirmed", "confirmed_by": "João"}
    assert module(server, confirmed)["changed"]
    result = server.module("esus.pec.info", {"database": False, "health": False})
    shown = {entry["purpose"]: entry for entry in result["pec"]["contra_chaves"]}
    assert (shown["instalacao"]["activated"], shown["instalacao"]["confirmed_by"]) == ("confirmed", "João")
    assert shown["agendamento"]["activated"] == "unknown"
    assert SECRET not in result["_output"]


def test_the_next_server_gets_what_this_one_had(server: Any, tmp_path: Path) -> None:
    module(server, KEPT)
    module(server, AGENDAMENTO)
    copy = tmp_path / "contra-chave.yml"
    run = role(server, tasks_from="export", pec_contra_chave_export_file=str(copy))
    assert run.returncode == 0, run.stdout
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    before = kept(server)
    server.run("rm", FILE)
    assert role(server, tasks_from="export", pec_contra_chave_export_file=str(copy)).returncode != 0
    run = role(server, "-e", f"@{copy}")
    assert run.returncode == 0, run.stdout
    assert kept(server) == before


def test_a_missing_one_is_reported_in_portuguese(server: Any) -> None:
    keep(server, ENTRY)
    wanted = {"pec_ibge_code": "2927408", "pec_contra_chave_required": ["instalacao", "agendamento"]}
    run = role(server, **wanted)
    assert run.returncode == 0, run.stdout
    assert "Falta a contra-chave do agendamento online" in run.stdout
    assert "Falta a contra-chave da instalação" not in run.stdout
    assert "changed=0 " in run.stdout
    refused = role(server, **wanted, pec_contra_chave_fail_when_missing=True)
    assert refused.returncode != 0


def test_a_code_without_quotes_and_a_value_that_check_mode_predicts(server: Any) -> None:
    keep(server, ENTRY)
    wanted = {"pec_ibge_code": 2927408, "pec_contra_chave_required": ["instalacao", "agendamento"]}
    value = {"purpose": "agendamento", "state": "present", "contra_chave": OTHER}
    run = role(server, "--check", **wanted, pec_contra_chave_values=[value])
    assert run.returncode == 0, run.stdout
    assert "Falta a contra-chave" not in run.stdout
    assert [entry["purpose"] for entry in kept(server)] == ["instalacao"]


def test_two_for_the_same_purpose_are_rejected(server: Any) -> None:
    keep(server, ENTRY)
    before = kept(server)
    values = [{"purpose": "agendamento", "contra_chave": each} for each in (SECRET, OTHER)]
    run = role(server, pec_ibge_code="2927408", pec_contra_chave_values=values)
    assert run.returncode != 0 and "agendamento of 2927408" in run.stdout
    assert kept(server) == before


def test_what_is_replaced_is_kept(server: Any) -> None:
    module(server, KEPT)
    module(server, AGENDAMENTO)
    predicted = module(server, {**INSTALACAO, "contra_chave": OTHER}, check=True)
    assert predicted["changed"] and "backup_file" not in predicted
    assert server.run("test", "-e", REPLACED, check=False).returncode == 1
    assert "backup_file" not in module(server, {**INSTALACAO, "requested_by": "Ana"})
    before = server.run("cat", FILE).stdout
    done = module(server, {**INSTALACAO, "contra_chave": OTHER})
    assert server.run("cat", done["backup_file"]).stdout == before
    assert server.run("stat", "-c", "%a %U", done["backup_file"], REPLACED).stdout.split() == ["600", "root", "700", "root"]
    assert [entry["contra_chave"] for entry in kept(server)] == [OTHER, OTHER]


def test_the_file_goes_with_the_last_one(server: Any) -> None:
    keep(server, ENTRY)
    removed = module(server, {**INSTALACAO, "state": "absent"})
    assert removed["changed"] and SECRET in server.run("cat", removed["backup_file"]).stdout
    assert server.run("test", "-e", FILE, check=False).returncode == 1
    assert not module(server, {**INSTALACAO, "state": "absent"})["changed"]


def test_a_file_of_another_program_stays(server: Any) -> None:
    server.run("install", "-d", "-m", "0700", os.path.dirname(FILE))
    server.put("contra_chave: minha\n", FILE, "0600")
    assert FILE in module(server, KEPT)["msg"]
    assert server.run("cat", FILE).stdout == "contra_chave: minha\n"
    assert server.module("esus.pec.info", {"database": False, "health": False})["pec"]["contra_chaves"] is None


def test_no_secret_is_in_the_journal(server: Any) -> None:
    module(server, KEPT)
    module(server, AGENDAMENTO)
    assert on_server(server.shell, SECRETS, JOURNAL) == []
