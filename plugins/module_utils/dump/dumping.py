# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes one dump: it has its name once it is complete and verified, or does not exist. Private to the collection."""

from __future__ import annotations

import contextlib
import grp
import hashlib
import os
import pwd
import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from ansible_collections.esus.pec.plugins.module_utils.dump import manifest, planning, sealing, writing
from ansible_collections.esus.pec.plugins.module_utils.dump.manifest import Manifest
from ansible_collections.esus.pec.plugins.module_utils.dump.planning import Desired, Plan, Tools
from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.pec import installation
from ansible_collections.esus.pec.plugins.module_utils.postgres import contents, fingerprints, psql
from ansible_collections.esus.pec.plugins.module_utils.postgres.psql import Connection, DatabaseFacts
from ansible_collections.esus.pec.plugins.module_utils.postgres.session import Session, database_locks
from ansible_collections.esus.pec.plugins.module_utils.system import clock, files, host, locks, process, status_file

PARTIAL = ".partial"
_MOST_UNPROVEN = 10
_REPLACED = PARTIAL + ".replaced"  # an old dump that a rename cannot replace, until the new one has its name


@dataclass(frozen=True)
class Outcome:
    """The dump that was made or, in check mode, would be (C(manifest) is then None). C(planned) has no secret."""

    changed: bool
    path: str
    manifest: Manifest | None
    planned: Mapping[str, object] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Job:
    desired: Desired
    connection: Connection
    facts: DatabaseFacts
    tools: Tools
    plan: Plan
    uid: int
    gid: int


def run(desired: Desired, *, check: bool = False) -> Outcome:
    """Make one dump or, with C(check), only plan it. Raises PecError; it then leaves nothing behind and an older dump unchanged."""
    try:
        return _run(desired, check)
    except OSError as error:
        raise PecError(f"cannot dump into {error.filename or desired.path}: {error.strerror or error}") from None


def _run(desired: Desired, check: bool) -> Outcome:
    connection = desired.connection or installation.connection()
    job = _prepare(desired, connection)
    if check:
        return Outcome(True, job.plan.path, None, _describe(job), job.plan.notes)
    with contextlib.ExitStack() as stack:
        for name in (*database_locks(connection), _place_lock(job)):
            stack.enter_context(locks.lock(name, run=f"a dump of {connection.database!r}"))
        notes = (*job.plan.notes, *_clear(job))
        _refuse_existing(job.plan.path, desired.overwrite)  # again, because another run may have ended since
        status = status_file.StatusFile("dump", connection.database)
        partial = job.plan.path + PARTIAL
        if not desired.recipients:
            writing.require_private(partial, job.uid, job.gid)
        try:
            with status:
                made = _make(job, partial, status, notes)
            _publish(job, partial, made)
        except BaseException:
            writing.remove(manifest.path_for(partial))  # before its dump, as in _clear
            writing.remove(partial)
            status.update(phase="failed")
            raise
        status.remove()
    return Outcome(True, job.plan.path, made, _describe(job), made.notes)


def _prepare(desired: Desired, connection: Connection) -> _Job:
    """Refuse whatever can be refused before anything is written."""
    facts = psql.read_facts(connection)
    client = planning.choose_client(psql.find_clients("pg_dump"), facts.server_version_num)
    programs = frozenset(name for name in ("zstd", "pigz", "age") if process.which(name))
    tools = Tools(client, has_zstd(client), programs, host.processors())
    plan = _plan(desired, tools, connection.database, facts.size_bytes)
    if desired.recipients and "age" not in programs:
        raise PecError("recipients requires the program age, which is not on this host; install the package age")
    directory = os.path.dirname(plan.path)
    if not os.path.isdir(directory):
        raise PecError(f"the directory {directory} for the dump does not exist; create it first (mode 0700)")
    if not os.access(directory, os.W_OK):
        raise PecError(f"{directory} is not writable; check whether its filesystem is mounted read-only, or give another path")
    _refuse_existing(plan.path, desired.overwrite)
    free = host.disk_usage(directory).free_bytes + sum(map(writing.size, _leftovers(plan, desired, connection)))
    if desired.check_space and plan.estimate_bytes > free:
        size, needed, left = map(host.describe_size, (facts.size_bytes, plan.estimate_bytes, free))
        raise PecError(
            f"the dump of database {connection.database!r} ({size}) may need {needed}, and {directory} has {left} free; "
            "free some space, or set check_space: false if you know better"
        )
    return _Job(desired, connection, facts, tools, plan, _uid(desired.owner), _gid(desired.group))


