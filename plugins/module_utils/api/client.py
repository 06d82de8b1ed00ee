# SPDX-License-Identifier: GPL-3.0-or-later
"""A client of PEC's API: its headers, its cookies, its way of telling errors. What it can ask is listed in py."""

from __future__ import annotations

import json
import ssl
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from http.client import HTTPException
from http.cookiejar import CookieJar
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import unquote

from ansible.module_utils.urls import ConnectionError as UrlsConnectionError
from ansible.module_utils.urls import Request

from ansible_collections.esus.pec.plugins.module_utils.api.catalogue import (
    FIRST_RUN_DONE,
    GRAPHQL_PATH,
    HEADERS,
    PUBLIC_FACTS,
    VALIDATION_ERROR,
    VERSION_HEADER,
    XSRF_COOKIE,
    XSRF_HEADER,
)
from ansible_collections.esus.pec.plugins.module_utils.api.operations import Catalogue, Operation, public_facts
from ansible_collections.esus.pec.plugins.module_utils.errors import PecError

_PATIENCE = 8.0
_FIRST_PAUSE = 1.0
_LONGEST_PAUSE = 15.0
_WORTH_RETRYING = (502, 503)
_MAXIMUM_ANSWER = 1 << 22
_MAXIMUM_SAID = 1000


class PecApiError(PecError):
    """PEC refused; C(message) holds its own words, C(classification) its kind of error, where it told one.

    C(status) is the status of HTTP where that was the refusal, else 0.
    """

    def __init__(self, text: str, *, message: str = "", classification: str = "", status: int = 0) -> None:
        super().__init__(text)
        self.message = message
        self.classification = classification
        self.status = status

    @property
    def unknown(self) -> bool:
        """Whether PEC did not understand the question, so that nothing of it was done: this version may not know the operation."""
        return self.classification == VALIDATION_ERROR or self.message.startswith("Validation error")

    @property
    def refused(self) -> bool:
        """Whether PEC understood the question, and said no."""
        return bool(self.message) and not self.status and not self.unknown

    @property
    def not_done(self) -> bool:
        """Whether it is sure that nothing was done; otherwise only the answer may be lost."""
        return self.unknown or self.refused


