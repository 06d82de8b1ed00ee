# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import contextlib
import os
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from ansible_collections.esus.pec.plugins.module_utils.archive.custom_format import UNKNOWN, Header
from ansible_collections.esus.pec.plugins.module_utils.archive.opening import Dump, open_dump
from ansible_collections.esus.pec.plugins.module_utils.archive.reading import CUSTOM, PLAIN, Archive, Identity
from ansible_collections.esus.pec.plugins.module_utils.archive.skipping import Entry
from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.postgres import contents
from ansible_collections.esus.pec.plugins.module_utils.postgres.contents import RULES, Contents
from ansible_collections.esus.pec.plugins.module_utils.postgres.fingerprints import Fingerprint
from ansible_collections.esus.pec.plugins.module_utils.postgres.psql import Connection
from ansible_collections.esus.pec.plugins.module_utils.restore import disk_guard, load, survey, verify
from ansible_collections.esus.pec.plugins.module_utils.restore.tools import Clients, choose
from ansible_collections.esus.pec.plugins.module_utils.system import host

SETS = [Clients("psql", "pg_restore", "vacuumdb", version) for version in ((17, 11), (16, 9), (15, 18), (9, 6, 13))]
MB = 1 << 20


def archive(kind: str, header: Header = UNKNOWN) -> Archive:
    return Archive("/srv/x.dump", kind, (), header, 1)


@pytest.mark.parametrize(
    ("server", "header", "version"),
    [
        pytest.param(150018, Header(), (15, 18), id="the server's own"),
        pytest.param(140005, Header(), (15, 18), id="the next newer one"),
        pytest.param(90613, Header(format_version=(1, 12)), (9, 6, 13), id="PEC's bundled server"),
        pytest.param(90613, Header(format_version=(1, 14)), (15, 18), id="the archive is newer than the server"),
        pytest.param(150018, Header(format_version=(1, 16)), (17, 11), id="the archive is of 17"),
        pytest.param(180000, Header(format_version=(1, 16)), (17, 11), id="none is as new as the server"),
    ],
)
def test_clients(server: int, header: Header, version: tuple[int, ...]) -> None:
    assert choose(SETS, server, archive(CUSTOM, header)).version == version


def test_clients_that_are_all_too_old() -> None:
    with pytest.raises(
        PecError, match=r"written by pg_dump 18\.1, but the newest pg_restore on this host \(17\.11\).*postgresql-client-18 or"
    ):
        choose(SETS, 150018, archive(CUSTOM, Header(format_version=(1, 17), dump_version="18.1")))


@pytest.mark.parametrize(
    ("installed", "server", "version"),
    [
        ([(15, 18), (9, 6, 13)], 90613, (15, 18)),
        ([(17, 11), (15, 13)], 150018, (17, 11)),
        ([(18, 0), (16, 10), (16, 9)], 160009, (16, 10)),
        ([(15, 13), (13, 21), (12, 22), (9, 6, 13)], 130021, None),
    ],
)
def test_a_plain_dump_needs_a_psql_that_can_be_kept_from_running_commands(
    installed: list[tuple[int, ...]], server: int, version: tuple[int, ...] | None
) -> None:
    sets = [Clients("psql", "pg_restore", "vacuumdb", one) for one in installed]
    if version:
        assert choose(sets, server, archive(PLAIN)).version == version
    else:
        with pytest.raises(PecError, match=r"psql 15\.13 on this host cannot prevent .*update postgresql-client to one of 13\.22"):
            choose(sets, server, archive(PLAIN))


@pytest.mark.parametrize(
    ("jobs", "memory", "room"),
    [(2, 24 << 30, 1 << 30), (2, 8 << 30, 512 * MB), (4, 1 << 30, 64 * MB), (8, None, 64 * MB), (1, 512 * MB, 64 * MB)],
)
def test_memory_for_indexes(jobs: int, memory: int | None, room: int) -> None:
    settings = load.options(jobs, memory)
    assert settings["maintenance_work_mem"] == f"{room // 1024}kB"
    assert settings["synchronous_commit"] == "off"


@pytest.mark.parametrize(
    ("free", "total", "enough"),
    [(2 << 30, 100 << 30, True), (900 * MB, 100 << 30, False), (10 * MB, 160 * MB, True), (7 * MB, 160 * MB, False)],
)
def test_when_a_disk_is_nearly_full(monkeypatch: pytest.MonkeyPatch, free: int, total: int, enough: bool) -> None:
    monkeypatch.setattr(host, "disk_usage", lambda path: host.Disk(path, total, free))
    reason = disk_guard.low("/var/lib/postgresql")
    assert (reason == "") == enough
    assert enough or "the restore was stopped before the server's disk was full" in reason


CONTENTS = Contents({"tables": 2}, {"public.sq": 5}, 3, "5.4.37", rules=RULES)
PRINT = Fingerprint("rows-hash64", 1, "f1", {"large objects": [3, "7"]})


def _manifest(**fields: Any) -> Any:
    return SimpleNamespace(**{"excluded_table_data": (), "server_version_num": 150018, "encoding": "UTF8", **fields})


