# SPDX-License-Identifier: GPL-3.0-or-later
"""The installer's file: its version, and whether it is PEC's installer. Private to the collection."""

from __future__ import annotations

import os
import zipfile
import zlib
from dataclasses import dataclass

from ansible_collections.esus.pec.plugins.module_utils import beliefs
from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.pec import installation
from ansible_collections.esus.pec.plugins.module_utils.system import files, pipeline

MANIFEST = "META-INF/MANIFEST.MF"
# Raised by zipfile for a damaged archive; RuntimeError when damaged bits mean a password or another compression.
UNREADABLE = (OSError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error)
_SHA256_LENGTH = 64
_EXAMPLE = "eSUS-AB-PEC-5.4.37-Linux64.jar"


@dataclass(frozen=True)
class Jar:
    """An installer for this system. C(main_class) is the one in its manifest."""

    path: str
    version: str
    main_class: str


def named_version(path: str, version: str = "") -> str:
    """Return the version in the file's name, or C(version) for a renamed file.

    Raises PecError for the installer of another system, for a renamed file without C(version), and if both differ.
    """
    name = os.path.basename(path)
    found = beliefs.JAR_NAME.fullmatch(name)
    if found is None:
        if not version:
            raise PecError(f"the name {name!r} has no version in it; give the file its original name, such as {_EXAMPLE}, or set version")
        installation.parse_version(version)
        return version
    if found.group("platform") != "Linux":
        raise PecError(f"{name} is the installer for Windows; use the one whose name ends in -Linux64.jar")
    if version and version != found.group("version"):
        raise PecError(f"{name} installs PEC {found.group('version')}, but version {version} is requested; correct one of the two")
    return found.group("version")


def inspect(path: str, *, version: str = "", sha256: str = "", ours: bool = True) -> Jar:
    """Return the installer at C(path). The SHA-256 is compared only when one is given: the real file has nearly 1 GB.

    Raises PecError when the file is missing, damaged, another one than meant, not PEC's installer for Linux, or, where root will run it
    (C(ours)), one that another account can change.
    """
    if not os.path.exists(path):
        raise PecError(f"there is no installer at {path}; download it from the official site and correct the path")
    if not os.path.isfile(path):
        raise PecError(f"{path} is not a file; give the path of the installer itself, such as {os.path.join(path, _EXAMPLE)}")
    found = named_version(path, version)
    if ours:
        files.require_ours(path, "the installer")  # which is checked now, and opened again when root runs it
    if sha256:
        _require_sha256(path, sha256)
    return Jar(path, found, _main_class(path))


def _require_sha256(path: str, sha256: str) -> None:
    wanted = sha256.strip().lower()
    if len(wanted) != _SHA256_LENGTH or any(digit not in "0123456789abcdef" for digit in wanted):
        raise PecError(f"{sha256!r} is not a SHA-256; it has 64 hexadecimal digits")
    _size, actual = pipeline.sha256_file(path)
    if actual != wanted:
        raise PecError(
            f"{path} is another file than expected: its SHA-256 is {actual}, not {wanted}; "
            "remove it and download it again, or correct sha256 from a source that you trust"
        )


def _main_class(path: str) -> str:
    """Return the Main-Class. PEC is recognized by it or by the application inside: a new version may change one of the two."""
    try:
        with zipfile.ZipFile(path) as archive:
            entries = set(archive.namelist())
            manifest = archive.read(MANIFEST).decode("utf-8", "replace") if MANIFEST in entries else ""
    except UNREADABLE as error:
        raise PecError(f"{path} is not a jar, or a damaged one ({error}); download it again") from None
    main_class = _attribute(manifest, "Main-Class")
    if not main_class or (main_class != beliefs.JAR_MAIN_CLASS and beliefs.JAR_CONTENTS[0] not in entries):
        starts = f"it starts {main_class}" if main_class else "it starts nothing"
        raise PecError(
            f"{path} is a jar, but not the installer of PEC: {starts} and has no {beliefs.JAR_CONTENTS[0]}; "
            f"give the path of a file such as {_EXAMPLE}"
        )
    return main_class


def _attribute(manifest: str, name: str) -> str:
    """Return an attribute. A manifest's lines end after 72 bytes; one that begins with a blank continues the line before."""
    unfolded = manifest.replace("\r\n", "\n").replace("\r", "\n").replace("\n ", "")
    pairs = (line.partition(":") for line in unfolded.split("\n"))
    return next((value.strip() for key, _colon, value in pairs if key.strip().lower() == name.lower()), "")
