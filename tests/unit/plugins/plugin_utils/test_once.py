# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import subprocess
import sys
from pathlib import Path

PLUGIN_UTILS = Path(__file__).resolve().parents[4] / "plugins/plugin_utils"
PROGRAM = """
import sys, time
from once import once

directory, *question = sys.argv[1:]

def answer():
    with open(directory + "/asked", "a") as stream:
        stream.write(" ".join(question) + "\\n")
    time.sleep(0.5)
    return "".join(question)

print(once(directory, question, answer))
"""


def test_many_processes_have_one_answer(tmp_path: Path) -> None:
    questions = [["/a.jar", "right"], ["/a.jar", "wrong"], [""]] * 2
    asking = [
        subprocess.Popen([sys.executable, "-c", PROGRAM, str(tmp_path), *question], cwd=PLUGIN_UTILS, stdout=subprocess.PIPE, text=True)
        for question in questions
    ]
    assert [process.communicate(timeout=60)[0] for process in asking] == ["/a.jarright\n", "/a.jarwrong\n", "\n"] * 2
    assert sorted((tmp_path / "asked").read_text(encoding="utf-8").splitlines()) == ["", "/a.jar right", "/a.jar wrong"]