class PecUnreachableError(PecApiError):
    """Nobody answered. C(delivered) is whether PEC may have heard the question all the same, C(final) whether asking again is of no use."""

    def __init__(self, text: str, *, message: str = "", delivered: bool = True, final: bool = False) -> None:
        super().__init__(text, message=message)
        self.delivered = delivered
        self.final = final

    @property
    def not_done(self) -> bool:
        return not self.delivered


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
    """One browser, as it were, in front of one PEC. C(patience) is for how many seconds a question that nobody answers is asked again."""

    def __init__(
        self,
        server: Server,
        *,
        catalogue: Catalogue | None = None,
        patience: float = _PATIENCE,
        opener: Any = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.server = server
        self.catalogue = catalogue or Catalogue()
        self._patience = patience
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

    def execute(self, operation: Operation, values: Mapping[str, object] | None = None, *, patience: float | None = None) -> object:
        """Send one operation and return the value of its root field.

        It is repeated, with growing pauses, while nobody answers or a proxy says 502 or 503; one that is sent once, only as long as it
        cannot have reached PEC. Raises PecApiError with PEC's own words when it refuses, PecUnreachableError when nobody answers.
        """
        return self._value(operation, self._ask(operation, values, self._patience if patience is None else patience))

    def understood(self, operation: Operation, values: Mapping[str, object]) -> Operation:
        """Let PEC check an operation without doing it, and return it in the form that this PEC takes. Raises PecApiError otherwise."""
        try:
            self._data(operation, self._ask(operation, values, self._patience, operation.unexecuted()))
        except PecApiError as error:
            if not (error.unknown and "Subselection" in error.message):
                raise
            operation = operation.with_other_selection()
            self._data(operation, self._ask(operation, values, self._patience, operation.unexecuted()))
        return operation

    def _ask(self, operation: Operation, values: Mapping[str, object] | None, patience: float, document: str = "") -> object:
        question = {
            "operationName": operation.name,
            "query": document or operation.document,
            "variables": operation.filled(values or {}),
        }
        body, pause = json.dumps(question).encode(), _FIRST_PAUSE
        while True:
            started = time.monotonic()
            try:
                return self._post(operation, body)
            except PecUnreachableError as error:
                patience -= time.monotonic() - started + pause
                if error.final or patience < 0 or (operation.once and error.delivered):
                    raise
            self._sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE)

    def first_run_done(self) -> bool:
        """Return whether PEC has been through its first run."""
        info = self.execute(self.catalogue.operations["info"])
        if not isinstance(info, dict) or not any(isinstance(info.get(name), bool) for name in FIRST_RUN_DONE):
            names = " nor ".join(FIRST_RUN_DONE)
            raise PecApiError(f"{self.server.url} does not tell whether its first run is over: neither {names} is in its answer")
        return any(info.get(name) is True for name in FIRST_RUN_DONE)

    def public_facts(self) -> dict[str, object]:
        """Return what PEC tells without a session, by the names of its own fields; None is what this version does not tell.

        Raises PecUnreachableError when nobody answers.
        """
        facts: dict[str, object] = {}
        for group in PUBLIC_FACTS:
            facts.update(self.info(group))
        return facts

    def info(self, fields: Sequence[str]) -> dict[str, object]:
        """Return some of these facts; None is what PEC does not tell.

        To a server that does not know one field the whole question is wrong, and then each is asked for by itself.
        """
        try:
            info = self.execute(public_facts(fields))
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
            facts.update(self.info([name]))
        return facts

    def install(self, answers: FirstRun) -> None:
        """Go through the first run, in one attempt. Raises PecApiError when PEC refuses; its words may quote the answers."""
        self.execute(self.catalogue.operations["instalar"], asdict(answers))

    def _post(self, operation: Operation, body: bytes) -> object:
        url = self.server.url.rstrip("/") + GRAPHQL_PATH
        try:
            with self._opener.open("POST", url, data=body, headers=self._headers()) as response:
                text = response.read(_MAXIMUM_ANSWER).decode("utf-8", "replace")
        except HTTPError as error:
            raise _refused(operation, url, error.code, _body(error)) from None
        except (URLError, UrlsConnectionError, HTTPException, OSError) as error:
            raise _unreachable(url, error) from None
        try:
            answer: object = json.loads(text)
        except ValueError:
            raise PecApiError(f"{url} did not answer {operation.name} with JSON; is it really PEC, or a proxy before it?") from None
        return answer

    def _value(self, operation: Operation, answer: object) -> object:
        data = self._data(operation, answer)
        if operation.root in data:
            value: object = data[operation.root]
            return value
        raise PecApiError(f"{self.server.url} answered {operation.name} without {operation.root}; this version of PEC may not know it")

    def _data(self, operation: Operation, answer: object) -> Mapping[str, object]:
        message, classification = _errors(answer) if isinstance(answer, dict) else ("", "")
        if message:
            raise PecApiError(f"PEC refused {operation.name}: {message}", message=message, classification=classification)
        data = answer.get("data") if isinstance(answer, dict) else None
        return data if isinstance(data, dict) else {}

    def _headers(self) -> dict[str, str]:
        headers = {**HEADERS, "Content-Type": "application/json", "Accept": "application/json"}
        if self.server.version:
            headers[VERSION_HEADER] = self.server.version
        for cookie in self._cookies:
            if cookie.name == XSRF_COOKIE and cookie.value:
                headers[XSRF_HEADER] = unquote(cookie.value)
        return headers


def _errors(answer: Mapping[str, object]) -> tuple[str, str]:
    """What PEC says is wrong, all of it, and the kind of the first error."""
    errors = answer.get("errors")
    if not errors:
        return "", ""
    found = [error for error in errors if isinstance(error, dict)] if isinstance(errors, list) else []
    messages = [str(error.get("message") or "an error without a text") for error in found] or ["an error without a text"]
    extensions = found[0].get("extensions") if found else None
    classification = extensions.get("classification") if isinstance(extensions, dict) else ""
    return "; ".join(dict.fromkeys(messages))[:_MAXIMUM_SAID], str(classification or "")


def _body(error: HTTPError) -> str:
    """What stands in an answer that is none, as far as it arrives."""
    try:
        with error:
            return error.read(_MAXIMUM_ANSWER).decode("utf-8", "replace")
    except (HTTPException, OSError):
        return ""


def _refused(operation: Operation, url: str, status: int, text: str) -> PecApiError:
    try:
        answer = json.loads(text)
    except ValueError:
        answer = None
    message, classification = _errors(answer) if isinstance(answer, dict) else ("", "")
    said = f"{url} answered {operation.name} with HTTP {status}" + (f": {message}" if message else "")
    if status in _WORTH_RETRYING:
        return PecUnreachableError(f"{said}; PEC is starting, or stands behind a proxy that does not reach it", message=message)
    return PecApiError(f"{said}; PEC's log says why", message=message, classification=classification, status=status)


def _unreachable(url: str, error: Exception) -> PecUnreachableError:
    """urllib wraps what goes wrong before the whole question is sent."""
    delivered = not isinstance(error, URLError)
    reason = getattr(error, "reason", None) or error
    if isinstance(reason, ssl.SSLError) or "CERTIFICATE_VERIFY_FAILED" in str(reason):
        return PecUnreachableError(
            f"the certificate of {url} is not trusted ({reason}); name the authority's file in ca_path, or use the name in the certificate",
            delivered=delivered,
            final=True,
        )
    text = f"PEC does not answer at {url}: {reason}; check that its service runs, and the address"
    return PecUnreachableError(text, delivered=delivered)
