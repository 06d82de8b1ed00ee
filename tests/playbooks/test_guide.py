# SPDX-License-Identifier: GPL-3.0-or-later
"""The guide's task that complains early, run by Ansible with what the module info returns."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import yaml

GUIDE = Path(__file__).resolve().parents[2] / "docs/guide.md"
UNKNOWN = {"path": "/chaves/a.pfx", "days_left": None}
CERTIFICATES = [[], [UNKNOWN], [UNKNOWN, {"path": "/chaves/b.pfx", "days_left": 30}], [UNKNOWN, {"path": "/chaves/c.pfx", "days_left": 29}]]


def test_the_task_that_complains_early(tmp_path: Path) -> None:
    block = next(
        found for found in re.findall(r"```yaml\n(.*?)```", GUIDE.read_text(encoding="utf-8"), re.DOTALL) if "Complain early" in found
    )
    task = next(task for task in yaml.safe_load(block) if task["name"] == "Complain early")
    tasks = [
        {
            "vars": {"server": {"pec": {"certificates": certificates}}},
            "block": [task, {"debug": {"msg": f"<{number} fine>"}}],
            "rescue": [{"debug": {"msg": f"<{number} {{{{ ansible_failed_result.msg }}}}>"}}],
        }
        for number, certificates in enumerate(CERTIFICATES)
    ]
    (tmp_path / "play.yml").write_text(json.dumps([{"hosts": "localhost", "gather_facts": False, "tasks": tasks}]), encoding="utf-8")
    argv = [str(Path(sys.executable).parent / "ansible-playbook"), "-i", "localhost,", "-c", "local", str(tmp_path / "play.yml")]
    environment = {**os.environ, "ANSIBLE_NOCOLOR": "true", "ANSIBLE_HOME": str(tmp_path)}
    ended = subprocess.run(argv, capture_output=True, text=True, env=environment, timeout=120, check=False)
    assert re.findall(r"<(\d) fine>", ended.stdout) == ["0", "1", "2"], ended.stdout
    assert re.search(r"<3 .*/chaves/c\.pfx.*29", ended.stdout), ended.stdout
