# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs rclone with a configuration that is never on a disk. Private to the collection."""

from __future__ import annotations

import configparser
import json
import os
import re
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from ansible_collections.esus.pec.plugins.module_utils.errors import PecError, printable
from ansible_collections.esus.pec.plugins.module_utils.redact import looks_secret
from ansible_collections.esus.pec.plugins.module_utils.system import confinement, process
from ansible_collections.esus.pec.plugins.module_utils.system.pipeline import Pipeline, Stage

# A name of the configuration and a path. No connection string, whose options could take an encrypted remote's encryption away.
_REMOTE = re.compile(r"(?P<name>[\w.+@][\w.+@ -]*):(?P<path>[^\x00-\x1f]*)")
_STAMP = re.compile(r"^\d{4}/\d\d/\d\d \d\d:\d\d:\d\d (?:[A-Z]+ *: )?")
_NO_DIRECTORY = 3  # exit codes of rclone
_NO_FILE = 4
_SHOWN = 500


@dataclass(frozen=True)
class Remote:
    """A place of rclone's. C(config) is the text of an rclone.conf, C(sections) its remotes."""

    text: str
    name: str
    sections: Mapping[str, Mapping[str, str]]

    @property
    def encrypts(self) -> bool:
        """Whether what is written there is encrypted by rclone."""
        own = self.sections[self.name]
        return own.get("type") == "crypt" and own.get("no_data_encryption", "false").lower() in ("", "false", "0", "f")

    @property
    def secrets(self) -> list[str]:
        """The secret values of the configuration."""
        pairs = (pair for section in self.sections.values() for pair in section.items())
        return [value for key, value in pairs if looks_secret(key, value) or key in ("pass", "token", "key_pem")]

    def at(self, name: str) -> str:
        """The place of a file."""
        return f"{self.text.rstrip('/')}{'' if self.text.endswith(':') else '/'}{name}"


def parse(text: str, config: str) -> Remote:
    """Return the remote of this text, such as nuvem:pec. Raises PecError, without quoting the configuration."""
    found = _REMOTE.fullmatch(text)
    if found is None:
        raise PecError(f"the remote {text!r} is not NAME:PATH with a name of rclone.conf, such as nuvem:pec/agua-clara")
    if "RCLONE_ENCRYPT_V0" in config:
        raise PecError("the configuration of rclone is encrypted by rclone; give it decrypted, in a variable that ansible-vault encrypted")
    parser = configparser.RawConfigParser(strict=False, delimiters=("=",), comment_prefixes=("#", ";"))
    try:
        parser.read_string(config)
    except configparser.Error:
        raise PecError("the configuration is not one of rclone; give the text that 'rclone config show' prints") from None
    sections = {name: dict(parser.items(name)) for name in parser.sections()}
    if not sections.get(found["name"], {}).get("type"):
        names = ", ".join(sorted(map(printable, sections))) or "none"
        raise PecError(f"the configuration of rclone has no remote {found['name']!r}; it has {names}")
    return Remote(text, found["name"], sections)


@dataclass(frozen=True)
class File:
    """A file at a remote. C(changed) is the time of its last change, C(hashes) are the checksums that the remote knows."""

    bytes: int
    changed: str
    hashes: Mapping[str, str]


