# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading PEC's settings, and bringing them to what is wanted."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Mapping

from ansible_collections.esus.pec.plugins.module_utils import beliefs
from ansible_collections.esus.pec.plugins.module_utils.api.client import PecApiError, PecUnreachableError
from ansible_collections.esus.pec.plugins.module_utils.api.operations import Operation, Read, Row, Setting
from ansible_collections.esus.pec.plugins.module_utils.api.session import LoginError, Session
from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.pec import contra_chave
from ansible_collections.esus.pec.plugins.module_utils.pec.installation import Installation
from ansible_collections.esus.pec.plugins.module_utils.redact import Redactor
from ansible_collections.esus.pec.plugins.module_utils.settings import planning, table
from ansible_collections.esus.pec.plugins.module_utils.settings.planning import Obstacle, Outcome, Plan, Reading, World
from ansible_collections.esus.pec.plugins.module_utils.system import remembered

_INFO_INTERNET, _INFO_SMTP, _INFO_GOVBR = "internetHabilitada", "smtpConfigurado", "govBREnabled"
_BOOLEANS = {1: True, 0: False, "1": True, "0": False, "true": True, "false": False}  # 1 and 0 are also True and False
_DUMMY = "-"  # in place of a secret, where PEC only checks

Wanted = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True)
class Pec:
    """One PEC: its files on this host, the instalador's session, and the settings that are known.

    C(wait) is in seconds. C(database) tells its database from another one, C(notes) is the file of what this host sent.
    """

    here: Installation
    session: Session
    known: Mapping[str, Setting]
    database_writes: bool
    wait: float
    database: str
    notes: str = remembered.SENT

    def look(self, wanted: Wanted) -> tuple[Plan, dict[str, Operation | Row]]:
        """Read what is there and decide. Also returns what writes each setting that is to be written, in the form that this PEC takes."""
        info = self._info(wanted)
        world = World(
            readings=self.read(wanted, info),
            version=self.here.version or "",
            present=frozenset(self._present(info)),
            link=self._link(info),
            kept=frozenset(name for name, fields in wanted.items() if self._kept(self.known[name], fields)),
            database_writes=self.database_writes,
        )
        # What cannot be written changes what stands on it, which has to be looked at, too.
        checked: dict[str, Operation | Row | Obstacle] = {}
        while True:
            obstacles = {name: found for name, found in checked.items() if isinstance(found, Obstacle)}
            plan = planning.plan(wanted, self.known, replace(world, obstacles=obstacles))
            unchecked = [name for name in plan.writes if name not in checked]
            if not unchecked:
                return plan, {name: found for name, found in checked.items() if name in plan.writes and not isinstance(found, Obstacle)}
            checked.update({name: self._checked(self.known[name], wanted[name]) for name in unchecked})

    def read(self, wanted: Wanted, info: Mapping[str, object]) -> dict[str, Reading]:
        answers: dict[str, object] = {}
        return {name: self._read(self.known[name], info, answers) for name in wanted}

    def apply(self, wanted: Wanted, plan: Plan, writers: Mapping[str, Operation | Row]) -> tuple[tuple[Outcome, ...], str]:
        """Write what is planned and read it again. Returns how each setting really ended, and what broke the run off, if something did."""
        ended = {outcome.setting: outcome for outcome in plan.outcomes}
        # Nothing is known yet of what is to be written.
        pending = {name: ended[name].left(planning.INTERRUPTED, "the run ended before it was written") for name in plan.writes}
        problem = ""
        try:
            self._write_rows(wanted, {name: row for name, row in writers.items() if isinstance(row, Row)}, pending)
            for name in plan.writes:
                writer = writers[name]
                if isinstance(writer, Operation):
                    pending[name] = self._write(self.known[name], writer, wanted[name], pending)
            self._confirm(wanted, pending)
        except _UnreachedError as error:
            pending[error.outcome.setting] = error.outcome
            problem = str(error)
        except PecError as error:
            problem = str(error)
        return tuple({**ended, **pending}.values()), self._redacted(wanted, problem)

    def _write(self, setting: Setting, operation: Operation, fields: Mapping[str, Any], pending: Mapping[str, Outcome]) -> Outcome:
        outcome = pending[setting.name]
        missing = [name for name in setting.requires if self._is_lost(name, pending)] if fields.get("enabled") else []
        if missing:
            return planning.without(outcome, missing)
        if setting.unread:
            remembered.forget(self.notes, setting.name)  # until PEC has told that it took the new ones
        try:
            self.session.execute(operation, self._values(setting, fields, self._contra_chave))
        except LoginError:
            raise
        except PecUnreachableError as error:
            raise _UnreachedError(error, outcome if error.not_done else _sent(outcome)) from None
        except PecApiError as error:
            return self._refused(outcome, {setting.name: fields}, error.message or str(error)) if error.not_done else _sent(outcome)
        except PecError as error:
            return self._refused(outcome, {setting.name: fields}, str(error))
        return _sent(outcome)

    def _is_lost(self, prerequisite: str, pending: Mapping[str, Outcome]) -> bool:
        """Whether what was to be there by now is not."""
        if prerequisite == "https":
            return "link_instalacao" in pending and not self._own_https() and not self._link(self._info({})).startswith("https://")
        other = pending.get(prerequisite)
        failed = other is not None and other.reason_code in (planning.REFUSED, planning.PREREQUISITE)
        return failed and other is not None and other.before.get("enabled") is False

    def _write_rows(self, wanted: Wanted, rows: Mapping[str, Row], pending: dict[str, Outcome]) -> None:
        """All in one transaction while PEC is stopped."""
        if not rows or self.here.connection is None:
            return
        cells = [table.Cell(row.key, row.column, next(iter(wanted[name].values()))) for name, row in rows.items()]
        try:
            with table.pec_stopped(self.here, self.wait):
                try:
                    table.write(self.here.connection, cells)
                except PecError as error:  # PEC has to come back in any case, and the other settings may be possible
                    pending.update({name: self._refused(pending[name], {}, str(error)) for name in rows})
                else:
                    pending.update({name: _sent(pending[name]) for name in rows})
        except table.NotStoppedError as error:
            pending.update({name: self._refused(pending[name], {}, str(error)) for name in rows})

    def _confirm(self, wanted: Wanted, pending: dict[str, Outcome]) -> None:
        """Ask again for everything that was sent."""
        sent = {name: wanted[name] for name, outcome in pending.items() if outcome.changed}
        readings = self.read(sent, self._info(sent)) if sent else {}
        for name, reading in readings.items():
            setting, outcome = self.known[name], pending[name]
            left = planning.differences(setting, wanted[name], reading, kept=True)
            if not left and not reading.problem:
                self._keep(setting, wanted[name])
                pending[name] = planning.confirmed(replace(outcome, reason_code="", reason=""), setting)
                continue
            told = {key: value for key, (value, _wanted) in left.items() if key in setting.read.values}
            said = ", ".join(f"{key}: {planning.shown(setting, key, value)}" for key, value in told.items()) or reading.said
            reason = f"it was sent, and PEC does not confirm it: it tells {said or reading.problem}; look at the screen"
            pending[name] = outcome.left(planning.UNCONFIRMED, reason, said=said, changed=True)

    def _checked(self, setting: Setting, fields: Mapping[str, Any]) -> Operation | Row | Obstacle:
        """Let PEC check an operation without doing it, so that a check mode knows what a run would find out."""
        writer = setting.writer(fields)
        try:
            if isinstance(writer, Row):
                problem = table.obstacle(self.here.connection, writer.key)
                return Obstacle(planning.REFUSED, problem) if problem else writer
            shown = {key: _DUMMY if setting.is_secret(key) else value for key, value in fields.items()}
            return self.session.understood(writer, self._values(setting, shown, _DUMMY))
        except (PecUnreachableError, LoginError):
            raise
        except PecError as error:
            return _obstacle(error)

    def _info(self, wanted: Wanted) -> dict[str, object]:
        """What PEC tells everybody, as far as these settings and what they stand on want it."""
        reads = [self.known[name].read for name in {*wanted, "link_instalacao"}]
        fields = {value for read in reads if read.source == "info" for value in read.values.values()}
        return self.session.client.info(sorted(fields | {_INFO_INTERNET, _INFO_SMTP, _INFO_GOVBR}))

    def _read(self, setting: Setting, info: Mapping[str, object], answers: dict[str, object]) -> Reading:
        values: dict[str, object] = {}
        try:
            for field, place in setting.read.values.items():
                value = self._value(setting.read, place, info, answers)
                values[field] = _typed(value, setting, field)
        except (PecUnreachableError, LoginError):
            raise
        except PecApiError as error:
            code = planning.UNKNOWN if error.unknown else planning.UNREADABLE
            said = error.message or str(error)
            return Reading(code=code, problem=f"PEC does not tell it: {said}; {planning.CORRECT}", said=said)
        except PecError as error:
            return Reading(code=planning.UNREADABLE, problem=f"{error}; {planning.CORRECT}")
        return Reading(values)

    def _value(self, read: Read, place: str, info: Mapping[str, object], answers: dict[str, object]) -> object:
        if read.source == "info":
            return info.get(place)
        if not isinstance(read.source, Operation):
            if self.here.connection is None:
                raise PecError("the database of PEC is not known on this host")
            return table.read(self.here.connection, place)
        if read.source.document not in answers:
            answers[read.source.document] = self.session.execute(read.source)
        value: object = answers[read.source.document]
        for part in place.split("."):
            value = value.get(part) if isinstance(value, dict) else None
        return value

    def _present(self, info: Mapping[str, object]) -> list[str]:
        keys = [path for path in self.here.certificates if f"/{beliefs.KEYS_DIRECTORY}/" in path]
        found = {
            "internet": info.get(_INFO_INTERNET) is not False,
            "smtp": info.get(_INFO_SMTP) is True,
            "govbr": info.get(_INFO_GOVBR) is True,
            "https": self._own_https(),
            "certificate": any(path.lower().endswith(beliefs.CERTIFICATE_SUFFIXES) for path in keys),
            "contra_chave": self._contra_chave is not None,
        }
        return [name for name, there in found.items() if there]

    def _own_https(self) -> bool:
        return self.here.https.mode != "none" or self.session.client.server.url.startswith("https://")

    def _link(self, info: Mapping[str, object]) -> str:
        """Of a proxy before PEC only its link tells."""
        return str(self._read(self.known["link_instalacao"], info, {}).values.get("value") or "")

    @cached_property
    def _contra_chave(self) -> str | None:
        try:
            found = [entry.contra_chave for entry in contra_chave.read() if entry.purpose == "agendamento"]
        except PecError:
            return None  # esus.pec.contra_chave says what is wrong with its file
        return found[0] if len(found) == 1 else None

    def _values(self, setting: Setting, fields: Mapping[str, Any], contra_chave: str | None) -> dict[str, object]:
        return {**{field: fields.get(field) for field in setting.fields}, "contra_chave": contra_chave}

    def _kept(self, setting: Setting, fields: Mapping[str, Any]) -> bool:
        if not setting.unread or not self.database:
            return False
        return remembered.find(self.notes, setting.name, self._note(setting, fields), self.database) is not None

    def _keep(self, setting: Setting, fields: Mapping[str, Any]) -> None:
        if setting.unread and fields.get("enabled", True):
            remembered.add(self.notes, setting.name, self._note(setting, fields), self.database, only=True)
        elif setting.unread:
            remembered.forget(self.notes, setting.name)

    def _note(self, setting: Setting, fields: Mapping[str, Any]) -> str:
        """What was sent of the fields that nothing reads, and by what: a corrected operation may send something else."""
        writer = setting.writer(fields)
        by = [writer.document, writer.variables] if isinstance(writer, Operation) else []
        return json.dumps([by, {field: fields.get(field) for field in setting.unread}], sort_keys=True)

    def _refused(self, outcome: Outcome, wanted: Wanted, said: str) -> Outcome:
        said = self._redacted(wanted, said)
        return outcome.left(planning.REFUSED, f"it was refused: {said}", said=said)

    def _redacted(self, wanted: Wanted, text: str) -> str:
        secrets = [str(value) for name, fields in wanted.items() for field, value in fields.items() if self.known[name].is_secret(field)]
        return Redactor([*secrets, self._contra_chave or ""], only_known=True)(text)


