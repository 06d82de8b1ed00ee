# SPDX-License-Identifier: GPL-3.0-or-later
"""Who is on the other end of a connection to PostgreSQL: real servers with TLS, and with rules that ask for clear text."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from postgres import PASSWORD, Postgres
from secret_search import in_text

DATABASE = "peer"
NAME = "db.esus.test"
RULES = "/etc/postgresql/15/main/pg_hba.conf"
AUTHORITY, ANOTHER = "/etc/ssl/certs/esus-test-authority.pem", "/etc/ssl/certs/esus-test-another.pem"
# An authority, and a certificate of the server for the name, signed by it.
CERTIFICATES = f"""
set -e
cd /var/lib/postgresql
openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj "/CN=Test authority" -keyout ca.key -out {AUTHORITY} 2>/dev/null
openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj "/CN=Another authority" -keyout /dev/null -out {ANOTHER} 2>/dev/null
openssl req -newkey rsa:2048 -nodes -subj "/CN={NAME}" -addext "subjectAltName=DNS:{NAME}" -keyout server.key -out server.csr 2>/dev/null
openssl x509 -req -in server.csr -CA {AUTHORITY} -CAkey ca.key -CAcreateserial -days 2 -copy_extensions copy -out server.crt 2>/dev/null
chown postgres: server.key server.crt && chmod 0600 server.key && chmod 0644 {AUTHORITY} {ANOTHER}
"""
SETTINGS = """
ALTER SYSTEM SET listen_addresses = '*';
ALTER SYSTEM SET ssl_cert_file = '/var/lib/postgresql/server.crt';
ALTER SYSTEM SET ssl_key_file = '/var/lib/postgresql/server.key';
"""


class Peer:
    """The cluster of 15, reached by the address of its network, which is no address of this host in the sense of the modules."""

    def __init__(self, postgres: Postgres) -> None:
        self.postgres = postgres
        self.address = postgres.server.shell("hostname -I").split()[0]

    def rule(self, kind: str, method: str) -> None:
        """Let only this rule apply to connections by network."""
        self.postgres.server.shell(f"sed -i '/^host/d' {RULES}; echo '{kind} all all all {method}' >> {RULES}")
        self.postgres.sql(15, "postgres", "SELECT pg_reload_conf()")

    def info(self, **connection: Any) -> dict[str, Any]:
        """What the dump would do, in check mode, which connects with every part of the connection."""
        database = {**self.postgres.connection(15, DATABASE), "host": self.address, **connection}
        return self.postgres.module("esus.pec.dump", {"path": "/srv/", "database": database}, check=True)


@pytest.fixture(scope="module")
def peer(postgres: Postgres) -> Iterator[Peer]:
    server = postgres.server
    before = server.run("cat", RULES).stdout
    postgres.create(15, DATABASE, sample=False)
    server.shell(CERTIFICATES)
    postgres.sql(15, "postgres", SETTINGS)
    server.shell(f"systemctl restart {postgres.unit(15)}")
    made = Peer(postgres)
    server.shell(f"echo '{made.address} {NAME}' >> /etc/hosts")
    yield made
    server.put(before, RULES, "0640")
    for setting in ("listen_addresses", "ssl_cert_file", "ssl_key_file"):
        postgres.sql(15, "postgres", f"ALTER SYSTEM RESET {setting}")
    server.shell(
        f"chown postgres: {RULES}; systemctl restart {postgres.unit(15)}; cp /etc/hosts /tmp/h; grep -v {NAME} /tmp/h > /etc/hosts"
    )
    postgres.drop(15, DATABASE)


@pytest.mark.parametrize(
    ("kind", "method", "connection", "says"),
    [
        pytest.param("host", "scram-sha-256", {}, "", id="not in clear text"),
        pytest.param("host", "password", {}, "in clear text", id="clear text"),
        pytest.param("hostssl", "password", {}, "in clear text", id="clear text by the rule for TLS only"),
        pytest.param("hostnossl", "password", {}, "in clear text", id="clear text by the rule without TLS"),
        pytest.param("host", "password", {"sslmode": "require"}, "in clear text", id="encrypted for whoever answers"),
        pytest.param("hostssl", "scram-sha-256", {"sslmode": "require"}, "", id="TLS required on both sides"),
        pytest.param("hostssl", "scram-sha-256", {"sslmode": "disable"}, "no pg_hba.conf entry", id="no TLS where the server requires it"),
        pytest.param(
            "hostssl", "password", {"host": NAME, "sslmode": "verify-full", "sslrootcert": AUTHORITY}, "", id="clear text, verified server"
        ),
        pytest.param(
            "hostssl", "password", {"sslmode": "verify-full", "sslrootcert": AUTHORITY}, "does not match host name", id="another name"
        ),
        pytest.param(
            "hostssl",
            "password",
            {"host": NAME, "sslmode": "verify-full", "sslrootcert": ANOTHER},
            "certificate verify failed",
            id="another authority",
        ),
        pytest.param("host", "password", {"host": "127.0.0.1"}, "", id="clear text on this host, to the system's own server"),
    ],
)
def test_a_connection(peer: Peer, kind: str, method: str, connection: dict[str, Any], says: str) -> None:
    peer.rule(kind, method)
    result = peer.info(**connection)
    assert in_text(result["_output"], [PASSWORD]) == []
    assert result["_failed"] == bool(says), result
    assert says in result.get("msg", "")


def test_the_preflight_reports_clear_text(peer: Peer) -> None:
    peer.rule("host", "password")
    database = {**peer.postgres.connection(15, DATABASE), "host": peer.address, "mode": "external"}
    result = peer.postgres.module("esus.pec.preflight", {"checks": ["database"], "report_only": True, "database": database})
    assert "database_clear_text" in [finding["code"] for finding in result["findings"]]
