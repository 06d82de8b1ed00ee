# SPDX-License-Identifier: GPL-3.0-or-later
"""Looks at the address of an installer before it is downloaded. Private to the collection."""

from __future__ import annotations

import http.client
import os
import urllib.error
from urllib.parse import urlsplit

from ansible.module_utils import urls

from ansible_collections.esus.pec.plugins.module_utils.errors import PecError, printable
from ansible_collections.esus.pec.plugins.module_utils.system import host, pipeline

_SECONDS = 30
_ZIP = b"PK\x03\x04"
_EMPTY = 416  # none of the bytes that were asked for exists
_LOGIN = (401, 403, 407)
_INSTEAD = "or download it yourself and set pec_install_jar_file"


def problem(url: str, *, sha256: str, kept: str) -> tuple[str, str] | None:
    """Return what keeps this host from downloading the installer, and what to do; None if nothing does, or it is in C(kept) already.

    Asks for the first bytes, because many servers do not answer HEAD, and a HEAD does not show a page in the installer's place. The client,
    and so its proxy and what it trusts, is the one of ansible.builtin.get_url.
    """
    if _is_kept(kept, sha256):
        return None
    shown = _without_secrets(url)
    headers = {"Range": f"bytes=0-{len(_ZIP) - 1}"}
    try:
        with urls.open_url(url, headers=headers, timeout=_SECONDS, http_agent="ansible-httpget", decompress=False) as answer:
            beginning, size = answer.read(len(_ZIP)), _size(answer)
    except urllib.error.HTTPError as error:
        return _refused(shown, error)
    except (OSError, http.client.HTTPException, ValueError, urls.ConnectionError) as error:
        reason = printable(str(getattr(error, "reason", "") or error) or type(error).__name__).replace(url, shown)
        return f"this host cannot download {shown}: {reason}", f"correct pec_install_jar_url, or this host's way there, {_INSTEAD}"
    if beginning != _ZIP:
        page = beginning.lstrip().startswith(b"<")
        found = "a web page, such as that of a login or an error" if page else "another file" if beginning else "an empty one"
        return f"{shown} is not an installer but {found}", f"correct pec_install_jar_url, {_INSTEAD}"
    free = host.disk_usage(os.path.dirname(kept)).free_bytes if kept else size
    if size > free:
        sizes = f"{shown} has {host.describe_size(size)}, and only {host.describe_size(free)} are free in {os.path.dirname(kept)}"
        return sizes, "make room there, or set pec_install_cache_directory"
    return None


def _is_kept(path: str, sha256: str) -> bool:
    try:
        return os.path.isfile(path) and pipeline.sha256_file(path)[1] == sha256.strip().lower()
    except PecError:
        return False


def _refused(shown: str, error: urllib.error.HTTPError) -> tuple[str, str]:
    if error.code == _EMPTY:
        return f"{shown} is an empty file", f"correct pec_install_jar_url, {_INSTEAD}"
    what = f"{shown} is answered with {error.code} ({printable(str(error.reason))})"
    if error.code in _LOGIN:
        return what, f"correct pec_install_jar_url, to which this host needs no login, {_INSTEAD}"
    return what, f"correct pec_install_jar_url, {_INSTEAD}"


def _size(answer: http.client.HTTPResponse) -> int:
    """Return the size of the whole file, 0 if the server does not tell it."""
    part = answer.headers.get("Content-Range", "").rpartition("/")[2]
    told = part or answer.headers.get("Content-Length", "")
    return int(told) if told.isascii() and told.isdigit() else 0


def _without_secrets(url: str) -> str:
    """Return the address without a login and without a query, which may hold a signature."""
    try:
        parts = urlsplit(url)
        return printable(parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl())
    except ValueError:
        return "the address in pec_install_jar_url"
