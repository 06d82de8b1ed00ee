# SPDX-License-Identifier: GPL-3.0-or-later
"""Attacks of an account that owns a directory on root's way. The tests are root, so the other account is simulated by its uid."""

from __future__ import annotations

import contextlib
import os
import struct
import subprocess
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.system import directory, files

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
OTHER = 65534


@pytest.fixture
def theirs(tmp_path: Path) -> Path:
    """Return a directory that another account owns, below one of root's."""
    place = tmp_path / "theirs"
    place.mkdir()
    os.chown(place, OTHER, OTHER)
    return place


@pytest.mark.parametrize(
    ("mode", "uid", "gid", "remedy"),
    [
        pytest.param(0o755, 0, 0, None, id="root's"),
        pytest.param(0o775, 0, 0, None, id="root's group"),
        pytest.param(0o755, OTHER, 0, "chown root {path}", id="another account's"),
        pytest.param(0o775, 0, OTHER, "chmod g-w {path}", id="a group's to write"),
        pytest.param(0o777, 0, 0, "chmod o-w {path}", id="everybody's to write"),
        pytest.param(0o1777, 0, 0, None, id="everybody's to add to"),
        pytest.param(0o1777, OTHER, 0, "chown root {path}", id="another account's with the sticky bit"),
    ],
)
def test_who_can_change_a_directory_can_change_a_program_in_it(tmp_path: Path, mode: int, uid: int, gid: int, remedy: str | None) -> None:
    place = tmp_path / "bin"
    (place / "below").mkdir(parents=True)
    program = place / "below" / "psql"
    program.touch(0o755)
    place.chmod(mode)
    os.chown(place, uid, gid)
    (tmp_path / "link").symlink_to(program)
    for path in (program, tmp_path / "link"):
        found = files.changers(str(path))
        assert [each.remedy for each in found] == ([remedy.format(path=place)] if remedy else [])
        if remedy:
            run = remedy.format(path=place)
            with pytest.raises(PecError, match=rf"^PEC's psql, {path}, is not used by root, because .* can change {place}; run: {run}$"):
                files.require_ours(str(path), "PEC's psql")
        else:
            files.require_ours(str(path), "PEC's psql")


def let_write(path: Path, uid: int) -> None:
    """As setfacl -m u:UID:rwx; the owner and the group stay root's."""
    entries = [(1, 7, -1), (2, 7, uid), (4, 5, -1), (16, 7, -1), (32, 5, -1)]  # owner, account, group, mask, others
    packed = struct.pack("<I", 2) + b"".join(struct.pack("<HHi", *entry) for entry in entries)
    try:
        os.setxattr(path, "system.posix_acl_access", packed)
    except OSError as error:
        pytest.skip(f"this file system has no access control lists: {error}")


@pytest.mark.parametrize("what", ["program", "directory"])
def test_who_may_write_by_an_access_control_list_can_change_it(tmp_path: Path, what: str) -> None:
    place = tmp_path / "bin"
    place.mkdir()
    program = place / "psql"
    program.write_text("root's", encoding="utf-8")
    program.chmod(0o755)
    listed = program if what == "program" else place
    let_write(listed, OTHER)
    tmp_path.chmod(0o755)
    open_above = ["setpriv", "--reuid", str(OTHER), "--clear-groups", "--inh-caps=-all", "test", "-w", str(listed)]
    assert listed.stat().st_gid == 0
    if all(os.stat(above).st_mode & 0o001 for above in tmp_path.parents):
        assert subprocess.run(open_above, check=False).returncode == 0
    assert [each.remedy for each in files.changers(str(program))] == [f"setfacl -b {listed}"]
    with pytest.raises(PecError, match=rf"because somebody in its access control list can change {listed}; run: setfacl -b {listed}"):
        files.require_ours(str(program), "PEC's psql")
    os.removexattr(listed, "system.posix_acl_access")
    listed.chmod(0o775)
    assert files.changers(str(program)) == []


