# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import time

import pytest

from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.properties import editing, reading
from ansible_collections.esus.pec.plugins.module_utils.properties.editing import edit

# text, values, absent, text afterwards
TABLE = [
    pytest.param("", {"a": "1"}, [], "a=1\n", id="into nothing"),
    pytest.param("a=1\n", {"a": "1"}, [], "a=1\n", id="nothing to do"),
    pytest.param("a=1\n", {"a": "2"}, [], "a=2\n", id="another value"),
    pytest.param("a=1\n# b\n\nc=3\n", {"b": "2"}, [], "a=1\n# b\n\nc=3\nb=2\n", id="a new pair comes last"),
    pytest.param("a=1\nb=2\nc=3\n", {}, ["b"], "a=1\nc=3\n", id="a pair goes"),
    pytest.param("a=1\n", {}, ["b"], "a=1\n", id="one that is gone already"),
    pytest.param("# of a\n\ta \t:  1\n", {"a": "2"}, [], "# of a\n\ta \t:  2\n", id="blanks and separator stay"),
    pytest.param("a 1\n", {"a": "2"}, [], "a 2\n", id="a blank as separator"),
    pytest.param("a 1\n", {"a": "=2"}, [], "a \\=2\n", id="a sign would be taken for the separator"),
    pytest.param("a=1\n", {"a": "=2"}, [], "a==2\n", id="a sign after the separator is a value"),
    pytest.param("a\n", {"a": "1"}, [], "a=1\n", id="no separator yet"),
    pytest.param("a=\n", {"a": "1"}, [], "a=1\n", id="no value yet"),
    pytest.param("a=1\n", {"a": ""}, [], "a=\n", id="no value any more"),
    pytest.param("a=1", {"a": "2"}, [], "a=2", id="no line end, changed"),
    pytest.param("a=1", {"b": "2", "c": "3"}, [], "a=1\nb=2\nc=3", id="no line end, added"),
    pytest.param("# a", {"b": "2"}, [], "# a\nb=2", id="no line end after a comment"),
    pytest.param("a=1\r\nb=2\r\n", {"a": "3", "c": "4"}, [], "a=3\r\nb=2\r\nc=4\r\n", id="line ends of Windows"),
    pytest.param("a=1\rb=2\r", {"a": "3", "c": "4"}, [], "a=3\rb=2\rc=4\r", id="line ends of an old Mac"),
    pytest.param("a=1\\\n  2\nb=3\n", {"b": "4"}, [], "a=1\\\n  2\nb=4\n", id="a continuation that is not asked for"),
    pytest.param("a=1\\\n  2\nb=3\n", {"a": "12"}, [], "a=1\\\n  2\nb=3\n", id="a continuation that is right"),
    pytest.param("a=1\\\n  2\nb=3\n", {"a": "4"}, [], "a=4\nb=3\n", id="a continuation is replaced as a whole"),
    pytest.param("a\\\n  b = \\\n  1\nc=2\n", {"ab": "3"}, [], "a\\\n  b = \\\n  3\nc=2\n", id="a key that continues stays"),
    pytest.param("a=1\\\n  2\nb=3\n", {}, ["a"], "b=3\n", id="a continuation goes as a whole"),
    pytest.param("a=1\\", {"a": "2"}, [], "a=2", id="continues into nothing, changed"),
    pytest.param("a=1\\", {"b": "2"}, [], "b=2\na=1\\", id="continues into nothing, added before it"),
    pytest.param("c=0\r\na=1\\\r\n", {"b": "2"}, [], "c=0\r\nb=2\r\na=1\\\r\n", id="continues into nothing after a line end"),
    pytest.param("a=\\\n\nb=2\n", {"a": "1"}, [], "a=1\nb=2\n", id="continues into an empty line"),
    pytest.param("a=1\nb=2\na=3\n", {"a": "4"}, [], "b=2\na=4\n", id="of several the last is set, the others go"),
    pytest.param("a=1\nb=2\na=3\n", {"a": "3"}, [], "b=2\na=3\n", id="of several the last is right, the others go"),
    pytest.param("a=1\nb=2\na=3\n", {"b": "4"}, [], "a=1\nb=4\na=3\n", id="several that are not asked for"),
    pytest.param("a=1\nb=2\na=3\n", {}, ["a"], "b=2\n", id="all of several go"),
    pytest.param("a=maçã\nb=1\n", {"b": "2"}, [], "a=maçã\nb=2\n", id="bytes beyond ASCII stay"),
    pytest.param("a=1\n", {"a": "maçã \U0001f600"}, [], "a=ma\\u00e7\\u00e3 \\ud83d\\ude00\n", id="new characters beyond ASCII"),
    pytest.param("a=ma\\u00E7\\u00e3\n", {"a": "maçã"}, [], "a=ma\\u00E7\\u00e3\n", id="escapes that are right"),
    pytest.param("a=ma\xc3\xa7\xc3\xa3\n", {"a": "maçã"}, [], "a=ma\\u00e7\\u00e3\n", id="UTF-8, which Java does not read as meant"),
    pytest.param("", {"a": " 1 \t\n\r\f\\ 2 "}, [], "a=\\ 1 \\t\\n\\r\\f\\\\ 2 \n", id="escapes in a value"),
    pytest.param("", {"a b=c:d": "1"}, [], "a\\ b\\=c\\:d=1\n", id="escapes in a key"),
    pytest.param("", {"#a": "#1"}, [], "\\#a=#1\n", id="no comment by accident"),
    pytest.param("", {"": "1"}, [], "=1\n", id="the empty key"),
    pytest.param("a\\=b=1\n", {"a=b": "2"}, [], "a\\=b=2\n", id="a key with an escape is the same key"),
    pytest.param("\xef\xbb\xbfa=1\nb=2\n", {"a": "3"}, [], "\xef\xbb\xbfa=1\nb=2\na=3\n", id="a byte order mark belongs to the key"),
]


