# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from ansible_collections.esus.pec.plugins.module_utils.doctor.examining import summarize
from ansible_collections.esus.pec.plugins.module_utils.doctor.model import BELIEF, DISCOVERY, RULE, Line
from ansible_collections.esus.pec.plugins.module_utils.doctor.table import WIDTHS, render

LINES = (
    Line(BELIEF, "http-port", "Porta HTTP", "8080", "porta 8080", "ok", "C", "V", ("http-port",)),
    Line(RULE, "memory", "Memória", "a da tabela oficial", "2,0 GB", "diverges", "C", "M §6.6", (), "aumente a memória"),
    Line(DISCOVERY, "unit", "Texto", "não se sabe", "[Service]\nExecStart=" + "x" * 60, "to_discover", "?", "§2", ()),
)
TEXT = render("pec-1", "PEC instalado, versão 5.4.37", LINES, summarize(LINES))


def test_columns_are_aligned_and_nothing_is_cut() -> None:
    rows = TEXT.splitlines()
    width = sum(WIDTHS) + 2 * (len(WIDTHS) - 1)
    assert max(len(row) for row in rows) <= width
    heading = next(row for row in rows if row.startswith("RESULTADO"))
    row = next(row for row in rows if row.startswith("OK"))
    assert row.index("8080") == heading.index("ESPERADO")
    assert row.index("porta 8080") == heading.index("ENCONTRADO")
    assert TEXT.count("x") >= 60


def test_it_says_what_diverges_what_to_do_and_how_many() -> None:
    assert "    O que fazer: aumente a memória." in TEXT.splitlines()
    assert "DIVERGEM: memory." in TEXT
    assert "RESUMO: 3 linhas: 1 OK, 1 DIVERGE, 0 NÃO SE APLICA, 0 NÃO VERIFICÁVEL, 1 A DESCOBRIR." in TEXT


def test_a_long_path_is_cut_behind_a_slash() -> None:
    path = "/opt/e-SUS/webserver/config/application.properties"
    text = render("a", "b", [Line(BELIEF, "b", "t", "e", path, "ok", "C", "V", ())], summarize(LINES))
    assert [row.split()[-1] for row in text.splitlines() if "/" in row and "OK" in row] == ["/opt/e-SUS/webserver/config/"]
    assert "application.properties" in text


def test_what_lacks_only_pec_is_counted_once() -> None:
    lines = [Line(BELIEF, f"b{number}", "t", "e", "não há PEC neste servidor", "not_applicable", "C", "V", ()) for number in range(3)]
    text = render("a", "b", [*lines, *LINES], summarize(lines))
    assert "NÃO SE APLICA: outras 3 linhas, pois não há PEC neste servidor." in text
    assert "(b1)" not in text


def test_no_line_ends_in_a_blank() -> None:
    assert [row for row in TEXT.splitlines() if row != row.rstrip()] == []


def test_the_stand_in_is_never_taken_for_pec() -> None:
    assert "não é o PEC" not in TEXT
    assert "não é o PEC" in render("a", "b", LINES, summarize(LINES), stand_in=True)