def _plan(desired: Desired, tools: Tools, database: str, database_bytes: int) -> Plan:
    """Plan the dump. A generated name has the second in it; if another dump of this second exists, wait for the next one."""
    while True:
        plan = planning.plan(desired, tools, database, database_bytes, socket.gethostname(), clock.compact())
        name = os.path.basename(plan.path)
        places = (os.path.dirname(plan.path), desired.moves_to or os.path.dirname(plan.path))
        if not planning.is_directory(desired.path) or not any(os.path.lexists(os.path.join(place, name)) for place in places):
            return plan
        time.sleep(0.1)


def _refuse_existing(path: str, overwrite: bool) -> None:
    if os.path.lexists(path) and not overwrite:
        raise PecError(f"{path} exists already; give another path, a directory for a generated name, or overwrite: true")


def has_zstd(client: psql.Client) -> bool:
    """Whether this pg_dump was built with zstd. It checks that before it connects to anything."""
    if client.version[0] < 16:
        return False
    probe = [client.path, "--format=custom", "--compress=zstd", "--host=/nonexistent", "--dbname=probe", "--no-password"]
    return "compression" not in process.run(probe, timeout=10, confined=True).stderr


def _make(job: _Job, partial: str, status: status_file.StatusFile, notes: tuple[str, ...]) -> Manifest:
    desired, plan, conn = job.desired, job.plan, job.connection
    psql_path, pg_restore = _sibling(job.tools.client, "psql"), _sibling(job.tools.client, "pg_restore")
    started, began = clock.utc(), time.monotonic()
    with Session(conn, psql_path) as session:
        session.execute(psql.PATIENT)
        session.execute("begin isolation level repeatable read read only")
        if desired.snapshot:
            session.execute(f"set transaction snapshot {psql.literal(desired.snapshot)}")
        snapshot = desired.snapshot or str(session.query("select to_json(pg_export_snapshot())"))
        held = contents.read_contents(session)
        left_out = contents.read_left_out(session)
        progress = writing.Progress(status, held.tables, parallel=plan.jobs > 1)
        environment = {**psql.environment(conn), **psql.options(psql.server_keepalives(conn))}
        arguments = tuple(psql.lasting(conn, job.tools.client.path))
        programs = writing.Programs(job.tools.client.path, pg_restore, environment, (conn.password,), arguments)
        try:
            written = writing.write(plan, programs, snapshot, desired.recipients, partial, progress)
        except PecError as error:
            raise PecError(f"{psql.describe(conn)} was not dumped into {plan.path}: {error}") from None
        unproven: list[str] = []
        fingerprint = None
        if desired.fingerprint and not desired.schema_only:
            progress.phase("fingerprint")
            fingerprint = fingerprints.read_fingerprint(
                conn,
                psql_path,
                fingerprints.choose_method(job.facts.server_version_num, job.facts.encoding),
                snapshot=snapshot,
                jobs=desired.jobs or job.tools.processors,
                exclude=desired.exclude_table_data,
                on_table=lambda done, total: status.update(tables_done=done, tables_total=total),
                on_failure=lambda name, reason: unproven.append(f"not in the fingerprint, because it cannot be read: {name} ({reason})"),
            )
    version = held.pec_version
    held, fewer = contents.dumped(
        held, written.toc.counts if written.toc else None, schema_only=desired.schema_only, exclude=desired.exclude_table_data
    )
    return Manifest(
        name=os.path.basename(plan.path),
        format=plan.format,
        compression=plan.compression,
        bytes=written.bytes,
        sha256=written.sha256,
        started=started,
        ended=clock.utc(),
        duration_seconds=round(time.monotonic() - began, 1),
        database=conn.database,
        host=socket.gethostname(),
        database_bytes=job.facts.size_bytes,
        encoding=job.facts.encoding,
        collation=job.facts.collation,
        ctype=job.facts.ctype,
        server_version=job.facts.server_version,
        server_version_num=job.facts.server_version_num,
        client_version=".".join(map(str, job.tools.client.version)),
        contents=held,
        municipality=desired.municipality,
        pec_version=version,
        training=job.facts.training,
        toc_entries=written.toc_entries,
        fingerprint=None if desired.recipients else fingerprint,
        sealed_fingerprint=sealing.seal(fingerprint, desired.recipients) if fingerprint and desired.recipients else "",
        recipients=desired.recipients,
        schema_only=desired.schema_only,
        excluded_table_data=desired.exclude_table_data,
        files=written.files,
        notes=(*notes, *progress.notes(), *left_out, *fewer, *_shortened(unproven)),
    )


