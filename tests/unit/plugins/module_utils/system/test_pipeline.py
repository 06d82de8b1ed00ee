# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import tarfile
import time
import zipfile
from pathlib import Path

import pytest

from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.system import pipeline
from ansible_collections.esus.pec.plugins.module_utils.system.pipeline import HashingFile, Pipeline, Stage

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
        (["exit 7", "cat >/dev/null"], "sh failed: it ended with exit code 7 without a word"),
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
    assert told == [("sh", "password is ***"), ("sh", "two")]
    assert programs.lines("sh") == ["password is ***", "two"]


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


def test_the_password_is_in_no_representation() -> None:
    assert "segredo" not in repr(Stage(["psql"], {"PGPASSWORD": "segredo"}))


def test_programs_die_with_the_process_that_started_them(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    script = f"""
import os, sys
import runpy
runpy.run_path({str(CONFTEST)!r})
from ansible_collections.esus.pec.plugins.module_utils.system.pipeline import Pipeline, Stage
with Pipeline([Stage(["sh", "-c", "echo $$ > {pids}.new; mv {pids}.new {pids}; exec sleep 600"])]) as programs:
    programs.wait()
"""
    maker = subprocess.Popen([sys.executable, "-c", script])
    while not pids.exists():
        assert maker.poll() is None
        time.sleep(0.01)
    maker.kill()
    maker.wait()
    child = Path("/proc") / pids.read_text().strip()
    # Its state is Z once it is dead and nobody has collected it yet.
    while child.exists() and (child / "stat").read_text().rsplit(")", 1)[1].split()[0] != "Z":
        time.sleep(0.01)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_a_program_runs_as_the_account_that_it_is_given() -> None:
    with Pipeline([Stage(["sh", "-c", "id -un; umask; pwd"], user="nobody")], collect=True) as programs:
        assert programs.output.read().decode().split() == ["nobody", "0077", "/"]


def test_a_hashing_file_knows_what_was_written(tmp_path: Path) -> None:
    path = tmp_path / "new"
    sink = HashingFile(str(path))
    sink.write(b"abc")
    sink.write(b"def")
    sink.close_synced()
    assert path.read_bytes() == b"abcdef"
    assert (sink.bytes, sink.sha256) == (6, hashlib.sha256(b"abcdef").hexdigest())
    assert path.stat().st_mode & 0o777 == 0o600
    assert pipeline.sha256_file(str(path)) == (6, sink.sha256)


def test_a_hashing_file_never_takes_the_place_of_another(tmp_path: Path) -> None:
    (tmp_path / "there").write_text("mine")
    with pytest.raises(FileExistsError):
        HashingFile(str(tmp_path / "there"))
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(FileExistsError):
        HashingFile(str(tmp_path / "link"))


def test_a_discarded_file_is_gone(tmp_path: Path) -> None:
    sink = HashingFile(str(tmp_path / "new"))
    sink.write(b"abc")
    sink.discard()
    sink.discard()
    assert list(tmp_path.iterdir()) == []


def test_archives_can_be_written_into_a_hashing_file(tmp_path: Path) -> None:
    sink = HashingFile(str(tmp_path / "a.zip"))
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("backup.sql", "w", force_zip64=True) as entry:
        entry.write(b"select 1;\n" * 1000)
    sink.close_synced()
    subprocess.run(["unzip", "-tq", str(tmp_path / "a.zip")], check=True, capture_output=True)
    assert sink.sha256 == hashlib.sha256((tmp_path / "a.zip").read_bytes()).hexdigest()
    sink = HashingFile(str(tmp_path / "a.tar.gz"))
    with tarfile.open(fileobj=sink, mode="w|gz") as tar:
        tar.add(tmp_path / "a.zip", "a.zip")
    sink.close_synced()
    assert subprocess.run(["tar", "-tzf", str(tmp_path / "a.tar.gz")], check=True, capture_output=True).stdout == b"a.zip\n"


def test_copy_tells_how_far_it_is(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"x" * 2500)
    seen: list[int] = []
    sink = HashingFile(str(tmp_path / "b"))
    with open(tmp_path / "a", "rb") as source:
        assert pipeline.copy(source, sink, on_bytes=seen.append, chunk=1000) == 2500
    sink.close_synced()
    assert seen == [1000, 2000, 2500]
    assert (tmp_path / "b").read_bytes() == b"x" * 2500


def test_a_file_that_cannot_be_read_is_said(tmp_path: Path) -> None:
    with pytest.raises(PecError, match=r"cannot read .*missing"):
        pipeline.sha256_file(str(tmp_path / "missing"))
