# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import datetime
import json
import stat
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.testing import patch_module_args
from oficio_answers import ANSWERS

from ansible_collections.esus.pec.plugins.modules import oficios

DOCX = ["txt", "docx"]


def run(tmp_path: Path, capsys: pytest.CaptureFixture[str], **arguments: Any) -> dict[str, Any]:
    given = {"directory": str(tmp_path), "formats": DOCX, **ANSWERS, **arguments}
    with patch_module_args(given), pytest.raises(SystemExit):
        oficios.main()
    result: dict[str, Any] = json.loads(capsys.readouterr().out)
    return result


@pytest.fixture
def converted(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """What LibreOffice was given."""
    given: list[bytes] = []

    def convert(data: bytes) -> bytes:
        given.append(data)
        return b"%PDF " + data

    monkeypatch.setattr(oficios.pdf, "available", lambda: True)
    monkeypatch.setattr(oficios.pdf, "convert", convert)
    return given


def on(day: int, monkeypatch: pytest.MonkeyPatch) -> None:
    class Date(datetime.date):
        @classmethod
        def today(cls) -> datetime.date:
            return datetime.date(2026, 11, day)

    monkeypatch.setattr(oficios.datetime, "date", Date)


def test_files_modes_and_a_second_run_on_another_day(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    on(29, monkeypatch)
    first = run(tmp_path, capsys)
    folder = tmp_path / "5000203-agua-clara"
    assert (first["changed"], first["path"]) == (True, str(folder))
    assert [entry["after_header"] for entry in first["diff"]] == [
        f"{folder}/oficio-{name}.txt" for name in ("dominio", "govbr", "prescricao-digital")
    ]
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert len(before) == 6 and stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}
    on(30, monkeypatch)
    second = run(tmp_path, capsys)
    assert (second["changed"], second["diff"]) == (False, [])
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    (folder / "oficio-govbr.txt").chmod(0o644)
    assert run(tmp_path, capsys)["changed"] and stat.S_IMODE((folder / "oficio-govbr.txt").stat().st_mode) == 0o600
    assert run(tmp_path, capsys, date="2026-11-30")["changed"]


def test_check_mode_agrees_and_writes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    expected = run(tmp_path, capsys, _ansible_check_mode=True)
    assert expected["changed"] and list(tmp_path.iterdir()) == []
    done = run(tmp_path, capsys)
    assert {name: done[name] for name in ("changed", "diff", "letters", "notes")} == {
        name: expected[name] for name in ("changed", "diff", "letters", "notes")
    }
    assert not run(tmp_path, capsys, _ansible_check_mode=True)["changed"]


def test_problems_are_returned_or_fail(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    wrong = {"cnpj": "1", "ipv4": "", "smtp": False}
    reported = run(tmp_path, capsys, report_only=True, **wrong)
    assert [problem.split(" ")[0] for problem in reported["problems"]] == ["ipv4", "cnpj", "smtp"] and not reported.get("failed")
    failed = run(tmp_path, capsys, **wrong)
    assert failed["failed"] and all(problem in failed["msg"] for problem in reported["problems"])
    broken = run(tmp_path, capsys, report_only=True, template=str(tmp_path / "x.docx"))
    assert len(broken["problems"]) == 1 and broken["letters"] == []
    assert list(tmp_path.iterdir()) == []


def test_a_pdf_is_made_once_and_belongs_to_its_document(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], converted: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    only = {"letters": ["dominio"], "formats": ["pdf"]}
    folder = tmp_path / "5000203-agua-clara"
    first = run(tmp_path, capsys, **only)
    assert [Path(path).name for path in first["letters"][0]["files"]] == ["oficio-dominio.docx", "oficio-dominio.pdf"]
    assert first["letters"][0]["attachments"] == [str(folder / "oficio-dominio.pdf")]
    assert (folder / "oficio-dominio.pdf").read_bytes() == b"%PDF " + (folder / "oficio-dominio.docx").read_bytes()
    assert not run(tmp_path, capsys, **only)["changed"] and len(converted) == 1
    assert run(tmp_path, capsys, ipv4="203.0.113.11", **only)["changed"] and len(converted) == 2
    (folder / "oficio-dominio.pdf").unlink()
    assert run(tmp_path, capsys, ipv4="203.0.113.11", _ansible_check_mode=True, **only)["changed"]
    assert run(tmp_path, capsys, ipv4="203.0.113.11", **only)["changed"] and len(converted) == 3
    # No PDF stays beside another letter's document.
    monkeypatch.setattr(oficios.pdf, "available", lambda: False)
    last = run(tmp_path, capsys, **only)
    assert [path.name for path in folder.iterdir()] == ["oficio-dominio.docx"] and any("LibreOffice" in note for note in last["notes"])
    assert not run(tmp_path, capsys, **only)["changed"]


def test_an_interrupted_conversion_is_made_up_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], converted: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    only = {"letters": ["dominio"], "formats": ["pdf"]}
    assert run(tmp_path, capsys, **only)["changed"]
    working = oficios.pdf.convert

    def fail(data: bytes) -> bytes:
        raise oficios.PecError("no PDF")

    monkeypatch.setattr(oficios.pdf, "convert", fail)
    assert run(tmp_path, capsys, ipv4="203.0.113.11", **only)["failed"]
    monkeypatch.setattr(oficios.pdf, "convert", working)
    assert run(tmp_path, capsys, ipv4="203.0.113.11", **only)["changed"] and len(converted) == 2


def test_the_position_of_who_signs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    alone = {"letters": ["dominio"], "requester_name": "", "requester_position": ""}
    assert run(tmp_path, capsys, **alone)["letters"][0]["text"].endswith("Maria Aparecida d'Ávila\nSecretária Municipal de Saúde\n")
    other = {**alone, "requester_name": "João Carlos de Souza"}
    assert run(tmp_path, capsys, **other)["letters"][0]["text"].endswith("João Carlos de Souza\n")


def test_the_record_of_what_was_sent(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given = {"letters": ["dominio"], "mail_to": {"dominio": ["b@example.org", "a@example.org"]}}
    letter = run(tmp_path, capsys, **given)["letters"][0]
    assert (letter["mail_to"], letter["sent"]) == (["a@example.org", "b@example.org"], False)
    Path(letter["record"]).write_text(f"{letter['fingerprint']} 2026-11-30T12:00:00Z\n", encoding="utf-8")
    assert run(tmp_path, capsys, **given)["letters"][0]["sent"]
    assert not run(tmp_path, capsys, ipv4="203.0.113.11", **given)["letters"][0]["sent"]
    assert not run(tmp_path, capsys, letters=["dominio"], mail_to={"dominio": ["c@example.org"]})["letters"][0]["sent"]
