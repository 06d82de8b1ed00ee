# SPDX-License-Identifier: GPL-3.0-or-later
"""Copies directories that the source serves by rsync, through SSH. Private to the collection.

The program has no rights here but to the directory that it fills: a server can make it do more than it was told to.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.esus.pec.plugins.module_utils.carrying import names
from ansible_collections.esus.pec.plugins.module_utils.carrying.names import Limits
from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.system import confinement, files, host, process
from ansible_collections.esus.pec.plugins.module_utils.system.directory import Directory, opened
from ansible_collections.esus.pec.plugins.module_utils.transfer import link

OPTIONS: dict[str, Any] = {
    "type": "dict",
    "options": {
        "port": {"type": "int", "required": True},
        "user": {"type": "str", "required": True},
        "password": {"type": "str", "required": True, "no_log": True},
        "modules": {
            "type": "list",
            "elements": "dict",
            "required": True,
            "options": {"name": {"type": "str", "required": True}, "path": {"type": "path", "required": True}},
        },
    },
}
"""The option C(rsync), documented in the module."""

_NAME = re.compile(r"[\w.-]+", re.ASCII)
_COUNT = re.compile(r"^Number of regular files transferred: (\d{1,18})$", re.MULTILINE)
_BYTES = re.compile(r"^Total transferred file size: (\d{1,18}) bytes$", re.MULTILINE)
_ARRIVED_PARTLY = (23, 24)  # exit codes: some files could not be read; some vanished
_PROBLEM = re.compile(r'rsync: \[sender\] .*?"/?(?P<path>.*)"(?: \(in [^)]*\))?: (?P<reason>[^(]*)')
_NO_FILE = re.compile(r'skipping non-regular file "(?P<path>.*)"')
_SECONDS_WITHOUT_DATA = 120
_MOST_PROBLEMS = 1000


@dataclass(frozen=True)
class Rsync:
    """The daemon on the source's loopback, and which of its modules serves which path there."""

    port: int
    user: str
    password: str = field(repr=False)
    modules: Mapping[str, str]


def rsync_from(options: Mapping[str, Any] | None) -> Rsync | None:
    """Return the daemon in a module's option C(rsync). Raises PecError for a name that could be no module's."""
    if options is None:
        return None
    modules = {os.path.normpath(module["path"]): module["name"] for module in options["modules"]}
    for name in (*modules.values(), options["user"]):
        if not _NAME.fullmatch(name):
            raise PecError(f"rsync: {name!r} is no name of a module or user; letters, digits, '-', '_' and '.' are allowed")
    return Rsync(options["port"], options["user"], options["password"], modules)


def copy(
    ssh: link.Ssh,
    rsync: Rsync,
    path: str,
    here: Directory,
    *,
    most_bytes: int,
    timeout: float,
    mirror: bool = False,
    files_only: Sequence[str] = (),
) -> list[tuple[str, str]]:
    """Fill a directory with what a module serves; return what could not be read there, and why.

    mirror: remove from the directory what the module does not have. files_only: only files of these names. Links and devices are left out,
    and files with more bytes than C(most_bytes). An interrupted file is continued by the next run. Raises PecError when the source is not
    reached or refuses.
    """
    options = ["--recursive", "--times", "--omit-dir-times", "--partial", "--chmod=D0700,F0600", f"--max-size={most_bytes}"]
    if mirror:
        options.append("--delete")
    if files_only:
        options += [f"--include=/{name}" for name in files_only] + ["--exclude=*"]
    return _run(ssh, rsync, path, options, here, timeout, room_left(os.readlink(_place(here))))[1]


def room_left(place: str) -> Callable[[], None]:
    """Return what raises PecError when a disk has too little room left: a server may send more than it listed."""

    def require() -> None:
        disk = host.disk_usage(place)
        if disk.spare_bytes < 0:
            raise PecError(f"only {host.describe_size(disk.free_bytes)} are free at {place}; make room there, then run again")

    return require


