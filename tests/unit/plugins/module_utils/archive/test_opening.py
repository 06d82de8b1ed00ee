# SPDX-License-Identifier: GPL-3.0-or-later
"""The account that can change a dump, or the way to it, changes nothing unnoticed between the check and the load."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import re
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hostile_dumps import GOOD

from ansible_collections.esus.pec.plugins.module_utils.archive import opening
from ansible_collections.esus.pec.plugins.module_utils.archive.opening import open_dump
from ansible_collections.esus.pec.plugins.module_utils.archive.reading import Identity, PlainStream, inspect
from ansible_collections.esus.pec.plugins.module_utils.dump import manifest
from ansible_collections.esus.pec.plugins.module_utils.errors import PecError

NEIGHBOUR = 12345
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="another account is needed")


@pytest.fixture
def place() -> Iterator[Path]:
    """A directory of the neighbour's, with a dump of theirs, where they can reach it."""
    with tempfile.TemporaryDirectory() as directory:
        os.chmod(directory, 0o755)
        path = Path(directory) / "theirs"
        path.mkdir()
        (path / "x.sql").write_bytes(GOOD.dump())
        if os.geteuid() == 0:
            for each in (path, path / "x.sql"):
                os.chown(each, NEIGHBOUR, NEIGHBOUR)
        yield path


def as_neighbour(script: str) -> subprocess.Popen[bytes]:
    argv = ["setpriv", "--reuid", str(NEIGHBOUR), "--regid", str(NEIGHBOUR), "--clear-groups"] if os.geteuid() == 0 else []
    return subprocess.Popen([*argv, "python3", "-c", script], cwd="/")


def read_all(dump: opening.Dump) -> bytes:
    with PlainStream(dump, (), Identity()) as stream:
        return b"".join(iter(lambda: stream.read(65536), b""))


def test_a_name_that_leads_elsewhere_after_the_check_changes_nothing(place: Path) -> None:
    path = place / "x.sql"
    with open_dump(str(path)) as dump:
        _parts, checked = manifest.digest(dump)
        path.rename(place / "away")
        path.write_bytes(b"-- PostgreSQL database dump\nDROP TABLE x;\n")
        assert read_all(dump) == GOOD.dump()
        assert inspect(dump, Identity()).kind == "plain"
        assert manifest.digest(dump)[1] == checked
        dump.require_unchanged()


WRITES: dict[str, str] = {
    "in place": "open(path, 'r+b').write(b'xxx')",
    "at the end": "open(path, 'ab').write(b'xxx')",
    "anew": "open(path, 'wb').write(b'xxx')",
    "shorter": "os.truncate(path, 1)",
    "and hides it": "s = os.stat(path); open(path, 'r+b').write(b'x'); os.utime(path, ns=(s.st_atime_ns, s.st_mtime_ns))",
}


@needs_root
@pytest.mark.parametrize("how", WRITES)
def test_whoever_writes_to_it_is_noticed_before_it_is_written(place: Path, how: str) -> None:
    """The kernel holds the writer until the dump is closed, or for 45 seconds."""
    path = str(place / "x.sql")
    with open_dump(path) as dump:
        assert dump.changeable is None
        dump.require_unchanged()
        writer = as_neighbour(f"import os; path = {path!r}; {WRITES[how]}")
        with pytest.raises(PecError, match=r"x\.sql was opened for writing by another program while it was read; run again when"):
            for _moment in range(500):
                dump.require_unchanged()
                time.sleep(0.01)
        assert read_all(dump) == GOOD.dump()
    assert writer.wait(10) == 0  # nothing hangs afterwards
    assert (place / "x.sql").read_bytes() != GOOD.dump()


def test_readers_are_let_in(place: Path) -> None:
    with open_dump(str(place / "x.sql")) as dump:
        assert subprocess.run(["cat", str(place / "x.sql")], capture_output=True, check=True).stdout == GOOD.dump()
        for _time in range(2):
            descriptor = dump.descriptor()
            assert os.read(descriptor, 10) == GOOD.dump()[:10]
            os.close(descriptor)
        dump.require_unchanged()