class Rclone:
    """rclone with this configuration, in a C(with) block. C(timeout) is in seconds, for each program, and C(stall) without any
    data; 0 leaves the latter to rclone."""

    def __init__(self, config: str, *, bandwidth: str = "", stall: float = 0, timeout: float) -> None:
        self._options = [*(["--bwlimit", bandwidth] if bandwidth else []), *(["--timeout", f"{stall:g}s"] if stall else [])]
        self._timeout = timeout
        self._handle = os.memfd_create("rclone.conf")
        os.write(self._handle, config.encode())

    def __enter__(self) -> Rclone:
        return self

    def __exit__(self, *_error: object) -> None:
        os.close(self._handle)

    def run(self, *arguments: str, stdin: str | None = None) -> process.Completed:
        """Run it to its end; the caller judges the exit code."""
        return process.run(self._argv(*arguments), timeout=self._timeout, stdin=stdin, pass_fds=(self._handle,))

    def done(self, what: str, *arguments: str) -> str:
        """Return its output. Raises PecError if it fails."""
        ended = self.run(*arguments)
        if ended.returncode != 0:
            raise PecError(f"{what} failed: {reason(ended)}")
        return ended.stdout

    def sizes(self, remote: Remote) -> dict[str, int]:
        """Return the files of the directory, and their sizes. It need not exist."""
        ended = self.run("lsjson", "--files-only", remote.text)
        if ended.returncode == _NO_DIRECTORY:
            return {}
        if ended.returncode != 0:
            raise PecError(f"{remote.text} cannot be listed: {reason(ended)}; check the remote's credentials and the network")
        return {str(entry["Name"]): int(str(entry["Size"])) for entry in _listed(ended.stdout, remote)}

    def file(self, remote: Remote) -> File:
        """Return what is known of the file. Raises PecError if there is none."""
        ended = self.run("lsjson", "--stat", "--hash", "--no-mimetype", remote.text)
        if ended.returncode in (_NO_DIRECTORY, _NO_FILE) or (ended.returncode == 0 and ended.stdout.strip() in ("", "null")):
            raise PecError(f"{remote.text} does not exist; check the path, and that its upload has ended")
        if ended.returncode != 0:
            raise PecError(f"{remote.text} cannot be found: {reason(ended)}; check the remote's credentials and the network")
        (entry,) = _listed(f"[{ended.stdout}]", remote)
        size = int(str(entry.get("Size", -1)))
        if entry.get("IsDir") or size < 0:
            raise PecError(f"{remote.text} is not a file of a known size; give the path of the file itself")
        hashes = cast("Mapping[object, object]", entry.get("Hashes") or {})
        return File(size, str(entry.get("ModTime", "")), {str(name).lower(): str(value).lower() for name, value in hashes.items()})

    def head(self, remote: Remote, size: int) -> bytes:
        """Return the first bytes of the file. Raises PecError if it cannot be read."""
        with self._reading(remote, 0, size, None) as pipeline:
            return pipeline.output.read(size)

    def copy(self, remote: Remote, descriptor: int, offset: int, count: int) -> str:
        """Write this many bytes of the file, from the offset, to a descriptor; return why it ended too early, if it did."""
        try:
            with self._reading(remote, offset, count, descriptor) as pipeline:
                timer = threading.Timer(self._timeout, pipeline.kill)
                timer.daemon = True
                timer.start()
                try:
                    pipeline.wait()
                finally:
                    timer.cancel()
        except PecError as error:
            return _STAMP.sub("", str(error))[:_SHOWN]
        return ""

    def _reading(self, remote: Remote, offset: int, count: int, descriptor: int | None) -> Pipeline:
        argv = self._argv("cat", "--offset", str(offset), "--count", str(count), remote.text)
        stage = Stage(argv, user="root" if confinement.active() else None, pass_fds=(self._handle,))
        return Pipeline([stage], stdout=descriptor, collect=descriptor is None)

    def _argv(self, *arguments: str) -> list[str]:
        return ["rclone", "--config", f"/dev/fd/{self._handle}", "--ask-password=false", "--copy-links", *self._options, *arguments]

    def hashes(self, remote: Remote) -> list[str]:
        """Return the kinds of checksums that the remote has."""
        content = json.loads(self.done(f"asking {remote.text} for its features", "backend", "features", remote.text))
        return [str(name) for name in cast("Sequence[object]", content.get("Hashes") or [])]

    def different(self, directory: str, remote: Remote, names: Sequence[str], *, download: bool) -> list[str]:
        """Return which of these files of the directory are not the same at the remote, by checksum or by their content."""
        options = ["--one-way", "--combined", "-", "--files-from-raw", "-", *(["--download"] if download else [])]
        ended = self.run("check", directory, remote.text, *options, stdin="".join(f"{name}\n" for name in names))
        same = {line[2:] for line in ended.stdout.splitlines() if line.startswith("= ")}
        return [name for name in names if name not in same]


def reason(ended: process.Completed) -> str:
    """Return the last thing that rclone wrote."""
    lines = [line for line in ended.stderr.splitlines() if line.strip()]
    return printable(_STAMP.sub("", lines[-1]))[:_SHOWN] if lines else f"exit code {ended.returncode}"


def _listed(text: str, remote: Remote) -> Sequence[Mapping[str, object]]:
    try:
        found = json.loads(text)
    except ValueError:
        raise PecError(f"{remote.text}: rclone's list is not JSON; update rclone") from None
    return cast("Sequence[Mapping[str, object]]", found)
