# SPDX-License-Identifier: GPL-3.0-or-later
"""What files take, while somebody removes them."""

from __future__ import annotations

import shutil
import sys
import threading
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[3] / "benchmarks"))

import measure


def test_sizes_of_a_tree_a_file_and_nothing(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "one").write_bytes(b"x" * 10)
    (tmp_path / "a" / "b" / "two").write_bytes(b"x" * 5)
    assert [measure.size(path) for path in (tmp_path, tmp_path / "a" / "one", tmp_path / "none")] == [15, 10, 0]


def test_directories_that_come_and_go(tmp_path: Path) -> None:
    (tmp_path / "stays").write_bytes(b"x" * 3)
    done = threading.Event()

    def disturb() -> None:
        while not done.is_set():
            (tmp_path / "a" / "b" / "c").mkdir(parents=True)
            shutil.rmtree(tmp_path / "a")

    other = threading.Thread(target=disturb)
    other.start()
    try:
        assert {measure.size(tmp_path) for _time in range(2000)} == {3}
    finally:
        done.set()
        other.join()
