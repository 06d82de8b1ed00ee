# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import samples

from ansible_collections.esus.pec.plugins.module_utils.archive.custom_format import Header
from ansible_collections.esus.pec.plugins.module_utils.archive.reading import Archive
from ansible_collections.esus.pec.plugins.module_utils.archive.toc import Toc
from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.restore import planning
from ansible_collections.esus.pec.plugins.module_utils.restore.planning import Current, Desired, Service, Target, plan, record

STAMP = "20261122T030000Z"
SHA = "ab" * 32
TOC = Toc([], {"tables": 2}, ["unaccent"], 2, True, True)
FACTS = {"encoding": "UTF8", "datcollate": "pt_BR.UTF-8", "datctype": "pt_BR.UTF-8", "datlocprovider": "c", "tablespace": "pg_default"}
TARGET = Target(FACTS, 1_000_000_000, None, 4000, "5.4.30")
EMPTY = replace(TARGET, objects=0, pec_version=None)
FOREIGN = replace(TARGET, pec_version=None)
STOPPED, RUNNING = Service(False, True, True), Service(True, True, True)
ARCHIVE = Archive("/srv/x.dump", "custom", (), Header("15.18 (Debian)", "15.18", "esus", (1, 14), "UTF8"), 100_000_000)
CURRENT = Current(
    name="esus",
    owner="esus",
    server_version="15.18",
    server_version_num=150018,
    client_version="15.18",
    target=TARGET,
    defaults={"encoding": "UTF8", "datcollate": "C.UTF-8", "datctype": "C.UTF-8"},
    archive=ARCHIVE,
    sha256=SHA,
    manifest=None,
    toc=TOC,
    service=STOPPED,
    free_bytes=10_000_000_000,
    locales=planning.spellings(["pt_BR.utf8", "C.UTF-8", "C"]),
    extensions=("plpgsql", "unaccent", "dblink"),
    needs=("unaccent",),
)
MANIFEST = samples.manifest(sha256=SHA, database_bytes=2_000_000_000, collation="C.UTF-8", ctype="C.UTF-8")
DESIRED = Desired(from_host="pec", path="/srv/x.dump", replace=True, extensions=("unaccent", "hstore"))
RESTORED = record("restored", sha256=SHA, name="x.dump", restored="2026-11-22T03:00:00Z")
SAME = replace(TARGET, comment=RESTORED, unchanged=True)


def test_a_restore() -> None:
    planned = plan(CURRENT, DESIRED, STAMP)
    assert (planned.action, planned.changed, planned.reason) == ("restore", True, "replace is true")
    assert (planned.side, planned.previous, planned.kept) == (f"esus_restoring_{STAMP}", f"esus_before_{STAMP}", f"esus_before_{STAMP}")
    assert (planned.before, planned.after) == ("PEC 5.4.30, 1.0 GB", f"restored from x.dump (SHA-256 {SHA})")
    assert planned.settings == FACTS
    assert planned.notes == ("the dump has no manifest, so its SHA-256, its rows and which server it is from were not checked",)
    planned = plan(replace(CURRENT, archive=replace(ARCHIVE, summed=True)), DESIRED, STAMP)
    assert planned.notes == ("the dump has no manifest, so its rows and which server it is from were not checked",)


