# SPDX-License-Identifier: GPL-3.0-or-later
"""Rules about the machine: system, hardware by the official table, disks, ports, other runs. Private to the collection."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ansible_collections.esus.pec.plugins.module_utils import beliefs
from ansible_collections.esus.pec.plugins.module_utils.preflight.model import Facts, Finding, Wishes, error, warning

GB = 10**9
HTTP_CHALLENGE_PORT = 80  # where certmgr proves the ownership of the domain (source M in docs/contract.md)

FREE_FOR_INSTALLING = {"home": 6 * GB, "database": 3 * GB, "temporary": 1 * GB}
"""Our own estimate of what an installation writes (jar of 0.9 GB, unpacked tree, empty database, room to work); there is no gate
in the installer and no official figure. Needs on one filesystem add up."""

POSTGRESQL = ("postgres", "postmaster")
"""Names of its processes."""

LEAST_MEMORY = int(3.5 * GB)
"""A machine of 4 GB, as its kernel reports it; with less, migrations were seen to die (single source: RS in docs/contract.md)."""


@dataclass(frozen=True)
class OfficialSize:
    """One line of the ministry's table of hardware by simultaneous users (manual, Apoio à Implantação)."""

    users: int
    hosts: int
    application_memory_gb: int
    database_memory_gb: int
    cores: int
    application_disk_gb: int
    database_disk_gb: int


OFFICIAL_SIZES = (
    OfficialSize(40, 1, 8, 0, 4, 100, 0),
    OfficialSize(100, 2, 8, 8, 4, 100, 120),
    OfficialSize(1000, 2, 8, 16, 8, 100, 750),
    OfficialSize(2500, 2, 16, 16, 8, 100, 1000),
    OfficialSize(4000, 2, 16, 32, 8, 100, 2000),
)

SUPPORTED_DISTRIBUTIONS = {"debian": ("12", "13"), "ubuntu": ("22.04", "24.04")}
UNTESTED_DISTRIBUTIONS = ("rhel", "centos", "rocky", "almalinux", "ol", "fedora")


def official_size(users: int) -> OfficialSize:
    """Return the line of the table for so many users; the last one if the table ends before."""
    return next((size for size in OFFICIAL_SIZES if users <= size.users), OFFICIAL_SIZES[-1])


def count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def root(facts: Facts, _desired: Wishes) -> Iterator[Finding]:
    if facts.uid != 0:
        who = f"this runs as the user with ID {facts.uid}"
        yield error("not_root", f"{who}, and PEC's installer requires root", "set become: true for the play")


def system(facts: Facts, _desired: Wishes) -> Iterator[Finding]:
    name = f"{facts.distribution} {facts.distribution_version}".strip()
    if facts.architecture != "x86_64":
        yield error("architecture", f"the processor is {facts.architecture}; PEC supports x86_64 only", "use a 64-bit Intel or AMD host")
    if facts.init_name != beliefs.INIT_NAME:
        yield error(
            "no_systemd",
            f"process 1 is {facts.init_name!r}; PEC's installer requires systemd",
            "use a virtual or physical machine, or a container that runs systemd",
        )
    if facts.distribution in UNTESTED_DISTRIBUTIONS:
        yield warning("untested_system", f"{name} belongs to a family on which this collection is untested", "try it on a spare host first")
    elif facts.distribution_version not in SUPPORTED_DISTRIBUTIONS.get(facts.distribution, ()):
        yield warning("unknown_system", f"{name} is not among the supported systems", "prefer Debian 12 or 13, or Ubuntu 22.04 or 24.04")


def hardware(facts: Facts, wishes: Wishes) -> Iterator[Finding]:
    users, end = wishes.simultaneous_users, OFFICIAL_SIZES[-1].users
    size = official_size(users)
    asks = f"for {users} simultaneous users the official table requires"
    memory = size.application_memory_gb + (size.database_memory_gb if wishes.database_is_here else 0)
    if users > end:
        yield warning("beyond_table", f"the official table ends at {end} simultaneous users, not {users}", "size this host by measurement")
    if wishes.database_is_here and size.hosts > 1:
        remedy = "set pec_database_mode: external, with a second host for PostgreSQL"
        yield warning("one_host", f"{asks} a host of its own for the database", remedy)
    if facts.memory_bytes < LEAST_MEMORY:
        yield error("memory", f"this host has {_gb(facts.memory_bytes)} of memory; below 4 GB PEC's migrations die", f"give it {memory} GB")
    elif facts.memory_bytes < memory * GB:
        yield warning("memory", f"this host has {_gb(facts.memory_bytes)} of memory; {asks} {memory} GB", "give it more memory")
    if facts.processors < size.cores:
        yield warning("processors", f"this host has {count(facts.processors, 'core')}; {asks} {size.cores}", "give it more cores")


