# SPDX-License-Identifier: GPL-3.0-or-later
"""The ways to move a database: which is possible, which is best, how much room and time it takes. Private to the collection.

The rates are of two shared processors and a synthetic database, so an estimate is only an order of time. A rehearsal measures.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ansible_collections.esus.pec.plugins.module_utils.system.host import describe_size
from ansible_collections.esus.pec.plugins.module_utils.transfer.picture import BUNDLED, DISTRIBUTION, LINUX, Database, Picture

AUTO, STREAM, DIRECT, PHYSICAL, RELAY, CLOUD, FILE = "auto", "stream", "direct", "physical", "relay", "cloud", "file"
MODES = (AUTO, STREAM, DIRECT, PHYSICAL, RELAY, CLOUD, FILE)

PHYSICAL_ABOVE = 5 * 10**9
"""From this size on a physical copy is worth that PEC's passwords and the whole server come with it."""
SLOW_LINK = 150
"""Mbit/s below which a compressed dump is faster than a stream."""
_MEASURED = 1.9e9
_SECONDS: Mapping[str, float] = {STREAM: 26.1, DIRECT: 32.0, PHYSICAL: 0.9, FILE: 23.2}
"""From the freeze to a usable database of 1.9 GB, on a quiet machine."""
_PROOF, _ANALYZE = 13.0, 9.0
"""The fingerprint of the target and ANALYZE for the same database, at worst."""
PEC_START = 180
"""Seconds until PEC answers after it was started: several minutes at worst."""
_UNCOMPRESSED, COMPRESSED = 0.61, 0.30
"""Parts of the database's size that travel: the plain dump, and what esus.pec.dump plans for."""
ROOM_OF_DATABASE = 1.1
_GLIBC_NEW_ORDER = (2, 28)


@dataclass(frozen=True)
class Options:
    """What an operator wants, and what is known of the way between the servers.

    C(managed): Ansible is root on the source. C(reachable): the target reaches it by SSH. C(remote): a cloud is configured.
    C(database_mode) and C(server_version) are what the target has or will have. C(link_mbit) is 0 if it is unknown.
    """

    mode: str = AUTO
    file: bool = False
    managed: bool = True
    reachable: bool = True
    remote: bool = False
    database_mode: str = "managed"
    server_version: str = ""
    reindex: bool = False
    link_mbit: int = 0
    version: str = ""
    domain: str = ""
    replace: bool = False
    rehearsal: Mapping[str, float] = field(default_factory=dict)
    accepted: tuple[str, ...] = ()


@dataclass(frozen=True)
class Choice:
    """The mode, why it was chosen, and why the requested one is impossible (empty if it is not)."""

    mode: str
    reason: str
    obstacles: tuple[str, ...] = ()


def choose(source: Picture | None, target: Picture, options: Options) -> Choice:
    """Return the best mode, or the requested one."""
    if options.mode != AUTO:
        return Choice(options.mode, "it was requested", tuple(against(options.mode, source, target, options)))
    if options.file:
        return Choice(FILE, "PEC comes as a file")
    if not options.reachable and options.managed:
        return Choice(RELAY, "the new server does not reach the old one, and Ansible reaches both")
    if not options.reachable:
        obstacles = tuple(against(CLOUD, source, target, options))
        return Choice(CLOUD, "the new server does not reach the old one, and Ansible is not root there", obstacles)
    obstacles = tuple(against(PHYSICAL, source, target, options))
    size = source.database.size_bytes if source and source.database else 0
    if not obstacles and size > PHYSICAL_ABOVE:
        return Choice(PHYSICAL, f"the database has {describe_size(size)}, and a physical copy stops PEC for seconds whatever its size")
    why = obstacles[0] if obstacles else f"the database has only {describe_size(size)}"
    slow = 0 < options.link_mbit < SLOW_LINK
    if slow and not [*against(DIRECT, source, target, options)]:
        return Choice(
            DIRECT, f"a dump is compressed, which counts on a link of {options.link_mbit} Mbit/s; no physical copy, because {why}"
        )
    return Choice(STREAM, f"it takes no room for a file on either server; no physical copy, because {why}", ())


def against(mode: str, source: Picture | None, target: Picture, options: Options) -> Sequence[str]:
    """Return why a mode is impossible; nothing if it is possible."""
    found = []
    if options.file != (mode == FILE):
        found.append("PEC comes as a file" if options.file else "PEC comes from a server, not as a file")
        return found
    if mode in (STREAM, DIRECT, PHYSICAL) and not options.reachable:
        found.append("the new server does not reach the old one by SSH")
    if mode in (DIRECT, PHYSICAL, RELAY, CLOUD) and not options.managed:
        found.append("Ansible is not root on the old server")
    if mode == CLOUD and not options.remote:
        found.append("no remote of rclone is configured")
    if mode == PHYSICAL:
        found += against_physical(source, target, options)
    return found


