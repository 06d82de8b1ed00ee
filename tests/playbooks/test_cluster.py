# SPDX-License-Identifier: GPL-3.0-or-later
"""PostgreSQL's package made no cluster, because the system's locale was configured and not generated: the real role on this machine."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
EMPTY = "for place in /etc/postgresql /var/lib/postgresql /var/log/postgresql; do mount -t tmpfs none $place && chmod 755 $place; done"
LOOK = "cat /etc/postgresql/*/main/postgresql.conf && stat -c %a /var/lib/postgresql /etc/postgresql/*/main"


@pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("pg_createcluster"), reason="needs root and Debian's PostgreSQL")
def test_a_missing_cluster_is_made_with_a_locale_that_exists(tmp_path: Path) -> None:
    (tmp_path / "collections/ansible_collections/esus").mkdir(parents=True)
    (tmp_path / "collections/ansible_collections/esus/pec").symlink_to(ROOT)
    role = {"name": "esus.pec.pec_database", "tasks_from": "initialise"}
    info = {"pec": {"locale": "xx_XX.UTF-8"}}
    play = {
        "hosts": "localhost",
        "gather_facts": False,
        "tasks": [{"include_role": role}, {"include_role": role}],
    }
    (tmp_path / "play.yml").write_text(json.dumps([play]), encoding="utf-8")
    given = json.dumps({"ansible_python_interpreter": sys.executable, "__pec_database_info": info})
    program = str(Path(sys.executable).parent / "ansible-playbook")
    command = f'set -e; {EMPTY}; umask 077; "$@"; {LOOK}'
    ended = subprocess.run(
        [
            *("unshare", "--mount", "sh", "-c", command, "sh", program, "-i", "localhost,", "-c", "local", "play.yml", "-e", given),
            *("-e", f"@{ROOT}/roles/pec_database/vars/Debian.yml"),  # which an earlier task of the role loads
        ],
        cwd=tmp_path,
        env={
            **os.environ,
            "LC_ALL": "C.UTF-8",
            "ANSIBLE_NOCOLOR": "true",
            "ANSIBLE_HOME": str(tmp_path / "home"),
            "ANSIBLE_COLLECTIONS_PATH": str(tmp_path / "collections"),
        },
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "changed=1 " in ended.stdout, "the second time there is nothing to do"
    assert "lc_messages = 'C.UTF-8'" in ended.stdout
    assert ended.stdout.splitlines()[-2:] == ["755", "755"]