@pytest.mark.parametrize(
    ("manifest", "server", "compares", "note"),
    [
        pytest.param(None, 150018, False, "", id="no manifest"),
        pytest.param({"fingerprint": PRINT}, 150018, True, "", id="fingerprint"),
        pytest.param({"fingerprint": replace(PRINT, tables={})}, 150018, True, "large objects were counted", id="an older fingerprint"),
        pytest.param({"fingerprint": None}, 150018, False, "the rows were not compared, because", id="no fingerprint"),
    ],
)
def test_what_is_compared(manifest: dict[str, Any] | None, server: int, compares: bool, note: str) -> None:
    described: Any = _manifest(contents=CONTENTS, schema_only=False, **manifest) if manifest else None
    wanted, notes = verify.expected({"tables": 2}, described, require_pec=True, server_version_num=server)
    assert (wanted.fingerprint is not None) == compares
    assert wanted.contents == (CONTENTS if manifest else None)
    assert note in "".join(notes)
    assert bool(note) == bool(notes)


def test_a_dump_without_rows_is_compared_by_its_objects() -> None:
    """A manifest of older rules counts what its database held; a newer one what its dump holds."""
    older = replace(CONTENTS, rules=1)
    described: Any = _manifest(contents=older, schema_only=True, fingerprint=None)
    wanted, _notes = verify.expected({}, described, require_pec=False, server_version_num=150018)
    assert wanted.contents == Contents({"tables": 2}, {}, 0, None)
    described = _manifest(contents=older, schema_only=False, fingerprint=None, excluded_table_data=("sq*",))
    wanted, _notes = verify.expected({}, described, require_pec=False, server_version_num=150018)
    assert wanted.contents == Contents({"tables": 2}, {}, 3, "5.4.37")


def test_extensions_that_are_left_out_are_not_demanded() -> None:
    described = _manifest(contents=replace(CONTENTS, objects={"tables": 2, "extensions": 1}), schema_only=False, fingerprint=PRINT)
    wanted, notes = verify.expected({}, described, require_pec=False, server_version_num=150018, without_extensions=["adminpack"])
    assert wanted.contents == CONTENTS
    assert "extensions" in notes[0]


def test_rules_of_the_future_are_refused() -> None:
    described: Any = _manifest(contents=replace(CONTENTS, rules=99), schema_only=False, fingerprint=PRINT)
    with pytest.raises(PecError, match=r"rules 99, .*; update"):
        verify.expected({}, described, require_pec=False, server_version_num=150018)


