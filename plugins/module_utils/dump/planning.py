# SPDX-License-Identifier: GPL-3.0-or-later
"""Decides on a dump before it is made: client, format, programs, name, size. Private to the collection."""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.postgres.psql import Client, Connection

FORMATS = ("custom", "directory", "plain")
COMPRESSIONS = ("auto", "zstd", "gzip", "none", "zip", "tar.gz")
PLAIN_NAME = "backup.sql"  # in a .zip and a .tar.gz, as the operating procedure writes it
# Shares of the database's size on its server; measured on databases like PEC's (docs/performance.md): 0.73 plain, 0.26 compressed.
_SHARE_PLAIN, _SHARE_COMPRESSED = 0.80, 0.30
_HIGHEST_LEVEL = {"zstd": 19, "gzip": 9, "zip": 9, "tar.gz": 9}
_PATTERN = re.compile(r"[a-z0-9_.*?]+")  # of a table, which pg_dump and a fingerprint understand alike
_SECRET_KEY = re.compile("PRIVATE KEY|AGE-(SECRET|PLUGIN)-", re.IGNORECASE)
_RECIPIENT = re.compile(r"age1[0-9a-z]{20,}|ssh-(ed25519|rsa) [A-Za-z0-9+/=]{20,}( .*)?")
# Public keys that documents and tests show, which are pasted as they are: nobody has their private keys, or everybody has. The manual
# and the tests of age, rage, SOPS and agenix, and Vagrant's key. Compared without the kind before an SSH key and the comment after it.
_SAMPLES = (
    "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p",
    "age1lggyhqrw2nlhcxprm67z43rta597azn8gknawjehu9d9dl0jq3yqqvfafg",
    "age1yhm4gctwfmrpz87tdslm550wrx6m79y9f2hdzt0lndjnehwj0ukqrjpyx5",
    "age1gde3ncmahlqd9gg50tanl99r960llztrhfapnmx853s4tjum03uqfssgdh",
    "age1lvyvwawkr0mcnnnncaghunadrqkmuf9e6507x9y920xxpp866cnql7dp2z",
    "age1zvkyg2lqzraa2lnjvqej32nkuu0ues2s82hzrye869xeexvn73equnujwj",
    "age1t7rxyev2z3rw82stdlrrepyc39nvn86l5078zqkf5uasdy86jp6svpy7pa",
    "age1uvscypafkkxt6u2gkguxet62cenfmnpc0smzzlyun0lzszfatawq4kvf2u",
    "age1ex4ty8ppg02555at009uwu5vlk5686k3f23e7mac9z093uvzfp8sxr5jum",
    "age1pymw5hyr39qyuc950tget63aq8vfd52dclj8x7xhm08g6ad86dkserumnz",
    "age1y8m84r6pwd4da5d45zzk03rlgv2xr7fn9px80suw3psrahul44ashl0usm",
    "age1yt3tfqlfrwdwx0z0ynwplcr6qxcxfaqycuprpmy89nr83ltx74tqdpszlw",
    "age1lzd99uklcjnc0e7d860axevet2cz99ce9pq6tzuzd05l5nr28ams36nvun",
    "age1afnrdrkyvy0sl5e08t9ffs4c7g5e5npc8luf7hjc77syewg5gajsls4r90",
    "age1tmaae3ld5vpevmsh5yacsauzx8jetg300mpvc4ugp5zr5l6ssq9sla97ep",
    "AAAAC3NzaC1lZDI1NTE5AAAAID+Wi8WZw2bXfBpcs/WECttCzP39OkenS6pHWHWGFJvN",
    "AAAAC3NzaC1lZDI1NTE5AAAAIL0idNvgGiucWgup/mP78zyC23uFjYq0evcWdjGQUaBH",
    "AAAAC3NzaC1lZDI1NTE5AAAAILI6jSq53F/3hEmSs+oq9L4TwOo1PrDMAgcA1uo1CCV/",
    "AAAAC3NzaC1lZDI1NTE5AAAAIPJDyIr/FSz1cJdcoW69R+NrWzwGK/+3gJpqD1t8L2zE",
    "AAAAC3NzaC1lZDI1NTE5AAAAIKzxQgondgEYcLpcPdJLrTdNgZ2gznOHCAxMdaceTUT1",
    "AAAAB3NzaC1yc2EAAAABIwAAAQEA6NF8iallvQVp22WDkTkyrtvp9eWW6A8YVr+kz4TjGYe7gHzIw+niNltGEFHzD8",
)


@dataclass(frozen=True)
class Desired:
    """What the operator wants. C(connection) None is the database of the PEC on this host; None elsewhere is the collection's choice.

    C(moves_to) is the directory that the dump will be moved to; a generated name must be free there too.
    """

    path: str
    connection: Connection | None = None
    format: str = "custom"
    compression: str = "auto"
    level: int | None = None
    jobs: int | None = None
    no_owner: bool = False
    no_privileges: bool = False
    exclude_table_data: tuple[str, ...] = ()
    schema_only: bool = False
    snapshot: str | None = None
    encoding: str | None = None
    fingerprint: bool = False
    recipients: tuple[str, ...] = ()
    owner: str | None = None
    group: str | None = None
    overwrite: bool = False
    municipality: str = ""
    lock_timeout: int = 300
    check_space: bool = True
    moves_to: str | None = None


