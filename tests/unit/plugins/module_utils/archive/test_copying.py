# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from hostile_dumps import DIRECTORY, contents

from ansible_collections.esus.pec.plugins.module_utils.archive.copying import copy_directory
from ansible_collections.esus.pec.plugins.module_utils.archive.opening import open_dump
from ansible_collections.esus.pec.plugins.module_utils.dump import manifest
from ansible_collections.esus.pec.plugins.module_utils.errors import PecError

SECRET = b"root:$6$secret:1::::::\n"
FILES = {
    "toc.dat": contents("12.dat", "blobs_3.toc"),
    "12.dat": b"row\n\\.\n",
    "13.dat.gz": b"x",
    "14.dat.zst": b"y",
    "15.dat.lz4": b"",
    "blob_900001.dat": b"object",
    "blobs.toc": b"900001 blob_900001.dat\n900002 blob_900002.dat\n",
    "blobs_16.toc": b"",
}


@pytest.fixture
def good(tmp_path: Path) -> Path:
    path = tmp_path / "srv" / "x.dir"
    path.mkdir(parents=True)
    for name, data in FILES.items():
        (path / name).write_bytes(data)
    return path


@pytest.fixture
def into(tmp_path: Path) -> Path:
    path = tmp_path / "copy"
    path.mkdir()
    return path


def test_a_copy_is_whole_private_and_hashed(good: Path, into: Path) -> None:
    seen: list[int] = []
    uid = 61184 if os.geteuid() == 0 else os.geteuid()
    with open_dump(str(good)) as dump:
        copied = copy_directory(dump, str(into), uid, seen.append)
        assert copied == manifest.digest(dump)
    assert {path.name: path.read_bytes() for path in into.iterdir()} == FILES
    assert {(path.stat().st_mode & 0o777, path.stat().st_uid) for path in into.iterdir()} == {(0o400, uid)}
    assert seen[-1] == sum(map(len, FILES.values()))
    sums = subprocess.run(["sha256sum", *sorted(FILES)], cwd=good, capture_output=True, check=True).stdout
    assert copied[1] == subprocess.run(["sha256sum"], input=sums, capture_output=True, check=True).stdout.split()[0].decode()


def test_the_copy_is_what_was_checked(good: Path, into: Path) -> None:
    with open_dump(str(good)) as dump:
        good.rename(good.with_name("away"))
        good.mkdir()
        (good / "toc.dat").write_bytes(contents("../../secret"))
        copy_directory(dump, str(into), os.geteuid())
    with open_dump(str(into), shown="/srv/x.dir") as copied:
        assert (copied.path, copied.parts()) == ("/srv/x.dir", sorted(FILES))


def test_the_entries_of_a_large_dump_are_no_names(good: Path, into: Path) -> None:
    """A PEC has more than 12,000 entries, and each begins with its number behind a byte for the sign."""
    numbers = b"".join(b"\0" + number.to_bytes(4, "little") for number in (1, 0, 11822, 46, 12079, 77358))
    (good / "toc.dat").write_bytes(contents("12.dat", "blobs_3.toc") + numbers)
    with open_dump(str(good)) as dump:
        copy_directory(dump, str(into), os.geteuid())


@pytest.mark.parametrize("attack", DIRECTORY)
def test_a_directory_dump_that_reads_other_files_is_refused(good: Path, into: Path, tmp_path: Path, attack: str) -> None:
    secret = tmp_path / "shadow"
    secret.write_bytes(SECRET)
    DIRECTORY[attack](good, secret)
    with pytest.raises(PecError, match=DIRECTORY[attack].says) as caught, open_dump(str(good)) as dump:
        copy_directory(dump, str(into), os.geteuid())
    assert str(caught.value).isprintable() and str(good) in str(caught.value)
    assert not any(SECRET in path.read_bytes() for path in into.iterdir())


def test_a_copy_that_does_not_fit(good: Path) -> None:
    if not os.path.exists("/dev/full"):
        pytest.skip("no /dev/full")
    with pytest.raises(PecError, match=r"cannot copy .*/x.dir/12.dat to /proc: .*; check both disks"), open_dump(str(good)) as dump:
        copy_directory(dump, "/proc", os.geteuid())
