# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import contextlib
import os
import pwd
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import samples

from ansible_collections.esus.pec.plugins.module_utils.backup import sets
from ansible_collections.esus.pec.plugins.module_utils.backup.retention import Dated, Policy
from ansible_collections.esus.pec.plugins.module_utils.dump import manifest
from ansible_collections.esus.pec.plugins.module_utils.dump.manifest import Attachment, Manifest
from ansible_collections.esus.pec.plugins.module_utils.errors import PecError

NEWEST_ONLY = Policy(1, 0, 0, 0)


def make(directory: Path, name: str = "esus.dump", *, files: bool = True, **changes: Any) -> Manifest:
    """Put a set into a directory, as dump and backup_files leave it."""
    (directory / name).write_bytes(b"PGDMP")
    attachment = None
    if files:
        attachment = Attachment(f"{name}.files.tar.zst", 3, "x", ("/etc/pec.config",))
        (directory / attachment.name).write_bytes(b"tar")
    made = samples.manifest(**{"name": name, "attachment": attachment, "kept_by": sets.KEPT_BY, **changes})
    manifest.write(str(directory / name), made)
    return made


def names(directory: Path) -> list[str]:
    return sorted(os.listdir(directory))


SET = ["esus.dump", "esus.dump.files.tar.zst", "esus.dump.json"]


def test_a_set_appears_as_a_whole(tmp_path: Path) -> None:
    with sets.workshop(str(tmp_path)) as (place, removed):
        made = make(Path(place))
        assert (removed, names(tmp_path)) == ([], [sets.UNFINISHED])
        assert os.stat(place).st_mode & 0o777 == 0o700
        assert sets.publish(str(tmp_path), f"{place}/esus.dump", made) == str(tmp_path / "esus.dump")
        assert manifest.read(str(tmp_path / "esus.dump.json")) == made
    assert names(tmp_path) == SET


def test_a_set_without_files(tmp_path: Path) -> None:
    with sets.workshop(str(tmp_path)) as (place, _removed):
        sets.publish(str(tmp_path), f"{place}/esus.dump", make(Path(place), files=False))
    assert names(tmp_path) == ["esus.dump", "esus.dump.json"]


def test_a_run_that_fails_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(PecError, match="no"), sets.workshop(str(tmp_path)) as (place, _removed):
        make(Path(place))
        raise PecError("no")
    assert names(tmp_path) == []


@pytest.mark.parametrize("taken", SET)
def test_nothing_is_replaced(tmp_path: Path, taken: str) -> None:
    (tmp_path / taken).write_text("somebody's", encoding="utf-8")
    with pytest.raises(PecError, match=f"already has a file {taken}"), sets.workshop(str(tmp_path)) as (place, _removed):
        sets.publish(str(tmp_path), f"{place}/esus.dump", make(Path(place)))
    assert names(tmp_path) == [taken]
    assert (tmp_path / taken).read_text(encoding="utf-8") == "somebody's"


class Killed(BaseException):
    """In place of SIGKILL: nothing after it is done."""


def kill_at(monkeypatch: pytest.MonkeyPatch, step: int) -> None:
    """From the step-th renaming or removal on, nothing happens any more, as after a SIGKILL."""
    steps = iter(range(100))
    dead = False

    def mortal(real: Any) -> Any:
        def call(*arguments: Any, **options: Any) -> Any:
            nonlocal dead
            dead = dead or next(steps) >= step
            if dead:
                raise Killed
            return real(*arguments, **options)

        return call

    for name in ("rename", "unlink", "rmdir"):
        monkeypatch.setattr(os, name, mortal(getattr(os, name)))


