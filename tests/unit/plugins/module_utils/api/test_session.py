# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from fake_pec import CPF, ELSEWHERE, NAME, PASSWORD, WRONG, FakePec, RefusalError

from ansible_collections.esus.pec.plugins.module_utils.api import client
from ansible_collections.esus.pec.plugins.module_utils.api.client import Client, PecApiError, PecUnreachableError, Server
from ansible_collections.esus.pec.plugins.module_utils.api.operations import Catalogue, Operation
from ansible_collections.esus.pec.plugins.module_utils.api.session import Account, LoginError, RefusedPasswordError, Session
from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.system import locks, remembered

ACCOUNT = Account(CPF, PASSWORD)
SETTINGS = Catalogue().settings
VIDEO = SETTINGS["videochamada"].write
MASKED = "***.982.247-**"


@pytest.fixture
def pec() -> Iterator[FakePec]:
    fake = FakePec()
    yield fake
    fake.close()


@pytest.fixture
def pauses() -> list[float]:
    return []


@pytest.fixture
def notes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    lock = locks.lock
    monkeypatch.setattr(locks, "lock", lambda name: lock(name, directory=str(tmp_path / "lock")))
    monkeypatch.setattr(remembered, "_ITERATIONS", 1000)
    return str(tmp_path / "notes" / "settings.json")


@pytest.fixture
def session(pec: FakePec, notes: str, pauses: list[float]) -> Session:
    return Session(Client(Server(pec.url, timeout=10), patience=61, sleep=pauses.append), ACCOUNT, "db 1", notes)


def video(on: bool) -> dict[str, Any]:
    return {"enabled": on}


def test_from_login_to_logout(session: Session, pec: FakePec) -> None:
    with session:
        assert pec.calls == [], "nothing is asked before there is something to ask"
        assert session.execute(VIDEO, video(True)) is True
        assert session.execute(VIDEO, video(False)) is True
    assert pec.done() == ["Login", "Sessao", "SelecionarAcesso", "AlterarVideochamada", "AlterarVideochamada", "Logout"]
    assert pec.calls[0][1] == {"input": {"username": CPF, "password": PASSWORD, "force": False}}
    assert pec.calls[2][1] == {"input": {"id": "3"}}


def test_a_session_that_was_not_needed(session: Session, pec: FakePec) -> None:
    with session:
        pass
    assert pec.calls == []


def test_an_access_that_is_there_already(session: Session, pec: FakePec) -> None:
    pec.accesses = [{"id": "3", "tipo": "ADMINISTRADOR_GERAL"}]
    monitored = pec.do
    pec.do = lambda name, *rest: (setattr(pec, "selected", "3"), monitored(name, *rest))[1]  # type: ignore[method-assign,assignment]
    with session:
        assert session.open() == NAME
    assert "SelecionarAcesso" not in pec.done()


def test_a_wrong_password_is_tried_once_and_never_again(session: Session, pec: FakePec, notes: str) -> None:
    pec.password = "Outra2026"
    with session, pytest.raises(PecError) as caught:
        session.open()
    text = str(caught.value)
    assert text.startswith(f"PEC refused the login of the instalador {MASKED}; compare CPF and password") and WRONG in text
    with Session(session.client, ACCOUNT, "db 1", notes) as again, pytest.raises(
        PecError, match=r"PEC refused this very password of .* at 20"
    ):
        again.open()
    assert pec.done() == ["Login"]
    kept = Path(notes).read_text(encoding="utf-8")
    assert PASSWORD not in kept and Path(notes).stat().st_mode & 0o777 == 0o600
    assert PASSWORD not in text


def test_another_password_is_tried(session: Session, pec: FakePec, notes: str) -> None:
    pec.password = "Outra2026"
    with session, pytest.raises(PecError):
        session.open()
    with Session(session.client, Account(CPF, "Outra2026"), "db 1", notes) as other:
        other.open()
    assert pec.done("Login") == ["Login"] * 2


def test_somebody_is_logged_in(session: Session, pec: FakePec, notes: str) -> None:
    pec.session = "S9"
    with session, pytest.raises(PecError) as caught:
        session.open()
    assert str(caught.value).startswith(f"the instalador {MASKED} is logged in to PEC elsewhere") and ELSEWHERE in str(caught.value)
    assert json.loads(Path(notes).read_text(encoding="utf-8")) == {"instalador": []}, "the password was right"
    with Session(session.client, replace(ACCOUNT, force=True), "db 1", notes) as forced:
        forced.open()
    assert pec.sessions == 1


def test_a_login_that_says_neither_yes_nor_no(session: Session, pec: FakePec, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pec, "do", lambda *_arguments: {"success": False})
    with session, pytest.raises(PecError, match="PEC refused the login"):
        session.open()