class _UnreachedError(PecError):
    """PEC was not reached any more; C(outcome) is what became of the setting that was being written."""

    def __init__(self, error: PecError, outcome: Outcome) -> None:
        super().__init__(str(error))
        self.outcome = outcome


def _sent(outcome: Outcome) -> Outcome:
    """What becomes of it if the run ends before PEC is asked again."""
    reason = "it was sent, and the run ended before PEC could be asked again; look at the screen"
    return outcome.left(planning.INTERRUPTED, reason, changed=True)


def _obstacle(error: PecError) -> Obstacle:
    said = (error.message if isinstance(error, PecApiError) else "") or str(error)
    if isinstance(error, PecApiError) and error.unknown:
        return Obstacle(planning.UNKNOWN, f"PEC does not take the operation that would set it: {said}; {planning.CORRECT}", said)
    return Obstacle(planning.REFUSED, f"it was refused when it was only checked: {said}", said)


def _typed(value: object, setting: Setting, field: str) -> object:
    """PEC's value as the setting has it. Raises PecError for one that cannot be it."""
    kind = setting.fields[field]["type"]
    if kind == "bool" and isinstance(value, (bool, int, str)) and value in _BOOLEANS:
        return _BOOLEANS[value]
    if kind == "int" and isinstance(value, (int, str)) and not isinstance(value, bool) and str(value).isdecimal():
        return int(value)
    if kind == "str" and isinstance(value, str):
        return value
    if value is None and kind != "bool":
        return None
    told = "nothing" if value is None else repr(planning.shown(setting, field, value))
    raise PecError(f"what PEC has for {setting.name}.{field} is not known: it tells {told}")
