# SPDX-License-Identifier: GPL-3.0-or-later
"""Properties files compared with java.util.Properties in both directions: Java writes and we edit, we edit and Java reads."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.configuration import set_hypothesis_home_dir
from places import BUILD

from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.properties import editing, reading

set_hypothesis_home_dir(BUILD / "hypothesis")

# The characters that matter to the rules, and those that municípios write.
CHARACTERS = st.sampled_from("ab.1 \t\f\n\r\\=:#!uç€\xa0\x7f\x00\ufeff\U0001f600\ud83d")
TEXTS = st.text(CHARACTERS, max_size=8)
PAIRS = st.dictionaries(TEXTS, TEXTS, max_size=6)
PIECES = st.sampled_from(["\\", "\\", "\n", "\r", "\r\n", "=", ":", " ", "\t", "\f", "#", "!", "a", "b", "é", "\\u0041", "\\ud83d", "u"])
WILD = st.lists(PIECES, max_size=20).map("".join)
FILES = settings(
    max_examples=200,
    deadline=None,
    database=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


class Java:
    """A Java program at the other end of a pipe."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process

    def _ask(self, line: str) -> str:
        assert self.process.stdin and self.process.stdout
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        return self.process.stdout.readline().rstrip("\n")

    def load(self, text: str) -> dict[str, str] | None:
        """Return the pairs, or None if Java rejects the text."""
        answer = self._ask("load " + text.encode("latin-1").hex())
        if answer == "!":
            return None
        pairs = (pair.split("=") for pair in answer.split(",") if pair)
        return {_text(key): _text(value) for key, value in pairs}

    def store(self, pairs: dict[str, str]) -> str:
        return bytes.fromhex(self._ask("store " + ",".join(f"{_hex(key)}={_hex(value)}" for key, value in pairs.items()))).decode("latin-1")


def _hex(text: str) -> str:
    return text.encode("utf-16-be", "surrogatepass").hex()


def _text(units: str) -> str:
    return bytes.fromhex(units).decode("utf-16-be", "surrogatepass")


@pytest.fixture(scope="module")
def java() -> Iterator[Java]:
    argv = ["java", str(Path(__file__).parent / "helpers" / "PropertiesOracle.java")]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield Java(process)
        assert process.stdin
        process.stdin.close()


@FILES
@given(pairs=PAIRS, values=PAIRS, absent=st.lists(TEXTS, max_size=3))
def test_java_writes_and_we_read_and_edit(java: Java, pairs: dict[str, str], values: dict[str, str], absent: list[str]) -> None:
    text = java.store(pairs)
    assert reading.parse(text) == pairs
    gone = [key for key in [*absent, *list(pairs)[:1]] if key not in values]
    edited = editing.edit(text, values, gone)
    assert java.load(edited) == {**{key: value for key, value in pairs.items() if key not in gone}, **values}
    assert editing.edit(edited, values, gone) == edited
    assert [line for line in edited.splitlines() if line.startswith("#")] == [line for line in text.splitlines() if line.startswith("#")]


@dataclass(frozen=True)
class Block:
    """A piece of a file written by hand, and the key of its pair, if any."""

    raw: str
    key: str | None


@st.composite
def blocks(draw: st.DrawFn) -> tuple[list[Block], str]:
    """Draw comments, empty lines and pairs in every notation, all with one line end, and return that line end too."""
    end = draw(st.sampled_from(["\n", "\r\n", "\r"]))
    blank = st.text(st.sampled_from(" \t\f"), max_size=2)
    words = st.text(st.sampled_from("ab1é-#!"), max_size=6)
    made = []
    for kind in draw(st.lists(st.sampled_from(["comment", "empty", "pair", "pair", "pair"]), max_size=8)):
        if kind == "comment":
            made.append(
                Block(draw(blank) + draw(st.sampled_from("#!")) + draw(words) + draw(st.sampled_from(["", "\\", "k1=2"])) + end, None)
            )
        elif kind == "empty":
            made.append(Block(draw(blank) + end, None))
        else:
            key = draw(st.sampled_from(["k1", "k2", "k3", "k.4"]))
            written = key.replace("k", draw(st.sampled_from(["k", "\\u006b", "\\k"])))
            turn = draw(st.sampled_from(["", "\\" + end + "  "]))  # a continuation, where one may be
            separator = (
                draw(blank) + turn + draw(st.sampled_from(["=", ":"])) + draw(st.sampled_from(["", "\\" + end + "\t"])) + draw(blank)
            )
            value = draw(words) + draw(st.sampled_from(["", "\\" + end + " more", "\\\\", "\\u00e7", "\\=", " "]))
            made.append(Block(draw(blank) + written + separator + value + end, key))
    return made, end


KEYS = st.sampled_from(["k1", "k2", "k3", "k.4", "new", "ne w=ç"])


@FILES
@given(file=blocks(), whole=st.booleans(), values=st.dictionaries(KEYS, TEXTS, max_size=3), absent=st.lists(KEYS, max_size=2))
def test_we_edit_and_java_reads(java: Java, file: tuple[list[Block], str], whole: bool, values: dict[str, str], absent: list[str]) -> None:
    made, end = file
    text = "".join(block.raw for block in made)
    text = text if whole else text[: -len(end)]
    before = java.load(text)
    assert before is not None and reading.parse(text) == before
    gone = [key for key in absent if key not in values]
    edited = editing.edit(text, values, gone)
    expected = {**{key: value for key, value in before.items() if key not in gone}, **values}
    assert java.load(edited) == expected
    assert editing.edit(edited, values, gone) == edited

    # Everything else is unchanged and in its order. Only a last line without a line end may get one.
    rest = edited
    for index, block in enumerate(made):
        if block.key is not None and (block.key in gone or block.key in values):
            continue
        last = index == len(made) - 1 and not whole
        raw = block.raw[: -len(end)] if last else block.raw
        _skipped, found, rest = rest.partition(raw) if raw else ("", "", rest)
        assert found == raw, (raw, edited)
    # Readers of UTF-8 read the same from new text.
    if text.isascii():
        assert edited.isascii()


@FILES
@given(
    text=WILD,
    values=st.dictionaries(st.sampled_from(["a", "b", "A", "", "\ud83d"]), TEXTS, max_size=2),
    absent=st.sampled_from(["a", "b", "ab", ""]),
)
def test_any_text(java: Java, text: str, values: dict[str, str], absent: str) -> None:
    before = java.load(text)
    gone = [] if absent in values else [absent]
    if before is None:
        with pytest.raises(PecError, match="malformed"):
            editing.edit(text, values, gone)
        return
    edited = editing.edit(text, values, gone)
    assert java.load(edited) == {**{key: value for key, value in before.items() if key not in gone}, **values}
    assert editing.edit(edited, values, gone) == edited
