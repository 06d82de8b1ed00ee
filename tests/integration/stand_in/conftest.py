# SPDX-License-Identifier: GPL-3.0-or-later
"""The two servers on which the stand-in itself is tested."""

from __future__ import annotations

from typing import Any

import pytest
from pec_host import GENERATE_LOCALE, PACKAGES, PecHost


@pytest.fixture(scope="module")
def bundled(start_server: Any, jar: Any) -> PecHost:
    """A Debian 12 that has everything but the locale."""
    host = PecHost(start_server("esus-pec-standin-bundled", "debian12"))
    host.prepare(f"{PACKAGES} postgresql-client")
    for version in ("5.4.36", "5.4.37"):
        host.server.copy(jar(version), f"/srv/{version}.jar")
    return host


@pytest.fixture(scope="module")
def external(start_server: Any, jar: Any) -> PecHost:
    """A Debian 13 with the distribution's PostgreSQL as it comes: SCRAM for everyone."""
    host = PecHost(start_server("esus-pec-standin-external", "debian13"))
    host.prepare(f"{PACKAGES} postgresql")
    host.sh(GENERATE_LOCALE)
    for version in ("5.3.28", "5.4.37", "5.5.28"):
        host.server.copy(jar(version), f"/srv/{version}.jar")
    host.database = ["-url=jdbc:postgresql://127.0.0.1:5432/esus", "-username=esus", "-password=s3nha-do-banco"]
    for statement in (
        "create role esus login createdb password 's3nha-do-banco'",
        "create database esus owner esus encoding 'UTF8' template template0",
        "create database outro owner esus",
    ):
        host.run("runuser", "-u", "postgres", "--", "psql", "-qc", statement)
    return host
