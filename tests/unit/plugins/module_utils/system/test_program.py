# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import argparse
import os

import pytest

from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.system import program, signals


@pytest.fixture(autouse=True)
def listening(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Whether the program listens to stop signals."""
    called: list[str] = []
    monkeypatch.setattr(signals, "listen", lambda: called.append("listen"))
    return called


def run(*arguments: str, error: BaseException | None = None) -> int:
    parser = argparse.ArgumentParser(prog="x")
    parser.add_argument("--days", type=int)

    def work(options: argparse.Namespace) -> None:
        assert options.days == 5
        if error:
            raise error

    return program.run_program(parser, arguments, work, "it failed")


def test_success(listening: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert (run("--days=5"), listening) == (0, ["listen"])
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("error", [PecError("no disk"), signals.Stopped("no time")])
def test_a_failure_says_why(error: BaseException, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--days=5", error=error) == 1
    assert capsys.readouterr().err == f"it failed: {error}\n"


def test_a_wrong_call(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SystemExit) as caught:
        run("--days=five")
    assert caught.value.code == 2
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert run("--days=6") == 2