@pytest.mark.parametrize(
    ("current", "desired", "action", "changed", "kept"),
    [
        pytest.param({"target": None}, {"replace": False}, "restore", True, False, id="no database"),
        pytest.param({"target": EMPTY}, {"replace": False}, "restore", True, False, id="empty database"),
        pytest.param({}, {}, "restore", True, True, id="PEC's database"),
        pytest.param({}, {"keep_previous": False}, "restore", True, False, id="not kept"),
        pytest.param({"target": FOREIGN}, {}, "restore", True, True, id="another product's, which is kept"),
        pytest.param({"target": SAME}, {}, "none", False, False, id="the same dump"),
        pytest.param({"target": SAME}, {"replace": False}, "none", False, False, id="nothing to replace"),
        pytest.param({"target": SAME, "service": RUNNING}, {}, "none", False, False, id="no reason to stop PEC"),
        pytest.param({"target": SAME}, {"force": True}, "restore", True, True, id="forced"),
        pytest.param({"target": SAME, "leftovers": ("x",)}, {}, "none", True, False, id="only to clean up"),
        pytest.param({"target": replace(SAME, unchanged=False)}, {}, "restore", True, True, id="the same dump, but changed since"),
        pytest.param(
            {"target": replace(TARGET, comment=record("previous", sha256=SHA))}, {}, "restore", True, True, id="brought back by hand"
        ),
        pytest.param({"target": replace(TARGET, comment="esus")}, {}, "restore", True, True, id="a comment of somebody"),
        pytest.param({"target": replace(TARGET, comment='["x"]')}, {}, "restore", True, True, id="a comment that is JSON"),
        pytest.param(
            {"target": replace(TARGET, sessions=("psql as esus",)), "service": RUNNING},
            {"rehearse": True, "replace": False},
            "rehearse",
            False,
            False,
            id="a rehearsal needs no permission",
        ),
        pytest.param({"target": SAME}, {"rehearse": True}, "rehearse", False, False, id="rehearsed again"),
        pytest.param({"service": RUNNING}, {"stop_service": True}, "restore", True, True, id="PEC is stopped"),
        pytest.param({"service": replace(RUNNING, uses=False)}, {}, "restore", True, True, id="PEC uses another database"),
        pytest.param({"toc": None}, {}, "restore", True, True, id="SQL, whose content is known only when it is loaded"),
        pytest.param({"toc": replace(TOC, has_settings=False)}, {"require_pec": False}, "restore", True, True, id="not PEC, and need not"),
        pytest.param({"free_bytes": None}, {}, "restore", True, True, id="a disk that cannot be seen"),
        pytest.param({"free_bytes": 1}, {"check_space": False}, "restore", True, True, id="a full disk, not to be checked"),
        pytest.param({"extensions": None}, {}, "restore", True, True, id="extensions not known"),
        pytest.param({"installed": "5.4.37", "manifest": MANIFEST}, {}, "restore", True, True, id="of the installed PEC"),
        pytest.param(
            {"installed": "5.5.28", "manifest": MANIFEST}, {"allow_other_version": True}, "restore", True, True, id="an update follows"
        ),
        pytest.param({"installed": "5.5.28"}, {}, "restore", True, True, id="its version is known after the load"),
    ],
)
def test_actions(current: dict[str, Any], desired: dict[str, Any], action: str, changed: bool, kept: bool) -> None:
    planned = plan(replace(CURRENT, **current), replace(DESIRED, **desired), STAMP)
    assert (planned.action, planned.changed, planned.kept is not None) == (action, changed, kept)


