# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.testing import patch_module_args

from ansible_collections.esus.pec.plugins.module_utils.pec import contra_chave, installation
from ansible_collections.esus.pec.plugins.module_utils.pec.installation import Installation
from ansible_collections.esus.pec.plugins.module_utils.system import files
from ansible_collections.esus.pec.plugins.modules import transfer_files

SECRET = "segredo-do-govbr"
PROPERTIES = "webserver/config/application.properties"
SSH = {"host": "old", "user": "x", "key_path": "/k", "known_hosts_path": "/h"}
RSYNC = {"port": 874, "user": "x", "password": "p" * 16, "modules": [{"name": "a", "path": "/opt/e-SUS"}]}


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """PEC on this host, and the files of another one in C(there)."""
    monkeypatch.setattr("os.geteuid", lambda: 0)
    found = tmp_path / "home"
    for root, key in ((found, "ours"), (tmp_path / "there", SECRET)):
        (root / "webserver/config").mkdir(parents=True)
        (root / PROPERTIES).write_text(f"spring.datasource.password={key}-password\nbridge.a.client-secret={key}\n")
    (tmp_path / "there/webserver/chaves").mkdir()
    (tmp_path / "there/webserver/chaves/a.pfx").write_text("certificate")
    monkeypatch.setattr(installation, "discover", lambda: Installation("installed", home=str(found)))
    monkeypatch.setattr(contra_chave, "read", lambda: ())
    monkeypatch.setattr(files.keep, "__defaults__", (None, str(tmp_path / "replaced")))
    return found


def run(capsys: pytest.CaptureFixture[str], place: Path, state: str, *, check: bool = False, **arguments: Any) -> dict[str, Any]:
    given = {"state": state, "directory": str(place.parent / "staged"), "owner": "root", **arguments}
    with patch_module_args({**given, "_ansible_check_mode": check, "_ansible_diff": True}), pytest.raises(SystemExit):
        transfer_files.main()
    output = capsys.readouterr().out
    assert SECRET not in output and "ours" not in output
    return dict(json.loads(output))


@pytest.mark.skipif("__import__('os').getuid() != 0")
def test_from_a_directory(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    archive = {"archive": str(home.parent / "there"), "home": "/opt/eSUS"}
    assert run(capsys, home, "staged", check=True, **archive)["changed"] and not (home.parent / "staged").exists()
    staged = run(capsys, home, "staged", **archive)
    assert staged["files"] == ["webserver/chaves/a.pfx", PROPERTIES] and staged["notes"] == []
    assert not run(capsys, home, "staged", **archive)["changed"]
    checked = run(capsys, home, "applied", check=True)
    assert checked["changed"] and not (home / "webserver/chaves").exists()
    applied = run(capsys, home, "applied")
    assert applied["diff"] == checked["diff"] and "bridge.a.client-secret=" in applied["diff"]["after"]
    assert applied["carried"] == ["webserver/chaves/a.pfx", "bridge.a.client-secret"]
    assert (home / PROPERTIES).read_text() == f"spring.datasource.password=ours-password\nbridge.a.client-secret={SECRET}\n"
    assert not run(capsys, home, "applied")["changed"]
    assert run(capsys, home, "absent", check=True)["changed"] and (home.parent / "staged").exists()
    assert run(capsys, home, "absent")["changed"] and not run(capsys, home, "absent")["changed"]
    assert "run with state: staged first" in run(capsys, home, "applied")["msg"]


@pytest.mark.parametrize(
    ("state", "arguments", "says"),
    [
        ("staged", {}, "ssh is missing"),
        ("synced", {}, "ssh is missing"),
        ("staged", {"ssh": SSH, "home": "e-SUS"}, "is not an absolute path"),
        ("staged", {"ssh": SSH, "rsync": RSYNC}, "home is missing"),
        ("staged", {"ssh": SSH, "home": "/x", "rsync": {**RSYNC, "user": "a b"}}, "is no name of a module or user"),
        ("staged", {"ssh": SSH, "archive": "/x"}, "mutually exclusive"),
        ("staged", {"rsync": RSYNC}, "missing parameter"),
        ("staged", {"archive": "/nowhere/x.zip"}, "/nowhere/x.zip"),
        ("applied", {"attachments": [{"source": "Anexos", "target": "/srv/a"}]}, "must be absolute paths"),
        ("applied", {"attachments": [{"source": "/a", "target": "/"}]}, "must be absolute paths"),
        ("applied", {"attachments": [{"source": "/a", "target": "/srv/a"}, {"source": "/b", "target": "/srv/a/"}]}, "have the same target"),
    ],
)
def test_what_is_refused(home: Path, capsys: pytest.CaptureFixture[str], state: str, arguments: dict[str, Any], says: str) -> None:
    assert says in run(capsys, home, state, **arguments)["msg"]


def test_a_pec_that_is_not_installed(home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(installation, "discover", lambda: Installation("absent"))
    assert "install it first" in run(capsys, home, "applied")["msg"]
