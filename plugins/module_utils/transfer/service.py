# SPDX-License-Identifier: GPL-3.0-or-later
"""PEC at the source: frozen for a target, given back, or retired for good, with a mark that outlives a restart. Private to the collection.

A frozen PEC is stopped while its PostgreSQL stays up. Its unit stays enabled, so that a source which restarts while nobody looks serves
again; what it then writes shows in its transactions.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import cast

from ansible_collections.esus.pec.plugins.module_utils import beliefs
from ansible_collections.esus.pec.plugins.module_utils.dump import json_fields, manifest
from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.pec import installation
from ansible_collections.esus.pec.plugins.module_utils.postgres import fingerprints, psql
from ansible_collections.esus.pec.plugins.module_utils.postgres.fingerprints import Fingerprint
from ansible_collections.esus.pec.plugins.module_utils.postgres.psql import Connection
from ansible_collections.esus.pec.plugins.module_utils.postgres.session import CLIENTS
from ansible_collections.esus.pec.plugins.module_utils.system import clock, files, host, locks, systemd

DIRECTORY = "/var/lib/esus-pec"
MARK = f"{DIRECTORY}/transfer-source.json"
SERVING, FROZEN, RETIRED = "serving", "frozen", "retired"
NO, MAYBE, YES = "no", "maybe", "yes"
"""Whether something was written since the freeze. Also a clean-up by the server itself takes a number of a transaction."""

_PAUSE = 1.0
_READS_ONLY = ("pg_dump",)
_LOOK_SQL = f"""
select json_build_object(
  'transaction', txid_snapshot_xmax(txid_current_snapshot()),
  'sessions', (
    select coalesce(json_agg(json_build_object(
      'pid', pid, 'role', usename, 'application', left(coalesce(application_name, ''), 64), 'address', coalesce(host(client_addr), ''),
      'since', to_char(backend_start at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')
    ) order by pid), '[]'::json)
    from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid() and {CLIENTS}
  )
)
"""  # txid_current_snapshot() itself takes no number of a transaction


@dataclass(frozen=True)
class Unit:
    """How a unit was before the freeze."""

    active: bool
    enabled: bool


@dataclass(frozen=True)
class Mark:
    """What a source records of its freeze. C(last_transaction) is None while the freeze has not succeeded yet."""

    state: str
    target: str
    at: str
    units: Mapping[str, Unit]
    database: str = ""
    system_identifier: str = ""
    last_transaction: int | None = None


@dataclass(frozen=True)
class Session:
    """A session in PEC's database."""

    pid: int
    role: str
    application: str
    address: str
    since: str | None

    def __str__(self) -> str:
        origin = f" from {self.address}" if self.address else ""
        return f"{self.application or 'a program without a name'}{origin} as {self.role!r} (process {self.pid}, since {self.since})"


@dataclass(frozen=True)
class Seen:
    """The database at one moment: the number that its next transaction gets, PEC's sessions, and those of others."""

    transaction: int
    ours: tuple[Session, ...]
    others: tuple[Session, ...]


@dataclass(frozen=True)
class Wanted:
    """What is asked for. C(fingerprint) is one of the frozen database; C(timeout) is in seconds."""

    target: str
    timeout: float
    force: bool = False
    fingerprint: Fingerprint | None = None


@dataclass(frozen=True)
class Outcome:
    """The state that was reached. C(written_since) compares with an earlier freeze for the same target; None without one."""

    changed: bool
    mark: Mark | None
    written_since: str | None = None
    transaction: int | None = None
    notes: tuple[str, ...] = ()


def freeze(wanted: Wanted, *, check: bool = False, path: str = MARK) -> Outcome:
    """Stop PEC and record its last transaction. Raises PecError if PEC does not stop; it is then started again."""
    here = installation.discover()
    conn = installation.connection(here)
    before = owned(read(path), wanted)
    units = systemd.units((beliefs.PEC_UNIT, beliefs.DATABASE_UNIT))
    running = units[beliefs.PEC_UNIT].active_state not in systemd.STOPPED
    frozen = before is not None and before.last_transaction is not None and not running
    if check and not frozen:
        return Outcome(True, before, transaction=look(conn).transaction)
    with locks.lock(locks.INSTALLER, run=f"a freeze of PEC for {wanted.target}"):
        mark = before or Mark(FROZEN, wanted.target, clock.utc(), _units(units))
        if not frozen and not check:
            write(replace(mark, state=FROZEN, target=wanted.target), path)  # a killed run has told how PEC was before
        try:
            if running:
                systemd.systemctl("stop", beliefs.PEC_UNIT, timeout=wanted.timeout)
            seen = quiet(conn, wanted.timeout)
            _require_closed(here)
        except BaseException as error:
            back = _back(running, before, path) if not check else ""
            if isinstance(error, PecError):
                raise PecError(f"PEC was not frozen: {error}{back}") from None
            raise
        written = written_since(before, seen.transaction, conn, wanted.fingerprint)
        after = frozen_mark(mark, wanted.target, conn, seen.transaction, again=written in (None, YES) or (running and written == MAYBE))
        if after != before and not check:
            write(after, path)
    return Outcome(running or after != before, after, written, seen.transaction, notes_on(seen))


def thaw(target: str, *, force: bool = False, check: bool = False, path: str = MARK) -> Outcome:
    """Give PEC back as it was before the freeze. Without a mark there is nothing to do."""
    mark = read(path)
    if mark is None:
        return Outcome(False, None)
    if target:
        owned(mark, Wanted(target, 0, force))
    if not check:
        with locks.lock(locks.INSTALLER, run="the end of a freeze of PEC"):
            _as_before(mark)
            files.unlink(path)
    return Outcome(True, None)


def retire(target: str, *, force: bool = False, check: bool = False, path: str = MARK) -> Outcome:
    """Stop and disable PEC's units. Nothing is deleted. Raises PecError if PEC was not frozen for this target, or was started since."""
    mark = owned(read(path), Wanted(target, 0, force))
    if mark is None or (mark.last_transaction is None and mark.state != RETIRED):
        raise PecError("PEC is not frozen, so nobody knows its last transaction; freeze it first, move it, and then retire it")
    units = systemd.units((beliefs.PEC_UNIT, beliefs.DATABASE_UNIT))
    if units[beliefs.PEC_UNIT].active_state not in systemd.STOPPED:
        raise PecError(
            f"{beliefs.PEC_UNIT} was started since the freeze, so it may have been written to; freeze it again and move it again"
        )
    stop = [name for name, unit in units.items() if unit.active_state not in systemd.STOPPED]
    disable = [name for name, unit in units.items() if unit.enabled]
    after = replace(mark, state=RETIRED, target=target, at=mark.at if mark.state == RETIRED else clock.utc())
    changed = bool(stop or disable or after != mark)
    if changed and not check:
        with locks.lock(locks.INSTALLER, run="the end of PEC's service here"):
            write(after, path)
            for verb, names in (("disable", disable), ("stop", stop)):
                for name in names:
                    systemd.systemctl(verb, name)
    return Outcome(changed, after)


def look(conn: Connection) -> Seen:
    """Return what happens in the database now."""
    found = psql.query(conn, _LOOK_SQL)
    if not isinstance(found, dict):
        raise PecError(f"{psql.describe(conn)}: the answer of the server is not understood")
    sessions = [Session(**each) for each in cast("list[Mapping[str, object]]", found["sessions"])]  # type: ignore[arg-type]
    ours = tuple(each for each in sessions if each.role == conn.username and each.application not in _READS_ONLY)
    return Seen(int(str(found["transaction"])), ours, tuple(each for each in sessions if each not in ours))


def quiet(conn: Connection, timeout: float) -> Seen:
    """Wait until no session of PEC is left. Raises PecError with those that are."""
    deadline = time.monotonic() + timeout
    while True:
        seen = look(conn)
        if not seen.ours:
            return seen
        if time.monotonic() > deadline:
            raise PecError(
                f"{len(seen.ours)} sessions are still in {psql.describe(conn)}: {', '.join(map(str, seen.ours[:5]))}; "
                "end these programs on their hosts, because they may write"
            )
        time.sleep(_PAUSE)


def written_since(before: Mark | None, transaction: int, conn: Connection, fingerprint: Fingerprint | None) -> str | None:
    """Return whether something was written since an earlier freeze; None without one. Only a fingerprint of it proves more than the number.

    Raises PecError if the rows cannot be read.
    """
    if before is None or before.last_transaction is None:
        return None
    if before.last_transaction == transaction:
        return NO
    if fingerprint is None:
        return MAYBE
    clients = psql.find_clients("psql")
    if not clients:
        raise PecError("no psql on this host is root's alone; install the PostgreSQL client (Debian: postgresql-client)")
    now = fingerprints.read_fingerprint(conn, clients[0].path, fingerprint.method, jobs=host.processors())
    added = [name for name in now.tables if name not in fingerprint.tables and name not in fingerprint.unproven]
    return YES if added or fingerprints.compare_fingerprints(fingerprint, now) else NO


def notes_on(seen: Seen) -> tuple[str, ...]:
    """What an operator should know of other sessions: a program with another role may write too."""
    return tuple(f"another session is in PEC's database: {each}" for each in seen.others)


def fingerprint_from(option: object) -> Fingerprint | None:
    """Return the fingerprint in an option, in the form of a dump's manifest."""
    if not option:
        return None
    try:
        return cast(Fingerprint, json_fields.record(Fingerprint, manifest.FINGERPRINT, option))
    except (ValueError, TypeError) as error:
        raise PecError(f"fingerprint: {error}; give the fingerprint of a dump's manifest or of esus.pec.transfer_database") from None


def read(path: str = MARK) -> Mark | None:
    """Return the mark; None if PEC was never frozen. Raises PecError if it is damaged."""
    if not os.path.lexists(path):
        return None
    data = files.read_bytes(path)
    try:
        content = json.loads(data)
        units = {str(name): Unit(each["active"] is True, each["enabled"] is True) for name, each in content["units"].items()}
        last = content["last_transaction"]
        texts = {name: content[name] for name in ("state", "target", "at", "database", "system_identifier")}
        if texts["state"] not in (FROZEN, RETIRED) or not all(isinstance(text, str) for text in texts.values()):
            raise ValueError
        clock.parse(texts["at"])
        return Mark(units=units, last_transaction=None if last is None else int(last), **texts)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError, PecError):
        raise PecError(
            f"{path} is damaged, so nobody knows how PEC was before its freeze; start PEC by hand (systemctl enable --now "
            f"{beliefs.PEC_UNIT}) if it is to serve here, then remove the file"
        ) from None


