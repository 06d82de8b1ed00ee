# SPDX-License-Identifier: GPL-3.0-or-later
"""What several tests need an example of."""

from __future__ import annotations

from typing import Any

from ansible_collections.esus.pec.plugins.module_utils.archive.opening import open_dump
from ansible_collections.esus.pec.plugins.module_utils.dump import manifest as manifests
from ansible_collections.esus.pec.plugins.module_utils.dump.manifest import Manifest
from ansible_collections.esus.pec.plugins.module_utils.postgres.contents import Contents


def manifest(**changes: Any) -> Manifest:
    """The manifest of a whole dump, with these values in place of its own."""
    values: dict[str, Any] = {
        "name": "x.dump",
        "format": "custom",
        "compression": "zstd",
        "bytes": 5,
        "sha256": "0" * 64,
        "started": "2026-11-22T03:00:00Z",
        "ended": "2026-11-22T03:05:00Z",
        "duration_seconds": 300.5,
        "database": "esus",
        "host": "pec",
        "database_bytes": 1000,
        "encoding": "UTF8",
        "collation": "pt_BR.UTF-8",
        "ctype": "pt_BR.UTF-8",
        "server_version": "15.18",
        "server_version_num": 150018,
        "client_version": "17.11",
        "contents": Contents({"tables": 3}, {}, 0, "5.4.37"),
        "municipality": "Água Clara",
        "pec_version": "5.4.37",
    }
    return Manifest(**{**values, **changes})


def verify(path: str, described: Manifest) -> None:
    """Read a whole dump and compare it with its manifest."""
    with open_dump(path) as dump:
        manifests.verify(dump, described)
