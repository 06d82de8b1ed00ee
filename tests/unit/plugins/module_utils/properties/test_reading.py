# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import random
import shutil
import subprocess
import time
import tracemalloc
from pathlib import Path

import pytest

from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.properties import reading

TABLE = [
    pytest.param("", {}, id="empty"),
    pytest.param("a=1\nb:2\nc 3\n", {"a": "1", "b": "2", "c": "3"}, id="three separators"),
    pytest.param("a=1\r\nb=2\rc=3", {"a": "1", "b": "2", "c": "3"}, id="three line ends, the last one missing"),
    pytest.param("  \t a \t = \t 1 \t", {"a": "1 \t"}, id="blanks go, except at the end"),
    pytest.param("# a=1\n ! b=2\n\n   \nc=3", {"c": "3"}, id="comments and blank lines"),
    pytest.param("type=PKCS12 #OPCIONAL!", {"type": "PKCS12 #OPCIONAL!"}, id="no comments at the end of a line (contract 6.22)"),
    pytest.param("a=1\na=2", {"a": "2"}, id="the last of two counts"),
    pytest.param("a==1\nb=:2\nc : = 3", {"a": "=1", "b": ":2", "c": "= 3"}, id="only one separator is eaten"),
    pytest.param("a\nb=\n=c", {"a": "", "b": "", "": "c"}, id="empty values and keys"),
    pytest.param("a=1\\\n   2\\\r\n\t3", {"a": "123"}, id="continuation"),
    pytest.param("a=1\\\\\nb=2", {"a": "1\\", "b": "2"}, id="two backslashes do not continue"),
    pytest.param("# a \\\nb=2", {"b": "2"}, id="a comment does not continue"),
    pytest.param("a=1\\\n# 2", {"a": "1# 2"}, id="a continuation is no comment"),
    pytest.param("a=1\\", {"a": "1"}, id="continuation at the end of the file"),
    pytest.param(r"a\=b\:c\ d=1", {"a=b:c d": "1"}, id="escaped separators"),
    pytest.param(r"a=\t\n\r\f\\\q\"", {"a": '\t\n\r\f\\q"'}, id="escapes"),
    pytest.param(r"a=usu\u00e1rio \uD83D\uDE00", {"a": "usuário \U0001f600"}, id="unicode escapes, of one unit and of two"),
    pytest.param("url=jdbc:postgresql://127.0.0.1:5433/esus?a=b", {"url": "jdbc:postgresql://127.0.0.1:5433/esus?a=b"}, id="a JDBC URL"),
    pytest.param(r"path=C:\\e-SUS\chaves", {"path": r"C:\e-SUSchaves"}, id="a single backslash is lost, as in Java"),
]

ORACLE = """
import java.io.*; import java.nio.file.*; import java.util.*;
public class Oracle {
  static String hex(String text) {
    StringBuilder line = new StringBuilder();
    for (char unit : text.toCharArray()) line.append(String.format("%04x", (int) unit));
    return line.toString();
  }
  public static void main(String[] arguments) throws Exception {
    for (String line : Files.readAllLines(Path.of(arguments[0]))) {
      Properties properties = new Properties();
      StringJoiner answer = new StringJoiner(",");
      try {
        properties.load(new ByteArrayInputStream(HexFormat.of().parseHex(line)));
        for (String key : properties.stringPropertyNames()) answer.add(hex(key) + "=" + hex(properties.getProperty(key)));
        System.out.println(answer);
      } catch (IllegalArgumentException malformed) { System.out.println("!"); }
    }
  }
}
"""


@pytest.mark.parametrize(("text", "pairs"), TABLE)
def test_parse(text: str, pairs: dict[str, str]) -> None:
    assert reading.parse(text) == pairs


@pytest.mark.parametrize("text", [r"a=\u12", r"a=\u12G4", r"a=\u", r"\u+123=1"])
def test_a_malformed_escape_is_refused_as_in_java(text: str) -> None:
    with pytest.raises(PecError, match="malformed"):
        reading.parse(text)


def test_a_file_is_latin_1_and_named_when_malformed(tmp_path: Path) -> None:
    path = tmp_path / "application.properties"
    path.write_bytes("senha=maçã".encode("latin-1"))
    assert reading.load(str(path)) == {"senha": "maçã"}
    path.write_bytes(rb"senha=segredo\u1")
    with pytest.raises(PecError, match=f"{path}: malformed") as caught:
        reading.load(str(path))
    assert "segredo" not in str(caught.value)


def random_texts() -> list[str]:
    """Short texts made of what the rules turn on; the seed is fixed, so that a failure comes back."""
    chance = random.Random(20261122)
    pieces = ["\\", "\\", "\n", "\r", "\r\n", "=", ":", " ", "\t", "\f", "#", "!", "a", "b", "é", "\\u0041", "\\ud83d", "\\ude00", "u", "n"]
    return ["".join(chance.choice(pieces) for _each in range(chance.randrange(1, 14))) for _text in range(3000)]


@pytest.mark.skipif(shutil.which("java") is None, reason="no Java on this machine to compare with")
def test_java_reads_the_same(tmp_path: Path) -> None:
    texts = [str(case.values[0]) for case in TABLE] + random_texts()
    (tmp_path / "Oracle.java").write_text(ORACLE, encoding="utf-8")
    (tmp_path / "cases").write_text("".join(text.encode("latin-1").hex() + "\n" for text in texts), encoding="ascii")
    answer = subprocess.run(
        ["java", str(tmp_path / "Oracle.java"), str(tmp_path / "cases")], check=True, capture_output=True, encoding="ascii"
    )
    answers = answer.stdout.split("\n")[:-1]
    assert len(answers) == len(texts)
    different = [(text, java, ours(text)) for text, java in zip(texts, answers) if ours(text) != java_pairs(java)]
    assert different == []


def ours(text: str) -> dict[str, str] | None:
    try:
        return reading.parse(text)
    except PecError:
        return None


def java_pairs(line: str) -> dict[str, str] | None:
    if line == "!":
        return None
    pairs = (pair.split("=") for pair in line.split(",") if pair)
    return {units(key): units(value) for key, value in pairs}


def units(text: str) -> str:
    return bytes.fromhex(text).decode("utf-16-be", "surrogatepass")


@pytest.mark.parametrize("text", ["a\\\n", "\\\n", " ", "\n \\", "a=", "\\", "=\\u0041", "#\\\n"])
def test_a_hostile_file_takes_neither_time_nor_memory(tmp_path: Path, text: str) -> None:
    """PEC's account can write what it likes into PEC's files."""
    path = tmp_path / "x.properties"
    path.write_text(text * (reading.LONGEST // len(text)), encoding="latin-1")
    began = time.process_time()
    reading.load(str(path))
    assert time.process_time() - began < 60  # what is not linear takes many minutes
    path.write_text("a" * (reading.LONGEST + 1), encoding="latin-1")
    tracemalloc.start()
    with pytest.raises(PecError, match=r"x\.properties has more than the 1048576 bytes"):
        reading.load(str(path))
    assert tracemalloc.get_traced_memory()[1] < 8 << 20
    tracemalloc.stop()
