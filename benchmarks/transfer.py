# SPDX-License-Identifier: GPL-3.0-or-later
"""Compares ways to move a PEC database from one server to another: the procedure by hand, and those of this collection.

    make benchmark-transfer SCALE=0.1     # and 1 is a database of about 1.9 GB

The servers are two containers of the lab with Debian's PostgreSQL, on one disk and one network of this machine, so a network's own speed
counts for nothing. In each pass every way moves the same database into a new cluster, one way after the other. Time counts from the moment
at which nobody writes any more to a usable database, with what Ansible itself takes for each task. PEC's installer, its first start and
what it has outside the database are the same for all ways and no part of it.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager

import measure
import transfer_report
from cluster import ROOT
from report import PROCEDURE
from run import CHECK, say
from transfer_report import Moved
from transfer_ways import LOADED, SOURCE_DATABASE, UNIT, WATCHED, WAYS, Host, Move, Pair, Way, cpu, prepared

LAB = ROOT / "tests" / "lab" / "lab"
NAMES = ("esus-pec-benchmark-old", "esus-pec-benchmark-new")


@contextmanager
def hosts() -> Iterator[tuple[Host, Host]]:
    """The old server and the new one, that are gone in the end, whatever the end is."""
    try:
        for name in NAMES:
            subprocess.run([LAB, "up", name, "debian12"], check=True)
        yield Host(NAMES[0]), Host(NAMES[1])
    finally:
        for loaded in LOADED.values():
            loaded.close()
        subprocess.run([LAB, "down", *NAMES], check=True)


def prepare(move: Move) -> None:
    """Remove what an earlier way left, and give the new server a new cluster."""
    move.old.run("systemctl", "start", UNIT)
    for host in (move.old, move.new):
        host.remove_files()
    move.new.create_cluster()
    move.old.sql("checkpoint")
    os.sync()


def one_pass(way: Way, pair: Pair) -> Moved:
    """Move, and look whether all of it came through."""
    move = Move(pair)
    prepare(move)
    if way.before:
        way.before(move)
        move.before, move.steps, move.tasks = move.steps, {}, 0
    expected = move.old.sql(CHECK, SOURCE_DATABASE)
    ping(move)
    began = cpu(pair)
    watched = [[host.root(path) for path in WATCHED] for host in (move.old, move.new)]
    with measure.watching(watched[0]) as there, measure.watching(watched[1]) as here:
        way.after(move)
    load = os.getloadavg()[0]
    task = ping(move)
    used = cpu(pair) - began
    if move.new.sql(CHECK, SOURCE_DATABASE) != expected:
        raise SystemExit(f"benchmark: {way.name} moved something else than what there was")
    kept = measure.size(move.new.root(move.kept)) if move.kept else 0
    return Moved(move.steps, move.before, move.phases, move.tasks * task, used, (there.disk, here.disk + kept), move.proof, load)


def ping(move: Move) -> float:
    """Seconds of a task that does nothing."""
    began = time.monotonic()
    move.new.done("ansible.builtin.ping")
    return time.monotonic() - began


def run(options: argparse.Namespace) -> str:
    ways = [way for way in WAYS if not options.ways or way.name in options.ways]
    passes: dict[str, list[Moved]] = defaultdict(list)
    with hosts() as (old, new):
        say(f"generating the database at scale {options.scale}")
        pair = prepared(old, new, options.scale)
        facts = old.sql("select pg_database_size(current_database()), current_setting('server_version')", SOURCE_DATABASE).split("|")
        for number in range(1, options.passes + 1):
            for way in ways:
                moved = one_pass(way, pair)
                passes[way.name].append(moved)
                parts = ", ".join(f"{name} {value:.1f}" for name, value in moved.steps.items())
                say(f"pass {number}: {way.name}: {moved.wall:.1f} s ({parts}); proof: {moved.proof}; load {moved.load:.1f}")
    how = f"scale {options.scale}, medians of {options.passes} passes, {os.cpu_count()} cores, {transfer_report.loads(passes)}"
    head = f"{how}, database {int(facts[0]) / 1e6:.0f} MB, PostgreSQL {facts[1]}"
    return f"{head}\n\n{transfer_report.table(passes)}\n\n{transfer_report.steps(passes)}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scale", type=float, default=0.1, help="1 is a database of about 1.9 GB (default 0.1)")
    parser.add_argument("--passes", type=int, default=3)
    parser.add_argument("--ways", nargs="*", choices=[way.name for way in WAYS], help=f"all by default; ratios are to {PROCEDURE}")
    options = parser.parse_args()
    # So that Ctrl-C and a kill both leave by way of what removes the containers.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        print(run(options))
    except KeyboardInterrupt:
        raise SystemExit("benchmark: stopped; its containers are gone") from None


if __name__ == "__main__":
    main()