def _shortened(notes: list[str]) -> list[str]:
    more = len(notes) - _MOST_UNPROVEN
    return notes if more <= 0 else [*notes[:_MOST_UNPROVEN], f"not in the fingerprint either: {more} more tables"]


def _publish(job: _Job, partial: str, made: Manifest) -> None:
    """Give the verified dump its name and its manifest. Only this removes an old dump of the same name."""
    path = job.plan.path
    aside = path + _REPLACED
    manifest.write(partial, made, uid=job.uid, gid=job.gid)  # first, because on a full disk this fails
    try:
        for place in (partial, *(os.path.join(partial, name) for name in made.files)):
            files.give(place, job.uid, job.gid)
        if os.path.lexists(path) and (os.path.isdir(path) or os.path.isdir(partial)):  # a rename replaces a file by a file only
            os.rename(path, aside)
        os.rename(partial, path)
        os.rename(manifest.path_for(partial), manifest.path_for(path))
        files.sync_directory(os.path.dirname(path))
        writing.remove(aside)
    except OSError as error:
        if os.path.lexists(aside) and not os.path.lexists(path):
            os.rename(aside, path)
        raise PecError(f"cannot give the dump its name {path}: {error.strerror}; check the directory, then run again") from None


def _clear(job: _Job) -> list[str]:
    """Finish or remove what a dead run left; return notes about it. No live run is meant: it would hold the lock that we hold."""
    path, notes = job.plan.path, []
    if os.path.lexists(path + _REPLACED):
        if os.path.lexists(path):
            writing.remove(path + _REPLACED)
            notes.append(f"removed {os.path.basename(path + _REPLACED)}, left by a run that was killed")
        else:
            os.rename(path + _REPLACED, path)
            notes.append(f"renamed {os.path.basename(path + _REPLACED)}, left by a run that was killed, back to {path}")
    for left in reversed(_leftovers(job.plan, job.desired, job.connection)):  # a manifest before its dump
        name = os.path.basename(left)
        archive = left[: -len(manifest.path_for(PARTIAL))]
        if left == manifest.path_for(archive + PARTIAL) and os.path.lexists(archive) and not os.path.lexists(archive + PARTIAL):
            os.rename(left, manifest.path_for(archive))  # the dump has its name already
            notes.append(f"renamed {name}, left by a run that was killed, to {manifest.path_for(archive)}")
            continue
        orphans = writing.end_orphans(left)
        writing.remove(left)
        notes.append(
            f"removed {name}, left by a run that was killed" + (f", and ended {orphans} pg_dump that still wrote it" if orphans else "")
        )
    return notes


def _leftovers(plan: Plan, desired: Desired, connection: Connection) -> list[str]:
    directory = os.path.dirname(plan.path)
    ours = planning.leftover_name(desired, socket.gethostname(), connection.database)
    return sorted(os.path.join(directory, name) for name in os.listdir(directory) if ours.fullmatch(name))


def _place_lock(job: _Job) -> str:
    """Return the name of the lock of the dump's name: databases of the same name on two servers would have dumps of one name."""
    stem = planning.name_stem(job.desired, socket.gethostname(), job.connection.database)
    place = os.path.join(os.path.realpath(os.path.dirname(job.plan.path)), stem)
    return "dump-" + hashlib.sha256(place.encode("utf-8", "surrogateescape")).hexdigest()[:12]


def _describe(job: _Job) -> dict[str, object]:
    plan, conn = job.plan, job.connection
    return {
        "path": plan.path,
        "database": conn.database,
        "server": f"{conn.host}:{conn.port}",
        "server_version": job.facts.server_version,
        "database_bytes": job.facts.size_bytes,
        "client": job.tools.client.path,
        "client_version": ".".join(map(str, job.tools.client.version)),
        "format": plan.format,
        "compression": plan.compression,
        "level": plan.level,
        "jobs": plan.jobs,
        "encrypted": bool(job.desired.recipients),
        "estimate_bytes": plan.estimate_bytes,
    }


def _sibling(client: psql.Client, program: str) -> str:
    """Return the program of the same version as this pg_dump, because versions do not always read each other's dumps."""
    beside = os.path.join(os.path.dirname(client.path), program)
    return beside if os.access(beside, os.X_OK) else program


def _uid(owner: str | None) -> int:
    try:
        return pwd.getpwnam(owner).pw_uid if owner else -1
    except KeyError:
        raise PecError(f"owner is {owner}, and this host has no such account; create it, or leave owner out") from None


def _gid(group: str | None) -> int:
    try:
        return grp.getgrnam(group).gr_gid if group else -1
    except KeyError:
        raise PecError(f"group is {group}, and this host has no such group; create it, or leave group out") from None