def test_another_person(session: Session, pec: FakePec) -> None:
    pec.accesses = [{"id": "7", "tipo": "LOTACAO"}]
    with session, pytest.raises(PecError, match="this login is not PEC's instalador"):
        session.open()
    assert pec.done()[-1] == "Logout", "the session that was opened is closed"


def test_a_password_that_must_be_changed(session: Session, pec: FakePec) -> None:
    pec.user["forcarTrocaSenha"] = True
    with session, pytest.raises(PecError, match="PEC requires a new password of the instalador"):
        session.open()


def test_terms_that_nobody_accepted(session: Session, pec: FakePec) -> None:
    pec.user["aceitouTermosUso"] = False
    with session:
        session.open()
    assert len(session.warnings) == 1 and "terms of use" in session.warnings[0]


def test_a_session_that_is_lost_is_opened_again_once(session: Session, pec: FakePec) -> None:
    pec.forgets_at = {"AlterarVideochamada"}
    with session:
        session.execute(VIDEO, video(True))
    assert pec.video is True and pec.sessions == 2
    assert pec.done("Login", "AlterarVideochamada") == ["Login", "AlterarVideochamada", "Login", "AlterarVideochamada"]


def test_a_refusal_with_a_living_session_is_final(session: Session, pec: FakePec) -> None:
    pec.refused["AlterarVideochamada"] = "Não foi possível"
    with session, pytest.raises(PecApiError, match="PEC refused AlterarVideochamada: Não foi possível"):
        session.execute(VIDEO, video(True))
    assert pec.done("Login", "AlterarVideochamada") == ["Login", "AlterarVideochamada"]


def test_a_pec_that_restarts_is_waited_for(session: Session, pec: FakePec, pauses: list[float]) -> None:
    with session:
        session.open()
        pec.statuses, pec.session = [503, 502, 503], None
        session.execute(VIDEO, video(True))
    assert pec.video is True and pauses == [1, 2, 4] and pec.sessions == 2


def test_a_pec_that_does_not_come_back(session: Session, pec: FakePec, pauses: list[float]) -> None:
    with session:
        session.open()
        pec.statuses = [503] * 20
        with pytest.raises(PecUnreachableError):
            session.execute(VIDEO, video(True))
        pec.statuses = []
    assert pauses == [1, 2, 4, 8, 15, 15, 15], "a minute in all, and the farewell is not repeated"


