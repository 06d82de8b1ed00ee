# SPDX-License-Identifier: GPL-3.0-or-later
"""Files as spreadsheet programs save them, and files that want to do harm."""

from __future__ import annotations

import builtins
import datetime
import io
import zipfile
from collections.abc import Callable
from typing import Any

import openpyxl
import pytest

from ansible_collections.esus.pec.plugins.plugin_utils.municipios import reading, sheet, xlsx_sheet
from ansible_collections.esus.pec.plugins.plugin_utils.municipios.reading import Format
from ansible_collections.esus.pec.plugins.plugin_utils.municipios.sheet import Faults, Sheet, SheetError

TEXT = "Município;UF\r\nÁgua Clara;MS\r\nSalvador;BA\r\n"
ROWS = [(2, ["Água Clara", "MS"]), (3, ["Salvador", "BA"])]


def read(content: bytes, name: str = "a.csv", notes: list[str] | None = None, **options: Any) -> list[Sheet]:
    faults = Faults()
    found = reading.read_sheets(content, name, Format(**options), faults, (notes if notes is not None else []).append)
    assert not faults.texts
    return found


def only(content: bytes, name: str = "a.csv", **options: Any) -> Sheet:
    (found,) = read(content, name, **options)
    return found


def texts(found: Sheet) -> list[tuple[int, list[str]]]:
    return [(min(each.line for each in row.values()), [each.text for _number, each in sorted(row.items())]) for row in found.rows]


def error(content: bytes, name: str = "a.csv", **options: Any) -> str:
    with pytest.raises(SheetError) as raised:
        read(content, name, **options)
    return str(raised.value)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "windows-1252", "utf-16", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("separator", [";", ",", "\t"])
@pytest.mark.parametrize("end", ["\r\n", "\n", "\r"])
def test_csv(encoding: str, separator: str, end: str) -> None:
    found = only(TEXT.replace(";", separator).replace("\r\n", end).encode(encoding))
    assert [header.text for header in found.headers.values()] == ["Município", "UF"]
    assert texts(found) == ROWS


@pytest.mark.parametrize(
    ("text", "options", "rows"),
    [
        ("sep=,\nMunicípio,UF\nSalvador,BA\n", {}, [(3, ["Salvador", "BA"])]),
        ('Município;UF\n"Três\nLagoas";MS\nSalvador;BA\n', {}, [(2, ["Três Lagoas", "MS"]), (4, ["Salvador", "BA"])]),
        ('"Município; nome";"UF"\n"Rio ""Novo""";MS\n', {}, [(2, ['Rio "Novo"', "MS"])]),
        ("\n;;\nMunicípio;UF\n\n ; \nSalvador;BA\n", {}, [(6, ["Salvador", "BA"])]),
        ("Prefeituras\nMunicípio;UF\nSalvador;BA\n", {"header_line": 2}, [(3, ["Salvador", "BA"])]),
        ("Município|UF;x\nSalvador|BA;y\n", {"separator": ";"}, [(2, ["Salvador|BA", "y"])]),
        ("Município\nSalvador\n", {}, [(2, ["Salvador"])]),
        ("Município;UF\n\u00a0Três  Lagoas ;MS\n", {}, [(2, ["Três Lagoas", "MS"])]),
    ],
)
def test_csv_as_it_comes(text: str, options: dict[str, Any], rows: list[Any]) -> None:
    assert texts(only(text.encode(), **options)) == rows


@pytest.mark.parametrize(
    ("content", "options", "message"),
    [
        (b"a;b\n\x81;c\n", {}, "it is neither UTF-8 nor Windows-1252; save it as CSV UTF-8, or set encoding"),
        (b"a;b\n\xe1;c\n", {"encoding": "utf-8"}, "it is not in the encoding utf-8; save it as CSV UTF-8, or set encoding"),
        (b"abc\0d", {}, "it holds characters of the code 0, so it is no text; save it as CSV UTF-8, or give it the suffix of its type"),
        (b'a;b\n"c;d\ne;f\n', {}, "line 2 is not CSV (unexpected end of data); a quotation mark in a cell is written twice"),
        (b"a;b\n" + b";" * 300 + b"x", {}, "line 2 has more than 100 columns; remove those that are not about municípios"),
        (b"a;b\n" * 10_001, {}, "it has more than 10000 lines; remove the empty ones at the end"),
        (b" " * (16 * 1024 * 1024 + 1), {}, "it is larger than 16 MiB; save the list of municípios alone"),
        (b"a;b\n", {"worksheets": ["MS"]}, "only an XLSX file has worksheets; remove worksheets from the inventory source"),
    ],
)
def test_csv_that_is_refused(content: bytes, options: dict[str, Any], message: str) -> None:
    assert error(content, **options) == message


