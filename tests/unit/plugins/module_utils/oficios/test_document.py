# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import builtins
import datetime
import io
import re
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import docx
import pytest
from docx.oxml import OxmlElement
from jinja2 import Environment
from oficio_answers import ANSWERS

from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.oficios import document, letters
from ansible_collections.esus.pec.plugins.module_utils.oficios.fields import DOMINIO, LETTERS, Fields
from ansible_collections.esus.pec.plugins.module_utils.oficios.letters import PARAGRAPH, Letter, Part

DAY = datetime.date(2026, 11, 30)
HOSTILE = "Água & <script>alert(1)</script> {{ 7 * 7 }} {% x %} ]]> <w:p/> &amp; ' \" ../x"
EVERY_NAME = [name for name, _meaning in document.NAMES]


def letter(name: str = DOMINIO, **changed: Any) -> Letter:
    return letters.write(name, Fields(**{**ANSWERS, **changed}), DAY)


def texts(data: bytes) -> list[str]:
    return [paragraph.text for paragraph in docx.Document(io.BytesIO(data)).paragraphs]


def hostile() -> Letter:
    """A letter that did not pass the checks of the answers."""
    return replace(
        letter(),
        signer=HOSTILE,
        position=HOSTILE,
        institution=HOSTILE,
        identity=HOSTILE,
        subject=HOSTILE,
        recipient=HOSTILE,
        number=HOSTILE,
        place=HOSTILE,
        parts=(Part(PARAGRAPH, HOSTILE),),
    )


def template(tmp_path: Path, *lines: str, header: str = "", author: str = "") -> str:
    made = docx.Document()
    made.sections[0].header.paragraphs[0].text = header
    made.core_properties.author = author
    for line in lines:
        made.add_paragraph(line)
    path = tmp_path / "timbrado.docx"
    made.save(str(path))
    return str(path)