def test_a_program_of_another_account_and_a_link_that_another_account_made_are_not_ours(theirs: Path, tmp_path: Path) -> None:
    program = tmp_path / "psql"
    program.touch(0o755)
    files.require_ours(str(program), "x")
    (theirs / "psql").symlink_to(program)
    assert [each.path for each in files.changers(str(theirs / "psql"))] == [str(theirs)]
    os.chown(program, OTHER, 0)
    assert [str(each) for each in files.changers(str(program))] == [f"the account {directory.account_name(OTHER)} can change {program}"]


def test_a_missing_program_is_named(tmp_path: Path) -> None:
    with pytest.raises(PecError, match="psql does not exist"):
        files.require_ours(str(tmp_path / "psql"), "x")


SECRET = b"root:$y$secret:20000::::::\n"


@pytest.fixture
def shadow(tmp_path: Path) -> Path:
    """Return a file of root's, as /etc/shadow."""
    path = tmp_path / "shadow"
    path.write_bytes(SECRET)
    path.chmod(0o640)
    return path


def untouched(shadow: Path) -> bool:
    status = shadow.stat()
    return (shadow.read_bytes(), status.st_uid, status.st_mode & 0o7777, status.st_nlink) == (SECRET, 0, 0o640, 1)


def put(kind: str, path: Path, shadow: Path) -> None:
    """Do what the other account does at a path."""
    if kind == "link":
        path.symlink_to(shadow)
    elif kind == "dangling link":
        path.symlink_to(shadow.with_name("created"))
    elif kind == "hard link":
        os.link(shadow, path)
    elif kind == "fifo":
        os.mkfifo(path)
    elif kind == "device":
        path.symlink_to("/dev/zero")
    elif kind == "directory":
        path.mkdir()
        (path / "full").touch()
    if not path.is_symlink() and kind != "hard link":
        os.chown(path, OTHER, OTHER)


KINDS = ["link", "dangling link", "hard link", "fifo", "device", "directory"]


@pytest.mark.parametrize("kind", [*KINDS, "large file"])
def test_what_another_account_put_is_not_read(theirs: Path, shadow: Path, kind: str) -> None:
    path = theirs / "municipio.pem"
    if kind == "large file":
        with path.open("wb") as stream:
            stream.truncate(1 << 40)
    else:
        put(kind, path, shadow)
    for read in (files.read_bytes, files.read_text_lenient):
        with pytest.raises(PecError, match=r"municipio.pem"):
            read(str(path))
    if kind == "large file":
        assert files.read_end(str(path), 10) == bytes(10)


@pytest.mark.parametrize("way", ["{0}/chaves/x", "{0}/chaves/../chaves/x", "{0}/deep/chaves/x", "{0}/chaves/./x"])
def test_a_directory_that_another_account_replaced_by_a_link_is_not_entered(theirs: Path, shadow: Path, tmp_path: Path, way: str) -> None:
    (tmp_path / "x").write_bytes(SECRET)
    (theirs / "chaves").symlink_to(tmp_path)
    (theirs / "deep").mkdir()
    (theirs / "deep/chaves").symlink_to(tmp_path)
    path = way.format(theirs)
    with pytest.raises(PecError, match=r"is a symbolic link, which is not followed because .* can change .*theirs; replace the link"):
        files.read_bytes(path)
    with pytest.raises(PecError, match="symbolic link"):
        files.write_atomic(path, b"new", uid=OTHER)
    with pytest.raises(PecError, match="symbolic link"):
        files.unlink(path)
    with pytest.raises(PecError, match="symbolic link"):
        files.make_directory(f"{os.path.dirname(path)}/new", uid=OTHER)
    with pytest.raises(PecError, match="symbolic link"):
        list(files.walk(path))
    assert (tmp_path / "x").read_bytes() == SECRET and (tmp_path / "x").stat().st_uid == 0 and not (tmp_path / "new").exists()


