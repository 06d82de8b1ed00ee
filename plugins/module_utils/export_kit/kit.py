# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes the kit with which a município without Ansible exports its PEC: two scripts and one page. Private to the collection."""

from __future__ import annotations

import io
import posixpath
import re
import shlex
import unicodedata
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass

from ansible_collections.esus.pec.plugins.module_utils import beliefs
from ansible_collections.esus.pec.plugins.module_utils.archive import beside
from ansible_collections.esus.pec.plugins.module_utils.dump.planning import slug
from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.export_kit import guide, linux, windows

_LONGEST = 500
_PLACE = re.compile(r"@([A-Z_]+)@")
_SPECIAL = re.compile(r"[\^&|<>]")
# psql separates the two columns by "|".
_SIZE_SQL = "select pg_database_size(current_database()) / 1000000, to_char(now() at time zone 'UTC', 'YYYYMMDDHH24MISS')"
DIRECTORIES = {
    beliefs.KEYS_DIRECTORY: posixpath.basename(beliefs.KEYS_DIRECTORY),
    posixpath.dirname(beliefs.SSL_PROPERTIES): posixpath.basename(beliefs.CERTMGR),
}
"""What is copied, and the name of each directory in the export. Single files are copied from the application's configuration."""
_FILES = (
    beliefs.APPLICATION_PROPERTIES,
    *(f"{posixpath.dirname(beliefs.APPLICATION_PROPERTIES)}/*{suffix}" for suffix in (*beliefs.CERTIFICATE_SUFFIXES, ".jks")),
)
_DATABASE = beliefs.BUNDLED_CLIENTS.partition("/")[0]


@dataclass(frozen=True)
class Kit:
    """What a kit says. C(municipality) may be empty; C(destination) is where to send the export, C(contact) whom to ask."""

    municipality: str
    destination: str
    contact: str


def build(kit: Kit) -> bytes:
    """Return the zip, the same bytes for the same kit. Raises PecError if a text cannot be put into a script."""
    for name, text in (("municipality", kit.municipality), ("destination", kit.destination), ("contact", kit.contact)):
        if len(text) > _LONGEST or any(unicodedata.category(character) in ("Cc", "Cf", "Zl", "Zp") for character in text):
            raise PecError(f"{name} must be one line of at most {_LONGEST} characters; it goes into scripts")
    if not kit.destination.strip():
        raise PecError("destination is empty; say where the município sends its export, such as the address of an upload page")
    contents = io.BytesIO()
    with zipfile.ZipFile(contents, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, data in (
            ("LEIA-ME.txt", _crlf("\ufeff" + _filled(guide.TEXT, _spoken(kit)))),
            ("exportar-pec.cmd", _crlf(for_windows(kit))),
            ("exportar-pec.sh", for_linux(kit).encode()),
        ):
            packed.writestr(zipfile.ZipInfo(name), data, zipfile.ZIP_DEFLATED)  # of 1980, so that a second run changes nothing
    return contents.getvalue()


def for_windows(kit: Kit) -> str:
    """Return the script for Windows, without its line ends."""
    home = beliefs.WINDOWS_HOME.partition(":")[2]  # on any drive
    return _filled(
        windows.TEXT,
        {
            **{name: _for_echo(text) for name, text in _spoken(kit).items()},
            "SLUG": _name(kit),
            "HOMES": _backslashes(home, f"/{posixpath.basename(home)}"),
            "CREDENTIALS": beliefs.CREDENTIALS_FILE.replace("/", "\\"),
            "WEBSERVER": beliefs.WEBSERVER,
            "DATABASE": _DATABASE,
            "DIRECTORIES": "\n".join(f"call :copia_pasta {_backslashes(path)} {name}" for path, name in DIRECTORIES.items()),
            "FILES": "\n".join(f"call :copia_arquivos {_backslashes(path)}" for path in _FILES),
            **_common(),
        },
    )


def for_linux(kit: Kit) -> str:
    """Return the script for Linux."""
    return _filled(
        linux.TEXT,
        {
            **{name: shlex.quote(text) for name, text in _spoken(kit).items()},
            "SLUG": _name(kit),
            "HOMES": " ".join(map(shlex.quote, beliefs.HOMES)),
            "CREDENTIALS": beliefs.CREDENTIALS_FILE,
            "WEBSERVER": beliefs.WEBSERVER,
            "CLIENTS": beliefs.BUNDLED_CLIENTS,
            "DIRECTORIES": "\n".join(f"copia_pasta {path} {name}" for path, name in DIRECTORIES.items()),
            "FILES": " ".join(f'"$pec"/{path}' for path in _FILES),
            **_common(),
        },
    )


def _common() -> Mapping[str, str]:
    return {"PORT": str(beliefs.BUNDLED_PORT), "SIZE_SQL": _SIZE_SQL, "CONFIGURATION": beside.CONFIGURATION}


def _spoken(kit: Kit) -> Mapping[str, str]:
    return {
        "MUNICIPALITY": kit.municipality or "(município não informado)",
        "DESTINATION": kit.destination,
        "CONTACT": f"Dúvidas: {kit.contact}" if kit.contact else "",
    }


def _name(kit: Kit) -> str:
    return f"{slug(kit.municipality)}-{beliefs.DATABASE_NAME}"


def _filled(text: str, values: Mapping[str, str]) -> str:
    """Fill every place at once: a value that looks like a place stays as it is."""
    return _PLACE.sub(lambda found: values[found.group(1)], text)


def _for_echo(text: str) -> str:
    """Return a text as CMD's echo prints it, without accents: CMD's code page is not known."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().replace('"', "'")
    return _SPECIAL.sub(r"^\g<0>", plain).replace("%", "%%")


def _backslashes(*paths: str) -> str:
    return " ".join('"' + path.replace("/", "\\") + '"' for path in paths)


def _crlf(text: str) -> bytes:
    return text.replace("\n", "\r\n").encode()
