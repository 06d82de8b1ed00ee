# SPDX-License-Identifier: GPL-3.0-or-later
"""What a pass yielded, and the table of all."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

PROCEDURE, RAW = "procedure", "raw bound"
TARGETS = """\
At scale 1 on two quiet cores esus.pec is meant to reach: dump <= 0.15 of the procedure's and <= 1.3 of the raw bound; restore <= 0.65
of psql alone; files <= 0.30 of the procedure's; memory < 100 MiB."""
_COLUMNS = ("method", "dump s", "/ procedure", "/ raw", "restore s", "/ psql", "file MB", "files' peak MB", "/ procedure", "module MiB")


@dataclass(frozen=True)
class Result:
    """Seconds of each step, bytes of what is carried to the other side, peak bytes of all files on both, peak memory of the module."""

    dump: Mapping[str, float]
    restore: Mapping[str, float]
    size: int
    disk: int
    memory: int

    @property
    def dump_seconds(self) -> float:
        return sum(self.dump.values())

    @property
    def restore_seconds(self) -> float:
        return sum(self.restore.values())

    @staticmethod
    def combined(results: Sequence[Result], combine: Callable[[Sequence[float]], float]) -> Result:
        first = results[0]
        return Result(
            {name: combine([result.dump[name] for result in results]) for name in first.dump},
            {name: combine([result.restore[name] for result in results]) for name in first.restore},
            int(combine([result.size for result in results])),
            int(combine([result.disk for result in results])),
            int(max(result.memory for result in results)),
        )


def table(results: Mapping[str, Result]) -> str:
    """Markdown. A ratio is left out where what it refers to was not run."""
    procedure, raw = results.get(PROCEDURE), results.get(RAW)
    rows = [_COLUMNS, tuple("---" for _column in _COLUMNS)]
    for name, result in results.items():
        restored = bool(result.restore)
        rows.append(
            (
                name,
                seconds(result.dump),
                ratio(result.dump_seconds, procedure and procedure.dump_seconds),
                ratio(result.dump_seconds, raw and raw.dump_seconds),
                seconds(result.restore) if restored else "",
                ratio(result.restore_seconds, procedure and procedure.restore["psql"]) if restored else "",
                f"{result.size / 1e6:.0f}" if restored else "",
                f"{result.disk / 1e6:.0f}" if restored else "",
                ratio(result.disk, procedure and procedure.disk) if restored else "",
                f"{result.memory / 2**20:.0f}" if result.memory else "",
            )
        )
    return f"{markdown(rows)}\n\n{TARGETS}"


def markdown(rows: Iterable[Sequence[str]]) -> str:
    """A table; the second row is the line below the head."""
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def seconds(steps: Mapping[str, float]) -> str:
    """The sum and, of several steps, each."""
    total = f"{sum(steps.values()):.1f}"
    return total if len(steps) == 1 else f"{total} ({' + '.join(f'{name} {value:.1f}' for name, value in steps.items())})"


def ratio(value: float, reference: float | None) -> str:
    return f"{value / reference:.2f}" if reference else ""
