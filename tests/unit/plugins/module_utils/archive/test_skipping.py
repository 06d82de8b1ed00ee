# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest

from ansible_collections.esus.pec.plugins.module_utils.archive.skipping import Entry, Skip, entry_of_archive, entry_of_plain
from ansible_collections.esus.pec.plugins.module_utils.errors import PecError

BELONGING = [
    ("TABLE DATA", "tb_x"),
    ("COMMENT", "TABLE tb_x"),
    ("COMMENT", "COLUMN tb_x.co"),
    ("CONSTRAINT", "tb_x tb_x_pkey"),
    ("FK CONSTRAINT", "tb_x fk"),
    ("DEFAULT", "tb_x co"),
    ("TRIGGER", "tb_x tg"),
    ("ROW SECURITY", "tb_x"),
]


@pytest.mark.parametrize(
    ("line", "label"),
    [
        ("3456; 1259 16388 VIEW public vw_x esus", "VIEW public.vw_x"),
        ("7; 1259 1 MATERIALIZED VIEW DATA bi mv esus", "MATERIALIZED VIEW DATA bi.mv"),
        ("206; 1255 16396 FUNCTION public f(text, date) postgres", "FUNCTION public.f(text, date)"),
        ("2711; 3466 16438 EVENT TRIGGER - et postgres", "EVENT TRIGGER et"),
        ("2; 3079 16399 EXTENSION - unaccent ", "EXTENSION unaccent"),
        ("2; 3079 16399 EXTENSION - unaccent", "EXTENSION unaccent"),
        ("2847; 6106 16437 PUBLICATION TABLE public pub tb postgres", "PUBLICATION TABLE public.pub tb"),
    ],
)
def test_a_line_of_a_list(line: str, label: str) -> None:
    entry = entry_of_archive(line)
    assert entry and entry.label == label


@pytest.mark.parametrize(
    ("comment", "label"),
    [
        ("-- Name: vw; x; Type: VIEW; Schema: public; Owner: esus", "VIEW public.vw; x"),
        ("-- Data for Name: tb; Type: TABLE DATA; Schema: public; Owner: -", "TABLE DATA public.tb"),
        ("-- Name: et; Type: EVENT TRIGGER; Schema: -; Owner: postgres", "EVENT TRIGGER et"),
        ("-- Name: tb; Type: TABLE; Schema: public; Owner: esus; Tablespace: fast", "TABLE public.tb"),
        ("-- PostgreSQL database dump", None),
    ],
)
def test_a_comment_of_a_plain_dump(comment: str, label: str | None) -> None:
    entry = entry_of_plain(comment)
    assert (entry.label if entry else None) == label


@pytest.mark.parametrize("name", ["TABLE tb_x", "TABLE public.tb_x"])
@pytest.mark.parametrize(("kind", "tag"), BELONGING)
def test_what_belongs_to_a_table_goes_with_it(name: str, kind: str, tag: str) -> None:
    skip = Skip([name])
    assert not skip.skips(Entry(kind, "public", tag)), "before its table it is another one's"
    assert skip.skips(Entry("TABLE", "public", "tb_x"))
    assert skip.skips(Entry(kind, "public", tag))
    assert not skip.skips(Entry(kind, "outro", tag))
    assert not skip.skips(Entry(kind, "public", tag.replace("tb_x", "tb_xy")))
    assert (skip.labels, skip.unused) == (["TABLE public.tb_x"], [])


def test_a_name_without_its_schema_is_in_public() -> None:
    skip = Skip(["VIEW vw", "VIEW bi.outra", "AGGREGATE"])
    assert skip.skips(Entry("VIEW", "public", "vw")) and not skip.skips(Entry("VIEW", "bi", "vw"))
    assert skip.skips(Entry("VIEW", "bi", "outra")) and not skip.skips(Entry("VIEW", "public", "outra"))
    assert skip.skips(Entry("AGGREGATE", "bi", "soma(integer)"))
    assert not skip.skips(None)


@pytest.mark.parametrize("name", ["vw_x", "", "TABLE", "SCHEMA", "TABLE DATA public.tb_x", "view public.vw_x", "COMMENT x"])
def test_what_names_no_object(name: str) -> None:
    with pytest.raises(PecError, match=r"is not the kind and name of an object; .*pec_restore_skip_objects"):
        Skip([name])


def test_objects_without_end_do_not_fill_the_memory() -> None:
    skip = Skip()
    with pytest.raises(PecError, match="more than 10000 of its objects"):
        for number in range(20_000):
            skip.skips(Entry("POLICY", "public", f"tb p{number}"))
    assert entry_of_plain(f"-- Name: {'x' * 20_000}; Type: POLICY; Schema: public; Owner: esus") is None