def listing(ssh: link.Ssh, rsync: Rsync, path: str, timeout: float) -> dict[str, int]:
    """Return the regular files that a module serves, and their sizes."""
    text, _problems = _run(ssh, rsync, path, ["--recursive", "--list-only", "--no-human-readable"], None, timeout)
    words = [line.split(maxsplit=4) for line in text.splitlines()]
    return {each[4]: int(each[1]) for each in words if len(each) == 5 and each[0].startswith("-") and each[1].isdigit()}


def counted(ssh: link.Ssh, rsync: Rsync, path: str, *, most_bytes: int, timeout: float) -> tuple[int, int]:
    """Return how many files that are not too large a module serves, and how many bytes they have. A list of them might be endless."""
    options = ["--recursive", "--dry-run", "--stats", "--no-human-readable", f"--max-size={most_bytes}"]
    with files.private_directory() as private, opened(private) as here:
        lend(here)
        text, _problems = _run(ssh, rsync, path, options, here, timeout)
    found = [_COUNT.search(text), _BYTES.search(text)]
    if None in found:
        raise PecError(f"rsync does not say how many files {names.shown(path)} on the source holds; update rsync there")
    return int(found[0][1]) if found[0] else 0, int(found[1][1]) if found[1] else 0


def small(ssh: link.Ssh, rsync: Rsync, path: str, limits: Limits, timeout: float) -> list[tuple[str, str]]:
    """Return the files that are too large to be copied, and why. Raises PecError when a module serves more than the limits allow."""
    sizes = listing(ssh, rsync, path, timeout)
    large = [(name, f"it has more than {limits.file >> 20} MiB") for name, size in sizes.items() if size > limits.file]
    if len(sizes) > limits.names or sum(size for size in sizes.values() if size <= limits.file) > limits.total:
        raise PecError(
            f"{names.shown(path)} on the source holds more than {limits.names} files or {limits.total >> 20} MiB; look at what is in it, "
            "and move away what is not PEC's"
        )
    return large


def _run(
    ssh: link.Ssh,
    rsync: Rsync,
    path: str,
    options: Sequence[str],
    here: Directory | None,
    timeout: float,
    meanwhile: Callable[[], None] | None = None,
) -> tuple[str, list[tuple[str, str]]]:
    argv = ["rsync", *options, f"--timeout={_SECONDS_WITHOUT_DATA}", "--no-motd", "--8-bit-output"]
    argv += ["--", f"rsync://{rsync.user}@localhost/{rsync.modules[path]}/", *(["."] if here else [])]
    with link.joined(ssh, rsync.port, confinement.owner()) as connection:
        environment = {"RSYNC_CONNECT_PROG": connection.connect_program, "RSYNC_PASSWORD": rsync.password}
        # rsync begins in the directory, because it cannot enter those above, which since 3.5 it does one by one for any other name.
        ended = process.run(
            argv,
            timeout=timeout,
            env=environment,
            cwd=_place(here) if here else None,
            confined=True,
            pass_fds=connection.descriptors,
            meanwhile=meanwhile,
        )
        said = connection.reason() if ended.returncode else ""
    found = [_PROBLEM.match(line) for line in ended.stderr.splitlines()]
    problems = [(each["path"], each["reason"].strip()) for each in found if each]
    odd = [_NO_FILE.match(line) for line in ended.stdout.splitlines()]
    problems += [(each["path"], "it is a link, or no regular file") for each in odd if each]
    if ended.returncode and not (ended.returncode in _ARRIVED_PARTLY and problems):
        lines = [line for line in ended.stderr.splitlines() if line.strip()]
        raise PecError(
            f"rsync from {names.shown(path)} on the source failed: {said or names.shown(lines[0] if lines else str(ended.returncode))}"
        )
    return ended.stdout, problems[:_MOST_PROBLEMS]


def _place(here: Directory) -> str:
    return f"/proc/self/fd/{here.descriptor}"


def lend(here: Directory) -> None:
    """Give a directory to the account without rights, so that it can be filled."""
    if confinement.active():
        os.chown(".", confinement.uid(), confinement.uid(), dir_fd=here.descriptor)
