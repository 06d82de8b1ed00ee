# SPDX-License-Identifier: GPL-3.0-or-later
"""What has to be the same on every ansible-core that meta/runtime.yml admits; `make versions` runs it on the oldest and the newest."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.esus.pec.plugins.module_utils.backup import configuration

ROOT = Path(__file__).resolve().parents[2]
PASSWORD = "a'b\"c\\d %[1] é"


def ansible(tmp_path: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    collection = tmp_path / "collections/ansible_collections/esus"
    collection.mkdir(parents=True, exist_ok=True)
    if not (collection / "pec").exists():
        (collection / "pec").symlink_to(ROOT)
    environment = {
        **os.environ,
        "ANSIBLE_NOCOLOR": "true",
        "ANSIBLE_HOME": str(tmp_path / "home"),
        "ANSIBLE_COLLECTIONS_PATH": f"{tmp_path / 'collections'}:{os.environ.get('ANSIBLE_COLLECTIONS_PATH', '')}",
    }
    argv = [str(Path(sys.executable).parent / "ansible-playbook"), "-i", "localhost,", "-c", "local", *arguments]
    return subprocess.run(argv, capture_output=True, text=True, env=environment, timeout=300, check=False)


def play(tmp_path: Path, tasks: list[dict[str, Any]]) -> str:
    path = tmp_path / "play.yml"
    path.write_text(json.dumps([{"hosts": "localhost", "gather_facts": False, "tasks": tasks}]), encoding="utf-8")
    return str(path)


def examples() -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Every module's examples, and every whole play in a document."""
    for path in sorted((ROOT / "plugins/modules").glob("*.py")):
        text = path.read_text(encoding="utf-8").partition('EXAMPLES = r"""')[2].partition('"""')[0]
        yield path.stem, [{"hosts": "localhost", "tasks": yaml.safe_load(text)}]
    for path in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), *sorted(ROOT.glob("roles/*/README.md"))]:
        for number, block in enumerate(re.findall(r"^```yaml\n(.*?)^```", path.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)):
            found = yaml.safe_load(block)
            if isinstance(found, list) and "hosts" in found[0]:
                yield f"{path.parent.name}-{path.stem}-{number}", found


def test_every_playbook_and_every_example_is_understood(tmp_path: Path) -> None:
    written = []
    for name, plays in examples():
        (tmp_path / f"{name}.yml").write_text(yaml.safe_dump(plays, allow_unicode=True), encoding="utf-8")
        written.append(str(tmp_path / f"{name}.yml"))
    assert len(written) > 25
    playbooks = sorted(str(path) for path in (ROOT / "playbooks").glob("*.yml"))
    ended = ansible(tmp_path, "--syntax-check", *playbooks, *written)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert ended.stdout.count("playbook: ") == len(playbooks) + len(written)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root configures the backup")
def test_the_backup_reads_what_the_role_writes(tmp_path: Path) -> None:
    """The role's own numbers, and numbers as texts, as -e name=5 and templates make them."""
    path = tmp_path / "etc/backup.json"
    role = {"name": "esus.pec.pec_backup", "tasks_from": "configure"}
    given = {
        "ansible_python_interpreter": sys.executable,
        "_pec_backup_config_path": str(path),
        "pec_backup_directory": str(tmp_path / 'cópias de "segurança" 100%'),
        "pec_backup_keep_last": "5",
        "pec_backup_fingerprint": "no",
        "pec_municipio": 2927408,
        "pec_backup_database": {"host": "{{ 'd' }}b", "password": PASSWORD, "port": "{{ 5433 }}"},
    }
    made = play(tmp_path, [{"import_role": role}])
    foretold = ansible(tmp_path, made, "-e", json.dumps(given), "--check", "--diff")
    assert not path.exists() and "failed=0" in foretold.stdout, foretold.stdout + foretold.stderr
    for changed in (3, 0):
        ended = ansible(tmp_path, made, "-e", json.dumps(given), "--diff", "-v")
        assert f"changed={changed} " in ended.stdout and "failed=0" in ended.stdout, ended.stdout + ended.stderr
        assert "a'b" not in ended.stdout + ended.stderr
    config = configuration.read(str(path))
    keep = config.keep
    assert (keep.last, keep.daily, keep.weekly, keep.monthly) == (5, 7, 4, 6)
    assert (config.directory, config.fingerprint, config.municipality) == (given["pec_backup_directory"], False, "2927408")
    assert config.connection is not None
    assert (config.connection.host, config.connection.port, config.connection.password) == ("db", 5433, PASSWORD)

    before = path.read_bytes()
    given = {**given, "pec_backup_database": {}, "pec_backup_keep_daily": "seven"}
    ended = ansible(tmp_path, made, "-e", json.dumps(given))
    assert "failed=1" in ended.stdout and "'seven'" in ended.stdout, ended.stdout
    assert path.read_bytes() == before
    ended = ansible(tmp_path, made, "-e", json.dumps({**given, "pec_backup_keep_daily": 0}))
    assert "changed=1 " in ended.stdout and configuration.read(str(path)).connection is None, ended.stdout


def test_the_record_of_a_rehearsal_holds_what_the_module_returned(tmp_path: Path) -> None:
    returned = {
        "dump": "/srv/a 'b'.dump",
        "sha256": "00",
        "pec_version": None,
        "seconds": {"total": 1.5, "load": 1},
        "notes": ["[1] é", "True"],
    }
    tasks = yaml.safe_load((ROOT / "roles/pec_backup/tasks/rehearse.yml").read_text(encoding="utf-8"))
    (task,) = [task for task in tasks if task["name"] == "Record it for monitoring"]
    task["ansible.builtin.copy"] = {key: value for key, value in task["ansible.builtin.copy"].items() if key not in ("owner", "group")}
    extra = {
        "ansible_python_interpreter": sys.executable,
        "_pec_backup_state_directory": str(tmp_path),
        "__pec_backup_rehearsal": returned,
    }
    ended = ansible(tmp_path, play(tmp_path, [task]), "-e", json.dumps(extra))
    assert ended.returncode == 0, ended.stdout + ended.stderr
    record = json.loads((tmp_path / "last-rehearsal.json").read_text(encoding="utf-8"))
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", record.pop("ended"))
    assert record == {"path": returned.pop("dump"), **returned}