@pytest.mark.parametrize(
    ("current", "desired", "says"),
    [
        ({}, {"replace": False}, "holds PEC 5.4.30; set replace to true to replace it"),
        ({"target": FOREIGN}, {"replace": False}, "holds objects that are not PEC's; set replace"),
        ({"target": FOREIGN}, {"keep_previous": False}, "but keep_previous is false; set it to true, or drop the database yourself"),
        ({"target": replace(TARGET, owned=False)}, {}, "does not own it; set admin"),
        (
            {"target": replace(TARGET, sessions=("DBeaver as bi from 10.0.0.9",))},
            {},
            "in use by DBeaver as bi from 10.0.0.9; end these sessions",
        ),
        ({"target": replace(TARGET, sessions=("x",) * 7)}, {}, "in use by x, x, x, x, x and 2 more"),
        ({"service": RUNNING}, {}, "PEC is running, and what it writes during the restore would be lost; set stop_service"),
        ({"service": RUNNING, "target": None}, {}, "set stop_service"),
        ({}, {"require_manifest": True}, "has no manifest, but one is required"),
        ({"toc": replace(TOC, has_settings=False)}, {}, "not a dump of PEC: it has no table tb_config_sistema"),
        ({"toc": replace(TOC, has_settings_data=False)}, {}, "the tables of PEC but not their rows"),
        ({"toc": None, "manifest": replace(MANIFEST, schema_only=True)}, {}, "the tables of PEC but not their rows"),
        (
            {"server_version_num": 100023, "server_version": "10.23"},
            {},
            r"from PostgreSQL 15, but this server is older \(10.23\); restore it into",
        ),
        ({"server_version_num": 90613, "server_version": "9.6.13"}, {}, "this server is older"),
        ({}, {"encoding": "LATIN1"}, "in UTF8, which a database in LATIN1 cannot fully hold"),
        ({}, {"locale": "de_DE.UTF-8"}, "the server has no locale 'de_DE.UTF-8'"),
        ({"target": None, "manifest": replace(MANIFEST, collation="fr_FR.utf8")}, {}, "no locale 'fr_FR.utf8'"),
        ({"extensions": ("plpgsql",)}, {}, "needs the extensions unaccent, which are not installed"),
        (
            {"needs": ("unaccent", "dblink")},
            {},
            r"needs the extensions dblink, which are not allowed; .*add those that you trust to extensions .*without_extensions",
        ),
        ({"installed": "5.5.28", "manifest": MANIFEST}, {}, "is of PEC 5.4.37, but PEC 5.5.28 is installed .* set allow_other_version"),
        ({"installed": "5.5.28", "manifest": MANIFEST}, {"rehearse": True}, "is of PEC 5.4.37, but PEC 5.5.28 is installed"),
        ({"installed": "5.4.9", "manifest": MANIFEST}, {"allow_other_version": True}, "newer than PEC 5.4.9 .*update PEC first"),
        (
            {"installed": "5.5.28", "manifest": MANIFEST, "update_jar": "5.5.22"},
            {"allow_other_version": True, "update_jar": "/srv/eSUS.jar"},
            r"installer that is to update it \(/srv/eSUS.jar\) is of PEC 5.5.22, which is older than 5.5.28",
        ),
        ({"free_bytes": 1_000_000_000}, {}, r"about 1.1 GB \(the size of the one it replaces\), but only 1.0 GB are free"),
        ({"free_bytes": 2_000_000_000, "manifest": MANIFEST}, {}, r"about 2.2 GB \(its size when it was dumped\)"),
        ({"free_bytes": 400_000_000, "target": None}, {}, r"about 500 MB \(5 times the dump, a rough estimate\)"),
    ],
)
def test_reasons_not_to_start(current: dict[str, Any], desired: dict[str, Any], says: str) -> None:
    with pytest.raises(PecError, match=says) as caught:
        plan(replace(CURRENT, **current), replace(DESIRED, **desired), STAMP)
    assert str(caught.value).startswith("/srv/x.dump was not restored, and nothing was touched: ")


FROM_HOST = "made on host 'pec', but one from 'pec-new' is expected; .*set from_host .role: pec_restore_from_host. to 'pec'"
FROM_MUNICIPALITY = (
    "município 'Água Clara', but 'Rio Azul' is expected; .*set from_municipality .role: pec_restore_from_municipality. to 'Água Clara'"
)


