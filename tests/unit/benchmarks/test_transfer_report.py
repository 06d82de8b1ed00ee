# SPDX-License-Identifier: GPL-3.0-or-later
"""The tables of the benchmark of transfers, and what it reads from the kernel and from pg_controldata."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).resolve().parents[3] / "benchmarks"))

import transfer_report
from transfer_report import Moved

CONTROL = """\
pg_control version number:            1300
Database system identifier:           7714011260831832201
Latest checkpoint location:           0/153F8D0
Latest checkpoint's REDO location:    0/153F8D0
"""


def moved(seconds: float, *, disk: tuple[int, int] = (0, 0), ansible: float = 0, cpu: float = 1, load: float = 1, **phases: float) -> Moved:
    return Moved({"step": seconds}, {}, phases, ansible, cpu, disk, "proof", load)


def cells(table: str, way: str) -> list[str]:
    line = next(line for line in table.splitlines() if line.startswith(f"| {way} |"))
    return [cell.strip() for cell in line.strip("|").split("|")]


PASSES = {
    # The second pass was disturbed: all ways took ten times as long.
    "procedure": [moved(10, disk=(80_000_000, 20_000_000)), moved(100, disk=(80_000_000, 20_000_000), load=7)],
    "stream": [moved(3, ansible=1, cpu=0.5, verify=0.5, load=2), moved(30, ansible=1, cpu=0.5, verify=0.7)],
}


def test_ratios_are_within_a_pass() -> None:
    table = transfer_report.table(PASSES)
    assert " ".join(cells(table, "stream")) == "stream 16.5 0.30 15.5 0.24 0.6 0.5 0.50 0 0 0.00 proof"
    assert " ".join(cells(table, "procedure")) == "procedure 55.0 1.00 55.0 1.00  1.0 1.00 80 20 1.00 proof"


def test_without_the_procedure_there_are_no_ratios() -> None:
    assert cells(transfer_report.table({"stream": PASSES["stream"]}), "stream") == [
        "stream",
        "16.5",
        "",
        "15.5",
        "",
        "0.6",
        "0.5",
        "",
        "0",
        "0",
        "",
        "proof",
    ]


def test_steps_and_load() -> None:
    found = {"physical": [Moved({"stop": 1, "start": 2}, {"first": value}, {}, 0, 0, (0, 0), "", 3) for value in (4, 6, 20)]}
    assert cells(transfer_report.steps(found), "physical") == ["physical", "6.0", "3.0 (stop 1.0 + start 2.0)", ""]
    assert transfer_report.loads(PASSES) == "load average 1.0 to 7.0"


def test_what_pg_controldata_prints() -> None:
    assert transfer_report.control_of(CONTROL) == ("7714011260831832201", "0/153F8D0")


@pytest.mark.parametrize(
    ("cgroups", "file", "content"),
    [
        ("3:cpu,cpuacct:/pod/x\n0::/pod/x/init.scope\n", "/sys/fs/cgroup/cpuacct/pod/x/cpuacct.usage", "2500000000\n"),
        ("0::/machine.slice/x/init.scope\n", "/sys/fs/cgroup/machine.slice/x/cpu.stat", "usage_usec 2500000\nuser_usec 1\n"),
    ],
)
def test_the_processor_time_of_a_container(cgroups: str, file: str, content: str) -> None:
    assert transfer_report.cpu_file(cgroups) == Path(file)
    assert transfer_report.cpu_seconds(content) == 2.5
