# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from ansible_collections.esus.pec.plugins.module_utils.carrying import names, sources, staging
from ansible_collections.esus.pec.plugins.module_utils.carrying.staging import Staged, Unreadable
from ansible_collections.esus.pec.plugins.module_utils.errors import PecError

KIT = {
    "leia.txt": b"x",
    "pec.dump": b"PGDMP",
    "configuracao-pec/application.properties": b"server.ssl.key-store=config/x.p12\n",
    "configuracao-pec/x.p12": b"k",
    "configuracao-pec/chaves/Munic\u00edpio.pfx": b"c",
    "configuracao-pec/certmgr/ssl.properties": b"domain=x\n",
}
FOUND = [
    "webserver/certmgr/config/ssl.properties",
    "webserver/chaves/Munic\u00edpio.pfx",
    "webserver/config/application.properties",
    "webserver/config/x.p12",
]


def packed(path: Path, entries: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> str:
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, data in entries.items():
            archive.writestr(name, data)
    return str(path)


def collected(path: str) -> Staged:
    with sources.opened(path) as source:
        return staging.collect(source)


def tree(root: Path, entries: dict[str, bytes]) -> str:
    for name, data in entries.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)
    return str(root)


def test_an_export_as_a_zip_as_a_directory_and_as_its_inner_directory(tmp_path: Path) -> None:
    assert list(collected(packed(tmp_path / "x.zip", KIT)).contents) == FOUND
    directory = tree(tmp_path / "x", KIT)
    assert list(collected(directory).contents) == FOUND
    assert list(collected(f"{directory}/configuracao-pec").contents) == FOUND


def test_a_directory_that_is_as_pec_has_it(tmp_path: Path) -> None:
    entries = {
        f"webserver/{name}": b"x" for name in ("chaves/a.pfx", "config/a.jks", "config/credenciais.txt", "standalone.sh", "pec-bundle.jar")
    }
    found = collected(tree(tmp_path / "x", entries))
    names = ["webserver/chaves/a.pfx", "webserver/config/a.jks", "webserver/config/credenciais.txt", "webserver/standalone.sh"]
    assert list(found.contents) == names


def test_a_keystore_elsewhere_below_the_home(tmp_path: Path) -> None:
    entries = {
        "webserver/config/application.properties": b"server.ssl.key-store=tls/x.jks\n",
        "webserver/tls/x.jks": b"k",
        "webserver/tls/y": b"k",
    }
    assert "webserver/tls/x.jks" in collected(tree(tmp_path / "x", entries)).contents


def test_a_keystore_is_no_way_to_bring_another_file(tmp_path: Path) -> None:
    entries = {
        "webserver/config/application.properties": b"server.ssl.key-store=pec-bundle.jar\n",
        "webserver/pec-bundle.jar": b"evil",
        "webserver/certmgr/config/application.yml": b"evil",
    }
    assert list(collected(tree(tmp_path / "x", entries)).contents) == ["webserver/config/application.properties"]


def test_what_is_wrong_in_a_zip(tmp_path: Path) -> None:
    inside = "configuracao-pec/chaves"
    entries = {
        f"{inside}/../../up.pfx": b"x",
        f"{inside}/a\nb.pfx": b"x",
        f"{inside}/c.pfx": b"1",
        f"{inside}/c.pfx/d.pfx": b"2",
        f"{inside}/e.pfx": b"e",
    }
    path = packed(tmp_path / "x.zip", entries)
    with zipfile.ZipFile(path, "a") as archive:
        link = zipfile.ZipInfo(f"{inside}/link.pfx")
        link.external_attr = 0o120777 << 16
        archive.writestr(link, "/etc/shadow")
        archive.writestr(f"{inside}/odd.pfx", b"x" * 99, zipfile.ZIP_LZMA)
        archive.writestr(f"{inside}/bomb.pfx", bytes(9 << 20), zipfile.ZIP_DEFLATED)
    found = collected(path)
    assert list(found.contents) == ["webserver/chaves/c.pfx", "webserver/chaves/e.pfx"]
    assert len(found.unreadable) == 6 and not [each for each in found.unreadable if "\n" in each.path]


def test_a_zip_that_says_too_little_of_its_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = Path(packed(tmp_path / "x.zip", {"configuracao-pec/chaves/a.pfx": bytes(2000)}))
    data = path.read_bytes()
    path.write_bytes(data.replace((2000).to_bytes(4, "little"), (5).to_bytes(4, "little")))
    monkeypatch.setattr(names, "SETTINGS", names.Limits(depth=8, names=9, file=1000, total=9000))
    found = collected(str(path))
    assert dict(found.contents).get("webserver/chaves/a.pfx", b"") != bytes(2000)


@pytest.mark.parametrize("data", [b"", b"PK\x05\x06", b"no zip", b"PK\x05\x06" + b"\xff" * 18])
def test_what_is_no_zip(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "x").write_bytes(data)
    with pytest.raises(PecError, match="unpack it and give the directory"):
        collected(f"{tmp_path}/x")


def test_a_zip_with_an_endless_list(tmp_path: Path) -> None:
    path = Path(packed(tmp_path / "x.zip", {f"{number:05}{'x' * 200}": b"" for number in range(5000)}))
    with pytest.raises(PecError, match="holds more files than an export"):
        collected(str(path))


def test_links_in_a_directory(tmp_path: Path) -> None:
    directory = tree(tmp_path / "x", {"webserver/chaves/a.pfx": b"a", "other/b.pfx": b"b"})
    (tmp_path / "x/webserver/chaves/link.pfx").symlink_to("/etc/passwd")
    (tmp_path / "x/webserver/chaves/dir").symlink_to(tmp_path / "x/other")
    (tmp_path / "x/webserver/certmgr").symlink_to(tmp_path / "x/other")
    found = collected(directory)
    assert list(found.contents) == ["webserver/chaves/a.pfx"]
    assert [each.path for each in found.unreadable] == ["webserver/chaves/dir", "webserver/chaves/link.pfx"]


def test_written_and_read_again(tmp_path: Path) -> None:
    directory = str(tmp_path / "a/b/files")
    first = Staged("C:/e-SUS", {"webserver/chaves/a.pfx": b"a"}, (Unreadable("x", "why"),))
    assert staging.write(first, directory, check=True) and not (tmp_path / "a").exists()
    assert staging.write(first, directory) and not staging.write(first, directory)
    assert staging.read(directory) == first
    second = Staged("C:/e-SUS", {"webserver/chaves/b.pfx": b"b"})
    assert staging.write(second, directory) and staging.read(directory) == second
    assert not Path(directory, "webserver/chaves/a.pfx").exists()
    assert {oct(path.stat().st_mode & 0o777) for path in Path(directory).rglob("*") if path.is_file()} == {"0o600"}
    Path(directory, ".staged.json").write_text("[]")
    with pytest.raises(PecError, match="is damaged"):
        staging.read(directory)
    with pytest.raises(PecError, match="run with state: staged first"):
        staging.read(str(tmp_path / "none"))
