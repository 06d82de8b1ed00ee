# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes a letter a document of Word, on a letterhead of our own or on the município's. Private to the collection.

The same letter gives the same bytes. The libraries are needed here only, so they are imported where they are used.
"""

from __future__ import annotations

import datetime
import io
import re
import zipfile
from typing import Any

from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.oficios.letters import HEADING, ITEM, NOTE, Letter
from ansible_collections.esus.pec.plugins.module_utils.system import files

LONGEST = 32 << 20
_LONGEST_UNPACKED = 128 << 20
_FONT, _SIZE = "Calibri", 12  # of the Manual de Redação da Presidência da República, as are the margins
_GREY, _RED = "595959", "B00000"
_CREATED = re.compile(rb"<dcterms:created[^>]*>(\d{4}-\d\d-\d\d)T")
# Fields with which a document takes in another file, or starts a program.
_FETCHED = "the template {} fetches a picture or a template from another place when opened; embed it, then save it again"
_FETCHES = re.compile(r"\b(?:INCLUDE\w*|IMPORT|LINK|DATABASE|DDE\w*)\b", re.IGNORECASE)
NAMES = (
    ("oficio", "the line with its number"),
    ("local_e_data", "place and date"),
    ("destinatario", "whom it is addressed to"),
    ("assunto", "the subject"),
    ("corpo", "the whole text, from Prezados(as) to Atenciosamente"),
    ("nome", "who signs"),
    ("cargo", "that person's position"),
    ("minuta", "why it is a draft, or nothing"),
    ("instituicao", "the razão social of the prefeitura"),
    ("identificacao", "município, state and CNPJ"),
)
"""What a município's own letterhead may hold, as {{ corpo }}."""


def build(letter: Letter, template: str = "") -> bytes:
    """Return the document. Raises PecError if a library is missing, or the template is none that can be filled."""
    try:
        return _packed(_filled(letter, template) if template else _default(letter))
    except ImportError as error:
        raise PecError(
            f"{error.name or error} is missing for the Python that runs Ansible, so no .docx can be written; run: pip install docxtpl "
            "(it brings python-docx), or set formats to [txt]"
        ) from None


