# SPDX-License-Identifier: GPL-3.0-or-later
"""The table of municípios against the IBGE's own rules, and the looking up of names."""

from __future__ import annotations

import csv
from collections import Counter
from pathlib import Path

import pytest

from ansible_collections.esus.pec.plugins.module_utils.brazil import ibge_problems
from ansible_collections.esus.pec.plugins.plugin_utils.municipios import ibge

TABLE = Path(ibge.__file__).with_name("ibge.csv")
# The IBGE's first two digits of each UF.
STATES = dict(
    zip(
        [
            "RO",
            "AC",
            "AM",
            "RR",
            "PA",
            "AP",
            "TO",
            "MA",
            "PI",
            "CE",
            "RN",
            "PB",
            "PE",
            "AL",
            "SE",
            "BA",
            "MG",
            "ES",
            "RJ",
            "SP",
            "PR",
            "SC",
            "RS",
            "MS",
            "MT",
            "GO",
            "DF",
        ],
        (*range(11, 18), *range(21, 30), *range(31, 34), 35, *range(41, 44), *range(50, 54)),
        strict=True,
    )
)


def test_the_table_is_complete() -> None:
    with TABLE.open(encoding="utf-8", newline="") as table:
        rows = list(csv.reader(table, delimiter=";"))[1:]
    assert len(rows) == len({code for code, _uf, _name in rows}) == len(ibge.places()) == 5571
    assert {uf: int(code[:2]) for code, uf, _name in rows} == STATES
    assert [code for code, uf, _name in rows if int(code[:2]) != STATES[uf]] == []
    assert Counter(uf for _code, uf, _name in rows).most_common(3) == [("MG", 853), ("SP", 645), ("RS", 497)]


def test_every_code_passes_the_rule_of_its_check_digit_or_is_one_of_nine() -> None:
    assert [code for code in ibge.places() if ibge_problems(code)] == []


def test_a_name_is_unique_in_its_uf_without_accents_too() -> None:
    assert [place for place in ibge.places().values() if ibge.named(place.name.upper(), place.uf) != [place]] == []


def test_its_licence_goes_with_it() -> None:
    text = TABLE.with_name("ibge.csv.license").read_text(encoding="utf-8")
    assert "MIT License" in text and "Copyright (c) 2018 Hyan Mandian" in text and 'THE SOFTWARE IS PROVIDED "AS IS"' in text


def test_every_uf_has_a_region() -> None:
    assert set(ibge.REGIONS) == set(STATES)
    assert Counter(ibge.REGIONS.values()) == {"Norte": 7, "Nordeste": 9, "Centro-Oeste": 4, "Sudeste": 4, "Sul": 3}


@pytest.mark.parametrize(
    ("name", "uf", "code"),
    [
        ("agua clara", "MS", "5000203"),
        ("ÁGUA  CLARA", "MS", "5000203"),
        ("Alta Floresta D\u2019Oeste", "RO", "1100015"),
        ("alta floresta d oeste", "RO", "1100015"),
        ("Embu-Guaçu", "SP", "3515103"),
        ("Boa Esperança do Norte", "MT", "5101837"),
    ],
)
def test_names_are_compared_without_accents_case_and_punctuation(name: str, uf: str, code: str) -> None:
    assert [place.code for place in ibge.named(name, uf)] == [code]


@pytest.mark.parametrize(
    ("text", "uf"), [("ms", "MS"), ("Mato Grosso do Sul", "MS"), ("SÃO PAULO", "SP"), ("Sao Paulo", "SP"), ("XX", ""), ("", "")]
)
def test_uf(text: str, uf: str) -> None:
    assert ibge.uf_of(text) == uf


def test_what_is_offered_for_a_wrong_name() -> None:
    assert [place.name for place in ibge.similar("Agua Crara", "MS")] == ["Água Clara"]
    assert {place.uf for place in ibge.similar("Bonito", "RS")} <= {"PA", "PE", "BA", "MS"}
    assert ibge.similar("Xyzzy", "MS") == []


def test_a_code_of_six_digits_is_completed() -> None:
    assert ibge.completed("292740") == ibge.places()["2927408"]
    assert ibge.completed("29274") is ibge.completed("999999") is None