def test_a_cell_without_end_ends() -> None:
    assert error(b"a;b\n" + b"x" * 200_000).startswith("line 2 is not CSV (field larger than field limit")


def test_other_types_are_refused() -> None:
    assert error(b"", "a.xls") == "its suffix is none of .csv, .tsv, .txt, .xlsx, .xlsm, .yml, .yaml; save it as CSV UTF-8 or XLSX"


YAML = "- Município: Água Clara\n  UF: MS\n\n- UF: BA\n  Município: Salvador\n  CNPJ: 00000000000191\n"


@pytest.mark.parametrize("text", [YAML, "municipios:\n" + YAML, "---\n" + YAML + "...\n"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "windows-1252", "utf-16"])
def test_yaml(text: str, encoding: str) -> None:
    found = only(text.encode(encoding), "a.yml")
    assert [header.text for header in found.headers.values()] == ["Município", "UF", "CNPJ"]
    before = 0 if text == YAML else 1
    assert texts(found) == [(1 + before, ["Água Clara", "MS"]), (4 + before, ["Salvador", "BA", "00000000000191"])]


def test_yaml_keeps_what_was_typed() -> None:
    found = only(b"- {a: 01234567, b: 'yes', c: no, d: ~, e: null, f: 'null', g: 2026-12-05, h: 1e3, i: ''}\n", "a.yaml")
    assert texts(found) == [(1, ["01234567", "yes", "no", "null", "2026-12-05", "1e3"])]


BOMB = "a: &a [x,x]\nb: &b [*a,*a,*a,*a]\nc: [*b,*b,*b]\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("- a: &x 1\n  b: *x\n", "line 1 has an anchor or alias, which a sheet cannot use; write the value itself"),
        (BOMB, "line 1 has an anchor or alias, which a sheet cannot use; write the value itself"),
        ("- a: !vault x\n", "line 1 has the tag '!vault', which a sheet cannot use; a secret stays in a vault file"),
        (
            "- a: !!python/object/apply:os.system [id]\n",
            "line 1 has the tag 'tag:yaml.org,2002:python/object/apply:os.system', which a sheet cannot use; ",
        ),
        ("- a: [1]\n", "line 1 has a list or mapping as a value; a cell is one text or number"),
        ("- a: {b: c}\n", "line 1 has a list or mapping as a value; a cell is one text or number"),
        ("- ? [a]\n  : b\n", "line 1 has a list or mapping as a value; a cell is one text or number"),
        ("other:\n- a: b\n", "line 2: the list of municípios is not under the key 'municipios'; write it there, or the list alone"),
        ("- a\n", "line 1 is not a município; write a list with a mapping for each município, its columns as keys"),
        ("a\n", "line 1 is not a município; write a list with a mapping for each município, its columns as keys"),
        ("municipios:\n", "it has no municípios; write a list with a mapping for each município, its columns as keys"),
        ("- a: b\n---\n- a: c\n", "line 2 begins a second document; write all municípios into one list"),
        ("- a: b\n  c\n   - d: {\n", "line 3 is not YAML: "),
        ("[" * 50, "line 1 has a list or mapping as a value; a cell is one text or number"),
        ("- {" + ", ".join(f"a{number}: 1" for number in range(101)) + "}", "line 1 has one key more than the 100 allowed; "),
        ("- a: b\n" * 10_001, "it has more than 10000 municípios; there are 5,571"),
    ],
)
def test_yaml_that_is_refused(text: str, message: str) -> None:
    assert error(text.encode(), "a.yml").startswith(message)


def test_a_key_that_is_there_twice() -> None:
    faults = Faults()
    reading.read_sheets(b"- a: 1\n  a: 2\n", "a.yml", Format(), faults, str)
    assert [text for _sheet, _line, text in faults.texts] == [
        "a.yml, line 2, column 'a': the key is there twice for one município; remove one"
    ]


def workbook(sheets: dict[str, list[list[Any]]], change: Callable[[openpyxl.Workbook], None] = lambda book: None) -> bytes:
    book = openpyxl.Workbook()
    book.remove(book.active)  # type: ignore[arg-type]
    for title, rows in sheets.items():
        made = book.create_sheet(title)
        for row in rows:
            made.append(row)
    change(book)
    content = io.BytesIO()
    book.save(content)
    return content.getvalue()