def against_physical(source: Picture | None, target: Picture, options: Options) -> list[str]:
    """Return what differs so that the data directory of one server is of no use on the other."""
    if source is None or source.database is None or not source.database.server_version_num:
        return ["the old database is not known"]
    old, platforms = source.database, (source.platform, target.platform)
    found = []
    if {each.system for each in platforms} != {LINUX}:
        found.append("not both servers are Linux")
    elif platforms[0].architecture != platforms[1].architecture:
        found.append(f"the old server is {platforms[0].architecture} and the new one {platforms[1].architecture}")
    if old.origin not in (BUNDLED, DISTRIBUTION):
        found.append("the PostgreSQL of the old server is neither PEC's own nor the distribution's, or it is not known whose it is")
    elif options.database_mode != {BUNDLED: "bundled", DISTRIBUTION: "managed"}[old.origin]:
        names = {BUNDLED: "PEC's own", DISTRIBUTION: "the distribution's"}
        found.append(
            f"the old server has {names[old.origin]} PostgreSQL, and the new one gets another (pec_database_mode {options.database_mode})"
        )
    version = target_major(target, options)
    if version and version != major(old):
        found.append(f"the old server has PostgreSQL {_shown(major(old))} and the new one {_shown(version)}")
    crossed = glibc_crossed(source, target)
    if crossed and not options.reindex:
        found.append(f"{crossed}, so texts have another order, and every index on them would be wrong without reindex")
    if old.tablespaces:
        found.append("the old server has tablespaces, which are outside of its data directory")
    others = target.database.other_databases if target.database else ()
    if others:
        found.append(f"the new server's PostgreSQL has other databases, which would be replaced too: {', '.join(others)}")
    return found


def glibc_crossed(source: Picture, target: Picture) -> str:
    """Return how the C libraries differ if texts are sorted otherwise by them; empty if they agree, or if one is unknown."""
    old, new = source.platform.glibc, target.platform.glibc
    if not old or not new or (_numbers(old) < _GLIBC_NEW_ORDER) == (_numbers(new) < _GLIBC_NEW_ORDER):
        return ""
    return f"the C library is glibc {old} on the old server and {new} on the new one, and between them is 2.28"


def major(database: Database) -> int:
    """Return the number of a major version as PostgreSQL counts: 906 for 9.6, 1500 for 15; 0 if it is unknown."""
    number = database.server_version_num // 100
    return number if number < 1000 else number // 100 * 100


def target_major(target: Picture, options: Options) -> int:
    """Return the same of the target's server, existing or to come; 0 if it is unknown."""
    if target.database and target.database.server_version_num:
        return major(target.database)
    if options.database_mode == "bundled":
        return 906
    numbers = _numbers(options.server_version)
    if not numbers:
        return 0
    return numbers[0] * 100 + (numbers[1] if numbers[0] < 10 and len(numbers) > 1 else 0)


def room(mode: str, source: Picture | None) -> dict[str, dict[str, int]]:
    """Return the bytes that a mode writes, by server (source, target) and purpose."""
    database = source.database if source else None
    size = database.size_bytes if database else 0
    if not size or mode == FILE:
        return {}
    if mode == PHYSICAL:
        return {"target": {"database": int((database.data_bytes if database and database.data_bytes else size) * ROOM_OF_DATABASE)}}
    needed = {"target": {"database": int(size * ROOM_OF_DATABASE)}}
    if mode != STREAM:
        needed["source"] = {"state": int(size * COMPRESSED)}
        needed["target"]["state"] = int(size * COMPRESSED)
    return needed


def downtime(mode: str, source: Picture | None, options: Options) -> tuple[int | None, str]:
    """Return the seconds that nobody can use PEC, and by what they are estimated; None if nothing is known."""
    size = source.database.size_bytes if source and source.database else 0
    measured = options.rehearsal.get("downtime_seconds")
    if measured is not None:
        before = options.rehearsal.get("size_bytes") or 0
        grown = size / before if before and size > before else 1.0
        return round(measured * grown), "rehearsal"
    if not size:
        return None, "unknown"
    travels = {STREAM: _UNCOMPRESSED, DIRECT: COMPRESSED, RELAY: 2 * COMPRESSED, CLOUD: 2 * COMPRESSED}.get(mode, 0)
    wire = size * travels * 8 / (options.link_mbit * 1e6) if options.link_mbit else 0.0
    rate = _SECONDS.get(mode, _SECONDS[DIRECT])
    work = size / _MEASURED * rate
    proof = 0 if mode == PHYSICAL else size / _MEASURED * (_PROOF + _ANALYZE)
    moving = max(work, wire) if mode == STREAM else work + wire
    return round(moving + proof + PEC_START), "size"


def _numbers(text: str) -> tuple[int, ...]:
    parts = text.split(".")
    return tuple(int(part) for part in parts) if all(part.isascii() and part.isdigit() for part in parts) else ()


def _shown(number: int) -> str:
    return f"{number // 100}" if number >= 1000 else f"{number // 100}.{number % 100}"
