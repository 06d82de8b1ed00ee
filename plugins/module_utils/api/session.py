# SPDX-License-Identifier: GPL-3.0-or-later
"""A session of the instalador with PEC: one login, the right access, and never a wrong password twice. Private to the collection.

PEC allows one session per person and locks an account after five wrong passwords (sources MC and V in docs/contract.md).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from ansible_collections.esus.pec.plugins.module_utils import beliefs, brazil
from ansible_collections.esus.pec.plugins.module_utils.api import catalogue
from ansible_collections.esus.pec.plugins.module_utils.api.client import Client, PecApiError, PecUnreachableError
from ansible_collections.esus.pec.plugins.module_utils.api.operations import Operation
from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.redact import Redactor
from ansible_collections.esus.pec.plugins.module_utils.system import remembered

_NOTE = "instalador"
_NOT_AUTHENTICATED = (401, 403)

Answer = TypeVar("Answer")


class LoginError(PecError):
    """There is no session and no other question will open one: nothing else is tried."""


class RefusedPasswordError(LoginError):
    """PEC refused this password, now or before."""


class LoggedInElsewhereError(LoginError):
    """The person already has a session."""


@dataclass(frozen=True)
class Account:
    """Who logs in. C(username) is a CPF of 11 digits; C(force) ends another session of the same person."""

    username: str
    password: str = field(repr=False)
    force: bool = False

    @property
    def secret(self) -> str:
        """The text that is remembered of a login."""
        return f"{self.username}\n{self.password}"


class Session:
    """Opened by the first question and closed at the end of the C(with) block.

    C(database) identifies this PEC's database; C(notes) is the file of the logins that PEC refused, by default remembered.REFUSED.
    """

    def __init__(self, client: Client, account: Account, database: str = "", notes: str = "") -> None:
        self.client = client
        self.account = account
        self.warnings: list[str] = []
        self._database = database
        self._notes = notes or remembered.REFUSED
        self._opened = False
        self._failure: LoginError | None = None
        self._name = ""
        self._redact = Redactor([account.password], only_known=True)

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *_error: object) -> None:
        if self._opened:
            try:
                self.client.execute(self._operation("logout"), patience=0)
            except PecError as error:
                self.warnings.append(f"PEC did not accept the logout, so this session stays open for a while: {error}")

    def execute(self, operation: Operation, values: Mapping[str, object] | None = None) -> object:
        """Send an operation as the instalador. If the session is lost, as after a restart of PEC, another one is opened, once."""
        return self._kept_alive(lambda: self.client.execute(operation, values))

    def understood(self, operation: Operation, values: Mapping[str, object]) -> Operation:
        """As the client's, with a session, for a PEC that requires one even for what it only validates."""
        return self._kept_alive(lambda: self.client.understood(operation, values))

    def open(self) -> str:
        """Log in with one attempt and select the instalador's access. Returns the person's name.

        Raises LoginError, and the same one again at each later call; PecUnreachableError.
        """
        if self._failure:
            raise self._failure
        if not self._opened:
            try:
                self._log_in()
                self._name = self._enter(_mapping(self.client.execute(self._operation("sessao"))))
            except PecUnreachableError:
                raise
            except PecError as error:
                self._failure = error if isinstance(error, LoginError) else LoginError(self._redact(f"no login to PEC: {error}"))
                raise self._failure from None
        return self._name

    def _kept_alive(self, ask: Callable[[], Answer]) -> Answer:
        self._open_before()
        try:
            return ask()
        except PecUnreachableError:
            raise
        except PecApiError as error:
            if error.unknown or self._alive():
                raise
        self._opened = False
        self._open_before()
        return ask()

    def _open_before(self) -> None:
        """If the login cannot reach PEC, the request was never sent."""
        try:
            self.open()
        except PecUnreachableError as error:
            raise PecUnreachableError(str(error), delivered=False) from None

    def _enter(self, session: Mapping[str, Any]) -> str:
        person = _mapping(session.get("profissional"))
        user = _mapping(person.get("usuario"))
        if user.get("forcarTrocaSenha") is True:
            raise LoginError("PEC requires a new password of the instalador before anything else; change it in PEC and in the vault")
        if user.get("aceitouTermosUso") is False:
            self.warnings.append("the instalador has not accepted PEC's terms of use yet; PEC asks for it at the next login in a browser")
        if _mapping(session.get("acesso")).get("tipo") != catalogue.ADMINISTRATOR:
            self.client.execute(self._operation("selecionar_acesso"), {"id": _administrator(person)})
        return str(person.get("nome") or "")

    def _log_in(self) -> None:
        who = f"the instalador {brazil.cpf_masked(self.account.username)}"
        note = remembered.find(self._notes, _NOTE, self.account.secret, self._database)
        if note:
            raise RefusedPasswordError(
                f"PEC refused this very password of {who} at {note['at']}, or the run that tried it did not end. It was not tried again, "
                f"because a few wrong ones lock the account; correct it. If it is right, remove {self._notes} and run again"
            )
        # Noted first, so that no attempt is ever forgotten.
        remembered.add(self._notes, _NOTE, self.account.secret, self._database)
        refusal = self._attempt(who)
        if isinstance(refusal, RefusedPasswordError):
            raise refusal
        remembered.forget(self._notes, _NOTE, self.account.secret, self._database)
        if refusal:
            raise refusal
        self._opened = True

    def _attempt(self, who: str) -> PecError | None:
        """Log in. Returns what went wrong."""
        values = {"username": self.account.username, "password": self.account.password, "force": self.account.force}
        try:
            answer = _mapping(self.client.execute(self._operation("login"), values))
        except PecApiError as error:
            if error.classification == catalogue.ALREADY_LOGGED_IN or beliefs.TEXT_LOGGED_IN_ELSEWHERE in error.message:
                return LoggedInElsewhereError(
                    f"{who} is logged in to PEC elsewhere, and PEC allows one session per person; wait until that work is done, or set "
                    f"force to end it. A run whose logout PEC did not accept leaves a session too ({error.message})"
                )
            if error.refused or error.status in _NOT_AUTHENTICATED:
                return self._refused(who, error.message or str(error))
            return error
        return None if answer.get("success") is True else self._refused(who, "it answered neither yes nor why not")

    def _refused(self, who: str, said: str) -> RefusedPasswordError:
        return RefusedPasswordError(
            f"PEC refused the login of {who}; compare CPF and password with a login in the browser, and correct the vault. This password "
            f"is not tried again, because a few wrong ones lock the account ({self._redact(said)})"
        )

    def _alive(self) -> bool:
        """True also if PEC does not answer this question: then its first refusal counts and no other login is made."""
        try:
            return bool(_mapping(self.client.execute(self._operation("sessao"))).get("profissional"))
        except PecUnreachableError:
            raise
        except PecApiError as error:
            return error.status not in _NOT_AUTHENTICATED

    def _operation(self, name: str) -> Operation:
        return self.client.catalogue.operations[name]


def _administrator(person: Mapping[str, Any]) -> object:
    accesses = person.get("acessos")
    for access in accesses if isinstance(accesses, list) else ():
        if _mapping(access).get("tipo") == catalogue.ADMINISTRATOR:
            return access["id"]
    raise LoginError("this login is not PEC's instalador: none of its accesses administers the installation; give the instalador's")


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
