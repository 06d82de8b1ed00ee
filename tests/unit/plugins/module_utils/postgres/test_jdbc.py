# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest

from ansible_collections.esus.pec.plugins.module_utils.errors import PecError
from ansible_collections.esus.pec.plugins.module_utils.postgres.jdbc import JdbcUrl, build, parse


@pytest.mark.parametrize(
    ("url", "parts"),
    [
        pytest.param("jdbc:postgresql://127.0.0.1:5433/esus", JdbcUrl("127.0.0.1", 5433, "esus"), id="usual"),
        pytest.param("jdbc:postgresql://db/esus", JdbcUrl("db", 5432, "esus"), id="default port"),
        pytest.param("jdbc:postgresql://db:/esus", JdbcUrl("db", 5432, "esus"), id="empty port"),
        pytest.param("jdbc:postgresql:esus", JdbcUrl("localhost", 5432, "esus"), id="only a database"),
        pytest.param("jdbc:postgresql:/", JdbcUrl("localhost", 5432, ""), id="nothing"),
        pytest.param("jdbc:postgresql://db", JdbcUrl("db", 5432, ""), id="no database"),
        pytest.param("jdbc:postgresql://[2001:db8::1]:5433/esus", JdbcUrl("2001:db8::1", 5433, "esus"), id="IPv6"),
        pytest.param("jdbc:postgresql://[::1]/esus", JdbcUrl("::1", 5432, "esus"), id="IPv6, default port"),
        pytest.param("jdbc:postgresql://db/e%20sus", JdbcUrl("db", 5432, "e sus"), id="escaped name"),
        pytest.param(
            " jdbc:postgresql://db/esus?ssl=true&a=\n", JdbcUrl("db", 5432, "esus", {"ssl": "true", "a": ""}), id="parameters, stray blanks"
        ),
    ],
)
def test_parse(url: str, parts: JdbcUrl) -> None:
    assert parse(url) == parts


@pytest.mark.parametrize(
    ("url", "message"),
    [
        pytest.param("postgresql://db/esus", "'postgresql://db/esus:...' is not the JDBC URL of a PostgreSQL", id="no JDBC URL"),
        pytest.param("jdbc:oracle:thin:esus/segredo@db:1521/esus", "'jdbc:oracle:...' is not the JDBC URL of a PostgreSQL", id="Oracle"),
        pytest.param("jdbc:postgresql://esus:segredo@db/esus", "'jdbc:postgresql:...' is not the JDBC URL", id="a login in it"),
        pytest.param("jdbc:postgresql://a:1,b:2/esus?password=segredo", "names several servers", id="several servers"),
        pytest.param("jdbc:postgresql://db:port/esus?password=segredo", "has the port 'port'; it must be a number", id="no number"),
        pytest.param("jdbc:postgresql://db:65536/esus", "has the port '65536'", id="too large"),
    ],
)
def test_what_is_wrong_is_named_without_a_secret(url: str, message: str) -> None:
    with pytest.raises(PecError) as caught:
        parse(url)
    assert message in str(caught.value)
    assert "segredo" not in str(caught.value)


@pytest.mark.parametrize(("host", "port", "database"), [("127.0.0.1", 5433, "esus"), ("::1", 5432, "e sus"), ("db.local", 1, "a/b?c")])
def test_what_is_built_is_read_back(host: str, port: int, database: str) -> None:
    assert parse(build(host, port, database)) == JdbcUrl(host, port, database)


@pytest.mark.parametrize(
    ("query", "sslmode", "sslrootcert", "unsupported"),
    [
        pytest.param("", None, None, (), id="nothing"),
        pytest.param("sslmode=prefer", None, None, (), id="the default by its name"),
        pytest.param("sslmode=Require&ApplicationName=x", "require", None, (), id="capitals"),
        pytest.param("sslmode=verify-full&sslrootcert=/etc/ssl/a%20b.crt", "verify-full", "/etc/ssl/a b.crt", (), id="verified"),
        pytest.param("ssl=true", "verify-full", None, (), id="ssl alone"),
        pytest.param("ssl", "verify-full", None, (), id="ssl without a value"),
        pytest.param("ssl=false", None, None, (), id="no ssl"),
        pytest.param("ssl=true&sslfactory=org.postgresql.ssl.NonValidatingFactory", "require", None, (), id="not validating"),
        pytest.param("sslmode=require&sslcert=a&sslkey=b", "require", None, ("sslcert", "sslkey"), id="a certificate of our own"),
        pytest.param("ssl=true&sslfactory=x.Y", "verify-full", None, ("sslfactory",), id="a factory of its own"),
        pytest.param("sslmode=strict", "strict", None, ("sslmode",), id="an unknown mode"),
    ],
)
def test_how_the_connection_is_protected(query: str, sslmode: str | None, sslrootcert: str | None, unsupported: tuple[str, ...]) -> None:
    found = parse(f"jdbc:postgresql://db/esus?{query}")
    assert (found.sslmode, found.sslrootcert, found.unsupported) == (sslmode, sslrootcert, unsupported)


def test_the_protection_that_is_built_is_read_back() -> None:
    url = build("db", 5432, "esus", "verify-full", "/etc/ssl/a b&c.crt")
    assert url == "jdbc:postgresql://db:5432/esus?sslmode=verify-full&sslrootcert=/etc/ssl/a%20b%26c.crt"
    assert (parse(url).sslmode, parse(url).sslrootcert) == ("verify-full", "/etc/ssl/a b&c.crt")


def test_no_parameter_in_the_representation() -> None:
    assert "segredo" not in repr(parse("jdbc:postgresql://db/esus?password=segredo"))
