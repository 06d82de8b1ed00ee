# SPDX-License-Identifier: GPL-3.0-or-later
"""Asks PEC itself for the doctor, over HTTP on this server's own address. Private to the collection."""

from __future__ import annotations

import json
import socket
from datetime import datetime, timezone
from urllib.parse import urlsplit

from ansible_collections.esus.pec.plugins.module_utils import beliefs
from ansible_collections.esus.pec.plugins.module_utils.certificates import handshake
from ansible_collections.esus.pec.plugins.module_utils.doctor.facts import WebSeen
from ansible_collections.esus.pec.plugins.module_utils.pec.installation import Https, Installation
from ansible_collections.esus.pec.plugins.module_utils.system.http import HttpClient, UnansweredError

STAND_IN = "NÃO É O PEC"
_SECONDS = 5.0
_PATHS = {"root-path": beliefs.ROOT_PATH, "esus-path": beliefs.ESUS_PATH, "info-path": beliefs.INFO_PATH}
_JSON_TYPES = {str: "texto", bool: "booleano", int: "número", float: "número", list: "lista", dict: "objeto", type(None): "nulo"}
_TIMEZONE_QUERY = {"operationName": "Configuracoes", "query": "query Configuracoes { info { serverTimezoneOffset } }", "variables": {}}


def look_at_web(found: Installation, link: str | None) -> WebSeen:
    """Return PEC's answers on this server's own address, which no certificate can match, so it is not verified."""
    answers: dict[str, tuple[int | None, str]] = {}
    url = found.urls[0]
    for url in found.urls:
        answers = {belief: _ask(url, path) for belief, path in _PATHS.items()}
        if answers["root-path"][0] is not None:
            break
    reachable = any(status is not None for status, _body in answers.values())
    info = _json(answers["info-path"][1]) if answers["info-path"][0] == 200 else None
    version = info.get(beliefs.INFO_VERSION_KEY) if info else None
    resolves, opens = _link(link)
    return WebSeen(
        url=url if reachable else found.urls[0],
        reachable=reachable,
        statuses={belief: status for belief, (status, _body) in answers.items()},
        info_keys=None if info is None else {name: _JSON_TYPES.get(type(value), "?") for name, value in info.items()},
        version=version if isinstance(version, str) else None,
        timezone_offset=_timezone_offset(url) if reachable else None,
        certificate_days=_certificate_days(found.https),
        link_resolves=resolves,
        link_opens=opens,
        stand_in=STAND_IN in answers["root-path"][1],
    )


def _ask(url: str, path: str, body: object = None) -> tuple[int | None, str]:
    """Status and text of one answer; (None, "") when there is none."""
    sent = None if body is None else json.dumps(body).encode()
    headers = {} if body is None else {"Content-Type": "application/json", "Api-Consumer-Id": "ESUS_WEB_CLIENT"}
    try:
        answer = HttpClient(_SECONDS, verify=False).ask(url + path, sent, headers)
    except UnansweredError:
        return None, ""
    return answer.status, answer.text


def _json(text: str) -> dict[str, object] | None:
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):  # nested too deep
        return None
    return content if isinstance(content, dict) else None


def _timezone_offset(url: str) -> int | None:
    """PEC's own offset, read by the query of its login page, which needs no session."""
    content: object = _json(_ask(url, "/api/graphql", _TIMEZONE_QUERY)[1])
    for name in ("data", "info", "serverTimezoneOffset"):
        content = content.get(name) if isinstance(content, dict) else None
    return content if isinstance(content, int) else None


def _certificate_days(https: Https) -> int | None:
    """Days until the certificate that PEC serves expires; None without one."""
    if https.mode == "none":
        return None
    certificate = handshake.fetch(https.domain, https.port or beliefs.HTTPS_PORT).certificate
    return certificate.days_left(datetime.now(timezone.utc)) if certificate else None


def _link(link: str | None) -> tuple[bool | None, bool | None]:
    """Resolve the name in the installation's address, and connect to its port."""
    if not link:
        return None, None
    try:
        parts = urlsplit(link if "://" in link else f"http://{link}")
        name, port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
        socket.getaddrinfo(name, port, type=socket.SOCK_STREAM)
    except (OSError, ValueError):
        return False, False
    try:
        socket.create_connection((name, port), _SECONDS).close()
    except OSError:
        return True, False
    return True, True