@pytest.mark.parametrize("step", range(8))
def test_killed_while_a_set_is_published(tmp_path: Path, step: int) -> None:
    """Whatever moment it is, the set is either there as a whole, or gone after the next run; and others stay."""
    make(tmp_path, "older.dump")
    with pytest.MonkeyPatch.context() as patch:
        try:
            with sets.workshop(str(tmp_path)) as (place, _removed):
                made = make(Path(place))
                kill_at(patch, step)
                sets.publish(str(tmp_path), f"{place}/esus.dump", made)
        except Killed:
            pass
    listed = [backup.manifest.name for backup in manifest.list_backups(str(tmp_path))[0]]
    whole = "esus.dump" in listed
    with sets.workshop(str(tmp_path)) as (_place, removed):
        assert whole or "esus.dump.json" in removed
    assert names(tmp_path) == [*(SET if whole else []), "older.dump", "older.dump.files.tar.zst", "older.dump.json"]
    assert all(backup.complete for backup in manifest.list_backups(str(tmp_path))[0])


@pytest.mark.parametrize("step", range(8))
def test_killed_while_a_set_is_retired(tmp_path: Path, step: int) -> None:
    make(tmp_path, "older.dump")
    make(tmp_path)
    backup = next(backup for backup in manifest.list_backups(str(tmp_path))[0] if backup.manifest.name == "esus.dump")
    with pytest.MonkeyPatch.context() as patch:
        kill_at(patch, step)
        with contextlib.suppress(Killed):
            sets.retire(str(tmp_path), backup)
    whole = "esus.dump" in [backup.manifest.name for backup in manifest.list_backups(str(tmp_path))[0]]
    assert whole == (step == 0)
    with sets.workshop(str(tmp_path)):
        pass
    assert names(tmp_path) == [*(SET if whole else []), "older.dump", "older.dump.files.tar.zst", "older.dump.json"]


def test_what_a_dead_run_left_behind_is_told(tmp_path: Path) -> None:
    (tmp_path / sets.UNFINISHED).mkdir()
    (tmp_path / sets.UNFINISHED / "esus.dump.partial").touch()
    (tmp_path / sets.UNFINISHED / "broken.json").write_text("{", encoding="utf-8")
    with sets.workshop(str(tmp_path)) as (place, removed):
        assert removed == ["broken.json", "esus.dump.partial"]
        assert names(Path(place)) == []


def test_another_server_may_be_at_work_in_the_same_directory(tmp_path: Path) -> None:
    other = tmp_path / ".unfinished-another-server"
    other.mkdir()
    make(other)
    with sets.workshop(str(tmp_path)) as (_place, removed):
        assert removed == []
    assert len(names(other)) == 3


