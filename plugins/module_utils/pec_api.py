# SPDX-License-Identifier: GPL-3.0-or-later
"""A client of PEC's API: its headers, its sessions, its way of telling errors. What it can ask is listed in pec_catalogue.py."""

from __future__ import annotations

import json
import ssl
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from http.client import HTTPException
from http.cookiejar import CookieJar
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import unquote

from ansible.module_utils.urls import ConnectionError as UrlsConnectionError
from ansible.module_utils.urls import Request

from ansible_collections.esus.pec.plugins.module_utils import pec_catalogue
from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.pec_catalogue import Operation

_ATTEMPTS = 4
_FIRST_PAUSE = 1.0
_WORTH_RETRYING = (502, 503)
_MAXIMUM_ANSWER = 1 << 22
_MAXIMUM_SAID = 300


class PecApiError(PecError):
    """PEC refused; C(message) holds its own words, C(classification) its kind of error, where it told one."""

    def __init__(self, text: str, *, message: str = "", classification: str = "") -> None:
        super().__init__(text)
        self.message = message
        self.classification = classification


class PecUnreachableError(PecApiError):
    """Nobody answered, so nothing was done."""


@dataclass(frozen=True)
class Server:
    """Where PEC is and how its certificate is judged. timeout is in seconds and for one request."""

    url: str
    timeout: float = 60
    validate_certs: bool = True
    ca_path: str | None = None
    version: str = ""


@dataclass(frozen=True)
class FirstRun:
    """The answers of the first run. C(type) is PRONTUARIO or CENTRALIZADORA; C(cpf) has 11 digits."""

    name: str
    link: str
    type: str
    instalador_name: str
    cpf: str = field(repr=False)
    password: str = field(repr=False)


