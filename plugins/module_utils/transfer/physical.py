# SPDX-License-Identifier: GPL-3.0-or-later
"""A cluster of PostgreSQL copied as it is on the disk: once while it works, then what changed since. Private to the collection.

The copy grows beside the target's data directory and takes its place when it is proven whole. rsync runs as the account of the target's
PostgreSQL, which executes what is in a data directory anyway, and gets the connection from root, without the key.
"""

from __future__ import annotations

import json
import os
import pwd
import re
import stat
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from ansible_collections.esus.pec.plugins.module_utils.errors import PecError, printable
from ansible_collections.esus.pec.plugins.module_utils.system import clock, files, host, locks
from ansible_collections.esus.pec.plugins.module_utils.system.directory import opened
from ansible_collections.esus.pec.plugins.module_utils.system.pipeline import Pipeline, Stage
from ansible_collections.esus.pec.plugins.module_utils.transfer import control, link

STATE = "/var/lib/esus-pec/transfer/physical.json"
LOCK = "physical-copy"
FIRST, FINAL, NONE = "first", "final", "none"
_INCOMING, _KEPT = ".esus-pec-incoming", ".esus-pec-replaced-"
_VANISHED = 24  # exit code of rsync: files were removed while it read, as a working server does
_ATTEMPTS = 3
_MARGIN = 60  # seconds
_LONGEST_OUTPUT = 256 << 20
_COPIED = ("/PG_VERSION", "/base/***", "/global/***", "/pg_*/***")
_NOT_COPIED = ("/pg_hba*", "/pg_ident*", "/pg_log", "/pg_stat_tmp/*", "/pg_*.conf*", "pgsql_tmp*", "*.esus-pec*")
_OF_POSTGRESQL = re.compile(r"base|global|pg_(?!hba|ident).*|PG_VERSION|log|current_logfiles.*|postmaster\..*|.*\.partial|\..*")
_BEGINS_RECOVERY = ("backup_label", "tablespace_map", "recovery.conf", "recovery.signal", "standby.signal")
_LISTED = re.compile(r"(.)\S{9,11}\s+([\d,.]+) \d{4}/\d\d/\d\d \d\d:\d\d:\d\d (.*)")
_KINDS = {"l": "a symbolic link"}
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")


@dataclass(frozen=True)
class Rsync:
    """The daemon on the source's loopback, and its module with the data directory."""

    port: int
    user: str
    password: str = field(repr=False)
    module: str

    @property
    def url(self) -> str:
        """What rsync is given; the connection itself is made by root."""
        return f"rsync://{self.user}@localhost/{self.module}/"


@dataclass(frozen=True)
class Desired:
    """C(bandwidth) is in KiB per second, 0 for no limit."""

    ssh: link.Ssh
    rsync: Rsync
    data_directory: str
    which: str
    bandwidth: int = 0


@dataclass(frozen=True)
class Target:
    """The target's cluster: its data directory without links, the account of its server, its version and control file."""

    path: str
    account: str
    uid: int
    gid: int
    mode: int
    version: str
    control: control.Control
    program: str

    @property
    def incoming(self) -> str:
        """Where the copy grows."""
        return self.path + _INCOMING


@dataclass(frozen=True)
class Listed:
    """The source's data directory: how many files, their bytes, and names that cannot be copied."""

    files: int
    bytes: int
    refused: tuple[str, ...]


@dataclass(frozen=True)
class Copied:
    """C(action) is first, final or none; C(transferred_bytes) what crossed the network, as rsync counts it."""

    action: str
    control: control.Control
    files: int = 0
    bytes: int = 0
    transferred_bytes: int = 0
    kept: str = ""


def copy(desired: Desired, *, check: bool = False) -> Copied:
    """Do one of the two passes. Any failure leaves the target's data directory as it is. Raises PecError."""
    _require_sound(desired)
    if check:
        return _copy(desired, check=True)
    with locks.lock(LOCK, run=f"physical_copy, pass {desired.which}"):
        _end_switch(desired)
        return _copy(desired, check=False)


