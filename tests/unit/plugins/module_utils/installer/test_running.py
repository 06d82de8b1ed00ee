# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.installer import running
from ansible_collections.esus.pec.plugins.module_utils.installer.running import Command, Run
from ansible_collections.esus.pec.plugins.module_utils.redact import MASK, Redactor
from ansible_collections.esus.pec.plugins.module_utils.system import files, host
from ansible_collections.esus.pec.plugins.module_utils.system.status_file import StatusFile

SECRET = 'p "a" \\ss#word'
STATUS_NAME = "installer.json"
ARGUMENTS = ("-jar", "/srv/x.jar", f"-password={SECRET}")


class World:
    """A directory in which a script stands for Java."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.runtime = str(path / "run")
        self.log = str(path / "log/installer.log")
        running.prepare_directories(str(path / "log"), str(path / "work"), self.runtime)

    def run(self, script: str, timeout: float = 30, options: tuple[str, ...] = ()) -> Run:
        java = self.path / "java"
        java.write_text(f"#!{sys.executable}\n{script}", encoding="utf-8")
        java.chmod(0o755)
        command = Command(str(java), ARGUMENTS, timeout, str(self.path / "work"), options)
        return running.run(command, self.log, Redactor([SECRET]), self.status_file())

    def status_file(self) -> StatusFile:
        return StatusFile("installer", directory=self.runtime)

    def status(self) -> dict[str, object]:
        return json.loads(Path(self.runtime, STATUS_NAME).read_text(encoding="utf-8"))

    def left_over(self) -> list[str]:
        return [name for name in os.listdir(self.runtime) if name != STATUS_NAME]


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def alive(pid: str) -> bool:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes() != b""
    except OSError:
        return False


def until(condition: Callable[[], bool], complaint: str) -> None:
    for _attempt in range(500):
        if condition():
            return
        time.sleep(0.02)
    pytest.fail(complaint)


def mode(path: str) -> int:
    return stat.S_IMODE(os.stat(path).st_mode)


def test_secrets_stay_out_of_the_process_list_the_log_and_the_status(world: World) -> None:
    script = f"""
import os, stat, sys
path = sys.argv[1][1:]
print("mode", oct(stat.S_IMODE(os.stat(path).st_mode)), oct(stat.S_IMODE(os.stat(os.path.dirname(path)).st_mode)))
print("argv", open("/proc/self/cmdline").read().split("\\0")[2:])
print("cwd", os.getcwd())
print("echo", {SECRET!r})
print("form -password=another")
"""
    run = world.run(script)
    assert run.returncode == 0
    log = Path(world.log).read_text(encoding="utf-8")
    assert "mode 0o600 0o700" in log
    assert f"cwd {world.path}/work" in log
    assert f"echo {MASK}" in log and f"-password={MASK}" in log
    assert SECRET not in log and SECRET not in json.dumps(world.status()) and SECRET not in repr(run)
    assert f"echo {SECRET}" in run.lines, "the causes are looked for in what was really said"
    assert mode(world.log) == 0o600
    assert world.left_over() == []


def test_the_argument_file_is_gone_as_soon_as_java_speaks(world: World) -> None:
    script = """
import os, sys, time
print("up", flush=True)
while os.path.exists(sys.argv[1][1:]):
    time.sleep(0.01)
print("gone")
"""
    assert world.run(script).lines == ("up", "gone")


def test_java_options_and_locale(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host, "locales", lambda: ("C.utf8", "pt_BR.utf8"))
    script = "import os\nfor name in ('JAVA_TOOL_OPTIONS', 'LANG', 'LC_ALL', 'HOME'): print(os.environ.get(name))"
    assert world.run(script, options=("-Xmx2g", "-Da=b")).lines[:3] == ("-Xmx2g -Da=b", "pt_BR.UTF-8", "pt_BR.UTF-8")


def test_no_java_options_without_the_locale(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host, "locales", lambda: ())
    assert world.run("import os; print(os.environ.get('JAVA_TOOL_OPTIONS'), os.environ['LANG'])").lines == ("None C.UTF-8",)


def test_any_encoding_and_a_last_line_without_end(world: World) -> None:
    script = 'import sys\nsys.stdout.buffer.write("versão\\r\\n".encode() + "versão\\n".encode("latin-1") + b"end")'
    assert world.run(script).lines == ("versão", "versão", "end")


def test_a_failure_and_a_signal(world: World) -> None:
    assert world.run("import sys; sys.exit(3)").returncode == 3
    os.unlink(world.log)
    assert world.run("import os, signal; os.kill(os.getpid(), signal.SIGKILL)").returncode == -signal.SIGKILL
    assert world.left_over() == []


def test_after_the_timeout_nothing_is_left_running(world: World) -> None:
    script = """
import os, signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_DFL)
deaf = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(600)"
child = subprocess.Popen([sys.executable, "-c", deaf])
print("child", child.pid, flush=True)
time.sleep(600)
"""
    run = world.run(script, timeout=1.5)
    assert run.timed_out
    pid = next(line.split()[1] for line in run.lines if line.startswith("child"))
    until(lambda: not alive(pid), "a child outlived the installer")
    assert world.left_over() == []


def test_a_service_that_holds_the_output_open_is_not_waited_for_and_not_killed(world: World) -> None:
    script = """
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=False)
print(child.pid, flush=True)
"""
    run = world.run(script)
    pid = int(run.lines[0])
    os.kill(pid, signal.SIGKILL)  # fails if it did not live
    assert run.returncode == 0 and not run.timed_out


def test_after_a_failure_nothing_is_left_running(world: World) -> None:
    script = """