class Restored:
    """A restored database whose objects are these, by the rules of today and by those of older manifests."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, found: Contents, older: dict[str, int]) -> None:
        monkeypatch.setattr(verify, "Session", lambda *_arguments: contextlib.nullcontext())
        monkeypatch.setattr(contents, "read_contents", lambda _session: found)
        monkeypatch.setattr(contents, "read_counts_1", lambda _session: older)

    def verify(self, known: Contents | None, counts: dict[str, int]) -> Contents:
        connection: Any = None
        found, _compared, _notes = verify.verify(
            connection, "psql", verify.Expected(counts, known, None, None, True, 150018), 1, lambda *_step: None
        )
        return found


@pytest.mark.parametrize(
    ("manifest", "archive", "older", "refused"),
    [
        pytest.param({"functions": 5}, {}, {"functions": 5}, "", id="the constructors of a range on the same server"),
        pytest.param({"functions": 5}, {"functions": 2}, {"functions": 8}, "", id="the constructors of a range on a newer server"),
        pytest.param({"indexes": 5}, {"indexes": 4}, {"indexes": 4}, "", id="an invalid index"),
        pytest.param({"indexes": 5}, {"indexes": 5}, {"indexes": 4}, "indexes: 4 instead of 5", id="a lost index"),
        pytest.param({"indexes": 5}, {}, {"indexes": 4}, "indexes: 4 instead of 5", id="a plain dump does not show why"),
        pytest.param({"tables": 3}, {"tables": 2}, {}, "tables: 2 instead of 3", id="a kind that was always counted so"),
    ],
)
def test_numbers_of_older_manifests(
    manifest: dict[str, int], archive: dict[str, int], older: dict[str, int], refused: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = Contents({"tables": 2, "functions": 2, "indexes": 4}, {}, 0, "5.4.37", rules=RULES)
    restored = Restored(monkeypatch, found, older)
    known = Contents(manifest, {}, 0, "5.4.37")
    if not refused:
        assert restored.verify(known, archive) == found
        return
    with pytest.raises(PecError, match=refused):
        restored.verify(known, archive)


def test_without_a_manifest_the_dump_is_compared_with_its_own_list(monkeypatch: pytest.MonkeyPatch) -> None:
    found = Contents({"tables": 2, "functions": 2}, {}, 0, "5.4.37", rules=RULES)
    assert Restored(monkeypatch, found, {}).verify(None, {"tables": 2, "functions": 2}) == found
    with pytest.raises(PecError, match="functions: 2 instead of 3"):
        Restored(monkeypatch, found, {}).verify(None, {"tables": 2, "functions": 3})


MIXED_UP = "pg_restore: error: pg_restore: from TOC entry 3538; 2604 16905 DEFAULT tb_x co_x esus"
REFUSED = 'pg_restore: error: could not execute query: ERROR:  unrecognized configuration parameter "transaction_timeout"'


@pytest.mark.parametrize(
    ("client", "server", "jobs", "ignored", "lines", "fails"),
    [
        pytest.param(17, 150018, 1, 1, [REFUSED], False, id="one session"),
        pytest.param(17, 150018, 2, 2, [REFUSED] * 4, False, id="workers"),
        pytest.param(17, 150018, 2, 2, [MIXED_UP, REFUSED], False, id="workers break into each other's lines"),
        pytest.param(17, 150018, 2, 3, [MIXED_UP, REFUSED], True, id="one more than there must be"),
        pytest.param(17, 150018, 2, 3, ["pg_restore: error: could not execute query: ERROR:  no"], True, id="an error"),
        pytest.param(17, 170011, 2, 2, [MIXED_UP], True, id="a server that knows it"),
        pytest.param(15, 150018, 2, 2, [MIXED_UP], True, id="a client that does not set it"),
        pytest.param(17, 150018, 2, 2, ["pg_restore: error: could not execute query: ERROR:  No space left on device"], True, id="stopped"),
    ],
)
def test_errors_that_an_older_server_cannot_but_make(
    tmp_path: Path, client: int, server: int, jobs: int, ignored: int, lines: list[str], fails: bool
) -> None:
    program = tmp_path / "pg_restore"
    said = "\n".join([*lines, f"pg_restore: warning: errors ignored on restore: {ignored}"])
    program.write_text(f"#!/bin/sh\ncat >&2 <<'END'\n{said}\nEND\nsleep 0.2\nexit 1\n")
    program.chmod(0o755)
    loader = load.Loader(
        cast(Dump, None),
        Archive("/srv/x.dump", "custom", (), Header(), 1),
        Clients("psql", str(program), "vacuumdb", (client, 1)),
        Connection("127.0.0.1", 5432, "side", "esus", "secret"),
        {},
        Identity(),
        jobs=jobs,
        sha256="",
        server_version_num=server,
        extensions=(),
        without_extensions=(),
        on_table=lambda _done: None,
    )
    with open(os.memfd_create("list"), "rb") as selection:
        if fails:
            with pytest.raises(PecError):
                loader._restore([], selection, jobs=jobs)
        else:
            loader._restore([], selection, jobs=jobs)


@pytest.mark.parametrize("accepts", [False, True])
@pytest.mark.parametrize("layer", ["UTF-16", None])
def test_broken_accents_stop_the_load_of_a_plain_dump(tmp_path: Path, layer: str | None, accepts: bool) -> None:
    program, got = tmp_path / "psql", tmp_path / "got"
    program.write_text("#!/bin/sh\ncat > /dev/null\n")
    program.chmod(0o755)
    text = "--\n-- PostgreSQL database dump\n--\nCOPY x FROM stdin;\n1\tJos├®\n\\.\n--\n-- PostgreSQL database dump complete\n--\n"
    got.write_bytes(text.encode(layer or "utf-8"))
    with open_dump(str(got)) as dump:
        loader = load.Loader(
            dump,
            Archive(str(got), PLAIN, (layer,) if layer else (), Header(encoding="UTF8"), 1, accepts),
            Clients(str(program), "pg_restore", "vacuumdb", (17, 1)),
            Connection("127.0.0.1", 5432, "side", "esus", "secret"),
            {},
            Identity(),
            jobs=1,
            sha256="",
            server_version_num=170000,
            extensions=(),
            without_extensions=(),
            on_table=lambda _done: None,
        )
        if accepts:
            assert survey._extensions(dump, loader._archive, Identity()) == []
            assert loader._load_plain().tables == 0
        else:
            for read in (loader._load_plain, lambda: survey._extensions(dump, loader._archive, Identity())):
                with pytest.raises(PecError, match=r"got cannot be restored: its accents are broken, 2 of 2 .*set force to true"):
                    read()


def test_what_was_left_out_is_not_demanded() -> None:
    known = Contents({"tables": 2, "views": 1, "triggers": 3, "functions": 4, "extensions": 2}, {"public.sq": 5}, 3, "5.4.37")
    rows = Fingerprint("rows-hash64", 1, "f1", {"public.tb_x": (1, "2"), 'public."Tb y"': (1, "3"), "public.tb_z": (1, "4")})
    wanted = verify.Expected({}, known, rows, None, True, 150018)
    assert verify.without(wanted, []) == wanted
    less = verify.without(wanted, [Entry("TABLE", "public", "Tb y"), Entry("VIEW", "bi", "vw")])
    assert less.contents == Contents({"functions": 4, "extensions": 2}, {}, 3, "5.4.37")
    assert less.fingerprint and set(less.fingerprint.tables) == {"public.tb_x", "public.tb_z"}
    policy = verify.without(wanted, [Entry("POLICY", "public", "tb_x p"), Entry("EVENT TRIGGER", "-", "et")])
    assert policy == wanted
