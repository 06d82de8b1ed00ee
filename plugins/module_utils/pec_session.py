# SPDX-License-Identifier: GPL-3.0-or-later
"""A session of the instalador with PEC: one login, the right access, and never a wrong password twice.

PEC lets each person have one session, and locks an account after five wrong passwords (contract, section 4).
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.esus.pec.plugins.module_utils import beliefs, brazil, pec_catalogue, secret_notes
from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.pec_api import Client, PecApiError, PecUnreachableError
from ansible_collections.esus.pec.plugins.module_utils.pec_operations import Operation
from ansible_collections.esus.pec.plugins.module_utils.pg_session import utc

_REFUSED = "refused-login"


class LoginError(PecError):
    """There is no session, and no other question will open one: nothing else is to be tried."""


@dataclass(frozen=True)
class Account:
    """Who logs in. C(username) is a CPF of 11 digits; C(force) ends another session of the same person."""

    username: str
    password: str = field(repr=False)
    force: bool = False

    @property
    def secret(self) -> str:
        """What secret_notes remembers of a login."""
        return f"{self.username}\n{self.password}"


class Session:
    """Opened by the first question, and closed at the end of the C(with) block.

    C(where) tells the database of this PEC from others, as one that is restored has other passwords; C(notes) is the file of secret_notes.
    """

    def __init__(self, client: Client, account: Account, where: str = "", notes: str = secret_notes.PATH) -> None:
        self.client = client
        self.account = account
        self._secret = f"{where}\n{account.secret}"
        self._notes = notes
        self._opened = False
        self._name = ""
        self.warnings: list[str] = []

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *_error: object) -> None:
        if self._opened:
            with contextlib.suppress(PecError):
                self.client.execute(self._operation("logout"), patience=0)

    def execute(self, operation: Operation, values: Mapping[str, object] | None = None) -> object:
        """Send an operation as the instalador. Where the session is gone, as after a restart of PEC, another one is opened, once."""
        self.open()
        try:
            return self.client.execute(operation, values)
        except PecUnreachableError:
            raise
        except PecApiError as error:
            if error.unknown or self._alive():
                raise
        self._opened = False
        self.open()
        return self.client.execute(operation, values)

    def understood(self, operation: Operation, values: Mapping[str, object]) -> Operation:
        """As the client's, with a session, for a PEC that wants one even for questions that it does not do."""
        self.open()
        return self.client.understood(operation, values)

    def open(self) -> str:
        """Log in with one attempt and take the instalador's access. Returns the person's name.

        Raises LoginError in words that say what to do.
        """
        if not self._opened:
            try:
                self._login()
                self._opened = True
                self._name = self._enter(_mapping(self.client.execute(self._operation("sessao"))))
            except PecUnreachableError:
                raise
            except PecApiError as error:
                raise LoginError(f"{error}; what PEC takes for a login can be corrected by pec_api_operations") from None
        return self._name

    def _enter(self, session: Mapping[str, Any]) -> str:
        person = _mapping(session.get("profissional"))
        user = _mapping(person.get("usuario"))
        if user.get("forcarTrocaSenha") is True:
            raise LoginError("PEC wants the instalador's password to be changed before anything else; change it in PEC, and in the vault")
        if user.get("aceitouTermosUso") is False:
            self.warnings.append("the instalador has not accepted PEC's terms of use yet; that is asked for at the next login in a browser")
        if _mapping(session.get("acesso")).get("tipo") != pec_catalogue.ADMINISTRATOR:
            self.client.execute(self._operation("selecionar_acesso"), {"id": _administrator(person)})
        return str(person.get("nome") or "")

    def _login(self) -> None:
        who = f"the instalador {brazil.cpf_masked(self.account.username)}"
        if secret_notes.matches(_REFUSED, self._secret, self._notes):
            refused = secret_notes.read(self._notes)[_REFUSED].get("at", "an earlier run")
            raise LoginError(
                f"PEC refused this very password of {who} at {refused}, so it was not tried again, because a few wrong ones lock the "
                f"account; correct it. If it is right meanwhile, remove {self._notes} and run again"
            )
        values = {"username": self.account.username, "password": self.account.password, "force": self.account.force}
        try:
            answer = _mapping(self.client.execute(self._operation("login"), values))
        except PecUnreachableError:
            raise
        except PecApiError as error:
            if error.unknown:
                raise
            if beliefs.REAL_TEXTS["logged-in-elsewhere"] in error.message or error.classification == pec_catalogue.ALREADY_LOGGED_IN:
                raise LoginError(
                    f"{who} is logged in to PEC elsewhere, and PEC allows one session a person; wait until that work is done, or "
                    f"set force to end it ({error.message})"
                ) from None
            self._note_refusal()
            raise LoginError(f"{self._refusal(who)} ({error.message or error})") from None
        if answer.get("success") is not True:
            self._note_refusal()
            raise LoginError(self._refusal(who))
        secret_notes.write(_REFUSED, None, self._notes)

    def _refusal(self, who: str) -> str:
        return (
            f"PEC refused the login of {who}; compare CPF and password with a login in the browser, and correct the vault. It is not tried "
            "again with this password, because a few wrong ones lock the account"
        )

    def _note_refusal(self) -> None:
        secret_notes.write(_REFUSED, self._secret, self._notes, at=utc())

    def _alive(self) -> bool:
        try:
            return bool(_mapping(self.client.execute(self._operation("sessao"))).get("profissional"))
        except PecApiError:
            return False

    def _operation(self, name: str) -> Operation:
        return self.client.catalogue.operations[name]


def _administrator(person: Mapping[str, Any]) -> object:
    accesses = person.get("acessos")
    for access in accesses if isinstance(accesses, list) else ():
        if _mapping(access).get("tipo") == pec_catalogue.ADMINISTRATOR:
            return access["id"]
    raise LoginError("this login is not that of PEC's instalador: none of its accesses administers the installation; give the instalador's")


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