def _copy(desired: Desired, *, check: bool) -> Copied:
    target = _target(desired)
    running = _running(target.path)
    if desired.which == FINAL and running:
        raise PecError(f"the PostgreSQL of {target.path} runs on this host (process {running}); stop it, then run again")
    source = _source_control(desired, target)
    different = control.differences(source, target.control)
    if different:
        raise PecError(
            f"the files of the source's PostgreSQL cannot be used on this host: {'; '.join(different)}; use another way of transfer"
        )
    if desired.which == FINAL and source.state != control.SHUT_DOWN:
        raise PecError(f"the source's PostgreSQL is not stopped (its control file has {source.state!r}); stop it there, then run again")
    if desired.which == FINAL and not running and source.same_as(target.control):
        return Copied(NONE, source)
    listed = _list(desired, target)
    if listed.refused:
        raise PecError(
            f"the source's data directory has what cannot be copied with it: {'; '.join(listed.refused[:10])}; tablespaces and a log of "
            "changes outside the directory need another way of transfer"
        )
    _require_room(target, listed)
    if check:
        return Copied(desired.which, source, listed.files, listed.bytes)
    return _first(desired, target, source, listed) if desired.which == FIRST else _final(desired, target, source, listed)


def _first(desired: Desired, target: Target, source: control.Control, listed: Listed) -> Copied:
    _forget()
    began = time.monotonic()
    transferred = _transfer(desired, target, ["--checksum"])
    _distrust_recent(target.incoming, time.monotonic() - began)
    _remember({"data_directory": target.path, "identifier": source.identifier, "complete": True})
    return Copied(FIRST, source, listed.files, listed.bytes, transferred)


def _final(desired: Desired, target: Target, source: control.Control, listed: Listed) -> Copied:
    state = _remembered()
    whole = state.get("complete") is True and (state.get("data_directory"), state.get("identifier")) == (target.path, source.identifier)
    _forget()
    # Without a first pass that ended, a file may have been read while it was written: its time proves nothing.
    transferred = _transfer(desired, target, [] if whole else ["--checksum"])
    after = _source_control(desired, target)
    copied = control.read(files.read_bytes(f"{target.incoming}/global/pg_control", control.LONGEST), target.program, "the copy")
    if not (copied.same_as(source) and copied.same_as(after)):
        raise PecError(
            "the copy is not what the source has: its PostgreSQL was started meanwhile, or another answered in its place; make sure that "
            "it stays stopped, then run again"
        )
    _require_plain(target.incoming, target.uid)
    _keep_own_files(target)
    kept = f"{target.path}{_KEPT}{clock.compact()}"
    os.sync()
    if _running(target.path):
        raise PecError(f"the PostgreSQL of {target.path} was started on this host meanwhile; stop it, then run again")
    _remember({"data_directory": target.path, "kept": kept})
    _switch(target.path, kept)
    return Copied(FINAL, source, listed.files, listed.bytes, transferred, kept)


def _switch(path: str, kept: str) -> None:
    if os.path.lexists(path):
        files.rename(path, kept)
    try:
        files.rename(path + _INCOMING, path)
    except BaseException:
        files.rename(kept, path)
        raise
    _forget()


def _end_switch(desired: Desired) -> None:
    """Complete what a run that was killed between two renames had proven and begun."""
    state = _remembered()
    path, kept = str(state.get("data_directory", "")), str(state.get("kept", ""))
    if kept and path == files.resolve(desired.data_directory) and not os.path.lexists(path) and os.path.lexists(kept):
        _switch(path, kept)


def _target(desired: Desired) -> Target:
    path = files.resolve(desired.data_directory)
    if not files.is_directory(path):
        raise PecError(f"{desired.data_directory} is no directory on this host; give the data directory of its PostgreSQL")
    with opened(path) as here, opened(os.path.dirname(path)) as above:
        status, parent = (os.stat(".", dir_fd=each.descriptor) for each in (here, above))
    if status.st_dev != parent.st_dev:
        raise PecError(f"{path} is a file system of its own, which cannot be replaced by a rename; use another way of transfer")
    try:
        account = pwd.getpwuid(status.st_uid).pw_name
    except KeyError:
        account = ""
    if not account or status.st_uid == 0:
        raise PecError(f"{path} does not belong to an account of PostgreSQL; give the data directory of its server")
    version = files.read_text_lenient(f"{path}/PG_VERSION", 100).strip()
    if not re.fullmatch(r"\d+(?:\.\d+)?", version):
        raise PecError(f"{path}/PG_VERSION has no version of PostgreSQL; give the data directory of its server")
    program = control.find_program(version)
    found = control.read(files.read_bytes(f"{path}/global/pg_control", control.LONGEST), program, "this host")
    return Target(path, account, status.st_uid, status.st_gid, stat.S_IMODE(status.st_mode) & 0o750, version, found, program)


