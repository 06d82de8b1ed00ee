# SPDX-License-Identifier: GPL-3.0-or-later
"""A client of PEC's API: its headers, its cookies, and the errors behind its answers. Private to the collection."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from urllib.parse import unquote

from ansible_collections.esus.pec.plugins.module_utils import beliefs
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
from ansible_collections.esus.pec.plugins.module_utils.system import listening
from ansible_collections.esus.pec.plugins.module_utils.system.http import Answer, HttpClient, UnansweredError

_PATIENCE = 8.0
_FIRST_PAUSE = 1.0
_LONGEST_PAUSE = 15.0
_WORTH_RETRYING = (502, 503)
_MAXIMUM_ANSWER = 1 << 22
_MAXIMUM_SAID = 1000
_NO_TEXT = "an error without a text"


class PecApiError(PecError):
    """PEC refused. C(message) holds its own words and C(classification) its kind of error, if it gave them.

    C(status) is the status of HTTP if that was the refusal, else 0.
    """

    def __init__(self, text: str, *, message: str = "", classification: str = "", status: int = 0) -> None:
        super().__init__(text)
        self.message = message
        self.classification = classification
        self.status = status

    @property
    def unknown(self) -> bool:
        """PEC did not understand the question, so nothing was done: this version may not know the operation."""
        return self.classification == VALIDATION_ERROR or self.message.startswith("Validation error")

    @property
    def refused(self) -> bool:
        """PEC understood the question and said no."""
        return bool(self.message) and not self.status and not self.unknown

    @property
    def not_done(self) -> bool:
        """It is certain that nothing was done; otherwise only the answer may be lost."""
        return self.unknown or self.refused


class PecUnreachableError(PecApiError):
    """No answer came. C(delivered): PEC may have received the question all the same. C(final): another attempt is of no use."""

    def __init__(self, text: str, *, message: str = "", delivered: bool = True, final: bool = False) -> None:
        super().__init__(text, message=message)
        self.delivered = delivered
        self.final = final

    @property
    def not_done(self) -> bool:
        return not self.delivered


@dataclass(frozen=True)
class Server:
    """Where PEC is and how its certificate is judged. timeout is in seconds and for one request.

    C(ports) are those that only PEC itself may listen on, if the address leads to this host.
    """

    url: str
    timeout: float = 60
    validate_certs: bool = True
    ca_path: str | None = None
    version: str = ""
    ports: tuple[int, ...] = ()


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
    """One browser, as it were, for one PEC. C(patience): an unanswered question is repeated for this many seconds."""

    def __init__(
        self,
        server: Server,
        *,
        catalogue: Catalogue | None = None,
        patience: float = _PATIENCE,
        sleep: Callable[[float], None] | None = None,
    ) -> None:
        self.server = server
        self.catalogue = catalogue or Catalogue()
        self._url = server.url.rstrip("/") + GRAPHQL_PATH
        self._patience = patience
        self._sleep = sleep or time.sleep
        self._http = HttpClient(
            server.timeout,
            verify=server.validate_certs,
            ca_path=server.ca_path,
            maximum=_MAXIMUM_ANSWER,
            check=lambda link: listening.require_service(link, beliefs.PEC_UNIT, server.ports),
        )

    def execute(self, operation: Operation, values: Mapping[str, object] | None = None, *, patience: float | None = None) -> object:
        """Send one operation and return the value of its root field.

        It is repeated, with growing pauses, while no answer comes or a proxy answers 502 or 503; one that is sent once, only if it cannot
        have reached PEC. Raises PecApiError with PEC's own words when it refuses, PecUnreachableError without an answer.
        """
        data = self._ask(operation, values, self._patience if patience is None else patience, operation.document)
        if operation.root in data:
            return data[operation.root]
        raise PecApiError(f"{self.server.url} answered {operation.name} without {operation.root}; this version of PEC may not know it")

    def understood(self, operation: Operation, values: Mapping[str, object]) -> Operation:
        """Let PEC validate an operation without executing it, and return it in the form that this PEC accepts. Raises PecApiError."""
        try:
            self._ask(operation, values, self._patience, operation.unexecuted)
        except PecApiError as error:
            if not (error.unknown and "Subselection" in error.message):
                raise
            operation = operation.with_other_selection()
            self._ask(operation, values, self._patience, operation.unexecuted)
        return operation

    def first_run_done(self) -> bool:
        """Return True if PEC has been through its first run."""
        info = self.execute(self.catalogue.operations["info"])
        if not isinstance(info, dict) or not any(isinstance(info.get(name), bool) for name in FIRST_RUN_DONE):
            names = " nor ".join(FIRST_RUN_DONE)
            raise PecApiError(
                f"{self.server.url} does not report if its first run is over: its answer has neither {names}; "
                "correct the entry info by pec_api_operations"
            )
        return any(info.get(name) is True for name in FIRST_RUN_DONE)

    def public_facts(self) -> dict[str, object]:
        """Return what PEC reports without a session, by the names of its own fields; None is what this version does not report.

        Raises PecUnreachableError without an answer.
        """
        facts: dict[str, object] = {}
        for group in PUBLIC_FACTS:
            facts.update(self.info(group))
        return facts

    def info(self, fields: Sequence[str]) -> dict[str, object]:
        """Return some of these facts; None is what PEC does not report.

        A server rejects the whole query for one field that it does not know, so then each field is queried separately.
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

    def _ask(self, operation: Operation, values: Mapping[str, object] | None, patience: float, document: str) -> Mapping[str, object]:
        """Return the answer's data, after so many attempts as patience allows."""
        question = {"operationName": operation.name, "query": document, "variables": operation.filled(values or {})}
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

    def _post(self, operation: Operation, body: bytes) -> Mapping[str, object]:
        try:
            answer = self._http.ask(self._url, body, self._headers())
        except UnansweredError as error:
            raise _unreachable(self._url, error) from None
        except listening.StrangerError as error:
            raise PecUnreachableError(f"{self._url} is not PEC: {error}", delivered=False, final=True) from None
        fine = 200 <= answer.status < 300
        try:
            content: object = json.loads(answer.text)
        except (ValueError, RecursionError):  # nested too deep
            if fine:
                raise PecApiError(f"{self._url} did not answer {operation.name} with JSON; is it PEC, or a proxy in front of it?") from None
            content = None
        found = content if isinstance(content, dict) else {}
        message, classification = _errors(found)
        if not fine:
            raise _refused(f"{self._url} answered {operation.name} with HTTP {answer.status}", answer, message, classification)
        if message:
            raise PecApiError(f"PEC refused {operation.name}: {message}", message=message, classification=classification)
        data = found.get("data")
        return data if isinstance(data, dict) else {}

    def _headers(self) -> dict[str, str]:
        headers = {**HEADERS, "Content-Type": "application/json", "Accept": "application/json"}
        if self.server.version:
            headers[VERSION_HEADER] = self.server.version
        for cookie in self._http.cookies:
            if cookie.name == XSRF_COOKIE and cookie.value:
                headers[XSRF_HEADER] = unquote(cookie.value)
        return headers