def test_a_link_in_a_directory_of_everybodys_is_not_followed_although_it_is_roots(tmp_path: Path, shadow: Path) -> None:
    """Another account can have moved it there."""
    everybody = tmp_path / "tmp"
    everybody.mkdir()
    everybody.chmod(0o1777)
    (everybody / "link").symlink_to(shadow)
    os.link(shadow, everybody / "hard")
    (everybody / "ours").mkdir()
    (everybody / "ours/link").symlink_to(shadow)
    assert files.read_bytes(str(everybody / "ours/link")) == SECRET
    for name in ("link", "hard"):
        with pytest.raises(PecError, match="every account can add names"):
            files.read_bytes(str(everybody / name))


@pytest.mark.parametrize("kind", [*KINDS, "file"])
def test_a_certificate_is_not_written_over_roots_files(theirs: Path, shadow: Path, kind: str) -> None:
    """Seen: PEC's user owned /etc/shadow."""
    path = theirs / "municipio.pfx"
    if kind == "file":
        path.touch()
    else:
        put(kind, path, shadow)
        with pytest.raises(PecError, match=r"municipio\.pfx"):
            files.write_atomic(str(path), b"new", mode=0o600, uid=OTHER, gid=OTHER)
        path.unlink() if kind != "directory" else os.rename(path, theirs / "aside")
    assert untouched(shadow) and not shadow.with_name("created").exists()
    files.write_atomic(str(path), b"new", mode=0o600, uid=OTHER, gid=OTHER)
    assert (path.read_bytes(), path.stat().st_uid, path.stat().st_mode & 0o7777) == (b"new", OTHER, 0o600)


@pytest.mark.parametrize("kind", KINDS)
def test_the_partial_file_is_not_another_accounts(theirs: Path, shadow: Path, kind: str) -> None:
    path, partial = theirs / "municipio.pfx", theirs / "municipio.pfx.partial"
    put(kind, partial, shadow)
    if kind == "directory":
        with pytest.raises(PecError, match="partial is in the way; remove it: rm -r "):
            files.write_atomic(str(path), b"new", uid=OTHER)
        assert os.listdir(partial) == ["full"]
    else:
        files.write_atomic(str(path), b"new", uid=OTHER)
        assert path.read_bytes() == b"new" and not path.is_symlink() and os.listdir(theirs) == ["municipio.pfx"]
    assert untouched(shadow) and not shadow.with_name("created").exists()


