# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest
import samples

from ansible_collections.esus.pec.plugins.module_utils.backup import recording
from ansible_collections.esus.pec.plugins.module_utils.delivery import delivering
from ansible_collections.esus.pec.plugins.module_utils.delivery.delivering import Desired, Parcel
from ansible_collections.esus.pec.plugins.module_utils.dump import manifest
from ansible_collections.esus.pec.plugins.module_utils.dump.manifest import Attachment
from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.system import rclone
from ansible_collections.esus.pec.plugins.module_utils.system.process import Completed
from ansible_collections.esus.pec.plugins.module_utils.system.rclone import Rclone

CONFIG = "[nuvem]\ntype = webdav\n[cofre]\ntype = crypt\nremote = nuvem:enc\n"
AGE = b"age-encryption.org/v1\n-> X25519 x\n"
NAME = "agua-clara-esus-20261122T043000Z.dump"
PLAIN, CRYPT = (Desired(rclone.parse(text, CONFIG)) for text in ("nuvem:pec", "cofre:pec"))


def made(directory: Path, dump: bytes = AGE, beside: bytes = AGE, time: str = "20261122T043000Z") -> str:
    name = NAME.replace("20261122T043000Z", time)
    path, files = directory / name, directory / f"{name}.files.tar.zst"
    path.write_bytes(dump)
    files.write_bytes(beside)
    attachment = Attachment(files.name, len(beside), hashlib.sha256(beside).hexdigest(), ())
    sha256 = hashlib.sha256(dump).hexdigest()
    manifest.write(str(path), samples.manifest(name=name, bytes=len(dump), sha256=sha256, attachment=attachment))
    return str(path)


def refused(desired: Desired) -> None:
    with delivering.packed(desired):
        pass


@pytest.mark.parametrize(
    ("dump", "beside", "desired", "encryption"),
    [
        pytest.param(AGE, AGE, PLAIN, "age", id="age"),
        pytest.param(AGE, AGE, CRYPT, "age", id="both"),
        pytest.param(b"PGDMP", AGE, CRYPT, "crypt", id="crypt"),
        pytest.param(b"PGDMP", b"x", replace(PLAIN, allow_plaintext=True), "none", id="allowed"),
    ],
)
def test_what_may_leave_the_host(tmp_path: Path, dump: bytes, beside: bytes, desired: Desired, encryption: str) -> None:
    with delivering.packed(replace(desired, path=made(tmp_path, dump, beside))) as parcel:
        held = [Path(parcel.directory, name).read_bytes() for name in parcel.names[:2]]
    assert (held, Path(parcel.directory).exists()) == ([dump, beside], False)
    assert (parcel.encryption, parcel.names) == (encryption, (NAME, f"{NAME}.files.tar.zst", f"{NAME}.json"))


@pytest.mark.parametrize(("dump", "beside", "named"), [(b"PGDMP", AGE, NAME), (AGE, b"x", f"{NAME}.files.tar.zst")])
def test_what_may_not(tmp_path: Path, dump: bytes, beside: bytes, named: str) -> None:
    with pytest.raises(PecError, match=rf"^{named} would leave this host unencrypted.*LGPD, Art. 46.*pec_delivery_allow_plaintext"):
        refused(replace(PLAIN, path=made(tmp_path, dump, beside)))


@pytest.mark.parametrize("name", [NAME, f"{NAME}.files.tar.zst"])
def test_a_damaged_set_is_not_delivered(tmp_path: Path, name: str) -> None:
    path = made(tmp_path)
    (tmp_path / name).write_bytes(AGE[:-1] + b"!")
    with pytest.raises(PecError, match="was changed"):
        refused(replace(PLAIN, path=path))


def test_the_newest_backup(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recording, "DIRECTORY", str(tmp_path))
    with pytest.raises(PecError, match=r"no backup was made here; run esus\.pec\.backup first"):
        refused(PLAIN)
    path = made(tmp_path)
    record = tmp_path / "last-success.json"
    record.write_text(json.dumps({"path": path}))
    with delivering.packed(PLAIN) as parcel:
        assert parcel.path == path
    record.write_text("[]")
    with pytest.raises(PecError, match="does not name a backup"):
        refused(PLAIN)


def of_set(time: str, source: str = "agua-clara-esus") -> dict[str, int]:
    name = f"{source}-{time}.dump.age"
    return {name: 9, f"{name}.files.tar.zst.age": 9, f"{name}.json": 9}


@pytest.mark.parametrize(
    ("keep", "there", "removed"),
    [
        pytest.param(0, of_set("20261101T000000Z"), [], id="all"),
        pytest.param(1, of_set("20261101T000000Z"), ["20261101T000000Z"], id="one"),
        pytest.param(2, of_set("20261101T000000Z"), [], id="two of two"),
        pytest.param(2, {**of_set("20261101T000000Z"), **of_set("20261102T000000Z")}, ["20261101T000000Z"], id="two of three"),
        pytest.param(1, of_set("20261101T000000Z", "boa-vista-esus"), [], id="of another município"),
        pytest.param(1, {"x.dump": 1, "leia.txt": 1}, [], id="of others"),
        pytest.param(
            1, {f"agua-clara-esus-20261101T000000Z.dump{end}": size for end, size in (("", 0), (".json", 9))}, [], id="empty dump"
        ),
        pytest.param(1, {"agua-clara-esus-20261101T000000Z.dump.age": 9}, [], id="without a manifest"),
        pytest.param(1, {"agua-clara-esus-20261101T000000Z.dump.age.json": 9}, [], id="manifest only"),
        pytest.param(1, of_set("20261122T043000Z"), [], id="the delivered one"),
    ],
)
def test_what_is_removed_from_the_remote(tmp_path: Path, keep: int, there: dict[str, int], removed: list[str]) -> None:
    with delivering.packed(replace(PLAIN, path=made(tmp_path))) as parcel:
        planned = delivering.plan(parcel, there, keep)
    expected = [name for time in removed for name in sorted(of_set(time), key=lambda name: not name.endswith(".json"))]
    assert (list(planned.remove), len(planned.upload)) == (expected, 3)


