# SPDX-License-Identifier: GPL-3.0-or-later
"""The settings inside PEC: what is wanted, what PEC has, and what follows from both."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from ansible_collections.esus.pec.plugins.module_utils import brazil
from ansible_collections.esus.pec.plugins.module_utils.api.operations import Row, Setting
from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.pec.installation import parse_version

# The three ends of a setting.
CONFIRMED, NOT_NEEDED, MANUAL = "confirmed", "not_needed", "manual"

# Why a person has to do it.
UNKNOWN, REFUSED, PREREQUISITE, VERSION = "unknown_operation", "refused", "prerequisite", "version"
UNREADABLE, DATABASE, UNCONFIRMED, INTERRUPTED = "unreadable", "database_not_allowed", "unconfirmed", "interrupted"

PREREQUISITES = {
    "internet": "the use of the internet is switched off in PEC; set internet: true",
    "https": "PEC is not open by HTTPS: neither does it serve it, nor does its link start with https:// (role pec_https)",
    "smtp": "PEC has no SMTP server; set smtp in the same run, or before",
    "certificate": "PEC's manual wants a certificate of ICP-Brasil, and none is in PEC's directory chaves (role pec_certificate)",
    "contra_chave": "no contra-chave for agendamento is kept on this host, several are, or their file is damaged (role pec_contra_chave)",
    "govbr": "the login with Gov.br is off (role pec_govbr)",
}

CORRECT = "if it is another one in this version of PEC, correct the entry by pec_api_operations"

_DATABASE = (
    "no operation of PEC's API is known for it; with database_writes it is written into PEC's table of settings, for which PEC is stopped "
    "for a moment"
)
_MASK = "********"
_NOT_KNOWN = "(not known)"


@dataclass(frozen=True)
class Reading:
    """What PEC has: its fields by name, or why that is not known; C(said) are PEC's own words."""

    values: Mapping[str, object] = field(default_factory=dict, repr=False)
    code: str = ""
    problem: str = ""
    said: str = ""


@dataclass(frozen=True)
class Obstacle:
    """Why a setting cannot be written; C(said) are PEC's own words."""

    code: str
    reason: str
    said: str = ""


@dataclass(frozen=True)
class World:
    """All that a plan is made from.

    C(kept): settings whose unread fields are those that this host sent last. C(present): prerequisites that are there; https by PEC itself
    only, while C(link) may tell of a proxy that gives it. C(obstacles) are what PEC and its host say of what is to be written.
    """

    readings: Mapping[str, Reading]
    version: str
    present: frozenset[str]
    link: str = ""
    kept: frozenset[str] = frozenset()
    obstacles: Mapping[str, Obstacle] = field(default_factory=dict)
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
        """The same, left for a person."""
        return replace(self, result=MANUAL, reason_code=code, reason=reason, **{"changed": False, **more})


@dataclass(frozen=True)
class Plan:
    """C(outcomes) has every setting that is wanted; those in C(writes) end as they say once they are written."""

    outcomes: tuple[Outcome, ...]
    writes: tuple[str, ...]
    warnings: tuple[str, ...]

    @property
    def changed(self) -> bool:
        return bool(self.writes)


def wanted_from(settings: Mapping[str, Any], known: Mapping[str, Setting]) -> dict[str, dict[str, Any]]:
    """Return the fields that are wanted of each setting, in the order in which they are set.

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
        problems.append("smtp has only one of username and password; give both, or none where the server wants none")
    if name == "anexos" and fields.get("enabled") and not str(fields.get("directory", "/")).startswith("/"):
        problems.append("anexos.directory is not an absolute path")
    if name == "nome_instalacao" and not fields["value"].strip():
        problems.append("nome_instalacao is empty")
    if name == "link_instalacao":
        problems += brazil.link_problems(fields["value"])
    if name == "requisicoes_simultaneas" and fields["value"] < 1:
        problems.append("requisicoes_simultaneas is less than 1")
    return problems


_NEEDED = {"smtp": ("host", "port", "sender"), "prescricao_digital": ("username", "password"), "anexos": ("directory",)}


def differences(setting: Setting, wanted: Mapping[str, Any], reading: Reading, kept: bool) -> dict[str, tuple[object, object]]:
    """Return what differs: a field's value in PEC, None where nothing reads it, and the one that is wanted.

    Of what is switched off nothing else counts. Fields that nothing reads differ together, unless they are what was sent last.
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


