# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import hashlib
import os
import pwd
import signal
import subprocess
import sys
import time
import tracemalloc
from pathlib import Path

import pytest

from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.redact import MASK
from ansible_collections.esus.pec.plugins.module_utils.system import pipeline
from ansible_collections.esus.pec.plugins.module_utils.system.pipeline import Pipeline, Stage

ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
CONFTEST = Path(__file__).resolve().parents[4] / "conftest.py"


def shell(script: str) -> Stage:
    return Stage(["sh", "-c", script])


def test_what_goes_in_comes_out_through_every_program() -> None:
    with Pipeline([Stage(["tr", "a-z", "A-Z"]), Stage(["rev"])], feed=True, collect=True) as programs:
        programs.input.write(b"abc\n")
        programs.input.close()
        assert programs.output.read() == b"CBA\n"
        programs.wait()
    assert programs.returncodes == [0, 0]


def test_more_than_a_pipe_holds_goes_through() -> None:
    with Pipeline([Stage(["head", "-c", "5000000", "/dev/zero"]), Stage(["cat"])], collect=True) as programs:
        assert len(programs.output.read()) == 5_000_000


@pytest.mark.parametrize(
    ("scripts", "culprit"),
    [
        (["echo 'pg_dump: error: no such table' >&2; exit 1", "cat >/dev/null"], "sh failed: pg_dump: error: no such table"),
        (["echo first >&2; exit 3", "cat >/dev/null; echo 'unexpected end' >&2; exit 1"], "sh failed: first"),
        (["yes", "echo 'zstd: error: disk full' >&2; exit 1"], "sh failed: zstd: error: disk full"),
        (["echo 'Broken pipe' >&2; exit 1", "exit 4"], "exit code 4"),
        (["kill -9 $$", "cat >/dev/null"], "sh failed: it was killed by SIGKILL"),
        (["exit 7", "cat >/dev/null"], "sh failed: it ended with exit code 7 and no message"),
        (["true", "echo 'NOTICE: x' >&2; echo 'FATAL:  gone' >&2; echo hint >&2; exit 2"], "sh failed: FATAL:  gone"),
    ],
)
def test_the_program_that_failed_by_itself_is_named(scripts: list[str], culprit: str) -> None:
    with pytest.raises(PecError) as error, Pipeline([shell(script) for script in scripts]) as programs:
        programs.wait()
    assert culprit in str(error.value)


def test_leaving_the_block_waits_and_tells() -> None:
    with pytest.raises(PecError, match="exit code 5"), Pipeline([shell("exit 5")]):
        pass


def test_a_reader_that_gives_up_is_the_culprit_not_the_broken_pipe() -> None:
    with pytest.raises(PecError, match="disk is full"), Pipeline([shell("echo 'error: disk is full' >&2; exit 1")], feed=True) as programs:
        while True:
            programs.input.write(b"x" * 100_000)


def test_a_reader_that_ends_well_too_early_is_an_error() -> None:
    with pytest.raises(PecError, match="stopped reading"), Pipeline([shell("exit 0")], feed=True) as programs:
        while True:
            programs.input.write(b"x" * 100_000)


def test_an_exception_in_the_block_kills_the_programs() -> None:
    with pytest.raises(KeyError), Pipeline([Stage(["sleep", "600"])]) as programs:
        raise KeyError
    assert programs.returncodes == [-signal.SIGKILL]


def test_every_line_is_told_and_secrets_are_not() -> None:
    told: list[tuple[str, str]] = []
    with Pipeline(
        [shell("echo 'password is segredo' >&2; echo two >&2")], on_line=lambda *line: told.append(line), secrets=["segredo", ""]
    ) as programs:
        programs.wait()
    assert told == [("sh", f"password is {MASK}"), ("sh", "two")]
    assert programs.lines("sh") == [f"password is {MASK}", "two"]


def test_a_line_without_end_is_cut() -> None:
    told: list[str] = []
    long = "head -c 100000000 /dev/zero | tr '\\0' x >&2; echo >&2; echo two >&2"
    tracemalloc.start()
    with Pipeline([shell(long)], on_line=lambda _program, line: told.append(line)) as programs:
        programs.wait()
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (told[0][:3], len(told[0]) < 1 << 20, told[1:], most < 8 << 20) == ("xxx", True, ["two"], True)


@pytest.mark.parametrize(
    ("stage", "message"),
    [
        (Stage(["no-such-program"]), "the program no-such-program is not on this host"),
        (Stage(["true"], user="nobody-of-this-name"), "there is no account nobody-of-this-name"),
    ],
)
def test_what_cannot_be_started_is_said(stage: Stage, message: str) -> None:
    with pytest.raises(PecError, match=message), Pipeline([Stage(["sleep", "600"]), stage]):
        pass


@pytest.mark.parametrize("password", ["segredo\0", "segredo\ud800"])
def test_a_password_that_no_program_can_be_given(password: str) -> None:
    with pytest.raises(PecError, match=r"^cannot start \S*/true: .* such as NUL$"), Pipeline(
        [Stage(["true"], env={"PGPASSWORD": password})]
    ):
        pass


def test_the_password_is_in_no_representation() -> None:
    assert "segredo" not in repr(Stage(["psql"], {"PGPASSWORD": "segredo"}))


@pytest.mark.parametrize("user", [None, pytest.param("nobody", marks=ROOT)])
def test_programs_die_with_the_process_that_started_them(user: str | None) -> None:
    script = f"""
import os, sys
import runpy
runpy.run_path({str(CONFTEST)!r})
from ansible_collections.esus.pec.plugins.module_utils.system.pipeline import Pipeline, Stage
with Pipeline([Stage(["sh", "-c", "echo $$; exec sleep 600"], user={user!r})], stdout=1) as programs:
    programs.wait()
"""
    maker = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE)
    assert maker.stdout
    child = Path("/proc") / maker.stdout.readline().decode().strip()
    maker.kill()
    maker.communicate(timeout=60)
    # Its state is Z once it is dead and nobody has collected it yet.
    while child.exists() and (child / "stat").read_text().rsplit(")", 1)[1].split()[0] != "Z":
        time.sleep(0.01)


@ROOT
def test_a_program_runs_as_the_account_that_it_is_given() -> None:
    script = "id -un; id -G; echo $HOME $PGUSER; pwd"
    account = pwd.getpwnam("nobody")
    with Pipeline([Stage(["sh", "-c", script], {"PGUSER": "esus"}, user="nobody")], collect=True) as programs:
        said = programs.output.read().decode().split()
    assert said == ["nobody", str(account.pw_gid), account.pw_dir, "esus", "/"]


def test_a_program_that_cannot_be_executed_is_named(tmp_path: Path) -> None:
    program = tmp_path / "broken"
    program.write_bytes(b"#!/nonexistent\n")
    program.chmod(0o755)
    with pytest.raises(PecError, match=r"broken failed: .*No such file or directory"), Pipeline([Stage([str(program)])]) as programs:
        programs.wait()


def test_the_size_and_sha256_of_a_file(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"abc" * 1_000_000)
    seen: list[int] = []
    assert pipeline.sha256_file(str(tmp_path / "a"), seen.append) == (3_000_000, hashlib.sha256(b"abc" * 1_000_000).hexdigest())
    assert seen == sorted(seen) and seen[-1] == 3_000_000


def test_a_file_that_cannot_be_read_is_said(tmp_path: Path) -> None:
    with pytest.raises(PecError, match=r"cannot read .*missing"):
        pipeline.sha256_file(str(tmp_path / "missing"))
