# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading PEC's settings, and bringing them to what is wanted."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from ansible_collections.esus.pec.plugins.module_utils import beliefs, contra_chave, secret_notes, settings, settings_database
from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.installation import Installation
from ansible_collections.esus.pec.plugins.module_utils.installer_output import Redactor
from ansible_collections.esus.pec.plugins.module_utils.pec_api import PecApiError, PecUnreachableError
from ansible_collections.esus.pec.plugins.module_utils.pec_operations import Operation, Read, Row, Setting
from ansible_collections.esus.pec.plugins.module_utils.pec_session import LoginError, Session
from ansible_collections.esus.pec.plugins.module_utils.settings import Outcome, Plan, Reading, World

_INFO_INTERNET, _INFO_SMTP, _INFO_GOVBR = "internetHabilitada", "smtpConfigurado", "govBREnabled"
_BOOLEANS = {1: True, 0: False, "1": True, "0": False, "true": True, "false": False}  # 1 and 0 are also True and False
_DUMMY = "-"  # in place of a secret, where PEC only checks

Wanted = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True)
class Pec:
    """One PEC: its files on this host, the instalador's session, and the settings that are known.

    C(wait) is in seconds. C(database) tells its database from another one, C(notes) is the file of secret_notes.
    """

    here: Installation
    session: Session
    known: Mapping[str, Setting]
    database_writes: bool
    wait: float
    database: str
    notes: str = secret_notes.PATH

    def look(self, wanted: Wanted) -> tuple[Plan, dict[str, Operation]]:
        """Read what is there and decide. Also returns, for what is to be written, the operations in the form that this PEC takes."""
        info = self._info(wanted)
        world = World(
            readings=self.read(wanted, info),
            version=self.here.version or "",
            present=frozenset(self._present(info)),
            kept=frozenset(name for name, fields in wanted.items() if self._kept(self.known[name], fields)),
            database_writes=self.database_writes,
        )
        operations, unknown = self._understood(wanted, settings.plan(wanted, self.known, world))
        return settings.plan(wanted, self.known, replace(world, unknown=unknown)), operations

    def read(self, wanted: Wanted, info: Mapping[str, object]) -> dict[str, Reading]:
        answers: dict[str, object] = {}
        return {name: self._read(self.known[name], info, answers) for name in wanted}

    def apply(self, wanted: Wanted, plan: Plan, operations: Mapping[str, Operation]) -> tuple[Outcome, ...]:
        """Write what is planned, read it again, and return how each setting really ended."""
        failed = self._write_rows({name: wanted[name] for name in plan.writes if isinstance(self._writer(name, wanted), Row)})
        for name, operation in operations.items():
            try:
                self.session.execute(operation, self._values(self.known[name], wanted[name], self._contra_chave()))
            except PecUnreachableError:
                raise
            except PecApiError as error:
                failed[name] = self._redacted(name, wanted, error.message or str(error))
        written = {name: wanted[name] for name in plan.writes if name not in failed}
        readings = self.read(written, self._info(written)) if written else {}
        return tuple(
            outcome.left(settings.REFUSED, f"it was refused: {failed[outcome.setting]}", said=failed[outcome.setting])
            if outcome.setting in failed
            else self._confirmed(outcome, wanted, readings)
            if outcome.setting in written
            else outcome
            for outcome in plan.outcomes
        )

    def _confirmed(self, outcome: Outcome, wanted: Wanted, readings: Mapping[str, Reading]) -> Outcome:
        setting, reading = self.known[outcome.setting], readings[outcome.setting]
        left = settings.differences(setting, wanted[setting.name], reading, kept=True)
        if not left and not reading.problem:
            self._keep(setting, wanted[setting.name])
            return outcome
        said = ", ".join(f"{key}: {value}" for key, (value, _wanted) in left.items()) or reading.said
        reason = f"PEC took it, but does not confirm it: it tells {said or reading.problem}; look at the screen"
        return outcome.left(settings.UNCONFIRMED, reason, said=said, changed=True)

    def _write_rows(self, wanted: Wanted) -> dict[str, str]:
        """All in one transaction while PEC is stopped; returns why they were not written."""
        if not wanted or self.here.connection is None:
            return dict.fromkeys(wanted, "the database of PEC is not known on this host")
        rows = [(self._writer(name, wanted), next(iter(fields.values()))) for name, fields in wanted.items()]
        cells = [settings_database.Cell(row.key, row.column, value) for row, value in rows if isinstance(row, Row)]
        problem = ""
        try:
            with settings_database.pec_stopped(self.here, self.wait):
                try:
                    settings_database.write(self.here.connection, cells)
                except PecError as error:  # PEC has to come back in any case, and the other settings may be possible
                    problem = str(error)
        except settings_database.NotStoppedError as error:
            problem = str(error)
        return dict.fromkeys(wanted, problem) if problem else {}

    def _understood(self, wanted: Wanted, plan: Plan) -> tuple[dict[str, Operation], dict[str, str]]:
        """Let PEC check each operation without doing it, so that a check mode knows what a run would find out."""
        operations: dict[str, Operation] = {}
        unknown: dict[str, str] = {}
        for name in plan.writes:
            setting, operation = self.known[name], self._writer(name, wanted)
            if isinstance(operation, Row):
                continue
            fields = {key: _DUMMY if setting.is_secret(key) else value for key, value in wanted[name].items()}
            try:
                operations[name] = self.session.understood(operation, self._values(setting, fields, _DUMMY))
            except PecUnreachableError:
                raise
            except PecApiError as error:
                unknown[name] = error.message or str(error)
        return operations, unknown

    def _info(self, wanted: Wanted) -> dict[str, object]:
        """What PEC tells everybody, as far as these settings and what they stand on want it."""
        reads = [self.known[name].read for name in wanted]
        fields = {value for read in reads if read.source == "info" for value in read.values.values()}
        return self.session.client.info(sorted(fields | {_INFO_INTERNET, _INFO_SMTP, _INFO_GOVBR}))

    def _read(self, setting: Setting, info: Mapping[str, object], answers: dict[str, object]) -> Reading:
        values: dict[str, object] = {}
        try:
            for field, place in setting.read.values.items():
                value = self._value(setting.read, place, info, answers)
                values[field] = _typed(value, str(setting.fields[field]["type"]), f"{setting.name}.{field}")
        except (PecUnreachableError, LoginError):
            raise
        except PecApiError as error:
            code = settings.UNKNOWN if error.unknown else settings.UNREADABLE
            said = error.message or str(error)
            return Reading(code=code, problem=f"PEC does not tell it: {said}; {settings.CORRECT}", said=said)
        except PecError as error:
            return Reading(code=settings.UNREADABLE, problem=f"{error}; {settings.CORRECT}")
        return Reading(values)

    def _value(self, read: Read, place: str, info: Mapping[str, object], answers: dict[str, object]) -> object:
        if read.source == "info":
            return info.get(place)
        if read.source == "sql":
            if self.here.connection is None:
                raise PecError("the database of PEC is not known on this host")
            return settings_database.read(self.here.connection, place)
        if not isinstance(read.source, Operation):
            raise PecError(f"settings are not read from {read.source}")
        if read.source.document not in answers:
            answers[read.source.document] = self.session.execute(read.source)
        value: object = answers[read.source.document]
        for part in place.split("."):
            value = value.get(part) if isinstance(value, dict) else None
        return value

    def _present(self, info: Mapping[str, object]) -> list[str]:
        found = {
            "internet": info.get(_INFO_INTERNET) is not False,
            "smtp": info.get(_INFO_SMTP) is True,
            "govbr": info.get(_INFO_GOVBR) is True,
            "https": self._https(),
            "certificate": any(f"/{beliefs.KEYS_DIRECTORY}/" in path and path.lower().endswith(beliefs.CERTIFICATE_SUFFIXES)
                               for path in self.here.certificates),
            "contra_chave": self._contra_chave() is not None,
        }  # fmt: skip
        return [name for name, there in found.items() if there]

    def _https(self) -> bool:
        """PEC's own, or that of a proxy before it, of which only the link tells."""
        if self.here.https.mode != "none" or self.session.client.server.url.startswith("https://"):
            return True
        reading = self._read(self.known["link_instalacao"], {}, {})
        return str(reading.values.get("value") or "").startswith("https://")

    def _contra_chave(self) -> str | None:
        found = [entry.contra_chave for entry in contra_chave.read() if entry.purpose == "agendamento"]
        return found[0] if len(found) == 1 else None

    def _writer(self, name: str, wanted: Wanted) -> Operation | Row:
        return self.known[name].writer(wanted[name])

    def _values(self, setting: Setting, fields: Mapping[str, Any], contra_chave: str | None) -> dict[str, object]:
        return {**{field: fields.get(field) for field in setting.fields}, "contra_chave": contra_chave}

    def _kept(self, setting: Setting, fields: Mapping[str, Any]) -> bool:
        return bool(setting.unread) and secret_notes.matches(setting.name, self._sent(setting, fields), self.notes)

    def _keep(self, setting: Setting, fields: Mapping[str, Any]) -> None:
        if setting.unread:
            sent = self._sent(setting, fields) if fields.get("enabled", True) else None
            secret_notes.write(setting.name, sent, self.notes)

    def _sent(self, setting: Setting, fields: Mapping[str, Any]) -> str:
        """What was sent of the fields that nothing reads, and to which database: a restored one has others."""
        return json.dumps([self.database, {field: fields.get(field) for field in setting.unread}], sort_keys=True)

    def _redacted(self, name: str, wanted: Wanted, text: str) -> str:
        secrets = [str(value) for field, value in wanted[name].items() if self.known[name].is_secret(field)]
        return Redactor([*secrets, self._contra_chave() or ""], only_known=True)(text)


def _typed(value: object, kind: str, where: str) -> object:
    """PEC's value as the setting has it. Raises PecError for one that cannot be it."""
    if kind == "bool" and isinstance(value, (bool, int, str)) and value in _BOOLEANS:
        return _BOOLEANS[value]
    if kind == "int" and isinstance(value, (int, str)) and not isinstance(value, bool) and str(value).isdigit():
        return int(value)
    if kind == "str" and isinstance(value, str):
        return value
    if value is None and kind != "bool":
        return None
    raise PecError(f"what PEC has for {where} is not known: it tells {'nothing' if value is None else repr(value)}")
