# SPDX-License-Identifier: GPL-3.0-or-later
"""A server with PEC (the stand-in), installed by hand as most servers are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

PREPARE = """
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
apt-get install -y -qq --no-install-recommends openjdk-17-jre-headless file locales postgresql-client {packages} >/dev/null
echo 'pt_BR.UTF-8 UTF-8' >> /etc/locale.gen
locale-gen >/dev/null
mkdir -p /etc/systemd/logind.conf.d
printf '[Login]\\nRemoveIPC=no\\n' > /etc/systemd/logind.conf.d/pec.conf
"""


def prepare(server: Any, *packages: str) -> None:
    """Install what the installer requires, and more packages."""
    server.run("sh", "-ec", PREPARE.format(packages=" ".join(packages)))


def install(server: Any, jar: Path) -> str:
    """Install PEC with its own PostgreSQL, wait for it, and return where the installer's jar is."""
    path = f"/srv/{jar.name}"
    server.copy(jar, path)
    server.run("sh", "-ec", f"cd /root && LC_ALL=C.UTF-8 java -jar {path} -console -continue && systemctl start e-SUS-PEC")
    wait(server)
    return path


def wait(server: Any) -> None:
    result = server.module("esus.pec.health", {"timeout": 180})
    assert not result["_failed"], result["_output"]