@pytest.mark.parametrize(("text", "values", "absent", "after"), TABLE)
def test_edit(text: str, values: dict[str, str], absent: list[str], after: str) -> None:
    assert edit(text, values, absent) == after
    assert edit(after, values, absent) == after
    pairs = reading.parse(after)
    assert {key: pairs[key] for key in values} == values and not set(absent) & set(pairs)


@pytest.mark.parametrize(
    "text", [case.values[0] for case in TABLE] + ["\\", "\\\n", "\\\n\n", "\\\n# a\n", " \\\r\n\\\r\na=1", "a=\\\n# b\n\n"]
)
def test_the_lines_of_a_text_are_the_text(text: str) -> None:
    lines = list(reading.lines(text))
    assert "".join(line.raw for line in lines) == text
    assert [line.raw[place] for line in lines for place in line.places] == list("".join(line.joined or "" for line in lines))
    assert edit(text, {}, []) == text


def test_every_byte_comes_back() -> None:
    data = b"# caf\xc3\xa9 caf\xe9 \x00\x80\xff\r\na=1\n"
    assert edit(data.decode("latin-1"), {"a": "2"}).encode("latin-1") == data.replace(b"1", b"2")


def test_a_malformed_text_is_refused() -> None:
    with pytest.raises(PecError, match="malformed"):
        edit("a=\\u12\n", {"b": "1"})


def test_the_last_look_before_anybody_uses_it() -> None:
    with pytest.raises(PecError, match="ends with a backslash"):
        editing._verify("a=1\n", {"a": "2"})


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("PKCS12", None),
        ("", None),
        ("a#b!c", None),
        ("a b", None),
        ("PKCS12 ", "begins or ends with a blank"),
        ("\tPKCS12", "begins or ends with a blank"),
        ("PKCS12\n", "begins or ends with a blank"),
        ("PKCS12\xa0", "begins or ends with a blank"),
        ("\ufeffPKCS12", "begins or ends with a blank"),
        ("PKCS12 #OPCIONAL! Tipo", "no comment at the end of a line"),
        ("PKCS12  ! optional", "no comment at the end of a line"),
        ("a\nb", "control character"),
        ("${server.port}", "which PEC replaces by another setting"),
        ("a${x:b}c", "which PEC replaces by another setting"),
        ("a}${b", None),
        ("$a{b}", None),
        ("ma\\u00e7", "give the character itself"),
    ],
)
def test_mistakes_in_values(value: str, said: str | None) -> None:
    problems = editing.value_problems("some.key", value)
    assert (len(problems), all(said in problem for problem in problems)) == (1, True) if said else problems == []
    assert not value.strip() or all("PKCS12" not in problem for problem in problems)


@pytest.mark.parametrize(("key", "good"), [("server.port", True), ("", False), ("server.port=1", False), ("a b", False), ("#a", False)])
def test_mistakes_in_keys(key: str, good: bool) -> None:
    assert (editing.key_problems(key) == []) is good


def test_mistakes_in_a_file() -> None:
    assert editing.mistakes("a=1\nb=PKCS12 #OPCIONAL!\nc=2 \nd=3\ne=${user.home}") == ["b", "c"]


@pytest.mark.parametrize("part", ["\\\n", "=\n", "a=1\n", "#\n", "a \\\n"])
def test_a_file_of_nothing_but_lines_keeps_nobody_busy(part: str) -> None:
    """PEC's account writes it, and it may have 1 MiB."""
    started = time.process_time()
    edit(part * 400_000 + "\n", {"server.port": "443"})
    assert time.process_time() - started < 60  # what is not linear takes many minutes
