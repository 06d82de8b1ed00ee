# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import hashlib
import io
import os
import socket
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from ansible_collections.esus.pec.plugins.module_utils.backup import attachments
from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.pec import installation
from ansible_collections.esus.pec.plugins.module_utils.pec.installation import Https, Installation
from ansible_collections.esus.pec.plugins.module_utils.system import host, process


def installed(root: Path) -> Installation:
    home = root / "opt/e-SUS"
    for path, text in {
        "webserver/config/application.properties": "x",
        "webserver/config/credenciais.txt": "senha: segredo",
        "webserver/certmgr/config/ssl.properties": "domain=x",
        "webserver/certmgr/certmgr.jar": "jar",
        "webserver/pec-bundle.jar": "jar",
    }.items():
        (home / path).parent.mkdir(parents=True, exist_ok=True)
        (home / path).write_text(text, encoding="utf-8")
    (root / "etc").mkdir(exist_ok=True)
    (root / "etc/pec.config").write_text("{}", encoding="utf-8")
    return installation.discover(str(root))


def below(root: Path, paths: tuple[str, ...]) -> list[str]:
    return [os.path.relpath(path, root) for path in paths]


def test_what_no_dump_holds(tmp_path: Path) -> None:
    here = installed(tmp_path)
    assert below(tmp_path, attachments.choose(here, (), "/backups")) == [
        "etc/pec.config",
        "opt/e-SUS/webserver/certmgr/config",
        "opt/e-SUS/webserver/config",
    ]
    (tmp_path / "opt/e-SUS/webserver/chaves").mkdir()
    assert "opt/e-SUS/webserver/chaves" in below(tmp_path, attachments.choose(here, (), "/backups"))


def test_a_certificate_elsewhere_comes_along(tmp_path: Path) -> None:
    here = installed(tmp_path)
    for name in ("real.p12", "other.p12"):
        (tmp_path / name).write_text("key", encoding="utf-8")
    (tmp_path / "opt/e-SUS/webserver/config/link.p12").symlink_to(tmp_path / "real.p12")
    (tmp_path / "opt/e-SUS/webserver/config/dead.p12").symlink_to(tmp_path / "gone.p12")
    here = replace(installation.discover(str(tmp_path)), https=Https("keystore", None, 443, str(tmp_path / "other.p12")))
    assert below(tmp_path, attachments.choose(here, (), "/backups"))[-2:] == ["other.p12", "real.p12"]


def test_a_host_without_pec() -> None:
    assert attachments.choose(Installation("absent"), (), "/backups") == ()


def test_extra_paths(tmp_path: Path) -> None:
    (tmp_path / "anexos/a").mkdir(parents=True)
    extra = (str(tmp_path / "anexos/a"), str(tmp_path / "anexos"))
    assert attachments.choose(Installation("absent"), extra, "/backups") == (str(tmp_path / "anexos"),)
    with pytest.raises(PecError, match="gone does not exist"):
        attachments.choose(Installation("absent"), (str(tmp_path / "gone"),), "/backups")


def test_backups_are_not_backed_up(tmp_path: Path) -> None:
    (tmp_path / "var/backups").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "var")
    for around in ("var", "var/backups", "link"):
        with pytest.raises(PecError, match="which is inside it"):
            attachments.choose(Installation("absent"), (str(tmp_path / around),), str(tmp_path / "var/backups"))
    (tmp_path / "var/backups-of-others").mkdir()
    assert attachments.choose(Installation("absent"), (str(tmp_path / "var/backups-of-others"),), str(tmp_path / "var/backups"))


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """What an archive could stumble over."""
    tree = tmp_path / 'it\'s "a" $(tree) ç'
    (tree / "empty").mkdir(parents=True)
    (tree / "large").write_bytes(os.urandom(3_000_000))
    (tree / "empty file").touch()
    (tree / "-rf\nline").write_text("x", encoding="utf-8")
    (tree / "dead link").symlink_to("/nowhere")
    (tree / "link").symlink_to("empty")
    os.link(tree / "large", tree / "large too")
    (tree / "large").chmod(0o640)
    os.utime(tree / "large", (1_000_000_000, 1_000_000_000))
    with socket.socket(socket.AF_UNIX) as unix:
        os.chdir(tree)
        unix.bind("socket")
        os.chdir("/")
    return tree


