# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import os
from pathlib import Path

import pytest

from ansible_collections.esus.pec.plugins.module_utils.certificates import handshake
from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.installer import certmgr
from ansible_collections.esus.pec.plugins.module_utils.installer.planning import CertmgrHttps
from ansible_collections.esus.pec.plugins.module_utils.pec import installation
from ansible_collections.esus.pec.plugins.module_utils.system import files

OLD = "server.port=443\ncertmgr.domain=a.br\n"
CONFIG = '{"success" : true, "version" : "5.4.37", "directory" : "/opt/e-SUS"}'


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    state = tmp_path / "etc/esus-pec"
    monkeypatch.setattr(files, "STATE_DIRECTORY", str(state))
    monkeypatch.setattr(certmgr, "CHANGING", str(state / "certmgr-changing"))
    monkeypatch.setattr(certmgr, "PREVIOUS", str(state / "certmgr-previous"))
    directory = tmp_path / "opt/e-SUS/webserver/certmgr/config"
    directory.mkdir(parents=True)
    (directory / "ssl.properties").write_text(OLD)
    (directory / "ssl.properties").chmod(0o600)
    (directory / "keystore.p12").write_text("old key")
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/pec.config").write_text(CONFIG)
    return tmp_path


def here(root: Path) -> installation.Installation:
    return installation.discover(str(root))


def config(root: Path) -> Path:
    return root / "opt/e-SUS/webserver/certmgr/config"


def fail_half_way(root: Path) -> None:
    """What an installer leaves that broke off while certmgr was at work."""
    (config(root) / "ssl.properties").write_text("certmgr.domain=b.br\n")
    (config(root) / "keystore.p12").write_text("new key")
    (root / "etc/pec.config").write_text(CONFIG.replace("true", "false"))


def test_a_failure_leaves_everything_as_it_was(root: Path) -> None:
    certmgr.keep(here(root), replaces=True)
    assert not (config(root) / "ssl.properties").exists(), "certmgr does nothing while it is there"
    fail_half_way(root)
    assert certmgr.bring_back(here(root), config_file=True) == "HTTPS is as it was before."
    assert (config(root) / "ssl.properties").read_text() == OLD
    assert (config(root) / "ssl.properties").stat().st_mode & 0o777 == 0o600
    assert (config(root) / "keystore.p12").read_text() == "old key"
    assert (root / "etc/pec.config").read_text() == CONFIG
    assert not list((root / "etc/esus-pec").iterdir())
    assert certmgr.bring_back(here(root), config_file=True) == ""


def test_an_update_that_failed_is_not_called_a_success(root: Path) -> None:
    certmgr.keep(here(root), replaces=True)
    fail_half_way(root)
    certmgr.bring_back(here(root), config_file=False)
    assert '"success" : false' in (root / "etc/pec.config").read_text()


def test_without_a_certificate_before(root: Path) -> None:
    (config(root) / "ssl.properties").unlink()
    certmgr.keep(here(root), replaces=False)
    fail_half_way(root)
    assert certmgr.bring_back(here(root), config_file=True) == "PEC has no HTTPS, as before."
    assert not (config(root) / "ssl.properties").exists()


def test_what_a_killed_run_had_kept_stays(root: Path) -> None:
    certmgr.keep(here(root), replaces=True)
    fail_half_way(root)
    certmgr.keep(here(root), replaces=True)
    certmgr.bring_back(here(root), config_file=True)
    assert (config(root) / "ssl.properties").read_text() == OLD


def test_a_success_keeps_the_last_one(root: Path) -> None:
    for _attempt in range(2):
        certmgr.keep(here(root), replaces=True)
        (config(root) / "ssl.properties").write_text("certmgr.domain=b.br\n")
        certmgr.settle()
    previous = root / "etc/esus-pec/certmgr-previous"
    assert [entry.name for entry in (root / "etc/esus-pec").iterdir()] == ["certmgr-previous"]
    assert previous.stat().st_mode & 0o777 == 0o700
    assert (previous / "config/ssl.properties").read_text() == "certmgr.domain=b.br\n"


