# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The municípios, states and regions of Brazil, and names compared without accents. Private to the collection."""

from __future__ import annotations

import csv
import difflib
import re
import unicodedata
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

_TABLE = Path(__file__).with_name("ibge.csv")

_REGIONS = {
    "Norte": {
        "AC": "Acre",
        "AM": "Amazonas",
        "AP": "Amapá",
        "PA": "Pará",
        "RO": "Rondônia",
        "RR": "Roraima",
        "TO": "Tocantins",
    },
    "Nordeste": {
        "AL": "Alagoas",
        "BA": "Bahia",
        "CE": "Ceará",
        "MA": "Maranhão",
        "PB": "Paraíba",
        "PE": "Pernambuco",
        "PI": "Piauí",
        "RN": "Rio Grande do Norte",
        "SE": "Sergipe",
    },
    "Centro-Oeste": {
        "DF": "Distrito Federal",
        "GO": "Goiás",
        "MS": "Mato Grosso do Sul",
        "MT": "Mato Grosso",
    },
    "Sudeste": {
        "ES": "Espírito Santo",
        "MG": "Minas Gerais",
        "RJ": "Rio de Janeiro",
        "SP": "São Paulo",
    },
    "Sul": {
        "PR": "Paraná",
        "RS": "Rio Grande do Sul",
        "SC": "Santa Catarina",
    },
}
REGIONS = {uf: region for region, states in _REGIONS.items() for uf in states}
"""The region of each UF."""


def folded(text: str) -> str:
    """Return lower case words without accents and punctuation: `Olho-d'Água` and `OLHO D AGUA` are the same."""
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    plain = "".join(character for character in decomposed if not unicodedata.combining(character))
    return " ".join(re.findall(r"[a-z0-9]+", plain))


_UFS = {folded(text): uf for states in _REGIONS.values() for uf, name in states.items() for text in (uf, name)}


@dataclass(frozen=True)
class Place:
    """A município as the IBGE lists it."""

    code: str
    uf: str
    name: str

    def __str__(self) -> str:
        return f"{self.name}, {self.uf}"


@lru_cache(maxsize=1)
def places() -> dict[str, Place]:
    """Return all municípios by their code."""
    with _TABLE.open(encoding="utf-8", newline="") as table:
        rows = csv.reader(table, delimiter=";")
        next(rows, None)
        return {code: Place(code, uf, name) for code, uf, name in rows}


@lru_cache(maxsize=1)
def _names() -> dict[tuple[str, str], list[Place]]:
    found: dict[tuple[str, str], list[Place]] = {}
    for place in places().values():
        found.setdefault((place.uf, folded(place.name)), []).append(place)
    return found


def uf_of(text: str) -> str:
    """Return the UF that a text names, by its two letters or in full; empty if there is none."""
    return _UFS.get(folded(text), "")


def named(name: str, uf: str) -> list[Place]:
    """Return the municípios of a UF with this name."""
    return _names().get((uf, folded(name)), [])


def similar(name: str, uf: str) -> list[Place]:
    """Return up to three municípios of a UF with names like this one, or else those of other UFs with just this name."""
    wanted = folded(name)
    known = {each: found for (state, each), found in _names().items() if state == uf}
    close = [place for each in difflib.get_close_matches(wanted, known, n=3, cutoff=0.8) for place in known[each]]
    return close or [place for (_state, each), found in _names().items() if each == wanted for place in found][:3]


@lru_cache(maxsize=1)
def _short_codes() -> dict[str, Place]:
    return {code[:6]: place for code, place in places().items()}


def completed(code: str) -> Place | None:
    """Return the município whose code begins with these six digits, as DATASUS writes codes."""
    return _short_codes().get(code)