def owned(mark: Mark | None, wanted: Wanted) -> Mark | None:
    """Return the mark if it is this target's, or if another one's is to be ignored."""
    if mark is not None and mark.target != wanted.target and not wanted.force:
        what = "frozen for" if mark.state == FROZEN else "retired to"
        raise PecError(
            f"PEC here has been {what} the target {mark.target!r} since {mark.at}, and {wanted.target!r} asks now; end that transfer, "
            "or set force: true if it was given up"
        )
    return mark


def frozen_mark(mark: Mark, target: str, conn: Connection, transaction: int, *, again: bool) -> Mark:
    """The mark of a freeze that succeeded. C(again): the earlier one no longer counts."""
    if mark.last_transaction is not None and not again:
        return replace(mark, state=FROZEN, target=target)
    return Mark(FROZEN, target, clock.utc(), mark.units, conn.database, psql.cluster(conn), transaction)


def _units(units: Mapping[str, systemd.Unit]) -> dict[str, Unit]:
    present = {name: unit for name, unit in units.items() if unit.load_state not in (None, "not-found")}
    return {name: Unit(unit.active_state not in systemd.STOPPED, bool(unit.enabled)) for name, unit in present.items()}


def _require_closed(here: installation.Installation) -> None:
    """PEC may run without its unit, as where somebody started it by hand."""
    listeners = host.listeners()
    for port in here.ports:
        found = listeners.get(port)
        if found is not None and (found.process == "java" or (not found.process and "java" in (*found.possible, "java"))):
            raise PecError(
                f"{found.process or 'a process that cannot be seen'} still listens on port {port} of PEC, although {beliefs.PEC_UNIT} is "
                "stopped; end that process"
            )


def _back(running: bool, before: Mark | None, path: str) -> str:
    """Start PEC again after a freeze that failed, and return the result as the end of a sentence."""
    if running:
        try:
            systemd.systemctl("start", beliefs.PEC_UNIT)
        except PecError as error:
            return f". PEC is stopped and could not be started again: {error}"
    if before is None:
        files.unlink(path)
    return ". PEC was started again" if running else ""


def _as_before(mark: Mark) -> None:
    """PEC's unit is the last, because it requires its database."""
    for name in (beliefs.DATABASE_UNIT, beliefs.PEC_UNIT):
        unit = mark.units.get(name)
        if unit and unit.enabled:
            systemd.systemctl("enable", name)
        if unit and unit.active:
            systemd.systemctl("start", name)


def write(mark: Mark, path: str) -> None:
    """Write the mark, for root alone."""
    directory = os.path.dirname(path)
    if directory == DIRECTORY and not os.path.isdir(directory):
        files.keep_directory(directory, mode=0o755, uid=-1, gid=-1)  # other accounts have directories of their own in it
    files.make_private(directory)
    files.write_atomic(path, json.dumps(asdict(mark), ensure_ascii=False, indent=1).encode() + b"\n", mode=0o600, uid=os.getuid())