@pytest.mark.parametrize("moment", ["open", "rename", "fchown", "stat"])
def test_a_directory_swapped_at_any_moment_leads_nowhere(
    theirs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    """Before the call, chaves becomes a link to a directory of root's that has a file of the same name."""
    chaves, precious = theirs / "chaves", tmp_path / "precious"
    for place in (chaves, precious):
        place.mkdir()
        (place / "x.pfx").write_bytes(SECRET)
    os.chown(chaves, OTHER, OTHER)
    real = getattr(os, moment)
    swapped = []

    def attacked(*arguments: object, **options: object) -> object:
        if not swapped and ("x.pfx" in str(arguments[0]) or isinstance(arguments[0], int)):
            swapped.append((real if moment == "rename" else os.rename)(chaves, theirs / "aside"))
            chaves.symlink_to(precious)
        return real(*arguments, **options)

    monkeypatch.setattr(os, moment, attacked)
    with contextlib.suppress(PecError):
        files.write_atomic(str(chaves / "x.pfx"), b"new", uid=OTHER, gid=OTHER)
    monkeypatch.undo()
    assert swapped, "the attack did not happen"
    assert os.listdir(precious) == ["x.pfx"]
    assert ((precious / "x.pfx").read_bytes(), (precious / "x.pfx").stat().st_uid) == (SECRET, 0)


def test_setuid_is_not_kept(tmp_path: Path) -> None:
    (tmp_path / "x").touch()
    (tmp_path / "x").chmod(0o6755)
    files.write_atomic(str(tmp_path / "x"), b"new")
    assert (tmp_path / "x").stat().st_mode & 0o7777 == 0o755


def test_a_new_directory_is_given(theirs: Path) -> None:
    files.make_directory(str(theirs / "chaves"), uid=OTHER, gid=OTHER)
    files.make_directory(str(theirs / "chaves"), uid=0, gid=0)
    assert ((theirs / "chaves").stat().st_uid, (theirs / "chaves").stat().st_mode & 0o777) == (OTHER, 0o700)


@pytest.mark.parametrize("replacement", ["a directory of root's", "a link"])
def test_what_replaced_a_new_directory_is_not_given(
    theirs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, replacement: str
) -> None:
    roots, new, real = tmp_path / "theirs/roots", theirs / "new", os.mkdir
    roots.mkdir()
    (roots / "precious").touch()

    def attacked(name: str, *arguments: object, **options: object) -> None:
        real(name, *arguments, **options)
        os.rename(new, theirs / "aside")
        if replacement == "a link":
            new.symlink_to(roots)
        else:
            os.rename(roots, new)

    monkeypatch.setattr(os, "mkdir", attacked)
    with pytest.raises(PecError, match="new"):
        files.make_directory(str(new), uid=OTHER, gid=OTHER)
    assert new.lstat().st_uid == 0 and new.stat().st_uid == 0 and (new / "precious").exists()


def test_only_what_is_ours_is_given(theirs: Path, shadow: Path) -> None:
    (theirs / "dump").write_bytes(b"x")
    (theirs / "tree").mkdir()
    for name in ("dump", "tree"):
        files.give(str(theirs / name), OTHER, OTHER)
        assert (theirs / name).stat().st_uid == OTHER
    for kind in ("link", "hard link", "fifo"):
        put(kind, theirs / kind, shadow)
        with pytest.raises(PecError):
            files.give(str(theirs / kind), OTHER, OTHER)
        (theirs / kind).unlink()
    assert untouched(shadow)
    (theirs / "somebody's").touch()
    os.chown(theirs / "somebody's", 12345, 0)
    with pytest.raises(PecError, match="was replaced by another account"):
        files.give(str(theirs / "somebody's"), OTHER, OTHER)
    with (theirs / "open").open("wb") as stream:
        files.give(stream.fileno(), OTHER, OTHER)
    assert (theirs / "open").stat().st_uid == OTHER


def test_a_hard_link_to_an_accounts_own_file_is_its_own_business(theirs: Path) -> None:
    (theirs / "a").write_bytes(b"x")
    os.chown(theirs / "a", OTHER, OTHER)
    os.link(theirs / "a", theirs / "b")
    assert files.read_bytes(str(theirs / "b")) == b"x"
    theirs.chmod(0o777)  # now it may be a third account's way to it
    with pytest.raises(PecError, match="hard links"):
        files.read_bytes(str(theirs / "b"))


def test_a_removed_tree_ends_at_its_links(theirs: Path, tmp_path: Path) -> None:
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious/file").touch()
    (theirs / "tree/below").mkdir(parents=True)
    (theirs / "tree/below/link").symlink_to(tmp_path / "precious")
    (theirs / "tree/file").touch()
    os.mkfifo(theirs / "tree/fifo")
    (theirs / "top").symlink_to(tmp_path / "precious")
    for name in ("tree", "top", "missing"):
        files.remove_tree(str(theirs / name))
    assert os.listdir(theirs) == [] and (tmp_path / "precious/file").exists()


def test_a_tree_without_an_end_is_refused(theirs: Path) -> None:
    os.makedirs(theirs / "/".join("d" * 300))
    for use in (files.remove_tree, lambda path: list(files.walk(path))):
        with pytest.raises(PecError, match="nested too deep"):
            use(str(theirs / "d"))


def test_a_copy_has_owners_and_modes_and_nothing_of_roots(theirs: Path, tmp_path: Path, shadow: Path) -> None:
    source = theirs / "config"
    (source / "below").mkdir(parents=True)
    (source / "below/key").write_bytes(b"key")
    (source / "below/key").chmod(0o4640)
    os.chown(source / "below/key", OTHER, OTHER)
    os.mkfifo(source / "fifo")
    files.copy_tree(str(source), str(tmp_path / "copy"))
    copied = tmp_path / "copy/below/key"
    assert (copied.read_bytes(), copied.stat().st_uid, copied.stat().st_mode & 0o7777) == (b"key", OTHER, 0o640)
    assert sorted(os.listdir(tmp_path / "copy")) == ["below"]
    for number, kind in enumerate(("link", "hard link")):
        put(kind, source / "x", shadow)
        with pytest.raises(PecError, match="config/x "):
            files.copy_tree(str(source), str(tmp_path / f"copy{number}"))
        (source / "x").unlink()
    with (source / "sparse").open("wb") as stream:
        stream.truncate(1 << 40)
    with pytest.raises(PecError, match="more bytes than"):
        files.copy_tree(str(source), str(tmp_path / "copy3"))


def test_a_walk_stays_inside(theirs: Path, tmp_path: Path, shadow: Path) -> None:
    (theirs / "a").mkdir()
    (theirs / "a/file").write_bytes(b"x")
    (theirs / "a/link").symlink_to(tmp_path)
    os.link(shadow, theirs / "a/hard")
    seen = {}
    for entry in files.walk(str(theirs)):
        seen[os.path.relpath(entry.path, theirs)] = entry.status.st_size
        if entry.name == "file":
            with entry.open() as stream:
                assert stream.read() == b"x"
        if entry.name == "hard":
            with pytest.raises(PecError, match="hard links"):
                entry.open()
        if entry.name == "link":
            assert os.readlink(entry.place()) == str(tmp_path)
    assert sorted(seen) == [".", "a", "a/file", "a/hard", "a/link"]


def test_a_private_directory_is_roots_alone(theirs: Path, tmp_path: Path) -> None:
    files.make_private(str(tmp_path / "new/er"))
    assert [(tmp_path / name).stat().st_mode & 0o777 for name in ("new", "new/er")] == [0o700, 0o700]
    files.make_private(str(tmp_path / "new/er"))
    for path in (theirs, theirs / "ours"):
        with pytest.raises(PecError, match=f"can change {theirs}; run: chown root {theirs}"):
            files.make_private(str(path))


def test_two_runs_that_make_a_private_directory_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first after a boot: what the other puts into it at once is no other account's."""
    mkdir = os.mkdir

    def and_the_other_run(*arguments: Any, **options: Any) -> None:
        mkdir(*arguments, **options)
        (tmp_path / "run/a.lock").touch()

    monkeypatch.setattr(os, "mkdir", and_the_other_run)
    files.make_private(str(tmp_path / "run"))
    assert os.listdir(tmp_path / "run") == ["a.lock"] and (tmp_path / "run").stat().st_mode & 0o777 == 0o700


def test_descriptors_do_not_pile_up(theirs: Path, shadow: Path, tmp_path: Path) -> None:
    def use() -> None:
        files.write_atomic(str(theirs / "x"), b"x")
        files.read_bytes(str(theirs / "x"))
        files.changers(str(theirs / "x"))
        list(files.walk(str(tmp_path)))
        for path in (theirs / "link/x", theirs / "link", theirs / "none/x"):
            with pytest.raises(PecError):
                files.read_bytes(str(path))

    (theirs / "link").symlink_to(shadow)
    use()
    before = os.listdir("/proc/self/fd")
    for _round in range(3):
        use()
    assert len(os.listdir("/proc/self/fd")) == len(before)