def repacked(content: bytes, part: str, change: Callable[[bytes], bytes]) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as new:
        for each in old.namelist():
            new.writestr(each, change(old.read(each)) if each == part else old.read(each))
    return made.getvalue()


SHEET = "xl/worksheets/sheet1.xml"
PLAIN = workbook({"MS": [["Município", "IBGE"], ["Água Clara", 5000203]]})


def test_xlsx() -> None:
    rows = [
        ["Município", "IBGE", "Janela", "Ativo"],
        [],
        ["Água Clara", 5000203.0, datetime.datetime(2026, 12, 5, 22), True],
        [None, None, None, None],
    ]
    found = only(workbook({"MS": rows, "Plan2": []}), "a.xlsx")
    assert found.name == "a.xlsx, worksheet MS"
    assert [header.text for header in found.headers.values()] == ["Município", "IBGE", "Janela", "Ativo"]
    assert texts(found) == [(3, ["Água Clara", "5000203", "2026-12-05 22:00", "true"])]
    assert [each.kind for each in found.rows[0].values()] == ["text", "number", "date", "text"]


def test_worksheets_are_chosen() -> None:
    content = workbook({"MS": [["Município"], ["Água Clara"]], "BA": [["Município"], ["Salvador"]], "Notas": [["x"]]})
    assert error(content, "a.xlsx") == "it has more than one worksheet, such as 'BA'; name those with municípios in worksheets"
    found = read(content, "a.xlsx", worksheets=["MS", "BA"])
    assert [(each.name, texts(each)) for each in found] == [
        ("a.xlsx, worksheet MS", [(2, ["Água Clara"])]),
        ("a.xlsx, worksheet BA", [(2, ["Salvador"])]),
    ]
    assert error(content, "a.xlsx", worksheets=["RS"]) == "it has no visible worksheet 'RS', only 'MS', 'BA', 'Notas'; correct worksheets"


def test_a_hidden_worksheet_does_not_count() -> None:
    def hide(book: openpyxl.Workbook) -> None:
        book["BA"].sheet_state = "hidden"

    content = workbook({"MS": [["Município"], ["Água Clara"]], "BA": [["Município"], ["Salvador"]]}, hide)
    assert texts(only(content, "a.xlsx")) == [(2, ["Água Clara"])]


def test_of_a_formula_the_stored_value_counts_and_is_noted() -> None:
    content = workbook({"MS": [["Município", "Domínio"], ["Água Clara", '="pec."&"ms.gov.br"']]})
    assert error(content, "a.xlsx").startswith("the formula in MS!B2 has no stored value; ")

    def store(text: bytes) -> bytes:
        assert b"<v />" in text or b"<v/>" in text or b"<v></v>" in text, text
        for empty in (b"<v />", b"<v/>", b"<v></v>"):
            text = text.replace(empty, b"<v>pec.ms.gov.br</v>")
        return text.replace(b'<c r="B2"', b'<c r="B2" t="str"')

    notes: list[str] = []
    (found,) = read(repacked(content, SHEET, store), "a.xlsx", notes)
    assert texts(found) == [(2, ["Água Clara", "pec.ms.gov.br"])]
    assert notes == ["worksheet 'MS' has 1 formulas (the first in MS!B2); the values stored with them are used"]


def test_the_error_of_a_formula_is_no_value() -> None:
    content = workbook({"MS": [["Município", "Responsável"], ["Água Clara", "#REF!"]]})
    assert error(content, "a.xlsx") == "the cell MS!B2 holds the error #REF!; correct its formula"


def test_a_dimension_that_lies_hides_nothing() -> None:
    content = repacked(PLAIN, SHEET, lambda text: text.replace(b'ref="A1:B2"', b'ref="A1:A1"'))
    assert b'ref="A1:A1"' in zipfile.ZipFile(io.BytesIO(content)).read(SHEET)
    assert texts(only(content, "a.xlsx")) == [(2, ["Água Clara", "5000203"])]


