# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from ansible_collections.esus.pec.plugins.module_utils.archive.skipping import Skip
from ansible_collections.esus.pec.plugins.module_utils.archive.toc import parse

LISTING = """\
;
; Archive created at 2026-11-23 01:55:31 UTC
;     TOC Entries: 20
;
4114; 0 0 ACL - SCHEMA public pg_database_owner
5; 2615 2200 SCHEMA - public postgres
4115; 0 0 COMMENT - SCHEMA public postgres
6; 2615 2201 SCHEMA - outro postgres
1; 3079 12387 EXTENSION - plpgsql
2; 3079 16399 EXTENSION - unaccent
4116; 0 0 COMMENT - EXTENSION unaccent
319; 1255 16680 FUNCTION public fn_idade(date, date) esus
320; 1255 16681 AGGREGATE public ag(integer) esus
214; 1259 16398 TABLE public tb_config_sistema esus
215; 1259 16399 TABLE public TABLE DATA esus
216; 1259 16400 FOREIGN TABLE public tb_longe esus
4117; 0 0 ACL public TABLE tb_config_sistema esus
4118; 0 0 COMMENT public TABLE tb_config_sistema esus
4119; 0 0 DEFAULT ACL public DEFAULT PRIVILEGES FOR TABLES esus
272; 1259 16714 SEQUENCE public sq esus
4120; 0 0 SEQUENCE OWNED BY public sq esus
4121; 0 0 SEQUENCE SET public sq esus
267; 1259 16685 MATERIALIZED VIEW public mv esus
268; 1259 16686 VIEW public VIEW esus
4007; 0 16398 TABLE DATA public tb_config_sistema esus
4009; 0 16685 MATERIALIZED VIEW DATA public mv esus
4106; 2613 100001 BLOB METADATA - 100001..100005 esus
3568; 2606 16404 CONSTRAINT public tb_config_sistema tb_config_sistema_pkey esus
3569; 2606 16405 FK CONSTRAINT public tb_x fk esus
3570; 1259 16406 INDEX public in_x esus
3571; 0 0 INDEX ATTACH public in_y esus
3572; 2620 16407 TRIGGER public tb_x tg esus
3573; 3466 16408 EVENT TRIGGER - et postgres
"""


def test_what_is_in_an_archive() -> None:
    toc = parse(LISTING)
    assert toc.counts == {
        "tables": 2,
        "sequences": 1,
        "views": 2,
        "triggers": 1,
        "functions": 2,
        "indexes": 2,
        "materialized views with rows": 1,
    }
    assert toc.extensions == ["unaccent"]
    assert (toc.tables_with_data, toc.has_settings, toc.has_settings_data) == (1, True, True)
    assert len(toc.entries) == LISTING.count("\n") - 4


def test_a_view_that_is_dumped_as_a_table() -> None:
    """By a pg_dump before 10. One from 10 on dumps a view with such a rule, which replaces it."""
    made = "600; 1259 16800 TABLE public vw esus\n601; 1259 16801 TABLE outro vw esus\n602; 2618 16803 RULE public {}_RETURN esus\n"
    known = parse(LISTING + made.format("vw "))
    assert (known.counts["tables"], known.counts["views"]) == (3, 3)
    newer = parse(LISTING + "700; 1259 16900 VIEW public v esus\n701; 2618 16901 RULE public v _RETURN esus\n")
    assert (newer.counts["tables"], newer.counts["views"]) == (2, 3)
    before_9_6 = parse(LISTING + made.format(""))
    assert not {"tables", "views"} & set(before_9_6.counts) and before_9_6.counts["sequences"] == 1


def test_what_a_restore_takes() -> None:
    chosen = parse(LISTING).selection().splitlines()
    left_out = [line for line in LISTING.splitlines() if not line.startswith(";") and line not in chosen]
    assert [line.split(";")[0] for line in left_out] == ["4114", "5", "4115", "1", "4116", "4117", "4119"]
    assert "6; 2615 2201 SCHEMA - outro postgres" in chosen
    assert "4118; 0 0 COMMENT public TABLE tb_config_sistema esus" in chosen
    assert [line for line in chosen if line not in parse(LISTING).selection(["unaccent"]).splitlines()] == [
        line for line in chosen if "EXTENSION" in line
    ]


def test_parts_hold_every_entry_once() -> None:
    toc = parse(LISTING + "5000; 0 16400 TABLE DATA public tb_outra esus\n5001; 0 16401 TABLE DATA outro tb_outra esus\n")
    parts = [part.splitlines() for part in toc.parts(2)]
    tables = [[line for line in part if line.split(" ", 3)[3].startswith("TABLE DATA ")] for part in parts]
    assert all(tables)
    assert sorted(line for part in parts for line in part) == sorted(toc.selection().splitlines())
    assert parts[1] == tables[1]
    assert len(toc.parts(1)) == 1 and len(toc.parts(99)) == sum(map(len, tables))


def test_a_dump_without_rows_and_one_of_another_product() -> None:
    without = parse(LISTING.replace("TABLE DATA public tb_config_sistema", "TABLE DATA public tb_outra"))
    assert (without.has_settings, without.has_settings_data) == (True, False)
    other = parse(LISTING.replace("tb_config_sistema", "invoice"))
    assert (other.has_settings, other.has_settings_data) == (False, False)
    elsewhere = parse(LISTING.replace("public tb_config_sistema", "outro tb_config_sistema"))
    assert not elsewhere.has_settings


def test_a_name_does_not_end_a_line() -> None:
    listing = "".join(f"21{number}; 1259 1 TABLE public a{mark}5; b esus\n" for number, mark in enumerate("\x0b\x0c\x1c\x85\u2028\u2029"))
    toc = parse(listing)
    assert (len(toc.entries), toc.selection()) == (6, listing)


def test_what_is_left_out_by_name() -> None:
    toc, skip = parse(LISTING), Skip(["MATERIALIZED VIEW public.mv", "FUNCTION fn_idade(date, date)"])
    chosen = toc.selection(["unaccent"], skip, ["outro"])
    assert skip.labels == [
        "FUNCTION public.fn_idade(date, date)",
        "FOREIGN TABLE public.tb_longe",
        "MATERIALIZED VIEW public.mv",
        "EVENT TRIGGER et",
    ]
    for gone in ("fn_idade", "tb_longe", " mv ", " et ", "SCHEMA - outro", "EXTENSION"):
        assert gone not in chosen
    assert "TABLE public tb_config_sistema esus" in chosen
    assert toc.counted(skip) == {**toc.counts, "views": 1, "functions": 1, "materialized views with rows": 0}
    assert toc.of_extensions() == "2; 3079 16399 EXTENSION - unaccent\n"
    assert toc.labels()["3572"] == "TRIGGER public.tb_x tg"
    assert "COMMENT - DATABASE" not in parse("1; 0 0 COMMENT - DATABASE esus postgres\n").selection()
