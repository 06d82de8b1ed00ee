# SPDX-License-Identifier: GPL-3.0-or-later
"""Files: read in any encoding, and written so that they appear only when complete. Private to the collection."""

from __future__ import annotations

import contextlib
import os
import stat

from ansible_collections.esus.pec.plugins.module_utils.errors import PecError

STATE_DIRECTORY = "/etc/esus-pec"


def read_bytes(path: str) -> bytes:
    """Return the content of a file. Raises PecError when it cannot be read."""
    try:
        with open(path, "rb") as stream:
            return stream.read()
    except OSError as error:
        raise PecError(cannot("read", path, error)) from None


def read_text_lenient(path: str) -> str:
    """Return the text of a file in an unknown encoding: UTF-8 (a BOM is dropped), else Latin-1. Raises PecError when it cannot be read."""
    data = read_bytes(path)
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("latin-1")


def write_atomic(path: str, data: bytes, *, mode: int | None = None, uid: int | None = None, gid: int | None = None) -> None:
    """Replace the content of C(path) so that a reader sees the whole old file or the whole new one, even after a power cut.

    mode, uid and gid default to those of the existing file, or to 0600 and the running user for a new one. A symbolic link is
    followed. Raises PecError when the file cannot be written; the old one is then untouched.
    """
    final = os.path.realpath(path)
    partial = f"{final}.partial"
    mode, uid, gid = _resolve_ownership(final, mode, uid, gid)
    try:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(partial)
        handle = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        with os.fdopen(handle, "wb") as stream:
            stream.write(data)
            stream.flush()
            if uid is not None or gid is not None:
                os.fchown(handle, -1 if uid is None else uid, -1 if gid is None else gid)
            os.fchmod(handle, mode)
            os.fsync(handle)
        os.rename(partial, final)
        sync_directory(os.path.dirname(final))
    except OSError as error:
        with contextlib.suppress(OSError):
            os.unlink(partial)
        raise PecError(cannot("write", path, error)) from None


def _resolve_ownership(path: str, mode: int | None, uid: int | None, gid: int | None) -> tuple[int, int | None, int | None]:
    try:
        existing = os.stat(path)
    except OSError:
        return (0o600 if mode is None else mode), uid, gid
    return (
        stat.S_IMODE(existing.st_mode) if mode is None else mode,
        existing.st_uid if uid is None else uid,
        existing.st_gid if gid is None else gid,
    )


def make_private(directory: str) -> None:
    """Create a directory with mode 0700; an existing one is left alone. Raises PecError when it cannot be created."""
    try:
        os.makedirs(directory, mode=0o700, exist_ok=True)
    except OSError as error:
        raise PecError(cannot("create the directory", directory, error)) from None


def sync_directory(directory: str) -> None:
    """Wait until the names in a directory are on the disk."""
    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def cannot(verb: str, path: str, error: OSError) -> str:
    """Return the text of a PecError about a file."""
    remedy = "; run as root (become: true)" if isinstance(error, PermissionError) else ""
    return f"cannot {verb} {path}: {error.strerror}{remedy}"