class Program:
    """A remote without checksums that keeps what it is given, after a number of damaged uploads, and gives no links."""

    def __init__(self, damaged: int = 0) -> None:
        self.there: dict[str, bytes] = {}
        self.damaged = damaged
        self.calls: list[str] = []

    def done(self, what: str, *arguments: str) -> str:
        self.calls.append(f"{arguments[0]} {arguments[-1]}")
        if arguments[0] == "copyto":
            data = Path(arguments[-2]).read_bytes()
            self.damaged -= 1
            self.there[arguments[-1]] = b"x" * len(data) if self.damaged >= 0 else data
        return ""

    def run(self, *arguments: str) -> Completed:
        return Completed(1, "", "Failed to link: doesn't support public links")

    def hashes(self, remote: object) -> list[str]:
        return []

    def different(self, directory: str, remote: rclone.Remote, names: Sequence[str], *, download: bool) -> list[str]:
        assert download
        self.calls.append("compare")
        return [name for name in names if self.there.get(remote.at(name)) != (Path(directory) / name).read_bytes()]


def delivered(tmp_path: Path, program: Program, **options: Any) -> tuple[Parcel, delivering.Delivered]:
    desired = replace(PLAIN, path=made(tmp_path), **options)
    with delivering.packed(desired) as parcel:
        planned = delivering.plan(parcel, of_set("20261101T000000Z"), desired.keep)
        return parcel, delivering.deliver(cast(Rclone, program), parcel, planned, desired)


def test_a_delivery(tmp_path: Path) -> None:
    program = Program()
    parcel, done = delivered(tmp_path, program, keep=1, link=True)
    assert (done.upload, len(done.remove), done.verified, done.link) == (parcel.names, 3, "download", None)
    assert done.notes == ("nuvem:pec gives no link: Failed to link: doesn't support public links",)
    assert [call.split()[0] for call in program.calls] == ["copyto"] * 3 + ["compare"] + ["deletefile"] * 3
    assert program.calls[2].endswith(".json") and program.calls[4].endswith(".json")


def test_a_dump_without_a_time_in_its_name(tmp_path: Path) -> None:
    (tmp_path / "x.dump").write_bytes(AGE)
    manifest.write(str(tmp_path / "x.dump"), samples.manifest(name="x.dump", bytes=len(AGE), sha256=hashlib.sha256(AGE).hexdigest()))
    desired = replace(PLAIN, path=str(tmp_path / "x.dump"), keep=1)
    with delivering.packed(desired) as parcel:
        planned = delivering.plan(parcel, of_set("20261101T000000Z"), 1)
        done = delivering.deliver(cast(Rclone, Program()), parcel, planned, desired)
    assert (done.remove, len(done.notes)) == ((), 1)


def test_what_arrived_damaged_is_uploaded_again(tmp_path: Path) -> None:
    program = Program(damaged=1)
    _parcel, done = delivered(tmp_path, program)
    assert (len(done.upload), [call.split()[0] for call in program.calls]) == (3, ["copyto"] * 3 + ["compare", "copyto", "compare"])


def test_nothing_is_removed_while_the_new_one_is_damaged(tmp_path: Path) -> None:
    program = Program(damaged=9)
    with pytest.raises(PecError, match="is not what was uploaded; nothing was removed there"):
        delivered(tmp_path, program, keep=1)
    assert not [call for call in program.calls if call.startswith("deletefile")]


def test_what_replaces_a_verified_file_is_not_uploaded(tmp_path: Path) -> None:
    """The owner of the backups swaps a file for a link to one that only root can read."""
    (tmp_path / "shadow").write_text("root:$6$")
    program = Program()
    with delivering.packed(replace(PLAIN, path=made(tmp_path))) as parcel:
        for name in parcel.names:
            (tmp_path / name).unlink()
            (tmp_path / name).symlink_to(tmp_path / "shadow")
        delivering.deliver(cast(Rclone, program), parcel, delivering.plan(parcel, {}, 0), PLAIN)
    assert (len(program.there), [data for data in program.there.values() if b"$6$" in data]) == (3, [])


def test_what_is_written_to_meanwhile_removes_nothing(tmp_path: Path) -> None:
    program = Program()
    with delivering.packed(replace(PLAIN, path=made(tmp_path), keep=1)) as parcel:
        planned = delivering.plan(parcel, of_set("20261101T000000Z"), 1)
        with pytest.raises(BlockingIOError):
            os.open(tmp_path / NAME, os.O_WRONLY | os.O_NONBLOCK)  # without O_NONBLOCK the kernel lets a writer wait for us
        with pytest.raises(PecError, match="was opened for writing by another program"):
            delivering.deliver(cast(Rclone, program), parcel, planned, PLAIN)
    assert not [call for call in program.calls if call.startswith("deletefile")]