def date_of(data: bytes) -> datetime.date | None:
    """Return the date of a letter that was written before."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as packed:
            found = _CREATED.search(packed.open("docProps/core.xml").read(1 << 16))
            return datetime.date.fromisoformat(found.group(1).decode()) if found else None
    except (OSError, EOFError, RuntimeError, KeyError, ValueError, zipfile.BadZipFile):
        return None


def _packed(document: Any) -> bytes:
    """Return the bytes of a document, with the times in them fixed."""
    given, made = io.BytesIO(), io.BytesIO()
    document.save(given)
    with zipfile.ZipFile(given) as source, zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as target:
        for name in source.namelist():
            target.writestr(zipfile.ZipInfo(name), source.read(name), zipfile.ZIP_DEFLATED)  # of 1980
    return made.getvalue()


def _describe(document: Any, letter: Letter) -> None:
    properties, moment = document.core_properties, datetime.datetime(letter.date.year, letter.date.month, letter.date.day)
    properties.title, properties.subject, properties.author = letter.subject[:255], "", letter.institution[:255]
    properties.comments = properties.keywords = properties.last_modified_by = ""
    properties.language, properties.revision = "pt-BR", 1
    properties.created = properties.modified = moment


# --- on our own letterhead ------------------------------------------------------------------------------------------


def _default(letter: Letter) -> Any:
    from docx import Document
    from docx.enum.text import WD_ALIGN_PARAGRAPH
    from docx.shared import Cm, Pt

    document = Document()
    section = document.sections[0]
    section.page_width, section.page_height = Cm(21), Cm(29.7)
    section.left_margin, section.right_margin = Cm(3), Cm(1.5)
    section.top_margin, section.bottom_margin = Cm(2), Cm(2)
    normal = document.styles["Normal"]
    _set_font(normal)
    normal.paragraph_format.space_after, normal.paragraph_format.line_spacing = Pt(6), 1.0

    _letterhead(section.header, letter)
    _described_foot(section.footer, letter)
    if letter.mark:
        _add(document, letter.mark, bold=True, colour=_RED, after=12)
    _add(document, letter.numbered, bold=True, before=6)
    _add(document, letter.place_and_date, align=WD_ALIGN_PARAGRAPH.RIGHT, after=18)
    _add(document, letter.recipient, after=18)
    subject = _add(document, "Assunto: ", bold=True, after=18)
    subject.add_run(letter.subject).bold = True
    for part in letter.body:
        if part.kind == HEADING:
            _add(document, part.text, bold=True, before=6, after=3, together=True)
        elif part.kind == ITEM:
            item = _add(document, f"•\t{part.text}", after=3)
            item.paragraph_format.left_indent, item.paragraph_format.first_line_indent = Cm(1.25), Cm(-0.6)
            item.paragraph_format.tab_stops.add_tab_stop(Cm(1.25))
        elif part.kind == NOTE:
            note = _add(document, f"* {part.text}", size=_SIZE - 1, after=12, align=WD_ALIGN_PARAGRAPH.LEFT)
            note.paragraph_format.left_indent = Cm(1.25)
        else:
            paragraph = _add(document, part.text, align=WD_ALIGN_PARAGRAPH.JUSTIFY, before=6, together=part is letter.body[-1])
            paragraph.paragraph_format.first_line_indent = Cm(2.5)
    _signature(document, letter)
    _describe(document, letter)
    return document


def _set_font(style: Any) -> None:
    from docx.oxml.ns import qn
    from docx.shared import Pt

    style.font.name, style.font.size = _FONT, Pt(_SIZE)
    properties = style.element.get_or_add_rPr()
    for kind in ("w:eastAsia", "w:cs"):
        properties.rFonts.set(qn(kind), _FONT)
    language = properties.makeelement(qn("w:lang"), {qn("w:val"): "pt-BR"})
    properties.append(language)


def _letterhead(header: Any, letter: Letter) -> None:
    from docx.enum.text import WD_ALIGN_PARAGRAPH
    from docx.oxml.ns import qn

    first = header.paragraphs[0]
    first.alignment = WD_ALIGN_PARAGRAPH.CENTER
    _run(first, letter.institution.upper(), bold=True, size=_SIZE + 2)
    second = _add(header, letter.identity, align=WD_ALIGN_PARAGRAPH.CENTER, size=_SIZE - 2, colour=_GREY, after=18)
    properties = second._p.get_or_add_pPr()
    borders = properties.makeelement(qn("w:pBdr"), {})
    values = {"val": "single", "sz": "8", "space": "6", "color": _GREY}
    borders.append(borders.makeelement(qn("w:bottom"), {qn(f"w:{name}"): value for name, value in values.items()}))
    properties.insert_element_before(borders, "w:shd", "w:tabs", "w:spacing", "w:ind", "w:jc", "w:rPr")


def _described_foot(footer: Any, letter: Letter) -> None:
    from docx.enum.text import WD_ALIGN_PARAGRAPH

    paragraph = footer.paragraphs[0]
    paragraph.alignment = WD_ALIGN_PARAGRAPH.CENTER
    _run(paragraph, f"{letter.numbered} · {letter.place}", size=_SIZE - 3, colour=_GREY)


def _signature(document: Any, letter: Letter) -> None:
    from docx.enum.text import WD_ALIGN_PARAGRAPH

    lines = [letter.signer, *([letter.position] if letter.position else []), letter.institution]
    _add(document, "_" * 40, align=WD_ALIGN_PARAGRAPH.CENTER, before=42, after=0, together=True)
    for number, line in enumerate(lines):
        last = number == len(lines) - 1
        _add(document, line, align=WD_ALIGN_PARAGRAPH.CENTER, bold=number == 0, after=0, together=not last)


def _add(
    parent: Any,
    text: str,
    *,
    align: Any = None,
    bold: bool = False,
    size: int = 0,
    colour: str = "",
    before: int = 0,
    after: int = 6,
    together: bool = False,
) -> Any:
    from docx.shared import Pt

    paragraph = parent.add_paragraph()
    _run(paragraph, text, bold=bold, size=size, colour=colour)
    shape = paragraph.paragraph_format
    shape.alignment, shape.space_before, shape.space_after = align, Pt(before), Pt(after)
    shape.keep_with_next = together or None
    return paragraph


def _run(paragraph: Any, text: str, *, bold: bool = False, size: int = 0, colour: str = "") -> None:
    from docx.shared import Pt, RGBColor

    run = paragraph.add_run(text)
    run.bold = bold or None
    if size:
        run.font.size = Pt(size)
    if colour:
        run.font.color.rgb = RGBColor.from_string(colour)


# --- on the município's letterhead ----------------------------------------------------------------------------------


def _filled(letter: Letter, template: str) -> Any:
    """Return the município's letterhead with the letter in it. What it does in its places is confined to showing values."""
    from docxtpl import DocxTemplate, Listing
    from jinja2 import StrictUndefined, TemplateError
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    data = files.read_bytes(template, LONGEST)
    _require_harmless(template, data)
    sandbox = ImmutableSandboxedEnvironment(autoescape=True, undefined=StrictUndefined)
    try:
        document = DocxTemplate(io.BytesIO(data))
        used = document.get_undeclared_template_variables(sandbox)
        _require_known(template, used)
        document = DocxTemplate(io.BytesIO(data))
        document.render(
            {
                "oficio": letter.numbered,
                "local_e_data": letter.place_and_date,
                "destinatario": letter.recipient,
                "assunto": letter.subject,
                "corpo": Listing("\a".join(_as_line(part.kind, part.text) for part in letter.body)),  # \a begins a paragraph
                "nome": letter.signer,
                "cargo": letter.position,
                "minuta": letter.mark,
                "instituicao": letter.institution,
                "identificacao": letter.identity,
            },
            sandbox,
            autoescape=True,
        )
    except TemplateError as error:
        raise PecError(f"the template {template} cannot be filled: {error.message or type(error).__name__}; correct its places") from None
    except (ImportError, PecError):
        raise
    except Exception as error:  # whatever the libraries raise for a file that is no document
        raise PecError(
            f"the template {template} is no document of Word that can be filled ({type(error).__name__}); save it as .docx"
        ) from None
    if letter.mark and "minuta" not in used:
        _mark_first(document, letter)
    _describe(document, letter)
    _require_filled(template, document)
    return document


