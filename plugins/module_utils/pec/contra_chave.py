# SPDX-License-Identifier: GPL-3.0-or-later
"""The contra-chaves of a server: what e-Gestor issued, and whether it is activated. Private to the collection.

A contra-chave is an opaque text: neither its length and alphabet are known, nor how long and for which server it is valid. So it is kept
as received, never judged and never shown; a fingerprint distinguishes one from another.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from datetime import date

from ansible_collections.esus.pec.plugins.module_utils import brazil
from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.system import files

PATH = os.path.join(files.STATE_DIRECTORY, "contra-chave.yml")
PURPOSES = ("instalacao", "agendamento")
"""Installation and Agenda Online: two results of e-Gestor for the same request. C (M PEC_02 2.4.4)."""
UNKNOWN, CONFIRMED = "unknown", "confirmed"
VARIABLE = "pec_contra_chave_values"
"""The file is itself a file of variables for the role, so the next server takes it as it is."""

_AROUND = " \t\r\n\f\v\xa0\u200b\u2060\ufeff"
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


@dataclass(frozen=True)
class Entry:
    """One contra-chave. C(chave) is what PEC showed; the date is YYYY-MM-DD; C(activated) and C(confirmed_by) are an operator's word."""

    purpose: str
    ibge_code: str
    contra_chave: str
    chave: str = ""
    requested_by: str = ""
    requested_on: str = ""
    activated: str = UNKNOWN
    confirmed_by: str = ""

    @property
    def key(self) -> tuple[str, str]:
        return self.ibge_code, self.purpose

    @property
    def fingerprint(self) -> str:
        """Identifies the contra-chave without revealing it."""
        return hashlib.sha256(self.contra_chave.encode()).hexdigest()[:8]

    def public(self) -> dict[str, str]:
        """Return what may be shown."""
        shown = {name: value for name, value in asdict(self).items() if name not in ("contra_chave", "chave")}
        return {**shown, "fingerprint": self.fingerprint}


@dataclass(frozen=True)
class Desired:
    """The entry to keep or remove. A value of None is left as it is."""

    purpose: str
    ibge_code: str
    present: bool = True
    contra_chave: str | None = None
    chave: str | None = None
    requested_by: str | None = None
    requested_on: str | None = None
    activated: str | None = None
    confirmed_by: str | None = None


@dataclass(frozen=True)
class Plan:
    """What to write. C(loses): a contra-chave or chave of the file is not in the entries."""

    entries: tuple[Entry, ...]
    changed: bool
    before: str
    after: str
    entry: Entry | None
    loses: bool = False


def from_text(text: str, where: str) -> str:
    """Return the contra-chave in a text that a user of e-Gestor saved; C(where) is named in errors. Raises PecError if it is not one word.

    Blanks, line ends and byte order marks around it are removed. Nothing is guessed about its characters.
    """
    found = [line.strip(_AROUND) for line in text.splitlines() if line.strip(_AROUND + "\0")]
    if not found:
        raise PecError(f"{where} contains no contra-chave; copy it from e-Gestor again")
    if len(found) > 1 or re.search(r"\s", found[0]):
        shape = f"{len(found)} lines" if len(found) > 1 else "several words"
        raise PecError(f"{where} contains {shape}, so the contra-chave cannot be recognized; leave the contra-chave alone in one line")
    if not found[0].isprintable():
        raise PecError(f"{where} is not plain text, probably because it was saved as Unicode (UTF-16); save it again as UTF-8")
    return found[0]


def read(path: str = PATH) -> tuple[Entry, ...]:
    """Return the entries kept on this host. Raises PecError when the file was not written by this collection."""
    if not os.path.lexists(path):
        return ()
    data = files.read_bytes(path)
    try:
        return parse(data, path)
    except PecError as error:
        raise PecError(f"{error}; restore it from a backup of /etc, or remove it and give the contra-chaves again") from None


