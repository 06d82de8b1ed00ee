# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ansible_collections.esus.pec.plugins.module_utils.archive.custom_format import Header
from ansible_collections.esus.pec.plugins.module_utils.archive.reading import Archive, Identity
from ansible_collections.esus.pec.plugins.module_utils.archive.toc import Toc
from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.postgres.contents import Contents, Fingerprint
from ansible_collections.esus.pec.plugins.module_utils.postgres.psql import Connection
from ansible_collections.esus.pec.plugins.module_utils.restore import disk_guard, load, verify
from ansible_collections.esus.pec.plugins.module_utils.restore.tools import Clients, Listing, choose
from ansible_collections.esus.pec.plugins.module_utils.system import host

SETS = [Clients("psql", "pg_restore", "vacuumdb", version) for version in ((17, 11), (16, 9), (15, 18), (9, 6, 13))]
MB = 1 << 20


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
    assert choose(SETS, server, header).version == version


def test_clients_that_are_all_too_old() -> None:
    with pytest.raises(
        PecError, match=r"written by pg_dump 18\.1, but the newest pg_restore on this host \(17\.11\).*postgresql-client-18 or"
    ):
        choose(SETS, 150018, Header(format_version=(1, 17), dump_version="18.1"))


@pytest.mark.parametrize(
    ("jobs", "memory", "room"),
    [(2, 24 << 30, 1 << 30), (2, 8 << 30, 512 * MB), (4, 1 << 30, 64 * MB), (8, None, 64 * MB), (1, 512 * MB, 64 * MB)],
)
def test_memory_for_indexes(jobs: int, memory: int | None, room: int) -> None:
    settings = load.options(jobs, memory, None)
    assert settings["maintenance_work_mem"] == f"{room // 1024}kB"
    assert settings["synchronous_commit"] == "off"
    assert "role" not in settings
    assert load.options(jobs, memory, "esus")["role"] == "esus"


@pytest.mark.parametrize(
    ("free", "total", "enough"),
    [(2 << 30, 100 << 30, True), (900 * MB, 100 << 30, False), (10 * MB, 160 * MB, True), (7 * MB, 160 * MB, False)],
)
def test_when_a_disk_is_nearly_full(monkeypatch: pytest.MonkeyPatch, free: int, total: int, enough: bool) -> None:
    monkeypatch.setattr(host, "disk_usage", lambda path: SimpleNamespace(path=path, free_bytes=free, total_bytes=total))
    reason = disk_guard.low("/var/lib/postgresql")
    assert (reason == "") == enough
    assert enough or "the restore was stopped before the server's disk was full" in reason


CONTENTS = Contents({"tables": 2}, {"public.sq": 5}, 3, "5.4.37")
PRINT = Fingerprint("rows-hash64", 1, "f1", {})


@pytest.mark.parametrize(
    ("manifest", "server", "compares", "note"),
    [
        pytest.param(None, 150018, False, "", id="no manifest"),
        pytest.param({"fingerprint": PRINT}, 150018, True, "", id="fingerprint"),
        pytest.param({"fingerprint": PRINT}, 100023, False, "too old for its method", id="old server"),
        pytest.param({"fingerprint": replace(PRINT, method="rows-md5")}, 100023, True, "", id="old server, old method"),
        pytest.param({"fingerprint": None}, 150018, False, "the rows were not compared, because", id="no fingerprint"),
    ],
)
def test_what_is_compared(manifest: dict[str, Any] | None, server: int, compares: bool, note: str) -> None:
    described: Any = SimpleNamespace(contents=CONTENTS, schema_only=False, **manifest) if manifest else None
    wanted, notes = verify.expected({"tables": 2}, described, require_pec=True, server_version_num=server)
    assert (wanted.fingerprint is not None) == compares
    assert wanted.contents == (CONTENTS if manifest else None)
    assert note in "".join(notes)
    assert bool(note) == bool(notes)


def test_a_dump_without_rows_is_compared_by_its_objects() -> None:
    described: Any = SimpleNamespace(contents=CONTENTS, schema_only=True, fingerprint=None)
    wanted, _notes = verify.expected({}, described, require_pec=False, server_version_num=150018)
    assert wanted.contents == Contents({"tables": 2}, {}, 0, None)


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
    archive = Archive("/srv/x.dump", "custom", (), Header(), 1)
    loader = load.Loader(
        archive,
        Clients("psql", str(program), "vacuumdb", (client, 1)),
        Connection("127.0.0.1", 5432, "side", "esus", "secret"),
        {},
        Identity(),
        jobs=jobs,
        server_version_num=server,
        make_extension=lambda _name, _schema: None,
        on_table=lambda _done: None,
    )
    toc = Toc([], {}, [], 0, True, True)
    if fails:
        with pytest.raises(PecError):
            loader.load(toc, Listing(""))
    else:
        loader.load(toc, Listing(""))
