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
    with locks.lock("installer", directory=directory):
        ready.send(os.getpid())
        ready.recv()


def test_a_second_run_is_refused_and_told_who_holds_the_lock(tmp_path: Path) -> None:
    directory = str(tmp_path / "locks")
    here, there = FORK.Pipe()
    holder = FORK.Process(target=hold, args=(directory, there))
    holder.start()
    pid = here.recv()
    with pytest.raises(PecError, match=rf"another run holds the lock .*process {pid}, since 20\d\d-.*Z\); wait"), locks.lock(
        "installer", directory=directory
    ):
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


def test_a_lock_directory_that_is_not_a_directory_of_ours_is_refused(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "locks").symlink_to("elsewhere")
    with pytest.raises(PecError, match="is not a directory owned by the user"), locks.lock("x", directory=str(tmp_path / "locks")):
        pytest.fail("the lock was given")
