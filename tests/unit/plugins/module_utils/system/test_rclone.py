# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import os
from pathlib import Path

import pytest

from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.system import rclone
from ansible_collections.esus.pec.plugins.module_utils.system.process import Completed

CONFIG = """
[nuvem]
type = webdav
url = https://nuvem.example.org
user = pec
pass = segredo-obscuro
[cofre]
type = crypt
remote = nuvem:enc
password = outro-segredo
[claro]
type = crypt
remote = nuvem:x
no_data_encryption = True
password = outro
"""


@pytest.mark.parametrize(("text", "encrypts"), [("nuvem:pec/a", False), ("cofre:pec", True), ("cofre:", True), ("claro:pec", False)])
def test_a_remote(text: str, encrypts: bool) -> None:
    remote = rclone.parse(text, CONFIG)
    assert (remote.encrypts, {"segredo-obscuro", "outro-segredo"} <= set(remote.secrets)) == (encrypts, True)
    assert remote.at("x.dump") == {"cofre:": "cofre:x.dump"}.get(text, f"{text}/x.dump")


@pytest.mark.parametrize(
    ("text", "config", "says"),
    [
        ("/srv/x", CONFIG, "is not NAME:PATH"),
        (":webdav,url=http://x:/y", CONFIG, "is not NAME:PATH"),
        ("cofre,no_data_encryption=true:x", CONFIG, "is not NAME:PATH"),
        ("-x:y", CONFIG, "is not NAME:PATH"),
        ("nuvem:a\nb", CONFIG, "is not NAME:PATH"),
        ("outra:x", CONFIG, "has no remote 'outra'; it has claro, cofre, nuvem"),
        ("outra:x", "", "has no remote 'outra'; it has none"),
        ("nuvem:x", "[nuvem]\nuser = x", "has no remote 'nuvem'"),
        ("nuvem:x", "segredo-obscuro", "is not one of rclone"),
        ("nuvem:x", "# Encrypted\nRCLONE_ENCRYPT_V0:\nabc", "is encrypted by rclone"),
    ],
)
def test_what_is_no_remote(text: str, config: str, says: str) -> None:
    with pytest.raises(PecError, match=says) as error:
        rclone.parse(text, config)
    assert "segredo" not in str(error.value)


def test_the_configuration_is_only_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "rclone"
    program.write_text(f'#!/bin/sh\necho "$*" >{tmp_path}/argv\nenv >{tmp_path}/env\ncat "$2"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setenv("RCLONE_CONFIG_COFRE_NO_DATA_ENCRYPTION", "true")
    monkeypatch.setattr("os.geteuid", lambda: 1)
    with rclone.Rclone(CONFIG, bandwidth="2M", timeout=20) as running:
        assert running.run("lsjson").stdout == CONFIG
    told = (tmp_path / "argv").read_text()
    assert told.startswith("--config /dev/fd/") and "--bwlimit 2M lsjson" in told and "segredo" not in told
    assert not [line for line in (tmp_path / "env").read_text().splitlines() if "segredo" in line or line.startswith("RCLONE")]


@pytest.mark.parametrize(
    ("stderr", "said"),
    [
        ("a\n2026/11/30 13:32:54 ERROR : it \x1b[31mfailed\n\n", "it "),
        ("2026/11/30 13:32:54 Failed to link: no", "Failed to link: no"),
        ("", "exit code 7"),
    ],
)
def test_the_reason_of_a_failure(stderr: str, said: str) -> None:
    found = rclone.reason(Completed(7, "", stderr))
    assert found.startswith(said) and "\x1b" not in found
