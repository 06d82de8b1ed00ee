# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import io
import re
import subprocess
import zipfile
from pathlib import Path

import pytest

from ansible_collections.esus.pec.plugins.module_utils import beliefs
from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.export_kit import kit
from ansible_collections.esus.pec.plugins.module_utils.export_kit.kit import Kit

HOSTILE = """Água d'Alho & "Clara" 100% ^x<y>|z `id` $(id) \\ @SLUG@ !a!"""
KIT = Kit("Água Clara", "https://nuvem.example.org/enviar?de=agua&para=ti", "TI, (67) 5555-0100")


def files(made: Kit) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(kit.build(made))) as packed:
        return {name: packed.read(name) for name in packed.namelist()}


def test_the_files() -> None:
    made = files(KIT)
    assert list(made) == ["LEIA-ME.txt", "exportar-pec.cmd", "exportar-pec.sh"]
    assert kit.build(KIT) == kit.build(KIT)
    windows, page = made["exportar-pec.cmd"], made["LEIA-ME.txt"]
    assert windows.isascii()  # the code page is not known
    for text in (windows, page):
        assert text.count(b"\n") == text.count(b"\r\n")
    assert page.startswith("\ufeffEXPORTAÇÃO DO e-SUS PEC: Água Clara".encode())
    assert len(page.decode().splitlines()) < 45  # one page
    for text in (page.decode(), made["exportar-pec.sh"].decode()):
        assert KIT.destination in text and f"Dúvidas: {KIT.contact}" in text
    assert b"enviar?de=agua^&para=ti" in windows
    assert not re.search(rb"@[A-Z_]+@", b"".join(made.values()))


@pytest.mark.parametrize("system", ["windows", "linux"])
def test_pecs_paths_are_those_of_the_beliefs(system: str) -> None:
    text = (kit.for_windows(KIT) if system == "windows" else kit.for_linux(KIT)).replace("\\", "/")
    home = beliefs.WINDOWS_HOME[2:]
    homes = [f'"{home}"', '"/e-SUS"'] if system == "windows" else list(beliefs.HOMES)
    paths = (
        beliefs.CREDENTIALS_FILE,
        beliefs.APPLICATION_PROPERTIES,
        beliefs.KEYS_DIRECTORY,
        "webserver/certmgr/config",
        "agua-clara-esus-",
    )
    assert [path for path in (*homes, *paths, str(beliefs.BUNDLED_PORT)) if path not in text] == []


def test_every_label_of_the_script_for_windows_exists_once() -> None:
    text = kit.for_windows(KIT)
    labels = re.findall(r"^:(\w+)", text, re.MULTILINE)
    assert sorted(labels) == sorted(set(labels))
    assert set(re.findall(r"(?:goto|call) :(\w+)", text)) <= set(labels) and len(labels) > 15


def test_no_text_reaches_a_shell(tmp_path: Path) -> None:
    hostile = Kit(HOSTILE, HOSTILE, HOSTILE)
    script = tmp_path / "exportar-pec.sh"
    script.write_text(kit.for_linux(hostile), encoding="utf-8")
    ended = subprocess.run(["sh", str(script), str(tmp_path / "nowhere")], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert (ended.returncode, f"NÃO FOI FEITA. Dúvidas: {HOSTILE}" in ended.stderr) == (1, True)
    escaped = r"""Agua d'Alho ^& 'Clara' 100%% ^^x^<y^>^|z `id` $(id) \ @SLUG@ !a!"""
    assert f"Para onde enviar: {escaped}\n" in kit.for_windows(hostile)


def test_shellcheck(tmp_path: Path) -> None:
    script = tmp_path / "exportar-pec.sh"
    script.write_text(kit.for_linux(KIT), encoding="utf-8")
    ended = subprocess.run(["shellcheck", str(script)], capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout) == (0, "")


@pytest.mark.parametrize("text", ["a\nb", "a\rb", "a\0b", "a\u2028b", "a\u202eb", "x" * 501])
@pytest.mark.parametrize("field", ["municipality", "destination", "contact"])
def test_a_text_that_cannot_be_in_a_script(field: str, text: str) -> None:
    with pytest.raises(PecError, match=f"{field} must be one line of at most 500 characters"):
        kit.build(Kit(**{"municipality": "x", "destination": "x", "contact": "x", field: text}))


def test_a_kit_says_where_to_send_the_export() -> None:
    with pytest.raises(PecError, match="destination is empty"):
        kit.build(Kit("Água Clara", " ", ""))
