# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import contextlib
import hashlib
import io
import os
import socket
import subprocess
import tarfile
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


def test_what_changes_meanwhile_does_not_break_the_archive(tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        (tmp_path / "anexos" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "anexos" / name).write_bytes(bytes(5_000_000))

    def meddle(count: int) -> None:
        if count:
            (tmp_path / "anexos/b").unlink(missing_ok=True)
            (tmp_path / "anexos/c").write_bytes(b"short")

    written = attachments.write((str(tmp_path / "anexos"),), str(tmp_path / "x"), on_bytes=meddle)
    listing = subprocess.run(["tar", "-tf", tmp_path / written.attachment.name], capture_output=True, text=True, check=True).stdout
    assert [os.path.basename(name) for name in listing.splitlines()] == ["", "a", "c"]


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


def archived(path: Path) -> dict[str, bytes]:
    """Return the names in an archive, and the content of its files."""
    data = subprocess.run(["zstd", "-dc", path], capture_output=True, check=True).stdout
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        return {each.name: stream.read() if (stream := archive.extractfile(each) if each.isreg() else None) else b"" for each in archive}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_nothing_of_roots_gets_into_the_archive_by_pecs_account(tmp_path: Path) -> None:
    chaves, secret = tmp_path / "webserver/chaves", tmp_path / "shadow"
    chaves.mkdir(parents=True)
    secret.write_bytes(b"planted")
    (chaves / "own").write_bytes(b"own")
    (chaves / "link").symlink_to(secret)
    (chaves / "directory").symlink_to(tmp_path)
    os.link(secret, chaves / "hard")
    os.mkfifo(chaves / "fifo")
    for path in (chaves, chaves.parent):
        os.chown(path, 65534, 65534)
    attachments.check_space((str(chaves),), str(tmp_path))
    written = attachments.write((str(chaves),), str(tmp_path / "x"), uid=65534, gid=65534)
    assert (tmp_path / written.attachment.name).stat().st_uid == 65534
    found = {os.path.basename(name): content for name, content in archived(tmp_path / written.attachment.name).items()}
    assert found == {"chaves": b"", "own": b"own", "link": b"", "directory": b"", "fifo": b""}
    assert [f"{chaves}/hard has 2 names" in note for note in written.notes] == [True]
    assert b"planted" in archived(tmp_path / attachments.write((str(secret),), str(tmp_path / "y")).attachment.name).values()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
@pytest.mark.parametrize("name", ["chaves", "webserver"])
def test_a_directory_that_pecs_account_replaced_by_a_link_stops_the_backup(tmp_path: Path, name: str) -> None:
    place = tmp_path / "home/webserver/chaves"
    place.mkdir(parents=True)
    (tmp_path / "roots/chaves").mkdir(parents=True)
    here = Installation("installed", home=str(tmp_path / "home"))
    assert str(place) in attachments.choose(here, (), "/backups")
    victim = place if name == "chaves" else place.parent
    os.rename(victim, tmp_path / "aside")
    victim.symlink_to(tmp_path / "roots")
    assert str(tmp_path / "roots") in ":".join(attachments.choose(here, (), "/backups")) or name == "webserver", "root's own is followed"
    os.chown(victim.parent, 65534, 65534)
    with pytest.raises(PecError, match="is a symbolic link, which is not followed because"):
        attachments.check_space(attachments.choose(here, (), "/backups"), str(tmp_path))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
@pytest.mark.parametrize("moment", ["stat", "open", "listdir", "lstat"])
def test_a_directory_swapped_while_it_is_archived_leads_nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: str) -> None:
    chaves, roots = tmp_path / "webserver/chaves", tmp_path / "roots"
    for directory in (chaves, roots):
        (directory / "below").mkdir(parents=True)
        for path in (directory / "below/key", directory / "key"):
            path.write_bytes(b"planted" if directory == roots else b"own")
    os.chown(chaves.parent, 65534, 65534)
    os.chown(chaves, 65534, 65534)
    real, attacks = getattr(os, moment), []

    def attacked(*arguments: object, **options: object) -> object:
        text = str(arguments[0])
        if len(attacks) < 2 and (
            text in ("chaves", "below", "key") or text.endswith(("/below", "/chaves")) or isinstance(arguments[0], int)
        ):
            attacks.append(text)
            for victim in (chaves / "below", chaves):
                if not victim.is_symlink() and len(attacks) == (1 if victim.name == "below" else 2):
                    os.rename(victim, tmp_path / f"aside-{victim.name}")
                    victim.symlink_to(roots / "below" if victim.name == "below" else roots)
        return real(*arguments, **options)

    monkeypatch.setattr(os, moment, attacked)
    content: dict[str, bytes] = {}
    with contextlib.suppress(PecError):
        written = attachments.write((str(chaves),), str(tmp_path / "x"))
        monkeypatch.undo()
        content = archived(tmp_path / written.attachment.name)
    assert attacks, "the attack did not happen"
    assert b"planted" not in content.values()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_a_keystore_that_pecs_account_names_is_one_that_it_can_read(tmp_path: Path) -> None:
    """Else it would name /etc/shadow, and the archive is not root's alone."""
    here = installed(tmp_path)
    shadow = tmp_path / "shadow"
    shadow.write_bytes(b"planted")
    shadow.chmod(0o640)
    here = replace(here, https=Https("keystore", None, 443, str(shadow)))
    assert str(shadow) in attachments.choose(here, (), "/backups")
    os.chown(str(here.application_properties), 65534, 65534)
    with pytest.raises(PecError, match=r"shadow, which .*application\.properties names .* cannot read the keystore; .* run: chown root "):
        attachments.choose(here, (), "/backups")
    for uid, gid, mode in ((65534, 0, 0o400), (0, 65534, 0o640), (0, 0, 0o644)):
        os.chown(shadow, uid, gid)
        shadow.chmod(mode)
        assert str(shadow) in attachments.choose(here, (), "/backups")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_what_is_left_out_does_not_fill_the_report(tmp_path: Path) -> None:
    (tmp_path / "secret").touch()
    (tmp_path / "theirs").mkdir()
    for number in range(30):
        os.link(tmp_path / "secret", tmp_path / f"theirs/{number}")
    os.chown(tmp_path / "theirs", 65534, 65534)
    notes = attachments.write((str(tmp_path / "theirs"),), str(tmp_path / "x")).notes
    assert (len(notes), notes[-1]) == (11, "20 other files are not in the archive for such a reason")