@dataclass(frozen=True)
class Tools:
    """What the host offers: the chosen pg_dump, whether it has zstd built in, and which of zstd, pigz and age are installed."""

    client: Client
    builtin_zstd: bool
    programs: frozenset[str]
    processors: int = 1


@dataclass(frozen=True)
class Plan:
    """How the dump is made.

    C(compressor) is the program that does C(compression), empty when pg_dump does. C(direct): pg_dump writes the file itself, which
    gives a custom archive the positions that a parallel restore jumps to.
    """

    path: str
    format: str
    compression: str
    level: int
    options: tuple[str, ...]
    compressor: tuple[str, ...]
    direct: bool
    jobs: int
    estimate_bytes: int
    notes: tuple[str, ...]


def choose_client(clients: Sequence[Client], server_version_num: int) -> Client:
    """Return the newest pg_dump that can read this server. Raises PecError, naming the package, when there is none."""
    major = server_version_num // 10000
    fitting = [client for client in clients if client.version[0] >= major]
    if fitting:
        return max(fitting, key=lambda client: client.version)
    package = f"postgresql-client-{major}"
    have = ", ".join(f"{'.'.join(map(str, client.version))} ({client.path})" for client in clients) or "none"
    raise PecError(
        f"the server is PostgreSQL {major}, which no pg_dump on this host can read (found: {have}); "
        f"install {package} (Debian and Ubuntu: from the distribution or from apt.postgresql.org)"
    )


def plan(desired: Desired, tools: Tools, database: str, database_bytes: int, hostname: str, stamp: str) -> Plan:
    """Decide everything. stamp is the time as in 20261122T030000Z. Raises PecError for options that exclude each other."""
    _refuse(desired)
    compression, options, compressor, notes = _compress(desired, tools)
    piped = bool(compressor or desired.recipients) or desired.format == "plain"
    jobs = (desired.jobs or tools.processors) if desired.format == "directory" else 1
    extension = _extension(desired.format, compression, bool(compressor), bool(desired.recipients))
    return Plan(
        path=_final_path(desired.path, _stem(desired.municipality or hostname, database), stamp, extension),
        format=desired.format,
        compression=compression,
        level=_level(desired, compression),
        options=(*_pg_dump_options(desired), *options, *([f"--jobs={jobs}"] if desired.format == "directory" else [])),
        compressor=compressor,
        direct=not piped or compression == "tar.gz",
        jobs=jobs,
        estimate_bytes=estimate(desired, compression, database_bytes),
        notes=notes,
    )


def estimate(desired: Desired, compression: str, database_bytes: int) -> int:
    """Return the bytes that a dump may need on the disk. A tar begins with the size of its content, so that is written first."""
    if desired.schema_only:
        return 32 << 20
    share = {"none": _SHARE_PLAIN, "tar.gz": _SHARE_PLAIN + _SHARE_COMPRESSED}.get(compression, _SHARE_COMPRESSED)
    return int(database_bytes * share)


def name_stem(desired: Desired, hostname: str, database: str) -> str:
    """Return the common beginning of the names of dumps for one purpose: the name that was given, or a generated one up to the time."""
    if is_directory(desired.path):
        return _stem(desired.municipality or hostname, database)
    return os.path.basename(os.path.normpath(desired.path))


def leftover_name(desired: Desired, hostname: str, database: str) -> re.Pattern[str]:
    """Return a pattern for the names of unfinished dumps with the same stem, and with no longer one such as that of esus-treino."""
    stem = re.escape(name_stem(desired, hostname, database))
    rest = r"\d{8}T\d{6}Z\.[a-z.]+" if is_directory(desired.path) else ""
    return re.compile(rf"{stem}{rest}\.partial(\.{re.escape(PLAIN_NAME)}|\.json(\.partial)?)?")


def refuse_recipients(recipients: Sequence[str]) -> None:
    """Raises PecError if one of them is no public key, or one whose private key the operator cannot have.

    It is not quoted: a secret key, which must not be here at all, may be meant.
    """
    for number, recipient in enumerate(recipients, start=1):
        secret = _SECRET_KEY.search(recipient)
        if secret or not _RECIPIENT.fullmatch(recipient.strip()):
            what = "is a secret key; keep that one off this host, and" if secret else "is no public key;"
            raise PecError(
                f"number {number} of the recipients {what} give a public one of age (age1...) or SSH (ssh-ed25519 ..., ssh-rsa ...)"
            )
        if any(sample in recipient for sample in _SAMPLES):
            raise PecError(
                f"number {number} of the recipients is a sample key from a manual, so that nobody could read the dump, or everybody; make "
                "a key of your own with age-keygen on another computer, and give its public key"
            )


def _refuse(desired: Desired) -> None:
    refuse_recipients(desired.recipients)
    problem = next(_problems(desired), None)
    if problem:
        raise PecError(problem)


