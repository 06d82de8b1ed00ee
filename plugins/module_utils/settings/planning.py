# SPDX-License-Identifier: GPL-3.0-or-later
"""Decides how each setting inside PEC ends, from what is wanted and what PEC has. Private to the collection."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any, Callable, Mapping, Union

from ansible_collections.esus.pec.plugins.module_utils import brazil
from ansible_collections.esus.pec.plugins.module_utils.api.operations import Operation, Row, Setting
from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.pec.installation import parse_version
from ansible_collections.esus.pec.plugins.module_utils.redact import MASK

# How a setting can end.
CONFIRMED, NOT_NEEDED, MANUAL = "confirmed", "not_needed", "manual"

# Why it has to be set by hand.
UNKNOWN, REFUSED, PREREQUISITE, VERSION = "unknown_operation", "refused", "prerequisite", "version"
UNREADABLE, DATABASE, UNCONFIRMED, INTERRUPTED = "unreadable", "database_not_allowed", "unconfirmed", "interrupted"

PREREQUISITES = {
    "internet": "the use of the internet is switched off in PEC; set internet: true",
    "https": "PEC has no HTTPS: it does not serve it, and its link does not start with https:// (role pec_https)",
    "smtp": "PEC has no SMTP server; set smtp in the same run or before",
    "certificate": "PEC's manual requires a certificate of ICP-Brasil, and PEC's directory chaves has none (role pec_certificate)",
    "contra_chave": "this host keeps no contra-chave for agendamento, or several, or their file is damaged (role pec_contra_chave)",
    "govbr": "the login with Gov.br is off (role pec_govbr)",
}

CORRECT = "if this version of PEC has another one, correct the entry by pec_api_operations"

_NEEDED = {"smtp": ("host", "port", "sender"), "prescricao_digital": ("username", "password"), "anexos": ("directory",)}
_DATABASE = (
    "no operation of PEC's API is known for it; with database_writes it is written into PEC's table of settings, for which PEC is stopped "
    "for a moment"
)
_NOT_KNOWN = "(not known)"

Wanted = Mapping[str, Mapping[str, Any]]
Writer = Union[Operation, Row]


@dataclass(frozen=True)
class Reading:
    """What PEC has: its fields by name, or why that is unknown; C(said) are PEC's own words."""

    values: Mapping[str, object] = field(default_factory=dict, repr=False)
    code: str = ""
    problem: str = ""
    said: str = ""


@dataclass(frozen=True)
class Obstacle:
    """Why a setting cannot be written; C(said) are PEC's own words, C(missing) names of prerequisites."""

    code: str
    reason: str
    said: str = ""
    missing: tuple[str, ...] = ()


Check = Callable[[Setting, Mapping[str, Any]], Union[Obstacle, Operation, Row]]
"""Asks PEC, or its host, if the fields of a setting can be written. Returns what writes them, in the form that this PEC accepts."""


@dataclass(frozen=True)
class World:
    """All that a plan is made from.

    C(kept): settings whose unread fields are those that this host sent last. C(present): prerequisites that PEC has; https only if PEC
    itself serves it, while C(link) may belong to a proxy that does.
    """

    readings: Mapping[str, Reading]
    version: str
    present: frozenset[str]
    link: str = ""
    kept: frozenset[str] = frozenset()
    database_writes: bool = False


@dataclass(frozen=True)
class Outcome:
    """How one setting ends, or would end. C(before) and C(after) are what differs, without secrets.

    C(missing) are the names of prerequisites, C(said) PEC's own words.
    """

    setting: str
    result: str
    screen: str
    evidence: str
    before: Mapping[str, object] = field(default_factory=dict)
    after: Mapping[str, object] = field(default_factory=dict)
    reason_code: str = ""
    reason: str = ""
    missing: tuple[str, ...] = ()
    said: str = ""
    changed: bool = False

    def left(self, code: str, reason: str, **more: Any) -> Outcome:
        """The same, to be set by hand."""
        return replace(self, result=MANUAL, reason_code=code, reason=reason, **{"changed": False, **more})

    def left_for(self, obstacle: Obstacle) -> Outcome:
        """The same, to be set by hand because of an obstacle."""
        return self.left(obstacle.code, obstacle.reason, said=obstacle.said, missing=obstacle.missing)


@dataclass(frozen=True)
class Plan:
    """C(outcomes) has every wanted setting. Those in C(writers), which has what writes them, end like this once they are written."""

    outcomes: tuple[Outcome, ...]
    writers: Mapping[str, Writer]
    warnings: tuple[str, ...]


def wanted_from(settings: Mapping[str, Any], known: Mapping[str, Setting]) -> dict[str, dict[str, Any]]:
    """Return the wanted fields of each setting, in the order in which settings are set.

    Raises PecError with everything that PEC would refuse.
    """
    wanted: dict[str, dict[str, Any]] = {}
    problems: list[str] = []
    for name, setting in known.items():
        value = settings.get(name)
        if value is None:
            continue
        fields = {setting.only_field: value} if setting.only_field else {key: part for key, part in value.items() if part is not None}
        if name == "smtp" and fields.get("enabled"):
            fields.setdefault("sender", fields.get("username"))
        problems += _problems(name, fields)
        wanted[name] = fields
    if problems:
        raise PecError("\n".join(["nothing was set, because PEC would refuse this:", *problems]))
    return wanted


