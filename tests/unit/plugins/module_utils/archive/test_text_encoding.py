# SPDX-License-Identifier: GPL-3.0-or-later
"""A dump whose text a shell decoded wrongly is told from one that only holds odd values."""

from __future__ import annotations

import pytest

from ansible_collections.esus.pec.plugins.module_utils.archive.text_encoding import BrokenAccents

TEXT = "José Conceição\tSÃO JOÃO\tRua Antônio, nº 3\t50 °C\tÁgua à mão, avó e avô\n"


def problem(data: bytes, encoding: str | None = "UTF8", size: int = 1 << 20) -> str | None:
    accents = BrokenAccents(encoding)
    for at in range(0, len(data), size):
        accents.add(data[at : at + size])
    return accents.problem()


@pytest.mark.parametrize("size", [1 << 20, 17])
@pytest.mark.parametrize("times", [1, 1000])
@pytest.mark.parametrize("page", ["cp850", "cp437", "cp860", "cp1252", "latin-1", "mac_roman"])
def test_text_that_was_decoded_wrongly(page: str, times: int, size: int) -> None:
    broken = TEXT.encode().decode(page, "replace").encode()
    found = problem(broken * times, size=size)
    assert found and "pg_dump --format=custom --file=NAME and never >" in found and "set force to true" in found


@pytest.mark.parametrize("broken", ["Jos├®", "JosÃ©", "Jos\ufffd Concei\ufffd\ufffdo"])
def test_one_name_is_enough_if_there_is_nothing_else(broken: str) -> None:
    assert problem(b"x\t1\n" * 100000 + broken.encode() + b"\n")


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        pytest.param("no accents", "UTF8", id="ASCII"),
        pytest.param(TEXT, "UTF8", id="good"),
        pytest.param(TEXT * 20 + "JosÃ© Jos├®\n", "UTF8", id="some broken values"),
        pytest.param("\u201cAMANH\u00c3\u201d, disse\n", "UTF8", id="a closing quote"),
        pytest.param("├── a\n├── b\n└── c\n", "UTF8", id="a tree"),
        pytest.param("日本語 👩‍⚕️ €\n" * 100, "UTF8", id="others"),
        pytest.param(TEXT, "LATIN1", id="Latin 1"),
        pytest.param(TEXT, "WIN1252", id="Windows"),
        pytest.param(TEXT, None, id="no encoding"),
        pytest.param(TEXT, "KOI8R", id="an encoding that is not looked at"),
    ],
)
@pytest.mark.parametrize("size", [1 << 20, 1001])
def test_good_text(text: str, encoding: str | None, size: int) -> None:
    codec = {"LATIN1": "latin-1", "WIN1252": "cp1252"}.get(encoding or "", "utf-8")
    assert problem(text.encode(codec), encoding, size) is None


def test_utf_8_that_says_it_is_latin_1() -> None:
    assert problem(TEXT.encode(), "LATIN1")


def test_the_rest_is_not_read_when_it_is_decided() -> None:
    accents = BrokenAccents("UTF8")
    accents.add(TEXT.encode() * 100)
    assert accents.decided
    accents.add(b"\xe2\x94\x9c\xc2\xae" * 100000)
    assert accents.problem() is None