def _errors(answer: Mapping[str, object]) -> tuple[str, str]:
    """All that PEC says is wrong, and the kind of the first error."""
    errors = answer.get("errors")
    if not errors:
        return "", ""
    found = [error for error in errors if isinstance(error, dict)] if isinstance(errors, list) else []
    messages = [str(error.get("message") or _NO_TEXT) for error in found] or [_NO_TEXT]
    extensions = found[0].get("extensions") if found else None
    classification = extensions.get("classification") if isinstance(extensions, dict) else ""
    return "; ".join(dict.fromkeys(messages))[:_MAXIMUM_SAID], str(classification or "")


def _refused(said: str, answer: Answer, message: str, classification: str) -> PecApiError:
    said += f": {message}" if message else ""
    if answer.status in _WORTH_RETRYING:
        return PecUnreachableError(f"{said}; PEC is starting, or is behind a proxy that does not reach it", message=message)
    return PecApiError(f"{said}; look into PEC's log", message=message, classification=classification, status=answer.status)


def _unreachable(url: str, error: UnansweredError) -> PecUnreachableError:
    text = f"PEC does not answer at {url}: {error.reason}; check that its service runs, and the address"
    if error.untrusted:
        text = (
            f"the certificate of {url} is not trusted ({error.reason}); give the authority's file in ca_path, "
            "or use the name in the certificate"
        )
    return PecUnreachableError(text, delivered=error.delivered, final=error.untrusted)