def _problems(name: str, fields: Mapping[str, Any]) -> list[str]:
    broken = [key for key, value in fields.items() if isinstance(value, str) and re.search(r"[\x00-\x1f\x7f]", value)]
    problems = [f"{name}.{key} has a line end or a control character in it; remove it" for key in broken]
    missing = [key for key in _NEEDED.get(name, ()) if not fields.get(key)] if fields.get("enabled") else []
    problems += [f"{name}.{key} is empty; give it, or set {name}.enabled: false" for key in missing]
    if name == "smtp" and bool(fields.get("username")) != bool(fields.get("password")):
        problems.append("smtp has only one of username and password; give both, or none if the server requires none")
    if name == "anexos" and fields.get("enabled") and not str(fields.get("directory", "/")).startswith("/"):
        problems.append("anexos.directory is not an absolute path")
    if name == "nome_instalacao" and not fields["value"].strip():
        problems.append("nome_instalacao is empty")
    if name == "link_instalacao":
        problems += brazil.link_problems(fields["value"])
    if name == "requisicoes_simultaneas" and fields["value"] < 1:
        problems.append("requisicoes_simultaneas is less than 1")
    return problems


def differences(setting: Setting, wanted: Mapping[str, Any], reading: Reading, kept: bool) -> dict[str, tuple[object, object]]:
    """Return what differs: a field's value in PEC, None if nothing reads it, and the wanted one.

    If a setting is off, its other fields are ignored. Fields that nothing reads differ together, unless they are what was sent last.
    """
    if wanted.get("enabled") is False:
        wanted = {"enabled": False}
    found = {
        key: (reading.values.get(key), value)
        for key, value in wanted.items()
        if key in setting.read.values and reading.values.get(key) != value
    }
    unread = {key: (None, value) for key, value in wanted.items() if key not in setting.read.values}
    return {**found, **(unread if found or not kept else {})}


def plan(wanted: Wanted, known: Mapping[str, Setting], world: World, check: Check) -> Plan:
    """Decide how each setting ends, in the order in which settings are set.

    A setting that requires another one is written only if PEC has that one, or it is written before. What would be written is checked
    at its turn, so that for the settings after it a setting that cannot be written stays as it is.
    """
    outcomes: list[Outcome] = []
    writers: dict[str, Writer] = {}
    warnings: list[str] = []
    own, link = set(world.present), world.link
    for name, fields in wanted.items():
        setting = known[name]
        present = own | ({"https"} if link.startswith("https://") else set())
        outcome = _unhindered(setting, fields, world)
        if outcome.changed:
            found = _hindrance(setting, fields, world, present) or check(setting, fields)
            if isinstance(found, Obstacle):
                outcome = outcome.left_for(found)
            else:
                outcome, writers[name] = confirmed(outcome, setting), found
        outcomes.append(outcome)
        if outcome.result == MANUAL:
            continue
        if name == "link_instalacao":
            link = fields["value"]
        if name in PREREQUISITES:
            own = own | {name} if fields["enabled"] else own - {name}
        if fields.get("enabled"):
            warnings += [f"{name} is of little use: {PREREQUISITES[other]}" for other in setting.advises if other not in present]
    return Plan(tuple(outcomes), writers, tuple(warnings))


def _unhindered(setting: Setting, wanted: Mapping[str, Any], world: World) -> Outcome:
    """How a setting ends if nothing prevents that it is written."""
    reading = world.readings[setting.name]
    bare = Outcome(setting.name, NOT_NEEDED, setting.screen, setting.read.evidence)
    if reading.problem:
        return bare.left(reading.code, reading.problem, said=reading.said)
    different = differences(setting, wanted, reading, setting.name in world.kept)
    if not different:
        return bare
    return replace(
        bare,
        result=CONFIRMED,
        evidence=setting.writer(wanted).evidence,
        before={key: shown(setting, key, old) for key, (old, _new) in different.items()},
        after={key: shown(setting, key, new) for key, (_old, new) in different.items()},
        changed=True,
    )


def confirmed(outcome: Outcome, setting: Setting) -> Outcome:
    """How a setting ends that PEC accepted and reports as wanted: confirmed, unless nothing reads any of what differed."""
    if any(key in setting.read.values for key in outcome.after):
        return replace(outcome, result=CONFIRMED)
    unread = ", ".join(outcome.after)
    return outcome.left(UNCONFIRMED, f"PEC accepts it and does not report its value for {unread}; look at the screen", changed=True)


def _hindrance(setting: Setting, wanted: Mapping[str, Any], world: World, present: set[str]) -> Obstacle | None:
    """What prevents that a setting is written, as far as that is known without asking PEC."""
    if setting.since and world.version and parse_version(world.version) < parse_version(setting.since):
        return Obstacle(VERSION, f"PEC has it since {setting.since}, and this one is {world.version}; update PEC")
    missing = [name for name in setting.requires if name not in present] if wanted.get("enabled") else []
    if missing:
        return lacking(missing)
    if isinstance(setting.writer(wanted), Row) and not world.database_writes:
        return Obstacle(DATABASE, _DATABASE)
    return None


def lacking(missing: Iterable[str]) -> Obstacle:
    """The obstacle of a setting whose prerequisites are missing."""
    names = tuple(missing)
    return Obstacle(PREREQUISITE, "; ".join(PREREQUISITES[name] for name in names), missing=names)


def shown(setting: Setting, key: str, value: object) -> object:
    """A field's value without a secret."""
    if value is None and key not in setting.read.values:
        return _NOT_KNOWN
    return MASK if setting.is_secret(key) and value is not None else value


def diff(outcomes: Iterable[Outcome]) -> dict[str, str]:
    """Both sides of Ansible's diff; a secret is masked."""
    changed = [outcome for outcome in outcomes if outcome.changed]
    return {
        side: "".join(f"{outcome.setting}.{key}: {value}\n" for outcome in changed for key, value in getattr(outcome, side).items())
        for side in ("before", "after")
    }
