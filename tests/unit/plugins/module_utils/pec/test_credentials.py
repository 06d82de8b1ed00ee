# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import time

import pytest

from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.pec.credentials import Credentials, Login, parse

URL = "jdbc:postgresql://127.0.0.1:5433/esus"
EXPECTED = Credentials(URL, Login("postgres", "p4ss:w=rd."), Login("esus_leitura", "l3r senha: a"))

REAL = f"""Url de conexão: {URL}

Usuário com acesso completo
usuário: postgres
senha: p4ss:w=rd.

Usuário com acesso de leitura
usuário: esus_leitura
senha: l3r senha: a
"""


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(REAL, id="the wording recovered from public parsers"),
        pytest.param(REAL.replace("\n", "\r\n"), id="CRLF"),
        pytest.param(REAL.replace("\n\n", "\n"), id="no blank lines"),
        pytest.param(REAL.replace("\n", "\n\n\n"), id="many blank lines"),
        pytest.param(REAL.encode().decode("latin-1"), id="UTF-8 read as Latin-1"),
        pytest.param(REAL.encode("latin-1").decode("utf-8", "replace"), id="Latin-1 read as UTF-8"),
        pytest.param(REAL.replace("á", "a").replace("ã", "a"), id="no accents"),
        pytest.param(REAL.replace("á", "a\N{COMBINING ACUTE ACCENT}"), id="decomposed accents"),
        pytest.param(REAL.replace("usuário:", "USUÁRIO :").replace("\nsenha:", "\nSenha :"), id="capitals and blanks before the colon"),
        pytest.param(REAL.replace("\nusuário:", "\n  - usuário:").replace("\nsenha:", "\n  - senha:"), id="a list"),
        pytest.param(REAL.replace("completo\n", "completo:\n").replace("de leitura\n", "de leitura:\n"), id="headings with a colon"),
        pytest.param(REAL.replace("/esus\n", "/esus.\n").replace("postgres\n", "postgres.\n").replace("rd.\n", "rd..\n"), id="sentences"),
    ],
)
def test_parse(text: str) -> None:
    assert parse(text) == EXPECTED


def test_the_read_login_may_be_missing() -> None:
    assert parse(REAL.partition("Usuário com acesso de leitura")[0]).read_only is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param("", "the JDBC URL was not found", id="empty"),
        pytest.param(REAL.replace("jdbc:", ""), "the JDBC URL was not found", id="no URL"),
        pytest.param(REAL.replace("\nsenha:", "\nchave:"), "a pair of lines 'usuário:' and 'senha:' was not found", id="no password"),
    ],
)
def test_what_is_missing_is_said_and_nothing_is_quoted(text: str, message: str) -> None:
    with pytest.raises(PecError, match=message) as caught:
        parse(text)
    assert "p4ss" not in str(caught.value)


def test_no_password_in_the_representation() -> None:
    assert "p4ss" not in repr(EXPECTED)
    assert "l3r" not in repr(EXPECTED)


@pytest.mark.parametrize(
    "line", ["usuário: a" + " " * 300_000 + "b", "senha: a" + " x" * 300_000, "a" + "\u0327\u0301" * 300_000, " " * 300_000]
)
def test_a_hostile_file_takes_no_time(line: str) -> None:
    text = "jdbc:postgresql://db/esus\nusuário: esus\n" + line + "\nsenha: segredo\n"
    began = time.process_time()
    assert parse(text).full == Login("esus", "segredo")
    assert time.process_time() - began < 60  # what is not linear takes many minutes