@pytest.mark.parametrize(
    ("manifest", "desired", "refused", "note"),
    [
        pytest.param({}, {"from_municipality": "Água Clara"}, None, "", id="this server's"),
        pytest.param({}, {"from_municipality": "agua clara", "from_host": "PEC"}, None, "", id="case and accents"),
        pytest.param({}, {"from_municipality": "Água Clara", "from_host": "pec-new"}, FROM_HOST, "", id="another host"),
        pytest.param({}, {"from_municipality": "Rio Azul"}, FROM_MUNICIPALITY, "", id="another município"),
        pytest.param({}, {"from_municipality": "Rio Azul", "rehearse": True}, FROM_MUNICIPALITY, "", id="also to rehearse"),
        pytest.param({}, {}, None, "that of this server is unknown", id="this server's município is unknown"),
        pytest.param({"municipality": ""}, {"from_municipality": "Rio Azul"}, None, "names none", id="the dump's is unknown"),
        pytest.param({"municipality": ""}, {}, None, "", id="both are unknown"),
    ],
)
def test_the_source_of_a_dump(manifest: dict[str, Any], desired: dict[str, Any], refused: str | None, note: str) -> None:
    current = replace(CURRENT, manifest=replace(MANIFEST, **manifest))
    if refused:
        with pytest.raises(PecError, match=refused):
            plan(current, replace(DESIRED, **desired), STAMP)
    else:
        notes = "".join(plan(current, replace(DESIRED, **desired), STAMP).notes)
        assert note in notes
        assert bool(note) == ("município" in notes)


def test_all_reasons_come_at_once() -> None:
    with pytest.raises(PecError) as caught:
        plan(replace(CURRENT, service=RUNNING, free_bytes=1, toc=replace(TOC, has_settings=False)), replace(DESIRED, replace=False), STAMP)
    assert str(caught.value).count("\n- ") == 4


@pytest.mark.parametrize(
    ("current", "desired", "expected"),
    [
        pytest.param({}, {}, FACTS, id="those of the old one"),
        pytest.param(
            {"target": None, "manifest": MANIFEST},
            {},
            {"encoding": "UTF8", "datcollate": "C.UTF-8", "datctype": "C.UTF-8"},
            id="those of the dump",
        ),
        pytest.param({"target": None}, {}, CURRENT.defaults, id="the server's"),
        pytest.param({}, {"locale": "C.UTF-8"}, {**FACTS, "datcollate": "C.UTF-8", "datctype": "C.UTF-8"}, id="told"),
    ],
)
def test_encoding_and_locale(current: dict[str, Any], desired: dict[str, Any], expected: dict[str, Any]) -> None:
    found = dict(planning.settings(replace(CURRENT, **current), replace(DESIRED, **desired)))
    assert found == {key: value for key, value in expected.items() if key in found}
    assert found["encoding"] == "UTF8"


def test_a_record_survives_the_comment() -> None:
    text = record("restoring", target="a'\"ção", name="x")
    assert planning.read_record(text) == {"state": "restoring", "target": "a'\"ção", "name": "x"}
    assert planning.read_record(None) == planning.read_record("{") == planning.read_record('{"esus.pec": 1}') == {}
    assert planning.read_record("[" * 100000) == {}


def test_what_is_noted() -> None:
    current = replace(CURRENT, leftovers=("a",), previous=("b",), free_bytes=None, target=replace(TARGET, sessions=("bi",)))
    notes = "\n".join(plan(current, replace(DESIRED, stop_service=True), STAMP).notes)
    for words in (
        "dropped databases that killed restores left: a",
        "earlier restores kept: b",
        "not visible",
        "end at the switch: bi",
        "no manifest",
    ):
        assert words in notes


def test_secrets_are_not_in_its_text() -> None:
    assert "hush" not in repr(Desired(from_host="pec", identity="hush", admin_login=("postgres", "hush")))


def test_the_extensions_of_a_dump_are_those_allowed_without_those_left_out() -> None:
    current = replace(CURRENT, needs=("unaccent", "dblink"))
    assert planning.plan(current, replace(DESIRED, without_extensions=("dblink",)), STAMP).extensions == ("unaccent",)
    assert planning.plan(current, replace(DESIRED, extensions=("unaccent", "dblink")), STAMP).extensions == ("unaccent", "dblink")


def test_a_dump_that_may_change_is_noted() -> None:
    plan = planning.plan(replace(CURRENT, changeable="the account ana can write it"), DESIRED, STAMP)
    assert "the dump may change while it is restored: the account ana can write it" in plan.notes