def test_rows_and_columns_far_away_are_refused() -> None:
    far = repacked(PLAIN, SHEET, lambda text: text.replace(b'<row r="2"', b'<row r="1000000"'))
    assert error(far, "a.xlsx").startswith("worksheet 'MS' has more than 10000 lines; ")
    wide = repacked(PLAIN, SHEET, lambda text: text.replace(b'r="B2"', b'r="ZZZ2"'))
    assert error(wide, "a.xlsx") == "line 2 of worksheet 'MS' has more than 100 columns; remove some"


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace(b"<worksheet", b'<!DOCTYPE x [<!ENTITY a "b">]><worksheet', 1),
        lambda text: b"\xef\xbb\xbf \n<!DOCTYPE x><x/>",
        lambda text: '<?xml version="1.0" encoding="utf-16"?><!DOCTYPE x><x/>'.encode("utf-16"),
        lambda text: '<?xml version="1.0" encoding="utf-16-be"?><x/>'.encode("utf-16-be"),
    ],
)
def test_entities_are_refused(change: Callable[[bytes], bytes]) -> None:
    assert texts(only(PLAIN, "a.xlsx"))
    assert error(repacked(PLAIN, SHEET, change), "a.xlsx").startswith(f"its part {SHEET!r} is XML that no spreadsheet program writes; ")


def test_a_zip_bomb_is_refused_before_it_is_unpacked(monkeypatch: pytest.MonkeyPatch) -> None:
    bomb = repacked(PLAIN, SHEET, lambda text: b" " * (xlsx_sheet.MAX_UNPACKED + 1))
    assert len(bomb) < 100_000

    def unpack(*_arguments: object) -> bytes:
        raise AssertionError("it was unpacked")

    monkeypatch.setattr(zipfile.ZipFile, "read", unpack)
    assert error(bomb, "a.xlsx").startswith("it has more than 2000 parts or unpacks to more than 64 MiB; ")


def test_a_long_text_in_many_cells_fills_no_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """The texts of XLSX are stored once. What is too long is not copied, and the rest has a limit."""
    monkeypatch.setattr(reading, "MAX_TEXT", 1 << 20)
    long = only(workbook({"MS": [["Município"], *[["x" * 1001] for _row in range(2000)]]}), "a.xlsx")
    assert len({id(row[0].text) for row in long.rows}) == 1 and len(long.rows[0][0].text) > 1000
    many = workbook({"MS": [["Município"], *[["x  " * 333] for _row in range(2000)]]})
    assert len(many) < 100_000
    assert error(many, "a.xlsx") == "it has more than 1 million characters; save the list of municípios alone"


def test_a_size_that_lies_is_no_way_around() -> None:
    """zipfile unpacks what the directory declares, and then finds that the checksum is another."""
    bomb = bytearray(repacked(PLAIN, SHEET, lambda text: text + b" " * 1_000_000))
    (size,) = {each.file_size for each in zipfile.ZipFile(io.BytesIO(bytes(bomb))).infolist() if each.filename == SHEET}
    lied = bytes(bomb).replace(size.to_bytes(4, "little"), (100).to_bytes(4, "little"))
    assert error(lied, "a.xlsx").startswith("it is not an XLSX file, or it is protected by a password (Bad CRC-32")


@pytest.mark.parametrize("content", [b"", b"Munic;UF\n", b"\xd0\xcf\x11\xe0" + b"\0" * 100, PLAIN[: len(PLAIN) // 2]])
def test_what_is_no_xlsx(content: bytes) -> None:
    assert error(content, "a.xlsx").startswith("it is not an XLSX file, or it is protected by a password (")


@pytest.mark.parametrize("part", ["xl/workbook.xml", SHEET, "[Content_Types].xml", "xl/styles.xml", "xl/sharedStrings.xml"])
@pytest.mark.parametrize("text", [b"", b"<x/>", b"<x"])
def test_a_damaged_workbook_is_an_error_of_ours(part: str, text: bytes) -> None:
    """Or is read all the same, if the part was not needed."""
    content = repacked(PLAIN, part, lambda old: text)
    try:
        read(content, "a.xlsx")
    except SheetError as found:
        assert "open it in a spreadsheet program" in str(found)


def test_without_openpyxl_the_error_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    original = builtins.__import__

    def absent(name: str, *rest: Any, **more: Any) -> Any:
        if name == "openpyxl":
            raise ImportError(name)
        return original(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", absent)
    message = "an XLSX file requires the Python package openpyxl on the controller: pip install openpyxl"
    assert error(PLAIN, "a.xlsx") == message
    assert texts(only(TEXT.encode())) == ROWS


def test_the_list_of_faults_is_bounded() -> None:
    faults = Faults()
    for number in reversed(range(60)):
        faults.add("a.csv", number + 2, "wrong\x1b[2J", "UF")
    lines = faults.message().splitlines()
    assert lines[0] == "60 problems in the sheet of municípios; correct each and run again:"
    assert lines[1] == "- a.csv, line 2, column 'UF': wrong?[2J"
    assert lines[-1] == "- and 10 more" and len(lines) == 1 + sheet.MAX_SHOWN + 1
