# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from fake_pec import CPF, ELSEWHERE, NAME, PASSWORD, WRONG, FakePec

from ansible_collections.esus.pec.plugins.module_utils import files, pec_api, secret_notes
from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.pec_api import Client, PecApiError, PecUnreachableError, Server
from ansible_collections.esus.pec.plugins.module_utils.pec_operations import Catalogue
from ansible_collections.esus.pec.plugins.module_utils.pec_session import Account, Session

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
    lock = files.lock
    monkeypatch.setattr(files, "lock", lambda name: lock(name, directory=str(tmp_path / "lock")))
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


def test_another_password_is_tried_and_clears_the_note(session: Session, pec: FakePec, notes: str) -> None:
    pec.password = "Outra2026"
    with session, pytest.raises(PecError):
        session.open()
    with Session(session.client, Account(CPF, "Outra2026"), "db 1", notes) as other:
        other.open()
    pec.password = PASSWORD
    with Session(session.client, ACCOUNT, "db 1", notes) as again:
        again.open()
    assert pec.done("Login") == ["Login"] * 3
    assert json.loads(Path(notes).read_text(encoding="utf-8")) == {}


def test_somebody_is_logged_in(session: Session, pec: FakePec, notes: str) -> None:
    pec.session = "S9"
    with session, pytest.raises(PecError) as caught:
        session.open()
    assert str(caught.value).startswith(f"the instalador {MASKED} is logged in to PEC elsewhere") and ELSEWHERE in str(caught.value)
    assert not Path(notes).exists(), "the password was right"
    with Session(session.client, replace(ACCOUNT, force=True), "db 1", notes) as forced:
        forced.open()
    assert pec.sessions == 1


def test_a_login_that_says_neither_yes_nor_no(session: Session, pec: FakePec, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pec, "do", lambda *_arguments: {"success": False})
    with session, pytest.raises(PecError, match="PEC refused the login"):
        session.open()


def test_another_person(session: Session, pec: FakePec) -> None:
    pec.accesses = [{"id": "7", "tipo": "LOTACAO"}]
    with session, pytest.raises(PecError, match="this login is not that of PEC's instalador"):
        session.open()
    assert pec.done()[-1] == "Logout", "the session that was opened is closed"


def test_a_password_that_must_be_changed(session: Session, pec: FakePec) -> None:
    pec.user["forcarTrocaSenha"] = True
    with session, pytest.raises(PecError, match="PEC wants the instalador's password to be changed"):
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
    monkeypatch.setattr(pec_api, "time", SimpleNamespace(monotonic=lambda: next(clock)))
    with Session(Client(Server(pec.url, timeout=10), patience=100, sleep=pauses.append), ACCOUNT, "", notes) as slow:
        slow.open()
        pec.statuses = [503] * 20
        with pytest.raises(PecUnreachableError):
            slow.execute(VIDEO, video(True))
        pec.statuses = []
    assert pauses == [1, 2, 4]


def test_in_another_database_the_password_may_be_right(session: Session, pec: FakePec, notes: str) -> None:
    pec.password = "Outra2026"
    with session, pytest.raises(PecError):
        session.open()
    pec.password = PASSWORD
    with Session(session.client, ACCOUNT, "db 2", notes) as restored:
        restored.open()


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


def test_notes_of_secrets(notes: str) -> None:
    assert secret_notes.read(notes) == {} and not secret_notes.matches("smtp", "a", notes)
    secret_notes.write("smtp", "a", notes, at="now")
    assert secret_notes.matches("smtp", "a", notes) and not secret_notes.matches("smtp", "b", notes)
    assert not secret_notes.matches("other", "a", notes) and secret_notes.read(notes)["smtp"]["at"] == "now"
    Path(notes).write_text("{damaged", encoding="utf-8")
    assert not secret_notes.matches("smtp", "a", notes)
    secret_notes.write("smtp", "c", notes)
    assert secret_notes.matches("smtp", "c", notes)
    secret_notes.write("smtp", None, notes)
    assert secret_notes.read(notes) == {}
