# SPDX-License-Identifier: GPL-3.0-or-later
"""Which settings of the old database the new one gets: all but those under which PEC could not work. Private to the collection.

An operator freezes the old database before a move, or sets it up for a repair. Carried over, that would stop PEC on the new one, or hide
damage in it. Only what reaches PEC's sessions is judged: another role's settings, such as a report's that may only read, stay as they are.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import cast

_SCHEMA = "public"  # of PEC's tables
_REPAIR = "it is for repairs and hides damage"


def _is_on(value: str) -> bool:
    """The server takes any beginning of these words that is unique."""
    text = value.strip().lower()
    return text in ("1", "on") or (text != "" and ("true".startswith(text) or "yes".startswith(text)))


def _is_off(value: str) -> bool:
    text = value.strip().lower()
    return text in ("0", "of", "off") or (text != "" and ("false".startswith(text) or "no".startswith(text)))


def _lacks_public(value: str) -> bool:
    return _SCHEMA not in [item.strip().strip('"') for item in value.split(",")]


# The setting, the values that are left out, and why.
_LEFT_OUT: Mapping[str, tuple[Callable[[str], bool], str]] = {
    "default_transaction_read_only": (_is_on, "PEC could not write"),
    "transaction_read_only": (_is_on, "PEC could not write"),
    "session_replication_role": (lambda value: value.strip().lower() != "origin", "triggers and foreign keys would not work"),
    "role": (lambda value: value.strip().lower() != "none", "PEC would work as another role"),
    "session_authorization": (lambda value: value.strip().lower() != "default", "PEC would work as another role"),
    "row_security": (_is_off, "reading a table with row security would fail"),
    "search_path": (_lacks_public, f"PEC would not find its tables, which are in {_SCHEMA}"),
    "zero_damaged_pages": (_is_on, _REPAIR),
    "ignore_checksum_failure": (_is_on, _REPAIR),
    "allow_system_table_mods": (_is_on, _REPAIR),
    "ignore_system_indexes": (_is_on, _REPAIR),
}
# They may be wanted, and may end what PEC does, so they are named.
_NAMED = (
    *("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout", "idle_session_timeout", "transaction_timeout"),
    *("synchronous_commit", "default_transaction_isolation", "default_transaction_deferrable"),
)


def carried(facts: Mapping[str, object], pec_role: str) -> tuple[Mapping[str, object], list[str]]:
    """Return the facts of the old database without what would stop PEC, whose role is C(pec_role), and notes for the operator."""
    settings = cast("list[list[str | None]]", facts.get("settings") or [])
    own = {_name(setting) for role, setting in settings if role == pec_role}
    kept, left_out, named = [], [], []
    for role, setting in settings:
        name = _name(setting)
        reaches_pec = role == pec_role or (role is None and name not in own)  # those of the role itself come first
        text = f"{name} = {str(setting).partition('=')[2]}"
        judge, why = _LEFT_OUT.get(name, (None, ""))
        if reaches_pec and judge and judge(str(setting).partition("=")[2]):
            left_out.append(f"{text} ({why})")
            continue
        if reaches_pec and name in _NAMED:
            named.append(text)
        kept.append([role, setting])
    limited = str(facts.get("datconnlimit")) == "0"
    if limited:
        left_out.append("CONNECTION LIMIT 0 (PEC could not connect)")
    notes = []
    if left_out:
        notes.append(f"settings of the old database that are not carried over: {', '.join(left_out)}; set them again if they are wanted")
    if named:
        notes.append(f"settings of the old database that are carried over and may end or delay what PEC does: {', '.join(named)}")
    return {**facts, "settings": kept, **({"datconnlimit": -1} if limited else {})}, notes


def _name(setting: str | None) -> str:
    return str(setting).partition("=")[0].strip().lower()
