# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.system import process


def python(code: str, *arguments: str, **options: object) -> process.Completed:
    return process.run([sys.executable, "-c", code, *arguments], **options)  # type: ignore[arg-type]


def test_both_outputs_and_the_exit_code_come_back() -> None:
    answer = python("import sys; print('á'); print('ô', file=sys.stderr); sys.exit(3)", env={"PYTHONIOENCODING": "utf-8"})
    assert answer == process.Completed(3, "á\n", "ô\n")


def test_a_signal_is_a_negative_exit_code() -> None:
    assert python("import os; os.kill(os.getpid(), 9)").returncode == -9


def test_bytes_of_another_encoding_do_not_break_the_reading() -> None:
    assert python("import sys; sys.stdout.buffer.write(b'usu\\xe1rio')").stdout == "usu\N{REPLACEMENT CHARACTER}rio"


def test_stdin_is_given_or_empty() -> None:
    read = "import sys; print(repr(sys.stdin.read()))"
    assert python(read, stdin="select 1").stdout == "'select 1'\n"
    assert python(read).stdout == "''\n"


def test_the_environment_is_small_and_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LC_ALL", "pt_BR.UTF-8")
    monkeypatch.setenv("PGPASSWORD", "of somebody else")
    names = python("import os; print(os.environ['LC_ALL'], os.environ['MORE'], 'PGPASSWORD' in os.environ)", env={"MORE": "yes"})
    assert names.stdout.split() == ["C.UTF-8", "yes", "False"]


def test_the_directory_is_the_one_asked_for(tmp_path: Path) -> None:
    assert python("import os; print(os.getcwd())", cwd=str(tmp_path)).stdout.strip() == os.path.realpath(tmp_path)


def test_a_missing_program_is_named_and_its_arguments_are_not() -> None:
    with pytest.raises(PecError, match="the program esus-no-such is not on this host") as caught:
        process.run(["esus-no-such", "-password=segredo"])
    assert "segredo" not in str(caught.value)


def test_a_program_that_cannot_be_started_is_named(tmp_path: Path) -> None:
    program = tmp_path / "broken"
    program.write_bytes(b"\x7fELF nonsense")
    program.chmod(0o755)
    with pytest.raises(PecError, match=f"cannot start {program}: "):
        process.run([str(program)])


def test_a_timeout_kills_the_children_too() -> None:
    sleeper = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'import time; time.sleep(600)'])"
    with pytest.raises(PecError, match=r"did not end within 0.5 seconds and was stopped"):
        python(sleeper, timeout=0.5)


def test_system_directories_count_when_the_path_lacks_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    assert process.which("sh") is not None
