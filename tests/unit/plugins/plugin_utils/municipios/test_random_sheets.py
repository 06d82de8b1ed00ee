# SPDX-License-Identifier: GPL-3.0-or-later
"""Random sheets: a correct one is read as it was meant in every format, and nothing else ends in an error of Python's."""

from __future__ import annotations

import csv
import io
import os
import tempfile
from pathlib import Path
from typing import Any

import openpyxl
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.configuration import set_hypothesis_home_dir

from ansible_collections.esus.pec.plugins.plugin_utils.municipios import ibge
from ansible_collections.esus.pec.plugins.plugin_utils.municipios.columns import FIELDS
from ansible_collections.esus.pec.plugins.plugin_utils.municipios.reading import Format, read_sheets
from ansible_collections.esus.pec.plugins.plugin_utils.municipios.servers import Rules, Server, servers_of
from ansible_collections.esus.pec.plugins.plugin_utils.municipios.sheet import Faults, SheetError

set_hypothesis_home_dir(Path(os.environ.get("LAB_BUILD_DIR", tempfile.gettempdir())) / "hypothesis")
RANDOM = settings(deadline=None, database=None, suppress_health_check=list(HealthCheck))
PLACES = sorted(ibge.places().values(), key=lambda place: place.code)
# What Windows-1252 has too, templates and what CSV and formulas use; no line ends, which become blanks.
FREE = st.text(st.sampled_from("abcXYZ áéçõ019{}%#'\";,=+-@\\/()_"), max_size=30).map(lambda text: " ".join(text.split()))


@st.composite
def estates(draw: st.DrawFn) -> list[dict[str, str]]:
    """Lines of a correct sheet, by field."""
    chosen = draw(st.lists(st.sampled_from(PLACES), min_size=1, max_size=8, unique=True))
    lines = []
    for number, place in enumerate(chosen):
        named, coded = draw(st.sampled_from([(True, True), (True, False), (False, True)]))
        lines.append(
            {
                "municipio": draw(st.sampled_from([place.name, place.name.upper(), ibge.folded(place.name)])) if named else "",
                "uf": draw(st.sampled_from([place.uf, place.uf.lower()])) if named else "",
                "ibge_code": place.code if coded else "",
                "domain": f"pec{number}.example",
                "ipv4": f"203.0.113.{number + 1}",
                "wave": draw(st.sampled_from(["1", "2", "piloto", ""])),
                "responsible": draw(FREE),
            }
        )
        lines[-1]["expected"] = place.code
    return lines


def servers(content: bytes, name: str, form: Format | None = None) -> tuple[list[Server], Faults]:
    faults = Faults()
    rules = Rules(columns={}, ignored=[], vault_prefix="vault_", group="pec")
    sheets = read_sheets(content, name, form or Format(), faults, str)
    return servers_of(sheets, rules, faults), faults


def as_expected(found: tuple[list[Server], Faults], lines: list[dict[str, str]]) -> None:
    made, faults = found
    assert faults.texts == []
    for server, line in zip(made, lines, strict=True):
        place = ibge.places()[line["expected"]]
        variables = server.variables
        assert (variables["pec_ibge_code"], variables["pec_municipio"], variables["pec_uf"]) == (place.code, place.name, place.uf)
        assert (server.name, variables["ansible_host"]) == (line["domain"], line["ipv4"])
        assert (variables.get("pec_wave", ""), variables.get("pec_responsible", "")) == (line["wave"], line["responsible"])
        assert server.vault == {}


@RANDOM
@given(
    lines=estates(),
    separator=st.sampled_from(";,\t"),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "windows-1252", "utf-16"]),
    order=st.randoms(use_true_random=False),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
)
def test_csv(lines: list[dict[str, str]], separator: str, encoding: str, order: Any, quoting: Any) -> None:
    fields = [field for field in lines[0] if field in FIELDS]
    order.shuffle(fields)
    text = io.StringIO()
    writer = csv.writer(text, delimiter=separator, quoting=quoting)
    writer.writerow([order.choice(FIELDS[field].headers) for field in fields])
    writer.writerows([line[field] for field in fields] for line in lines)
    as_expected(servers(text.getvalue().encode(encoding), "a.csv"), lines)


@RANDOM
@given(lines=estates())
def test_yaml(lines: list[dict[str, str]]) -> None:
    rows = [{FIELDS[field].headers[0]: value for field, value in line.items() if field in FIELDS} for line in lines]
    as_expected(servers(yaml.safe_dump(rows, allow_unicode=True).encode(), "a.yml"), lines)


@settings(RANDOM, max_examples=25)
@given(lines=estates(), numbers=st.booleans())
def test_xlsx(lines: list[dict[str, str]], numbers: bool) -> None:
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    fields = [field for field in lines[0] if field in FIELDS]
    sheet.append([FIELDS[field].headers[0] for field in fields])
    for row, line in enumerate(lines, 2):
        for column, field in enumerate(fields, 1):
            value = line[field]
            cell = sheet.cell(row, column)
            cell.value = float(value) if numbers and field in ("ibge_code", "wave") and value.isdigit() else value or None
            if isinstance(cell.value, str):
                cell.data_type = "s"  # also of what begins with =
    content = io.BytesIO()
    book.save(content)
    as_expected(servers(content.getvalue(), "a.xlsx"), lines)


@RANDOM
@given(
    content=st.one_of(
        st.binary(max_size=300),
        st.text(max_size=200).map(lambda text: text.encode("utf-8", "replace")),
        st.lists(st.text(st.sampled_from('MUF;,\t"\n&*!:-[]{} á=\0\x85'), max_size=20)).map(
            lambda parts: "Município;UF\n".join(parts).encode()
        ),
    ),
    name=st.sampled_from(["a.csv", "a.yml", "a.xlsx"]),
    encoding=st.sampled_from(["auto", "utf-8", "utf-16", "windows-1252"]),
)
def test_any_bytes(content: bytes, name: str, encoding: str) -> None:
    try:
        _servers, faults = servers(content, name, Format(encoding=encoding))
    except SheetError as error:
        assert str(error)
    else:
        assert faults.count, "random bytes are no município"
