# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.pec import contra_chave
from ansible_collections.esus.pec.plugins.module_utils.pec.contra_chave import Desired, Entry

SECRET = "A1B2-c3d4/E5"
KEPT = Entry("instalacao", "2927408", SECRET, chave="K1", requested_by="Maria", requested_on="2026-11-01")
CONFIRMED = replace(KEPT, activated="confirmed", confirmed_by="João")


@pytest.mark.parametrize(
    "text",
    [SECRET, f"  {SECRET}\t", f"\ufeff{SECRET}\r\n", f"\n\n {SECRET} \n\n", f"\u200b{SECRET}\xa0", f"{SECRET}\r"],
)
def test_what_stands_around_it_goes(text: str) -> None:
    assert contra_chave.from_text(text, "x.txt") == SECRET


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "x.txt contains no contra-chave"),
        (" \r\n\ufeff", "x.txt contains no contra-chave"),
        ("A1B2\nC3D4", "x.txt contains 2 lines"),
        ("Contra-chave: A1B2", "x.txt contains several words"),
        ("A1B2".encode("utf-16").decode("latin-1"), "x.txt is not plain text"),
        ("A1B2\r\n".encode("utf-16").decode("latin-1"), "x.txt is not plain text"),
    ],
)
def test_nothing_is_guessed_about_what_stands_inside(text: str, says: str) -> None:
    with pytest.raises(PecError, match=says) as caught:
        contra_chave.from_text(text, "x.txt")
    assert "A1B2" not in str(caught.value)


@pytest.mark.parametrize(
    ("current", "desired", "expected"),
    [
        ((), Desired("instalacao", "2927408", contra_chave=SECRET), (Entry("instalacao", "2927408", SECRET),)),
        ((KEPT,), Desired("instalacao", "2927408", contra_chave=SECRET), (KEPT,)),
        ((KEPT,), Desired("instalacao", "2927408"), (KEPT,)),
        ((KEPT,), Desired("instalacao", "2927408", requested_by="Ana"), (replace(KEPT, requested_by="Ana"),)),
        ((KEPT,), Desired("instalacao", "2927408", activated="confirmed", confirmed_by="João"), (CONFIRMED,)),
        ((CONFIRMED,), Desired("instalacao", "2927408", contra_chave=SECRET), (CONFIRMED,)),
        ((CONFIRMED,), Desired("instalacao", "2927408", activated="unknown"), (KEPT,)),
        # Another one is another request: neither its chave nor its activation are known.
        ((CONFIRMED,), Desired("instalacao", "2927408", contra_chave="NOVA"), (Entry("instalacao", "2927408", "NOVA"),)),
        ((KEPT,), Desired("agendamento", "2927408", contra_chave="B"), (Entry("agendamento", "2927408", "B"), KEPT)),
        ((KEPT,), Desired("instalacao", "3550308", contra_chave="B"), (KEPT, Entry("instalacao", "3550308", "B"))),
        ((KEPT,), Desired("instalacao", "2927408", present=False), ()),
        ((), Desired("instalacao", "2927408", present=False), ()),
    ],
)
def test_plan(current: tuple[Entry, ...], desired: Desired, expected: tuple[Entry, ...]) -> None:
    plan = contra_chave.plan(current, desired)
    assert plan.entries == expected
    assert plan.changed == (current != expected)
    assert (plan.before != plan.after) == plan.changed
    for secret in (SECRET, "NOVA"):
        assert secret not in plan.before + plan.after


@pytest.mark.parametrize(
    ("desired", "loses"),
    [
        (Desired("instalacao", "2927408", contra_chave="NOVA"), True),
        (Desired("instalacao", "2927408", chave="K2"), True),
        (Desired("instalacao", "2927408", present=False), True),
        (Desired("instalacao", "2927408", contra_chave=SECRET, requested_by="Ana"), False),
        (Desired("instalacao", "2927408"), False),
        (Desired("agendamento", "2927408", contra_chave="NOVA"), False),
        (Desired("agendamento", "2927408", present=False), False),
    ],
)
def test_what_is_lost_unless_it_is_kept(desired: Desired, loses: bool) -> None:
    assert contra_chave.plan((KEPT,), desired).loses is loses
    assert contra_chave.plan((replace(KEPT, chave=""),), Desired("instalacao", "2927408", chave="K2")).loses is False


@pytest.mark.parametrize(
    ("desired", "says"),
    [
        (Desired("instalacao", "292740", contra_chave="A"), "the last one, a check digit, is missing"),
        (Desired("instalacao", "2927409", contra_chave="A"), "wrong check digit"),
        (Desired("instalacao", "2927408"), "no contra-chave is kept for 2927408"),
        (Desired("instalacao", "2927408", contra_chave="A", requested_on="23/11/2026"), "write the date as"),
        (Desired("instalacao", "2927408", contra_chave="A", requested_on="2026-02-30"), "write the date as"),
        (Desired("instalacao", "2927408", contra_chave="A", activated="confirmed"), "confirmed_by is missing"),
        (Desired("instalacao", "2927408", contra_chave="A", confirmed_by="João"), "set both"),
    ],
)
def test_what_is_refused(desired: Desired, says: str) -> None:
    with pytest.raises(PecError, match=says):
        contra_chave.plan((), desired)


def test_the_file_is_for_its_owner_and_the_next_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "state" / "contra-chave.yml"
    monkeypatch.setattr("os.fchown", lambda *_arguments: None)
    contra_chave.write([CONFIRMED, KEPT], str(path))
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert contra_chave.read(str(path)) == (CONFIRMED, KEPT)
    assert [entry["contra_chave"] for entry in json.loads(path.read_text(encoding="utf-8"))["pec_contra_chave_values"]] == [SECRET, SECRET]
    contra_chave.write([], str(path))
    assert not path.exists()
    assert contra_chave.read(str(path)) == ()


@pytest.mark.parametrize("text", ["", "purpose: instalacao", "[]", '{"pec_contra_chave_values": [{"purpose": "instalacao"}]}', '{"a": 1}'])
def test_a_file_of_somebody_else_is_not_overwritten(tmp_path: Path, text: str) -> None:
    path = tmp_path / "contra-chave.yml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(PecError, match="was not written by this collection"):
        contra_chave.read(str(path))


def test_what_is_told_holds_no_secret() -> None:
    (told,) = contra_chave.describe([CONFIRMED])
    assert told["fingerprint"] == CONFIRMED.fingerprint
    assert SECRET not in json.dumps(told)
    assert "K1" not in told.values()
