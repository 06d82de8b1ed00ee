# SPDX-License-Identifier: GPL-3.0-or-later
"""The certificate of certmgr around a run of the installer: kept before it, brought back after a failure. Private to the collection.

The documented way to another domain is to remove ssl.properties and to run the installer again. certmgr then rewrites its file and its
keystore, so both are kept, and so is the installer's own file, which it rewrites before anything has succeeded.
"""

from __future__ import annotations

import contextlib
import os

from ansible_collections.esus.pec.plugins.module_utils import beliefs
from ansible_collections.esus.pec.plugins.module_utils.certificates import handshake
from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.installer.planning import CertmgrHttps
from ansible_collections.esus.pec.plugins.module_utils.pec.installation import Installation
from ansible_collections.esus.pec.plugins.module_utils.system import files

CHANGING = os.path.join(files.STATE_DIRECTORY, "certmgr-changing")
PREVIOUS = os.path.join(files.STATE_DIRECTORY, "certmgr-previous")
_CONFIGURATION = "config"
_CONFIG_FILE = "pec.config"


def read(here: Installation, wanted: str) -> CertmgrHttps | None:
    """Return HTTPS by certmgr. The key of the domain in ssl.properties is not certain, so without one the server itself is asked."""
    if here.https.mode != "certmgr":
        return None
    if here.https.domain or not wanted:
        return CertmgrHttps(here.https.domain, here.https.port)
    shown = handshake.fetch(wanted, here.https.port or beliefs.HTTPS_PORT).certificate
    if shown is None:
        return CertmgrHttps(None, here.https.port)
    names = shown.dns_names
    return CertmgrHttps(wanted if shown.names_host(wanted) else names[0] if names else None, here.https.port)


def keep(here: Installation, *, replaces: bool) -> None:
    """Copy certmgr's files and the installer's own; with C(replaces) then remove ssl.properties.

    A copy that a killed run left is older, so it stays. Raises PecError when the copy fails; nothing is removed then.
    """
    if here.home is None:
        return
    if not os.path.isdir(CHANGING):
        partial = f"{CHANGING}.partial"
        try:
            files.make_private(files.STATE_DIRECTORY)
            files.remove_tree(partial)
            files.make_private(partial)
            if files.is_directory(_directory(here.home)):
                files.copy_tree(_directory(here.home), os.path.join(partial, _CONFIGURATION))
            if here.config_file and os.path.isfile(here.config_file):
                files.copy(here.config_file, os.path.join(partial, _CONFIG_FILE))
            files.rename(partial, CHANGING)
        except PecError as error:
            raise PecError(f"cannot copy {_directory(here.home)} to {CHANGING}: {error}") from None
    if replaces and here.ssl_properties:
        files.unlink(here.ssl_properties)


def bring_back(here: Installation, *, config_file: bool) -> str:
    """After a failure, restore certmgr's files. Returns the result as a sentence; empty when nothing had been kept.

    config_file: restore the installer's own file too, which is right only if nothing but the certificate was to change.
    """
    if here.home is None or not os.path.isdir(CHANGING):
        return ""
    directory, kept = _directory(here.home), os.path.join(CHANGING, _CONFIGURATION)
    ssl_properties = os.path.join(here.home, beliefs.SSL_PROPERTIES)
    had = os.path.isfile(os.path.join(kept, os.path.basename(ssl_properties)))
    try:
        for name in sorted(os.listdir(kept)) if os.path.isdir(kept) else ():
            if os.path.isfile(os.path.join(kept, name)):
                files.copy(os.path.join(kept, name), os.path.join(directory, name))
        if not had:
            files.unlink(ssl_properties)
        if config_file and os.path.isfile(os.path.join(CHANGING, _CONFIG_FILE)):
            files.copy(os.path.join(CHANGING, _CONFIG_FILE), here.config_file or beliefs.CONFIG_FILE)
    except (OSError, PecError) as error:
        return f"The previous certificate could not be restored to {directory}: {error}. Copy it back from {CHANGING}."
    with contextlib.suppress(PecError):
        files.remove_tree(CHANGING)
    return "HTTPS is as it was before." if had else "PEC has no HTTPS, as before."


def settle() -> None:
    """After a success, keep only the last certificate that was replaced."""
    if os.path.isdir(CHANGING):
        files.remove_tree(PREVIOUS)
        files.rename(CHANGING, PREVIOUS)


def what_is_missing(wanted: CertmgrHttps | None, here: Installation) -> list[str]:
    """Return what contradicts that certmgr has the desired certificate; an exit code of 0 is no proof."""
    if wanted is None:
        return []
    if here.https.mode != "certmgr":
        return [f"certmgr wrote no {beliefs.SSL_PROPERTIES} for {wanted.domain}"]
    found = CertmgrHttps(here.https.domain, here.https.port)
    if found.domain is not None and found.domain.lower() != str(wanted.domain).lower():
        return [f"{here.ssl_properties} names {found.domain} instead of {wanted.domain}"]
    return []


def _directory(home: str) -> str:
    return os.path.dirname(os.path.join(home, beliefs.SSL_PROPERTIES))