def parse(data: bytes, where: str) -> tuple[Entry, ...]:
    """Return the entries in the content of such a file, which C(where) names. Raises PecError when this collection did not write it."""
    names = {field.name for field in fields(Entry)}
    try:
        entries = json.loads(data)[VARIABLE]
        return tuple(Entry(**{name: str(value) for name, value in entry.items() if name in names}) for entry in entries)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise PecError(f"{where} was not written by this collection (JSON with the list {VARIABLE})") from None


def keep(path: str = PATH) -> str:
    """Copy the file to where only root can read it, and return that path. Nobody issues the same contra-chave again."""
    return files.keep(path, files.read_bytes(path))


def write(entries: Sequence[Entry], path: str = PATH) -> None:
    """Write the entries; without any, remove the file."""
    if not entries:
        files.unlink(path)
        return
    files.make_private(os.path.dirname(path))
    content = {VARIABLE: [{name: value for name, value in asdict(entry).items() if value} for entry in entries]}
    text = json.dumps(content, indent=1, ensure_ascii=False) + "\n"
    files.write_atomic(path, text.encode(), mode=0o600, uid=0, gid=0)


def plan(current: Sequence[Entry], desired: Desired) -> Plan:
    """Decide what changes. Raises PecError with every problem of the desired entry."""
    before = {entry.key: entry for entry in current}
    key = (desired.ibge_code, desired.purpose)
    old = before.get(key)
    problems = _problems(desired, old)
    if problems:
        raise PecError("\n".join([f"the contra-chave for {desired.purpose} was not recorded:", *problems]))
    new = _merged(desired, old) if desired.present else None
    after = {**{other: entry for other, entry in before.items() if other != key}, **({key: new} if new else {})}
    entries = tuple(after[each] for each in sorted(after))
    return Plan(entries, new != old, _shown(old), _shown(new), new, old is not None and _loses(old, new))


def _loses(old: Entry, new: Entry | None) -> bool:
    return new is None or new.contra_chave != old.contra_chave or old.chave not in ("", new.chave)


def _merged(desired: Desired, old: Entry | None) -> Entry:
    said = {name: value for name, value in asdict(desired).items() if name != "present" and value is not None}
    if said.get("activated") == UNKNOWN:
        said["confirmed_by"] = ""
    if old is not None and old.contra_chave == said.get("contra_chave", old.contra_chave):
        return replace(old, **said)
    # Another contra-chave comes from another request: what was known about the old one does not apply.
    return Entry(**said)


def _problems(desired: Desired, old: Entry | None) -> list[str]:
    problems = brazil.ibge_problems(desired.ibge_code)
    if not desired.present:
        return problems
    if desired.contra_chave is None and old is None:
        problems.append(f"no contra-chave is kept for {desired.ibge_code} yet; give contra_chave or src")
    if desired.requested_on and not _is_date(desired.requested_on):
        problems.append(f"requested_on is {desired.requested_on!r}; write the date as 2026-11-23")
    if desired.activated == CONFIRMED and not desired.confirmed_by:
        problems.append("activated is confirmed, but confirmed_by is missing; set it to the person who saw the activation in PEC")
    if desired.confirmed_by and desired.activated != CONFIRMED:
        problems.append("confirmed_by is set, but activated is not confirmed; set both")
    return problems


def _is_date(text: str) -> bool:
    """Accept YYYY-MM-DD only; newer Pythons read more forms."""
    try:
        return bool(_DATE.fullmatch(text)) and bool(date.fromisoformat(text))
    except ValueError:
        return False


def _shown(entry: Entry | None) -> str:
    if entry is None:
        return ""
    chave = f"chave: sha256 {hashlib.sha256(entry.chave.encode()).hexdigest()[:8]}\n" if entry.chave else ""
    return "".join(f"{name}: {value}\n" for name, value in entry.public().items() if value) + chave


def describe(entries: Sequence[Entry]) -> list[Mapping[str, str]]:
    """Return what esus.pec.info shows."""
    return [entry.public() for entry in entries]