def test_a_workshop_that_is_somebody_elses(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/precious").touch()
    (tmp_path / sets.UNFINISHED).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(PecError, match="is not a directory"), sets.workshop(str(tmp_path)):
        pass
    assert (tmp_path / "elsewhere/precious").exists()


def test_no_directory(tmp_path: Path) -> None:
    with pytest.raises(PecError, match="mount it, or run the role pec_backup again"):
        sets.require(str(tmp_path / "gone"))


def prunable(directory: Path, made: Dated) -> tuple[list[str], list[str]]:
    gone, wrong = sets.prunable(str(directory), NEWEST_ONLY, made)
    return [backup.manifest.name for backup in gone], wrong


def test_what_may_go(tmp_path: Path) -> None:
    for day in ("20", "21", "22"):
        newest = make(tmp_path, f"{day}.dump", ended=f"2026-11-{day}T03:05:00Z")
    assert prunable(tmp_path, sets.dated_as(newest)) == (["20.dump", "21.dump"], [])


def test_what_would_go_once_a_new_one_is_there(tmp_path: Path) -> None:
    made = make(tmp_path, "22.dump")
    new = Dated("23.dump", "2026-11-23T03:05:00Z", sets.dated_as(made).group)
    assert prunable(tmp_path, new) == (["22.dump"], [])


@pytest.mark.parametrize(
    ("changes", "wrong"),
    [
        pytest.param({"kept_by": ""}, "", id="made by hand"),
        pytest.param({"database": "esus2"}, "", id="another database"),
        pytest.param({"municipality": "Boa Vista"}, "", id="another município"),
        pytest.param({"host": "pec2"}, "", id="another server"),
        pytest.param({"bytes": 6}, "has 5 bytes, and its manifest says 6", id="cut short"),
        pytest.param({"attachment": Attachment("other.dump.gone", 3, "x", ())}, "other.dump.gone is missing", id="without its files"),
        pytest.param({"ended": "soon"}, "'soon' is not a time", id="without a date"),
    ],
)
def test_what_stays_and_does_not_count(tmp_path: Path, changes: dict[str, Any], wrong: str) -> None:
    """Neither is it removed, nor does it, although newer, push another out."""
    make(tmp_path, "other.dump", **{"ended": "2026-11-22T09:00:00Z", **changes})
    first = make(tmp_path, "20.dump", ended="2026-11-20T03:05:00Z")
    assert first.name == "20.dump"
    newest = make(tmp_path, "21.dump", ended="2026-11-21T03:05:00Z")
    gone, problems = prunable(tmp_path, sets.dated_as(newest))
    assert gone == ["20.dump"]
    assert len(problems) == (1 if wrong else 0)
    assert wrong in "".join(problems)


def test_files_without_a_manifest_are_nobodys_business(tmp_path: Path) -> None:
    (tmp_path / "old.backup").touch()
    (tmp_path / "notes.json").write_text("{}", encoding="utf-8")
    newest = make(tmp_path)
    assert prunable(tmp_path, sets.dated_as(newest)) == ([], [])


@pytest.mark.parametrize("changes", [{"attachment": Attachment("../precious", 0, "x", ())}, {"name": "../precious"}])
def test_a_name_that_leads_elsewhere_is_not_followed(tmp_path: Path, changes: dict[str, Any]) -> None:
    """A manifest in the workshop says what to remove; it may come from anywhere."""
    (tmp_path / "precious").touch()
    place = tmp_path / "backups" / sets.UNFINISHED
    place.mkdir(parents=True)
    manifest.write(str(place / "esus.dump"), replace(make(place, "template.dump"), **changes))
    with sets.workshop(str(tmp_path / "backups")):
        pass
    assert (tmp_path / "precious").exists()


def test_retiring_leaves_nothing(tmp_path: Path) -> None:
    make(tmp_path)
    sets.retire(str(tmp_path), manifest.list_backups(str(tmp_path))[0][0])
    assert names(tmp_path) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
@pytest.mark.parametrize("moment", ["rename", "unlink", "rmdir", "listdir", "mkdir"])
@pytest.mark.parametrize("swapped", ["the workshop", "the directory"])
def test_the_owner_of_the_backups_leads_root_nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: str, swapped: str) -> None:
    """pec_backup_owner's account replaces a directory by a link to one of root's, which has files of the same names, at any moment."""
    theirs, precious = tmp_path / "theirs", tmp_path / "precious"
    directory = theirs / "backups"
    for place in (theirs, directory, precious, precious / sets.UNFINISHED):
        place.mkdir()
    make(directory, "old.dump")
    for place in (precious, precious / sets.UNFINISHED):
        for name in ("old.dump", "old.dump.json", "old.dump.files.tar.zst", "new.dump", "new.dump.json"):
            (place / name).write_text("precious", encoding="utf-8")
    for place in (theirs, directory):
        os.chown(place, 65534, 65534)
    backup = manifest.list_backups(str(directory))[0][0]
    victim = directory / sets.UNFINISHED if swapped == "the workshop" else directory
    real, renamed, attacks = getattr(os, moment), os.rename, []

    def attacked(*arguments: Any, **options: Any) -> Any:
        if not attacks and os.path.lexists(victim):
            attacks.append(victim)
            renamed(victim, tmp_path / "aside")
            victim.symlink_to(precious)
        return real(*arguments, **options)

    monkeypatch.setattr(os, moment, attacked)
    with contextlib.suppress(PecError):
        sets.retire(str(directory), backup)
    with contextlib.suppress(PecError, OSError), sets.workshop(str(directory)) as (place, _removed):
        make(Path(place), "new.dump", files=False)
        sets.publish(str(directory), f"{place}/new.dump", backup.manifest)
    monkeypatch.undo()
    assert attacks or (moment, swapped) == ("mkdir", "the workshop"), "the attack did not happen"
    found = {str(path.relative_to(precious)): path.read_text(encoding="utf-8") for path in precious.rglob("*") if path.is_file()}
    assert sorted(found) == sorted(
        f"{place}{name}"
        for place in ("", f"{sets.UNFINISHED}/")
        for name in ("old.dump", "old.dump.json", "old.dump.files.tar.zst", "new.dump", "new.dump.json")
    )
    assert set(found.values()) == {"precious"}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_a_directory_of_backups_that_is_a_link_of_another_account(tmp_path: Path) -> None:
    (tmp_path / "theirs").mkdir()
    (tmp_path / "precious").mkdir()
    (tmp_path / "theirs/backups").symlink_to(tmp_path / "precious")
    sets.require(str(tmp_path / "theirs/backups"))
    os.chown(tmp_path / "theirs", 65534, 65534)
    with pytest.raises(PecError, match="is a symbolic link, which is not followed"):
        sets.require(str(tmp_path / "theirs/backups"))
    with pytest.raises(PecError, match="symbolic link"), sets.workshop(str(tmp_path / "theirs/backups")):
        pass
    assert os.listdir(tmp_path / "precious") == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives directories away")
