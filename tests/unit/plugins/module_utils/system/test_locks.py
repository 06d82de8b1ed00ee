# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import multiprocessing
import os
import signal
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.system import locks

FORK = multiprocessing.get_context("fork")


def hold(directory: str, ready: Connection) -> None:
    with locks.lock("installer", directory=directory, run="a restore of 'esus'"):
        ready.send(os.getpid())
        ready.recv()


def test_a_second_run_is_refused_and_told_who_holds_the_lock(tmp_path: Path) -> None:
    directory = str(tmp_path / "locks")
    here, there = FORK.Pipe()
    holder = FORK.Process(target=hold, args=(directory, there))
    holder.start()
    pid = here.recv()
    with pytest.raises(
        PecError, match=rf"another run holds the lock .*\(a restore of 'esus', process {pid}, since 20\d\d-.*Z\); wait"
    ), locks.lock("installer", directory=directory):
        pytest.fail("the lock was given twice")
    with locks.lock("backup", directory=directory):
        pass
    here.send("enough")
    holder.join()
    with locks.lock("installer", directory=directory):
        pass


def test_the_lock_of_a_killed_run_is_no_obstacle(tmp_path: Path) -> None:
    directory = str(tmp_path / "locks")
    here, there = FORK.Pipe()
    holder = FORK.Process(target=hold, args=(directory, there))
    holder.start()
    os.kill(here.recv(), signal.SIGKILL)
    holder.join()
    with locks.lock("installer", directory=directory):
        pass


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
@pytest.mark.parametrize("kind", ["another account's", "everybody's", "a link of another account's"])
def test_a_lock_directory_that_others_can_change_is_refused(tmp_path: Path, kind: str) -> None:
    directory, around = tmp_path / "run/locks", tmp_path / "run"
    (around if kind.startswith("a link") else directory).mkdir(parents=True)
    if kind == "everybody's":
        directory.chmod(0o777)
    elif kind == "another account's":
        os.chown(directory, 65534, 0)
    else:
        directory.symlink_to(tmp_path)
        os.chown(around, 65534, 0)
    with pytest.raises(PecError, match=r"locks.*; run: ch|symbolic link"), locks.lock("x", directory=str(directory)):
        pytest.fail("the lock was given")
    assert not list(tmp_path.glob("**/x.lock"))


def test_locks_are_in_a_directory_of_roots_alone(tmp_path: Path) -> None:
    with locks.lock("x", directory=str(tmp_path / "locks")):
        assert (tmp_path / "locks").stat().st_mode & 0o777 == 0o700
    assert locks.DIRECTORY == "/run/esus-pec", "everybody can put files into /run/lock"


def test_who_holds_a_lock_is_known_without_holding_it(tmp_path: Path) -> None:
    directory = str(tmp_path / "locks")
    assert locks.names(directory) == [] and locks.holder("installer", directory=directory) == ""
    with locks.lock("installer", directory=directory, run="a restore"):
        assert locks.names(directory) == ["installer"]
        assert locks.holder("installer", directory=directory).startswith(f"a restore, process {os.getpid()}, since 20")
    assert locks.names(directory) == ["installer"] and locks.holder("installer", directory=directory) == ""
