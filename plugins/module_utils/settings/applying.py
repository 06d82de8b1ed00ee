# SPDX-License-Identifier: GPL-3.0-or-later
"""Brings PEC's settings to what is wanted: what PEC accepts of it, then the writing, then the proof. Private to the collection."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from ansible_collections.esus.pec.plugins.module_utils.api.client import PecApiError, PecUnreachableError
from ansible_collections.esus.pec.plugins.module_utils.api.operations import Operation, Row, Setting
from ansible_collections.esus.pec.plugins.module_utils.api.session import LoginError
from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.redact import Redactor
from ansible_collections.esus.pec.plugins.module_utils.settings import planning, table
from ansible_collections.esus.pec.plugins.module_utils.settings.planning import Obstacle, Outcome, Plan, Wanted, World, Writer
from ansible_collections.esus.pec.plugins.module_utils.settings.reading import LINK, Reader
from ansible_collections.esus.pec.plugins.module_utils.settings.sent import Sent

_DUMMY = "-"  # in place of a secret that PEC only validates


@dataclass(frozen=True)
class Pec:
    """One PEC whose settings are wanted. C(wait) is in seconds, for a PEC that starts again."""

    reader: Reader
    sent: Sent
    wait: float

    def plan(self, wanted: Wanted, database_writes: bool) -> Plan:
        """Read what PEC has and decide. Raises PecError without a session, or without an answer."""
        reader, known = self.reader, self.reader.known
        info = reader.info(wanted)
        world = World(
            readings=reader.readings(wanted, info),
            version=reader.here.version or "",
            present=reader.present(info),
            link=reader.link(info),
            kept=frozenset(name for name, fields in wanted.items() if self.sent.holds(known[name], fields)),
            database_writes=database_writes,
        )
        return planning.plan(wanted, known, world, self._check)

    def apply(self, wanted: Wanted, plan: Plan) -> tuple[tuple[Outcome, ...], str]:
        """Write what is planned and read it again. Returns how each setting really ended, and what interrupted the run, if anything."""
        writing, problem = _Writing(self, wanted, plan), ""
        try:
            writing.write_rows()
            writing.execute_operations()
            writing.confirm()
        except PecError as error:
            problem = writing.clean(str(error), wanted)
        return tuple(writing.outcomes.values()), problem

    def _check(self, setting: Setting, fields: Mapping[str, Any]) -> Obstacle | Writer:
        """Let PEC validate an operation without executing it, so that check mode knows what a run would find out."""
        writer = setting.writer(fields)
        try:
            if isinstance(writer, Row):
                problem = table.obstacle(self.reader.here.connection, writer.key)
                return Obstacle(planning.REFUSED, problem) if problem else writer
            shown = {key: _DUMMY if setting.is_secret(key) else value for key, value in fields.items()}
            return self.reader.session.understood(writer, _values(setting, shown, _DUMMY))
        except (PecUnreachableError, LoginError):
            raise
        except PecError as error:
            said = (error.message if isinstance(error, PecApiError) else "") or str(error)
            if isinstance(error, PecApiError) and error.unknown:
                return Obstacle(planning.UNKNOWN, f"PEC does not accept the operation that would set it: {said}; {planning.CORRECT}", said)
            return Obstacle(planning.REFUSED, f"PEC rejected it during validation: {said}", said)


class _Writing:
    """The writing of one plan. C(outcomes) says at any moment how each setting ends if the run is interrupted here."""

    def __init__(self, pec: Pec, wanted: Wanted, plan: Plan) -> None:
        self._pec, self._reader, self._known = pec, pec.reader, pec.reader.known
        self._wanted, self._writers = wanted, plan.writers
        self.outcomes = {outcome.setting: outcome for outcome in plan.outcomes}
        for name in self._writers:
            self.outcomes[name] = self.outcomes[name].left(planning.INTERRUPTED, "the run ended before it was written")

    def write_rows(self) -> None:
        """Write all cells of PEC's table in one transaction while PEC is stopped."""
        rows = {name: writer for name, writer in self._writers.items() if isinstance(writer, Row)}
        if not rows or self._reader.here.connection is None:
            return
        cells = [table.Cell(row.key, row.column, next(iter(self._wanted[name].values()))) for name, row in rows.items()]
        try:
            with table.pec_stopped(self._reader.here, self._pec.wait):
                try:
                    table.write(self._reader.here.connection, cells)
                except PecError as error:  # PEC starts again in any case, and the other settings may be possible
                    self._refused(rows, str(error))
                else:
                    for name in rows:
                        self._sent(name)
        except table.NotStoppedError as error:
            self._refused(rows, str(error))

    def execute_operations(self) -> None:
        """Send the operations in the order of the settings. Raises PecError if PEC is lost, or its session."""
        for name, writer in self._writers.items():
            if isinstance(writer, Operation):
                lost = [each for each in self._known[name].requires if self._is_lost(each)] if self._wanted[name].get("enabled") else []
                if lost:
                    self.outcomes[name] = self.outcomes[name].left_for(planning.lacking(lost))
                else:
                    self._execute(name, writer)

    def confirm(self) -> None:
        """Read everything again that was sent."""
        sent = {name: self._wanted[name] for name, outcome in self.outcomes.items() if outcome.changed}
        readings = self._reader.readings(sent, self._reader.info(sent)) if sent else {}
        for name, reading in readings.items():
            setting, outcome = self._known[name], self.outcomes[name]
            different = planning.differences(setting, sent[name], reading, kept=True)
            if not different and not reading.problem:
                self._pec.sent.keep(setting, sent[name])
                self.outcomes[name] = planning.confirmed(replace(outcome, reason_code="", reason=""), setting)
                continue
            found = {key: planning.shown(setting, key, value) for key, (value, _wanted) in different.items() if key in setting.read.values}
            said = ", ".join(f"{key}: {value}" for key, value in found.items()) or reading.said
            reason = f"it was sent and PEC does not confirm it: it reports {said or reading.problem}; look at the screen"
            self.outcomes[name] = outcome.left(planning.UNCONFIRMED, reason, said=said, changed=True)

    def clean(self, text: str, names: Iterable[str]) -> str:
        """The text without the secrets of these settings."""
        secrets = [str(value) for name in names for key, value in self._wanted[name].items() if self._known[name].is_secret(key)]
        return Redactor([*secrets, self._reader.contra_chave or ""], only_known=True)(text)

    def _execute(self, name: str, operation: Operation) -> None:
        setting, fields = self._known[name], self._wanted[name]
        self._pec.sent.forget(setting)  # until PEC has confirmed the new ones
        try:
            self._reader.session.execute(operation, _values(setting, fields, self._reader.contra_chave))
        except LoginError:
            raise
        except PecUnreachableError as error:
            if not error.not_done:
                self._sent(name)
            raise
        except PecError as error:
            if isinstance(error, PecApiError) and not error.not_done:
                self._sent(name)
            else:
                self._refused([name], (error.message if isinstance(error, PecApiError) else "") or str(error))
        else:
            self._sent(name)

    def _is_lost(self, prerequisite: str) -> bool:
        """True if the prerequisite was to be written by now and is not."""
        if prerequisite == "https":
            reader = self._reader
            return LINK in self._writers and not reader.own_https and not reader.link(reader.info(())).startswith("https://")
        other = self.outcomes.get(prerequisite)
        failed = other is not None and prerequisite in self._writers and other.reason_code in (planning.REFUSED, planning.PREREQUISITE)
        return failed and other is not None and other.before.get("enabled") is False

    def _sent(self, name: str) -> None:
        reason = "it was sent, and the run ended before PEC could be asked again; look at the screen"
        self.outcomes[name] = self.outcomes[name].left(planning.INTERRUPTED, reason, changed=True)

    def _refused(self, names: Iterable[str], said: str) -> None:
        for name in names:
            cleaned = self.clean(said, [name])
            self.outcomes[name] = self.outcomes[name].left(planning.REFUSED, f"it was refused: {cleaned}", said=cleaned)


def _values(setting: Setting, fields: Mapping[str, Any], contra_chave: str | None) -> dict[str, object]:
    """The values of the placeholders in a setting's operation."""
    return {**{key: fields.get(key) for key in setting.fields}, "contra_chave": contra_chave}