def test_a_dump_that_is_being_written(place: Path) -> None:
    with open(place / "x.sql", "ab"), open_dump(str(place / "x.sql")) as dump:
        assert dump.changeable == "another program has it open for writing; wait until it is written completely, or copy it"
    with open_dump(str(place / "x.sql")) as dump:
        assert dump.changeable is None


@needs_root
@pytest.mark.parametrize(
    ("code", "file_system", "owner", "says"),
    [
        pytest.param(errno.EINVAL, "nfs", NEIGHBOUR, "the account 12345 can change .*x.sql, and .*; run: chown root /", id="no leases"),
        pytest.param(errno.EACCES, "ext4", NEIGHBOUR, "the account 12345 can change", id="no right to one"),
        pytest.param(errno.EAGAIN, "nfs4", NEIGHBOUR, "the account 12345 can change", id="a server that does not know"),
        pytest.param(errno.EAGAIN, "ext4", 0, "another program has it open", id="root's, but open"),
        pytest.param(errno.EINVAL, "nfs", 0, None, id="root's"),
        pytest.param(errno.EAGAIN, "nfs4", 0, None, id="root's on a server that does not know"),
    ],
)
def test_without_a_lease(place: Path, monkeypatch: pytest.MonkeyPatch, code: int, file_system: str, owner: int, says: str | None) -> None:
    real = fcntl.fcntl

    def refuse(descriptor: int, command: int, argument: int = 0) -> int:
        if command == fcntl.F_SETLEASE:
            raise OSError(code, os.strerror(code))
        return real(descriptor, command, argument)

    monkeypatch.setattr(fcntl, "fcntl", refuse)
    monkeypatch.setattr(opening, "_file_system", lambda _status: file_system)
    os.chown(place / "x.sql", owner, owner)
    with open_dump(str(place / "x.sql")) as dump:
        assert (dump.changeable is None) == (says is None)
        if says:
            assert re.search(says, dump.changeable or "")
        dump.require_unchanged()
        with open(place / "x.sql", "ab") as file:
            file.write(b"x")
        with pytest.raises(PecError, match="was opened for writing"):
            dump.require_unchanged()


def test_the_file_system_is_found(tmp_path: Path) -> None:
    found = opening._file_system(os.stat(tmp_path))
    expected = subprocess.run(["stat", "-f", "-c", "%T", str(tmp_path)], capture_output=True, text=True, check=True).stdout
    assert found[:3] == expected.strip()[:3]


def test_the_signal_of_the_lease_ends_nobody() -> None:
    assert signal.getsignal(signal.SIGURG) in (signal.SIG_DFL, signal.SIG_IGN)


PLANTED: dict[str, tuple[Callable[[Path, Path], object], str]] = {
    "a link": (lambda path, secret: path.symlink_to(secret), "symbolic link"),
    "a FIFO": (lambda path, _secret: os.mkfifo(path), "FIFO"),
    "a hard link": (lambda path, secret: os.link(secret, path), "hard link"),
    "nothing": (lambda _path, _secret: None, "No such file"),
}


@needs_root
@pytest.mark.parametrize("what", PLANTED)
def test_what_the_neighbour_puts_in_place_of_a_dump_is_not_opened(place: Path, tmp_path: Path, what: str) -> None:
    secret = tmp_path / "secret.sql"
    secret.write_bytes(GOOD.dump())
    (place / "x.sql").unlink()
    plant, says = PLANTED[what]
    plant(place / "x.sql", secret)
    with pytest.raises(PecError, match=says), contextlib.ExitStack() as stack:
        stack.enter_context(open_dump(str(place / "x.sql")))


@needs_root
def test_a_link_in_a_directory_of_roots_is_followed(tmp_path: Path) -> None:
    (tmp_path / "x.sql").write_bytes(GOOD.dump())
    (tmp_path / "latest").symlink_to("x.sql")
    with open_dump(str(tmp_path / "latest")) as dump:
        assert (dump.path, dump.bytes, read_all(dump)) == (str(tmp_path / "latest"), len(GOOD.dump()), GOOD.dump())


def test_a_directory_in_place_of_a_part(place: Path) -> None:
    (place / "x.sql").unlink()
    (place / "toc.dat").mkdir()
    with pytest.raises(PecError, match="is a directory, not a regular file"), open_dump(str(place)):
        pass