def plan(wanted: Mapping[str, Mapping[str, Any]], known: Mapping[str, Setting], world: World) -> Plan:
    """Decide how each setting ends. A setting that stands on another is written only if that one is there, or is written before it."""
    outcomes: list[Outcome] = []
    warnings: list[str] = []
    present, link = set(world.present), world.link
    for name, fields in wanted.items():
        setting = known[name]
        there = present | ({"https"} if link.startswith("https://") else set())
        outcome = _outcome(setting, fields, world, there)
        outcomes.append(outcome)
        if outcome.result == MANUAL:
            continue
        if name == "link_instalacao":
            link = fields["value"]
        if name in PREREQUISITES:
            present = present | {name} if fields["enabled"] else present - {name}
        if fields.get("enabled"):
            warnings += [f"{name} is of little use: {PREREQUISITES[other]}" for other in setting.advises if other not in there]
    return Plan(tuple(outcomes), tuple(outcome.setting for outcome in outcomes if outcome.changed), tuple(warnings))


def _outcome(setting: Setting, wanted: Mapping[str, Any], world: World, present: set[str]) -> Outcome:
    reading = world.readings[setting.name]
    bare = Outcome(setting.name, NOT_NEEDED, setting.screen, setting.read.evidence)
    if reading.problem:
        return bare.left(reading.code, reading.problem, said=reading.said)
    different = differences(setting, wanted, reading, setting.name in world.kept)
    if not different:
        return bare
    outcome = replace(
        bare,
        result=CONFIRMED,
        evidence=setting.writer(wanted).evidence,
        before={key: shown(setting, key, old) for key, (old, _new) in different.items()},
        after={key: shown(setting, key, new) for key, (_old, new) in different.items()},
        changed=True,
    )
    outcome = _without_obstacle(outcome, setting, wanted, world, present)
    return outcome if outcome.result == MANUAL else confirmed(outcome, setting)


def confirmed(outcome: Outcome, setting: Setting) -> Outcome:
    """How a setting ends that PEC took and tells as it is wanted: confirmed, unless nothing of what differed is told by anybody."""
    if any(key in setting.read.values for key in outcome.after):
        return replace(outcome, result=CONFIRMED)
    untold = ", ".join(outcome.after)
    return outcome.left(UNCONFIRMED, f"PEC takes it without telling what it has for {untold}; look at the screen", changed=True)


def _without_obstacle(outcome: Outcome, setting: Setting, wanted: Mapping[str, Any], world: World, present: set[str]) -> Outcome:
    """The outcome, unless something is in its way."""
    if setting.since and world.version and parse_version(world.version) < parse_version(setting.since):
        return outcome.left(VERSION, f"PEC has it since {setting.since}, and this one is {world.version}; update PEC")
    missing = [name for name in setting.requires if name not in present] if wanted.get("enabled") else []
    if missing:
        return without(outcome, missing)
    if isinstance(setting.writer(wanted), Row) and not world.database_writes:
        return outcome.left(DATABASE, _DATABASE)
    obstacle = world.obstacles.get(setting.name)
    return outcome.left(obstacle.code, obstacle.reason, said=obstacle.said) if obstacle else outcome


def without(outcome: Outcome, missing: Iterable[str]) -> Outcome:
    """The outcome of a setting that stands on what is missing."""
    return outcome.left(PREREQUISITE, "; ".join(PREREQUISITES[name] for name in missing), missing=tuple(missing))


def shown(setting: Setting, key: str, value: object) -> object:
    """A field's value as it may be shown."""
    if value is None and key not in setting.read.values:
        return _NOT_KNOWN
    return _MASK if setting.is_secret(key) and value is not None else value


def diff(outcomes: Iterable[Outcome]) -> dict[str, str]:
    """Both sides of Ansible's diff; of a secret only that it is set."""
    changed = [outcome for outcome in outcomes if outcome.changed]
    return {
        side: "".join(f"{outcome.setting}.{key}: {value}\n" for outcome in changed for key, value in getattr(outcome, side).items())
        for side in ("before", "after")
    }
