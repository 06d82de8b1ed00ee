# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import hashlib
import os
import zipfile
from pathlib import Path

import pytest

from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.installer import jar

MAIN = "br.gov.saude.esus.installers.installer.Main"
BUNDLE = "container/webserver/pec-bundle.jar"
NAME = "eSUS-AB-PEC-5.4.37-Linux64.jar"


def make(path: Path, main_class: str | None = MAIN, entries: tuple[str, ...] = (BUNDLE,)) -> str:
    with zipfile.ZipFile(path, "w") as archive:
        manifest = "Manifest-Version: 1.0\r\n" + (f"Main-Class: {main_class}\r\n" if main_class else "") + "\r\n"
        archive.writestr(jar.MANIFEST, manifest)
        for entry in entries:
            archive.writestr(entry, b"")
    return str(path)


def test_an_installer(tmp_path: Path) -> None:
    path = make(tmp_path / NAME)
    digest = hashlib.sha256(Path(path).read_bytes()).hexdigest()
    assert jar.inspect(path) == jar.Jar(path, "5.4.37", MAIN)
    assert jar.inspect(path, sha256=f" {digest.upper()} ", version="5.4.37").version == "5.4.37"


@pytest.mark.parametrize(
    ("main_class", "entries"),
    [
        pytest.param("br.gov.saude.esus.Installer", (BUNDLE,), id="its main class was renamed"),
        pytest.param(MAIN, (), id="its application was moved"),
        pytest.param(MAIN[:30] + "\r\n " + MAIN[30:], (), id="a folded line of the manifest"),
    ],
)
def test_a_new_version_may_change_one_of_two_signs(tmp_path: Path, main_class: str, entries: tuple[str, ...]) -> None:
    jar.inspect(make(tmp_path / NAME, main_class, entries))


def test_a_renamed_installer_has_the_version_it_is_given(tmp_path: Path) -> None:
    assert jar.inspect(make(tmp_path / "pec.jar"), version="5.5.28").version == "5.5.28"


def error(path: str, **options: str) -> str:
    with pytest.raises(PecError) as caught:
        jar.inspect(path, **options)
    return str(caught.value)


def test_no_jar(tmp_path: Path) -> None:
    path = str(tmp_path / NAME)
    assert error(path) == f"there is no installer at {path}; download it from the official site and correct the path"


def test_a_directory(tmp_path: Path) -> None:
    assert error(str(tmp_path)) == f"{tmp_path} is not a file; give the path of the installer itself, such as {tmp_path}/{NAME}"


def test_wrong_sha256(tmp_path: Path) -> None:
    path = make(tmp_path / NAME)
    actual = hashlib.sha256(Path(path).read_bytes()).hexdigest()
    assert error(path, sha256="0" * 64).startswith(f"{path} is another file than expected: its SHA-256 is {actual}, not {'0' * 64}; ")


@pytest.mark.parametrize("text", ["abc", "g" * 64, "0" * 63])
def test_a_text_that_is_no_sha256(tmp_path: Path, text: str) -> None:
    assert error(make(tmp_path / NAME), sha256=text) == f"{text!r} is not a SHA-256; it has 64 hexadecimal digits"


@pytest.mark.parametrize(
    ("main_class", "starts"), [("org.example.Other", "it starts org.example.Other"), (None, "it starts nothing")], ids=["other", "library"]
)
def test_a_jar_of_another_product(tmp_path: Path, main_class: str | None, starts: str) -> None:
    path = make(tmp_path / NAME, main_class, ("org/example/Other.class",))
    assert error(path) == (
        f"{path} is a jar, but not the installer of PEC: {starts} and has no {BUNDLE}; give the path of a file such as {NAME}"
    )


def test_a_file_that_is_no_jar(tmp_path: Path) -> None:
    path = tmp_path / NAME
    path.write_bytes(b"<html>not found</html>")
    assert error(str(path)) == f"{path} is not a jar, or a damaged one (File is not a zip file); download it again"


def test_a_download_that_broke_off(tmp_path: Path) -> None:
    path = Path(make(tmp_path / NAME))
    path.write_bytes(path.read_bytes()[:-30])
    assert error(str(path)).startswith(f"{path} is not a jar, or a damaged one (")


def test_the_installer_for_windows(tmp_path: Path) -> None:
    path = make(tmp_path / "eSUS-AB-PEC-5.4.37-Win64.jar")
    assert error(path) == "eSUS-AB-PEC-5.4.37-Win64.jar is the installer for Windows; use the one whose name ends in -Linux64.jar"


def test_a_name_without_a_version(tmp_path: Path) -> None:
    path = make(tmp_path / "pec (1).jar")
    assert error(path) == f"the name 'pec (1).jar' has no version in it; give the file its original name, such as {NAME}, or set version"


def test_another_version_than_asked(tmp_path: Path) -> None:
    path = make(tmp_path / NAME)
    assert error(path, version="5.5.28") == f"{NAME} installs PEC 5.4.37, but version 5.5.28 is requested; correct one of the two"


def test_a_jar_with_a_corrupted_entry(tmp_path: Path) -> None:
    path = tmp_path / NAME
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in (jar.MANIFEST, BUNDLE):
            archive.writestr(name, "Main-Class: x\n" * 100)
    data = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as archive:
        start = archive.getinfo(jar.MANIFEST).header_offset + 30 + len(jar.MANIFEST)
    data[start : start + 8] = b"\xff" * 8
    path.write_bytes(data)
    assert error(str(path)).startswith(f"{path} is not a jar, or a damaged one (")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
@pytest.mark.parametrize("place", ["", NAME])
def test_an_installer_that_another_account_can_swap_after_the_check(tmp_path: Path, place: str) -> None:
    path = make(tmp_path / NAME)
    digest = hashlib.sha256(Path(path).read_bytes()).hexdigest()
    assert jar.inspect(path, sha256=digest).path == path
    os.chown(tmp_path / place, 65533, 65533)
    assert error(path, sha256=digest).endswith(f"; run: chown root {tmp_path / place}".rstrip("/"))