def disk(facts: Facts, wishes: Wishes) -> Iterator[Finding]:
    for filesystem in sorted({place.filesystem for place in facts.places}):
        places = [place for place in facts.places if place.filesystem == filesystem]
        purposes = {place.purpose for place in places}
        where = " and ".join(place.path for place in places)
        free, total = places[0].free_bytes, places[0].total_bytes
        needed = sum(FREE_FOR_INSTALLING[purpose] for purpose in purposes)
        official = _official_disk(purposes, wishes)
        if free < needed and not _settled(facts, wishes):
            yield error(
                "disk",
                f"only {_gb(free)} are free on the filesystem of {where}, and installing PEC requires at least {_gb(needed)} there",
                "free space or enlarge it",
            )
        elif total < official * GB:
            yield warning(
                "disk",
                f"the filesystem of {where} has {_gb(total)}; "
                f"for {wishes.simultaneous_users} simultaneous users the official table requires {official} GB",
                "enlarge it before it is needed",
            )


def _official_disk(purposes: set[str], wishes: Wishes) -> int:
    size = official_size(wishes.simultaneous_users)
    return (size.application_disk_gb if "home" in purposes else 0) + (size.database_disk_gb if "database" in purposes else 0)


def _settled(facts: Facts, wishes: Wishes) -> bool:
    """True if nothing will be installed, because the requested version is installed."""
    wanted = wishes.wanted_version
    return facts.installed_state == "installed" and (not wanted or facts.installed_version == wanted)


def ports(facts: Facts, wishes: Wishes) -> Iterator[Finding]:
    if facts.uid != 0:  # only root sees whose ports they are
        return
    yield from _owned(facts, {beliefs.HTTP_PORT: (beliefs.PEC_UNIT, "java")})
    yield from certificate_ports(facts, wishes)
    if wishes.database.mode == "bundled":
        yield from _owned(facts, {beliefs.BUNDLED_PORT: (beliefs.DATABASE_UNIT, "postgres")})
    port = wishes.database.port
    if wishes.database.mode == "managed" and facts.listeners.get(port, "postgres") not in POSTGRESQL:
        yield from _database_port(facts, wishes, port)


def _database_port(facts: Facts, wishes: Wishes, port: int) -> Iterator[Finding]:
    """If the process cannot be seen, its account's processes or its answer show whether it is PostgreSQL."""
    here = facts.installed_connection
    unnamed = not facts.listeners[port]
    answers = facts.database is not None and bool(facts.database.authentication)
    if unnamed and (answers or set(POSTGRESQL) & set(facts.possible_listeners.get(port, ()))):
        return
    if unnamed and here is not None and here.place == wishes.database.connection.place:
        yield _port_unknown(facts, port, "the database of the PEC on this host")
    else:
        yield _port_taken(facts, port, "stop it, or set pec_database_port to the port of this host's PostgreSQL")


def certificate_ports(facts: Facts, wishes: Wishes) -> Iterator[Finding]:
    """On one port certmgr answers the authority, on the other PEC serves HTTPS."""
    if facts.uid == 0 and wishes.certificate_port is not None:
        pec = (beliefs.PEC_UNIT, "java")
        yield from _owned(facts, {HTTP_CHALLENGE_PORT: pec, wishes.certificate_port: pec})


def _owned(facts: Facts, owners: dict[int, tuple[str, str]]) -> Iterator[Finding]:
    for port, (unit, program) in owners.items():
        active = unit in facts.active_units
        if port not in facts.listeners or (active and facts.listeners[port] == program):
            continue
        possible = facts.possible_listeners.get(port, ())
        if active and not facts.listeners[port] and (not possible or program in possible):
            yield _port_unknown(facts, port, unit)
        else:
            yield _port_taken(facts, port, f"stop and disable it, or give it another port; {unit} requires this one")


def _port_taken(facts: Facts, port: int, remedy: str) -> Finding:
    return error("port_taken", f"port {port} is taken by {facts.listeners[port] or _unnamed(facts, port)}", remedy)


def _port_unknown(facts: Facts, port: int, owner: str) -> Finding:
    return warning(
        "port_unknown",
        f"port {port} is taken by {_unnamed(facts, port)}, which is believed to be {owner}",
        f"check it by: ss -ltnp sport = :{port}",
    )


def _unnamed(facts: Facts, port: int) -> str:
    account = facts.accounts.get(port)
    return f"a process of the account {account} that cannot be named" if account else "a process that cannot be named"


def another_run(facts: Facts, _desired: Wishes) -> Iterator[Finding]:
    if facts.another_run:
        yield error("another_run", facts.another_run, "let it finish; two installations at once would destroy each other")


def _gb(number: int) -> str:
    return f"{number / GB:.1f} GB".replace(".0 GB", " GB")


RULES = (root, system, hardware, disk, ports, another_run)
