# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs rclone with a configuration that is never on a disk. Private to the collection."""

from __future__ import annotations

import configparser
import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from ansible_collections.esus.pec.plugins.module_utils.errors import PecError, printable
from ansible_collections.esus.pec.plugins.module_utils.redact import looks_secret
from ansible_collections.esus.pec.plugins.module_utils.system import process

# A name of the configuration and a path. No connection string, whose options could take an encrypted remote's encryption away.
_REMOTE = re.compile(r"(?P<name>[\w.+@][\w.+@ -]*):(?P<path>[^\x00-\x1f]*)")
_STAMP = re.compile(r"^\d{4}/\d\d/\d\d \d\d:\d\d:\d\d (?:[A-Z]+ *: )?")
_NO_DIRECTORY = 3  # exit code of rclone
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


class Rclone:
    """rclone with this configuration, in a C(with) block. C(timeout) is in seconds, for each program."""

    def __init__(self, config: str, *, bandwidth: str, timeout: float) -> None:
        self._options = ["--bwlimit", bandwidth] if bandwidth else []
        self._timeout = timeout
        self._handle = os.memfd_create("rclone.conf")
        os.write(self._handle, config.encode())

    def __enter__(self) -> Rclone:
        return self

    def __exit__(self, *_error: object) -> None:
        os.close(self._handle)

    def run(self, *arguments: str, stdin: str | None = None) -> process.Completed:
        """Run it to its end; the caller judges the exit code."""
        return process.run(
            ["rclone", "--config", f"/dev/fd/{self._handle}", "--ask-password=false", "--copy-links", *self._options, *arguments],
            timeout=self._timeout,
            stdin=stdin,
            pass_fds=(self._handle,),
        )

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
