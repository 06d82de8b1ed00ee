# SPDX-License-Identifier: GPL-3.0-or-later
"""PEC at a source where nothing can be run: a person stops it, and this host sees by SSH that it is stopped. Private to the collection.

The mark is on this host.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.postgres import psql
from ansible_collections.esus.pec.plugins.module_utils.postgres.psql import Connection
from ansible_collections.esus.pec.plugins.module_utils.system import clock, files
from ansible_collections.esus.pec.plugins.module_utils.transfer import link, service
from ansible_collections.esus.pec.plugins.module_utils.transfer.link import Ssh
from ansible_collections.esus.pec.plugins.module_utils.transfer.service import MAYBE, YES, Mark, Outcome, Seen, Wanted

MARK = f"{service.DIRECTORY}/transfer/source.json"
_PAUSE = 2.0


@dataclass(frozen=True)
class Source:
    """The server: the way to it, and the ports of its PEC."""

    ssh: Ssh
    ports: Sequence[int]


def freeze(source: Source, connection: Connection, wanted: Wanted, *, check: bool = False, path: str = MARK) -> Outcome:
    """Wait until PEC is stopped, and record its last transaction. Raises PecError with what still runs.

    C(connection) is its database as seen from the source.
    """
    before = service.owned(service.read(path), wanted)
    with link.reached(connection, source.ssh) as conn:
        if check:
            seen = service.look(conn)
            done = before is not None and not seen.ours
            return Outcome(not done, before, transaction=seen.transaction, notes=service.notes_on(seen))
        seen, unknown = _stopped(source, conn, wanted.timeout)
        written = service.written_since(before, seen.transaction, conn, wanted.fingerprint)
        if before and before.last_transaction is not None and written not in (None, YES):
            after = replace(before, state=service.FROZEN, target=wanted.target)
        else:
            after = Mark(service.FROZEN, wanted.target, clock.utc(), {}, conn.database, psql.cluster(conn), seen.transaction)
    if after != before:
        service.write(after, path)
    notes = [
        f"the source does not let its port {port} be asked, so only sessions in the database show that PEC is stopped" for port in unknown
    ]
    if written == MAYBE:
        notes.append("there were transactions since the freeze; only a fingerprint shows whether something was written")
    return Outcome(after != before, after, written, seen.transaction, (*service.notes_on(seen), *notes))


def thaw(target: str, *, force: bool = False, check: bool = False, path: str = MARK) -> Outcome:
    """Forget the freeze; a person starts PEC."""
    mark = service.read(path)
    if mark is None:
        return Outcome(False, None)
    if target:
        service.owned(mark, Wanted(target, 0, force))
    if not check:
        files.unlink(path)
    return Outcome(True, None)


def retire(source: Source, target: str, *, force: bool = False, check: bool = False, path: str = MARK) -> Outcome:
    """Record that PEC is replaced; a person disables it. Raises PecError if it was not frozen, or was started since."""
    mark = service.owned(service.read(path), Wanted(target, 0, force))
    if mark is None:
        raise PecError("PEC is not frozen, so nobody knows its last transaction; freeze it first, move it, and then retire it")
    running = [port for port in source.ports if link.listens(source.ssh, port)]
    if running:
        raise PecError(f"port {running[0]} of PEC at the source is open, so it was started since the freeze; freeze it and move it again")
    after = mark if mark.state == service.RETIRED else replace(mark, state=service.RETIRED, target=target, at=clock.utc())
    if after != mark and not check:
        service.write(after, path)
    return Outcome(after != mark, after)


def _stopped(source: Source, conn: Connection, timeout: float) -> tuple[Seen, list[int]]:
    """Wait until the ports are closed and no session of PEC is left; return the ports that nobody may ask."""
    deadline = time.monotonic() + timeout
    while True:
        answers = {port: link.listens(source.ssh, port) for port in source.ports}
        seen = service.look(conn)
        opened = [port for port, answer in answers.items() if answer]
        if not opened and not seen.ours:
            return seen, [port for port, answer in answers.items() if answer is None]
        if time.monotonic() > deadline:
            still = [f"port {port} is open" for port in opened]
            still += [f"a session is in its database: {each}" for each in seen.ours[:5]]
            raise PecError(f"PEC at the source still runs after {timeout:g} seconds ({'; '.join(still)}); stop it there, then run again")
        time.sleep(_PAUSE)