def _running(path: str) -> int | None:
    """Return the process of the server whose data directory this is. Its file of that may be left from one that was killed."""
    try:
        first = files.read_text_lenient(f"{path}/postmaster.pid", 1 << 16).partition("\n")[0].strip()
    except PecError:
        return None
    try:
        return int(first) if first.isdigit() and os.path.realpath(f"/proc/{int(first)}/cwd") == path else None
    except OSError:
        return None


def _source_control(desired: Desired, target: Target) -> control.Control:
    """Fetch the control file of the source. While its server works it may be read half written, so that is tried again."""
    filters = ["--include=/PG_VERSION", "--include=/global/", "--include=/global/pg_control", "--exclude=*", "--prune-empty-dirs"]
    for attempt in range(_ATTEMPTS):
        with files.private_directory() as directory:
            files.give(directory, target.uid, target.gid)
            _rsync(desired, target, ["-rt", "--chmod=D0700,F0600", "--max-size=64K", *filters, desired.rsync.url, f"{directory}/"])
            if not os.path.isfile(f"{directory}/global/pg_control"):
                raise PecError(
                    f"what the source serves as {desired.rsync.module!r} is no data directory of PostgreSQL; correct its path there"
                )
            version = files.read_text_lenient(f"{directory}/PG_VERSION", 100).strip()
            data = files.read_bytes(f"{directory}/global/pg_control", control.LONGEST)
        if version != target.version:
            raise PecError(f"the source has PostgreSQL {printable(version)} and this host {target.version}; use another way of transfer")
        try:
            return control.read(data, target.program, "the source")
        except PecError:
            if attempt == _ATTEMPTS - 1:
                raise
    raise AssertionError("the last attempt returns or raises")


def _filters() -> list[str]:
    return [*(f"--exclude={each}" for each in _NOT_COPIED), *(f"--include={each}" for each in _COPIED), "--exclude=/*"]


def _list(desired: Desired, target: Target) -> Listed:
    output = _rsync(desired, target, ["-rlD", "--list-only", "--no-human-readable", *_filters(), desired.rsync.url])
    return parse_list(output)


def parse_list(output: str) -> Listed:
    """Return what rsync --list-only printed."""
    count = total = 0
    refused = []
    for line in output.splitlines():
        match = _LISTED.fullmatch(line)
        if not match:
            continue
        kind, size, name = match.groups()
        if kind == "-":
            count += 1
            total += int(re.sub(r"\D", "", size))
        elif kind != "d":
            refused.append(printable(f"{name.partition(' -> ')[0]} is {_KINDS.get(kind, 'a special file')}"))
    return Listed(count, total, tuple(refused))


def _require_room(target: Target, listed: Listed) -> None:
    already = sum(entry.status.st_blocks * 512 for entry in files.walk(target.incoming)) if os.path.lexists(target.incoming) else 0
    spare = host.disk_usage(os.path.dirname(target.path)).spare_bytes
    if listed.bytes > already + spare:
        raise PecError(
            f"the copy beside {target.path} has {host.describe_size(listed.bytes)}, and only {host.describe_size(already + spare)} are "
            "free for it; make room, or use another way of transfer"
        )


def _transfer(desired: Desired, target: Target, options: Sequence[str]) -> int:
    """Bring the copy to what the source has, and return how many bytes that took."""
    if not os.path.lexists(target.incoming):
        files.make_directory(target.incoming, mode=0o700, uid=target.uid, gid=target.gid)
    limit = [f"--bwlimit={desired.bandwidth}"] if desired.bandwidth else []
    flags = [
        "-rtp",
        "--chmod=D0700,F0600",
        "--delete-during",
        "--delete-excluded",
        "--force",
        "--partial",
        "--stats",
        "--no-human-readable",
    ]
    argv = [*flags, *options, *limit, *_filters(), desired.rsync.url, f"{target.incoming}/"]
    output = _rsync(desired, target, argv, vanish=desired.which == FIRST)
    match = re.search(r"^Total bytes received: (\d+)", output, re.MULTILINE)
    return int(match.group(1)) if match else 0