class Client:
    """One session with one PEC. C(attempts) is how often a question is asked that nobody answers; C(opener) and C(sleep) are for tests."""

    def __init__(
        self, server: Server, *, attempts: int = _ATTEMPTS, opener: Any = None, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self.server = server
        self._attempts = attempts
        self._cookies = CookieJar()
        self._sleep = sleep
        self._opener = opener or Request(
            http_agent="esus.pec",
            timeout=server.timeout,
            validate_certs=server.validate_certs,
            ca_path=server.ca_path,
            cookies=self._cookies,
            use_proxy=False,
            follow_redirects="none",
        )

    def execute(self, operation: Operation, variables: Mapping[str, object] | None = None) -> object:
        """Send one operation and return the value of its root field.

        A reading operation is repeated, with growing pauses, while nobody answers or a proxy says 502 or 503; one that writes is sent
        once. Raises PecApiError with PEC's own words when it refuses, PecUnreachableError when nobody answers.
        """
        body = json.dumps({"operationName": operation.name, "query": operation.document, "variables": dict(variables or {})}).encode()
        attempts = 1 if operation.writes else self._attempts
        for attempt in range(1, attempts + 1):
            try:
                return self._value(operation, self._post(operation, body))
            except PecUnreachableError:
                if attempt == attempts:
                    raise
                self._sleep(_FIRST_PAUSE * 2 ** (attempt - 1))
        raise AssertionError("the last attempt returns or raises")

    def first_run_done(self) -> bool:
        """Return whether PEC has been through its first run."""
        info = self.execute(pec_catalogue.CONFIGURACOES)
        if not isinstance(info, dict) or not any(isinstance(info.get(name), bool) for name in pec_catalogue.FIRST_RUN_DONE):
            names = " nor ".join(pec_catalogue.FIRST_RUN_DONE)
            raise PecApiError(f"{self.server.url} does not tell whether its first run is over: neither {names} is in its answer")
        return any(info.get(name) is True for name in pec_catalogue.FIRST_RUN_DONE)

    def public_facts(self) -> dict[str, object]:
        """Return what PEC tells without a session, by the names of its own fields; None is what this version does not tell.

        Raises PecUnreachableError when nobody answers.
        """
        facts: dict[str, object] = {}
        for group in pec_catalogue.PUBLIC_FACTS:
            facts.update(self._public_facts(group))
        return facts

    def _public_facts(self, fields: Sequence[str]) -> dict[str, object]:
        """To a server that does not know one field the whole question is wrong; then each is asked for by itself."""
        try:
            info = self.execute(pec_catalogue.public_facts(fields))
        except PecUnreachableError:
            raise
        except PecApiError:
            info = None
        if isinstance(info, dict):
            return {name: info.get(name) for name in fields}
        if len(fields) == 1:
            return {fields[0]: None}
        facts: dict[str, object] = {}
        for name in fields:
            facts.update(self._public_facts([name]))
        return facts

    def install(self, answers: FirstRun) -> None:
        """Go through the first run, in one attempt. Raises PecApiError when PEC refuses; its words may quote the answers."""
        self.execute(pec_catalogue.INSTALAR, {"input": installation_input(answers)})

    def _post(self, operation: Operation, body: bytes) -> object:
        url = self.server.url.rstrip("/") + pec_catalogue.GRAPHQL_PATH
        try:
            with self._opener.open("POST", url, data=body, headers=self._headers()) as response:
                text = response.read(_MAXIMUM_ANSWER).decode("utf-8", "replace")
        except HTTPError as error:
            with error:
                raise _refused(operation, url, error.code, error.read(_MAXIMUM_ANSWER).decode("utf-8", "replace")) from None
        except (URLError, UrlsConnectionError, HTTPException, OSError) as error:
            raise _unreachable(url, error) from None
        try:
            answer: object = json.loads(text)
        except ValueError:
            raise PecApiError(f"{url} did not answer {operation.name} with JSON; is it really PEC, or a proxy before it?") from None
        return answer

    def _value(self, operation: Operation, answer: object) -> object:
        if isinstance(answer, dict):
            message, classification = _first_error(answer)
            if message:
                raise PecApiError(f"PEC refused {operation.name}: {message}", message=message, classification=classification)
            data = answer.get("data")
            if isinstance(data, dict) and operation.root in data:
                value: object = data[operation.root]
                return value
        raise PecApiError(f"{self.server.url} answered {operation.name} without {operation.root}; this version of PEC may not know it")

    def _headers(self) -> dict[str, str]:
        headers = {**pec_catalogue.HEADERS, "Content-Type": "application/json", "Accept": "application/json"}
        if self.server.version:
            headers[pec_catalogue.VERSION_HEADER] = self.server.version
        for cookie in self._cookies:
            if cookie.name == pec_catalogue.XSRF_COOKIE and cookie.value:
                headers[pec_catalogue.XSRF_HEADER] = unquote(cookie.value)
        return headers


def installation_input(answers: FirstRun) -> dict[str, object]:
    """Return the variables of C(Instalar) (single source: V)."""
    return {
        "dadosInstalacao": {"linkInstalacao": answers.link, "nomeInstalacao": answers.name},
        "tipoInstalacao": answers.type,
        "novaSenha": answers.password,
        "profissional": {"nomeCivil": answers.instalador_name, "cpf": answers.cpf, "endereco": None},
    }


def _first_error(answer: Mapping[str, object]) -> tuple[str, str]:
    errors = answer.get("errors")
    first = errors[0] if isinstance(errors, list) and errors else None
    if not isinstance(first, dict):
        return ("an error without a text", "") if errors else ("", "")
    extensions = first.get("extensions")
    classification = extensions.get("classification") if isinstance(extensions, dict) else ""
    return str(first.get("message") or "an error without a text"), str(classification or "")


def _refused(operation: Operation, url: str, status: int, text: str) -> PecApiError:
    try:
        answer = json.loads(text)
    except ValueError:
        answer = None
    message, classification = _first_error(answer) if isinstance(answer, dict) else ("", "")
    said = f"{url} answered {operation.name} with HTTP {status}" + (f": {message[:_MAXIMUM_SAID]}" if message else "")
    if status in _WORTH_RETRYING:
        return PecUnreachableError(f"{said}; PEC is starting, or stands behind a proxy that does not reach it", message=message)
    return PecApiError(f"{said}; PEC's log says why", message=message, classification=classification)


def _unreachable(url: str, error: Exception) -> PecUnreachableError:
    reason = getattr(error, "reason", None) or error
    if isinstance(reason, ssl.SSLError) or "CERTIFICATE_VERIFY_FAILED" in str(reason):
        return PecUnreachableError(
            f"the certificate of {url} is not trusted ({reason}); name the authority's file in ca_path, or use the name in the certificate"
        )
    return PecUnreachableError(f"PEC does not answer at {url}: {reason}; check that its service runs, and the address")
