# SPDX-License-Identifier: GPL-3.0-or-later
"""The doctor's report for a terminal: aligned columns, long texts folded, nothing cut. Private to the collection."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping, Sequence

from ansible_collections.esus.pec.plugins.module_utils.doctor.model import (
    BELIEF,
    DISCOVERY,
    DIVERGES,
    NO_PEC,
    NOT_APPLICABLE,
    RULE,
    VERDICTS,
    Line,
)

WIDTHS = (15, 2, 26, 43, 40)
"""The fourth column takes the longest name that is expected anywhere, which must stay whole to be copied."""
_GAP = "  "
_WIDTH = sum(WIDTHS) + len(_GAP) * (len(WIDTHS) - 1)
_HEADINGS = ("RESULTADO", "EV", "O QUE (identificador)", "ESPERADO", "ENCONTRADO")
_SECTIONS = (
    (BELIEF, "CRENÇAS: o que esta coleção supõe sobre o PEC"),
    (RULE, "REGRAS: falhas conhecidas, e o que fazer"),
    (DISCOVERY, "A DESCOBRIR: o que só um servidor de verdade responde"),
)
_LEGEND = "EV (evidência): C = oficial ou duas fontes; S = uma fonte; I = dedução; ? = desconhecido. DIVERGE numa crença: conte-nos."
_STAND_IN = "ATENÇÃO: este servidor roda o substituto de testes (stand-in), que não é o PEC; este relatório nada prova sobre o PEC."


def render(host: str, state: str, lines: Sequence[Line], summary: Mapping[str, int], *, stand_in: bool = False) -> str:
    """The whole report; every line of it ends without blanks."""
    parts = [f"esus.pec doctor: {host}", state, _LEGEND, *([_STAND_IN] if stand_in else [])]
    for section, heading in _SECTIONS:
        parts += ["", heading, "=" * _WIDTH, *_row(_HEADINGS), "-" * _WIDTH]
        here = [line for line in lines if line.section == section]
        told = [line for line in here if line.found != NO_PEC]
        parts += [row for line in told for row in _rows(line)]
        parts += [f"{VERDICTS[NOT_APPLICABLE]}: outras {len(here) - len(told)} linhas, pois {NO_PEC}."] if len(told) < len(here) else []
    parts += ["", *_closing(lines, summary)]
    return "\n".join(part.rstrip() for part in parts) + "\n"


def _rows(line: Line) -> Iterator[str]:
    what = f"{line.title}\n({line.id})"
    yield from _row((VERDICTS[line.status], line.evidence, what, line.expected, line.found))
    if line.remedy:
        yield from textwrap.wrap(f"O que fazer: {line.remedy}.", _WIDTH, initial_indent=" " * 4, subsequent_indent=" " * 4)


def _row(cells: Sequence[str]) -> Iterator[str]:
    folded = [_fold(cell, width) for cell, width in zip(cells, WIDTHS)]
    for number in range(max(len(cell) for cell in folded)):
        yield _GAP.join((cell[number] if number < len(cell) else "").ljust(width) for cell, width in zip(folded, WIDTHS))


def _fold(text: str, width: int) -> list[str]:
    wholes = [" ".join(piece for word in line.split() for piece in _pieces(word, width)) for line in text.splitlines()]
    return [part for line in wholes for part in (textwrap.wrap(line, width, break_on_hyphens=False) or [""])] or [""]


def _pieces(word: str, width: int) -> Iterator[str]:
    """A word that is too long for its column, cut behind slashes as far as it has any."""
    while len(word) > width:
        cut = word.rfind("/", 1, width) + 1 or width
        yield word[:cut]
        word = word[cut:]
    yield word


def _closing(lines: Sequence[Line], summary: Mapping[str, int]) -> Iterator[str]:
    counts = ", ".join(f"{summary[status]} {verdict}" for status, verdict in VERDICTS.items())
    yield f"RESUMO: {summary['total']} linhas: {counts}."
    names = [line.id for line in lines if line.status == DIVERGES]
    if names:
        yield from textwrap.wrap(f"DIVERGEM: {', '.join(names)}.", _WIDTH, break_on_hyphens=False)
    yield from textwrap.wrap("Nenhuma senha está neste relatório. Leia-o antes de enviar; docs/contract.md diz como.", _WIDTH)
