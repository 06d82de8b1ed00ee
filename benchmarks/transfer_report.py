# SPDX-License-Identifier: GPL-3.0-or-later
"""What moving a database yielded in each pass, and the tables of all."""

from __future__ import annotations

import re
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from report import PROCEDURE, markdown, ratio, seconds

WANTED = """\
Wanted at scale 1 on two quiet cores: wall <= 0.30 of the procedure's for direct and stream, <= 0.03 for physical; extra disk <= 0.30 for
direct, none for stream and physical."""
_COLUMNS = ("way", "wall s", "/ procedure", "without Ansible s", "/ procedure", "of which proof s", "CPU s", "/ procedure")
_DISK = ("extra disk MB: old", "new", "/ procedure")


@dataclass(frozen=True)
class Moved:
    """One way in one pass. C(steps) are the seconds from the moment at which nobody writes any more to a usable database, C(before) those
    of what was done while PEC worked. C(ansible) is what Ansible itself took of the steps, C(cpu) the processor time of both servers, of
    what ran on them and of Ansible. C(disk) has the peaks of files outside the databases, on the old and on the new server."""

    steps: Mapping[str, float]
    before: Mapping[str, float]
    phases: Mapping[str, float]
    ansible: float
    cpu: float
    disk: tuple[int, int]
    proof: str
    load: float

    @property
    def wall(self) -> float:
        return sum(self.steps.values())

    @property
    def alone(self) -> float:
        """The time of what ran on the servers."""
        return self.wall - self.ansible

    @property
    def proving(self) -> float:
        """The seconds in which nothing but the proof went on."""
        return self.phases.get("verify", 0.0)


def table(passes: Mapping[str, Sequence[Moved]]) -> str:
    """Medians. A ratio is the median of those within each pass, because what disturbs a pass disturbs all ways in it."""
    rows: list[Sequence[str]] = [(*_COLUMNS, *_DISK, "proof"), ["---"] * (len(_COLUMNS) + len(_DISK) + 1)]
    reference = passes.get(PROCEDURE)
    for name, found in passes.items():
        old, new = (int(_median([moved.disk[side] for moved in found])) for side in (0, 1))
        rows.append(
            (
                name,
                f"{_median([moved.wall for moved in found]):.1f}",
                _ratios([moved.wall for moved in found], reference and [moved.wall for moved in reference]),
                f"{_median([moved.alone for moved in found]):.1f}",
                _ratios([moved.alone for moved in found], reference and [moved.alone for moved in reference]),
                f"{_median([moved.proving for moved in found]):.1f}" if any(moved.phases for moved in found) else "",
                f"{_median([moved.cpu for moved in found]):.1f}",
                _ratios([moved.cpu for moved in found], reference and [moved.cpu for moved in reference]),
                f"{old / 1e6:.0f}",
                f"{new / 1e6:.0f}",
                _ratios([sum(moved.disk) for moved in found], reference and [sum(moved.disk) for moved in reference]),
                found[-1].proof,
            )
        )
    return f"{markdown(rows)}\n\n{WANTED}"


def steps(passes: Mapping[str, Sequence[Moved]]) -> str:
    """The medians of each step and of each phase that a module reports."""
    rows: list[Sequence[str]] = [("way", "while PEC works s", "from the freeze s", "phases of the module s"), ["---"] * 4]
    for name, found in passes.items():
        parts = ([moved.before for moved in found], [moved.steps for moved in found], [moved.phases for moved in found])
        rows.append((name, *(seconds(_medians(part)) if part[0] else "" for part in parts)))
    return markdown(rows)


def loads(passes: Mapping[str, Sequence[Moved]]) -> str:
    found = [moved.load for several in passes.values() for moved in several]
    return f"load average {min(found):.1f} to {max(found):.1f}"


def control_of(control: str) -> tuple[str, str]:
    """What two clusters are equal in if one is a copy of the other, out of what pg_controldata prints."""
    values = dict(re.findall(r"^([^:]+):\s+(.*)$", control, re.MULTILINE))
    return values["Database system identifier"], values["Latest checkpoint location"]


def cpu_file(cgroups: str) -> Path:
    """Where the kernel counts the processor time of a container, out of /proc/PID/cgroup of its systemd."""
    found = {
        controller: path for _number, names, path in (line.split(":", 2) for line in cgroups.split()) for controller in names.split(",")
    }
    if "cpuacct" in found:
        return Path(f"/sys/fs/cgroup/cpuacct{found['cpuacct']}/cpuacct.usage")
    return Path(f"/sys/fs/cgroup{found[''].removesuffix('/init.scope')}/cpu.stat")


def cpu_seconds(text: str) -> float:
    """The content of that file: nanoseconds alone, or a line usage_usec."""
    if text.strip().isdigit():
        return int(text) / 1e9
    return int(text.split("usage_usec", 1)[1].split()[0]) / 1e6


def _median(values: Sequence[float]) -> float:
    return float(statistics.median(values))


def _medians(several: Sequence[Mapping[str, float]]) -> dict[str, float]:
    return {name: _median([one[name] for one in several if name in one]) for name in several[0]}


def _ratios(values: Sequence[float], references: Sequence[float] | None) -> str:
    if not references or not all(references):
        return ""
    return ratio(_median([value / reference for value, reference in zip(values, references, strict=True)]), 1)