@pytest.mark.parametrize("attack", ["link", "link on the way", "third account"])
def test_the_owner_of_backups_is_given_no_directory_of_roots(tmp_path: Path, attack: str) -> None:
    """He owns the directory above, as an account of SFTP does, and puts something in the place of his own directory."""
    above, roots = tmp_path / "sftp", tmp_path / "roots"
    above.mkdir()
    (roots / "backups").mkdir(parents=True, mode=0o755)
    place = above / "backups"
    if attack == "link":
        place.symlink_to(roots / "backups")
    elif attack == "link on the way":
        (above / "mine").symlink_to(roots)
        place = above / "mine/backups"
    else:
        place.mkdir()
        os.chown(place, 4711, 4711)
    os.chown(above, pwd.getpwnam("nobody").pw_uid, -1)
    before = os.stat(place)
    assert before.st_uid != pwd.getpwnam("nobody").pw_uid
    for check in (True, False):
        with pytest.raises(PecError, match=str(above)):
            sets.prepare(str(place), "nobody", "root", check=check)
    assert (os.stat(place).st_uid, os.stat(place).st_mode) == (before.st_uid, before.st_mode)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives directories away")
@pytest.mark.parametrize("above", ["root", "nobody"])
def test_the_directory_of_backups_is_made_for_its_owner(tmp_path: Path, above: str) -> None:
    shutil.chown(tmp_path, above)
    place = tmp_path / "a/b"
    nobody = pwd.getpwnam("nobody").pw_uid
    assert sets.prepare(str(place), "nobody", "root", check=True) and not (tmp_path / "a").exists()
    assert sets.prepare(str(place), "nobody", "root")
    assert (place.stat().st_uid, place.stat().st_mode & 0o7777, (tmp_path / "a").stat().st_mode & 0o7777) == (nobody, 0o700, 0o755)
    for wrong in (lambda: place.chmod(0o755), lambda: os.chown(place, 0, 0)):
        assert not sets.prepare(str(place), "nobody", "root")
        wrong()
        assert sets.prepare(str(place), "nobody", "root", check=True) and sets.prepare(str(place), "nobody", "root")
        assert (place.stat().st_uid, place.stat().st_mode & 0o7777) == (nobody, 0o700)
    with pytest.raises(PecError, match="create that account"):
        sets.prepare(str(place), "ninguém", "root")
    with pytest.raises(PecError, match="No such file"):
        (tmp_path / "gone").symlink_to(tmp_path / "no/where") if above == "root" else None
        sets.prepare(str(tmp_path / "gone/backups") if above == "root" else "/proc/none/backups", "nobody", "root")
