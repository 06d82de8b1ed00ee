# SPDX-License-Identifier: GPL-3.0-or-later
"""Watches the server's disk while a dump is loaded, because PostgreSQL may stop on a full disk. Private to the collection."""

from __future__ import annotations

import threading
from collections.abc import Callable

from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.system import host

_SECONDS = 0.2


class DiskGuard:
    """Calls on_low once, from a thread, when too little is free at C(path). With None it does nothing."""

    def __init__(self, path: str | None, on_low: Callable[[str], None]) -> None:
        self._path, self._on_low = path, on_low
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> DiskGuard:
        if self._path is not None:
            self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._over.set()
        if self._path is not None:
            self._thread.join()

    def _watch(self) -> None:
        while not self._over.wait(_SECONDS):
            reason = low(self._path or "/")
            if reason:
                self._on_low(reason)
                return


def low(path: str) -> str:
    """Return why the free space is too little; empty if it is enough or unknown."""
    try:
        disk = host.disk_usage(path)
    except PecError:
        return ""
    if disk.spare_bytes >= 0:
        return ""
    left = f"only {host.describe_size(disk.free_bytes)} are free at {path}"
    return f"the restore was stopped before the server's disk was full: {left}; make room there and run it again"
