# SPDX-License-Identifier: GPL-3.0-or-later
"""Turns the link that somebody shared into the addresses of the file itself. Private to the collection.

None of the services could be reached where the tests run. What is documented, and what is only seen in use:

- Google Drive: C(drive.usercontent.google.com/download) with C(confirm=t) is not documented. It is what the form of Google's warning about
  files too large to scan sends, as github.com/wkentaro/gdown and others have it. C(resourcekey) is documented:
  https://developers.google.com/workspace/drive/api/guides/resource-keys
- Dropbox: C(dl=1) is documented, also for C(/scl/) links, which must keep C(rlkey): https://help.dropbox.com/share/force-download and
  https://www.dropboxforum.com/discussions/101001012/shared-link--scl-to-s/689070
- OneDrive: the encoding C(u!BASE64URL) is documented: https://learn.microsoft.com/onedrive/developer/rest-api/api/shares_get. Since 2024
  Microsoft refuses it without a login for many accounts (https://github.com/felixrieseberg/onedrive-link/issues/1), so the link with
  C(download=1) follows. For SharePoint, where the API always asks for a login, C(download=1) is the only way; it is widely used and not
  documented.
- Nextcloud: C(/s/TOKEN/download) is what its page's own button opens.
"""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass
from urllib.parse import SplitResult, parse_qsl, quote, urlencode, urlsplit

from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.received import messages
from ansible_collections.esus.pec.plugins.module_utils.received.messages import NotReceivedError

GOOGLE = ("drive.google.com", "docs.google.com", "drive.usercontent.google.com")
"""The hosts of Google Drive's links, pages and forms."""
_DROPBOX = ("www.dropbox.com", "dropbox.com", "dl.dropbox.com", "dl.dropboxusercontent.com")
_ONEDRIVE = ("1drv.ms", "onedrive.live.com")
_GOOGLE_FILE = re.compile(r"(?:/a/[^/]+)?/file/(?:u/\d+/)?d/([^/]+)")
_GOOGLE_FOLDER = re.compile(r"(?:/a/[^/]+)?/(?:drive|folderview|embeddedfolderview)(?:/|$)")
_GOOGLE_DOCUMENT = re.compile(r"(?:/a/[^/]+)?/(?:document|spreadsheets|presentation|forms|drawings)/")
_NEXTCLOUD = re.compile(r".*/s/[A-Za-z0-9]{10,}/?")
_SAFE = "%:@!$&'()*+,;=~"


@dataclass(frozen=True)
class Link:
    """The C(host) of a link, which is all that may be shown of it, and the addresses to try, the best first."""

    host: str
    addresses: tuple[str, ...]


def direct(url: str, *, allow_http: bool = False) -> Link:
    """Return where the file of a link is. Raises NotReceivedError for a link that leads to no file, PecError for what is no link."""
    address = cleaned(url.strip(), allow_http=allow_http)
    parts = urlsplit(address)
    host = parts.hostname or ""
    if host in GOOGLE:
        return Link(host, (_google(parts),))
    if host in _DROPBOX:
        return Link(host, (_dropbox(parts),))
    if host in _ONEDRIVE:
        return Link(host, _onedrive(parts))
    if host.endswith(".sharepoint.com"):
        return Link(host, (_sharepoint(parts),))
    if _NEXTCLOUD.fullmatch(parts.path) and not parts.query:
        return Link(host, (parts._replace(path=parts.path.rstrip("/") + "/download").geturl(), address))
    return Link(host, (address,))


def cleaned(url: str, *, allow_http: bool) -> str:
    """Return an address as it is sent: ASCII, without its fragment. Raises PecError, which does not show it, if it is not followed."""
    try:
        parts = urlsplit(url)
        host, port = (parts.hostname or "").rstrip(".").encode("idna").decode(), parts.port
    except ValueError:  # UnicodeError is one
        raise PecError(f"the link cannot be read; {messages.CHECK_LINK}") from None
    if parts.scheme == "http" and not allow_http:
        raise NotReceivedError(
            f"the link to {host or 'no host'} is not https, so others could read or replace the file (allow_http accepts it)", messages.HTTP
        )
    if parts.scheme not in ("http", "https") or not host or re.search(r"[\x00-\x20\x7f]", url):
        raise PecError(f"the link is no https address; {messages.CHECK_LINK}")
    if parts.username or parts.password:
        raise PecError(f"the link to {host} has a login in it, which is not supported; download the file by hand and restore it from there")
    place = f"[{host}]" if ":" in host else host
    return SplitResult(
        parts.scheme,
        f"{place}:{port}" if port else place,
        quote(parts.path or "/", safe=f"/{_SAFE}"),
        quote(parts.query, safe=f"/?{_SAFE}"),
        "",
    ).geturl()


def _google(parts: SplitResult) -> str:
    host, query = parts.hostname or "", _query(parts)
    if _GOOGLE_FOLDER.match(parts.path):
        raise NotReceivedError(f"the link to {host} is a folder's", messages.FOLDER)
    if _GOOGLE_DOCUMENT.match(parts.path):
        raise NotReceivedError(f"the link to {host} is a Google document's", messages.DOCUMENT)
    found = _GOOGLE_FILE.match(parts.path)
    name = found.group(1) if found else query.get("id", "")
    if not re.fullmatch(r"[\w-]{10,}", name, re.ASCII):
        raise NotReceivedError(f"the link to {host} names no file", messages.INCOMPLETE)
    wanted = {"id": name, "export": "download", "confirm": "t"}
    if query.get("resourcekey"):
        wanted["resourcekey"] = query["resourcekey"]
    return f"https://drive.usercontent.google.com/download?{urlencode(wanted)}"


def _dropbox(parts: SplitResult) -> str:
    host, query = parts.hostname or "", _query(parts)
    if re.match(r"/(?:sh|scl/fo|home|request)(?:/|$)", parts.path):
        raise NotReceivedError(f"the link to {host} is a folder's", messages.FOLDER)
    if parts.path.startswith("/scl/fi/") and not query.get("rlkey"):
        raise NotReceivedError(f"the link to {host} has lost its key (rlkey)", messages.INCOMPLETE)
    return _with(parts, query, dl="1")


def _onedrive(parts: SplitResult) -> tuple[str, ...]:
    if parts.path.startswith("/f/"):
        raise NotReceivedError(f"the link to {parts.hostname} is a folder's", messages.FOLDER)
    token = base64.urlsafe_b64encode(parts.geturl().encode()).decode().rstrip("=")
    query = _query(parts)
    if parts.hostname == "onedrive.live.com" and query.get("resid"):
        last = _with(parts._replace(path="/download"), query)
    else:
        last = _with(parts, query, download="1")
    return f"https://api.onedrive.com/v1.0/shares/u!{token}/root/content", last


def _sharepoint(parts: SplitResult) -> str:
    if parts.path.startswith("/:f:/"):
        raise NotReceivedError(f"the link to {parts.hostname} is a folder's", messages.FOLDER)
    if parts.path.endswith(("/onedrive.aspx", "/AllItems.aspx")):
        raise NotReceivedError(f"the link to {parts.hostname} is the address of its own page, which asks for a login", messages.INCOMPLETE)
    return _with(parts, _query(parts), download="1")


def _query(parts: SplitResult) -> dict[str, str]:
    return dict(parse_qsl(parts.query, keep_blank_values=True))


def _with(parts: SplitResult, query: dict[str, str], **more: str) -> str:
    kept = {name: value for name, value in query.items() if name not in ("raw", "web")}
    return parts._replace(query=urlencode({**kept, **more})).geturl()
