# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads what PEC has: its settings and what they require. Private to the collection."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

from ansible_collections.esus.pec.plugins.module_utils import beliefs
from ansible_collections.esus.pec.plugins.module_utils.api.client import PecApiError, PecUnreachableError
from ansible_collections.esus.pec.plugins.module_utils.api.operations import Operation, Read, Setting
from ansible_collections.esus.pec.plugins.module_utils.api.session import LoginError, Session
from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.pec import contra_chave
from ansible_collections.esus.pec.plugins.module_utils.pec.installation import Installation
from ansible_collections.esus.pec.plugins.module_utils.settings import planning, table
from ansible_collections.esus.pec.plugins.module_utils.settings.planning import Reading

LINK = "link_instalacao"
_INTERNET, _SMTP, _GOVBR = "internetHabilitada", "smtpConfigurado", "govBREnabled"
_BOOLEANS = {1: True, 0: False, "1": True, "0": False, "true": True, "false": False}  # 1 and 0 are also True and False


@dataclass(frozen=True)
class Reader:
    """Reads one PEC: C(here) is its installation on this host, C(session) the instalador's, C(known) every setting by its name."""

    here: Installation
    session: Session
    known: Mapping[str, Setting]

    def info(self, names: Iterable[str]) -> dict[str, object]:
        """Return what PEC reports without a session, as far as these settings and what they require need it."""
        reads = [self.known[name].read for name in {*names, LINK}]
        fields = {place for read in reads if read.source == "info" for place in read.values.values()}
        return self.session.client.info(sorted(fields | {_INTERNET, _SMTP, _GOVBR}))

    def readings(self, names: Iterable[str], info: Mapping[str, object]) -> dict[str, Reading]:
        """Return what PEC has of each setting. An operation that several are read by is sent once."""
        answers: dict[str, object] = {}
        return {name: self._reading(self.known[name], info, answers) for name in names}

    def link(self, info: Mapping[str, object]) -> str:
        """Return PEC's link, the only trace of a proxy in front of it."""
        return str(self._reading(self.known[LINK], info, {}).values.get("value") or "")

    def present(self, info: Mapping[str, object]) -> frozenset[str]:
        """Return the prerequisites that PEC has; https only if PEC itself serves it."""
        keys = [path for path in self.here.certificates if f"/{beliefs.KEYS_DIRECTORY}/" in path]
        found = {
            "internet": info.get(_INTERNET) is not False,
            "smtp": info.get(_SMTP) is True,
            "govbr": info.get(_GOVBR) is True,
            "https": self.own_https,
            "certificate": any(path.lower().endswith(beliefs.CERTIFICATE_SUFFIXES) for path in keys),
            "contra_chave": self.contra_chave is not None,
        }
        return frozenset(name for name, present in found.items() if present)

    @property
    def own_https(self) -> bool:
        """True if PEC serves HTTPS without a proxy."""
        return self.here.https.mode != "none" or self.session.client.server.url.startswith("https://")

    @cached_property
    def contra_chave(self) -> str | None:
        """The one contra-chave for agendamento that this host keeps."""
        try:
            found = [entry.contra_chave for entry in contra_chave.read() if entry.purpose == "agendamento"]
        except PecError:
            return None  # esus.pec.contra_chave reports what is wrong with its file
        return found[0] if len(found) == 1 else None

    def _reading(self, setting: Setting, info: Mapping[str, object], answers: dict[str, object]) -> Reading:
        try:
            return Reading({key: _typed(self._value(setting.read, key, info, answers), setting, key) for key in setting.read.values})
        except (PecUnreachableError, LoginError):
            raise
        except PecApiError as error:
            code = planning.UNKNOWN if error.unknown else planning.UNREADABLE
            said = error.message or str(error)
            return Reading(code=code, problem=f"PEC does not report it: {said}; {planning.CORRECT}", said=said)
        except PecError as error:
            return Reading(code=planning.UNREADABLE, problem=f"{error}; {planning.CORRECT}")

    def _value(self, read: Read, key: str, info: Mapping[str, object], answers: dict[str, object]) -> object:
        place = read.values[key]
        if read.source == "info":
            return info.get(place)
        if not isinstance(read.source, Operation):
            if self.here.connection is None:
                raise PecError("this host does not know PEC's database")
            return table.read(self.here.connection, place)
        document = read.source.document
        if document not in answers:
            answers[document] = self.session.execute(read.source)
        value = answers[document]
        for part in place.split("."):
            value = value.get(part) if isinstance(value, dict) else None
        return value


def _typed(value: object, setting: Setting, key: str) -> object:
    """PEC's value in the setting's type. Raises PecError for one that cannot be it."""
    kind = setting.fields[key]["type"]
    if kind == "bool" and isinstance(value, (bool, int, str)) and value in _BOOLEANS:
        return _BOOLEANS[value]
    if kind == "int" and isinstance(value, (int, str)) and not isinstance(value, bool) and str(value).isdecimal():
        return int(value)
    if kind == "str" and isinstance(value, str):
        return value
    if value is None and kind != "bool":
        return None
    found = "nothing" if value is None else repr(planning.shown(setting, key, value))
    raise PecError(f"PEC's value of {setting.name}.{key} cannot be used: it is {found}")