def test_what_takes_long_counts_as_waiting(pec: FakePec, notes: str, pauses: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    """As when each request ends in a time-out."""
    clock = iter(range(0, 10_000, 30))
    monkeypatch.setattr(client, "time", SimpleNamespace(monotonic=lambda: next(clock)))
    with Session(Client(Server(pec.url, timeout=10), patience=100, sleep=pauses.append), ACCOUNT, "", notes) as slow:
        slow.open()
        pec.statuses = [503] * 20
        with pytest.raises(PecUnreachableError):
            slow.execute(VIDEO, video(True))
        pec.statuses = []
    assert pauses == [1, 2, 4]


def test_a_login_that_may_have_been_heard_is_not_repeated(session: Session, pec: FakePec, pauses: list[float]) -> None:
    pec.statuses = [502]
    with session, pytest.raises(PecUnreachableError):
        session.open()
    assert pauses == [] and pec.calls == []


@pytest.mark.parametrize("objects", [set(), {"AlterarVideochamada"}], ids=["a plain value", "an object"])
def test_what_this_pec_understands(session: Session, pec: FakePec, objects: set[str]) -> None:
    pec.objects = objects
    with session:
        known = session.understood(VIDEO, video(True))
        assert pec.video is False and not pec.done("AlterarVideochamada"), "it was only checked"
        session.execute(known, video(True))
    assert pec.video is True


def test_what_it_does_not_understand(session: Session, pec: FakePec) -> None:
    pec.unknown = {"AlterarVideochamada"}
    with session, pytest.raises(PecApiError) as caught:
        session.understood(VIDEO, video(True))
    assert caught.value.unknown and "FieldUndefined" in str(caught.value)


@pytest.mark.parametrize("status", [401, 403])
def test_a_refusal_by_http(session: Session, pec: FakePec, notes: str, status: int) -> None:
    pec.broken["Login"] = status
    for _run in range(2):
        with Session(session.client, ACCOUNT, "db 1", notes) as refused, pytest.raises(RefusedPasswordError):
            refused.open()
    assert len(pec.done("Login")) + len(pec.broken) == 0, "one attempt, which the server ended itself"


def test_two_runs_at_once(session: Session, pec: FakePec, notes: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second finds the note of the first, whose attempt is under way."""
    pec.password = "Outra2026"
    other = Session(session.client, ACCOUNT, "db 1", notes)
    execute = session.client.execute

    def meanwhile(operation: Operation, *arguments: Any, **options: Any) -> object:
        monkeypatch.setattr(session.client, "execute", execute)
        with pytest.raises(RefusedPasswordError, match="or the run that tried it did not end"):
            other.open()
        return execute(operation, *arguments, **options)

    monkeypatch.setattr(session.client, "execute", meanwhile)
    with session, pytest.raises(RefusedPasswordError):
        session.open()
    assert pec.done("Login") == ["Login"]


def test_a_new_login_that_finds_nobody_leaves_the_question_unasked(session: Session, pec: FakePec) -> None:
    with session:
        session.open()
        pec.forgets_at, pec.broken["Login"] = {"AlterarVideochamada"}, 503
        with pytest.raises(PecUnreachableError) as caught:
            session.execute(VIDEO, video(True))
    assert caught.value.not_done and pec.video is False


@pytest.mark.parametrize("status", [404, 500, 504])
def test_a_pec_that_is_ill_says_nothing_of_the_password(session: Session, pec: FakePec, notes: str, status: int) -> None:
    pec.broken["Login"] = status
    with session, pytest.raises(LoginError, match=f"no login to PEC: .*with HTTP {status}"):
        session.open()
    with Session(session.client, ACCOUNT, "db 1", notes) as again:
        again.open()


def test_a_failure_is_told_again_and_not_tried_again(session: Session, pec: FakePec, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where it cannot be remembered."""

    def full(*_arguments: object, **_options: object) -> None:
        raise PecError("cannot write: no space left")

    pec.broken["Login"] = 500
    monkeypatch.setattr(remembered, "forget", full)
    for _question in range(5):
        with pytest.raises(LoginError, match="no space left"):
            session.execute(VIDEO, video(True))
    assert pec.done() == []


def test_what_could_not_be_remembered_is_not_tried(session: Session, pec: FakePec, notes: str) -> None:
    Path(notes).mkdir(parents=True)
    with session, pytest.raises(LoginError, match=r"no login to PEC: .* is a directory, not a regular file"):
        session.open()
    assert pec.done() == []


def test_wrong_passwords_in_turn(session: Session, pec: FakePec, notes: str) -> None:
    pec.password = "Certa2026"
    for password in ("Errada2026", "Errada2027") * 3:
        with Session(session.client, Account(CPF, password), "db 1", notes) as wrong, pytest.raises(LoginError):
            wrong.open()
    assert pec.done("Login") == ["Login", "Login"]


@pytest.mark.parametrize(("database", "attempts"), [("db 1", 1), ("", 1), ("db 2", 2)], ids=["the same", "not known", "another"])
def test_a_password_is_refused_for_a_database(session: Session, pec: FakePec, notes: str, database: str, attempts: int) -> None:
    pec.password = "Certa2026"
    for where in ("db 1", database):
        with Session(session.client, ACCOUNT, where, notes) as wrong, pytest.raises(LoginError):
            wrong.open()
    assert len(pec.done("Login")) == attempts


def test_a_logout_that_is_not_known(session: Session, pec: FakePec) -> None:
    pec.unknown = {"Logout"}
    with session:
        session.open()
    assert len(session.warnings) == 1 and "PEC did not accept the logout" in session.warnings[0]


def test_a_password_that_pec_repeats(session: Session, pec: FakePec, monkeypatch: pytest.MonkeyPatch) -> None:
    secret = 'Se"gré\\do2026'

    def quoting(*_arguments: object) -> None:
        raise RefusalError(f"inválido: {secret} {json.dumps({'password': secret})}")

    monkeypatch.setattr(pec, "do", quoting)
    with Session(session.client, Account(CPF, secret), "", session._notes) as quoted, pytest.raises(LoginError) as caught:
        quoted.open()
    assert "inválido: ********" in str(caught.value) and "gr" not in str(caught.value).partition("inválido")[2]


def test_a_session_that_is_lost_while_something_is_only_checked(session: Session, pec: FakePec) -> None:
    with session:
        session.open()
        pec.session, pec.refused["AlterarVideochamada"] = None, "x"
        monitored = pec.answer
        pec.answer = lambda question, cookie: (  # type: ignore[method-assign]
            ({"errors": [{"message": "Acesso negado"}]}, None)
            if "@skip" in question["query"] and pec.session is None
            else monitored(question, cookie)
        )
        assert session.understood(VIDEO, video(True)) == VIDEO
    assert pec.done("Login") == ["Login", "Login"]
