# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import os
import signal
import sys
import time
import tracemalloc
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


@pytest.mark.parametrize("password", ["segredo\0", "segredo\ud800"])
def test_a_password_that_no_program_can_be_given(password: str) -> None:
    with pytest.raises(PecError, match=r"^cannot start \S*/true: .* such as NUL$"):
        process.run(["true"], env={"PGPASSWORD": password})
    with pytest.raises(PecError, match=r"^cannot start \S*/true: .* such as NUL$"):
        process.run(["true", password])


def test_a_timeout_kills_the_children_too() -> None:
    sleeper = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'import time; time.sleep(600)'])"
    with pytest.raises(PecError, match=r"did not end within 0.5 seconds and was stopped"):
        python(sleeper, timeout=0.5)


ESCAPED = """
import subprocess, sys
later = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'], start_new_session=True)
print(later.pid, file=open(sys.argv[1], 'w'))
"""
ENDLESS = "import os, sys\nwhile True: os.write(int(sys.argv[1]), b'x' * 65536)"


def test_one_that_left_the_session_and_keeps_the_output_open_is_not_waited_for(tmp_path: Path) -> None:
    """PEC's account can put such a program in the place of its Java."""
    started = time.monotonic()
    with pytest.raises(PecError, match=r"did not end within 1 seconds and was stopped"):
        python(ESCAPED, str(tmp_path / "pid"), timeout=1)
    assert time.monotonic() - started < 20
    os.kill(int((tmp_path / "pid").read_text()), signal.SIGKILL)  # it did hold it


@pytest.mark.parametrize("descriptor", ["1", "2"])
def test_endless_output_does_not_fill_the_memory(descriptor: str) -> None:
    tracemalloc.start()
    with pytest.raises(PecError, match=f"{sys.executable} wrote more than 16 MiB and was stopped"):
        python(ENDLESS, descriptor)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < 64 << 20


def test_long_input_and_output_at_once() -> None:
    text = "á\n" * 1_000_000
    assert python("import sys\nfor line in sys.stdin: sys.stdout.write(line)", stdin=text, env={"PYTHONIOENCODING": "utf-8"}).stdout == text
    assert python("pass", stdin=text).returncode == 0  # which nobody reads


def test_system_directories_count_when_the_path_lacks_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    assert process.which("sh") is not None


@pytest.fixture
def planted(tmp_path: Path) -> Path:
    """A program that writes who runs it, in a directory of another account."""
    program = tmp_path / "bin" / "planted"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\nid -u\necho ran >>{tmp_path}/ran\n", encoding="utf-8")
    program.chmod(0o755)
    return program


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
@pytest.mark.parametrize(
    "kind", ["the file", "its directory", "a directory above", "everybody", "a group", "a link to it", "a link on its way"]
)
def test_root_runs_no_program_that_another_account_can_change(planted: Path, tmp_path: Path, kind: str) -> None:
    path = planted
    if kind in ("the file", "a link to it"):
        os.chown(planted, 65533, 65533)
    elif kind == "its directory":
        os.chown(planted.parent, 65533, 65533)
    elif kind == "a directory above":
        os.chown(tmp_path, 65533, 65533)
    elif kind == "everybody":
        planted.chmod(0o757)
    elif kind == "a group":
        os.chown(planted, 0, 65533)
        planted.chmod(0o775)
    if kind == "a link to it":
        path = Path("/root" if os.access("/root", os.W_OK) else tmp_path) / f"link-{tmp_path.name}"
        path.symlink_to(planted)
    elif kind == "a link on its way":
        (tmp_path / "theirs").mkdir()
        path = tmp_path / "theirs" / "bin" / "planted"
        path.parent.symlink_to(planted.parent)
        os.chown(tmp_path / "theirs", 65533, 65533)
    try:
        with pytest.raises(PecError, match=r"not used by root.*; run: (chown|chmod|rm) ") as caught:
            process.run([str(path)])
    finally:
        if kind == "a link to it":
            path.unlink()
    assert str(path) in str(caught.value)
    assert not (tmp_path / "ran").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_planted_program_on_the_path_is_not_found_by_root(planted: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    planted.rename(planted.with_name("true"))
    monkeypatch.setenv("PATH", f"{planted.parent}:relative::/nonexistent")
    assert process.find("true") == str(planted.with_name("true"))
    os.chown(planted.parent, 65533, 65533)
    assert process.find("true") == "/usr/bin/true"
    monkeypatch.chdir(planted.parent)
    assert process.environment()["PATH"].split(":") == [part for part in process.SYSTEM_PATH.split(":") if os.path.isdir(part)]
