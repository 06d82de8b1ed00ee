# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

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
    assert toc.counts == {"tables": 2, "sequences": 1, "views": 2, "triggers": 1, "functions": 2, "indexes": 2}
    assert toc.extensions == ["unaccent"]
    assert (toc.tables_with_data, toc.has_settings, toc.has_settings_data) == (1, True, True)
    assert len(toc.entries) == LISTING.count("\n") - 4


def test_what_a_restore_takes() -> None:
    chosen = parse(LISTING).selection.splitlines()
    left_out = [line for line in LISTING.splitlines() if not line.startswith(";") and line not in chosen]
    assert [line.split(";")[0] for line in left_out] == ["4114", "5", "4115", "1", "4116", "4117", "4119"]
    assert "6; 2615 2201 SCHEMA - outro postgres" in chosen
    assert "4118; 0 0 COMMENT public TABLE tb_config_sistema esus" in chosen


def test_a_dump_without_rows_and_one_of_another_product() -> None:
    without = parse(LISTING.replace("TABLE DATA public tb_config_sistema", "TABLE DATA public tb_outra"))
    assert (without.has_settings, without.has_settings_data) == (True, False)
    other = parse(LISTING.replace("tb_config_sistema", "invoice"))
    assert (other.has_settings, other.has_settings_data) == (False, False)
    elsewhere = parse(LISTING.replace("public tb_config_sistema", "outro tb_config_sistema"))
    assert not elsewhere.has_settings
