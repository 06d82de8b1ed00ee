# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.installer import java
from ansible_collections.esus.pec.plugins.module_utils.system import host


@pytest.mark.parametrize(
    ("majors", "expected"),
    [([25, 21, 17, 11, 8], 17), ([25, 21], 21), ([21, 8], 21)],
    ids=["the one it was built for", "the nearest newer", "never an older one"],
)
def test_the_java_that_suits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, majors: list[int], expected: int) -> None:
    own = host.Java("/opt/e-SUS/jre/current/bin/java", "17.0.1", 17)
    monkeypatch.setattr(host, "java", lambda: [own, *(made(tmp_path, major) for major in majors)])
    assert java.find() == f"{tmp_path}/{expected}/bin/java"


def made(directory: Path, major: int) -> host.Java:
    launcher = directory / str(major) / "bin/java"
    for path in (launcher, directory / str(major) / "lib/modules"):
        path.parent.mkdir(parents=True)
        path.touch()
    return host.Java(str(launcher), f"{major}.0.1", major)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
@pytest.mark.parametrize("place", ["17/bin/java", "17/bin", "17", "17/lib", "17/lib/modules"])
def test_a_java_that_another_account_can_change_does_not_run_the_installer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    found = [made(tmp_path, 17), made(tmp_path, 21)]
    monkeypatch.setattr(host, "java", lambda: found)
    os.chown(tmp_path / place, 65533, 65533)
    assert java.find() == found[1].path
    found.pop()
    for named in (None, found[0].path):
        with pytest.raises(PecError, match=f"the Java for the installer, .*; run: chown root {tmp_path / place}$"):
            java.find(named)


def test_no_java_that_suits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host, "java", lambda: [host.Java("/usr/lib/jvm/11/bin/java", "11.0.1", 11)])
    with pytest.raises(PecError) as caught:
        java.find()
    assert str(caught.value) == "no Java 17 or newer on this host; install one (Debian: default-jre-headless) or set java to its path"


HARD_ARGUMENTS = [
    "plain", "two words", 'a "quoted" one', "back\\slash", "ends in \\", "#hash", "-x=#1", "'single'", "tab\there", "new\nline",
    "@file", "é ç ã", "", "*", "$HOME", "a\\nb",
]  # fmt: skip


@pytest.mark.skipif(shutil.which("javac") is None, reason="no JDK here to be the oracle")
def test_java_reads_the_arguments_as_they_were(tmp_path: Path) -> None:
    source = tmp_path / "Echo.java"
    source.write_text(
        "public class Echo { public static void main(String[] a) throws Exception { for (String s : a)"
        ' System.out.write((java.util.HexFormat.of().formatHex(s.getBytes("UTF-8")) + "\\n").getBytes()); System.out.flush(); } }',
        encoding="utf-8",
    )
    file = tmp_path / "arguments"
    file.write_text(java.quote_arguments(["-Dfile.encoding=UTF-8", str(source), *HARD_ARGUMENTS]), encoding="utf-8")
    environment = {**os.environ, "LC_ALL": "C.UTF-8"}
    answer = subprocess.run(["java", f"@{file}"], capture_output=True, text=True, check=True, env=environment)
    assert [bytes.fromhex(line).decode() for line in answer.stdout.split("\n")[:-1]] == HARD_ARGUMENTS


def test_a_null_character_is_refused() -> None:
    with pytest.raises(PecError, match="null character"):
        java.quote_arguments(["a\0b"])