ASCII = {"encoding": "SQL_ASCII", "datcollate": "C", "datctype": "C", "datlocprovider": "c"}


@pytest.mark.parametrize(
    ("current", "encoding", "locale"),
    [
        pytest.param({"target": None, "defaults": ASCII}, "UTF8", "pt_BR.UTF-8", id="a cluster without a locale"),
        pytest.param({"target": replace(EMPTY, facts=ASCII)}, "UTF8", "pt_BR.UTF-8", id="an empty database that it made"),
        pytest.param({"target": None, "defaults": ASCII, "locales": ("C", "C.utf8")}, "UTF8", "C.UTF-8", id="no Portuguese locale"),
        pytest.param({"target": None, "defaults": ASCII, "locales": ("C",)}, "UTF8", "C", id="only C"),
        pytest.param({"target": None, "defaults": ASCII, "locales": None}, "UTF8", "C", id="locales of another host"),
        pytest.param({"target": None, "dumped": "LATIN1"}, "UTF8", "C.UTF-8", id="no locale of the encoding"),
        pytest.param({"target": None, "dumped": "LATIN1", "locales": ("C",)}, "LATIN1", "C", id="no locale at all"),
        pytest.param({"target": None, "dumped": "SQL_ASCII", "defaults": ASCII}, "UTF8", "pt_BR.UTF-8", id="a dump without an encoding"),
        pytest.param({"target": None, "dumped": None, "defaults": ASCII}, "UTF8", "pt_BR.UTF-8", id="a dump that names none"),
        pytest.param({"dumped": "LATIN1"}, "UTF8", "pt_BR.UTF-8", id="the old database's"),
    ],
)
def test_an_encoding_that_holds_the_dump(current: dict[str, Any], encoding: str, locale: str) -> None:
    dumped = current.pop("dumped", "UTF8")
    archive = replace(ARCHIVE, header=replace(ARCHIVE.header, encoding=dumped))
    found = planning.settings(replace(CURRENT, archive=archive, **current), DESIRED)
    assert (found["encoding"], found["datcollate"], found["datctype"]) == (encoding, locale, locale)


def test_bytes_of_no_encoding_are_not_restored_as_such() -> None:
    archive = replace(ARCHIVE, header=replace(ARCHIVE.header, encoding="SQL_ASCII"))
    with pytest.raises(PecError, match=r"nothing names the encoding of its text .*set encoding to UTF8"):
        plan(replace(CURRENT, archive=archive), replace(DESIRED, encoding="SQL_ASCII"), STAMP)


def test_what_is_left_out_is_noted() -> None:
    entries = ["1; 0 0 EVENT TRIGGER - et postgres", "2; 1259 1 VIEW public vw_x esus", "3; 3079 1 EXTENSION - adminpack "]
    current = replace(CURRENT, toc=replace(TOC, entries=entries), needs=("unaccent", "adminpack"))
    planned = plan(current, replace(DESIRED, skip_objects=("VIEW vw_x", "VIEW vw_y")), STAMP)
    assert planned.extensions == ("unaccent",)
    (left_out, unused) = [note for note in planned.notes if "left out" in note or "skip_objects names" in note]
    assert "left out of the dump: EXTENSION adminpack, EVENT TRIGGER et, VIEW public.vw_x (" in left_out
    assert unused == "skip_objects names what is not in the dump: VIEW vw_y"
    kept = plan(replace(current, extensions=("adminpack", "unaccent")), replace(DESIRED, extensions=("unaccent", "adminpack")), STAMP)
    assert kept.extensions == ("unaccent", "adminpack")


@pytest.mark.parametrize("path", ["", "pg_temp"])
def test_a_search_path_that_is_none(path: str) -> None:
    with pytest.raises(PecError, match="function_search_path has"):
        plan(CURRENT, replace(DESIRED, function_search_path=("public", path)), STAMP)
