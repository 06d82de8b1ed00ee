# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json

import pytest

from ansible_collections.esus.pec.plugins.module_utils.redact import MASK, Redactor, looks_secret

SECRET = "Senha-do-banco-1"


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        pytest.param(f"-password={SECRET} -backup", f"-password={MASK} -backup", id="an option"),
        pytest.param("-password=other,with;signs&more -x", f"-password={MASK} -x", id="an unknown password"),
        pytest.param("senha: abc123", f"senha: {MASK}", id="credenciais.txt"),
        pytest.param("Senha=abc123", f"Senha={MASK}", id="Portuguese"),
        pytest.param('--superpassword "esus" --serverport 5433', f"--superpassword {MASK} --serverport 5433", id="BitRock"),
        pytest.param('"databasePassword" : "a b c", "x" : 1', f'"databasePassword" : {MASK}, "x" : 1', id="pec.config"),
        pytest.param("spring.datasource.password=abc", f"spring.datasource.password={MASK}", id="Spring"),
        pytest.param("PGPASSWORD=abc psql", f"PGPASSWORD={MASK} psql", id="the environment"),
        pytest.param("ALTER USER x PASSWORD 'a b'", f"ALTER USER x PASSWORD {MASK}", id="SQL"),
        pytest.param("jdbc:postgresql://esus:abc@db:5432/esus", f"jdbc:postgresql://esus:{MASK}@db:5432/esus", id="a URL"),
        pytest.param(f"it says {SECRET} here", f"it says {MASK} here", id="a known value anywhere"),
        pytest.param("Using generated security password: 1-2-3", f"Using generated security password: {MASK}", id="Spring's own"),
        pytest.param("password authentication failed for user", "password authentication failed for user", id="prose stays"),
        pytest.param("Usuário e/ou senha inválidos", "Usuário e/ou senha inválidos", id="prose in Portuguese stays"),
        pytest.param("password_encryption = md5", "password_encryption = md5", id="a setting stays"),
    ],
)
def test_redaction(text: str, clean: str) -> None:
    assert Redactor([SECRET])(text) == clean


def test_a_secret_with_quotes_is_found_in_its_escaped_form() -> None:
    assert Redactor(['a"b\\c'])('x a\\"b\\\\c y a"b\\c z') == f"x {MASK} y {MASK} z"


@pytest.mark.parametrize("secret", ['a"b\\c', "it's", "não", "a\nb"])
def test_a_secret_inside_json_is_found(secret: str) -> None:
    assert Redactor([secret])(json.dumps({"x": secret})) == f'{{"x": "{MASK}"}}'


def test_known_values_only() -> None:
    assert Redactor([SECRET], only_known=True)(f"password=a {SECRET}") == f"password=a {MASK}"


@pytest.mark.parametrize(
    ("key", "value", "secret"),
    [
        ("spring.datasource.password", "x", True),
        ("server.ssl.key-store-password", "x", True),
        ("bridge.security.oauth2.client.registration.govbr.client-secret", "x", True),
        ("smtp.senha", "x", True),
        ("api.TOKEN", "x", True),
        ("mail.pass", "x", True),
        ("ssl.private-key", "x", True),
        ("bridge.security.oauth2.client.registration.govbr.client-id", "x", False),
        ("server.port", "8080", False),
        ("compass.heading", "x", False),
        ("spring.datasource.url", "jdbc:postgresql://127.0.0.1:5432/esus", False),
        ("spring.datasource.url", "jdbc:postgresql://127.0.0.1:5432/esus?password=x", True),
        ("proxy", "http://user:x@proxy:3128", True),
    ],
)
def test_what_looks_secret(key: str, value: str, secret: bool) -> None:
    assert looks_secret(key, value) is secret
