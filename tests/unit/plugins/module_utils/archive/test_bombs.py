# SPDX-License-Identifier: GPL-3.0-or-later
"""Small files that fill the memory of whoever reads them: each is read in a process of its own, whose memory is measured."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from hostile_dumps import BOMBS, GOOD, MIB

ROOT = Path(__file__).resolve().parents[5]
MOST = 200  # MiB, of the module and the programs that it starts
# Reads a dump as a restore does, without a database. It prints the highest memory of itself and of its largest program, in KiB.
READ = """
import resource, sys
sys.path.insert(0, sys.argv[1])
import conftest
from ansible_collections.esus.pec.plugins.module_utils.archive.opening import open_dump
from ansible_collections.esus.pec.plugins.module_utils.archive.reading import Identity, PlainStream, inspect, read_head
from ansible_collections.esus.pec.plugins.module_utils.archive import sql_filter
from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
said = ""
try:
    with open_dump(sys.argv[2]) as dump, Identity(text=sys.argv[3]) as identity:
        found = inspect(dump, identity)
        if found.kind == "plain":
            with PlainStream(dump, found.layers, identity) as stream:
                sql_filter.extensions_in(read_head(stream))
            with PlainStream(dump, found.layers, identity) as stream:
                sql = sql_filter.SqlFilter(150000)
                for data in iter(lambda: stream.read(1 << 20), b""):
                    sql.feed(data)
                sql.finish()
except PecError as error:
    said = str(error)
own = [line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")][0]
print(own, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss, said)
"""


def read(path: Path) -> tuple[int, int, str]:
    """Return the memory of the module and of its largest program in MiB, and the error."""
    key = subprocess.run(["age-keygen"], capture_output=True, text=True, check=True).stdout
    argv = [sys.executable, "-c", READ, str(ROOT / "tests"), str(path), key]
    own, child, said = subprocess.run(argv, capture_output=True, text=True, check=True, timeout=120).stdout.split(" ", 2)
    return int(own) >> 10, int(child) >> 10, said.strip()


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_is_refused_before_it_fills_the_memory(tmp_path: Path, name: str) -> None:
    path = tmp_path / "backup"
    BOMBS[name].write(path)
    assert path.stat().st_size < 16 * MIB
    own, child, said = read(path)
    assert own + child < MOST, said
    assert BOMBS[name].says in said
    assert bool(BOMBS[name].says) == bool(said)
    assert not said or (str(path) in said or "line " in said), said


def test_the_measurement_sees_memory(tmp_path: Path) -> None:
    path = tmp_path / "backup"
    path.write_bytes(GOOD.dump())
    own, child, said = read(path)
    assert (10 < own < 100, child, said) == (True, 0, "")
    eater = READ.replace("import conftest\n", f"import conftest\nx = bytearray({300 * MIB}); x[::4096] = x[::4096]\n")
    argv = [sys.executable, "-c", eater, str(ROOT / "tests"), str(path), ""]
    assert int(subprocess.run(argv, capture_output=True, text=True, check=True).stdout.split(" ")[0]) > 300 << 10
