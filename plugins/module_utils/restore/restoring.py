# SPDX-License-Identifier: GPL-3.0-or-later
"""Restores a dump into a second database, verifies it, and only then switches the two. Private to the collection."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from typing import cast

from ansible_collections.esus.pec.plugins.module_utils.archive import opening
from ansible_collections.esus.pec.plugins.module_utils.archive.reading import Identity
from ansible_collections.esus.pec.plugins.module_utils.archive.skipping import Skip
from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.pec import installation, stopping
from ansible_collections.esus.pec.plugins.module_utils.postgres import administrator, contents, psql
from ansible_collections.esus.pec.plugins.module_utils.postgres.contents import Contents
from ansible_collections.esus.pec.plugins.module_utils.postgres.fingerprints import Fingerprint
from ansible_collections.esus.pec.plugins.module_utils.postgres.psql import Connection
from ansible_collections.esus.pec.plugins.module_utils.postgres.session import Session, database_locks
from ansible_collections.esus.pec.plugins.module_utils.restore import (
    carried,
    choosing,
    completeness,
    function_path,
    load,
    load_output,
    loading_role,
    origin,
    planning,
    survey,
    unchanged,
    verify,
)
from ansible_collections.esus.pec.plugins.module_utils.restore.disk_guard import DiskGuard
from ansible_collections.esus.pec.plugins.module_utils.restore.live_rows import LiveRows
from ansible_collections.esus.pec.plugins.module_utils.restore.load import Loaded, Loader
from ansible_collections.esus.pec.plugins.module_utils.restore.loading_role import LoadingRole
from ansible_collections.esus.pec.plugins.module_utils.restore.planning import Desired, Plan
from ansible_collections.esus.pec.plugins.module_utils.restore.survey import Found
from ansible_collections.esus.pec.plugins.module_utils.system import clock, host, locks
from ansible_collections.esus.pec.plugins.module_utils.system.status_file import StatusFile

_SHOWN = 10
_FORCED_SQL = """
select coalesce(json_agg(oid::regclass::text order by relname), '[]'::json) from pg_class where relrowsecurity and relforcerowsecurity
"""


@dataclass(frozen=True)
class Outcome:
    """What was done, or in check mode is planned. C(seconds) has the time of each phase; C(contents) is None if nothing was restored.

    C(fingerprint) is of both the dump and the restored database, None if the values of rows were not compared.
    """

    plan: Plan
    current: planning.Current
    contents: Contents | None = None
    fingerprint: Fingerprint | None = None
    seconds: Mapping[str, float] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def update_follows(self) -> bool:
        """Whether the database needs the installer before PEC can start: the restored one, or in check mode the one in the manifest."""
        if self.plan.action == "rehearse":
            return False
        current = self.current
        kept = current.target.pec_version if self.plan.action == "none" and current.target else None
        found = self.contents.pec_version if self.contents else kept or current.recorded_version
        return origin.update_follows(found, current.installed)


def run(desired: Desired, *, check: bool = False, live: LiveRows | None = None) -> Outcome:
    """Restore, or only plan it. Raises PecError; the old database then still has its name and its content.

    C(live) brings the rows that the dump itself lacks (C(rows_follow)).
    """
    connection = desired.connection or installation.connection()
    with ExitStack() as stack:
        for name in database_locks(connection):
            stack.enter_context(locks.lock(name, run=f"a restore of {connection.database!r}"))
        identity = stack.enter_context(Identity(desired.identity_path, desired.identity))
        status = StatusFile("restore", connection.database)
        moving = stack.enter_context(ExitStack())
        moving.enter_context(status)
        status.update(phase="checking")
        began = time.monotonic()
        try:
            path, described, unusable = choosing.choose(desired, connection.database)
            dump = stack.enter_context(opening.open_dump(path))
            found = survey.read(dump, described, desired, connection, identity, lambda count: status.update(bytes=count))
            # Before anything is taken for what a dead run left; the other run may be on another host.
            stack.enter_context(administrator.alone(found.admin, connection.database))
            planned = planning.plan(found.current, desired, clock.compact())
            partial = _partial(found.current, desired) if planned.action != "none" else []
            outcome = Outcome(planned, found.current, notes=(*planned.notes, *partial), warnings=tuple(unusable))
            if not check and (planned.changed or planned.action == "rehearse"):
                outcome = _Restore(desired, connection, found, planned, identity, status, live).run()
                outcome = replace(outcome, seconds={**outcome.seconds, "total": round(time.monotonic() - began, 2)})
                outcome = replace(outcome, warnings=(*unusable, *outcome.warnings))
        except BaseException:
            status.update(phase="failed")
            raise
        moving.close()
        status.remove()
        return outcome


class _Restore:
    """One run: its steps in order, and the cleanup when one of them fails."""

    def __init__(
        self,
        desired: Desired,
        connection: Connection,
        found: Found,
        planned: Plan,
        identity: Identity,
        status: StatusFile,
        live: LiveRows | None = None,
    ) -> None:
        self._live = live
        self._desired, self._connection, self._found, self._plan = desired, connection, found, planned
        self._identity, self._status = identity, status
        self._current, self._admin = found.current, found.admin
        self._role_name = loading_role.name_for(found.current.name)
        self._role: LoadingRole | None = None
        self._jobs = desired.jobs or host.processors()
        self._seconds: dict[str, float] = {}
        self._notes = list(planned.notes)
        self._compared: Fingerprint | None = None
        self._update_follows = False  # once the new database is in place
        self._skip = Skip()
        self._schemas: set[str] = set()

    def run(self) -> Outcome:
        for database in self._plan.leftovers:
            administrator.drop(self._admin, database)
        if self._plan.leftovers:
            loading_role.drop(self._admin, self._role_name)
        if self._plan.action == "none":
            return Outcome(self._plan, self._current, notes=tuple(self._notes))
        service = self._current.service
        if self._plan.action == "rehearse" or not self._desired.stop_service or not service.uses:
            return self._restore_beside()
        with locks.lock(locks.INSTALLER):  # held by all that stop and start PEC
            return self._restore_without_pec(service)

    def _restore_without_pec(self, service: planning.Service) -> Outcome:
        try:
            if service.running:
                with self._phase("stop"):
                    stopping.stop(stopping.RESTORE)
            outcome = self._restore_beside()
        except BaseException as error:
            if self._update_follows:
                stopping.forget()  # PEC waits for the update
            elif service.running or service.owed:
                _also(error, _started() or ("PEC, which a killed run had stopped, was started again" if service.owed else ""))
            raise
        if self._update_follows:
            stopping.forget()
            return outcome
        if service.running or service.enabled or service.owed:
            problem = _started()
            if problem:
                raise PecError(f"the dump was restored and PEC's database is the new one, but {problem}")
        return outcome

    def _restore_beside(self) -> Outcome:
        try:
            with self._phase("create"):
                role, conn = self._create()
            with self._phase("load"):
                loaded = self._load(conn)
                self._found.dump.require_unchanged()
                pec_version = self._judge(conn, loaded)
                self._settle(conn, loaded)
            # Both evaluate what the dump defines, so they too run as the role that loaded it.
            with self._checkpoint():
                with self._phase("analyze"):
                    verify.analyze(self._found.clients.vacuumdb, conn, self._jobs)
                with self._phase("verify"):
                    verified = self._verify(conn, loaded)
            with self._phase("hand_over"):
                # What a superuser owns runs as a superuser when the server itself looks at a table, so a rehearsal gives it nothing.
                if self._plan.action == "rehearse" and role.owner_is_superuser():
                    self._notes += role.look()
                else:
                    self._notes += role.hand_over()
                    loading_role.drop(self._admin, role.name)
                    self._give_rights()
            if self._plan.action == "restore":
                with self._phase("switch"):
                    self._switch()
                    self._update_follows = self._awaits_update(pec_version)
        except BaseException as error:
            if self._live:
                self._live.stop()
            if isinstance(error, PecError) and not str(error).endswith(psql.network_remedy(str(error))):
                error.args = (f"{error}{psql.network_remedy(str(error))}",)
            _also(error, self._clean_up(load_output.is_disk_full(str(error))))
            raise
        if self._plan.action == "rehearse":
            self._drop(self._plan.side, role.name)
        elif self._plan.drop_old and self._plan.previous:
            self._drop(self._plan.previous)
        return Outcome(
            plan=self._plan,
            current=self._current,
            contents=verified,
            fingerprint=self._compared,
            seconds=self._seconds,
            warnings=tuple(loaded.output.first_warnings),
            notes=tuple(self._notes),
        )

    def _create(self) -> tuple[LoadingRole, Connection]:
        """Create the role that loads the dump, the second database and its extensions; return the role and its connection there."""
        side, current = self._plan.side, self._current
        self._skip = Skip(self._desired.skip_objects)
        self._schemas = {schema for name, schema in current.schemas.items() if name in self._plan.extensions}
        mark = planning.record(planning.RESTORING, target=current.name, name=current.archive.name, started=clock.utc())
        role = self._role = loading_role.create(self._admin, self._connection, current.owner, side, self._role_name)
        role.create_database(self._plan.settings, mark)
        conn = role.reach(self._found.clients.psql)
        with Session(conn, self._found.clients.psql) as session:
            for schema in sorted(self._schemas):
                session.execute(f"CREATE SCHEMA {psql.identifier(schema)}")
        for extension in self._plan.extensions:  # before the dump can put anything in their way
            self._make_extension(extension, conn)
        return role, conn

    def _settle(self, conn: Connection, loaded: Loaded) -> None:
        """Complete what the load began, and tell what it left out."""
        if self._current.toc is None:
            self._notes += planning.skipped_notes(self._skip, (), known=True)
        if loaded.created:
            self._notes.append(f"the dump was made with --create; its contents are in {self._current.name!r}, its settings are left out")
        if loaded.without_oids:
            self._notes.append("tables WITH OIDS lost their column oid, which PostgreSQL 12 or later does not have")
        described = self._current.manifest
        if planning.NO_ENCODING in (self._current.archive.header.encoding, described.encoding if described else None):
            verify.require_text(conn, self._found.clients.psql)
        policies = any(entry.kind == "POLICY" for entry in self._skip.entries)
        if not policies and not self._desired.function_search_path:
            return
        with Session(conn, self._found.clients.psql) as session:
            if self._desired.function_search_path:
                kept = function_path.settle(session, self._desired.function_search_path)
                self._notes.append(f"functions that got a search_path of their own: {', '.join(kept[:_SHOWN]) or 'none'}")
            forced = cast("list[str]", session.query(_FORCED_SQL)) if policies else []
        if forced:
            raise PecError(
                f"row security is forced on {', '.join(forced[:_SHOWN])} for their owner, too, and policies of the dump are "
                "left out, so PEC could not read them; on the old server run ALTER TABLE ... NO FORCE ROW LEVEL SECURITY, then dump again"
            )

    def _load(self, conn: Connection) -> Loaded:
        memory = host.memory_bytes() if conn.is_local else None
        loader = Loader(
            self._found.dump,
            self._current.archive,
            self._found.clients,
            conn,
            load.options(self._jobs, memory),
            self._identity,
            jobs=self._jobs,
            sha256=self._current.sha256,
            server_version_num=self._current.server_version_num,
            extensions=self._plan.extensions,
            without_extensions=self._desired.left_out,
            on_table=lambda done: self._status.update(tables_done=done),
            skip=self._skip,
            schemas=self._schemas,
            function_search_path=self._desired.function_search_path,
            live=self._live,
        )
        toc = self._current.toc
        self._status.update(tables_total=self._live.tables if self._live else toc.tables_with_data if toc else None)
        with DiskGuard(self._found.place if self._desired.check_space else None, loader.stop):
            return loader.load(toc, self._found.listing)

    def _judge(self, conn: Connection, loaded: Loaded) -> str | None:
        """Look at what only the load shows: of which PEC and of which município the dump is, and if it is whole. Return the version."""
        current, desired = self._current, self._desired
        with Session(conn, self._found.clients.psql) as session:
            inside = contents.read_contents(session)
            pec_version, holder = inside.pec_version, origin.read_holder(session)
            inventory = completeness.take(session, inside, look=True) if current.manifest is None else None
        problems = current.against_version(pec_version, desired)
        # A manifest that names the município was compared before.
        if not (current.manifest and current.manifest.municipality and desired.from_municipality):
            beside = current.target.holder if current.target else None
            problem, notes = origin.against_holder(holder, beside, desired.from_municipality)
            problems += [problem] if problem else []
            self._notes += notes
        if problems:
            raise PecError(f"{current.archive.path} was not restored: {'; '.join(problems)}")
        if inventory and (pec_version or not desired.require_pec):  # that it is no PEC at all is said by the verification
            replaced = completeness.without(current.target.inventory if current.target else None, list(self._skip.entries))
            lacking = completeness.missing(inventory, replaced, filled=loaded.filled, is_pec=desired.require_pec)
            self._notes += completeness.require(current.archive.path, lacking, allowed=desired.allow_partial)
        if current.service.uses and not (pec_version and current.installed):
            self._notes.append(
                f"the versions were not compared: the dump is of PEC {origin.shown(pec_version) if pec_version else 'unknown'}, "
                f"and the PEC on this server is {current.installed or 'unknown'}"
            )
        if self._awaits_update(pec_version):
            self._notes.append(
                f"the dump is of PEC {origin.shown(str(pec_version))} and PEC {current.installed} is installed, so PEC "
                f"{'would stay' if self._plan.action == 'rehearse' else 'stays'} stopped until its installer has updated the database "
                "(playbook esus.pec.install with pec_install_update)"
            )
        return pec_version

    def _awaits_update(self, pec_version: str | None) -> bool:
        return self._desired.allow_other_version and origin.update_follows(pec_version, self._current.installed)

    def _make_extension(self, name: str, conn: Connection) -> None:
        """As the role that loads the dump if the server trusts the extension, so that PEC's role will own it; else as the administrator."""
        schema = self._current.schemas.get(name, "public")
        where = "" if self._fixed(name, conn) else f" SCHEMA {psql.identifier(schema)}"
        statement = f"CREATE EXTENSION IF NOT EXISTS {psql.identifier(name)}{where}"
        try:
            with Session(conn, self._found.clients.psql) as session:
                session.execute(statement)
        except PecError as first:
            try:
                self._admin.execute(statement, database=self._plan.side)
            except PecError as error:
                raise PecError(
                    f"the extension {name!r} cannot be created: {error} (as the role that loads the dump: {first}); create what it needs "
                    "on the server, or leave it out with without_extensions (role: pec_restore_without_extensions)"
                ) from None

    def _fixed(self, name: str, conn: Connection) -> bool:
        """Whether the extension itself names the schema that it is in."""
        sql = f"""select to_json(exists (
            select from pg_available_extension_versions where name = {psql.literal(name)} and schema is not null))"""
        with Session(conn, self._found.clients.psql) as session:
            return bool(session.query(sql))

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
        counts = {"tables": loaded.tables} if loaded.tables is not None else dict(current.toc.counted(self._skip)) if current.toc else {}
        left_out = [name for name in current.needs if name in self._desired.left_out]
        described = current.manifest
        if self._live and described:
            described = replace(described, fingerprint=self._live.fingerprint())
            self._notes += self._live.unproven
        wanted, notes = verify.expected(
            counts,
            described,
            require_pec=self._desired.require_pec,
            server_version_num=current.server_version_num,
            without_extensions=left_out,
        )
        wanted = verify.without(wanted, list(self._skip.entries))
        found, self._compared, more = verify.verify(
            conn,
            self._found.clients.psql,
            wanted,
            self._jobs,
            lambda done, total: self._status.update(tables_done=done, tables_total=total),
        )
        self._notes += [*notes, *more]
        return found

    def _switch(self) -> None:
        current, plan = self._current, self._plan
        old = current.target.comment if current.target else None
        state = unchanged.state(replace(self._connection, database=plan.side), self._admin, self._found.clients.psql, self._jobs)
        facts = {"name": current.archive.name, "sha256": current.sha256, "unchanged": state, "restored": clock.utc()}
        remark = {} if old is None or planning.read_record(old) else {"comment": old}
        comments = {current.name: planning.record(planning.RESTORED, **facts, **remark)}
        if plan.previous:
            comments[plan.previous] = planning.record(planning.PREVIOUS, target=current.name, replaced=clock.utc(), comment=old)
        administrator.switch(self._admin, current.name if current.target else None, plan.previous or "", plan.side, current.name, comments)

    def _give_rights(self) -> None:
        """Copy the settings and rights of the old database itself, which no dump contains; then complete those of the read-only role."""
        facts, _notes = carried.carried(self._current.target.facts if self._current.target else {}, self._current.owner)
        for statement in administrator.property_statements(self._plan.side, facts):
            try:
                self._admin.execute(statement)
            except PecError as error:
                self._notes.append(f"not copied from the old database: {statement} ({error})")
        reader = self._admin if self._admin.superuser else self._found.pec
        self._notes += verify.grant_reading(reader, self._plan.side, self._current.owner)

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
                if self._role:
                    self._role.hand_over()
                    loading_role.drop(self._admin, self._role_name)
                mark = planning.record(planning.FAILED, target=self._current.name, name=self._current.archive.name, failed=clock.utc())
                self._admin.execute(administrator.comment_statement(side, mark))
                return f"{state}. The incomplete database {side!r} is kept; drop it when you no longer need it"
            administrator.drop(self._admin, side, disk_full=disk_full)
            loading_role.drop(self._admin, self._role_name)
            return f"{state}, and the incomplete database {side!r} was dropped"
        except PecError as error:
            return f"{state}. The incomplete database {side!r} could not be dropped ({error}); the next run drops it"

    def _drop(self, database: str, role: str = "") -> None:
        try:
            administrator.drop(self._admin, database)
            if role:
                loading_role.drop(self._admin, role)
        except PecError as error:
            self._notes.append(f"the database {database!r} could not be dropped ({error}); drop it yourself")

    @contextlib.contextmanager
    def _phase(self, name: str) -> Iterator[None]:
        self._status.update(phase=name)
        began = time.monotonic()
        yield
        self._seconds[name] = round(time.monotonic() - began, 2)


def _partial(current: planning.Current, desired: Desired) -> list[str]:
    """Return notes on what an archive without a manifest lacks by its table of contents. Raises PecError unless a part is allowed."""
    if current.manifest is not None or current.toc is None:
        return []
    found = completeness.of_toc(current.toc.counts, current.toc.has_large_objects)
    beside = current.target.inventory if current.target else None
    lacking = completeness.missing(found, beside, is_pec=desired.require_pec)
    return completeness.require(current.archive.path, lacking, allowed=desired.allow_partial)


def _started() -> str:
    """Start PEC; return why that failed, empty if it did not."""
    try:
        stopping.start()
    except PecError as error:
        return str(error)
    return ""


def _also(error: BaseException, text: str) -> None:
    """Add to the message of an error."""
    if text:
        error.args = (f"{error}. {text}",)