import subprocess, sys
print(subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"]).pid, flush=True)
sys.exit(3)
"""
    run = world.run(script)
    assert run.returncode == 3
    until(lambda: not alive(run.lines[0]), "a migrator outlived the installer")


def test_a_log_and_a_status_that_cannot_be_written_stop_nothing(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    really = os.open

    def full(path: str, flags: int, mode: int = 0o777, **options: int) -> int:
        return really("/dev/full", os.O_WRONLY) if path == world.log else really(path, flags, mode, **options)

    def refuse(path: str, _data: bytes, **_options: object) -> None:
        raise PecError(f"cannot write {path}: No space left on device")

    monkeypatch.setattr(os, "open", full)
    monkeypatch.setattr(files, "write_atomic", refuse)
    run = world.run("print('one')\nprint('two')")
    assert (run.returncode, run.lines) == (0, ("one", "two"))
    assert run.log_problem == "incomplete, because it could not be written: No space left on device"


def test_a_stop_signal_stops_the_installer_and_leaves_nothing(world: World) -> None:
    script = f"import os, signal, time\nprint('up', flush=True)\nos.kill({os.getpid()}, signal.SIGTERM)\ntime.sleep(600)"
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(PecError, match=r"^this run was stopped by SIGTERM, and stopped the installer; run again"):
        world.run(script)
    assert signal.getsignal(signal.SIGTERM) is before
    assert world.left_over() == []


def test_the_status_names_the_running_process(world: World) -> None:
    world.run("print('x')")
    status = world.status()
    assert status["phase"] == "running" and isinstance(status["pid"], int)
    assert mode(os.path.join(world.runtime, STATUS_NAME)) == 0o600


def test_no_java(world: World) -> None:
    command = Command(str(world.path / "nothing"), ARGUMENTS, 5, str(world.path / "work"))
    with pytest.raises(PecError, match=r"^cannot start .*/nothing in .*/work: No such file or directory; "):
        running.run(command, world.log, Redactor(), world.status_file())
    assert world.left_over() == []


def test_argument_files_of_killed_runs_are_removed(world: World) -> None:
    Path(world.runtime, "java-arguments-old").write_text(SECRET, encoding="utf-8")
    running.prepare_directories(str(world.path / "log"), str(world.path / "work"), world.runtime)
    assert world.left_over() == []


def test_a_surviving_installer_is_noticed(world: World) -> None:
    running.refuse_survivor(world.runtime)  # no status file
    argument = f"@{world.runtime}/java-arguments-x"
    child = subprocess.Popen([sys.executable, "-c", "import time; print(1, flush=True); time.sleep(600)", argument], stdout=subprocess.PIPE)
    try:
        assert child.stdout is not None and child.stdout.readline()
        world.status_file().update(phase="running", pid=child.pid)
        with pytest.raises(PecError, match=f"still works .process {child.pid}.; wait") as caught:
            running.refuse_survivor(world.runtime)
        assert caught.value.facts == {"pid": child.pid}
        world.status_file().update(phase="running", pid=os.getpid())
        running.refuse_survivor(world.runtime)  # the number belongs to another program now
    finally:
        child.kill()
        child.communicate()


def test_secrets_that_become_known_later_leave_the_log(world: World) -> None:
    world.run("print('generated X9 here')")
    running.redact_log(world.log, Redactor(["X9"]))
    assert Path(world.log).read_text(encoding="utf-8") == f"generated {MASK} here\n"
    assert mode(world.log) == 0o600


def test_a_log_that_cannot_be_cleaned_is_no_failure(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.run("print('generated X9 here')")

    def refuse(path: str, _data: bytes) -> None:
        raise PecError(f"cannot write {path}: No space left on device")

    monkeypatch.setattr(files, "write_atomic", refuse)
    assert running.redact_log(world.log, Redactor(["X9"])) == (
        f"with secrets that the installer made still in it: cannot write {world.log}: No space left on device"
    )


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
@pytest.mark.parametrize("index", [0, 1, 2])
def test_directories_that_another_account_can_change_are_refused(tmp_path: Path, index: int) -> None:
    places = [tmp_path / name for name in ("log", "work", "run")]
    for place in places:
        place.mkdir()
    os.chown(places[index], 65533, 65533)
    theirs = [str(place / "deeper") if place is places[index] and index < 2 else str(place) for place in places]
    with pytest.raises(PecError, match=f"; run: chown root {places[index]}$"):
        running.prepare_directories(*theirs)
    assert list(places[index].iterdir()) == []


def test_the_work_directory_can_be_entered_by_what_the_installer_starts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    work, chosen = tmp_path / "work", tmp_path / "chosen"
    for place in (work, chosen):
        place.mkdir(0o700)
    monkeypatch.setattr(running, "WORK_DIRECTORY", str(work))
    for place in (work, chosen):
        running.prepare_directories(str(tmp_path / "log"), str(place), str(tmp_path / "run"))
    assert (mode(str(work)), mode(str(chosen))) == (0o755, 0o700), "an operator's own directory stays as it is"
