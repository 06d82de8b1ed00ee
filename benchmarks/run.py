# SPDX-License-Identifier: GPL-3.0-or-later
"""Compares ways to dump and restore a PEC database, on two PostgreSQL 17 servers that it makes and removes.

    python benchmarks/run.py --scale 0.1 --passes 3

In each pass every method dumps the source and restores into a new database of the target, one method after the other, so that what
disturbs the machine disturbs all of them. The table has medians. It needs zip and unzip, and disk for all databases that it restores,
because some filesystems are slow to reuse what was deleted a moment ago.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import measure
from cluster import ROOT, Cluster, fetch_binaries
from methods import METHODS, SOURCE_DATABASE, Command, Method, Side
from report import Result, table

# On a disk, where /tmp may be memory, and where any account may enter.
WORK = Path("/var/tmp")  # noqa: S108
# What a restored database must be equal in, or its restore is no restore.
CHECK = """
select ds_texto from tb_config_sistema where co_config_sistema = 'VERSAOBANCODADOS';
select relkind, count(*) from pg_class where relnamespace = 'public'::regnamespace group by 1 order by 1;
select count(*), sum(hashtext(t::text)::bigint) from tb_cidadao t;
select count(*) from pg_largeobject_metadata;
"""


def say(text: str) -> None:
    print(f"benchmark: {text}", file=sys.stderr, flush=True)


def need_machine() -> None:
    if os.geteuid() != 0:
        raise SystemExit("benchmark: it starts servers as another account, and the restore takes root; run it with sudo")
    missing = [program for program in ("zip", "unzip") if not shutil.which(program)]
    if missing:
        raise SystemExit(f"benchmark: there is no {' and no '.join(missing)}; install it (Debian: apt-get install {' '.join(missing)})")


def need_disk(work: Path, scale: float, restores: int) -> None:
    database = 100e6 + 1.8e9 * scale
    needed = database * (restores + 1) + 4 * database + 3e9
    free = shutil.disk_usage(work).free
    if free < needed:
        raise SystemExit(
            f"benchmark: {needed / 1e9:.0f} GB are needed in {work} and {free / 1e9:.0f} GB are free; choose a smaller --scale, fewer "
            "--passes, or another --work"
        )


@contextmanager
def clusters(work: Path) -> Iterator[tuple[Cluster, Cluster]]:
    """Source and target, that are gone in the end, whatever the end is."""
    made: list[Cluster] = []
    try:
        binaries = fetch_binaries(work)
        for name in ("source", "target"):
            made.append(Cluster(name, binaries, work))
            made[-1].start()
        yield made[0], made[1]
    finally:
        for cluster in made:
            cluster.stop()


def generate(source: Cluster, scale: float) -> None:
    source.psql("postgres", f"create database {SOURCE_DATABASE} template template0;")
    script = subprocess.run([sys.executable, ROOT / "benchmarks" / "generate.py", "--scale", str(scale)], capture_output=True, check=True)
    source.psql(SOURCE_DATABASE, script.stdout.decode())
    source.psql("postgres", "checkpoint;")


def execute(commands: Sequence[Command], side: Side, seconds: dict[str, float]) -> tuple[int, int]:
    """Peak memory of the modules among the commands and peak disk of all; the seconds of each are added to those given."""
    memory = disk = 0
    environment = {
        **side.cluster.environment,
        "PATH": f"{side.cluster.binaries}:{Path(sys.executable).parent}:{os.environ['PATH']}",
        "PYTHONPATH": f"{ROOT / '.build' / 'collections'}:{os.environ.get('PYTHONPATH', '')}",
    }
    for command in commands:
        stdout = side.files / command.stdout if command.stdout else None
        found = measure.run(command.argv, environment=environment, directory=side.files, stdout=stdout)
        seconds[command.name] = found.seconds
        memory = max(memory, found.memory if command.module else 0)
        disk = max(disk, found.disk)
    return memory, disk


def one_pass(method: Method, number: int, sides: tuple[Side, Side], expected: str) -> Result:
    """Dump, copy, restore, and look whether all of it came through."""
    source, target = sides
    for side in sides:
        side.cluster.psql("postgres", "checkpoint;")
        shutil.rmtree(side.files, ignore_errors=True)
        side.files.mkdir()
    dump: dict[str, float] = {}
    restore: dict[str, float] = {}
    memory, disk = execute(method.dump(source), source, dump)
    if not method.restore:
        return Result(dump, restore, 0, 0, 0)
    for pattern in method.carries:
        for path in source.files.glob(pattern):
            (shutil.copytree if path.is_dir() else shutil.copy2)(path, target.files / path.name)
    size = measure.size(target.files)
    os.sync()
    database = f"pass {number} {method.name}"
    if not method.creates:
        target.cluster.psql("postgres", f'create database "{database}" template template0;')
    more_memory, more_disk = execute(method.restore(target, database), target, restore)
    found = target.cluster.psql(database, CHECK)
    if found != expected:
        raise SystemExit(f"benchmark: {method.name} restored something else:\n{found}\nand expected was:\n{expected}")
    return Result(dump, restore, size, disk + more_disk, max(memory, more_memory))


def run(options: argparse.Namespace, work: Path) -> str:
    methods = [method for method in METHODS if not options.methods or method.name in options.methods]
    need_disk(work, options.scale, options.passes * sum(1 for method in methods if method.restore))
    results: dict[str, list[Result]] = defaultdict(list)
    with clusters(work) as (source, target):
        say(f"generating the database at scale {options.scale}")
        generate(source, options.scale)
        expected = source.psql(SOURCE_DATABASE, CHECK)
        facts = source.psql(SOURCE_DATABASE, "select pg_database_size(current_database()), current_setting('server_version')").split("|")
        sides = tuple(
            Side(cluster, cluster.directory.parent / f"files-{name}" / "here") for cluster, name in ((source, "a"), (target, "b"))
        )
        for side in sides:
            side.files.parent.mkdir()
        for number in range(1, options.passes + 1):
            for method in methods:
                result = one_pass(method, number, sides, expected)
                results[method.name].append(result)
                times = f"dump {result.dump_seconds:.1f} s, restore {result.restore_seconds:.1f} s"
                say(f"pass {number}: {method.name}: {times}; load {os.getloadavg()[0]:.1f}")
    medians = {name: Result.combined(found, statistics.median) for name, found in results.items()}
    how = f"scale {options.scale}, medians of {options.passes} passes, {os.cpu_count()} cores"
    return f"{how}, database {int(facts[0]) / 1e6:.0f} MB, PostgreSQL {facts[1]}\n\n{table(medians)}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scale", type=float, default=0.1, help="1 is a database of about 1.9 GB (default 0.1)")
    parser.add_argument("--passes", type=int, default=3)
    parser.add_argument("--methods", nargs="*", choices=[method.name for method in METHODS], help="all by default")
    parser.add_argument("--work", type=Path, default=WORK, help=f"directory on the disk to measure (default {WORK})")
    options = parser.parse_args()
    # So that Ctrl-C and a kill both leave by way of everything that cleans up.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    need_machine()
    work = Path(tempfile.mkdtemp(prefix="esus-pec-benchmark.", dir=options.work))
    work.chmod(0o755)
    try:
        print(run(options, work))
    except KeyboardInterrupt:
        raise SystemExit("benchmark: stopped; its servers and files are gone") from None
    finally:
        shutil.rmtree(work, ignore_errors=True)


if __name__ == "__main__":
    main()