@pytest.mark.parametrize("zstd", [True, False])
def test_an_archive_that_tar_restores(tmp_path: Path, tree: Path, zstd: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not zstd:
        real = process.which
        monkeypatch.setattr(process, "which", lambda name: None if name == "zstd" else real(name))
    told: list[int] = []
    written = attachments.write((str(tree),), str(tmp_path / "x.dump"), on_bytes=told.append)
    path = tmp_path / ("x.dump.files.tar.zst" if zstd else "x.dump.files.tar.gz")
    assert written.attachment.name == path.name
    assert written.attachment.paths == (str(tree),)
    assert (written.attachment.bytes, written.attachment.sha256) == (path.stat().st_size, hashlib.sha256(path.read_bytes()).hexdigest())
    assert path.stat().st_mode & 0o777 == 0o600
    assert told[-1] == 3_000_001
    assert written.notes == ()
    target = tmp_path / "restored"
    target.mkdir()
    subprocess.run(["tar", "-C", target, "--zstd" if zstd else "--gzip", "-xpf", path], check=True)
    restored = Path(f"{target}{tree}")
    assert (restored / "large").read_bytes() == (tree / "large").read_bytes()
    assert (restored / "large").stat().st_mode == (tree / "large").stat().st_mode
    assert (restored / "large").stat().st_mtime == 1_000_000_000
    assert (restored / "large").samefile(restored / "large too")
    assert os.readlink(restored / "dead link") == "/nowhere"
    assert sorted(os.listdir(restored)) == sorted(set(os.listdir(tree)) - {"socket"})


def test_files_and_links_by_themselves(tmp_path: Path, tree: Path) -> None:
    paths = (str(tree / "large"), str(tree / "link"))
    written = attachments.write(paths, str(tmp_path / "x"))
    listing = subprocess.run(["tar", "-tf", tmp_path / written.attachment.name], capture_output=True, text=True, check=True).stdout
    assert len(listing.splitlines()) == 2
    attachments.check_space(paths, str(tmp_path))


def test_it_does_not_replace_a_file(tmp_path: Path, tree: Path) -> None:
    (tmp_path / "x.files.tar.zst").touch()
    with pytest.raises(PecError, match="File exists"):
        attachments.write((str(tree),), str(tmp_path / "x"))


def test_what_changes_meanwhile_is_told(tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        (tmp_path / "anexos" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "anexos" / name).write_bytes(bytes(5_000_000))

    def meddle(count: int) -> None:
        if count:
            (tmp_path / "anexos/b").unlink(missing_ok=True)
            (tmp_path / "anexos/c").write_bytes(b"short")

    written = attachments.write((str(tmp_path / "anexos"),), str(tmp_path / "x"), on_bytes=meddle)
    assert written.notes == (f"{tmp_path}/anexos/b was removed before it was read",)


def test_a_file_that_is_cut_short_does_not_break_the_archive() -> None:
    steady = attachments._Steady(io.BytesIO(b"abc"))
    assert (steady.read(2), steady.read(4), steady.changed) == (b"ab", b"c\0\0\0", True)


def test_a_program_that_fails_is_named(tmp_path: Path, tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake = tmp_path / "bin/zstd"
    fake.parent.mkdir()
    fake.write_text("#!/bin/sh\nhead -c 100 >/dev/null\necho 'zstd: error 70 : No space left on device' >&2\nexit 70\n", encoding="utf-8")
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:{os.environ['PATH']}")
    with pytest.raises(PecError, match=r"zstd failed: .*No space left on device"):
        attachments.write((str(tree),), str(tmp_path / "x"))


def test_no_room(tmp_path: Path, tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    attachments.check_space((str(tree),), str(tmp_path))
    monkeypatch.setattr(host, "disk_usage", lambda path: host.Disk(path, 9_000_000, 2_000_000))
    with pytest.raises(PecError, match=r"have 6 MB and only 2 MB are free"):
        attachments.check_space((str(tree),), str(tmp_path))
