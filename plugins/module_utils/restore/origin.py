# SPDX-License-Identifier: GPL-3.0-or-later
"""Judges of which PEC and of which município a dump is, before it takes the place of a database. Private to the collection."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from typing import cast
from urllib.parse import urlsplit

from ansible_collections.esus.pec.plugins.module_utils import beliefs
from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.pec import installation
from ansible_collections.esus.pec.plugins.module_utils.postgres.psql import HAS_SETTINGS_SQL, PLAIN_TABLE_SQL
from ansible_collections.esus.pec.plugins.module_utils.postgres.session import Session

_LONGEST = 255
_MOST_PLACES = 20
_SHOWN = 3
_SETTINGS_SQL = f"""
select json_build_array(
  (select left(ds_texto, {_LONGEST}) from public.{beliefs.SETTINGS_TABLE} where co_config_sistema = '{beliefs.NAME_KEY}' limit 1),
  (select left(ds_texto, {_LONGEST}) from public.{beliefs.SETTINGS_TABLE} where co_config_sistema = '{beliefs.LINK_KEY}' limit 1)
)
"""
_HAS_PLACES_SQL = " and ".join(
    f"{PLAIN_TABLE_SQL.format(table=table)} and (select count(*) = {len(columns)} from pg_attribute where attnum > 0"
    f" and attrelid = to_regclass('public.{table}') and attname in ({', '.join(map(repr, columns))}))"
    for table, columns in (
        (beliefs.MUNICIPALITIES_TABLE, ("co_localidade",)),
        (beliefs.PLACES_TABLE, ("co_localidade", "co_ibge", "no_localidade")),
    )
)
_PLACES_SQL = f"""
select coalesce(json_agg(json_build_array(code, name) order by code), '[]'::json) from (
  select distinct left(p.co_ibge::text, {_LONGEST}) as code, left(p.no_localidade::text, {_LONGEST}) as name
  from public.{beliefs.MUNICIPALITIES_TABLE} m join public.{beliefs.PLACES_TABLE} p on p.co_localidade::text = m.co_localidade::text
  where p.co_ibge is not null and p.no_localidade is not null limit {_MOST_PLACES}
) places
"""


@dataclass(frozen=True)
class Holder:
    """Whose data a database holds, as PEC recorded it; C(places) are its municípios, each with the code of the IBGE and its name."""

    name: str = ""
    link: str = ""
    places: tuple[tuple[str, str], ...] = ()

    @property
    def known(self) -> bool:
        """Whether PEC recorded anything."""
        return bool(self.name or self.link or self.places)

    def describe(self) -> str:
        """Return it in words. The texts are the dump's, so they are quoted."""
        places = ", ".join(f"{name!r} (IBGE {code!r})" for code, name in self.places[:_SHOWN])
        more = f" and {len(self.places) - _SHOWN} more" if len(self.places) > _SHOWN else ""
        parts = (("município ", places + more), ("", repr(self.name) if self.name else ""), ("link ", repr(self.link) if self.link else ""))
        return ", ".join(label + text for label, text in parts if text)

    @property
    def own_name(self) -> str:
        """What an operator writes to ask for it."""
        return self.name or (self.places[0][1] if self.places else host_of(self.link) or self.link)


def read_holder(session: Session) -> Holder:
    """Return whose data the session's database holds. Only plain tables are read, because a dump may define what only looks like one."""
    if session.query(f"select to_json({HAS_SETTINGS_SQL})") is not True:
        return Holder()
    name, link = cast("list[object]", session.query(_SETTINGS_SQL))
    places: object = session.query(_PLACES_SQL) if session.query(f"select to_json({_HAS_PLACES_SQL})") is True else []
    found = [(str(code), str(place)) for code, place in cast("list[list[object]]", places)]
    return Holder(str(name or "").strip(), str(link or "").strip(), tuple(found))


