# SPDX-License-Identifier: GPL-3.0-or-later
"""Restores a dump into a second database, verifies it, and only then switches the two. Private to the collection."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, replace

from ansible_collections.esus.pec.plugins.module_utils import beliefs
from ansible_collections.esus.pec.plugins.module_utils.archive.reading import Identity
from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.pec import installation
from ansible_collections.esus.pec.plugins.module_utils.postgres import administrator, psql
from ansible_collections.esus.pec.plugins.module_utils.postgres.contents import Contents
from ansible_collections.esus.pec.plugins.module_utils.postgres.psql import Connection
from ansible_collections.esus.pec.plugins.module_utils.postgres.session import Session, database_lock
from ansible_collections.esus.pec.plugins.module_utils.restore import load, load_output, planning, survey, verify
from ansible_collections.esus.pec.plugins.module_utils.restore.disk_guard import DiskGuard
from ansible_collections.esus.pec.plugins.module_utils.restore.load import Loaded, Loader
from ansible_collections.esus.pec.plugins.module_utils.restore.planning import Desired, Plan
from ansible_collections.esus.pec.plugins.module_utils.restore.survey import Found
from ansible_collections.esus.pec.plugins.module_utils.system import clock, host, locks, systemd
from ansible_collections.esus.pec.plugins.module_utils.system.status_file import StatusFile


@dataclass(frozen=True)
class Outcome:
    """What was done, or in check mode is planned. C(seconds) has the time of each phase; C(contents) is None if nothing was restored."""

    plan: Plan
    current: planning.Current
    contents: Contents | None = None
    seconds: Mapping[str, float] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def run(desired: Desired, *, check: bool = False) -> Outcome:
    """Restore, or only plan it. Raises PecError; the old database then still has its name and its content."""
    connection = desired.connection or installation.connection()
    with ExitStack() as stack:
        stack.enter_context(locks.lock(database_lock(connection)))
        identity = stack.enter_context(Identity(desired.identity_path, desired.identity))
        status = StatusFile("restore", connection.database)
        status.update(phase="checking")
        began = time.monotonic()
        try:
            found = survey.read(desired, connection, identity, lambda count: status.update(bytes=count))
            planned = planning.plan(found.current, desired, clock.compact())
            outcome = Outcome(planned, found.current, notes=planned.notes)
            if not check and (planned.changed or planned.action == "rehearse"):
                outcome = _Restore(desired, connection, found, planned, identity, status).run()
                outcome = replace(outcome, seconds={**outcome.seconds, "total": round(time.monotonic() - began, 2)})
        except BaseException:
            status.update(phase="failed")
            raise
        status.remove()
        return outcome


class _Restore:
    """One run: its steps in order, and the cleanup when one of them fails."""

    def __init__(
        self, desired: Desired, connection: Connection, found: Found, planned: Plan, identity: Identity, status: StatusFile
    ) -> None:
        self._desired, self._connection, self._found, self._plan = desired, connection, found, planned
        self._identity, self._status = identity, status
        self._current, self._admin = found.current, found.admin
        self._jobs = desired.jobs or host.processors()
        self._seconds: dict[str, float] = {}
        self._notes = list(planned.notes)

    def run(self) -> Outcome:
        for database in self._plan.leftovers:
            administrator.drop(self._admin, database)
        if self._plan.action == "none":
            return Outcome(self._plan, self._current, notes=tuple(self._notes))
        service = self._current.service
        if self._plan.action == "rehearse" or not self._desired.stop_service or not service.uses:
            return self._restore_beside()
        try:
            if service.running:
                with self._phase("stop"):
                    systemd.systemctl("stop", beliefs.PEC_UNIT)
            outcome = self._restore_beside()
        except BaseException as error:
            if service.running:
                _also(error, _started())
            raise
        if service.running or service.enabled:
            problem = _started()
            if problem:
                raise PecError(f"the dump was restored and PEC's database is the new one, but {problem}")
        return outcome

    def _restore_beside(self) -> Outcome:
        try:
            with self._phase("create"):
                conn, role = self._create()
            with self._phase("load"):
                loaded = self._load(conn, role)
            with self._checkpoint():
                with self._phase("analyze"):
                    verify.analyze(self._found.clients.vacuumdb, conn, self._jobs)
                with self._phase("verify"):
                    contents = self._verify(conn, loaded)
            self._give_rights()
            if self._plan.action == "restore":
                with self._phase("switch"):
                    self._switch()
        except BaseException as error:
            _also(error, self._clean_up(load_output.is_disk_full(str(error))))
            raise
        if self._plan.action == "rehearse":
            self._drop(self._plan.side)
        elif self._plan.drop_old and self._plan.previous:
            self._drop(self._plan.previous)
        return Outcome(
            plan=self._plan,
            current=self._current,
            contents=contents,
            seconds=self._seconds,
            warnings=tuple(loaded.output.first_warnings),
            notes=tuple(self._notes),
        )

    def _create(self) -> tuple[Connection, str | None]:
        """Create the second database; return the connection that loads it, and the role to become in it, None for the login's own."""
        side = self._plan.side
        mark = planning.record(planning.RESTORING, target=self._current.name, name=self._current.archive.name, started=clock.utc())
        create = administrator.create_statement(side, self._current.owner, self._plan.settings)
        self._admin.execute(create, administrator.comment_statement(side, mark))
        conn = replace(self._connection, database=side)
        try:
            with Session(conn, self._found.clients.psql) as session:
                session.execute("select 1")
            return conn, None
        except PecError as error:
            if self._admin.user is not None:
                raise PecError(
                    f"{error}. pg_hba.conf admits this role to one database only; admit it to all ('host all {self._current.owner} ...'), "
                    "or set admin to the username and password of an administrator"
                ) from None
        return replace(self._admin.conn, database=side), self._current.owner

    def _load(self, conn: Connection, role: str | None) -> Loaded:
        memory = host.memory_bytes() if conn.is_local else None
        loader = Loader(
            self._current.archive,
            self._found.clients,
            conn,
            load.options(self._jobs, memory, role),
            self._identity,
            jobs=self._jobs,
            server_version_num=self._current.server_version_num,
            make_extension=self._make_extension,
            on_table=lambda done: self._status.update(tables_done=done),
        )
        toc = self._current.toc
        self._status.update(tables_total=toc.tables_with_data if toc else None)
        with DiskGuard(self._found.place if self._desired.check_space else None, loader.stop):
            return loader.load(toc, self._found.listing)

    def _make_extension(self, name: str, schema: str | None) -> None:
        """As PEC's role if allowed, which then owns it; else as the administrator. If neither may, the load fails with the reason."""
        if schema not in (None, "public"):
            return
        statement = f"CREATE EXTENSION IF NOT EXISTS {psql.identifier(name)}"
        for login in (self._found.pec, self._admin):
            try:
                login.execute(statement, database=self._plan.side)
                return
            except PecError:
                continue

    @contextlib.contextmanager
    def _checkpoint(self) -> Iterator[None]:
        """Write what was loaded to the disk while it is verified."""
        if not self._admin.superuser:
            yield
            return
        with verify.Checkpoint(self._admin) as checkpoint:
            yield
        if checkpoint.problem:
            self._notes.append(f"the checkpoint failed: {checkpoint.problem}")

    def _verify(self, conn: Connection, loaded: Loaded) -> Contents:
        current = self._current
        counts = {"tables": loaded.tables} if loaded.tables is not None else dict(current.toc.counts) if current.toc else {}
        wanted, notes = verify.expected(
            counts, current.manifest, require_pec=self._desired.require_pec, server_version_num=current.server_version_num
        )
        self._notes.extend(notes)
        return verify.verify(
            conn,
            self._found.clients.psql,
            wanted,
            self._jobs,
            lambda done, total: self._status.update(tables_done=done, tables_total=total),
        )

    def _switch(self) -> None:
        current, plan = self._current, self._plan
        fingerprint = current.manifest.fingerprint.digest if current.manifest and current.manifest.fingerprint else None
        old = current.target.comment if current.target else None
        facts = {"name": current.archive.name, "sha256": current.sha256, "fingerprint": fingerprint, "restored": clock.utc()}
        remark = {} if old is None or planning.read_record(old) else {"comment": old}
        comments = {current.name: planning.record(planning.RESTORED, **facts, **remark)}
        if plan.previous:
            comments[plan.previous] = planning.record(planning.PREVIOUS, target=current.name, replaced=clock.utc(), comment=old)
        administrator.switch(self._admin, current.name if current.target else None, plan.previous or "", plan.side, current.name, comments)

    def _give_rights(self) -> None:
        """Copy the settings and rights of the old database itself, which no dump contains; then complete those of the read-only role."""
        facts = self._current.target.facts if self._current.target else {}
        for statement in administrator.property_statements(self._plan.side, facts):
            try:
                self._admin.execute(statement)
            except PecError as error:
                self._notes.append(f"not copied from the old database: {statement} ({error})")
        reader = self._admin if self._admin.superuser else self._found.pec
        verify.grant_reading(reader, self._plan.side, self._current.owner)

    def _clean_up(self, disk_full: bool) -> str:
        """After a failure, drop the second database or keep it; return what was done."""
        side = self._plan.side
        state = (
            f"The database {self._current.name!r} was not changed"
            if self._current.target
            else f"The database {self._current.name!r} still does not exist"
        )
        try:
            if self._desired.keep_failed:
                mark = planning.record(planning.FAILED, target=self._current.name, name=self._current.archive.name, failed=clock.utc())
                self._admin.execute(administrator.comment_statement(side, mark))
                return f"{state}. The incomplete database {side!r} is kept; drop it when you no longer need it"
            administrator.drop(self._admin, side, disk_full=disk_full)
            return f"{state}, and the incomplete database {side!r} was dropped"
        except PecError as error:
            return f"{state}. The incomplete database {side!r} could not be dropped ({error}); the next run drops it"

    def _drop(self, database: str) -> None:
        try:
            administrator.drop(self._admin, database)
        except PecError as error:
            self._notes.append(f"the database {database!r} could not be dropped ({error}); drop it yourself")

    @contextlib.contextmanager
    def _phase(self, name: str) -> Iterator[None]:
        self._status.update(phase=name)
        began = time.monotonic()
        yield
        self._seconds[name] = round(time.monotonic() - began, 2)


def _started() -> str:
    """Start PEC; return why that failed, empty if it did not."""
    try:
        systemd.systemctl("start", beliefs.PEC_UNIT)
    except PecError as error:
        return str(error)
    return ""


def _also(error: BaseException, text: str) -> None:
    """Add to the message of an error."""
    if text:
        error.args = (f"{error}. {text}",)