def with_part(path: str, name: str, data: bytes) -> str:
    """The same document with one file in it more, or another one."""
    with zipfile.ZipFile(path) as source:
        entries = {each: source.read(each) for each in source.namelist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as target:
        for each, content in {**entries, name: data}.items():
            target.writestr(each, content)
    return path


def with_field(path: str, codes: list[str]) -> str:
    """The same document with a field whose code is in several runs."""
    made = docx.Document(path)
    for code in codes:
        element = OxmlElement("w:instrText")
        element.text = code
        made.paragraphs[0].add_run()._r.append(element)
    made.save(path)
    return path


@pytest.mark.parametrize("name", LETTERS)
def test_the_parts_of_an_oficio_in_their_order(name: str) -> None:
    made = letter(name, numbers={name: "12/2026"})
    shown = texts(document.build(made))
    order = ["Ofício nº 12/2026", made.place_and_date, made.recipient, f"Assunto: {made.subject}", "Prezados(as),"]
    order += [part.text for part in made.parts if part.kind == PARAGRAPH]
    order += ["Atenciosamente,", "João Carlos de Souza", "Prefeito Municipal", made.institution]
    assert [text for text in shown if text in order] == order
    assert all(any(part.text in text for text in shown) for part in made.parts)
    section = docx.Document(io.BytesIO(document.build(made))).sections[0]
    assert (round(section.page_width.cm, 1), round(section.page_height.cm, 1)) == (21.0, 29.7)
    assert (
        section.header.paragraphs[0].text == "PREFEITURA MUNICIPAL DE ÁGUA CLARA"
        and "13.927.801/0001-49" in section.header.paragraphs[1].text
    )


@pytest.mark.parametrize("own", [False, True])
def test_the_same_bytes_for_the_same_letter(own: bool, tmp_path: Path) -> None:
    path = template(tmp_path, "{{ local_e_data }} {{ corpo }}", "{{ nome }}") if own else ""
    first = document.build(letter(), path)
    assert document.build(letter(), path) == first
    assert document.build(letter(ipv4="203.0.113.11"), path) != first
    with zipfile.ZipFile(io.BytesIO(first)) as packed:
        assert packed.testzip() is None
        assert {entry.date_time for entry in packed.infolist()} == {(1980, 1, 1, 0, 0, 0)}
    assert document.date_of(first) == DAY
    assert document.date_of(document.build(replace(letter(), date=datetime.date(2027, 1, 2)), path)) == datetime.date(2027, 1, 2)


@pytest.mark.parametrize("data", [b"", b"PK", b"x" * 100])
def test_the_date_of_no_document(data: bytes) -> None:
    assert document.date_of(data) is None


def test_a_draft() -> None:
    assert texts(document.build(replace(letter(), mark="MINUTA: x")))[0] == "MINUTA: x"


@pytest.mark.parametrize("own", [False, True])
def test_hostile_values_are_text(own: bool, tmp_path: Path) -> None:
    path = template(tmp_path, *(f"{{{{ {name} }}}}" for name in EVERY_NAME), header="{{ instituicao }}") if own else ""
    made = hostile()
    if own:  # it holds what a place left to fill in looks like, which is refused in the end
        with pytest.raises(PecError, match="would leave"):
            document.build(made, path)
        without = HOSTILE.replace("{{ 7 * 7 }} {% x %} ", "")
        made = replace(
            made, **dict.fromkeys(("signer", "position", "institution", "identity", "subject", "recipient", "number", "place"), without)
        )
        made = replace(made, parts=(Part(PARAGRAPH, without),))
    data = document.build(made, path)
    shown = texts(data)
    assert made.signer in shown and made.parts[0].text in shown and made.recipient in shown
    assert "49" not in "".join(shown)
    with zipfile.ZipFile(io.BytesIO(data)) as packed:
        for name in packed.namelist():
            if name.endswith((".xml", ".rels")):
                ElementTree.fromstring(packed.read(name))


def test_the_municipios_letterhead(tmp_path: Path) -> None:
    path = template(
        tmp_path, *(f"{name}: {{{{ {name} }}}}" for name in EVERY_NAME if name != "corpo"), "{{ corpo }}", header="{{ instituicao }}"
    )
    made = replace(letter(), mark="MINUTA: x")
    data = document.build(made, path)
    shown = texts(data)
    assert f"oficio: {made.numbered}" in shown and f"minuta: {made.mark}" in shown and f"cargo: {made.position}" in shown
    assert shown[-len(made.body) :] == [{"item": "• ", "note": "* "}.get(part.kind, "") + part.text for part in made.body]
    assert docx.Document(io.BytesIO(data)).sections[0].header.paragraphs[0].text == made.institution
    without = template(tmp_path, "{{ corpo }}", "{{ nome }}")
    assert texts(document.build(made, without))[0] == "MINUTA: x"
    assert texts(document.build(letter(), without))[0] == "Prezados(as),"


@pytest.mark.parametrize(
    ("lines", "why"),
    [
        (["{{ corpo }}", "{{ nome }}", "{{ prefeito }} {{ vice }}"], "prefeito, vice"),
        (["Prezados,", "{{ nome }}"], "no place for corpo"),
        (["{{ corpo }}"], "no place for nome"),
        (["{{ corpo }}", "{{ nome }}", "[Nome do Município]"], r"\[Nome do Município\]"),
        (["{{ corpo }}", "{{ nome }", "{{ nome }}"], "cannot be filled|would leave"),
        (["{{ corpo }}", "{% if nome %}", "{{ nome }}"], "cannot be filled"),
        (["{{ corpo }}", "{{ nome.__class__.__mro__ }}"], "cannot be filled"),
        (["{{ corpo }}", "{{ nome }}", "{{ ''.__class__.__base__.__subclasses__() }}"], "cannot be filled"),
        (["{{ corpo }}", "{{ nome }}", "{{ self._TemplateReference__context }}"], "cannot be filled|has places"),
        (["{{ corpo }}", "{{ nome }}", "{{ cycler.__init__.__globals__.os.popen('id').read() }}"], "has places|cannot be filled"),
        (["{{ corpo }}", "{{ nome }}", "{% include '/etc/passwd' %}"], "cannot be filled|no document"),
        (["{{ corpo }}", "{{ nome }}", "{% for x in range(999999999) %}{% endfor %}"], "cannot be filled|no document|has places"),
    ],
)
def test_a_letterhead_that_cannot_be_filled(lines: list[str], why: str, tmp_path: Path) -> None:
    assert "subclasses" in Environment().from_string("{{ nome.__class__.__mro__[1].__subclasses__ }}").render(nome=""), "no sandbox"
    with pytest.raises(PecError, match=why):
        document.build(letter(), template(tmp_path, *lines))


def test_what_a_letterhead_may_not_hold(tmp_path: Path) -> None:
    def build(path: str) -> None:
        document.build(letter(), path)

    def good() -> str:
        return template(tmp_path, "{{ corpo }}", "{{ nome }}")

    build(good())
    with pytest.raises(PecError, match="would leave"):
        build(template(tmp_path, "{{ corpo }}", "{{ nome }}", header="[Brasão]"))
    with pytest.raises(PecError, match="INCLUDETEXT"):
        build(with_field(good(), ["INCLUDE", 'TEXT "/etc/passwd"']))
    build(with_field(good(), [" PAGE "]))
    with pytest.raises(PecError, match="macros"):
        build(with_part(good(), "word/vbaProject.bin", b"x"))
    relation = b"<Relationship Id='r1' Type='http://x/image' Target='file:///etc/passwd' TargetMode='External'/>"
    with pytest.raises(PecError, match="another place"):
        build(with_part(good(), "word/_rels/x.xml.rels", b"<Relationships>" + relation + b"</Relationships>"))
    with pytest.raises(PecError, match="unpacks to more"):
        build(with_part(good(), "word/media/a.png", b"\0" * (130 << 20)))
    (tmp_path / "x.docx").write_bytes(b"not a zip")
    with pytest.raises(PecError, match="no document of Word"):
        build(str(tmp_path / "x.docx"))
    with zipfile.ZipFile(tmp_path / "y.docx", "w") as empty:
        empty.writestr("a", b"")
    with pytest.raises(PecError, match="no document of Word"):
        build(str(tmp_path / "y.docx"))
    with pytest.raises(PecError, match=re.escape(str(tmp_path / "missing.docx"))):
        build(str(tmp_path / "missing.docx"))


@pytest.mark.parametrize(
    "written",
    [lambda text: text.replace("External", "Exter&#110;al").encode(), lambda text: text.replace("UTF-8", "UTF-16").encode("utf-16")],
)
def test_a_picture_from_elsewhere_in_another_spelling(tmp_path: Path, written: Callable[[str], bytes]) -> None:
    path = template(tmp_path, "{{ corpo }}", "{{ nome }}")
    with zipfile.ZipFile(path) as packed:
        parts = {name: packed.read(name) for name in packed.namelist()}
    kind = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    more = f'<Relationship Id="r99" Type="{kind}/image" Target="file:///etc/passwd" TargetMode="External"/></Relationships>'
    rels = "word/_rels/document.xml.rels"
    parts[rels] = written(parts[rels].decode().replace("</Relationships>", more))
    with zipfile.ZipFile(path, "w") as packed:
        for name, data in parts.items():
            packed.writestr(name, data)
    with pytest.raises(PecError, match="another place"):
        document.build(letter(), path)


@pytest.mark.parametrize("missing", ["docx", "docxtpl"])
def test_a_missing_library(missing: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real, path = builtins.__import__, template(tmp_path, "{{ corpo }}", "{{ nome }}")

    def broken(name: str, *arguments: Any, **more: Any) -> Any:
        if name.partition(".")[0] == missing:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return real(name, *arguments, **more)

    monkeypatch.setattr(builtins, "__import__", broken)
    with pytest.raises(PecError, match="pip install docxtpl"):
        document.build(letter(), path)
