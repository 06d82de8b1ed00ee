# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json
import os
import stat
import subprocess
from pathlib import Path

import pytest
from ansible.module_utils.testing import patch_module_args

from ansible_collections.esus.pec.plugins.module_utils.module import run_module


@pytest.mark.parametrize("given", [0o077, 0o000], ids=["of sudo", "none"])
def test_what_a_module_and_its_programs_make_has_the_modes_that_are_meant(
    given: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def work(_module: object) -> dict[str, object]:
        subprocess.run(["mkdir", str(tmp_path / "made")], check=True)
        (tmp_path / "made/file").touch()
        return {}

    before = os.umask(given)
    try:
        with patch_module_args({}), pytest.raises(SystemExit):
            run_module(work, root=False, argument_spec={})
    finally:
        os.umask(before)
    assert json.loads(capsys.readouterr().out)["changed"] is False
    assert [stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "made", tmp_path / "made/file")] == [0o755, 0o644]