def _as_line(kind: str, text: str) -> str:
    return {ITEM: "• ", NOTE: "* "}.get(kind, "") + text


def _require_harmless(template: str, data: bytes) -> None:
    """Raise PecError for a file that unpacks to too much, runs something, or fetches something when it is opened."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as packed:
            listed = packed.infolist()
            if sum(each.file_size for each in listed) > _LONGEST_UNPACKED:
                raise PecError(f"the template {template} unpacks to more than {_LONGEST_UNPACKED >> 20} MiB; use smaller pictures")
            if any(each.filename.lower().endswith(("vbaproject.bin", ".vbs", ".exe")) for each in listed):
                raise PecError(f"the template {template} has macros; save it as .docx, without them")
            outside = [
                found
                for each in listed
                if each.filename.endswith(".rels")
                for found in re.findall(rb"<[^>]*Relationship\b[^>]*>", packed.read(each))
                if b'"External"' in found.replace(b"'", b'"') and b"/hyperlink" not in found
            ]
    except (OSError, EOFError, RuntimeError, zipfile.BadZipFile, zipfile.LargeZipFile) as error:
        raise PecError(f"the template {template} is no document of Word ({type(error).__name__}); save it as .docx") from None
    if outside:
        raise PecError(_FETCHED.format(template))


def _require_known(template: str, used: set[str]) -> None:
    known = [name for name, _meaning in NAMES]
    unknown = sorted(used - set(known))
    if unknown:
        raise PecError(f"the template {template} has places that no letter fills: {', '.join(unknown)}; it may have {', '.join(known)}")
    missing = [name for name in ("corpo", "nome") if name not in used]
    if missing:
        raise PecError(f"the template {template} has no place for {' and '.join(missing)}; write {{{{ {missing[0]} }}}} where it belongs")


def _mark_first(document: Any, letter: Letter) -> None:
    body = document.docx.element.body
    paragraph = _add(document.docx, letter.mark, bold=True, colour=_RED, after=12)
    body.insert(0, paragraph._p)


def _require_filled(template: str, document: Any) -> None:
    """Raise PecError if the letterhead itself has a place that somebody was to fill in by hand."""
    from docx.oxml import parse_xml
    from docx.oxml.ns import qn

    relations = document.docx.part.package.iter_rels()  # in whatever spelling they were
    if any(each.is_external and not each.reltype.endswith("/hyperlink") for each in relations):
        raise PecError(_FETCHED.format(template))
    parts = [document.docx.element.body]
    parts += [
        parse_xml(relation.target_part.blob)
        for relation in document.docx.part.rels.values()
        if relation.reltype.endswith(("/header", "/footer", "/footnotes"))
    ]
    for part in parts:
        codes = ["".join(each.text or "" for each in part.iter(qn("w:instrText")))]
        codes += [each.get(qn("w:instr"), "") for each in part.iter(qn("w:fldSimple"))]
        fetching = next((found.group() for found in map(_FETCHES.search, codes) if found), "")
        if fetching:
            raise PecError(f"the template {template} has a field {fetching}, which reads another file when it is opened; remove it")
        for paragraph in part.iter(qn("w:p")):
            text = "".join(each.text or "" for each in paragraph.iter(qn("w:t")))
            left = re.search(r"\[[^\]]+\]|\{\{|\{%|\}\}", text)
            if left:
                raise PecError(f"the template {template} would leave {left.group()!r} in the letter; replace it by the real text")
