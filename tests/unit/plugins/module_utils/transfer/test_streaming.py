# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from dataclasses import replace

import pytest

from ansible_collections.esus.pec.plugins.module_utils.postgres import psql
from ansible_collections.esus.pec.plugins.module_utils.postgres.psql import Connection
from ansible_collections.esus.pec.plugins.module_utils.transfer import streaming

HERE = Connection("127.0.0.1", 5432, "esus", "esus", "x")
TUNNEL = replace(HERE, host="/run/tunnel")


@pytest.mark.parametrize(
    ("clusters", "starts", "database", "same"),
    [
        (("1", "1"), (7.25, 7.25), "esus", True),
        (("1", "1"), (7.25, 8.5), "esus", False),  # a physical copy of it
        (("1", "2"), (7.25, 7.25), "esus", False),
        (("", ""), (7.25, 7.25), "esus", False),
        (("1", "1"), (7.25, 7.25), "other", False),
    ],
)
def test_whether_a_tunnel_leads_back_to_this_server(
    monkeypatch: pytest.MonkeyPatch, clusters: tuple[str, str], starts: tuple[float, float], database: str, same: bool
) -> None:
    monkeypatch.setattr(psql, "cluster", lambda conn: clusters[conn.host == HERE.host])
    monkeypatch.setattr(psql, "query", lambda conn, _sql: starts[conn.host == HERE.host])
    assert streaming._same(replace(TUNNEL, database=database), HERE, tunnelled=True) is same