def against_holder(found: Holder, beside: Holder | None, wanted: str) -> tuple[str, list[str]]:
    """Return why the data are another município's than this server's, empty if they are not, and notes.

    beside is what the database to replace holds, None without one; wanted is the município that the operator names, empty if none.
    """
    if not found.known:
        return "", ["whose data the dump holds is unknown, because PEC recorded neither a name nor a link in it"]
    beside = beside if beside and beside.known else None
    same = _same(found, beside) if beside else None
    if same is None and beside is None and wanted and (found.name or found.places):
        same = False
    if same is False and not _names(wanted, found, beside):
        here = f"the database that it would replace holds those of {beside.describe()}" if beside else f"{wanted!r} is expected"
        return (
            f"it holds the data of {found.describe()}, but {here}; to restore it anyway, set from_municipality (role: "
            f"pec_restore_from_municipality) to {found.own_name!r}"
        ), []
    notes = [f"the dump holds the data of {found.describe()}"]
    if beside and beside.describe() != found.describe():
        notes = [f"the dump holds the data of {found.describe()}; the database to replace has {beside.describe()}"]
    if beside and beside.link and found.link and beside.link != found.link:
        notes.append(f"the link of the installation is that of the dump, {found.link!r}, instead of {beside.link!r}; correct it in PEC")
    return "", notes


def against_version(found: str | None, installed: str | None, *, allowed: bool) -> str:
    """Return why PEC could not start with a dump of this version, empty if it could, or if the operator will update. None is unknown."""
    if not found or not installed or found.strip() == installed.strip():
        return ""
    older = is_older(found, installed)
    if older is False:
        return (
            f"it is of PEC {shown(found)}, which is newer than PEC {shown(installed)} on this server, and no PEC works with a newer "
            f"database; update PEC first (playbook esus.pec.install with pec_install_update), or restore a dump of {shown(installed)}"
        )
    if allowed:
        return ""
    return (
        f"it is of PEC {shown(found)}, but PEC {shown(installed)} is installed on this server and would not start with it; restore a dump "
        f"of {shown(installed)}, or, if an update of the database by the installer follows, set allow_other_version (role: "
        "pec_restore_allow_other_version) to true, which leaves PEC stopped"
    )


def update_follows(found: str | None, installed: str | None) -> bool:
    """Return whether the installer has to update a database of this version before PEC can start with it."""
    return bool(found and installed and found.strip() != installed.strip() and is_older(found, installed) is not False)


def is_older(found: str, installed: str) -> bool | None:
    """Return None if one of them is no version of PEC, so that they cannot be compared."""
    try:
        return installation.parse_version(found) < installation.parse_version(installed)
    except PecError:
        return None


def shown(version: str) -> str:
    """A version from a dump may be any text."""
    try:
        installation.parse_version(version)
    except PecError:
        return repr(version[:50])
    return version.strip()


def host_of(link: str) -> str:
    """Return the name of the host in a link, empty if it has none."""
    try:
        return (urlsplit(link if "//" in link else f"//{link}").hostname or "").lower()
    except ValueError:
        return ""


def _same(found: Holder, beside: Holder) -> bool | None:
    """Compare what both have, the surest first. None if they have nothing in common to compare."""
    if found.places and beside.places:
        return bool({code for code, _name in found.places} & {code for code, _name in beside.places})
    hosts = host_of(found.link), host_of(beside.link)
    if hosts[0] and hosts[0] == hosts[1] and _is_domain(hosts[0]):
        return True
    if found.name and beside.name:
        return _plain(found.name) == _plain(beside.name)
    return hosts[0] == hosts[1] if all(hosts) else None


def _is_domain(host: str) -> bool:
    """Addresses and local names are the same on many servers."""
    return "." in host and ":" not in host and not host.replace(".", "").isdigit() and not host.endswith((".local", ".localdomain", ".lan"))


def _names(wanted: str, found: Holder, beside: Holder | None) -> bool:
    """Whether the operator asks for this one: by its name, code or link, or by a part of the name that the one beside does not have."""
    exact = [found.name, host_of(found.link), found.link, *(text for place in found.places for text in place)]
    if not _plain(wanted):
        return wanted in exact and bool(wanted)
    if _plain(wanted) in {_plain(text) for text in exact}:
        return True
    return _has(found.name, wanted) and not (beside and _has(beside.name, wanted))


def _has(name: str, words: str) -> bool:
    return f" {_plain(words)} " in f" {_plain(name)} "


def _plain(text: str) -> str:
    """Without case, accents and punctuation, but whole: long names differ at their end."""
    letters = "".join(letter for letter in unicodedata.normalize("NFKD", text) if not unicodedata.combining(letter))
    return " ".join(re.findall(r"\w+", letters.casefold()))