def test_a_copy_that_cannot_be_made_stops_the_run(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    blocked = root / "etc/blocked"
    blocked.write_text("")
    monkeypatch.setattr(files, "STATE_DIRECTORY", str(blocked / "state"))
    with pytest.raises(PecError, match=r"cannot copy .*webserver/certmgr/config to"):
        certmgr.keep(here(root), replaces=True)
    assert (config(root) / "ssl.properties").exists()


def test_what_is_missing(root: Path) -> None:
    assert certmgr.what_is_missing(None, here(root)) == []
    assert certmgr.what_is_missing(CertmgrHttps("A.br", 443), here(root)) == []
    (problem,) = certmgr.what_is_missing(CertmgrHttps("b.br", 443), here(root))
    assert problem.endswith("ssl.properties names a.br instead of b.br")
    (config(root) / "ssl.properties").unlink()
    (problem,) = certmgr.what_is_missing(CertmgrHttps("b.br", 443), here(root))
    assert problem == "certmgr wrote no webserver/certmgr/config/ssl.properties for b.br"


def test_the_domain_is_asked_from_the_server_where_the_file_does_not_tell(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert certmgr.read(here(root), "b.br") == CertmgrHttps("a.br", 443)
    (config(root) / "ssl.properties").write_text("server.port=8443\n")
    asked: list[tuple[str, int]] = []

    def fetch(domain: str, port: int) -> handshake.Served:
        asked.append((domain, port))
        return handshake.Served(None, "nobody there")

    monkeypatch.setattr(handshake, "fetch", fetch)
    assert certmgr.read(here(root), "b.br") == CertmgrHttps(None, 8443)
    assert asked == [("b.br", 8443)]
    (config(root) / "ssl.properties").unlink()
    assert certmgr.read(here(root), "b.br") is None


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
@pytest.mark.parametrize("attack", ["link", "hard link", "directory"])
def test_nothing_of_roots_is_kept_for_pecs_account(root: Path, attack: str) -> None:
    """What is kept is brought back with the mode it had, into a directory of that account."""
    roots = root / "roots"
    roots.mkdir()
    (roots / "shadow").write_text("planted")
    if attack == "directory":
        config(root).rename(root / "aside")
        config(root).symlink_to(roots)
    elif attack == "link":
        (config(root) / "shadow").symlink_to(roots / "shadow")
    else:
        os.link(roots / "shadow", config(root) / "shadow")
    for place in (config(root).parent, config(root)):
        os.chown(place, 65534, 65534, follow_symlinks=False)
    with pytest.raises(PecError, match=r"cannot copy .*certmgr/config to .*(symbolic link|hard links).*can change"):
        certmgr.keep(here(root), replaces=True)
    assert not (root / "etc/esus-pec/certmgr-changing").exists()
    assert "planted" not in "".join(path.read_text() for path in (root / "etc").rglob("*") if path.is_file())


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
@pytest.mark.parametrize("attack", ["directory", "file", "partial"])
def test_bringing_back_goes_through_no_link(root: Path, attack: str) -> None:
    roots = root / "roots"
    roots.mkdir()
    (roots / "ssl.properties").write_text("root's")
    for path in (config(root).parent, config(root), config(root) / "keystore.p12"):
        os.chown(path, 65534, 65534)
    (config(root) / "keystore.p12").chmod(0o4640)
    certmgr.keep(here(root), replaces=False)
    if attack == "directory":
        config(root).rename(root / "aside")
        config(root).symlink_to(roots)
    else:
        (config(root) / "ssl.properties").rename(root / "aside")
        path = config(root) / ("ssl.properties" if attack == "file" else "ssl.properties.partial")
        path.symlink_to(roots / "ssl.properties")
    said = certmgr.bring_back(here(root), config_file=True)
    assert {path.name: (path.read_text(), path.stat().st_uid) for path in roots.iterdir()} == {"ssl.properties": ("root's", 0)}
    if attack == "partial":
        assert said == "HTTPS is as it was before." and (config(root) / "ssl.properties").read_text() == OLD
        status = (config(root) / "keystore.p12").stat()
        assert (status.st_uid, status.st_mode & 0o7777) == (65534, 0o640), "as before, without setuid"
    else:
        assert "could not be restored" in said and "symbolic link" in said