def _problems(desired: Desired) -> Iterator[str]:
    form, compression, level = desired.format, desired.compression, desired.level
    if not desired.path.startswith("/"):
        yield f"the path {desired.path!r} does not begin with a slash, so it depends on where this runs; give the whole path"
    if compression in ("zip", "tar.gz") and form != "plain":
        yield f"compression {compression} is for plain dumps only; set format: plain, or compression: auto for format {form}"
    if form == "directory" and desired.recipients:
        yield "a dump in the directory format cannot be encrypted as one; set format: custom, or encrypt what leaves the host"
    if compression == "tar.gz" and desired.recipients:
        yield "a tar.gz cannot be encrypted: its content is first written to the disk in plain; set compression: zip or zstd"
    highest = _HIGHEST_LEVEL.get("zstd" if compression == "auto" else compression, 0)
    if level is not None and not 1 <= level <= highest:
        allowed = f"from 1 to {highest}" if highest else "none"
        yield f"compression {compression} has no level {level}; its levels are {allowed}"
    if desired.jobs is not None and desired.jobs < 1:
        yield f"jobs is {desired.jobs}; give at least 1, or leave it out to use every processor"
    if desired.lock_timeout < 0:
        yield f"lock_timeout is {desired.lock_timeout}; give the seconds to wait, or 0 for no limit"
    if desired.fingerprint and desired.schema_only:
        yield "fingerprint compares rows, and schema_only leaves them out; set one of the two"
    strange = [pattern for pattern in desired.exclude_table_data if not _PATTERN.fullmatch(pattern)]
    if desired.fingerprint and strange:
        yield (
            f"the pattern {strange[0]!r} in exclude_table_data does not work with fingerprint; use small letters, digits, _, ., * and ? "
            "only, or leave fingerprint out"
        )


def _compress(desired: Desired, tools: Tools) -> tuple[str, tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
    """Return the compression, pg_dump's options for it, the program that does it, and notes."""
    wanted = "zstd" if desired.compression == "auto" else desired.compression
    notes: list[str] = []
    version = ".".join(map(str, tools.client.version))
    inner = desired.format != "plain"
    builtin = inner and tools.builtin_zstd
    if wanted == "zstd" and not builtin and (desired.format == "directory" or "zstd" not in tools.programs):
        have = "has no zstd" if desired.format == "directory" else "has no zstd, and the program zstd is not installed (package zstd)"
        notes.append(f"compressed with gzip level 1, because pg_dump {version} {have}")
        wanted = "gzip"
    level = _level(desired, wanted)
    zstd = ("zstd", "-q", "-T0", f"-{level}")
    gzip = ("pigz" if "pigz" in tools.programs else "gzip", f"-{level}")
    if not inner:
        return wanted, (), {"zstd": zstd, "gzip": gzip, "tar.gz": gzip}.get(wanted, ()), tuple(notes)
    if wanted == "zstd" and not builtin:
        notes.append(
            f"compressed by the program zstd, because pg_dump {version} has none built in: a restore loads one table after the other"
        )
        return wanted, ("--compress=0",), zstd, tuple(notes)
    return wanted, (f"--compress={'zstd:' if wanted == 'zstd' else ''}{level}",), (), tuple(notes)


def _level(desired: Desired, compression: str) -> int:
    if compression == "none":
        return 0
    meant = compression == "zstd" or desired.compression == compression  # else gzip replaces zstd, whose levels are others
    return desired.level if meant and desired.level is not None else 1


def _pg_dump_options(desired: Desired) -> list[str]:
    options = [f"--format={desired.format}", "--no-password", "--verbose", f"--lock-wait-timeout={desired.lock_timeout * 1000}"]
    options += ["--no-owner"] if desired.no_owner else []
    options += ["--no-privileges"] if desired.no_privileges else []
    options += ["--schema-only"] if desired.schema_only else []
    options += [f"--encoding={desired.encoding}"] if desired.encoding else []
    return options + [f"--exclude-table-data={pattern}" for pattern in desired.exclude_table_data]


def _extension(form: str, compression: str, external: bool, encrypted: bool) -> str:
    if form == "directory":
        return ".dir"
    if form == "custom":
        end = ".dump" + (".zst" if external else "")
    else:
        end = {"zstd": ".sql.zst", "gzip": ".sql.gz", "none": ".sql", "zip": ".zip", "tar.gz": ".tar.gz"}[compression]
    return end + (".age" if encrypted else "")


def _final_path(path: str, stem: str, stamp: str, extension: str) -> str:
    return os.path.join(path, f"{stem}{stamp}{extension}") if is_directory(path) else os.path.normpath(path)


def is_directory(path: str) -> bool:
    """Whether this is a directory to put dumps into; one that has a toc.dat is a dump itself."""
    return (path.endswith("/") or os.path.isdir(path)) and not os.path.exists(os.path.join(path, "toc.dat"))


def _stem(origin: str, database: str) -> str:
    return f"{slug(origin)}-{slug(database)}-"


def slug(text: str) -> str:
    """Return a name that is safe in every file system and shell: agua-clara for Água Clara."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    return re.sub(r"[^a-z0-9_]+", "-", plain.lower()).strip("-")[:48] or "pec"
