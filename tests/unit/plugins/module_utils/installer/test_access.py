# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import os
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from ansible_collections.esus.pec.plugins.module_utils.installer import access
from ansible_collections.esus.pec.plugins.module_utils.pec import installation

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another account")
STRANGER = ["setpriv", "--reuid", "65533", "--regid", "65533", "--clear-groups", "--"]


@pytest.fixture
def home() -> Iterator[Path]:
    """A PEC as it is installed under umask 077, below a directory that everybody can enter."""
    before = os.umask(0o077)
    home = Path(tempfile.mkdtemp()) / "e-SUS"  # the tests' own directories are closed to other accounts
    try:
        server = home / "database/postgresql-9.6.13-1-linux-x64"
        for name in ("bin", "lib", "share/timezone", "data/base"):
            (server / name).mkdir(parents=True)
        (server / "bin/initdb").write_text('#!/bin/sh\ncat "$(dirname "$0")/../share/timezone/Brazil"\n', encoding="utf-8")
        (server / "bin/initdb").chmod(0o700)
        (server / "share/timezone/Brazil").write_text("zone\n", encoding="utf-8")
        (server / "data/base/1").write_text("patients\n", encoding="utf-8")
        (server / ".password").write_text("secret\n", encoding="utf-8")
        (home / "webserver/config").mkdir(parents=True)
        (home / "webserver/config/application.properties").write_text("secret\n", encoding="utf-8")
        (server / "lib/outside").symlink_to(home / "webserver/config/application.properties")
        (home / "database/current").symlink_to(server.name)
        home.parent.chmod(0o755)
        yield home
    finally:
        os.umask(before)
        shutil.rmtree(home.parent)


def run(*command: object) -> str:
    return subprocess.run([*STRANGER, *map(str, command)], capture_output=True, text=True, check=False).stdout


def test_the_account_of_the_database_reaches_its_programs_and_nothing_else(home: Path) -> None:
    server = home / "database/postgresql-9.6.13-1-linux-x64"
    assert run(server / "bin/initdb") == ""
    assert installation.closed_to_database(str(home)) == [str(home), str(home / "database"), str(server)]
    access.open_to_database(str(home))
    assert run(server / "bin/initdb") == run(home / "database/current/bin/initdb") == "zone\n"
    assert installation.closed_to_database(str(home)) == []
    for secret in (server / "data/base/1", server / ".password", home / "webserver/config/application.properties"):
        assert run("cat", secret) == "" and stat.S_IMODE(secret.stat().st_mode) == 0o600


def test_what_is_not_roots_is_left_alone(home: Path) -> None:
    server = home / "database/postgresql-9.6.13-1-linux-x64"
    os.chown(server, 65532, 65532)
    access.open_to_database(str(home))
    assert stat.S_IMODE(server.stat().st_mode) == stat.S_IMODE((server / "bin").stat().st_mode) == 0o700


def test_without_a_bundled_database_nothing_is_opened(home: Path) -> None:
    shutil.rmtree(home / "database")
    access.open_to_database(str(home))
    access.open_to_database(None)
    assert stat.S_IMODE(home.stat().st_mode) == 0o700


def test_what_was_closed_to_others_stays_closed(tmp_path: Path) -> None:
    """PEC's installer writes /etc/pec.config anew, with modes that let everybody read the database's password."""
    closed, open_before, swapped = (tmp_path / name for name in ("pec.config", "application.properties", "credentials"))
    for path, mode in ((closed, 0o640), (open_before, 0o644), (swapped, 0o600)):
        path.write_text("x", encoding="utf-8")
        path.chmod(mode)
    here = installation.Installation(
        "installed", config_file=str(closed), application_properties=str(open_before), credentials_file=str(swapped)
    )
    before = access.closed_to_others(here)
    assert before == [str(closed), str(swapped)]
    closed.chmod(0o664)
    swapped.unlink()
    swapped.symlink_to(open_before)
    access.close_to_others([*before, str(tmp_path / "gone")])
    assert [stat.S_IMODE(path.stat().st_mode) for path in (closed, open_before)] == [0o660, 0o640]
