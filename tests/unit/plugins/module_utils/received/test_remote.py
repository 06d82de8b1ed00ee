# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.received import receiving, remote
from ansible_collections.esus.pec.plugins.module_utils.received.messages import NotReceivedError
from ansible_collections.esus.pec.plugins.module_utils.received.receiving import Desired, Received
from ansible_collections.esus.pec.plugins.module_utils.system import rclone

CONFIG = "[nuvem]\ntype = webdav\npass = segredo\n"
DUMP = b"PGDMP\x01\x0e\x00\x04\x08\x01" + os.urandom(3 << 20)
# It writes at most this many bytes at once, and notes how it was called.
PROGRAM = """#!/bin/sh
cd {place}
echo "$*" >>asked
while [ "$1" != lsjson ] && [ "$1" != cat ]; do shift; done
if [ "$1" = lsjson ]; then cat answer; exit "$(cat code)"; fi
tail -c +$(($3 + 1)) file | head -c "$5" | head -c "$(cat most)"
[ "$(cat most)" -ge "$5" ] || {{ echo "2026/11/30 13:32:54 Failed to cat: reset by peer" >&2; exit 1; }}
"""


class Cloud:
    """A remote with one file, and what its rclone was asked for."""

    def __init__(self, place: Path) -> None:
        self.place = place
        (place / "rclone").write_text(PROGRAM.format(place=place))
        (place / "rclone").chmod(0o755)
        self.has(DUMP)
        self.desired = Desired("rclone nuvem:x", str(place / "received"))

    def has(self, data: bytes, code: int = 0, most: int = 1 << 40, **entry: Any) -> None:
        self.put(most, code)
        (self.place / "file").write_bytes(data)
        found = {"Size": len(data), "ModTime": "2026-11-30T10:00:00Z", "IsDir": False, "Hashes": {"md5": hashlib.md5(data).hexdigest()}}
        (self.place / "answer").write_text(json.dumps({**found, **entry}) if code == 0 else "")

    def put(self, most: int, code: int = 0) -> None:
        (self.place / "most").write_text(str(most))
        (self.place / "code").write_text(str(code))

    def receive(self, *, check: bool = False, **options: Any) -> Received:
        desired = Desired(self.desired.url, self.desired.directory, **options)
        with rclone.Rclone(CONFIG, stall=30, timeout=60) as program:
            return remote.receive(desired, rclone.parse("nuvem:pec/x.dump", CONFIG), program, check=check)

    @property
    def reads(self) -> list[str]:
        """Offset and count of each reading but those of the beginning."""
        lines = [line.partition(" cat ")[2].split() for line in (self.place / "asked").read_text().splitlines() if " cat " in line]
        return [f"{words[1]}+{words[3]}" for words in lines if words[3] != "65536"]


@pytest.fixture
def cloud(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cloud:
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setattr("os.geteuid", lambda: 1)
    return Cloud(tmp_path)


def test_downloaded_once(cloud: Cloud) -> None:
    checked = cloud.receive(check=True)
    assert checked == Received("download", "nuvem", len(DUMP), "") and not (cloud.place / "received").exists()
    digest = hashlib.sha256(DUMP).hexdigest()
    assert cloud.receive(sha256=digest) == Received("download", "nuvem", len(DUMP), digest)
    assert Path(cloud.desired.path).read_bytes() == DUMP
    asked = (cloud.place / "asked").read_text()
    assert cloud.receive() == Received("none", "nuvem", len(DUMP), digest) and (cloud.place / "asked").read_text() == asked
    assert "segredo" not in asked and "--timeout 30s" in asked


def test_an_interrupted_download_is_continued(cloud: Cloud) -> None:
    cloud.put(500_000)
    with pytest.raises(NotReceivedError, match=f"arrived with 1500000 of {len(DUMP)} bytes: .*reset by peer"):
        cloud.receive()
    cloud.put(1 << 40)
    assert cloud.receive().action == "resume" and Path(cloud.desired.path).read_bytes() == DUMP
    assert cloud.reads == [f"{offset}+{len(DUMP) - offset}" for offset in (0, 500_000, 1_000_000, 1_500_000)]


def test_progress_is_enough(cloud: Cloud) -> None:
    cloud.put(1 << 20)
    assert cloud.receive().action == "download" and Path(cloud.desired.path).read_bytes() == DUMP


def test_a_file_that_was_replaced_meanwhile_is_downloaded_from_its_beginning(cloud: Cloud) -> None:
    cloud.put(500_000)
    with pytest.raises(PecError):
        cloud.receive()
    cloud.has(DUMP[::-1][:-6] + DUMP[:6], ModTime="2026-11-30T11:00:00Z")
    with pytest.raises(NotReceivedError, match="forward to the sender"):
        cloud.receive()
    other = DUMP[:100] + bytes(1000)
    cloud.has(other)
    assert cloud.receive().action == "download" and Path(cloud.desired.path).read_bytes() == other


@pytest.mark.parametrize(
    ("data", "code", "entry", "says"),
    [
        (b"", 3, {}, "nuvem:pec/x.dump does not exist"),
        (b"", 4, {}, "nuvem:pec/x.dump does not exist"),
        (b"", 1, {}, "cannot be found: exit code 1"),
        (DUMP, 0, {"IsDir": True}, "is not a file of a known size"),
        (DUMP, 0, {"Size": -1}, "is not a file of a known size"),
        (b"", 0, {}, "is empty; forward to the sender: O arquivo está vazio"),
        (b"<!DOCTYPE html><title>Entrar</title>", 0, {}, "forward to the sender: O arquivo não é um backup"),
        (DUMP, 0, {"Hashes": {"md5": "0" * 32}}, "arrived with another md5 than the remote reports"),
    ],
)
def test_what_is_not_received(cloud: Cloud, data: bytes, code: int, entry: dict[str, Any], says: str) -> None:
    cloud.has(data, code, **entry)
    with pytest.raises(PecError, match=says):
        cloud.receive()
    assert not os.path.exists(cloud.desired.path)


def test_limits(cloud: Cloud) -> None:
    with pytest.raises(PecError, match="more than max_bytes allows"):
        cloud.receive(most_bytes=1000)
    with pytest.raises(NotReceivedError, match=f"not {'a' * 64}"):
        cloud.receive(sha256="a" * 64)
    assert not os.path.exists(cloud.desired.path) and receiving.read_current(cloud.desired).part == 0