def _rsync(desired: Desired, target: Target, arguments: Sequence[str], *, vanish: bool = False) -> str:
    """Run rsync as the account of PostgreSQL, on a connection of root's."""
    with link.joined(desired.ssh, desired.rsync.port, target.uid) as connection:
        variables = {"RSYNC_PASSWORD": desired.rsync.password, "RSYNC_CONNECT_PROG": connection.connect_program}
        stage = Stage(["rsync", *arguments], variables, target.account, connection.descriptors, secret=True)
        program = Pipeline([stage], collect=True, secrets=[desired.rsync.password])
        try:
            with program:
                output = program.output.read(_LONGEST_OUTPUT + 1)
                if len(output) > _LONGEST_OUTPUT:
                    raise PecError("the source's data directory has more names than can be listed; use another way of transfer")
        except PecError as error:
            if vanish and program.returncodes == [_VANISHED]:
                return output.decode("utf-8", "replace")
            reason = _why(program.returncodes[0], program.lines("rsync"), desired) or connection.reason() or str(error)
            raise PecError(f"rsync from the source failed: {reason}; nothing was replaced on this host, and another run resumes") from None
        return output.decode("utf-8", "replace")


def _why(code: int | None, lines: Sequence[str], desired: Desired) -> str:
    """Return the cause if it is one that the operator can end; C(code) is rsync's exit code."""
    text = "\n".join(lines)
    if "auth failed" in text:
        return f"the daemon does not accept the password of {desired.rsync.user!r} for {desired.rsync.module!r}; give transfer_access's"
    if "Unknown module" in text:
        return f"the daemon does not serve {desired.rsync.module!r}; give it to transfer_access in directories"
    if "No space left" in text:
        return "the disk of this host is full; make room"
    if code == _VANISHED:
        return "files vanished while they were read, so the source's PostgreSQL works; stop it"
    return ""


def _distrust_recent(directory: str, seconds: float) -> None:
    """Have the final pass compare the files again that were written while the first one may have read them.

    A file that is written again within a second keeps its time, so the same time and size do not prove the same content. Only the newest
    time is known of the source's clock; everything that was written as long before as the pass took, and a margin, counts as recent.
    """
    newest = 0.0
    for entry in files.walk(directory):
        newest = max(newest, entry.status.st_mtime if stat.S_ISREG(entry.status.st_mode) else 0.0)
    for entry in files.walk(directory):
        if stat.S_ISREG(entry.status.st_mode) and entry.status.st_mtime >= newest - seconds - _MARGIN:
            os.utime(entry.place(), (0, 0), follow_symlinks=False)


def _require_plain(directory: str, uid: int) -> None:
    for entry in files.walk(directory):
        kind = entry.status.st_mode
        if (
            not (stat.S_ISREG(kind) or stat.S_ISDIR(kind))
            or entry.status.st_uid != uid
            or (stat.S_ISREG(kind) and entry.status.st_nlink > 1)
        ):
            raise PecError(
                f"{entry.path} in the copy is not a plain file of PostgreSQL's account; remove {directory}, then run both passes again"
            )


def _keep_own_files(target: Target) -> None:
    """Copy the target's own configuration into the copy: whatever is in its data directory that PostgreSQL does not make itself."""
    with opened(target.path) as here:
        names = [name for name in here.names() if not _OF_POSTGRESQL.fullmatch(name) and name not in _BEGINS_RECOVERY]
    for name in names:
        place, copied = f"{target.path}/{name}", f"{target.incoming}/{name}"
        if os.path.isdir(place) and not os.path.islink(place):
            files.remove_tree(copied)
            files.copy_tree(place, copied)
            files.give(copied, target.uid, target.gid)
        elif os.path.isfile(place) and not os.path.islink(place):
            files.copy(place, copied)
    with opened(target.incoming) as here:
        os.chmod(".", target.mode or 0o700, dir_fd=here.descriptor)


def _require_sound(desired: Desired) -> None:
    for name, value in (("user", desired.rsync.user), ("module", desired.rsync.module)):
        if not _NAME.fullmatch(value):
            raise PecError(f"rsync.{name} {value!r} is no name that transfer_access gives; correct it")
    if not 0 < desired.rsync.port < 65536:
        raise PecError(f"rsync.port {desired.rsync.port} is no port; give a number from 1 to 65535")
    if desired.bandwidth < 0:
        raise PecError("bandwidth is negative; give KiB per second, or 0 for no limit")


def _remembered() -> dict[str, object]:
    try:
        found = json.loads(files.read_bytes(STATE))
    except (PecError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _remember(state: dict[str, object]) -> None:
    files.make_private(os.path.dirname(STATE))
    files.write_atomic(STATE, json.dumps(state).encode(), mode=0o600)


def _forget() -> None:
    files.unlink(STATE)
